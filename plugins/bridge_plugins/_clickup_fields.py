"""Values as ClickUp's custom fields take them, and which of them a new task did not keep.

https://developer.clickup.com/docs/customfields
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bridge import Json
from bridge.labels import missing
from bridge.names import match


def item(field: Mapping[str, Json], value: Json) -> Json:
    """Return a value as a custom field of its type takes it. Lists and tables are taken for it already.

    Args:
        field: As ClickUp describes it.
        value: As it is configured: words, numbers, names of options.

    Raises:
        ValueError: The field does not take it; says what it takes.
    """
    kind, text = field["type"], str(value).strip()
    if kind == "labels":
        words = value if isinstance(value, list) else text.split(",")
        return [_option(str(each).strip(), field) for each in words]
    if isinstance(value, dict | list):
        return value
    if kind == "drop_down":
        return _option(text, field)
    if kind not in _FORMS:
        raise ValueError(f'a field of type "{kind}" takes no text')
    return _FORMS[kind](text)


def moment(value: Json) -> int:
    """Return a point in time in ClickUp's milliseconds.

    Args:
        value: Those themselves, or a day as in 2026-12-24, with a time or without; UTC if it names no zone.

    Raises:
        ValueError: It is neither.
    """
    text = str(value).strip()
    if text.isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is no day: write it like 2026-12-24') from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def dropped(sent: Mapping[str, Json], answer: Mapping[str, Json]) -> list[str]:
    """Return the tags, and the ids of custom fields, that were sent and that the new task does not have.

    What the answer says nothing of counts as kept.

    Args:
        sent: The task as it was sent.
        answer: The task as it came back.
    """
    tags = [str(tag["name"] if isinstance(tag, dict) else tag) for tag in answer.get("tags") or ()]
    lost = missing(sent.get("tags", ()), tags) if tags else []
    if answer.get("custom_fields"):
        kept = {own["id"] for own in answer["custom_fields"] if own.get("value") is not None}
        lost += [own["id"] for own in sent.get("custom_fields", ()) if own["id"] not in kept]
    return lost


def _number(text: str) -> float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise ValueError(f'"{text}" is no number') from None


def _truth(text: str) -> bool:
    return text.casefold() in {"true", "yes", "1"}


def _option(word: str, field: Mapping[str, Json]) -> str:
    """Return the id of a field's option, given its name or the id itself."""
    options = {
        str(each.get("name") or each.get("label")): str(each["id"]) for each in field["type_config"]["options"]
    }
    if (chosen := match(word, options)) is None:
        raise ValueError(f'"{word}" is none of {", ".join(options)}')
    return chosen


_FORMS: Mapping[str, Callable[[str], Json]] = {
    **dict.fromkeys(("short_text", "text", "url", "email", "phone"), str),
    **dict.fromkeys(("number", "currency", "emoji"), _number),
    "checkbox": _truth,
    "date": moment,
}
"""What makes a value of a text, by the type of the field."""
