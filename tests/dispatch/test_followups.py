"""What comes after the issue exists has its own retries, and never fails, repeats or delays it."""

from __future__ import annotations

import pytest

from bridge.attachments import AttachmentError
from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, Unavailable
from bridge.tracker import Tracker
from tests.dispatch.scripted import After, Gate, Scripted

pytestmark = pytest.mark.anyio

A, B = "https://files.test.io/a.png", "https://files.test.io/b.png"


class Simple(Scripted):
    """Says everything in `create`, and takes no files."""

    attach = Tracker.attach
    complete = Tracker.complete


async def delivered(world, *, kind=Scripted, attachments=(A, B), **settings):
    await world.start(world.track(kind=kind, **settings))
    await world.export(attachments=list(attachments))
    await world.settle()
    return world.tracker()


async def test_the_issue_is_completed_and_each_file_attached(world):
    tracker = await delivered(world)

    assert tracker.did("complete") == ["web-1"]
    assert sorted(tracker.did("attach")) == ["a.png", "b.png"]
    assert await world.followups() == {"complete": "delivered", "a.png": "delivered", "b.png": "delivered"}
    assert world.files.held == [], "fetched files are given back"


async def test_a_tracker_that_takes_no_files_has_links_in_the_body_instead(world):
    tracker = await delivered(world, kind=Simple)

    assert await world.followups() == {}
    assert A in tracker.drafts["1"].body.text


@pytest.mark.parametrize("wanted", ["link", "none"])
async def test_nothing_is_uploaded_where_that_is_not_wanted(world, wanted):
    await world.start(world.track(attachments=wanted))
    tracker = world.tracker()
    await world.export(attachments=[A])
    await world.settle()

    assert tracker.did("attach") == []
    assert (A in tracker.drafts["1"].body.text) == (wanted == "link")


class TestAnAttachmentThatFails:
    async def test_it_leaves_the_delivery_and_the_other_files_alone(self, world):
        await world.start()
        tracker = world.tracker()
        tracker.on("attach", Unavailable("down"))
        await world.export(attachments=[A, B])
        await world.settle()

        assert (await world.delivery())["state"] == "delivered"
        assert sorted((await world.followups()).values()) == ["delivered", "delivered", "pending"]

        await world.pass_(seconds=31)
        assert set((await world.followups()).values()) == {"delivered"}
        assert tracker.did("create") == ["testio-bug-1"]
        assert world.files.held == []

    async def test_a_file_that_cannot_be_fetched_now_is_fetched_later_and_the_tracker_is_not_blamed(self, world):
        world.files.broken[A] = [AttachmentError("timeout", retry=True)]
        tracker = await delivered(world, retry={"circuit_after": 1})
        assert await world.followups() == {"complete": "delivered", "a.png": "pending", "b.png": "delivered"}
        assert (await world.delivery())["followups"][1]["error"] == "not fetched: timeout"

        await world.pass_(seconds=31)
        assert tracker.did("attach") == ["b.png", "a.png"]

    async def test_one_that_never_can_is_given_up_with_the_reason(self, world):
        world.files.broken[A] = [AttachmentError("it is 300 MiB; at most 25 MiB are fetched", retry=False)]
        await delivered(world)

        row = (await world.delivery())["followups"][1]
        assert (row["state"], row["error"]) == ("dead", "not fetched: it is 300 MiB; at most 25 MiB are fetched")

    async def test_its_attempts_have_an_end(self, world):
        world.files.broken[A] = [AttachmentError("timeout", retry=True)] * 2
        await delivered(world, retry={"attempts": 2})
        await world.pass_(seconds=31)

        assert (await world.followups())["a.png"] == "dead"

    @pytest.mark.parametrize("error", [Rejected("too large", status=413), Gone("the issue is gone", status=404)])
    async def test_a_refusal_is_final(self, world, error):
        await world.start()
        world.tracker().on("attach", error)
        await world.export(attachments=[A])
        await world.settle()

        row = (await world.delivery())["followups"][1]
        assert (row["state"], row["error"]) == ("dead", str(error))

    async def test_a_limit_lets_it_wait_unspent(self, world):
        await world.start()
        world.tracker().on("attach", RateLimited("slow"))
        await world.export(attachments=[A])
        await world.settle()
        assert (await world.delivery())["followups"][1]["attempts"] == 0

        await world.pass_(seconds=61)
        assert (await world.followups())["a.png"] == "delivered"

    async def test_missing_rights_pause_the_tracker(self, world):
        await world.start()
        world.tracker().on("attach", NotAllowed("no right to attach"))
        await world.export(attachments=[A])
        await world.settle()

        assert (await world.status())["paused"] == "no right to attach"
        await world.store.resume("web")
        await world.settle()
        assert (await world.followups())["a.png"] == "delivered"

    async def test_a_bug_in_the_plugin_does_not_stop_the_others(self, world):
        await world.start()
        world.tracker().on("attach", ZeroDivisionError("a bug"))
        await world.export(attachments=[A, B])
        await world.settle()
        assert sorted((await world.followups()).values()) == ["delivered", "delivered", "pending"]

    async def test_one_without_an_end_is_left(self, world):
        await world.start(world.track(timeout="1ms"))
        world.tracker().on("attach", Gate())
        await world.export(attachments=[A])
        await world.settle()

        assert (await world.delivery())["followups"][1]["error"] == "no end after 10ms"
        assert world.files.held == []


async def test_complete_is_repeated_until_it_succeeds(world):
    await world.start()
    tracker = world.tracker()
    tracker.on("complete", Unavailable("down"))
    await world.export()
    await world.settle()
    assert (await world.delivery())["state"] == "delivered"

    await world.pass_(seconds=31)
    assert tracker.did("complete") == ["web-1", "web-1"]
    assert await world.followups() == {"complete": "delivered"}


async def test_slow_files_take_no_slot_from_a_delivery_that_comes_meanwhile(world):
    await world.start(world.track(concurrency=2))
    tracker, gate = world.tracker(), Gate()
    tracker.on("attach", gate)
    await world.receipt(1)
    await world.until(lambda: tracker.made(1) == ["1"])
    await world.export(1, attachments=[A])
    await world.export(2)
    world.dispatcher.wake()
    await world.until(lambda: gate.reached == 1 and tracker.made(2) != [])
    gate.open()


async def test_an_issue_that_was_found_is_completed_too(world):
    await world.start()
    world.tracker().on("create", After(InDoubt("reset")))
    await world.export(attachments=[A])
    await world.settle()
    await world.pass_(seconds=31)

    assert (await world.delivery())["action"] == "found"
    assert await world.followups() == {"complete": "delivered", "a.png": "delivered"}
