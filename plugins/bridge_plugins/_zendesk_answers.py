"""How Zendesk says no.

https://developer.zendesk.com/api-reference/introduction/requests/#response-format and
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

import re
from dataclasses import replace

from bridge import Answer, Json, Rejected

RESETS = re.compile(r"\bresets=(\d+)")


class SameKeyOtherTicket(Rejected):
    """A create with this Idempotency-Key was made with another body."""


def code_in(data: Json) -> Json:
    """Return what a refusal calls itself: `"RecordInvalid"`."""
    return data.get("error") if isinstance(data, dict) else None


def says_not_there(data: Json) -> bool:
    """Whether a 404 is of no ticket but of the whole account: a page, or an endpoint that does not exist."""
    return data is None or code_in(data) == "InvalidEndpoint"


def told(answer: Answer, data: Json) -> Answer:
    """Return a refusal with its words, and with the end of whichever rate limit was hit in `ratelimit-reset`."""
    of_list = RESETS.search(answer.headers.get("zendesk-ratelimit-tickets-index", ""))
    headers = {**answer.headers, "ratelimit-reset": of_list[1]} if of_list else answer.headers
    own = "too many requests" if answer.status == 429 else answer.message  # often with a page
    return replace(answer, message=_words(data) or own, fields=_per_field(data), headers=headers)


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
