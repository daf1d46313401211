"""Notion: pages in a database.

API version 2026-03-11, https://developers.notion.com/reference/intro. Last verified in November 2026: requests and
answers against Notion's own OpenAPI description.

Odd: a database is a container, and pages are in one of its data sources; each property wants its value in a form
of its own; a page takes a hundred blocks when it is made, and more of them later; an option that does not exist is
made, but not one of a status; who was not given a database is told that it does not exist.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
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
    Purpose,
    RateLimited,
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
from bridge.answers import retry_after, words_in
from bridge.doctor import did_you_mean
from bridge.labels import merged
from bridge.mapping.notion import family
from bridge_plugins import _notion_files as files
from bridge_plugins._notion_names import NotionNames, Source
from bridge_plugins._notion_properties import Property, plain, rich_text

VERSION = "2026-03-11"
BLOCKS = 99  # the most blocks in one request but for the marker,
FAMILIES = 999  # those inside others included
OURS = frozenset(
    {
        "paragraph", "heading_1", "heading_2", "heading_3", "bulleted_list_item", "numbered_list_item", "quote",
        "code", "divider", "table",
    }
)  # fmt: skip
"""Kinds of blocks of a description. Others above the marker were put there by people."""


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "notion"`."""

    database: str = Field(
        description="the database: its name, address or id; it must be shared with the connection"
    )
    data_source: str = Field("", description="name of the data source, where the database has several")
    token: Secret = Field(description='secret of an internal connection ("ntn_...")')
    marker_property: str = Field("test IO ID", description="text property that keeps the marker")
    labels_property: str = Field("Tags", description="property that `labels` fill")
    priority_property: str = Field("Priority", description="property that `priorities` fill")
    severity_property: str = Field("Severity", description="property that `severities` fill")
    type_property: str = Field("Type", description="property that `issue_types` fill")
    assignee_property: str = Field("Assignee", description="property that `assignee` fills")
    parent_property: str = Field(
        "Parent item", description="relation that `parent` fills, with a page's address or id"
    )
    status_property: str = Field(
        "", description="property that says whether a page is finished; empty: the status"
    )
    done: tuple[str, ...] = Field(
        (), description="its values of finished pages; empty: those Notion calls complete"
    )
    url: str = Field("https://api.notion.com", description="address of the API")


