"""The part of the API that has to do with test IO, and the door for the webhooks of trackers."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge.app import Bridge
from bridge.errors import StoreError, TrackerError
from bridge.model import Json
from bridge.store import testio as testio_store
from bridge.testio import CustomerApi, NotReachable, Wish, shown_remote
from bridge.web.api import Api, Number, Refused, Text, read_body
from bridge.web.problem import ProblemResponse

R = TypeVar("R")

LARGEST_HOOK = 2**20
"""Bytes of a tracker's webhook that are read."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SyncBody(_Body):
    """Which connections to make at test IO what the configuration says."""

    names: list[Text] = Field([], description="connections; empty: all")
    prune: bool = Field(False, description="delete what the bridge made and no longer finds in the configuration")
    dry_run: bool = Field(False, description="only say what would be done")


class ConnectionBody(_Body):
    """A connection at test IO, by hand."""

    name: Text = Field(min_length=1, description="its name at test IO, which wants it at every change")
    url: Text | None = Field(None, description="where test IO posts exports")
    fixed: bool | None = Field(None, description="test IO's `fixed`")
    product_ids: list[Number] | None = Field(None, description="test IO's products")
    section_ids: list[Number] | None = Field(None, description="test IO's sections")

    def wish(self) -> Wish:
        """Return it as the client takes it."""
        products, sections = self.product_ids, self.section_ids
        return Wish(
            name=self.name,
            url=self.url,
            fixed=self.fixed,
            product_ids=None if products is None else tuple(products),
            section_ids=None if sections is None else tuple(sections),
        )


class ReconcileBody(_Body):
    """What to ask test IO for."""

    statuses: list[Literal["export_requested", "exported", "not_exported"]] = Field(
        [], description="test IO's export statuses; empty: those that the configuration says"
    )
    products: list[Number] = Field([], description="only of these products")
    connections: list[Text] = Field([], description="only of these connections; empty: all that reconcile")
    since: datetime | None = Field(None, description="only what was reported or exported since (ISO 8601)")
    dry_run: bool = Field(False, description="only say what is missing")


class MissingBug(_Body):
    """A bug that was found missing."""

    bug: Number
    connection: Text
    product: Number | None = None
    title: Text = ""
    again: bool = Field(False, description="a later export of a known bug: left alone here, taken in by reconcile")


class TakeBody(_Body):
    """Bugs to take in."""

    bugs: list[MissingBug] = Field(max_length=100)


async def connections(api: Api, _request: Request) -> Json:
    """The connections, and what the bridge made of each at test IO."""
    side, read = api.bridge.testio, api.bridge.store.read
    return {
        "connections": await side.keeper.shown(),
        "errands": await read(testio_store.count_errands),
        "reconciled": side.last or None,
    }


async def sync_connections(api: Api, request: Request) -> Json:
    """Make test IO's side what the configuration says."""
    body, keeper = await read_body(request, SyncBody), api.bridge.testio.keeper
    for name in body.names:
        if name not in api.bridge.setup.config.connections:
            raise Refused(404, f"there is no connection {name!r} in the configuration")
    _need_token(api.bridge)
    do = keeper.plan if body.dry_run else keeper.sync
    changes = await _asked(do(names=body.names, prune=body.prune))
    return {"dry_run": body.dry_run, "connections": [change.shown() for change in changes]}


async def show_connection(api: Api, request: Request) -> Json:
    """A connection as test IO has it."""
    return shown_remote(await _asked(_client(api, request).connection(_id(request))))


async def create_connection(api: Api, request: Request) -> Json:
    """Make a connection at test IO by hand; the bridge does not remember it."""
    body = await read_body(request, ConnectionBody)
    return shown_remote(await _asked(_client(api, request).create_connection(body.wish())))


async def update_connection(api: Api, request: Request) -> Json:
    """Change a connection at test IO by hand."""
    body = await read_body(request, ConnectionBody)
    return shown_remote(await _asked(_client(api, request).update_connection(_id(request), body.wish())))


