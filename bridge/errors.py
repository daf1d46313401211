"""What can go wrong, sorted by what to do next.

::

    BridgeError
    ├── ConfigError           the configuration is wrong; nothing was started
    ├── PluginError           a plugin is missing, broken or ambiguous
    ├── StoreError            nothing could be written down
    ├── AttachmentError       a file could not be fetched; says whether trying again may help
    └── TrackerError          what a tracker answered, as the dispatcher needs to know it
        ├── Rejected          understood and refused: dead at once
        ├── NotAllowed        credentials or rights: the tracker is paused
        ├── RateLimited       slow down: the account waits, no attempt is spent
        ├── Unavailable       not now: retry with backoff
        ├── InDoubt           a create was sent, no clear answer: look for the marker first
        └── Gone              the issue we knew is no longer there: make a new one

A tracker raises the `TrackerError`; the dispatcher alone decides what happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


class BridgeError(Exception):
    """Root of everything the bridge raises on purpose. Its text is written for a person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration or a request.

    Attributes:
        path: Where: `trackers.web-jira.project`, or a JSON pointer such as `/bug/id`.
        message: What is wrong, and what to do about it.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(BridgeError):
    """The configuration is wrong. Carries every problem found, not only the first.

    Args:
        problems: All problems, each with its path.
        source: The file they are in, for the person who has to mend it.
    """

    def __init__(self, problems: Sequence[Problem], *, source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PluginError(BridgeError):
    """A plugin that a configured tracker needs is missing, broken or ambiguous."""


class StoreError(BridgeError):
    """The store could not write or read. Nothing was changed."""


class AttachmentError(BridgeError):
    """An attachment could not be fetched. It never fails, repeats or delays the issue.

    Args:
        message: What happened; without the query of the file's address, which may hold a signature.
        retry: Whether trying again may help.
    """

    def __init__(self, message: str, *, retry: bool) -> None:
        self.retry = retry
        super().__init__(message)


class TrackerError(BridgeError):
    """What a tracker answered.

    Args:
        message: The tracker's own words, redacted: never a credential.
        status: HTTP status, where there was one.
        fields: The tracker's message per field (`{"priority": "is not valid"}`).
        retry_after: How long to wait at least, when the tracker said so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        fields: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        self.message = message
        self.status = status
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        super().__init__(message)

    def __str__(self) -> str:
        details = "; ".join(f"{name}: {text}" for name, text in self.fields.items())
        head = f"{self.message} (HTTP {self.status})" if self.status else self.message
        return f"{head}: {details}" if details else head


class Rejected(TrackerError):
    """The tracker understood and said no. Trying again changes nothing until a person changed something."""


class NotAllowed(TrackerError):
    """Credentials are wrong, expired, or lack a right. The tracker is paused; deliveries wait unspent."""


class RateLimited(TrackerError):
    """Slow down: `retry_after` says how long, None where the tracker did not say."""


class Unavailable(TrackerError):
    """The tracker is not there now, and nothing was created."""


class InDoubt(TrackerError):
    """A create went out and no clear answer came back: an issue may exist or not."""


class Gone(TrackerError):
    """The issue we knew is no longer there."""
