"""Writing down how attempts ended: the issue is remembered, the reason is kept, follow-ups come once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.errors import Gone, InDoubt, Rejected, Unavailable
from bridge.model import Attachment, Issue
from bridge.store import Effect, Followup, State, reading
from tests.store.conftest import FILE, ISSUE, START, after

pytestmark = pytest.mark.anyio

COMPLETE = (Followup.COMPLETE, Attachment(url=""))


async def shown(world, export="e1", number=0):
    return (await world.read(reading.show_export, export))["deliveries"][number]


async def tracker_row(world, name="web"):
    return (await world.read(reading.list_trackers))[name]


class TestDelivered:
    async def test_the_issue_is_shown_and_known_from_then_on(self, world):
        await world.accept(7)
        await world.end(await world.claim_one(), warnings=("label x was dropped",))

        delivery = await shown(world)
        assert (delivery["state"], delivery["action"]) == ("delivered", "created")
        assert delivery["issue"] == {"id": ISSUE.id, "key": ISSUE.key, "url": ISSUE.url}
        assert delivery["warnings"] == ["label x was dropped"]
        assert (delivery["error"], delivery["in_doubt"], delivery["next_at"]) == ("", False, None)
        known = await world.read(reading.known_issue, "web", 7)
        assert (known["issue_key"], known["export_id"]) == (ISSUE.key, "e1")

    async def test_a_later_export_moves_what_the_issue_last_heard_of(self, world):
        await world.delivered()
        await world.accept(1)
        await world.end(await world.claim_one(), action="commented")

        assert (await world.read(reading.known_issue, "web", 1))["export_id"] == "e2"

    @pytest.mark.parametrize("action", ["ignored", "superseded"])
    async def test_one_that_told_the_issue_nothing_does_not(self, world, action):
        await world.delivered()
        await world.accept(1)
        await world.end(await world.claim_one(), action=action)

        assert (await world.read(reading.known_issue, "web", 1))["export_id"] == "e1"

    async def test_a_new_issue_takes_the_place_of_the_one_that_is_gone(self, world):
        await world.delivered()
        await world.accept(1)
        claimed = await world.claim_one(5)
        await world.fail(claimed, Gone("404"), forget_issue=True, marker_suffix="e2")
        assert await world.read(reading.known_issue, "web", 1) is None

        again = await world.claim_one(6)
        assert (again.known, again.marker_suffix) == (None, "e2")
        await world.end(again, issue=Issue(id="2", key="WEB-2", url="u"))
        assert (await world.read(reading.known_issue, "web", 1))["issue_key"] == "WEB-2"


class TestAttempts:
    async def test_each_is_kept_with_what_the_tracker_answered(self, world):
        await world.accept()
        await world.fail(await world.claim_one(1), Unavailable("bad gateway", status=502))
        await world.fail(await world.claim_one(2), InDoubt("no answer"), doubt_since=after(2))
        await world.end(await world.claim_one(3), action="found")

        made = (await shown(world))["attempts_made"]
        assert [(one["outcome"], one["message"], one["status"]) for one in made] == [
            ("Unavailable", "bad gateway (HTTP 502)", 502),
            ("InDoubt", "no answer", None),
            ("found", "", None),
        ]
        assert [one["seconds"] for one in made] == [0.5] * 3
        assert made[0]["started_at"] == "2026-01-05T09:00:01.000+00:00"

    async def test_one_under_way_can_be_seen(self, world):
        await world.accept()
        await world.claim_one()

        delivery = await shown(world)
        assert (delivery["state"], delivery["in_doubt"]) == ("running", False)
        assert [one["outcome"] for one in delivery["attempts_made"]] == ["running"]

    async def test_one_that_was_interrupted_says_so(self, world):
        await world.accept()
        await world.claim_one()
        await world.store.recover(now=after(9), everything=True)

        delivery = await shown(world)
        assert (delivery["state"], delivery["in_doubt"]) == ("pending", True)
        (made,) = delivery["attempts_made"]
        assert (made["outcome"], made["message"]) == ("interrupted", "the bridge stopped during this attempt")

    async def test_one_that_was_given_back_says_so_and_is_not_spent(self, world):
        await world.accept()
        await world.end(await world.claim_one(), State.PENDING, spent=False, next_at=after(1))

        delivery = await shown(world)
        assert (delivery["attempts"], delivery["attempts_made"][0]["outcome"]) == (0, "given back")

    async def test_a_clock_that_went_back_makes_no_negative_duration(self, world):
        await world.accept()
        claimed = await world.claim_one(100)
        await world.end(claimed, ended_at=START)

        assert (await shown(world))["attempts_made"][0]["seconds"] == 0


class TestDead:
    async def test_the_reason_is_kept_whole(self, world):
        await world.accept()
        error = Rejected("Invalid", status=422, fields={"priority": "is not valid"})
        await world.end(await world.claim_one(), State.DEAD, error=error)

        delivery = await shown(world)
        assert (delivery["state"], delivery["error_kind"]) == ("dead", "Rejected")
        assert delivery["error"] == "Invalid (HTTP 422): priority: is not valid"

    async def test_a_doubt_that_nobody_resolved_stays_visible(self, world):
        await world.accept()
        await world.end(await world.claim_one(), State.DEAD, error=InDoubt("?"), doubt_since=after(1))

        assert (await shown(world))["in_doubt"]


class TestLostLease:
    async def test_an_outcome_that_comes_too_late_does_not_change_the_delivery(self, world):
        await world.accept()
        late = await world.claim_one(1)
        await world.store.recover(now=after(100))
        current = await world.claim_one(100)

        assert await world.fail(late, Rejected("no"), state=State.DEAD) is False
        assert (await shown(world))["state"] == "running"
        assert await world.end(current) is True

    async def test_but_an_issue_that_it_made_is_known(self, world):
        await world.accept()
        late = await world.claim_one(1)
        await world.store.recover(now=after(100))

        assert await world.end(late) is False
        claimed = await world.claim_one(101)
        assert claimed.known is not None
        assert claimed.known.issue == ISSUE

    async def test_of_a_follow_up_too(self, world):
        await world.delivered(followups=(COMPLETE,))
        (step,) = (await world.claim(2)).followups
        await world.store.recover(now=after(100))

        assert await world.end_step(step) is False


class TestFollowups:
    async def test_each_comes_once_for_an_issue_however_often_it_is_asked_for(self, world):
        await world.delivered()
        for export in ("e2", "e3"):
            await world.accept(1)
            more = Attachment(url=f"https://files.test.io/{export}.png")
            claimed = await world.claim_one(limit=1)
            await world.end(
                claimed, action="commented", followups=((Followup.ATTACH, FILE), (Followup.ATTACH, more))
            )

        kinds = [(step.kind, step.attachment.url) for step in (await world.claim(9)).followups]
        assert kinds == [
            (Followup.COMPLETE, ""),
            (Followup.ATTACH, FILE.url),
            (Followup.ATTACH, "https://files.test.io/e2.png"),
            (Followup.ATTACH, "https://files.test.io/e3.png"),
        ]

    async def test_how_one_ended_is_shown_and_leaves_the_delivery_alone(self, world):
        await world.delivered(followups=((Followup.ATTACH, FILE),))
        (step,) = (await world.claim(2)).followups
        await world.end_step(step, State.DEAD, error="not fetched: gone")

        delivery = await shown(world)
        assert delivery["state"] == "delivered"
        assert delivery["followups"] == [
            {
                "kind": "attach",
                "url": FILE.url,
                "state": "dead",
                "attempts": 1,
                "next_at": None,
                "error": "not fetched: gone",
            }
        ]


class TestTheTrackersState:
    async def test_it_can_be_looked_at(self, world):
        await world.accept(1)
        await world.accept(2)
        effect = Effect(failed=True, error="down", circuit_after=1, circuit_until=after(90))
        await world.fail(await world.claim_one(limit=1), Unavailable("down"), effect=effect)
        await world.store.pause("web", "by hand", by="person", now=after(5))

        assert await tracker_row(world) == {
            "deliveries": {"pending": 2},
            "oldest_pending": "2026-01-05T09:00:00.000+00:00",
            "paused": "by hand",
            "paused_by": "person",
            "paused_at": "2026-01-05T09:00:05.000+00:00",
            "blocked_until": None,
            "blocked_reason": "",
            "failures": 1,
            "circuit_until": "2026-01-05T09:01:30.000+00:00",
            "last_error": "down",
        }

    async def test_resuming_forgets_pause_circuit_and_wait(self, world):
        await world.accept()
        effect = Effect(
            failed=True,
            error="down",
            circuit_after=1,
            circuit_until=after(90),
            block=("web",),
            until=after(90),
            pause="no",
        )
        await world.fail(await world.claim_one(), Unavailable("down"), effect=effect)

        assert await world.store.resume("web")
        assert await world.claimed_exports(2) == ["e1"]
        assert (await tracker_row(world))["failures"] == 0


class TestTheClockWasSetBack:
    BACK = timedelta(hours=1)

    async def test_what_waits_waits_as_long_as_it_would_have(self, world):
        await world.accept(1)
        await world.accept(2)
        hour = self.BACK.total_seconds()
        first, second = (await world.claim(hour)).deliveries
        await world.fail(first, Unavailable("down"), next_at=after(hour + 30))
        await world.fail(second, Unavailable("down"), next_at=after(hour + 3 * hour))

        await world.store.shift(self.BACK, after(0))

        assert (await world.claim(29)).next_at == after(30)
        assert await world.claimed_exports(30) == ["e1"]
        assert (await world.claim(31)).next_at == after(3 * hour)

    async def test_so_do_accounts_and_circuits(self, world):
        hour = self.BACK.total_seconds()
        await world.accept()
        effect = Effect(block=("web",), until=after(hour + 20))
        await world.end(await world.claim_one(hour), State.PENDING, next_at=after(hour), effect=effect)

        await world.store.shift(self.BACK, after(0))

        assert (await world.claim(1)).next_at == after(20)

    async def test_what_was_due_before_is_due_at_once(self, world):
        await world.accept(1, received_at=after(1000))

        await world.store.shift(self.BACK, after(0))

        assert await world.claimed_exports(0) == ["e1"]

    async def test_a_doubt_is_not_waited_out_for_as_long_as_the_clock_jumped(self, world):
        hour = self.BACK.total_seconds()
        await world.accept()
        await world.fail(await world.claim_one(hour), InDoubt("?"), doubt_since=after(hour + 1))

        await world.store.shift(self.BACK, after(2))

        claimed = await world.claim_one(3)
        assert claimed.doubt_since == after(1)
        assert claimed.first_attempt_at == after(0), "an issue made since then must be in what a search looks at"
