"""What a Notion connection sees: databases, their data sources with properties, people.

https://developers.notion.com/guides/get-started/upgrade-guide-2025-09-03 says what a data source is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge import Directory, Json, Names, NotAllowed, Purpose, by_name, list_inside, unexpected
from bridge.clock import Clock
from bridge.doctor import did_you_mean
from bridge.names import FRESH_SECONDS, match
from bridge_plugins._notion_properties import Property, identifier, several

if TYPE_CHECKING:
    from bridge_plugins.notion import Settings

Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the answer's JSON."""

PAGE = 100  # entries in one answer


@dataclass(frozen=True)
class Source:
    """A data source: what has the pages of a database, and their properties."""

    id: str
    name: str
    properties: Mapping[str, Property]

    def find(self, name: str) -> Property | None:
        """Return a property by its name in any letter case; `"title"` is the title, whatever it is called."""
        if name == "title":
            return self.of_kind("title")
        return {each.casefold(): prop for each, prop in self.properties.items()}.get(name.casefold())

    def of_kind(self, kind: str) -> Property | None:
        """Return the first property of a type."""
        return next((prop for prop in self.properties.values() if prop.kind == kind), None)


class NotionNames(Directory):
    """What the connection sees, by name; what was looked up is kept for a while.

    Args:
        settings: The tracker's.
        call: Sends a request.
        clock: The time.
    """

    def __init__(self, settings: Settings, call: Call, clock: Clock) -> None:
        self._settings, self._call, self._clock = settings, call, clock
        self.databases = Names("database that is shared with the connection", self._databases, clock)
        self.people = Names("member of the workspace", self._people, clock)
        self._source: tuple[float, Source] | None = None

    def forget(self) -> None:
        """Look everything up anew."""
        super().forget()
        self._source = None

    async def source(self) -> Source:
        """Return the data source, as it was a while ago at most.

        Raises:
            NotAllowed: There is no such database, or it has several data sources and none of them is chosen.
        """
        now = self._clock.monotonic()
        if self._source is None or now - self._source[0] > FRESH_SECONDS:
            data = await self._call("GET", f"/data_sources/{await self._source_id()}")
            try:
                known = {name: Property.read(name, each) for name, each in data["properties"].items()}
                self._source = now, Source(data["id"], _title(data), known)
            except (LookupError, TypeError, AttributeError):
                raise unexpected("there is no data source in the answer") from None
        return self._source[1]

    async def listing(
        self, method: str, path: str, sent: Mapping[str, Json], purpose: Purpose
    ) -> AsyncIterator[Json]:
        """Yield the entries of a list, page by page.

        Args:
            method: `"POST"` for a list that is asked for in a body.
            path: Behind `base_url`.
            sent: What it is asked with.
            purpose: What it is for.

        Raises:
            TrackerError: The one that fits; also where Notion does not give the whole list.
        """
        asked: dict[str, Json] = {**sent, "page_size": PAGE}
        while True:
            request = {"json": asked} if method == "POST" else {"params": asked}
            data = await self._call(method, path, purpose=purpose, **request)
            for each in list_inside(data, "results", purpose=purpose):
                yield each
            if (data.get("request_status") or {}).get("type") == "incomplete":
                raise unexpected("Notion gave a part of the list only", purpose)
            if not data.get("has_more") or not data.get("next_cursor"):
                return
            asked["start_cursor"] = data["next_cursor"]

    async def ids(self, people: Json) -> list[str]:
        """Return the ids of people.

        Raises:
            ValueError: There is no such member, or the connection may not look.
        """
        try:
            return [await self.people.id_of(name.lstrip("@")) for name in several(people)]
        except NotAllowed as refusal:
            if refusal.status != 403:
                raise
            raise ValueError(
                "the connection may not read users: turn on its capability Read user information"
            ) from None

    async def _source_id(self) -> str:
        database = identifier(self._settings.database)
        if not database:
            return await self.databases.needed(self._settings.database, "database")
        try:
            data = await self._call("GET", f"/databases/{database}")
        except NotAllowed as refusal:
            if refusal.status != 404:
                raise
            return database  # perhaps it is a data source's
        known = {str(each["name"]): str(each["id"]) for each in list_inside(data, "data_sources")}
        wanted = self._settings.data_source
        if (found := match(wanted, known)) is not None:
            return found
        if not wanted and len(known) == 1:
            return next(iter(known.values()))
        hint = did_you_mean(wanted, known) or f"correct `data_source`, one of {', '.join(known)}"
        told = f'the database has no data source "{wanted}"' if wanted else "the database has several data sources"
        raise NotAllowed(f"{told}; {hint}")

    async def _databases(self) -> Mapping[str, str]:
        """Return the ids of the databases by the names of their data sources."""
        sent = {"filter": {"property": "object", "value": "data_source"}}
        listed = self.listing("POST", "/search", sent, Purpose.LOOK)
        sources = [each async for each in listed if each.get("object") == "data_source"]
        return by_name([{"name": _title(each), "id": each["id"]} for each in sources], "name")

    async def _people(self) -> Mapping[str, str]:
        """Return the ids of the workspace's members by name and by e-mail address."""
        listed = self.listing("GET", "/users", {}, Purpose.LOOK)
        people = [{**each, **(each.get("person") or {})} async for each in listed if each.get("type") == "person"]
        return by_name(people, "name", "email")


def _title(data: Mapping[str, Json]) -> str:
    return "".join(str(each.get("plain_text", "")) for each in data.get("title") or ())
