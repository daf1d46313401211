"""Fetching attachments to the spool: guarded, streamed, bounded, and once for all trackers."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from weakref import WeakValueDictionary

from bridge.attachments.content import HEAD, refuse_wrong_content, safe_name, type_of
from bridge.attachments.guard import Guard, Resolve, resolve
from bridge.clock import Clock, SystemClock
from bridge.config import AttachmentSettings
from bridge.errors import AttachmentError
from bridge.http import USER_AGENT
from bridge.lazy import lazily
from bridge.model import Attachment, AttachmentFile
from bridge.units import format_duration

if TYPE_CHECKING:
    import httpx
else:
    httpx = lazily("httpx")

MOST_REDIRECTS = 5
_CHUNK = 256 * 1024
_PART = ".part"
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
_PASSING = frozenset({408, 425, 429})  # besides 5xx: statuses that may be another one later


@dataclass
class _Incoming:
    """A file while it arrives."""

    stream: BinaryIO
    head: bytes = b""
    size: int = 0

    def write(self, chunk: bytes) -> None:
        if len(self.head) < HEAD:
            self.head += chunk[: HEAD - len(self.head)]
        self.size += len(chunk)
        self.stream.write(chunk)

    def finish(self) -> None:
        self.stream.flush()
        os.fsync(self.stream.fileno())  # or a power cut leaves a whole name on half a file


class Downloader:
    """Fetches attachments to a folder, and keeps each until nobody holds it any more.

    No credential, cookie or proxy setting of this machine ever goes with a request.

    Args:
        settings: Limits, allowed hosts, the folder.
        resolve: Finds the addresses of a host.
        clock: The time.
        transport: Makes the HTTP transport for one connection, for tests.
    """

    def __init__(
        self,
        settings: AttachmentSettings,
        *,
        resolve: Resolve = resolve,
        clock: Clock | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._settings = settings
        self._folder = settings.spool
        self._guard = Guard(settings, resolve)
        self._clock = clock or SystemClock()
        self._transport = transport or self._default_transport
        self._trust: ssl.SSLContext | None = None
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._holders: Counter[Path] = Counter()
        self._arriving = 0

    async def fetch(self, attachment: Attachment) -> AttachmentFile:
        """Return the file, fetching it unless it is in the spool already. Give it back with `drop`.

        Raises:
            AttachmentError: It could not be fetched; says whether trying again may help.
        """
        path = self._folder / hashlib.sha256(attachment.url.encode()).hexdigest()
        lock = self._locks.setdefault(path, asyncio.Lock())
        self._holders[path] += 1
        try:
            async with lock:  # two trackers want the same file: the second finds it here
                if not path.exists():
                    await self._fetch(attachment, path)
                return await asyncio.to_thread(_file, attachment, path)
        except BaseException:
            self._release(path)
            raise

    def drop(self, file: AttachmentFile) -> None:
        """Give a file back; it is removed when everybody who fetched it has done so."""
        self._release(file.path)

    def clean(self, older_than: timedelta) -> int:
        """Remove what an earlier run left behind.

        Args:
            older_than: Files that nobody holds and nobody touched for so long.

        Returns:
            How many files were removed.
        """
        limit, removed = self._clock.now().timestamp() - older_than.total_seconds(), 0
        for entry in self._spooled():
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < limit and Path(entry.path) not in self._holders:
                    Path(entry.path).unlink()
                    removed += 1
        return removed

    def _release(self, path: Path) -> None:
        self._holders[path] -= 1
        if self._holders[path] <= 0:
            del self._holders[path]
            with suppress(OSError):  # what cannot be removed now is left to `clean`
                path.unlink()

    async def _fetch(self, attachment: Attachment, path: Path) -> None:
        seconds = self._settings.timeout
        try:
            async with asyncio.timeout(seconds.total_seconds()):
                await self._follow(attachment, path)
        except TimeoutError:
            raise AttachmentError(f"not there after {format_duration(seconds)}", retry=True) from None
        except httpx.InvalidURL as error:
            raise AttachmentError(f"its address is none: {error}", retry=False) from None
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise AttachmentError(f"the connection broke: {words}", retry=True) from None
        except OSError as error:
            raise AttachmentError(f"it cannot be written to the spool: {error.strerror}", retry=True) from None

    async def _follow(self, attachment: Attachment, path: Path) -> None:
        """Fetch, following redirects by hand: each goes through the guard like the first."""
        url = httpx.URL(attachment.url)
        for _ in range(MOST_REDIRECTS + 1):
            async with self._transport() as transport:
                response = await self._answer(transport, url)
                try:
                    if not response.has_redirect_location:
                        return await self._receive(response, attachment, path)
                    url = url.join(response.headers["Location"])
                finally:
                    await response.aclose()
        raise AttachmentError(f"redirected more than {MOST_REDIRECTS} times", retry=False)

    async def _answer(self, transport: httpx.AsyncBaseTransport, url: httpx.URL) -> httpx.Response:
        """Return the answer of the first of the host's addresses that can be connected to."""
        target = await self._guard.check(url)
        *others, last = target.requests(_HEADERS)
        for request in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await transport.handle_async_request(request)
        return await transport.handle_async_request(last)

    async def _receive(self, response: httpx.Response, attachment: Attachment, path: Path) -> None:
        """Write the body to disk under a temporary name, look at it, and give it its own."""
        status = response.status_code
        if status != 200:
            raise AttachmentError(f"the server answered HTTP {status}", retry=status >= 500 or status in _PASSING)
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isascii() and length.isdigit() else None
        self._refuse_size(expected or 0)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_PART}")
        with self._room(self._settings.max_size if expected is None else expected):
            try:
                with part.open("xb") as stream:
                    incoming = _Incoming(stream)
                    async for chunk in response.aiter_bytes(_CHUNK):
                        await asyncio.to_thread(incoming.write, chunk)
                        self._refuse_size(incoming.size)
                    await asyncio.to_thread(incoming.finish)
                if not incoming.size:
                    raise AttachmentError("the file is empty", retry=False)
                refuse_wrong_content(attachment.type, incoming.head, response.headers.get("Content-Type", ""))
                part.rename(path)
            finally:
                part.unlink(missing_ok=True)

    def _refuse_size(self, size: int) -> None:
        if size > self._settings.max_size:
            most = self._settings.max_size / 2**20
            raise AttachmentError(f"larger than {most:g} MiB ([attachments] max_size)", retry=False)

    @contextmanager
    def _room(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the spool.

        Raises:
            AttachmentError: There is no room now.
        """
        there = sum(entry.stat().st_size for entry in self._spooled() if not entry.name.endswith(_PART))
        if there + self._arriving + size > self._settings.max_spool:
            raise AttachmentError("the spool is full ([attachments] max_spool)", retry=True)
        self._arriving += size
        try:
            yield
        finally:
            self._arriving -= size

    def _spooled(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._folder) as entries:
                return list(entries)
        except FileNotFoundError:
            return []

    def _default_transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for one connection.

        Not a pool: it would know a connection by its IP address alone, and hand one whose certificate was
        checked for one name to a request for another.
        """
        if self._trust is None:
            self._trust = httpx.create_ssl_context()
        return httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False)


def _file(attachment: Attachment, path: Path) -> AttachmentFile:
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    path.touch()
    kind = type_of(attachment.type, head, attachment.name)
    name, size = safe_name(attachment.name, kind), path.stat().st_size
    return AttachmentFile(path=path, name=name, type=kind, size=size, url=attachment.url)
