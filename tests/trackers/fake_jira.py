"""A Jira in memory, Cloud or Server: projects with a create screen, issues, an index, rights.

It refuses what Jira refuses (a field that is not on the screen, a wrong shape, a label with a space, ...), in
Jira's words as `../shared/trackers/jira_*.md` gives them, and holds everything against the vendor's descriptions.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from jsonschema import Draft4Validator

from bridge.testing import FakeServer, Reply, Request
from tests.trackers import specs

EMAIL, TOKEN = "bot@example.com", "ATATT-token-of-the-bot"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
NOT_ON_SCREEN = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
NO_RIGHT = "You do not have permission to create issues in this project."
PERMISSIONS = (
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "ADD_COMMENTS",
    "CREATE_ATTACHMENTS",
    "LINK_ISSUES",
    "ASSIGN_ISSUES",
)


def field(name: str, field_id: str = "", kind: str = "string", **more: Any) -> dict[str, Any]:
    """Return a field of a create screen as `createmeta` gives it."""
    field_id = field_id or name.lower()
    schema: dict[str, Any] = {"type": kind, **{key: more.pop(key) for key in ("items", "custom") if key in more}}
    if field_id.startswith("customfield_"):
        schema["customId"] = int(field_id.removeprefix("customfield_"))
    else:
        schema["system"] = field_id
    defaults = {"required": False, "hasDefaultValue": False, "operations": ["set"]}
    return {"fieldId": field_id, "key": field_id, "name": name, "schema": schema, **defaults, **more}


def options(*names: str) -> list[dict[str, Any]]:
    """Return values that can be chosen in a select field."""
    return [{"id": str(10_000 + number), "value": name} for number, name in enumerate(names)]


def named(*names: str) -> list[dict[str, Any]]:
    """Return values that can be chosen in a field of named things: priorities, components."""
    return [{"id": str(number), "name": name} for number, name in enumerate(names, 1)]


def standard_screen() -> list[dict[str, Any]]:
    """Return the create screen that a new project has, more or less."""
    return [
        field("Summary", required=True),
        field("Issue Type", "issuetype", "issuetype", required=True),
        field("Project", "project", "project", required=True),
        field("Reporter", "reporter", "user", required=True, hasDefaultValue=True),
        field("Description"),
        field("Environment"),
        field("Labels", "labels", "array", items="string"),
        field("Assignee", "assignee", "user"),
        field("Parent", "parent", "issuelink"),
        field(
            "Priority",
            "priority",
            "priority",
            hasDefaultValue=True,
            allowedValues=named("Highest", "High", "Medium", "Low", "Lowest"),
        ),
        field("Components", "components", "array", items="component", allowedValues=named("Web", "Shop")),
    ]


CASCADE = "com.atlassian.jira.plugin.system.customfieldtypes:cascadingselect"
TEXTAREA = "com.atlassian.jira.plugin.system.customfieldtypes:textarea"


def custom_fields() -> list[dict[str, Any]]:
    """Return custom fields of every common type."""
    berlin = [{"id": "10200", "value": "Europe", "children": [{"id": "10201", "value": "Berlin"}]}]
    return [
        field("Severity", "customfield_10001", "option", allowedValues=options("Blocker", "Major", "Minor")),
        field("Story Points", "customfield_10002", "number"),
        field("Browsers", "customfield_10003", "array", items="option", allowedValues=options("Safari", "Chrome")),
        field("Found on", "customfield_10004", "date"),
        field("Contact", "customfield_10005", "user"),
        field("How to test", "customfield_10006", "string", custom=TEXTAREA),
        field("Region", "customfield_10007", "option-with-child", custom=CASCADE, allowedValues=berlin),
    ]


class FakeJira(FakeServer):
    """What both Jiras have in common.

    Attributes:
        root: What comes before `/rest`: a context path, or the gateway's path.
        screen: The create screen of every issue type.
        hidden: Ids of issues that the index does not know yet.
        rights: What the user may do.
    """

    version: ClassVar[str]
    types_key: ClassVar[str]
    fields_key: ClassVar[str]
    person_key: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.root = ""
        self.project = "ED"
        self.issue_types = {"10004": "Bug", "10002": "Task"}
        self.screen = standard_screen()
        self.rights = set(PERMISSIONS)
        self.issues: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.attachments_enabled = True
        self.base_url = "https://jira.example.com"

    @property
    def api(self) -> str:
        return f"{self.root}/rest/api/{self.version}"

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path.endswith(f"/rest/api/{self.version}/issue")

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for issue in self.issues.values() if (found := MARKER.findall(self._words(issue)))]

    def respond(self, request: Request) -> Reply:
        path = request.path.removeprefix(self.api)
        if path == request.path:
            return Reply(404, body=b"<html><body>Oops, you have found a dead link.</body></html>")
        if path == "/serverInfo":
            return Reply(json=self.server_info())
        if not self.signed_in(request):
            words = b"<html><body>Basic Authentication Failure - Reason : AUTHENTICATED_FAILED</body></html>"
            return Reply(401, body=words, headers={"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})
        return self._route(request, path)

    def _route(self, request: Request, path: str) -> Reply:
        routes: dict[str, Callable[..., Reply]] = {
            **self.own_routes(request),
            r"GET /myself": lambda: Reply(json=self.person("bot")),
            r"GET /project/([^/]+)": self._project,
            r"GET /mypermissions": lambda: self._permissions(request),
            r"GET /issue/createmeta/([^/]+)/issuetypes": lambda key: self._types(key, request),
            r"GET /issue/createmeta/([^/]+)/issuetypes/(\d+)": lambda key, one: self._fields(key, one, request),
            r"GET /attachment/meta": lambda: Reply(
                json={"enabled": self.attachments_enabled, "uploadLimit": 10 * 2**20}
            ),
            r"GET /user/assignable/search": lambda: Reply(json=self.assignable(request)),
            r"POST /issue": lambda: self._create(request),
            r"GET /issue/([^/]+)": lambda key: self._show(self.issues[key], request),
            r"PUT /issue/([^/]+)": lambda key: self._edit(self.issues[key], request),
            r"POST /issue/([^/]+)/comment": lambda key: self._comment(self.issues[key], request),
            r"POST /issue/([^/]+)/attachments": lambda key: self._attach(self.issues[key], request),
            r"POST /issue/([^/]+)/remotelink": lambda key: self._link(self.issues[key], request),
        }
        for pattern, answer in routes.items():
            if found := re.fullmatch(pattern, f"{request.method} {path}"):
                try:
                    return answer(*found.groups())
                except KeyError:
                    words = "Issue does not exist or you do not have permission to see it."
                    return Reply(404, json={"errorMessages": [words], "errors": {}})
        return Reply(404, json={"errorMessages": [f"no such path: {path}"], "errors": {}})

    # What differs

    def own_routes(self, request: Request) -> dict[str, Callable[..., Reply]]:
        raise NotImplementedError

    def signed_in(self, request: Request) -> bool:
        raise NotImplementedError

    def server_info(self) -> dict[str, Any]:
        raise NotImplementedError

    def person(self, name: str) -> dict[str, Any]:
        raise NotImplementedError

    def assignable(self, request: Request) -> list[dict[str, Any]]:
        raise NotImplementedError

    def wrong_text(self, value: Any) -> str:
        """Return what is wrong with rich text, empty for nothing."""
        raise NotImplementedError

    # The create screen

    def _project(self, key: str) -> Reply:
        if key != self.project:
            return Reply(
                404, json={"errorMessages": [f"No project could be found with key '{key}'."], "errors": {}}
            )
        return Reply(json={"id": "10000", "key": key, "name": "Example"})

    def _permissions(self, request: Request) -> Reply:
        asked = ",".join(request.query.get("permissions", [",".join(PERMISSIONS)])).split(",")
        rows = {
            name: {"id": "1", "key": name, "name": name, "type": "PROJECT", "havePermission": name in self.rights}
            for name in asked
        }
        return Reply(json={"permissions": rows})

    def _types(self, key: str, request: Request) -> Reply:
        types = [{"id": one, "name": name, "subtask": False} for one, name in self.issue_types.items()]
        return self._page(key, self.types_key, types if "CREATE_ISSUES" in self.rights else [], request)

    def _fields(self, key: str, issue_type: str, request: Request) -> Reply:
        return self._page(key, self.fields_key, self.screen if issue_type in self.issue_types else [], request)

    def _page(self, key: str, name: str, rows: list[Any], request: Request) -> Reply:
        if key != self.project:
            return Reply(
                400, json={"errorMessages": [f"No project could be found with key '{key}'."], "errors": {}}
            )
        start, size = int(request.query["startAt"][0]), min(int(request.query["maxResults"][0]), 10)
        return Reply(
            json={"startAt": start, "maxResults": size, "total": len(rows), name: rows[start : start + size]}
        )

    # Issues

    def _create(self, request: Request) -> Reply:
        fields = request.json["fields"]
        errors = self._wrong(fields, {one["fieldId"] for one in self.screen}) | self._missing(fields)
        if "CREATE_ISSUES" not in self.rights:
            errors = {"project": NO_RIGHT}
        if errors:
            return Reply(400, json={"errorMessages": [], "errors": errors})
        number = len(self.issues) + 1
        one, key = str(10_000 + number), f"{self.project}-{number}"
        self.issues[one] = {
            "id": one,
            "key": key,
            "fields": {"labels": [], **fields, "status": self.status("To Do", "new")},
            "properties": {entry["key"]: entry["value"] for entry in request.json.get("properties", ())},
            "comments": [],
            "links": {},
            "files": [],
        }
        return Reply(
            201, json={"id": one, "key": key, "self": f"{self.base_url}/rest/api/{self.version}/issue/{one}"}
        )

    def _missing(self, fields: Mapping[str, Any]) -> dict[str, str]:
        needed = (one for one in self.screen if one["required"] and not one["hasDefaultValue"])
        return {one["fieldId"]: f"{one['name']} is required." for one in needed if one["fieldId"] not in fields}

    def _wrong(self, fields: Mapping[str, Any], known: set[str]) -> dict[str, str]:
        checks: dict[str, Callable[[Any], str]] = {
            "summary": lambda text: "Summary must be less than 255 characters." if len(text) > 254 else "",
            "description": self.wrong_text,
            "environment": self.wrong_text,
            "labels": lambda labels: next(
                (f"The label '{one}' contains spaces" for one in labels if " " in one), ""
            ),
            "project": lambda value: "" if value["key"] == self.project else "valid project is required",
            "issuetype": lambda value: (
                "" if value["name"] in self.issue_types.values() else "Specify a valid issue type"
            ),
        }
        errors = {}
        for name, value in fields.items():
            one = next((other for other in self.screen if other["fieldId"] == name), None)
            if name not in known or one is None:
                errors[name] = NOT_ON_SCREEN.format(name)
            elif words := checks.get(name, lambda _: "")(value) or self._wrong_value(one, value):
                errors[name] = words
        return errors

    def _wrong_value(self, one: Mapping[str, Any], value: Any) -> str:
        schema = one["schema"]
        if schema.get("custom") == TEXTAREA:
            return self.wrong_text(value)
        if schema["type"] == "array" and not isinstance(value, list):
            return "data was not an array"
        if schema["type"] == "number" and not isinstance(value, int | float):
            return "Specify a valid number"
        if schema["type"] == "user" and set(value) != {self.person_key}:
            return "expected a user"
        for item in value if schema["type"] == "array" else [value]:
            allowed = one.get("allowedValues") or ()
            if allowed and not any(
                isinstance(item, dict) and all(item[key] == choice.get(key) for key in item if key != "child")
                for choice in allowed
            ):
                return f"Option value '{item}' is not valid"
        return ""

    def _show(self, issue: Mapping[str, Any], request: Request) -> Reply:
        wanted = ",".join(request.query.get("fields", [""])).split(",")
        properties = ",".join(request.query.get("properties", [""])).split(",")
        fields = {**issue["fields"], "attachment": issue["files"]}
        return Reply(
            json={
                "id": issue["id"],
                "key": issue["key"],
                "fields": {name: fields.get(name) for name in wanted if name},
                "properties": {name: value for name, value in issue["properties"].items() if name in properties},
            }
        )

    def _edit(self, issue: dict[str, Any], request: Request) -> Reply:
        fields = request.json.get("fields", {})
        adds = [one["add"] for one in request.json.get("update", {}).get("labels", ())]
        errors = self._wrong(
            {**fields, **({"labels": adds} if adds else {})}, {one["fieldId"] for one in self.screen}
        )
        if errors:
            return Reply(400, json={"errorMessages": [], "errors": errors})
        issue["fields"].update(fields)
        issue["fields"]["labels"] = list(dict.fromkeys([*issue["fields"]["labels"], *adds]))
        return Reply(204)

    def _comment(self, issue: dict[str, Any], request: Request) -> Reply:
        if words := self.wrong_text(request.json["body"]):
            return Reply(400, json={"errorMessages": [], "errors": {"comment": words}})
        issue["comments"].append(request.json["body"])
        return Reply(201, json={"id": str(len(issue["comments"])), "body": request.json["body"]})

    def _attach(self, issue: dict[str, Any], request: Request) -> Reply:
        if request.headers.get("x-atlassian-token") != "no-check":
            return Reply(403, body=b"XSRF check failed")
        if "CREATE_ATTACHMENTS" not in self.rights:
            words = "You do not have permission to create attachments for this issue."
            return Reply(403, json={"errorMessages": [words], "errors": {}})
        rows = [
            {"id": str(len(issue["files"])), "filename": one.name, "size": len(one.content), "mimeType": one.type}
            for one in request.files
            if one.field == "file"
        ]
        issue["files"] += rows
        return Reply(200, json=rows)

    def _link(self, issue: dict[str, Any], request: Request) -> Reply:
        if "LINK_ISSUES" not in self.rights:
            return Reply(403, json={"errorMessages": ["No Link Issue Permission for issue"], "errors": {}})
        known = request.json["globalId"] in issue["links"]
        issue["links"][request.json["globalId"]] = request.json
        status = 201 if self.version == "3" and not known else 200  # Server's description knows no 201
        return Reply(status, json={"id": 10_000, "self": f"{self.base_url}/remotelink/10000"})

    def found(self, request: Request) -> list[dict[str, Any]]:
        """Return issues by label, or by words in the text as loosely as the index finds them."""
        jql = request.query["jql"][0]
        (label,) = re.findall(r'labels = "([^"]+)"', jql)
        (words,) = re.findall(r'description ~ "\\"([^"\\]+)\\""', jql)
        assert f'project = "{self.project}"' in jql
        hits = [
            issue
            for issue in self.issues.values()
            if issue["id"] not in self.hidden
            and (label in issue["fields"]["labels"] or words in json.dumps(issue["fields"]["description"]))
        ]
        return [self._show(issue, request).json for issue in hits]

    def finish(self, issue_id: str) -> None:
        """Let a person be done with an issue."""
        with self.lock:
            self.issues[issue_id]["fields"]["status"] = self.status("Done", "done")

    @staticmethod
    def status(name: str, category: str) -> dict[str, Any]:
        return {"name": name, "statusCategory": {"key": category}}

    @staticmethod
    def _words(issue: Mapping[str, Any]) -> str:
        return " ".join([*issue["fields"]["labels"], json.dumps(issue["fields"].get("description"))])


class FakeJiraCloud(FakeJira):
    """A site on atlassian.net, or the gateway."""

    version, types_key, fields_key, person_key = "3", "issueTypes", "fields", "accountId"

    def __init__(self) -> None:
        super().__init__()
        self.base_url = "https://example.atlassian.net"
        self.people = {"5b10aa": "ada@example.com", "5b10bb": ""}

    def signed_in(self, request: Request) -> bool:
        return request.headers.get("authorization") == "Basic " + b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()

    def own_routes(self, request: Request) -> dict[str, Callable[..., Reply]]:
        gone = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
        projects = {"values": [{"id": "10000", "key": self.project, "name": "Example"}], "isLast": True}
        return {
            r"(?:GET|POST) /search": lambda: Reply(410, json={"errorMessages": [gone], "errors": {}}),
            r"GET /search/jql": lambda: Reply(json={"issues": self.found(request), "isLast": True}),
            r"GET /project/search": lambda: Reply(json=projects),
        }

    def server_info(self) -> dict[str, Any]:
        return {"baseUrl": self.base_url, "version": "1001.0.0-SNAPSHOT", "deploymentType": "Cloud"}

    def person(self, name: str) -> dict[str, Any]:
        return {"accountId": name, "displayName": "Bridge Bot", "emailAddress": EMAIL}

    def assignable(self, request: Request) -> list[dict[str, Any]]:
        """Return people as loosely as Jira finds them: everybody for a query, hidden addresses included."""
        wanted = request.query.get("accountId", [""])[0]
        return [
            {"accountId": one, "displayName": one, **({"emailAddress": mail} if mail else {})}
            for one, mail in self.people.items()
            if not wanted or one == wanted
        ]

    def wrong_text(self, value: Any) -> str:
        if not isinstance(value, dict):
            return "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
        if len(json.dumps(value, ensure_ascii=False)) > 32_767:
            return "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
        validator = adf()
        problem = next(validator.iter_errors(value), None) if validator else None
        if problem:
            self.invalid.append(f"ADF: {problem.message[:500]}")
        return "INVALID_INPUT" if problem else ""

    def validate(self, request: Request, reply: Reply) -> None:
        description = described("jira_cloud.json", self.root)
        wrong = specs.problems(description, [(request, reply)]) if reply.status != 404 else []
        assert not wrong, wrong


class FakeJiraServer(FakeJira):
    """A Data Center instance with a personal access token."""

    version, types_key, fields_key, person_key = "2", "values", "values", "name"

    def __init__(self) -> None:
        super().__init__()
        self.server_version = "10.3.24"

    def signed_in(self, request: Request) -> bool:
        basic = "Basic " + b64encode(f"bot:{TOKEN}".encode()).decode()
        return request.headers.get("authorization") in {f"Bearer {TOKEN}", basic}

    def own_routes(self, request: Request) -> dict[str, Callable[..., Reply]]:
        def search() -> Reply:
            issues = self.found(request)
            return Reply(json={"startAt": 0, "maxResults": 50, "total": len(issues), "issues": issues})

        projects = [{"id": "10000", "key": self.project, "name": "Example"}]
        return {r"GET /search": search, r"GET /project": lambda: Reply(json=projects)}

    def server_info(self) -> dict[str, Any]:
        numbers = [int(part) for part in self.server_version.split(".")]
        shown = {"version": self.server_version, "versionNumbers": numbers}
        return {"baseUrl": self.base_url, "deploymentType": "Server", **shown}

    def person(self, name: str) -> dict[str, Any]:
        return {"name": name, "key": name, "displayName": "Bridge Bot"}

    def assignable(self, request: Request) -> list[dict[str, Any]]:
        wanted = request.query["username"][0]
        return [{"name": name, "key": name} for name in ("ada", "adam") if name.startswith(wanted)]

    def wrong_text(self, value: Any) -> str:
        if not isinstance(value, str):
            return "Operation value must be a string"
        too_long = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
        return too_long if len(value) > 32_767 else ""

    def validate(self, request: Request, reply: Reply) -> None:
        description = described("jira_server.json", f"{self.root}/rest")
        wrong = specs.problems(description, [(request, reply)]) if reply.status != 404 else []
        assert not wrong, wrong


@lru_cache
def adf() -> Draft4Validator | None:
    """Return Atlassian's own schema of documents, None where it is absent."""
    path = specs.FOLDER / "jira_cloud_adf.json"
    return Draft4Validator(json.loads(path.read_text("utf-8"))) if path.is_file() else None


@lru_cache
def described(filename: str, base_path: str) -> specs.Description | None:
    """Return the vendor's description, its known defects mended (`jira_server.source`)."""
    return specs.Description.load(filename, base_path, relaxed)


def relaxed(place: str, schema: Any) -> Any:
    """Mend: values declared as objects or texts that are any JSON; lists declared as one item."""
    name = place.rpartition("/")[2]
    loose: dict[str, tuple[str, ...]] = {
        "IssueUpdateBean": ("fields", "update"),
        "EntityPropertyBean": ("value",),
        "FieldMetaBean": ("allowedValues", "defaultValue"),
        "IssueBean": ("fields", "properties"),
    }
    if name in {"AttachmentJsonBean", "ProjectBean", "UserBean"}:
        return {"anyOf": [schema, {"type": "array", "items": schema}]}
    if name in loose and "properties" in schema:
        return {**schema, "properties": {**schema["properties"], **{key: {} for key in loose[name]}}}
    return schema
