"""Handing out work: what is due, in order for each bug, and nothing of a tracker that must wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bridge.errors import InDoubt, RateLimited, Rejected, Unavailable
from bridge.model import Attachment
from bridge.store import Destination, Effect, Followup, State, Store, reading
from tests.store.conftest import FILE, ISSUE, OWNER, START, World, after

pytestmark = pytest.mark.anyio


async def test_a_delivery_comes_with_everything_an_attempt_needs(world):
    to = Destination(tracker="web", route="all", on_reexport="update", update_fields=("body", "title"))
    await world.accept(7, destinations=(to,), body=b'{"a": 1}')

    claimed = await world.claim_one(5)

    assert (claimed.export_id, claimed.tracker, claimed.bug_id, claimed.connection) == ("e1", "web", 7, "shop")
    assert (claimed.on_reexport, claimed.update_fields) == ("update", ("body", "title"))
    assert (claimed.attempt, claimed.claimed_at, claimed.first_attempt_at) == (1, after(5), after(5))
    assert (claimed.received_at, claimed.body) == (START, b'{"a": 1}')
    assert (claimed.known, claimed.doubt_since, claimed.warnings) == (None, None, ())


async def test_what_was_claimed_is_not_handed_out_again(world):
    await world.accept()

    assert await world.claimed_exports() == ["e1"]
    assert await world.claimed_exports(1000) == []


async def test_the_oldest_come_first_and_no_more_than_asked_for(world):
    for bug in range(5):
        await world.accept(bug)

    assert await world.claimed_exports(limit=2) == ["e1", "e2"]
    assert await world.claimed_exports(limit=2) == ["e3", "e4"]


async def test_nothing_of_another_tracker_is_handed_out(world):
    await world.accept(1, "web", "app")

    assert await world.claimed_exports(tracker="app") == ["e1"]
    assert await world.claimed_exports(tracker="web") == ["e1"], "the other tracker holds nothing up"
    assert await world.claimed_exports(tracker="else") == []


class TestOrder:
    async def test_a_later_export_of_a_bug_waits_for_the_earlier(self, world):
        await world.accept(1)
        await world.accept(1)
        await world.accept(2)

        claimed = {one.export_id: one for one in (await world.claim()).deliveries}
        assert set(claimed) == {"e1", "e3"}
        assert await world.claimed_exports() == []

        await world.end(claimed["e1"])
        second = await world.claim_one()
        assert second.export_id == "e2"
        assert second.known is not None
        assert (second.known.issue, second.known.export_id) == (ISSUE, "e1")

    async def test_also_while_the_earlier_waits_to_be_tried_again(self, world):
        await world.accept(1)
        await world.accept(1)
        await world.fail(await world.claim_one(), Unavailable("down"), next_at=after(100))

        assert await world.claimed_exports(50) == []
        assert await world.claimed_exports(100) == ["e1"]

    async def test_a_dead_one_does_not_hold_up_the_next(self, world):
        await world.accept(1)
        await world.accept(1)
        await world.end(await world.claim_one(), State.DEAD, error=Rejected("no"))

        assert await world.claimed_exports() == ["e2"]

    async def test_many_waiting_exports_of_one_bug_do_not_hide_another_bug(self, world):
        for _ in range(30):
            await world.accept(1)
        await world.accept(2)

        assert await world.claimed_exports(limit=4) == ["e1", "e31"]


class TestWaiting:
    async def test_a_retry_comes_when_it_is_due_and_the_asker_knows_when(self, world):
        await world.accept()
        await world.fail(await world.claim_one(), Unavailable("down"), next_at=after(30))

        batch = await world.claim(10)
        assert (batch.deliveries, batch.next_at) == ((), after(30))
        assert (await world.claim_one(30)).attempt == 2

    async def test_where_nothing_waits_there_is_no_moment(self, world):
        assert (await world.claim()).next_at is None

    async def test_an_unspent_attempt_does_not_count(self, world):
        await world.accept()
        await world.fail(await world.claim_one(), RateLimited("slow"), spent=False)

        assert (await world.claim_one(2)).attempt == 1

    async def test_the_first_attempt_is_remembered(self, world):
        await world.accept()
        await world.fail(await world.claim_one(1), Unavailable("down"))

        assert (await world.claim_one(9)).first_attempt_at == after(1)


class TestPaused:
    async def test_nothing_is_handed_out_and_the_reason_is(self, world):
        await world.accept()
        await world.store.pause("web", "moving house", by="person", now=START)

        batch = await world.claim()
        assert (batch.deliveries, batch.paused, batch.paused_by) == ((), "moving house", "person")

        assert await world.store.resume("web")
        assert await world.claimed_exports() == ["e1"]
        assert not await world.store.resume("web"), "nothing held it any more"

    async def test_a_refusal_pauses_the_tracker_for_all_its_deliveries(self, world):
        await world.accept(1)
        await world.accept(2)
        claimed = await world.claim_one(limit=1)
        await world.end(claimed, State.PENDING, next_at=after(1), effect=Effect(pause="token", until=after(1)))

        batch = await world.claim()
        assert (batch.deliveries, batch.paused, batch.paused_by) == ((), "token", "bridge")

    async def test_the_bridge_does_not_take_over_a_persons_pause(self, world):
        await world.accept()
        claimed = await world.claim_one()
        await world.store.pause("web", "by hand", by="person", now=START)
        await world.end(claimed, State.PENDING, effect=Effect(pause="token", until=after(1)))

        assert (await world.claim()).paused == "by hand"

    async def test_another_tracker_goes_on(self, world):
        await world.accept(1, "web", "app")
        await world.store.pause("web", "x", by="person", now=START)

        assert await world.claimed_exports(tracker="app") == ["e1"]


class TestBlockedAccount:
    BLOCK = Effect(block=("web", "app"), until=after(60), error="slow down")

    async def test_every_tracker_of_the_account_waits_as_long_as_it_was_told(self, world):
        await world.accept(1, "web", "app", "else")
        claimed = await world.claim_one()
        await world.end(claimed, State.PENDING, next_at=after(60), spent=False, effect=self.BLOCK)

        for tracker in ("web", "app"):
            batch = await world.claim(59, tracker)
            assert (batch.deliveries, batch.next_at) == ((), after(60))
        assert await world.claimed_exports(59, "else") == ["e1"]
        assert await world.claimed_exports(60, "app") == ["e1"]

    async def test_a_shorter_wait_does_not_shorten_a_longer_one(self, world):
        await world.accept(1)
        await world.accept(2)
        batch = await world.claim()
        shorter = Effect(block=("web",), until=after(5))
        for claimed, effect in zip(batch.deliveries, (self.BLOCK, shorter), strict=True):
            await world.end(claimed, State.PENDING, next_at=after(5), effect=effect)

        assert (await world.claim(6)).next_at == after(60)


class TestCircuit:
    @staticmethod
    async def open_it(world: World, seconds: float = 1) -> None:
        """Three failures; open for thirty seconds from then."""
        for step in range(3):
            effect = Effect(failed=True, error="down", circuit_after=3, circuit_until=after(seconds + step + 30))
            claimed = await world.claim_one(seconds + step, limit=1)
            await world.fail(claimed, Unavailable("down"), effect=effect)

    async def test_so_many_failures_in_a_row_open_it_for_a_while(self, world):
        for bug in range(5):
            await world.accept(bug)
        await self.open_it(world)

        batch = await world.claim(32)
        assert (batch.deliveries, batch.next_at) == ((), after(33))

    async def test_then_one_delivery_at_a_time_tries_until_one_succeeds(self, world):
        for bug in range(5):
            await world.accept(bug)
        await self.open_it(world)

        (trying,) = (await world.claim(33, ahead=2)).deliveries
        assert (await world.claim(33)).deliveries == (), "only one, while it is under way"

        await world.end(trying, effect=Effect(succeeded=True))
        assert len((await world.claim(34)).deliveries) == 4

    async def test_a_failure_of_that_one_opens_it_again(self, world):
        await world.accept(1)
        await self.open_it(world)

        effect = Effect(failed=True, error="down", circuit_after=3, circuit_until=after(63))
        await world.fail(await world.claim_one(33), Unavailable("down"), effect=effect)

        assert (await world.claim(34)).next_at == after(63)

    async def test_one_that_keeps_failing_does_not_keep_the_other_kind_from_trying(self, world):
        """What waits longest goes next: a delivery that fails and fails starves no follow-up, nor the other way."""
        await world.delivered(followups=((Followup.ATTACH, FILE),))
        (step,) = (await world.claim(2)).followups
        await world.end_step(step, State.PENDING, next_at=after(10))
        await world.accept(2)
        await self.open_it(world)

        tried = []
        for turn in range(4):
            now = 33 + 30 * turn
            batch = await world.claim(now)
            down = Effect(failed=True, error="down", circuit_after=3, circuit_until=after(now + 30))
            tried.append((len(batch.deliveries), len(batch.followups)))
            for claimed in batch.deliveries:
                await world.fail(claimed, Unavailable("down"), next_at=after(now + 5), effect=down)
            for step in batch.followups:
                await world.end_step(step, State.PENDING, next_at=after(now + 5), effect=down)

        assert tried == [(1, 0), (0, 1), (1, 0), (0, 1)]

    async def test_a_follow_up_is_let_through_alone_as_well(self, world):
        await world.delivered(followups=tuple((Followup.ATTACH, Attachment(url=f"https://f/{n}")) for n in "abc"))
        await world.accept(2)
        await self.open_it(world)

        first, second = await world.claim(33), await world.claim(33)
        assert (len(first.deliveries), len(first.followups)) == (0, 1), "it waits longer than the delivery"
        assert (second.deliveries, second.followups) == ((), ()), "only one, while it is under way"
        await world.end_step(first.followups[0], effect=Effect(succeeded=True))
        after_it = await world.claim(35)
        assert (len(after_it.deliveries), len(after_it.followups)) == (1, 2)

    async def test_a_success_in_between_starts_the_count_again(self, world):
        for bug in range(6):
            await world.accept(bug)
        down = Effect(failed=True, error="down", circuit_after=3, circuit_until=after(90))
        for effect in (down, down, Effect(succeeded=True), down, down):
            claimed = await world.claim_one(limit=1)
            await world.end(claimed, State.DEAD, error=Unavailable("down"), effect=effect)

        assert len((await world.claim()).deliveries) == 1


class TestDoubt:
    async def test_an_attempt_that_never_ended_leaves_a_doubt(self, world):
        await world.accept()
        await world.claim_one(1)
        assert await world.store.recover(now=after(9), everything=True) == 1

        claimed = await world.claim_one(9)
        assert claimed.doubt_since == after(9), "until the moment it was taken up, an issue may have been made"

    async def test_a_clear_answer_leaves_none(self, world):
        await world.accept()
        await world.fail(await world.claim_one(), Unavailable("down"))

        assert (await world.claim_one(2)).doubt_since is None

    async def test_it_lasts_until_an_outcome_says_otherwise(self, world):
        await world.accept()
        for seconds in (1, 2, 3):
            claimed = await world.claim_one(seconds)
            await world.fail(claimed, InDoubt("no answer"), doubt_since=after(1.5))

        assert (await world.claim_one(4)).doubt_since == after(1.5)

    @pytest.mark.parametrize("seconds", [1, -3600])
    async def test_a_clock_that_stands_still_or_goes_back_hides_no_doubt(self, world, seconds):
        await world.accept()
        await world.fail(
            await world.claim_one(0.5), InDoubt("no answer"), doubt_since=after(1), next_at=after(-7200)
        )

        assert (await world.claim_one(seconds)).doubt_since == after(1)

    async def test_the_next_export_of_a_bug_takes_over_the_doubt_of_a_dead_one(self, world):
        await world.accept(1)
        await world.accept(1)
        await world.accept(2)
        first = await world.claim_one(1, limit=1)
        await world.end(first, State.DEAD, error=InDoubt("no answer"), doubt_since=after(2))

        second, other = (await world.claim(100)).deliveries
        assert (second.export_id, second.doubt_since, second.first_attempt_at) == ("e2", after(2), after(1))
        assert (other.doubt_since, other.first_attempt_at) == (None, after(100))

    async def test_not_where_each_export_makes_an_issue_of_its_own(self, world):
        to = (Destination(tracker="web", on_reexport="new"),)
        await world.accept(1, destinations=to)
        await world.accept(1, destinations=to)
        await world.end(await world.claim_one(1), State.DEAD, error=InDoubt("?"), doubt_since=after(2))

        assert (await world.claim_one(100)).doubt_since is None


class TestLeases:
    async def test_a_lease_that_ran_out_is_given_back(self, world):
        await world.accept()
        await world.claim_one(1)

        assert await world.store.recover(now=after(60)) == 0
        assert await world.store.recover(now=after(62)) == 1
        assert (await world.claim_one(62)).attempt == 2, "the interrupted attempt counts"

    async def test_a_heartbeat_prolongs_it(self, world):
        await world.accept()
        await world.claim_one(1)
        await world.store.heartbeat(OWNER, after(500))
        await world.store.heartbeat("somebody else", after(9))

        assert await world.store.recover(now=after(400)) == 0

    async def test_follow_ups_are_given_back_too(self, world):
        await world.delivered()
        assert len((await world.claim(2)).followups) == 2

        await world.store.recover(now=after(3), everything=True)
        assert len((await world.claim(3)).followups) == 2


class TestAhead:
    """Deliveries for the slots that are free next."""

    async def shown(self, world: World) -> dict[str, Any]:
        """What there is to be seen of the delivery of e1, but for when it changed."""
        (delivery,) = (await world.read(reading.show_export, "e1"))["deliveries"]
        return {**delivery, "changed_at": None}

    async def test_they_are_handed_out_beyond_the_slots_but_no_follow_ups(self, world):
        await world.delivered()
        for bug in (2, 3, 4, 5):
            await world.accept(bug)

        assert await world.claimed_exports(2, limit=1, ahead=2) == ["e2", "e3", "e4"]
        batch = await world.claim(2, limit=0, ahead=4)
        assert ([one.export_id for one in batch.deliveries], batch.followups) == (["e5"], ())

    async def test_what_was_never_begun_is_given_back_as_it_was(self, world):
        await world.accept()
        before = await self.shown(world)
        claimed = await world.claim_one()

        assert await world.store.give_back([claimed])
        assert await self.shown(world) == before
        assert (await world.claim_one(2)).attempt == 1

    async def test_an_earlier_attempt_and_its_doubt_stay(self, world):
        await world.accept()
        await world.fail(await world.claim_one(), InDoubt("no answer"), doubt_since=after(1))
        before = await self.shown(world)
        claimed = await world.claim_one(5)
        await world.store.give_back([claimed])

        assert await self.shown(world) == before
        again = await world.claim_one(9)
        assert (again.attempt, again.doubt_since, again.first_attempt_at) == (2, after(1), after(1))

    async def test_one_that_is_not_ours_any_more_stays_whose_it_is(self, world):
        await world.accept()
        claimed = await world.claim_one()
        await world.store.recover(now=after(2), everything=True)
        await world.claim_one(3)

        assert not await world.store.give_back([claimed])
        assert (await self.shown(world))["state"] == "running"


class TestFollowups:
    async def test_they_come_after_deliveries_in_what_is_left_of_the_slots(self, world):
        await world.delivered()
        await world.accept(2)

        batch = await world.claim(2, limit=2)
        assert [one.export_id for one in batch.deliveries] == ["e2"]
        (step,) = batch.followups
        assert (step.kind, step.issue, step.export_id, step.bug_id) == (Followup.COMPLETE, ISSUE, "e1", 1)
        assert (step.attempt, step.first_attempt_at, step.connection) == (1, after(1), "shop")

        (step,) = (await world.claim(2)).followups
        assert (step.kind, step.attachment) == (Followup.ATTACH, FILE)

    async def test_they_are_tried_again_when_they_are_due(self, world):
        await world.delivered(followups=((Followup.ATTACH, FILE),))
        (step,) = (await world.claim(2)).followups
        await world.end_step(step, State.PENDING, next_at=after(30), error="not fetched")

        batch = await world.claim(3)
        assert (batch.followups, batch.next_at) == ((), after(30))
        (again,) = (await world.claim(30)).followups
        assert again.attempt == 2

    async def test_an_unspent_one_does_not_count(self, world):
        await world.delivered(followups=((Followup.ATTACH, FILE),))
        (step,) = (await world.claim(2)).followups
        await world.end_step(step, State.PENDING, next_at=after(2), spent=False)

        (again,) = (await world.claim(3)).followups
        assert again.attempt == 1


class TestCost:
    """Claiming costs the same with a million deliveries waiting as with ten: every query uses its index."""

    @pytest.fixture
    async def plans(self, world: World, store: Store, file: Path):
        """The query plans of everything that claiming asks and changes."""
        asked: list[tuple[str, object]] = []
        await world.delivered()
        for bug in range(2, 6):
            await world.accept(bug)
        await world.store.pause("else", "x", by="person", now=START)
        event.listen(
            store._engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
        )
        await world.claim(2, limit=3)
        await world.claim(2, limit=4)  # more than there is: then it is looked when to ask again
        wanted = [one for one in asked if one[0].startswith(("SELECT", "UPDATE"))]

        def explain(connection, items):
            answers = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given) for sql, given in wanted]
            return [[(sql, [row[3] for row in rows]) for (sql, _), rows in zip(wanted, answers, strict=True)]]

        return await store._writer.submit(explain, None)

    async def test_nothing_is_searched_from_end_to_end(self, plans):
        assert len(plans) > 8
        steps = [(statement, step) for statement, steps in plans for step in steps]
        scans = [(sql, step) for sql, step in steps if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"]
        assert scans == []

    async def test_no_parameter_decides_on_a_partial_index(self, plans):
        """SQLite compiles a statement anew whenever such a one gets a value."""
        assert [
            statement for statement, _ in plans if ".state = ?" in statement or ".state IN (?" in statement
        ] == []

    async def test_what_is_due_comes_in_order_from_the_partial_index_of_what_is_pending(self, plans):
        steps = next(steps for statement, steps in plans if "NOT ((EXISTS" in statement)

        assert steps[0] == "SEARCH deliveries USING INDEX deliveries_due (tracker=? AND next_at<?)"
        assert any("deliveries_unfinished (tracker=? AND bug_id=? AND position<?)" in step for step in steps)
        assert not any("TEMP B-TREE" in step for step in steps), "the index has the order already"

    async def test_the_next_moment_is_the_first_of_the_index(self, plans):
        for table in ("deliveries", "followups"):
            (steps,) = {tuple(steps) for statement, steps in plans if f"min({table}.next_at)" in statement}
            assert f"SEARCH {table} USING INDEX {table}_due (tracker=? AND next_at>?)" in steps
