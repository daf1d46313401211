"""OpenProject: community, enterprise and cloud.

API v3 (HAL+JSON), https://www.openproject.org/docs/api/, OpenProject 12 to 17. Last verified in November 2026:
requests and answers against OpenProject's own OpenAPI description (17).

Odd: values are links to be copied, not ids; a form says which there are, for a project and a type, custom fields
included; a change needs the version it is a change of; an attachment's name is in a part of its own; the server
answers 201 where its description says 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

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
    Names,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    error_for,
    fingerprint,
    hookimpl,
)
from bridge.answers import retry_after, words_in
from bridge.doctor import did_you_mean
from bridge.names import FRESH_SECONDS
from bridge_plugins import _openproject_form as forms

API = "/api/v3"
PAGE = 100


def _address(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError('is no address: write it like "https://acme.openproject.com"')
    return value.strip().rstrip("/").removesuffix(API).rstrip("/")


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "openproject"`."""

    url: Annotated[str, AfterValidator(_address)] = Field(description="the instance, with the path it lives under")
    project: Annotated[str, BeforeValidator(str)] = Field(description="the project: its name, identifier or id")
    token: Secret = Field(description="API token of a member of the project")
    authentication: Literal["basic", "bearer"] = Field(
        "basic", description="how the token is sent; Bearer where an instance has turned Basic off"
    )
    issue_type: str = Field("Bug", description="type where `issue_types` says nothing")
    severity_field: str = Field("", description="name of the custom field that `severities` fill")
    notify: bool = Field(True, description="let OpenProject tell people of what the bridge does")
    ca_file: Path | None = Field(None, description="PEM file with the CA of the server's certificate")


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the values for the parts of a draft that are to be set, by names and with names for links."""
    parts: list[tuple[str, str, Json]] = [
        ("title", "subject", draft.title),
        ("body", "description", {"raw": draft.body.text}),
        ("issue_type", "type", draft.issue_type),
        ("priority", "priority", draft.priority),
        ("severity", settings.severity_field, draft.severity),
        ("assignee", "assignee", draft.assignee.lstrip("@")),
        ("parent", "parent", draft.parent.lstrip("#")),
    ]
    chosen = {name: value for part, name, value in parts if draft.sets(part) and name and value}
    return chosen | (dict(draft.fields) if draft.sets("fields") else {})


def path_of(href: str) -> str:
    """Return the path behind the API's address of a link, which has the instance's own path in front."""
    return href.rpartition(API)[2]


def problems(data: Json) -> tuple[str, dict[str, str]]:
    """Return what an error says: OpenProject's words, and those for single properties."""
    if not isinstance(data, Mapping) or data.get("_type") != "Error":
        return words_in(data), {}
    embedded = data.get("_embedded") or {}
    fields = {}
    for each in embedded.get("errors") or [data]:
        attribute = ((each.get("_embedded") or {}).get("details") or {}).get("attribute")
        if attribute:
            fields[str(attribute)] = str(each.get("message", ""))
    several = "; ".join(str(each.get("message", "")) for each in embedded.get("errors") or ())
    return str(several or data.get("message") or ""), fields


