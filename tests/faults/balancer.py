"""A load balancer for connections: it sends each new one to a daemon that says that it is ready, and tries no second."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.faults.daemons import Replica

_LOOK_EVERY = 0.05  # seconds


class Balancer:
    """`with Balancer(daemons) as balancer: ... balancer.url`.

    Attributes:
        url: Its address.
    """

    def __init__(self, daemons: Sequence[Replica]) -> None:
        self._daemons = daemons
        self._ready: frozenset[Replica] = frozenset()
        self._turns, self._ended = count(), threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.balancer = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._threads = [
            threading.Thread(target=self._look, daemon=True),
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def knows(self, daemon: Replica) -> bool:
        """Whether it sends connections to a daemon."""
        return daemon in self._ready

    def next(self) -> tuple[str, int]:
        """Return where the next connection goes.

        Raises:
            ConnectionError: Nobody is ready.
        """
        ready = [daemon for daemon in self._daemons if daemon in self._ready]
        if not ready:
            raise ConnectionError("no daemon is ready")
        address = urlsplit(ready[next(self._turns) % len(ready)].url)
        assert address.port is not None
        return "127.0.0.1", address.port

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self._ready = frozenset(daemon for daemon in self._daemons if daemon.is_running and daemon.is_ready())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    balancer: Balancer


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Pass everything on, both ways; a daemon that cannot be reached is seen by the client."""
        with suppress(OSError), socket.create_connection(self.server.balancer.next(), timeout=10) as daemon:
            daemon.settimeout(None)
            back = threading.Thread(target=_pass_on, args=(daemon, self.request), daemon=True)
            back.start()
            _pass_on(self.request, daemon)
            back.join()


def _pass_on(source: Any, target: Any) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
