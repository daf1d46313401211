"""A bug that is exported again: the route's policy says what happens to its issue."""

from __future__ import annotations

import pytest

from bridge.errors import Gone, Unavailable
from bridge.tracker import Tracker
from tests.dispatch.scripted import Scripted

pytestmark = pytest.mark.anyio


class Silent(Scripted):
    """Takes no comments."""

    comment = Tracker.comment


class Fixed(Scripted):
    """Changes no issue."""

    update = Tracker.update


class Mute(Silent):
    """Neither."""

    update = Tracker.update


@pytest.fixture
def exported(world):
    """Export bug 1 at the first moment, deliver it, and export it again, changed."""

    async def export(*, kind=Scripted, on="comment", **changes):
        await world.start(world.track(kind=kind))
        await world.export(1, on=on, title="First", description="before")
        await world.settle()
        await world.export(1, on=on, **({"title": "Second", "description": "before"} | changes))
        await world.settle()
        return world.tracker()

    return export


class TestComment:
    async def test_one_comment_says_what_changed_and_nothing_else_is_touched(self, world, exported):
        tracker = await exported()

        (comment,) = tracker.comments
        assert 'was "First", now "Second"' in comment
        assert "Description" not in comment
        assert tracker.did("update") == []
        assert tracker.made(1) == ["1"]
        delivery = await world.delivery("e2")
        assert (delivery["state"], delivery["action"], delivery["issue"]["key"]) == (
            "delivered",
            "commented",
            "web-1",
        )

    async def test_each_is_told_what_changed_since_the_one_before(self, world, exported):
        tracker = await exported()
        await world.export(1, title="Third", description="before")
        await world.settle()

        assert 'was "Second", now "Third"' in tracker.comments[1]

    async def test_where_comments_cannot_be_made_it_is_recorded(self, world, exported):
        tracker = await exported(kind=Silent)

        assert (await world.delivery("e2"))["action"] == "recorded"
        assert tracker.did("update") == []

    async def test_new_attachments_follow_and_old_ones_are_not_sent_again(self, world):
        await world.start()
        first, second = "https://files.test.io/a.png", "https://files.test.io/b.png"
        await world.export(attachments=[first])
        await world.settle()
        await world.export(attachments=[first, second])
        await world.settle()

        assert world.tracker().did("attach") == ["a.png", "b.png"]

    async def test_a_failed_comment_is_tried_again(self, world, exported):
        await world.start()
        await world.export()
        await world.settle()
        world.tracker().on("comment", Unavailable("down"))
        await world.export(title="Second")
        await world.settle()
        await world.pass_(seconds=31)

        assert (await world.delivery("e2"))["action"] == "commented"
        assert len(world.tracker().comments) == 1


class TestUpdate:
    async def test_the_named_fields_are_set_anew_and_a_comment_says_so(self, world, exported):
        tracker = await exported(on="update")
        await world.export(1, on="update", update_fields=["title", "body"], title="Third")
        await world.settle()

        draft = tracker.drafts["1"]
        assert draft.title == "Third"
        assert draft.only == {"title", "body"}, "what people changed elsewhere survives"
        assert "Set anew from the export: body, title." in tracker.comments[-1]
        assert 'was "Second", now "Third"' in tracker.comments[-1]
        assert (await world.delivery("e3"))["action"] == "updated"

    async def test_where_issues_cannot_be_changed_a_comment_says_what_changed(self, world, exported):
        tracker = await exported(kind=Fixed, on="update")

        assert (await world.delivery("e2"))["action"] == "commented"
        assert 'was "First", now "Second"' in tracker.comments[0]
        assert "Set anew" not in tracker.comments[0]

    async def test_where_comments_cannot_be_made_it_is_only_updated(self, world, exported):
        tracker = await exported(kind=Silent, on="update")

        assert (await world.delivery("e2"))["action"] == "updated"
        assert tracker.did("update") == ["web-1"]

    async def test_where_neither_can_be_done_it_is_recorded(self, world, exported):
        await exported(kind=Mute, on="update")

        assert (await world.delivery("e2"))["action"] == "recorded"


