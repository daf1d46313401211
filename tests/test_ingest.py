"""Taking exports in: who may, what is kept, and what is answered once it is written down."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
from datetime import timedelta
from typing import Any

import pytest

from bridge.config import Config, ConnectionSettings, RouteSettings, build_config
from bridge.errors import Problem
from bridge.ids import new_id
from bridge.ingest import Ingest, Unusable, bearer
from bridge.model import Export
from bridge.routing import Router
from bridge.store import ExportState, Selection, Store, reading
from bridge.testing import FakeClock
from tests.dispatch.scripted import Scripted

SECRET, PREVIOUS, KEY = "secret-of-the-shop-1", "secret-of-the-shop-0", b"k" * 32
SIGNING = "whsec_" + base64.b64encode(KEY).decode()
TABLES: dict[str, Any] = {
    "connections": {
        "shop": {"secret": SECRET, "previous_secret": PREVIOUS},
        "signed": {"secret": "secret-of-the-signed", "signing_secret": SIGNING},
    },
    "routes": [{"name": "high", "when": {"level": "high"}, "trackers": ["web", "app"]}],
    "trackers": {"web": {"type": "scripted"}, "app": {"type": "scripted"}},
}
HIGH = {"event": "bug.exported", "bug": {"id": 7, "title": "Crash", "severity": "high"}}


@pytest.fixture
def config(tmp_path) -> Config:
    return build_config(TABLES, tmp_path, {"scripted": Scripted}, {})


class Door:
    """An ingest on a real store, and whom it told."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config, self.store, self.clock = config, store, FakeClock()
        self.told: list[Export] = []
        self.ingest = Ingest(
            config, Router(config), store, self.clock, lambda read, _receipt: self.told.append(read())
        )

    async def accept(self, document: object, connection: str = "shop"):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.ingest.accept(connection, body)

    async def kept(self, **wanted: Any) -> list[dict[str, Any]]:
        return await self.store.read(reading.list_exports, Selection(**wanted))

    async def body(self, export: str) -> bytes:
        row = await self.store.read(reading.export_body, export)
        assert row is not None
        return bytes(row["body"])


@pytest.fixture
async def door(tmp_path, config, empty_store):
    shutil.copy(empty_store, tmp_path / "bridge.db")
    store = Store(f"sqlite:///{tmp_path}/bridge.db")
    store.open()
    yield Door(config, store)
    await store.close()


@pytest.fixture
def ingest(config, tmp_path) -> Ingest:
    """One that is only asked about secrets: its store is never opened."""
    return Ingest(config, Router(config), Store(f"sqlite:///{tmp_path}/none.db"), FakeClock())


class TestSecrets:
    @pytest.mark.parametrize(
        ("connection", "secrets", "known"),
        [
            ("shop", [SECRET], True),
            ("shop", [PREVIOUS], True),
            ("shop", ["wrong", SECRET], True),
            ("shop", ["wrong"], False),
            ("shop", [""], False),
            ("shop", [], False),
            ("shop", [SECRET[:-1]], False),
            ("shop", [SECRET + "x"], False),
            ("shop", ["käse 🐞"], False),
            ("signed", [SECRET], False),
            ("nobody", [SECRET], False),
            ("nobody", ["\0"], False),
            ("shop", ["\0"], False),
        ],
    )
    def test_one_of_the_connections_own_must_be_given(self, ingest, connection, secrets, known):
        assert ingest.authenticate(connection, secrets) is known

    @pytest.mark.parametrize("connection", ["shop", "nobody"])
    @pytest.mark.parametrize("given", [[SECRET], ["wrong"]])
    def test_whatever_is_given_each_is_compared_in_constant_time(self, ingest, monkeypatch, connection, given):
        compared, compare_digest = [], hmac.compare_digest

        def compare(known: bytes, one: bytes) -> bool:
            compared.append((known, one))
            return compare_digest(known, one)

        monkeypatch.setattr(hmac, "compare_digest", compare)
        ingest.authenticate(connection, given)

        assert len(compared) == (2 if connection == "shop" else 1), "the first that fits does not end it"

    def test_another_configuration_counts_from_now_on(self, ingest, config):
        changed = config.model_copy(
            update={"connections": {"shop": ConnectionSettings.model_validate({"secret": "another-secret-of-it"})}}
        )
        ingest.replace(changed, Router(changed))

        assert ingest.authenticate("shop", ["another-secret-of-it"])
        assert not ingest.authenticate("shop", [SECRET])


class TestAuthorizationHeader:
    @pytest.mark.parametrize(
        ("header", "secrets"),
        [
            ("Bearer s3cret", ["s3cret"]),
            ("bearer   s3cret ", ["s3cret"]),
            ("Token s3cret", ["s3cret"]),
            ('Token token="s3cret"', ["s3cret"]),
            ("Basic " + base64.b64encode(b"user:s3cret").decode(), ["s3cret"]),
            ("Basic " + base64.b64encode(b"s3cret:").decode(), ["s3cret"]),
            ("Basic " + base64.b64encode(b"s3cret").decode(), ["s3cret"]),
            ("Basic " + base64.b64encode(b"user:a:b").decode(), ["a:b"]),
            ("Basic not base64", []),
            ("Basic \xfc", []),
            ("Basic", []),
            ("Bearer", []),
            ("Digest x", []),
            ("", []),
        ],
    )
    def test_the_secret_may_come_in_any_of_the_usual_forms(self, header, secrets):
        assert bearer(header) == secrets


