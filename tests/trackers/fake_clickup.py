"""ClickUp as far as the bridge talks to it: one workspace with a space, a folder and lists; their tasks."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

TOKEN = "pk_4711_SECRETSECRETSECRET"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = 1_767_603_600_000  # 5 January 2026, 9:00, in milliseconds
WORKSPACE, SPACE, INBOX, DOING = "9012168250", "7002367", "901234567890", "901234567891"
ALICE, BOB = 183, 184
STATUSES = {"to do": "open", "doing": "custom", "done": "done", "complete": "closed"}
TAG = {"tag_fg": "#ffffff", "tag_bg": "#2e5bff"}
OPTIONS = [{"id": f"opt-{name.lower()}", "name": name, "color": "#e50000"} for name in ("High", "Low")]
LABELS = [{"id": f"label-{name.lower()}", "label": name, "color": None} for name in ("Cart", "Search")]
TYPES = {
    "test IO ID": ("short_text", []),
    "Severity": ("drop_down", OPTIONS),
    "Areas": ("labels", LABELS),
    "Cost": ("number", []),
    "Urgent": ("checkbox", []),
    "Seen": ("date", []),
    "Owner": ("users", []),
}
FIELDS = {
    f"d2ab17e0-41d3-4d28-bdbb-{number:012}": {
        "id": f"d2ab17e0-41d3-4d28-bdbb-{number:012}",
        "name": name,
        "type": kind,
        "type_config": {"options": options} if options else {},
        "date_created": "1621915186877",
        "hide_from_guests": False,
    }
    for number, (name, (kind, options)) in enumerate(TYPES.items())
}
"""The list's custom fields by id."""


def refusal(status: int, words: str, code: str) -> Reply:
    """Return a refusal as ClickUp words it."""
    return Reply(status, json={"err": words, "ECODE": code})


NOT_FOUND = refusal(404, "Task not found", "ITEM_013")
NOT_AUTHORIZED = refusal(401, "Team not authorized", "OAUTH_027")


@cache
def described() -> Description | None:
    """Return ClickUp's description, mended where its own examples and live answers contradict it."""
    loaded = Description.load("clickup.json")
    if loaded is None:
        return None
    document: dict[str, Any] = copy.deepcopy(dict(loaded.document))
    paths = document["paths"]
    for path in ("/v2/list/{list_id}/task", "/v2/task/{task_id}"):
        for method in {"post", "put"} & paths[path].keys():
            properties = _answer(paths[path][method])["properties"]
            properties |= {key: {"type": "array"} for key in ("tags", "assignees")}  # objects, not texts
    listed = _answer(paths["/v2/list/{list_id}/task"]["get"])["properties"]["tasks"]["items"]["properties"]
    listed |= {key: {"type": "array"} for key in ("tags", "assignees")}
    found = _answer(paths["/v2/team/{team_Id}/task"]["get"])["properties"]["tasks"]
    found["items"] = {"type": "object", "properties": listed}  # the same tasks; every date was a text there
    folders = _answer(paths["/v2/space/{space_id}/folder"]["get"])["properties"]
    folders["folders"]["properties"]["lists"] = {"type": "array", "items": {"type": "object"}}
    folders["folders"] = {"type": "array", "items": folders["folders"]}  # as its own example has it
    lists = _answer(paths["/v2/space/{space_id}/list"]["get"])["properties"]["lists"]["items"]["properties"]
    lists |= {key: {} for key in ("status", "priority")}  # of its three alternatives two fit everything
    return Description(document, "/api")


