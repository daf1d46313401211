"""OpenProject's forms: what a work package of a type has in a project, and what may be put into it.

https://www.openproject.org/docs/api/forms/ and https://www.openproject.org/docs/api/endpoints/schemas/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bridge import Json

TRUE = {"true", "yes", "1", "t"}
ALWAYS_SET = frozenset({"subject", "description", "project", "type"})


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a work package.

    Attributes:
        key: Its name in the API: `priority`, `customField7`.
        name: Its name for people.
        kind: The type of its value: `String`, `Priority`, `[]CustomOption`, ...
        required: Whether OpenProject refuses a work package that leaves it out.
        writable: Whether it can be set at all.
        linked: Whether its value is a link.
        allowed: Links to the values it may have, by their titles; empty where `source` tells them.
        source: Link to the list of values it may have.
    """

    key: str
    name: str
    kind: str
    required: bool
    writable: bool
    linked: bool
    allowed: Mapping[str, str]
    source: str

    @classmethod
    def read(cls, key: str, schema: Mapping[str, Json]) -> Self:
        """Return the field that a schema describes."""
        values = (schema.get("_links") or {}).get("allowedValues")
        listed = values if isinstance(values, list) else []
        return cls(
            key=key,
            name=schema["name"],
            kind=schema["type"],
            required=bool(schema.get("required")) and not schema.get("hasDefault") and key not in ALWAYS_SET,
            writable=schema.get("writable") is not False,
            linked=schema.get("location") == "_links" or values is not None or schema["type"] == "WorkPackage",
            allowed={each["title"]: each["href"] for each in listed if each.get("title")},
            source=values.get("href") or "" if isinstance(values, Mapping) else "",
        )

    def plain(self, value: Json) -> Json:
        """Return a value that is no link as the API takes it.

        Raises:
            ValueError: It is none of the kind.
        """
        if isinstance(value, Mapping):
            return value
        text = str(value)
        match self.kind:
            case "Formattable":
                return {"raw": text}
            case "Integer":
                return int(text)
            case "Float":
                return float(text)
            case "Boolean":
                return text.casefold() in TRUE
        return text


@dataclass(frozen=True, slots=True)
class Form:
    """What a work package has.

    Attributes:
        fields: Its properties.
        problems: What OpenProject would refuse, in its own words by the property's key.
    """

    fields: tuple[Field, ...]
    problems: Mapping[str, str]

    @classmethod
    def read(cls, data: Mapping[str, Json]) -> Self:
        """Return the form in an answer."""
        embedded = data["_embedded"]
        described = {key: schema for key, schema in embedded["schema"].items() if _is_field(schema)}
        errors = embedded.get("validationErrors") or {}
        return cls(
            tuple(Field.read(key, schema) for key, schema in described.items()),
            {key: error.get("message", "") for key, error in errors.items()},
        )

    def field(self, name: str) -> Field | None:
        """Return the field with this key or name, None where there is none."""
        folded = name.casefold()
        by_key = next((field for field in self.fields if field.key.casefold() == folded), None)
        return by_key or next((field for field in self.fields if field.name.casefold() == folded), None)


def _is_field(schema: Json) -> bool:
    return isinstance(schema, Mapping) and "type" in schema and "name" in schema
