"""The OpenAPI document of the daemon's HTTP, made of the same table as its routes."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from bridge.web.operations import OPERATIONS, Operation

_REASONS = {
    400: "no JSON",
    401: "the admin token is missing or wrong",
    403: "no admin token is configured",
    404: "there is no such thing",
    408: "the body did not arrive in time",
    409: "the beginning of an id fits several",
    413: "too large",
    415: "no JSON, by its content type",
    422: "JSON, but unusable: every wrong field is named",
    502: "test IO does not answer, or says no",
    503: "the store does not answer",
}


def openapi() -> dict[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    paths: dict[str, Any] = {
        "/export/{connection}/{secret}": {"post": _export()},
        "/hooks/{tracker}/{secret}": {"post": _hook()},
        "/healthz": {"get": _health("Is the process alive?")},
        "/readyz": {"get": _health("Can exports be stored?", fails=True)},
    }
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tracker-bridge",
            "version": version("tracker-bridge"),
            "description": "test IO bug exports in, exactly one good issue in each tracker out.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
        },
    }


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def _operation(operation: Operation) -> dict[str, Any]:
    summary = (operation.handler.__doc__ or "").strip().splitlines()[0]
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": summary,
        "security": [{"admin": []}],
        "parameters": [_in_path(name) for name in re.findall(r"{(\w+)}", operation.path)],
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": {"type": "object"}}}},
            **_refusals(401, 403, 503, *operation.refusals),
        },
    }
    if operation.query is not None:
        described["parameters"] += _in_query(operation.query)
    if operation.body is not None:
        schema = operation.body.model_json_schema()
        described["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return described


def _export() -> dict[str, Any]:
    answer = {
        "type": "object",
        "required": ["export", "state", "deliveries", "duplicate"],
        "properties": {
            "export": {"type": "string"},
            "state": {"enum": ["accepted", "enriching", "unrouted", "ignored"]},
            "deliveries": {"type": "array", "items": {"type": "string"}},
            "duplicate": {"type": "boolean"},
        },
    }
    return {
        "operationId": "accept_export",
        "summary": "Take an export in. Answered after it was written down.",
        "parameters": [_in_path("connection"), _in_path("secret")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "202": {"description": "Written down.", "content": {"application/json": {"schema": answer}}},
            **_refusals(400, 404, 408, 413, 415, 422, 503),
        },
    }


def _hook() -> dict[str, Any]:
    answer = {"type": "object", "properties": {"issues": {"type": "integer"}}}
    return {
        "operationId": "hear_tracker",
        "summary": "A tracker tells that something happened to issues: they are looked at.",
        "parameters": [_in_path("tracker"), _in_path("secret")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "202": {"description": "Heard.", "content": {"application/json": {"schema": answer}}},
            **_refusals(404, 413, 503),
        },
    }


def _health(summary: str, *, fails: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    answers: dict[str, Any] = {"200": {"description": "Yes.", "content": content}}
    if fails:
        answers["503"] = {"description": "No.", "content": content}
    return {"operationId": "is_ready" if fails else "is_alive", "summary": summary, "responses": answers}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(model: type[BaseModel]) -> list[dict[str, Any]]:
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "description": schema.pop("description", ""), "schema": schema}
        for name, schema in properties.items()
    ]


def _refusals(*statuses: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": _REASONS[status], "content": content} for status in sorted(set(statuses))}
