"""monday.com. Cloud only.

GraphQL API, version 2026-10, https://developer.monday.com/api-reference. Last verified in November 2026: every
document, its variables and the fake's answers against monday.com's own schema. A version lives for about nine
months, so `version` can be set.

Odd: everything is a column, and the values of columns are JSON in a text inside JSON. An item is made without its
description, which is set right after; so the marker is in a text column, which the board must have. Refusals come
with status 200, some as `success: false` without any error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

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
    Purpose,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    hookimpl,
    inside,
    list_inside,
)
from bridge.labels import WITH_SEVERITY, merged, shortened
from bridge_plugins import _monday_api as api
from bridge_plugins._monday_board import Board

LABEL_LIMIT = 100  # characters; not published
MARKUPS = {"description": Markup.COMMONMARK, "update": Markup.HTML}
FILES = "Files from test IO"
"""Text of the update that keeps the files of an item where the board has no column for them."""


def _board(value: str) -> str:
    """Return what names the board: from its address the id, anything else as it is."""
    found = re.search(r"/boards/(\d+)", value)
    if "://" in value and not found:
        raise ValueError(
            'is no board: write its name, or its address, "https://acme.monday.com/boards/1234567890"'
        )
    return found[1] if found else value.strip()


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "monday"`."""

    board: Annotated[str, AfterValidator(_board)] = Field(
        min_length=1, description="the board: its id, address or name"
    )
    token: Secret = Field(description="API token of a user who can edit the board")
    group: str = Field("", description="group that new items are put in; empty: the board's first")
    marker_column: str = Field(
        "test IO", description="text column that keeps the marker; by it items are found again"
    )
    body: Literal["description", "update"] = Field(
        "description", description="where the body is put: the item's description, or an update"
    )
    priority_column: str = Field("", description="column that `priorities` fill")
    severity_column: str = Field("", description="column that `severities` fill")
    type_column: str = Field("", description="column that `issue_types` fill")
    labels_column: str = Field("", description="dropdown or tags column that `labels` fill")
    assignee_column: str = Field("", description="people column that `assignee` fills")
    status_column: str = Field("Status", description="column that tells whether an item is done")
    file_column: str = Field(
        "", description="column for files; empty: the board's first, else an update of the item"
    )
    make_labels: bool = Field(True, description="make labels that a column does not have")
    concurrency: int = Field(1, ge=1, le=64, description="deliveries under way at once: monday.com advises one")
    version: str = Field("2026-10", pattern=r"^\d{4}-\d{2}$", description="version of the API")
    url: str = Field("https://api.monday.com", description="address of the API")


