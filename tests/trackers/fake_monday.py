"""monday.com as far as the bridge talks to it: one account with two boards."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.graphql_specs import Schema

TOKEN = "eyJhbGciOiJIUzI1NiJ9.secretsecretsecret"
BOARD = "1234567890"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
KINDS = {"status": "StatusValue", "dropdown": "DropdownValue", "tags": "TagsValue", "text": "TextValue"}


def failure(message: str, code: str = "", *, status: int = 200, data: Any = None, **more: Any) -> Reply:
    """Return a refusal in monday.com's form."""
    told = {"message": message, "extensions": {"code": code, "status_code": status, **more}}
    return Reply(status, json={"data": data, "errors": [told], "extensions": {"request_id": "b5-7"}})


def text_of(html: str) -> str:
    """Return what of an update can be read."""
    return re.sub(r"<[^>]+>", "", html)


class MondayServer(FakeServer):
    """An account whose boards are Webshop and Apps.

    Attributes:
        columns: Of Webshop: type and title by id.
        labels: Of each status and dropdown column, by its id.
        files: Name and content of every file, with where it was put.
        version: The kind of the API's version.
    """

    def __init__(self) -> None:
        super().__init__()
        self.boards = {BOARD: "Webshop", "987": "Apps"}
        self.state, self.access, self.version = "active", "edit", "current"
        self.columns = {
            "name": ("name", "Name"),
            "text_bugid": ("text", "test IO"),
            "status": ("status", "Status"),
            "status_sev": ("status", "Severity"),
            "status_prio": ("status", "Priority"),
            "dropdown_1": ("dropdown", "Labels"),
            "tags_1": ("tags", "Tags"),
            "people_1": ("people", "Owner"),
            "link_1": ("link", "Bug"),
            "date_1": ("date", "Found"),
            "files_1": ("file", "Files"),
        }
        self.labels = {
            "status": ["Working on it", "Done"],
            "status_sev": ["Critical", "High", "Low"],
            "status_prio": ["Critical", "High", "Low"],
            "dropdown_1": ["crowd"],
        }
        self.groups = {"topics": "Inbox", "group_2": "Now"}
        self.people = {"4616627": ("Alice Doe", "alice@acme.example"), "4616628": ("Bob Doe", "bob@acme.example")}
        self.tags: dict[str, str] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.descriptions: dict[str, str] = {}
        self.updates: dict[str, tuple[str, str]] = {}
        self.files: list[tuple[str, str, bytes]] = []
        self._described = Schema.load("monday.graphql")

    def is_create(self, request: Request) -> bool:
        return request.path == "/v2" and "mutation CreateItem(" in request.json["query"]

    def markers(self) -> list[str]:
        with self.lock:
            return [
                i["values"]["text_bugid"]
                for i in self.items.values()
                if MARKER.fullmatch(i["values"]["text_bugid"])
            ]

    def finish(self, id_: str) -> None:
        """Let a person set an item's status to Done."""
        with self.lock:
            self.items[id_]["values"]["status"] = {"label": "Done"}

    def validate(self, request: Request, reply: Reply) -> None:
        if self._described and request.path.startswith("/v2"):
            sent = self._sent(request)
            if request.path == "/v2/file":
                sent["variables"] |= {"file": request.files[0].name}
            problems = self._described.check(replace(request, body=json.dumps(sent).encode()), reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        if request.path not in {"/v2", "/v2/file"}:
            return Reply(404, body=b"Not found")
        if request.headers.get("authorization") != TOKEN:
            return Reply(401, json={"errors": ["Not Authenticated"]})
        assert request.headers.get("api-version") == "2026-10"
        sent = self._sent(request)
        found = re.match(r"(?:query|mutation) (\w+)", sent["query"])
        assert found, sent["query"]
        variables = sent["variables"]
        if request.path == "/v2/file":
            assert json.loads(request.form["map"]) == {"file": ["variables.file"]}
            variables |= {"file": request.files[0]}
        answer = getattr(self, "_do_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found[1]).lower())(**variables)
        return (
            answer
            if isinstance(answer, Reply)
            else Reply(json={"data": answer, "extensions": {"request_id": "b5"}})
        )

    def _sent(self, request: Request) -> dict[str, Any]:
        if request.path == "/v2/file":
            return {"query": request.form["query"], "variables": json.loads(request.form["variables"])}
        return {"query": request.json["query"], "variables": request.json["variables"]}

    def _do_check(self, ids: list[str]) -> Any:
        boards = [
            {"id": id_, "name": self.boards[id_], "state": self.state, "access_level": self.access}
            for id_ in ids
            if id_ in self.boards
        ]
        me = {"id": "1", "name": "Bridge", "email": "bridge@acme.example", "account": {"slug": "acme"}}
        return {"me": me, "boards": boards, "version": {"kind": self.version, "value": "2026-10"}}

    def _do_boards(self, page: int) -> Any:
        boards = [{"id": id_, "name": name} for id_, name in self.boards.items()]
        return {"boards": [{"id": str(n), "name": f"Old {n}"} for n in range(100)] if page == 1 else boards}

    def _do_columns(self, ids: list[str]) -> Any:
        columns = [
            {"id": id_, "title": title, "type": kind, "archived": False, "settings": self._settings(id_)}
            for id_, (kind, title) in self.columns.items()
        ]
        return {"boards": [{"columns": columns} for id_ in ids if id_ in self.boards]}

    def _settings(self, column: str) -> Any:
        labels = [{"id": index, "label": label} for index, label in enumerate(self.labels.get(column, ()))]
        return {"labels": labels} if labels else {}

    def _do_groups(self, ids: list[str]) -> Any:
        groups = [
            {"id": i, "title": title, "archived": False, "deleted": False} for i, title in self.groups.items()
        ]
        return {"boards": [{"groups": groups} for id_ in ids if id_ in self.boards]}

    def _do_users(self, page: int) -> Any:
        return {"users": [{"id": id_, "name": name, "email": mail} for id_, (name, mail) in self.people.items()]}

    def _do_make_tag(self, name: str, **_more: Any) -> Any:
        return {"create_or_get_tag": {"id": self.tags.setdefault(name, str(700 + len(self.tags)))}}

    def _do_create_item(self, boardId: str, groupId: str | None, name: str, values: str, make: bool) -> Any:  # noqa: N803
        if boardId not in self.boards:
            return failure("invalid board id", "InvalidBoardIdException", data={"create_item": None})
        if len(name) > 255:
            return failure("Item name too long", "ItemNameTooLongException", data={"create_item": None})
        assert groupId is None or groupId in self.groups
        if problem := self._problem(json.loads(values), make):
            return problem
        id_ = str(18012345678 + len(self.items))
        self.items[id_] = {"name": name, "group": groupId, "state": "active", "values": json.loads(values)}
        return {"create_item": {"id": id_, "url": self.page_of(id_)}}

    def _do_set_description(self, itemId: str, markdown: str) -> Any:  # noqa: N803
        if itemId not in self.items:
            return failure(
                "Item not found", "ResourceNotFoundException", data={"set_item_description_content": None}
            )
        self.descriptions[itemId] = markdown
        return {"set_item_description_content": {"success": True, "error": None}}

    def _do_find_item(self, boardId: str, columnId: str, ids: list[str], value: str) -> Any:  # noqa: N803
        """Find more than was asked for: the adapter must not trust it."""
        assert ids == [columnId]
        found = [
            {"id": id_, "url": self.page_of(id_), "column_values": [{"__typename": "TextValue", "text": told}]}
            for id_, item in self.items.items()
            if value[:12] in (told := item["values"].get(columnId, "")) and boardId in self.boards
        ]
        return {"items_page_by_column_values": {"items": found}}

    def _do_item_values(self, ids: list[str], columns: list[str]) -> Any:
        items = [
            {"id": id_, "state": self.items[id_]["state"], "column_values": [self._value(id_, c) for c in columns]}
            for id_ in ids
            if id_ in self.items
        ]
        return {"items": items}

    def _value(self, item: str, column: str) -> Any:
        kind, value = self.columns[column][0], self.items[item]["values"].get(column) or {}
        told: dict[str, Any] = {"__typename": KINDS[kind], "text": None}
        if kind == "status":
            return {**told, "text": value.get("label"), "is_done": value.get("label") == "Done"}
        if kind == "dropdown":
            return {**told, "values": [{"label": label} for label in value.get("labels", ())]}
        if kind == "tags":
            names = {int(id_): name for name, id_ in self.tags.items()}
            return {**told, "tags": [{"name": names[id_]} for id_ in value.get("tag_ids", ())]}
        return {**told, "text": value}

    def _do_item_files(self, ids: list[str]) -> Any:
        def of(id_: str) -> Any:
            assets = [
                {"name": n, "file_size": len(content)} for place, n, content in self.files if place.startswith(id_)
            ]
            updates = [
                {"id": u, "text_body": text_of(body)} for u, (item, body) in self.updates.items() if item == id_
            ]
            return {"id": id_, "state": self.items[id_]["state"], "assets": assets, "updates": updates[::-1]}

        return {"items": [of(id_) for id_ in ids if id_ in self.items]}

    def _do_change_values(self, boardId: str, itemId: str, values: str, make: bool) -> Any:  # noqa: N803
        if itemId not in self.items:
            return failure("The item was not found", "ResourceNotFoundException")
        changed = json.loads(values)
        if problem := self._problem({name: value for name, value in changed.items() if name != "name"}, make):
            return problem
        self.items[itemId]["name"] = changed.pop("name", self.items[itemId]["name"])
        self.items[itemId]["values"] |= changed
        return {"change_multiple_column_values": {"id": itemId}}

    def _do_move_item(self, itemId: str, groupId: str) -> Any:  # noqa: N803
        self.items[itemId]["group"] = groupId
        return {"move_item_to_group": {"id": itemId}}

    def _do_add_update(self, itemId: str, body: str) -> Any:  # noqa: N803
        if itemId not in self.items:
            return failure("Item not found", "ResourceNotFoundException")
        id_ = str(3141592653 + len(self.updates))
        self.updates[id_] = (itemId, body)
        return {"create_update": {"id": id_}}

    def _do_edit_update(self, id: str, body: str) -> Any:  # noqa: A002
        self.updates[id] = (self.updates[id][0], body)
        return {"edit_update": {"id": id}}

    def _do_add_file(self, itemId: str, columnId: str, file: Any) -> Any:  # noqa: N803
        assert self.columns[columnId][0] == "file"
        self.files.append((f"{itemId}/{columnId}", file.name, file.content))
        return {"add_file_to_column": {"id": "5"}}

    def _do_add_file_to_update(self, updateId: str, file: Any) -> Any:  # noqa: N803
        self.files.append((f"{self.updates[updateId][0]}/update", file.name, file.content))
        return {"add_file_to_update": {"id": "6"}}

    def _problem(self, values: dict[str, Any], make: bool) -> Reply | None:
        """Refuse what the real one does: unknown columns, values in a wrong form, unknown labels."""
        for column, value in values.items():
            if column not in self.columns:
                return failure("This column ID doesn't exist for the board", "InvalidColumnIdException")
            kind = self.columns[column][0]
            form = {"status": "label", "dropdown": "labels", "tags": "tag_ids", "people": "personsAndTeams"}.get(
                kind
            )
            assert form is None or form in value, f"{column} of type {kind} does not take {value}"
            if kind in {"status", "dropdown"}:
                wanted = value["labels"] if kind == "dropdown" else [value["label"]]
                if not make and not set(wanted) <= set(self.labels[column]):
                    told = {"column_type": "color", "column_id": column}
                    return failure("This status label doesn't exist", "ColumnValueException", error_data=told)
        return None

    def page_of(self, id_: str) -> str:
        """Return the page of an item."""
        return f"https://acme.monday.com/boards/{BOARD}/pulses/{id_}"
