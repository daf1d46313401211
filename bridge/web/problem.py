"""Problem details for HTTP APIs (RFC 9457): every refusal has the same form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from http import HTTPStatus

from starlette.responses import JSONResponse

from bridge.errors import Problem


class ProblemResponse(JSONResponse):
    """A refusal in words.

    Args:
        status: HTTP status.
        detail: What is wrong, and what to do about it.
        problems: Every wrong field, by JSON pointer or by path in the configuration.
        headers: More headers.
        extra: More members of the document.
    """

    media_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        problems: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        document: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
        }
        if detail:
            document["detail"] = detail
        listed = [asdict(problem) for problem in problems]
        if listed:
            document["problems"] = listed
        super().__init__(document | extra, status, headers)
