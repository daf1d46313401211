"""Azure DevOps Services and Server: work items of Azure Boards.

REST API 7.1, https://learn.microsoft.com/rest/api/azure/devops/wit/. Last verified in November 2026: requests and
answers against the vendor's Swagger document.

Odd: a work item is a JSON Patch, and which field a bug's description is depends on its type; one value that does
not fit refuses everything; a wrong token gets a sign-in page with 203, not 401; tags are one text, set as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote, unquote_plus, urlsplit

from pydantic import AfterValidator, Field, model_validator

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    HttpTracker,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
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
    by_name,
    fingerprint,
    hookimpl,
    inside,
    list_inside,
    web_address,
)
from bridge.answers import words_in
from bridge.http import without_refused
from bridge.labels import merged
from bridge.oauth import AccessToken
from bridge.units import Duration
from bridge_plugins._azure_devops_fields import (
    AREA,
    ASSIGNEE,
    ESSENTIAL,
    HISTORY,
    ITERATION,
    PRIORITY,
    REPRO_STEPS,
    SEVERITY,
    TAGS,
    TITLE,
    ProjectNames,
    document,
    node,
    refused_fields,
    split,
    tags,
)

PARENT = "System.LinkTypes.Hierarchy-Reverse"
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # Azure DevOps itself
PAGE = 200  # work items that are read at once
EXAMPLE = "https://dev.azure.com/acme"
DONE = {"Completed", "Removed"}  # categories of states
SIGN_IN = "Azure DevOps answered with its sign-in page: the token is wrong, expired, or of another organisation"
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f"*/:<>?\\|]')


def _organisation(address: str) -> str:
    parts = urlsplit(address)
    if parts.hostname == "dev.azure.com" and not re.fullmatch(r"/[^/]+", parts.path):
        raise ValueError(f'names the organisation and nothing more: write it like "{EXAMPLE}"')
    return address


def _trimmed(value: Secret | None) -> Secret | None:
    return value and Secret(value.get_secret_value().strip())


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "azure-devops"`."""

    url: Annotated[str, web_address(EXAMPLE), AfterValidator(_organisation)] = Field(
        description=f'the organisation ("{EXAMPLE}"), or the collection of a server'
    )
    project: str = Field(min_length=1, description="the project's name or id")
    token: Annotated[Secret | None, AfterValidator(_trimmed)] = Field(
        None, description="personal access token: Work Items, read and write"
    )
    tenant: str = Field("", description="in place of the token, a service principal: its directory (tenant) id,")
    client_id: str = Field("", description="its application (client) id,")
    client_secret: Annotated[Secret | None, AfterValidator(_trimmed)] = Field(None, description="and its secret")
    login_url: str = Field("https://login.microsoftonline.com", description="where a service principal signs in")
    issue_type: str = Field("Bug", description="work item type where `issue_types` says nothing")
    area: str = Field("", description='area path of new work items, such as "Webshop/Checkout"')
    iteration: str = Field("", description='iteration path of new work items, such as "Webshop/Sprint 7"')
    marker_field: str = Field("", description="text field that keeps the marker, in place of a tag")
    notify: bool = Field(True, description="let Azure DevOps tell people of what the bridge does")
    api_version: str = Field("7.1", description="version of the API; Server 2022: 7.0, 2020: 6.0, 2019: 5.0")
    ca_file: Path | None = Field(None, description="PEM file with the CA of the server's certificate")
    timeout: Duration = Field(timedelta(seconds=90), description="longest wait for one answer")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        principal = [bool(part) for part in (self.tenant, self.client_id, self.client_secret)]
        if (self.token is not None) == any(principal) or any(principal) != all(principal):
            raise ValueError("needs either `token`, or all of `tenant`, `client_id` and `client_secret`")
        return self


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the values for the parts of a draft that are to be set, by the names of fields.

    The description is in `REPRO_STEPS`: where a type has no such field, it goes to `DESCRIPTION` when it is sent.
    """
    own_tags = () if settings.marker_field else (draft.marker.text,)
    chosen = draft.chosen(
        ("title", TITLE, draft.title),
        ("body", REPRO_STEPS, draft.body.text),
        ("severity", SEVERITY, draft.severity),
        ("priority", PRIORITY, int(draft.priority) if draft.priority.isdigit() else draft.priority),
        ("assignee", ASSIGNEE, draft.assignee),
        ("labels", TAGS, tags((*draft.labels, *own_tags))),
        ("body", settings.marker_field, draft.marker.text),
    )
    return {**chosen, **draft.own_fields}


def parent_of(draft: Draft, settings: Settings) -> dict[str, Json] | None:
    """Return the relation to a draft's parent; None where it names none by its number."""
    number = draft.parent.lstrip("#")
    return {"rel": PARENT, "url": f"{settings.url}/_apis/wit/workItems/{number}"} if number.isdigit() else None


