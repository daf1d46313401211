"""Zoho Projects and Zoho BugTracker: bugs of one project.

REST API v3, https://projects.zoho.com/api-docs, and of the older one, which Zoho will withdraw, what v3 lacks: the
lists of values, and comments where v3 refuses them. Last verified in November 2026 against the vendor's documents;
it publishes no description that a program could check, so answers are read leniently.

Odd: no key of ours and no search, so the marker is in the title, and the list of bugs is read for it; going over
the rate limit locks the API for half an hour; an empty list is 204; files need WorkDrive. Signing in: `_zoho`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    Gone,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    Tools,
    Tracker,
    TrackerError,
    hookimpl,
    inside,
    unexpected,
)
from bridge.units import CallRate, parse_rate
from bridge_plugins._zoho import Name, ZohoSettings, ZohoTracker, host, not_signed_in, titled
from bridge_plugins._zoho_projects_names import LISTS, ZohoProjectsNames, has_more, items

PAGE, PAGES = 200, 25  # bugs that are read at most: 100 requests in two minutes are permitted


class Settings(ZohoSettings):
    """`[trackers.NAME]` with `type = "zoho-projects"`."""

    product: Literal["projects", "bugtracker"] = Field(
        "projects", description="projects, or bugtracker where it was bought alone"
    )
    portal: Name = Field(min_length=1, description="the portal: its name in addresses, or its id")
    project: Name = Field(min_length=1, description="the project: its name or id")
    flag: Literal["internal", "external"] = Field("internal", description="external: clients see the bugs")
    issues_path: str = Field("issues", pattern=r"^[a-z]+$", description="bugs' part of the API's addresses")
    done: tuple[str, ...] = Field((), description="more statuses in which a bug is finished")
    concurrency: int = Field(1, ge=1, le=64, description="deliveries under way at once")
    rate: CallRate | None = Field(parse_rate("20/minute"), description="at most so many deliveries started")


def bug(draft: Draft) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set; values of lists are still named."""
    chosen = draft.chosen(
        ("title", "name", titled(draft)),
        ("body", "description", draft.body.content),
        ("severity", "severity", draft.severity),
        ("issue_type", "classification", draft.issue_type),
        ("assignee", "assignee", draft.assignee),
    )
    return {**chosen, **draft.own_fields}