class TestSignature:
    """Standard Webhooks."""

    BODY = b'{"event": "bug.exported"}'

    def headers(
        self, *, key: bytes = KEY, at: int | str | None = None, message: str = "msg_1", version: str = "v1"
    ):
        stamp = str(int(FakeClock().now().timestamp())) if at is None else str(at)
        digest = hmac.new(key, f"{message}.{stamp}.".encode() + self.BODY, hashlib.sha256).digest()
        return {
            "webhook-id": message,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v2,xyz {version},{base64.b64encode(digest).decode()}",
        }

    def test_a_good_one_is_good(self, ingest):
        assert ingest.is_signed("signed", self.headers(), self.BODY)

    def test_of_another_body_or_id_it_is_not(self, ingest):
        assert not ingest.is_signed("signed", self.headers(), self.BODY + b" ")
        assert not ingest.is_signed("signed", self.headers() | {"webhook-id": "msg_2"}, self.BODY)

    def test_nor_with_another_key(self, ingest):
        assert not ingest.is_signed("signed", self.headers(key=b"x" * 32), self.BODY)

    @pytest.mark.parametrize("seconds", [-301, 301, -(10**9)])
    def test_nor_one_that_is_old_or_of_tomorrow(self, ingest, seconds):
        at = int(FakeClock().now().timestamp()) + seconds
        assert not ingest.is_signed("signed", self.headers(at=at), self.BODY)

    @pytest.mark.parametrize("at", ["", "now", "-5", "1e9", "٣", "9" * 40])
    def test_nor_one_with_an_odd_moment(self, ingest, at):
        assert not ingest.is_signed("signed", self.headers(at=at), self.BODY)

    @pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,ü", "v1,xyz", "v1a,AAAA", ",,,"])
    def test_nor_a_malformed_one(self, ingest, signature):
        assert not ingest.is_signed("signed", self.headers() | {"webhook-signature": signature}, self.BODY)

    def test_nor_in_another_version(self, ingest):
        assert not ingest.is_signed("signed", self.headers(version="v1a"), self.BODY)

    @pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_every_header_is_needed(self, ingest, missing):
        headers = self.headers()
        del headers[missing]
        assert not ingest.is_signed("signed", headers, self.BODY)

    @pytest.mark.parametrize("connection", ["shop", "nobody"])
    @pytest.mark.parametrize("key", [KEY, bytes(32), b""])
    def test_a_connection_without_a_signing_secret_is_never_signed(self, ingest, connection, key):
        assert not ingest.is_signed(connection, self.headers(key=key), self.BODY)


@pytest.mark.anyio
class TestAccepting:
    async def test_an_export_goes_where_the_routes_say_and_somebody_is_told(self, door):
        receipt = await door.accept(HIGH)

        assert (receipt.state, receipt.trackers, receipt.duplicate) == (
            ExportState.ACCEPTED,
            ("web", "app"),
            False,
        )
        (told,) = door.told
        assert (told.id, told.bug.id, told.connection) == (receipt.export, 7, "shop")
        (row,) = await door.kept()
        assert (row["bug_id"], row["title"], row["event"]) == (7, "Crash", "bug.exported")

    async def test_one_that_no_route_wants_is_kept_and_shown(self, door):
        receipt = await door.accept({"event": "bug.exported", "bug": {"id": 7, "title": "x"}})

        assert (receipt.state, receipt.trackers) == (ExportState.UNROUTED, ())
        assert door.told == []
        assert (await door.kept())[0]["state"] == "unrouted"

    async def test_an_unknown_event_is_kept_and_ignored_visibly(self, door):
        receipt = await door.accept({"event": "bug.commented", "bug": 5})

        assert receipt.state is ExportState.IGNORED
        (row,) = await door.kept()
        assert (row["state"], row["event"]) == ("ignored", "bug.commented")
        assert row["problems"] == [{"path": "/event", "message": "unknown event 'bug.commented'"}]

    async def test_the_same_one_again_is_answered_with_the_first(self, door):
        dated = HIGH | {"exported_at": "2026-01-05T08:00:00Z"}
        first = await door.accept(dated)
        again = await door.accept(dated | {"comment": "whatever else it says"})

        assert (again.export, again.trackers, again.duplicate) == (first.export, first.trackers, True)
        assert len(door.told) == 1, "nobody is told twice"

    async def test_of_another_connection_it_is_another_one(self, door):
        first, other = await door.accept(HIGH), await door.accept(HIGH, "signed")

        assert first.export != other.export

    async def test_a_later_one_is_another_one(self, door):
        for hour in (8, 9):
            await door.accept(HIGH | {"exported_at": f"2026-01-05T0{hour}:00:00Z"})

        assert len(door.told) == 2


