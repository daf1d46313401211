"""Rally as far as the bridge talks to it: two workspaces, a few projects, and a strict reader of queries.

There is no description by the vendor; what is checked here is what the sheet of facts says.
"""

from __future__ import annotations

import re
from typing import Any

from bridge.testing import FakeServer, Reply, Request

KEY = "_abcdefGHIJKLmnopSecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
WORKSPACE, PROJECT = "1111", "2222"
COMPARISON = re.compile(r'\((\w+) (=|contains|>=) "([^"]*)"\)')
FIELDS = {
    "Name": "Name",
    "Description": "Description",
    "Project": "Project",
    "Severity": "Severity",
    "Priority": "Priority",
    "State": "State",
    "Schedule State": "ScheduleState",
    "Tags": "Tags",
    "Owner": "Owner",
    "Requirement": "Requirement",
    "Parent": "Parent",
    "Iteration": "Iteration",
    "Environment": "Environment",
    "test IO bug": "c_TestIObug",
    "Found By": "c_FoundBy",
}
"""What people call a field, and what the API calls it."""
VALUES = {
    "Severity": ["None", "Crash/Data Loss", "Major Problem", "Minor Problem", "Cosmetic"],
    "Priority": ["None", "Resolve Immediately", "High Attention", "Normal", "Low"],
    "State": ["Submitted", "Open", "Fixed", "Closed"],
}
CREATED = {
    "defect": "Defect",
    "hierarchicalrequirement": "HierarchicalRequirement",
    "tag": "Tag",
    "conversationpost": "ConversationPost",
    "attachment": "Attachment",
    "attachmentcontent": "AttachmentContent",
}


def errors(*words: str, kind: str = "CreateResult", status: int = 200) -> Reply:
    """Return a refusal: in Rally status 200."""
    return Reply(status, json={kind: {"Errors": list(words), "Warnings": []}})


