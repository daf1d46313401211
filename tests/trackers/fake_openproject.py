"""OpenProject as far as the bridge talks to it: projects, forms, work packages, comments, files."""

from __future__ import annotations

import base64
import copy
import json
import re
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/openproject/api/v3"  # an instance under a path, as some self-hosted ones are
TOKEN = "opapi-secretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
NOW = "2026-01-05T09:00:00.000Z"
STATUSES = {1: ("New", False), 12: ("Closed", True)}
PRIORITIES = {7: "Low", 8: "Normal", 9: "High", 10: "Immediate"}
TYPES = {1: "Task", 7: "Bug"}
PEOPLE = {31: ("Alice Adams", "alice"), 32: ("Bob Brown", "bob")}
OPTIONS = {5: "S1", 6: "S2"}


def error(status: int, identifier: str, message: str, **details: Any) -> Reply:
    """Return an error as OpenProject words it."""
    data = {
        "_type": "Error",
        "errorIdentifier": f"urn:openproject-org:api:v3:errors:{identifier}",
        "message": message,
    }
    return Reply(status, json=data | ({"_embedded": details} if details else {}))


def invalid(attribute: str, message: str) -> Reply:
    """Return the refusal of one property."""
    return error(422, "PropertyConstraintViolation", message, details={"attribute": attribute})


NOT_FOUND = error(404, "NotFound", "The requested resource could not be found.")
CONFLICT = error(409, "UpdateConflict", "Could not update the resource because of conflicting modifications.")


@cache
def described() -> Description | None:
    """Return OpenProject's own description, without what its code and its own examples contradict."""
    loaded = Description.load("openproject.json")
    if loaded is None:
        return None
    document: dict[str, Any] = copy.deepcopy(dict(loaded.document))
    paths, schemas = document["paths"], document["components"]["schemas"]
    schemas["Formattable"]["required"] = []  # `raw` alone is enough, says the text
    create = paths["/api/v3/work_packages"]["post"]
    schema = {"allOf": [{"$ref": "#/components/schemas/WorkPackageWriteModel"}, {"required": ["_links"]}]}
    create["requestBody"]["content"]["application/json"]["schema"] = schema  # not the shape of the answer
    upload = paths["/api/v3/work_packages/{id}/attachments"]["post"]
    parts = {"properties": {"metadata": {}, "file": {}}, "required": ["metadata", "file"]}
    upload["requestBody"] = {"content": {"multipart/form-data": {"schema": parts}}}
    for operation in (create, upload):
        operation["responses"]["201"] = operation["responses"]["200"]
    paged = [{"name": name, "in": "query", "schema": {"type": "integer"}} for name in ("offset", "pageSize")]
    paths["/api/v3/projects"]["get"]["parameters"] += paged  # as its answer says
    return Description(document, PREFIX.removesuffix("/api/v3"))


