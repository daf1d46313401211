"""What a tracker answered, whoever asked it: what it means, and what is in it.

Shared by `bridge.http` and `bridge.sdk`, so that a status means the same wherever it comes from.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.model import Json

SHOWN = 500
"""Characters that are shown of an answer without a message; enough to recognise a proxy's page."""
_LONGEST_WAIT = timedelta(days=30)  # more is a mistake of the server, and would overflow dates


class Purpose(enum.StrEnum):
    """What a request is for: the same answer means different things."""

    LOOK = "look"
    CREATE = "create"
    ISSUE = "issue"
    """Something done to an issue that we know."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whoever fetched it.

    Attributes:
        status: HTTP status.
        message: The tracker's own words.
        fields: The tracker's words per field.
        headers: Names in lower case.
    """

    status: int
    message: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long `Retry-After` asks to wait, None where it does not say (RFC 9110, section 10.2.3).

    Args:
        headers: Names in lower case.
        now: The present moment in UTC, for the form that names a moment.
    """
    value = headers.get("retry-after", "").strip()
    with suppress(ValueError, OverflowError):
        return min(timedelta(seconds=max(0.0, float(value))), _LONGEST_WAIT)
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(timedelta(0), moment - now), _LONGEST_WAIT)
    return None


def until(end: str, now: datetime) -> timedelta | None:
    """Return how long it is until `end`, in seconds since 1970 or, where that is no time of today's, from now.

    Args:
        end: A number; for any other text None is returned.
        now: The present moment in UTC.
    """
    with suppress(ValueError, OverflowError):
        seconds = float(end)
        wait = seconds - now.timestamp() if seconds > _LONGEST_WAIT.total_seconds() else seconds
        return min(max(timedelta(0), timedelta(seconds=wait)), _LONGEST_WAIT)
    return None


def error_for(answer: Answer, purpose: Purpose, now: datetime) -> TrackerError:
    """Return the error that an unsuccessful answer means, going by its status alone.

    Trackers that say it otherwise look at the body first (`HttpTracker.explain`, `SdkTracker.explain`).
    A 5xx after a create is always in doubt: it may come from a gateway in front of a server that created.
    """
    status, message = answer.status, answer.message or f"HTTP {answer.status}"
    wait = retry_after(answer.headers, now)
    if status == 429:
        return RateLimited(message, status=status, retry_after=wait)
    if status in {401, 403, 407}:
        return NotAllowed(message, status=status, fields=answer.fields)
    if status in {404, 410} and purpose is Purpose.ISSUE:
        return Gone(message, status=status)
    if status == 408 or status >= 500 or status < 300:
        kind = InDoubt if purpose is Purpose.CREATE else Unavailable
        return kind(message, status=status, retry_after=wait)
    if status < 400:
        target = answer.headers.get("location", "another address").split("?")[0]
        return Rejected(f"redirected to {target}: correct the address in the configuration", status=status)
    return Rejected(message, status=status, fields=answer.fields)


def unexpected(words: str, purpose: Purpose = Purpose.LOOK) -> TrackerError:
    """Return the error that a success means without what it should hold: `words` say what is missing."""
    return (InDoubt if purpose is Purpose.CREATE else Unavailable)(words, status=200)


def at(data: Json, path: Sequence[str | int]) -> Json:
    """Return what `path` leads to in an answer; None where it leads nowhere."""
    for step in path:
        try:
            data = data[step]
        except (LookupError, TypeError):
            return None
    return data


def inside(data: Json, *path: str | int, purpose: Purpose = Purpose.LOOK) -> Json:
    """Return what `path` leads to in an answer.

    Raises:
        TrackerError: It is not there, or null (`unexpected`).
    """
    value = at(data, path)
    if value is None:
        raise unexpected(f"there is no {'.'.join(map(str, path))} in the answer", purpose)
    return value


def list_inside(data: Json, *path: str | int, purpose: Purpose = Purpose.LOOK) -> list[dict[str, Json]]:
    """Return the list that `path` leads to in an answer; without a path the answer itself.

    Raises:
        TrackerError: There is none (`unexpected`).
    """
    value = inside(data, *path, purpose=purpose) if path else data
    if not isinstance(value, list):
        where = f" at {'.'.join(map(str, path))}" if path else ""
        raise unexpected(f"there is no list{where} in the answer", purpose)
    return value


def words_in(data: Json) -> str:
    """Return what the JSON of a refusal says to a person: its message where it has one, else its beginning."""
    if isinstance(data, dict):
        named = (data.get(name) for name in ("message", "error_description", "detail", "error", "title"))
        message = next((words for words in named if isinstance(words, str) and words), "")
        if message:
            return message
    return json.dumps(data, ensure_ascii=False)[:SHOWN] if data else ""


def redacted(error: TrackerError, redact: Any) -> TrackerError:
    """Return `error` of the same class with every secret taken out of its words."""
    return type(error)(
        redact(error.message),
        status=error.status,
        fields={redact(name): redact(text) for name, text in error.fields.items()},
        retry_after=error.retry_after,
    )
