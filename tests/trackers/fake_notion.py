"""Notion as far as the bridge talks to it: one database with its pages, blocks, comments, files and people."""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qs, urlencode

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

TOKEN = "ntn_secretsecretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
NOW = "2026-01-05T09:00:00.000Z"
PART = 40  # blocks in one answer

DATABASE, BUGS, ARCHIVE = (f"{number:08x}-aaaa-4aaa-8aaa-000000000000" for number in (1, 2, 3))
ALICE, BOT = (f"{number:08x}-bbbb-4bbb-8bbb-000000000000" for number in (1, 2))
USER = {"object": "user", "id": BOT}
PLAIN = {
    "bold": False,
    "italic": False,
    "strikethrough": False,
    "underline": False,
    "code": False,
    "color": "default",
}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Bug": ("title", {}),
    "test IO ID": ("rich_text", {}),
    "Tags": ("multi_select", {"options": ["mobile"]}),
    "Severity": ("select", {"options": ["Critical", "High", "Low"]}),
    "Priority": ("select", {"options": ["P1", "P2"]}),
    "Status": ("status", {"options": ["Not started", "Fixed", "Won't fix"]}),
    "Assignee": ("people", {}),
    "Cost": ("number", {}),
    "Urgent": ("checkbox", {}),
    "Seen": ("date", {}),
    "Link": ("url", {}),
    "Parent item": ("relation", {}),
    "Files": ("files", {}),
    "ID": ("unique_id", {}),
    "Created": ("created_time", {}),
}


def mended(place: str, schema: Any) -> Any:
    """Correct what cannot be meant: parts of one object each of which allows no other part."""
    if place.endswith(
        ("/partialPageObjectResponse", "/partialBlockObjectResponse", "/partialDataSourceObjectResponse")
    ):
        return {"not": {}}  # the fake shows everything
    if place.endswith(("Filter", "/dateRequest")):
        return without(schema, "format", "date")  # a moment is taken, too
    if "answer" in place or "Response" in place:
        return without(schema, "additionalProperties", False)
    return schema


def without(schema: Any, name: str, value: Any) -> Any:
    """Return a schema without a keyword of a value, wherever it is; of alternatives several may fit then."""
    if isinstance(schema, list):
        return [without(each, name, value) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: without(each, name, value) for key, each in schema.items() if (key, each) != (name, value)}
    return {"anyOf" if key == "oneOf" else key: each for key, each in kept.items()}


@cache
def described() -> Description | None:
    """Return Notion's description."""
    return Description.load("notion.json", relax=mended)


@lru_cache(10_000)
def problems(method: str, path: str, query: str, kind: str, body: bytes, status: int, content: bytes) -> list[str]:
    """Return what does not fit the description. Most tests say the same, and looking at many blocks takes long."""
    found = described()
    request = Request(method, path, parse_qs(query, True), {"content-type": kind}, body)
    return found.check(request, Reply(status, json=json.loads(content or "null"))) if found else []


def error(status: int, code: str, message: str) -> Reply:
    """Return an error as Notion says it."""
    return Reply(status, json={"object": "error", "status": status, "code": code, "message": message})


NOT_FOUND = error(
    404,
    "object_not_found",
    "Could not find page with ID: 1. Make sure the relevant pages and databases are shared with your integration.",
)


