"""The validator against vendors' descriptions: it must see what is wrong, or it proves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.model import Json
from bridge.testing import Reply, Request
from tests.trackers.specs import FOLDER, REASON, Description

ISSUE = {
    "type": "object",
    "required": ["title"],
    "properties": {"title": {"type": "string"}, "note": {"type": "string", "nullable": True}},
}
ANSWER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
QUERY = [
    {"name": "state", "in": "query", "schema": {"type": "string", "enum": ["open", "all"]}, "required": True},
    {"name": "filter", "in": "query", "schema": {"type": "object"}},
]
OPENAPI: dict[str, Any] = {
    "openapi": "3.0.3",
    "paths": {
        "/issues": {
            "get": {"parameters": QUERY, "responses": {"200": {"description": "all"}}},
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Issue"}}},
                },
                "responses": {"201": {"content": {"application/json": {"schema": ANSWER}}}},
            },
        },
        "/issues/{id}/files": {
            "post": {
                "requestBody": {
                    "content": {
                        "multipart/form-data": {"schema": {"required": ["file"], "properties": {"file": {}}}}
                    }
                },
                "responses": {"default": {}},
            }
        },
        "/issues/mine/files": {"get": {"responses": {"200": {}}}},
    },
    "components": {"schemas": {"Issue": ISSUE}},
}
SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "basePath": "/v1",
    "paths": {
        "/issues": {
            "post": {
                "parameters": [
                    {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/I"}}
                ],
                "responses": {"201": {"schema": ANSWER}},
            }
        }
    },
    "definitions": {"I": {**ISSUE, "properties": {"title": {"type": "string"}}}},
}


def request(method: str, path: str, body: Json = None, kind: str = "application/json", **query: str) -> Request:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method, path, {name: [value] for name, value in query.items()}, {"content-type": kind}, content)


@pytest.fixture
def openapi() -> Description:
    return Description(OPENAPI, base_path="/api")


CREATED = Reply(201, json={"id": 7})


def test_what_fits_has_no_problems(openapi: Description) -> None:
    assert openapi.check(request("POST", "/api/issues", {"title": "x", "note": None}), CREATED) == []
    assert openapi.check(request("GET", "/api/issues", state="open"), Reply(200, json=[])) == []


@pytest.mark.parametrize(
    ("sent", "reply", "problem"),
    [
        (request("POST", "/api/issues", {"note": "x"}), CREATED, "body: /: 'title' is a required property"),
        (request("POST", "/api/issues", {"title": 7}), CREATED, "body: /title: 7 is not of type 'string'"),
        (request("POST", "/api/issues"), CREATED, "body: is missing"),
        (
            request("POST", "/api/issues", b"title=x", "text/plain"),
            CREATED,
            "body: is of type text/plain, not one of ['application/json']",
        ),
        (
            request("POST", "/api/issues", {"title": "x"}),
            Reply(201, json={"id": "7"}),
            "answer: /id: '7' is not of type 'integer'",
        ),
        (
            request("POST", "/api/issues", {"title": "x"}),
            Reply(200, json={}),
            "answer: status 200 is not in the description: ['201']",
        ),
        (request("POST", "/issues", {}), CREATED, "POST /issues is not in the description"),
        (request("PUT", "/api/issues", {}), CREATED, "PUT /api/issues is not in the description"),
        (request("GET", "/api/issues"), Reply(), "query parameter 'state' is missing"),
        (
            request("GET", "/api/issues", state="shut"),
            Reply(),
            "query parameter 'state' is 'shut', not one of ['open', 'all']",
        ),
        (request("GET", "/api/issues", state="all", sort="x"), Reply(), "query parameter 'sort' is unknown"),
        (request("GET", "/api/issues/mine/files", {"a": 1}), Reply(), "body: there is none in the description"),
    ],
)
def test_what_does_not_fit_is_said_in_words(
    openapi: Description, sent: Request, reply: Reply, problem: str
) -> None:
    assert openapi.check(sent, reply) == [problem]


def test_the_fields_of_a_form_are_compared(openapi: Description) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="upload"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    sent = request("POST", "/api/issues/7/files", part, "multipart/form-data; boundary=b")

    assert openapi.check(sent, Reply()) == [
        "body: form field 'file' is missing",
        "body: form field 'upload' is unknown",
    ]


def test_a_request_that_the_fake_refused_as_malformed_is_not_held_against_the_description(
    openapi: Description,
) -> None:
    assert openapi.check(request("POST", "/api/issues", {}), Reply(422, json={})) == []


def test_swagger_2_is_understood() -> None:
    description = Description(SWAGGER)

    assert description.check(request("POST", "/v1/issues", {"title": "x"}), CREATED) == []
    assert description.check(request("POST", "/v1/issues", {}), CREATED) == [
        "body: /: 'title' is a required property"
    ]
    assert description.check(request("POST", "/v1/issues"), CREATED) == ["body: is missing"]


def test_known_defects_can_be_relaxed_in_named_and_in_unnamed_schemas() -> None:
    def relax(place: str, schema: Json) -> Json:
        named = {"#/components/schemas/Issue": {"type": "object"}, "POST /issues answer 201": {}}
        return named.get(place, schema)

    description = Description(OPENAPI, "/api", relax)

    assert description.check(request("POST", "/api/issues", {}), Reply(201, json=["odd"])) == []


def test_without_the_folder_there_is_no_description() -> None:
    assert Description.load("no-such-tracker.json") is None


@pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.json")) + sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.name
)
def test_a_vendors_description_can_be_used(path: Any) -> None:
    description = Description.load(path.name)

    assert description is not None
    for template in list(description.document.get("paths", ()))[:20]:
        description.check(request("POST", template, {}), Reply(200, json={}))