async def delete_connection(api: Api, request: Request) -> Json:
    """Delete a connection at test IO by hand."""
    await _asked(_client(api, request).delete_connection(_id(request)))
    bridge = api.bridge
    for each in await bridge.store.read(testio_store.remembered):
        if each.remote_id == _id(request):
            await bridge.store.write(testio_store.forget, each.name)
    return {"deleted": _id(request)}


async def reconcile(api: Api, request: Request) -> Json:
    """Ask test IO for exports that never came, and take them in."""
    body = await read_body(request, ReconcileBody)
    _need_token(api.bridge)
    since = body.since if body.since is None or body.since.tzinfo else body.since.replace(tzinfo=UTC)
    return await _asked(
        api.bridge.testio.reconcile(
            statuses=body.statuses,
            products=body.products,
            since=since,
            connections=body.connections,
            dry_run=body.dry_run,
        )
    )


async def take_missing(api: Api, request: Request) -> Json:
    """Fetch bugs that were found missing, and take them in."""
    body, side = await read_body(request, TakeBody), api.bridge.testio
    missing, failed = [], []
    for wanted in body.bugs:
        try:
            found = await side.reconciler.fetch(wanted.connection, wanted.bug, wanted.product)
        except TrackerError as error:
            failed.append({"bug": wanted.bug, "connection": wanted.connection, "error": str(error)})
            continue
        if found is None:
            raise Refused(404, f"there is no connection {wanted.connection!r} with a token")
        missing.append(found)
    result = await side.take(missing)
    return result | {"failed": [*failed, *result["failed"]]}


async def revive_errands(api: Api, _request: Request) -> Json:
    """Give everything that test IO refused another chance."""
    now = api.bridge.clock.now().timestamp()
    revived = await api.bridge.store.write(testio_store.revive_errands, now)
    api.bridge.testio.wake()
    return {"revived": revived}


async def _asked(answer: Awaitable[R]) -> R:
    try:
        return await answer
    except TrackerError as error:
        raise Refused(502, f"test IO: {error}") from None
    except NotReachable as error:
        raise Refused(422, str(error)) from None


def _need_token(bridge: Bridge) -> None:
    if not bridge.testio.accounts.any:
        raise Refused(422, "there is no API token of test IO: set token in [testio]")


def _client(api: Api, request: Request) -> CustomerApi:
    """Return the client of the account that is meant: that of the connection in the query, or the only one."""
    _need_token(api.bridge)
    accounts, name = api.bridge.testio.accounts, request.query_params.get("connection", "")
    account = accounts.of(name) if name else accounts.keys[0] if len(accounts.keys) == 1 else None
    if account is None:
        words = "there are several accounts: name a connection of the one that is meant"
        raise Refused(422, f"there is no connection {name!r} with a token" if name else words)
    return accounts.client(account)


def _id(request: Request) -> int:
    text: str = request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(422, "the id of a connection at test IO is a number")
    return int(text)


class HookEndpoint:
    """`POST /hooks/{tracker}/{secret}`: a tracker says that something happened to issues.

    Args:
        bridge: What looks at them.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        name, given = request.path_params["tracker"], request.path_params["secret"]
        settings = self._bridge.setup.config.trackers.get(name)
        secret = settings.hook_secret.get_secret_value() if settings and settings.hook_secret else ""
        if not hmac.compare_digest(secret.encode(), given.encode()) or not secret:
            return ProblemResponse(404, "there is no such hook, or the secret is wrong")
        if request.method != "POST":  # some trackers look first whether anybody is there
            return Response(status_code=200)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_HOOK:
                return ProblemResponse(413)
        challenge = _challenge(bytes(body))
        if challenge is not None:
            return JSONResponse(challenge)
        kind = request.headers.get("content-type", "")
        try:
            return JSONResponse({"issues": await self._bridge.testio.told(name, bytes(body), kind)}, 202)
        except StoreError as error:
            return ProblemResponse(503, str(error), headers={"Retry-After": "5"})


def _challenge(body: bytes) -> Json:
    """Return what some trackers want to hear back once, before they send anything: monday sends a `challenge`.

    https://developer.monday.com/api-reference/reference/webhooks
    """
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
        if (
            isinstance(document, dict)
            and set(document) == {"challenge"}
            and isinstance(document["challenge"], str)
        ):
            return document
    return None
