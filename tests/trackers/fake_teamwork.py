"""Teamwork as far as the bridge talks to it: one project with a task list, tags, people, custom fields, and storage.

There is no description of the API to be had, so the fake itself refuses what the vendor's own client would not send.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from bridge.testing import FakeServer, Reply, Request

TOKEN = "twp_secretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
V3 = "/projects/api/v3/"
NOW = "2026-01-05T09:00:01Z"
PROJECT, INBOX, BUGS, ALICE = 2222, 98, 99, 31

TASK = {"name", "description", "priority", "progress", "startAt", "dueAt", "estimatedMinutes", "parentTaskId", "assignees", "tagIds"}  # fmt: skip
QUERIES = {
    "tasks": {"searchTerm", "orderBy", "orderMode", "createdAfter", "includeCompletedTasks", "showCompletedLists", "fields[tasks]"},
    "customfields": {"entities", "projectIds"},
}  # fmt: skip


def error(status: int, title: str, detail: str = "") -> Reply:
    """Return a refusal of version 3."""
    return Reply(status, json={"errors": [{"id": "1-68e4", "title": title, "detail": detail, "meta": {}}]})


NOT_FOUND = error(404, "not found", "task not found")


class Storage(FakeServer):
    """Amazon's storage: takes what was announced, and wants no credentials but those in the address."""

    def __init__(self, requests: list[Request]) -> None:
        super().__init__()
        self._shown = requests
        self.files: dict[str, bytes] = {}

    def is_create(self, request: Request) -> bool:
        return False

    def respond(self, request: Request) -> Reply:
        self._shown.append(request)
        assert "authorization" not in request.headers, "the storage must not see the key"
        assert "transfer-encoding" not in request.headers
        signed = "x-amz-acl" in request.query["X-Amz-SignedHeaders"][0]
        assert ("x-amz-acl" in request.headers) is signed
        self.files[request.path.strip("/")] = request.body
        return Reply(200)


