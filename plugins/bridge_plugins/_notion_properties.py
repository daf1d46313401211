"""The properties of a Notion database: what there is, and values in the form of each.

https://developers.notion.com/reference/property-object and https://developers.notion.com/reference/page-property-values
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge import Json
from bridge.mapping.notion import ARRAY, pieces
from bridge.names import match

NAME_LIMIT = 100  # characters of an option's name
CHOICES = frozenset({"select", "multi_select", "status"})
WRITABLE = CHOICES | {
    "title", "rich_text", "number", "checkbox", "url", "email", "phone_number", "date", "people", "files",
    "relation",
}  # fmt: skip
_HEX = re.compile(r"[0-9a-f]{32}")
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


@dataclass(frozen=True)
class Property:
    """One property of a database.

    Attributes:
        kind: Notion's type: `"select"`, `"rich_text"`, ...
        options: Names of what may be chosen.
        final: Those of them that Notion counts as complete.
    """

    name: str
    kind: str
    options: tuple[str, ...] = ()
    final: frozenset[str] = frozenset()

    @classmethod
    def read(cls, name: str, data: Mapping[str, Json]) -> Property:
        """Return a property as the API describes it. The last group of a status is of what is complete."""
        inside = data.get(data["type"]) or {}
        options = {each["id"]: each["name"] for each in inside.get("options") or ()}
        last = (inside.get("groups") or [{}])[-1].get("option_ids") or ()
        final = frozenset(options[each] for each in last if each in options)
        return cls(name, data["type"], tuple(options.values()), final)

    def option(self, wanted: str) -> str:
        """Return an option by its name in any letter case; another one as Notion takes it: without commas."""
        known = {each: each for each in self.options}
        tidied = " ".join(wanted.replace(",", " ").split())[:NAME_LIMIT].strip()
        return match(wanted.strip(), known) or match(tidied, known) or tidied

    def value(self, wanted: Json) -> dict[str, Json]:
        """Return a value in the form of this property. Objects are sent as they are.

        Args:
            wanted: The value; of people and relations their ids, of several a list.

        Raises:
            ValueError: The property cannot have it; says why.
        """
        if self.kind not in WRITABLE:
            raise ValueError("Notion sets it itself")
        if isinstance(wanted, Mapping):
            return {self.kind: dict(wanted)}
        convert = _CONVERT.get(self.kind)
        return {self.kind: convert(self, wanted) if convert else str(wanted)}


def rich_text(text: str) -> list[dict[str, Any]]:
    """Return a text in pieces that Notion takes."""
    return [{"text": {"content": piece}} for piece in pieces(text)][:ARRAY]


def several(value: Json) -> list[str]:
    """Return the names in a list, or in a text where commas part them."""
    names = value if isinstance(value, list | tuple) else str(value).split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def plain(value: Json) -> Json:
    """Return what a property of a page says: a text, a number, a truth, or a list of names; None for nothing."""
    found = value.get(value.get("type", "")) if isinstance(value, Mapping) else None
    if isinstance(found, Mapping):
        return found.get("name")
    if isinstance(found, list):
        texts = [str(each.get("plain_text") or each.get("name") or "") for each in found]
        return texts if value["type"] == "multi_select" else "".join(texts)
    return found


def identifier(text: str) -> str:
    """Return the id in an address, or an id with or without dashes, in the form with dashes; empty for none."""
    path = text.strip().partition("?")[0].rstrip("/")
    last = path.rpartition("/")[2].replace("-", "").lower()[-32:]
    alone = "://" in path or re.fullmatch(r"[0-9a-fA-F-]{32,36}", path)
    if not (alone and _HEX.fullmatch(last)):
        return ""
    return "-".join((last[:8], last[8:12], last[12:16], last[16:20], last[20:]))


def _chosen(kind: Property, wanted: Json) -> Json:
    name = kind.option(str(wanted))
    if not name:
        raise ValueError(f'"{wanted}" is no name for an option')
    if kind.kind == "status" and name not in kind.options:  # unlike options of a select, they are not made
        raise ValueError(f'"{wanted}" is none of {", ".join(kind.options)}')
    return {"name": name}


def _all_chosen(kind: Property, wanted: Json) -> Json:
    # A text is split here; a name in a list may have commas, which an option may not.
    names = dict.fromkeys(kind.option(each) for each in several(wanted))
    return [{"name": name} for name in names if name][:ARRAY]


def _number(_kind: Property, wanted: Json) -> Json:
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return wanted
    try:
        number = float(str(wanted))
    except ValueError:
        raise ValueError(f'"{wanted}" is no number') from None
    return int(number) if number.is_integer() else number


def _checkbox(_kind: Property, wanted: Json) -> Json:
    word = str(wanted).casefold()
    if word not in _YES | _NO:
        raise ValueError(f'"{wanted}" is neither true nor false')
    return word in _YES


def _files(_kind: Property, wanted: Json) -> Json:
    return [
        {
            "type": "external",
            "name": url.partition("?")[0].rpartition("/")[2][:NAME_LIMIT] or "file",
            "external": {"url": url},
        }
        for url in several(wanted)
    ][:ARRAY]


def _ids(entries: Iterable[str], **more: str) -> list[dict[str, str]]:
    return [{**more, "id": each} for each in entries][:ARRAY]


def _related(_kind: Property, wanted: Json) -> Json:
    ids = {each: identifier(each) for each in several(wanted)}
    unknown = [each for each, id_ in ids.items() if not id_]
    if unknown:
        raise ValueError(f'"{unknown[0]}" is neither the address of a page nor an id')
    return _ids(ids.values())


_CONVERT: Mapping[str, Any] = {
    "title": lambda _kind, wanted: rich_text(str(wanted)),
    "rich_text": lambda _kind, wanted: rich_text(str(wanted)),
    "select": _chosen,
    "status": _chosen,
    "multi_select": _all_chosen,
    "number": _number,
    "checkbox": _checkbox,
    "date": lambda _kind, wanted: {"start": str(wanted)},
    "people": lambda _kind, wanted: _ids(several(wanted), object="user"),
    "files": _files,
    "relation": _related,
}
