"""Wrike as far as the bridge talks to it: one account with a space, folders and their tasks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

TOKEN = "eyJ0dCI6InAiLCJhbGciOiJIUzI1NiJ9.SECRET"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
ROOT, SPACE, INBOX, CROWD = "IEAGIITRI7777777", "IEAGIITRI4SPACE0", "IEAGIITRI4INBOX0", "IEAGIITRI4CROWD0"
ALICE, BOB = "KUAALICE", "KUAAABOB"
TREE = {
    ROOT: ("Root", "WsRoot", [SPACE]),
    SPACE: ("Webshop", "WsFolder", [INBOX, CROWD]),
    INBOX: ("Inbox", "WsFolder", []),
    CROWD: ("Crowd", "WsFolder", []),
}
NUMBERS = {"1234567890": INBOX}
STATUSES = {
    "New": ("IEAGJMAANEW", "Active"),
    "Triage": ("IEAGJMATRIA", "Active"),
    "Done": ("IEAGJMADONE", "Completed"),
}
FIELDS = {
    "Severity": ("IEAGJUSEVERI", "DropDown", ["high", "low"]),
    "Browser": ("IEAGJUBROWSE", "Text", []),
    "Areas": ("IEAGJUAAREAS", "Multiple", ["Cart", "Search"]),
}
BUG_TYPE = "IEAGPIAABUG0"
UNDESCRIBED = re.compile(r"/api/v4/(ids|custom_item_types)")
"""In Wrike's description, but not in the part of it that is here: held against the sheet only."""


def refusal(status: int, code: str, words: str) -> Reply:
    """Return a refusal as Wrike words it."""
    return Reply(status, json={"error": code, "errorDescription": words})


NOT_FOUND = refusal(404, "resource_not_found", "Requested entity not found")


@cache
def described() -> Description | None:
    """Return Wrike's description."""
    return Description.load("wrike.json", "/api/v4")