class OpenProjectServer(FakeServer):
    """A few projects, one of which takes work packages.

    Attributes:
        projects: By number.
        packages: Work packages by number, with lists of their `comments` and `files`.
        rights: Links of the project that tell what the token's user may do.
        required: Whether the custom field `Severity` must have a value.
        generated: Whether the type `Bug` makes its own subjects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.projects = {3: ("Webshop", "webshop"), 4: ("Back office", "back-office")}
        self.active = True
        self.rights = ["createWorkPackage"]
        self.required = False
        self.generated = False
        self.packages: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[str]] = {}
        self.files: dict[int, list[dict[str, Any]]] = {}

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}/openproject"

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/work_packages")

    def markers(self) -> list[str]:
        with self.lock:
            texts = [each["description"]["raw"] for each in self.packages.values()]
        return [found[0] for text in texts if (found := MARKER.search(text))]

    def validate(self, request: Request, reply: Reply) -> None:
        if description := described():
            problems = description.check(request, reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        basic = "Basic " + base64.b64encode(f"apikey:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") not in {basic, f"Bearer {TOKEN}"}:
            return error(401, "Unauthenticated", "You need to be authenticated to access this resource.")
        match request.method, request.path.removeprefix(f"{PREFIX}/").split("/"):
            case "GET", ["users", "me"]:
                return Reply(json=self._user(31))
            case "GET", ["configuration"]:
                return Reply(json={"_type": "Configuration", "maximumAttachmentFileSize": 5_242_880})
            case "GET", ["projects"]:
                return self._page(request, [self._project(number) for number in self.projects])
            case "GET", ["projects", "3", *rest]:
                return self._in_project(request, rest)
            case "GET", ["statuses", number]:
                return Reply(json=self._status(int(number)))
            case "POST", ["work_packages", "form"]:
                return Reply(json=self._form(request.json))
            case "POST", ["work_packages"]:
                return self._create(request)
            case method, ["work_packages", number, *rest] if int(number) in self.packages:
                return self._package(method, int(number), rest, request)
        return NOT_FOUND

    def _in_project(self, request: Request, rest: list[str]) -> Reply:
        match rest:
            case []:
                return Reply(json=self._project(3))
            case ["available_assignees"]:
                return Reply(json=self._collection([self._user(number) for number in PEOPLE]))
            case ["work_packages"]:
                return self._page(request, self._found(request))
        return NOT_FOUND

    def _package(self, method: str, number: int, rest: list[str], request: Request) -> Reply:
        package = self.packages[number]
        match method, rest:
            case "GET", []:
                return Reply(json=package)
            case "POST", ["form"]:
                return Reply(json=self._form({"_links": {"type": package["_links"]["type"]}}))
            case "PATCH", []:
                if request.json["lockVersion"] != package["lockVersion"]:
                    return CONFLICT
                problem = self._set(package, request.json)
                package["lockVersion"] += 1
                return problem or Reply(json=package)
            case "POST", ["activities"]:
                self.comments.setdefault(number, []).append(request.json["comment"]["raw"])
                return Reply(201, json={"_type": "Activity::Comment", "id": 1})
            case "GET", ["attachments"]:
                return Reply(json=self._collection(self.files.get(number, [])))
            case "POST", ["attachments"]:
                return self._upload(number, request)
        return NOT_FOUND

    def _create(self, request: Request) -> Reply:
        asked = request.json
        if asked["_links"]["project"]["href"] != f"{PREFIX}/projects/3":
            return NOT_FOUND
        number = len(self.packages) + 1528
        links = {name: self._link("work_packages", number) for name in ("self", "schema", "author", "project")}
        links |= {"status": self._link("statuses", 1, "New"), "priority": self._link("priorities", 8, "Normal")}
        made = {
            "_type": "WorkPackage",
            "id": number,
            "lockVersion": 0,
            "subject": "Bug",
            "_links": {**links, "ancestors": []},
        }
        problem = self._set(made, asked)
        if problem is None:
            self.packages[number] = made
        return problem or Reply(201, json=made)

    def _set(self, package: dict[str, Any], asked: dict[str, Any]) -> Reply | None:
        if len(asked.get("subject", "x")) > 255:
            return invalid("subject", "Subject is too long (maximum is 255 characters).")
        if self.required and not package["_links"].get("customField8") and "customField8" not in asked["_links"]:
            return invalid("customField8", "Severity can't be blank.")
        package |= {name: value for name, value in asked.items() if name not in {"_links", "lockVersion"}}
        package["_links"] |= asked.get("_links", {})
        return None

    def _upload(self, number: int, request: Request) -> Reply:
        (file,) = request.files  # a file name for `metadata` would make it one
        name = re.sub(r"[^\w.-]", "_", json.loads(request.form["metadata"])["fileName"])
        links = {key: self._link("attachments", 42) for key in ("self", "container", "author", "downloadLocation")}
        made = {
            "id": 42, "fileName": name, "fileSize": len(file.content), "status": "uploaded", "createdAt": NOW,
            "description": {"format": "plain", "raw": "test IO", "html": ""}, "contentType": file.type,
            "digest": {"algorithm": "md5", "hash": "64c26a8403cd796ea4cf913cda2ee4a9"}, "_links": links,
        }  # fmt: skip
        self.files.setdefault(number, []).append(made)
        return Reply(201, json=made)

    def _found(self, request: Request) -> list[dict[str, Any]]:
        (condition,) = json.loads(request.query["filters"][0])
        assert condition["description"]["operator"] == "~"
        (word,) = condition["description"]["values"]
        return [each for each in self.packages.values() if word in each["description"]["raw"]]

    def _form(self, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = (asked["_links"].get("type") or {}).get("href", "")
        link = "_links"
        schema = {
            "_type": "Schema",
            "_links": {"self": {"href": None}},
            "_dependencies": [],
            "subject": self._property("String", "Subject", required=True, writable=not self.generated),
            "description": self._property("Formattable", "Description"),
            "project": self._property("Project", "Project", required=True, location=link),
            "parent": self._property("WorkPackage", "Parent", location=link),
            "dueDate": self._property("Date", "Finish date"),
            "type": self._property("Type", "Type", self._links("types", TYPES), required=True, location=link),
            "priority": self._property(
                "Priority", "Priority", self._links("priorities", PRIORITIES), location=link
            ),
            "assignee": self._property(
                "User", "Assignee", {"href": f"{PREFIX}/projects/3/available_assignees"}, location=link
            ),
        }
        if chosen.endswith("/types/7"):
            options = self._links("custom_options", OPTIONS)
            schema |= {
                "customField7": self._property("String", "test IO bug"),
                "customField8": self._property(
                    "CustomOption", "Severity", options, required=self.required, location=link
                ),
                "customField9": self._property("[]CustomOption", "Found on", options, location=link),
                "customField10": self._property("Integer", "Cost"),
                "customField11": self._property("Boolean", "Urgent"),
                "customField12": self._property("Float", "Weight"),
                "customField13": self._property("Formattable", "Notes"),
            }
        return {
            "_type": "Form",
            "_embedded": {"payload": {}, "schema": schema, "validationErrors": {}},
            "_links": {},
        }

    def _property(self, kind: str, name: str, allowed: Any = None, **more: Any) -> dict[str, Any]:
        described = {
            "type": kind,
            "name": name,
            "required": False,
            "hasDefault": kind == "Priority",
            "writable": True,
        }
        return {**described, **more, **({"_links": {"allowedValues": allowed}} if allowed else {})}

    def _links(self, collection: str, values: dict[int, str]) -> list[dict[str, str]]:
        return [self._link(collection, number, title) for number, title in values.items()]

    def _link(self, collection: str, number: int, title: str = "") -> dict[str, str]:
        return {"href": f"{PREFIX}/{collection}/{number}", **({"title": title} if title else {})}

    def _project(self, number: int) -> dict[str, Any]:
        name, identifier = self.projects[number]
        own = {name: self._link("projects", number) for name in ("self", "categories", *self.rights)}
        facts = {"id": number, "name": name, "identifier": identifier, "active": self.active}
        return {"_type": "Project", **facts, "_links": own}

    def _user(self, number: int) -> dict[str, Any]:
        name, login = PEOPLE[number]
        own = {"self": self._link("users", number, name)}
        return {"_type": "User", "id": number, "name": name, "login": login, "avatar": "", "_links": own}

    def _status(self, number: int) -> dict[str, Any]:
        name, closed = STATUSES[number]
        own = {"self": self._link("statuses", number, name)}
        return {"_type": "Status", "id": number, "name": name, "isClosed": closed, "_links": own}

    def _collection(self, elements: list[Any]) -> dict[str, Any]:
        counts = {"total": len(elements), "count": len(elements)}
        return {
            "_type": "Collection",
            **counts,
            "_links": {"self": {"href": "/"}},
            "_embedded": {"elements": elements},
        }

    def _page(self, request: Request, elements: list[Any]) -> Reply:
        size, offset = min(int(request.query["pageSize"][0]), 2), int(request.query["offset"][0])
        shown = self._collection(elements[(offset - 1) * size : offset * size]) | {"total": len(elements)}
        shown |= {"pageSize": size, "offset": offset}
        shown["_links"] |= {"jumpTo": {"href": "/"}, "changeSize": {"href": "/"}}
        return Reply(json=shown)
