"""GitLab as far as the bridge talks to it: issues, notes, uploads, labels, members, milestones, one project."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/gitlab/api/v4"  # an instance under a path, as some self-managed ones are
PROJECT = "acme/shop"
TOKEN = "glpat-secretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PLANNER, GUEST = 15, 10


def mended(place: str, schema: Any) -> Any:
    """Return a schema of GitLab's description without what GitLab's own answers contradict.

    Lists are described as single items there, some numbers as texts.
    """
    if place == "#/definitions/API_Entities_Issue":
        people = {"type": "array", "items": schema["properties"]["assignees"]}
        return schema | {"properties": schema["properties"] | {"assignees": people}}
    if place == "#/definitions/API_Entities_Milestone":
        return schema | {"properties": schema["properties"] | {"id": {"type": "integer"}}}
    if place == "#/definitions/API_Entities_ProjectWithAccess":
        return schema | {"properties": schema["properties"] | {"permissions": {"type": "object"}}}
    return schema


NOT_DESCRIBED = re.compile(
    r"/(notes|milestones|user|users|projects|labels|members/all|personal_access_tokens/self)$"
)
"""What GitLab's published description leaves out (../shared/trackers/gitlab.md); it is as its documentation says."""


class GitLabServer(FakeServer):
    """One project.

    Attributes:
        role: The token's access level; below Planner labels, people and milestone are dropped in silence.
        project: Changes to what `GET /projects/acme%2Fshop` answers.
        token: What the token tells of itself; None for one that cannot, such as OAuth's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.role = PLANNER
        self.project: dict[str, Any] = {}
        self.token: dict[str, Any] | None = {"scopes": ["api"], "expires_at": "2026-12-31"}
        self.labels = ["bug", "test-io"]
        self.people = {"alice": 31, "bob": 32}
        self.milestones = {"Sprint 7": 7}
        self.visible = [PROJECT, "acme/other"]
        self.issues: dict[int, dict[str, Any]] = {}
        self.notes: dict[int, list[str]] = {}
        self._described = Description.load("gitlab.yaml", PREFIX.removesuffix("/api/v4"), mended)

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}/gitlab"

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == f"{PREFIX}/projects/acme%2Fshop/issues"

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for i in self.issues.values() if (found := MARKER.search(i["description"] or ""))]

    def validate(self, request: Request, reply: Reply) -> None:
        upload = "multipart" in request.headers.get("content-type", "")  # described as JSON
        if self._described and not upload and reply.status < 400 and not NOT_DESCRIBED.search(request.path):
            assert self._described.operation(request), f"{request} is not in the description"
        if self._described and not upload and self._described.operation(request):
            items = reply.json if isinstance(reply.json, list) else [reply.json]  # lists are described as one item
            problems = [self._described.check(request, replace(reply, json=item)) for item in items]
            assert not any(problems), problems

    def close_issue(self, iid: int) -> None:
        """Let a person close an issue."""
        with self.lock:
            self.issues[iid] |= {"state": "closed"}

    def respond(self, request: Request) -> Reply:
        if request.headers.get("private-token") != TOKEN:
            return Reply(401, json={"message": "401 Unauthorized"})
        path = request.path.removeprefix(PREFIX)
        if path == "/user":
            return Reply(json={"id": 30, "username": "project_4_bot"})
        if path == "/personal_access_tokens/self":
            return Reply(json=self.token) if self.token else Reply(404, json={"message": "404 Not Found"})
        if path == "/users":
            wanted = request.query["username"][0]
            return self._page(request, [self._user(name) for name in self.people if name == wanted])
        if path == "/projects":
            return self._page(request, [{"path_with_namespace": name} for name in self.visible])
        if not path.startswith("/projects/acme%2Fshop"):
            return Reply(404, json={"message": "404 Project Not Found"})
        return self._in_project(request, path.removeprefix("/projects/acme%2Fshop"))

    def _in_project(self, request: Request, path: str) -> Reply:
        lists: dict[str, list[Any]] = {
            "/labels": [{"id": 1, "name": name} for name in self.labels],
            "/members/all": [self._user(name) for name in self.people],
            "/milestones": [self._milestone(title) for title in self.milestones],
        }
        if path == "":
            return Reply(json=self._project())
        if path in lists:
            return self._page(request, lists[path])
        if path == "/uploads":
            return self._upload(request)
        if path == "/issues":
            posted = request.method == "POST"
            return self._create(request) if posted else self._page(request, self._newest(request))
        found = re.fullmatch(r"/issues/(\d+)(/notes)?", path)
        if found is None or int(found[1]) not in self.issues:
            return Reply(404, json={"message": "404 Issue Not Found"})
        return self._note(request, int(found[1])) if found[2] else self._issue(request, int(found[1]))

    def _create(self, request: Request) -> Reply:
        if problem := self._problem(request.json):
            return problem
        iid = len(self.issues) + 1
        self.issues[iid] = {
            "id": 80 + iid, "iid": iid, "project_id": 4, "title": "", "description": None, "state": "opened",
            "labels": [], "assignees": [], "confidential": False, "issue_type": "issue",
            "created_at": (START + timedelta(seconds=iid)).isoformat(timespec="milliseconds"),
            "web_url": f"{self.address}/{PROJECT}/-/issues/{iid}",
            "references": {"short": f"#{iid}", "relative": f"#{iid}", "full": f"{PROJECT}#{iid}"},
        }  # fmt: skip
        self._set(self.issues[iid], request.json)
        return Reply(201, json=self.issues[iid])

    def _problem(self, asked: dict[str, Any]) -> Reply | None:
        if len(asked.get("title", "x")) > 255:
            return Reply(400, json={"message": {"title": ["is too long (maximum is 255 characters)"]}})
        if len(asked.get("description") or "") > 1_048_576:
            return Reply(400, json={"message": {"description": ["is too long (maximum is 1048576 characters)"]}})
        return None

    def _set(self, issue: dict[str, Any], asked: dict[str, Any]) -> None:
        issue |= {name: asked[name] for name in ("title", "description", "confidential") if name in asked}
        if self.role < PLANNER:
            return
        for title, number in self.milestones.items():
            if asked.get("milestone_id") == number:
                issue["milestone"] = self._milestone(title)
        if "labels" in asked:
            issue["labels"] = [part.strip() for label in asked["labels"] for part in label.split(",")]
        if "assignee_ids" in asked:  # Free keeps one
            names = [name for name, number in self.people.items() if number in asked["assignee_ids"]]
            issue["assignees"] = [self._user(name) for name in names[:1]]

    def _issue(self, request: Request, iid: int) -> Reply:
        if request.method == "PUT":
            if problem := self._problem(request.json):
                return problem
            self._set(self.issues[iid], request.json)
        return Reply(json=self.issues[iid])

    def _note(self, request: Request, iid: int) -> Reply:
        text = request.json["body"]
        if all(line.startswith("/") for line in text.splitlines() if line):
            return Reply(
                202, json={"commands_changes": {"state_event": "close"}, "summary": ["Closed this issue."]}
            )
        self.notes.setdefault(iid, []).append(text)
        return Reply(201, json={"id": 302, "body": text})

    def _upload(self, request: Request) -> Reply:
        file = next(file for file in request.files if file.field == "file")
        name = re.sub(r"[^\w.-]", "_", file.name)
        url = f"/uploads/66dbcd21ec5d24ed6ea225176098d52b/{name}"
        path = f"/-/project/4{url}"
        return Reply(
            201, json={"id": 5, "alt": name, "url": url, "full_path": path, "markdown": f"![{name}]({url})"}
        )

    def _newest(self, request: Request) -> list[Any]:
        since = datetime.fromisoformat(request.query["created_after"][0])
        found = [i for i in self.issues.values() if datetime.fromisoformat(i["created_at"]) >= since]
        return sorted(found, key=lambda issue: issue["created_at"], reverse=True)

    def _page(self, request: Request, items: list[Any]) -> Reply:
        asked = {"per_page": ["20"], "page": ["1"], **request.query}
        size, page = int(asked["per_page"][0]), int(asked["page"][0])
        query = "&".join(f"{k}={v[0].replace('+', '%2B')}" for k, v in request.query.items() if k != "page")
        more = len(items) > page * size
        url = f"https://elsewhere.example{request.path}?{query}&page={page + 1}"  # only its query is to be used
        return Reply(
            json=items[(page - 1) * size : page * size], headers={"Link": f'<{url}>; rel="next"'} if more else {}
        )

    def _user(self, name: str) -> dict[str, Any]:
        return {"id": self.people[name], "username": name, "name": name.title(), "state": "active"}

    def _milestone(self, title: str) -> dict[str, Any]:
        return {"id": self.milestones[title], "title": title, "state": "active"}

    def _project(self) -> dict[str, Any]:
        rights = {"project_access": {"access_level": self.role, "notification_level": 3}, "group_access": None}
        names = {"id": 4, "path_with_namespace": PROJECT, "web_url": f"{self.address}/{PROJECT}"}
        flags = {"archived": False, "issues_access_level": "enabled", "permissions": rights}
        return names | flags | self.project