def links(draft: Draft, settings: Settings) -> list[dict[str, Json]]:
    """Return the relations of a new work item: the bug's page, and the parent."""
    found: list[dict[str, Json]] = []
    if draft.bug.link:
        about = {"comment": f"test IO bug {draft.bug.id}"}
        found.append({"rel": "Hyperlink", "url": draft.bug.link, "attributes": about})
    if parent := parent_of(draft, settings):
        found.append(parent)
    return found


class AzureDevOps(HttpTracker[Settings]):
    """Work items of one project."""

    type = "azure-devops"
    label = "Azure DevOps"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.HTML
    title_limit = 255
    body_limit = 1_000_000
    unit = Unit.UTF16
    settle = timedelta(seconds=30)
    absent = "there is no such project, or the token does not see it: correct `url` or `project`"
    default_severities: ClassVar[Mapping[str, str]] = {
        "critical": "1 - Critical", "high": "2 - High", "low": "4 - Low",
    }  # fmt: skip
    default_priorities: ClassVar[Mapping[str, str]] = {"p1": "1", "p2": "2", "p3": "3", "p4": "4"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.project = f"/{quote(settings.project, safe='')}"
        self.wit = f"{self.project}/_apis/wit"
        self._access = AccessToken(self._sign_in, self.tools.clock)
        self.directory = ProjectNames(self.wit, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The organisation, or the collection."""
        return self.settings.url

    @property
    def account(self) -> str:
        """The organisation, and who signs in: each has a limit of its own in each organisation."""
        where, token = urlsplit(self.settings.url), self.settings.token
        who = fingerprint(token.get_secret_value() if token else self.settings.client_id)
        return f"{where.hostname}{where.path}/{who}"

    def auth(self) -> tuple[str, str] | None:
        """Return a personal access token, which is the password of nobody."""
        return ("", self.settings.token.get_secret_value()) if self.settings.token else None

    def headers(self) -> Mapping[str, str]:
        """Ask for a refusal in place of a sign-in page; not everything listens."""
        return {"X-TFS-FedAuthRedirect": "Suppress"}

    async def call(
        self,
        method: str,
        path: str,
        *,
        purpose: Purpose = Purpose.LOOK,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Json:
        """Send one request of the configured API version, as `HttpTracker.call` does."""
        request["params"] = {"api-version": self.settings.api_version, **(request.get("params") or {})}
        bearer = {} if self.settings.token else {"Authorization": f"Bearer {await self._access.get()}"}
        return await super().call(method, path, purpose=purpose, headers={**bearer, **(headers or {})}, **request)

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in Azure DevOps' words."""
        status = answer.status
        if status == 203 or 300 <= status < 400:
            return NotAllowed(SIGN_IN, status=status)
        if status < 300:
            return super().explain(answer, data, purpose)
        if status == 401:
            self._access.forget()
        fields = refused_fields(data) if isinstance(data, dict) else {}
        told = replace(answer, message=_words(answer, data), fields=fields)
        return _own_meaning(told, purpose) or self.refusal(told, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the work item."""
        kind = await self.directory.types.id_of(draft.issue_type)
        values, warnings = await self.resolved(kind, {**self._places, **payload(draft, self.settings)})
        if draft.parent and not parent_of(draft, self.settings):
            warnings.append(f'parent: "{draft.parent}" is no number of a work item: it is left out')
        more = document({}, links(draft, self.settings))
        path = f"{self.wit}/workitems/${quote(kind, safe='')}"
        data, refused = await self._save("POST", path, Purpose.CREATE, values, more)
        return self._issue(self.created(data, "id"), *warnings, *refused)

    async def find(self, marker: Marker) -> Issue | None:
        """Search tags and the marker's field with WIQL, and compare: what CONTAINS means is not ours to say."""
        conditions = [f"[{TAGS}] CONTAINS '{marker.text}'"]
        name = self.settings.marker_field
        own = await self.directory.everywhere.find(name) if name else None
        conditions += [f"[{own}] = '{marker.text}'"] if own else []
        where = f"[System.TeamProject] = @project AND ({' OR '.join(conditions)})"
        query = f"SELECT [System.Id] FROM WorkItems WHERE {where} ORDER BY [System.Id]"  # noqa: S608 - all ours
        data = await self.call("POST", f"{self.wit}/wiql", json={"query": query})
        numbers = [each["id"] for each in list_inside(data, "workItems")]
        for start in range(0, len(numbers), PAGE):
            wanted = {"ids": numbers[start : start + PAGE], "fields": [TAGS, *([own] if own else [])]}
            found = await self.call("POST", f"{self.wit}/workitemsbatch", json={**wanted, "errorPolicy": "omit"})
            for item in list_inside(found, "value"):
                if item and _carries(item.get("fields") or {}, marker, own):
                    return self._issue(item["id"])
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft; its type stays. Tags that people added stay, too."""
        named = payload(draft, self.settings)
        parent = parent_of(draft, self.settings) if draft.sets("parent") else None
        if not named and not parent:
            return issue
        there = await self._read_item(issue)
        values, warnings = await self.resolved(there["fields"]["System.WorkItemType"], named)
        if TAGS in values:
            values[TAGS] = tags(merged(split(there["fields"].get(TAGS)), split(values[TAGS])))
        more = self._reparented(there, parent) if parent else []
        if not values and not more:
            return self._issue(issue.id, *warnings)
        unchanged = {"op": "test", "path": "/rev", "value": there["rev"]}
        _, refused = await self._save("PATCH", self._path(issue), Purpose.ISSUE, values, [unchanged, *more])
        return self._issue(issue.id, *warnings, *refused)

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add to the discussion."""
        await self._patch("PATCH", self._path(issue), Purpose.ISSUE, document({HISTORY: body.text}))

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file and relate it, unless an earlier try whose answer was lost did."""
        file = replace(file, name=_NOT_IN_NAMES.sub("_", file.name))
        relations = (await self._read_item(issue)).get("relations") or ()
        there = [each.get("attributes") or {} for each in relations]
        if file.is_one_of((each.get("name"), each.get("resourceSize")) for each in there):
            return
        kind = {"Content-Type": "application/octet-stream"}
        path, query = f"{self.wit}/attachments", {"fileName": file.name}
        data = await self.send_file(path, file, params=query, headers=kind, purpose=Purpose.LOOK)
        relation = {"rel": "AttachedFile", "url": inside(data, "url"), "attributes": {"comment": "test IO"}}
        await self._patch("PATCH", self._path(issue), Purpose.ISSUE, document({}, [relation]))

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the state's category is one of those at the end."""
        fields = (await self._read_item(issue, "System.State,System.WorkItemType"))["fields"]
        kind, name = quote(fields["System.WorkItemType"], safe=""), fields["System.State"]
        known = await self.directory.listed(f"workitemtypes/{kind}/states")
        return IssueState(any(each["name"] == name and each.get("category") in DONE for each in known), name)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the projects that the token sees."""
        found = list_inside(await self.call("GET", "/_apis/projects"), "value")
        return by_name(found, "name", id_key="name")

    async def check(self) -> Report:
        """Look at token, project, types, every configured value, and whether a work item would be saved."""
        from bridge_plugins._azure_devops_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return type and JSON Patch; names of fields are replaced by their reference names when it is sent."""
        values = {**self._places, **payload(draft, self.settings)}
        return {"type": draft.issue_type, "document": document(values, links(draft, self.settings))}

    async def resolved(self, kind: str, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return what to set in a work item of a type, and a warning for each field that the type lacks."""
        values, absent = await self.directory.resolved(kind, named)
        if self.settings.marker_field in absent:  # found again it must be, whatever a person configured
            values[TAGS] = tags([*split(values.get(TAGS)), named[self.settings.marker_field]])
        own = {SEVERITY: self.settings.severities, PRIORITY: self.settings.priorities}
        unasked = {self.settings.marker_field, *(name for name, table in own.items() if not table)}
        return values, [f'{kind} has no field "{name}": it is left out' for name in absent if name not in unasked]

    async def save_nothing(self, kind: str, values: Mapping[str, Json]) -> None:
        """Let Azure DevOps say whether it would make a work item.

        Raises:
            TrackerError: It would not.
        """
        path = f"{self.wit}/workitems/${quote(kind, safe='')}"
        await self._patch("POST", path, Purpose.LOOK, document(values), validateOnly="true")

    async def _save(
        self, method: str, path: str, purpose: Purpose, values: Mapping[str, Json], more: list[Json]
    ) -> tuple[Json, list[str]]:
        """Send a change, without the values that Azure DevOps refuses, where it can do without them."""

        async def send(some: dict[str, Json]) -> Json:
            return await self._patch(method, path, purpose, [*document(some), *more])

        return await without_refused(send, values, ESSENTIAL)

    async def _patch(self, method: str, path: str, purpose: Purpose, changes: list[Json], **query: str) -> Json:
        quiet = {} if self.settings.notify else {"suppressNotifications": "true"}
        kind = {"Content-Type": "application/json-patch+json"}
        content = json.dumps(changes, ensure_ascii=False).encode()
        return await self.call(
            method, path, purpose=purpose, headers=kind, params={**quiet, **query}, content=content
        )

    async def _read_item(self, issue: Issue, fields: str = "") -> dict[str, Any]:
        query = {"fields": fields} if fields else {"$expand": "relations"}
        data = await self.call("GET", self._path(issue), purpose=Purpose.ISSUE, params=query)
        inside(data, "fields", purpose=Purpose.ISSUE)
        return dict(data)

    def _reparented(self, there: Mapping[str, Json], parent: Mapping[str, Json]) -> list[Json]:
        """Return the changes that put a work item under a parent: it has one at most."""
        number = parent["url"].rpartition("/")[2]
        old = [at for at, each in enumerate(there.get("relations") or ()) if each["rel"] == PARENT]
        if any(there["relations"][at]["url"].endswith(f"/{number}") for at in old):
            return []
        removed: list[Json] = [{"op": "remove", "path": f"/relations/{at}"} for at in old]
        return [*removed, *document({}, [parent])]

    async def _sign_in(self) -> Json:
        """Ask for a service principal's token.

        https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        """
        secret = self.settings.client_secret
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": secret.get_secret_value() if secret else "",
            "scope": SCOPE,
        }
        address = f"{self.settings.login_url.rstrip('/')}/{quote(self.settings.tenant, safe='')}/oauth2/v2.0/token"
        return await super().call("POST", address, data=form)

    @property
    def _places(self) -> dict[str, Json]:
        places = {AREA: self.settings.area, ITERATION: self.settings.iteration}
        return {name: node(value) for name, value in places.items() if value}

    def _path(self, issue: Issue) -> str:
        return f"{self.wit}/workitems/{issue.id}"

    def _issue(self, number: int | str, *warnings: str) -> Issue:
        url = f"{self.settings.url}{self.project}/_workitems/edit/{number}"
        return Issue(id=str(number), key=f"#{number}", url=url, warnings=warnings)


def _carries(fields: Mapping[str, Json], marker: Marker, own: str | None) -> bool:
    tagged = marker.text in map(str.casefold, split(fields.get(TAGS)))
    return tagged or (own is not None and fields.get(own) == marker.text)


def _own_meaning(told: Answer, purpose: Purpose) -> TrackerError | None:
    """Return the error that a refusal means where its status alone would mean another one."""
    status, words = told.status, told.message
    if status == 404 and purpose is Purpose.CREATE and "TF401232" in words:  # a relation to what is not there
        return Rejected(f"parent: {words}", status=status)
    if status in {409, 412}:  # somebody else changed it meanwhile; trying again reads it anew
        return Unavailable(words, status=status)
    if "TF237111" in words:  # no right in the area
        return NotAllowed(words, status=status)
    return None


def _words(answer: Answer, data: Json) -> str:
    """Return Azure DevOps' own words: in the body, else in a header, encoded like a query."""
    return words_in(data) or unquote_plus(answer.headers.get("x-tfs-serviceerror", "")) or answer.message


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [AzureDevOps]
