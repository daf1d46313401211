"""What an answer means, what a broken connection means, and the base of trackers that speak HTTP."""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge import (
    Answer,
    AttachmentFile,
    Draft,
    Gone,
    HttpTracker,
    InDoubt,
    Issue,
    Json,
    Markup,
    Names,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    Report,
    Secret,
    Tools,
    TrackerError,
    TrackerSettings,
    Unavailable,
    error_for,
    fingerprint,
    inside,
    list_inside,
    unexpected,
)
from bridge.answers import retry_after, until, words_in
from bridge.http import CONTENT, broken_connection, without_refused
from bridge.secrets import Redactor
from bridge.testing import FakeClock, FakeServer, Fault, FaultKind, Reply, Request, When

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LOOK, CREATE, ISSUE = Purpose.LOOK, Purpose.CREATE, Purpose.ISSUE
SECRET = "very/secret"


class Server(FakeServer):
    """Answers everything with `reply`."""

    reply = Reply(json={"id": 7})

    def respond(self, request: Request) -> Reply:
        return self.reply

    def is_create(self, request: Request) -> bool:
        return request.method == "POST"


class Plain(HttpTracker[TrackerSettings]):
    type, label, settings_type, markup = "plain", "Plain", TrackerSettings, Markup.GFM
    url = ""

    @property
    def base_url(self) -> str:
        return self.url

    def headers(self) -> Mapping[str, str]:
        return {"X-Key": SECRET}

    async def check(self) -> Report:
        return Report()

    async def create(self, draft: Draft) -> Issue:
        raise NotImplementedError


class Board(Plain):
    """A tracker that says what it lacks, and how long its limits last."""

    absent = "there is no board of {settings.title}: correct `title`"
    limit_ends = "x-limit-ends"
    limit_lasts = timedelta(seconds=10)


class Dialect(Plain):
    """A tracker that says no with 200."""

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        if data and "errors" in data:
            return Rejected("refused", status=answer.status, fields=data["errors"])
        return super().explain(answer, data, purpose)


def talk(server: Server, work: Callable[[Plain], Awaitable[Any]], kind: type[Plain] = Plain) -> Any:
    """Let `work` use a tracker that talks to `server`."""

    async def run() -> Any:
        tools = Tools(FakeClock(), Redactor([SECRET]))
        tracker = kind("plain", TrackerSettings(type="plain", timeout=timedelta(seconds=0.3)), tools)
        tracker.url = server.url
        try:
            return await work(tracker)
        finally:
            await tracker.close()

    return asyncio.run(run())


def failure(
    server: Server, method: str = "GET", purpose: Purpose = LOOK, kind: type[Plain] = Plain
) -> TrackerError:
    """The error that a call ends with."""
    with pytest.raises(TrackerError) as caught:
        talk(server, lambda tracker: tracker.call(method, "/x", purpose=purpose), kind)
    return caught.value


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        (str(NOW.timestamp() + 90), 90),
        (str(NOW.timestamp() - 90), 0),
        ("99999999999", 30 * 86400),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("1e400", None),
    ],
)
def test_the_end_of_a_limit_is_in_seconds_from_now_or_since_1970(end: str, seconds: float | None) -> None:
    wait = until(end, NOW)
    assert (wait.total_seconds() if wait is not None else None) == seconds


@pytest.mark.parametrize(("purpose", "error"), [(LOOK, Unavailable), (CREATE, InDoubt), (ISSUE, Unavailable)])
def test_a_success_without_what_it_should_hold_is_none(purpose: Purpose, error: type[TrackerError]) -> None:
    for look in (
        lambda: inside({"a": [{"b": None}]}, "a", 0, "b", purpose=purpose),
        lambda: inside("text", "a", purpose=purpose),
        lambda: list_inside({"a": {}}, "a", purpose=purpose),
        lambda: list_inside({"a": {}}, purpose=purpose),
    ):
        with pytest.raises(error, match=r"there is no .* in the answer"):
            look()
    assert type(unexpected("nothing", purpose)) is error


