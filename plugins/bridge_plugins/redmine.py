"""Redmine, and its hosted relatives such as Planio and Easy Redmine.

REST API, https://www.redmine.org/projects/redmine/wiki/Rest_api, Redmine 3 to 7. Last verified in November 2026.

Redmine says yes to much that it does not do: a type, a custom field or an assignee that is not permitted is
dropped with 201 or 204, and a filter that it does not know finds every issue. Every answer is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
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
    NotAllowed,
    Purpose,
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
from bridge_plugins._redmine_lists import NATIVE, Lists

NO_RIGHT = {
    "Project cannot be blank",
    "Tracker cannot be blank",
}  # no such project, or no right there
REFUSALS = {
    401: "Redmine does not know the API key, or its user is locked",
    403: "the REST API is turned off, or the role of the key's user lacks a right in the project",
}
"""What Redmine does not say: the body is empty."""
MARKUPS = {"markdown": Markup.GFM, "textile": Markup.TEXTILE}

ANSWERED = {
    "tracker_id": "tracker", "status_id": "status", "priority_id": "priority", "category_id": "category",
    "fixed_version_id": "fixed_version", "assigned_to_id": "assigned_to", "parent_issue_id": "parent",
}  # fmt: skip
"""Where an issue that is read shows what was sent as an id."""


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "redmine"`."""

    url: Annotated[str, web_address("https://redmine.acme.example")] = Field(
        description="the address, with the path Redmine lives under, if any"
    )
    project: Name = Field(description="its identifier, name or id")
    api_key: Secret = Field(description="My account > API access key")
    text_format: Literal["markdown", "textile"] = Field(
        "markdown", description="Administration > Settings > General > Text formatting"
    )
    category: str = Field("", description="category that new issues get")
    version: str = Field("", description="target version that new issues get")
    private: bool = Field(False, description="make private issues")
    severity_field: str = Field("", description="custom field that `severities` fill")
    marker_field: str = Field("", description="custom field, used as a filter, that keeps the marker")
    ca_file: Path | None = Field(None, description="PEM file with the CA of the server's certificate")


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set.

    Type, priority, people and custom fields are still named: their ids are looked up before sending.
    """
    chosen = draft.chosen(
        ("title", "subject", draft.title),
        ("body", "description", draft.body.content),
        ("issue_type", "tracker_id", draft.issue_type),
        ("priority", "priority_id", draft.priority),
        ("assignee", "assigned_to_id", draft.assignee),
        ("parent", "parent_issue_id", draft.parent.lstrip("#")),
        ("fields", "category_id", settings.category),
        ("fields", "fixed_version_id", settings.version),
        ("fields", "is_private", settings.private),
    )
    chosen |= {name: value for name, value in draft.own_fields.items() if name in NATIVE}
    custom = draft.chosen(("severity", settings.severity_field, draft.severity))
    custom |= {name: value for name, value in draft.own_fields.items() if name not in NATIVE}
    if settings.marker_field and draft.sets("body"):
        custom[settings.marker_field] = draft.marker.text
    return {**chosen, "custom_fields": custom} if custom else chosen


def custom_value(value: Json) -> str | list[str]:
    """Return a value as Redmine writes it in a custom field."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(int(value)) if isinstance(value, bool) else str(value)


