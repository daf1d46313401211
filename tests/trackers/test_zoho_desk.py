"""Zoho Desk under the conformance suite, and what is special about it; signing in to Zoho, for all its products."""

from __future__ import annotations

import asyncio
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import AttachmentFile, Gone, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeClock, FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import hostile_bug, sample_comment
from bridge_plugins._zoho import host, titled
from bridge_plugins.zoho_desk import PAGE, ZohoDesk, new_ticket
from tests.trackers.fake_zoho import CLIENT, CLIENT_SECRET, LIFE, REFRESH_TOKEN
from tests.trackers.fake_zoho_desk import AGENT, DEPARTMENT, NOT_FOUND, ORGANIZATION, ZohoDeskServer, error

SPENT = error(429, "THRESHOLD_EXCEEDED", "The API credits of the day are used up.")


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestZohoDesk(TrackerConformance):
    tracker = ZohoDesk
    server = ZohoDeskServer
    secret = REFRESH_TOKEN
    lacks: ClassVar = {"labels": "a create takes no tags"}
    refusals: ClassVar = {  # 401 is below: the request is sent once more with a new token
        Rejected: [error(422, "INVALID_DATA", "The data is invalid", departmentId="invalid")],
        NotAllowed: [
            error(403, "SCOPE_MISMATCH", "The access token does not have the scope."),
            error(403, "LICENSE_ACCESS_LIMITED", "The edition does not have it."),
        ],
        RateLimited: [
            error(429, "TOO_MANY_REQUESTS", "Too many requests."),
            Reply(429, json={"errorCode": "THRESHOLD_EXCEEDED"}, headers={"Retry-After": "7"}),
        ],
        Unavailable: [error(500, "INTERNAL_SERVER_ERROR", "An internal server error occurred.")],
        Gone: [NOT_FOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        client = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": self.secret}
        place = {"organization": "acme", "department": "QA", "contact": "testio@acme.example"}
        return {"type": "zoho-desk", "accounts_url": url, "url": url, **client, **place}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, ZohoDeskServer)
        fake.tickets[issue.id] |= {"status": "Done", "statusType": "Closed"}
        return True

    def said(self, fake: FakeServer, since: int, draft: Draft) -> set[str]:
        """Return which parts were said; the title has the marker behind it."""
        return super().said(fake, since, draft.with_(title=titled(draft)))

    async def test_a_full_ticket_is_one_post_with_ids_for_names(self, fake: ZohoDeskServer) -> None:
        more: dict[str, Any] = {"assignee": "ann able", "severity_field": "cf_severity"}
        more |= {"severities": {"high": "S1"}, "fields": {"cf_bug": "{{ bug.id }}", "category": "Shop"}}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        (request,) = fake.creates
        assert request.headers["orgid"] == ORGANIZATION
        assert {name: value for name, value in request.json.items() if name != "description"} == {
            "subject": "Checkout total is incorrect [testio-bug-12345]",
            "departmentId": DEPARTMENT,
            "contact": {"lastName": "test IO", "email": "testio@acme.example"},
            "channel": "Web",
            "priority": "High",
            "classification": "Problem",
            "assigneeId": AGENT,
            "category": "Shop",
            "cf": {"cf_severity": "S1", "cf_bug": "12345"},
        }
        number = "1892000000042034"
        url = f"https://desk.zoho.com/support/acme/ShowHomePage.do#Cases/dv/{number}"
        assert issue == Issue(id=number, key="#176", url=url)

    async def test_names_are_looked_up_once(self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft) -> None:
        """Every call costs credits of the day."""
        await subject.create(draft)
        before = len(fake.requests)
        await subject.create(draft)

        assert len(fake.requests) == before + 1

    async def test_a_subject_of_the_longest_length_keeps_its_marker(
        self, fake: ZohoDeskServer, subject: ZohoDesk
    ) -> None:
        draft = sample_draft(subject, title="x" * (subject.title_limit or 0))

        await subject.create(draft)

        sent = fake.creates[0].json["subject"]
        assert draft.marker.found_in(sent)
        assert len(sent) <= 1000

    async def test_what_cannot_be_said_is_left_out_with_a_warning(self, fake: ZohoDeskServer) -> None:
        fake.lists_agents = False
        async with self.using(fake.url, assignee="Ann Able", fields={"Severity": "x"}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'assignee: there is no agent "Ann Able": left out',
            'fields: "Severity" is no API name of a field: left out',
        )

    async def test_what_desk_did_not_take_is_a_warning(self, fake: ZohoDeskServer) -> None:
        got = {"id": "5", "ticketNumber": "7", "priority": "Low", "classification": None, "cf": {"cf_a": None}}
        async with self.using(fake.url, fields={"cf_a": "x"}) as subject:
            await subject.create(sample_draft(subject, sample_bug(id=1)))
            fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=Reply(json=got)))
            issue = await subject.create(sample_draft(subject))

        assert [words.partition(":")[0] for words in issue.warnings] == ["priority", "classification", "cf_a"]

    async def test_a_department_that_does_not_exist_stops_deliveries_until_somebody_corrects_it(
        self, fake: ZohoDeskServer
    ) -> None:
        async with self.using(fake.url, department="QAA") as subject:
            with pytest.raises(NotAllowed, match="correct `department`"):
                await subject.create(sample_draft(subject))

        assert fake.creates == []

    @pytest.mark.parametrize("public", [False, True])
    async def test_comments_and_files_are_shown_to_the_contact_only_if_wanted(
        self, fake: ZohoDeskServer, tmp_path: Path, public: bool
    ) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        file = AttachmentFile(path=tmp_path / "a", name="a.png", type="image/png", size=3, url="https://f.test/a")
        async with self.using(fake.url, public=public) as subject:
            issue = await subject.create(sample_draft(subject))
            await subject.comment(issue, sample_comment(subject))
            await subject.attach(issue, file)

        assert fake.comments[0]["isPublic"] is public
        assert fake.requests[-1].query == {"isPublic": [str(public).lower()]}

    async def test_mentions_and_placeholders_of_testers_are_none(
        self, fake: ZohoDeskServer, subject: ZohoDesk
    ) -> None:
        await subject.create(sample_draft(subject, hostile_bug()))
        await subject.comment(
            (await subject.create(sample_draft(subject))), sample_comment(subject, "zsu[@user:1]zsu")
        )

        assert "{{" not in fake.creates[0].body.decode()
        assert "zsu[" not in fake.comments[0]["content"]

    # finding

    async def test_only_tickets_since_the_first_attempt_are_read(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft
    ) -> None:
        await subject.create(draft)
        await subject.find(draft.marker)

        query = fake.requests[-1].query
        assert query["createdTimeRange"] == ["2026-01-05T08:55:00.000Z,2026-01-05T09:05:00.000Z"]
        assert query["departmentId"] == [DEPARTMENT]

    async def test_the_search_is_read_to_its_end(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft
    ) -> None:
        await subject.create(sample_draft(subject, sample_bug(id=1)))
        first = next(iter(fake.tickets.values()))
        fake.tickets |= {str(number): {**first, "id": str(number)} for number in range(1, PAGE + 5)}
        issue = await subject.create(draft)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id

    async def test_a_ticket_that_somebody_renamed_is_found_by_its_description(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.tickets[issue.id]["subject"] = "Wrong total"

        assert await subject.find(draft.marker) is not None

    def test_a_miss_counts_only_after_the_search_had_time(self) -> None:
        """How much it lags is published nowhere."""
        assert ZohoDesk.settle >= timedelta(seconds=60)

    async def test_a_file_is_not_attached_twice(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft, tmp_path: Path
    ) -> None:
        """When the answer was lost."""
        issue = await subject.create(draft)
        (tmp_path / "a").write_bytes(b"abc")
        file = AttachmentFile(path=tmp_path / "a", name="a.png", type="image/png", size=3, url="https://f.test/a")
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: bool(request.files)))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)

        await subject.attach(issue, file)

        assert len(fake.files[issue.id]) == 1

    @pytest.mark.parametrize("gone", ["isTrashed", "isDeleted"])
    async def test_a_ticket_in_the_trash_is_done(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft, gone: str
    ) -> None:
        issue = await subject.create(draft)
        fake.tickets[issue.id][gone] = True

        assert (await subject.state(issue)).done

    # refusals

    async def test_a_refusal_names_the_field(self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft) -> None:
        fake.inject(refused(error(422, "INVALID_DATA", "The data is invalid", subject="missing")))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == "INVALID_DATA: The data is invalid (HTTP 422): subject: missing"

    async def test_without_credits_the_account_waits_for_hours(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft
    ) -> None:
        fake.inject(refused(SPENT))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(hours=1)

    # signing in

    async def test_one_access_token_serves_all_requests_until_it_ends(
        self, fake: ZohoDeskServer, subject: ZohoDesk
    ) -> None:
        """Zoho gives out ten in ten minutes."""
        drafts = [sample_draft(subject, sample_bug(id=number)) for number in range(1, 6)]
        await asyncio.gather(*(subject.create(draft) for draft in drafts))
        assert len(fake.refreshed) == 1

        clock = subject.tools.clock
        assert isinstance(clock, FakeClock)
        clock.advance(timedelta(seconds=LIFE))
        await subject.find(drafts[0].marker)

        assert len(fake.refreshed) == 2

    async def test_a_create_refused_for_its_token_is_sent_once_more_with_a_new_one(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft
    ) -> None:
        await subject.create(sample_draft(subject, sample_bug(id=1)))
        fake.end_token()

        await subject.create(draft)

        assert [request.headers["authorization"].split(".")[-1] for request in fake.creates[1:]] == [
            "9b8xxxxxxxxxxxxxxxf0",
            "9b8xxxxxxxxxxxxxxxf2",
        ]
        assert len(fake.tickets) == 2

    async def test_a_file_refused_for_its_token_is_sent_once_more_whole(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        (tmp_path / "a").write_bytes(b"abc" * 100_000)
        file = AttachmentFile(
            path=tmp_path / "a", name="a.png", type="image/png", size=300_000, url="https://f.test/a"
        )
        stranger = Reply(401, json={"errorCode": "INVALID_OAUTH", "message": "invalid"})
        fake.inject(Fault(FaultKind.REFUSE, lambda request: bool(request.files), reply=stranger))

        await subject.attach(issue, file)

        assert [each["size"] for each in fake.files[issue.id]] == ["300000"]

    @pytest.mark.parametrize("word", ["invalid_code", "invalid_client"])
    async def test_refused_credentials_pause_the_tracker_and_say_what_may_be_wrong(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft, word: str
    ) -> None:
        """Zoho refuses with status 200, and says the same of another data center."""
        fake.refusal = {"error": word}

        with pytest.raises(NotAllowed, match=f"data_center.*{word}"):
            await subject.create(draft)
        report = await subject.check()

        assert [(each.verdict, each.subject) for each in report.findings] == [(Verdict.ERROR, "credentials")]

    @pytest.mark.parametrize(
        "refusal",
        [
            {"error": "access_denied"},
            {"error": "Access Denied", "error_description": "You have made too many requests continuously."},
        ],
    )
    async def test_too_many_tokens_are_waited_for(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft, refusal: dict[str, str]
    ) -> None:
        fake.refusal = refusal

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(minutes=10)

    async def test_an_access_token_that_a_server_shows_us_is_taken_out(
        self, fake: ZohoDeskServer, subject: ZohoDesk, draft: Draft
    ) -> None:
        await subject.create(draft)
        shown = error(422, "INVALID_DATA", f"bad request: Authorization: Zoho-oauthtoken {fake.refreshed[-1]}")
        fake.inject(refused(shown))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert fake.refreshed[-1] not in str(caught.value)
        assert fake.refreshed[-1] not in repr(vars(subject))

    async def test_what_was_refused_is_looked_up_anew(self, fake: ZohoDeskServer) -> None:
        """An id that is remembered may be of something that was deleted."""
        async with self.using(fake.url, assignee="Ann Able") as subject:
            draft = sample_draft(subject)
            await subject.create(draft)
            fake.inject(refused(error(422, "INVALID_DATA", "The data is invalid", departmentId="invalid")))
            with pytest.raises(Rejected):
                await subject.create(draft)
            before = len(fake.requests)
            await subject.create(draft)

        assert len(fake.requests) - before > 1

    # the doctor

    async def findings(self, fake: ZohoDeskServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor has to say besides that all is well: verdict, subject and fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (each.verdict, each.subject, each.fix) for each in report.findings if each.verdict is not Verdict.OK
        ]

    async def test_check_names_what_may_be_meant(self, fake: ZohoDeskServer) -> None:
        assert await self.findings(fake, organization="acne") == [
            (Verdict.ERROR, "organization", 'did you mean "acme"?')
        ]
        assert await self.findings(fake, department="Q") == [(Verdict.ERROR, "department", "one of QA")]

    async def test_check_knows_a_department_that_is_disabled(self, fake: ZohoDeskServer) -> None:
        fake.enabled = False

        assert await self.findings(fake) == [(Verdict.ERROR, "department", "enable it, or name another one")]

    async def test_check_says_what_is_wrong_with_each_value(self, fake: ZohoDeskServer) -> None:
        found = await self.findings(
            fake,
            priorities={"p1": "Hihg"},
            issue_type="Bug",
            assignee="Bob",
            contact="QA",
            fields={"Category": "x", "cf_ok": "y"},
            severity_field="Severity",
            labels=["crowd"],
        )

        assert found == [
            (
                Verdict.WARNING,
                "assignee",
                "write the agent's e-mail address or id; the scope Desk.basic.READ lets names be looked up",
            ),
            (Verdict.ERROR, "contact", "write an address of your own"),
            (Verdict.WARNING, "priorities.p1", 'did you mean "High"?'),
            (Verdict.WARNING, "issue_type", "one of Problem, Request, Question, Others"),
            (Verdict.WARNING, "fields.Category", 'did you mean "category"?'),
            (Verdict.ERROR, "severity_field", 'write the API name: "cf_..."'),
            (Verdict.WARNING, "labels", "use `fields` with a custom field"),
        ]


def tracker(**changes: Any) -> ZohoDesk:
    """Return a tracker that talks to nobody."""
    table = TestZohoDesk().settings("") | changes
    return ZohoDesk("desk", ZohoDesk.settings_type.model_validate(table))


@pytest.mark.parametrize(
    ("data_center", "address"),
    [
        ("com", "https://desk.zoho.com"),
        ("eu", "https://desk.zoho.eu"),
        ("com.au", "https://desk.zoho.com.au"),
        ("ca", "https://desk.zohocloud.ca"),
    ],
)
def test_each_data_center_has_its_address(data_center: str, address: str) -> None:
    assert host("desk", data_center) == address
    assert tracker(data_center=data_center).base_url == f"{address}/api/v1"


def test_an_unknown_data_center_is_refused() -> None:
    with pytest.raises(ValidationError, match="data_center"):
        tracker(data_center="de")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="write it like"):
        tracker(accounts_url="accounts.zoho.eu")


def test_a_contact_may_be_named_by_its_id() -> None:
    subject = tracker(contact="1892000000042032")

    sent = new_ticket(sample_draft(subject), subject.settings)

    assert sent["contactId"] == "1892000000042032"
    assert "contact" not in sent


def test_trackers_with_one_refresh_token_share_an_account() -> None:
    assert tracker().account == tracker(department="B").account != tracker(refresh_token="another-token").account


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/zoho-desk.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "zoho-desk.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["desk"]

    assert ZohoDesk.settings_type.model_validate(table).type == "zoho-desk"
