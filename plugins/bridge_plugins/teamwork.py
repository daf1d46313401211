"""Teamwork.com: tasks in one list of a project.

Projects API 3, with version 1 for comments and files, https://apidocs.teamwork.com/docs/teamwork/. Last verified
in November 2026 against the vendor's own client, https://github.com/Teamwork/twapi-go-sdk; a description is not to
be had without an account.

Odd: unknown queries, and attachments in the wrong place, are ignored in silence; a wrong key and a site that does
not exist are the same 401; files go to a storage of Amazon's first; version 1 says OK in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    Gone,
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
from bridge.answers import words_in
from bridge.labels import WITH_SEVERITY, merged, shortened
from bridge_plugins._teamwork_names import TAG_LIMIT, V3, TeamworkNames, number, value

NATIVE = frozenset({"progress", "startAt", "dueAt", "estimatedMinutes", "private", "tagIds", "assignees"})
"""Keys of `fields` that are a task's own; every other one names a custom field."""
PRIORITIES = ("none", "low", "medium", "high")


def _site(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "teamwork"`."""

    url: Annotated[str, web_address("https://acme.teamwork.com"), AfterValidator(_site)] = Field(
        description="the site"
    )
    list: Annotated[str, BeforeValidator(str)] = Field(description="the task list: its name, address or id")
    project: Annotated[str, BeforeValidator(str)] = Field(
        "", description="name or id of the list's project; needed where several lists have the name"
    )
    token: Secret = Field(description="API key of a user who may add tasks there, or another token")
    auth: Literal["api_key", "bearer"] = Field("api_key", description='"bearer" for an OAuth or personal token')
    severity_field: str = Field("", description="name of the custom field that `severities` fill")
    notify: bool = Field(False, description="let Teamwork tell people of what the bridge does")


def task(draft: Draft) -> dict[str, Json]:
    """Return a task's own fields for the parts of a draft that are to be set; names are not yet ids."""
    chosen = draft.chosen(
        ("title", "name", draft.title),
        ("body", "description", draft.body.content),
        ("priority", "priority", draft.priority.lower()),
        ("labels", "tagIds", shortened(draft.labels, TAG_LIMIT)),
        ("assignee", "assignees", list(draft.assignees)),
        ("parent", "parentTaskId", draft.parent),
    )
    return chosen | {name: value for name, value in draft.own_fields.items() if name in NATIVE}


def custom_fields(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the values of custom fields, by name, for the parts of a draft that are to be set."""
    severity = draft.chosen(("severity", settings.severity_field, draft.severity))
    return severity | {name: value for name, value in draft.own_fields.items() if name not in NATIVE}


def problems(data: Json) -> str:
    """Return what a refusal says, of either version of the API."""
    if not isinstance(data, Mapping):
        return words_in(data)
    errors = data.get("errors")
    if isinstance(errors, list) and errors:
        told = [
            ": ".join(str(each[key]) for key in ("title", "detail") if each.get(key))
            if isinstance(each, Mapping)
            else str(each)
            for each in errors
        ]
        return "; ".join(told)
    return str(data.get("MESSAGE") or data.get("CONTENT") or words_in(data))


class Teamwork(HttpTracker[Settings]):
    """Tasks in one list."""

    type = "teamwork"
    label = "Teamwork"
    settings_type = Settings
    listed = ("list",)
    markup = Markup.COMMONMARK
    comment_markup = Markup.HTML
    title_limit = 250
    body_limit = 60_000  # Teamwork publishes none
    settle = timedelta(seconds=30)
    absent = "the task list does not exist or the key's user may not see it: correct `list` or `project`"
    limit_ends = "x-rate-limit-reset"
    limit_lasts = timedelta(minutes=1)  # in which Teamwork counts requests
    default_labels = WITH_SEVERITY
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "high", "high": "high", "low": "low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = TeamworkNames(settings, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The site."""
        return self.settings.url

    @property
    def account(self) -> str:
        """The site: its users share one rate limit."""
        return str(urlsplit(self.settings.url).hostname)

    def auth(self) -> tuple[str, str] | None:
        """Return the key as a user; any password will do."""
        return (self.settings.token.get_secret_value(), "X") if self.settings.auth == "api_key" else None

    def headers(self) -> Mapping[str, str]:
        """Return the token as a bearer's, where it is one."""
        bearer = {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}
        return bearer if self.settings.auth == "bearer" else {}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in the dialects of both versions."""
        status, words = answer.status, answer.message or problems(data)
        if 200 <= status < 300:
            wrong = isinstance(data, Mapping) and data.get("STATUS", "OK") != "OK"
            return Rejected(words, status=status) if wrong else super().explain(answer, data, purpose)
        if status == 401:
            hint = f"the key is wrong, or there is no site {self.settings.url}"
            return NotAllowed(f"{words}: {hint}", status=status)
        return self.refusal(replace(answer, message=words), purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the task."""
        sent, warnings = await self._resolved(task(draft))
        path = f"{V3}/tasklists/{await self.names.list_id()}/tasks.json"
        data = await self.call("POST", path, purpose=Purpose.CREATE, json=self._envelope(sent))
        made = self.created(data, "task")
        id_ = self.created({"id": made.get("id") or None} if isinstance(made, dict) else None, "id")
        return self._issue(id_, *warnings, *self._dropped(sent, made))

    async def find(self, marker: Marker) -> Issue | None:
        """Search the project, then read what was made since the first attempt: finished tasks, too."""
        path = f"projects/{await self.names.project_id()}/tasks.json"
        whole = {
            "includeCompletedTasks": "true",
            "showCompletedLists": "true",
            "fields[tasks]": "id,name,description,createdAt",
        }
        since = marker.earliest.strftime("%Y-%m-%dT%H:%M:%SZ")
        newest = {"orderBy": "createdat", "orderMode": "desc", "createdAfter": since}
        for query in ({"searchTerm": marker.text}, newest):
            found: list[int] = []
            async for each in self.names.listing(path, "tasks", {**whole, **query}):
                if marker.found_in(each.get("description") or ""):
                    found.append(int(each["id"]))
                if query is newest and str(each.get("createdAt") or since) < since:
                    break  # should Teamwork ignore the filter, then at least it sorts
            if found:
                return marker.first_of([self._issue(id_) for id_ in sorted(found)])
        return None

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Set the custom fields: a task is made without them."""
        await self._set(issue, custom_fields(draft, self.settings))

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Tags that people added stay."""
        there, wanted = await self._task(issue), task(draft)
        sent, warnings = await self._resolved(wanted)
        if draft.sets("labels") and wanted.get("tagIds"):
            had = await self.names.tags_of([str(tag["id"]) for tag in there.get("tags") or ()])
            kept = set(merged(list(had.values()), wanted["tagIds"])) - set(wanted["tagIds"])
            sent["tagIds"] = [*sent.get("tagIds", []), *(int(id_) for id_, name in had.items() if name in kept)]
        if sent:
            await self.call("PUT", self._path(issue), purpose=Purpose.ISSUE, json=self._envelope(sent))
        await self._set(issue, custom_fields(draft, self.settings))
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self._task(issue)
        notify = {"notify": True} if self.settings.notify else {}
        sent = {"comment": {"body": body.text, "contentType": "HTML", **notify}}
        await self.call("POST", f"/tasks/{issue.id}/comments.json", purpose=Purpose.ISSUE, json=sent)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file to the storage and put it on the task, unless an earlier try whose answer was lost did."""
        if file.size == 0:
            raise Rejected("Teamwork takes no empty files")
        file = replace(file, name=" ".join(file.name.split()))
        there = (await self._task(issue, include="files"))["included"].get("files") or {}
        called = ("originalName", "displayName", "name")
        if file.is_one_of((each.get(key), each.get("size")) for each in there.values() for key in called):
            return
        asked = {"fileName": file.name, "fileSize": file.size}
        place = await self.call("GET", "/projects/api/v1/pendingfiles/presignedurl.json", params=asked)
        address, reference = str(inside(place, "url")), str(inside(place, "ref"))
        signed = parse_qs(urlsplit(address).query).get("X-Amz-SignedHeaders", [""])[0].split(";")
        acl = {"X-Amz-Acl": "public-read"} if "x-amz-acl" in signed else {}  # exactly what was signed is taken
        await self.store_file(address, file, headers=acl)
        sent = {**self._envelope({}), "attachments": {"pendingFiles": [{"reference": reference}]}}
        await self.call("PUT", self._path(issue), purpose=Purpose.ISSUE, json=sent)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the task is completed."""
        status = str((await self._task(issue)).get("status") or "new")
        return IssueState(status == "completed", status)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the task lists of the project, or of all."""
        return await self.names.lists.all()

    async def check(self) -> Report:
        """Look at credentials, task list, and every configured tag, person, priority and custom field."""
        from bridge_plugins._teamwork_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST, with names for ids, and the custom fields that are set after it."""
        custom = custom_fields(draft, self.settings)
        return self._envelope(task(draft)) | ({"customFields": custom} if custom else {})

    def _envelope(self, sent: Mapping[str, Json]) -> dict[str, Json]:
        options = {"notify": self.settings.notify, "checkInvalidusers": False}
        return {"task": dict(sent), "taskOptions": options}

    def _path(self, issue: Issue) -> str:
        return f"{V3}/tasks/{issue.id}.json"

    async def _task(self, issue: Issue, **query: str) -> dict[str, Json]:
        """Return the task of an issue.

        Raises:
            Gone: It was deleted.
        """
        data = await self.call("GET", self._path(issue), purpose=Purpose.ISSUE, params=query)
        task = inside(data, "task", purpose=Purpose.ISSUE)
        if task.get("status") == "deleted":
            raise Gone("the task was deleted")
        return {**task, "included": data.get("included") or {}}

    async def _resolved(self, wanted: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return a task's fields with ids for names, and a warning for each that Teamwork does not know."""
        sent, warnings = dict(wanted), list[str]()
        for field, setting, names, make in (
            ("tagIds", "labels", self.names.tags, self.names.new_tag),
            ("assignees", "assignee", self.names.people, None),
        ):
            listed = sent.get(field)
            if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
                continue
            found, unknown = await names.ids_of(sent.pop(field), setting, make)
            warnings += unknown
            if ids := [int(id_) for id_ in found]:
                sent[field] = ids if field == "tagIds" else {"userIds": ids, "teamIds": [], "companyIds": []}
        if parent := sent.pop("parentTaskId", ""):
            if id_ := number(parent):
                sent["parentTaskId"] = int(id_)
            else:
                warnings.append(f'parent: "{parent}" is neither a task\'s address nor id')
        if sent.get("priority", "none") not in PRIORITIES:
            warnings.append(f'priority: "{sent.pop("priority")}" is none of {", ".join(PRIORITIES)}')
        return sent, warnings

    def _dropped(self, sent: Mapping[str, Json], made: Mapping[str, Json]) -> list[str]:
        """Return a warning where Teamwork made the task without tags that it was asked for."""
        got = {int(tag["id"]) for tag in made.get("tags") or ()}
        lost = [str(tag) for tag in sent.get("tagIds", ()) if "tags" in made and tag not in got]
        return [f"labels: Teamwork left out the tags {', '.join(lost)}"] if lost else []

    async def _set(self, issue: Issue, values: Mapping[str, Json]) -> None:
        """Set custom fields, all that can be set.

        Raises:
            Rejected: Some cannot; says which, and why.
        """
        path, taken, wrong = f"{V3}/tasks/{issue.id}/customfields", list[tuple[Json, Json]](), dict[str, str]()
        for name, wanted in values.items():
            try:
                if (field := await self.names.custom(name)) is None:
                    raise ValueError("there is no such custom field for tasks of the project")
                taken.append((field["id"], value(field, wanted)))
            except ValueError as problem:
                wrong[name] = str(problem)
        had = await self._entries(issue) if taken else {}
        for id_, own in taken:
            entry = had.get(str(id_))
            method, where = ("PATCH", f"{path}/{entry}.json") if entry else ("POST", f"{path}.json")
            sent = {"customfieldTask": {"customfieldId": id_, "value": own}}
            await self.call(method, where, purpose=Purpose.ISSUE, json=sent)
        if wrong:
            raise Rejected("custom fields that cannot be set", fields=wrong)

    async def _entries(self, issue: Issue) -> dict[str, str]:
        """Return the ids of the values that a task has, by the ids of their custom fields."""
        path = f"tasks/{issue.id}/customfields.json"
        return {
            str((each.get("customfield") or {}).get("id") or each.get("customfieldId")): str(each["id"])
            async for each in self.names.listing(path, "customfieldTasks", purpose=Purpose.ISSUE)
        }

    def _issue(self, id_: int | str, *warnings: str) -> Issue:
        url = f"{self.settings.url}/app/tasks/{id_}"
        return Issue(id=str(id_), key=f"#{id_}", url=url, warnings=warnings)


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Teamwork]
