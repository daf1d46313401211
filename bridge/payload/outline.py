"""The quick look at an export that is just as documented: all that has to be known to write it down.

Reading a bug whole takes several times as long, and before it is delivered only conditions of routes, and plugins,
want to know what is in it. An export in any other form is read whole at once: what is wrong with it must be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType

from pydantic_core import CoreSchema, SchemaValidator, core_schema

from bridge.payload.body import DEEPEST
from bridge.payload.reading import BUG_EXPORTED, DEVICE, LARGEST_ID, NO_TITLE, OTHER_FORM, clean, moment_of


@dataclass(slots=True)  # not frozen: one is made for each export, and that takes four times as long
class Outline:
    """What is kept of an export beside its body."""

    bug_id: int
    title: str
    exported_at: datetime | None


def outline(body: bytes) -> Outline | None:
    """Return the outline of an export in the documented form; None for anything that has to be read whole.

    Where there is one, `read_export` raises nothing and says the same.
    """
    escaped = b"\\" in body and b"\\u" in body  # a single byte is looked for much faster than two
    if escaped or b"test_environment" in body or body.count(b"{") + body.count(b"[") > DEEPEST:
        return None  # nested too deep, perhaps; or with credentials, perhaps under an escaped name
    try:
        document = _documented().validate_json(body)
        moment = document.get("exported_at")
        exported_at = moment_of(moment) if moment else None
    except (ValueError, OverflowError):  # a ValidationError is one
        return None
    bug = document["bug"]
    return Outline(bug["id"], clean(bug["title"]).strip() or NO_TITLE, exported_at)


@cache
def _documented() -> SchemaValidator:
    """Return what knows the documented form. Fields that are not documented may be anything."""
    text = core_schema.str_schema(strict=True)
    number = core_schema.int_schema(strict=True, ge=0, le=LARGEST_ID)
    texts = ("link", "description", "expected_result", "actual_result", "severity", "priority", "status")
    bug = _object(
        {
            **dict.fromkeys(texts, text),
            "steps_to_reproduce": core_schema.list_schema(text, strict=True),
            "attachments": core_schema.list_schema(_object({"url": text, "type": text}), strict=True),
            "device": _object(dict.fromkeys(DEVICE, text)),
            "reporter": _object({"id": number, "name": text}),
            "test_cycle_id": number,
            "product_id": number,
            **dict.fromkeys(OTHER_FORM, core_schema.none_schema()),
        },
        {"id": number, "title": text},
    )
    event = core_schema.literal_schema([BUG_EXPORTED])
    optional = {"exported_at": text, "product": core_schema.none_schema()}
    return SchemaValidator(_object(optional, {"event": event, "bug": bug}))


def _object(
    optional: Mapping[str, CoreSchema], required: Mapping[str, CoreSchema] = MappingProxyType({})
) -> CoreSchema:
    """Return the schema of an object; what is optional may be null as well."""
    fields = {
        name: core_schema.typed_dict_field(core_schema.nullable_schema(schema), required=False)
        for name, schema in optional.items()
    }
    fields |= {name: core_schema.typed_dict_field(schema) for name, schema in required.items()}
    return core_schema.typed_dict_schema(fields, strict=True)
