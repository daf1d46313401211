"""Talking HTTP to trackers: one client, one place that turns answers and broken connections into errors."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic
from urllib.parse import urlsplit

from bridge.answers import SHOWN, Answer, Purpose, at, redacted, unexpected, words_in
from bridge.clients import ClientPool
from bridge.errors import InDoubt, NotAllowed, Rejected, TrackerError, Unavailable
from bridge.lazy import lazily
from bridge.model import AttachmentFile, Json
from bridge.names import forget_names
from bridge.secrets import fingerprint, secrets_in
from bridge.tracker import S, Tracker

if TYPE_CHECKING:
    import httpx
else:
    httpx = lazily("httpx")

USER_AGENT = "tracker-bridge"
CONTENT = "<the file's content in base64>"
"""Stands in the JSON of `HttpTracker.send_encoded` where the file's content is to come."""
_PIECE = 65536  # bytes of a file that are read at once


def broken_connection(error: httpx.TransportError, purpose: Purpose) -> TrackerError:
    """Return the error that a broken connection means: was the request possibly sent, or surely not?"""
    words = str(error) or type(error).__name__
    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    if isinstance(error, unsent):
        return Unavailable(f"no connection: {words}")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return Rejected(f"the request cannot be sent: {words}")
    if purpose is Purpose.CREATE:
        return InDoubt(f"sent, but no answer: {words}")
    return Unavailable(f"no answer: {words}")


async def without_refused(
    send: Callable[[dict[str, Json]], Awaitable[Json]], values: Mapping[str, Json], needed: Container[str] = ()
) -> tuple[Json, list[str]]:
    """Send values; where a tracker refuses only such as an issue can do without, send the others.

    For trackers that refuse everything for one value. A refusal saved nothing, so no second issue comes of it.

    Args:
        send: Sends values by the names under which the tracker refuses them (`TrackerError.fields`).
        values: All values.
        needed: Names of those that are never left out.

    Returns:
        The answer, and a warning for each value that was left out.

    Raises:
        TrackerError: What `send` raised.
    """
    try:
        return await send(dict(values)), []
    except Rejected as refusal:
        refused = {name: words for name, words in refusal.fields.items() if name in values}
        if not refused or any(name in needed for name in refused):
            raise
    answer = await send({name: value for name, value in values.items() if name not in refused})
    return answer, [f"{name} is left out: {words}" for name, words in refused.items()]


