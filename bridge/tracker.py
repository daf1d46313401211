"""The interface for one tracker: what a plugin implements, and what the bridge works around where it does not.

A plugin author reads this file and `bridge.http` (or `bridge.sdk`); `docs/write-a-plugin.md` walks through it.
"""

from __future__ import annotations

import builtins
import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bridge.answers import Answer, Purpose, error_for, until
from bridge.clock import Clock, SystemClock
from bridge.errors import NotAllowed, RateLimited, TrackerError
from bridge.lazy import lazily
from bridge.model import (
    AttachmentFile,
    Body,
    Draft,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    Report,
)
from bridge.secrets import Redactor, Secret
from bridge.units import CallRate, Duration

if TYPE_CHECKING:
    import httpx
else:
    httpx = lazily("httpx")


Name = Annotated[str, BeforeValidator(str)]
"""A setting that names something: a name, or an id, which TOML may have as a number."""

_A_MOMENT = timedelta(seconds=1)  # a limit that is said to be over already: clocks differ
_SHORTEST_SECRET = 16  # characters; it is all that keeps strangers from making us look


class RetrySettings(BaseModel):
    """When a failed attempt is made again: exponential backoff with full jitter, then dead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(12, ge=1, description="attempts before a delivery is dead")
    first: Duration = Field(timedelta(seconds=30), description="longest wait before the second attempt")
    factor: float = Field(3.0, ge=1, description="how much longer each wait may be than the one before")
    longest: Duration = Field(timedelta(days=1), description="the longest wait of all")
    circuit_after: int = Field(5, ge=1, description="failures in a row that open the tracker's circuit")
    circuit_for: Duration = Field(
        timedelta(seconds=60), description="how long an open circuit lets nothing through"
    )


def _long_enough(value: Secret | None) -> Secret | None:
    if value is not None and len(value.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"must have at least {_SHORTEST_SECRET} characters")
    return value


class TrackerSettings(BaseModel):
    """Settings that every tracker has. A tracker type adds its own: a frozen subclass.

    `priorities`, `severities`, `issue_types` and `kind_labels` are tables from test IO's words to the tracker's.
    The keys are, strongest first: test IO's priority (`p2`), its severity (`high`, `visual`, ...), the level
    (`critical`, `high`, `low`) and `default`. An entry here replaces the type's own; an empty text leaves it out.
    """

    # of the types that are installed, few are used: the others are never built
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: str = Field(description="the tracker type, as `tracker-bridge trackers` lists them")
    title: str = Field("{{ bug.title }}", description="template of the issue's title")
    template: str | None = Field(None, description="template of the issue's body, in Markdown")
    labels: tuple[str, ...] | None = Field(None, description="labels, each a template; empty ones vanish")
    assignee: str = Field("", description="who the issue is assigned to; a template")
    parent: str = Field("", description="epic, parent or section the issue is put under; a template")
    issue_type: str = Field("", description="issue type where `issue_types` says nothing")
    priorities: Mapping[str, str] = Field(default_factory=dict, description="test IO's word = priority")
    severities: Mapping[str, str] = Field(default_factory=dict, description="test IO's word = severity")
    issue_types: Mapping[str, str] = Field(default_factory=dict, description="test IO's word = issue type")
    kind_labels: Mapping[str, str] = Field(default_factory=dict, description="test IO's word = a label more")
    fields: Mapping[str, Any] = Field(
        default_factory=dict, description="any other field of the tracker; texts are templates"
    )
    attachments: Literal["upload", "link", "none"] = Field(
        "upload", description="upload files, or only link to test IO's, or leave them out"
    )
    concurrency: int = Field(4, ge=1, le=64, description="deliveries under way at once")
    rate: CallRate | None = Field(None, description="at most so many deliveries started, like 80/minute")
    timeout: Duration = Field(timedelta(seconds=30), description="longest wait for one answer")
    retry: RetrySettings = Field(default_factory=RetrySettings)
    hook_secret: Annotated[Secret | None, AfterValidator(_long_enough)] = Field(
        None, description="secret of /hooks/NAME/SECRET, where the tracker may tell of its issues"
    )


class Unit(enum.StrEnum):
    """What a tracker counts when it limits a length."""

    CHARACTERS = "characters"
    UTF16 = "UTF-16 units"
    BYTES = "bytes"


def _client(**settings: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(**settings)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the bridge hands to a tracker: everything it would otherwise reach out for.

    Attributes:
        clock: The time.
        redact: Takes every configured secret out of a text.
        http: Makes the tracker's one HTTP client; keyword arguments as `httpx.AsyncClient`.
    """

    clock: Clock = field(default_factory=SystemClock)
    redact: Redactor = field(default_factory=Redactor)
    http: Callable[..., httpx.AsyncClient] = _client


S = TypeVar("S", bound=TrackerSettings)

OPTIONAL = ("find", "complete", "update", "comment", "attach", "state")
"""Methods a tracker may leave undefined; the bridge works around each."""


