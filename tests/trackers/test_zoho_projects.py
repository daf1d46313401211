"""Zoho Projects under the conformance suite, and what is special about it; signing in is tested with Zoho Desk."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge import AttachmentFile, Gone, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import sample_comment
from bridge_plugins import zoho_projects
from bridge_plugins._zoho import titled
from bridge_plugins.zoho_projects import ZohoProjects, new_bug
from tests.trackers.fake_zoho import CLIENT, CLIENT_SECRET, REFRESH_TOKEN
from tests.trackers.fake_zoho_projects import (
    ANN,
    HOME,
    NOT_FOUND,
    PORTAL,
    PROJECT,
    SEVERITIES,
    STATUSES,
    WRONG_URL,
    ZohoProjectsServer,
    error,
)

OLD_ERROR = Reply(200, json={"error": {"code": 6404, "message": "Bug not found"}})


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestZohoProjects(TrackerConformance):
    tracker = ZohoProjects
    server = ZohoProjectsServer
    secret = REFRESH_TOKEN
    lacks: ClassVar = {"labels": "how a create takes tags is not documented"}
    refusals: ClassVar = {  # a 401 is sent once more with a new token: see Zoho Desk
        Rejected: [
            error(400, "INVALID_INPUT", "Invalid severity", field="severity"),
            Reply(200, json={"error": {"code": 6832, "message": "Input Parameter Does not Match the Pattern"}}),
        ],
        NotAllowed: [error(403, "INVALID_OAUTHSCOPE", "Invalid OAuth scope"), WRONG_URL],
        RateLimited: [
            Reply(429, json={"error": {"code": 6403, "message": "URL_ROLLING_THROTTLES_LIMIT_EXCEEDED"}})
        ],
        Gone: [NOT_FOUND, OLD_ERROR],
    }

    def settings(self, url: str) -> dict[str, Any]:
        client = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": self.secret}
        place = {"portal": "acme", "project": "Webshop"}
        return {"type": "zoho-projects", "accounts_url": url, "url": url, **client, **place}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, ZohoProjectsServer)
        fake.bugs[issue.id]["status"] = {"id": STATUSES["Closed"]}
        return True

    def said(self, fake: FakeServer, since: int, draft: Draft) -> set[str]:
        """Return which parts were said; the title has the marker behind it."""
        return super().said(fake, since, draft.with_(title=titled(draft)))

    async def test_a_full_bug_is_one_post_with_ids_for_names(self, fake: ZohoProjectsServer) -> None:
        more: dict[str, Any] = {"assignee": "ann able", "issue_type": "crash/hang"}
        more["fields"] = {
            "module": "Check & out",
            "is_it_reproducible": "Always",
            "due_date": "2026-12-24",
            "cf": "x",
        }
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = fake.creates[0].json
        assert {name: value for name, value in sent.items() if name != "description"} == {
            "name": "Checkout total is incorrect [testio-bug-12345]",
            "flag": "internal",
            "severity": {"id": SEVERITIES["Major"]},
            "classification": {"id": "8091"},
            "assignee": {"zpuid": ANN},
            "module": {"id": "8101"},
            "is_it_reproducible": {"id": "8111"},
            "due_date": "2026-12-24",
            "cf": "x",
        }
        number = "1063648000000123001"
        url = f"https://projects.zoho.com/portal/acme#zp/projects/{PROJECT}/bug-detail/{number}"
        assert issue == Issue(id=number, key="QA7-I51", url=url)

    async def test_ids_need_no_look_up_of_lists(self, fake: ZohoProjectsServer) -> None:
        """And may be all that a token can use: the lists are in the older API only."""
        old = Fault(FaultKind.REFUSE, lambda request: request.path.startswith("/restapi"), 9, WRONG_URL)
        fake.inject(old)
        async with self.using(fake.url, portal=PORTAL, project=PROJECT, severities={"high": "8077"}) as subject:
            with pytest.raises(Rejected, match="severity: Invalid severity"):
                await subject.create(sample_draft(subject))
        async with self.using(fake.url, severities={"high": SEVERITIES["Major"]}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ()

    async def test_names_that_zoho_does_not_have_or_tell_do_not_cost_a_bug(self, fake: ZohoProjectsServer) -> None:
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.path.startswith("/restapi"), 1, WRONG_URL))
        more = {"assignee": "Bob", "parent": "QA7-I1", "issue_type": "Typo"}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert [words.partition(" there is no ")[0] for words in issue.warnings[1:]] == [
            "severity:",
            "classification:",
            "assignee:",
        ]
        assert "Given URL is wrong" in issue.warnings[1]
        assert issue.warnings[0] == 'parent: "QA7-I1": bugs have none, left out'

    async def test_names_are_looked_up_once(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft
    ) -> None:
        """A hundred requests in two minutes is all there is."""
        await subject.create(draft)
        before = len(fake.requests)
        await subject.create(draft)

        assert len(fake.requests) == before + 1

    async def test_a_title_of_the_longest_length_keeps_its_marker(
        self, fake: ZohoProjectsServer, subject: ZohoProjects
    ) -> None:
        draft = sample_draft(subject, title="x" * (subject.title_limit or 0))

        await subject.create(draft)

        sent = fake.creates[0].json["name"]
        assert draft.marker.found_in(sent)
        assert len(sent) <= 250

    @pytest.mark.parametrize("wrapped", ["", "issue", "issues"])
    async def test_a_bug_is_understood_however_it_is_wrapped(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft, wrapped: str
    ) -> None:
        fake.wrapped = wrapped

        assert (await subject.create(draft)).key == "QA7-I51"

    async def test_a_value_that_zoho_changed_is_a_warning(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft
    ) -> None:
        fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=Reply(201, json={"id": "5", "severity": {"id": "8078"}})))

        issue = await subject.create(draft)

        assert issue.warnings[0].startswith("severity: Zoho did not take it")

    async def test_the_other_product_has_another_host(self) -> None:
        tracker = self.make("", product="bugtracker", data_center="eu")

        assert tracker.base_url == "https://bugtracker.zoho.eu"  # type: ignore[attr-defined]
        assert self.make("").base_url == "https://projectsapi.zoho.com"  # type: ignore[attr-defined]

    # finding

    async def fill(self, fake: ZohoProjectsServer, subject: ZohoProjects, months: range) -> None:
        """Give the project a bug of somebody else's from each month of 2025, whose pages hold two bugs."""
        for month in months:
            issue = await subject.create(sample_draft(subject, sample_bug(id=month)))
            fake.bugs[issue.id]["created_time"] = f"2025-{month:02}-01T00:00:00Z"

    @pytest.mark.parametrize(("newest_first", "pages"), [(True, 1), (False, 5)])
    async def test_bugs_are_read_back_to_the_first_attempt_or_all_where_their_order_does_not_tell(
        self,
        fake: ZohoProjectsServer,
        subject: ZohoProjects,
        draft: Draft,
        monkeypatch: pytest.MonkeyPatch,
        newest_first: bool,
        pages: int,
    ) -> None:
        monkeypatch.setattr(zoho_projects, "PAGE", 2)
        await self.fill(fake, subject, range(1, 11))
        fake.newest_first = newest_first
        before = len(fake.requests)

        assert await subject.find(draft.marker) is None
        assert len(fake.requests) - before == pages

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_a_bug_is_found_wherever_it_is(
        self,
        fake: ZohoProjectsServer,
        subject: ZohoProjects,
        draft: Draft,
        monkeypatch: pytest.MonkeyPatch,
        newest_first: bool,
    ) -> None:
        monkeypatch.setattr(zoho_projects, "PAGE", 2)
        await self.fill(fake, subject, range(1, 8))
        issue = await subject.create(draft)
        fake.newest_first = newest_first

        found = await subject.find(draft.marker)

        assert found == issue

    async def test_what_cannot_be_looked_through_is_left_to_a_person(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A miss would make a second bug; reading on would lock the API."""
        monkeypatch.setattr(zoho_projects, "PAGE", 2)
        monkeypatch.setattr(zoho_projects, "PAGES", 2)
        await self.fill(fake, subject, range(1, 8))
        fake.newest_first = False

        with pytest.raises(Rejected, match="look for testio-bug-12345 there; if it is missing, replay"):
            await subject.find(draft.marker)

    # later

    async def test_a_comment_that_v3_refuses_goes_through_the_older_api(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft
    ) -> None:
        fake.old_comments = True
        issue = await subject.create(draft)
        body = sample_comment(subject)

        await subject.comment(issue, body)

        assert fake.comments == [body.text]
        assert fake.requests[-1].path == f"/restapi{HOME}/bugs/{issue.id}/comments/"

    async def test_a_file_is_uploaded_and_then_put_to_the_bug(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)

        await subject.attach(issue, picture(tmp_path))

        assert len(fake.files[issue.id]) == 1

    async def test_a_portal_without_work_drive_does_not_pause_the_tracker(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft, tmp_path: Path
    ) -> None:
        """Only the file stays a link."""
        fake.work_drive = False
        issue = await subject.create(draft)

        with pytest.raises(Rejected, match="WorkDrive integration and the scopes"):
            await subject.attach(issue, picture(tmp_path))

    async def test_an_upload_that_names_no_file_is_tried_again(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        empty = Reply(json={"attachment": []})
        fake.inject(Fault(FaultKind.ANSWER_AFTER, lambda request: bool(request.files), reply=empty))

        with pytest.raises(Unavailable):
            await subject.attach(issue, picture(tmp_path))

    async def test_statuses_of_ones_own_may_be_done(self, fake: ZohoProjectsServer) -> None:
        async with self.using(fake.url, done=["parked"]) as subject:
            issue = await subject.create(sample_draft(subject))
            fake.bugs[issue.id]["status"] = {"id": STATUSES["Parked"]}

            assert (await subject.state(issue)).done

    # refusals

    async def test_a_refusal_names_the_field(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft
    ) -> None:
        fake.inject(refused(error(400, "INVALID_INPUT", "is mandatory", field="module")))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == "INVALID_INPUT: is mandatory (HTTP 400): module: is mandatory"

    async def test_a_locked_api_is_waited_for_half_an_hour(
        self, fake: ZohoProjectsServer, subject: ZohoProjects, draft: Draft
    ) -> None:
        fake.inject(refused(Reply(429, body=b"<html>Too many</html>", headers={"Content-Type": "text/html"})))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(minutes=30)

    def test_the_limit_is_kept_from_the_start(self) -> None:
        """Each delivery needs up to two requests, and attachments more."""
        settings = self.make("").settings

        assert (str(settings.rate), settings.concurrency) == ("20/minute", 1)

    async def test_a_wrong_address_says_what_to_correct(self, fake: ZohoProjectsServer, draft: Draft) -> None:
        async with self.using(fake.url, issues_path="defects") as subject:
            with pytest.raises(NotAllowed, match="correct `portal`, `project`, `product` or `issues_path`"):
                await subject.create(draft)

    # the doctor

    async def findings(self, fake: ZohoProjectsServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor has to say besides that all is well: verdict, subject and fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (each.verdict, each.subject, each.fix) for each in report.findings if each.verdict is not Verdict.OK
        ]

    async def test_check_names_what_may_be_meant(self, fake: ZohoProjectsServer) -> None:
        assert await self.findings(fake, portal="acne") == [(Verdict.ERROR, "portal", 'did you mean "acme"?')]
        assert await self.findings(fake, project="Shop") == [(Verdict.ERROR, "project", "one of Webshop")]

    async def test_check_says_what_is_wrong_with_each_value(self, fake: ZohoProjectsServer) -> None:
        found = await self.findings(
            fake,
            severities={"p1": "Show stoper", "low": "8078"},
            issue_type="Typo",
            assignee="Bob",
            priorities={"p1": "High"},
            fields={"module": "Checkout", "other": "x"},
        )

        assert found == [
            (Verdict.WARNING, "assignee", "one of ann@acme.example, Ann Able"),
            (Verdict.WARNING, "severities.p1", 'did you mean "Show Stopper"?'),
            (Verdict.WARNING, "issue_type", "one of UI/Usability, Crash/Hang"),
            (Verdict.WARNING, "fields.module", 'did you mean "Check & out"?'),
            (Verdict.WARNING, "priorities", "use `severities`, or a field in `fields`"),
        ]

    async def test_check_says_when_choices_cannot_be_read(self, fake: ZohoProjectsServer) -> None:
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.path.startswith("/restapi"), 9, WRONG_URL))

        found = await self.findings(fake)

        assert {each[1:] for each in found} == {
            (f"severities.{word}", "write its id instead of its name") for word in ("critical", "high", "low")
        }


def picture(folder: Path) -> AttachmentFile:
    """Return a small file."""
    (folder / "a").write_bytes(b"abc")
    return AttachmentFile(path=folder / "a", name="a.png", type="image/png", size=3, url="https://f.test/a")


def test_the_mapping_needs_no_network() -> None:
    table = TestZohoProjects().settings("") | {"flag": "external"}
    subject = ZohoProjects("shop", ZohoProjects.settings_type.model_validate(table))

    sent = new_bug(sample_draft(subject), subject.settings)

    assert (sent["flag"], sent["severity"]) == ("external", "Major")


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/zoho-projects.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "zoho-projects.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert ZohoProjects.settings_type.model_validate(table).type == "zoho-projects"
