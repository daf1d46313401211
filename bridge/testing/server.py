"""A fake tracker on a real socket: a vendor's dialogue in memory, and every way in which a network fails.

A vendor's fake subclasses `FakeServer` and overrides `respond`; see `docs/write-a-plugin.md` for a small one.
"""

from __future__ import annotations

import enum
import json as jsonlib
import socket
import socketserver
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from http.client import responses
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from bridge.model import Json
from bridge.testing.multipart import UploadedFile, parts


@dataclass(frozen=True)
class Request:
    """One request as it arrived.

    Attributes:
        path: Without the query, percent-encoding as sent.
        query: Every parameter with all its values.
        headers: Names in lower case; repeated ones joined by a comma.
        at: When it arrived, in seconds of the monotonic clock; a LATE_BEFORE fault has it processed later.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: float = field(default_factory=time.monotonic, repr=False, compare=False)

    @cached_property
    def json(self) -> Json:
        """The body read as JSON; None without a body.

        Raises:
            ValueError: The body is no JSON.
        """
        return jsonlib.loads(self.body) if self.body else None

    @cached_property
    def files(self) -> list[UploadedFile]:
        """The files of a multipart body."""
        return [
            UploadedFile(named.get("name", ""), named["filename"], kind, content)
            for named, kind, content in parts(self.headers.get("content-type", ""), self.body)
            if "filename" in named
        ]

    @cached_property
    def form(self) -> dict[str, str]:
        """The fields of a form that are not files, of a multipart or an URL-encoded body."""
        kind = self.headers.get("content-type", "")
        if kind.startswith("application/x-www-form-urlencoded"):
            return {name: values[-1] for name, values in parse_qs(self.body.decode(), True).items()}
        return {
            named.get("name", ""): content.decode("utf-8", "replace")
            for named, _, content in parts(kind, self.body)
            if "filename" not in named
        }

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """What the fake answers: `json` where given, else `body`.

    Attributes:
        headers: Beside `Content-Length` and, for `json`, `Content-Type`.
    """

    status: int = 200
    json: Json = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The bytes of the body."""
        return self.body if self.json is None else jsonlib.dumps(self.json).encode()

    def raw(self, *, head_only: bool = False) -> bytes:
        """Return the answer as it goes over the wire."""
        headers = {**({} if self.json is None else {"Content-Type": "application/json"}), **self.headers}
        if self.status != 204:
            headers["Content-Length"] = str(len(self.content))
        status = f"HTTP/1.1 {self.status} {responses.get(self.status, 'Unknown')}"
        lines = (status, *(f"{name}: {text}" for name, text in headers.items()), "", "")
        head = "\r\n".join(lines).encode()
        return head if head_only or self.status == 204 else head + self.content


class When(enum.StrEnum):
    """Which requests a fault strikes."""

    CREATE = "create"
    ANY = "any"


class FaultKind(enum.StrEnum):
    """What goes wrong."""

    REFUSE = "refuse"
    """Nothing is processed; `reply` is the answer."""
    ANSWER_AFTER = "answer-after"
    """Processed; `reply` is the answer instead of the real one."""
    RESET_BEFORE = "reset-before"
    """The connection is reset and nothing is processed."""
    RESET_AFTER = "reset-after"
    """Processed, then the connection is reset."""
    HANG_BEFORE = "hang-before"
    """Nothing is processed, and no answer comes until the client gives up."""
    HANG_AFTER = "hang-after"
    """Processed, and no answer comes until the client gives up."""
    HALF = "half"
    """Processed; the connection ends in the middle of the answer."""
    LATE_BEFORE = "late-before"
    """Processed and answered `seconds` later: the client may have given up before anything happened."""
    LATE_AFTER = "late-after"
    """Processed at once, answered `seconds` later."""


