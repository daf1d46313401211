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
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

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
    Name,
    Names,
    Purpose,
    Rejected,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    by_name,
    hookimpl,
    inside,
    list_inside,
    unexpected,
    web_address,
)
from bridge.answers import words_in
from bridge.doctor import did_you_mean
from bridge.names import FRESH_SECONDS, match
from bridge_plugins import _openproject_form as forms

API = "/api/v3"
PAGE = 100


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "openproject"`."""

    url: Annotated[str, web_address("https://acme.openproject.com", API)] = Field(
        description="the instance, with the path it lives under"
    )
    project: Name = Field(description="the project: its name, identifier or id")
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
    chosen = draft.chosen(
        ("title", "subject", draft.title),
        ("body", "description", {"raw": draft.body.text}),
        ("issue_type", "type", draft.issue_type),
        ("priority", "priority", draft.priority),
        ("severity", settings.severity_field, draft.severity),
        ("assignee", "assignee", draft.assignee.lstrip("@")),
        ("parent", "parent", draft.parent.lstrip("#")),
    )
    return {**chosen, **draft.own_fields}


def links_to(elements: list[dict[str, Json]], *keys: str) -> dict[str, str]:
    """Return the links to elements by each of the properties `keys`; of two with one name the first."""
    linked = [{**each, "href": each["_links"]["self"]["href"]} for each in elements]
    return by_name(linked, *keys, id_key="href")


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
    absent = "the project does not exist or the token's user may not see it: correct `project` or `url`"
    limit_ends = "ratelimit-reset"
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

    def auth(self) -> tuple[str, str] | None:
        """Return the token as the password of a user who is really called so."""
        return ("apikey", self.settings.token.get_secret_value()) if self._basic else None

    def headers(self) -> Mapping[str, str]:
        """Return the token as a bearer's, where Basic is not wanted."""
        return {} if self._basic else {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in OpenProject's dialect."""
        if answer.status < 400:
            return super().explain(answer, data, purpose)
        words, fields = problems(data)
        told = replace(answer, message=answer.message or words, fields=fields)
        if told.status == 409:  # somebody else changed it meanwhile; trying again reads it anew
            return Unavailable(told.message, status=409)
        return self.refusal(told, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the work package."""
        form = await self.form(draft.issue_type)
        sent, warnings = await self._resolved(payload(draft, self.settings), form)
        sent["_links"] = {"project": {"href": await self.project()}, **sent.get("_links", {})}
        data = await self.call("POST", "/work_packages", purpose=Purpose.CREATE, json=sent, params=self._notify)
        self.created(data, "id")
        return replace(self._issue(data), warnings=tuple(warnings))

    async def find(self, marker: Marker) -> Issue | None:
        """Search the descriptions, closed ones too; the filter finds parts of words, so they are compared."""
        path = f"{path_of(await self.project())}/work_packages"
        filters = json.dumps([{"description": {"operator": "~", "values": [marker.text]}}])
        async for each in self.pages(path, filters=filters, sortBy='[["id","asc"]]'):
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
        data = await self.call("GET", path, purpose=Purpose.ISSUE)
        there = list_inside(data, "_embedded", "elements", purpose=Purpose.ISSUE)
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

    async def project(self) -> str:
        """Return the link to the project.

        Raises:
            NotAllowed: There is none of this name.
        """
        return await self.projects.needed(self.settings.project, "project")

    async def form(self, issue_type: str = "") -> forms.Form:
        """Return what a work package of a type has in the project; without a type, what every one has.

        Raises:
            NotAllowed: There is no such project.
            Rejected: There is no such type in it.
        """
        links = {"project": {"href": await self.project()}}
        common = await self._fetched({"_links": links})
        if not issue_type:
            return common
        field = common.field("type")
        href = await self.href(field, issue_type) if field else None
        if href is None:
            hint = did_you_mean(issue_type, field.allowed if field else ())
            raise Rejected(f'there is no type "{issue_type}" in {self.settings.project}; {hint}'.rstrip("; "))
        return await self._fetched({"_links": {**links, "type": {"href": href}}})

    async def href(self, field: forms.Field, value: str) -> str | None:
        """Return the link to a value that a field may have, by its name; None where there is none."""
        if field.kind == "WorkPackage":
            prefix = (await self.project()).rpartition(API)[0]
            return f"{prefix}{API}/work_packages/{value}" if value.isdigit() else None
        return match(value, await self.values(field))

    async def values(self, field: forms.Field) -> Mapping[str, str]:
        """Return the links to all values that a field may have, by their names."""
        if not field.source:
            return field.allowed
        path = path_of(field.source)
        if path not in self._lists:

            async def fetch() -> Mapping[str, str]:
                elements = list_inside(await self.call("GET", path), "_embedded", "elements")
                return links_to(elements, "name", "login", "email")

            self._lists[path] = Names(field.name, fetch, self.tools.clock)
        return await self._lists[path].all()

    async def pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Json]]:
        """Yield the elements of a collection, page by page."""
        seen, offset = 0, 1
        while True:
            data = await self.call("GET", path, params={**query, "offset": offset, "pageSize": PAGE})
            elements = list_inside(data, "_embedded", "elements")
            for each in elements:
                yield each
            seen, offset = seen + len(elements), offset + 1
            if not elements or seen >= int(data.get("total", 0)):
                return

    def forget(self) -> None:
        """Look at names and forms anew: the project may have changed."""
        super().forget()
        self._forms.clear()

    @property
    def _basic(self) -> bool:
        return self.settings.authentication == "basic"

    @property
    def _notify(self) -> dict[str, str]:
        return {"notify": "true" if self.settings.notify else "false"}

    async def _projects(self) -> Mapping[str, str]:
        return links_to([each async for each in self.pages("/projects")], "name", "identifier", "id")

    async def _package(self, issue: Issue) -> dict[str, Json]:
        path = f"/work_packages/{issue.id}"
        data: dict[str, Json] = await self.call("GET", path, purpose=Purpose.ISSUE)
        inside(data, "lockVersion", purpose=Purpose.ISSUE)
        inside(data, "_links", "status", purpose=Purpose.ISSUE)
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
            raise unexpected("there is no form in the answer") from None

    async def _resolved(self, values: Mapping[str, Json], form: forms.Form) -> tuple[dict[str, Json], list[str]]:
        """Return a request's body for `values`, and a warning for each that OpenProject does not know."""
        sent, links, warnings = dict[str, Json](), dict[str, Json](), list[str]()
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

    def _issue(self, data: Mapping[str, Json]) -> Issue:
        number = str(data["id"])
        key = str(data.get("displayId") or f"#{number}")
        return Issue(id=number, key=key, url=f"{self.settings.url}/work_packages/{number}")


def _same(stored: str, name: str) -> bool:
    """Whether a file's name is the same but for what the server replaces in it."""
    return re.sub(r"\W+", "_", stored).casefold() == re.sub(r"\W+", "_", name).casefold()


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [OpenProject]
