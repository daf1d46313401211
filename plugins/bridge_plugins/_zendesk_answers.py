"""How Zendesk says no.

https://developer.zendesk.com/api-reference/introduction/requests/#response-format and
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bridge import Answer, InDoubt, Json, Purpose, Rejected, TrackerError, Unavailable, error_for

RESETS = re.compile(r"\bresets=(\d+)")


class SameKeyOtherTicket(Rejected):
    """A create with this Idempotency-Key was made with another body."""


def says_not_there(data: Json) -> bool:
    """Whether a 404 is of no ticket but of the whole account: a page, or an endpoint that does not exist."""
    return data is None or (isinstance(data, dict) and data.get("error") == "InvalidEndpoint")


def refusal(answer: Answer, data: Json, purpose: Purpose, now: datetime) -> TrackerError:
    """Return the error that a refusal means."""
    words = _words(data) or answer.message
    if answer.status == 409:  # somebody changed it meanwhile, or the same create is still under way
        return (InDoubt if purpose is Purpose.CREATE else Unavailable)(words, status=409)
    if isinstance(data, dict) and data.get("error") == "IdempotentRequestError":
        return SameKeyOtherTicket(words, status=answer.status)
    if answer.status == 429:
        words = _words(data) or "too many requests"  # often with a page
    headers = _told_to_wait(answer.headers)
    return error_for(replace(answer, message=words, fields=_per_field(data), headers=headers), purpose, now)


def _words(data: Json) -> str:
    if not isinstance(data, dict):
        return ""
    error = data.get("error")
    if isinstance(error, dict):
        return ": ".join(str(error[name]) for name in ("title", "message") if error.get(name))
    named = dict.fromkeys(str(data[name]) for name in ("error", "description", "message") if data.get(name))
    return ": ".join(named)


def _per_field(data: Json) -> dict[str, str]:
    details = data.get("details") if isinstance(data, dict) else None
    if not isinstance(details, dict):
        return {}
    return {
        name: "; ".join(str(each.get("description") or each.get("error")) for each in problems)
        for name, problems in details.items()
        if isinstance(problems, list) and all(isinstance(each, dict) for each in problems)
    }


def _told_to_wait(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers with `Retry-After`, taken from Zendesk's own ones where it is missing."""
    of_list = RESETS.search(headers.get("zendesk-ratelimit-tickets-index", ""))
    seconds = of_list[1] if of_list else headers.get("ratelimit-reset", "")
    return headers if "retry-after" in headers or not seconds else {**headers, "retry-after": seconds}
