"""How GitHub's API is spoken to through PyGithub: one request, once; pages; its errors; its rate limits."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from bridge import Answer, Json, NotAllowed, RateLimited
from bridge.answers import retry_after
from bridge.http import USER_AGENT

if TYPE_CHECKING:
    from github import Github
    from github.Auth import Auth

    from bridge_plugins.github import Settings

API_VERSION = "2022-11-28"
PAUSE = timedelta(seconds=60)  # what GitHub asks for after a secondary rate limit without Retry-After


def connected(settings: Settings) -> Github:
    """Return a client that sends each request once, without pauses of its own.

    Raises:
        NotAllowed: PyGithub is not installed.
    """
    try:
        from github import Github  # noqa: PLC0415
    except ImportError:
        raise NotAllowed('PyGithub is not installed: pip install "tracker-bridge[github]"') from None
    logging.getLogger("github").setLevel(logging.INFO)  # it shows whole answers: an App's tokens are in them
    return Github(
        base_url=settings.url,
        auth=_credentials(settings),
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
        timeout=max(1, math.ceil(settings.timeout.total_seconds())),  # PyGithub takes whole seconds only
        lazy=True,
        api_version=API_VERSION,
        user_agent=USER_AGENT,
    )


def _credentials(settings: Settings) -> Auth:
    from github import Auth  # noqa: PLC0415

    if settings.token is not None:
        return Auth.Token(settings.token.get_secret_value())
    assert settings.app_id is not None
    assert settings.private_key is not None
    assert settings.installation_id is not None
    app = Auth.AppAuth(settings.app_id, settings.private_key.get_secret_value())
    return app.get_installation_auth(settings.installation_id)


def send(
    client: Github, method: str, path: str, body: Json, query: Mapping[str, Any]
) -> tuple[dict[str, Any], Json]:
    """Send one request, once, and return headers (in lower case) and JSON.

    Raises:
        GithubException: It was no success, or one whose body is no JSON.
        NotAllowed: A GitHub App has no access.
    """
    from github import GithubException  # noqa: PLC0415

    _sign_in(client)
    status, headers, text = client.requester.requestJson(method, path, dict(query), input=body)
    try:
        data = json.loads(text) if text else None
    except ValueError:
        told = {"message": f"an answer that is no JSON: {text[:200].strip()}"}
        raise GithubException(status, told, headers) from None
    if not 200 <= status < 300:
        raise GithubException(status, data, headers)
    return headers, data


def _sign_in(client: Github) -> None:
    """Fetch an App's token where one is due, apart from the request: a refusal is about the credentials then.

    Raises:
        NotAllowed: There is no such App or installation, or the key is none.
        GithubException: GitHub answered something else.
    """
    from github import GithubException  # noqa: PLC0415
    from jwt import PyJWTError  # noqa: PLC0415 - PyGithub signs with it

    try:
        client.requester.auth.token  # type: ignore[union-attr]  # noqa: B018 - a property that may talk to GitHub
    except GithubException as error:
        if error.status not in {401, 403, 404}:
            raise
        told = "GitHub knows no such App and installation: correct `app_id`, `private_key`, `installation_id`"
        raise NotAllowed(f"{told} (GitHub: {error.message})", status=401) from None
    except (ValueError, PyJWTError):
        raise NotAllowed("`private_key` is not the PEM file that GitHub made for the App") from None


def next_page(headers: Mapping[str, str]) -> dict[str, list[str]] | None:
    """Return the query of the next page. Only the query: the address in it may be one that we cannot reach.

    https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
    """
    from requests.utils import parse_header_links  # noqa: PLC0415 - the SDK has imported it already

    for page in parse_header_links(headers.get("link", "")):
        if page.get("rel") == "next":
            return parse_qs(urlsplit(page["url"]).query)
    return None


def answer_of(error: Exception) -> Answer | None:
    """Return what GitHub answered, None when `error` is about something else."""
    from github import GithubException  # noqa: PLC0415

    if isinstance(error, GithubException):
        data = error.data if isinstance(error.data, dict) else {}
        message = str(data.get("message") or "")
        return Answer(error.status, message, fields_of(data.get("errors")), error.headers or {})
    if isinstance(error, RuntimeError) and "redirected" in str(error):  # a 301 to another host or to itself
        return Answer(301, str(error))
    return None


def fields_of(errors: Json) -> dict[str, str]:
    """Return GitHub's words per field; an error without a field is under what it is about."""
    fields: dict[str, str] = {}
    for item in errors if isinstance(errors, list) else []:
        told = item if isinstance(item, dict) else {"message": str(item)}
        name = str(told.get("field") or told.get("resource") or "request")
        words = str(told.get("message") or told.get("code") or "invalid")
        fields[name] = f"{fields[name]}, {words}" if name in fields else words
    return fields


def rate_limit(answer: Answer, now: datetime) -> RateLimited | None:
    """Return how long GitHub wants to be left alone, None when an answer is about something else.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    words = " ".join([answer.message, *answer.fields.values()]).lower()
    used_up = answer.headers.get("x-ratelimit-remaining") == "0"
    limited = {
        429: True,
        403: used_up or "rate limit" in words or "abuse detection" in words,
        422: "submitted too quickly" in words,
    }
    if not limited.get(answer.status):
        return None
    wait = retry_after(answer.headers, now)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if wait is None and used_up and reset.isdigit():
        wait = max(timedelta(seconds=int(reset) + 1 - now.timestamp()), timedelta(seconds=1))
    return RateLimited(answer.message, status=answer.status, retry_after=PAUSE if wait is None else wait)