@pytest.mark.anyio
class TestRejecting:
    async def test_what_is_wrong_is_said_and_the_body_is_kept(self, door):
        body = {"event": "bug.exported", "bug": {"id": "seven"}}
        with pytest.raises(Unusable) as caught:
            await door.accept(body)

        error = caught.value
        assert [str(problem) for problem in error.problems] == [
            "/bug/id: must be a whole number",
            "/bug/title: is required",
        ]
        assert error.is_json
        (row,) = await door.kept(states=["rejected"])
        assert (row["id"], len(row["problems"])) == (error.export_id, 2)
        assert json.loads(await door.body(error.export_id)) == body

    @pytest.mark.parametrize(
        ("body", "is_json"),
        [(b"{", False), (b"", False), (b"[]", True), (b"5", True), (b'{"a": 1}', True), (b"[" * 500, False),
         (b'{"event": 5}', True), (b"[" * 500 + b"]" * 500, False)],
    )  # fmt: skip
    async def test_it_is_said_whether_it_was_json_at_all(self, door, body, is_json):
        with pytest.raises(Unusable) as caught:
            await door.accept(body)

        assert caught.value.is_json is is_json
        assert await door.body(caught.value.export_id) == body

    async def test_the_same_body_again_is_kept_once(self, door):
        ids = set()
        for _ in range(2):
            with pytest.raises(Unusable) as caught:
                await door.accept(b"{")
            ids.add(caught.value.export_id)

        assert len(ids) == len(await door.kept()) == 1

    async def test_a_body_may_be_kept_for_a_reason_outside_of_it(self, door):
        problem = Problem("", "content type 'text/xml'")
        receipt = await door.ingest.reject("shop", json.dumps(HIGH).encode(), problem)

        assert receipt.state is ExportState.REJECTED
        (row,) = await door.kept()
        assert row["problems"] == [{"path": "", "message": "content type 'text/xml'"}]
        assert row["deliveries"] == []


ENVIRONMENT = {"url": "https://staging.example", "username": "u", "password": "staging-pw-1", "access": "vpn"}


@pytest.mark.anyio
class TestCredentials:
    async def test_they_are_dropped_before_anything_is_written_down(self, door, tmp_path):
        receipt = await door.accept(HIGH | {"test_environment": ENVIRONMENT})

        assert json.loads(await door.body(receipt.export))["test_environment"] == {
            "url": "https://staging.example"
        }
        assert door.told[0].extra["test_environment"] == {"url": "https://staging.example"}
        assert not any(b"staging-pw-1" in file.read_bytes() for file in tmp_path.iterdir())

    @pytest.mark.parametrize("cut", [0, -1, -3])
    async def test_from_what_is_rejected_too(self, door, tmp_path, cut):
        body = json.dumps({"test_environment": ENVIRONMENT}).encode()
        with pytest.raises(Unusable):
            await door.accept(body[: len(body) + cut])

        assert len(await door.kept()) == 1
        assert not any(b"staging-pw-1" in file.read_bytes() for file in tmp_path.iterdir())

    async def test_a_body_without_them_is_kept_byte_for_byte(self, door):
        body = b'{ "event":"bug.exported",\r\n"bug": {"id": 7, "title": "K\\u00e4se", "severity": "high"} }'
        receipt = await door.accept(body)

        assert await door.body(receipt.export) == body


@pytest.mark.anyio
class TestTakingAgain:
    async def test_an_unrouted_one_goes_where_todays_routes_say(self, door, config):
        receipt = await door.accept({"event": "bug.exported", "bug": {"id": 7, "title": "x"}})
        routes = (RouteSettings.model_validate({"trackers": "app"}),)
        today = config.model_copy(update={"routes": routes})
        door.ingest.replace(today, Router(today))

        again = await door.ingest.take_again(
            receipt.export, "shop", await door.body(receipt.export), door.clock.now()
        )

        assert (again.export, again.trackers, again.state) == (receipt.export, ("app",), ExportState.ACCEPTED)
        assert [export.id for export in door.told] == [receipt.export]

    async def test_one_that_is_still_not_understood_stays_what_it_was(self, door):
        with pytest.raises(Unusable) as caught:
            await door.accept(b"{")

        again = await door.ingest.take_again(caught.value.export_id, "shop", b"{", door.clock.now())

        assert (again.state, again.trackers) == (ExportState.REJECTED, ())
        assert door.told == []


class TestIds:
    def test_they_sort_by_time_and_do_not_repeat(self):
        clock, ids = FakeClock(), []
        for _ in range(200):
            ids.append(new_id(clock.now()))
            clock.advance(timedelta(milliseconds=1))

        assert ids == sorted(ids)
        assert len({new_id(clock.now()) for _ in range(2000)}) == 2000

    def test_they_are_short_and_hold_nothing_that_is_misread(self):
        assert not set("".join(new_id(FakeClock().now()) for _ in range(50))) & set("ilou")
        assert len(new_id(FakeClock().now())) == 16
