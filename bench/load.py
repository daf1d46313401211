"""A load generator that costs little: keep-alive connections, each sends the next request after its answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import urlsplit

import httptools

DOCUMENTED = json.loads(files("bridge.demo").joinpath("examples/documented.json").read_text())
_PLACE = 1_234_567_890_123
"""What stands for the bug's number: making each body anew would cost a client as much as sending it."""


@dataclass(frozen=True)
class Result:
    """What came out of one round of load."""

    requests: int
    seconds: float
    latencies: tuple[float, ...]
    refused: int

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency in milliseconds that `share` of the requests stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def payloads(first_bug: int) -> Iterator[bytes]:
    """Yield the documented export, each time of another bug and without attachments to fetch."""
    bug = {**DOCUMENTED["bug"], "id": _PLACE, "attachments": []}
    before, after = json.dumps({**DOCUMENTED, "bug": bug}).encode().split(str(_PLACE).encode())
    for number in itertools.count(first_bug):
        yield b"%b%d%b" % (before, number, after)


class _Connection(asyncio.Protocol):
    """One client: sends, waits for the whole answer, sends the next."""

    def __init__(self, head: bytes, bodies: Iterator[bytes], stop_at: float, done: Callable[[], None]) -> None:
        self._head, self._bodies, self._stop_at, self._done = head, bodies, stop_at, done
        self.latencies: list[float] = []
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        if self._parser.get_status_code() != 202:
            self.refused += 1
        if now < self._stop_at:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._done()

    def _send(self) -> None:
        body = next(self._bodies)
        self._sent_at = time.perf_counter()
        self._transport.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)


async def hammer(url: str, connections: int, seconds: float, bodies: Iterator[bytes]) -> Result:
    """Post `bodies` to `url` over so many connections for so long."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
    ).encode()
    finished = asyncio.Semaphore(0)
    start = time.perf_counter()
    clients = [
        (
            await loop.create_connection(
                lambda: _Connection(head, bodies, start + seconds, finished.release), host, port
            )
        )[1]
        for _ in range(connections)
    ]
    for _ in clients:
        await finished.acquire()
    took = time.perf_counter() - start
    latencies = tuple(latency for client in clients for latency in client.latencies)
    return Result(len(latencies), took, latencies, sum(client.refused for client in clients))


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)
