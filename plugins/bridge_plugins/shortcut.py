"""Shortcut, formerly Clubhouse: stories of one workspace. Cloud only.

REST API v3, https://developer.shortcut.com/api/rest/v3. Last verified in November 2026: requests and answers
against Shortcut's own Swagger description. v4 cannot look a story up by our id yet.

Odd: a story wants a state, though the description requires only a name; an unknown key is a refusal; an array
in an update replaces the whole array; our id can be set when a story is made, never later; a search answers 201.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

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
    Unavailable,
    Unit,
    hookimpl,
    inside,
    list_inside,
)
from bridge.answers import words_in
from bridge.labels import WITH_SEVERITY, merged, shortened
from bridge_plugins._shortcut_names import ShortcutNames

LABEL_LIMIT = 128  # characters
LINK_LIMIT = 2048
STORY_TYPES = ("bug", "feature", "chore")
ONLY_NEW = frozenset(
    {"comments", "created_at", "external_id", "source_task_id", "story_links", "story_template_id", "tasks",
     "updated_at"}
)  # fmt: skip
"""Fields of a new story that an update refuses."""
NATIVE = ONLY_NEW | {
    "archived", "completed_at_override", "deadline", "epic_id", "estimate", "external_links", "file_ids",
    "follower_ids", "group_id", "iteration_id", "linked_file_ids", "move_to", "owner_ids", "parent_story_id",
    "project_id", "requested_by_id", "started_at_override", "story_type", "sub_tasks", "workflow_state_id",
}  # fmt: skip
"""Keys of `fields` that are a story's own; every other one names a custom field."""


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "shortcut"`."""

    token: Secret = Field(description="API token with the right to write")
    team: str = Field("", description="team of new stories: its name or id")
    workflow: str = Field("", description="workflow of new stories; empty: the team's, or the workspace's")
    state: str = Field("", description="state of new stories, its name or id; empty: the workflow's first")
    priority_field: str = Field("priority", description="custom field that `priorities` fill")
    severity_field: str = Field("severity", description="custom field that `severities` fill")
    url: str = Field("https://api.app.shortcut.com", description="address of the API")


def external_id(marker: Marker) -> str:
    """Return our id of a story; two trackers in one workspace must not share it. At most 128 characters."""
    return f"{marker.text}:{marker.uuid.hex[:8]}"


def payload(draft: Draft) -> dict[str, Json]:
    """Return a story's own fields for the parts of a draft that are to be set; ids are still names."""
    kind = draft.issue_type.casefold()
    chosen = draft.chosen(
        ("title", "name", draft.title),
        ("body", "description", draft.body.content),
        ("issue_type", "story_type", kind if kind in STORY_TYPES else ""),
        ("labels", "labels", [{"name": label} for label in shortened(draft.labels, LABEL_LIMIT)]),
        ("assignee", "owner_ids", list(draft.assignees)),
        ("parent", "epic_id", draft.parent),
    )
    return chosen | {name: value for name, value in draft.own_fields.items() if name in NATIVE}


def new_story(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent to make a story, with names in place of ids."""
    own = {
        "external_id": external_id(draft.marker),
        "external_links": [draft.bug.link] if _is_link(draft.bug.link) else [],
        "group_id": settings.team,
        "workflow_state_id": settings.state,
    }
    return {"story_type": "bug", **{name: value for name, value in own.items() if value}, **payload(draft)}


def custom_fields(draft: Draft, settings: Settings) -> dict[str, str]:
    """Return the values of custom fields, by name, for the parts of a draft that are to be set."""
    chosen = draft.chosen(
        ("priority", settings.priority_field, draft.priority),
        ("severity", settings.severity_field, draft.severity),
    )
    return chosen | {name: str(value) for name, value in draft.own_fields.items() if name not in NATIVE}


def refused_fields(errors: Json, path: str = "") -> dict[str, str]:
    """Return what a refusal says of each field: `{"name": "missing-required-key"}`, however deep."""
    if not isinstance(errors, dict):
        return {path: str(errors)} if path and errors else {}
    inner = [refused_fields(value, f"{path}.{name}".lstrip(".")) for name, value in errors.items()]
    return {name: words for each in inner for name, words in each.items()}


def _is_link(text: str) -> bool:
    return text.startswith(("http://", "https://")) and len(text) <= LINK_LIMIT


class Shortcut(HttpTracker[Settings]):
    """Stories of one workspace."""

    type = "shortcut"
    label = "Shortcut"
    settings_type = Settings
    markup = Markup.COMMONMARK
    title_limit = 512
    body_limit = 100_000
    unit = Unit.UTF16
    settle = timedelta(seconds=30)  # a request whose answer was lost may still be under way
    absent = "the token's user does not see it, or `url` is not Shortcut's address"
    limit_lasts = timedelta(minutes=1)  # in which Shortcut counts 200 requests; it does not say how long to wait
    default_labels = WITH_SEVERITY
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Highest", "high": "High", "low": "Low"}
    default_issue_types: ClassVar[Mapping[str, str]] = {"default": "bug"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = ShortcutNames(self)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return f"{self.settings.url.rstrip('/')}/api/v3"

    def headers(self) -> Mapping[str, str]:
        """Return the token."""
        return {"Shortcut-Token": self.settings.token.get_secret_value()}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in Shortcut's dialect."""
        status, words = answer.status, answer.message or words_in(data)
        if status == 409:  # two changes at one moment: nothing was done
            return Unavailable(words, status=status)
        if status == 401:
            return NotAllowed(f"Shortcut does not know the token ({words})", status=status)
        if status in {400, 422} and isinstance(data, dict):
            return Rejected(words, status=status, fields=refused_fields(data.get("errors")))
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the story."""
        named = new_story(draft, self.settings)
        if "project_id" in named:
            named.pop("workflow_state_id", None)  # Shortcut takes one of them
        elif "workflow_state_id" not in draft.fields:
            named["workflow_state_id"] = await self.names.first_state()
        if "group_id" in named and "group_id" not in draft.fields:
            named["group_id"] = await self.names.teams.needed(self.settings.team, "team")
        sent, warnings = await self._resolved(named, draft)
        data = await self.call("POST", "/stories", purpose=Purpose.CREATE, json=sent)
        self.created(data, "id")
        return self._issue(data, *warnings)

    async def find(self, marker: Marker) -> Issue | None:
        """Look our id up: a query of the database, archived stories included, not the search, which lags."""
        wanted = {"external_id": external_id(marker), "includes_description": False}
        stories = list_inside(await self.call("POST", "/stories/search", json=wanted))
        same = [story for story in stories if story.get("external_id") == wanted["external_id"]]
        return marker.first_of([self._issue(each) for each in sorted(same, key=lambda story: int(story["id"]))])

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels and custom fields that people set stay."""
        sent, warnings = await self._resolved(payload(draft), draft)
        sent = {name: value for name, value in sent.items() if name not in ONLY_NEW}
        if {"labels", "custom_fields"} & sent.keys():  # an array replaces all that there is
            story = await self._story(issue)
            there = [label["name"] for label in story["labels"]]
            ours = [label["name"] for label in sent.get("labels", ())]
            if ours:
                sent["labels"] = [{"name": name} for name in merged(there, ours)]
            if "custom_fields" in sent:
                sent["custom_fields"] = _with_others(sent["custom_fields"], story.get("custom_fields") or ())
        if sent:
            await self.call("PUT", f"/stories/{issue.id}", purpose=Purpose.ISSUE, json=sent)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self.call("POST", f"/stories/{issue.id}/comments", purpose=Purpose.ISSUE, json={"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file to the story, unless an earlier try whose answer was lost did."""
        files = (await self._story(issue)).get("files") or ()
        if not file.is_one_of((each["filename"], each["size"]) for each in files):
            await self.upload("/files", file, field_name="file0", data={"story_id": issue.id})

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the story is completed or archived."""
        story = await self._story(issue)
        if story.get("archived"):
            return IssueState(True, "archived")
        flows = await self.names.listing("/workflows")
        states = {state["id"]: state["name"] for flow in flows for state in flow["states"]}
        name = states.get(story.get("workflow_state_id")) or ("completed" if story["completed"] else "open")
        return IssueState(story["completed"], name)

    async def check(self) -> Report:
        """Look at the token, state, team, and every configured label, person, epic and custom field."""
        from bridge_plugins._shortcut_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names are replaced by ids when it is sent."""
        custom = custom_fields(draft, self.settings)
        return new_story(draft, self.settings) | ({"custom_fields": custom} if custom else {})

    async def member(self) -> dict[str, Json]:
        """Return whom the token belongs to, and the workspace."""
        data: dict[str, Json] = await self.call("GET", "/member")
        inside(data, "workspace2")
        return data

    async def _resolved(self, named: Mapping[str, Json], draft: Draft) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with ids for names, and a warning for each name that Shortcut does not know."""
        sent, warnings, custom = dict(named), list[str](), list[Json]()
        for field in sorted(self.names.by_field.keys() & named.keys()):
            sent[field], lost = await self.names.ids(field, named[field])
            warnings += lost
        for name, value in custom_fields(draft, self.settings).items():
            field_id = await self.names.custom_fields.find(name)
            value_id = await self.names.options(field_id).find(value) if field_id else None
            if value_id:
                custom.append({"field_id": field_id, "value_id": value_id})
            elif field_id or self._is_wanted(name):
                told = f'it has no value "{value}"' if field_id else "there is no such custom field for bugs"
                warnings.append(f"{name}: {told}: left out")
        sent["custom_fields"] = custom
        if draft.issue_type and draft.sets("issue_type") and draft.issue_type.casefold() not in STORY_TYPES:
            warnings.append(f'story_type: "{draft.issue_type}" is none of {", ".join(STORY_TYPES)}: left out')
        return {name: value for name, value in sent.items() if value not in (None, "", [])}, warnings

    def _is_wanted(self, name: str) -> bool:
        """Whether somebody configured a custom field; our own defaults are for whoever has the field."""
        settings = self.settings
        filled = {settings.priority_field: settings.priorities, settings.severity_field: settings.severities}
        return bool(filled.get(name, True))

    async def _story(self, issue: Issue) -> dict[str, Json]:
        data: dict[str, Json] = await self.call("GET", f"/stories/{issue.id}", purpose=Purpose.ISSUE)
        inside(data, "id", purpose=Purpose.ISSUE)
        return data

    def _issue(self, story: Mapping[str, Json], *warnings: str) -> Issue:
        number = str(story["id"])
        url = story.get("app_url") or f"https://app.shortcut.com/story/{number}"
        return Issue(id=number, key=f"sc-{number}", url=url, warnings=warnings)


def _with_others(ours: list[Json], there: Any) -> list[Json]:
    """Return our values, and those of the other custom fields that a story has."""
    set_ = {each["field_id"] for each in ours}
    kept = [
        {name: each[name] for name in ("field_id", "value_id")} for each in there if each["field_id"] not in set_
    ]
    return [*ours, *kept]


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Shortcut]
