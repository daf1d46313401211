"""The JSON API: what the command line and programs ask of a running bridge."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest

from bridge.errors import NotAllowed, Rejected, StoreError
from bridge.web.operations import OPERATIONS
from tests.web.conftest import TOKEN, payload, tables

pytestmark = pytest.mark.anyio

EVERY = [(operation.method, operation.path) for operation in OPERATIONS]


def path_of(path: str) -> str:
    return path.removeprefix("/api").format(id="0", name="web")


class TestTheToken:
    @pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "secret-of-the-shop-1"])
    async def test_without_it_nothing_is_answered(self, world, token):
        for method, path in EVERY:
            answer = await world.call(method, path_of(path), token=token)

            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_where_none_is_configured_the_api_is_closed(self, world):
        configuration = tables()
        del configuration["server"]["admin_token"]
        world.write(configuration)
        await world.ask("/reload")

        for method, path in EVERY:
            answer = await world.call(method, path_of(path))
            assert answer.status_code == 403, path
            assert answer.json()["detail"] == "the API is closed: set admin_token in [server]"


class TestHealth:
    async def test_alive(self, world):
        answer = await world.client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"alive": True})

    async def test_ready(self, world):
        answer = await world.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True})

    async def test_not_ready_while_nothing_can_be_stored(self, world, monkeypatch):
        async def fails():
            raise StoreError("the store cannot write: database is locked")

        monkeypatch.setattr(world.bridge.store, "probe", fails)
        answer = await world.client.get("/readyz")

        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "reason": "the store cannot write: database is locked"}

    async def test_not_ready_before_the_start_and_at_the_end(self, world):
        world.bridge.ready = False

        assert (await world.client.get("/readyz")).status_code == 503


class TestStatus:
    async def test_how_much_there_is(self, world):
        await world.delivered(7)
        await world.post(payload(8, severity="low"))
        status = await world.get("/status")

        assert status["version"] == version("tracker-bridge")
        assert (status["ready"], status["config"]) == (True, str(world.file))
        assert status["exports"] == {"accepted": 1, "unrouted": 1}
        assert status["deliveries"] == {"delivered": 1}
        assert status["started_at"].startswith("2026-01-05T09:00:00")


class TestExports:
    @pytest.fixture
    async def several(self, world):
        """Delivered, dead, unrouted, rejected."""
        await world.delivered(1)
        world.tracker().on("create", Rejected("priority is required"))
        await world.delivered(2)
        await world.post(payload(3, severity="low"))
        await world.post({"event": "bug.exported"})
        return world

    async def test_they_can_be_listed_and_narrowed(self, several):
        wanted: list[tuple[dict[str, Any], list[int | None]]] = [
            ({}, [None, 3, 2, 1]),
            ({"state": "dead"}, [2]),
            ({"state": "dead,unrouted"}, [3, 2]),
            ({"state": ["dead", "rejected"]}, [None, 2]),
            ({"tracker": "web"}, [2, 1]),
            ({"error": "PRIORITY"}, [2]),
            ({"bug": "3"}, [3]),
            ({"limit": "2"}, [None, 3]),
            ({"since": "2030-01-01"}, []),
            ({"since": "2026-01-05T08:00:00"}, [None, 3, 2, 1]),
            ({"since": "2026-01-05T10:00:00+02:00"}, [None, 3, 2, 1]),
        ]
        for query, bugs in wanted:
            found = await several.get("/exports", **query)
            assert [row["bug_id"] for row in found["exports"]] == bugs, query

    async def test_page_by_page(self, several):
        first = await several.get("/exports", limit=3)
        second = await several.get("/exports", limit=3, before=first["next"])

        assert [row["bug_id"] for row in first["exports"] + second["exports"]] == [None, 3, 2, 1]
        assert second["next"] is None

    async def test_deliveries_too(self, several):
        found = await several.get("/deliveries", state="dead")

        (row,) = found["deliveries"]
        assert (row["bug_id"], row["tracker"], row["error"]) == (2, "web", "priority is required")
        assert found["next"] is None

    @pytest.mark.parametrize("listing", ["/exports", "/deliveries"])
    async def test_a_query_that_makes_no_sense_is_refused_by_name(self, world, listing):
        for name, value in (
            ("limit", "0"), ("limit", "100000"), ("limit", "many"), ("before", "x"), ("before", "9" * 30),
            ("since", "yesterday"), ("bug", "seven"), ("bug", "9" * 30), ("bug", "-1"), ("colour", "red"),
        ):  # fmt: skip
            answer = await world.call("GET", listing, params={name: value})
            assert answer.status_code == 422
            assert [problem["path"] for problem in answer.json()["problems"]] == [name]

    async def test_one_is_shown_whole_by_its_id_or_the_beginning_of_it(self, several):
        (row,) = (await several.get("/exports", state="dead"))["exports"]
        whole = await several.get(f"/exports/{row['id']}")

        assert '"id": 2' in whole["body"].replace('"id":2', '"id": 2')
        (delivery,) = whole["deliveries"]
        assert delivery["attempts_made"][0]["outcome"] == "Rejected"
        assert delivery["followups"] == []
        assert await several.get(f"/exports/{row['id'][:-1].upper()}") == whole

    async def test_the_beginning_of_several_is_refused_and_names_them(self, several):
        answer = await several.call("GET", "/exports/0")

        assert answer.status_code == 409
        ids = {row["id"] for row in await several.kept()}
        assert set(answer.json()["matches"]) == ids

    async def test_an_unknown_one_is_not_there(self, several):
        for name in ("zzzz", "%", "'", "\u00e4", "%2e%2e", "_"):
            assert (await several.call("GET", f"/exports/{name}")).status_code == 404


class TestTrackers:
    async def test_what_each_can_do_and_what_holds_it_up(self, world):
        await world.delivered(1)
        web, app = (await world.get("/trackers"))["trackers"]

        assert (web["name"], web["type"], web["label"], web["account"]) == ("web", "scripted", "Scripted", ["web"])
        assert web["can"] == dict.fromkeys(["find", "complete", "update", "comment", "attach"], True) | {
            "state": False
        }
        assert (web["deliveries"], web["paused"], web["failures"]) == ({"delivered": 1}, "", 0)
        assert (app["deliveries"], app["rate"], app["concurrency"]) == ({}, "80/minute", 4)

    async def test_one_can_be_paused_and_resumed(self, world):
        assert await world.ask("/trackers/web/pause", reason="moving house") == {"tracker": "web", "paused": True}
        assert (await world.post()).status_code == 202, "exports are still accepted"
        shown = (await world.get("/trackers"))["trackers"][0]
        assert (shown["paused"], shown["paused_by"]) == ("moving house", "person")
        assert world.tracker().calls == []

        assert await world.ask("/trackers/web/resume") == {"tracker": "web", "resumed": True}
        await world.until(lambda: world.tracker().made(7) == ["1"])
        assert await world.ask("/trackers/web/resume") == {"tracker": "web", "resumed": False}

    async def test_a_reason_is_never_missing(self, world):
        for body in ({}, {"reason": ""}, {"reason": "x" * 500}):
            await world.ask("/trackers/web/pause", **body)
            assert (await world.get("/trackers"))["trackers"][0]["paused"]

    @pytest.mark.parametrize("what", ["pause", "resume"])
    async def test_an_unknown_one_is_named_with_those_there_are(self, world, what):
        answer = await world.call("POST", f"/trackers/jira/{what}")

        assert answer.status_code == 404
        assert answer.json()["detail"] == "there is no tracker 'jira'; there are: web, app"


class TestCheck:
    async def test_the_doctor_looks_at_all_or_at_some(self, world):
        world.tracker("app").well = False

        assert await world.ask("/check", trackers=["web"]) == {
            "ok": True,
            "trackers": [{"name": "web", "ok": True, "findings": []}],
        }
        everything = await world.ask("/check")
        assert everything["ok"] is False
        assert everything["trackers"][1]["findings"] == [
            {"verdict": "error", "subject": "credentials", "message": "refused", "fix": ""}
        ]

    async def test_one_that_was_refused_is_resumed_by_a_good_check(self, world):
        world.tracker().on("create", NotAllowed("bad token"))
        await world.post()
        await world.until(lambda: world.tracker().did("create") != [])
        await world.until_paused()

        await world.ask("/check")
        await world.until(lambda: world.tracker().made(7) == ["1"])

    async def test_one_that_breaks_is_a_finding(self, world):
        world.tracker().on("check", ZeroDivisionError("a bug"))
        (report, _) = (await world.ask("/check"))["trackers"]

        assert report["ok"] is False
        assert "the tracker type scripted failed: ZeroDivisionError" in report["findings"][0]["message"]

    async def test_an_unknown_one_is_not_there(self, world):
        assert (await world.call("POST", "/check", json={"trackers": ["jira"]})).status_code == 404


class TestPreview:
    async def test_it_shows_what_would_be_sent_where_and_sends_nothing(self, world):
        shown = await world.ask("/preview", payload=payload(7))

        (preview,) = shown["previews"]
        assert (shown["event"], preview["tracker"], preview["routed"]) == ("bug.exported", "web", True)
        assert (preview["title"], preview["on_reexport"]) == ("Bug 7", "comment")
        assert "testio-bug-7" in preview["body"]
        assert preview["request"]["title"] == "Bug 7"
        assert world.tracker().calls == []
        assert await world.kept() == []

    async def test_of_a_tracker_that_no_route_chose(self, world):
        (preview,) = (await world.ask("/preview", payload=payload(7), trackers=["app"]))["previews"]

        assert (preview["tracker"], preview["routed"], preview["on_reexport"]) == ("app", False, None)

    async def test_what_cannot_be_used_is_refused_by_json_pointer(self, world):
        answer = await world.call("POST", "/preview", json={"payload": payload(title=None)})

        assert answer.status_code == 422
        assert answer.json()["problems"] == [{"path": "/bug/title", "message": "is required"}]

    async def test_an_unknown_event_would_go_nowhere(self, world):
        assert await world.ask("/preview", payload={"event": "x"}) == {"event": "x", "previews": []}

    @pytest.mark.parametrize("body", [{"connection": "nobody"}, {"trackers": ["jira"]}])
    async def test_what_is_not_there_is_not_there(self, world, body):
        assert (await world.call("POST", "/preview", json={"payload": payload()} | body)).status_code == 404

    async def test_a_payload_with_half_characters_is_shown_without_them(self, world):
        answer = await world.call(
            "POST", "/preview", content=b'{"payload": {"event": "bug.exported", "bug": {"id": 7, '
            b'"title": "a\\ud800b", "severity": "high", "odd\\ud800": NaN}}}',
        )  # fmt: skip

        assert answer.status_code == 200
        assert answer.json()["previews"][0]["title"] == "ab"


class TestReplay:
    @pytest.fixture
    async def dead(self, world):
        world.tracker().on("create", *[Rejected("priority is required")] * 2)
        return [await world.delivered(1), await world.delivered(2)]

    async def test_it_says_first_what_it_would_do(self, world, dead):
        would = await world.ask("/replay", dry_run=True)

        assert would == {"deliveries": [{"tracker": "web", "state": "dead", "count": 2}], "exports": []}
        assert len(world.tracker().did("create")) == 2

    async def test_then_does_it_as_many_at_a_time_as_asked_for(self, world, dead):
        assert await world.ask("/replay", limit=1) == {"replayed": [f"{dead[0]}:web"]}
        assert await world.ask("/replay", limit=1) == {"replayed": [f"{dead[1]}:web"]}
        assert await world.ask("/replay", limit=1) == {"replayed": []}
        await world.until(lambda: len(world.tracker().drafts) == 2)

    async def test_narrowed_by_what_is_known_of_them(self, world, dead):
        assert await world.ask("/replay", bug=2, error="priority", tracker="web") == {
            "replayed": [f"{dead[1]}:web"]
        }

    async def test_what_makes_no_sense_is_refused_by_name(self, world):
        for name, value in (
            ("limit", 0), ("ids", "x"), ("id", ["x"]), ("bug", 2**63), ("since", "soon"), ("dry_run", "perhaps"),
        ):  # fmt: skip
            answer = await world.call("POST", "/replay", json={name: value})
            assert answer.status_code == 422
            assert [problem["path"] for problem in answer.json()["problems"]] == [name]

    async def test_no_json_and_odd_json_are_refused(self, world):
        refused = {
            400: (b"{", b"\xff", b"[" * 500),
            422: (b"[]", b"5", b'"x"', b'{"\\ud800": 1}', b'{"error": "\\ud800"}', b'{"ids": ["\\ud800"]}'),
        }
        for status, bodies in refused.items():
            for content in bodies:
                assert (await world.call("POST", "/replay", content=content)).status_code == status, content

    async def test_an_unknown_tracker_is_not_there(self, world):
        assert (await world.call("POST", "/replay", json={"tracker": "jira"})).status_code == 404


class TestReload:
    """All of a changed file is taken over, or, when it is wrong, none of it."""

    async def test_everything_of_it_counts_from_then_on(self, world):
        changed = tables()
        changed["connections"] = {"fresh": {"secret": "a-fresh-secret-of-it"}}
        changed["trackers"] = {"new": {"type": "scripted"}}
        changed["routes"] = [{"trackers": ["new"]}]
        changed["server"]["admin_token"] = "another-admin-token"
        world.write(changed)

        assert await world.ask("/reload") == {"reloaded": True}
        assert (await world.post()).status_code == 404
        answer = await world.post(connection="fresh", secret="a-fresh-secret-of-it")
        assert answer.json()["deliveries"] == ["new"]
        await world.until(lambda: world.tracker("new").made(7) == ["1"])
        assert (await world.call("GET", "/status")).status_code == 401

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"routes": [{"trackers": ["jira"]}]}, "routes[0].trackers"),
            ({"trackers": {"web": {"type": "scripted", "title": "{{ broken"}}}, "trackers.web.title"),
            ({"trackers": {"web": {"type": "nonsense"}}}, "trackers.web.type"),
            ({"store": {"url": "sqlite:///elsewhere.db"}}, "store"),
            ({"server": {"port": 1234, "admin_token": TOKEN}}, "server.port"),
        ],
    )
    async def test_a_wrong_one_changes_nothing_and_says_what_is_wrong(self, world, change, path):
        before = world.bridge.setup
        world.write(tables() | {"connections": {"fresh": {"secret": "a-fresh-secret-of-it"}}} | change)
        answer = await world.call("POST", "/reload")

        assert (answer.status_code, answer.json()["detail"]) == (422, "nothing was taken over")
        assert path in [problem["path"] for problem in answer.json()["problems"]]
        assert world.bridge.setup is before
        assert (await world.post()).status_code == 202
        await world.until(lambda: world.tracker().made(7) == ["1"])

    async def test_a_plugin_that_cannot_be_used_changes_nothing(self, world):
        (world.file.parent / "plugins" / "scripted.py").write_text(
            "from bridge import hookimpl\n@hookimpl\ndef bridge_delivred(): ...\n"
        )
        answer = await world.call("POST", "/reload")

        assert answer.status_code == 422
        assert "there is no hook bridge_delivred" in answer.text
        assert (await world.post()).status_code == 202

    async def test_a_file_that_is_gone_changes_nothing(self, world):
        world.file.unlink()

        assert (await world.call("POST", "/reload")).status_code == 422
        assert (await world.post()).status_code == 202

    async def test_a_tracker_that_was_refused_is_resumed_because_its_token_may_be_the_change(self, world):
        world.tracker().on("create", NotAllowed("bad token"))
        await world.post()
        await world.until_paused()
        await world.ask("/reload")

        await world.until(lambda: world.tracker().made(7) == ["1"])


class TestPlugins:
    async def test_they_are_listed_with_what_they_bring(self, world):
        plugins = {one["name"]: one for one in (await world.get("/plugins"))["plugins"]}

        assert plugins["scripted"]["types"] == ["scripted"]
        assert plugins["scripted"]["hooks"] == ["bridge_trackers"]
        assert plugins["files"]["distribution"] == "tracker-bridge"
        assert (plugins["files"]["error"], plugins["files"]["failures"]) == ("", 0)


class TestFaults:
    async def test_a_store_that_does_not_answer_is_503(self, world, monkeypatch):
        async def fails(*_):
            raise StoreError("the store cannot be read: disk I/O error")

        monkeypatch.setattr(world.bridge.store, "read", fails)
        answer = await world.call("GET", "/exports")

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")

    async def test_what_is_not_there_is_a_problem_document(self, world):
        for path in ("/nothing", "/trackers/web", "/", "/exports/a/b"):
            answer = await world.call("GET", path)

            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_another_method_is_refused(self, world):
        answer = await world.call("POST", "/status")

        assert answer.status_code == 405
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_no_answer_holds_a_secret(self, world):
        await world.delivered(1)
        for method, path in EVERY:
            text = (await world.call(method, path_of(path))).text
            assert "secret-of-the" not in text
            assert TOKEN not in text
