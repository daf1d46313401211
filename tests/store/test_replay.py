"""Looking at what is there, and delivering it again."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import InDoubt, Problem, Rejected
from bridge.store import ExportState, Followup, Selection, State, reading
from tests.store.conftest import FILE, START, after, new_export

pytestmark = pytest.mark.anyio


@pytest.fixture
async def several(world):
    """Four exports: delivered, dead at web and waiting at app, waiting, and rejected."""
    await world.delivered(followups=())
    await world.accept(2, "web", "app", received_at=after(100))
    await world.end(await world.claim_one(100), State.DEAD, error=Rejected("field 100%_sure: required"))
    await world.accept(3, received_at=after(200))
    await world.accept(
        None, state=ExportState.REJECTED, destinations=(), problems=(Problem("/bug", "is required"),)
    )
    return world


def select(**parts):
    return Selection(**parts)


class TestSelecting:
    @pytest.mark.parametrize(
        ("wanted", "exports"),
        [
            (select(), ["e4", "e3", "e2", "e1"]),
            (select(limit=2), ["e4", "e3"]),
            (select(before=3), ["e2", "e1"]),
            (select(states=["rejected"]), ["e4"]),
            (select(states=["dead"]), ["e2"]),
            (select(states=["dead", "rejected"]), ["e4", "e2"]),
            (select(states=["pending"]), ["e3", "e2"]),
            (select(tracker="app"), ["e2"]),
            (select(error="100%_sure"), ["e2"]),
            (select(error="100x_sure"), []),
            (select(bug_id=3), ["e3"]),
            (select(since=after(150)), ["e3"]),
            (select(ids=["e1", "e3"]), ["e3", "e1"]),
            (select(states=["nonsense"]), []),
        ],
    )
    async def test_exports(self, several, wanted, exports):
        assert [row["id"] for row in await several.read(reading.list_exports, wanted)] == exports

    @pytest.mark.parametrize(
        ("wanted", "deliveries"),
        [
            (select(), ["e3:web", "e2:app", "e2:web", "e1:web"]),
            (select(tracker="web", limit=2), ["e3:web", "e2:web"]),
            (select(states=["dead"]), ["e2:web"]),
            (select(error="FIELD 100%"), ["e2:web"]),
            (select(bug_id=1), ["e1:web"]),
            (select(before=2), ["e1:web"]),
            (select(since=after(150)), ["e3:web"]),
        ],
    )
    async def test_deliveries(self, several, wanted, deliveries):
        rows = await several.read(reading.list_deliveries, wanted)
        assert [f"{row['export']}:{row['tracker']}" for row in rows] == deliveries

    async def test_an_export_shows_what_was_wrong_with_it(self, several):
        row = await several.read(reading.show_export, "e4")

        assert (row["state"], row["problems"]) == ("rejected", [{"path": "/bug", "message": "is required"}])
        assert row["body"] == "{}"

    async def test_there_is_none_of_an_unknown_id(self, several):
        assert await several.read(reading.show_export, "e9") is None
        assert await several.read(reading.export_body, "e9") is None

    @pytest.mark.parametrize(
        ("prefix", "ids"), [("e", ["e1", "e2", "e3", "e4"]), ("e3", ["e3"]), ("%", []), ("_", [])]
    )
    async def test_the_beginning_of_an_id_finds_it(self, several, prefix, ids):
        assert await several.read(reading.matching_ids, prefix) == ids

    async def test_how_much_there_is(self, several):
        assert await several.read(reading.count_states) == {
            "exports": {"accepted": 3, "rejected": 1},
            "deliveries": {"delivered": 1, "dead": 1, "pending": 2},
            "followups": {},
        }
        assert await several.read(reading.unfinished) == 2


class TestReplaying:
    async def replay(self, world, *, blind=(), **parts):
        return await world.store.replay(select(**parts), blind, after(1000))

    async def test_without_saying_more_what_is_dead_is_replayed(self, several):
        assert await self.replay(several) == ["e2:web"]

        claimed = {one.export_id: one for one in (await several.claim(1000)).deliveries}
        assert set(claimed) == {"e2", "e3"}
        assert claimed["e2"].attempt == 1, "with all its attempts before it"

    @pytest.mark.parametrize(
        ("wanted", "replayed"),
        [
            ({"ids": ["e1"]}, ["e1:web"]),
            ({"ids": ["e2"]}, ["e2:app", "e2:web"]),
            ({"ids": ["e2"], "tracker": "app"}, ["e2:app"]),
            ({"states": ["delivered"]}, ["e1:web"]),
            ({"states": ["delivered", "dead"], "limit": 1}, ["e1:web"]),
            ({"error": "required"}, ["e2:web"]),
            ({"error": "timeout"}, []),
            ({"since": after(150)}, []),
            ({"bug_id": 2}, ["e2:web"]),
        ],
    )
    async def test_a_selection_narrows_it(self, several, wanted, replayed):
        assert sorted(await self.replay(several, **wanted)) == replayed

    async def test_what_is_under_way_is_never_touched(self, several):
        await several.claim(1000)

        assert await self.replay(several, ids=["e3"]) == []

    async def test_it_says_before_what_it_would_do(self, several):
        counted = await several.read(reading.count_replay, select(states=["dead", "delivered", "rejected"]))

        assert sorted(counted["deliveries"], key=lambda row: row["state"]) == [
            {"tracker": "web", "state": "dead", "count": 1},
            {"tracker": "web", "state": "delivered", "count": 1},
        ]
        assert counted["exports"] == ["e4"]

    async def test_follow_ups_that_are_dead_get_another_chance(self, world):
        await world.delivered(followups=((Followup.ATTACH, FILE),))
        (step,) = (await world.claim(2)).followups
        await world.end_step(step, State.DEAD, error="gone")
        assert (await world.claim(3)).followups == ()

        await self.replay(world, ids=["e1"])

        (again,) = (await world.claim(1000, limit=5)).followups
        assert again.attempt == 1


class TestReplayingADoubt:
    @pytest.fixture
    async def dead(self, world):
        """Two exports of one bug, both dead in doubt."""
        for seconds in (1, 2):
            await world.accept(1)
            error = Rejected("look for it there")
            await world.end(await world.claim_one(seconds), State.DEAD, error=error, doubt_since=after(1))
        return world

    async def test_where_the_tracker_can_be_searched_the_next_attempt_looks_first(self, dead):
        await dead.store.replay(select(ids=["e1"]), (), after(1000))

        assert (await dead.claim_one(1000)).doubt_since == after(1)

    async def test_where_it_cannot_the_person_has_looked_and_that_holds_for_the_bug(self, dead):
        await dead.store.replay(select(ids=["e2"]), ("web",), after(1000))

        assert (await dead.claim_one(1000)).doubt_since is None

    async def test_but_not_for_another_bug(self, dead):
        await dead.accept(2)
        await dead.end(await dead.claim_one(3), State.DEAD, error=InDoubt("?"), doubt_since=after(3))
        await dead.store.replay(select(ids=["e2"]), ("web",), after(1000))

        row = (await dead.read(reading.show_export, "e3"))["deliveries"][0]
        assert row["in_doubt"]


class TestTakingAgain:
    """Exports that went nowhere can be judged anew, by today's program and configuration."""

    async def test_which_ones_went_nowhere(self, several):
        async def lost(**parts):
            return await several.read(reading.lost_exports, select(**parts))

        assert await lost(ids=["e1", "e4"]) == ["e4"]
        assert await lost(states=["rejected"]) == ["e4"]
        assert await lost(states=["unrouted"]) == []
        assert await lost() == [], "only where they are asked for"
        assert await lost(states=["rejected"], tracker="web") == []

    async def test_a_rejected_one_that_is_understood_now_gets_its_deliveries(self, several):
        receipt = await several.store.take_again(new_export("e4", 4, "web", "app", identity="shop/4"))

        assert (receipt.trackers, receipt.state, receipt.duplicate) == (
            ("web", "app"),
            ExportState.ACCEPTED,
            False,
        )
        row = await several.read(reading.show_export, "e4")
        assert (row["state"], row["bug_id"], row["problems"]) == ("accepted", 4, [])
        assert [one["state"] for one in row["deliveries"]] == ["pending", "pending"]

    async def test_one_whose_twin_came_meanwhile_is_ignored_and_says_so(self, several):
        await several.accept(4, identity="shop/4")
        receipt = await several.store.take_again(new_export("e4", 4, identity="shop/4"))

        assert (receipt.state, receipt.trackers) == (ExportState.IGNORED, ())
        row = await several.read(reading.show_export, "e4")
        assert (row["state"], row["deliveries"]) == ("ignored", [])
        assert row["problems"] == [{"path": "", "message": "the same as export e5"}]

    async def test_two_people_at_once_make_one(self, several):
        again = new_export("e4", 4, identity="shop/4")
        first = await several.store.take_again(again)
        claimed = [one for one in (await several.claim(1000)).deliveries if one.export_id == "e4"]

        second = await several.store.take_again(again)

        assert (first.duplicate, second.duplicate) == (False, True)
        assert second.trackers == first.trackers
        assert await several.claimed_exports(1000) == [], "what is under way goes on"
        assert await several.end(claimed[0])

    async def test_also_in_one_commit(self, several):
        again = new_export("e4", 4, identity="shop/4")
        receipts = await asyncio.gather(*(several.store.take_again(again) for _ in range(3)))

        assert sorted(receipt.duplicate for receipt in receipts) == [False, True, True]


async def test_nothing_that_was_received_is_ever_removed(several):
    await several.store.replay(select(states=["delivered", "dead"]), ("web",), START)
    await several.store.recover(now=after(9999), everything=True)
    await several.store.resume("web")

    assert len(await several.read(reading.list_exports, select())) == 4
