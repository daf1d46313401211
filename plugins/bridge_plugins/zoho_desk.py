"""Zoho Desk: tickets of one department.

REST API v1, https://desk.zoho.com/DeskAPIDocument. Last verified in November 2026: requests and answers against
the vendor's own OpenAPI description, which has `orgId` in the query; its guide, and this module, send a header.

Desk takes no key of ours. The marker is in the subject, and tickets since the first attempt are read through the
search, whose delay nobody publishes. An empty list is answered with 204. Signing in: `_zoho`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    Names,
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    Tools,
    Tracker,
    TrackerError,
    by_name,
    hookimpl,
    inside,
)
from bridge_plugins._zoho import Name, ZohoSettings, ZohoTracker, host, not_signed_in, titled

PAGE = 100  # the most that the search gives at once
CREDITS_PAUSE = timedelta(hours=1)  # when the day's credits are used up, and nobody says until when
NATIVE = frozenset(
    {"status", "category", "subCategory", "classification", "priority", "productId", "dueDate", "language",
     "channel", "phone", "email", "assigneeId", "entitySkills"}
)  # fmt: skip
"""Keys of `fields` that are a ticket's own; custom fields have API names that begin with `cf_`."""


class Settings(ZohoSettings):
    """`[trackers.NAME]` with `type = "zoho-desk"`."""

    organization: Name = Field(min_length=1, description="name of the portal or the company, or the id")
    department: Name = Field(min_length=1, description="department of the tickets: its name or id")
    contact: Name = Field(min_length=1, description="whose tickets they are: an e-mail address, or a contact's id")
    contact_name: str = Field("test IO", description="last name of a contact that has to be made for the address")
    channel: str = Field("Web", description="where tickets are said to come from")
    public: bool = Field(False, description="show comments and files to the contact")
    severity_field: str = Field("", description='API name of the field that `severities` fill: "cf_severity"')