class TestNew:
    async def test_each_export_makes_an_issue_of_its_own_with_a_marker_of_its_own(self, world, exported):
        tracker = await exported(on="new")

        assert tracker.made(1) == ["1", "2"]
        assert [draft.marker.text for draft in tracker.drafts.values()] == ["testio-bug-1-e1", "testio-bug-1-e2"]
        assert (await world.delivery("e2"))["issue"]["key"] == "web-2"

    async def test_gone_there_is_no_issue_of_ours_that_is_gone(self, world, exported):
        tracker = await exported(on="new")
        tracker.on("create", Gone("no such project", status=404))
        await world.export(1, on="new")
        await world.settle()

        assert (await world.delivery("e3"))["state"] == "dead"
        await world.export(1, title="Fourth")
        await world.settle()
        assert len(tracker.comments) == 1, "the issue that was known still is"


class TestIgnore:
    async def test_nothing_is_sent_and_that_is_shown(self, world, exported):
        tracker = await exported(on="ignore")

        assert tracker.comments == []
        assert tracker.did("update") == []
        delivery = await world.delivery("e2")
        assert (delivery["action"], delivery["issue"]["key"]) == ("ignored", "web-1")

    async def test_the_first_export_makes_the_issue_all_the_same(self, world, exported):
        tracker = await exported(on="ignore")

        assert tracker.made(1) == ["1"]


class TestSuperseded:
    async def test_an_older_export_that_comes_later_undoes_nothing(self, world, exported):
        tracker = await exported(on="update", at="2025-01-01T00:00:00Z")

        assert tracker.did("update") == []
        assert tracker.comments == []
        assert (await world.delivery("e2"))["action"] == "superseded"

    async def test_replaying_an_old_export_is_one(self, world, exported):
        tracker = await exported()
        await world.replay("e1")

        assert (await world.delivery("e1"))["action"] == "superseded"
        assert len(tracker.comments) == 1

    async def test_without_moments_the_order_of_arrival_counts(self, world, exported):
        tracker = await exported(at=None)

        assert len(tracker.comments) == 1


class TestGone:
    """The issue we knew was deleted in the tracker."""

    @pytest.mark.parametrize(("on", "method"), [("comment", "comment"), ("update", "update")])
    async def test_a_new_one_is_made_and_it_says_why(self, world, on, method):
        await world.start()
        tracker = world.tracker()
        await world.export(1, on=on)
        await world.settle()
        tracker.on(method, Gone("not found", status=404))
        await world.export(1, on=on, update_fields=["title"], title="Second")
        await world.settle()

        delivery = await world.delivery("e2")
        assert (delivery["action"], delivery["issue"]["key"]) == ("created", "web-2")
        assert delivery["warnings"] == ["the earlier issue web-1 was gone from the tracker, so a new one was made"]
        assert tracker.drafts["2"].marker.text == "testio-bug-1-e2", "the lost one is not found by it"
        assert tracker.drafts["2"].title == "Second"

    async def test_and_from_then_on_that_one_is_the_bugs(self, world):
        await world.start()
        tracker = world.tracker()
        await world.export(1)
        await world.settle()
        tracker.on("comment", Gone("not found", status=404))
        for title in ("Second", "Third"):
            await world.export(1, title=title)
            await world.settle()

        assert (await world.delivery("e3"))["issue"]["key"] == "web-2"
        assert 'was "Second", now "Third"' in tracker.comments[0]


async def test_two_exports_of_one_bug_at_once_are_one_issue_and_one_comment(world):
    await world.start()
    await world.export(1, title="First")
    await world.export(1, title="Second")
    await world.export(2)
    await world.settle()

    tracker = world.tracker()
    assert tracker.did("create") == ["testio-bug-1", "testio-bug-2"]
    assert len(tracker.comments) == 1
    assert [(await world.delivery(export))["action"] for export in ("e1", "e2")] == ["created", "commented"]


async def test_replaying_what_was_delivered_says_that_nothing_changed(world):
    await world.start()
    await world.export()
    await world.settle()
    await world.replay("e1")

    assert world.tracker().made(1) == ["1"]
    assert "nothing has changed" in world.tracker().comments[0]