class WrikeServer(FakeServer):
    """One account.

    Attributes:
        tasks: By id, with their `comments`, and `attachments`.
        mine: Whether the metadata of tasks were written by this token's API app.
        page: The most tasks in one answer.
        role: The token's user's.
        scope: Of the inbox.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, dict[str, Any]] = {}
        self.mine = True
        self.page = 1000
        self.role = "User"
        self.scope = "WsFolder"
        self._described = described()

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and bool(re.fullmatch(r"/api/v4/folders/\w+/tasks", request.path))

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for each in self.tasks.values() if (found := MARKER.search(each["description"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        empty_file = request.path.endswith("/attachments") and not request.body
        if self._described and not UNDESCRIBED.fullmatch(request.path) and not empty_file:
            problems = self._described.check(_as_json(request), reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(401, "not_authorized", "Access token is unknown or invalid")
        match request.method, request.path.removeprefix("/api/v4/").split("/"):
            case "GET", [kind]:
                return self._of_account(kind, request)
            case method, ["folders", id_, *rest] if id_ in TREE:
                return self._of_folder(method, id_, rest, request)
            case method, ["tasks", id_, *rest] if id_ in self.tasks:
                return self._of_task(method, self.tasks[id_], rest, request)
        return NOT_FOUND

    def _of_account(self, kind: str, request: Request) -> Reply:
        match kind:
            case "contacts":
                return _list(kind, self._people("me" in request.query))
            case "ids":
                wanted = [str(each) for each in json.loads(request.query["ids"][0])]
                return _list(kind, [{"id": NUMBERS[each], "apiV2Id": each} for each in wanted if each in NUMBERS])
            case "custom_item_types":
                return _list("customItemTypes", [{"id": BUG_TYPE, "title": "Bug", "relatedType": "Task"}])
            case "workflows":
                return _list(kind, [self._workflow()])
            case "customfields":
                return _list(kind, [_field(*each) for each in FIELDS.items()])
            case "folders":
                return _list("folderTree", [self._folder(id_) for id_ in TREE])
            case "tasks":
                return self._listed(request, list(self.tasks.values()))
        return NOT_FOUND

    def _of_folder(self, method: str, id_: str, rest: list[str], request: Request) -> Reply:
        match method, rest:
            case "GET", []:
                return _list("folders", [self._folder(id_) | {"workflowId": "IEAGFLOW"}])
            case "GET", ["tasks"]:
                return self._listed(request, [each for each in self.tasks.values() if id_ in each["parentIds"]])
            case "POST", ["tasks"]:
                return self._create(_values(request), id_)
        return NOT_FOUND

    def _people(self, me: bool) -> list[dict[str, Any]]:
        def person(id_: str, name: str, role: str) -> dict[str, Any]:
            profile = {"accountId": "IEAGIITR", "email": f"{name.lower()}@acme.example", "role": role}
            names = {"firstName": name, "lastName": "Able", "type": "Person", "deleted": False}
            return {"id": id_, **names, "profiles": [profile]}

        people = [person(ALICE, "Alice", self.role), person(BOB, "Bob", "User")]
        gone = person("KUAAGONE", "Gone", "User") | {"deleted": True}
        return people[:1] if me else [*people, gone, {"id": "KXGROUP", "firstName": "Testers", "type": "Group"}]

    def _workflow(self) -> dict[str, Any]:
        statuses = [{"id": id_, "name": name, "group": group} for name, (id_, group) in STATUSES.items()]
        return {"id": "IEAGFLOW", "name": "Default", "standard": True, "hidden": False, "customStatuses": statuses}

    def _folder(self, id_: str) -> dict[str, Any]:
        title, scope, children = TREE[id_]
        return {"id": id_, "title": title, "childIds": children, "scope": self.scope if id_ == INBOX else scope}

    def _listed(self, request: Request, tasks: list[dict[str, Any]]) -> Reply:
        found, query = tasks, {name: values[0] for name, values in request.query.items()}
        assert query["subTasks"] == "true"
        fields = json.loads(query.get("fields", "[]"))
        assert set(fields) <= {"metadata", "description"}
        if "metadata" in query:
            wanted = json.loads(query["metadata"])
            found = [each for each in found if self.mine and wanted in each["metadata"]]
        if "createdDate" in query:
            found = [each for each in found if each["createdDate"] >= json.loads(query["createdDate"])["start"]]
        first = int(query.get("nextPageToken", "0"))
        size = min(self.page, int(query["pageSize"]))
        optional = {"metadata", "description"} - set(fields)
        shown = [
            {key: value for key, value in _shown(each).items() if key not in optional}
            for each in found[first : first + size]
        ]
        more = {"nextPageToken": str(first + size)} if first + size < len(found) else {}
        return Reply(json={"kind": "tasks", "data": shown, **more})

    def _create(self, asked: dict[str, Any], folder: str) -> Reply:
        if not asked.get("title"):
            return refusal(400, "parameter_required", "Parameter 'title' is required")
        number = len(self.tasks) + 1
        made: dict[str, Any] = {
            "id": f"IEAGIITRKQAYHY{number:02}", "accountId": "IEAGIITR", "title": "", "description": "",
            "parentIds": [folder, *asked.get("parents", [])], "status": "Active", "importance": "Normal",
            "customStatusId": STATUSES["New"][0], "scope": "WsTask", "dates": {"type": "Backlog"},
            "createdDate": f"2026-01-05T09:00:{number:02}Z", "updatedDate": f"2026-01-05T09:00:{number:02}Z",
            "permalink": f"https://www.wrike.com/open.htm?id=98765432{number:02}", "responsibleIds": [],
            "metadata": [], "customFields": [], "superTaskIds": [], "comments": [], "attachments": [],
        }  # fmt: skip
        refused = self._set(made, asked, "")
        if refused:
            return refused
        made["customItemTypeId"] = asked.get("customItemTypeId", "")
        self.tasks[made["id"]] = made
        return _list("tasks", [_shown(made)])

    def _set(self, task: dict[str, Any], asked: dict[str, Any], add: str) -> Reply | None:
        task |= {
            key: asked[key] for key in ("title", "description", "importance", "metadata", "dates") if key in asked
        }
        for key, kept in (
            ("responsibles", "responsibleIds"),
            ("superTasks", "superTaskIds"),
            ("parents", "parentIds"),
        ):
            name = f"add{key[0].upper()}{key[1:]}" if add else key
            task[kept] = list(dict.fromkeys([*task[kept], *asked.get(name, [])]))
        if status := asked.get("customStatus"):
            if status not in {id_ for id_, _ in STATUSES.values()}:
                return refusal(400, "invalid_parameter", "Parameter 'customStatus' value is invalid")
            task["customStatusId"] = status
        for own in asked.get("customFields", []):
            assert own["id"] in {id_ for id_, _, _ in FIELDS.values()}
            assert isinstance(own["value"], str)
            task["customFields"] = [each for each in task["customFields"] if each["id"] != own["id"]] + [own]
        return None

    def _of_task(self, method: str, task: dict[str, Any], rest: list[str], request: Request) -> Reply:
        match method, rest:
            case "GET", []:
                return _list("tasks", [_shown(task)])
            case "PUT", []:
                return self._set(task, _values(request), "add") or _list("tasks", [_shown(task)])
            case "POST", ["comments"]:
                assert request.form["plainText"] == "false"
                task["comments"].append(request.form["text"])
                return _list("comments", [{"id": "IEAC1", "text": request.form["text"], "taskId": task["id"]}])
            case "GET", ["attachments"]:
                return _list("attachments", task["attachments"])
            case "POST", ["attachments"]:
                assert request.headers["x-requested-with"] == "XMLHttpRequest"
                made: dict[str, Any] = {
                    "id": f"IEAT{len(task['attachments'])}",
                    "name": request.headers["x-file-name"],
                    "type": "Wrike",
                }
                made |= {"contentType": request.headers["content-type"], "size": len(request.body), "version": 1}
                task["attachments"].append(made)
                return _list("attachments", [made])
        return NOT_FOUND


def _as_json(request: Request) -> Request:
    """Return a request with a form as the same with JSON, to be held against the types of its parameters."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return request
    headers = {**request.headers, "content-type": "application/json"}
    return replace(request, headers=headers, body=json.dumps(_values(request)).encode())


def _values(request: Request) -> dict[str, Any]:
    """Return a form's values; lists, tables and truths are JSON."""
    structured = re.compile(r"[\[{].*[\]}]|true|false", re.DOTALL)
    texts = {"title", "description", "text"}
    return {
        name: json.loads(text) if name not in texts and structured.fullmatch(text) else text
        for name, text in request.form.items()
    }


def _shown(task: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in task.items() if key not in {"comments", "attachments", "customItemTypeId"}
    }


def _field(title: str, own: tuple[str, str, list[str]]) -> dict[str, Any]:
    id_, kind, values = own
    return {"id": id_, "title": title, "type": kind, "settings": {"values": values} if values else {}}


def _list(kind: str, data: list[dict[str, Any]]) -> Reply:
    return Reply(json={"kind": kind, "data": data})
