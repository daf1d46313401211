"""What Jira's answers mean: only JSON with status 2xx is a success, and a 400 may be about rights.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from bridge import (
    Answer,
    Json,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    TrackerError,
    Unavailable,
)

ANONYMOUS = "AUTHENTICATED_FAILED"
"""Jira did not accept the credentials and answers as it does to anybody: a 404, or an empty list."""

_SHORTEST_WAIT = timedelta(seconds=1)  # Server may say "Retry-After: 0"
_NO_RIGHT = re.compile(r"permission|valid project|project is required|not authori[sz]ed|log ?in", re.IGNORECASE)


class Refused(Exception):
    """An answer that is no success. Never leaves the tracker's thread: `answer_of` unwraps it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.status)


def inspect(response: Any, **_: Any) -> None:
    """Raise `Refused` for everything but a success that is JSON, or empty.

    A `requests` hook: it runs before redirects are followed, for every call of the SDK.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    anonymous = ANONYMOUS in headers.get("x-seraph-loginreason", "")
    data, message = None, ""
    if response.content:
        try:
            data = response.json()
        except ValueError:
            kind = headers.get("content-type", "no type").split(";")[0]
            message = f"an answer that is no JSON ({kind}): {_words(response.text)}"
    if 200 <= response.status_code < 300 and not message and not anonymous:
        return
    said, fields = _said(data)
    raise Refused(Answer(response.status_code, said or message, fields, headers))


def _said(data: Json) -> tuple[str, dict[str, str]]:
    """Return Jira's words from an error body: general ones, and per field."""
    if not isinstance(data, dict):
        return "", {}
    general = data.get("errorMessages") or data.get("errorMessage") or data.get("message") or ()
    general = [general] if isinstance(general, str) else general
    errors = data.get("errors")
    fields = {str(key): str(words) for key, words in errors.items()} if isinstance(errors, dict) else {}
    return "; ".join(map(str, general)) or ("Jira refused the fields" if fields else ""), fields


def _words(page: str) -> str:
    """Return the start of what a person would read on a page."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page[:4000], flags=re.DOTALL | re.IGNORECASE)
    return " ".join(text.split())[:200]


def no_log_in(answer: Answer, fix: str) -> NotAllowed | None:
    """Return what is wrong with the log-in, None where an answer is about something else.

    Args:
        answer: What Jira said.
        fix: What to do where it does not accept the credentials.
    """
    status, headers = answer.status, answer.headers
    denied = headers.get("x-authentication-denied-reason", "") + headers.get("x-seraph-loginreason", "")
    if "CAPTCHA" in denied or "AUTHENTICATION_DENIED" in denied:
        words = "Jira asks for a CAPTCHA after failed log-ins: log in once in a browser as this user, then resume"
        return NotAllowed(words, status=status)
    if status == 401 or (ANONYMOUS in denied and status not in {429, 500, 502, 503, 504}):
        said = f" ({answer.message})" if answer.message else ""
        return NotAllowed(f"Jira does not accept the credentials{said}: {fix}", status=status)
    if 300 <= status < 400:
        target = headers.get("location", "another address").split("?")[0]
        return NotAllowed(f"redirected to {target}: correct `url`, or the log-in in front of it", status=status)
    return None


def in_context(error: TrackerError, answer: Answer, purpose: Purpose, project: str) -> TrackerError:
    """Return `error` as another one where Jira's body or the request's purpose says more than the status."""
    status = answer.status
    if isinstance(error, RateLimited):
        reason = answer.headers.get("ratelimit-reason", "")
        wait = max(error.retry_after, _SHORTEST_WAIT) if error.retry_after is not None else None
        return RateLimited(f"{error.message} {reason}".strip(), status=status, retry_after=wait)
    if status == 400 and purpose is Purpose.CREATE and _is_about_rights(answer):
        words = f"Jira does not let this user create issues in {project}: {answer.message}"
        return NotAllowed(words, status=status, fields=answer.fields)
    if (status == 404 and purpose is not Purpose.ISSUE) or (status == 400 and purpose is Purpose.LOOK):
        words = f"not found, or not visible to this user: check `url` and `project` ({project}). {answer.message}"
        return NotAllowed(words.strip(), status=status, fields=answer.fields)
    if status == 409:
        return Unavailable(error.message, status=status)
    return error


def _is_about_rights(answer: Answer) -> bool:
    """Whether a 400 says that the user lacks the right to create: Jira reports it as an error of `project`."""
    return "project" in answer.fields or bool(not answer.fields and _NO_RIGHT.search(answer.message))


def only_this(error: NotAllowed, what: str, fix: str) -> TrackerError:
    """Return a refusal of one thing as `Rejected`, so that the tracker is not paused for its sake."""
    return Rejected(f"{what}: {error.message}: {fix}", status=403) if error.status == 403 else error
