"""YouTrack, Cloud and Server, https://www.jetbrains.com/youtrack/.

REST API without a version, https://www.jetbrains.com/help/youtrack/devportal/youtrack-rest-api.html. Last verified
in November 2026: requests and answers against the vendor's OpenAPI document of 2026.2.

Everything but title, description and tags is a custom field of the project, and a value in the wrong form is
answered with status 500: `_youtrack_fields` knows the forms. Nothing comes back that `fields` does not name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

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
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    hookimpl,
    inside,
    web_address,
)
from bridge.labels import merged, missing, shortened
from bridge_plugins._youtrack_fields import kept
from bridge_plugins._youtrack_names import PAGE, YouTrackNames, in_query

TAG_LIMIT = 255  # characters; not published
CREATED = "id,idReadable,customFields(name,value(name,login,text)),tags(name)"
STATES = ("StateIssueCustomField", "StateMachineIssueCustomField")


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "youtrack"`."""

    url: Annotated[str, web_address("https://acme.youtrack.cloud", "/api")] = Field(
        description="address, with the path it lives under, if any"
    )
    project: str = Field(min_length=1, description="the project's short name, name or id")
    token: Secret = Field(description='permanent token ("perm:...") with the scope YouTrack')
    priority_field: str = Field("Priority", description="field that `priorities` fill")
    severity_field: str = Field("", description="field that `severities` fill")
    type_field: str = Field("Type", description="field that `issue_types` fill")
    assignee_field: str = Field("Assignee", description="field that `assignee` fills")
    marker_field: str = Field("", description="text field that keeps the marker; by it issues are found again")
    silent: bool = Field(False, description='notify nobody; needs the permission "Apply Commands Silently"')


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set.

    Tags and values of custom fields are still texts: YouTrack wants ids and forms, which are looked up before.
    """
    chosen = draft.chosen(
        ("title", "summary", draft.title),
        ("body", "description", draft.body.content),
        ("labels", "tags", shortened(draft.labels, TAG_LIMIT)),
    )
    custom = draft.chosen(
        ("priority", settings.priority_field, draft.priority),
        ("severity", settings.severity_field, draft.severity),
        ("issue_type", settings.type_field, draft.issue_type),
        ("assignee", settings.assignee_field, draft.assignee),
        ("body", settings.marker_field, draft.marker.text),
    )
    custom |= draft.own_fields
    return {**chosen, "customFields": custom} if custom else chosen


class YouTrack(HttpTracker[Settings]):
    """Issues of one project."""

    type = "youtrack"
    label = "YouTrack"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.GFM
    title_limit = 255
    settle = timedelta(seconds=30)
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Critical", "high": "Major", "low": "Minor"}
    default_issue_types: ClassVar[Mapping[str, str]] = {"default": "Bug"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = YouTrackNames(settings.project, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API of the instance."""
        return f"{self.settings.url}/api"

    def headers(self) -> Mapping[str, str]:
        """Return the token."""
        return {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in YouTrack's words."""
        if answer.status >= 300 and isinstance(data, dict) and "error" in data:
            if answer.status >= 500 and "incompatible-" in str(data["error"]):  # a form that never fits
                return Rejected(_words(data), status=answer.status)
            return self.refusal(replace(answer, message=_words(data), fields=_per_field(data)), purpose)
        if answer.status == 404 and data is None and purpose is not Purpose.ISSUE:
            told = f"there is no YouTrack at {self.settings.url}: correct `url`, with its path if it has one"
            return NotAllowed(told, status=404)
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the issue."""
        sent, warnings = await self._resolved(draft)
        sent["project"] = {"id": (await self.names.project())["id"]}
        query = {"fields": CREATED, **self._quiet()}
        data = await self.call("POST", "/issues", purpose=Purpose.CREATE, params=query, json=sent)
        for name in ("id", "idReadable"):
            self.created(data, name)
        return self._issue(data, *warnings, *dropped(sent, data))

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the marker in its own field, or through the newest issues: text search takes words apart."""
        project, name = in_query((await self.names.project())["shortName"]), self.settings.marker_field
        if name and (own := await self.names.field(name)):
            query = f"project: {project} {in_query(own.name)}: {in_query(marker.text)}"
            found = self.names.listing("/issues", "id,idReadable,customFields(name,value)", query=query)
            return await self._first(found, lambda data: _value(data, own.name), marker)
        query = f"project: {project} sort by: created desc"
        newest = self.names.listing("/issues", "id,idReadable,created,description", query=query)
        return await self._first(newest, lambda data: data.get("description"), marker)

    async def _first(
        self,
        found: AsyncIterator[dict[str, Json]],
        text_of: Callable[[dict[str, Json]], Json],
        marker: Marker,
    ) -> Issue | None:
        since = int(marker.earliest.timestamp() * 1000)
        async for data in found:
            if data.get("created", since) < since:  # the newest come first
                return None
            if isinstance(text := text_of(data), str) and marker.found_in(text):
                return self._issue(data)
        return None

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Put the issue under its parent: a create cannot say that."""
        if not draft.parent:
            return
        if not re.fullmatch(r"[A-Za-z0-9_]+-\d+", draft.parent):  # it goes into a command
            raise Rejected(f'parent: "{draft.parent}" is no issue: write it like "SHOP-7"')
        command = {"query": f"subtask of {draft.parent}", "issues": [{"id": issue.id}]}
        silent = {"silent": True} if self.settings.silent else {}
        await self.call("POST", "/commands", purpose=Purpose.ISSUE, json=command | silent)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Tags that people added stay."""
        sent, warnings = await self._resolved(draft)
        if "tags" in sent:
            await self._retag(issue, draft, [tag["id"] for tag in sent.pop("tags")])
        if draft.sets("parent"):
            await self.complete(issue, draft)
        if not sent:
            return replace(issue, warnings=warnings)
        query = {"fields": CREATED, **self._quiet()}
        data = await self.call("POST", f"/issues/{issue.id}", purpose=Purpose.ISSUE, params=query, json=sent)
        inside(data, "id", purpose=Purpose.ISSUE)
        return self._issue(data, *warnings, *dropped(sent, data))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        query = {"fields": "id", **self._quiet()}
        path = f"/issues/{issue.id}/comments"
        await self.call("POST", path, purpose=Purpose.ISSUE, params=query, json={"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload the file to the issue."""
        await self.upload(f"/issues/{issue.id}/attachments?fields=id", file, field_name="files[0]")

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue is resolved, and its state's name."""
        query = {"fields": "id,resolved,customFields($type,name,value(name))"}
        data = await self.call("GET", f"/issues/{issue.id}", purpose=Purpose.ISSUE, params=query)
        inside(data, "id", purpose=Purpose.ISSUE)
        done = data["resolved"] is not None
        values = (own["value"] for own in data["customFields"] if own["$type"] in STATES)
        names = [value["name"] for value in values if value]
        return IssueState(done, names[0] if names else "resolved" if done else "open")

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the projects that the token's user sees."""
        return await self.names.projects.all()

    async def check(self) -> Report:
        """Look at the token, the project, its required fields, and every configured field, value and tag."""
        from bridge_plugins._youtrack_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; tags and values get ids and forms when it is sent."""
        return {"project": self.settings.project, **payload(draft, self.settings)}

    async def _resolved(self, draft: Draft) -> tuple[dict[str, Json], tuple[str, ...]]:
        """Return the draft's payload with ids and forms, and a warning for what the project does not have."""
        sent, custom, warnings = payload(draft, self.settings), [], []
        for name, value in sent.pop("customFields", {}).items():
            own = await self.names.field(name)
            try:
                if own is None:
                    raise ValueError(f'the project has no field "{name}"')
                custom.append(own.sent(value))
            except ValueError as problem:
                warnings.append(f"{problem}: it is left out")
        tags = []
        for name in sent.pop("tags", []):
            try:
                tags.append({"id": await self.names.tag(name)})
            except (NotAllowed, Rejected) as refusal:
                warnings.append(f'tag "{name}" does not exist and cannot be made: {refusal.message}')
        sent |= {name: items for name, items in (("customFields", custom), ("tags", tags)) if items}
        return sent, tuple(warnings)

    async def _retag(self, issue: Issue, draft: Draft, ours: list[str]) -> None:
        """Add our tags one by one and take away those that give way: setting all would lose what we do not see."""
        path = f"/issues/{issue.id}/tags"
        query = {"fields": "id,name", "$top": str(PAGE)}
        there = await self.call("GET", path, purpose=Purpose.ISSUE, params=query)
        kept_names = set(merged((tag["name"] for tag in there), draft.labels))
        for tag in ours:
            if tag not in {each["id"] for each in there}:
                await self.call("POST", path, purpose=Purpose.ISSUE, params={"fields": "id"}, json={"id": tag})
        for tag in there:
            if tag["id"] not in ours and tag["name"] not in kept_names:
                await self.call("DELETE", f"{path}/{tag['id']}", purpose=Purpose.ISSUE)

    def _quiet(self) -> dict[str, str]:
        return {"muteUpdateNotifications": "true"} if self.settings.silent else {}

    def _issue(self, data: dict[str, Json], *warnings: str) -> Issue:
        key = data["idReadable"]
        return Issue(id=data["id"], key=key, url=f"{self.settings.url}/issue/{quote(key)}", warnings=warnings)


def dropped(sent: Mapping[str, Json], answer: Mapping[str, Json]) -> list[str]:
    """Return a warning for each field that has another value in the issue that came back: a workflow's doing."""
    got = {own["name"]: own.get("value") for own in answer.get("customFields") or []}
    lost = [own["name"] for own in sent.get("customFields", []) if not kept(own, got.get(own["name"]))]
    return [f"{name}: YouTrack did not keep the value; perhaps a workflow changed it" for name in lost]


def _value(data: Mapping[str, Json], name: str) -> Json:
    return next((own.get("value") for own in data["customFields"] if own["name"] == name), None)


def _words(data: Mapping[str, Json]) -> str:
    told = str(data.get("error_description") or data.get("error_developer_message") or data["error"])
    more = [
        str(child.get("error_description") or child.get("error")) for child in data.get("error_children") or []
    ]
    return "; ".join(dict.fromkeys([told, *missing(more, [told])]))


def _per_field(data: Mapping[str, Json]) -> dict[str, str]:
    problems = [data, *(data.get("error_children") or [])]
    return {
        str(problem["error_field"]): str(problem.get("error_description") or problem.get("error"))
        for problem in problems
        if problem.get("error_field")
    }


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [YouTrack]
