"""Pivotal Tracker's API on a server that speaks it. Pivotal Tracker itself was shut down on 30 April 2025.

REST API v5, once https://www.pivotaltracker.com/help/api/rest/v5, today for instance LiteTracker's:
https://help.litetracker.com/api/rest/v5.html. Last verified in November 2026: requests and answers against a
description made of recorded exchanges; no live server was asked.

Odd: files hang on comments only; a change of `labels` replaces all; LiteTracker says `title` where Pivotal said
`name`, leaves owners out of new stories, answers a filter of two clauses with nothing, and may have made a story
when it answers 5xx.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

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
    Name,
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
    by_name,
    hookimpl,
    inside,
    list_inside,
    web_address,
)
from bridge.answers import words_in
from bridge.http import without_refused
from bridge.labels import WITH_SEVERITY, merged, shortened
from bridge.units import CallRate, Rate

API = "/services/v5"
PAGE = 200
LABEL_LIMIT = 255  # characters
DONE = "accepted"
_PARAMETER = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def _api(address: str) -> str:
    """Return the address of the API, which is in the usual place where only a host is named."""
    parts = urlsplit(address)
    if f".{parts.hostname}".endswith(".pivotaltracker.com"):
        raise ValueError(
            "was shut down on 30 April 2025 and answers no more: name a server that speaks its API, "
            'such as "https://app.litetracker.com"'
        )
    return address if parts.path else address + API


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "pivotal-tracker"`."""

    url: Annotated[str, web_address("https://app.litetracker.com"), AfterValidator(_api)] = Field(
        description="the server that speaks Pivotal Tracker's API v5, such as LiteTracker"
    )
    project: Name = Field(min_length=1, description="the project's id or name")
    token: Secret = Field(description="API token of a member of the project")
    issue_type: str = Field("bug", description="story type where `issue_types` says nothing")
    rate: CallRate | None = Field(Rate(60, 60), description="at most so many deliveries started")


