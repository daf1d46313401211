"""Azure DevOps as far as the bridge talks to it: work items of one project, their types, fields, tags and files."""

from __future__ import annotations

import base64
import copy
import re
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

COLLECTION = "/tfs/DefaultCollection"  # of a server under a path, as some are
PREFIX = f"{COLLECTION}/Webshop/_apis/wit"
TOKEN = "patsecretsecretsecretsecret"
SECRET = "entra-secret-of-the-principal"
SIGN_IN_PATH = "/acme-tenant/oauth2/v2.0/token"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
REPRO, SEVERITY = "Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.Common.Severity"
PRIORITY = "Microsoft.VSTS.Common.Priority"
PEOPLE = {"alice@acme.example", "Alice Adams"}
AREAS = {"Webshop", "Webshop\\Checkout"}
STATES = [("New", "Proposed"), ("Active", "InProgress"), ("Resolved", "Resolved"), ("Closed", "Completed")]
COMMON: dict[str, tuple[str, list[Any]]] = {
    "System.Title": ("Title", []),
    "System.Description": ("Description", []),
    "System.AreaPath": ("Area Path", []),
    PRIORITY: ("Priority", ["1", "2", "3", "4"]),
    "Custom.TestIO": ("test IO", []),
    "Custom.FoundIn": ("Found In", ["Staging", "Production"]),
}
FIELDS = {
    "Bug": COMMON | {
        REPRO: ("Repro Steps", []),
        SEVERITY: ("Severity", ["1 - Critical", "2 - High", "3 - Medium", "4 - Low"]),
        "Custom.Points": ("Points", []),
    },
    "User Story": COMMON,
}  # fmt: skip


@cache
def described() -> Description | None:
    """Return the vendor's document without what its own recorded examples contradict.

    Lists come as `{"count": ..., "value": [...]}`; values that are any JSON are typed as objects; an upload is
    answered with 201; the team in the address of a query may be left out, as its own mark says.
    """
    loaded = Description.load("azure_devops.json", "/tfs", mended)
    if loaded is None:
        return None
    paths = copy.deepcopy(dict(loaded.document["paths"]))
    upload = paths["/{organization}/{project}/_apis/wit/attachments"]["post"]
    upload["responses"]["201"] = upload["responses"]["200"]
    upload["parameters"] = [each for each in upload["parameters"] if each.get("in") != "body"]  # bytes
    paths["/{organization}/{project}/_apis/wit/wiql"] = paths["/{organization}/{project}/{team}/_apis/wit/wiql"]
    return Description({**loaded.document, "paths": paths}, "/tfs", mended)


def mended(place: str, schema: Any) -> Any:
    """Return the schema of one place as it really is."""
    if schema and schema.get("type") == "array" and " answer " in place:
        count = {"count": {"type": "integer"}, "value": schema}
        return {"type": "object", "properties": count, "required": ["count", "value"]}
    match place.rpartition("/")[2]:
        case "JsonPatchDocument":
            return schema["allOf"][0]
        case "JsonPatchOperation":
            return {**schema, "properties": {**schema["properties"], "value": {}}}
        case "WorkItem" | "Link":
            name = "fields" if place.endswith("WorkItem") else "attributes"
            return {**schema, "properties": {**schema["properties"], name: {"type": "object"}}}
        case "WorkItemTypeFieldWithReferences":
            values = {"allowedValues": {"type": "array"}, "defaultValue": {}}
            return {**schema, "properties": {**schema["properties"], **values}}
    return schema


def refusal(status: int, message: str, key: str = "VssServiceException", **custom: Any) -> Reply:
    """Return a refusal in Azure DevOps' form."""
    more = {"customProperties": custom} if custom else {}
    body = {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeKey": key,
        "errorCode": 0,
        "eventId": 3200,
    }
    return Reply(status, json={**body, **more})


def broken_rule(field: str, words: str) -> Reply:
    """Return the refusal of a value by a rule of the process."""
    told = f"TF401320: Rule Error for field {field.rpartition('.')[2]}. Error code: {words}"
    errors = [{"fieldReferenceName": field, "fieldStatusFlags": words, "errorMessage": told}]
    return refusal(400, told, "RuleValidationException", FieldReferenceName=field, RuleValidationErrors=errors)


