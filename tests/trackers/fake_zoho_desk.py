"""Zoho Desk as far as the bridge talks to it: one portal, its departments and agents, and tickets."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from bridge.testing import Reply, Request
from tests.trackers.fake_zoho import ACCOUNTS, ZohoServer
from tests.trackers.specs import Description

PREFIX = "/api/v1"
ORGANIZATION, DEPARTMENT, AGENT = "2389290", "1892000000006907", "1892000000056007"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
BLANK_IN_SEARCH = [
    "accountId",
    "assignee",
    "closedTime",
    "contact",
    "customerResponseTime",
    "department",
    "dueDate",
    "email",
    "entitySkills",
    "lastThread",
    "language",
    "modifiedBy",
    "onholdTime",
    "phone",
    "product",
    "productId",
    "resolution",
    "responseDueDate",
    "secondaryContacts",
    "sharedDepartments",
    "slaId",
    "subCategory",
    "team",
    "teamId",
    "layoutId",
    "createdBy",
    "customFields",
]
BLANK_IN_TICKET = [
    "approvalCount",
    "attachmentCount",
    "channelCode",
    "channelRelatedInfo",
    "createdTime",
    "isDeleted",
    "isResponseOverdue",
    "isTrashed",
    "layoutDetails",
    "source",
    "taskCount",
    "timeEntryCount",
]


def error(status: int, code: str, message: str, **fields: str) -> Reply:
    """Return a refusal as Desk words it."""
    told = [{"fieldName": f"/{name}", "errorType": kind, "errorMessage": ""} for name, kind in fields.items()]
    return Reply(status, json={"errorCode": code, "message": message, **({"errors": told} if told else {})})


NOT_FOUND = error(404, "URL_NOT_FOUND", "The URL given is not found.")
STRANGER = error(401, "INVALID_OAUTH", "The OAuth Token you provided is invalid.")


@cache
def described() -> Description | None:
    """Return the vendor's own description."""
    return Description.load("zoho_desk.json")