def dropped(sent: Mapping[str, Json], issue: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that was sent and is not in the issue that came back."""
    got: dict[str, Json] = {**issue, **{name: (issue.get(at) or {}).get("id") for name, at in ANSWERED.items()}}
    plain = [name for name in sent if name in {*ANSWERED, "subject", "description"} or sent[name] is True]
    lost = [f"{name}: Redmine dropped it" for name in plain if _lines(got.get(name)) != _lines(sent[name])]
    values = {field["id"]: field.get("value") for field in issue.get("custom_fields") or ()}
    lost += [
        f"custom field {field['id']}: Redmine dropped or changed it"
        for field in sent.get("custom_fields", ())
        if _lines(values.get(field["id"])) != _lines(field["value"])
    ]
    return [f"{words} in silence; look at the role and workflow of the key's user" for words in lost]


def _lines(value: Json) -> Json:
    """Return a value without what Redmine itself changes: the ends of lines, the order of several values."""
    if isinstance(value, list):
        return sorted(map(str, value))
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value


class Redmine(HttpTracker[Settings]):
    """Issues of one project."""

    type = "redmine"
    label = "Redmine"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.GFM
    title_limit = 255
    body_limit = 60_000  # the column of older MySQL installations holds 64 KiB; each line end becomes two bytes
    unit = Unit.BYTES
    settle = timedelta(seconds=30)
    default_labels: ClassVar[tuple[str, ...]] = ()
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Urgent", "high": "High", "low": "Low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.markup = MARKUPS[settings.text_format]
        self.lists = Lists(self)

    @property
    def base_url(self) -> str:
        """Where Redmine lives."""
        return self.settings.url

    def headers(self) -> Mapping[str, str]:
        """Return the key."""
        return {"X-Redmine-API-Key": self.settings.api_key.get_secret_value()}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means. Refusals other than 422 have an empty body."""
        status, errors = answer.status, data.get("errors") if isinstance(data, dict) else None
        if status == 422 and errors == [] and purpose is Purpose.ISSUE:  # it locks optimistically, and set nothing
            return Unavailable("somebody else changed the issue at the same moment", status=status)
        told = ""
        if isinstance(errors, list):
            answer = replace(answer, message="; ".join(map(str, errors)))
            absent = f"there is no project {self.settings.project} where the key's user may make issues"
            told = f"{absent}: {answer.message}" if set(errors) >= NO_RIGHT else ""
        elif 300 <= status < 400:
            target = answer.headers.get("location", "another address").split("?")[0]
            told = f"redirected to {target}: correct `url`"
        elif status == 404 and purpose is not Purpose.ISSUE:
            told = f"project {self.settings.project} does not exist, or `url` is not Redmine's address"
        elif data is None:
            told = REFUSALS.get(status, "")
        return NotAllowed(told, status=status) if told else super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the issue."""
        project = await self.lists.project()
        sent, warnings = await self.resolved(payload(draft, self.settings))
        body = {"issue": {"project_id": project, **sent}}
        data = await self.call("POST", "/issues.json", purpose=Purpose.CREATE, json=body)
        number = self.created(data, "issue", "id")
        return self._issue(number, (*warnings, *dropped(sent, data["issue"])))

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the marker in its field, and in descriptions: plain SQL, always up to date."""
        await self.call("GET", "/users/current.json")  # with a wrong key, public projects are shown as to anybody
        project = await self.lists.project()
        searches = [{"description": f"~{marker.text}"}]  # an issue of somebody who emptied the field
        field = await self._marker_field()
        if field is not None:
            searches.insert(0, {f"cf_{field}": marker.text})
        for search in searches:
            query = {"project_id": project, "status_id": "*", "sort": "id:desc", **search}
            async for item in self.lists.pages("/issues.json", "issues", query):
                if _carries(item, marker, field):
                    return self._issue(item["id"])
                if datetime.fromisoformat(item["created_on"]) < marker.earliest:
                    break  # the filter was ignored, and from here on issues are older than the first attempt
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft, and read whether they were set: 204 says nothing."""
        sent, warnings = await self.resolved(payload(draft, self.settings))
        if not sent:
            return self._issue(issue.id, tuple(warnings))
        await self._put(issue, sent)
        return self._issue(issue.id, (*warnings, *dropped(sent, await self._read_issue(issue))))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a note."""
        await self._put(issue, {"notes": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload the file, and put it to the issue: the token of an upload is good for one time."""
        kind = {"Content-Type": "application/octet-stream"}  # anything else is 406
        data = await self.send_file("/uploads.json", file, params={"filename": file.name}, headers=kind)
        upload = inside(data, "upload", "token", purpose=Purpose.ISSUE)
        entry = {"token": upload, "filename": file.name, "content_type": file.type, "description": "test IO"}
        await self._put(issue, {"uploads": [entry]})

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue's status is a closed one."""
        status = inside(await self._read_issue(issue), "status", purpose=Purpose.ISSUE)
        closed = status.get("is_closed")
        if closed is None:  # Redmine before 5.0
            every = list_inside(await self.call("GET", "/issue_statuses.json"), "issue_statuses")
            closed = any(each["id"] == status["id"] and each.get("is_closed") for each in every)
        return IssueState(bool(closed), status["name"])

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the projects that the key's user sees."""
        return await self.lists.projects.all()

    async def check(self) -> Report:
        """Look at the key, project, rights, and every configured name and custom field."""
        from bridge_plugins._redmine_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names are replaced by ids when it is sent."""
        return {"issue": {"project_id": self.settings.project, **payload(draft, self.settings)}}

    async def resolved(self, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with ids for names, and a warning for each name that Redmine does not know."""
        sent: dict[str, Json] = {}
        warnings = []
        for field, value in named.items():
            if not isinstance(value, str) or field not in ANSWERED:
                sent[field] = value
            elif (found := await self.lists.id_of(field, value)) is not None:
                sent[field] = int(found)
            else:
                warnings.append(f'{field}: "{value}" does not exist here: left out')
        custom = []
        for name, value in sent.pop("custom_fields", {}).items():
            number = name if name.isdigit() else await self.lists.custom_fields.find(name)
            if number is not None:
                custom.append({"id": int(number), "value": custom_value(value)})
            else:
                warnings.append(f'fields: the custom field "{name}" does not exist here: left out')
        return sent | ({"custom_fields": custom} if custom else {}), warnings

    async def _put(self, issue: Issue, changes: Mapping[str, Json]) -> None:
        await self.call("PUT", f"/issues/{issue.id}.json", purpose=Purpose.ISSUE, json={"issue": changes})

    async def _read_issue(self, issue: Issue) -> Any:
        data = await self.call("GET", f"/issues/{issue.id}.json", purpose=Purpose.ISSUE)
        return inside(data, "issue", purpose=Purpose.ISSUE)

    def _issue(self, number: int | str, warnings: tuple[str, ...] = ()) -> Issue:
        url = f"{self.base_url}/issues/{number}"  # Redmine's own `Location` has whatever host the request had
        return Issue(id=str(number), key=f"#{number}", url=url, warnings=warnings)

    async def _marker_field(self) -> str | None:
        name = self.settings.marker_field
        if not name or name.isdigit():
            return name or None
        return await self.lists.custom_fields.find(name)


def _carries(item: Mapping[str, Json], marker: Marker, field: str | None) -> bool:
    fields = item.get("custom_fields") or ()
    own = any(str(each["id"]) == field and each.get("value") == marker.text for each in fields)
    return own or marker.found_in(item.get("description") or "")


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Redmine]