def values(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the values of properties, by name, for the parts of a draft that are to be set."""
    chosen = draft.chosen(
        ("title", "title", draft.title),
        ("labels", settings.labels_property, list(draft.labels)),
        ("priority", settings.priority_property, draft.priority),
        ("severity", settings.severity_property, draft.severity),
        ("issue_type", settings.type_property, draft.issue_type),
        ("assignee", settings.assignee_property, draft.assignee),
        ("parent", settings.parent_property, draft.parent),
    )
    return {**chosen, **draft.own_fields}


def groups(blocks: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return blocks in groups, each with as many as one request takes, and one more."""
    found: list[list[Mapping[str, Any]]] = [[]]
    size = 0
    for block in blocks:
        size += family(dict(block))
        if len(found[-1]) == BLOCKS or size > FAMILIES:
            found.append([])
            size = family(dict(block))
        found[-1].append(block)
    return found


def text_of(block: Mapping[str, Json]) -> str:
    """Return the text of a block as Notion answers it."""
    content = block.get(block.get("type", "")) or {}
    return "".join(str(each.get("plain_text", "")) for each in content.get("rich_text") or ())


class Notion(HttpTracker[Settings]):
    """Pages in one database."""

    type = "notion"
    label = "Notion"
    settings_type = Settings
    listed = ("database",)
    markup = Markup.NOTION
    comment_markup = Markup.PLAIN
    title_limit = 2000
    body_limit = 160_000  # of JSON, so that it is less than the 500 KB that a request may have, in any script
    unit = Unit.UTF16
    settle = timedelta(seconds=15)
    absent = "the database does not exist or is not shared with the connection: correct `database`, or share it"
    part = files.PART
    """The most bytes of a file in one request."""
    default_severities: ClassVar[Mapping[str, str]] = {"critical": "Critical", "high": "High", "low": "Low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = NotionNames(settings, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return self.settings.url.rstrip("/") + "/v1"

    def headers(self) -> Mapping[str, str]:
        """Return the token, and the version of the API."""
        return {"Authorization": f"Bearer {self.settings.token.get_secret_value()}", "Notion-Version": VERSION}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in Notion's dialect."""
        status, words = answer.status, answer.message or words_in(data)
        if status == 529:  # too much for Notion as a whole; nothing was done
            wait = retry_after(answer.headers, self.tools.clock.now())
            return RateLimited(words, status=status, retry_after=wait)
        if status == 409:
            return Unavailable(words, status=status)
        if status == 403 and data is None:  # the proxy in front of Notion found fault with what is in the request
            return Rejected(f"blocked before it reached Notion: {words}", status=status)
        if status == 400 and purpose is Purpose.ISSUE and ("archived" in words or "in trash" in words):
            return Gone(words, status=status)
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the page, the first of its blocks and the marker included."""
        source, settings = await self.names.source(), self.settings
        wanted = values(draft, settings)
        if source.find(settings.marker_property):
            wanted[settings.marker_property] = draft.marker.text
        properties, warnings = await self._resolved(wanted, source)
        *body, end = draft.body.content
        sent = {
            "parent": {"type": "data_source_id", "data_source_id": source.id},
            "properties": properties,
            "children": [*groups(body)[0], end],
        }
        data = await self.call("POST", "/pages", purpose=Purpose.CREATE, json=sent)
        self.created(data, "id")
        return replace(self._issue(data), warnings=tuple(warnings))

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Put the blocks that were too many for the first request above the marker."""
        *body, _end = draft.body.content
        if len(groups(body)) == 1:
            return
        above = []
        async for block in self.blocks(issue):
            if draft.marker.found_in(text_of(block)):
                break
            above.append(block["id"])
        else:
            return  # somebody removed the marker; there is no telling what is missing
        for group in groups(body[len(above) :]):
            if group:
                after = {"type": "after_block", "after_block": {"id": above[-1]}} if above else {"type": "start"}
                above += await self._add(issue, group, after)

    async def find(self, marker: Marker) -> Issue | None:
        """Query the property that keeps the marker; without one, read the pages since the first attempt."""
        source = await self.names.source()
        kept = source.find(self.settings.marker_property)
        if kept and kept.kind == "rich_text":
            query: Json = {"property": kept.name, "rich_text": {"equals": marker.text}}
        else:
            moment = marker.earliest.strftime("%Y-%m-%dT%H:%M:00Z")  # Notion keeps minutes only
            query = {"timestamp": "created_time", "created_time": {"on_or_after": moment}}
            kept = None
        pages = self._pages(source, query)
        found = [self._issue(page) async for page in pages if await self._carries(page, marker, kept)]
        return marker.first_of(found)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay, and whatever they wrote below the marker."""
        page, source = await self._page(issue), await self.names.source()
        wanted, name = values(draft, self.settings), self.settings.labels_property
        labels = source.find(name)
        if labels and name in wanted:
            there = plain(page["properties"].get(labels.name))
            wanted[name] = merged(there if isinstance(there, list) else [], wanted[name])
        properties, warnings = await self._resolved(wanted, source)
        if properties:
            sent = {"properties": properties}
            await self.call("PATCH", f"/pages/{issue.id}", purpose=Purpose.ISSUE, json=sent)
        if draft.sets("body"):
            await self._replace(issue, draft)
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment to the page."""
        await self._page(issue)
        sent = {"parent": {"type": "page_id", "page_id": issue.id}, "rich_text": rich_text(body.text)}
        await self.call("POST", "/comments", purpose=Purpose.ISSUE, json=sent)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file and put it at the page's end, unless an earlier try whose answer was lost did."""
        await self._page(issue)
        async for block in self.blocks(issue):
            if files.came_from(block) == files.origin(file):
                return
        named = replace(file, name=files.name_of(file))
        if file.size > self.part:
            upload = await self._upload_parts(named)
        else:
            asked = {"mode": "single_part", "filename": named.name, "content_type": file.type}
            upload = str((await self.call("POST", "/file_uploads", json=asked))["id"])
            await self.upload(f"/file_uploads/{upload}/send", named, purpose=Purpose.LOOK)
        await self._add(issue, [files.block(named, upload)], {"type": "end"})

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the status, or another property, says that the page is finished."""
        page, source = await self._page(issue), await self.names.source()
        name = self.settings.status_property
        prop = source.find(name) if name else source.of_kind("status")
        value = plain(page["properties"].get(prop.name)) if prop else None
        if prop is None or value is None:
            return IssueState(False, "open")
        if isinstance(value, bool):
            return IssueState(value, prop.name if value else "open")
        done = {each.casefold() for each in self.settings.done or prop.final}
        return IssueState(str(value).casefold() in done, str(value))

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the databases that are shared with the connection."""
        return await self.names.databases.all()

    async def check(self) -> Report:
        """Look at credentials, the database, its properties, and every configured value."""
        from bridge_plugins._notion_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return what is sent, with plain values: Notion says only when asked in which form it wants them."""
        kept = {self.settings.marker_property: draft.marker.text} if self.settings.marker_property else {}
        properties = {**values(draft, self.settings), **kept}
        return {"database": self.settings.database, "properties": properties, "children": draft.body.content}

    def blocks(self, issue: Issue) -> AsyncIterator[Json]:
        """Return the blocks of a page, without those inside them."""
        return self.names.listing("GET", f"/blocks/{issue.id}/children", {}, Purpose.ISSUE)

    async def _resolved(self, wanted: Mapping[str, Json], source: Source) -> tuple[dict[str, Json], list[str]]:
        """Return the properties of a request, and a warning for each value that cannot be set."""
        sent, warnings = dict[str, Json](), list[str]()
        for name, value in wanted.items():
            prop = source.find(name)
            if prop is None:
                hint = did_you_mean(name, source.properties)
                warnings.append(f"{name}: the database has no such property" + (f"; {hint}" if hint else ""))
                continue
            try:
                sent[prop.name] = prop.value(await self.names.ids(value) if prop.kind == "people" else value)
            except (Rejected, ValueError) as problem:
                warnings.append(f"{name}: {problem}")
        return sent, warnings

    async def _page(self, issue: Issue) -> dict[str, Json]:
        """Return the page of an issue.

        Raises:
            Gone: It is in the trash, or not there at all.
        """
        page: dict[str, Json] = await self.call("GET", f"/pages/{issue.id}", purpose=Purpose.ISSUE)
        inside(page, "properties", purpose=Purpose.ISSUE)
        if page.get("in_trash"):
            raise Gone("the page is in Notion's trash")
        return page

    def _pages(self, source: Source, query: Json) -> AsyncIterator[Json]:
        """Return the pages that fit a query, the oldest first."""
        sent = {"filter": query, "sorts": [{"timestamp": "created_time", "direction": "ascending"}]}
        return self.names.listing("POST", f"/data_sources/{source.id}/query", sent, Purpose.LOOK)

    async def _carries(self, page: Mapping[str, Json], marker: Marker, kept: Property | None) -> bool:
        """Whether a page carries a marker: in the property that keeps it, else among its blocks."""
        if kept:
            return bool(plain((page.get("properties") or {}).get(kept.name)) == marker.text)
        path = f"/blocks/{page['id']}/children"
        async for block in self.names.listing("GET", path, {}, Purpose.LOOK):
            if marker.found_in(text_of(block)):
                return True
        return False

    async def _replace(self, issue: Issue, draft: Draft) -> None:
        """Put the new description in place of the old one: down to the marker.

        Repeatable at every step: as long as a marker is there, what is above it is old.
        """
        there = [block async for block in self.blocks(issue)]
        last = max((at for at, block in enumerate(there) if draft.marker.found_in(text_of(block))), default=-1)
        for block in there[: last + 1]:
            if block["type"] not in OURS:
                continue
            with suppress(Gone):  # somebody deleted it before us; the page itself is there
                await self.call("DELETE", f"/blocks/{block['id']}", purpose=Purpose.ISSUE)
        for group in reversed(groups(draft.body.content)):
            await self._add(issue, group, {"type": "start"})

    async def _add(self, issue: Issue, blocks: Sequence[Mapping[str, Json]], position: Json) -> list[str]:
        """Add blocks to a page and return their ids."""
        sent, path = {"children": list(blocks), "position": position}, f"/blocks/{issue.id}/children"
        data = await self.call("PATCH", path, purpose=Purpose.ISSUE, json=sent)
        return [str(each["id"]) for each in list_inside(data, "results", purpose=Purpose.ISSUE)[: len(blocks)]]

    async def _upload_parts(self, file: AttachmentFile) -> str:
        """Upload a large file in parts and return the id of the upload."""
        spans = [(at, min(self.part, file.size - at)) for at in range(0, file.size, self.part)]
        asked = {
            "mode": "multi_part",
            "filename": file.name,
            "content_type": file.type,
            "number_of_parts": len(spans),
        }
        upload = str((await self.call("POST", "/file_uploads", json=asked))["id"])
        with file.path.open("rb") as stream:
            for number, (start, size) in enumerate(spans, 1):
                sent = {"file": (file.name, files.Window(stream, start, size), file.type)}
                form = {"part_number": str(number)}
                await self.call("POST", f"/file_uploads/{upload}/send", data=form, files=sent)
        await self.call("POST", f"/file_uploads/{upload}/complete")
        return upload

    def _issue(self, page: Mapping[str, Json]) -> Issue:
        bare = str(page["id"]).replace("-", "")
        numbers = [each.get("unique_id") for each in (page.get("properties") or {}).values()]
        key = next(
            ("-".join(str(each[part]) for part in ("prefix", "number") if each[part]) for each in numbers if each),
            "",
        )
        return Issue(
            id=str(page["id"]), key=key or bare[:8], url=page.get("url") or f"https://www.notion.so/{bare}"
        )


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Notion]
