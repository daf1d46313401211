"""Pivotal Tracker's API under the conformance suite, and what is special about it and its successor."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import AttachmentFile, Gone, InDoubt, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, Request, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins.pivotal_tracker import PivotalTracker, payload
from tests.trackers.fake_pivotal_tracker import (
    INVALID,
    NO_ROUTE,
    PROJECT,
    TOKEN,
    UNFOUND,
    PivotalTrackerServer,
    error,
)


class TestPivotalTracker(TrackerConformance):
    tracker = PivotalTracker
    server = PivotalTrackerServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            error(400, "invalid_parameter", INVALID, name="Name can't be blank"),
            error(422, "invalid_parameter", INVALID),
        ],
        NotAllowed: [
            error(401, "invalid_authentication", "Invalid authentication credentials were presented."),
            error(403, "unauthorized_operation", "Authorization failure."),
        ],
        RateLimited: Reply(429, json={"kind": "error", "error": "Too fast"}, headers={"Retry-After": "7"}),
        InDoubt: [
            error(500, "unhandled_condition", "Unhandled condition"),
            Reply(504, body=b"<html>Gateway Time-out</html>", headers={"Content-Type": "text/html"}),
        ],
        Gone: [UNFOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "pivotal-tracker", "url": url, "project": "1027488", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, PivotalTrackerServer)
        fake.stories[int(issue.id)]["current_state"] = "accepted"
        return True

    async def test_a_full_story_is_one_post(self, fake: PivotalTrackerServer) -> None:
        more = {"assignee": "@Bob", "labels": ["crowd"], "fields": {"estimate": 2}}
        async with self.using(fake.url, **more) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

        (create,) = fake.creates
        assert create.json == {
            "name": draft.title,
            "description": draft.body.text,
            "story_type": "bug",
            "story_priority": "p2",
            "labels": [{"name": "crowd"}, {"name": "testio-bug-12345"}],
            "owner_ids": [102],
            "estimate": 2,
        }
        assert issue == Issue(id="144829981", key="#144829981", url=f"{fake.url}/story/show/144829981")

    @pytest.mark.parametrize("name", ["webshop", "1027488"])
    async def test_a_project_is_known_by_name_and_id(self, fake: PivotalTrackerServer, name: str) -> None:
        async with self.using(fake.url, project=name) as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].path == f"{PROJECT}/stories"

    async def test_a_project_without_the_token_s_user_pauses_the_tracker(self, fake: PivotalTrackerServer) -> None:
        async with self.using(fake.url, project="Wbshop") as subject:
            with pytest.raises(NotAllowed, match='did you mean "Webshop"'):
                await subject.create(sample_draft(subject))

    async def test_a_project_that_is_not_there_pauses_the_tracker(self, fake: PivotalTrackerServer) -> None:
        async with self.using(fake.url, project="7") as subject:
            with pytest.raises(NotAllowed, match="correct `url` or `project`"):
                await subject.create(sample_draft(subject))

    async def test_somebody_who_is_no_member_is_left_out(self, fake: PivotalTrackerServer) -> None:
        async with self.using(fake.url, assignee="bobb") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ('assignee: there is no member "bobb"; did you mean "bob"?: left out',)

    async def test_members_that_cannot_be_read_do_not_cost_an_issue(self, fake: PivotalTrackerServer) -> None:
        fake.lacks = {"memberships"}
        async with self.using(fake.url, assignee="bob") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings[0].startswith("assignee: The path you requested")

    async def test_a_parameter_that_the_server_does_not_know_is_left_out(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        """Priorities came late, and not every successor has them. Nothing was made by the refusal."""
        fake.refused = {"story_priority": "is unknown"}

        issue = await subject.create(draft)

        assert issue.warnings == ("story_priority is left out: is unknown",)
        assert len(fake.stories) == 1

    async def test_a_parameter_that_is_refused_in_words_only_is_left_out_too(
        self, fake: PivotalTrackerServer
    ) -> None:
        async with self.using(fake.url, fields={"fix_version": "1.0"}) as subject:
            issue = await subject.create(sample_draft(subject))

        told = "'fix_version' is no parameter of this endpoint."
        assert issue.warnings == (f"fix_version is left out: {told}",)

    async def test_what_is_invalid_is_told_by_its_field(self, subject: PivotalTracker, draft: Draft) -> None:
        with pytest.raises(Rejected) as caught:
            await subject.create(draft.with_(title="x" * 5001))

        assert str(caught.value) == f"{INVALID} (HTTP 400): name: Name can't be blank"

    async def test_a_story_is_found_by_one_clause(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.find(draft.marker) == issue
        (request,) = fake.requests[before:]
        assert request.query == {"filter": ["label:testio-bug-12345"]}

    @pytest.mark.parametrize("trouble", ["slow", "accepted", "label removed"])
    async def test_what_the_filter_does_not_tell_is_found_among_all(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft, trouble: str
    ) -> None:
        """However many pages that are, whatever the server takes for one."""
        for number in range(1, 6):
            await subject.create(sample_draft(subject, sample_bug(id=number)))
        issue = await subject.create(draft)
        fake.page, fake.slow_filter = 2, trouble == "slow"
        if trouble == "accepted":
            self.finish(fake, issue)
        if trouble == "label removed":
            fake.stories[int(issue.id)]["labels"] = []

        assert await subject.find(draft.marker) == issue

    async def test_of_several_the_first_is_it(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        first = await subject.create(draft)
        await subject.create(draft)

        assert await subject.find(draft.marker) == first

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        """One by one: a list would replace all, also those that were added since we looked."""
        issue = await subject.create(draft.with_(labels=("crowd", "severity:low")))
        story = fake.stories[int(issue.id)]
        story["labels"].append({"id": 77, "name": "triaged"})

        await subject.update(issue, draft.with_(labels=("crowd", "severity:high")))

        names = [label["name"] for label in story["labels"]]
        assert names == ["crowd", "testio-bug-12345", "triaged", "severity:high"]
        (put,) = [request for request in fake.requests if request.method == "PUT"]
        assert "labels" not in put.json

    async def test_labels_that_cannot_be_changed_are_a_warning(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.lacks = {"labels"}

        updated = await subject.update(issue, draft.with_(labels=("cart",)))

        assert updated.warnings[0].startswith("labels: The path you requested has no valid endpoint.")

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"severity"}))) == issue
        assert len(fake.requests) == before

    async def test_a_server_without_comments_is_no_story_that_is_gone(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        """Otherwise each export made a new one."""
        issue = await subject.create(draft)
        fake.lacks = {"comments"}

        with pytest.raises(Rejected, match="this server takes no comments"):
            await subject.comment(issue, draft.body)

    @pytest.fixture
    def file(self, tmp_path: Path) -> AttachmentFile:
        path = tmp_path / "spooled"
        path.write_bytes(b"abc")
        return AttachmentFile(path=path, name="abc.png", type="image/png", size=3, url="https://files.test.io/a")

    async def test_a_file_hangs_on_a_comment(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft, file: AttachmentFile
    ) -> None:
        """Once, though the answer to the first try was lost."""
        issue = await subject.create(draft)

        def commented(request: Request) -> bool:
            return request.method == "POST" and request.path.endswith("/comments")

        fake.inject(Fault(FaultKind.RESET_AFTER, commented))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)
        await subject.attach(issue, file)

        (comment,) = fake.comments[int(issue.id)]
        assert comment["text"] == "abc.png (test IO, 3 bytes)"
        assert comment["file_attachments"][0]["id"] == 85128165

    async def test_a_server_without_uploads_keeps_the_links(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft, file: AttachmentFile
    ) -> None:
        """A file that is refused stays the link that it is; the tracker goes on."""
        issue = await subject.create(draft)
        fake.lacks = {"uploads"}

        with pytest.raises(Rejected):
            await subject.attach(issue, file)

    async def test_in_litetracker_the_owner_is_set_afterwards(self, fake: PivotalTrackerServer) -> None:
        """It leaves owners out of new stories. What is there already is not set again."""
        fake.lite = True
        async with self.using(fake.url, assignee="alice@acme.example") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            await subject.complete(issue, draft)
            await subject.complete(issue, draft)

        assert fake.stories[int(issue.id)]["owner_ids"] == [101]
        assert len([request for request in fake.requests if request.method == "PUT"]) == 1

    async def test_litetracker_takes_labels_in_its_own_form(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        fake.lite = True
        issue = await subject.create(draft)

        await subject.update(issue, draft.with_(labels=("cart",), only=frozenset({"labels"})))

        assert fake.requests[-1].json == {"label": {"name": "cart"}}

    async def test_a_story_without_an_address_gets_the_usual_one(
        self, fake: PivotalTrackerServer, subject: PivotalTracker, draft: Draft
    ) -> None:
        made = Reply(json={"kind": "story", "id": "12", "title": "x"})  # an id may be a text
        fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=made))

        issue = await subject.create(draft)

        assert (issue.id, issue.url) == ("12", f"{fake.url}/story/show/12")

    async def found(self, fake: PivotalTrackerServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **{"labels": ["crowd"], **changes}) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_is_content_with_a_full_configuration(self, fake: PivotalTrackerServer) -> None:
        more = {"assignee": "@alice", "issue_types": {"suggestion": "feature"}, "priorities": {"critical": "p0"}}

        assert await self.found(fake, project="Webshop", **more) == []

    @pytest.mark.parametrize(
        ("changes", "verdict", "subject", "told"),
        [
            ({"token": "something-else"}, Verdict.ERROR, "credentials", "Profile > API Tokens"),
            ({"project": "Wbshop"}, Verdict.ERROR, "project", 'did you mean "Webshop"?'),
            ({"project": "7"}, Verdict.ERROR, "project", "no member of 7"),
            ({"issue_type": "defect"}, Verdict.WARNING, "issue_type", "one of bug, chore, feature, release"),
            ({"priorities": {"p1": "high"}}, Verdict.WARNING, "priorities.p1", "one of p0, p1"),
            ({"assignee": "allice"}, Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            ({"labels": ["crwd"]}, Verdict.WARNING, "labels", 'did you mean "crowd"?'),
            ({"severities": {"high": "S1"}}, Verdict.WARNING, "severities", "use a label"),
            ({"parent": "Checkout"}, Verdict.WARNING, "parent", "epic's label"),
        ],
    )
    async def test_the_doctor_finds_what_is_not_there(
        self, fake: PivotalTrackerServer, changes: dict[str, Any], verdict: Verdict, subject: str, told: str
    ) -> None:
        found = {(each[0], each[1]): each[2] for each in await self.found(fake, **changes)}

        assert told in found[verdict, subject]

    async def test_a_viewer_cannot_write(self, fake: PivotalTrackerServer) -> None:
        fake.role = "viewer"

        ((verdict, subject, told),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert "make it a member" in told

    @pytest.mark.parametrize("answer", [NO_ROUTE, Reply(json={"hello": "world"})])
    async def test_the_doctor_tells_a_wrong_address(self, fake: PivotalTrackerServer, answer: Reply) -> None:
        fake.inject(Fault(FaultKind.REFUSE, lambda _: True, reply=answer))

        ((verdict, subject, _),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "url")

    async def test_the_doctor_does_without_lists_that_a_server_does_not_have(
        self, fake: PivotalTrackerServer
    ) -> None:
        fake.lacks = {"labels", "memberships"}

        ((verdict, subject, told),) = await self.found(fake, assignee="alice")

        assert (verdict, subject) == (Verdict.WARNING, "assignee")
        assert "the members cannot be read" in told


def tracker(**changes: Any) -> PivotalTracker:
    """Return a tracker that talks to nobody."""
    table = {"type": "pivotal-tracker", "url": "https://app.litetracker.com", "project": 1027488, "token": TOKEN}
    return PivotalTracker("shop", PivotalTracker.settings_type.model_validate({**table, **changes}))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://www.pivotaltracker.com/services/v5", "was shut down on 30 April 2025"),
        ("https://pivotaltracker.com", "was shut down on 30 April 2025"),
        ("app.litetracker.com", "write it like"),
    ],
)
def test_settings_say_what_is_wrong(url: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(url=url)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://app.litetracker.com/", "https://app.litetracker.com/services/v5"),
        ("https://app.litetracker.com/services/v5/", "https://app.litetracker.com/services/v5"),
        ("https://tracker.acme.example/api/v5", "https://tracker.acme.example/api/v5"),
    ],
)
def test_a_server_is_known_by_its_host_or_by_its_api(url: str, api: str) -> None:
    assert tracker(url=url).base_url == api


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(issue_type="Chore", assignee="@bob")

    sent = payload(sample_draft(subject))

    assert (sent["story_type"], sent["owner_ids"]) == ("chore", "bob")
    assert sent["labels"] == ["test-io", "severity:high", "testio-bug-12345"]


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/pivotal-tracker.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "pivotal-tracker.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert PivotalTracker.settings_type.model_validate(table).type == "pivotal-tracker"