def _answer(operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return found


class ClickUpServer(FakeServer):
    """One workspace.

    Attributes:
        tasks: By id, with their `attachments`, `comments` and the `home` list.
        workspaces: Names by id, of those that the token's user is in.
        lists: Ids by path, without the space.
        permission: What the token's user may do in the list.
        ignored: Ids of custom fields that do not fit the type of the task.
        page: The most tasks in one answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, dict[str, Any]] = {}
        self.workspaces = {WORKSPACE: "Acme"}
        self.lists = {"Inbox": INBOX, "Sprint/Doing": DOING}
        self.tags = ["crowd"]
        self.permission = "create"
        self.archived = False
        self.ignored: set[str] = set()
        self.page = 100
        self._described = described()

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and bool(re.fullmatch(r"/api/v2/list/\d+/task", request.path))

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for each in self.tasks.values() if (found := MARKER.search(each["text_content"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        if self._described:
            problems = self._described.check(request, reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        if request.headers.get("authorization") != TOKEN:
            return refusal(401, "Token invalid", "OAUTH_025")
        match request.method, request.path.removeprefix("/api/v2/").split("/"):
            case "GET", ["user"]:
                return Reply(json={"user": {"id": ALICE, "username": "Bridge", "email": "bridge@acme.example"}})
            case "GET", ["team"]:
                more = {"color": "#000000", "avatar": "", "members": []}
                return Reply(
                    json={"teams": [{"id": id_, "name": name, **more} for id_, name in self.workspaces.items()]}
                )
            case "GET", ["team", workspace, *rest] if workspace in self.workspaces:
                return self._of_workspace(request, rest)
            case method, ["space", space, *rest] if space == SPACE:
                return self._of_space(method, request, rest)
            case method, ["list", list_, *rest] if list_ in self.lists.values():
                return self._of_list(method, request, list_, rest)
            case method, ["task", task, *rest]:
                return self._of_task(method, self.tasks[task], rest, request) if task in self.tasks else NOT_FOUND
        return NOT_AUTHORIZED

    def _of_workspace(self, request: Request, rest: list[str]) -> Reply:
        match rest:
            case ["space"]:
                dates = dict.fromkeys(("enabled", "start_date", "remap_due_dates", "remap_closed_due_date"), True)
                features = dict.fromkeys(
                    ("due_dates", "time_tracking", "tags", "time_estimates", "checklists"), dates
                )
                space = {"id": SPACE, "name": "Shop", "private": False, "statuses": [], "multiple_assignees": True}
                return Reply(json={"spaces": [space | {"features": features}]})
            case ["custom_item"]:
                return Reply(json={"custom_items": [{"id": 1300, "name": "Bug", "name_plural": "Bugs"}]})
            case ["task"]:
                return self._listed(request, list(self.tasks.values()))
        return NOT_AUTHORIZED

    def _of_space(self, method: str, request: Request, rest: list[str]) -> Reply:
        match method, rest:
            case "GET", ["folder"]:
                folder = {
                    "id": "1",
                    "name": "Sprint",
                    "orderindex": 0,
                    "override_statuses": False,
                    "hidden": False,
                }
                more = {"space": self._space(), "task_count": "0", "lists": [{"id": DOING, "name": "Doing"}]}
                return Reply(json={"folders": [folder | more]})
            case "GET", ["list"]:
                outside = {name: id_ for name, id_ in self.lists.items() if "/" not in name}
                return Reply(json={"lists": [self._list(id_, name) for name, id_ in outside.items()]})
            case "GET", ["tag"]:
                return Reply(json={"tags": [{"name": name, **TAG} for name in self.tags]})
            case "POST", ["tag"]:
                self.tags.append(request.json["tag"]["name"])
                return Reply(json={})
        return NOT_AUTHORIZED

    def _space(self) -> dict[str, Any]:
        return {"id": SPACE, "name": "Shop", "access": True}

    def _list(self, id_: str, name: str) -> dict[str, Any]:
        nothing = dict.fromkeys(("assignee", "due_date", "start_date", "task_count", "priority", "status"))
        more = {"folder": {"id": "1", "name": "hidden", "hidden": True, "access": True}, "space": self._space()}
        mine = {"archived": self.archived, "override_statuses": False, "permission_level": self.permission}
        return {"id": id_, "name": name, "orderindex": 0, "content": "", **nothing, **more, **mine}

    def _of_list(self, method: str, request: Request, list_: str, rest: list[str]) -> Reply:
        match method, rest:
            case "GET", []:
                name = next(path.rpartition("/")[2] for path, id_ in self.lists.items() if id_ == list_)
                kept = {key: value for key, value in self._list(list_, name).items() if value is not None}
                return Reply(json=kept | {"statuses": [self._status(name) for name in STATUSES]})
            case "GET", ["field"]:
                return Reply(json={"fields": list(FIELDS.values())})
            case "GET", ["member"]:
                more = {"color": None, "initials": "A", "profilePicture": "", "profileInfo": PROFILE}
                people = {ALICE: "Alice", BOB: "Bob"}
                mail = {id_: f"{name.lower()}@acme.example" for id_, name in people.items()}
                members = [
                    {"id": id_, "username": name, "email": mail[id_], **more} for id_, name in people.items()
                ]
                return Reply(json={"members": members})
            case "GET", ["task"]:
                archived = request.query["archived"] == ["true"]
                here = [
                    each for each in self.tasks.values() if each["home"] == list_ and each["archived"] == archived
                ]
                return self._listed(request, here)
            case "POST", ["task"]:
                return self._create(request.json, list_)
        return NOT_AUTHORIZED

    def _status(self, name: str) -> dict[str, Any]:
        return {"id": f"p_{name}", "status": name, "color": "#d3d3d3", "orderindex": 0, "type": STATUSES[name]}

    def _listed(self, request: Request, tasks: list[dict[str, Any]]) -> Reply:
        assert request.query["include_closed"] == ["true"]
        since = int(request.query.get("date_created_gt", ["0"])[0])
        found = [each for each in tasks if int(each["date_created"]) > since]
        for wanted in json.loads(request.query.get("custom_fields", ["[]"])[0]):
            assert wanted["operator"] == "=="
            found = [each for each in found if self._value(each, wanted["field_id"]) == wanted["value"]]
        first = int(request.query["page"][0]) * self.page
        shown = [self._shown(each) for each in found[first : first + self.page]]
        if "include_markdown_description" not in request.query:
            shown = [
                {key: value for key, value in each.items() if key != "markdown_description"} for each in shown
            ]
        return Reply(json={"tasks": shown, "last_page": first + self.page >= len(found)})

    def _value(self, task: dict[str, Any], field: str) -> Any:
        return next((own.get("value") for own in task["custom_fields"] if own["id"] == field), None)

    def _shown(self, task: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in task.items() if key not in {"comments", "home", "attachments"}}

    def _create(self, asked: dict[str, Any], list_: str) -> Reply:
        if asked.get("status", "to do") not in STATUSES:
            return refusal(400, "Status does not exist", "ITEM_114")
        number = len(self.tasks) + 1
        id_, moment = f"86c9hvq{number:02}", str(START + number)
        made = {
            "id": id_, "custom_id": None, "custom_item_id": asked.get("custom_item_id", 0),
            "url": f"https://app.clickup.com/t/{id_}", "date_created": moment, "date_updated": moment,
            "archived": False, "list": {"id": list_, "name": "Inbox", "access": True}, "team_id": WORKSPACE,
            "attachments": [], "comments": [], "home": list_, "tags": [], "assignees": [], "text_content": "",
            "status": self._status("to do"), "custom_fields": [dict(field) for field in FIELDS.values()],
        }  # fmt: skip
        self._set(made, asked)
        self._assign(made, asked.get("assignees", []), [])
        made["tags"] = [{"name": name, **TAG} for name in asked.get("tags", ())]
        for own in asked.get("custom_fields", ()):
            self._fill(made, own["id"], own["value"])
        self.tasks[id_] = made
        return Reply(json=self._shown(made))

    def _set(self, task: dict[str, Any], asked: dict[str, Any]) -> None:
        task |= {key: asked[key] for key in ("name", "parent", "custom_item_id") if key in asked}
        task |= {key: str(asked[key]) for key in ("due_date", "start_date") if key in asked}
        if "status" in asked:
            task["status"] = self._status(asked["status"])
        if "priority" in asked:
            task["priority"] = {"id": str(asked["priority"]), "priority": "high"}
        if "markdown_content" in asked:
            task["markdown_description"] = asked["markdown_content"].replace("-", "\\-")
            task["text_content"] = re.sub(r"[*#\\`]", "", asked["markdown_content"])

    def _assign(self, task: dict[str, Any], add: list[int], rem: list[int]) -> None:
        kept = [each["id"] for each in task["assignees"] if each["id"] not in rem]
        task["assignees"] = [{"id": id_, "username": "A"} for id_ in dict.fromkeys([*kept, *add])]

    def _fill(self, task: dict[str, Any], field: str, value: Any) -> None:
        if field not in self.ignored:
            next(own for own in task["custom_fields"] if own["id"] == field)["value"] = value

    def _of_task(self, method: str, task: dict[str, Any], rest: list[str], request: Request) -> Reply:
        match method, rest:
            case "GET", []:
                return Reply(json=self._shown(task) | {"attachments": task["attachments"]})
            case "PUT", []:
                self._set(task, request.json)
                self._assign(task, **request.json.get("assignees", {"add": [], "rem": []}))
                return Reply(json=self._shown(task))
            case "POST", ["comment"]:
                task["comments"].append(request.json["comment_text"])
                return Reply(json={"id": "458", "hist_id": "26508", "date": START})
            case "POST", ["field", field]:
                self._fill(task, field, request.json["value"])
                return Reply(json={})
            case "POST", ["tag", name]:
                task["tags"].append({"name": unquote(name), **TAG})
                return Reply(json={})
            case "DELETE", ["tag", name]:
                task["tags"] = [tag for tag in task["tags"] if tag["name"] != unquote(name)]
                return Reply(json={})
            case "POST", ["attachment"]:
                file = request.files[0]
                made = {
                    "id": "1.png",
                    "version": "0",
                    "date": START,
                    "title": file.name,
                    "extension": "png",
                    "url": "u",
                }
                task["attachments"].append(made | {"version": 0, "size": len(file.content)})
                return Reply(json=made | {"thumbnail_small": "", "thumbnail_large": ""})
        return NOT_FOUND


PROFILE = dict.fromkeys(
    (
        "display_profile", "verified_ambassador", "verified_consultant", "top_tier_user",
        "viewed_verified_ambassador", "viewed_verified_consultant", "viewed_top_tier_user",
    )
)  # fmt: skip
