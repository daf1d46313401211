"""The fake server: a real socket that fails on demand, and knows what it received."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bridge.testing import FakeServer, Fault, FaultKind, Reply, Request, When, refusing


class Counter(FakeServer):
    """Counts its posts."""

    posts = 0

    def respond(self, request: Request) -> Reply:
        if request.path == "/broken":
            raise KeyError("a bug of the fake")
        if request.method != "POST":
            return Reply(json={"posts": self.posts})
        self.posts += 1
        return Reply(201, json={"id": self.posts})

    def is_create(self, request: Request) -> bool:
        return request.method == "POST"

    def validate(self, request: Request, reply: Reply) -> None:
        if "odd" in request.query:
            raise AssertionError("query parameter 'odd' is unknown")


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as server:
        yield server


@pytest.fixture
def client(server: Counter) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=1) as client:
        yield client


def test_requests_are_kept_as_they_arrived(server: Counter, client: httpx.Client) -> None:
    client.post("/a%2Fb?x=1&x=2&empty=", json={"title": "ü"}, headers={"X-Key": "k"})

    request = server.requests[0]

    assert (request.method, request.path) == ("POST", "/a%2Fb")
    assert request.query == {"x": ["1", "2"], "empty": [""]}
    assert request.headers["x-key"] == "k"
    assert request.json == {"title": "ü"}


def test_a_chunked_body_is_whole(server: Counter, client: httpx.Client) -> None:
    client.post("/", content=iter([b"one ", b"two"]))

    assert server.requests[0].body == b"one two"


def test_files_and_fields_of_a_form_are_read(server: Counter, client: httpx.Client) -> None:
    odd = 'a"b\\c\r\nd☃.png'
    client.post("/", data={"comment": "ü"}, files={"file": (odd, b"\r\n--x\r\n\x00", "image/png")})
    client.post("/", data={"a": "1 & 2"})

    form, encoded = server.requests
    file = form.files[0]

    assert (file.field, file.name, file.type, file.content) == ("file", odd, "image/png", b"\r\n--x\r\n\x00")
    assert form.form == {"comment": "ü"}
    assert (encoded.form, encoded.files) == ({"a": "1 & 2"}, [])


def test_connections_are_kept_alive(server: Counter, client: httpx.Client) -> None:
    """Otherwise nobody would notice a client that breaks on a reused connection."""
    responses = [client.get("/") for _ in range(3)]

    assert (
        len({response.extensions["network_stream"].get_extra_info("client_addr") for response in responses}) == 1
    )


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "REPORT"])
def test_every_method_is_answered(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/").status_code in {200, 201}


@pytest.mark.parametrize(
    ("kind", "error", "processed"),
    [
        (FaultKind.RESET_BEFORE, httpx.ReadError, 0),
        (FaultKind.RESET_AFTER, httpx.ReadError, 1),
        (FaultKind.HANG_BEFORE, httpx.ReadTimeout, 0),
        (FaultKind.HANG_AFTER, httpx.ReadTimeout, 1),
        (FaultKind.HALF, httpx.RemoteProtocolError, 1),
    ],
)
def test_a_fault_breaks_the_connection_as_it_says(
    server: Counter, client: httpx.Client, kind: FaultKind, error: type[Exception], processed: int
) -> None:
    server.inject(Fault(kind))

    with pytest.raises(error):
        client.post("/")

    assert server.posts == processed
    assert client.post("/").json() == {"id": processed + 1}, "only once"


@pytest.mark.parametrize(("kind", "processed"), [(FaultKind.REFUSE, 0), (FaultKind.ANSWER_AFTER, 1)])
def test_a_fault_answers_before_or_after_processing(
    server: Counter, client: httpx.Client, kind: FaultKind, processed: int
) -> None:
    server.inject(Fault(kind, reply=Reply(418, json={"tea": True})))
    server.inject(Fault(kind))

    assert client.post("/").json() == {"tea": True}
    assert server.posts == processed
    assert client.post("/").status_code == 502, "without a reply, a gateway's page"


def test_a_fault_strikes_creates_only_or_anything_and_as_often_as_it_says(
    server: Counter, client: httpx.Client
) -> None:
    server.inject(Fault(FaultKind.REFUSE, times=2))
    server.inject(Fault(FaultKind.REFUSE, When.ANY, reply=Reply(503)))

    statuses = [client.get("/"), client.post("/"), client.post("/"), client.get("/")]

    assert [response.status_code for response in statuses] == [503, 502, 502, 200]


def test_faults_can_be_taken_back(server: Counter, client: httpx.Client) -> None:
    server.inject(Fault(FaultKind.HANG_BEFORE, When.ANY, times=99))
    server.heal()

    assert client.get("/").status_code == 200


def test_what_does_not_fit_is_recorded(server: Counter, client: httpx.Client) -> None:
    """A request that the description does not know, and a bug of the fake, which must not go unseen."""
    client.get("/x?odd=1")
    assert client.get("/broken").status_code == 500

    assert server.invalid[0] == "GET /x: query parameter 'odd' is unknown"
    assert "KeyError: 'a bug of the fake'" in server.invalid[1]


def test_closing_frees_those_who_wait() -> None:
    """A test that fails must not hang."""
    answers: list[Any] = []
    with Counter() as server:
        server.inject(Fault(FaultKind.HANG_BEFORE))

        def wait() -> None:
            with pytest.raises(httpx.TransportError) as caught:
                httpx.post(server.url, timeout=30)
            answers.append(caught.value)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not server.requests:
            waiting.join(0.005)
    waiting.join(5)

    assert len(answers) == 1
    server.close()


def test_many_connections_at_once_are_served(server: Counter, client: httpx.Client) -> None:
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda _: client.post("/").json()["id"], range(60)))

    assert sorted(ids) == list(range(1, 61))


def test_an_address_that_refuses_is_refused() -> None:
    with refusing() as url, pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_an_address_is_known_only_after_the_start() -> None:
    with pytest.raises(RuntimeError, match="with"):
        _ = Counter().url
