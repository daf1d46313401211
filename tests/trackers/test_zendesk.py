"""Zendesk under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import AttachmentFile, Gone, InDoubt, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeClock, FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import hostile_bug, sample_comment
from bridge_plugins.zendesk import Zendesk, new_ticket, tag
from tests.trackers.fake_zendesk import BASIC, BIG, EMAIL, NOT_FOUND, TOKEN, UNKNOWN, ZendeskServer, invalid

FORBIDDEN = Reply(403, json={"error": {"title": "Forbidden", "message": "You do not have access to this page."}})
PAGE = {"Content-Type": "text/html"}
BUSY = {"zendesk-ratelimit-tickets-index": "total=100; remaining=0; resets=41"}
CONFLICT = Reply(409, json={"error": "UpdateConflict", "description": "Safe Update prevented the update"})


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestZendesk(TrackerConformance):
    tracker = Zendesk
    server = ZendeskServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            invalid("priority", "Priority: x is not valid"),
            Reply(400, json={"error": "ParameterMissing", "description": "Required parameter missing: ticket"}),
        ],
        NotAllowed: [UNKNOWN, FORBIDDEN, Reply(404, body=b"<html>Oops</html>", headers=PAGE)],
        RateLimited: [
            Reply(429, body=b"<html>Too many requests</html>", headers={**PAGE, "Retry-After": "7"}),
            Reply(429, json={"error": "APIRateLimitExceeded"}, headers={"Retry-After": "93"}),
        ],
        InDoubt: [Reply(500, json={"status": 500, "error": "Internal Server Error"}), CONFLICT],
        Unavailable: [
            Reply(503, body=b"<html>Maintenance</html>", headers={**PAGE, "Retry-After": "60"}),
            CONFLICT,
        ],
        Gone: [NOT_FOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "zendesk", "url": url, "email": EMAIL, "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, ZendeskServer)
        fake.tickets[int(issue.id)]["status"] = "solved"
        return True

    async def test_a_full_ticket_is_one_post_with_ids_for_names(self, fake: ZendeskServer) -> None:
        more: dict[str, Any] = {"group": "support", "brand": 47, "form": "Bugs", "assignee": "ann@acme.example"}
        more |= {"requester": "qa@acme.example", "parent": "#12", "severity_field": "Severity"}
        more |= {"severities": {"high": "High"}, "fields": {"Browsers": ["safari"], "status": "open"}}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = fake.creates[0].json["ticket"]
        assert {name: sent[name] for name in sent if name not in {"comment", "subject", "tags"}} == {
            "group_id": 98738,
            "brand_id": 47,
            "ticket_form_id": 3,
            "assignee_email": "ann@acme.example",
            "requester": {"email": "qa@acme.example", "name": "qa"},
            "problem_id": 12,
            "external_id": "testio-bug-12345",
            "priority": "high",
            "type": "incident",
            "status": "open",
            "custom_fields": [
                {"id": BIG, "value": "severity_high"},
                {"id": 27643, "value": ["browsers_safari"]},
            ],
        }
        assert sent["tags"] == ["test-io", "severity_high"]
        assert issue == Issue(id="35436", key="#35436", url=f"{fake.url}/agent/tickets/35436")

    async def test_tickets_and_comments_are_private_unless_wanted_otherwise(self, fake: ZendeskServer) -> None:
        for public in (False, True):
            async with self.using(fake.url, public=public) as subject:
                issue = await subject.create(sample_draft(subject, sample_bug(id=int(public) + 1)))
                await subject.comment(issue, sample_comment(subject))

        assert [[told["public"] for told in each] for each in fake.comments.values()] == [
            [False, False],
            [True, True],
        ]

    async def test_values_have_the_form_of_their_field(self, fake: ZendeskServer) -> None:
        values = {"points": "{{ 1 + 2 }}", "Seen live": True, "27646": "x", "Browsers": "Safari, chrome"}
        async with self.using(fake.url, fields=values) as subject:
            issue = await subject.create(sample_draft(subject))

        assert [each["value"] for each in fake.creates[0].json["ticket"]["custom_fields"]] == [
            3,
            True,
            "x",
            ["browsers_safari", "browsers_chrome"],
        ]
        assert issue.warnings == ()

    async def test_what_does_not_exist_is_left_out_with_a_warning(self, fake: ZendeskServer) -> None:
        """Zendesk would ignore it in silence, or refuse the ticket."""
        values = {"Severity": "Hihg", "Old": "x", "Points": "many"}
        async with self.using(fake.url, fields=values, assignee="Ann", parent="none") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'assignee: "Ann" is no e-mail address and no id: left out',
            'parent: "none" is no number of a problem ticket: left out',
            '"Severity" has no option "Hihg"; did you mean "high"?: left out',
            'there is no custom field "Old": left out',
            '"Points" takes a number, not "many": left out',
        )

    async def test_a_value_that_zendesk_dropped_is_a_warning(self, fake: ZendeskServer, draft: Draft) -> None:
        lost = {
            "id": 5,
            "requester_id": 1,
            "priority": "high",
            "type": None,
            "tags": ["test-io"],
            "custom_fields": [],
        }
        async with self.using(fake.url, fields={"Notes": "x"}) as subject:
            fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=Reply(201, json={"ticket": lost})))
            issue = await subject.create(sample_draft(subject))

        assert [words.partition(":")[0] for words in issue.warnings] == [
            "type",
            "custom field 27646",
            "tag severity_high",
        ]

    async def test_a_group_that_does_not_exist_stops_deliveries_until_somebody_corrects_it(
        self, fake: ZendeskServer
    ) -> None:
        async with self.using(fake.url, group="Suport") as subject:
            with pytest.raises(NotAllowed, match=r'did you mean "Support"\?: correct `group`'):
                await subject.create(sample_draft(subject))

        assert fake.creates == []

    async def test_lists_are_read_to_their_end(self, fake: ZendeskServer) -> None:
        """The address of the next page has the vendor's host: only its query is taken, ours get the credentials."""
        fake.page = 1
        async with self.using(fake.url, group="QA") as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].json["ticket"]["group_id"] == 98739

    async def test_an_oauth_token_is_sent_as_bearer(self, fake: ZendeskServer) -> None:
        async with self.using(fake.url, email=None) as subject:
            await subject.create(sample_draft(subject))

        assert fake.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"

    async def test_placeholders_of_testers_are_none(self, fake: ZendeskServer, subject: Zendesk) -> None:
        """Triggers would replace them."""
        await subject.create(sample_draft(subject, hostile_bug()))

        assert "{{" not in fake.creates[0].body.decode()

    # exactly one ticket

    async def test_the_key_is_the_same_for_every_try_and_another_for_another_delivery(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft
    ) -> None:
        """A ticket that somebody deleted must not be the answer to a later export of the bug."""
        marker = draft.marker
        later = draft.with_(marker=type(marker)(marker.text, marker.uuid, marker.since + timedelta(seconds=1)))
        issues = [await subject.create(each) for each in (draft, draft, later)]

        keys = [request.headers["idempotency-key"] for request in fake.creates]
        assert (keys[0] == keys[1], keys[0] == keys[2]) == (True, False)
        assert (issues[0].id == issues[1].id, issues[0].id == issues[2].id) == (True, False)
        assert all(len(key) <= 255 for key in keys)

    async def test_after_an_hour_the_ticket_is_looked_for_before_it_is_made(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft
    ) -> None:
        """Zendesk forgets keys after two."""
        first = await subject.create(draft)
        fake.expired = True
        clock = subject.tools.clock
        assert isinstance(clock, FakeClock)
        clock.advance(timedelta(hours=3))

        assert (await subject.create(draft)).id == first.id
        assert len(fake.tickets) == 1

    async def test_a_configuration_changed_while_in_doubt_makes_no_second_ticket(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft
    ) -> None:
        """The key is refused with another body; the ticket is found by its external id."""
        first = await subject.create(draft)

        second = await subject.create(draft.with_(title="From another template"))

        assert second.id == first.id

    async def test_a_key_in_use_by_a_try_that_made_nothing_yet_stays_in_doubt(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft
    ) -> None:
        fake.inject(refused(Reply(400, json={"error": "IdempotentRequestError", "description": "other body"})))

        with pytest.raises(InDoubt, match="may still be under way"):
            await subject.create(draft)

    async def test_of_several_tickets_the_oldest_is_the_bug_s(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft
    ) -> None:
        first = await subject.create(draft)
        fake.expired = True
        await subject.create(draft)

        found = await subject.find(draft.marker)

        assert found is not None
        also = f"another issue carries testio-bug-12345: {fake.url}/agent/tickets/35437"
        assert (found.id, found.warnings) == (first.id, (also,))

    @pytest.mark.parametrize("act", ["comment", "update", "attach"])
    async def test_a_closed_ticket_is_followed_up_by_a_new_one(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft, act: str, tmp_path: Path
    ) -> None:
        """It can never be changed again. The new one shows where it comes from, and the old one is not found."""
        issue = await subject.create(draft)
        fake.tickets[35436] |= {"status": "closed", "created_at": "2025-11-01T00:00:00Z"}
        (tmp_path / "a").write_bytes(b"x")
        file = AttachmentFile(path=tmp_path / "a", name="a.txt", type="text/plain", size=1, url="https://f.test/a")

        with pytest.raises(Gone, match="#35436 is closed"):
            await {
                "comment": lambda: subject.comment(issue, sample_comment(subject)),
                "update": lambda: subject.update(issue, draft),
                "attach": lambda: subject.attach(issue, file),
            }[act]()
        assert await subject.find(draft.marker) is None
        fake.expired = True
        await subject.create(draft)

        assert fake.creates[-1].json["ticket"]["via_followup_source_id"] == 35436

    async def test_a_refused_change_of_an_open_ticket_is_a_refusal(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        with pytest.raises(Rejected, match="Priority: x is not valid"):
            await subject.update(issue, draft.with_(priority="x"))

    # later

    async def test_an_update_takes_no_tags_away(self, fake: ZendeskServer, subject: Zendesk, draft: Draft) -> None:
        """Among them are the values of drop-down fields, other people's too."""
        issue = await subject.create(draft)
        fake.tickets[35436]["tags"].append("plan_gold")

        await subject.update(issue, draft.with_(labels=("new one",), only=frozenset({"labels"})))

        assert fake.tickets[35436]["tags"] == ["test-io", "severity_high", "plan_gold", "new_one"]

    async def test_a_file_is_not_attached_twice(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft, tmp_path: Path
    ) -> None:
        """When the answer to the comment was lost."""
        issue = await subject.create(draft)
        (tmp_path / "a").write_bytes(b"abc")
        file = AttachmentFile(path=tmp_path / "a", name="a.png", type="image/png", size=3, url="https://f.test/a")
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "PUT"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)

        await subject.attach(issue, file)

        assert [len(told["attachments"]) for told in fake.comments[35436]] == [0, 1]
        upload = next(request for request in fake.requests if request.path.endswith("/uploads"))
        assert (upload.query, upload.headers["content-type"]) == ({"filename": ["a.png"]}, "image/png")

    # refusals

    async def test_a_refusal_names_the_field(self, fake: ZendeskServer, subject: Zendesk, draft: Draft) -> None:
        fake.inject(refused(invalid("priority", "Priority: x is not valid")))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert caught.value.message == "RecordInvalid: Record validation errors"
        assert caught.value.fields == {"priority": "Priority: x is not valid"}

    @pytest.mark.parametrize(("headers", "seconds"), [(BUSY, 41), ({"ratelimit-reset": "12"}, 12)])
    async def test_a_limit_without_retry_after_says_how_long_in_its_own_way(
        self, fake: ZendeskServer, subject: Zendesk, draft: Draft, headers: dict[str, str], seconds: int
    ) -> None:
        fake.inject(refused(Reply(429, json={"error": "TooManyRequests"}, headers=headers)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=seconds)

    async def test_what_was_refused_is_looked_up_anew(self, fake: ZendeskServer) -> None:
        """An id that is remembered may be of something that was deleted."""
        async with self.using(fake.url, group="Support") as subject:
            draft = sample_draft(subject)
            await subject.create(draft)
            fake.inject(refused(invalid("group_id", "Group is not valid")))
            with pytest.raises(Rejected):
                await subject.create(draft)
            before = len(fake.requests)
            await subject.create(draft)

        assert len(fake.requests) - before > 1

    # the doctor

    async def findings(self, fake: ZendeskServer, **changes: Any) -> list[tuple[Verdict, str, str, str]]:
        """Return what the doctor has to say besides that all is well."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (each.verdict, each.subject, each.message, each.fix)
            for each in report.findings
            if each.verdict is not Verdict.OK
        ]

    async def test_check_knows_that_anonymous_users_are_answered_too(self, fake: ZendeskServer) -> None:
        fake.role = "end-user"

        ((verdict, subject, message, _),) = await self.findings(fake)

        assert (verdict, subject) == (Verdict.ERROR, "credentials")
        assert message == "signed in as end-user, not as an agent: tickets cannot be made"

    async def test_check_says_what_is_wrong_with_each_value(self, fake: ZendeskServer) -> None:
        found = await self.findings(
            fake,
            group="Suport",
            form="Bugs",
            priorities={"p1": "hihg"},
            issue_type="bug",
            assignee="Ann",
            labels=["Two words", "{{ bug.kind }}"],
            severity_field="Severity",
            severities={"high": "Hihg", "low": "Low"},
            fields={"Serverity": "x", "Notes": "x", "status": "done"},
        )

        assert [each[1:] for each in found] == [
            ("group", 'there is no group "Suport"', 'did you mean "Support"?'),
            ("priorities.p1", '"hihg" is none: Zendesk refuses the ticket', 'did you mean "high"?'),
            (
                "issue_type",
                '"bug" is none: Zendesk refuses the ticket',
                "one of problem, incident, question, task",
            ),
            (
                "fields.status",
                '"done" is none: Zendesk refuses the ticket',
                "one of new, open, pending, hold, solved",
            ),
            (
                "assignee",
                '"Ann" is no e-mail address and no id: it is left out',
                "write the person's e-mail address",
            ),
            ("labels", '"Two words" becomes the tag "two_words"', 'write "two_words"'),
            (
                "fields.Serverity",
                'there is no custom field "Serverity": it is left out',
                'did you mean "Severity"?',
            ),
            ("fields.Notes", '"Notes" is not on the form "Bugs": Zendesk ignores it', "add it to the form"),
            (
                "severities.high",
                '"Severity" has no option "Hihg"; did you mean "high"?: it is left out',
                "one of severity_high, severity_low",
            ),
        ]

    async def test_check_says_when_severities_go_nowhere(self, fake: ZendeskServer) -> None:
        assert [each[1] for each in await self.findings(fake, severities={"high": "High"})] == ["severities"]


def tracker(**changes: Any) -> Zendesk:
    """Return a tracker that talks to nobody."""
    table = TestZendesk().settings("http://127.0.0.1:9") | changes
    return Zendesk("desk", Zendesk.settings_type.model_validate(table))


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(group="Support", requester="5", assignee="7")

    sent = new_ticket(sample_draft(subject), subject.settings)

    assert (sent["group_id"], sent["requester_id"], sent["assignee_id"]) == ("Support", 5, 7)


@pytest.mark.parametrize(("label", "tagged"), [("Crowd tested", "crowd_tested"), ("a,b", "a_b"), ("é:x", "é:x")])
def test_labels_become_tags(label: str, tagged: str) -> None:
    assert tag(label) == tagged


def test_the_token_and_its_agent_are_sent_as_basic() -> None:
    assert tracker().auth() == (f"{EMAIL}/token", TOKEN)
    assert BASIC.startswith("Basic ")


def test_trackers_of_one_account_share_its_limits() -> None:
    assert (
        tracker().account == tracker(token="another-token").account != tracker(url="https://b.zendesk.com").account
    )


@pytest.mark.parametrize("url", ["acme", "ftp://acme.zendesk.com", "https://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="write it like"):
        tracker(url=url)


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/zendesk.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "zendesk.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["desk"]

    assert Zendesk.settings_type.model_validate(table).type == "zendesk"
