"""HTTP clients, each for one call at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


class ClientPool:
    """Lends clients, makes one where all are lent, and keeps them for life.

    A client looks through all its connections whenever a call begins or ends, so calls that share one slow each
    other down. The client that came back last is lent first: its connection is the one most likely still open.

    Args:
        make: Makes a client.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._all: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    def prepare(self) -> None:
        """Make the first client before it is needed: the first takes longest."""
        if not self._all:
            self._idle.append(self._new())

    @contextmanager
    def lend(self) -> Iterator[httpx.AsyncClient]:
        """Give a client that nobody else has meanwhile."""
        client = self._idle.pop() if self._idle else self._new()
        try:
            yield client
        finally:
            if not client.is_closed:
                self._idle.append(client)

    async def close(self) -> None:
        """Close all clients, lent ones too. Whoever wants one afterwards gets a new one."""
        closing, self._all, self._idle = self._all, [], []
        for client in closing:
            await client.aclose()

    def _new(self) -> httpx.AsyncClient:
        client = self._make()
        self._all.append(client)
        return client
