"""What holds a delivery up: limits, pauses, circuits, order. And what does not: no tracker waits for another."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.errors import NotAllowed, RateLimited, Rejected, StoreError, Unavailable
from tests.dispatch.scripted import Gate

pytestmark = pytest.mark.anyio


class TestRateLimited:
    async def test_the_account_waits_as_long_as_it_was_told_and_then_goes_on(self, world):
        shared = ("web", "app")
        await world.start(
            world.track("web", account=shared), world.track("app", account=shared), world.track("else")
        )
        world.tracker("web").on("create", RateLimited("slow down", retry_after=timedelta(minutes=5)))
        await world.export(1, "web")
        await world.settle()
        await world.export(2, "web", "app", "else")
        await world.pass_(minutes=4)

        assert world.tracker("app").calls == [], "the other tracker of the account waits too"
        assert world.tracker("else").made(2) == ["1"]
        assert (await world.status("app"))["blocked_reason"] == "slow down"

        await world.pass_(minutes=2)
        assert world.tracker("web").made(1) == ["1"]
        assert world.tracker("app").made(2) == ["1"]
        assert (await world.delivery("e1"))["attempts"] == 1, "being told to wait costs no attempt"


class TestNotAllowed:
    async def refused(self, world):
        await world.start()
        tracker = world.tracker()
        tracker.on("create", NotAllowed("bad token", status=401))
        tracker.well = False
        await world.export(1)
        await world.export(2)
        await world.settle()
        return tracker

    async def test_the_tracker_is_paused_and_nothing_more_is_sent_there(self, world):
        tracker = await self.refused(world)
        sent = len(tracker.did("create"))
        await world.export(3)
        await world.settle()

        assert len(tracker.did("create")) == sent
        assert (await world.status())["paused"] == "bad token (HTTP 401)"
        assert (await world.status())["paused_by"] == "bridge"

    async def test_plugins_are_told_once(self, world):
        await self.refused(world)
        await world.settle()

        assert world.hooks("bridge_tracker_paused") == [{"tracker": "web", "reason": "bad token (HTTP 401)"}]

    async def test_it_is_looked_at_again_now_and_then_at_growing_distances(self, world):
        tracker = await self.refused(world)
        for _ in range(64):
            await world.pass_(minutes=1)

        assert 3 <= len(tracker.did("check")) <= 7

    async def test_a_good_check_resumes_it_and_the_deliveries_are_unspent(self, world):
        tracker = await self.refused(world)
        tracker.well = True
        await world.pass_(seconds=61)
        await world.until(lambda: tracker.made(1) != [])
        await world.settle()

        assert (tracker.made(1), len(tracker.made(2))) != ([], 0)
        assert (await world.delivery("e1"))["attempts"] == 1
        assert (await world.status())["paused"] == ""

    @pytest.mark.parametrize("error", [Unavailable("down"), ZeroDivisionError("a bug")])
    async def test_a_check_that_fails_is_no_good_check(self, world, error):
        tracker = await self.refused(world)
        tracker.well = True
        tracker.on("check", error)
        await world.pass_(seconds=61)

        assert (await world.status())["paused_by"] == "bridge"

    async def test_a_person_resumes_it_at_once(self, world):
        tracker = await self.refused(world)
        await world.store.resume("web")
        await world.settle()

        assert set((await world.states()).values()) == {"delivered"}
        assert tracker.did("check") == []

    async def test_what_a_person_paused_stays_so_however_well_it_is(self, world):
        await world.start()
        await world.store.pause("web", "moving house", by="person", now=world.clock.now())
        await world.export()
        for _ in range(5):
            await world.pass_(hours=1)

        assert world.tracker().calls == []
        assert (await world.states()) == {"e1": "pending"}

    async def test_a_store_that_fails_meanwhile_does_not_end_the_lane(self, world, monkeypatch):
        tracker = await self.refused(world)
        tracker.well = True
        failures = [StoreError("disk full")]
        resume = world.store.resume

        async def resuming(name):
            if failures:
                raise failures.pop()
            return await resume(name)

        monkeypatch.setattr("bridge.dispatch.lane._STORE_PAUSE", 0.01)
        monkeypatch.setattr(world.store, "resume", resuming)
        await world.pass_(seconds=61)
        await world.until(lambda: not failures)
        await world.pass_(minutes=5)
        await world.until(lambda: tracker.made(1) != [])


class TestCircuit:
    async def test_a_dead_tracker_is_left_alone_for_a_while_and_then_tried_with_one_delivery(self, world):
        settings = {"circuit_after": 3, "circuit_for": "60s", "first": "1s", "factor": 1}
        await world.start(world.track(retry=settings, concurrency=1))
        tracker = world.tracker()
        tracker.on("create", *[Unavailable("down")] * 4)
        for bug in range(6):
            await world.export(bug)
        await world.settle()
        assert len(tracker.did("create")) == 3, "after three failures in a row nobody asks"

        await world.pass_(seconds=50)
        assert len(tracker.did("create")) == 3
        await world.pass_(seconds=11)
        assert len(tracker.did("create")) == 4, "one tries; it fails, and the circuit is open again"

        await world.pass_(seconds=61)
        assert set((await world.states()).values()) == {"delivered"}
        assert (await world.status())["failures"] == 0

    async def test_a_refusal_is_an_answer_and_opens_nothing(self, world):
        await world.start(world.track(retry={"circuit_after": 2}))
        tracker = world.tracker()
        tracker.on("create", *[Rejected("no")] * 5)
        for bug in range(6):
            await world.export(bug)
        await world.settle()

        assert sorted((await world.states()).values()) == ["dead"] * 5 + ["delivered"]


class TestNobodyWaitsForAnother:
    async def test_a_tracker_that_hangs_delays_no_other(self, world):
        await world.start(world.track("web"), world.track("app"))
        gate = Gate()
        world.tracker("web").on("create", *[gate] * 4)
        for bug in range(8):
            await world.export(bug, "web", "app")
        world.dispatcher.wake()
        await world.until(lambda: len(world.tracker("app").drafts) == 8 and gate.reached == 4)

        gate.open()
        await world.settle()
        assert len(world.tracker("web").drafts) == 8

    async def test_a_bug_that_is_stuck_delays_no_other_bug(self, world):
        await world.start()
        world.tracker().on("create", Unavailable("down"))
        await world.export(1)
        await world.settle()
        await world.export(1)
        await world.export(2)
        await world.settle()

        assert await world.states() == {"e1": "pending", "e2": "pending", "e3": "delivered"}


class TestHowManyAtOnce:
    async def test_no_more_than_configured(self, world):
        await world.start(world.track(concurrency=3))
        tracker, gate = world.tracker(), Gate()
        tracker.on("create", *[gate] * 10)
        for bug in range(10):
            await world.export(bug)
        world.dispatcher.wake()
        await world.until(lambda: gate.reached == 3)
        gate.open()
        await world.settle()

        assert tracker.most_under_way == 3
        assert len(tracker.drafts) == 10

    async def test_no_faster_than_configured(self, world):
        await world.start(world.track(rate="6/minute", concurrency=10))
        tracker = world.tracker()
        for bug in range(4):
            await world.export(bug)
        world.dispatcher.wake()
        await world.until(lambda: len(tracker.did("create")) == 1)

        for number in (2, 3):
            before = world.clock.monotonic()
            while len(tracker.did("create")) < number:
                world.clock.advance(timedelta(seconds=1))
                await world.woken()
            assert world.clock.monotonic() - before > 5

    async def test_a_fast_rate_lets_a_second_s_worth_start_at_once(self, world):
        await world.start(world.track(rate="5/second", concurrency=10))
        await world.woken()  # the rate counts from the first look on
        world.clock.advance(timedelta(seconds=10))
        for bug in range(9):
            await world.export(bug)
        await world.woken()
        await world.until(lambda: len(world.tracker().did("create")) >= 4)
        await world.woken()

        assert len(world.tracker().did("create")) <= 6

    async def test_a_process_has_so_many_under_way_over_all_trackers_and_each_has_one(self, world):
        world.slots = 2
        world.dispatcher = world.new_dispatcher()
        await world.start(world.track("web", concurrency=10), world.track("app", concurrency=10))
        web, app, gate = world.tracker("web"), world.tracker("app"), Gate()
        for tracker in (web, app):
            tracker.on("create", *[gate] * 6)
        for bug in range(6):
            await world.export(bug, "web", "app")
        world.dispatcher.wake()
        await world.until(lambda: gate.reached == 4)

        assert min(web.under_way, app.under_way) >= 1
        gate.open()
        await world.settle()
        assert len(web.drafts) == len(app.drafts) == 6
        assert web.most_under_way + app.most_under_way <= 2 * (2 + 1)
