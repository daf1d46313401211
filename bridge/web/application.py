"""The application: which part answers which path, and nothing else."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.app import Bridge
from bridge.errors import StoreError
from bridge.web.api import Api, guarded
from bridge.web.export import PREFIX, ExportEndpoint
from bridge.web.openapi import openapi
from bridge.web.operations import OPERATIONS
from bridge.web.problem import ProblemResponse
from bridge.web.testio import HookEndpoint


def build_asgi(bridge: Bridge) -> ASGIApp:
    """Return the application for a bridge. Starting and stopping the bridge is the caller's."""
    export, everything_else = ExportEndpoint(bridge), build_starlette(bridge)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if not bridge.ready:
            send = _closing(send)
        is_export = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (export if is_export else everything_else)(scope, receive, send)

    return application


def build_starlette(bridge: Bridge) -> Starlette:
    """Return the application for everything but exports: health and the API."""
    api = Api(bridge)

    async def ready(_request: Request) -> Response:
        try:
            await bridge.store.probe()
        except StoreError as error:
            return JSONResponse({"ready": False, "reason": str(error)}, 503)
        return JSONResponse({"ready": bridge.ready}, 200 if bridge.ready else 503)

    routes = [
        Route("/healthz", _healthy),
        Route("/readyz", ready),
        Route("/api/openapi.json", _described),
        Route("/hooks/{tracker}/{secret}", HookEndpoint(bridge).answer, methods=["HEAD", "POST"]),
        *(
            Route(each.path, guarded(bridge, partial(each.handler, api)), methods=[each.method])
            for each in OPERATIONS
        ),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _broken})


def _closing(send: Send) -> Send:
    """Say with each answer that the connection ends: whoever keeps it open is to go elsewhere from now on."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"connection", b"close")]
            message = {**message, "headers": headers}
        await send(message)

    return closing


async def _healthy(_request: Request) -> Response:
    return JSONResponse({"alive": True})


async def _described(_request: Request) -> Response:
    return JSONResponse(openapi())


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return ProblemResponse(error.status_code, headers=error.headers)


async def _broken(_request: Request, _error: Exception) -> Response:
    """Answer without a word of what broke: the log has it."""
    return ProblemResponse(500, "this is a fault of the bridge; its log says more")