def payload(draft: Draft) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set; labels and the owner are still names."""
    chosen = draft.chosen(
        ("title", "name", draft.title),
        ("body", "description", draft.body.text),
        ("issue_type", "story_type", draft.issue_type.lower()),
        ("priority", "story_priority", draft.priority.lower()),
        ("labels", "labels", shortened([*draft.labels, draft.marker.text], LABEL_LIMIT)),
        ("assignee", "owner_ids", draft.assignee.lstrip("@")),
    )
    return {**chosen, **draft.own_fields}


class PivotalTracker(HttpTracker[Settings]):
    """Stories of one project."""

    type = "pivotal-tracker"
    label = "Pivotal Tracker"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.COMMONMARK
    title_limit = 1000
    body_limit = 19_000
    settle = timedelta(seconds=60)
    default_labels = WITH_SEVERITY
    default_priorities: ClassVar[Mapping[str, str]] = {"p0": "p0", "p1": "p1", "p2": "p2", "p3": "p3"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.projects = Names("project", self._projects, self.tools.clock)
        self.members = Names("member", self._members, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return self.settings.url

    def headers(self) -> Mapping[str, str]:
        """Return the token."""
        return {"X-TrackerToken": self.settings.token.get_secret_value()}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in the server's words."""
        if answer.status < 300:
            return super().explain(answer, data, purpose)
        told = replace(answer, message=words(data) or answer.message, fields=refused_parameters(data))
        if answer.status == 404 and purpose is Purpose.CREATE:
            return NotAllowed(f"{told.message}: correct `url` or `project`", status=404)
        return self.refusal(told, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the story, its marker among the labels."""
        values, warnings = await self._resolved(payload(draft))
        values["labels"] = [{"name": label} for label in values["labels"]]
        path = await self.path("stories")

        async def send(some: dict[str, Json]) -> Json:
            return await self.call("POST", path, purpose=Purpose.CREATE, json=some)

        data, refused = await without_refused(send, values, {"name", "description", "labels"})
        self.created(data, "id")
        return replace(self._issue(data), warnings=(*warnings, *refused))

    async def find(self, marker: Marker) -> Issue | None:
        """Ask for the marker's label; what is not found so, look for among all stories.

        The filter is one clause (two find nothing), which leaves out what is accepted long since, and large
        projects have no answer to it in time.
        """
        path = await self.path("stories")
        try:
            found = await self.call("GET", path, params={"filter": f"label:{marker.text}"})
        except (Rejected, Unavailable):
            found = None
        hits = [story for story in found or () if _carries(story, marker)] if isinstance(found, list) else []
        if not hits:
            hits = [story async for story in self.pages(path) if _carries(story, marker)]
        return self._issue(min(hits, key=lambda story: int(story["id"]))) if hits else None

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Set the owner where the server left it out of the new story."""
        values, _ = await self._resolved({"owner_ids": draft.assignee.lstrip("@")} if draft.assignee else {})
        if values:
            there = (await self._story(issue)).get("owner_ids") or ()
            if not {str(owner) for owner in values["owner_ids"]} <= {str(owner) for owner in there}:
                await self._put(issue, values)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        values, warnings = await self._resolved(payload(draft))
        labels = values.pop("labels", [])

        async def send(some: dict[str, Json]) -> Json:
            return await self._put(issue, some) if some else None

        _, refused = await without_refused(send, values, {"name", "description"})
        more = await self._relabelled(issue, labels) if labels else []
        return replace(issue, warnings=(*warnings, *refused, *more))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self._add_comment(issue, {"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file and put it on a comment, unless an earlier try whose answer was lost did."""
        text = f"{' '.join(file.name.split())} (test IO, {file.size} bytes)"
        path = await self.path(f"stories/{issue.id}/comments")
        there = list_inside(await self.call("GET", path, purpose=Purpose.ISSUE), purpose=Purpose.ISSUE)
        if any(each.get("text") == text for each in there):
            return
        uploaded = await self.upload(await self.path("uploads"), file, purpose=Purpose.LOOK)
        await self._add_comment(issue, {"text": text, "file_attachments": [uploaded]})

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the story is accepted."""
        name = str((await self._story(issue)).get("current_state") or "unscheduled")
        return IssueState(name == DONE, name)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the projects that the token's user is a member of."""
        return await self.projects.all()

    async def check(self) -> Report:
        """Look at the token, its role in the project, and every configured value."""
        from bridge_plugins._pivotal_tracker_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; the owner's name is replaced by an id when it is sent."""
        sent = payload(draft)
        return sent | {"labels": [{"name": label} for label in sent["labels"]]}

    async def path(self, below: str = "") -> str:
        """Return the path of something in the project.

        Raises:
            NotAllowed: The token's user is in no project of that name.
        """
        name = self.settings.project
        number = name if name.isdigit() else await self.projects.needed(name, "project")
        return f"/projects/{number}/{below}".rstrip("/")

    async def pages(self, path: str) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, page by page, whatever the server's own size of a page is."""
        seen = set[str]()
        while True:
            found = await self.call("GET", path, params={"limit": str(PAGE), "offset": str(len(seen))})
            fresh = [each for each in list_inside(found) if str(each["id"]) not in seen]
            if not fresh:  # the end, or a server that knows no pages
                return
            for each in fresh:
                yield each
            seen |= {str(each["id"]) for each in fresh}

    async def _resolved(self, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with the owner's id, and a warning where nobody is called so."""
        sent = dict(named)
        if not isinstance(sent.get("owner_ids"), str):
            return sent, []
        name = sent.pop("owner_ids")
        try:
            return sent | {"owner_ids": [int(await self.members.id_of(name))]}, []
        except Rejected as refusal:
            return sent, [f"assignee: {refusal.message}: left out"]

    async def _relabelled(self, issue: Issue, ours: list[str]) -> list[str]:
        """Add labels and take away those that give way, one by one; return a warning for what was refused."""
        story = await self._story(issue)
        there = {str(label["name"]): label["id"] for label in story.get("labels") or ()}
        kept = {label.casefold() for label in merged(there, ours)}
        path = await self.path(f"stories/{issue.id}/labels")
        nested = "title" in story and "name" not in story  # LiteTracker
        try:
            for label in ours:
                if label.casefold() not in {name.casefold() for name in there}:
                    body = {"label": {"name": label}} if nested else {"name": label}
                    await self.call("POST", path, json=body)
            for name, number in there.items():
                if name.casefold() not in kept:
                    await self.call("DELETE", f"{path}/{number}")
        except Rejected as refusal:  # not every server takes them
            return [f"labels: {refusal}"]
        return []

    async def _add_comment(self, issue: Issue, comment: dict[str, Json]) -> None:
        path = await self.path(f"stories/{issue.id}/comments")
        try:
            await self.call("POST", path, purpose=Purpose.ISSUE, json=comment)
        except Gone as gone:  # perhaps not the story: not every server takes comments
            await self._story(issue)
            raise Rejected(f"this server takes no comments: {gone.message}", status=gone.status) from None

    async def _put(self, issue: Issue, values: Mapping[str, Json]) -> Json:
        path = await self.path(f"stories/{issue.id}")
        return await self.call("PUT", path, purpose=Purpose.ISSUE, json=dict(values))

    async def _story(self, issue: Issue) -> dict[str, Json]:
        path = await self.path(f"stories/{issue.id}")
        data: dict[str, Json] = await self.call("GET", path, purpose=Purpose.ISSUE)
        inside(data, "id", purpose=Purpose.ISSUE)
        return data

    async def _projects(self) -> Mapping[str, str]:
        projects = list_inside(await self.call("GET", "/me"), "projects")
        return by_name(projects, "project_name", id_key="project_id")

    async def _members(self) -> Mapping[str, str]:
        memberships = list_inside(await self.call("GET", await self.path("memberships")))
        return by_name([each["person"] for each in memberships], "email", "username", "name")

    def _issue(self, story: Mapping[str, Json]) -> Issue:
        number = str(story["id"])
        url = str(story.get("url") or f"{self.settings.url.removesuffix(API)}/story/show/{number}")
        return Issue(id=number, key=f"#{number}", url=url)


def words(data: Json) -> str:
    """Return what a refusal says: what is wrong, in general and in particular, and what may help."""
    if not isinstance(data, dict):
        return words_in(data)
    told = [data.get(name) for name in ("error", "general_problem", "requirement", "possible_fix")]
    return " ".join(dict.fromkeys(each for each in told if isinstance(each, str) and each)) or words_in(data)


def refused_parameters(data: Json) -> dict[str, str]:
    """Return what a refusal says of single parameters: in a list of its own, or in words only."""
    if not isinstance(data, dict):
        return {}
    listed = data.get("validation_errors") or ()
    if listed:
        return {str(each.get("field")): str(each.get("problem")) for each in listed}
    problem = str(data.get("general_problem") or "")
    return dict.fromkeys(_PARAMETER.findall(problem), problem)


def _carries(story: Mapping[str, Json], marker: Marker) -> bool:
    labels: Iterable[Mapping[str, Json]] = story.get("labels") or ()
    named = any(str(label.get("name")).casefold() == marker.text for label in labels)
    return named or marker.found_in(str(story.get("description") or ""))


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [PivotalTracker]
