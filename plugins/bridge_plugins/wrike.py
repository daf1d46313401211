"""Wrike: tasks in one folder, project or space.

API v4, https://developers.wrike.com/overview/. Last verified in November 2026: requests and answers against a
description made from Wrike's own documentation; no live account was asked.

Odd: a token is valid on the host of its account's data centre only; values go in a form, in which every list is
JSON; what a folder's permalink shows is no id for the API; metadata is seen by the API app that wrote it alone.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

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
    list_inside,
    unexpected,
)
from bridge.answers import words_in
from bridge.units import CallRate, Rate
from bridge_plugins._wrike_names import WrikeNames, number_in

IMPORTANCE = ("High", "Normal", "Low")
NATIVE = frozenset({"dates", "followers", "parents", "follow", "effortAllocation", "billingType"})
"""Keys of `fields` that are a task's own; every other one names a custom field."""
ADDED = {key: f"add{key[0].upper()}{key[1:]}" for key in ("responsibles", "followers", "parents", "superTasks")}
"""What a list is called in a change: what people added stays."""
METADATA = "testio-bug"
PAGE = 100  # tasks in one answer


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "wrike"`."""

    url: str = Field("https://www.wrike.com", description="Wrike's address as your browser shows it")
    token: Secret = Field(description="permanent access token of an API app")
    folder: str = Field(
        min_length=1, description='folder, project or space: its permalink, id, or name ("Space/Folder")'
    )
    status: str = Field("", description="status of new tasks; empty: the workflow's first")
    severity_field: str = Field("", description="title of the custom field that `severities` fill")
    rate: CallRate | None = Field(Rate(100, 60), description="at most so many deliveries started")


def task(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set, with names where Wrike wants ids."""
    sent = draft.chosen(
        ("title", "title", draft.title),
        ("body", "description", draft.body.text),
        ("priority", "importance", importance_of(draft.priority)),
        ("assignee", "responsibles", list(draft.assignees)),
        ("parent", "superTasks", [draft.parent] if draft.parent else []),
        ("issue_type", "customItemTypeId", draft.issue_type),
    )
    custom = draft.chosen(("severity", settings.severity_field, draft.severity))
    for name, value in draft.own_fields.items():
        (sent if name in NATIVE else custom)[name] = value
    return {**sent, "customFields": custom} if custom else sent


def importance_of(word: str) -> str:
    """Return an importance as Wrike writes it, empty for a word that is none."""
    return {each.casefold(): each for each in IMPORTANCE}.get(word.casefold(), "")


class Wrike(HttpTracker[Settings]):
    """Tasks in one folder, project or space."""

    type = "wrike"
    label = "Wrike"
    settings_type = Settings
    listed = ("folder",)
    markup = Markup.HTML
    title_limit = 250  # Wrike publishes neither
    body_limit = 60_000
    settle = timedelta(seconds=15)
    absent = "the folder does not exist or the token's user does not see it: correct `folder`, or share it"
    limit_lasts = timedelta(minutes=1)  # in which Wrike counts requests
    default_labels: ClassVar[tuple[str, ...]] = ()
    default_priorities: ClassVar[Mapping[str, str]] = {
        "critical": "High",
        "high": "High",
        "medium": "Normal",
        "low": "Low",
    }

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = WrikeNames(settings, self.look, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return f"{self.settings.url.rstrip('/')}/api/v4"

    def headers(self) -> Mapping[str, str]:
        """Return the token."""
        return {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means.

        https://developers.wrike.com/errors/
        """
        if answer.status < 300:
            return super().explain(answer, data, purpose)
        words = answer.message or words_in(data)
        if code := str(data.get("error") or "") if isinstance(data, dict) else "":
            words = f"{data.get('errorDescription') or 'refused'} ({code})"
        if answer.status == 401:
            told = f"{words}: the token is wrong, or belongs to another host than {self.settings.url}"
            return NotAllowed(told, status=401)
        if answer.status == 403 and code == "not_allowed" and purpose is Purpose.ISSUE:
            return Rejected(words, status=403)  # a full storage, a plan's limits: of this request only
        return self.refusal(replace(answer, message=words), purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the task, with the marker in its metadata."""
        sent, warnings = await self._resolved(self._new(draft))
        path = f"/folders/{await self.names.folder_id()}/tasks"
        data = await self.call("POST", path, purpose=Purpose.CREATE, data=form(sent))
        self.created(data, "data", 0, "id")
        return self._issue(data["data"][0], *warnings)

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the marker in the metadata of all tasks; then in the folder's newest descriptions."""
        found = await self._by_metadata(marker) or await self._by_text(marker)
        oldest_first = sorted(found, key=lambda each: str(each.get("createdDate")))
        return marker.first_of([self._issue(each) for each in oldest_first])

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. People and folders that somebody added stay."""
        wanted = task(draft, self.settings)
        wanted.pop("customItemTypeId", None)  # a task keeps its type
        sent, warnings = await self._resolved(wanted)
        await self._task(issue)
        if sent:
            values = form({ADDED.get(name, name): value for name, value in sent.items()})
            await self.call("PUT", f"/tasks/{issue.id}", purpose=Purpose.ISSUE, data=values)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self._task(issue)
        sent = {"text": body.text, "plainText": "false"}
        await self.call("POST", f"/tasks/{issue.id}/comments", purpose=Purpose.ISSUE, data=sent)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file, unless an earlier try whose answer was lost did."""
        path, file = f"/tasks/{issue.id}/attachments", replace(file, name=header_safe(file.name))
        there = await self.look(path, Purpose.ISSUE)
        if not file.is_one_of((each.get("name"), each.get("size")) for each in there):
            headers = {"X-File-Name": file.name, "X-Requested-With": "XMLHttpRequest"}
            await self.send_file(path, file, headers=headers)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the task's status is of the group Completed or Cancelled."""
        group = str((await self._task(issue)).get("status") or "")
        return IssueState(group in {"Completed", "Cancelled"}, group)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the folders that the token's user sees."""
        return await self.names.folders.all()

    async def check(self) -> Report:
        """Look at the token, the folder, and every configured status, person, type and custom field."""
        from bridge_plugins._wrike_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the form of the POST, with names where Wrike gets ids."""
        return self._new(draft)

    async def look(self, path: str, purpose: Purpose = Purpose.LOOK, **query: str) -> list[dict[str, Json]]:
        """Return what Wrike lists at a path.

        Raises:
            TrackerError: The one that fits; `Unavailable` for an answer without a list.
        """
        answer = await self.call("GET", path, purpose=purpose, params=query)
        return list_inside(answer, "data", purpose=purpose)

    def _new(self, draft: Draft) -> dict[str, Json]:
        status = {"customStatus": self.settings.status} if self.settings.status else {}
        mark = {"key": METADATA, "value": self._mark(draft.marker)}
        return {**status, **task(draft, self.settings), "metadata": [mark]}

    def _mark(self, marker: Marker) -> str:
        """Return what the metadata hold: trackers of one account may deliver the same bug."""
        return f"{self.name}:{marker.text}"

    async def _by_metadata(self, marker: Marker) -> list[dict[str, Json]]:
        wanted = {"key": METADATA, "value": self._mark(marker)}
        found = self._tasks("/tasks", metadata=json.dumps(wanted), fields='["metadata"]')
        return [each async for each in found if wanted in (each.get("metadata") or ())]

    async def _by_text(self, marker: Marker) -> list[dict[str, Json]]:
        """For tasks whose metadata another API app wrote: they are invisible to this one."""
        since = json.dumps({"start": marker.earliest.strftime("%Y-%m-%dT%H:%M:%SZ")})
        path = f"/folders/{await self.names.folder_id()}/tasks"
        found = self._tasks(path, createdDate=since, fields='["description"]', descendants="true")
        return [each async for each in found if marker.found_in(str(each.get("description") or ""))]

    async def _tasks(self, path: str, **query: str) -> AsyncIterator[dict[str, Json]]:
        """Yield tasks and subtasks, the filters repeated on each page."""
        every = {**query, "subTasks": "true", "pageSize": str(PAGE)}
        token = ""
        while True:
            more = {"nextPageToken": token} if token else {}
            answer = await self.call("GET", path, params=every | more)
            for each in list_inside(answer, "data"):
                yield each
            token = str(answer.get("nextPageToken") or "")
            if not token:
                return

    async def _task(self, issue: Issue) -> dict[str, Json]:
        """Return the task.

        Raises:
            Gone: It is in the recycle bin.
            Unavailable: The answer is none.
        """
        found = await self.look(f"/tasks/{issue.id}", Purpose.ISSUE)
        if not found:
            raise unexpected("there is no task in the answer", Purpose.ISSUE)
        if found[0].get("scope") == "RbTask":
            raise Gone("the task is in the recycle bin", status=200)
        return found[0]

    async def _resolved(self, wanted: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return `wanted` with ids for names, and a warning for each name that Wrike does not have."""
        sent, warnings = dict(wanted), list[str]()
        for key, names in self.names.of_tasks.items():
            if asked := sent.get(key):
                ids, unknown = await names.ids_of(map(str, listed(asked)), key)
                sent[key] = ids if key in ADDED else "".join(ids)
                warnings += unknown
        if "superTasks" in sent:
            sent["superTasks"] = [await self._parent(each) for each in sent["superTasks"]]
        custom = []
        for name, value in sent.pop("customFields", {}).items():
            if (id_ := await self.names.fields.find(name)) is None:
                warnings.append(f"{name}: there is no such custom field: it is left out")
            else:
                custom.append({"id": id_, "value": value if isinstance(value, str) else json.dumps(value)})
        sent["customFields"] = custom
        return {name: value for name, value in sent.items() if value not in ("", [])}, warnings

    async def _parent(self, text: str) -> str:
        """Return the id of the task that a permalink leads to; an id is taken as it is."""
        number = number_in(text)
        return await self.names.id_of_number(number, "ApiV2Task") if number else text

    def _issue(self, data: Mapping[str, Json], *warnings: str) -> Issue:
        url = str(data.get("permalink") or f"{self.settings.url.rstrip('/')}/workspace.htm#/task/{data['id']}")
        number = number_in(url)
        key = f"#{number}" if number else str(data["id"])
        return Issue(id=str(data["id"]), key=key, url=url, warnings=warnings)


def form(values: Mapping[str, Json]) -> dict[str, str]:
    """Return values as Wrike takes them in a form: what is no text, as JSON.

    https://developers.wrike.com/overview/#requests
    """
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def listed(value: Json) -> list[Json]:
    """Return the values of a list, or the one that is none."""
    return list(value) if isinstance(value, list | tuple) else [value]


def header_safe(name: str) -> str:
    """Return a file's name in the characters that a header can hold, at most 255 of them."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem, dot, ending = re.sub(r'[/\\"\x00-\x1f\x7f]+', "_", plain).strip().rpartition(".")
    stem, ending = (stem or "file", f"{dot}{ending}") if dot else (ending or "file", "")
    return stem[: 255 - len(ending)] + ending[:255]


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Wrike]
