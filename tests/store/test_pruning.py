"""What was delivered long ago is deleted, and nothing else; what was made of a bug stays known."""

from __future__ import annotations

import pytest

from bridge.dispatch.housekeeping import Housekeeping
from bridge.errors import Rejected
from bridge.store import ExportState, Followup, State, pruning
from bridge.store.testio import seen_bugs
from bridge.testing import FakeClock
from tests.store.conftest import FILE, ISSUE, World, after

pytestmark = pytest.mark.anyio
DAY = 86_400.0


async def prune(world: World, seconds: float = DAY) -> int:
    """Delete what was delivered before a moment."""
    keeping = Housekeeping(world.store, FakeClock(after(seconds + DAY)), after(DAY) - after(0))
    return await keeping.once()


async def test_what_was_delivered_is_deleted_with_all_that_belongs_to_it(world, database):
    await world.delivered(followups=())

    assert await prune(world) == 1
    for table in ("exports", "deliveries", "attempts", "followups"):
        assert database.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


async def test_the_next_export_of_its_bug_knows_its_issue(world):
    await world.delivered(followups=())
    await prune(world)

    await world.accept(1)
    claimed = await world.claim_one(DAY)
    assert claimed.known is not None
    assert claimed.known.issue == ISSUE


async def test_test_io_is_not_asked_for_it_again(world):
    await world.delivered(followups=())
    await prune(world)

    assert await world.read(seen_bugs, [1, 2]) == {1}


async def test_what_is_younger_stays(world):
    await world.delivered(followups=())

    assert await prune(world, seconds=0) == 0


async def test_an_old_one_that_was_delivered_late_stays_as_long_as_any_other(world):
    await world.delivered(seconds=DAY, followups=())

    assert await prune(world, seconds=DAY) == 0
    assert await prune(world, seconds=DAY + 10) == 1


async def test_what_is_dead_waiting_or_on_its_way_to_another_tracker_stays(world):
    await world.accept(1, "web", "app")
    await world.end(await world.claim_one(1), followups=())
    await world.accept(2)
    await world.fail(await world.claim_one(1), Rejected("no"), state=State.DEAD)
    await world.accept(3)

    assert await prune(world) == 0


async def test_what_has_a_file_to_be_uploaded_stays_until_it_is(world):
    await world.delivered(followups=((Followup.ATTACH, FILE),))
    assert await prune(world) == 0

    (step,) = (await world.claim(2)).followups
    await world.end_step(step)
    assert await prune(world) == 1


async def test_what_went_nowhere_stays(world):
    await world.accept(1, state=ExportState.UNROUTED, destinations=())

    assert await prune(world) == 0


async def test_a_step_is_small_and_what_cannot_be_deleted_holds_up_nothing(world, monkeypatch):
    monkeypatch.setattr(pruning, "_STEP", 2)
    for bug in range(3):
        await world.accept(bug, "app")
    for bug in range(3, 8):
        await world.accept(bug)
    for claimed in (await world.claim(1)).deliveries:
        await world.end(claimed)

    assert await world.store.write(pruning.prune, (after(DAY).timestamp(), 0)) == pruning.Pruned(0, 2)
    assert await prune(world) == 5
    assert await prune(world) == 0
