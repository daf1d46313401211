"""YouTrack's custom fields: each value in the form that its field's type wants.

https://www.jetbrains.com/help/youtrack/devportal/api-entity-IssueCustomField.html. A form that does not fit is
answered with status 500.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge import Json
from bridge.names import match

FIELDS = (
    "id,canBeEmpty,field(name,fieldType(id)),"
    "bundle(values(name,archived),aggregatedUsers(login,fullName,email)),defaultValues(name,login)"
)
"""What to ask of a project's custom fields."""

_NAMED = {"enum": "Enum", "version": "Version", "build": "Build", "ownedField": "Owned", "group": "Group"}
_SIMPLE = {"string", "integer", "float", "date and time"}


@dataclass(frozen=True)
class ProjectField:
    """A custom field of a project.

    Attributes:
        name: Its name.
        kind: The type's name: `enum`, `state`, `user`, `string`, ...
        many: Whether it takes several values.
        required: Whether an issue needs a value.
        default: Whether a new issue gets a value by itself.
        values: What it can be, by what a person calls it; empty where anything goes, or we may not know.
    """

    name: str
    kind: str
    many: bool = False
    required: bool = False
    default: bool = False
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: dict[str, Json]) -> ProjectField:
        """Return a field as YouTrack tells it (`FIELDS`)."""
        kind, _, count = data["field"]["fieldType"]["id"].partition("[")
        bundle = data.get("bundle") or {}
        values = {
            value["name"]: value["name"] for value in bundle.get("values") or () if not value.get("archived")
        }
        for user in bundle.get("aggregatedUsers") or ():
            values |= {user[name]: user["login"] for name in ("email", "fullName", "login") if user.get(name)}
        required, default = data.get("canBeEmpty") is False, bool(data.get("defaultValues"))
        return cls(data["field"]["name"], kind, count.startswith("*"), required, default, values)

    @property
    def type(self) -> str:
        """The `$type` of a value: YouTrack refuses any other."""
        if self.kind in _SIMPLE:
            return "SimpleIssueCustomField"
        single = {"date": "Date", "text": "Text", "period": "Period", "state": "State"}
        if self.kind in single:
            return f"{single[self.kind]}IssueCustomField"
        word = "User" if self.kind == "user" else _NAMED.get(self.kind, "Enum")
        return f"{'Multi' if self.many else 'Single'}{word}IssueCustomField"

    def known(self, value: str) -> str | None:
        """Return a value as YouTrack spells it, None where the field has no such value."""
        return match(value, self.values) if self.values else value

    def sent(self, value: Json) -> dict[str, Json]:
        """Return the field with a value, as an issue has it.

        Raises:
            ValueError: It cannot be a value of this field; says what can.
        """
        if isinstance(value, list) and not self.many:
            raise ValueError(f"{self.name} takes one value")
        form: Json = [self._form(each) for each in _listed(value)] if self.many else self._form(value)
        return {"name": self.name, "$type": self.type, "value": form}

    def _form(self, value: Json) -> Json:
        if isinstance(value, dict):  # as the API wants it, by a person who knows
            return value
        if self.kind in _FORMS:
            return _FORMS[self.kind](self.name, value)
        own = self.known(str(value))
        if own is None:
            raise ValueError(f'{self.name} has no value "{value}"')
        return {"login": own} if self.kind == "user" else {"name": own}


def kept(sent: Mapping[str, Any], got: Json) -> bool:
    """Whether a field that was sent has that value in the issue that came back."""
    if isinstance(sent["value"], list):
        own = _listed(got)
        return all(any(_same(each, other) for other in own) for each in sent["value"])
    return _same(sent["value"], got)


def _same(sent: Json, got: Json) -> bool:
    if isinstance(sent, dict) and isinstance(got, dict):
        comparable = [name for name in ("name", "login", "text") if name in sent and name in got]
        return all(str(sent[name]).casefold() == str(got[name]).casefold() for name in comparable)
    return isinstance(sent, dict) == isinstance(got, dict) and (sent == got or isinstance(sent, int | float))


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _number(name: str, value: Json) -> int | float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f'{name} takes a number, not "{value}"') from None
    return int(number) if number.is_integer() else number


def _milliseconds(name: str, value: Json) -> int:
    """Return a date or moment in milliseconds since 1970; a date is its noon in UTC, the same day for most."""
    if isinstance(value, int):
        return value
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f'{name} takes a date such as 2026-12-24, not "{value}"') from None
    if len(str(value)) <= len("2026-12-24"):
        moment = moment.replace(hour=12)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


_FORMS: Mapping[str, Callable[[str, Json], Json]] = {
    "string": lambda _name, value: str(value),
    "text": lambda _name, value: {"text": str(value)},
    "period": lambda _name, value: {"presentation": str(value)},
    "integer": _number,
    "float": _number,
    "date": _milliseconds,
    "date and time": _milliseconds,
}