class HttpTracker(Tracker[S], Generic[S]):
    """Base of trackers that are spoken to in HTTP.

    A subclass defines `base_url` and `headers` (or `auth`), and uses `call`. Connections are kept for later calls.
    Redirects are not followed: a followed POST turns into a GET.
    """

    @property
    def base_url(self) -> str:
        """Address that every path of `call` is put behind."""
        raise NotImplementedError

    def headers(self) -> Mapping[str, str]:
        """Return headers for every request, credentials included."""
        return {}

    def auth(self) -> tuple[str, str] | None:
        """Return user and password for Basic authentication, or None."""
        return None

    @property
    def account(self) -> str:
        """The host, and the fingerprint of all secrets in the settings that we sign in with."""
        secrets = secrets_in({name: value for name, value in self.settings if name != "hook_secret"})
        return f"{urlsplit(self.base_url).hostname}/{fingerprint(*secrets)}"

    def ca_file(self) -> Path | None:
        """Return the PEM file with the CA of the server's certificate, where it is not one that all trust.

        That is the setting `ca_file` of a type that has one.
        """
        return getattr(self.settings, "ca_file", None)

    def forget(self) -> None:
        """Look up anew what was looked up: the tracker's `Names`, and those in a `Directory`.

        Called when a create was refused: an id that is remembered may be of something that is gone.
        """
        forget_names(self)

    async def call(
        self,
        method: str,
        path: str,
        *,
        purpose: Purpose = Purpose.LOOK,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Json:
        """Send one request, once, and return the answer's JSON (None where it has no body).

        Args:
            method: `"GET"`, `"POST"`, ...
            path: Behind `base_url`.
            purpose: What it is for; decides what a failure means.
            headers: More headers, for this request only.
            request: As `httpx.AsyncClient.request` takes them: `json`, `params`, `files`, `content`, ...

        Raises:
            TrackerError: The one that fits.
        """
        try:
            with self._clients.lend() as client:
                response = await client.request(method, path, headers=headers, **request)
        except httpx.TransportError as error:
            raise self._redacted(broken_connection(error, purpose)) from None
        except httpx.DecodingError as error:
            raise self._redacted(unexpected(f"an answer that cannot be read: {error}", purpose)) from None
        return self._read(response, purpose)

    def created(self, data: Json, *path: str | int) -> Json:
        """Return what `path` leads to in the answer to a create: the new issue's id, or what holds it.

        Raises:
            InDoubt: It is not there: whatever answered with success, we do not know of an issue.
        """
        value = at(data, path)
        if value is None or value == "":
            names = ".".join(map(str, path))
            raise self._redacted(InDoubt(f"the answer to the create holds no {names}: {str(data)[:SHOWN]}"))
        return value

    async def graphql(
        self,
        query: str,
        variables: Mapping[str, Json] | None = None,
        *,
        path: str = "",
        purpose: Purpose = Purpose.LOOK,
    ) -> Json:
        """Send a GraphQL document and return the answer's `data`.

        Args:
            query: The document.
            variables: Its variables.
            path: Behind `base_url`.
            purpose: What it is for.

        Raises:
            TrackerError: The one that fits. Errors inside 200 go through `explain` like any other answer; those it
                says nothing of are `Rejected` with the tracker's words.
        """
        sent = {"query": query, "variables": dict(variables or {})}
        answer = await self.call("POST", path, purpose=purpose, json=sent)
        errors = answer.get("errors") if isinstance(answer, dict) else None
        if errors:
            raise self._redacted(Rejected("; ".join(str(each.get("message", each)) for each in errors)))
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
            raise unexpected("an answer without data", purpose)
        return answer["data"]

    async def upload(
        self,
        path: str,
        file: AttachmentFile,
        *,
        field_name: str = "file",
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        purpose: Purpose = Purpose.ISSUE,
    ) -> Json:
        """Send a file as one part of a multipart form, read in pieces, and return the answer's JSON.

        Args:
            path: Behind `base_url`.
            file: The file.
            field_name: Name of its part.
            data: Other parts.
            headers: More headers.
            method: `"POST"` or `"PUT"`.
            purpose: What it is for.

        Raises:
            TrackerError: The one that fits.
        """
        with file.path.open("rb") as stream:
            part = {field_name: (file.name, stream, file.type)}
            return await self.call(method, path, purpose=purpose, headers=headers, data=data, files=part)

    async def send_file(
        self,
        path: str,
        file: AttachmentFile,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        purpose: Purpose = Purpose.ISSUE,
    ) -> Json:
        """Send a file as the whole body of a request, read in pieces, and return the answer's JSON.

        Args:
            path: Behind `base_url`.
            file: The file.
            params: The query.
            headers: More headers; `Content-Type` is the file's unless it is among them.
            method: `"POST"` or `"PUT"`.
            purpose: What it is for.

        Raises:
            TrackerError: The one that fits.
        """
        own = {"Content-Type": file.type, "Content-Length": str(file.size), **(headers or {})}
        with file.path.open("rb") as stream:
            return await self.call(
                method, path, purpose=purpose, headers=own, params=params, content=_pieces(stream)
            )

    async def send_encoded(
        self,
        path: str,
        file: AttachmentFile,
        body: Mapping[str, Json],
        *,
        params: Mapping[str, str] | None = None,
        method: str = "POST",
        purpose: Purpose = Purpose.ISSUE,
    ) -> Json:
        """Send a file in base64 inside JSON, read and encoded in pieces, and return the answer's JSON.

        Args:
            path: Behind `base_url`.
            file: The file.
            body: The JSON; the file's content comes in where the text `CONTENT` stands in it, once.
            params: The query.
            method: `"POST"` or `"PUT"`.
            purpose: What it is for.

        Raises:
            TrackerError: The one that fits.
        """
        head, _, tail = json.dumps(body).partition(CONTENT)
        length = len(head) + (file.size + 2) // 3 * 4 + len(tail)
        headers = {"Content-Type": "application/json", "Content-Length": str(length)}
        with file.path.open("rb") as stream:
            content = _encoded_pieces(head.encode(), stream, tail.encode())
            return await self.call(method, path, purpose=purpose, headers=headers, params=params, content=content)

    async def store_file(
        self, url: str, file: AttachmentFile, *, headers: Mapping[str, str] | None = None, method: str = "PUT"
    ) -> None:
        """Send a file to a storage elsewhere, at an address that carries a signature in place of our credentials.

        Args:
            url: The whole address. It is in no error: whoever has it may write there.
            file: The file.
            headers: More headers; `Content-Type` is the file's unless it is among them.
            method: `"PUT"` or `"POST"`.

        Raises:
            Rejected: It is too large.
            Unavailable: It was not taken. Such an address is valid for minutes only: ask for another one.
        """
        own = httpx.Headers(
            {"User-Agent": USER_AGENT, "Content-Type": file.type, "Content-Length": str(file.size)}
        )
        own.update(headers)
        client = self.tools.http(timeout=self._patience, follow_redirects=False)
        async with client:
            with file.path.open("rb") as stream:
                try:
                    response = await client.request(method, url, headers=own, content=_pieces(stream))
                except httpx.TransportError as error:
                    raise Unavailable(f"the storage for files: {type(error).__name__}") from None
        if response.status_code == 413:
            raise Rejected("too large for the storage for files", status=413)
        if not response.is_success or "html" in response.headers.get("content-type", ""):
            raise Unavailable("the storage for files did not take it", status=response.status_code)

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means in this tracker's dialect; None for none.

        Args:
            answer: Status and headers; `message` is the start of a body that is not JSON.
            data: The body's JSON; None where it is none.
            purpose: What the request was for.

        Override to read error bodies and errors inside 200, and call `error_for` with better words.
        """
        if 200 <= answer.status < 300 and not (data is None and answer.message):
            return None
        return self.refusal(replace(answer, message=answer.message or words_in(data)), purpose)

    async def open(self) -> None:
        """Make a client: what it needs is imported in a thread."""
        await asyncio.to_thread(self._clients.prepare)

    async def close(self) -> None:
        """Close the connections."""
        await self._clients.close()

    @cached_property
    def _clients(self) -> ClientPool:
        return ClientPool(self._new_client)

    def _new_client(self) -> httpx.AsyncClient:
        return self.tools.http(
            base_url=self.base_url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **self.headers()},
            auth=self.auth(),
            timeout=self._patience,
            follow_redirects=False,
            **self._trust,
        )

    @cached_property
    def _trust(self) -> dict[str, Any]:
        return _trusting(self.ca_file())

    @property
    def _patience(self) -> httpx.Timeout:
        seconds = self.settings.timeout.total_seconds()
        return httpx.Timeout(seconds, connect=min(seconds, 10.0))

    def _read(self, response: httpx.Response, purpose: Purpose) -> Json:
        data: Json = None
        try:
            data = response.json() if response.content else None
            message = "" if data is not None else response.reason_phrase if response.status_code >= 300 else ""
        except ValueError:
            kind = response.headers.get("content-type", "no type").split(";")[0]
            words = response.text[:SHOWN].strip()
            plain = kind == "text/plain" and response.status_code >= 400  # some trackers refuse in plain words
            message = words if plain and words else f"an answer that is no JSON ({kind}): {words}"
        headers = {name.lower(): value for name, value in response.headers.items()}
        error = self.explain(Answer(response.status_code, message, {}, headers), data, purpose)
        if error is not None:
            if purpose is Purpose.CREATE and isinstance(error, Rejected | NotAllowed) and error.status != 401:
                self.forget()
            raise self._redacted(error)
        return data

    def _redacted(self, error: TrackerError) -> TrackerError:
        return redacted(error, self.tools.redact)


async def _pieces(stream: BinaryIO) -> AsyncIterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


async def _encoded_pieces(head: bytes, stream: BinaryIO, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    while piece := stream.read(3 * _PIECE):  # whole triplets of bytes: only the last piece may be padded
        yield b64encode(piece)
    yield tail


def _trusting(ca_file: Path | None) -> dict[str, Any]:
    """Return the client's option that makes it trust `ca_file` too.

    Raises:
        NotAllowed: The file cannot be read, or is no certificate.
    """
    if ca_file is None:
        return {}
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:  # an SSLError is one
        raise NotAllowed(f"ca_file: {ca_file} cannot be used: {error.strerror or error}") from None
    return {"verify": context}
