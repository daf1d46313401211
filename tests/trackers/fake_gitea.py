"""Gitea and Forgejo as far as the bridge talks to them: one repository under a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/git/api/v1"
REPOSITORY = "acme/shop"
TOKEN = "5ecre75ecre75ecre75ecre75ecre75ecre75ecr"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NOT_FOUND = Reply(404, json={"message": "not found", "url": "https://git.example/api/swagger"})


def mended(place: str, schema: Any) -> Any:
    """Return a schema with the nulls that both servers answer where an issue has nobody and no milestone."""
    if not place.endswith("/Issue"):
        return schema
    empty = {
        name: {"anyOf": [schema["properties"][name], {"type": "null"}]} for name in ("assignees", "milestone")
    }
    return schema | {"properties": {**schema["properties"], **empty}}


def scope(name: str) -> Reply:
    """Return the refusal of a token without a scope."""
    return Reply(403, json={"message": f"token does not have at least one of required scope(s), required={name}"})


@cache
def described() -> list[Description]:
    """Return the two descriptions; the paths of Forgejo's have the API's own prefix in them."""
    places = {"gitea.json": PREFIX, "forgejo.json": "/git"}
    return [found for name, base in places.items() if (found := Description.load(name, base, mended))]


class GiteaServer(FakeServer):
    """One repository.

    Attributes:
        forgejo: Whether it is a Forgejo, which answers 404 where Gitea answers a comment with 500.
        writer: Whether the token's user may write; else labels, people and milestone are dropped in silence.
        scopes: The token's.
        repository: Changes to what the repository's page says.
        attachments: Whether files are taken.
    """

    forgejo = False

    def __init__(self) -> None:
        super().__init__()
        self.writer = True
        self.scopes = {"user", "repository", "organization"}
        self.repository: dict[str, Any] = {}
        self.attachments = True
        self.labels: dict[str, int] = {}
        self.org_labels = {"crowd": 70}
        self.people = ["alice", "bob"]
        self.milestones = {"Sprint 7": 7}
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[str]] = {}
        self.root_url = ""

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}/git"

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/repos/acme/shop/issues")

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for i in self.issues.values() if (found := MARKER.search(i["body"] or ""))]

    def validate(self, request: Request, reply: Reply) -> None:
        known = [description for description in described() if description.operation(request)]
        assert known or not described() or reply.status >= 400, f"{request} is in no description"
        for description in known:
            assert not (problems := description.check(request, reply)), problems

    def close_issue(self, number: int) -> None:
        """Let a person close an issue."""
        with self.lock:
            self.issues[number]["state"] = "closed"

    def respond(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"token {TOKEN}":
            return Reply(401, json={"message": "invalid username, password or token"})
        path = request.path.removeprefix(PREFIX)
        area = {
            "/user": "user",
            "/user/repos": "user",
            "/repos/acme/shop": "repository",
            "/repos/acme/shop/assignees": "repository",
        }
        needed = area.get(path, "organization" if path.startswith("/orgs/") else "")
        if needed and needed not in self.scopes:
            return scope(f"[read:{needed}]")
        pages: dict[str, Callable[[], Any]] = {
            "/user": lambda: {"id": 30, "login": "test-io-bot"},
            "/settings/attachment": lambda: {
                "enabled": self.attachments,
                "max_size": 100,
                "allowed_types": ".png",
            },
            "/repos/search": lambda: {"ok": True, "data": [{"full_name": REPOSITORY}]},
            "/repos/acme/shop": self._repository,
            "/repos/acme/shop/assignees": lambda: [{"login": name} for name in self.people],
        }
        lists = {
            "/orgs/acme/labels": self.org_labels,
            "/repos/acme/shop/labels": self.labels,
            "/repos/acme/shop/milestones": self.milestones,
        }
        if path in pages:
            return Reply(json=pages[path]())
        if path == "/user/repos":
            return self._page(request, [self._repository()])
        if path in lists and request.method == "GET":
            key = "title" if path.endswith("milestones") else "name"
            return self._page(request, [{"id": number, key: name} for name, number in lists[path].items()])
        return self._in_repository(request, path.removeprefix("/repos/acme/shop"))

    def _in_repository(self, request: Request, path: str) -> Reply:
        if path == "/labels":
            return self._make_label(request)
        if path == "/issues":
            posted = request.method == "POST"
            return self._create(request) if posted else self._page(request, self._newest(request))
        found = re.fullmatch(r"/issues/(\d+)(/\w+)?", path)
        if found is None:
            return NOT_FOUND
        number, what = int(found[1]), found[2] or ""
        if number not in self.issues:
            return Reply(500, json={"message": ""}) if what == "/comments" and not self.forgejo else NOT_FOUND
        steps = {"": self._issue, "/comments": self._comment, "/labels": self._label, "/assets": self._upload}
        return steps[what](request, self.issues[number])

    def _make_label(self, request: Request) -> Reply:
        if not self.writer:
            return Reply(403)
        name = request.json["name"]
        self.labels[name] = len(self.labels) + 1
        return Reply(201, json={"id": self.labels[name], "name": name, "color": "d73a4a"})

    def _create(self, request: Request) -> Reply:
        asked, number = request.json, len(self.issues) + 1
        moment = (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
        page = f"{self.root_url or self.address}/{REPOSITORY}/issues/{number}"
        issue = {
            "id": 1020 + number,
            "number": number,
            "state": "open",
            "body": "",
            "labels": [],
            "assignees": None,
        }
        issue |= {"created_at": moment, "updated_at": moment, "html_url": page, "milestone": None}
        if problem := self._set(issue, asked):
            return problem
        self.issues[number] = issue
        return Reply(201, json=issue)

    def _set(self, issue: dict[str, Any], asked: dict[str, Any]) -> Reply | None:
        for name in asked.get("assignees", ()):
            if name not in self.people:
                return Reply(422, json={"message": f"Assignee does not exist: [name: {name}]"})
        issue |= {name: asked[name] for name in ("title", "body", "state") if name in asked}
        issue["title"] = issue["title"].encode()[:255].decode(errors="ignore")
        if not self.writer:
            return None
        if "labels" in asked:
            issue["labels"] = self._labels_of(asked["labels"])
        if "assignees" in asked:
            issue["assignees"] = [{"login": name} for name in asked["assignees"]]
        if asked.get("milestone") in self.milestones.values():
            issue["milestone"] = {"id": asked["milestone"]}
        return None

    def _labels_of(self, ids: list[int]) -> list[dict[str, Any]]:
        return [{"id": n, "name": name} for name, n in (self.org_labels | self.labels).items() if n in ids]

    def _issue(self, request: Request, issue: dict[str, Any]) -> Reply:
        if request.method == "PATCH":
            return self._set(issue, request.json) or Reply(201, json=issue)
        return Reply(json=issue)

    def _comment(self, request: Request, issue: dict[str, Any]) -> Reply:
        self.comments.setdefault(issue["number"], []).append(request.json["body"])
        return Reply(201, json={"id": 5, "body": request.json["body"]})

    def _label(self, request: Request, issue: dict[str, Any]) -> Reply:
        if not self.writer:
            return Reply(403)
        issue["labels"] = self._labels_of(request.json["labels"])
        return Reply(json=issue["labels"])

    def _upload(self, request: Request, issue: dict[str, Any]) -> Reply:
        if not self.attachments:
            return NOT_FOUND
        file = next((file for file in request.files if file.field == "attachment"), None)
        if file is None:
            return Reply(500, json={"message": ""})
        name = request.query["name"][0]
        if name.endswith(".exe"):
            return Reply(
                422, json={"message": "This file cannot be uploaded or modified due to a forbidden file extension"}
            )
        issue.setdefault("assets", []).append(asset := {"id": 3, "name": name, "size": len(file.content)})
        return Reply(201, json=asset)

    def _newest(self, request: Request) -> list[Any]:
        since = datetime.fromisoformat(request.query["since"][0])
        found = [i for i in self.issues.values() if datetime.fromisoformat(i["updated_at"]) >= since]
        return sorted(found, key=lambda issue: issue["created_at"], reverse=True)

    def _page(self, request: Request, items: list[Any]) -> Reply:
        size = min(int(request.query["limit"][0]), 50)
        page = int(request.query["page"][0])
        return Reply(json=items[(page - 1) * size : page * size])

    def _repository(self) -> dict[str, Any]:
        rights = {"admin": False, "push": self.writer, "pull": True}
        return {
            "full_name": REPOSITORY,
            "archived": False,
            "has_issues": True,
            "permissions": rights,
            **self.repository,
        }


class ForgejoServer(GiteaServer):
    """A Forgejo."""

    forgejo = True
