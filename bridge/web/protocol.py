"""HTTP on the wire: uvicorn's, but an answer leaves in one piece.

uvicorn writes head and body one after the other, and each write is a call into the system and a packet of its own.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """One connection of a client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(cast("asyncio.Transport", _InOnePiece(transport, self.loop)))


class _InOnePiece:
    """A transport that holds back what is written until the next write, or the next round of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""
        # looked up for each request
        self.is_closing, self.get_extra_info = transport.is_closing, transport.get_extra_info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            self._held += data
            self._write()
        else:
            self._held = data
            self._loop.call_soon(self._write)

    def close(self) -> None:
        self._write()
        self._transport.close()

    def _write(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
