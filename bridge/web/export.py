"""`POST /export/{connection}/{secret}`: where test IO's exports come in. 202 is answered after the commit."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from bridge.app import Bridge
from bridge.errors import Problem, StoreError
from bridge.ingest import Unusable, bearer
from bridge.store import Receipt
from bridge.units import format_size
from bridge.web.problem import ProblemResponse

RETRY_AFTER = "5"
"""Seconds after which a sender may try again when nothing could be stored."""


class TooLarge(Exception):
    """The body is larger than the configuration allows."""


class ExportEndpoint:
    """Takes exports in.

    Args:
        bridge: What writes them down.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def __call__(self, request: Request) -> Response:
        """Answer one request: authenticated, then read within bounds, then judged and written down."""
        connection = request.path_params["connection"]
        secrets = [secret] if (secret := request.path_params.get("secret")) else []
        known = self._bridge.ingest.authenticate(
            connection, secrets + bearer(request.headers.get("authorization", ""))
        )
        if not known and not (self._bridge.ingest.signs(connection) and "webhook-signature" in request.headers):
            return _unknown()
        try:
            body = await self._read(request)
        except TooLarge:
            limit = format_size(self._bridge.setup.config.server.max_body)
            return ProblemResponse(413, f"the body is larger than {limit} ([server] max_body)")
        except ClientDisconnect:
            return Response(status_code=400)
        if not known and not self._bridge.ingest.is_signed(connection, request.headers, body):
            return _unknown()
        return await self._accept(connection, body, request.headers.get("content-type", ""))

    async def _accept(self, connection: str, body: bytes, content_type: str) -> Response:
        ingest = self._bridge.ingest
        try:
            if not _is_json(content_type):
                problem = Problem("", f"content type {content_type!r}: send application/json")
                receipt = await ingest.reject(connection, body, problem)
                return ProblemResponse(415, str(problem.message), export=receipt.export)
            return _accepted(await ingest.accept(connection, body))
        except Unusable as error:
            status = 422 if error.is_json else 400
            return ProblemResponse(
                status,
                "the export cannot be used; it was kept, and can be replayed once the bridge understands it",
                problems=error.problems,
                export=error.export_id,
            )
        except StoreError:
            return ProblemResponse(
                503, "the export could not be written down; send it again", headers={"Retry-After": RETRY_AFTER}
            )

    async def _read(self, request: Request) -> bytes:
        limit = self._bridge.setup.config.server.max_body
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > limit:
            raise TooLarge
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLarge
            parts.append(part)
        return b"".join(parts)


def _unknown() -> Response:
    """Answer alike to a wrong secret and to a connection that does not exist."""
    return ProblemResponse(404, "there is no such connection, or the secret is wrong")


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind in {"", "application/json", "text/json"} or kind.endswith("+json")


def _accepted(receipt: Receipt) -> Response:
    answer = {
        "export": receipt.export,
        "state": receipt.state.value,
        "deliveries": list(receipt.trackers),
        "duplicate": receipt.duplicate,
    }
    return JSONResponse(answer, 202)
