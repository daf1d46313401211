"""Zendesk Support: tickets.

Ticketing API v2, https://developer.zendesk.com/api-reference/ticketing/introduction/. Last verified in November
2026: requests and answers against the vendor's own OpenAPI description.

A create with the same `Idempotency-Key` is answered with the ticket that the first one made, for two hours; after
that the ticket is looked for by its `external_id`. Odd: the description of a ticket, its first comment, can never
be changed; tags in an update replace all tags, and with them the values of drop-down fields; unknown options of
fields are ignored in silence; without credentials `users/me` is answered with 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from html import escape
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    Gone,
    HttpTracker,
    InDoubt,
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
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    Unit,
    hookimpl,
    inside,
    list_inside,
    web_address,
)
from bridge.labels import missing
from bridge_plugins._zendesk_answers import SameKeyOtherTicket, code_in, says_not_there, told
from bridge_plugins._zendesk_fields import CUSTOM, NATIVE, TicketField

KEY_IS_GOOD = timedelta(hours=1)  # half of the two hours in which Zendesk remembers an Idempotency-Key
DONE = {"solved", "closed"}
READ_BACK = (
    "priority", "type", "group_id", "brand_id", "ticket_form_id", "assignee_id", "problem_id", "custom_status_id",
)  # fmt: skip
"""What Zendesk may leave out without a word, like a form on a plan that has none."""


def _host(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


Name = Annotated[str, BeforeValidator(str)]
"""A name, or an id as a text or as a number."""


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "zendesk"`."""

    url: Annotated[str, web_address("https://acme.zendesk.com"), AfterValidator(_host)] = Field(
        description="https://SUBDOMAIN.zendesk.com, not the address of a brand"
    )
    email: str | None = Field(None, description="agent that the API token acts as; none for an OAuth access token")
    token: Secret = Field(description="API token, or an OAuth access token with the scopes read and write")
    group: Name = Field("", description="group that tickets are assigned to: its name or id")
    brand: Name = Field("", description="brand of the tickets: its name or id")
    form: Name = Field("", description="ticket form: its name or id")
    requester: str = Field("", description="e-mail address or id of the requester; empty for the agent")
    public: bool = Field(False, description="make tickets and comments public: the requester gets mail of each")
    severity_field: Name = Field("", description="custom field that `severities` fill: its title or id")


def tag(label: str) -> str:
    """Return a label as a tag, which has no spaces and no capitals."""
    return re.sub(r"[^\w:/-]+", "_", label.casefold()).strip("_")


def person(who: str, role: str) -> dict[str, Json]:
    """Return what names a person as `role`, by id or by e-mail address; nothing for anything else."""
    if who.isdigit():
        return {f"{role}_id": int(who)}
    if "@" not in who:
        return {}
    return {"assignee_email": who} if role == "assignee" else {role: {"email": who, "name": who.partition("@")[0]}}


