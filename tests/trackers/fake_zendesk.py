"""Zendesk as far as the bridge talks to it: tickets and their comments, idempotency keys, uploads, lists."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

EMAIL, TOKEN = "qa@acme.example", "6wiIBWbGkBMo1mRDMuVwkw1EPsNkeUj95PIz2akv"
BASIC = "Basic " + b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
PREFIX = "/api/v2"
NOW = "2026-01-05T09:00:00Z"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
NOT_FOUND = Reply(404, json={"error": "RecordNotFound", "description": "Not found"})
NOWHERE = Reply(404, json={"error": "InvalidEndpoint", "description": "Not found"})
UNKNOWN = Reply(401, json={"error": "Couldn't authenticate you"})
BIG = 9007199254740993
"""An id that a float cannot hold."""


def invalid(field: str, words: str) -> Reply:
    """Return the refusal of one field's value."""
    details = {field: [{"description": words, "error": "InvalidValue"}]}
    return Reply(
        422, json={"error": "RecordInvalid", "description": "Record validation errors", "details": details}
    )


def custom(number: int, title: str, kind: str, options: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return a custom field; the tag of an option is its name in lower case, after the field's."""
    tags = [{"id": 1, "name": name, "value": f"{title.lower()}_{name.lower()}"} for name in options]
    field = {"id": number, "title": title, "type": kind, "active": True, "required": False, "removable": True}
    return {**field, **({"custom_field_options": tags} if options else {}), **more}


@cache
def described() -> Description | None:
    """Return the vendor's description, put together from public copies."""
    return Description.load("zendesk.yaml")


class ZendeskServer(FakeServer):
    """One account.

    Attributes:
        role: That of the user whose token it is.
        page: Items in one answer.
        expired: Whether every Idempotency-Key is forgotten, as after two hours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.role = "agent"
        self.page = 100
        self.expired = False
        self.groups = {"Support": 98738, "QA": 98739}
        self.brands = {"Acme": 47}
        self.forms = {"Bugs": [BIG, 27643]}
        self.fields = [
            custom(1, "Priority", "priority", removable=False),
            custom(BIG, "Severity", "tagger", ("High", "Low")),
            custom(27643, "Browsers", "multiselect", ("Safari", "Chrome")),
            custom(27644, "Points", "integer"),
            custom(27645, "Seen live", "checkbox"),
            custom(27646, "Notes", "text"),
            custom(27647, "Old", "text", active=False),
        ]
        self.tickets: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self._keys: dict[str, tuple[Any, int]] = {}
        self._uploads: dict[str, dict[str, Any]] = {}

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/tickets")

    def markers(self) -> list[str]:
        with self.lock:
            return [MARKER.findall(told[0]["html_body"])[-1] for told in self.comments.values()]

    def validate(self, request: Request, reply: Reply) -> None:
        if (request.method, request.path[-5:]) == ("PUT", "/tags"):  # its body is described in prose only
            assert set(request.json) == {"tags"}
            request = replace(request, body=b"")
        if "page" in request.query:  # likewise
            request = replace(request, query={})
        if description := described():
            assert not (problems := description.check(request, reply)), problems

    def respond(self, request: Request) -> Reply:
        path = request.path.removeprefix(PREFIX).strip("/").split("/")
        if path == ["users", "me"]:
            return Reply(json={"user": self._user(request)})
        if request.headers.get("authorization") not in {BASIC, f"Bearer {TOKEN}"}:
            return UNKNOWN
        if request.method == "GET" and path[0] in {"groups", "brands", "ticket_forms", "ticket_fields"}:
            return self._pages(request, path[0])
        match request.method, path:
            case "POST", ["uploads"]:
                return self._upload(request)
            case "POST", ["tickets"]:
                return self._create(request)
            case "GET", ["tickets"]:
                wanted = request.query["external_id"][0]
                found = [each for each in self.tickets.values() if wanted in each["external_id"]]
                return Reply(json={"tickets": found})
            case method, ["tickets", number, *rest] if int(number) in self.tickets:
                return self._ticket(method, int(number), rest, request)
        return NOT_FOUND if path[0] == "tickets" else NOWHERE

    def _user(self, request: Request) -> dict[str, Any]:
        if "authorization" not in request.headers:
            return {"id": None, "name": "Anonymous user", "role": "end-user"}
        return {"id": 20978392, "name": "QA", "email": EMAIL, "role": self.role, "active": True}

    def _pages(self, request: Request, key: str) -> Reply:
        lists: dict[str, list[dict[str, Any]]] = {
            "groups": [{"id": id_, "name": name} for name, id_ in self.groups.items()],
            "brands": [{"id": id_, "name": name, "subdomain": "acme"} for name, id_ in self.brands.items()],
            "ticket_forms": [{"id": 3, "name": name, "ticket_field_ids": ids} for name, ids in self.forms.items()],
            "ticket_fields": self.fields,
        }
        number = int(request.query.get("page", ["1"])[0])
        rest = lists[key][number * self.page :]
        more = f"https://acme.zendesk.com{PREFIX}/{key}.json?page={number + 1}" if rest else None
        return Reply(json={key: lists[key][(number - 1) * self.page : number * self.page], "next_page": more})

    def _create(self, request: Request) -> Reply:
        asked, key = request.json["ticket"], request.headers["idempotency-key"]
        known = None if self.expired else self._keys.get(key)
        if known:
            if known[0] != asked:
                words = "The request parameters do not match those of the first request with this key"
                return Reply(400, json={"error": "IdempotentRequestError", "description": words})
            return Reply(201, json={"ticket": self.tickets[known[1]]}, headers={"x-idempotency-lookup": "hit"})
        if problem := self._problem(asked):
            return problem
        number = 35436 + len(self.tickets)
        self._keys[key] = (asked, number)
        plain = {name: value for name, value in asked.items() if name not in {"comment", "requester"}}
        self.tickets[number] = {
            "id": number, "url": f"{self.url}{PREFIX}/tickets/{number}.json", "status": "new", "created_at": NOW,
            "updated_at": NOW, "requester_id": 20978392, "is_public": asked["comment"]["public"], **plain,
            "tags": asked.get("tags", []), "custom_fields": self._kept(asked, []),
        }  # fmt: skip
        self.comments[number] = [self._comment(asked["comment"])]
        return Reply(201, json={"ticket": self.tickets[number]}, headers={"x-idempotency-lookup": "miss"})

    def _problem(self, asked: dict[str, Any]) -> Reply | None:
        if asked.get("priority", "low") not in {"urgent", "high", "normal", "low"}:
            return invalid("priority", f"Priority: {asked['priority']} is not valid")
        source = self.tickets.get(asked.get("via_followup_source_id", 0))
        if source and source["status"] != "closed":
            return invalid("via_followup_source_id", "Followup source is not closed")
        return None

    def _kept(self, asked: dict[str, Any], before: list[Any]) -> list[dict[str, Any]]:
        """Return the values of custom fields; unknown options are ignored, as Zendesk does."""
        values = {each["id"]: each["value"] for each in before}
        known = {field["id"]: field for field in self.fields}
        for each in asked.get("custom_fields", ()):
            options = {option["value"] for option in known[each["id"]].get("custom_field_options", ())}
            wanted = each["value"] if isinstance(each["value"], list) else [each["value"]]
            if not options or set(wanted) <= options:
                values[each["id"]] = each["value"]
        return [{"id": number, "value": value} for number, value in values.items()]

    def _ticket(self, method: str, number: int, rest: list[str], request: Request) -> Reply:
        ticket = self.tickets[number]
        match method, rest:
            case "GET", []:
                return Reply(json={"ticket": ticket})
            case "GET", ["comments"]:
                return Reply(json={"comments": self.comments[number]})
            case "PUT", _ if ticket["status"] == "closed":
                return invalid("status", "Status: closed prevents ticket update")
            case "PUT", ["tags"]:
                ticket["tags"] = [*dict.fromkeys([*ticket["tags"], *request.json["tags"]])]
                return Reply(json={"tags": ticket["tags"]})
            case "PUT", []:
                asked = dict(request.json["ticket"])
                if problem := self._problem(asked):
                    return problem
                if "comment" in asked:
                    self.comments[number].append(self._comment(asked.pop("comment")))
                ticket |= asked | {"custom_fields": self._kept(asked, ticket["custom_fields"])}
                return Reply(json={"ticket": ticket, "audit": {"id": 1, "ticket_id": number}})
        return NOWHERE

    def _comment(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert set(asked) <= {"html_body", "public", "uploads"}
        assert asked["html_body"]
        files = [self._uploads.pop(token) for token in asked.get("uploads", ())]  # each is good for one time
        return {"html_body": asked["html_body"], "public": asked["public"], "attachments": files}

    def _upload(self, request: Request) -> Reply:
        if not request.body:
            return Reply(422, json={"error": "AttachmentUnprocessable", "description": "file is empty"})
        token = f"vz7ll9ud8oofowy{len(self.requests)}"
        kind, size = request.headers["content-type"], len(request.body)
        name = request.query["filename"][0]
        self._uploads[token] = {"id": 498483, "file_name": name, "content_type": kind, "size": size}
        return Reply(201, json={"upload": {"token": token, "attachment": self._uploads[token]}})