def text(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return pieces of text as Notion answers them."""
    shown = []
    for part in parts:
        content, link = part["text"]["content"], part["text"].get("link")
        assert 0 < len(content.encode("utf-16-le")) <= 4000
        shown.append(
            {
                "type": "text", "text": {"content": content, "link": link}, "plain_text": content,
                "href": link and link["url"], "annotations": PLAIN | part.get("annotations", {}),
            }
        )  # fmt: skip
    return shown


class NotionServer(FakeServer):
    """One workspace.

    Attributes:
        kinds: The properties of the database: their types, and their options.
        sources: The data sources of the database.
        pages: By id; `children` are the blocks as they were sent, each with its `id`.
        comments: Texts of comments by page.
        uploads: By id, with their content.
        reads_users: Whether the connection may read users.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds = dict(KINDS)
        self.sources = {"Bugs": BUGS}
        self.pages: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[str]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.reads_users = True
        self._numbers = 0

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/v1/pages")

    def markers(self) -> list[str]:
        with self.lock:
            parts = [[*page["children"], *page["properties"].values()] for page in self.pages.values()]
            texts = [" ".join(map(self.words, each)) for each in parts]
            return [found[0] for each in texts if (found := MARKER.search(re.sub(r"https?://\S+", "", each)))]

    def validate(self, request: Request, reply: Reply) -> None:
        assert request.headers.get("notion-version") == "2026-03-11"
        query, kind = urlencode(request.query, True), request.headers.get("content-type", "")
        wrong = problems(request.method, request.path, query, kind, request.body, reply.status, reply.content)
        assert not wrong, wrong

    def words(self, value: Any) -> str:
        """Return all text in what was sent."""
        if isinstance(value, list):
            return "".join(map(self.words, value))
        if isinstance(value, dict):
            return value["content"] if "content" in value else "".join(map(self.words, value.values()))
        return ""

    def respond(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return error(401, "unauthorized", "API token is invalid.")
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "GET", ["users", "me"]:
                return Reply(json=self._user(BOT, "bridge"))
            case "GET", ["users"]:
                people = [self._user(ALICE, "Alice"), self._user(BOT, "bridge")]
                refusal = error(403, "restricted_resource", "Insufficient permissions for this endpoint.")
                return Reply(json=self._listed(people, "user")) if self.reads_users else refusal
            case "POST", ["pages"]:
                return self._create(request.json)
            case method, ["pages", id_] if id_ in self.pages:
                return self._page(method, self.pages[id_], request.json)
            case method, ["blocks", id_, *rest]:
                return self._blocks(method, id_, rest, request)
            case "POST", ["comments"]:
                return self._comment(request.json)
            case "POST", ["file_uploads", *rest]:
                return self._upload(rest, request)
        return self._places(request)

    def _places(self, request: Request) -> Reply:
        """Answer what is about databases."""
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["search"]:
                found = [self._source(name) for name in self.sources]
                return Reply(json=self._listed(found, "page_or_data_source"))
            case "GET", ["databases", id_] if id_ == DATABASE:
                return Reply(json=self._database())
            case method, ["data_sources", id_, *rest] if id_ in self.sources.values():
                return self._query(request.json) if (method, rest) == ("POST", ["query"]) else self._one(id_)
        return NOT_FOUND

    def new_id(self) -> str:
        self._numbers += 1
        return f"{self._numbers:08x}-cccc-4ccc-8ccc-000000000000"

    def _user(self, id_: str, name: str) -> dict[str, Any]:
        user = {"object": "user", "id": id_, "name": name, "avatar_url": None}
        if id_ == ALICE:
            return user | {"type": "person", "person": {"email": "alice@acme.example"}}
        limits = {"max_file_upload_size_in_bytes": 5242880}
        bot = {
            "owner": {"type": "workspace", "workspace": True},
            "workspace_id": DATABASE,
            "workspace_limits": limits,
        }
        return user | {"type": "bot", "bot": bot | {"workspace_name": "Acme"}}

    def _listed(self, results: list[Any], kind: str, next_cursor: str | None = None) -> dict[str, Any]:
        more = {"has_more": next_cursor is not None, "next_cursor": next_cursor}
        return {"object": "list", "type": kind, kind: {}, "results": results, **more}

    def _database(self) -> dict[str, Any]:
        sources = [{"id": id_, "name": name} for name, id_ in self.sources.items()]
        return {
            "object": "database", "id": DATABASE, "title": text([{"text": {"content": "Bugs"}}]), "description": [],
            "parent": {"type": "workspace", "workspace": True}, "is_inline": False, "in_trash": False,
            "is_locked": False, "created_time": NOW, "last_edited_time": NOW, "data_sources": sources, "icon": None,
            "cover": None, "url": f"https://www.notion.so/{DATABASE}", "public_url": None,
        }  # fmt: skip

    def _one(self, id_: str) -> Reply:
        return Reply(json=self._source(next(name for name, each in self.sources.items() if each == id_)))

    def _source(self, name: str) -> dict[str, Any]:
        properties = {each: self._property(each) for each in self.kinds}
        return {
            "object": "data_source", "id": self.sources[name], "title": text([{"text": {"content": name}}]),
            "description": [], "parent": {"type": "database_id", "database_id": DATABASE},
            "database_parent": {"type": "workspace", "workspace": True}, "is_inline": False, "in_trash": False,
            "created_time": NOW, "last_edited_time": NOW, "created_by": USER, "last_edited_by": USER,
            "properties": properties, "icon": None, "cover": None, "url": "https://www.notion.so/x",
            "public_url": None,
        }  # fmt: skip

    def _property(self, name: str) -> dict[str, Any]:
        kind, more = self.kinds[name]
        options = [
            {"id": each.lower(), "name": each, "color": "gray", "description": None}
            for each in more.get("options", ())
        ]
        inside: dict[str, Any] = {"options": options} if options else {}
        if kind == "status":
            ids = [each["id"] for each in options]
            parts = {"To-do": ids[:1], "In progress": [], "Complete": ids[1:]}
            inside["groups"] = [
                {"id": group, "name": group, "color": "gray", "option_ids": part} for group, part in parts.items()
            ]
        elif kind == "unique_id":
            inside = {"prefix": "BUG"}
        elif kind == "number":
            inside = {"format": "number"}
        elif kind == "relation":
            inside = {
                "data_source_id": BUGS,
                "database_id": DATABASE,
                "type": "single_property",
                "single_property": {},
            }
        return {"id": name[:4], "name": name, "description": None, "type": kind, kind: inside}

    def _create(self, asked: dict[str, Any]) -> Reply:
        if asked["parent"]["data_source_id"] not in self.sources.values():
            return NOT_FOUND
        problem = self._problem(asked["properties"])
        if problem:
            return problem
        id_ = self.new_id()
        page = {"id": id_, "number": len(self.pages) + 1, "in_trash": False, "properties": {}, "children": []}
        page["properties"] |= asked["properties"]
        self._insert(page, asked["children"], 0)
        self.pages[id_] = page
        return Reply(json=self._shown(page))

    def _problem(self, properties: dict[str, Any]) -> Reply | None:
        for name, value in properties.items():
            if name not in self.kinds:
                return error(400, "validation_error", f"{name} is not a property that exists.")
            kind, more = self.kinds[name]
            if list(value) != [kind]:
                return error(400, "validation_error", f"{name} is expected to be {kind}.")
            chosen = value[kind] if kind == "multi_select" else [value[kind]]
            for each in chosen if kind in {"select", "multi_select", "status"} else ():
                if "," in each["name"]:
                    return error(400, "validation_error", "Invalid select option, commas not allowed")
                if each["name"] in more["options"]:
                    continue
                if kind == "status":
                    return error(400, "validation_error", f'Status option "{each["name"]}" does not exist".')
                more["options"].append(each["name"])
        return None

    def _insert(self, page: dict[str, Any], blocks: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
        assert self._size(blocks) <= 1000
        made = [{"id": self.new_id(), **block} for block in blocks]
        page["children"][at:at] = made
        return made

    def _size(self, blocks: list[dict[str, Any]]) -> int:
        return sum(1 + self._size(block[block["type"]].get("children", [])) for block in blocks)

    def _shown(self, page: dict[str, Any]) -> dict[str, Any]:
        address = f"https://www.notion.so/Bug-{page['id'].replace('-', '')}"
        return {
            "object": "page", "id": page["id"], "created_time": NOW, "last_edited_time": NOW,
            "in_trash": page["in_trash"], "is_locked": False, "url": address, "public_url": None,
            "parent": {"type": "data_source_id", "data_source_id": BUGS, "database_id": DATABASE},
            "properties": {name: self._value(name, page) for name in self.kinds}, "icon": None, "cover": None,
            "created_by": USER, "last_edited_by": USER,
        }  # fmt: skip

    def _value(self, name: str, page: dict[str, Any]) -> dict[str, Any]:
        kind = self.kinds[name][0]
        nothing: dict[str, Any] = {
            "title": [], "rich_text": [], "multi_select": [], "people": [], "files": [], "relation": [],
            "checkbox": False, "created_time": NOW, "unique_id": {"prefix": "BUG", "number": page["number"]},
        }  # fmt: skip
        value = page["properties"].get(name, {}).get(kind, nothing.get(kind))
        if kind in {"title", "rich_text"}:
            value = text(value)
        elif kind in {"select", "status"} and value:
            value = {"id": value["name"].lower(), "color": "gray", **value}
        elif kind == "multi_select":
            value = [{"id": each["name"].lower(), "color": "gray", **each} for each in value]
        elif kind == "date" and value:
            value = {"end": None, "time_zone": None, **value}
        elif kind == "relation":
            return {"id": name[:4], "type": kind, kind: value, "has_more": False}
        return {"id": name[:4], "type": kind, kind: value}

    def _query(self, asked: dict[str, Any]) -> Reply:
        query = asked["filter"]
        pages = [page for page in self.pages.values() if not page["in_trash"]]
        if "property" in query:
            name, wanted = query["property"], query["rich_text"]["equals"]
            pages = [page for page in pages if self.words(page["properties"].get(name, {})) == wanted]
        return Reply(json=self._listed([self._shown(page) for page in pages], "page_or_data_source"))

    def _page(self, method: str, page: dict[str, Any], asked: Any) -> Reply:
        if method == "PATCH":
            if page["in_trash"]:
                return error(400, "validation_error", "Can't edit page that is archived.")
            problem = self._problem(asked["properties"])
            if problem:
                return problem
            page["properties"] |= asked["properties"]
        return Reply(json=self._shown(page))

    def _blocks(self, method: str, id_: str, rest: list[str], request: Request) -> Reply:
        if method == "DELETE":
            for page in self.pages.values():
                for at, block in enumerate(page["children"]):
                    if block["id"] == id_:
                        return Reply(json=self._block(page, page["children"].pop(at)) | {"in_trash": True})
            return NOT_FOUND
        if id_ not in self.pages or rest != ["children"]:
            return NOT_FOUND
        page = self.pages[id_]
        ids = [block["id"] for block in page["children"]]
        if method == "GET":
            start = ids.index(request.query["start_cursor"][0]) if "start_cursor" in request.query else 0
            shown = [self._block(page, block) for block in page["children"][start : start + PART]]
            return Reply(json=self._listed(shown, "block", next(iter(ids[start + PART :]), None)))
        position = request.json["position"]
        place = {
            "start": lambda: 0,
            "end": lambda: len(ids),
            "after_block": lambda: ids.index(position["after_block"]["id"]) + 1,
        }
        made = self._insert(page, request.json["children"], place[position["type"]]())
        return Reply(json=self._listed([self._block(page, block) for block in made], "block"))

    def _block(self, page: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
        kind = block["type"]
        inside = {"color": "default", **block[kind]} if block[kind] else {}
        for name in ("rich_text", "caption"):
            if name in inside:
                inside[name] = text(inside[name])
        if kind == "code":
            inside.setdefault("caption", [])
        if kind.startswith("heading"):
            inside.setdefault("is_toggleable", False)
        if kind == "numbered_list_item":
            inside.setdefault("list_format", "numbers")
        if "file_upload" in inside:
            inside |= {"type": "file", "file": {"url": "https://files.notion.test/x", "expiry_time": NOW}}
            inside |= {"name": "x"} if kind == "file" else {}
        return {
            "object": "block", "id": block["id"], "type": kind, kind: inside, "has_children": "children" in inside,
            "parent": {"type": "page_id", "page_id": page["id"]}, "created_time": NOW, "created_by": USER,
            "last_edited_time": NOW, "last_edited_by": USER, "in_trash": False,
        }  # fmt: skip

    def _comment(self, asked: dict[str, Any]) -> Reply:
        parent = asked["parent"]
        if parent["page_id"] not in self.pages:
            return NOT_FOUND
        self.comments.setdefault(parent["page_id"], []).append(self.words(asked["rich_text"]))
        return Reply(
            json={
                "object": "comment", "id": self.new_id(), "parent": parent, "discussion_id": self.new_id(),
                "created_time": NOW, "last_edited_time": NOW, "created_by": USER,
                "rich_text": text(asked["rich_text"]),
                "display_name": {"type": "integration", "resolved_name": "bridge"},
            }
        )  # fmt: skip

    def _upload(self, rest: list[str], request: Request) -> Reply:
        if not rest:
            asked = request.json
            assert re.search(r"\.\w+$", asked["filename"])
            id_ = self.new_id()
            self.uploads[id_] = {"id": id_, "content": b"", "status": "pending", **asked}
            return Reply(json=self._uploaded(id_))
        id_, step = rest
        upload = self.uploads[id_]
        if step == "send":
            (file,) = request.files
            assert (file.name, file.type) == (upload["filename"], upload["content_type"])
            upload["content"] += file.content
            upload["parts"] = [*upload.get("parts", []), request.form.get("part_number")]
        if step == "complete" or upload["mode"] == "single_part":
            upload["status"] = "uploaded"
        return Reply(json=self._uploaded(id_))

    def _uploaded(self, id_: str) -> dict[str, Any]:
        upload = self.uploads[id_]
        return {
            "object": "file_upload", "id": id_, "created_time": NOW, "created_by": {"id": BOT, "type": "bot"},
            "last_edited_time": NOW, "in_trash": False, "expiry_time": NOW, "status": upload["status"],
            "filename": upload["filename"], "content_type": upload["content_type"],
            "content_length": len(upload["content"]),
        }  # fmt: skip
