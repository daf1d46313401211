"""What a board of monday.com has, by name: columns, groups, people, tags; and values in each column's form.

Forms: https://developer.monday.com/api-reference/docs/column-types-reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping

from bridge import Directory, Json, Names, NotAllowed, by_name
from bridge.clock import Clock
from bridge.doctor import did_you_mean
from bridge.model import people_in
from bridge.names import match
from bridge_plugins import _monday_api as api

Ask = Callable[..., Awaitable[Json]]
"""Sends a document with its variables, returns the `data`."""

LONG_TEXT = 2000  # characters
PAGES = {api.BOARDS: 100, api.USERS: 1000}
"""How many things a page has."""


def options_of(column: Mapping[str, Json]) -> list[str]:
    """Return the labels of a status or dropdown column."""
    settings = column.get("settings")
    labels = settings.get("labels") if isinstance(settings, dict) else None
    found = labels.values() if isinstance(labels, dict) else labels if isinstance(labels, list) else ()
    told = (each.get("label") or each.get("name") if isinstance(each, dict) else each for each in found)
    return [str(label) for label in told if label]


def texts(value: Json) -> list[str]:
    """Return a value, or each of several, as text."""
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def formed(kind: str, value: Json) -> Json:
    """Return a value in the form of columns of this type; an object is in it already.

    Args:
        kind: The column's type.
        value: A text or several; for people and tags their ids.
    """
    if isinstance(value, dict):
        return value
    several, text = texts(value), ", ".join(texts(value))
    day, _, moment = text.replace("T", " ").partition(" ")
    forms: dict[str, Json] = {
        "status": {"label": several[0] if several else ""},
        "dropdown": {"labels": several},
        "long_text": {"text": text[:LONG_TEXT]},
        "link": {"url": text, "text": text},
        "email": {"email": text, "text": text},
        "date": {"date": day} | ({"time": moment[:8]} if moment else {}),
        "checkbox": {"checked": "true" if text.casefold() in {"true", "yes", "1"} else "false"},
        "people": {"personsAndTeams": [{"id": int(id_), "kind": "person"} for id_ in several if id_.isdecimal()]},
        "tags": {"tag_ids": [int(id_) for id_ in several if id_.isdecimal()]},
    }
    return forms.get(kind, text)


class Board(Directory):
    """One board. Everything is looked up once and remembered for a while: calls in a day are few.

    Args:
        board: The board's id or name.
        make_labels: Whether labels that a column does not have are made.
        ask: Sends a document.
        clock: The time.
    """

    def __init__(self, board: str, make_labels: bool, ask: Ask, clock: Clock) -> None:
        self._board, self._make_labels, self._ask = board, make_labels, ask
        self.boards = Names("board that the token's user sees", self._boards, clock)
        self.columns = Names("column", self._columns, clock)
        self.groups = Names("group", self._groups, clock)
        self.people = Names("person", self._people, clock)
        self._tags = Names("tag", self._no_tags, clock)
        self._by_id: dict[str, dict[str, Json]] = {}

    async def id(self) -> str:
        """Return the board's id.

        Raises:
            NotAllowed: There is no board of this name.
        """
        return self._board if self._board.isdecimal() else await self.boards.needed(self._board, "board")

    async def column(self, name: str) -> dict[str, Json] | None:
        """Return a column by title or id, None where there is none."""
        found = await self.columns.find(name)
        return self._by_id.get(found) if found else None

    async def first(self, kind: str) -> dict[str, Json] | None:
        """Return the board's first column of a type, None where there is none."""
        await self.columns.all()
        return next((column for column in self._by_id.values() if column["type"] == kind), None)

    async def values(self, wanted: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return values by column id in each column's form, and a warning for each that cannot be set.

        Args:
            wanted: Values by the column's title or id.
        """
        found, warnings = dict[str, Json](), list[str]()
        for name, value in wanted.items():
            column = await self.column(name)
            if column is None:
                hint = did_you_mean(name, await self.columns.all())
                warnings.append(f'there is no column "{name}"' + (f"; {hint}" if hint else ""))
                continue
            known, lost = await self._known(name, column, value)
            warnings += lost
            if known != []:
                found[column["id"]] = formed(column["type"], known)
        return found, warnings

    async def _known(self, name: str, column: Mapping[str, Json], value: Json) -> tuple[Json, list[str]]:
        """Return `value` as far as the column can take it, with ids for people and tags; and warnings."""
        kind = column["type"]
        if isinstance(value, dict) or kind not in {"people", "tags", "status", "dropdown"}:
            return value, []
        if kind == "people":
            people = dict.fromkeys(people_in(",".join(texts(value))))  # each once
            return await self.people.ids_of(people, name)
        if kind == "tags":
            return [await self._tags.find_or_make(text, self._tag) for text in texts(value)], []
        options = {option: option for option in options_of(column)}
        spelt = {text: match(text, options) or (text if self._make_labels else None) for text in texts(value)}
        lost = [f'{name}: there is no "{text}"' for text, option in spelt.items() if option is None]
        return [option for option in spelt.values() if option is not None], lost

    async def _tag(self, name: str) -> str:
        data = await self._ask(api.TAG, name=name, boardId=await self.id())
        return str(data["create_or_get_tag"]["id"])

    async def _no_tags(self) -> Mapping[str, str]:
        """Know no tag: monday.com returns the one that exists when it is told to make it."""
        return {}

    async def _columns(self) -> Mapping[str, str]:
        columns = [each for each in await self._of_board(api.COLUMNS, "columns") if not each["archived"]]
        self._by_id = {each["id"]: each for each in columns}
        return by_name(columns, "title")

    async def _groups(self) -> Mapping[str, str]:
        groups = await self._of_board(api.GROUPS, "groups")
        return by_name([each for each in groups if not each["archived"] and not each["deleted"]], "title")

    async def _boards(self) -> Mapping[str, str]:
        return by_name(await self._pages(api.BOARDS, "boards"), "name")

    async def _people(self) -> Mapping[str, str]:
        return by_name(await self._pages(api.USERS, "users"), "name", "email")

    async def _of_board(self, document: str, what: str) -> list[dict[str, Json]]:
        data = await self._ask(document, ids=[await self.id()])
        if not data.get("boards"):
            told = f'there is no board "{self._board}", or the token\'s user does not see it: correct `board`'
            raise NotAllowed(told)
        return list(data["boards"][0][what] or ())

    async def _pages(self, document: str, what: str) -> list[dict[str, Json]]:
        found = list[dict[str, Json]]()
        for page in itertools.count(1):
            items = (await self._ask(document, page=page)).get(what) or []
            found += items
            if len(items) < PAGES[document]:
                break
        return found