class Query:
    """A condition in Rally's language: comparisons in parentheses, joined in pairs."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.matches = self._read()
        assert self._at == len(text), f"cannot be parsed: {text} at {self._at}"

    def _read(self) -> Any:
        if found := COMPARISON.match(self._text, self._at):
            self._at = found.end()
            field, operator, value = found.groups()
            return lambda each: _holds(str(each.get(field, "")), operator, value)
        self._expect("(")
        first = self._read()
        word = "AND" if self._text.startswith(" AND ", self._at) else "OR"
        self._expect(f" {word} ")
        second = self._read()
        self._expect(")")
        if word == "AND":
            return lambda each: first(each) and second(each)
        return lambda each: first(each) or second(each)

    def _expect(self, text: str) -> None:
        assert self._text.startswith(text, self._at), f"cannot be parsed: {self._text} at {self._at}"
        self._at += len(text)


def _holds(told: str, operator: str, value: str) -> bool:
    if operator == "contains":
        return value in told
    return told >= value if operator == ">=" else told == value


class RallyServer(FakeServer):
    """A subscription.

    Attributes:
        objects: Everything that exists, by type and id.
        fields: What issues have.
        required: Fields that must be filled.
        may_tag: Whether the key's user may make tags.
    """

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            "workspace": {WORKSPACE: {"Name": "Acme"}, "1112": {"Name": "Lab"}},
            "project": {
                PROJECT: {"Name": "Webshop", "State": "Open"},
                "2223": {"Name": "Apps", "State": "Open"},
                "2224": {"Name": "Old", "State": "Closed"},
            },
            "tag": {"55": {"Name": "crowd", "Archived": "false"}},
            "user": {
                "333": {"DisplayName": "Alice Doe", "UserName": "alice", "EmailAddress": "alice@acme.example", "Disabled": "false"},
                "334": {"DisplayName": "Bob Doe", "UserName": "bob", "EmailAddress": "", "Disabled": "true"},
            },
            "iteration": {"77": {"Name": "Sprint 7"}},
            "hierarchicalrequirement": {"88": {"FormattedID": "US12", "Name": "Pay"}},
            "typedefinition": {"99": {"ElementName": "Defect"}, "98": {"ElementName": "HierarchicalRequirement"}},
        }  # fmt: skip
        self.fields = dict(FIELDS)
        self.required = {"c_FoundBy": False}
        self.may_tag = True
        self.page = 2000
        self._next = 987654321

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path.endswith(
            ("/defect/create", "/hierarchicalrequirement/create")
        )

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for each in self.issues() if (found := MARKER.search(each.get("Description", "")))]

    def issues(self) -> list[dict[str, Any]]:
        """Return every issue that the bridge made."""
        kinds = ("defect", "hierarchicalrequirement")
        return [each for kind in kinds for each in self.objects.get(kind, {}).values() if "Description" in each]

    def validate(self, request: Request, reply: Reply) -> None:
        assert request.headers["x-rallyintegrationname"], "Rally asks integrations for it"
        assert not request.path.endswith(".js"), "that is of version 1"
        if query := request.query.get("query"):
            Query(query[0])
        assert int(request.query.get("pagesize", ["1"])[0]) <= 2000

    def respond(self, request: Request) -> Reply:
        prefix = "/slm/webservice/v2.0/"
        if not request.path.startswith(prefix):
            return Reply(302, headers={"Location": "/login"})
        if request.headers.get("zsessionid") != KEY:
            page = b"<html><body>Error 401 Full authentication is required to access this resource</body></html>"
            return Reply(401, body=page, headers={"Content-Type": "text/html"})
        path = request.path.removeprefix(prefix).split("/")
        return self._get(request, path) if request.method == "GET" else self._post(request, path)

    def _get(self, request: Request, path: list[str]) -> Reply:
        match path:
            case ["user"] if "query" not in request.query:
                return Reply(json={"User": {"UserName": "bridge", "Errors": [], "Warnings": []}})
            case [kind]:
                return self._query(request, kind, list(self.objects.get(kind, {}).items()))
            case ["typedefinition", _, "Attributes"]:
                return self._query(request, "attributedefinition", self._attributes())
            case ["attributedefinition", name, "AllowedValues"]:
                values = [(str(index), {"StringValue": value}) for index, value in enumerate(VALUES[name])]
                return self._query(request, "allowedattributevalue", values)
            case [kind, id_, "Tags"]:
                tags = [each["_ref"].rpartition("/")[2] for each in self.objects[kind][id_].get("Tags", ())]
                return self._query(request, "tag", [(tag, self.objects["tag"][tag]) for tag in tags])
        kind, id_ = path
        return self._read(kind, id_)

    def _post(self, request: Request, path: list[str]) -> Reply:
        kind, id_ = path
        return self._create(kind, request.json) if id_ == "create" else self._update(kind, id_, request.json)

    def _attributes(self) -> list[tuple[str, dict[str, Any]]]:
        base = f"{self.url}/slm/webservice/v2.0/attributedefinition"
        return [
            (
                element,
                {
                    "Name": name,
                    "ElementName": element,
                    "Required": self.required.get(element, element == "Name"),
                    "ReadOnly": False,
                    "AllowedValues": {
                        "_ref": f"{base}/{element}/AllowedValues",
                        "Count": len(VALUES.get(element, ())),
                    },
                },
            )
            for name, element in self.fields.items()
        ]

    def _query(self, request: Request, kind: str, objects: list[tuple[str, dict[str, Any]]]) -> Reply:
        if "project" in request.query:
            where = request.query["project"][0]
            objects = [(id_, each) for id_, each in objects if each.get("Project", where) == where]
        if query := request.query.get("query"):
            objects = [(id_, each) for id_, each in objects if Query(query[0]).matches(each)]
        start, size = int(request.query["start"][0]) - 1, min(self.page, int(request.query["pagesize"][0]))
        wanted = request.query["fetch"][0].split(",")
        results = [
            {"_ref": self._ref(kind, id_)} | {name: each.get(name) for name in wanted}
            for id_, each in objects[start : start + size]
        ]
        told = {"TotalResultCount": len(objects), "StartIndex": start + 1, "PageSize": size, "Results": results}
        return Reply(json={"QueryResult": {"Errors": [], "Warnings": [], **told}})

    def _read(self, kind: str, id_: str) -> Reply:
        if id_ not in self.objects.get(kind, {}):
            return errors("Cannot find object to read", kind="OperationResult")
        name = CREATED.get(kind, kind.title())
        return Reply(json={name: {**self.objects[kind][id_], "Errors": [], "Warnings": []}})

    def _create(self, kind: str, body: Any) -> Reply:
        ((name, values),) = body.items()
        assert name == CREATED[kind]
        if kind == "tag" and not self.may_tag:
            return errors("Not authorized to create: Tag")
        if problem := self._problem(kind, values):
            return errors(problem)
        self._next += 1
        id_ = str(self._next)
        kept, warnings = self._kept(kind, values)
        own = {"FormattedID": f"DE{self._next - 987654279}", "CreationDate": "2026-01-05T09:00:00.000Z"}
        default = {"State": "Submitted", "ScheduleState": "Defined", "Archived": "false"}
        self.objects.setdefault(kind, {})[id_] = default | own | kept
        told = {"_ref": self._ref(kind, id_), "_type": name, "ObjectID": int(id_), **own}
        return Reply(json={"CreateResult": {"Errors": [], "Warnings": warnings, "Object": told}})

    def _update(self, kind: str, id_: str, body: Any) -> Reply:
        ((name, values),) = body.items()
        assert name == CREATED[kind]
        if id_ not in self.objects.get(kind, {}):
            return errors("Cannot find object to update", kind="OperationResult")
        if problem := self._problem(kind, {"Name": "x", **values}):
            return errors(problem, kind="OperationResult")
        kept, warnings = self._kept(kind, values)
        self.objects[kind][id_] |= kept
        told = {"_ref": self._ref(kind, id_)}
        return Reply(json={"OperationResult": {"Errors": [], "Warnings": warnings, "Object": told}})

    def _kept(self, kind: str, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return what Rally keeps, and its warnings for what it drops."""
        if kind not in {"defect", "hierarchicalrequirement"}:
            return values, []
        known = {name: value for name, value in values.items() if name in self.fields.values()}
        told = "Ignored JSON element {}.{} during processing of this request."
        return known, [told.format(kind, name) for name in values if name not in known]

    def _problem(self, kind: str, values: dict[str, Any]) -> str:
        """Return what Rally refuses: values and references that it does not know, what is missing or too long."""
        if kind in {"conversationpost", "attachment"}:
            return self._missing("Artifact", values["Artifact"])
        if kind not in {"defect", "hierarchicalrequirement"}:
            return ""
        if not values.get("Name") or len(values["Name"]) > 256:
            return "Validation error: Defect.Name should not be null" if not values.get("Name") else "too long"
        if len(values.get("Description", "")) > 32768:
            return "Validation error: Defect.Description length is greater than the maximum length of 32768"
        for name, allowed in VALUES.items():
            if values.get(name, allowed[0]) not in allowed:
                return f"Could not set value for {name}: {values[name]} is not an allowed value"
        for name in ("Project", "Owner", "Requirement", "Iteration"):
            if name in values and (problem := self._missing(name, values[name])):
                return problem
        return next((p for tag in values.get("Tags", ()) if (p := self._missing("Tags", tag["_ref"]))), "")

    def _missing(self, name: str, reference: str) -> str:
        assert reference.startswith("/"), f"{name} is no reference: {reference}"
        _, kind, id_ = reference.split("/")
        return (
            ""
            if id_ in self.objects.get(kind, {})
            else f"Could not set value for {name}: Cannot find object to read"
        )

    def _ref(self, kind: str, id_: str) -> str:
        return f"{self.url}/slm/webservice/v2.0/{kind}/{id_}"
