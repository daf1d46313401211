"""What the API can be asked: the one table that both the routes and the OpenAPI document are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import Request

from bridge.model import Json
from bridge.web import testio
from bridge.web.api import Api, CheckBody, PauseBody, PreviewBody, ReplayBody, Wanted


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API.

    Attributes:
        handler: Method of `Api`; its docstring is the summary.
        query: Model of the query, where it has one.
        body: Model of the body, where it has one.
        refusals: Statuses besides 401, 403 and 503.
    """

    method: str
    path: str
    handler: Callable[[Api, Request], Awaitable[Json]]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    refusals: tuple[int, ...] = ()


OPERATIONS = (
    Operation("GET", "/api/status", Api.status),
    Operation("GET", "/api/exports", Api.exports, query=Wanted, refusals=(422,)),
    Operation("GET", "/api/exports/{id}", Api.export, refusals=(404, 409)),
    Operation("GET", "/api/deliveries", Api.deliveries, query=Wanted, refusals=(422,)),
    Operation("GET", "/api/trackers", Api.trackers),
    Operation("POST", "/api/trackers/{name}/pause", Api.pause, body=PauseBody, refusals=(400, 404, 422)),
    Operation("POST", "/api/trackers/{name}/resume", Api.resume, refusals=(404,)),
    Operation("POST", "/api/check", Api.check, body=CheckBody, refusals=(400, 404, 422)),
    Operation("POST", "/api/preview", Api.preview, body=PreviewBody, refusals=(400, 404, 422)),
    Operation("POST", "/api/replay", Api.replay, body=ReplayBody, refusals=(400, 404, 422)),
    Operation("POST", "/api/reload", Api.reload, refusals=(422,)),
    Operation("GET", "/api/plugins", Api.plugins),
    Operation("GET", "/api/connections", testio.connections),
    Operation(
        "POST",
        "/api/connections/sync",
        testio.sync_connections,
        body=testio.SyncBody,
        refusals=(400, 404, 422, 502),
    ),
    Operation(
        "POST",
        "/api/test-io/connections",
        testio.create_connection,
        body=testio.ConnectionBody,
        refusals=(400, 422, 502),
    ),
    Operation("GET", "/api/test-io/connections/{id}", testio.show_connection, refusals=(422, 502)),
    Operation(
        "PUT",
        "/api/test-io/connections/{id}",
        testio.update_connection,
        body=testio.ConnectionBody,
        refusals=(400, 422, 502),
    ),
    Operation("DELETE", "/api/test-io/connections/{id}", testio.delete_connection, refusals=(422, 502)),
    Operation("POST", "/api/reconcile", testio.reconcile, body=testio.ReconcileBody, refusals=(400, 422, 502)),
    Operation("POST", "/api/reconcile/take", testio.take_missing, body=testio.TakeBody, refusals=(400, 404, 422)),
    Operation("POST", "/api/errands/revive", testio.revive_errands),
)
