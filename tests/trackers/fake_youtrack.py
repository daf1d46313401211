"""YouTrack as far as the bridge talks to it: issues, custom fields, tags, comments, files, of one project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/youtrack/api"
TOKEN = "perm:secretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = int(datetime(2026, 1, 5, 9, 0, tzinfo=UTC).timestamp() * 1000)
FIELDS = {
    "Priority": ("enum[1]", "SingleEnum", ["Show-stopper", "Critical", "Major", "Normal", "Minor"]),
    "Type": ("enum[1]", "SingleEnum", ["Bug", "Cosmetics", "Feature"]),
    "State": ("state[1]", "State", ["Open", "Fixed"]),
    "Assignee": ("user[1]", "SingleUser", ["alice", "bob"]),
    "Fix versions": ("version[*]", "MultiVersion", ["1.0", "2.0"]),
    "test IO ID": ("string", "Simple", None),
    "Points": ("integer", "Simple", None),
    "Due": ("date", "Date", None),
    "Estimation": ("period", "Period", None),
    "Notes": ("text", "Text", None),
}


def mended(place: str, schema: Any) -> Any:
    """Return a schema of the vendor's document without what its own examples contradict.

    Values that are texts, numbers or lists are described as objects, and none may be empty. Each custom field is
    held against the schema of its `$type`.
    """
    if place.endswith("IssueCustomField"):
        return _with_values(schema)
    if place.endswith("/Issue"):
        kinds = sorted({f"{kind}IssueCustomField" for _, kind, _ in FIELDS.values()})
        known = [
            {"properties": {"$type": {"enum": [kind]}}, "allOf": [{"$ref": f"#/components/schemas/{kind}"}]}
            for kind in kinds
        ]
        fields = {"type": "array", "items": {"anyOf": known}}
        resolved = {"type": ["integer", "null"]}
        return schema | {"properties": schema["properties"] | {"customFields": fields, "resolved": resolved}}
    return schema


def _with_values(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _value(inner) if name == "value" else _with_values(inner) for name, inner in schema.items()}
    return [_with_values(inner) for inner in schema] if isinstance(schema, list) else schema


def _value(schema: Any) -> Any:
    return {} if schema.get("type") == "object" else {"anyOf": [schema, {"type": "null"}]}


def asked(fields: str) -> dict[str, Any]:
    """Return what `fields` names, as a tree."""
    tokens = re.findall(r"[$\w]+|[(),]", fields)
    return _tree(iter(tokens))


def _tree(tokens: Iterator[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    name = ""
    for token in tokens:
        if token == "(":
            tree[name] = _tree(tokens)
        elif token == ")":
            break
        elif token != ",":
            name = token
            tree[name] = {}
    return tree


def only(value: Any, tree: dict[str, Any]) -> Any:
    """Return of a value what was asked for; an object tells its id and `$type` if nothing was."""
    if isinstance(value, list):
        return [only(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    names = tree or {"id": {}}
    return {name: only(inner, names.get(name, {})) for name, inner in value.items() if name in {*names, "$type"}}


def problem(status: int, error: str, words: str, **more: Any) -> Reply:
    """Return a refusal in YouTrack's form."""
    return Reply(status, json={"error": error, "error_description": words, **more})


