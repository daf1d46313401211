"""Teamwork's names and ids: projects, task lists, tags, people, custom fields.

https://apidocs.teamwork.com/docs/teamwork/v3/ and the vendor's own client, https://github.com/Teamwork/twapi-go-sdk
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from bridge import Json, Names, NotAllowed, Purpose, Rejected, Unavailable
from bridge.clock import Clock

if TYPE_CHECKING:
    from bridge_plugins.teamwork import Settings

Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the answer's JSON."""

V3 = "/projects/api/v3"
TAG_LIMIT = 49  # characters
_NUMBERS = frozenset({"number-integer", "number-decimal", "financial", "percentage", "rating"})
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


class Directory:
    """What the key's user sees around one task list, by name.

    Attributes:
        fields: The custom fields of tasks, by name in lower case, as far as `custom` has asked for them.

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
        self._project: str | None = None
        self._fields = Names("custom field", self._custom, clock)
        self.fields: dict[str, dict[str, Json]] = {}

    def forget(self) -> None:
        """Look everything up anew."""
        for names in (self.projects, self.lists, self.tags, self.people, self._fields):
            names.forget()
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
            try:
                self._project = str(data["tasklist"]["project"]["id"])
            except (LookupError, TypeError):
                raise Unavailable("there is no task list in the answer") from None
        return self._project

    async def tag(self, name: str) -> str | None:
        """Return the id of a tag, a new one of the project where there is none; None where none can be made."""
        project = await self.project_id()

        async def make(name: str) -> str:
            tag = {"name": name, "projectId": int(project)}
            data = await self._call("POST", f"{V3}/tags.json", json={"tag": tag})
            return str(data["tag"]["id"])

        try:
            return await self.tags.find_or_make(name, make)
        except Rejected:
            return None

    async def tags_of(self, ids: list[str]) -> dict[str, str]:
        """Return the names of tags by their ids; one that is not known has its id for a name."""
        known = {id_: name for name, id_ in (await self.tags.all()).items()}
        return {id_: known.get(id_, id_) for id_ in ids}

    async def custom(self, name: str) -> dict[str, Json] | None:
        """Return a custom field by its name; None where there is none."""
        found = await self._fields.find(name)
        return next((field for field in self.fields.values() if str(field["id"]) == found), None)

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
            if not isinstance(data, dict) or not isinstance(data.get(what) or [], list):
                raise Unavailable("there is no list in the answer")
            entries = data.get(what) or []
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
        project, known = await self.project_id(), {}
        async for each in self.listing("tags.json", "tags"):
            own = str((each.get("project") or {}).get("id") or "")
            if own in {"", project}:
                known[str(each["name"])] = str(each["id"])
        return known

    async def _people(self) -> Mapping[str, str]:
        """Return the members of the project by name and by e-mail address."""
        known: dict[str, str] = {}
        async for each in self.listing(f"projects/{await self.project_id()}/people.json", "people"):
            whole = f"{each.get('firstName') or ''} {each.get('lastName') or ''}".strip()
            for name in (whole, each.get("email")):
                if name:
                    known.setdefault(str(name), str(each["id"]))
        return known

    async def _custom(self) -> Mapping[str, str]:
        query = {"entities": "task", "projectIds": await self.project_id()}
        self.fields = {
            str(each["name"]).casefold(): each
            async for each in self.listing("customfields.json", "customfields", query)
            if not each.get("deleted")
        }
        return {str(field["name"]): str(field["id"]) for field in self.fields.values()}


def number(text: str) -> str:
    """Return the id in an address, in `#123`, or in an id; empty where there is none."""
    found = re.fullmatch(r"(?:https?://\S*/|#)?(\d+)/?", text.strip())
    return found[1] if found else ""


def several(text: str) -> list[str]:
    """Return the names in a comma separated list, with or without `@`."""
    return [name for part in text.split(",") if (name := part.strip().lstrip("@"))]


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
        names = several(text) if kind == "multiselect" and not isinstance(wanted, list) else wanted
        known = {each.casefold(): each for each in choices(field)}
        chosen = [known.get(str(each).casefold()) for each in (names if isinstance(names, list) else [names])]
        if known and None in chosen:
            raise ValueError(f'"{text}" is none of {", ".join(known.values())}')
        return (chosen if kind == "multiselect" else chosen[0]) if known else wanted
    return wanted if isinstance(wanted, list) else text
