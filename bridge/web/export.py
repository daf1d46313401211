"""`POST /export/{connection}/{secret}`: where test IO's exports come in. 202 is answered after the commit."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.app import Bridge
from bridge.errors import Problem, StoreError
from bridge.ingest import Unusable, bearer
from bridge.store import Receipt
from bridge.units import format_size
from bridge.web.patience import Patience
from bridge.web.problem import ProblemResponse

RETRY_AFTER = "5"
"""Seconds after which a sender may try again when nothing could be stored."""


BODY_SECONDS = 30.0
"""How long a body may take to arrive: senders that never end it must not pile up."""

PREFIX = "/export/"


class TooLarge(Exception):
    """The body is larger than the configuration allows."""


class Disconnected(Exception):
    """The sender went away before its body was here."""


class ExportEndpoint:
    """Takes exports in: an ASGI application of its own.

    What Starlette puts around a handler (routing, middleware, `Request`) costs more than taking an export in does;
    everything else goes through it.

    Args:
        bridge: What writes them down.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._patience = Patience(BODY_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for a path that begins with `PREFIX`."""
        connection, _, secret = scope["path"].removeprefix(PREFIX).partition("/")
        if scope["method"] != "POST":
            response: ASGIApp = ProblemResponse(405, headers={"Allow": "POST"})
        elif not connection or "/" in secret:
            response = ProblemResponse(404)
        else:
            try:
                response = await self._answer(connection, secret, dict(scope["headers"]), receive)
            except Disconnected:
                return
        await response(scope, receive, send)

    async def _answer(
        self, connection: str, secret: str, headers: Mapping[bytes, bytes], receive: Receive
    ) -> ASGIApp:
        """Authenticate, then read within bounds, then judge and write down."""
        ingest = self._bridge.ingest
        secrets = [secret] if secret else []
        if b"authorization" in headers:
            secrets += bearer(headers[b"authorization"].decode("latin-1"))
        if b"x-api-key" in headers:
            secrets.append(headers[b"x-api-key"].decode("latin-1").strip())
        known = ingest.authenticate(connection, secrets)
        if not known and b"webhook-signature" not in headers:
            return _unknown()
        try:
            body = await self._patience.wait(self._read(headers, receive))
        except (TooLarge, TimeoutError) as error:
            return self._not_read(error) if known else _unknown()
        if not known and not ingest.is_signed(connection, _as_text(headers), body):
            return _unknown()
        return await self._accept(connection, body, headers.get(b"content-type", b"").decode("latin-1"))

    def _not_read(self, error: Exception) -> Response:
        close = {"Connection": "close"}  # the rest of the body, should it still come, is nobody's
        if isinstance(error, TimeoutError):
            return ProblemResponse(
                408, f"the body was not here within {self._patience.seconds:g} s", headers=close
            )
        limit = format_size(self._bridge.setup.config.server.max_body)
        return ProblemResponse(413, f"the body is larger than {limit} ([server] max_body)", headers=close)

    async def _accept(self, connection: str, body: bytes, content_type: str) -> ASGIApp:
        ingest = self._bridge.ingest
        try:
            if not _is_json(content_type):
                problem = Problem("", f"content type {content_type!r}: send application/json")
                receipt = await ingest.reject(connection, body, problem)
                return ProblemResponse(415, str(problem.message), export=receipt.export)
            return Accepted(await ingest.accept(connection, body))
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

    async def _read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        limit = self._bridge.setup.config.server.max_body
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise TooLarge
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise TooLarge
            parts.append(part)
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _unknown() -> Response:
    """Answer alike to a wrong secret and to a connection that does not exist."""
    return ProblemResponse(404, "there is no such connection, or the secret is wrong")


def _as_text(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}


def _is_json(content_type: str) -> bool:
    if content_type == "application/json":
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind in {"", "application/json", "text/json"} or kind.endswith("+json")


class Accepted:
    """The answer to an export that was written down. Starlette's own costs as much more as reading the export.

    Args:
        receipt: What was made of it.
    """

    def __init__(self, receipt: Receipt) -> None:
        self._receipt = receipt

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        receipt = self._receipt
        body = to_json({
            "export": receipt.export,
            "state": receipt.state.value,
            "deliveries": receipt.trackers,
            "duplicate": receipt.duplicate,
        })  # fmt: skip
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": body})
