"""The vendors' own API descriptions: does what a tracker sends, and what its fake answers, fit them?

The descriptions are not part of the project; without their folder nothing is checked, and says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml
from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker
from jsonschema.protocols import Validator

from bridge.testing.server import Reply, Request

FOLDER = Path(__file__).parents[3] / "shared" / "specs"
REASON = "the vendors' descriptions (../shared/specs) are not here"

_JSON = re.compile(r"application/(.+\+)?json", re.IGNORECASE)

Relax = Callable[[str, Any], Any]
"""Gets the name of a place (`"POST /api/2/issue request"`, `"GET /api/2/project answer 200"`, or a schema that
has a name: `"#/components/schemas/IssueUpdateBean"`) and the schema there; returns the schema to use instead.
For known defects of a description only."""


@dataclass(frozen=True, eq=False)
class Description:
    """An OpenAPI 3 or Swagger 2 document.

    Attributes:
        document: As loaded.
        base_path: What the fake's paths have in front of the document's.
        relax: Mends known defects of the document.
    """

    document: Mapping[str, Any]
    base_path: str = ""
    relax: Relax | None = None
    _validators: dict[str, Validator] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, filename: str, base_path: str = "", relax: Relax | None = None) -> Description | None:
        """Return the description in `../shared/specs/<filename>`, None where that folder is absent."""
        document = _document(FOLDER / filename)
        return cls(document, base_path, relax) if document is not None else None

    def check(self, request: Request, reply: Reply) -> list[str]:
        """Return what does not fit, in words; nothing for a request that the fake refused as malformed."""
        found = self.operation(request)
        if found is None:
            return [f"{request} is not in the description"]
        name, operation = found
        problems = [f"answer: {problem}" for problem in self._answer(name, operation, reply)]
        if reply.status not in {400, 422}:
            problems += self._query(operation, request)
            problems += [f"body: {problem}" for problem in self._request_body(name, operation, request)]
        return problems

    def operation(self, request: Request) -> tuple[str, Mapping[str, Any]] | None:
        """Return name and description of what a request asks for; the most literal path that fits."""
        if not request.path.startswith(self.base_path):
            return None
        path = request.path.removeprefix(self.base_path)
        for template, pattern in self._paths:
            item = self._resolve(self.document["paths"][template])
            if pattern.fullmatch(path) and (operation := item.get(request.method.lower())):
                shared = [*item.get("parameters", ()), *operation.get("parameters", ())]
                return f"{request.method} {template}", {**operation, "parameters": shared}
        return None

    @cached_property
    def _paths(self) -> list[tuple[str, re.Pattern[str]]]:
        prefix = self.document.get("basePath", "").rstrip("/")
        literal_first = sorted(self.document["paths"], key=lambda template: (template.count("{"), template))
        return [(template, _pattern(prefix + template.split("?")[0])) for template in literal_first]

    def _resolve(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[unquote(part).replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def _parameters(self, operation: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
        resolved = [self._resolve(parameter) for parameter in operation["parameters"]]
        return [parameter for parameter in resolved if parameter["in"] == place]

    def _query(self, operation: Mapping[str, Any], request: Request) -> Iterator[str]:
        known = {
            parameter["name"].removesuffix("[]"): parameter for parameter in self._parameters(operation, "query")
        }
        sent = {re.sub(r"\[.*\]$", "", name) for name in request.query}
        for name in sorted(sent - set(known)):
            yield f"query parameter {name!r} is unknown"
        for name, parameter in known.items():
            if parameter.get("required") and name not in sent:
                yield f"query parameter {name!r} is missing"
            allowed = self._resolve(parameter.get("schema", parameter)).get("enum")
            for value in request.query.get(name, ()) if allowed else ():
                if value not in map(str, allowed):
                    yield f"query parameter {name!r} is {value!r}, not one of {allowed}"

    def _request_body(self, name: str, operation: Mapping[str, Any], request: Request) -> Iterator[str]:
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if "swagger" in self.document:
            yield from self._swagger_body(name, operation, request, kind)
            return
        description = self._resolve(operation.get("requestBody"))
        if description is None:
            if request.body.strip() not in {b"", b"{}"}:
                yield "there is none in the description"
            return
        if not request.body:
            if description.get("required"):
                yield "is missing"
            return
        media = description["content"].get(kind) or description["content"].get("*/*")
        if media is None:
            yield f"is of type {kind or 'none'}, not one of {sorted(description['content'])}"
        elif _JSON.fullmatch(kind):
            yield from self._violations(f"{name} request", media.get("schema", {}), request.json)
        elif kind == "multipart/form-data":
            yield from self._form(self._resolve(media.get("schema", {})), request)

    def _swagger_body(self, name: str, operation: Mapping[str, Any], request: Request, kind: str) -> Iterator[str]:
        form = self._parameters(operation, "formData")
        if form and not _JSON.fullmatch(kind):
            names = [parameter["name"] for parameter in form]
            required = [parameter["name"] for parameter in form if parameter.get("required")]
            yield from self._form({"properties": dict.fromkeys(names), "required": required}, request)
        for parameter in self._parameters(operation, "body"):
            if request.body and _JSON.fullmatch(kind):
                yield from self._violations(f"{name} request", parameter["schema"], request.json)
            elif parameter.get("required"):
                yield "is missing" if not request.body else f"is of type {kind}"

    def _form(self, schema: Mapping[str, Any], request: Request) -> Iterator[str]:
        sent = {*request.form, *(file.field for file in request.files)}
        properties = schema.get("properties")
        for name in schema.get("required", ()):
            if name not in sent:
                yield f"form field {name!r} is missing"
        if properties:
            for name in sorted(sent - set(properties)):
                yield f"form field {name!r} is unknown"

    def _answer(self, name: str, operation: Mapping[str, Any], reply: Reply) -> Iterator[str]:
        if not 200 <= reply.status < 300:
            return
        responses = {str(status): response for status, response in operation["responses"].items()}
        found = next((name for name in (str(reply.status), "2XX", "default") if name in responses), None)
        if found is None:
            yield f"status {reply.status} is not in the description: {sorted(responses)}"
            return
        schema = self._answer_schema(self._resolve(responses[found]))
        if schema is not None and reply.json is not None:
            yield from self._violations(f"{name} answer {reply.status}", schema, reply.json)

    def _answer_schema(self, response: Mapping[str, Any]) -> Any:
        if "swagger" in self.document:
            return response.get("schema")
        content = response.get("content", {})
        return next(
            (media.get("schema") for kind, media in content.items() if _JSON.fullmatch(kind.split(";")[0])), None
        )

    def _violations(self, place: str, schema: Any, value: Any) -> Iterator[str]:
        if place not in self._validators:
            if self.relax and "$ref" not in schema:
                schema = self.relax(place, schema)
            self._validators[place] = self._validator(schema)
        for error in self._validators[place].iter_errors(value):
            yield _words(error)

    def _validator(self, schema: Any) -> Validator:
        """Return a validator for `schema`, its references resolved in this document."""
        kind = Draft202012Validator if self._modern else Draft4Validator
        own = schema if self._modern else _plain(schema)
        return kind({**self._sections, "allOf": [own]}, format_checker=FormatChecker(["uuid", "date"]))

    @cached_property
    def _modern(self) -> bool:
        return str(self.document.get("openapi", "")).startswith("3.1")

    @cached_property
    def _sections(self) -> Mapping[str, Any]:
        """The schemas that others refer to, relaxed, as JSON Schema."""
        old, new = self.document.get("definitions", {}), self.document.get("components", {}).get("schemas", {})
        relax = self.relax or (lambda _place, schema: schema)
        sections: Mapping[str, Any] = {
            "paths": self.document["paths"],  # where some documents refer to, too
            "definitions": {name: relax(f"#/definitions/{name}", schema) for name, schema in old.items()},
            "components": {
                "schemas": {name: relax(f"#/components/schemas/{name}", schema) for name, schema in new.items()}
            },
        }
        return sections if self._modern else _plain(sections)


def _plain(schema: Any) -> Any:
    """Return an OpenAPI 3.0 or Swagger 2 schema as JSON Schema: `nullable` becomes a type more."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(item) for key, item in schema.items()}
    if plain.get("nullable") is True or plain.get("x-nullable") is True:
        bare = {key: item for key, item in plain.items() if key not in {"nullable", "x-nullable"}}
        return {"anyOf": [bare, {"type": "null"}]}
    return plain


def _words(error: Any) -> str:
    where = "/" + "/".join(map(str, error.absolute_path))
    deepest = error
    while deepest.context:  # of several alternatives that all failed, the one that got furthest tells most
        deepest = max(deepest.context, key=lambda inner: len(inner.absolute_path))
        where = "/" + "/".join(map(str, deepest.absolute_path))
    return f"{where}: {deepest.message[:300]}"


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", template)
    return re.compile("[^/]+".join(map(re.escape, parts)) + "/?")


@lru_cache
def _document(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    text = path.read_text("utf-8")
    document: Mapping[str, Any] = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    return document


def problems(description: Description | None, exchanges: Sequence[tuple[Request, Reply]]) -> list[str]:
    """Return every violation in `exchanges`; nothing without a description."""
    if description is None:
        return []
    return [f"{request}: {words}" for request, reply in exchanges for words in description.check(request, reply)]