class TeamworkServer(FakeServer):
    """One site.

    Attributes:
        tasks: By id, with their `comments`, `files` and values of `custom` fields.
        lists: Their ids by name.
        elsewhere: The lists of other projects.
        custom: The custom fields: their types, and what may be chosen.
        signs_acl: Whether the storage's addresses are signed with an access list.
        ignores_filters: Whether queries are ignored, as Teamwork does with those that it does not know.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lists = {"Inbox": INBOX, "Bugs": BUGS}
        self.list_status = "new"
        self.elsewhere: list[dict[str, Any]] = []
        self.tags: dict[str, tuple[int, int | None]] = {"Bug": (1, None), "elsewhere": (2, 1)}
        self.custom: dict[str, tuple[str, list[str]]] = {
            "Severity": ("dropdown", ["S1", "S2"]),
            "Found by": ("text-short", []),
            "Cost": ("number-decimal", []),
            "Urgent": ("checkbox", []),
            "Areas": ("multiselect", ["cart", "shop"]),
        }
        self.tasks: dict[int, dict[str, Any]] = {}
        self.signs_acl = self.ignores_filters = self.takes_no_tags = False
        self.storage = Storage(self.requests)

    def start(self) -> TeamworkServer:
        self.storage.start()
        super().start()
        return self

    def close(self) -> None:
        super().close()
        self.storage.close()
        self.invalid += self.storage.invalid
        self.storage.invalid = []

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and bool(re.fullmatch(rf"{V3}tasklists/\d+/tasks\.json", request.path))

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for each in self.tasks.values() if (found := MARKER.search(each["description"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        if request.method == "GET" and request.path.startswith(V3):
            known = QUERIES.get(request.path.removesuffix(".json").rpartition("/")[2], set())
            assert set(request.query) <= known | {"page", "pageSize", "include"}
        if "json" in request.headers.get("content-type", "") and "task" in (request.json or {}):
            assert set(request.json) <= {"task", "taskOptions", "attachments"}
            assert set(request.json["task"]) <= TASK
            assert set(request.json["taskOptions"]) == {"notify", "checkInvalidusers"}

    def respond(self, request: Request) -> Reply:
        basic = b64encode(f"{TOKEN}:X".encode()).decode()
        if request.headers.get("authorization") not in {f"Basic {basic}", f"Bearer {TOKEN}"}:
            return error(401, "unexpected error", "401: Not authorized")
        assert request.path.endswith(".json")
        if request.path.startswith(V3):
            parts = request.path.removeprefix(V3).removesuffix(".json").split("/")
            return self._of_project(request, parts) or self._of_tasks(request, parts)
        match request.method, request.path.removesuffix(".json").strip("/").split("/"):
            case "POST", ["tasks", id_, "comments"] if int(id_) in self.tasks:
                self.tasks[int(id_)]["comments"].append(request.json["comment"])
                return Reply(201, json={"STATUS": "OK", "id": "12345"})
            case "GET", ["projects", "api", "v1", "pendingfiles", "presignedurl"]:
                return self._place(request)
        return NOT_FOUND

    def _of_project(self, request: Request, parts: list[str]) -> Reply | None:
        """Answer what is not about single tasks."""
        people = [{"id": ALICE, "firstName": "Alice", "lastName": "Adams", "email": "alice@acme.example"}]
        lists = [self._list(name) for name in self.lists] + self.elsewhere
        match request.method, parts:
            case "GET", ["me"]:
                return Reply(json={"person": people[0]})
            case "GET", ["projects"]:
                return self._page(request, "projects", [{"id": PROJECT, "name": "Webshop"}])
            case "GET", ["projects", _, "people"]:
                return self._page(request, "people", people)
            case "GET", ["tasklists"]:
                return self._page(request, "tasklists", lists)
            case "GET", ["projects", id_, "tasklists"]:
                return self._page(
                    request, "tasklists", [each for each in lists if each["project"]["id"] == int(id_)]
                )
            case "GET", ["tasklists", id_]:
                found = [each for each in lists if each["id"] == int(id_)]
                return Reply(json={"tasklist": found[0]}) if found else NOT_FOUND
            case "GET", ["tags"]:
                return self._page(request, "tags", [self._tag(name) for name in self.tags])
            case "POST", ["tags"]:
                return self._new_tag(request.json["tag"])
            case "GET", ["customfields"]:
                return self._page(request, "customfields", [self._field(name) for name in self.custom])
        return None

    def _of_tasks(self, request: Request, parts: list[str]) -> Reply:
        match request.method, parts:
            case "GET", ["projects", _, "tasks"]:
                return self._page(request, "tasks", self._found(request))
            case "POST", ["tasklists", id_, "tasks"]:
                return self._create(int(id_), request.json)
            case method, ["tasks", id_, *rest] if int(id_) in self.tasks:
                return self._task(method, self.tasks[int(id_)], rest, request)
        return NOT_FOUND

    def _page(self, request: Request, what: str, entries: list[Any]) -> Reply:
        page, size = int(request.query["page"][0]), int(request.query["pageSize"][0])
        shown, more = entries[(page - 1) * size : page * size], len(entries) > page * size
        return Reply(json={what: shown, "meta": {"page": {"hasMore": more}}, "included": {}})

    def _list(self, name: str) -> dict[str, Any]:
        project = {"id": PROJECT, "type": "projects"}
        return {"id": self.lists[name], "name": name, "project": project, "status": self.list_status}

    def _tag(self, name: str) -> dict[str, Any]:
        id_, project = self.tags[name]
        return {"id": id_, "name": name, "project": {"id": project, "type": "projects"} if project else None}

    def _new_tag(self, asked: dict[str, Any]) -> Reply:
        if self.takes_no_tags or len(asked["name"]) >= 50:
            return error(400, "invalid payload", "no more tags")
        self.tags[asked["name"]] = (100 + len(self.tags), asked["projectId"])
        return Reply(201, json={"tag": self._tag(asked["name"])})

    def _field(self, name: str) -> dict[str, Any]:
        kind, options = self.custom[name]
        choices = (
            {"options": {"choices": [{"value": each, "color": "aaaaaa"} for each in options]}} if options else {}
        )
        return {"id": 500 + list(self.custom).index(name), "name": name, "type": kind, "entity": "task", **choices}

    def _found(self, request: Request) -> list[dict[str, Any]]:
        assert request.query["includeCompletedTasks"] == ["true"]
        words = request.query.get("searchTerm", [""])[0]
        after = request.query.get("createdAfter", [""])[0]
        tasks = [each for each in self.tasks.values() if each["status"] != "deleted"]
        if not self.ignores_filters:
            tasks = [each for each in tasks if words in each["description"] and after <= each["createdAt"]]
        newest = "orderMode" in request.query
        return [self._shown(each) for each in sorted(tasks, key=lambda each: int(each["id"]), reverse=newest)]

    def _create(self, tasklist: int, asked: dict[str, Any]) -> Reply:
        if tasklist not in self.lists.values():
            return error(404, "not found", "tasklist not found")
        id_ = 12345 + len(self.tasks)
        made = {
            "id": id_, "status": "new", "progress": 0, "priority": None, "tasklist": {"id": tasklist},
            "createdAt": NOW, "description": "", "tagIds": [], "comments": [], "files": [], "custom": {},
        }  # fmt: skip
        problem = self._set(made, asked)
        if problem:
            return problem
        self.tasks[id_] = made
        return Reply(201, json={"task": self._shown(made), "included": {}})

    def _set(self, task: dict[str, Any], asked: dict[str, Any]) -> Reply | None:
        sent = asked["task"]
        if sent.get("priority", "none") not in {"none", "low", "medium", "high"}:
            return error(400, "invalid payload", "priority is not valid")
        if not set(sent.get("tagIds", ())) <= {id_ for id_, _ in self.tags.values()}:
            return error(400, "invalid payload", "tag not found")
        if len(sent.get("name", "")) > 255:
            return error(400, "invalid payload", "name is too long")
        for each in asked.get("attachments", {}).get("pendingFiles", ()):
            reference = each["reference"]
            name = next(name for name, waiting in self.places.items() if waiting == reference)
            content = self.storage.files.pop(reference)
            task["files"].append({"originalName": name, "displayName": name, "size": len(content)})
        task |= sent
        return None

    def _shown(self, task: dict[str, Any]) -> dict[str, Any]:
        hidden = {"tagIds", "comments", "files", "custom", "assignees"}
        tags = [{"id": id_, "type": "tags"} for id_ in task["tagIds"]]
        return {name: value for name, value in task.items() if name not in hidden} | {"tags": tags}

    def _task(self, method: str, task: dict[str, Any], rest: list[str], request: Request) -> Reply:
        match method, rest:
            case "GET", []:
                asked = request.query.get("include") == ["files"]
                files = {str(number): each for number, each in enumerate(task["files"])} if asked else {}
                return Reply(json={"task": self._shown(task), "included": {"files": files}})
            case "PUT", []:
                return self._set(task, request.json) or Reply(json={"task": self._shown(task)})
            case "GET", ["customfields"]:
                entries = [
                    {"id": 900 + field, "customfield": {"id": field}, "value": value}
                    for field, value in task["custom"].items()
                ]
                return self._page(request, "customfieldTasks", entries)
            case "POST", ["customfields"]:
                sent = request.json["customfieldTask"]
                assert sent["customfieldId"] not in task["custom"]
                task["custom"][sent["customfieldId"]] = sent["value"]
                return Reply(201, json={"customfieldTask": {"id": 900 + sent["customfieldId"]}})
            case "PATCH", ["customfields", entry]:
                sent = request.json["customfieldTask"]
                assert int(entry) == 900 + sent["customfieldId"]
                task["custom"][sent["customfieldId"]] = sent["value"]
                return Reply(json={"customfieldTask": {"id": int(entry)}})
        return NOT_FOUND

    places: dict[str, str]

    def _place(self, request: Request) -> Reply:
        name, size = request.query["fileName"][0], int(request.query["fileSize"][0])
        if size <= 0:
            return error(400, "invalid payload", "fileSize")
        self.places = {**getattr(self, "places", {}), name: f"tf_{len(self.requests)}"}
        headers = "host%3Bx-amz-acl" if self.signs_acl else "host"
        url = f"{self.storage.url}/{self.places[name]}?X-Amz-SignedHeaders={headers}&X-Amz-Signature=abc"
        return Reply(json={"ref": self.places[name], "url": url})