def test_what_a_success_holds_is_found_along_its_path() -> None:
    answer = {"a": [{"b": 0}]}

    assert (inside(answer, "a", 0, "b"), list_inside(answer, "a"), list_inside([])) == (0, [{"b": 0}], [])


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize(("purpose", "error"), [(LOOK, NotAllowed), (CREATE, NotAllowed), (ISSUE, Gone)])
def test_what_is_absent_and_what_to_correct_is_said_where_no_issue_was_asked_for(
    purpose: Purpose, error: type[TrackerError], status: int
) -> None:
    with Server() as server:
        server.reply = Reply(status, json={"message": "not found"})
        refused = failure(server, purpose=purpose, kind=Board)

    words = (
        "not found"
        if purpose is ISSUE
        else ("there is no board of {{ bug.title }}: correct `title` (Plain: not found)")
    )
    assert type(refused) is error
    assert str(refused) == f"{words} (HTTP {status})"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 10),
        ({"X-Limit-Ends": "4"}, 4),
        ({"X-Limit-Ends": "0"}, 1),
        ({"X-Limit-Ends": "4", "Retry-After": "2"}, 2),
    ],
)
def test_how_long_a_limit_lasts_is_told_by_one_of_its_headers_or_known(
    headers: dict[str, str], seconds: float
) -> None:
    with Server() as server:
        server.reply = Reply(429, headers=headers)
        limited = failure(server, kind=Board)

    assert limited.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "purpose", "asked"),
    [
        (422, CREATE, 2),
        (404, CREATE, 2),
        (403, CREATE, 2),
        (401, CREATE, 1),
        (422, ISSUE, 1),
        (422, LOOK, 1),
        (500, CREATE, 1),
    ],
)
def test_names_are_looked_up_anew_after_a_refused_create(status: int, purpose: Purpose, asked: int) -> None:
    looked_up = []

    async def labels() -> Mapping[str, str]:
        looked_up.append("labels")
        return {"crowd": "1"}

    async def work(tracker: Plain) -> None:
        setattr(tracker, "labels", Names("label", labels, tracker.tools.clock))  # noqa: B010 - of this test only
        for _ in range(2):
            assert await getattr(tracker, "labels").find("crowd") == "1"  # noqa: B009
            with pytest.raises(TrackerError):
                await tracker.call("POST", "/x", purpose=purpose)

    with Server() as server:
        server.reply = Reply(status)
        talk(server, work, Board)

    assert len(looked_up) == asked


def test_trackers_share_an_account_where_server_and_secrets_are_the_same() -> None:
    class Settings(TrackerSettings):
        key: Secret
        more: Secret | None = None

    def account(url: str, **secrets: str) -> str:
        settings = Settings.model_validate({"type": "plain", **secrets})
        tracker = Plain("plain", settings)
        tracker.url = url
        return tracker.account

    one = account("https://a.example/x", key="k1")
    assert one == account("https://a.example/y", key="k1", hook_secret="h" * 16)
    assert len({one, account("https://b.example", key="k1"), account("https://a.example", key="k2"),
                account("https://a.example", key="k1", more="m")}) == 4  # fmt: skip
    assert "k1" not in one


@pytest.mark.parametrize(
    ("status", "look", "create", "issue"),
    [
        (400, Rejected, Rejected, Rejected),
        (401, NotAllowed, NotAllowed, NotAllowed),
        (403, NotAllowed, NotAllowed, NotAllowed),
        (404, Rejected, Rejected, Gone),
        (407, NotAllowed, NotAllowed, NotAllowed),
        (408, Unavailable, InDoubt, Unavailable),
        (409, Rejected, Rejected, Rejected),
        (410, Rejected, Rejected, Gone),
        (413, Rejected, Rejected, Rejected),
        (422, Rejected, Rejected, Rejected),
        (429, RateLimited, RateLimited, RateLimited),
        (500, Unavailable, InDoubt, Unavailable),
        (502, Unavailable, InDoubt, Unavailable),
        (503, Unavailable, InDoubt, Unavailable),
        (504, Unavailable, InDoubt, Unavailable),
        (302, Rejected, Rejected, Rejected),
        (200, Unavailable, InDoubt, Unavailable),
    ],
)
def test_a_status_means_an_error_for_each_purpose(
    status: int, look: type[TrackerError], create: type[TrackerError], issue: type[TrackerError]
) -> None:
    meant = [type(error_for(Answer(status), purpose, NOW)) for purpose in (LOOK, CREATE, ISSUE)]

    assert meant == [look, create, issue]