def new_bug(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent to make a bug, with names in place of ids."""
    return {"flag": settings.flag, **bug(draft)}


def dropped(sent: Mapping[str, Json], got: Mapping[str, Json]) -> list[str]:
    """Return a warning for each list's value that was sent and is another one in the bug that came back."""
    lost = [name for name in LISTS if name in sent and isinstance(got.get(name), dict)]
    lost = [name for name in lost if str(got[name].get("id")) != str(sent[name].get("id"))]
    return [f"{name}: Zoho did not take it; look at the project's layout and its rules" for name in lost]


class ZohoProjects(ZohoTracker[Settings]):
    """Bugs of one project."""

    type = "zoho-projects"
    label = "Zoho Projects"
    settings_type = Settings
    listed = ("portal", "project")
    markup = Markup.HTML
    title_limit = 200  # of some 250: the marker follows; Zoho publishes none
    body_limit = 60_000  # Zoho publishes none
    settle = timedelta(seconds=30)
    limit_lasts = timedelta(minutes=30)  # so long Zoho locks the API
    default_labels: ClassVar[tuple[str, ...]] = ()
    default_severities: ClassVar[Mapping[str, str]] = {"critical": "Critical", "high": "Major", "low": "Minor"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = ZohoProjectsNames(settings.portal, settings.project, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The product's host in the data center; both APIs live there."""
        product = {"projects": "projectsapi"}.get(self.settings.product, self.settings.product)
        return self.settings.url or host(product, self.settings.data_center)

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: its `error` decides, where there is one, inside 200 too."""
        if error := not_signed_in(data):
            return error
        problem = data.get("error") if isinstance(data, dict) else None
        if not isinstance(problem, dict):
            problem = {}
        if answer.status < 300 and not problem:
            return super().explain(answer, data, purpose)
        status = answer.status if answer.status >= 300 else _status(problem)
        words = _words(problem) or answer.message
        if problem.get("title") == "URL_RULE_NOT_CONFIGURED":
            return NotAllowed(f"{words}: correct `portal`, `project`, `product` or `issues_path`", status=status)
        told = replace(answer, status=status, message=words, fields=_per_field(problem))
        return self.refusal(told, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the bug."""
        path = await self.path()
        sent, warnings = await self._resolved(new_bug(draft, self.settings))
        web = await self._web()
        data = _bug(await self.call("POST", path, purpose=Purpose.CREATE, json=sent))
        self.created(data, "id")
        return self._issue(data, web, *_unheard(draft), *warnings, *dropped(sent, data))

    async def find(self, marker: Marker) -> Issue | None:
        """Read the project's bugs for the marker; where the newest come first, back to the first attempt."""
        path, age = await self.path(), Age()
        for page in range(1, PAGES + 1):
            data = await self.call("GET", path, params={"page": str(page), "per_page": str(PAGE)})
            found = items(data, "issues")
            for each in found:
                if marker.found_in(str(each.get("name", ""))):
                    return self._issue(each, await self._web())
            age.read(found)
            if not has_more(data) or age.is_before(marker.earliest):
                return None
        told = f"none of {PAGE * PAGES} bugs that were read is the bug's, and there are more"
        raise Rejected(f"{told}: look for {marker.text} there; if it is missing, replay this delivery")

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft."""
        sent, warnings = await self._resolved(bug(draft))
        if sent:
            data = await self.call("PATCH", await self.path(issue), purpose=Purpose.ISSUE, json=sent)
            warnings += dropped(sent, _bug(data))
        return replace(issue, warnings=(*_unheard(draft), *warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment; in the older API where v3 does not take it."""
        path = f"{await self.path(issue)}/comments"
        try:
            await self.call("POST", path, purpose=Purpose.ISSUE, json={"comment": body.text})
        except (Gone, NotAllowed, Rejected) as refusal:
            if refusal.status not in {400, 404}:
                raise
            path = f"/restapi{await self.names.path()}/bugs/{issue.id}/comments/"
            await self.call("POST", path, purpose=Purpose.ISSUE, data={"content": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file to the portal's WorkDrive, and put it to the bug, if that is still there."""
        await self._existing(issue)
        portal, project = await self.names.portal(), await self.names.project()
        form = {
            "attachment_details[storage_type]": "WorkDrive",
            "attachment_details[location_details][project_id]": project,
        }
        path = f"/api/v3/portal/{portal}/attachments"
        try:
            data = await self.upload(path, file, field_name="upload_file", data=form, purpose=Purpose.LOOK)
        except NotAllowed as refusal:  # the bug can be read: this is of files only
            told = "files need the portal's WorkDrive integration and the scopes for it"
            raise Rejected(f"{told}: {refusal.message}", status=refusal.status) from None
        stored = [str(each["attachment_id"]) for each in items(data, "attachment") if each.get("attachment_id")]
        if not stored:
            raise unexpected("there is no attachment_id in the answer")
        chosen = {"attachment_ids": (None, json.dumps(stored[:1]))}
        path = f"{await self.path(issue)}/attachments"
        await self.call("POST", path, purpose=Purpose.ISSUE, files=chosen)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the bug's status is of the type closed, or one of `done`."""
        data = await self._existing(issue)
        name = str(inside(data, "status", "name", purpose=Purpose.ISSUE))
        done = name.casefold() in {each.casefold() for each in self.settings.done}
        return IssueState(done or data["status"].get("is_closed_type") is True, name)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the portals that the client sees, or the portal's projects."""
        return await (self.names.portals if setting == "portal" else self.names.projects).all()

    async def check(self) -> Report:
        """Look at the credentials, the portal, the project, the right to bugs, and every configured value."""
        from bridge_plugins._zoho_projects_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names are replaced by ids when it is sent."""
        return new_bug(draft, self.settings)

    async def path(self, issue: Issue | None = None) -> str:
        """Return the path of an issue, or of all."""
        all_of_them = f"/api/v3{await self.names.path()}/{self.settings.issues_path}"
        return f"{all_of_them}/{issue.id}" if issue else all_of_them

    async def id_of(self, field: str, value: str) -> str | None:
        """Return the id of a list's value or a person, None where there is none; ids are taken as they are."""
        if value.isdigit():
            return value
        return await (self.names.people if field == "assignee" else self.names.values[field]).find(value)

    async def _existing(self, issue: Issue) -> dict[str, Json]:
        return _bug(await self.call("GET", await self.path(issue), purpose=Purpose.ISSUE))

    async def _resolved(self, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with ids for names, and a warning for each name that Zoho does not know."""
        sent, warnings = dict(named), []
        for field in (*LISTS, "assignee"):
            value = sent.get(field)
            if not isinstance(value, str):  # left out, or an object as Zoho wants it
                continue
            try:
                found = await self.id_of(field, value)
            except (NotAllowed, Rejected) as refusal:
                found, value = None, f"{value}: {refusal.message}"
            if found is None:
                warnings.append(f'{field}: there is no "{value}": left out')
                del sent[field]
            else:
                sent[field] = {"zpuid" if field == "assignee" else "id": found}
        return sent, warnings

    async def _web(self) -> str:
        """Return the address of the project's bugs for people."""
        portal = await self.names.portal_name()
        web = host(self.settings.product, self.settings.data_center)
        return f"{web}/portal/{portal}#zp/projects/{await self.names.project()}/bug-detail"

    def _issue(self, data: Mapping[str, Json], web: str, *warnings: str) -> Issue:
        number = str(data["id"])  # nineteen digits: never a float
        return Issue(id=number, key=str(data.get("prefix") or number), url=f"{web}/{number}", warnings=warnings)


def _bug(data: Json) -> dict[str, Json]:
    """Return the bug in an answer: itself, or what is in `issue` or `issues`; empty where there is none."""
    found = data.get("issue") or data.get("issues") or data if isinstance(data, dict) else data
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, dict) else {}


class Age:
    """How far back a list was read. In which order Zoho gives bugs is not documented, so it is looked at."""

    def __init__(self) -> None:
        self._newest_first = True
        self._oldest: datetime | None = None

    def read(self, bugs: list[dict[str, Json]]) -> None:
        """Take note of the bugs of one page."""
        for each in bugs:
            made = _created(each)
            if made is None or (self._oldest and made > self._oldest):
                self._newest_first = False
            self._oldest = made or self._oldest

    def is_before(self, moment: datetime) -> bool:
        """Whether everything further down was surely made before `moment`."""
        return self._newest_first and self._oldest is not None and self._oldest < moment


def _created(data: Mapping[str, Json]) -> datetime | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(str(data.get("created_time")))
        return moment if moment.tzinfo else None
    return None


def _unheard(draft: Draft) -> list[str]:
    return [f'parent: "{draft.parent}": bugs have none, left out'] if draft.parent and draft.sets("parent") else []


def _words(problem: Mapping[str, Json]) -> str:
    title = problem.get("title") or problem.get("message") or ""
    details = [str(each["message"]) for each in items(problem, "details") if each.get("message")]
    return ": ".join(filter(None, [str(title), "; ".join(details)]))


def _per_field(problem: Mapping[str, Json]) -> dict[str, str]:
    details = items(problem, "details")
    named = [(each.get("field") or each.get("field_name"), each.get("message")) for each in details]
    return {str(name): str(told) for name, told in named if name}


def _status(problem: Mapping[str, Json]) -> int:
    """Return the status that an error inside 200 means; the older API has codes like 6404."""
    code = str(problem.get("status_code") or problem.get("code") or "")[-3:]
    return int(code) if code.isdigit() and 400 <= int(code) <= 599 else 400


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [ZohoProjects]