class ZohoDeskServer(ZohoServer):
    """One portal.

    Attributes:
        enabled: Whether the department is.
        lists_agents: Whether the token's scopes let agents be listed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enabled = True
        self.lists_agents = True
        self.tickets: dict[str, dict[str, Any]] = {}
        self.comments: list[dict[str, Any]] = []
        self.files: dict[str, list[dict[str, Any]]] = {}

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/tickets")

    def markers(self) -> list[str]:
        with self.lock:
            return [MARKER.findall(each["subject"])[-1] for each in self.tickets.values()]

    def validate(self, request: Request, reply: Reply) -> None:
        """Zoho Accounts and agents are not in the description, and `orgId` is in the query there."""
        if request.path in {ACCOUNTS, f"{PREFIX}/agents"} or reply.status in {401, 404}:
            return
        query = {**request.query, "orgId": [request.headers.get("orgid", ORGANIZATION)]}
        if description := described():
            assert not (problems := description.check(replace(request, query=query), reply)), problems

    def stranger(self) -> Reply:
        return STRANGER

    def product(self, request: Request) -> Reply:
        path = request.path.removeprefix(PREFIX).strip("/").split("/")
        if path == ["organizations"]:
            return Reply(json={"data": [_organization()]})
        if request.headers.get("orgid") != ORGANIZATION:
            return error(403, "OAUTH_ORG_MISMATCH", "The OrgId in the header does not match the token's.")
        match request.method, path:
            case "GET", ["departments"]:
                return _page(request, [self._department()])
            case "GET", ["departments", number] if number == DEPARTMENT:
                return Reply(json=self._department())
            case "GET", ["agents"]:
                ann = {"id": AGENT, "name": "Ann Able", "emailId": "ann@acme.example"}
                denied = error(403, "SCOPE_MISMATCH", "The access token does not have the scope.")
                return _page(request, [ann]) if self.lists_agents else denied
            case "GET", ["tickets", "search"]:
                return self._search(request)
            case "POST", ["tickets"]:
                return self._create(request)
            case method, ["tickets", number, *rest] if number in self.tickets:
                return self._ticket(method, number, rest, request)
        return NOT_FOUND

    def _department(self) -> dict[str, Any]:
        names = {"name": "QA", "nameInCustomerPortal": "QA", "sanitizedName": "qa", "description": ""}
        flags = {"isAssignToTeamEnabled": False, "hasLogo": False, "isVisibleInCustomerPortal": True}
        more: dict[str, Any] = {
            "associatedAgentIds": [AGENT],
            "isDefault": True,
            "isEnabled": self.enabled,
            "chatStatus": "DISABLED",
            "creatorId": AGENT,
        }
        return {"id": DEPARTMENT, "createdTime": "2025-01-01T00:00:00.000Z", **names, **flags, **more}

    def _create(self, request: Request) -> Reply:
        asked = request.json
        if asked["departmentId"] != DEPARTMENT:
            return error(
                422, "INVALID_DATA", "The data is invalid due to validation restrictions", departmentId="invalid"
            )
        number = f"189200000004{2034 + len(self.tickets)}"
        ticket = {
            "id": number, "ticketNumber": str(176 + len(self.tickets)), "status": "Open", "statusType": "Open",
            "webUrl": f"https://desk.zoho.com/support/acme/ShowHomePage.do#Cases/dv/{number}", "contactId": "42",
            "createdTime": "2026-01-05T09:00:00.000Z", "modifiedTime": "2026-01-05T09:00:00.000Z", "isRead": False,
            "cf": {}, "customFields": {}, "channel": "Web", "category": None, "threadCount": "0", "commentCount": "0",
            "isSpam": False, "isArchived": False, "isOverDue": False, "isEscalated": False, "childTicketCount": "0",
            "description": None, "priority": None, "classification": None, "assigneeId": None,
            **{name: value for name, value in asked.items() if name not in {"contact", "contactId"}},
        }  # fmt: skip
        self.tickets[number] = ticket
        return Reply(json=self._shown(ticket))

    def _shown(self, ticket: dict[str, Any]) -> dict[str, Any]:
        shown = {**dict.fromkeys((*BLANK_IN_SEARCH, *BLANK_IN_TICKET)), **ticket}
        return {name: value for name, value in shown.items() if name not in {"childTicketCount", "isRead"}}

    def _search(self, request: Request) -> Reply:
        ascending = sorted(self.tickets.values(), key=lambda each: int(each["id"]))
        if times := request.query.get("createdTimeRange"):
            start, end = (_moment(text) for text in times[0].split(","))
            ascending = [each for each in ascending if start <= _moment(each["createdTime"]) <= end]
        shown = [{**dict.fromkeys(BLANK_IN_SEARCH), **each} for each in ascending]
        reply = _page(request, shown)
        return replace(reply, json={**reply.json, "count": len(shown)}) if reply.json else reply

    def _ticket(self, method: str, number: str, rest: list[str], request: Request) -> Reply:
        match method, rest:
            case "GET", []:
                more = {"followerCount": "0", "isFollowing": False, "sentiment": None, "tagCount": "0"}
                return Reply(json=self._shown(self.tickets[number]) | more)
            case "PATCH", []:
                self.tickets[number] |= request.json
                return Reply(json=self._shown(self.tickets[number]))
            case "POST", ["comments"]:
                self.comments.append(request.json)
                blank = (
                    "modifiedTime",
                    "attachments",
                    "encodedContent",
                    "commentedTime",
                    "commenterId",
                    "commenter",
                )
                return Reply(json={**dict.fromkeys((*blank, "impersonatedUser")), "id": "1", **request.json})
            case "GET", ["attachments"]:
                return _page(request, self.files.get(number, []))
            case "POST", ["attachments"]:
                (file,) = request.files
                unknown = dict.fromkeys(("createdTime", "creatorId", "href", "previewurl"))
                stored = {
                    **unknown,
                    "id": "9",
                    "name": file.name,
                    "size": str(len(file.content)),
                    "isPublic": False,
                }
                self.files.setdefault(number, []).append(stored)
                return Reply(json=stored)
        return NOT_FOUND


def _page(request: Request, items: list[Any]) -> Reply:
    start, limit = int(request.query.get("from", ["0"])[0]), int(request.query.get("limit", ["10"])[0])
    found = items[start : start + limit]
    return Reply(json={"data": found}) if found else Reply(204)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _organization() -> dict[str, Any]:
    blank = [
        "alias",
        "city",
        "country",
        "currencyCode",
        "currencyLocale",
        "currencySymbol",
        "description",
        "employeeCount",
        "faviconURL",
        "fax",
        "isPayloadEncryptionEnabled",
        "isSandboxPortal",
        "logoURL",
        "mobile",
        "phoneNumber",
        "portalURL",
        "primaryContact",
        "state",
        "street",
        "website",
        "zip",
    ]
    names = {"id": ORGANIZATION, "companyName": "Acme Inc.", "portalName": "acme", "edition": "ENTERPRISE"}
    return {**dict.fromkeys(blank), **names, "isAdminInOrg": True, "isDefault": True}
