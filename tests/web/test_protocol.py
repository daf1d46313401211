"""Answers leave in one piece."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

import pytest

from bridge.web.protocol import Protocol
from tests.web.conftest import SECRET
from tests.web.test_sockets import BODY, wire

pytestmark = pytest.mark.anyio


def packets(connection: socket.socket) -> int:
    """How many packets with data have come in: `tcpi_data_segs_in`, https://man7.org/linux/man-pages/man7/tcp.7.html"""
    (count,) = struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152)
    return int(count)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts packets")
@pytest.mark.parametrize(("path", "status"), [(f"/export/shop/{SECRET}", 202), ("/export/shop/wrong", 404)])
async def test_an_answer_is_one_packet(served, path, status):
    async with wire(served) as one:
        for number in range(1, 4):
            await one.begin(f"Content-Length: {len(BODY)}", path=path)
            await one.send(BODY)

            assert await one.whole_answer() == status
            assert packets(one.socket) == number


class Sent(asyncio.Transport):
    """Keeps what is written, and tells the protocol to stop when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
async def transport(sent):
    """What the protocol writes to."""
    import uvicorn  # noqa: PLC0415

    async def application(_scope, _receive, _send):
        pass

    config = uvicorn.Config(application, http=Protocol, lifespan="off", log_config=None)
    protocol = Protocol(config, uvicorn.server.ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(sent)
    return protocol.transport


async def test_what_is_written_first_goes_with_what_comes_next(transport, sent):
    transport.write(b"head")
    assert sent.pieces == []
    transport.write(b"body")
    assert sent.pieces == [b"headbody"], (
        "at once: whoever writes much must be told when the other side does not read"
    )

    transport.write(b"more")
    transport.write(b"and more")
    assert sent.pieces[1:] == [b"moreand more"]


async def test_what_nothing_follows_goes_in_the_next_round_of_the_event_loop(transport, sent):
    transport.write(b"head")
    await asyncio.sleep(0)
    transport.write(b"body")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert sent.pieces == [b"head", b"body"]


async def test_what_is_held_back_goes_before_the_end(transport, sent):
    transport.write(b"the end")
    transport.close()
    await asyncio.sleep(0)

    assert sent.pieces == [b"the end"]
    assert transport.is_closing()
