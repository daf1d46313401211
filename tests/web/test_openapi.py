"""The OpenAPI document: valid, complete, and true."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from bridge.web import openapi
from tests.web.conftest import SECRET, payload

pytestmark = pytest.mark.anyio

NEEDS_A_TOKEN = ("/api/connections/sync", "/api/test-io/", "/api/reconcile", "/hooks/")
"""What this configuration cannot answer: it has neither a token of test IO's nor the secret of a hook."""
BODIES: dict[str, dict[str, Any]] = {"/api/preview": {"payload": payload()}}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def schema_of(answer: dict[str, Any]) -> dict[str, Any]:
    (content,) = answer["content"].values()
    return {"components": openapi()["components"], **content["schema"]}


def test_it_is_valid():
    validate(openapi())


async def test_anybody_may_read_it(world):
    answer = await world.client.get("/api/openapi.json")

    assert (answer.status_code, answer.json()) == (200, openapi())


def test_every_operation_has_a_name_of_its_own_and_a_summary():
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(ids)) == len(ids)
    assert all(operation["summary"].endswith((".", "?")) for _, _, operation in operations())


def test_every_parameter_is_described():
    for _, path, operation in operations():
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] == "path" or parameter["description"], (path, parameter["name"])


def test_what_needs_the_token_says_so():
    guarded = {path for _, path, operation in operations() if operation.get("security") == [{"admin": []}]}

    assert guarded == {path for _, path, _ in operations() if path.startswith("/api/")}


async def test_every_operation_is_answered_as_described(world):
    export = (await world.post()).json()["export"]
    for method, path, operation in operations():
        if path.startswith(NEEDS_A_TOKEN):
            continue
        url = path.format(connection="shop", secret=SECRET, id=export, name="web")
        body = payload() if path.startswith("/export") else BODIES.get(path, {})
        headers = {"Authorization": "Bearer admin-token-0123456789"}
        answer = await world.client.request(method, url, headers=headers, json=body if method == "POST" else None)

        assert answer.is_success, (path, answer.text)
        jsonschema.validate(answer.json(), schema_of(operation["responses"][str(answer.status_code)]))


async def test_refusals_are_as_described(world):
    for method, path, operation in operations():
        url = re.sub(r"{\w+}", "nothing", path)
        answers = [await world.client.request(method, url, json={})]
        if path.startswith("/api/"):
            authorized = {"Authorization": "Bearer admin-token-0123456789"}
            for content in (b"{", b'{"odd": 1}', b"{}"):
                answers.append(await world.client.request(method, url, headers=authorized, content=content))
        for answer in answers:
            described = operation["responses"].get(str(answer.status_code))
            assert described is not None, (path, answer.status_code)
            if answer.is_error:
                assert answer.headers["content-type"] in described["content"]
                jsonschema.validate(answer.json(), schema_of(described))
