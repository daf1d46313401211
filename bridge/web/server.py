"""Running the daemon: the store first, then the port; signals; a graceful end."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import structlog
import uvicorn
from starlette.types import ASGIApp

from bridge.app import Bridge
from bridge.errors import BridgeError, ConfigError
from bridge.web.application import build_asgi
from bridge.web.protocol import Protocol

SWITCH_INTERVAL = 0.001
"""Seconds the event loop keeps the interpreter while the store's writer wants it: a fifth of the default."""

MOST_NEW = 20_000
"""New objects after which it is looked for those in cycles, of which taking exports in makes none."""

_BACKLOG = 2048
_MOST_AT_ONCE = 4096


class PortInUse(BridgeError):
    """The address cannot be listened on."""


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the bridge has its own. Cancelled, it closes its port."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        except asyncio.CancelledError:
            if self.started:  # else the port stays in the event loop, and the next socket gets its number
                await self.shutdown(sockets)
            raise

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(bridge: Bridge, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, on the fastest event loop there is. Raises as `serve`."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(bridge, on_ready=on_ready))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def serve(
    bridge: Bridge, *, on_ready: Callable[[str], None] | None = None, install_signals: bool = True
) -> None:
    """Start the bridge, open the port, and serve until SIGTERM, SIGINT or cancellation; then end gracefully.

    Args:
        bridge: A new one.
        on_ready: Called with the daemon's URL once it can be reached.
        install_signals: Whether SIGTERM and SIGINT end it, and SIGHUP reloads.

    Raises:
        PortInUse: The address cannot be listened on.
        StoreError: The store cannot be used.
        ConfigError: A tracker cannot be built.
    """
    settings = bridge.setup.config.server
    listener = _bind(settings.host, settings.port)
    log = structlog.get_logger("bridge.web")
    try:
        await bridge.start()
        server = _Server(_config(build_asgi(bridge)))
        with _signals(bridge, server, log) if install_signals else nullcontext():
            listener.listen(_BACKLOG)  # only now: whoever connects can be answered
            url = _url(settings.host, listener.getsockname()[1])
            gc.collect()
            gc.freeze()  # what lives as long as the process need not be looked at again
            gc.set_threshold(MOST_NEW)
            log.info("serving", url=url, trackers=sorted(bridge.setup.config.trackers))
            if on_ready is not None:
                on_ready(url)
            try:
                await server.serve(sockets=[listener])
            finally:
                log.info("stopping", grace=str(settings.shutdown_grace))
                await bridge.stop()
                log.info("stopped")
    finally:
        listener.close()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"{host} port {port} cannot be listened on ({error.strerror}): choose another in [server] port"
        ) from None
    listener.setblocking(False)
    return listener


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


@contextmanager
def _signals(bridge: Bridge, server: uvicorn.Server, log: structlog.stdlib.BoundLogger) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        try:
            await bridge.reload()
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            log.error("the configuration is wrong; nothing was taken over", problems=problems)
        except BridgeError as error:
            log.error("nothing was taken over", error=str(error))

    def on_hangup() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    def end() -> None:
        server.should_exit = True

    def on_end() -> None:
        drain = bridge.setup.config.server.drain
        if drain and bridge.ready:  # told a second time, it ends at once
            log.info("draining: not ready any more, exports are still taken in", drain=str(drain))
            bridge.ready = False
            loop.call_later(drain.total_seconds(), end)
        else:
            end()

    handlers = {signal.SIGTERM: on_end, signal.SIGINT: on_end, signal.SIGHUP: on_hangup}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
