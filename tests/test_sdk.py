"""The base of trackers behind a synchronous SDK: threads, clients, and what the SDK's exceptions mean."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests

from bridge import (
    Answer,
    Draft,
    Gone,
    InDoubt,
    Issue,
    Markup,
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    SdkTracker,
    Tools,
    TrackerError,
    TrackerSettings,
    Unavailable,
)
from bridge.secrets import Redactor
from bridge.testing import FakeClock, FakeServer, Fault, FaultKind, Reply, Request, When, refusing

LOOK, CREATE, ISSUE = Purpose.LOOK, Purpose.CREATE, Purpose.ISSUE
SECRET = "very-secret"


class SdkError(Exception):
    """What the invented SDK raises for an answer that is no success."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Client:
    """The invented SDK: `requests` inside, as in all of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.thread = threading.current_thread().name

    def post(self) -> Any:
        with requests.Session() as session:
            response = session.post(self.url, timeout=0.3)
        if not response.ok:
            raise SdkError(response.status_code, response.text)
        return response.json()


class Behind(SdkTracker[TrackerSettings, Client]):
    type, label, settings_type, markup = "behind", "Behind", TrackerSettings, Markup.GFM
    url = "http://127.0.0.1:9"

    def __init__(self, **settings: Any) -> None:
        tools = Tools(FakeClock(), Redactor([SECRET]))
        super().__init__("behind", TrackerSettings(type="behind", **settings), tools)
        self.clients: list[Client] = []

    def connect(self) -> Client:
        self.clients.append(Client(self.url))
        return self.clients[-1]

    def answer_of(self, error: Exception) -> Answer | None:
        return Answer(error.status, str(error)) if isinstance(error, SdkError) else None

    async def check(self) -> Report:
        return Report()

    async def create(self, draft: Draft) -> Issue:
        raise NotImplementedError


class Server(FakeServer):
    reply = Reply(201, json={"id": 7})

    def respond(self, request: Request) -> Reply:
        return self.reply

    def is_create(self, request: Request) -> bool:
        return True


def use(tracker: Behind, work: Callable[[Behind], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        try:
            return await work(tracker)
        finally:
            await tracker.close()

    return asyncio.run(run())


def failure(tracker: Behind, call: Callable[[Client], Any], purpose: Purpose = LOOK) -> Exception:
    """The error that a call ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the tests look at its type
        use(tracker, lambda tracker: tracker.run(call, purpose=purpose))
    return caught.value


def raising(error: Exception) -> Callable[[Client], Any]:
    def call(_client: Client) -> Any:
        raise error

    return call


def test_calls_run_in_the_trackers_own_threads_with_one_client_each() -> None:
    """No client is used by two threads, and none is made anew for each call."""
    tracker = Behind(concurrency=3)
    meet = threading.Barrier(3)

    def call(client: Client) -> tuple[str, str]:
        meet.wait(5)
        return client.thread, threading.current_thread().name

    async def work(tracker: Behind) -> list[tuple[str, str]]:
        return [pair for _ in range(3) for pair in await asyncio.gather(*(tracker.run(call) for _ in range(3)))]

    pairs = use(tracker, work)

    assert all(made_in == used_in for made_in, used_in in pairs)
    assert all(name.startswith("tracker-behind") for name, _ in pairs)
    assert len(tracker.clients) == 3


def test_the_loop_goes_on_while_the_sdk_waits() -> None:
    tracker, told = Behind(), threading.Event()

    async def work(tracker: Behind) -> bool:
        waiting = asyncio.create_task(tracker.run(lambda _client: told.wait(5)))
        await asyncio.sleep(0)
        told.set()  # never reached, were the loop blocked
        return bool(await waiting)

    assert use(tracker, work)


def test_it_works_again_after_closing() -> None:
    tracker = Behind()

    assert [use(tracker, lambda tracker: tracker.run(lambda _client: 7)) for _ in range(2)] == [7, 7]
    assert len(tracker.clients) == 2


@pytest.mark.parametrize(
    ("status", "purpose", "error"),
    [
        (422, CREATE, Rejected),
        (401, CREATE, NotAllowed),
        (404, ISSUE, Gone),
        (404, LOOK, Rejected),
        (502, CREATE, InDoubt),
        (502, LOOK, Unavailable),
    ],
)
def test_an_answer_means_the_same_as_without_an_sdk(
    status: int, purpose: Purpose, error: type[TrackerError]
) -> None:
    raised = failure(Behind(), raising(SdkError(status, f"no, {SECRET}")), purpose)

    assert type(raised) is error
    assert str(raised) == f"no, [secret] (HTTP {status})"
    assert raised.__suppress_context__, "the SDK's own exception may hold the secret"


def test_a_tracker_error_passes_redacted() -> None:
    raised = failure(Behind(), raising(Rejected(f"no {SECRET}", fields={"a": SECRET})))

    assert str(raised) == "no [secret]: a: [secret]"


def test_a_bug_of_the_plugin_is_not_dressed_up() -> None:
    error = KeyError("number")

    assert failure(Behind(), raising(error), CREATE) is error


@pytest.mark.parametrize(
    ("kind", "purpose", "error"),
    [
        (FaultKind.RESET_BEFORE, CREATE, InDoubt),
        (FaultKind.RESET_AFTER, CREATE, InDoubt),
        (FaultKind.HANG_BEFORE, CREATE, InDoubt),
        (FaultKind.HALF, CREATE, InDoubt),
        (FaultKind.RESET_BEFORE, LOOK, Unavailable),
        (FaultKind.HANG_BEFORE, ISSUE, Unavailable),
        (FaultKind.HALF, ISSUE, Unavailable),
    ],
)
def test_broken_connections_on_a_real_socket(kind: FaultKind, purpose: Purpose, error: type[TrackerError]) -> None:
    with Server() as server:
        server.inject(Fault(kind, When.ANY))
        tracker = Behind()
        tracker.url = server.url

        assert type(failure(tracker, Client.post, purpose)) is error


def test_an_answer_that_is_no_json_is_in_doubt_in_a_create() -> None:
    with Server() as server:
        server.reply = Reply(200, body=b"<html>Sign in</html>")
        tracker = Behind()
        tracker.url = server.url

        assert type(failure(tracker, Client.post, CREATE)) is InDoubt


def test_a_refused_connection_leaves_no_doubt() -> None:
    with refusing() as url:
        tracker = Behind()
        tracker.url = url

        assert type(failure(tracker, Client.post, CREATE)) is Unavailable


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (requests.ConnectTimeout("slow"), Unavailable),
        (requests.exceptions.SSLError("certificate"), Unavailable),
        (requests.exceptions.ProxyError("proxy"), Unavailable),
        (requests.exceptions.InvalidURL("address"), Rejected),
        (requests.exceptions.MissingSchema("address"), Rejected),
        (requests.ReadTimeout("slow"), InDoubt),
        (requests.ConnectionError("reset"), InDoubt),
        (requests.TooManyRedirects("round and round"), InDoubt),
    ],
)
def test_what_the_library_raises_in_a_create(raised: Exception, error: type[TrackerError]) -> None:
    assert type(failure(Behind(), raising(raised), CREATE)) is error


def test_a_failure_to_connect_is_never_in_doubt() -> None:
    """Nothing of ours was sent yet, although the call was to create."""

    class Refused(Behind):
        def connect(self) -> Client:
            raise requests.ConnectionError("reset while signing in")

    assert type(failure(Refused(), lambda _client: 7, CREATE)) is Unavailable