def test_an_error_tells_the_trackers_words_status_and_fields() -> None:
    error = error_for(Answer(422, "Validation failed", {"title": "is too long"}), CREATE, NOW)

    assert str(error) == "Validation failed (HTTP 422): title: is too long"


def test_a_redirect_says_where_to_without_its_query() -> None:
    error = error_for(Answer(301, headers={"location": "https://sso.example/login?token=1"}), LOOK, NOW)

    assert str(error) == (
        "redirected to https://sso.example/login: correct the address in the configuration (HTTP 301)"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("Mon, 05 Jan 2026 09:02:00 GMT", 120),
        ("Mon, 05 Jan 2026 08:00:00 GMT", 0),
        ("Mon, 05 Jan 2026 09:02:00 -0000", 120),
        ("soon", None),
        ("", None),
        ("inf", None),
        ("1e300", None),
        ("99999999999", 30 * 86400),
        ("Mon, 05 Jan 9926 09:02:00 GMT", 30 * 86400),
    ],
)
def test_retry_after_is_seconds_or_a_moment(value: str, seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert retry_after({"retry-after": value}, NOW) == expected


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_carries_how_long_to_wait(status: int) -> None:
    error = error_for(Answer(status, headers={"retry-after": "30"}), LOOK, NOW)

    assert error.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("error", "in_a_create", "elsewhere"),
    [
        (httpx.ConnectError, Unavailable, Unavailable),
        (httpx.ConnectTimeout, Unavailable, Unavailable),
        (httpx.PoolTimeout, Unavailable, Unavailable),
        (httpx.ProxyError, Unavailable, Unavailable),
        (httpx.WriteError, InDoubt, Unavailable),
        (httpx.WriteTimeout, InDoubt, Unavailable),
        (httpx.ReadTimeout, InDoubt, Unavailable),
        (httpx.ReadError, InDoubt, Unavailable),
        (httpx.RemoteProtocolError, InDoubt, Unavailable),
        (httpx.UnsupportedProtocol, Rejected, Rejected),
        (httpx.LocalProtocolError, Rejected, Rejected),
    ],
)
def test_a_broken_connection_is_in_doubt_only_if_a_create_may_have_been_sent(
    error: type[httpx.TransportError], in_a_create: type[TrackerError], elsewhere: type[TrackerError]
) -> None:
    assert type(broken_connection(error("words"), CREATE)) is in_a_create
    assert type(broken_connection(error("words"), ISSUE)) is elsewhere
    assert type(broken_connection(error("words"), LOOK)) is elsewhere


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"message": "no"}, "no"),
        ({"error": {"code": 3}}, '{"error": {"code": 3}}'),
        ({"error": "bad_token", "error_description": "The token ended"}, "The token ended"),
        (["ü"], '["ü"]'),
        ({}, ""),
        (None, ""),
    ],
)
def test_the_words_of_a_refusal_are_its_message_or_its_beginning(data: Json, words: str) -> None:
    assert words_in(data) == words


def test_fingerprints_are_equal_for_equal_credentials_only() -> None:
    assert fingerprint("user", "token") == fingerprint("user", "token")
    assert fingerprint("user", "token") != fingerprint("usert", "oken")
    assert "token" not in fingerprint("user", "token")


def test_a_call_returns_the_answers_json_and_none_for_no_body() -> None:
    with Server() as server:
        assert talk(server, lambda tracker: tracker.call("GET", "/x")) == {"id": 7}
        server.reply = Reply(204)
        assert talk(server, lambda tracker: tracker.call("DELETE", "/x")) is None

    assert server.requests[0].headers["x-key"] == SECRET
    assert server.requests[0].headers["user-agent"] == "tracker-bridge"


