"""What is said to Linear, and what its refusals mean.

https://linear.app/developers/graphql, https://linear.app/developers/rate-limiting; types of errors as in
https://github.com/linear/linear/blob/master/packages/sdk/src/error.ts
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge import (
    Answer,
    Gone,
    InDoubt,
    Json,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    TrackerError,
    Unavailable,
)
from bridge.answers import retry_after

VIEWER = "query Check { viewer { id name email } organization { name urlKey } }"
TEAMS = """query Teams($after: String) {
  teams(first: 250, after: $after) { nodes { id key name } pageInfo { hasNextPage endCursor } }
}"""
STATES = "query States($team: String!) { team(id: $team) { states(first: 250) { nodes { id name type } } } }"
USERS = """query Users($after: String) {
  users(first: 250, after: $after) {
    nodes { id name displayName email active }
    pageInfo { hasNextPage endCursor }
  }
}"""
PROJECTS = """query Projects($team: String!, $after: String) {
  team(id: $team) { projects(first: 100, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }
}"""
LABELS = """query Labels($team: ID!, $after: String) {
  issueLabels(
    filter: { or: [{ team: { null: true } }, { team: { id: { eq: $team } } }] }
    first: 250
    after: $after
  ) {
    nodes { id name isGroup retiredAt parent { name } }
    pageInfo { hasNextPage endCursor }
  }
}"""
FIELDS = 'query Fields { __type(name: "IssueCreateInput") { inputFields { name } } }'

GET = """query IssueGet($id: String!) {
  issue(id: $id) { id identifier url trashed state { name type } }
}"""
GET_LABELS = """query IssueLabels($id: String!) {
  issue(id: $id) { labels(first: 250) { nodes { id name parent { name } } } }
}"""
CREATE = """mutation IssueCreate($input: IssueCreateInput!) {
  issueCreate(input: $input) { success issue { id identifier url trashed } }
}"""
UPDATE = """mutation IssueUpdate($id: String!, $input: IssueUpdateInput!) {
  issueUpdate(id: $id, input: $input) { success issue { id identifier url trashed } }
}"""
COMMENT = """mutation CommentCreate($input: CommentCreateInput!) {
  commentCreate(input: $input) { success comment { id } }
}"""
LINK = """mutation AttachmentCreate($input: AttachmentCreateInput!) {
  attachmentCreate(input: $input) { success attachment { id } }
}"""
LABEL = """mutation LabelCreate($input: IssueLabelCreateInput!) {
  issueLabelCreate(input: $input) { success issueLabel { id } }
}"""
UPLOAD = """mutation FileUpload($contentType: String!, $filename: String!, $size: Int!) {
  fileUpload(contentType: $contentType, filename: $filename, size: $size) {
    success uploadFile { uploadUrl assetUrl headers { key value } }
  }
}"""

_NOT_ALLOWED = {"authentication error", "forbidden", "feature not accessible", "usage limit exceeded"}
_PASSING = {"internal error", "network error", "lock timeout", "bootstrap error"}
_LONGEST_WAIT = timedelta(days=30)


class AlreadyThere(Rejected):
    """Something with this client-made id exists: an earlier attempt got through."""


def refusal(errors: list[Json], answer: Answer, purpose: Purpose, now: datetime) -> TrackerError:
    """Return what the `errors` of an answer mean; its status says nothing: 200, 400 and 401 are mixed freely.

    Args:
        errors: As in the answer; the first decides.
        answer: Status and headers.
        purpose: What the request was for.
        now: The present moment in UTC.
    """
    first: dict[str, Json] = next((error for error in errors if isinstance(error, dict)), {})
    more: dict[str, Json] = first.get("extensions") or {}
    kinds = {str(more.get(name, "")).casefold().replace("_", " ") for name in ("type", "code")}
    words = _words(first, more)
    status = answer.status if answer.status >= 300 else None
    if "ratelimited" in kinds or answer.status == 429:
        return RateLimited(words, status=status, retry_after=wait(answer.headers, now))
    if re.search("conflict on insert of|already exists", words, re.IGNORECASE):
        return AlreadyThere(words, status=status)
    if purpose is Purpose.ISSUE and re.search(r"entity not found:? issue\b", words, re.IGNORECASE):
        return Gone(words, status=status)
    if kinds & _NOT_ALLOWED or "free issue limit" in words or answer.status in {401, 403}:
        return NotAllowed(words, status=status)
    if kinds & _PASSING or answer.status >= 500:
        return (InDoubt if purpose is Purpose.CREATE else Unavailable)(words, status=status)
    return Rejected(words, status=status, fields=_fields(more))


def wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long a rate limit lasts: `Retry-After`, or until the used up budgets are full again.

    Args:
        headers: Names in lower case; `x-ratelimit-...-reset` is in milliseconds since 1970.
        now: The present moment in UTC.
    """
    told = retry_after(headers, now)
    resets = {
        name.removesuffix("-reset"): int(value)
        for name, value in headers.items()
        if re.fullmatch(r"x-ratelimit-(.+-)?reset", name) and value.isdecimal()
    }
    spent = [reset for name, reset in resets.items() if headers.get(f"{name}-remaining") == "0"]
    if told is not None or not resets:
        return told
    left = max(spent or resets.values()) - (now - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return min(timedelta(milliseconds=min(max(left, 0), 10**12)), _LONGEST_WAIT)


def _words(error: Mapping[str, Any], more: Mapping[str, Any]) -> str:
    told = (str(text) for text in (error.get("message"), more.get("userPresentableMessage")) if text)
    return ": ".join(dict.fromkeys(told)) or "Linear refused it and did not say why"


def _fields(more: Mapping[str, Any]) -> dict[str, str]:
    """Return Linear's words per field of the input."""
    problems = more.get("validationErrors")
    return {
        str(problem.get("property", "")): ", ".join(map(str, (problem.get("constraints") or {}).values()))
        for problem in (problems if isinstance(problems, list) else ())
        if isinstance(problem, dict)
    }
