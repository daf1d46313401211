"""How GitLab's API is spoken to through python-gitlab: one request, once; pages; its errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from bridge import Answer, Json, NotAllowed
from bridge.http import USER_AGENT

if TYPE_CHECKING:
    from gitlab import Gitlab
    from requests import Response

    from bridge_plugins.gitlab import Settings

SHOWN = 200  # characters of an answer that is no JSON; enough to recognise a proxy's page


def connected(settings: Settings, seen: Callable[[Mapping[str, str]], None]) -> Gitlab:
    """Return a client.

    Args:
        settings: Where, and the token.
        seen: Told the headers (in lower case) of every answer: python-gitlab's exceptions have none.

    Raises:
        NotAllowed: python-gitlab is not installed.
    """
    try:
        from gitlab import Gitlab  # noqa: PLC0415
    except ImportError:
        raise NotAllowed('python-gitlab is not installed: pip install "tracker-bridge[gitlab]"') from None

    own = urlsplit(settings.url).netloc

    def tell(response: Response, *_: Any, **__: Any) -> None:
        seen({name.lower(): value for name, value in response.headers.items()})
        target = urlsplit(response.headers.get("location", ""))
        if response.is_redirect and target.netloc not in {"", own}:  # requests would take the token there
            response.close()
            raise NotAllowed(f"{settings.url} redirects to {target.scheme}://{target.netloc}: correct `url`")

    client = Gitlab(
        settings.url,
        private_token=settings.token.get_secret_value(),
        timeout=settings.timeout.total_seconds(),  # python-gitlab's own default is to wait for ever
        retry_transient_errors=False,
        keep_base_url=True,
        user_agent=USER_AGENT,
    )
    client.session.hooks["response"].append(tell)
    return client


def send(client: Gitlab, method: str, path: str, **options: Any) -> tuple[Mapping[str, Json], Json]:
    """Send one request, once, and return the query of the next page (empty for none) and the JSON.

    Args:
        client: python-gitlab's.
        method: `"GET"`, `"POST"`, ...
        path: Behind `/api/v4`.
        options: As `gitlab.Gitlab.http_request` takes them: `query_data`, `post_data`, `files`.

    Raises:
        GitlabError: It was no success, or one whose body is no JSON.
    """
    from gitlab.exceptions import GitlabParsingError  # noqa: PLC0415

    response = client.http_request(method.lower(), path, obey_rate_limit=False, **options)
    try:
        data = response.json() if response.content else None
    except ValueError:
        words = f"an answer that is no JSON: {response.text[:SHOWN].strip()}"
        raise GitlabParsingError(words, response.status_code) from None
    return _next_page(response), data


def _next_page(response: Response) -> Mapping[str, Json]:
    """Return the query of the next page. Only the query: the address in it may be one that we cannot reach.

    https://docs.gitlab.com/api/rest/#pagination
    """
    return parse_qs(urlsplit(response.links.get("next", {}).get("url", "")).query)


def answer_of(error: Exception, headers: Mapping[str, str]) -> Answer | None:
    """Return what GitLab answered, None when `error` is about something else.

    Args:
        error: What python-gitlab raised.
        headers: Of the last answer in this thread.
    """
    from gitlab.exceptions import GitlabError, RedirectError  # noqa: PLC0415

    if not isinstance(error, GitlabError):
        return None
    if isinstance(error, RedirectError):  # a POST or PUT; python-gitlab does not tell its status
        return Answer(301, str(error.error_message))
    message, fields = words_of(error.response_body, error.error_message)
    return Answer(error.response_code or 200, message, fields, headers)


def words_of(body: bytes | None, otherwise: Json) -> tuple[str, dict[str, str]]:
    """Return GitLab's words, and those per field: it has five shapes for an error.

    https://docs.gitlab.com/api/rest/troubleshooting/#status-codes
    """
    try:
        data = json.loads(body or b"")
    except ValueError:
        return str(otherwise)[:SHOWN].strip(), {}
    data = data if isinstance(data, dict) else {"message": data}
    told = data.get("message", data.get("error", otherwise))
    spam = "GitLab takes it for spam" if data.keys() & {"needs_captcha_response", "spam_log_id"} else ""
    if isinstance(told, dict):
        return spam or "GitLab refused it", {str(field): _joined(words) for field, words in told.items()}
    return ": ".join(_joined(part) for part in (spam, told, data.get("error_description")) if part), {}


def _joined(words: Json) -> str:
    return ", ".join(map(str, words)) if isinstance(words, list) else str(words)
