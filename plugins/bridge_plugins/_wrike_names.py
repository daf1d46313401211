"""Wrike's names and ids: folders, people, statuses, item types, custom fields.

https://developers.wrike.com/api/v4/folders-projects/
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bridge import Directory, Json, Names, NotAllowed, Rejected
from bridge.clock import Clock

if TYPE_CHECKING:
    from bridge_plugins.wrike import Settings

Look = Callable[..., Awaitable[list[dict[str, Json]]]]
"""Asks for a list at a path."""

_ID = re.compile(r"[A-Z0-9]{12,}(?<!\d{12})")
_NUMBER = re.compile(r"(?:https?://\S*[?&#/](?:id|folder|project|task)=?/?)?(\d+)")


def number_in(text: str) -> str:
    """Return the number in a permalink, or the number itself; empty for anything else."""
    found = _NUMBER.search(text) if "://" in text else _NUMBER.fullmatch(text)
    return found[1] if found else ""


class WrikeNames(Directory):
    """What the token's user sees, by name.

    Attributes:
        custom: The custom fields by id, as far as `fields` has asked for them.
        of_tasks: By parameter of a task: the names that it is given by.

    Args:
        settings: The tracker's.
        look: Asks for a list.
        clock: The time.
    """

    def __init__(self, settings: Settings, look: Look, clock: Clock) -> None:
        self._settings, self._look = settings, look
        self._folder = ""
        self.folders = Names("folder", self._folders, clock)
        self.people = Names("person", self._people, clock)
        self.statuses = Names("status", self._statuses, clock)
        self.types = Names("item type", self._types, clock)
        self.fields = Names("custom field", self._fields, clock)
        self.custom: dict[str, dict[str, Json]] = {}
        self.of_tasks = {
            "responsibles": self.people,
            "followers": self.people,
            "parents": self.folders,
            "customStatus": self.statuses,
            "customItemTypeId": self.types,
        }

    def forget(self) -> None:
        """Look everything up anew next time, the folder too."""
        super().forget()
        self._folder = ""

    async def folder_id(self) -> str:
        """Return the folder's id.

        Raises:
            NotAllowed: There is none of this name or number.
        """
        text = self._settings.folder.strip()
        if not self._folder:
            if number := number_in(text):
                self._folder = await self.id_of_number(number, "ApiV2Folder")
            elif _ID.fullmatch(text):
                self._folder = text
            else:
                self._folder = await self.folders.needed(text, "folder")
        return self._folder

    async def id_of_number(self, number: str, kind: str) -> str:
        """Return the API's id for the number in a permalink.

        https://developers.wrike.com/api/v4/ids/

        Args:
            number: The number.
            kind: `"ApiV2Folder"` or `"ApiV2Task"`.

        Raises:
            NotAllowed: It leads to nothing that the token's user sees.
        """
        found = await self._look("/ids", type=kind, ids=f"[{number}]")
        if not found or not found[0].get("id"):
            raise NotAllowed(f"permalink {number} leads to nothing that the token's user sees: correct it")
        return str(found[0]["id"])

    async def folder(self) -> dict[str, Json]:
        """Return the folder itself.

        Raises:
            NotAllowed: There is none.
        """
        found = await self._look(f"/folders/{await self.folder_id()}")
        if not found:
            raise NotAllowed("the folder does not exist: correct `folder`")
        return found[0]

    async def _folders(self) -> Mapping[str, str]:
        """Return all folders by their path, and by their name alone where only one has it."""
        tree = await self._look("/folders")
        paths = dict(_paths([each for each in tree if not str(each.get("scope")).startswith("Rb")]))
        often = Counter(path.rpartition("/")[2].casefold() for path in paths)
        alone = {
            name: id_ for path, id_ in paths.items() if often[(name := path.rpartition("/")[2]).casefold()] == 1
        }
        return {**alone, **paths}

    async def _people(self) -> Mapping[str, str]:
        known: dict[str, str] = {}
        for each in await self._look("/contacts"):
            if each.get("deleted") or each.get("type") == "Group":
                continue
            mails = [profile.get("email") for profile in each.get("profiles") or ()]
            name = f"{each.get('firstName') or ''} {each.get('lastName') or ''}".strip()
            known |= {key: str(each["id"]) for key in [name, *mails] if key}
        return known

    async def _statuses(self) -> Mapping[str, str]:
        """Return the statuses of all workflows; of one name the one in the folder's own workflow."""
        own = (await self.folder()).get("workflowId")
        flows = sorted(await self._look("/workflows"), key=lambda flow: bool(flow.get("id") == own))
        listed = [status for flow in flows for status in flow.get("customStatuses") or ()]
        return {str(each["name"]): str(each["id"]) for each in listed if not each.get("hidden")}

    async def _types(self) -> Mapping[str, str]:
        try:
            found = await self._look("/custom_item_types")
        except (NotAllowed, Rejected):
            return {}  # not every plan has them
        return {str(each.get("title") or each.get("name")): str(each["id"]) for each in found}

    async def _fields(self) -> Mapping[str, str]:
        self.custom = {str(field["id"]): field for field in await self._look("/customfields")}
        return {str(field["title"]): id_ for id_, field in self.custom.items()}


def _paths(tree: Sequence[Mapping[str, Json]]) -> Iterator[tuple[str, str]]:
    """Yield `Space/Folder` with the id; roots are in no path, and a folder in two places has two paths."""
    by_id = {str(each["id"]): each for each in tree}
    children = {str(child) for each in tree for child in each.get("childIds") or () if not _is_root(each)}
    waiting = [("", id_, frozenset[str]()) for id_, each in by_id.items() if id_ not in children]
    while waiting:
        above, id_, seen = waiting.pop()
        each = by_id.get(id_)
        if each is None or id_ in seen:
            continue
        path = above if _is_root(each) else f"{above}/{each['title']}".lstrip("/")
        if path:
            yield path, id_
        if not _is_root(each):
            waiting += [(path, str(child), seen | {id_}) for child in each.get("childIds") or ()]


def _is_root(folder: Mapping[str, Json]) -> bool:
    return folder.get("scope") in {"WsRoot", "RbRoot"}