_UNPROCESSED = {FaultKind.REFUSE, FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE}
_BAD_GATEWAY = Reply(502, body=b"<html><body>502 Bad Gateway</body></html>", headers={"Content-Type": "text/html"})


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, `times` times.

    Attributes:
        when: Which requests it strikes; a function of the request for any others.
        reply: For REFUSE and ANSWER_AFTER; a gateway's 502 page when None.
        seconds: For LATE_BEFORE and LATE_AFTER.
    """

    kind: FaultKind
    when: When | Callable[[Request], bool] = When.CREATE
    times: int = 1
    reply: Reply | None = None
    seconds: float = 0


class FakeServer:
    """A tracker's fake: `with GitHubServer() as server: ... server.url`.

    Attributes:
        requests: Everything received, in order.
        invalid: What did not fit the vendor's own description, and what the fake itself tripped over.
        lock: Held while `respond` runs; hold it to look at the state from a test.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.invalid: list[str] = []
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._server: _Server | None = None
        self._url = ""

    def respond(self, request: Request) -> Reply:
        """Return what the vendor's API answers, and keep its state."""
        raise NotImplementedError

    def is_create(self, request: Request) -> bool:
        """Whether this is the request that makes an issue."""
        raise NotImplementedError

    def markers(self) -> list[str]:
        """Return the marker's text of every issue that exists."""
        raise NotImplementedError

    def validate(self, request: Request, reply: Reply) -> None:
        """Raise AssertionError where a request, or the fake's answer, does not fit the vendor's description."""

    def inject(self, fault: Fault) -> None:
        """Let something go wrong. Faults strike in the order in which they were injected."""
        with self.lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Forget the faults that have not struck yet."""
        with self.lock:
            self._faults.clear()

    @property
    def creates(self) -> list[Request]:
        """The requests that were to make an issue, in order."""
        with self.lock:
            return [request for request in self.requests if self.is_create(request)]

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`; stays the same after the end."""
        if not self._url:
            raise RuntimeError("the server was not started: use it as `with ... as server:`")
        return self._url

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._server = _Server(self)
        self._url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._server.start()
        return self

    def close(self) -> None:
        """Break every connection and stop. May be called again."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handle(self, request: Request) -> tuple[Reply, Fault | None]:
        """Return the answer and what is to go wrong with it."""
        with self.lock:
            self.requests.append(request)
            fault = self.strike(request)
            if fault and fault.kind in _UNPROCESSED:
                return fault.reply or _BAD_GATEWAY, fault
        if fault and fault.kind is FaultKind.LATE_BEFORE:
            time.sleep(fault.seconds)
        with self.lock:
            reply = self._process(request)
            if fault and fault.kind is FaultKind.ANSWER_AFTER:
                return fault.reply or _BAD_GATEWAY, fault
            return reply, fault

    def _process(self, request: Request) -> Reply:
        try:
            reply = self.respond(request)
        except Exception:  # noqa: BLE001 - shown by the test that looks at `invalid`
            self.invalid.append(f"{request}: the fake itself failed\n{traceback.format_exc()}")
            return Reply(500, body=b"the fake itself failed")
        try:
            self.validate(request, reply)
        except AssertionError as violation:
            self.invalid.append(f"{request}: {violation}")
        return reply

    def strike(self, request: Request) -> Fault | None:
        """Return what goes wrong with a request: the next injected fault that fits. Others throw dice."""
        for index, fault in enumerate(self._faults):
            if self._strikes(fault, request):
                if fault.times > 1:
                    self._faults[index] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[index]
                return fault
        return None

    def _strikes(self, fault: Fault, request: Request) -> bool:
        if isinstance(fault.when, When):
            return fault.when is When.ANY or self.is_create(request)
        return fault.when(request)


class _Server(socketserver.TCPServer):
    """One thread a connection; every connection can be broken from outside."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, fake: FakeServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        # Shutting down waits for a turn of the accept loop, so turns must be short.
        self._loop = threading.Thread(target=self.serve_forever, args=(0.01,), name="fake-server", daemon=True)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self.shutdown()
        self._loop.join()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        thread = threading.Thread(target=self._talk, args=(request, client_address), daemon=True)
        self._threads = [old for old in self._threads if old.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _talk(self, request: socket.socket, client_address: Any) -> None:
        try:
            # A client that goes away in the middle is the client's business.
            with suppress(ConnectionError, BrokenPipeError):
                self.finish_request(request, client_address)
        finally:
            with self._guard:
                self._open.discard(request)
            self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Print nothing."""

    def _serve(self) -> None:
        reply, fault = self.server.fake._handle(self._request())  # noqa: SLF001 - its other half
        raw = reply.raw(head_only=self.command == "HEAD")
        match fault.kind if fault else None:
            case FaultKind.RESET_BEFORE | FaultKind.RESET_AFTER:
                self._reset()
            case FaultKind.HANG_BEFORE | FaultKind.HANG_AFTER:
                self._hang()
            case FaultKind.LATE_AFTER:
                time.sleep(fault.seconds if fault else 0)
                self.wfile.write(raw)
            case FaultKind.HALF:
                self.close_connection = True
                self.wfile.write(raw[: len(raw) - max(1, len(reply.content) // 2)])
            case _:
                self.wfile.write(raw)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method alike: the base class looks for `do_GET` and its like."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _request(self) -> Request:
        url = urlsplit(self.path)
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Request(self.command, url.path, parse_qs(url.query, True), headers, self._body())

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionAbortedError("the client went away in the middle of its request")
            return body
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def _reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def _hang(self) -> None:
        """Wait until the client goes away, or the server breaks all connections."""
        self.close_connection = True
        while self.connection.recv(65536):
            pass


@contextmanager
def refusing() -> Iterator[str]:
    """Give an address where every connection is refused, for as long as the context lasts."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it, but not listening
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"
