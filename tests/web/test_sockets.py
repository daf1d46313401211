"""On a real port: bodies that are slow, endless or cut off, and the daemon's beginning and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import tomlkit

from bridge.app import Bridge, Setup
from bridge.config import load_config
from bridge.errors import StoreError
from bridge.web import PortInUse, export, serve
from tests.web.conftest import SECRET, payload, tables

pytestmark = pytest.mark.anyio

BODY = json.dumps(payload()).encode()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that does not wait long for a body."""
    monkeypatch.setattr(export, "BODY_SECONDS", 0.05)


class Wire:
    """A bare connection to the daemon."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *parts: bytes) -> None:
        self._writer.writelines(parts)
        await self._writer.drain()

    async def begin(self, *headers: str, path: str = f"/export/shop/{SECRET}") -> None:
        """Send the head of a request."""
        head = "\r\n".join((f"POST {path} HTTP/1.1", "Host: bridge", "Content-Type: application/json", *headers))
        await self.send(head.encode() + b"\r\n\r\n")

    async def answer(self) -> tuple[int, bytes]:
        """The status and the head of what is answered."""
        async with asyncio.timeout(5):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1]), head

    async def whole_answer(self) -> int:
        """The status of an answer that says how long it is, once it has been read to its end."""
        status, head = await self.answer()
        async with asyncio.timeout(5):
            await self._reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        return status

    @property
    def socket(self) -> socket.socket:
        found: socket.socket = self._writer.get_extra_info("socket")
        return found

    async def ended(self) -> bool:
        """Whether the daemon has closed the connection."""
        async with asyncio.timeout(5):
            while await self._reader.read(65536):
                pass
        return True

    def reset(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def wire(world) -> AsyncIterator[Wire]:
    address = urlsplit(str(world.client.base_url))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


class TestBodies:
    async def test_a_whole_one_is_accepted(self, served):
        assert (await served.post()).status_code == 202

    async def test_so_is_one_that_comes_in_pieces(self, served):
        async def pieces():
            for byte in BODY:
                yield bytes([byte])

        answer = await served.post(content=pieces(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 202

    async def test_one_that_says_it_is_too_large_is_refused_before_it_is_sent(self, served):
        async with wire(served) as one:
            await one.begin("Content-Length: 10000000000")
            status, head = await one.answer()

            assert status == 413
            assert b"connection: close" in head.lower()

    async def test_one_that_does_not_say_so_is_refused_at_the_limit(self, served):
        async with wire(served) as one:
            await one.begin("Transfer-Encoding: chunked")
            await one.send(*[b"3e8\r\n" + b"x" * 1000 + b"\r\n"] * 21)

            assert (await one.answer())[0] == 413

    @pytest.mark.usefixtures("impatient")
    async def test_one_that_never_ends_is_answered_after_a_while_and_the_connection_closed(self, served):
        async with wire(served) as one:
            await one.begin("Content-Length: 100")
            await one.send(b'{"event":')

            assert (await one.answer())[0] == 408
            assert await one.ended()
        assert await served.kept() == []

    async def test_slow_senders_hold_nobody_up(self, served):
        async with wire(served) as first, wire(served) as second:
            for one in (first, second):
                await one.begin(f"Content-Length: {len(BODY)}")
                await one.send(BODY[:10])

            assert (await served.post(payload(8))).status_code == 202

            for one in (first, second):
                await one.send(BODY[10:])
            assert [(await one.answer())[0] for one in (first, second)] == [202, 202]

    async def test_a_sender_who_goes_away_leaves_nothing_behind(self, served):
        async with wire(served) as one:
            await one.begin(f"Content-Length: {len(BODY)}")
            await one.send(BODY[:-1])
            one.reset()

        assert (await served.post(payload(8))).status_code == 202
        assert [row["bug_id"] for row in await served.kept()] == [8]

    async def test_an_unknown_sender_is_answered_without_reading_what_it_sends(self, served):
        async with wire(served) as one:
            await one.begin("Content-Length: 100000", path="/export/shop/wrong")

            assert (await one.answer())[0] == 404

    async def test_who_waits_to_be_asked_for_the_body_is_asked_only_when_it_is_known(self, served):
        async with wire(served) as known, wire(served) as unknown:
            await known.begin("Expect: 100-continue", f"Content-Length: {len(BODY)}")
            assert (await known.answer())[0] == 100
            await known.send(BODY)
            assert (await known.answer())[0] == 202

            await unknown.begin("Expect: 100-continue", "Content-Length: 5", path="/export/shop/wrong")
            assert (await unknown.answer())[0] == 404

    async def test_the_same_export_fifty_times_at_once_is_one(self, served):
        answers = await asyncio.gather(*(served.post() for _ in range(50)))

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["export"] for answer in answers}) == 1
        assert sum(not answer.json()["duplicate"] for answer in answers) == 1
        await served.until(lambda: served.tracker().made(7) == ["1"])


class TestTheDaemon:
    @pytest.fixture
    def another(self, file, plugins):
        """A bridge by another configuration of the same folder."""

        def another(**server):
            table = tables()
            table["server"] |= server
            path = file.parent / "another.toml"
            path.write_text(tomlkit.dumps(table | {"store": {"url": "sqlite:///another.db"}}))
            return Bridge(Setup(load_config(path, plugins.types, {}), plugins))

        return another

    async def test_a_port_that_is_taken_is_named_and_nothing_was_started(self, another):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            bridge = another(port=port)

            with pytest.raises(PortInUse, match=rf"127.0.0.1 port {port} cannot be listened on .*\[server\] port"):
                await serve(bridge, install_signals=False)
        assert not bridge.ready

    async def test_a_store_that_is_taken_ends_it_before_the_port_opens(self, served, plugins):
        bridge = Bridge(Setup(load_config(served.file, plugins.types, {}), plugins))
        opened: list[str] = []

        with pytest.raises(StoreError, match="another tracker-bridge is using"):
            await serve(bridge, on_ready=opened.append, install_signals=False)
        assert opened == []

    async def test_nobody_can_connect_before_it_can_store(self, another, monkeypatch):
        bridge = another()
        seen: list[bool] = []
        listen = socket.socket.listen

        def listening(self, *arguments):
            seen.append(bridge.ready)
            return listen(self, *arguments)

        monkeypatch.setattr(socket.socket, "listen", listening)
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(bridge, on_ready=ready.set_result, install_signals=False))
        async with asyncio.timeout(5):
            await ready
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

        assert seen[0] is True

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_a_signal_ends_it_gracefully(self, another, number):
        bridge = another()
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(bridge, on_ready=ready.set_result))
        async with asyncio.timeout(5):
            url = await ready
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.post(f"{url}/export/shop/{SECRET}", json=payload())).status_code == 202
            os.kill(os.getpid(), number)
            await serving

        assert not bridge.ready
        with pytest.raises(StoreError, match="closed"):
            await bridge.store.probe()

    async def test_after_a_cancelled_daemon_another_in_the_same_loop_answers(self, another):
        for _ in range(2):
            ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(serve(another(), on_ready=ready.set_result, install_signals=False))
            async with asyncio.timeout(5):
                url = await ready
                async with httpx.AsyncClient(trust_env=False) as client:
                    assert (await client.get(f"{url}/healthz")).status_code == 200
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving

            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{url}/healthz", trust_env=False, timeout=1)

    async def test_a_hangup_reloads_and_a_broken_file_changes_nothing(self, another, file, plugins, monkeypatch):
        bridge = another()
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(bridge, on_ready=ready.set_result))
        reloads: list[object] = []
        reload = bridge.reload

        async def watched():
            try:
                await reload()
            finally:
                reloads.append(None)

        monkeypatch.setattr(type(bridge), "reload", lambda self: watched())
        path = bridge.setup.config.source
        assert path is not None
        async with asyncio.timeout(5):
            await ready
            before = bridge.setup
            good = path.read_text()
            path.write_text("[broken")
            os.kill(os.getpid(), signal.SIGHUP)
            while not reloads:
                await asyncio.sleep(0.001)
            assert bridge.setup is before

            path.write_text(good)
            os.kill(os.getpid(), signal.SIGHUP)
            while len(reloads) < 2:
                await asyncio.sleep(0.001)
            assert bridge.setup is not before
            os.kill(os.getpid(), signal.SIGTERM)
            await serving
