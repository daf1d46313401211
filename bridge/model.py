"""The words of the bridge as plain frozen data. No I/O, and nothing of ours is imported here."""

from __future__ import annotations

import enum
import posixpath
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

Json = Any
"""Anything `json.loads` returns."""
_CLOCKS_DIFFER = timedelta(minutes=5)  # at most, a tracker's from ours


class Level(enum.StrEnum):
    """How bad a bug is. test IO knows no "medium"."""

    CRITICAL = "critical"
    HIGH = "high"
    LOW = "low"


class Kind(enum.StrEnum):
    """What sort of bug it is. test IO mixes it into `severity`; everything not functional counts as low."""

    FUNCTIONAL = "functional"
    VISUAL = "visual"
    CONTENT = "content"
    SUGGESTION = "suggestion"
    SPELLING = "spelling"
    TEST_CASE = "test_case"
    CUSTOM = "custom"
    UNKNOWN = "unknown"


class Markup(enum.StrEnum):
    """The markup a tracker shows. One renderer each, in `bridge.mapping`."""

    GFM = "gfm"
    COMMONMARK = "commonmark"
    JIRA_WIKI = "jira-wiki"
    ADF = "adf"
    HTML = "html"
    NOTION = "notion"
    TEXTILE = "textile"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a bug, at test IO's address: there is no name, size or id in an export."""

    url: str
    type: str = ""

    @property
    def name(self) -> str:
        """The file name a person would give it: the last part of the URL's path."""
        return posixpath.basename(unquote(urlsplit(self.url).path)) or "attachment"

    @property
    def is_image(self) -> bool:
        """Whether test IO says that this is a picture."""
        return self.type.lower().startswith("image/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What the bug was seen on."""

    device_type: str = ""
    os: str = ""
    os_version: str = ""
    browser: str = ""

    def __str__(self) -> str:
        system = " ".join(part for part in (self.os, self.os_version) if part)
        return ", ".join(part for part in (self.device_type, system, self.browser) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """The tester who found the bug: personal data."""

    id: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """The crowd-tested bug inside an export, normalised.

    Attributes:
        id: test IO's id.
        severity: test IO's word as it came, in lower case; `level` and `kind` are what it means.
        steps: The steps to reproduce, without their numbers.
        extra: Fields of the bug that we do not know, as they came.
    """

    id: int
    title: str
    link: str = ""
    description: str = ""
    steps: tuple[str, ...] = ()
    expected_result: str = ""
    actual_result: str = ""
    severity: str = ""
    level: Level = Level.LOW
    kind: Kind = Kind.UNKNOWN
    priority: str = ""
    status: str = ""
    attachments: tuple[Attachment, ...] = ()
    device: Device = field(default_factory=Device)
    reporter: Reporter = field(default_factory=Reporter)
    test_cycle_id: int | None = None
    product_id: int | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One received event. `event` other than `bug.exported` has no bug.

    Attributes:
        id: Ours; sorts by time of arrival.
        connection: The connection's name in the configuration.
        exported_at: test IO's moment, None where it did not say.
        received_at: Ours, in UTC.
        extra: Top-level fields that we do not know, as they came.
    """

    id: str
    connection: str
    event: str
    received_at: datetime
    exported_at: datetime | None = None
    bug: Bug
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Marker:
    """How an issue is recognised, in the tracker itself, as this bug's.

    Attributes:
        text: Stable words for bodies, labels and searches: `testio-bug-12345`. For a route that
            makes a new issue at each export, the export's id is added: `testio-bug-12345-01k9z3v8`.
        uuid: The same as an UUID, for trackers that take a client-made id.
        since: When an issue with this marker can have been made at the earliest (first attempt), in UTC.
    """

    text: str
    uuid: UUID
    since: datetime

    @property
    def earliest(self) -> datetime:
        """`since` by the tracker's clock, which may differ from ours: where a search by time begins."""
        return self.since - _CLOCKS_DIFFER

    @classmethod
    def of(cls, bug_id: int, since: datetime, *, tracker: str = "", suffix: str = "") -> Marker:
        """Return the marker of a bug.

        Args:
            bug_id: test IO's id.
            since: Moment of the first attempt, in UTC.
            tracker: Name of the tracker; two trackers in one account must not share a client-made id.
            suffix: Distinguishes several issues made on purpose for one bug.
        """
        text = f"testio-bug-{bug_id}" + (f"-{suffix.lower()}" if suffix else "")
        return cls(text, uuid5(NAMESPACE_URL, f"tracker-bridge:{tracker}:{text}"), since)

    def found_in(self, text: str) -> bool:
        """Whether `text` holds exactly this marker: `testio-bug-12` is not found in `testio-bug-123`."""
        start = text.find(self.text)
        while start != -1:
            before, after = text[start - 1 : start], text[start + len(self.text) :][:2]
            follows = after[:1].isalnum() or (after[:1] == "-" and after[1:].isalnum())
            if not follows and not (start and (before.isalnum() or before == "-")):
                return True
            start = text.find(self.text, start + 1)
        return False

    def first_of(self, issues: Sequence[Issue]) -> Issue | None:
        """Return the first of the issues that carry this marker, with a warning for each other; None for none."""
        if not issues:
            return None
        also = [f"another issue carries {self.text}: {other.url}" for other in issues[1:]]
        return replace(issues[0], warnings=(*issues[0].warnings, *also))


def people_in(assignee: str) -> tuple[str, ...]:
    """Return the names between commas, with or without `@`."""
    return tuple(name for part in assignee.split(",") if (name := part.strip().lstrip("@")))


@dataclass(frozen=True, slots=True)
class Body:
    """Text in a tracker's markup.

    Attributes:
        markup: The markup of `content`.
        content: A string; for ADF the document as a dict, for Notion its blocks as a list.
        lost: What did not survive (`"cut from 70112 to 65536 characters"`).
    """

    markup: Markup
    content: Json
    lost: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The content of a markup that is text.

        Raises:
            TypeError: The markup is a document tree (ADF, Notion).
        """
        if not isinstance(self.content, str):
            raise TypeError(f"{self.markup} is not text")
        return self.content


EVERYTHING = frozenset(
    {"title", "body", "labels", "issue_type", "priority", "severity", "assignee", "parent", "fields"}
)
"""The parts of a draft that a route's `update_fields` can name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The bug mapped for one tracker: what `create` and `update` send.

    Attributes:
        body: The description in the tracker's markup, marker and link to the bug included.
        priority: The tracker's word (`"High"`), empty to leave it out. Likewise `severity`, `issue_type`,
            `assignee` and `parent`.
        fields: Native or custom fields by name, sent as they are, after everything else.
        attachments: The bug's files; the body has links to them where they are not uploaded.
        only: For `update`: the parts to set anew. `create` sets everything.
    """

    title: str
    body: Body
    marker: Marker
    bug: Bug
    labels: tuple[str, ...] = ()
    issue_type: str = ""
    priority: str = ""
    severity: str = ""
    assignee: str = ""
    parent: str = ""
    fields: Mapping[str, Json] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    only: frozenset[str] = EVERYTHING
    warnings: tuple[str, ...] = ()

    def sets(self, part: str) -> bool:
        """Whether `part` (one of `EVERYTHING`) is to be set."""
        return part in self.only

    def chosen(self, *parts: tuple[str, str, Json]) -> dict[str, Json]:
        """Return what is to be sent of a draft: a value for each name, where the part is to be set and not empty.

        Args:
            parts: Part (one of `EVERYTHING`), the tracker's name for it (empty where it has none), and value.
        """
        return {name: value for part, name, value in parts if name and value and self.sets(part)}

    @property
    def own_fields(self) -> Mapping[str, Json]:
        """`fields`, where they are to be set; else none."""
        return self.fields if self.sets("fields") else {}

    @property
    def assignees(self) -> tuple[str, ...]:
        """The people in `assignee`: names between commas, with or without `@`."""
        return people_in(self.assignee)

    def with_(self, **changes: Any) -> Draft:
        """Return a copy with `changes`: what a `bridge_prepare` hook returns."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What exists in a tracker.

    Attributes:
        id: What the tracker's API addresses it by.
        key: What a person knows it by: `SHOP-12`, `acme/shop#28`.
        url: Its page.
        warnings: What the tracker silently did not do (`"label crowd was dropped"`).
    """

    id: str
    key: str
    url: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssueState:
    """Where people are with an issue: `done`, and the tracker's own word for it."""

    done: bool
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentFile:
    """A fetched attachment, on disk. Read it in pieces, never whole.

    Attributes:
        path: Where it is spooled.
        name: The file name to show.
        type: Its MIME type, checked against its first bytes.
        size: Bytes.
        url: Where it came from.
    """

    path: Path
    name: str
    type: str
    size: int
    url: str

    def with_name_within(self, limit: int) -> AttachmentFile:
        """Return the file with its name on one line, and at most `limit` characters of it."""
        return replace(self, name=" ".join(self.name.split())[:limit])

    def is_one_of(self, attached: Iterable[tuple[Json, Json]]) -> bool:
        """Whether an issue has this file already: an earlier try, whose answer was lost, attached it.

        Args:
            attached: Name and size of each file that the issue has; sizes as numbers or as texts.
        """
        return (self.name, str(self.size)) in {(name, str(size)) for name, size in attached}


class Verdict(enum.StrEnum):
    """What the doctor says of one thing it looked at."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the doctor looked at.

    Attributes:
        verdict: Fine, will lose something, or will fail.
        subject: What was looked at: `credentials`, `project`, `priorities.high`.
        message: What was found.
        fix: What to do about it; empty when all is well.
    """

    verdict: Verdict
    subject: str
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the doctor found out about one tracker."""

    findings: tuple[Finding, ...] = ()

    @classmethod
    async def of(cls, findings: AsyncIterable[Finding]) -> Report:
        """Return a report of findings as they are made."""
        return cls(tuple([each async for each in findings]))

    @property
    def ok(self) -> bool:
        """Whether nothing would fail."""
        return all(finding.verdict is not Verdict.ERROR for finding in self.findings)
