"""The end, a reload, and the days on which clock and store do odd things."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bridge.dispatch import dispatcher, lane
from bridge.errors import StoreError, Unavailable
from tests.dispatch.scripted import Gate, Scripted, World

pytestmark = pytest.mark.anyio

NO_GRACE, GRACE = timedelta(0), timedelta(seconds=5)


async def held(world: World, method: str = "create", **export: object) -> Gate:
    """A delivery that is held in a call of its tracker."""
    gate = Gate()
    world.tracker().on(method, gate)
    await world.receipt()
    await world.until(lambda: gate.reached == 1)
    return gate


class TestStopping:
    async def test_what_is_under_way_ends_and_is_written_down(self, world):
        await world.start()
        gate = await held(world)
        stopping = asyncio.create_task(world.dispatcher.stop(GRACE))
        await asyncio.sleep(0)
        gate.open()
        await stopping

        assert (await world.delivery())["state"] == "delivered"
        assert world.tracker().closed

    async def test_what_does_not_end_is_given_back_unspent_and_in_doubt_when_a_create_was_under_way(self, world):
        await world.start()
        await held(world)
        await world.dispatcher.stop(NO_GRACE)

        delivery = await world.delivery()
        assert (delivery["state"], delivery["attempts"], delivery["in_doubt"]) == ("pending", 0, True)
        assert delivery["attempts_made"][0]["outcome"] == "given back"

    async def test_without_a_doubt_when_no_create_was_under_way(self, world):
        await world.start()
        await world.export()
        await world.settle()
        gate = Gate()
        world.tracker().on("comment", gate)
        await world.receipt()
        await world.until(lambda: gate.reached == 1)
        await world.dispatcher.stop(NO_GRACE)

        delivery = await world.delivery("e2")
        assert (delivery["state"], delivery["attempts"], delivery["in_doubt"]) == ("pending", 0, False)

    async def test_an_older_doubt_is_kept(self, world):
        await world.start()
        tracker, gate = world.tracker(), Gate()
        tracker.on("create", KeyError("no answer"))
        await world.export()
        await world.settle()
        tracker.on("find", gate)
        world.clock.advance(timedelta(seconds=31))
        world.dispatcher.wake()
        await world.until(lambda: gate.reached == 1)
        await world.dispatcher.stop(NO_GRACE)

        assert (await world.delivery())["in_doubt"]

    async def test_a_follow_up_is_given_back_too(self, world):
        await world.start()
        await held(world, "complete")
        await world.dispatcher.stop(NO_GRACE)

        assert await world.followups() == {"complete": "pending"}

    async def test_nothing_new_is_begun(self, world):
        await world.start()
        await world.dispatcher.stop(NO_GRACE)
        await world.export()
        world.dispatcher.wake()

        assert (await world.delivery())["state"] == "pending"

    async def test_what_was_being_claimed_at_that_moment_is_not_forgotten(self, world, monkeypatch):
        await world.start()
        await world.settle()
        claim, reached, gate = world.store.claim, asyncio.Event(), asyncio.Event()

        async def slowly(wanted):
            batch = await claim(wanted)
            reached.set()
            await gate.wait()
            return batch

        monkeypatch.setattr(world.store, "claim", slowly)
        await world.receipt()
        await reached.wait()
        stopping = asyncio.create_task(world.dispatcher.stop(GRACE))
        await asyncio.sleep(0)
        gate.set()
        await stopping

        assert (await world.delivery())["state"] in {"delivered", "pending"}, "and not running, with nobody at it"
        assert not any(one._running for one in world.dispatcher._lanes.values())

    async def test_a_check_that_hangs_does_not_hold_it_up(self, world):
        await world.start()
        tracker, gate = world.tracker(), Gate()
        tracker.on("check", gate)
        await world.store._writer.submit(_paused_by_the_bridge, None)
        await world.settle()
        world.clock.advance(timedelta(minutes=2))
        world.dispatcher.wake()
        await world.until(lambda: gate.reached == 1)

        async with asyncio.timeout(2):
            await world.dispatcher.stop(NO_GRACE)

    async def test_a_plugin_that_cannot_even_be_closed_does_not_hold_it_up(self, world):
        await world.start(world.track("web"), world.track("app"))
        world.tracker("web").on("close", ZeroDivisionError("a bug"))
        await world.dispatcher.stop(NO_GRACE)

        assert world.tracker("app").closed


def _paused_by_the_bridge(connection, items):
    connection.exec_driver_sql(
        "INSERT INTO trackers (name, paused_by, paused_reason, paused_at) VALUES ('web', 'bridge', 'token', 0)"
    )
    return list(items)


class TestReplacing:
    async def test_the_new_trackers_go_on_with_what_waits(self, world):
        await world.start()
        world.tracker().on("create", Unavailable("down"))
        await world.export()
        await world.settle()
        old = world.tracker()

        await world.dispatcher.replace([world.track("web"), world.track("app")], NO_GRACE)
        await world.pass_(seconds=31)

        assert old.closed
        assert world.tracker() is not old
        assert world.tracker().made(1) == ["1"]
        assert set(world.dispatcher.trackings) == {"web", "app"}

    async def test_what_is_under_way_ends_with_the_old_ones(self, world):
        await world.start()
        gate = await held(world)
        old = world.tracker()
        replacing = asyncio.create_task(world.dispatcher.replace([world.track()], GRACE))
        await asyncio.sleep(0)
        gate.open()
        await replacing

        assert old.made(1) == ["1"]
        assert (await world.delivery())["state"] == "delivered"

    async def test_a_plugin_that_cannot_be_closed_does_not_end_the_work(self, world):
        await world.start()
        world.tracker().on("close", ZeroDivisionError("a bug"))
        await world.dispatcher.replace([world.track()], NO_GRACE)
        await world.export()
        await world.settle()

        assert world.tracker().made(1) == ["1"]


class TestTheStoreFails:
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch):
        monkeypatch.setattr(lane, "_STORE_PAUSE", 0.005)

    @pytest.mark.parametrize("error", [StoreError("disk full"), ZeroDivisionError("a bug")])
    async def test_handing_out_is_tried_again(self, world, monkeypatch, error):
        await world.start()
        await world.settle()
        claim, errors = world.store.claim, [error]

        async def failing(wanted):
            if errors:
                raise errors.pop()
            return await claim(wanted)

        monkeypatch.setattr(world.store, "claim", failing)
        await world.receipt()
        await world.until(lambda: world.tracker().made(1) == ["1"])

    async def test_an_outcome_is_written_down_however_long_it_takes(self, world, monkeypatch):
        await world.start()
        record, errors = world.store.record, [StoreError("disk full"), StoreError("disk full")]

        async def failing(outcome):
            if errors:
                raise errors.pop()
            return await record(outcome)

        monkeypatch.setattr(world.store, "record", failing)
        await world.export()
        await world.settle()

        assert (await world.delivery())["state"] == "delivered"
        assert world.tracker().did("create") == ["testio-bug-1"], "what is done is not done again"


class TestTime:
    @pytest.fixture(autouse=True)
    def _quick_heartbeat(self, monkeypatch):
        monkeypatch.setattr(dispatcher, "HEARTBEAT", timedelta(milliseconds=5))

    @pytest.mark.usefixtures("one_process")
    async def test_a_clock_set_back_does_not_make_a_retry_wait_longer(self, world):
        await world.start()
        world.tracker().on("create", Unavailable("down"))
        await world.export()
        await world.settle()

        world.clock.jump(timedelta(hours=-10))
        await world.shifted()
        await world.pass_(seconds=31)

        assert world.tracker().made(1) == ["1"]

    async def test_a_clock_set_forward_only_brings_it_sooner(self, world):
        await world.start()
        world.tracker().on("create", Unavailable("down"))
        await world.export()
        await world.settle()

        world.clock.jump(timedelta(hours=10))
        await world.until(lambda: world.tracker().made(1) == ["1"])

    @pytest.mark.usefixtures("one_process")
    async def test_a_clock_set_back_hides_no_doubt(self, world):
        await world.start()
        tracker = world.tracker()
        tracker.on("create", KeyError("no answer"))
        await world.export()
        await world.settle()

        world.clock.jump(timedelta(hours=-10))
        await world.shifted()
        await world.pass_(seconds=31)

        assert tracker.did("find") == ["testio-bug-1"]
        assert tracker.made(1) == ["1"]

    async def test_leases_are_kept_alive_while_a_slow_attempt_lasts(self, world):
        await world.start()
        gate = await held(world)
        world.clock.advance(timedelta(minutes=5))
        beats = len(world.store.beats)
        await world.until(lambda: len(world.store.beats) > beats + 1)

        assert await world.store.recover(now=world.clock.now()) == 0
        gate.open()
        await world.settle()
        assert (await world.delivery())["state"] == "delivered"

    async def test_a_heartbeat_survives_a_store_that_fails(self, world, monkeypatch):
        await world.start()
        beat, errors = world.store.heartbeat, [StoreError("disk full")]

        async def failing(owner, until):
            if errors:
                raise errors.pop()
            await beat(owner, until)

        monkeypatch.setattr(world.store, "heartbeat", failing)
        beats = len(world.store.beats)
        await world.until(lambda: len(world.store.beats) > beats)


@pytest.mark.usefixtures("one_process")
async def test_what_an_earlier_process_left_behind_is_taken_up_at_once(world):
    await world.start()
    await held(world)
    for task in [*world.dispatcher._tasks, *world.dispatcher._lanes["web"]._running]:
        task.cancel()  # as a kill does, but for what it writes down
    await world.store._writer.submit(_left_running, None)

    world.dispatcher = world.new_dispatcher("the next process")
    await world.start()
    await world.settle()

    assert (await world.delivery())["state"] == "delivered"
    assert isinstance(world.tracker(), Scripted)
    assert world.tracker().did("find") == ["testio-bug-1"], "it may have been made"


def _left_running(connection, items):
    connection.exec_driver_sql("UPDATE deliveries SET state = 'running', lease_owner = 'x', lease_until = 9e12")
    return list(items)
