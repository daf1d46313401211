"""Making issues and finding them again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.model import Draft, Issue, Marker, Verdict
from bridge.testing.conformance.setup import Setup, carries, carries_text, sent, writes
from bridge.testing.samples import SINCE, bugs, sample_bug, sample_draft
from bridge.testing.server import FakeServer
from bridge.tracker import Tracker, Unit


class Issues(Setup):
    """check, create, find, complete: all is well on the other side."""

    async def test_check_of_a_good_configuration_is_good(self, fake: FakeServer, subject: Tracker[Any]) -> None:
        """The doctor finds no error, names a fix for every warning, and makes nothing."""
        report = await subject.check()

        assert [finding for finding in report.findings if finding.verdict is Verdict.ERROR] == []
        assert report.findings, "a check that looked at nothing proves nothing"
        assert all(finding.fix for finding in report.findings if finding.verdict is not Verdict.OK)
        assert fake.markers() == []

    async def test_create_makes_exactly_one_issue(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """The issue is addressable, has a key for people and a page, and carries the marker."""
        issue = await subject.create(draft)

        assert issue.id
        assert issue.key
        assert "://" in issue.url
        assert fake.markers() == [draft.marker.text]

    async def test_create_says_everything(self, fake: FakeServer, subject: Tracker[Any]) -> None:
        """Title, body and labels arrive, those that need a second call by `complete`."""
        draft = sample_draft(subject, labels=("crowd-tested", "area-cart"))
        await self._created(subject, draft)

        self.has_said(fake, draft)

    @pytest.mark.parametrize("name", ["minimal", "visual", "hostile"])
    async def test_create_takes_any_bug(self, fake: FakeServer, subject: Tracker[Any], name: str) -> None:
        """What testers wrote arrives exactly as it was mapped."""
        draft = sample_draft(subject, bugs()[name])
        await self._created(subject, draft)

        assert fake.markers() == [draft.marker.text]
        self.has_said(fake, draft)

    async def test_create_takes_what_was_cut_to_its_limits(self, fake: FakeServer, subject: Tracker[Any]) -> None:
        """A bug above every limit is cut by the mapping; the marker survives."""
        draft = sample_draft(subject, bugs()["large"])
        await self._created(subject, draft)

        assert fits(draft.title, subject.title_limit, subject.unit)
        assert fake.markers() == [draft.marker.text]
        self.has_said(fake, draft)

    async def test_create_takes_a_title_of_the_longest_length(
        self, fake: FakeServer, subject: Tracker[Any]
    ) -> None:
        """The declared limit is not cut once more by the tracker."""
        draft = sample_draft(subject, title="x" * (subject.title_limit or 255))
        await self._created(subject, draft)

        self.has_said(fake, draft)

    async def test_creates_at_the_same_time_do_not_disturb_each_other(
        self, fake: FakeServer, subject: Tracker[Any]
    ) -> None:
        """Each makes its own issue."""
        drafts = [sample_draft(subject, sample_bug(id=number)) for number in (21, 22, 23, 24)]
        issues = await asyncio.gather(*(subject.create(draft) for draft in drafts))

        assert sorted(fake.markers()) == [draft.marker.text for draft in drafts]
        assert len({issue.id for issue in issues}) == 4

    async def test_create_may_be_repeated_where_the_marker_is_enforced(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """The tracker refuses the second one, and the issue that exists is returned."""
        if not subject.enforces_marker:
            pytest.skip(f"{subject.label} takes no client-made id")
        first = await subject.create(draft)
        second = await subject.create(draft)

        assert second.id == first.id
        assert fake.markers() == [draft.marker.text]

    async def test_complete_may_be_repeated(self, fake: FakeServer, subject: Tracker[Any], draft: Draft) -> None:
        """Doing again what was done already changes nothing and fails in nothing."""
        if not subject.can("complete"):
            pytest.skip(f"{subject.label} says everything in create")
        issue = await subject.create(draft)
        await subject.complete(issue, draft)
        await subject.complete(issue, draft)

        assert fake.markers() == [draft.marker.text]

    async def test_find_returns_the_created_issue(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """The same id, key and page, among others."""
        self.needs("find")
        await subject.create(sample_draft(subject, sample_bug(id=777)))
        issue = await subject.create(draft)
        await subject.create(sample_draft(subject, sample_bug(id=778)))

        found = await subject.find(draft.marker)

        assert found is not None
        assert (found.id, found.key, found.url) == (issue.id, issue.key, issue.url)

    async def test_find_of_nothing_is_none(self, fake: FakeServer, subject: Tracker[Any], draft: Draft) -> None:
        """Neither in an empty tracker nor in one with other issues."""
        self.needs("find")

        assert await subject.find(draft.marker) is None
        await subject.create(sample_draft(subject, sample_bug(id=777)))
        assert await subject.find(draft.marker) is None

    @pytest.mark.parametrize("existing", ["12", "123", "12-01k9z3v8"])
    async def test_find_is_not_fooled_by_a_similar_marker(
        self, fake: FakeServer, subject: Tracker[Any], existing: str
    ) -> None:
        """`testio-bug-12` is neither `testio-bug-1` nor `testio-bug-123` nor `testio-bug-12-01k9z3v8`."""
        self.needs("find")
        all_markers = {text: marker_of(text, subject.name) for text in ("1", "12", "123", "12-01k9z3v8")}
        await subject.create(mapped(subject, all_markers[existing]))

        found = {text for text, marker in all_markers.items() if await subject.find(marker)}

        assert found == {existing}

    async def _created(self, subject: Tracker[Any], draft: Draft) -> Issue:
        issue = await subject.create(draft)
        if subject.can("complete"):
            await subject.complete(issue, draft)
        return issue

    def has_said(self, fake: FakeServer, draft: Draft) -> None:
        """Check that what was sent holds the draft. A stand-in that receives nothing overrides this."""
        values = sent(writes(fake.requests))
        assert carries_text(values, draft.title)
        assert carries(values, draft.body)
        if "labels" not in self.lacks:
            assert [label for label in draft.labels if not carries_text(values, label)] == []


def marker_of(text: str, tracker: str) -> Marker:
    """Return the marker for `"12"` or `"12-suffix"`."""
    bug_id, _, suffix = text.partition("-")
    return Marker.of(int(bug_id), SINCE, tracker=tracker, suffix=suffix)


def mapped(tracker: Tracker[Any], marker: Marker) -> Draft:
    """Return a draft with `marker` in its body and no other number that looks like it."""
    return sample_draft(tracker, sample_bug(id=1, link="https://app.test.io/b"), marker=marker)


def fits(text: str, limit: int | None, unit: Unit) -> bool:
    """Whether `text` is within `limit` units."""
    lengths = {
        Unit.CHARACTERS: len(text),
        Unit.UTF16: len(text.encode("utf-16-le")) // 2,
        Unit.BYTES: len(text.encode()),
    }
    return limit is None or lengths[unit] <= limit
