"""Teamwork's names and ids: projects, task lists, tags, people, custom fields.

https://apidocs.teamwork.com/docs/teamwork/v3/ and the vendor's own client, https://github.com/Teamwork/twapi-go-sdk
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from bridge import Directory, Json, Names, NotAllowed, Purpose, by_name, inside, unexpected
from bridge.clock import Clock
from bridge.names import match

if TYPE_CHECKING:
    from bridge_plugins.teamwork import Settings

Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the answer's JSON."""

V3 = "/projects/api/v3"
TAG_LIMIT = 49  # characters
_NUMBERS = frozenset({"number-integer", "number-decimal", "financial", "percentage", "rating"})
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


class TeamworkNames(Directory):
    """What the key's user sees around one task list, by name.

    Args:
        settings: The tracker's.
        call: Sends a request.
        clock: The time.
    """

    page = 250
    """Entries in one answer; Teamwork gives 500 at most."""

    def __init__(self, settings: Settings, call: Call, clock: Clock) -> None:
        self._settings, self._call = settings, call
        self.projects = Names("project", self._projects, clock)
        self.lists = Names("task list", self._lists, clock)
        self.tags = Names("tag", self._tags, clock)
        self.people = Names("member of the project", self._people, clock)
        self.fields = Names("custom field", self._fields, clock)
        self._by_id: dict[str, dict[str, Json]] = {}  # custom fields
        self._project: str | None = None

    def forget(self) -> None:
        """Look everything up anew, the task list's project too."""
        super().forget()
        self._project = None

    async def list_id(self) -> str:
        """Return the id of the task list.

        Raises:
            NotAllowed: There is none of this name: every delivery would fail, so they wait.
        """
        found = number(self._settings.list)
        return found or await self.lists.needed(self._settings.list, "list")

    async def project_id(self) -> str:
        """Return the id of the task list's project."""
        if self._project is None:
            data = await self._call("GET", f"{V3}/tasklists/{await self.list_id()}.json")
            self._project = str(inside(data, "tasklist", "project", "id"))
        return self._project

    async def new_tag(self, name: str) -> str:
        """Make a tag of the project and return its id."""
        tag = {"name": name, "projectId": int(await self.project_id())}
        return str((await self._call("POST", f"{V3}/tags.json", json={"tag": tag}))["tag"]["id"])

    async def tags_of(self, ids: list[str]) -> dict[str, str]:
        """Return the names of tags by their ids; one that is not known has its id for a name."""
        known = {id_: name for name, id_ in (await self.tags.all()).items()}
        return {id_: known.get(id_, id_) for id_ in ids}

    async def custom(self, name: str) -> dict[str, Json] | None:
        """Return a custom field by its name; None where there is none."""
        found = await self.fields.find(name)
        return self._by_id[found] if found is not None else None

    async def listing(
        self, path: str, what: str, query: Mapping[str, Json] | None = None, purpose: Purpose = Purpose.LOOK
    ) -> AsyncIterator[Json]:
        """Yield the entries of a list, page by page.

        Args:
            path: Behind the address of the API's version 3.
            what: The key they are under.
            query: What they are asked with.
            purpose: What it is for.

        Raises:
            TrackerError: The one that fits; also for an answer that is no list.
        """
        page = 1
        while True:
            asked = {**(query or {}), "page": page, "pageSize": self.page}
            data = await self._call("GET", f"{V3}/{path}", purpose=purpose, params=asked)
            entries = (data.get(what) or []) if isinstance(data, dict) else None
            if not isinstance(entries, list):
                raise unexpected("there is no list in the answer", purpose)
            for each in entries:
                yield each
            more = ((data.get("meta") or {}).get("page") or {}).get("hasMore")
            if not more or not entries:
                return
            page += 1

    async def _projects(self) -> Mapping[str, str]:
        return {str(each["name"]): str(each["id"]) async for each in self.listing("projects.json", "projects")}

    async def _lists(self) -> Mapping[str, str]:
        """Return the task lists of the project, or of all.

        Raises:
            NotAllowed: Several have the name of ours; which one is meant nobody can know.
        """
        path, wanted = "tasklists.json", self._settings.list
        if self._settings.project:
            project = await self.projects.needed(self._settings.project, "project")
            path = f"projects/{project}/tasklists.json"
        lists = [each async for each in self.listing(path, "tasklists") if each.get("status") != "deleted"]
        count = sum(str(each["name"]).casefold() == wanted.casefold() for each in lists)
        if count > 1:
            raise NotAllowed(
                f'{count} task lists are called "{wanted}": name the `project`, or write the id in `list`'
            )
        return {str(each["name"]): str(each["id"]) for each in lists}

    async def _tags(self) -> Mapping[str, str]:
        """Return the tags of the project, and those of all projects."""
        project = await self.project_id()
        return {
            str(each["name"]): str(each["id"])
            async for each in self.listing("tags.json", "tags")
            if str((each.get("project") or {}).get("id") or "") in {"", project}
        }

    async def _people(self) -> Mapping[str, str]:
        """Return the members of the project by name and by e-mail address."""
        path = f"projects/{await self.project_id()}/people.json"
        people = [{**each, "name": full_name(each)} async for each in self.listing(path, "people")]
        return by_name(people, "name", "email")

    async def _fields(self) -> Mapping[str, str]:
        query = {"entities": "task", "projectIds": await self.project_id()}
        self._by_id = {
            str(each["id"]): each
            async for each in self.listing("customfields.json", "customfields", query)
            if not each.get("deleted")
        }
        return {str(field["name"]): id_ for id_, field in self._by_id.items()}


def number(text: str) -> str:
    """Return the id in an address, in `#123`, or in an id; empty where there is none."""
    found = re.fullmatch(r"(?:https?://\S*/|#)?(\d+)/?", text.strip())
    return found[1] if found else ""


def full_name(person: Mapping[str, Json]) -> str:
    """Return first and last name."""
    return f"{person.get('firstName') or ''} {person.get('lastName') or ''}".strip()


def choices(field: Mapping[str, Json]) -> list[str]:
    """Return what may be chosen in a custom field."""
    options = field.get("options") or {}
    listed = field.get("choices") or (options.get("choices") if isinstance(options, Mapping) else None) or ()
    return [str(each["value"]) for each in listed]


def value(field: Mapping[str, Json], wanted: Json) -> Json:
    """Return a value as a custom field of its type takes it.

    Raises:
        ValueError: It does not; says what it takes.
    """
    kind, text = field["type"], str(wanted)
    if kind in _NUMBERS:
        try:
            amount = float(text)
        except ValueError:
            raise ValueError(f'"{text}" is no number') from None
        return int(amount) if amount.is_integer() else amount
    if kind == "checkbox":
        if text.casefold() not in _YES | _NO:
            raise ValueError(f'"{text}" is neither true nor false')
        return text.casefold() in _YES
    if kind in {"dropdown", "status", "multiselect"}:
        if not (known := {each: each for each in choices(field)}):
            return wanted
        several = kind == "multiselect"
        parts = [each for each in text.split(",") if each.strip()] if several else [text]
        chosen = [match(str(each).strip(), known) for each in (wanted if isinstance(wanted, list) else parts)]
        if None in chosen:
            raise ValueError(f'"{text}" is none of {", ".join(known)}')
        return chosen if several else chosen[0]
    return wanted if isinstance(wanted, list) else text
