"""`POST /export/…`: what test IO is answered, and what that promises."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
from contextlib import closing
from typing import Any, ClassVar

import pytest

from bridge.errors import StoreError
from tests.web.conftest import SECRET, SIGNING, payload, tables

pytestmark = pytest.mark.anyio


def signed(body: bytes, at: int, *, key: str = SIGNING) -> dict[str, str]:
    """Headers of a request that is signed by Standard Webhooks."""
    digest = hmac.new(base64.b64decode(key[6:]), f"m1.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "m1",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "content-type": "application/json",
    }


class TestAccepted:
    async def test_202_names_the_export_and_where_it_goes(self, world):
        answer = await world.post()

        assert answer.status_code == 202
        (row,) = await world.kept()
        assert answer.json() == {
            "export": row["id"],
            "state": "accepted",
            "deliveries": ["web"],
            "duplicate": False,
        }

    async def test_when_it_is_answered_it_is_in_the_file(self, world):
        export = (await world.post()).json()["export"]

        with closing(sqlite3.connect(world.file.parent / "bridge.db")) as other:
            assert other.execute("SELECT id FROM exports").fetchall() == [(export,)]

    async def test_it_becomes_an_issue(self, world):
        await world.delivered(7)

        assert world.tracker().made(7) == ["1"]

    async def test_the_documented_example_is(self, world, examples):
        answer = await world.post(
            content=(examples / "documented.json").read_bytes(), headers={"Content-Type": "application/json"}
        )

        assert (answer.status_code, answer.json()["deliveries"]) == (202, ["web"])

    @pytest.mark.parametrize("name", ["minimal", "loose-types", "hostile-text", "re-export"])
    async def test_so_are_its_variations(self, world, examples, name):
        answer = await world.post(json.loads((examples / f"{name}.json").read_bytes()))

        assert answer.status_code == 202

    async def test_the_same_again_is_accepted_and_nothing_is_made(self, world):
        first = (await world.post()).json()
        again = await world.post()

        assert (again.status_code, again.json()) == (202, first | {"duplicate": True})
        assert len(await world.kept()) == 1

    async def test_one_that_no_route_takes_is_accepted_and_said_to_be_unrouted(self, world):
        answer = await world.post(payload(severity="low"))

        assert (answer.status_code, answer.json()["state"], answer.json()["deliveries"]) == (202, "unrouted", [])

    async def test_an_unknown_event_is_accepted_and_said_to_be_ignored(self, world):
        answer = await world.post({"event": "bug.commented"})

        assert (answer.status_code, answer.json()["state"]) == (202, "ignored")

    @pytest.mark.parametrize(
        "kind",
        ["application/json", "application/json; charset=utf-8", "text/json", "application/problem+json", ""],
    )
    async def test_any_content_type_of_json_or_none(self, world, kind):
        body = json.dumps(payload()).encode()

        assert (await world.post(content=body, headers={"Content-Type": kind})).status_code == 202


class TestWhoMay:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": f"Bearer {SECRET}"},
            {"Authorization": f"Token {SECRET}"},
            {"Authorization": "Basic " + base64.b64encode(f"x:{SECRET}".encode()).decode()},
            {"X-Api-Key": SECRET},
        ],
    )
    async def test_the_secret_may_come_in_a_header_instead(self, world, headers):
        answer = await world.client.post("/export/shop", json=payload(), headers=headers)

        assert answer.status_code == 202

    async def test_a_signature_does_as_well(self, world):
        body = json.dumps(payload()).encode()
        headers = signed(body, int(world.bridge.clock.now().timestamp()))

        assert (await world.client.post("/export/signed", content=body, headers=headers)).status_code == 202

    @pytest.mark.parametrize("seconds", [-400, 400])
    async def test_an_old_one_does_not(self, world, seconds):
        body = json.dumps(payload()).encode()
        headers = signed(body, int(world.bridge.clock.now().timestamp()) + seconds)

        assert (await world.client.post("/export/signed", content=body, headers=headers)).status_code == 404
        assert await world.kept() == []

    async def test_a_wrong_one_does_not(self, world):
        body = json.dumps(payload()).encode()
        key = "whsec_" + base64.b64encode(b"x" * 32).decode()
        headers = signed(body, int(world.bridge.clock.now().timestamp()), key=key)

        assert (await world.client.post("/export/signed", content=body, headers=headers)).status_code == 404


class TestNobodyLearnsWhichConnectionsExist:
    """A wrong secret and an unknown connection are answered byte by byte alike, whatever else is wrong."""

    REQUESTS: ClassVar[list[dict[str, Any]]] = [
        {"json": payload()},
        {"content": b"no json"},
        {"content": b"<x/>", "headers": {"Content-Type": "text/xml"}},
        {"content": b"x" * 100_000},
        {"json": payload(), "headers": {"Authorization": "Bearer wrong"}},
        {"json": payload(), "headers": {"X-Api-Key": "wrong"}},
        {"content": b"x" * 100_000, "headers": {"webhook-signature": "v1,xyz"}},
        {"content": b"x", "headers": {"webhook-signature": "v1,xyz"}},
        {"json": payload(), "headers": signed(b"something else", 1767603600)},
    ]

    async def test_the_answers_are_the_same(self, world):
        answers = set()
        for request in self.REQUESTS:
            for path in ("shop/wrong", "signed/wrong", "nobody/wrong", "shop", "nobody", f"nobody/{SECRET}"):
                answer = await world.client.post(f"/export/{path}", **request)
                answers.add((answer.status_code, answer.content, tuple(answer.headers.items())))

        assert len(answers) == 1
        assert answers.pop()[0] == 404
        assert await world.kept() == []

    async def test_the_answer_says_what_it_can_be(self, world):
        answer = await world.post(secret="wrong")

        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "there is no such connection, or the secret is wrong",
        }

    async def test_only_post_is_answered(self, world):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            for path in ("/export/shop/wrong", f"/export/shop/{SECRET}", "/export/nobody/x"):
                answer = await world.client.request(method, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    async def test_other_paths_are_not_there(self, world):
        for path in ("/export/", f"/export/shop/{SECRET}/", f"/export/shop/{SECRET}/more", "/export"):
            assert (await world.client.post(path, json=payload())).status_code == 404


class TestRefused:
    """What is authenticated but cannot be used is refused clearly, and kept."""

    async def test_no_json(self, world):
        answer = await world.post(content=b'{"event":', headers={"Content-Type": "application/json"})

        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        document = answer.json()
        assert document["problems"][0]["message"].startswith("the body is no JSON")
        (row,) = await world.kept()
        assert (row["id"], row["state"]) == (document["export"], "rejected")

    async def test_every_wrong_field_is_named_by_json_pointer(self, world, examples):
        answer = await world.post(json.loads((examples / "invalid.json").read_bytes()))

        assert answer.status_code == 422
        assert {problem["path"] for problem in answer.json()["problems"]} == {
            "/exported_at",
            "/bug/id",
            "/bug/title",
            "/bug/attachments",
            "/bug/device",
        }
        assert (await world.kept())[0]["state"] == "rejected"

    @pytest.mark.parametrize("document", [[], None, 5, "text", {}, {"event": None}])
    async def test_json_that_is_no_export(self, world, document):
        assert (await world.post(content=json.dumps(document).encode())).status_code == 422

    @pytest.mark.parametrize("kind", ["text/xml", "application/x-www-form-urlencoded", "multipart/form-data"])
    async def test_another_content_type(self, world, kind):
        answer = await world.post(content=json.dumps(payload()).encode(), headers={"Content-Type": kind})

        assert answer.status_code == 415
        assert kind in answer.json()["detail"]
        (row,) = await world.kept()
        assert (row["id"], row["state"]) == (answer.json()["export"], "rejected")

    async def test_a_body_above_the_limit_that_says_so(self, world):
        answer = await world.post(content=b"x" * 20_481)

        assert answer.status_code == 413
        assert answer.json()["detail"] == "the body is larger than 20 KiB ([server] max_body)"
        assert await world.kept() == []

    async def test_a_body_at_the_limit_is_taken(self, world):
        body = json.dumps(payload()).encode().ljust(20_480)

        assert (await world.post(content=body)).status_code == 202

    async def test_an_endless_body_that_does_not_say_so_is_read_no_further_than_the_limit(self, world):
        sent = 0

        async def endless():
            nonlocal sent
            while True:
                sent += 1000
                yield b"x" * 1000

        assert (await world.post(content=endless())).status_code == 413
        assert sent < 30_000

    @pytest.mark.parametrize(
        "body", [b"[" * 10_000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b'{"event": ' + b"9" * 9000 + b"}"]
    )
    async def test_json_that_is_made_to_break_something(self, world, body):
        assert (await world.post(content=body)).status_code == 400


class TestWhenNothingCanBeWritten:
    async def test_503_says_when_to_try_again_and_nothing_more(self, world, monkeypatch):
        async def fails(export):
            raise StoreError("the store cannot write: database or disk is full")

        monkeypatch.setattr(world.bridge.store, "accept", fails)
        answer = await world.post()

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["detail"] == "the export could not be written down; send it again"

    @pytest.mark.parametrize("body", [b"{", b"{}"])
    async def test_also_for_what_would_be_rejected(self, world, monkeypatch, body):
        async def fails(export):
            raise StoreError("disk full")

        monkeypatch.setattr(world.bridge.store, "accept", fails)

        assert (await world.post(content=body)).status_code == 503
        assert (await world.post(content=body, headers={"Content-Type": "text/xml"})).status_code == 503

    async def test_a_sender_who_tries_again_is_accepted(self, world, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(world.bridge.store._writer, "_closed", True)
            assert (await world.post()).status_code == 503
        answer = await world.post()

        assert (answer.status_code, answer.json()["duplicate"]) == (202, False)


class TestRejectedIsNotLost:
    async def test_it_can_be_looked_at_and_replayed_once_it_is_understood(self, world, monkeypatch):
        """As after an update of the bridge that understands more."""
        body = b"bug: 7"
        export = (await world.post(content=body)).json()["export"]
        shown = await world.get(f"/exports/{export}")
        assert (shown["state"], shown["body"]) == ("rejected", "bug: 7")
        assert "no JSON" in shown["problems"][0]["message"]
        assert await world.ask("/replay", ids=[export]) == {"replayed": []}

        monkeypatch.setattr(
            "bridge.payload.body.from_json", lambda given: payload(7) if given == body else json.loads(given)
        )
        assert await world.ask("/replay", ids=[export]) == {"replayed": [f"{export}:web"]}
        await world.until(lambda: world.tracker().made(7) == ["1"])
        shown = await world.get(f"/exports/{export}")
        assert (shown["state"], shown["body"], shown["problems"]) == ("accepted", "bug: 7", [])

    async def test_an_unrouted_one_is_replayed_after_the_routes_were_mended(self, world):
        export = (await world.post(payload(severity="low"))).json()["export"]
        world.write(tables() | {"routes": [{"trackers": ["app"]}]})
        await world.ask("/reload")

        assert await world.ask("/replay", states=["unrouted"]) == {"replayed": [f"{export}:app"]}
        await world.until(lambda: world.tracker("app").made(7) == ["1"])
