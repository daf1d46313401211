"""Text from outside: what is taken out of it, how it is told apart from a template, how it is measured and cut."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from bridge.tracker import Unit

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""Noncharacters around text that a tester wrote. Unicode keeps them for such use inside a program, and `clean`
takes them out of whatever comes from outside, so no tester can write one."""

QUOTED = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
ELLIPSIS = "…"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def clean(text: str) -> str:
    """Return `text` with plain new lines, and without control characters (tab stays) and noncharacters."""
    if text.isprintable():  # most are, and finding out is quick
        return text
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _LINE_ENDS.sub("\n", text)))


def cleaned(value: Any) -> Any:
    """Return a copy of data (dataclasses, mappings, sequences) in which every text is clean."""
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(cleaned(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: cleaned(getattr(value, field.name)) for field in fields(value)})
    return value


def quote(text: str) -> str:
    """Return `text` marked as a tester's, to put it anywhere into Markdown that `render` or `Mapper.comment` get.

    Nothing in it is then taken for the Markdown around it: it cannot end a list, open a heading or ping people.
    """
    return f"{OPEN}{clean(text)}{CLOSE}"


def one_line(text: str) -> str:
    """Return `text` in a single line, runs of white space made one space."""
    return " ".join(clean(text).split())


def measure(text: str, unit: Unit) -> int:
    """Return the length of `text` as a tracker counts it."""
    if unit is Unit.BYTES:
        return len(text.encode())
    if unit is Unit.UTF16:
        return len(text.encode("utf-16-le")) // 2
    return len(text)


def shorten(text: str, limit: int, unit: Unit = Unit.CHARACTERS) -> str:
    """Return `text`, cut to at most `limit` units with an ellipsis, and never inside one visible character."""
    if measure(text, unit) <= limit:
        return text
    head = _prefix(text, limit - measure(ELLIPSIS, unit), unit)
    while head and _joined(text, len(head)):
        head = head[:-1]
    return head.rstrip() + ELLIPSIS if head or measure(ELLIPSIS, unit) <= limit else ""


def _prefix(text: str, size: int, unit: Unit) -> str:
    size = max(0, size)
    if unit is Unit.BYTES:
        return text.encode()[:size].decode(errors="ignore")
    if unit is Unit.UTF16:
        return text.encode("utf-16-le")[: 2 * size].decode("utf-16-le", errors="ignore")
    return text[:size]


def _joined(text: str, position: int) -> bool:
    """Whether what stands before and after `position` is seen as one character (accents, emoji sequences)."""
    after, before = text[position : position + 1], text[position - 1 : position]
    return after in _JOINERS or before == "\u200d" or bool(after and unicodedata.combining(after))