def columns(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the values of columns, by title, for the parts of a draft that are to be set."""
    chosen = draft.chosen(
        ("priority", settings.priority_column, draft.priority),
        ("severity", settings.severity_column, draft.severity),
        ("issue_type", settings.type_column, draft.issue_type),
        ("labels", settings.labels_column, shortened(draft.labels, LABEL_LIMIT)),
        ("assignee", settings.assignee_column, draft.assignee),
    )
    return {**chosen, **draft.own_fields}


class Monday(HttpTracker[Settings]):
    """Items of one board."""

    type = "monday"
    label = "monday.com"
    settings_type = Settings
    listed = ("board",)
    markup = Markup.COMMONMARK
    comment_markup = Markup.HTML
    title_limit = 255
    body_limit = 40_000  # monday.com publishes none
    settle = timedelta(seconds=60)
    absent = "{settings.url} is not monday.com's API: correct `url`, or look at the proxy"
    default_labels = WITH_SEVERITY
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Critical", "high": "High", "low": "Low"}
    default_severities: ClassVar[Mapping[str, str]] = {"critical": "Critical", "high": "High", "low": "Low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.markup = MARKUPS[settings.body]
        self.board = Board(settings.board, settings.make_labels, self.ask, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API's host."""
        return self.settings.url.rstrip("/")

    def headers(self) -> Mapping[str, str]:
        """Return the token, and the version, without which monday.com takes whichever is current."""
        return {"Authorization": self.settings.token.get_secret_value(), "API-Version": self.settings.version}

    async def ask(self, document: str, *, purpose: Purpose = Purpose.LOOK, **variables: Json) -> Json:
        """Send a document and return the `data`."""
        return await self.graphql(document, variables, path="/v2", purpose=purpose)

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: its errors decide, unless there is an item all the same."""
        if errors := api.errors_in(data):
            made = purpose is Purpose.CREATE and ((data.get("data") or {}).get("create_item") or {}).get("id")
            return None if made else api.refusal(errors, answer, purpose, self.tools.clock.now())
        if answer.status == 404:  # of no item: monday.com itself says that differently
            purpose = Purpose.LOOK
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the item with all its columns; `complete` adds the body."""
        settings = self.settings
        marker = await self._marker_column()
        values, warnings = await self.board.values(columns(draft, settings))
        group = await self._group(draft.parent, warnings)
        if not group and settings.group:
            group = await self.board.groups.needed(settings.group, "group")
        sent = {
            "boardId": await self.board.id(),
            "groupId": group,
            "name": draft.title,
            "values": json.dumps({**values, marker: draft.marker.text}),
            "make": settings.make_labels,
        }
        request = {"query": api.CREATE, "variables": sent}
        data = await self.call("POST", "/v2", purpose=Purpose.CREATE, json=request)
        self.created(data, "data", "create_item", "id")
        if errors := api.errors_in(data):
            warnings.append(self.tools.redact(api.words_of(errors)))
        return self._issue(data["data"]["create_item"], *warnings)

    async def find(self, marker: Marker) -> Issue | None:
        """Ask for the items with this marker in its column; the index lags by half a minute."""
        column = await self._marker_column()
        board = await self.board.id()
        data = await self.ask(api.FIND, boardId=board, columnId=column, ids=[column], value=marker.text)
        found = [
            item
            for item in list_inside(data, "items_page_by_column_values", "items")
            if any(marker.found_in(each.get("text") or "") for each in item["column_values"])
        ]
        return marker.first_of([self._issue(item) for item in sorted(found, key=lambda item: int(item["id"]))])

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Write the body: an item is made without."""
        await self._describe(issue, draft)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        wanted, name = columns(draft, self.settings), self.settings.labels_column
        if draft.sets("labels") and name in wanted and name not in draft.fields:
            wanted[name] = merged(await self._labels_of(issue), wanted[name])
        values, warnings = await self.board.values(wanted)
        if draft.sets("title"):
            values["name"] = draft.title
        if values:
            sent = {"boardId": await self.board.id(), "itemId": issue.id, "values": json.dumps(values)}
            await self._do(api.CHANGE, "change_multiple_column_values", make=self.settings.make_labels, **sent)
        if draft.sets("parent") and (group := await self._group(draft.parent, warnings)):
            await self._do(api.MOVE, "move_item_to_group", itemId=issue.id, groupId=group)
        if draft.sets("body"):
            await self._describe(issue, draft)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add an update."""
        await self._do(api.WRITE, "create_update", itemId=issue.id, body=body.text)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file, unless an earlier try whose answer was lost did."""
        file = replace(file, name=" ".join(file.name.split()))
        item = await self._item(api.FILES, issue)
        if file.is_one_of((each["name"], each["file_size"]) for each in item["assets"] or ()):
            return
        name = self.settings.file_column
        column = await self.board.column(name) if name else await self.board.first("file")
        if column:
            place = {"itemId": issue.id, "columnId": column["id"]}
            await self._upload(file, api.FILE_OF_COLUMN, "add_file_to_column", place)
        else:
            place = {"updateId": await self._update_for_files(issue, item)}
            await self._upload(file, api.FILE_OF_UPDATE, "add_file_to_update", place)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the item's status counts as done on its board, or the item is archived."""
        item, status = await self._value(issue, self.settings.status_column)
        if item["state"] != "active":
            return IssueState(True, str(item["state"]))
        return IssueState(bool(status.get("is_done")), status.get("text") or "active")

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the boards that the token's user sees."""
        return await self.board.boards.all()

    async def check(self) -> Report:
        """Look at the token, the board, and every configured column, label, group and person."""
        from bridge_plugins._monday_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the item and its body; the titles of columns are replaced by ids when it is sent."""
        settings = self.settings
        place = {"board": settings.board, "group": draft.parent or settings.group}
        values = {**columns(draft, settings), settings.marker_column: draft.marker.text}
        return {**place, "name": draft.title, "column_values": values, settings.body: draft.body.content}

    async def _marker_column(self) -> str:
        return await self.board.columns.needed(self.settings.marker_column, "marker_column")

    async def _group(self, name: str, warnings: list[str]) -> str | None:
        """Return the id of a bug's own group, None where it has none; what does not exist becomes a warning."""
        found, lost = await self.board.groups.ids_of([name] if name else [], "parent")
        warnings += lost
        return found[0] if found else None

    async def _describe(self, issue: Issue, draft: Draft) -> None:
        """Write the body, in place of one that is there."""
        if self.settings.body == "description":
            result = await self._do(
                api.DESCRIBE, "set_item_description_content", itemId=issue.id, markdown=draft.body.text
            )
            if not result.get("success"):
                words = self.tools.redact(str(result.get("error") or "monday.com did not say why"))
                raise Unavailable(f"the description was not set: {words}")
            return
        updates = (await self._item(api.FILES, issue))["updates"] or ()
        ours = [each["id"] for each in updates if draft.marker.found_in(each["text_body"] or "")]
        if ours:
            await self._do(api.REWRITE, "edit_update", id=min(ours, key=int), body=draft.body.text)
        else:
            await self._do(api.WRITE, "create_update", itemId=issue.id, body=draft.body.text)

    async def _labels_of(self, issue: Issue) -> list[str]:
        _, value = await self._value(issue, self.settings.labels_column)
        labels, tags = value.get("values", ()), value.get("tags", ())
        return [each["label"] for each in labels] + [each["name"] for each in tags]

    async def _update_for_files(self, issue: Issue, item: Mapping[str, Json]) -> str:
        there = [each["id"] for each in item["updates"] or () if (each["text_body"] or "").strip() == FILES]
        if there:
            return str(min(there, key=int))
        made = await self._do(api.WRITE, "create_update", itemId=issue.id, body=f"<p>{FILES}</p>")
        return str(made["id"])

    async def _upload(
        self, file: AttachmentFile, document: str, mutation: str, variables: Mapping[str, Json]
    ) -> None:
        """Send a file as GraphQL's convention for forms has it, https://developer.monday.com/api-reference/reference/assets."""
        form = {"query": document, "variables": json.dumps(variables), "map": '{"file": ["variables.file"]}'}
        inside(await self.upload("/v2/file", file, data=form), "data", mutation, purpose=Purpose.ISSUE)

    async def _item(self, document: str, issue: Issue, **variables: Json) -> dict[str, Json]:
        """Return what is known of an item.

        Raises:
            Gone: It was deleted, or the token's user does not see it any more.
        """
        data = await self.ask(document, purpose=Purpose.ISSUE, ids=[issue.id], **variables)
        found = data.get("items") or [None]
        if not isinstance(found[0], dict) or found[0].get("state") == "deleted":
            raise Gone("the item was deleted, or the token's user does not see it")
        return found[0]

    async def _value(self, issue: Issue, name: str) -> tuple[dict[str, Json], dict[str, Json]]:
        """Return an item, and its value in a column: an empty one where the board has no such column."""
        column = await self.board.column(name)
        item = await self._item(api.VALUES, issue, columns=[column["id"]] if column else [])
        return item, next(iter(item["column_values"]), {}) if column else {}

    async def _do(self, document: str, mutation: str, **variables: Json) -> Json:
        """Change something about an item, and return what came of it."""
        data = await self.ask(document, purpose=Purpose.ISSUE, **variables)
        return inside(data, mutation, purpose=Purpose.ISSUE)

    def _issue(self, data: Mapping[str, Json], *warnings: str) -> Issue:
        return Issue(id=str(data["id"]), key=str(data["id"]), url=data["url"], warnings=warnings)


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Monday]
