"""The first half of the way of an export: authenticated, read, routed and written down before anybody says 2xx."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

import structlog

from bridge import payload
from bridge.clock import Clock
from bridge.config import Config, ConnectionSettings
from bridge.errors import BridgeError, Problem
from bridge.ids import new_id
from bridge.model import Export, Json
from bridge.routing import Router
from bridge.secrets import Secret
from bridge.store import ExportState, NewExport, Receipt, Store, testio

SIGNATURE_AGE = timedelta(minutes=5)
"""How old a signed request may be (Standard Webhooks: "a few minutes")."""


Read = Callable[[], Export]
"""Reads an export whole: only what wants to know what is in it calls it."""


class Unusable(BridgeError):
    """An authenticated request that cannot be used. Its body is kept as `rejected`.

    Args:
        problems: What is wrong, by JSON pointer.
        export_id: Under which id the body is kept.
        is_json: Whether the body was JSON at all.
    """

    def __init__(self, problems: Iterable[Problem], *, export_id: str, is_json: bool) -> None:
        self.problems = tuple(problems)
        self.export_id = export_id
        self.is_json = is_json
        super().__init__("; ".join(str(problem) for problem in self.problems))


class Ingest:
    """Takes exports in.

    Args:
        config: The configuration; `replace` takes over another one.
        router: Decides where exports go.
        store: Where they are written down.
        clock: The time.
        accepted: Told after each commit that made deliveries.
        errands: Told after each commit that made something to be done at test IO.
    """

    def __init__(
        self,
        config: Config,
        router: Router,
        store: Store,
        clock: Clock,
        accepted: Callable[[Read, Receipt], None] = lambda _read, _receipt: None,
        errands: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._clock = store, clock
        self._accepted, self._errands = accepted, errands
        self.replace(config, router)

    @cached_property
    def _log(self) -> Any:
        """The logger, bound once: binding it anew for each export costs more than routing it."""
        return structlog.get_logger("bridge.ingest").bind()

    def replace(self, config: Config, router: Router) -> None:
        """Take over another configuration for every export from now on."""
        self._config, self._router = config, router
        self._secrets = {name: _secrets_of(settings) for name, settings in config.connections.items()}
        self._asking = {name for name, settings in config.connections.items() if config.asks_test_io(settings)}

    def authenticate(self, connection: str, secrets: Iterable[str]) -> bool:
        """Whether one of `secrets` is the connection's. Takes as long for a connection that does not exist."""
        valid = self._secrets.get(connection)
        given = [secret.encode() for secret in secrets]
        fits = [hmac.compare_digest(known, one) for known in valid or [b"\0"] for one in given]
        return any(fits) and bool(valid)  # all were compared, so that time tells nothing

    def is_signed(self, connection: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a request carries a valid Standard Webhooks signature of the connection.

        Takes as long for a connection that does not exist, or has no `signing_secret`.
        https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        """
        settings = self._config.connections.get(connection)
        secret = settings.signing_secret if settings else None
        message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            return False
        if abs(self._clock.now().timestamp() - int(stamp)) > SIGNATURE_AGE.total_seconds():
            return False
        key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_")) if secret else bytes(32)
        signed = f"{message}.{stamp}.".encode() + body
        expected = hmac.new(key, signed, hashlib.sha256).digest()
        given = [part.partition(",") for part in headers.get("webhook-signature", "").split()]
        fits = any(
            hmac.compare_digest(_decoded(value), expected) for version, _, value in given if version == "v1"
        )
        return fits and secret is not None

    async def accept(
        self, connection: str, body: bytes, *, pulled: bool = False, told_before: datetime | None = None
    ) -> Receipt:
        """Write an authenticated request down and return what was made of it.

        Args:
            connection: The connection it came in by.
            body: Its body.
            pulled: Whether test IO was asked for it, instead of posting it.
            told_before: Its bug may be known where test IO was told before then that it is exported.

        Raises:
            Unusable: It cannot be used; its body is kept.
            StoreError: It could not be written down.
        """
        now = self._clock.now()
        read, new = self._judge(connection, body, new_id(now), now)
        if connection in self._asking and new.bug_id is not None:
            receipt = await self._write(new, pulled=pulled, told_before=told_before)
        else:
            receipt = await self._store.accept(new)
        self._tell(new, receipt)
        if read is not None and receipt.trackers and not receipt.duplicate:
            self._accepted(read, receipt)
        if new.state is ExportState.REJECTED:
            raise Unusable(new.problems, export_id=receipt.export, is_json=bool(new.event) or _is_json(body))
        return receipt

    async def _write(self, new: NewExport, *, pulled: bool, told_before: datetime | None) -> Receipt:
        """Write an export down, with what is to be done for it at test IO where there is anything."""
        settings, errands = self._config.connections[new.connection], []
        if settings.enrich and new.state in {ExportState.ACCEPTED, ExportState.UNROUTED}:
            errands.append(testio.Errand.ENRICH)
            new = replace(new, state=ExportState.ENRICHING, destinations=())
        if settings.mark_exported:
            errands.append(testio.Errand.EXPORTED)
        told = told_before.timestamp() if told_before else None
        receipt = await self._store.write(testio.take_in, testio.Intake(new, tuple(errands), pulled, told))
        if errands:
            self._errands()
        return receipt

    async def take_enriched(self, export_id: str, connection: str, body: bytes, received_at: datetime) -> Receipt:
        """Route an export that waited for what was fetched from test IO for it."""
        read, new = self._judge(connection, body, export_id, received_at)
        receipt = await self._store.write(testio.enrich, new)
        self._tell(new, receipt)
        if read is not None and receipt.trackers and not receipt.duplicate:
            self._accepted(read, receipt)
        return receipt

    async def reject(self, connection: str, body: bytes, problem: Problem) -> Receipt:
        """Keep the body of an authenticated request that cannot be used for a reason outside of it.

        Raises:
            StoreError: It could not be written down.
        """
        now = self._clock.now()
        new = replace(
            self._judge(connection, body, new_id(now), now)[1],
            state=ExportState.REJECTED,
            identity=_identity(connection, ExportState.REJECTED, body),
            problems=(problem,),
            destinations=(),
        )
        receipt = await self._store.accept(new)
        self._tell(new, receipt)
        return receipt

    async def take_again(self, export_id: str, connection: str, body: bytes, received_at: datetime) -> Receipt:
        """Judge a kept export anew, by today's configuration."""
        read, new = self._judge(connection, body, export_id, received_at)
        receipt = await self._store.take_again(new)
        self._tell(new, receipt)
        if read is not None and receipt.trackers:
            self._accepted(read, receipt)
        return receipt

    def _judge(
        self, connection: str, body: bytes, export_id: str, received_at: datetime
    ) -> tuple[Read | None, NewExport]:
        """Decide what a body is, without touching anything; where it is an export, also return what reads it."""
        outline = payload.outline(body)
        if outline is None:
            return self._judge_whole(connection, body, export_id, received_at)
        read = partial(payload.read_kept, export_id, connection, received_at, body)
        return read, self._exported(connection, body, export_id, received_at, outline, read)

    def _judge_whole(
        self, connection: str, body: bytes, export_id: str, received_at: datetime
    ) -> tuple[Read | None, NewExport]:
        """Decide what a body is that is not just as documented."""

        def kept(
            state: ExportState, body: bytes, event: str = "", problems: tuple[Problem, ...] = ()
        ) -> NewExport:
            return NewExport(
                id=export_id,
                connection=connection,
                state=state,
                event=event,
                received_at=received_at,
                identity=_identity(connection, state, body),
                body=body,
                problems=problems,
            )

        try:
            document = payload.parse(body)
        except payload.NotJson as error:
            return None, kept(ExportState.REJECTED, payload.scrub(body), "", (Problem("", str(error)),))
        settings = self._config.connections.get(connection)
        if settings is None or not settings.keep_environment_credentials:
            document, body = _without_credentials(document, body)
        event = ""
        try:
            event = payload.event_of(document)
            if event != payload.BUG_EXPORTED:
                return None, kept(
                    ExportState.IGNORED, body, event, (Problem("/event", f"unknown event {event!r}"),)
                )
            export = payload.read_export(document, id=export_id, connection=connection, received_at=received_at)
        except payload.PayloadError as error:
            return None, kept(ExportState.REJECTED, body, event, error.problems)
        outline = payload.Outline(export.bug.id, export.bug.title, export.exported_at)

        def read() -> Export:
            return export

        return read, self._exported(connection, body, export_id, received_at, outline, read)

    def _exported(
        self,
        connection: str,
        body: bytes,
        export_id: str,
        received_at: datetime,
        outline: payload.Outline,
        read: Read,
    ) -> NewExport:
        destinations = self._router.destinations(connection, read)
        return NewExport(
            id=export_id,
            connection=connection,
            state=ExportState.ACCEPTED if destinations else ExportState.UNROUTED,
            event=payload.BUG_EXPORTED,
            bug_id=outline.bug_id,
            title=outline.title[:200],
            exported_at=outline.exported_at,
            received_at=received_at,
            identity=payload.identity(connection, outline.bug_id, outline.exported_at, body),
            body=body,
            destinations=destinations,
        )

    def _tell(self, new: NewExport, receipt: Receipt) -> None:
        self._log.info(
            "export " + ("was here before" if receipt.duplicate else receipt.state.value),
            export=receipt.export,
            connection=new.connection,
            bug=new.bug_id,
            trackers=list(receipt.trackers),
        )


def bearer(authorization: str) -> list[str]:
    """Return the secrets that an `Authorization` header can mean: Bearer, Token, or Basic's password or user."""
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() in {"bearer", "token"} and value:
        return [value.removeprefix("token=").strip('"')]
    if scheme.lower() == "basic":
        user, colon, password = _decoded(value).decode("utf-8", "replace").partition(":")
        return [secret for secret in ((password or user) if colon else user,) if secret]
    return []


def _identity(connection: str, state: ExportState, body: bytes) -> str:
    """Return what makes two requests the same that are no exports."""
    return f"{connection}/{state.value}/{hashlib.sha256(body).hexdigest()}"


def _secrets_of(settings: ConnectionSettings) -> list[bytes]:
    values: list[Secret | None] = [settings.secret, settings.previous_secret]
    texts = [value.get_secret_value() for value in values if value is not None]
    return [text.encode() for text in texts if text]


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _without_credentials(document: Json, body: bytes) -> tuple[Json, bytes]:
    escaped = b"\\" in body and b"\\u" in body  # a single byte is looked for much faster than two
    if b"test_environment" not in body and not escaped:
        return document, body
    kept, dropped = payload.without_credentials(document)
    return (kept, payload.dump(kept)) if dropped else (document, body)


def _is_json(body: bytes) -> bool:
    try:
        payload.parse(body)
    except payload.NotJson:
        return False
    return True
