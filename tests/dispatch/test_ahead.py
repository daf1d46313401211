"""Claimed ahead: the next delivery begins in the moment a slot is free, and nothing is begun that must not be."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bridge.dispatch.ahead import MOST, most_ahead
from bridge.errors import InDoubt, NotAllowed, RateLimited, Rejected, Unavailable
from bridge.store import Batch, Claim
from tests.dispatch.scripted import Blind, Gate, Scripted, WatchedStore, World

pytestmark = pytest.mark.anyio

NO_GRACE = timedelta(0)


class Busy:
    """A tracker with two slots, both in use, and one delivery more that was claimed for the next of them.

    Attributes:
        first, second: Hold the calls under way.
    """

    def __init__(self, world: World) -> None:
        self.world, self.first, self.second = world, Gate(), Gate()

    async def begin(self, bugs: int = 4) -> Scripted:
        world = self.world
        await world.start(world.track(concurrency=2))
        tracker = world.tracker()
        tracker.on("create", self.first, self.second)
        for bug in range(1, bugs + 1):
            await world.export(bug)
        world.dispatcher.wake()
        await world.until(lambda: self.first.reached + self.second.reached == 2)
        return tracker


@pytest.fixture
def busy(world: World) -> Busy:
    return Busy(world)


def begun(world: World) -> list[str]:
    return [about.removeprefix("testio-bug-") for about in world.tracker().did("create")]


async def claimed(world: World) -> list[str]:
    return [export for export, state in (await world.states()).items() if state == "running"]


@pytest.mark.usefixtures("one_process")
class TestTheNextSlot:
    async def test_is_used_at_once_though_the_store_is_slow(self, world, monkeypatch):
        await world.start(world.track(concurrency=4))
        gates = [Gate() for _ in range(4)]
        world.tracker().on("create", *gates)
        for bug in range(1, 9):
            await world.export(bug)
        world.dispatcher.wake()
        await world.until(lambda: len(begun(world)) == 4)
        assert await claimed(world) == ["e1", "e2", "e3", "e4", "e5", "e6"]
        asked, never = asyncio.Event(), asyncio.Event()

        async def slow(_store: WatchedStore, _wanted: Claim) -> Batch:
            asked.set()
            await never.wait()
            return Batch()

        monkeypatch.setattr(WatchedStore, "claim", slow)
        gates[0].open()
        await asked.wait()
        gates[1].open()
        try:
            await world.until(lambda: begun(world) == ["1", "2", "3", "4", "5", "6"])
        finally:
            never.set()

    async def test_what_came_in_later_is_claimed_ahead_too(self, world, busy):
        await busy.begin(bugs=2)
        await world.export(3)
        world.dispatcher.new_work(["web"])
        await world.until(
            lambda: any(batch.deliveries and wanted.limit == 0 for wanted, batch in world.store.claims)
        )

        assert await claimed(world) == ["e1", "e2", "e3"]
        assert begun(world) == ["1", "2"]

    async def test_no_more_are_under_way_than_the_tracker_has_slots(self, world, busy):
        tracker = await busy.begin(bugs=20)
        busy.first.open()
        busy.second.open()
        await world.settle()

        assert sorted(map(int, begun(world))) == [*range(1, 21)]
        assert tracker.most_under_way == 2

    async def test_the_time_it_waited_is_none_of_the_attempt(self, world, busy):
        await busy.begin(bugs=3)
        world.clock.advance(timedelta(minutes=5))
        busy.first.open()
        busy.second.open()
        await world.settle()

        (attempt,) = (await world.delivery("e3"))["attempts_made"]
        assert attempt["seconds"] < 1

    async def test_another_tracker_that_waits_for_a_slot_gets_it_first(self, world):
        world.slots = 3
        world.dispatcher = world.new_dispatcher()
        await world.start(world.track("web", concurrency=4), world.track("app", concurrency=4))
        gates = {name: [Gate() for _ in range(8)] for name in ("web", "app")}
        for name, several in gates.items():
            world.tracker(name).on("create", *several)
        for bug in range(1, 9):
            await world.export(bug, "web")
        world.dispatcher.wake()
        await world.until(lambda: len(world.tracker("web").calls) == 4)
        for bug in range(11, 19):
            await world.export(bug, "app")
        world.dispatcher.wake(["app"])
        await world.until(lambda: len(world.tracker("app").calls) == 1)
        await world.until(lambda: any(one.tracker == "app" and not one.limit for one, _ in world.store.claims))

        gates["web"][0].open()
        await world.until(lambda: len(world.tracker("app").calls) == 2)
        assert len(world.tracker("web").calls) == 4, "it has its own slot, and two of the three that are shared"
        for gate in (*gates["web"], *gates["app"]):
            gate.open()


@pytest.mark.usefixtures("one_process")
class TestGivenBack:
    async def as_if_never_claimed(self, world: World, export: str = "e3") -> bool:
        delivery = await world.delivery(export)
        facts = (delivery["state"], delivery["attempts"], delivery["in_doubt"], delivery["attempts_made"])
        return facts == ("pending", 0, False, [])

    async def test_when_a_person_pauses_the_tracker(self, world, busy):
        await busy.begin()
        await world.store.pause("web", "maintenance", by="person", now=world.clock.now())
        world.dispatcher.wake(["web"])
        busy.first.open()
        busy.second.open()
        await world.settle()

        assert begun(world) == ["1", "2"]
        assert await self.as_if_never_claimed(world)

        await world.store.resume("web")
        await world.settle()
        assert begun(world) == ["1", "2", "3", "4"]

    @pytest.mark.parametrize(
        "error",
        [
            NotAllowed("bad token", status=401),
            RateLimited("slow down", retry_after=timedelta(minutes=5)),
            Unavailable("it is not there"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_when_the_tracker_wants_or_can_do_less(self, world, error):
        await world.start(world.track(concurrency=2, retry={"circuit_after": 1}))
        tracker, gate = world.tracker(), Gate()
        tracker.well = False

        async def fail() -> None:
            await gate()
            raise error

        tracker.on("create", fail, fail)
        for bug in (1, 2, 3, 4):
            await world.export(bug)
        world.dispatcher.wake()
        await world.until(lambda: gate.reached == 2)
        gate.open()
        await world.settle()

        assert begun(world) == ["1", "2"]
        assert await self.as_if_never_claimed(world)

    async def test_not_when_only_one_bug_is_refused(self, world, busy):
        await busy.begin()
        busy.first.open()
        world.tracker().on("create", Rejected("no such project"))
        await world.until(lambda: len(begun(world)) == 4)

        assert (await world.delivery("e3"))["state"] == "dead"

    async def test_at_the_end(self, world, busy):
        await busy.begin()
        await world.dispatcher.stop(NO_GRACE)

        assert await self.as_if_never_claimed(world)
        assert (await world.delivery("e1"))["in_doubt"], "that one had begun"

    async def test_an_older_doubt_is_kept(self, world):
        await world.start(world.track(concurrency=2))
        tracker, gate = world.tracker(), Gate()
        tracker.on("create", InDoubt("no answer"), gate, gate)
        await world.export(1)
        await world.settle()
        await world.export(2)
        await world.export(3)
        world.dispatcher.wake()
        await world.until(lambda: gate.reached == 2)
        world.clock.advance(timedelta(minutes=10))
        world.dispatcher.wake()
        await world.until(
            lambda: any(batch.deliveries and not wanted.limit for wanted, batch in world.store.claims)
        )
        assert "e1" in await claimed(world)
        await world.dispatcher.stop(NO_GRACE)

        again = await world.delivery("e1")
        assert (again["state"], again["in_doubt"], again["attempts"]) == ("pending", True, 1)
        assert [attempt["outcome"] for attempt in again["attempts_made"]] == ["InDoubt"]


@pytest.mark.usefixtures("one_process")
async def test_after_a_crash_it_is_looked_for_like_any_that_had_begun(world, busy):
    await busy.begin(bugs=3)
    await world.store.recover(now=world.clock.now(), everything=True)

    assert [(await world.delivery(export))["in_doubt"] for export in ("e1", "e2", "e3")] == [True] * 3


@pytest.mark.usefixtures("one_process")
class TestHowMany:
    def most(self, world: World, kind: type[Scripted] = Scripted, *, shared: bool = False, **how: Any) -> int:
        return most_ahead(world.track("web", kind, **how), shared=shared)

    async def test_half_as_many_as_there_are_slots_up_to_a_bound(self, world):
        assert [self.most(world, concurrency=slots) for slots in (1, 2, 4, 64)] == [0, 1, 2, MOST]

    async def test_none_where_somebody_else_has_a_say(self, world):
        assert self.most(world, shared=True) == 0, "other processes"
        assert self.most(world, rate="60/m") == 0, "a rate"
        assert self.most(world, account=("web", "app")) == 0, "trackers with the same credentials"

    async def test_none_where_nobody_could_find_out_after_a_crash_that_nothing_was_sent(self, world):
        assert self.most(world, Blind, concurrency=4) == 0
