"""Exactly one issue: made once, and in doubt looked for before it is made again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.model import Issue
from tests.dispatch.scripted import After, Blind, Gate, Scripted, World

pytestmark = pytest.mark.anyio


class Slow(Scripted):
    """Its search shows a new issue ten minutes later."""

    settle = timedelta(minutes=10)


class Enforcing(Scripted):
    """Refuses a second issue with one marker: `create` returns the existing one."""

    enforces_marker = True

    async def create(self, draft):
        existing = [issue for issue, made in self.drafts.items() if made.marker == draft.marker]
        return self._issue(existing[0]) if existing else await super().create(draft)


async def in_doubt(world: World, kind: type[Scripted] = Scripted, *, made: bool = True) -> Scripted:
    """An export whose first attempt to create ended without an answer; the issue was made, or not."""
    await world.start(world.track(kind=kind))
    tracker = world.tracker()
    error = InDoubt("connection reset")
    tracker.on("create", After(error) if made else error)
    await world.export()
    await world.settle()
    assert (await world.delivery())["in_doubt"]
    return tracker


class TestWithoutADoubt:
    async def test_an_export_becomes_one_issue(self, world):
        await world.start()
        await world.export(7)
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["state"], delivery["action"], delivery["issue"]["key"]) == (
            "delivered",
            "created",
            "web-1",
        )
        assert world.tracker().calls[:2] == [("create", "testio-bug-7"), ("complete", "web-1")], (
            "nothing is searched"
        )

    async def test_waking_is_enough_there_is_no_delay_of_a_poll(self, world):
        await world.start()
        await world.settle()
        await world.receipt()
        await world.until(lambda: world.tracker().made(1) == ["1"])

    async def test_what_was_waiting_before_the_start_is_delivered(self, world):
        await world.export()
        await world.start()
        await world.until(lambda: world.tracker().made(1) == ["1"])

    @pytest.mark.parametrize("kind", [Unavailable, Rejected, NotAllowed, RateLimited])
    async def test_a_clear_no_leaves_none(self, world, kind):
        await world.start()
        tracker = world.tracker()
        tracker.on("create", kind("no"))
        await world.export()
        await world.settle()
        assert not (await world.delivery())["in_doubt"]

        await world.store.resume("web")
        await world.replay("e1")
        assert tracker.did("find") == []
        assert tracker.made(1) == ["1"]

    async def test_what_the_tracker_silently_did_not_do_is_a_warning(self, world):
        await world.start()
        world.tracker().warnings = ("label crowd was dropped",)
        await world.export()
        await world.settle()

        assert "label crowd was dropped" in (await world.delivery())["warnings"]

    async def test_two_trackers_get_an_issue_each_with_markers_of_their_own(self, world):
        await world.start(world.track("web"), world.track("app"))
        await world.export(1, "web", "app")
        await world.settle()

        (web,), (app,) = world.tracker("web").drafts.values(), world.tracker("app").drafts.values()
        assert web.marker.text == app.marker.text == "testio-bug-1"
        assert web.marker.uuid != app.marker.uuid, "in one account a client-made id must not be shared"


class TestInDoubt:
    async def test_a_hit_ends_the_doubt_and_nothing_is_made_again(self, world):
        tracker = await in_doubt(world)
        await world.pass_(seconds=31)

        delivery = await world.delivery()
        assert (delivery["state"], delivery["action"], delivery["issue"]["key"]) == ("delivered", "found", "web-1")
        assert [one["outcome"] for one in delivery["attempts_made"]] == ["InDoubt", "found"]
        assert tracker.made(1) == ["1"]

    async def test_a_hit_is_trusted_even_while_the_search_lags(self, world):
        await in_doubt(world, Slow)
        await world.pass_(seconds=31)

        assert (await world.delivery())["action"] == "found"

    async def test_a_miss_makes_it_where_the_search_does_not_lag(self, world):
        tracker = await in_doubt(world, made=False)
        await world.pass_(seconds=31)

        assert (await world.delivery())["action"] == "created"
        assert tracker.did("find") == ["testio-bug-1"]
        assert tracker.made(1) == ["1"]

    async def test_a_miss_proves_nothing_before_the_search_has_settled(self, world):
        tracker = await in_doubt(world, Slow, made=False)
        await world.pass_(seconds=31)

        delivery = await world.delivery()
        assert (delivery["state"], delivery["in_doubt"], delivery["attempts"]) == ("pending", True, 1)
        assert "waiting until a search is sure to show it" in delivery["error"]
        assert tracker.did("create") == ["testio-bug-1"], "not again yet"

        await world.pass_(minutes=10)
        assert (await world.delivery())["action"] == "created"
        assert tracker.made(1) == ["1"]

    async def test_it_lasts_through_attempts_that_cannot_even_look(self, world):
        tracker = await in_doubt(world)
        tracker.on("find", Unavailable("down"), RateLimited("slow"))
        await world.pass_(seconds=31)
        await world.pass_(seconds=91)
        assert tracker.did("create") == ["testio-bug-1"]

        await world.pass_(seconds=301)
        assert (await world.delivery())["action"] == "found"

    async def test_each_further_create_without_an_answer_begins_it_anew(self, world):
        tracker = await in_doubt(world, Slow, made=False)
        tracker.on("create", After(InDoubt("again")))
        await world.pass_(minutes=11)
        assert tracker.did("create") == ["testio-bug-1"] * 2

        tracker.on("find", None)
        await world.pass_(seconds=91)
        assert (await world.delivery())["action"] == "found"
        assert tracker.made(1) == ["1"]

    async def test_a_tracker_that_cannot_be_searched_leaves_it_to_a_person_in_words(self, world):
        tracker = await in_doubt(world, Blind)
        await world.pass_(seconds=31)

        delivery = await world.delivery()
        assert (delivery["state"], delivery["in_doubt"]) == ("dead", True)
        assert "Scripted cannot be searched" in delivery["error"]
        assert "look for testio-bug-1 there" in delivery["error"]
        assert tracker.made(1) == ["1"]

    async def test_and_after_the_person_replayed_it_is_made(self, world):
        tracker = await in_doubt(world, Blind, made=False)
        await world.pass_(seconds=31)
        await world.replay("e1", blind=["web"])

        assert (await world.delivery())["action"] == "created"
        assert tracker.made(1) == ["1"]

    @pytest.mark.parametrize("made", [True, False])
    async def test_one_that_enforces_the_marker_is_simply_asked_again(self, world, made):
        tracker = await in_doubt(world, Enforcing, made=made)
        await world.pass_(seconds=31)

        assert (await world.delivery())["state"] == "delivered"
        assert tracker.did("find") == []
        assert tracker.made(1) == ["1"]

    async def test_when_it_dies_so_the_next_export_of_the_bug_looks_first(self, world):
        await world.start(world.track(retry={"attempts": 1}))
        tracker = world.tracker()
        tracker.on("create", After(InDoubt("reset")))
        await world.export(1)
        await world.settle()
        assert (await world.states()) == {"e1": "dead"}

        await world.export(1)
        await world.settle()
        assert (await world.delivery("e2"))["action"] == "found"
        assert tracker.made(1) == ["1"]

    @pytest.mark.usefixtures("one_process")
    async def test_an_interrupted_run_is_taken_up_in_doubt(self, world):
        """What a crash leaves: claimed, and no outcome."""
        await world.start()
        tracker = world.tracker()
        tracker.on("create", After(InDoubt("reset")))
        await world.export()
        await world.settle()

        await world.store._writer.submit(_as_after_a_crash, None)
        await world.dispatcher.stop(timedelta(0))
        world.dispatcher = world.new_dispatcher("the next process")
        again = world.track()
        assert isinstance(again.tracker, Scripted)
        again.tracker.drafts = tracker.drafts
        await world.start(again)
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["action"], delivery["attempts_made"][0]["outcome"]) == ("found", "InDoubt")
        assert again.tracker.did("create") == []


def _as_after_a_crash(connection, items):
    connection.exec_driver_sql("UPDATE deliveries SET state = 'running', lease_owner = 'gone', lease_until = 9e9")
    return list(items)


class TestOddPlugins:
    """A bug in a plugin must not lose, double or hang a delivery."""

    async def test_any_exception_in_create_means_in_doubt(self, world):
        await world.start()
        tracker = world.tracker()
        tracker.on("create", After(KeyError("number")))
        await world.export()
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["state"], delivery["in_doubt"], delivery["error_kind"]) == ("pending", True, "InDoubt")
        assert "the tracker type scripted failed: KeyError: 'number' (in _do, line" in delivery["error"]
        assert "scripted.py" in delivery["error"]

        await world.pass_(seconds=31)
        assert tracker.made(1) == ["1"]

    @pytest.mark.parametrize(
        "answer", [None, "17", Issue(id="", key="A-1", url="u"), Issue(id="1", key="", url="")]
    )
    async def test_an_answer_that_is_no_issue_means_in_doubt(self, world, answer):
        class Odd(Scripted):
            async def create(self, draft):
                await super().create(draft)
                return answer

        await world.start(world.track(kind=Odd))
        await world.export()
        await world.settle()
        assert (await world.delivery())["error_kind"] == "InDoubt"

        await world.pass_(seconds=31)
        assert (await world.delivery())["action"] == "found"
        assert world.tracker().made(1) == ["1"]

    async def test_an_exception_before_create_leaves_no_doubt(self, world):
        def raises(draft, bug, tracker):
            raise ZeroDivisionError("a hook")

        await world.start()
        world.prepare = raises
        await world.export()
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["state"], delivery["in_doubt"], delivery["error_kind"]) == (
            "pending",
            False,
            "Unavailable",
        )

        world.prepare = lambda draft, bug, tracker: draft
        await world.pass_(seconds=31)
        assert world.tracker().made(1) == ["1"]

    async def test_what_plugins_prepare_is_what_is_made(self, world):
        world.prepare = lambda draft, bug, tracker: draft.with_(title=f"{tracker}: {bug.title}")
        await world.start()
        await world.export()
        await world.settle()

        assert world.tracker().drafts["1"].title == "web: Bug 1"

    async def test_one_that_never_answers_is_left_after_a_while(self, world):
        await world.start(world.track(timeout="1ms"))
        tracker = world.tracker()
        tracker.on("create", Gate())
        await world.export()
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["state"], delivery["in_doubt"]) == ("pending", True)
        assert delivery["error"] == "no end after 10ms"

    async def test_secrets_in_its_exceptions_are_redacted(self, world):
        tracking = world.track(secrets=["top-secret-token"])
        await world.start(tracking)
        tracking.tracker.on("create", RuntimeError("401 for top-secret-token"))
        tracking.tracker.on("attach", RuntimeError("401 for top-secret-token"))
        await world.export(attachments=["https://files.test.io/a.png"])
        await world.settle()
        await world.pass_(seconds=31)

        row = await world.delivery()
        assert "RuntimeError: 401 for [secret]" in row["attempts_made"][0]["message"]
        assert "RuntimeError: 401 for [secret]" in row["followups"][1]["error"]


class TestTheEnd:
    async def test_when_all_attempts_are_used_up_it_is_dead_with_the_reason(self, world):
        await world.start(world.track(retry={"attempts": 3, "circuit_after": 99}))
        world.tracker().on("create", *[Unavailable("bad gateway", status=502)] * 3)
        await world.export()
        await world.settle()
        await world.pass_(seconds=31)
        await world.pass_(seconds=91)

        delivery = await world.delivery()
        assert (delivery["state"], delivery["attempts"], delivery["error"]) == (
            "dead",
            3,
            "bad gateway (HTTP 502)",
        )

    async def test_a_refusal_is_dead_at_once_with_the_trackers_own_field_messages(self, world):
        await world.start()
        world.tracker().on("create", Rejected("Invalid", status=422, fields={"priority": "is not valid"}))
        await world.export()
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["state"], delivery["error"]) == ("dead", "Invalid (HTTP 422): priority: is not valid")

    async def test_a_replay_makes_it(self, world):
        await world.start()
        world.tracker().on("create", Rejected("no"))
        await world.export()
        await world.settle()
        await world.replay("e1")

        assert (await world.delivery())["state"] == "delivered"

    async def test_gone_where_there_was_no_issue_is_dead(self, world):
        await world.start()
        world.tracker().on("create", Gone("the project is not there", status=404))
        await world.export()
        await world.settle()

        assert (await world.delivery())["state"] == "dead"

    @pytest.mark.usefixtures("one_process")
    async def test_a_kept_export_that_this_program_cannot_read_is_dead_with_words(self, world):
        await world.export()
        await world.store._writer.submit(_spoil, None)
        await world.start()
        await world.settle()

        delivery = await world.delivery()
        assert (delivery["state"], delivery["in_doubt"]) == ("dead", False)
        assert "the kept export cannot be read: /bug: is required" in delivery["error"]


def _spoil(connection, items):
    connection.exec_driver_sql("UPDATE exports SET body = ?", (b'{"event": "bug.exported"}',))
    return list(items)


class TestPluginsAreTold:
    async def test_of_a_delivery(self, world):
        await world.start()
        await world.export(7)
        await world.settle()

        (told,) = world.hooks("bridge_delivered")
        assert (told["export_id"], told["tracker"], told["bug_id"], told["action"]) == ("e1", "web", 7, "created")
        assert told["issue"].key == "web-1"

    async def test_of_a_failed_attempt_and_of_a_dead_delivery(self, world):
        await world.start()
        errors: list[TrackerError] = [Unavailable("down"), Rejected("no")]
        world.tracker().on("create", *errors)
        await world.export()
        await world.settle()
        await world.pass_(seconds=31)

        (failed,), (dead,) = world.hooks("bridge_attempt_failed"), world.hooks("bridge_dead")
        assert (failed["error"], failed["attempt"], failed["export_id"]) == (errors[0], 1, "e1")
        assert (dead["error"], dead["tracker"], dead["bug_id"]) == (errors[1], "web", 1)
