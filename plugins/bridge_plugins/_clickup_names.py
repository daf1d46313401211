"""ClickUp's names and ids: workspace, list, tags, people, task types, custom fields.

https://developer.clickup.com/docs/general-v2-v3-api (a "team" of the API is a Workspace)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from bridge import Directory, Json, Names, NotAllowed, Rejected, by_name, list_inside
from bridge.clock import Clock

if TYPE_CHECKING:
    from bridge_plugins.clickup import Settings

Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the answer's JSON."""

AS_JSON = {"Content-Type": "application/json"}
"""ClickUp's description demands it of some requests that have no body."""
_ADDRESS = re.compile(r"https?://[^/]+/(?P<workspace>\d+)/v/(?:l/)?(?:li/|6-)(?P<list>\d+)")


def place(text: str) -> tuple[str, str] | None:
    """Return the ids of workspace and list in a list's address; None where it is none."""
    found = _ADDRESS.match(text)
    return (found["workspace"], found["list"]) if found else None


class ClickUpNames(Directory):
    """What the token's user sees around one list, by name.

    Attributes:
        custom: The list's custom fields by id, as far as `fields` has asked for them.

    Args:
        settings: The tracker's.
        call: Sends a request.
        clock: The time.
    """

    def __init__(self, settings: Settings, call: Call, clock: Clock) -> None:
        self._settings, self._call = settings, call
        self.workspaces = Names("workspace that the token's user is in", self._workspaces, clock)
        self.lists = Names("list", self._lists, clock)
        self.tags = Names("tag", self._tags, clock)
        self.people = Names("member of the list", self._people, clock)
        self.types = Names("task type", self._types, clock)
        self.fields = Names("custom field of the list", self._fields, clock)
        self.custom: dict[str, dict[str, Json]] = {}

    async def workspace_id(self) -> str:
        """Return the workspace's id.

        Raises:
            NotAllowed: There is none of this name, or several of which none is named.
        """
        if self._settings.workspace:
            return await self.workspaces.needed(self._settings.workspace, "workspace")
        if found := place(self._settings.list):
            return found[0]
        known = await self.workspaces.all()
        if len(known) == 1:
            return next(iter(known.values()))
        names = ", ".join(f'"{name}"' for name in known)
        raise NotAllowed(f"the token's user is in several workspaces: name one of {names} as `workspace`")

    async def list_id(self) -> str:
        """Return the list's id.

        Raises:
            NotAllowed: There is none of this name.
        """
        name = self._settings.list
        if found := place(name):
            return found[1]
        return name if name.isdecimal() else await self.lists.needed(name, "list")

    async def list_itself(self) -> dict[str, Json]:
        """Return the list: its space, statuses, and what the token's user may do in it."""
        found: dict[str, Json] = await self._call("GET", f"/list/{await self.list_id()}")
        return found

    async def tag(self, name: str) -> str:
        """Return a tag as ClickUp writes it, in lower case; made where it is missing and may be made."""
        try:
            return await self.tags.find_or_make(name, self._make_tag)
        except (NotAllowed, Rejected):
            return name.lower()  # a task that names it may still make it

    async def _make_tag(self, name: str) -> str:
        tag = {"name": name.lower(), "tag_fg": "#ffffff", "tag_bg": "#2e5bff"}
        await self._call("POST", f"/space/{await self._space_id()}/tag", json={"tag": tag})
        return tag["name"]

    async def _space_id(self) -> str:
        return str((await self.list_itself())["space"]["id"])

    async def _listed(self, path: str, key: str, **request: Any) -> list[dict[str, Json]]:
        return list_inside(await self._call("GET", path, **request), key)

    async def _workspaces(self) -> Mapping[str, str]:
        return by_name(await self._listed("/team", "teams"), "name")

    async def _lists(self) -> Mapping[str, str]:
        """Return all lists by their path, and by their name alone where only one has it."""
        paths = {path: id_ async for path, id_ in self._list_paths()}
        often = Counter(path.rpartition("/")[2].casefold() for path in paths)
        alone = {
            name: id_ for path, id_ in paths.items() if often[(name := path.rpartition("/")[2]).casefold()] == 1
        }
        return {**alone, **paths}

    async def _list_paths(self) -> AsyncIterator[tuple[str, str]]:
        """Yield `Space/Folder/List` or `Space/List` with the id; of the one space, where `list` begins with it."""
        active = {"archived": "false"}
        spaces = await self._listed(f"/team/{await self.workspace_id()}/space", "spaces", params=active)
        wanted = self._settings.list.partition("/")[0].casefold()
        for space in [each for each in spaces if each["name"].casefold() == wanted] or spaces:
            folders = await self._listed(f"/space/{space['id']}/folder", "folders", params=active)
            inside = [(f"{folder['name']}/", each) for folder in folders for each in folder["lists"]]
            outside = await self._listed(f"/space/{space['id']}/list", "lists", params=active)
            for folder, each in [*inside, *(("", each) for each in outside)]:
                yield f"{space['name']}/{folder}{each['name']}", str(each["id"])

    async def _tags(self) -> Mapping[str, str]:
        tags = await self._listed(f"/space/{await self._space_id()}/tag", "tags", headers=AS_JSON)
        return by_name(tags, "name", id_key="name")

    async def _people(self) -> Mapping[str, str]:
        members = await self._listed(f"/list/{await self.list_id()}/member", "members")
        return by_name(members, "email", "username")

    async def _types(self) -> Mapping[str, str]:
        types = await self._listed(f"/team/{await self.workspace_id()}/custom_item", "custom_items")
        return {"Task": "0", **by_name(types, "name")}

    async def _fields(self) -> Mapping[str, str]:
        fields = await self._listed(f"/list/{await self.list_id()}/field", "fields", headers=AS_JSON)
        self.custom = {str(field["id"]): field for field in fields}
        return by_name(fields, "name")