class OpenProject(HttpTracker[Settings]):
    """Work packages of one project."""

    type = "openproject"
    label = "OpenProject"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.GFM
    title_limit = 255
    settle = timedelta(seconds=30)
    default_labels: ClassVar[tuple[str, ...]] = ()
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Immediate", "high": "High", "low": "Low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.projects = Names("project", self._projects, self.tools.clock)
        self._lists: dict[str, Names] = {}
        self._forms: dict[str, tuple[float, forms.Form]] = {}

    @property
    def base_url(self) -> str:
        """The API's address."""
        return self.settings.url + API

    @property
    def account(self) -> str:
        """The host, and the token's fingerprint."""
        return f"{urlsplit(self.settings.url).hostname}/{fingerprint(self.settings.token.get_secret_value())}"

    def auth(self) -> tuple[str, str] | None:
        """Return the token as the password of a user who is really called so."""
        return ("apikey", self.settings.token.get_secret_value()) if self._basic else None

    def headers(self) -> Mapping[str, str]:
        """Return the token as a bearer's, where Basic is not wanted."""
        return {} if self._basic else {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}

    def ca_file(self) -> Path | None:
        """Return the CA file of the settings."""
        return self.settings.ca_file

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in OpenProject's dialect."""
        status, now = answer.status, self.tools.clock.now()
        if status < 400:
            return super().explain(answer, data, purpose)
        words, fields = problems(data)
        told = replace(answer, message=answer.message or words, fields=fields)
        if status == 404 and purpose is not Purpose.ISSUE:
            hint = "the project does not exist or the token's user may not see it: correct `project` or `url`"
            return NotAllowed(f"{hint} (OpenProject: {told.message})", status=status)
        if status == 409:  # somebody else changed it meanwhile; trying again reads it anew
            return Unavailable(told.message, status=status)
        if status == 429:
            wait = retry_after(answer.headers, now) or _until(answer.headers.get("ratelimit-reset", ""), now)
            return RateLimited(told.message, status=status, retry_after=wait)
        return error_for(told, purpose, now)

    async def create(self, draft: Draft) -> Issue:
        """Make the work package."""
        form = await self.form(draft.issue_type)
        sent, warnings = await self._resolved(payload(draft, self.settings), form)
        project = await self.projects.needed(self.settings.project, "project")
        sent["_links"] = {"project": {"href": project}, **sent.get("_links", {})}
        try:
            data = await self.call(
                "POST", "/work_packages", purpose=Purpose.CREATE, json=sent, params=self._notify
            )
        except Rejected:
            self.forget()  # the project may have changed since we looked
            raise
        self.created(data, "id")
        return replace(self._issue(data), warnings=tuple(warnings))

    async def find(self, marker: Marker) -> Issue | None:
        """Search the descriptions, closed ones too; the filter finds parts of words, so they are compared."""
        project = path_of(await self.projects.needed(self.settings.project, "project"))
        filters = json.dumps([{"description": {"operator": "~", "values": [marker.text]}}])
        async for each in self.pages(f"{project}/work_packages", filters=filters, sortBy='[["id","asc"]]'):
            if marker.found_in((each.get("description") or {}).get("raw") or ""):
                return self._issue(each)
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft."""
        values, path = payload(draft, self.settings), f"/work_packages/{issue.id}"
        if not values:
            return issue
        version = {"lockVersion": (await self._package(issue))["lockVersion"]}
        data = await self.call("POST", f"{path}/form", purpose=Purpose.ISSUE, json=version)
        sent, warnings = await self._resolved(values, self._form(data))
        if sent:
            changed = {**version, **sent}
            await self.call("PATCH", path, purpose=Purpose.ISSUE, json=changed, params=self._notify)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        path, sent = f"/work_packages/{issue.id}/activities", {"comment": {"raw": body.text}}
        await self.call("POST", path, purpose=Purpose.ISSUE, json=sent, params=self._notify)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file, unless an earlier try whose answer was lost did."""
        path = f"/work_packages/{issue.id}/attachments"
        there = self._elements(await self.call("GET", path, purpose=Purpose.ISSUE), Purpose.ISSUE)
        if any(each.get("fileSize") == file.size and _same(each["fileName"], file.name) for each in there):
            return
        about = json.dumps({"fileName": file.name, "description": {"raw": "test IO"}})
        with file.path.open("rb") as content:
            parts = {  # a file name for the first would make the server take it for the file
                "metadata": (None, about, "application/json"),
                "file": (file.name, content, file.type),
            }
            await self.call("POST", path, purpose=Purpose.ISSUE, files=parts)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the status of the work package is one of those that close it."""
        status = (await self._package(issue))["_links"]["status"]
        data = await self.call("GET", path_of(status["href"]))
        return IssueState(bool(data["isClosed"]), data["name"])

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the projects that the key's user sees."""
        return await self.projects.all()

    async def check(self) -> Report:
        """Look at credentials, project, rights, types, required fields, and every configured value."""
        from bridge_plugins._openproject_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return what is sent, with names for links."""
        return {"project": self.settings.project, **payload(draft, self.settings)}

    async def form(self, issue_type: str = "") -> forms.Form:
        """Return what a work package of a type has in the project; without a type, what every one has.

        Raises:
            NotAllowed: There is no such project.
            Rejected: There is no such type in it.
        """
        links = {"project": {"href": await self.projects.needed(self.settings.project, "project")}}
        common = await self._fetched({"_links": links})
        if not issue_type:
            return common
        field = common.field("type")
        href = await self.href(field, issue_type) if field else None
        if field is None or href is None:
            hint = did_you_mean(issue_type, field.allowed if field else ())
            raise Rejected(f'there is no type "{issue_type}" in {self.settings.project}; {hint}'.rstrip("; "))
        return await self._fetched({"_links": {**links, "type": {"href": href}}})

    async def href(self, field: forms.Field, value: str) -> str | None:
        """Return the link to a value that a field may have, by its name; None where there is none."""
        if field.kind == "WorkPackage":
            prefix = (await self.projects.needed(self.settings.project, "project")).rpartition(API)[0]
            return f"{prefix}{API}/work_packages/{value}" if value.isdigit() else None
        known = await self.values(field)
        folded = {name.casefold(): href for name, href in known.items()}
        return folded.get(value.casefold())

    async def values(self, field: forms.Field) -> Mapping[str, str]:
        """Return the links to all values that a field may have, by their names."""
        if not field.source:
            return field.allowed
        path = path_of(field.source)
        if path not in self._lists:

            async def fetch() -> Mapping[str, str]:
                return _named(self._elements(await self.call("GET", path)), "name", "login", "email")

            self._lists[path] = Names(field.name, fetch, self.tools.clock)
        return await self._lists[path].all()

    async def pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Json]]:
        """Yield the elements of a collection, page by page."""
        seen, offset = 0, 1
        while True:
            data = await self.call("GET", path, params={**query, "offset": offset, "pageSize": PAGE})
            elements = self._elements(data)
            for each in elements:
                yield each
            seen, offset = seen + len(elements), offset + 1
            if not elements or seen >= int(data.get("total", 0)):
                return

    def forget(self) -> None:
        """Look at everything anew."""
        self.projects.forget()
        self._lists.clear()
        self._forms.clear()

    @property
    def _basic(self) -> bool:
        return self.settings.authentication == "basic"

    @property
    def _notify(self) -> dict[str, str]:
        return {"notify": "true" if self.settings.notify else "false"}

    async def _projects(self) -> Mapping[str, str]:
        return _named([each async for each in self.pages("/projects")], "name", "identifier", "id")

    async def _package(self, issue: Issue) -> dict[str, Json]:
        data = await self.call("GET", f"/work_packages/{issue.id}", purpose=Purpose.ISSUE)
        if not isinstance(data, dict) or "lockVersion" not in data or "status" not in data.get("_links", {}):
            raise self._odd("there is no work package in the answer", Purpose.ISSUE)
        return data

    async def _fetched(self, body: dict[str, Json]) -> forms.Form:
        """Return the form for a new work package, one that was looked at a while ago as well."""
        key, now = json.dumps(body, sort_keys=True), self.tools.clock.monotonic()
        fetched, form = self._forms.get(key, (0.0, None))
        if form is None or now - fetched > FRESH_SECONDS:
            form = self._form(await self.call("POST", "/work_packages/form", json=body))
            self._forms[key] = now, form
        return form

    def _form(self, data: Json) -> forms.Form:
        try:
            return forms.Form.read(data)
        except (LookupError, TypeError, AttributeError):
            raise self._odd("there is no form in the answer", Purpose.LOOK) from None

    async def _resolved(self, values: Mapping[str, Json], form: forms.Form) -> tuple[dict[str, Json], list[str]]:
        """Return a request's body for `values`, and a warning for each that OpenProject does not know."""
        sent: dict[str, Json] = {}
        links: dict[str, Json] = {}
        warnings: list[str] = []
        for name, value in values.items():
            field = form.field(name)
            if field is None or not field.writable:
                told = "there is no such field" if field is None else "OpenProject sets it itself"
                warnings.append(f"{name}: {told} in {self.settings.project}")
            elif field.linked:
                wanted = [str(each) for each in (value if isinstance(value, list) else [value])]
                found = {each: await self.href(field, each) for each in wanted}
                hrefs = [{"href": href} for href in found.values() if href]
                links |= {field.key: hrefs if field.kind.startswith("[]") else hrefs[0]} if hrefs else {}
                warnings += [f'{name}: there is no "{each}"' for each, href in found.items() if not href]
            else:
                try:
                    sent[field.key] = field.plain(value)
                except ValueError:
                    warnings.append(f'{name}: "{value}" is no {field.kind}')
        return sent | ({"_links": links} if links else {}), warnings

    def _elements(self, data: Json, purpose: Purpose = Purpose.LOOK) -> list[dict[str, Json]]:
        try:
            return list(data["_embedded"]["elements"])
        except (LookupError, TypeError):
            raise self._odd("there is no collection in the answer", purpose) from None

    def _issue(self, data: Mapping[str, Json]) -> Issue:
        number = str(data["id"])
        key = str(data.get("displayId") or f"#{number}")
        return Issue(id=number, key=key, url=f"{self.settings.url}/work_packages/{number}")

    def _odd(self, words: str, purpose: Purpose) -> TrackerError:
        return error_for(Answer(200, words), purpose, self.tools.clock.now())


def _named(elements: list[dict[str, Json]], *keys: str) -> dict[str, str]:
    """Return the links to elements by each of the properties `keys`; of two with one name the first."""
    known: dict[str, str] = {}
    for key in keys:
        for each in elements:
            if each.get(key):
                known.setdefault(str(each[key]), each["_links"]["self"]["href"])
    return known


def _same(stored: str, name: str) -> bool:
    """Whether a file's name is the same but for what the server replaces in it."""
    return re.sub(r"\W+", "_", stored).casefold() == re.sub(r"\W+", "_", name).casefold()


def _until(moment: str, now: datetime) -> timedelta | None:
    """Return how long it is until a moment in seconds since 1970; None where that is no number."""
    if not moment.isdigit():
        return None
    return max(timedelta(0), datetime.fromtimestamp(int(moment), UTC) - now)


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [OpenProject]