class YouTrackServer(FakeServer):
    """One project.

    Attributes:
        me: Changes to what the token's user tells.
        project: Changes to the project.
        required: Fields that must have a value, and get none by themselves.
        private: Whether the project's settings may not be seen.
        stubborn: Fields that a workflow sets to something else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.me: dict[str, Any] = {}
        self.project: dict[str, Any] = {}
        self.required: set[str] = set()
        self.private = False
        self.stubborn: dict[str, Any] = {}
        self.refused_tags = False
        self.tags: dict[str, str] = {"6-1": "crowd"}
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: list[str] = []
        self.commands: list[dict[str, Any]] = []
        self._described = Description.load("youtrack.json", PREFIX, mended)

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}/youtrack"

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/issues")

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for i in self.issues.values() if (found := MARKER.search(i["description"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        if self._described and request.path.startswith(PREFIX):
            problems = self._described.check(request, reply)
            assert not problems, problems

    def resolve(self, id_: str, state: str = "Fixed") -> None:
        """Let a person resolve an issue."""
        with self.lock:
            self.issues[id_]["resolved"] = START
            self._put(self.issues[id_], {"name": "State", "value": {"name": state}})

    def respond(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "Unauthorized", "You are not logged in.")
        path = request.path.removeprefix(PREFIX).strip("/").split("/")
        return self._looked_up(request, path) or self._done(request, path)

    def _looked_up(self, request: Request, path: list[str]) -> Reply | None:
        match request.method, path:
            case "GET", ["users", "me"]:
                me = {"id": "1-2", "login": "bridge", "guest": False, "banned": False, "$type": "Me"}
                return self._told(request, me | self.me)
            case "GET", ["admin", "projects"]:
                shop = {"id": "0-0", "name": "Webshop", "shortName": "SHOP", "archived": False, "$type": "Project"}
                return self._page(request, [shop | self.project])
            case "GET", ["admin", "projects", "0-0", "customFields"]:
                if self.private:
                    return problem(403, "Forbidden", "You do not have permissions to read the project's settings.")
                return self._page(request, [self._described_field(name) for name in FIELDS])
            case "GET", ["tags"]:
                return self._page(request, [self._tag(id_) for id_ in self.tags])
            case "GET", ["issues"]:
                return self._search(request)
        return None

    def _done(self, request: Request, path: list[str]) -> Reply:
        match request.method, path:
            case "POST", ["tags"]:
                return self._make_tag(request)
            case "POST", ["issues"]:
                return self._create(request)
            case "POST", ["commands"]:
                self.commands.append(request.json)
                return Reply(json={"$type": "CommandList"})
            case method, ["issues", id_, *what] if id_ in self.issues:
                return self._issue(method, request, self.issues[id_], what)
        return problem(404, "Not Found", f"Entity with id {path[-1]} not found")

    def _create(self, request: Request) -> Reply:
        number = len(self.issues) + 1
        issue: dict[str, Any] = {
            "id": f"2-{44 + number}", "idReadable": f"SHOP-{number}", "created": START + number * 1000,
            "resolved": None, "description": "", "$type": "Issue", "tags": [],
            "customFields": [{"name": name, "$type": f"{kind}IssueCustomField", "value": None,
                              "projectCustomField": self._described_field(name)}
                             for name, (_, kind, _) in FIELDS.items()],
        }  # fmt: skip
        assert request.json["project"] == {"id": "0-0"}
        self._put(issue, {"name": "State", "value": {"name": "Open"}})
        refused = self._set(issue, request.json)
        given = {own["name"] for own in issue["customFields"] if own["value"]}
        if not refused and self.required - given:
            child = {"error": "Field required", "error_description": f"{', '.join(self.required)} is required",
                     "error_field": "Points"}  # fmt: skip
            refused = problem(400, "invalid_properties", "Issue is invalid", error_children=[child])
        if refused:
            return refused
        self.issues[str(issue["id"])] = issue
        return self._told(request, issue)

    def _set(self, issue: dict[str, Any], sent: dict[str, Any]) -> Reply | None:
        if len(sent.get("summary", "")) > 255:
            return problem(400, "Bad Request", "Summary is too long")
        for own in sent.get("customFields", []):
            _, kind, values = FIELDS[own["name"]]
            if own["$type"] != f"{kind}IssueCustomField":
                return problem(500, f"incompatible-issue-custom-field-name-{own['name']}", "incompatible type")
            for value in own["value"] if isinstance(own["value"], list) else [own["value"]]:
                if values and (value.get("name") or value.get("login")) not in values:
                    return problem(400, "bad_request", f"No such value in {own['name']}")
            self._put(issue, {**own, "value": self.stubborn.get(own["name"], own["value"])})
        issue |= {name: sent[name] for name in ("summary", "description") if name in sent}
        if "tags" in sent:
            issue["tags"] = [self._tag(tag["id"]) for tag in sent["tags"]]
        return None

    def _put(self, issue: dict[str, Any], own: dict[str, Any]) -> None:
        for field in issue["customFields"]:
            if field["name"] == own["name"]:
                field["value"] = own["value"]

    def _issue(self, method: str, request: Request, issue: dict[str, Any], what: list[str]) -> Reply:
        match method, what:
            case "GET", []:
                return self._told(request, issue)
            case "POST", []:
                return self._set(issue, request.json) or self._told(request, issue)
            case "POST", ["comments"]:
                self.comments.append(request.json["text"])
                return self._told(request, {"id": "4-1", "$type": "IssueComment"})
            case "POST", ["attachments"]:
                return self._told(
                    request, [{"id": "8-1", "name": request.files[0].name, "$type": "IssueAttachment"}]
                )
            case "GET", ["tags"]:
                return self._page(request, issue["tags"])
            case "POST", ["tags"]:
                issue["tags"].append(self._tag(request.json["id"]))
                return self._told(request, issue["tags"][-1])
            case "DELETE", ["tags", tag]:
                issue["tags"] = [each for each in issue["tags"] if each["id"] != tag]
                return Reply()
        return problem(405, "Method Not Allowed", "HTTP 405")

    def _search(self, request: Request) -> Reply:
        found = re.fullmatch(
            r"project: {SHOP}(?: {(.+?)}: {(.+?)})?( sort by: created desc)?", request.query["query"][0]
        )
        assert found, request.query
        issues = list(self.issues.values())
        if found[1]:
            issues = [issue for issue in issues if found[2] in str(self._value(issue, found[1]))]  # sloppy
        return self._page(request, issues[::-1] if found[3] else issues)

    def _value(self, issue: dict[str, Any], name: str) -> Any:
        return next(own["value"] for own in issue["customFields"] if own["name"] == name)

    def _make_tag(self, request: Request) -> Reply:
        if self.refused_tags:
            return problem(403, "Forbidden", "You do not have permissions to create tags.")
        id_ = f"6-{len(self.tags) + 1}"
        self.tags[id_] = request.json["name"]
        return self._told(request, self._tag(id_))

    def _tag(self, id_: str) -> dict[str, Any]:
        return {"id": id_, "name": self.tags[id_], "$type": "Tag"}

    def _described_field(self, name: str) -> dict[str, Any]:
        kind, _, values = FIELDS[name]
        own: dict[str, Any] = {
            "id": f"92-{name}", "canBeEmpty": name not in {*self.required, "Type"},
            "field": {"name": name, "fieldType": {"id": kind}},
        }  # fmt: skip
        if name == "Type":
            own["defaultValues"] = [{"name": "Bug"}]
        if kind.startswith("user"):
            people = [
                {"login": login, "fullName": f"{login.title()} Doe", "email": None} for login in values or ()
            ]
            return own | {"bundle": {"aggregatedUsers": people}}
        shown = [{"name": value, "archived": False} for value in values or ()]
        return own | ({"bundle": {"values": [*shown, {"name": "Old", "archived": True}]}} if values else {})

    def _told(self, request: Request, value: Any) -> Reply:
        return Reply(json=only(value, asked(request.query.get("fields", ["id"])[0])))

    def _page(self, request: Request, items: list[Any]) -> Reply:
        size, skip = int(request.query.get("$top", ["42"])[0]), int(request.query.get("$skip", ["0"])[0])
        return self._told(request, items[skip : skip + size])