def ticket(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set; custom fields are still named."""
    problem = draft.parent.lstrip("#")
    sent = draft.chosen(
        ("title", "subject", draft.title),
        ("body", "comment", comment(draft.body.text, settings)),
        ("priority", "priority", draft.priority.lower()),
        ("issue_type", "type", draft.issue_type.lower()),
        *(("assignee", name, value) for name, value in person(draft.assignee, "assignee").items()),
        ("parent", "problem_id", int(problem) if problem.isdigit() else ""),
        ("labels", "tags", list(dict.fromkeys(filter(None, map(tag, draft.labels))))),
    )
    custom = draft.chosen(("severity", settings.severity_field, draft.severity))
    for name, value in draft.own_fields.items():
        (sent if name in NATIVE else custom)[name] = value
    return {**sent, "custom_fields": custom} if custom else sent


def comment(html: str, settings: Settings) -> dict[str, Json]:
    """Return a comment; nobody gets mail of a private one but agents who want it."""
    return {"html_body": html, "public": settings.public}


def new_ticket(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent to make a ticket, with names for ids."""
    named = {"group_id": settings.group, "brand_id": settings.brand, "ticket_form_id": settings.form}
    chosen = {name: value for name, value in named.items() if value}
    requester = person(settings.requester, "requester")
    return {**chosen, **requester, "external_id": draft.marker.text, **ticket(draft, settings)}


def unheard(draft: Draft) -> list[str]:
    """Return a warning for each part of a draft that Zendesk cannot be told."""
    warnings = []
    if draft.sets("assignee") and draft.assignee and not person(draft.assignee, "assignee"):
        warnings.append(f'assignee: "{draft.assignee}" is no e-mail address and no id: left out')
    if draft.sets("parent") and draft.parent and not draft.parent.lstrip("#").isdigit():
        warnings.append(f'parent: "{draft.parent}" is no number of a problem ticket: left out')
    return warnings


def dropped(sent: Mapping[str, Json], got: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that was sent and is not in the ticket that came back."""
    lost = [name for name in READ_BACK if name in sent and name in got and got[name] != sent[name]]
    values = {field["id"]: field.get("value") for field in got.get("custom_fields") or ()}
    lost += [
        f"custom field {field['id']}"
        for field in sent.get("custom_fields", ())
        if str(values.get(field["id"])) != str(field["value"])
    ]
    lost += [f"tag {name}" for name in missing(sent.get("tags", ()), got.get("tags") or ())]
    return [f"{name}: Zendesk did not take it; look at the form, the fields and the triggers" for name in lost]


class Zendesk(HttpTracker[Settings]):
    """Tickets of one account."""

    type = "zendesk"
    label = "Zendesk"
    settings_type = Settings
    markup = Markup.HTML
    title_limit = 150
    body_limit = 60_000
    unit = Unit.BYTES
    settle = timedelta(seconds=30)
    enforces_marker = True
    limit_ends = "ratelimit-reset"
    default_labels: ClassVar[tuple[str, ...]] = (
        "test-io",
        "{% if bug.severity %}severity_{{ bug.severity }}{% endif %}",
    )
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "urgent", "high": "high", "low": "low"}
    default_issue_types: ClassVar[Mapping[str, str]] = {"default": "incident"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        clock = self.tools.clock
        self.places = {
            "group_id": Names("group", lambda: self._named("groups"), clock),
            "brand_id": Names("brand", lambda: self._named("brands"), clock),
            "ticket_form_id": Names("ticket form", lambda: self._named("ticket_forms"), clock),
        }
        self.fields = Names("custom field", self._fields, clock)
        self._by_id: dict[str, TicketField] = {}
        self._closed: dict[str, int] = {}  # tickets that take no comments any more, by their marker

    @property
    def base_url(self) -> str:
        """The API of the account."""
        return f"{self.settings.url}/api/v2"

    @property
    def account(self) -> str:
        """The host: rate limits are the account's."""
        return str(urlsplit(self.settings.url).netloc)

    def auth(self) -> tuple[str, str] | None:
        """Return the agent and the API token."""
        settings = self.settings
        return (f"{settings.email}/token", settings.token.get_secret_value()) if settings.email else None

    def headers(self) -> Mapping[str, str]:
        """Return the OAuth access token, where it is one."""
        settings = self.settings
        return {} if settings.email else {"Authorization": f"Bearer {settings.token.get_secret_value()}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in Zendesk's words."""
        if answer.status < 300 or answer.status >= 500:
            return super().explain(answer, data, purpose)
        if answer.status == 404 and says_not_there(data):
            return NotAllowed(f"there is no Zendesk at {self.settings.url}: correct `url`", status=404)
        refused = told(answer, data)
        if answer.status == 409:  # somebody changed it meanwhile, or the same create is still under way
            return (InDoubt if purpose is Purpose.CREATE else Unavailable)(refused.message, status=409)
        if code_in(data) == "IdempotentRequestError":
            return SameKeyOtherTicket(refused.message, status=answer.status)
        return self.refusal(refused, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the ticket, or return the one that an earlier try made."""
        marker = draft.marker
        if abs(self.tools.clock.now() - marker.since) > KEY_IS_GOOD and (found := await self.find(marker)):
            return found
        sent, warnings = await self._resolved(new_ticket(draft, self.settings))
        if marker.text in self._closed:
            sent["via_followup_source_id"] = self._closed[marker.text]
        key = {"Idempotency-Key": f"{marker.uuid}-{int(marker.since.timestamp() * 1000)}"}
        body = {"ticket": sent}
        try:
            data = await self.call("POST", "/tickets", purpose=Purpose.CREATE, headers=key, json=body)
        except SameKeyOtherTicket as refused:  # the configuration changed since an earlier try
            if found := await self.find(marker):
                return found
            under_way = f"an earlier try with this key may still be under way: {refused.message}"
            raise InDoubt(under_way, status=503) from None
        self.created(data, "ticket", "id")
        self._closed.pop(marker.text, None)
        return self._issue(data["ticket"], *unheard(draft), *warnings, *dropped(sent, data["ticket"]))

    async def find(self, marker: Marker) -> Issue | None:
        """Ask for the tickets with this external id: a list from the database; the search lags minutes behind."""
        data = await self.call("GET", "/tickets", params={"external_id": marker.text})
        found = [
            each
            for each in list_inside(data, "tickets")
            if each.get("external_id") == marker.text and _may_be_ours(each, marker)
        ]
        return marker.first_of([self._issue(each) for each in sorted(found, key=lambda each: int(each["id"]))])

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft; a new description becomes a comment. Tags are added, and none is taken away."""
        named = ticket(draft, self.settings)
        tags = named.pop("tags", [])
        sent, warnings = await self._resolved(named)
        if sent:
            got = await self._put(issue, sent)
            warnings += dropped(sent, got)
        if tags:
            path = f"/tickets/{issue.id}/tags"
            data = await self.call("PUT", path, purpose=Purpose.ISSUE, json={"tags": tags})
            warnings += dropped({"tags": tags}, data or {})
        return replace(issue, warnings=(*unheard(draft), *warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment, private unless the settings say otherwise."""
        await self._put(issue, {"comment": comment(body.text, self.settings)})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload the file and put it into a comment, unless an earlier try whose answer was lost did."""
        data = await self.call("GET", f"/tickets/{issue.id}/comments", purpose=Purpose.ISSUE)
        there = [each for said in list_inside(data, "comments") for each in said.get("attachments") or ()]
        file = replace(file, name=" ".join(file.name.split()))
        if file.is_one_of((each.get("file_name"), each.get("size")) for each in there):
            return
        data = await self.send_file("/uploads", file, params={"filename": file.name}, purpose=Purpose.LOOK)
        html = comment(f"<p>{escape(file.name)}</p>", self.settings)
        await self._put(issue, {"comment": {**html, "uploads": [inside(data, "upload", "token")]}})

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the ticket is solved or closed."""
        status = str(inside(await self._get(issue), "status", purpose=Purpose.ISSUE))
        return IssueState(status in DONE, status)

    async def check(self) -> Report:
        """Look at the agent, the group, brand and form, and every configured value, field and option."""
        from bridge_plugins._zendesk_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names are replaced by ids when it is sent."""
        return {"ticket": new_ticket(draft, self.settings)}

    async def field(self, name: str) -> TicketField | None:
        """Return a custom field by its title or id, None where there is none."""
        found = await self.fields.find(name)
        return self._by_id.get(found) if found is not None else None

    async def listing(self, key: str) -> list[dict[str, Json]]:
        """Return everything in the list that Zendesk calls `key`, all pages of it."""
        items: list[dict[str, Json]] = []
        query: dict[str, str] = {}
        while True:
            data = await self.call("GET", f"/{key}", params=query)
            items += list_inside(data, key)
            if not data.get("next_page"):
                return items
            query = dict(parse_qsl(urlsplit(data["next_page"]).query))  # the path stays ours, and so does the host

    async def _named(self, key: str) -> Mapping[str, str]:
        return {each["name"]: str(each["id"]) for each in await self.listing(key)}

    async def _fields(self) -> Mapping[str, str]:
        own = [each for each in await self.listing("ticket_fields") if each["type"] in CUSTOM and each["active"]]
        self._by_id = {str(each["id"]): TicketField.of(each) for each in own}
        return {each["title"]: str(each["id"]) for each in own}

    async def _resolved(self, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with ids for names, and a warning for each that is left out."""
        sent, warnings = dict(named), []
        for name, names in self.places.items():
            if isinstance(value := sent.get(name), str):
                sent[name] = int(await names.needed(value, names.what.rpartition(" ")[2]))
        custom = []
        for name, value in sent.pop("custom_fields", {}).items():
            try:
                if (field := await self.field(name)) is None:
                    raise ValueError(f'there is no custom field "{name}"')
                custom.append({"id": field.id, "value": field.sent(value)})
            except ValueError as problem:
                warnings.append(f"{problem}: left out")
        return sent | ({"custom_fields": custom} if custom else {}), warnings

    async def _get(self, issue: Issue) -> Any:
        data = await self.call("GET", f"/tickets/{issue.id}", purpose=Purpose.ISSUE)
        return inside(data, "ticket", purpose=Purpose.ISSUE)

    async def _put(self, issue: Issue, changes: Mapping[str, Json]) -> Any:
        """Change the ticket and return it.

        Raises:
            Gone: It is closed, and so can never be changed again: a new ticket follows it up.
        """
        try:
            body = {"ticket": changes}
            data = await self.call("PUT", f"/tickets/{issue.id}", purpose=Purpose.ISSUE, json=body)
        except Rejected as refused:
            there = await self._get(issue)
            if refused.status != 422 or there.get("status") != "closed":
                raise
            self._closed[str(there.get("external_id"))] = int(there["id"])
            raise Gone(f"ticket {issue.key} is closed and takes no changes", status=422) from None
        return inside(data, "ticket", purpose=Purpose.ISSUE)

    def _issue(self, data: Mapping[str, Json], *warnings: str) -> Issue:
        number = str(data["id"])
        url = f"{self.settings.url}/agent/tickets/{number}"  # `url` in the answer is the API's
        return Issue(id=number, key=f"#{number}", url=url, warnings=warnings)


def _may_be_ours(data: Mapping[str, Json], marker: Marker) -> bool:
    """Whether a ticket can still be the bug's: not one that was closed before this delivery's first attempt."""
    if data.get("status") != "closed":
        return True
    return datetime.fromisoformat(data["created_at"]) >= marker.earliest


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Zendesk]