def test_each_call_has_a_client_for_itself_and_clients_serve_until_closing() -> None:
    made: list[httpx.AsyncClient] = []

    def make(**settings: Any) -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(**settings))
        return made[-1]

    async def work(tracker: Plain) -> None:
        tracker.tools = replace(tracker.tools, http=make)
        await tracker.open()
        for _ in range(3):
            await tracker.call("GET", "/x")
        assert len(made) == 1, "one after the other needs one"
        for _ in range(3):
            await asyncio.gather(tracker.call("GET", "/x"), tracker.call("GET", "/x"))
        assert len(made) == 2, "two at once need two"
        await tracker.close()
        assert all(client.is_closed for client in made)
        await tracker.call("GET", "/x")
        assert len(made) == 3

    with Server() as server:
        talk(server, work)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_page_instead_of_json_is_never_a_success(purpose: Purpose) -> None:
    page = Reply(200, body=b"<html>Sign in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with Server() as server:
        server.reply = page
        error = failure(server, "POST", purpose)

    assert type(error) is (InDoubt if purpose is CREATE else Unavailable)
    assert "no JSON (text/html): <html>Sign in</html>" in str(error)


def test_an_answer_that_cannot_be_decompressed_is_in_doubt_in_a_create() -> None:
    broken = Reply(201, body=b"no gzip", headers={"Content-Encoding": "gzip"})
    with Server() as server:
        server.reply = broken
        assert type(failure(server, "POST", CREATE)) is InDoubt
        assert type(failure(server)) is Unavailable


def test_a_compressed_answer_is_read() -> None:
    with Server() as server:
        body = gzip.compress(b'{"id": 7}')
        server.reply = Reply(200, body=body, headers={"Content-Encoding": "gzip"})

        assert talk(server, lambda tracker: tracker.call("GET", "/x")) == {"id": 7}


def test_redirects_are_not_followed() -> None:
    with Server() as server:
        server.reply = Reply(302, headers={"Location": "/elsewhere"})
        error = failure(server, "POST", CREATE)

    assert type(error) is Rejected
    assert len(server.requests) == 1


def test_a_tracker_may_read_errors_out_of_a_success() -> None:
    with Server() as server:
        server.reply = Reply(200, json={"errors": {"title": f"not {SECRET}"}})
        error = failure(server, kind=Dialect)

    assert str(error) == "refused (HTTP 200): title: not [secret]"


def test_secrets_are_taken_out_of_errors_plain_and_quoted() -> None:
    with Server() as server:
        server.reply = Reply(400, json={"message": f"bad key {SECRET} in /x?key=very%2Fsecret"})
        error = failure(server)

    assert str(error) == "bad key [secret] in /x?key=[secret] (HTTP 400)"


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE, FaultKind.HALF])
@pytest.mark.parametrize(("purpose", "error"), [(CREATE, InDoubt), (LOOK, Unavailable), (ISSUE, Unavailable)])
def test_broken_connections_on_a_real_socket(kind: FaultKind, purpose: Purpose, error: type[TrackerError]) -> None:
    with Server() as server:
        server.inject(Fault(kind, When.ANY))
        assert type(failure(server, "POST", purpose)) is error

    assert len(server.requests) == 1


@pytest.mark.parametrize("data", [None, {}, [], {"issue": {}}, {"issue": None}, {"issue": {"id": ""}}, "text", 7])
def test_a_created_issue_without_its_id_is_in_doubt(data: Json) -> None:
    tracker = Plain("plain", TrackerSettings(type="plain"))

    with pytest.raises(InDoubt, match=r"holds no issue\.id"):
        tracker.created(data, "issue", "id")


def test_the_id_of_a_created_issue_is_found_along_its_path() -> None:
    tracker = Plain("plain", TrackerSettings(type="plain"))

    assert tracker.created({"issues": [{"id": 0}]}, "issues", 0, "id") == 0


def test_a_file_is_sent_as_the_whole_body_with_its_length_and_type(tmp_path: Path) -> None:
    (tmp_path / "spooled").write_bytes(b"x" * 200_000)
    file = AttachmentFile(path=tmp_path / "spooled", name="a.png", type="image/png", size=200_000, url="")

    with Server() as server:
        talk(server, lambda tracker: tracker.send_file("/files", file, params={"name": file.name}))

    (request,) = server.requests
    assert (request.body, request.query) == (b"x" * 200_000, {"name": ["a.png"]})
    assert request.headers["content-type"] == "image/png"
    assert request.headers["content-length"] == "200000"


