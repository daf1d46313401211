"""Where replicas share the store: nothing is begun with a lease that may have run out, and the dead are inherited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.dispatch import dispatcher
from bridge.dispatch.lane import LEASE
from bridge.errors import StoreError
from tests.dispatch.scripted import Gate, WatchedStore, World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shared(tmp_path: Path, databases) -> AsyncIterator[World]:
    """A world on a store that others may use as well."""
    store = WatchedStore(databases.new())
    store.open()
    world = World(store, tmp_path)
    yield world
    await world.dispatcher.stop(timedelta(0))
    await store.close()


@pytest.fixture
def _quick_heartbeat(monkeypatch):
    monkeypatch.setattr(dispatcher, "HEARTBEAT", timedelta(milliseconds=5))


async def test_who_was_frozen_before_creating_creates_nothing_any_more(shared):
    """Between the claim and the call the process stood still, longer than its lease."""

    def freeze(draft, *_):
        shared.clock.advance(LEASE)
        return draft

    shared.prepare = freeze
    await shared.start()
    await shared.receipt()
    await shared.until(lambda: any(hook == "bridge_attempt_failed" for hook, _ in shared.told))

    assert shared.tracker().did("create") == []
    assert "lease" in (await shared.delivery())["error"]


async def test_in_the_last_part_of_its_lease_it_does_not_begin_either(shared):
    def dawdle(draft, *_):
        shared.clock.advance(LEASE * 0.8)
        return draft

    shared.prepare = dawdle
    await shared.start()
    await shared.receipt()
    await shared.until(lambda: any(hook == "bridge_attempt_failed" for hook, _ in shared.told))

    assert shared.tracker().did("create") == []


@pytest.mark.usefixtures("_quick_heartbeat")
async def test_what_heartbeats_prolong_may_be_created_however_long_the_look_took(shared):
    await shared.start()
    gate = Gate()
    shared.prepare = lambda draft, *_: draft
    shared.tracker().on("create", RuntimeError("in doubt"))
    shared.tracker().on("find", gate)
    await shared.receipt()
    await shared.until(lambda: shared.tracker().did("create") != [])
    shared.clock.advance(timedelta(minutes=5))
    shared.dispatcher.wake()
    await shared.until(lambda: gate.reached == 1)
    shared.clock.advance(LEASE * 2)
    beats = len(shared.store.beats)
    await shared.until(lambda: len(shared.store.beats) > beats + 2)
    gate.open()
    await shared.until(lambda: bool(shared.tracker().made(1)))

    assert len(shared.tracker().did("create")) == 2


@pytest.mark.usefixtures("_quick_heartbeat")
async def test_what_another_one_held_when_it_died_is_taken_up_when_its_lease_has_run_out(shared):
    gone = shared.new_dispatcher("the other one")
    await gone.start([shared.track()])
    gate = Gate()
    gone_tracker = gone.trackings["web"].tracker
    gone_tracker.on("create", gate)
    await shared.export()
    gone.wake()
    await shared.until(lambda: gate.reached == 1)
    for task in gone._always:  # it is dead: no heartbeat any more
        task.cancel()
    await asyncio.gather(*gone._always, return_exceptions=True)

    await shared.start()
    await shared.settle()
    assert shared.tracker().did("create") == []
    shared.clock.advance(LEASE + timedelta(seconds=1))
    await shared.until(lambda: bool(shared.tracker().made(1)))

    gate.open()
    await gone.stop(timedelta(seconds=5))
    assert (await shared.delivery())["state"] == "delivered"


async def test_a_claim_whose_answer_was_lost_is_made_good_by_the_next_one(shared, monkeypatch):
    claim, lost = shared.store.claim, list[object]()

    async def answer_lost(wanted):
        batch = await claim(wanted)
        if batch.deliveries and not lost:
            lost.append(batch)
            raise StoreError("the connection broke")
        return batch

    monkeypatch.setattr(shared.store, "claim", answer_lost)
    monkeypatch.setattr("bridge.dispatch.lane._STORE_PAUSE", 0.01)
    await shared.start()
    await shared.receipt()
    await shared.until(lambda: bool(shared.tracker().made(1)))

    assert len(lost) == len(shared.tracker().did("create")) == 1
