"""ClickUp: tasks in one List.

API v2, https://developer.clickup.com/reference. Last verified in November 2026: requests and answers against
ClickUp's own OpenAPI description.

Odd: a wrong List is answered with "Team not authorized", like a wrong token; a body is `markdown_content` when it
is sent, `markdown_description` when it is read, and `description` is something else; comments show Markdown as it
is written; custom fields that do not fit the type of the task are dropped in silence.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import AfterValidator, Field

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
    list_inside,
)
from bridge.answers import words_in
from bridge.labels import WITH_SEVERITY, merged, missing, shortened
from bridge.names import match
from bridge_plugins._clickup_fields import dropped, item, moment
from bridge_plugins._clickup_names import AS_JSON, ClickUpNames, place

PRIORITIES = {"Urgent": "1", "High": "2", "Normal": "3", "Low": "4"}
TAG_LIMIT = 255  # characters; not published
PAGE = 100  # tasks in one answer
DATES = ("due_date", "start_date")
ONLY_NEW = frozenset({"check_required_custom_fields", "group_assignees", "links_to"})
NATIVE = ONLY_NEW | {*DATES, "due_date_time", "start_date_time", "status", "time_estimate", "points"}
"""Keys of `fields` that are a task's own; every other one names a custom field."""


def _list(value: str) -> str:
    if "://" in value and place(value.strip()) is None:
        raise ValueError('is no list: open the list, "..." > Copy link, and write that address, or its id')
    return value.strip()


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "clickup"`."""

    list: Annotated[str, AfterValidator(_list)] = Field(
        min_length=1, description='the list: its address, id, or name ("Space/Folder/List")'
    )
    token: Secret = Field(description='personal API token ("pk_..."), or an OAuth access token')
    workspace: str = Field("", description="name or id of the workspace, where the token's user is in several")
    status: str = Field("", description="status of new tasks; empty: the list's first")
    severity_field: str = Field("", description="name of the custom field that `severities` fill")
    marker_field: str = Field(
        "", description="text custom field that keeps the marker; finds tasks that were moved"
    )
    url: str = Field("https://api.clickup.com/api/v2", description="address of the API")


def task(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set, with names where ClickUp wants ids."""
    chosen = draft.chosen(
        ("title", "name", draft.title),
        ("body", "markdown_content", draft.body.content),
        ("labels", "tags", [tag.lower() for tag in shortened(draft.labels, TAG_LIMIT)]),
        ("priority", "priority", priority_of(draft.priority)),
        ("issue_type", "custom_item_id", draft.issue_type),
        ("assignee", "assignees", list(draft.assignees)),
        ("parent", "parent", draft.parent),
    )
    custom = draft.chosen(("severity", settings.severity_field, draft.severity))
    custom |= {name: value for name, value in draft.own_fields.items() if name not in NATIVE}
    native = {name: value for name, value in draft.own_fields.items() if name in NATIVE}
    return chosen | native | ({"custom_fields": custom} if custom else {})


def priority_of(word: str) -> int | None:
    """Return the number of a priority, given its name or the number itself; None for any other word."""
    number = match(word, PRIORITIES)
    return int(number) if number else None


class ClickUp(HttpTracker[Settings]):
    """Tasks in one List."""

    type = "clickup"
    label = "ClickUp"
    settings_type = Settings
    listed = ("list",)
    markup = Markup.COMMONMARK
    comment_markup = Markup.PLAIN
    title_limit = 255  # ClickUp publishes neither
    body_limit = 60_000
    settle = timedelta(seconds=15)
    absent = "the list does not exist or the token's user does not see it: correct `list`, or let them in"
    limit_ends = "x-ratelimit-reset"  # https://developer.clickup.com/docs/rate-limits
    limit_lasts = timedelta(minutes=1)  # in which ClickUp counts requests
    default_labels = WITH_SEVERITY
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Urgent", "high": "High", "low": "Low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = ClickUpNames(settings, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return self.settings.url.rstrip("/")

    def headers(self) -> Mapping[str, str]:
        """Return the token: a personal one as it is, one of OAuth as a bearer's."""
        token = self.settings.token.get_secret_value()
        return {"Authorization": token if token.startswith("pk_") else f"Bearer {token}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: ClickUp's own code says more than the status."""
        code = str(data.get("ECODE") or "") if isinstance(data, dict) else ""
        status, words = answer.status, answer.message or words_in(data)
        if code:
            words = f"{data.get('err') or 'refused'} ({code})"
        if status >= 400 and "not authorized" in words:
            return NotAllowed(f"{self.absent} (ClickUp: {words})", status=status)
        if status < 300 or not code:
            return super().explain(answer, data, purpose)
        if code.startswith("OAUTH_"):
            return NotAllowed(words, status=status)
        no_field = status == 404 and purpose is Purpose.ISSUE and code.startswith("FIELD_")
        if no_field or status in {400, 401, 403}:  # a full storage, a plan's limits: not of the token
            return Rejected(words, status=status)
        return self.refusal(replace(answer, message=words), purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the task, custom fields included."""
        sent, warnings = await self._resolved(self._new(draft))
        path = f"/list/{await self.names.list_id()}/task"
        data = await self.call("POST", path, purpose=Purpose.CREATE, json=sent)
        self.created(data, "id")
        lost = [f"{self._named(id_)}: ClickUp dropped it" for id_ in dropped(sent, data)]
        return self._issue(data, *warnings, *lost)

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the marker in its own field, anywhere in the workspace; then in the list's newest tasks."""
        found = await self._by_field(marker) or await self._by_text(marker)
        found.sort(key=lambda each: int(each["date_created"]))
        return marker.first_of([self._issue(each) for each in found])

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Tags that people added stay."""
        wanted = {name: value for name, value in task(draft, self.settings).items() if name not in ONLY_NEW}
        sent, warnings = await self._resolved(wanted)
        path, custom, tags = f"/task/{issue.id}", sent.pop("custom_fields", []), sent.pop("tags", [])
        there = await self._task(issue) if tags or "assignees" in sent else {}
        if "assignees" in sent:
            ours = sent["assignees"]
            others = [each["id"] for each in there["assignees"] if each["id"] not in ours]
            sent["assignees"] = {"add": ours, "rem": others}
        if sent:
            await self.call("PUT", path, purpose=Purpose.ISSUE, json=sent)
        await self._retag(path, [tag["name"] for tag in there.get("tags") or ()], tags)
        for own in custom:
            value = {"value": own["value"]}
            await self.call("POST", f"{path}/field/{own['id']}", purpose=Purpose.ISSUE, json=value)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        sent = {"comment_text": body.text, "notify_all": False}
        await self.call("POST", f"/task/{issue.id}/comment", purpose=Purpose.ISSUE, json=sent)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file, unless an earlier try whose answer was lost did."""
        there = (await self._task(issue)).get("attachments") or ()
        if not file.is_one_of((each.get("title"), each.get("size")) for each in there):
            await self.upload(f"/task/{issue.id}/attachment", file, field_name="attachment")

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the task is archived, or in a status that means done or closed."""
        data = await self._task(issue)
        if data.get("archived"):
            return IssueState(True, "archived")
        return IssueState(data["status"].get("type") in {"done", "closed"}, data["status"]["status"])

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the lists that the token's user sees."""
        return await self.names.lists.all()

    async def check(self) -> Report:
        """Look at the token, the list, its statuses, and every configured tag, person, type and custom field."""
        from bridge_plugins._clickup_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST, with names where ClickUp gets ids."""
        return self._new(draft)

    def _new(self, draft: Draft) -> dict[str, Json]:
        settings, sent = self.settings, task(draft, self.settings)
        own = {"status": settings.status} if settings.status else {}
        if settings.marker_field:
            sent["custom_fields"] = {
                settings.marker_field: self._mark(draft.marker),
                **sent.get("custom_fields", {}),
            }
        return {"notify_all": False, **own, **sent}

    def _mark(self, marker: Marker) -> str:
        """Return what the marker's field holds: trackers of one workspace may deliver the same bug."""
        return f"{self.name}:{marker.text}"

    async def _by_field(self, marker: Marker) -> list[dict[str, Json]]:
        name = self.settings.marker_field
        field = await self.names.fields.find(name) if name else None
        if field is None:
            return []
        wanted, path = self._mark(marker), f"/team/{await self.names.workspace_id()}/task"
        exactly = json.dumps([{"field_id": field, "operator": "==", "value": wanted}])
        return [
            each
            async for each in self._tasks(path, custom_fields=exactly)
            if any(own["id"] == field and own.get("value") == wanted for own in each["custom_fields"])
        ]

    async def _by_text(self, marker: Marker) -> list[dict[str, Json]]:
        path, since = f"/list/{await self.names.list_id()}/task", int(marker.earliest.timestamp() * 1000)
        query = {"date_created_gt": since, "include_timl": "true", "include_markdown_description": "true"}
        return [
            each
            for archived in ("false", "true")
            async for each in self._tasks(path, archived=archived, **query)
            if any(marker.found_in(each.get(name) or "") for name in ("text_content", "markdown_description"))
        ]

    async def _resolved(self, wanted: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return `wanted` with ids for names, and a warning for each value that ClickUp does not take."""
        sent, custom = dict(wanted), []
        if "tags" in sent:
            sent["tags"] = [await self.names.tag(name) for name in sent["tags"]]
        people, unknown = await self.names.people.ids_of(sent.pop("assignees", []), "assignee")
        if people:
            sent["assignees"] = [int(id_) for id_ in people]
        kind = [sent.pop("custom_item_id")] if "custom_item_id" in sent else []
        types, of_no_type = await self.names.types.ids_of(kind, "issue_type")
        if types:
            sent["custom_item_id"] = int(types[0])
        warnings = unknown + of_no_type
        values = [(name, sent.pop(name)) for name in DATES if name in sent]
        for name, value in [*values, *sent.pop("custom_fields", {}).items()]:
            try:
                if name in DATES:
                    sent[name] = moment(value)
                else:
                    custom.append(await self._custom(name, value))
            except ValueError as problem:
                warnings.append(f"{name}: {problem}: it is left out")
        return sent | ({"custom_fields": custom} if custom else {}), warnings

    async def _custom(self, name: str, value: Json) -> dict[str, Json]:
        id_ = await self.names.fields.find(name)
        if id_ is None:
            raise ValueError("the list has no such custom field")
        return {"id": id_, "value": item(self.names.custom[id_], value)}

    async def _retag(self, path: str, existing: list[str], ours: list[str]) -> None:
        """Add our tags one by one, and take away those that give way."""
        kept = {name.casefold() for name in merged(existing, ours)} if ours else set()
        changes = [("POST", tag) for tag in missing(ours, existing)]
        changes += [("DELETE", tag) for tag in existing if ours and tag.casefold() not in kept]
        for method, tag in changes:
            where = f"{path}/tag/{quote(tag, safe='')}"
            await self.call(method, where, purpose=Purpose.ISSUE, headers=AS_JSON)

    async def _task(self, issue: Issue) -> dict[str, Json]:
        data = await self.call("GET", f"/task/{issue.id}", purpose=Purpose.ISSUE)
        inside(data, "id", purpose=Purpose.ISSUE)
        return dict(data)

    async def _tasks(self, path: str, **query: Json) -> AsyncIterator[dict[str, Json]]:
        """Yield tasks, finished ones and subtasks too, oldest first."""
        every = {"include_closed": "true", "subtasks": "true", "order_by": "created", "reverse": "true"}
        page, last = 0, False
        while not last:
            data = await self.call("GET", path, params={**every, **query, "page": page})
            tasks = list_inside(data, "tasks")
            for each in tasks:
                yield each
            last = not tasks or bool(data.get("last_page", len(tasks) < PAGE))
            page += 1

    def _issue(self, data: Mapping[str, Json], *warnings: str) -> Issue:
        url = data.get("url") or f"https://app.clickup.com/t/{data['id']}"
        return Issue(id=data["id"], key=data.get("custom_id") or data["id"], url=url, warnings=warnings)

    def _named(self, id_: str) -> str:
        return str(self.names.custom[id_]["name"]) if id_ in self.names.custom else id_


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [ClickUp]