def test_a_file_goes_to_a_storage_without_our_credentials(tmp_path: Path) -> None:
    (tmp_path / "spooled").write_bytes(b"x" * 200_000)
    file = AttachmentFile(path=tmp_path / "spooled", name="a.png", type="image/png", size=200_000, url="")

    with Server() as server:
        server.reply = Reply(200)
        address = f"{server.url}/bucket/a.png?signature=1"
        talk(server, lambda tracker: tracker.store_file(address, file, headers={"content-type": "image/x"}))

    (request,) = server.requests
    assert (request.method, request.body, request.query) == ("PUT", b"x" * 200_000, {"signature": ["1"]})
    assert (request.headers["content-type"], request.headers["content-length"]) == ("image/x", "200000")
    assert "x-key" not in request.headers
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("fault", [Reply(403, body=b"<Signature>1</Signature>"), Reply(302), None])
def test_a_storage_that_does_not_take_a_file_may_take_it_next_time(fault: Reply | None, tmp_path: Path) -> None:
    """Its address expires; and it is told to nobody."""
    (tmp_path / "spooled").write_bytes(b"x")
    file = AttachmentFile(path=tmp_path / "spooled", name="a.png", type="image/png", size=1, url="")

    with Server() as server:
        server.reply = fault or server.reply
        if fault is None:
            server.inject(Fault(FaultKind.HANG_BEFORE, When.ANY))
        with pytest.raises(Unavailable) as caught:
            talk(server, lambda tracker: tracker.store_file(f"{server.url}/a?signature=1", file))

    assert "ignature" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 200_000])
def test_a_file_is_sent_in_base64_inside_json_with_its_length(tmp_path: Path, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "spooled").write_bytes(content)
    file = AttachmentFile(path=tmp_path / "spooled", name="a.png", type="image/png", size=size, url="")
    body = {"Content": {"Data": CONTENT, "Name": "ñ"}}

    with Server() as server:
        talk(server, lambda tracker: tracker.send_encoded("/files", file, body, params={"a": "b"}))

    (request,) = server.requests
    assert request.json == {"Content": {"Data": b64encode(content).decode(), "Name": "ñ"}}
    assert (request.headers["content-type"], request.query) == ("application/json", {"a": ["b"]})
    assert request.headers["content-length"] == str(len(request.body))


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    class Private(Plain):
        def ca_file(self) -> Path:
            return tmp_path / "ca.pem"

    with Server() as server:
        error = failure(server, kind=Private)
        (tmp_path / "ca.pem").write_text("no certificate")
        assert isinstance(failure(server, kind=Private), NotAllowed)

    assert isinstance(error, NotAllowed)
    assert str(error) == f"ca_file: {tmp_path}/ca.pem cannot be used: No such file or directory"


def test_a_refusal_in_plain_words_is_told_as_it_is() -> None:
    """Trello and others say no as text; a success in words stays none."""
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    with Server() as server:
        server.reply = Reply(400, body=b"invalid value for idList\n", headers=plain)
        refused = failure(server)
        server.reply = Reply(200, body=b"OK", headers=plain)
        odd = failure(server)

    assert str(refused) == "invalid value for idList (HTTP 400)"
    assert "no JSON (text/plain): OK" in str(odd)


def picky(sent: list[dict[str, Json]], **refused: str) -> Callable[[dict[str, Json]], Awaitable[Json]]:
    """Return what sends values to a tracker that refuses some of them."""

    async def send(values: dict[str, Json]) -> Json:
        sent.append(values)
        if refused.keys() & values.keys():
            raise Rejected("invalid", status=400, fields=refused)
        return {"id": 7}

    return send


def test_values_that_an_issue_can_do_without_are_left_out_when_they_are_refused() -> None:
    sent: list[dict[str, Json]] = []
    send = picky(sent, owner="nobody knows her")

    answer = asyncio.run(without_refused(send, {"title": "x", "owner": "carol"}, {"title"}))

    assert answer == ({"id": 7}, ["owner is left out: nobody knows her"])
    assert sent == [{"title": "x", "owner": "carol"}, {"title": "x"}]


@pytest.mark.parametrize(
    "refused", [{"title": "is too long"}, {"title": "", "owner": ""}, {"team": "is required"}, {}]
)
def test_what_is_needed_or_was_not_sent_stays_refused(refused: dict[str, str]) -> None:
    sent: list[dict[str, Json]] = []

    async def send(values: dict[str, Json]) -> Json:
        sent.append(values)
        raise Rejected("invalid", status=400, fields=refused)

    with pytest.raises(Rejected):
        asyncio.run(without_refused(send, {"title": "x", "owner": "carol"}, {"title"}))
    assert len(sent) == 1