SIGN_IN = Reply(203, body=b"<html>Sign in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
NO_ITEM = refusal(
    404, "TF401232: Work item 300 does not exist, or you do not have permissions to read it.",
    "WorkItemUnauthorizedAccessException",
)  # fmt: skip
NO_PROJECT = refusal(404, "TF200016: The following project does not exist: Wbshop.", "ProjectDoesNotExist")


class AzureDevOpsServer(FakeServer):
    """One project.

    Attributes:
        items: Work items by number, as they are shown.
        history: What was said in discussions.
        tags: Those of the project.
        bearers: Access tokens that service principals were given.
        required: Fields of a bug that the process wants.
        private: Whether the token may not list projects and tags.
    """

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[int, dict[str, Any]] = {}
        self.history: list[str] = []
        self.tags = ["crowd"]
        self.bearers: list[str] = []
        self.required: set[str] = set()
        self.private = False
        self.read_only = False

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}{COLLECTION}"

    def is_create(self, request: Request) -> bool:
        return self._rehearses(request) is False

    def markers(self) -> list[str]:
        with self.lock:
            bodies = [
                item["fields"].get(REPRO) or item["fields"]["System.Description"] for item in self.items.values()
            ]
        return [found[0] for body in bodies if (found := MARKER.search(body))]

    def validate(self, request: Request, reply: Reply) -> None:
        foreign = request.path == SIGN_IN_PATH or reply is SIGN_IN
        if not foreign and (description := described()):
            problems = description.check(request, reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        basic = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()
        if request.path == SIGN_IN_PATH:
            return self._signed_in(request.form)
        if request.headers.get("authorization") not in {basic, *(f"Bearer {each}" for each in self.bearers)}:
            return SIGN_IN
        assert request.headers["x-tfs-fedauthredirect"] == "Suppress"
        if request.path == f"{COLLECTION}/_apis/projects":
            projects = [{"name": name} for name in ("Webshop", "Office")]
            return refusal(403, "Access denied") if self.private else listed(projects)
        if not request.path.startswith(f"{PREFIX}/"):
            return NO_PROJECT
        path = request.path.removeprefix(f"{PREFIX}/").split("/")
        return self._looked_up(request, path) or self._done(request, path)

    def _signed_in(self, form: dict[str, str]) -> Reply:
        """Answer as Entra does."""
        assert form["grant_type"] == "client_credentials"
        assert form["scope"].endswith("/.default")
        if form["client_secret"] != SECRET:
            told = "AADSTS7000215: Invalid client secret provided."
            return Reply(401, json={"error": "invalid_client", "error_description": told})
        self.bearers.append(f"entra-access-token-{len(self.bearers)}")
        return Reply(json={"token_type": "Bearer", "expires_in": 3599, "access_token": self.bearers[-1]})

    def _looked_up(self, request: Request, path: list[str]) -> Reply | None:
        match request.method, path:
            case "GET", ["workitemtypes"]:
                types = [{"name": name, "isDisabled": False} for name in FIELDS]
                return listed([*types, {"name": "Old", "isDisabled": True}])
            case "GET", ["workitemtypes", kind, "fields"]:
                return listed(self._described(kind.replace("%20", " ")))
            case "GET", ["workitemtypes", _, "states"]:
                return listed(
                    [{"name": name, "color": "b2b2b2", "category": category} for name, category in STATES]
                )
            case "GET", ["fields"]:
                return listed([{"name": name, "referenceName": own} for own, (name, _) in FIELDS["Bug"].items()])
            case "GET", ["tags"]:
                return (
                    refusal(403, "Access denied") if self.private else listed([{"name": tag} for tag in self.tags])
                )
            case "GET", ["classificationnodes"]:
                return self._places()
            case "POST", ["wiql"]:
                return self._search(request.json["query"])
            case "POST", ["workitemsbatch"]:
                return self._batch(request.json)
        return None

    def _done(self, request: Request, path: list[str]) -> Reply:
        match request.method, path:
            case "POST", ["workitems", _]:
                kind = path[1].removeprefix("$").replace("%20", " ")
                return self._create(kind, request)
            case "POST", ["attachments"]:
                url = f"{self.address}/_apis/wit/attachments/a5cedde4-2dd5-4fcf-befe-fd0977dd3433"
                name = request.query["fileName"][0]
                self._size = len(request.body)
                return Reply(201, json={"id": url[-36:], "url": f"{url}?fileName={name}"})
            case "GET", ["workitems", number] if int(number) in self.items:
                return self._shown(self.items[int(number)], request)
            case "PATCH", ["workitems", number] if int(number) in self.items:
                return self._change(self.items[int(number)], request.json)
        return NO_ITEM

    def _rehearses(self, request: Request) -> bool | None:
        """Return whether a create is to save nothing; None where it is no create."""
        if request.method != "POST" or not request.path.startswith(f"{PREFIX}/workitems/$"):
            return None
        return request.query.get("validateOnly") == ["true"]

    def _create(self, kind: str, request: Request) -> Reply:
        number = len(self.items) + 300
        fields = {"System.WorkItemType": kind, "System.State": "New", "System.TeamProject": "Webshop"}
        item: dict[str, Any] = {"id": number, "rev": 0, "fields": fields, "relations": []}
        if self.read_only:
            told = "TF237111: The current user does not have permissions to save work items under the specified area path."
            return refusal(400, told)
        missing = (
            [] if kind != "Bug" else [own for own in self.required if f"/fields/{own}" not in str(request.json)]
        )
        if missing:
            return broken_rule(missing[0], "Required, HasValues, InvalidEmpty.")
        reply = self._change(item, request.json)
        if reply.status == 200 and not self._rehearses(request):
            self.items[number] = item
        return reply

    def _change(self, item: dict[str, Any], changes: list[dict[str, Any]]) -> Reply:
        """Apply a JSON Patch: all of it, or nothing."""
        changed = copy.deepcopy(item)
        for change in changes:
            problem = self._apply(changed, change)
            if problem:
                return problem
        changed["rev"] += 1
        item |= changed
        return Reply(json=item | {"url": f"{self.address}/_apis/wit/workItems/{item['id']}"})

    def _apply(self, item: dict[str, Any], change: dict[str, Any]) -> Reply | None:
        match change["op"], change["path"].strip("/").split("/"):
            case "test", ["rev"]:
                if change["value"] != item["rev"]:
                    return refusal(412, "VS403351: Test Operation for path /rev failed.", "PatchOperationFailed")
            case "add", ["fields", "System.History"]:
                self.history.append(change["value"])
            case "add", ["fields", name]:
                if problem := self._invalid(item["fields"]["System.WorkItemType"], name, change["value"]):
                    return problem
                item["fields"][name] = change["value"]
            case "add", ["relations", "-"]:
                item["relations"].append(self._relation(change["value"]))
            case "remove", ["relations", at]:
                del item["relations"][int(at)]
            case _:
                return refusal(
                    400, f"You must pass a valid patch document: {change}", "VssPropertyValidationException"
                )
        return None

    def _relation(self, value: dict[str, Any]) -> dict[str, Any]:
        if value["rel"] != "AttachedFile":
            return value
        about = {"name": value["url"].partition("fileName=")[2], "resourceSize": self._size}
        return {**value, "attributes": {**value["attributes"], **about}}

    def _invalid(self, kind: str, name: str, value: Any) -> Reply | None:
        known = {"System.Tags", "System.AssignedTo", "System.IterationPath", *FIELDS[kind]}
        if name not in known:
            return refusal(
                400, f"TF51535: Cannot find field {name}.", "WorkItemTrackingFieldDefinitionNotFoundException"
            )
        if name == "System.Title" and len(value) > 255:
            return broken_rule(name, "InvalidTooLong.")
        if name == "System.AssignedTo" and value not in PEOPLE:
            told = f"The identity value '{value}' for field 'Assigned To' is an unknown identity."
            return refusal(400, told, "WorkItemFieldInvalidException", ReferenceName=name)
        if name == "System.AreaPath" and value not in AREAS:
            told = f"TF401347: Invalid tree name given for work item -1, field '{name}'."
            return refusal(400, told, "WorkItemInvalidTreeName")
        allowed = FIELDS[kind].get(name, ("", []))[1]
        if allowed and str(value) not in allowed:
            return broken_rule(name, "HasValues, LimitedToValues, InvalidNotInAllowedValues.")
        return None

    def _shown(self, item: dict[str, Any], request: Request) -> Reply:
        if wanted := request.query.get("fields"):
            assert "$expand" not in request.query
            fields = {name: item["fields"][name] for name in wanted[0].split(",")}
            return Reply(json={"id": item["id"], "rev": item["rev"], "fields": fields})
        return Reply(json=item)

    def _search(self, query: str) -> Reply:
        """Find more than was asked for: parts of tags and of fields."""
        assert "[System.TeamProject] = @project" in query
        found = re.findall(r"\[([\w.]+)\] (?:CONTAINS|=) '([^']+)'", query)
        hits = [
            {"id": number, "url": f"{self.address}/_apis/wit/workItems/{number}"}
            for number, item in self.items.items()
            if any(words in item["fields"].get(name, "") for name, words in found)
        ]
        return Reply(json={"queryType": "flat", "queryResultType": "workItem", "workItems": hits})

    def _batch(self, wanted: dict[str, Any]) -> Reply:
        items = [self.items[number] for number in wanted["ids"]]
        names = wanted["fields"]
        shown = [
            {
                "id": item["id"],
                "rev": 1,
                "fields": {name: item["fields"][name] for name in names if name in item["fields"]},
            }
            for item in items
        ]
        return listed(shown)

    def _described(self, kind: str) -> list[dict[str, Any]]:
        return [
            {
                "name": name, "referenceName": own, "alwaysRequired": own in self.required or own == "System.Title",
                "allowedValues": allowed, "defaultValue": "2" if own == PRIORITY else None,
            }
            for own, (name, allowed) in FIELDS[kind].items()
        ]  # fmt: skip

    def _places(self) -> Reply:
        area = {
            "name": "Webshop",
            "structureType": "area",
            "children": [{"name": "Checkout", "structureType": "area"}],
        }
        return listed([area, {"name": "Webshop", "structureType": "iteration"}])


def listed(values: list[Any]) -> Reply:
    """Return a list in its wrapping."""
    return Reply(json={"count": len(values), "value": values})
