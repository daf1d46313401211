"""Redmine under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge import (
    AttachmentFile,
    Gone,
    InDoubt,
    Issue,
    Markup,
    NotAllowed,
    RateLimited,
    Rejected,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import hostile_bug, sample_comment
from bridge_plugins.redmine import Redmine, custom_value, payload
from tests.trackers.fake_redmine import KEY, RedmineServer

NO_RIGHT = ["Project cannot be blank", "Tracker cannot be blank", "Status cannot be blank"]


class TestRedmine(TrackerConformance):
    tracker = Redmine
    server = RedmineServer
    secret = KEY
    lacks: ClassVar = {"labels": "Redmine has no labels: use a custom field or a category"}
    refusals: ClassVar = {
        Rejected: [
            Reply(422, json={"errors": ["Subject cannot be blank", "Priority cannot be blank"]}),
            Reply(400),
            Reply(406),
            Reply(413, body=b"<html>413 Request Entity Too Large</html>"),
        ],
        NotAllowed: [Reply(401), Reply(403), Reply(422, json={"errors": NO_RIGHT}), Reply(302)],
        RateLimited: Reply(429, body=b"slow down", headers={"Retry-After": "7"}),
        InDoubt: [Reply(502, body=b"<html>Bad Gateway</html>"), Reply(500, body=b"<h1>Internal error</h1>")],
        Unavailable: [Reply(503), Reply(500)],
        Gone: Reply(404),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "redmine", "url": f"{url}/redmine", "project": "webshop", "api_key": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, RedmineServer)
        fake.close_issue(int(issue.id))
        return True

    async def test_a_full_draft_is_one_post_with_ids_for_names(self, fake: RedmineServer) -> None:
        """Names in any letter case; `fields` takes native and custom fields by name or id."""
        more: dict[str, Any] = {
            "assignee": "alice able", "issue_type": "Feature", "category": "Checkout", "private": True,
            "severity_field": "1", "severities": {"default": "{x}"}, "marker_field": "Bug key",
            "fields": {"Browsers": ["Safari", "Firefox"], "done_ratio": 10, "status_id": "In Progress"},
        }  # fmt: skip
        fake.admin = True
        async with self.using(fake.url, **more) as subject:
            await subject.create(sample_draft(subject, severity="high"))

        sent = fake.creates[0].json["issue"]
        assert {name: sent[name] for name in sent if name not in {"subject", "description"}} == {
            "project_id": "webshop", "tracker_id": 2, "priority_id": 5, "assigned_to_id": 31, "category_id": 8,
            "is_private": True, "done_ratio": 10, "status_id": 2,
            "custom_fields": [
                {"id": 1, "value": "high"},
                {"id": 3, "value": ["Safari", "Firefox"]},
                {"id": 2, "value": "testio-bug-12345"},
            ],
        }  # fmt: skip

    async def test_the_issue_is_known_by_its_number_at_the_configured_address(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        assert (issue.id, issue.key, issue.url) == ("1", "#1", f"{fake.address}/issues/1")
        assert issue.warnings == ()

    async def test_a_project_may_be_named_as_people_see_it(self, fake: RedmineServer) -> None:
        async with self.using(fake.url, project="Webshop") as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].json["issue"]["project_id"] == "webshop"

    async def test_a_name_of_no_project_pauses_the_tracker(self, fake: RedmineServer) -> None:
        async with self.using(fake.url, project="Webshopp") as subject:
            with pytest.raises(NotAllowed, match='did you mean "Webshop"'):
                await subject.create(sample_draft(subject))

        assert fake.creates == []

    async def test_what_was_dropped_in_silence_is_a_warning(self, fake: RedmineServer) -> None:
        """Redmine answers 201 to a type, a member and a custom field that it does not take."""
        more = {"issue_type": "9", "assignee": "99", "fields": {"77": "x"}}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(":")[0] for warning in issue.warnings] == [
            "tracker_id",
            "assigned_to_id",
            "custom field 77",
        ]

    async def test_unknown_names_do_not_cost_an_issue(self, fake: RedmineServer) -> None:
        more = {"issue_type": "Bugg", "assignee": "Carol", "parent": "EPIC", "priorities": {"high": "Hoch"}}
        async with self.using(fake.url, **more, fields={"Team": "A"}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(" ")[0] for warning in issue.warnings] == [
            "tracker_id:", "priority_id:", "assigned_to_id:", "parent_issue_id:", "fields:",
        ]  # fmt: skip
        assert fake.creates[0].json["issue"].keys() == {"project_id", "subject", "description"}

    async def test_custom_fields_are_known_by_name_without_an_administrator_s_key(
        self, fake: RedmineServer
    ) -> None:
        """Fields for all projects are in no list that others may read, but in every issue."""
        async with self.using(fake.url) as other:
            await other.create(sample_draft(other, sample_bug(id=1)))
        async with self.using(fake.url, fields={"severity": "{{ bug.severity }}"}) as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[1].json["issue"]["custom_fields"] == [{"id": 1, "value": "high"}]

    async def test_custom_fields_of_a_new_project_are_known_from_other_projects(self, fake: RedmineServer) -> None:
        fake.elsewhere = [
            {"id": 99, "tracker_id": 1, "status_id": 1, "priority_id": 4, "subject": "x", "values": {1: "low"}}
            | {"created_on": "2026-01-01T00:00:00Z"}
        ]
        async with self.using(fake.url, fields={"Severity": "high"}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ()
        assert fake.creates[0].json["issue"]["custom_fields"] == [{"id": 1, "value": "high"}]

    async def test_changes_that_the_role_does_not_permit_are_warnings(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        """204, and nothing was done."""
        issue = await subject.create(draft)
        fake.permissions.remove("edit_issues")

        updated = await subject.update(issue, draft.with_(title="Another", only=frozenset({"title"})))

        assert fake.issues[1]["subject"] == draft.title
        assert updated.warnings[0].startswith("subject: Redmine dropped it in silence")

    async def test_an_update_of_nothing_that_redmine_has_sends_nothing(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"labels"}))) == issue
        assert len(fake.requests) == before

    async def test_find_does_not_trust_a_filter_that_was_ignored(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        """An older Redmine answers with every issue: each is compared, on every page, as far back as needed."""
        fake.old = True
        first = await subject.create(draft)
        for number in range(2, 152):
            fake.issues[number] = fake.issues[1] | {"id": number, "description": "testio-bug-123456"}
        before = len(fake.requests)

        assert await subject.find(draft.marker) == first
        assert len(fake.requests) - before == 3  # who am I, and two pages
        fake.issues |= {n: i | {"created_on": "2026-01-01T00:00:00Z"} for n, i in fake.issues.items()}
        assert await subject.find(draft.marker) is None

    async def test_find_looks_at_closed_issues_too(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.close_issue(1)

        assert await subject.find(draft.marker) == issue

    async def test_the_marker_in_its_field_survives_an_edited_description(self, fake: RedmineServer) -> None:
        async with self.using(fake.url, marker_field="2") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            fake.issues[1]["description"] = "rewritten by a person"

            assert await subject.find(draft.marker) == issue
            fake.fields["Bug key"]["is_filter"] = False
            fake.issues[1]["values"][2] = "testio-bug-123456"
            assert await subject.find(draft.marker) is None

    async def test_a_wrong_key_does_not_find_that_there_is_no_issue(self, fake: RedmineServer) -> None:
        """A public project is shown to anybody, but not all of its issues."""
        fake.public = True
        async with self.using(fake.url, api_key="wrong") as subject:
            with pytest.raises(NotAllowed, match="does not know the API key"):
                await subject.find(sample_draft(subject).marker)

    async def test_a_file_is_uploaded_and_put_to_the_issue(
        self, fake: RedmineServer, subject: Redmine, draft: Draft, tmp_path: Path
    ) -> None:
        """A token is good for one time: each try uploads anew."""
        issue = await subject.create(draft)
        path = tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        file = AttachmentFile(path=path, name="ä b.png", type="image/png", size=4, url="")

        await subject.attach(issue, file)
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "PUT"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)
        await subject.attach(issue, file)

        assert [entry["filename"] for entry in fake.files[1]] == ["ä b.png"] * 3
        assert len({entry["token"] for entry in fake.files[1]}) == 3

    async def test_a_file_above_the_limit_is_rejected_in_redmine_s_words(
        self, subject: Redmine, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        path = tmp_path / "spooled"
        path.write_bytes(b"x" * 5_242_881)
        file = AttachmentFile(path=path, name="a.mp4", type="video/mp4", size=5_242_881, url="")

        with pytest.raises(Rejected, match="exceeds the maximum allowed file size"):
            await subject.attach(issue, file)

    async def test_an_older_redmine_says_in_its_list_which_statuses_are_closed(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        fake.old = True
        issue = await subject.create(draft)
        assert not (await subject.state(issue)).done
        fake.close_issue(1)

        assert (await subject.state(issue)).done

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (Reply(401), "Redmine does not know the API key, or its user is locked (HTTP 401)"),
            (Reply(403), "the REST API is turned off, or the role of the key's user lacks a right"),
            (Reply(404), "project webshop does not exist, or `url` is not Redmine's address"),
            (
                Reply(422, json={"errors": NO_RIGHT}),
                "there is no project webshop where the key's user may make issues: Project cannot",
            ),
            (Reply(301, headers={"Location": "https://r.example/issues.json?key=x"}), "redirected to https://r"),
        ],
    )
    async def test_what_every_delivery_would_meet_pauses_the_tracker(
        self, fake: RedmineServer, subject: Redmine, draft: Draft, reply: Reply, told: str
    ) -> None:
        """Redmine's refusals have no words: they get some."""
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=reply))

        with pytest.raises(NotAllowed) as caught:
            await subject.create(draft)

        assert str(caught.value).startswith(told)

    async def test_a_refusal_is_told_in_redmine_s_words(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        errors = ["Betreff muss ausgefüllt werden", "Team cannot be blank"]
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=Reply(422, json={"errors": errors})))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == "Betreff muss ausgefüllt werden; Team cannot be blank (HTTP 422)"

    async def test_a_change_that_met_another_one_is_made_again(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        """Redmine locks optimistically, and then refuses without a word: two files at once meet so."""
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, When.ANY, reply=Reply(422, json={"errors": []})))

        with pytest.raises(Unavailable, match="somebody else changed the issue"):
            await subject.comment(issue, sample_comment(subject))

    async def test_a_create_that_is_refused_without_a_word_is_no_such_change(
        self, fake: RedmineServer, subject: Redmine, draft: Draft
    ) -> None:
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=Reply(422, json={"errors": []})))

        with pytest.raises(Rejected):
            await subject.create(draft)

    async def found(self, fake: RedmineServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_is_content_with_a_good_configuration(self, fake: RedmineServer) -> None:
        assert await self.found(fake) == []

    async def test_the_doctor_knows_projects_with_a_similar_name(self, fake: RedmineServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, project="webshpo")

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert told.endswith('did you mean "webshop"?')

    async def test_the_doctor_says_that_a_closed_project_takes_no_issues(self, fake: RedmineServer) -> None:
        fake.project = {"status": 5}

        told = "Webshop is closed: it takes no issues > reopen it, or name another one"
        assert await self.found(fake) == [(Verdict.ERROR, "project", told)]

    async def test_the_doctor_says_which_permissions_are_missing(self, fake: RedmineServer) -> None:
        """Without the first nothing is made; without the others changes are dropped in silence."""
        fake.permissions = ["view_issues", "edit_own_issues"]

        first, second = await self.found(fake)

        assert first[:2] == (Verdict.ERROR, "role")
        assert first[2].startswith('Developer lacks "Add issues" > tick "Add issues"')
        assert second[:2] == (Verdict.WARNING, "role")
        assert second[2].startswith('Developer lacks "Add notes"')

    async def test_the_doctor_says_what_private_issues_need(self, fake: RedmineServer) -> None:
        """Without the permission they would be there for everybody to see."""
        ((verdict, subject, told),) = await self.found(fake, private=True)

        assert (verdict, subject) == (Verdict.WARNING, "role")
        assert told.startswith('Developer lacks "Set issues public or private"')
        fake.permissions.append("set_own_issues_private")
        assert await self.found(fake, private=True) == []

    async def test_the_doctor_looks_at_every_configured_value(self, fake: RedmineServer) -> None:
        found = await self.found(
            fake,
            issue_type="Bugg",
            priorities={"high": "Hihg"},
            assignee="Alice Abel",
            category="Chekout",
            version="2.1",
            labels=["crowd"],
            severities={"high": "S1"},
            fields={"status_id": "In Progres", "due_date": "2026-12-24", "Sverity": "high"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "issue_type", 'did you mean "Bug"?'),
            (Verdict.WARNING, "fields.status_id", 'did you mean "In Progress"?'),
            (Verdict.WARNING, "priorities.high", 'did you mean "High"?'),
            (Verdict.WARNING, "category", 'did you mean "Checkout"?'),
            (Verdict.WARNING, "version", "one of 2.0"),
            (Verdict.WARNING, "assignee", 'did you mean "Alice Able"?'),
            (Verdict.WARNING, "labels", "use `fields` with a custom field"),
            (Verdict.WARNING, "severities", "use `fields` with a custom field"),
            (
                Verdict.WARNING,
                "fields.Sverity",
                "make it under Administration > Custom fields, for this project and tracker, or write its id",
            ),
        ]

    async def test_an_administrator_s_doctor_sees_required_fields_and_options(self, fake: RedmineServer) -> None:
        fake.admin = True
        fake.fields["Team"] = {"id": 4, "is_required": True}

        found = await self.found(fake, marker_field="Browsers", fields={"Severity": "hihg"})

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "fields.Severity", 'did you mean "high"?'),
            (Verdict.WARNING, "marker_field", 'tick "Used as a filter" at the custom field'),
            (Verdict.ERROR, "fields", 'give it a value: fields = { "Team" = "..." }'),
        ]

    async def test_fields_that_are_required_of_other_types_are_not_missed(self, fake: RedmineServer) -> None:
        """New issues are of Redmine's first type where none is configured."""
        fake.admin = True
        fake.fields["Team"] = {"id": 4, "is_required": True, "trackers": [{"id": 2, "name": "Feature"}]}

        assert await self.found(fake) == await self.found(fake, issue_type="bug") == []
        for more in (
            {"issue_type": "Feature"},
            {"issue_types": {"visual": "2"}},
            {"issue_type": "{{ bug.kind }}"},
        ):
            assert [subject for _, subject, _ in await self.found(fake, **more)] == ["fields"]

    @pytest.mark.parametrize(("text_format", "markup"), [("markdown", Markup.GFM), ("textile", Markup.TEXTILE)])
    async def test_bodies_and_comments_are_in_the_site_s_format(
        self, fake: RedmineServer, text_format: str, markup: Markup
    ) -> None:
        """The marker is hidden in both; what testers wrote mentions nobody and links to no issue."""
        async with self.using(fake.url, text_format=text_format) as subject:
            await subject.create(sample_draft(subject))
            await subject.create(sample_draft(subject, hostile_bug()))

        assert subject.markup is markup
        plain, hostile = (request.json["issue"]["description"] for request in fake.creates)
        assert ("h3. " in plain, "### " in plain) == (markup is Markup.TEXTILE, markup is Markup.GFM)
        assert "<!-- testio-bug-12345 -->" in plain
        assert "@everyone" not in hostile


def tracker(**changes: Any) -> Redmine:
    """Return a tracker that talks to nobody."""
    table = TestRedmine().settings("http://127.0.0.1:9") | changes
    return Redmine("shop", Redmine.settings_type.model_validate(table))


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(fields={"Team": "A", "due_date": "2026-12-24"}, parent="#12")

    sent = payload(sample_draft(subject), subject.settings)

    assert sent["custom_fields"] == {"Team": "A"}
    assert (sent["due_date"], sent["parent_issue_id"], sent["priority_id"]) == ("2026-12-24", "12", "High")


@pytest.mark.parametrize(
    ("value", "written"), [(True, "1"), (False, "0"), (3, "3"), (["a", 1], ["a", "1"]), ("x", "x")]
)
def test_custom_values_are_written_as_redmine_wants_them(value: Any, written: Any) -> None:
    assert custom_value(value) == written


def test_trackers_with_one_key_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(project="other"), tracker(api_key="another-key")

    assert one.account == other.account != stranger.account


def test_a_miss_counts_only_after_a_request_under_way_has_ended() -> None:
    assert Redmine.settle >= timedelta(seconds=30)


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/redmine.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "redmine.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Redmine.settings_type.model_validate(table).type == "redmine"