class Tracker(ABC, Generic[S]):
    """One tracker as configured. A subclass is a tracker *type*.

    Every method that talks to the tracker raises a `bridge.errors.TrackerError` and nothing else on purpose;
    what else escapes is a bug of the plugin, shown as such, and treated as `InDoubt` in a create.

    Args:
        name: Its name in the configuration: `web-jira`.
        settings: Its settings.
        tools: Clock, HTTP client factory, redaction.
    """

    type: ClassVar[str]
    """The word in TOML: `"github"`."""

    label: ClassVar[str]
    """The product's name for people: `"GitHub"`."""

    settings_type: ClassVar[builtins.type[TrackerSettings]]
    """The pydantic model that `[trackers.NAME]` is read into."""

    markup: Markup
    """What `Draft.body` is rendered to. Where it depends on the settings, `__init__` sets another one."""

    comment_markup: ClassVar[Markup | None] = None
    """What comments are rendered to, where it differs from `markup`."""

    title_limit: ClassVar[int | None] = None
    """Longest title, in `unit`s, applied after conversion. The title is always a single line."""

    body_limit: ClassVar[int | None] = None
    """Longest body and comment, in `unit`s of the markup (of the serialised JSON for ADF and Notion)."""

    unit: ClassVar[Unit] = Unit.CHARACTERS

    settle: ClassVar[timedelta] = timedelta(0)
    """How long after a create a *miss* of `find` proves nothing. A hit is always trusted."""

    enforces_marker: ClassVar[bool] = False
    """Whether the tracker itself refuses a second issue with one marker (a client-made id): `create` may then
    simply be called again when in doubt, and returns the existing issue."""

    listed: ClassVar[tuple[str, ...]] = ()
    """Settings for which `choices` knows what there is, in the order in which to ask for them: `("project",)`."""

    absent: ClassVar[str] = ""
    """What 404 or 410 means where no issue was asked for, and what to correct: `"the board does not exist: ..."`.
    `{settings.board}` in it stands for that setting."""

    limit_ends: ClassVar[str] = ""
    """Header, in lower case, that tells the end of a rate limit where there is no `Retry-After`: in seconds
    since 1970, or from now."""

    limit_lasts: ClassVar[timedelta | None] = None
    """How long a rate limit lasts of which no header tells the end."""

    default_labels: ClassVar[tuple[str, ...]] = ("test-io",)
    default_priorities: ClassVar[Mapping[str, str]] = {}
    default_severities: ClassVar[Mapping[str, str]] = {}
    default_issue_types: ClassVar[Mapping[str, str]] = {}
    default_kind_labels: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, settings: S, tools: Tools | None = None) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools or Tools()

    @property
    def account(self) -> str:
        """What shares a rate limit with this tracker: equal for trackers with the same credentials.

        Must not reveal the credential: `bridge.fingerprint` helps.
        """
        return self.name

    @abstractmethod
    async def check(self) -> Report:
        """Look, live, whether deliveries would succeed: credentials, project, required fields, mapped values.

        Creates nothing. What it finds wrong is in the report, not raised; only `Unavailable` and
        `RateLimited` may be raised.
        """

    @abstractmethod
    async def create(self, draft: Draft) -> Issue:
        """Make the issue in ONE call, `draft.marker` included, and return it.

        Raises:
            InDoubt: The request went out and no clear answer came back.
        """

    async def find(self, marker: Marker) -> Issue | None:
        """Return the issue that carries exactly this marker, or None. Never trust a filter: compare."""
        raise NotImplementedError

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Add to a new issue what `create` could not say in one call. Must be repeatable."""
        raise NotImplementedError

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set anew the parts of the draft for which `draft.sets(part)`; leave everything else alone.

        Raises:
            Gone: The issue does not exist any more.
        """
        raise NotImplementedError

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment.

        Raises:
            Gone: The issue does not exist any more.
        """
        raise NotImplementedError

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file to the issue, in pieces.

        Raises:
            Gone: The issue does not exist any more.
        """
        raise NotImplementedError

    async def state(self, issue: Issue) -> IssueState:
        """Return whether people are done with the issue.

        Raises:
            Gone: The issue does not exist any more.
        """
        raise NotImplementedError

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return what one of the `listed` settings may be, as the tracker says: names, each with its id.

        `tracker-bridge init` shows them. Settings that come later in `listed` may still be empty.

        Raises:
            TrackerError: The tracker does not tell.
        """
        return {}

    def refusal(self, answer: Answer, purpose: Purpose) -> TrackerError:
        """Return the error that an unsuccessful answer means, once its words are known: `error_for`, and more.

        Goes by `absent`, `limit_ends` and `limit_lasts`.

        Args:
            answer: With the tracker's own words, and those per field.
            purpose: What the request was for.
        """
        now = self.tools.clock.now()
        if answer.status in {404, 410} and purpose is not Purpose.ISSUE and self.absent:
            told = f"{self.absent.format(settings=self.settings)} ({self.label}: {answer.message})"
            return NotAllowed(told, status=answer.status)
        error = error_for(answer, purpose, now)
        if isinstance(error, RateLimited) and error.retry_after is None:
            ends = until(answer.headers.get(self.limit_ends, ""), now)
            error.retry_after = max(ends, _A_MOMENT) if ends is not None else self.limit_lasts
        return error

    def preview(self, draft: Draft) -> Json:
        """Return what `create` would send, for a person to look at. Sends nothing, holds no credential."""
        return {
            "title": draft.title,
            "body": draft.body.content,
            "labels": list(draft.labels),
            "issue_type": draft.issue_type,
            "priority": draft.priority,
            "severity": draft.severity,
            "assignee": draft.assignee,
            "parent": draft.parent,
            "fields": dict(draft.fields),
        }

    async def open(self) -> None:
        """Get ready, as far as that takes time and asks nobody: the first delivery need not wait for imports."""

    async def close(self) -> None:
        """Give back connections and threads."""

    @classmethod
    def can(cls, method: str) -> bool:
        """Whether this type defines `method`, one of `OPTIONAL`."""
        return getattr(cls, method) is not getattr(Tracker, method)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
