"""Serving a sandbox."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from bridge.errors import BridgeError
from bridge.sandbox.api import CustomerApi
from bridge.sandbox.options import Options
from bridge.sandbox.pages import Pages
from bridge.sandbox.sender import Sender
from bridge.sandbox.world import World, invent


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def playing(options: Options, world: World | None = None) -> AsyncIterator[World]:
    """Serve a sandbox for as long as the context lasts; gives what there is, its address included.

    Args:
        options: How it is.
        world: What there is; invented where it is left out.

    Raises:
        BridgeError: The address cannot be listened on.
    """
    world = world or invent(options)
    listener = _listener(options)
    world.url = f"http://{options.host}:{listener.getsockname()[1]}"
    sender = Sender(world)
    routes = [*CustomerApi(world, sender).routes(), *Pages(world, sender).routes()]
    config = uvicorn.Config(
        Starlette(routes=routes),
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield world
    finally:
        server.should_exit = True  # not cancelled: it would leave its socket behind in the event loop
        await asyncio.gather(serving, return_exceptions=True)
        await sender.close()
        listener.close()


async def serve(options: Options, *, on_ready: Callable[[World], None], world: World | None = None) -> None:
    """Serve a sandbox until cancelled; arguments and errors as `playing`.

    Args:
        options: How it is.
        on_ready: Called once it can be reached.
        world: What there is.
    """
    async with playing(options, world) as played:
        on_ready(played)
        await asyncio.Event().wait()


def _listener(options: Options) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        where = f"{options.host} port {options.port}"
        words = f"{where} cannot be listened on ({error.strerror}): choose another with --port"
        raise BridgeError(words) from None
    listener.setblocking(False)
    return listener
