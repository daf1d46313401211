"""The configuration's JSON Schema (draft 2020-12), for editors."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bridge.config.load import SECTIONS, Types
from bridge.config.settings import ConnectionSettings, RouteSettings
from bridge.model import Json

_NAMES = {"pattern": "^[a-z0-9][a-z0-9-]*$"}
_FROM_FILE = {
    "type": "object",
    "description": "the content of a file, without the line break at its end",
    "properties": {"file": {"type": "string"}},
    "required": ["file"],
    "additionalProperties": False,
}


def config_schema(types: Types) -> dict[str, Json]:
    """Return the schema of the configuration file, with a section for each of `types`."""
    models: list[type[BaseModel]] = [*SECTIONS.values(), ConnectionSettings, RouteSettings]
    models += [tracker.settings_type for tracker in types.values()]
    references, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )

    def reference(model: type[BaseModel]) -> Json:
        return references[(model, "validation")]

    trackers = [
        {"allOf": [reference(tracker.settings_type), {"properties": {"type": {"const": name}}}]}
        for name, tracker in sorted(types.items())
    ]
    properties: dict[str, Json] = {
        **{name: reference(model) for name, model in SECTIONS.items()},
        "connections": _table_of(reference(ConnectionSettings)),
        "routes": {"type": "array", "items": reference(RouteSettings)},
        "trackers": _table_of({"oneOf": trackers} if trackers else {}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tracker-bridge",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {**_with_files(definitions.get("$defs", {})), "FromFile": _FROM_FILE},
    }


def _table_of(schema: Json) -> Json:
    return {"type": "object", "propertyNames": _NAMES, "additionalProperties": schema}


def _with_files(schema: Json) -> Json:
    """Return `schema` with `{ file = "..." }` allowed wherever a secret stands."""
    if isinstance(schema, list):
        return [_with_files(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("format") == "password":
        words = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return {**words, "anyOf": [{"type": "string"}, {"$ref": "#/$defs/FromFile"}]}
    return {key: _with_files(item) for key, item in schema.items()}