def ticket(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set; the assignee is still named."""
    sent = draft.chosen(
        ("title", "subject", titled(draft)),
        ("body", "description", draft.body.content),
        ("priority", "priority", draft.priority),
        ("issue_type", "classification", draft.issue_type),
        ("assignee", "assigneeId", draft.assignee),
    )
    sent |= {name: value for name, value in draft.own_fields.items() if name in NATIVE}
    custom = draft.chosen(("severity", settings.severity_field, draft.severity))
    custom |= {name: str(value) for name, value in draft.own_fields.items() if name.startswith("cf_")}
    return {**sent, "cf": custom} if custom else sent


def new_ticket(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent to make a ticket, with names in place of ids."""
    who = settings.contact
    contact = {"contact": {"lastName": settings.contact_name, "email": who}} if "@" in who else {"contactId": who}
    return {"departmentId": settings.department, **contact, "channel": settings.channel, **ticket(draft, settings)}


def dropped(sent: Mapping[str, Json], got: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that was sent and is not in the ticket that came back."""
    plain = ("priority", "classification", "status", "category", "assigneeId")
    lost = [name for name in plain if name in sent and name in got and str(got[name]) != str(sent[name])]
    custom = got.get("cf") or {}
    lost += [name for name, value in sent.get("cf", {}).items() if custom.get(name) != value]
    return [f"{name}: Desk did not take it; look at the layout and its rules" for name in lost]


class ZohoDesk(ZohoTracker[Settings]):
    """Tickets of one department."""

    type = "zoho-desk"
    label = "Zoho Desk"
    settings_type = Settings
    listed = ("organization", "department")
    markup = Markup.HTML
    title_limit = 900  # of 1000: the marker follows
    body_limit = 32_000  # of a comment; a description may have 65 535
    settle = timedelta(seconds=60)
    default_labels: ClassVar[tuple[str, ...]] = ()
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "High", "high": "High", "low": "Low"}
    default_issue_types: ClassVar[Mapping[str, str]] = {"default": "Problem"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        clock = self.tools.clock
        self.organizations = Names("organization", self._organizations, clock)
        self.departments = Names("department", lambda: self._named("/departments", "name"), clock)
        self.agents = Names("agent", lambda: self._named("/agents", "emailId", "name"), clock)

    @property
    def base_url(self) -> str:
        """The API in the data center."""
        return f"{self.settings.url or host('desk', self.settings.data_center)}/api/v1"

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in Desk's words."""
        if error := not_signed_in(data):
            return error
        if answer.status < 300 or not isinstance(data, dict) or "errorCode" not in data:
            return super().explain(answer, data, purpose)
        words = f"{data['errorCode']}: {data.get('message', '')}"
        refusal = self.refusal(replace(answer, message=words, fields=_per_field(data)), purpose)
        if data["errorCode"] == "THRESHOLD_EXCEEDED" and refusal.retry_after is None:
            refusal.retry_after = CREDITS_PAUSE
        return refusal

    async def desk(self, method: str, path: str, purpose: Purpose = Purpose.LOOK, **request: Any) -> Json:
        """Send a request to the configured organization."""
        return await self.call(method, path, purpose=purpose, headers=await self._organization(), **request)

    async def create(self, draft: Draft) -> Issue:
        """Make the ticket."""
        sent, warnings = await self._resolved(new_ticket(draft, self.settings), draft)
        sent["departmentId"] = await self._department()
        data = await self.desk("POST", "/tickets", Purpose.CREATE, json=sent)
        self.created(data, "id")
        return self._issue(data, *warnings, *dropped(sent, data))

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the marker in the department's tickets since the first attempt, oldest first."""
        end = self.tools.clock.now() + timedelta(minutes=5)  # Zoho's clock may be ahead of ours
        query = {
            "departmentId": await self._department(),
            "createdTimeRange": f"{_text(marker.earliest)},{_text(end)}",
            "sortBy": "createdTime",
        }
        async for each in self.listing("/tickets/search", **query):
            if marker.found_in(each.get("subject") or "") or marker.found_in(each.get("description") or ""):
                return self._issue(each)
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft."""
        sent, warnings = await self._resolved(ticket(draft, self.settings), draft)
        if sent:
            data = await self.desk("PATCH", f"/tickets/{issue.id}", Purpose.ISSUE, json=sent)
            inside(data, "id", purpose=Purpose.ISSUE)
            warnings += dropped(sent, data)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment, for agents only unless the settings say otherwise."""
        sent = {"content": body.text, "contentType": "html", "isPublic": self.settings.public}
        await self.desk("POST", f"/tickets/{issue.id}/comments", Purpose.ISSUE, json=sent)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file, unless an earlier try whose answer was lost did."""
        path, file = f"/tickets/{issue.id}/attachments", replace(file, name=" ".join(file.name.split())[:100])
        there = await self.desk("GET", path, Purpose.ISSUE, params={"limit": str(PAGE)})
        if not file.is_one_of((each["name"], each["size"]) for each in _data(there)):
            public = str(self.settings.public).lower()
            await self.upload(f"{path}?isPublic={public}", file, headers=await self._organization())

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the ticket is closed or in the trash."""
        data = await self.desk("GET", f"/tickets/{issue.id}", Purpose.ISSUE)
        inside(data, "id", purpose=Purpose.ISSUE)
        if data.get("isTrashed") or data.get("isDeleted"):
            return IssueState(True, "in the trash")
        return IssueState(data.get("statusType") == "Closed", str(data.get("status") or "Open"))

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the organizations that the client sees, or the organization's departments."""
        return await (self.organizations if setting == "organization" else self.departments).all()

    async def check(self) -> Report:
        """Look at the credentials, the organization, the department, and every configured value."""
        from bridge_plugins._zoho_desk_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names are replaced by ids when it is sent."""
        return new_ticket(draft, self.settings)

    async def listing(self, path: str, **query: str) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, asking for one page after the other."""
        start = 0
        while True:
            page = {**query, "from": str(start), "limit": str(PAGE)}
            items = _data(await self.desk("GET", path, params=page))
            for item in items:
                yield item
            start += len(items)
            if len(items) < PAGE:
                return

    async def agent(self, who: str) -> str | None:
        """Return the id of an agent by e-mail address or name; None where there is none, or nobody may ask."""
        try:
            return await self.agents.find(who)
        except (NotAllowed, Rejected):
            return who if who.isdigit() else None

    async def _organizations(self) -> Mapping[str, str]:
        found = _data(await self.call("GET", "/organizations"))
        return {
            each[key]: str(each["id"]) for key in ("companyName", "portalName") for each in found if each.get(key)
        }

    async def _named(self, path: str, *keys: str) -> Mapping[str, str]:
        return by_name([each async for each in self.listing(path)], *keys)

    async def _organization(self) -> dict[str, str]:
        return {"orgId": await self.organizations.needed(self.settings.organization, "organization")}

    async def _department(self) -> str:
        return await self.departments.needed(self.settings.department, "department")

    async def _resolved(self, named: Mapping[str, Json], draft: Draft) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, and a warning for each part that Desk cannot be told."""
        sent, warnings = dict(named), []
        if who := sent.pop("assigneeId", ""):
            found = await self.agent(str(who))
            warnings += [] if found else [f'assignee: there is no agent "{who}": left out']
            sent |= {"assigneeId": found} if found else {}
        if draft.sets("fields"):
            unknown = [name for name in draft.fields if name not in NATIVE and not name.startswith("cf_")]
            warnings += [f'fields: "{name}" is no API name of a field: left out' for name in unknown]
        return sent, warnings

    def _issue(self, data: Mapping[str, Json], *warnings: str) -> Issue:
        key = f"#{data['ticketNumber']}" if data.get("ticketNumber") else str(data["id"])
        url = data.get("webUrl") or f"{host('desk', self.settings.data_center)}/agent/tickets/{data['id']}"
        return Issue(id=str(data["id"]), key=key, url=url, warnings=warnings)


def _data(answer: Json) -> list[dict[str, Json]]:
    """Return the items of a list; an empty one is answered with 204."""
    return list(answer.get("data") or ()) if isinstance(answer, dict) else []


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _per_field(data: Mapping[str, Json]) -> dict[str, str]:
    problems = data.get("errors")
    return {
        str(each.get("fieldName", "")).strip("/"): str(each.get("errorMessage") or each.get("errorType"))
        for each in (problems if isinstance(problems, list) else [])
        if isinstance(each, dict)
    }


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [ZohoDesk]
