"""What a subclass of the suite states, and what the tests have in common."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any, ClassVar

import httpx
import pytest

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.model import Body, Draft, Issue, Json
from bridge.secrets import Redactor
from bridge.testing.clock import FakeClock
from bridge.testing.samples import sample_draft
from bridge.testing.server import FakeServer, Fault, FaultKind, Reply, Request, When
from bridge.tracker import Tools, Tracker

ALWAYS = 99
"""How often a fault strikes that is not to go away within a test."""

STANDARD: Mapping[type[TrackerError], Reply] = {
    Rejected: Reply(422, json={"message": "Validation failed"}),
    NotAllowed: Reply(401, json={"message": "Unauthorized"}),
    RateLimited: Reply(429, json={"message": "Too many requests"}, headers={"Retry-After": "7"}),
    Unavailable: Reply(503, json={"message": "Service unavailable"}),
    InDoubt: Reply(502, body=b"<html>502 Bad Gateway</html>", headers={"Content-Type": "text/html"}),
    Gone: Reply(404, json={"message": "Not found"}),
}
"""What a server answers that says everything by its status."""


class Setup:
    """What a tracker's test states about it.

    Attributes:
        tracker: The tracker class.
        server: Its fake; made without arguments.
        secret: The credential that `settings` contains. It must not appear anywhere.
        lacks: Why the tracker cannot do something: a method of `bridge.tracker.OPTIONAL`, a part of a draft, or
            `pieces` (the vendor takes files inside JSON only).
        refusals: The vendor's own answers, one or several for each error; the others are `STANDARD`.
    """

    pytestmark = pytest.mark.anyio

    tracker: ClassVar[type[Tracker[Any]]]
    server: ClassVar[type[FakeServer]]
    secret: ClassVar[str] = ""
    lacks: ClassVar[Mapping[str, str]] = {}
    refusals: ClassVar[Mapping[type[TrackerError], Reply | Sequence[Reply]]] = {}

    def settings(self, url: str) -> dict[str, Any]:
        """Return the tracker's table as from TOML, for a server at `url`."""
        raise NotImplementedError

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        """Let a person be done with an issue of the fake, and return True; False where it does not offer that."""
        return False

    @classmethod
    def replies(cls, error: type[TrackerError]) -> Sequence[Reply]:
        """Return the vendor's answers that mean `error`."""
        found = cls.refusals.get(error, STANDARD.get(error, ()))
        return (found,) if isinstance(found, Reply) else found

    def make(self, url: str, **changes: Any) -> Tracker[Any]:
        """Return the tracker, configured for a server at `url` with `changes` to its table."""
        settings = self.tracker.settings_type.model_validate({**self.settings(url), **changes})
        http = partial(httpx.AsyncClient, verify=_certificates())
        return self.tracker("conformance", settings, Tools(FakeClock(), Redactor([self.secret]), http))

    @asynccontextmanager
    async def using(self, url: str, **changes: Any) -> AsyncIterator[Tracker[Any]]:
        """Give what `make` makes, and close it in the end."""
        tracker = self.make(url, **changes)
        try:
            yield tracker
        finally:
            await tracker.close()

    def needs(self, capability: str) -> None:
        """Skip the test for a tracker that lacks `capability` and says why."""
        if capability in self.lacks:
            pytest.skip(f"{self.tracker.label}: {self.lacks[capability]}")

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio, as the bridge does."""
        return "asyncio"

    @pytest.fixture
    def fake(self) -> Iterator[FakeServer]:
        """A running fake. In the end, everything it received must have fitted the vendor's description."""
        with self.server() as server:
            yield server
        assert server.invalid == []

    @pytest.fixture
    async def subject(self, fake: FakeServer) -> AsyncIterator[Tracker[Any]]:
        """The tracker under test."""
        async with self.using(fake.url) as tracker:
            yield tracker

    @pytest.fixture
    def draft(self, subject: Tracker[Any]) -> Draft:
        """The documented bug, mapped for the tracker."""
        return sample_draft(subject)


@lru_cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes longer than most tests; the fakes speak plain HTTP anyway."""
    return ssl.create_default_context()


def refuse(reply: Reply, when: When = When.ANY) -> Fault:
    """Return the fault that answers with `reply` from now on."""
    return Fault(FaultKind.REFUSE, when, ALWAYS, reply)


def writes(requests: Sequence[Request]) -> list[Request]:
    """Return the requests that may change something."""
    return [request for request in requests if request.method not in {"GET", "HEAD"}]


def sent(requests: Sequence[Request]) -> list[Json]:
    """Return every value, however deep, that requests carried in JSON, forms and queries."""
    found: list[Json] = []
    for request in requests:
        found += [value for values in request.query.values() for value in values]
        found += request.form.values()
        if "json" in request.headers.get("content-type", ""):
            found += leaves(request.json)
    return found


def leaves(value: Json) -> Iterator[Json]:
    """Yield `value` and everything inside it; JSON inside a text is looked into, too."""
    yield value
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            yield from leaves(json.loads(value))
        except ValueError:
            return


def carries(values: Sequence[Json], body: Body) -> bool:
    """Whether a body is among `values`: a document as it is, a text with something around it at most."""
    if isinstance(body.content, str):
        return carries_text(values, body.content.strip())
    return body.content in values


def carries_text(values: Sequence[Json], text: str) -> bool:
    """Whether `text` is in one of `values`."""
    return any(text in value for value in values if isinstance(value, str))
