"""YouTrack under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import Gone, InDoubt, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins._youtrack_fields import ProjectField
from bridge_plugins.youtrack import YouTrack, payload
from tests.trackers.fake_youtrack import START, TOKEN, YouTrackServer, problem

INCOMPATIBLE = problem(500, "incompatible-issue-custom-field-name-Type", "Incompatible field type")


class TestYouTrack(TrackerConformance):
    tracker = YouTrack
    server = YouTrackServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [problem(400, "invalid_properties", "Issue is invalid"), INCOMPATIBLE],
        NotAllowed: [
            problem(401, "Unauthorized", "You are not logged in."),
            problem(403, "Forbidden", "You do not have permissions to create issues in this project."),
        ],
        RateLimited: problem(429, "too_many_requests", "Slow down"),
        InDoubt: [
            Reply(502, body=b"<html>Bad gateway</html>", headers={"Content-Type": "text/html"}),
            problem(500, "server_error", "NullPointerException"),
        ],
        Unavailable: [problem(500, "server_error", "NullPointerException"), Reply(503)],
        Gone: problem(404, "Not Found", "Entity with id 2-45 not found"),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "youtrack", "url": f"{url}/youtrack", "project": "SHOP", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, YouTrackServer)
        fake.resolve(issue.id)
        return True

    async def test_every_field_is_sent_in_the_form_of_its_type(self, fake: YouTrackServer) -> None:
        """Names in any letter case; a number that a template made is a number again."""
        fields = {
            "fix versions": ["1.0"],
            "Points": "{{ bug.steps|length }}",
            "Due": "2026-12-24",
            "Estimation": "1h",
            "Notes": "text",
        }
        more = {"assignee": "Alice Doe", "marker_field": "test IO ID", "issue_types": {"high": "cosmetics"}}
        async with self.using(fake.url, fields=fields, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = {own["name"]: (own["$type"].removesuffix("IssueCustomField"), own["value"])
                for own in fake.creates[0].json["customFields"]}  # fmt: skip
        assert sent == {
            "Priority": ("SingleEnum", {"name": "Major"}),
            "Type": ("SingleEnum", {"name": "Cosmetics"}),
            "Assignee": ("SingleUser", {"login": "alice"}),
            "test IO ID": ("Simple", "testio-bug-12345"),
            "Fix versions": ("MultiVersion", [{"name": "1.0"}]),
            "Points": ("Simple", 3),
            "Due": ("Date", 1798113600000),
            "Estimation": ("Period", {"presentation": "1h"}),
            "Notes": ("Text", {"text": "text"}),
        }
        assert issue.warnings == ()

    async def test_an_issue_is_known_by_both_its_ids(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        """The key changes when the issue moves to another project; the id does not."""
        issue = await subject.create(draft)

        assert (issue.id, issue.key, issue.url) == ("2-45", "SHOP-1", f"{fake.address}/issue/SHOP-1")

    async def test_what_the_project_does_not_have_does_not_cost_an_issue(self, fake: YouTrackServer) -> None:
        more = {"priorities": {"high": "Urgent"}, "severity_field": "Severity", "severities": {"high": "S1"}}
        async with self.using(fake.url, assignee="carol", fields={"Points": "many"}, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'Priority has no value "Urgent": it is left out',
            'the project has no field "Severity": it is left out',
            'Assignee has no value "carol": it is left out',
            'Points takes a number, not "many": it is left out',
        )
        assert [own["name"] for own in fake.creates[0].json["customFields"]] == ["Type"]

    async def test_what_a_workflow_changed_in_silence_is_a_warning(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        fake.stubborn = {"Priority": {"name": "Normal"}, "Type": None}

        issue = await subject.create(draft)

        told = "YouTrack did not keep the value; perhaps a workflow changed it"
        assert issue.warnings == (f"Priority: {told}", f"Type: {told}")

    async def test_fields_are_read_off_an_issue_where_the_settings_may_not_be_seen(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        """Types are known then, values are not."""
        await subject.create(draft)
        fake.private = True
        async with self.using(fake.url) as stranger:
            issue = await stranger.create(sample_draft(stranger, sample_bug(id=2)))

        assert [own["$type"] for own in fake.creates[1].json["customFields"]] == ["SingleEnumIssueCustomField"] * 2
        assert issue.warnings == ()

    async def test_a_project_whose_fields_are_unknown_still_gets_the_issue(self, fake: YouTrackServer) -> None:
        """Nobody may see its settings, and it has no issue yet."""
        fake.private = True
        async with self.using(fake.url) as subject:
            issue = await subject.create(sample_draft(subject))

        assert len(issue.warnings) == 2

    async def test_tags_that_are_missing_are_made_once(self, fake: YouTrackServer, subject: YouTrack) -> None:
        await subject.create(sample_draft(subject, labels=("Crowd", "cart")))
        await subject.create(sample_draft(subject, sample_bug(id=2), labels=("cart",)))

        assert fake.tags == {"6-1": "crowd", "6-2": "cart"}
        assert fake.creates[0].json["tags"] == [{"id": "6-1"}, {"id": "6-2"}]

    async def test_tags_that_cannot_be_made_do_not_cost_an_issue(
        self, fake: YouTrackServer, subject: YouTrack
    ) -> None:
        fake.refused_tags = True

        issue = await subject.create(sample_draft(subject, labels=("cart", "crowd")))

        assert [tag["name"] for tag in fake.issues[issue.id]["tags"]] == ["crowd"]
        assert issue.warnings[0].startswith('tag "cart" does not exist and cannot be made: You do not have')

    async def test_update_keeps_the_tags_that_people_added(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        """Tags are added and taken away one by one: setting all would lose those that we do not see."""
        issue = await subject.create(draft.with_(labels=("crowd", "severity:low")))
        fake.tags["6-9"] = "triaged"
        fake.issues[issue.id]["tags"].append({"id": "6-9", "name": "triaged", "$type": "Tag"})

        await subject.update(issue, draft.with_(labels=("crowd", "severity:high"), only=frozenset({"labels"})))

        assert [tag["name"] for tag in fake.issues[issue.id]["tags"]] == ["crowd", "triaged", "severity:high"]
        assert "/youtrack/api/issues/2-45" not in {request.path for request in fake.requests}

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"severity"}))) == issue
        assert len(fake.requests) == before

    async def test_find_reads_newest_first_back_to_the_first_attempt(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        """Over every page, and no further."""
        issue = await subject.create(draft)
        first = fake.issues[issue.id]
        old = {"id": "2-1", "idReadable": "SHOP-0", "created": START - 3_600_000, "description": "old"}
        newer = {
            f"3-{n}": first | {"id": f"3-{n}", "created": START + n * 1000, "description": "other"}
            for n in range(2, 120)
        }
        fake.issues = {"2-1": first | old, issue.id: first, **newer}
        before = len(fake.requests)

        found = await subject.find(draft.marker)

        assert found == issue
        assert len(fake.requests) - before == 2

    @pytest.mark.parametrize("field", ["test IO ID", "TEST IO id"])
    async def test_with_a_field_for_the_marker_find_asks_for_it(self, fake: YouTrackServer, field: str) -> None:
        """The search matches parts: what comes back is compared."""
        async with self.using(fake.url, marker_field=field) as subject:
            await subject.create(sample_draft(subject, sample_bug(id=123456)))
            draft = sample_draft(subject)
            assert await subject.find(draft.marker) is None
            issue = await subject.create(draft)

            assert await subject.find(draft.marker) == issue

        query = fake.requests[-1].query["query"]
        assert query == ["project: {SHOP} {test IO ID}: {testio-bug-12345}"]

    async def test_a_field_for_the_marker_that_does_not_exist_is_done_without(self, fake: YouTrackServer) -> None:
        async with self.using(fake.url, marker_field="No such") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

            found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id

    async def test_a_parent_is_set_by_a_command(self, fake: YouTrackServer) -> None:
        async with self.using(fake.url, parent="SHOP-7", silent=True) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            await subject.complete(issue, draft)

        assert fake.commands == [{"query": "subtask of SHOP-7", "issues": [{"id": "2-45"}], "silent": True}]
        assert fake.creates[0].query["muteUpdateNotifications"] == ["true"]

    async def test_nothing_but_an_issue_s_key_gets_into_a_command(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        """A tester's words would become commands."""
        issue = await subject.create(draft)

        with pytest.raises(Rejected, match="is no issue: write it like"):
            await subject.complete(issue, draft.with_(parent="SHOP-7 State Fixed"))
        assert fake.commands == []

    async def test_a_state_is_told_by_its_name(
        self, fake: YouTrackServer, subject: YouTrack, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        assert (await subject.state(issue)).name == "Open"

        fake.resolve(issue.id)
        state = await subject.state(issue)

        assert (state.done, state.name) == (True, "Fixed")

    async def test_a_missing_value_is_told_by_its_field(self, fake: YouTrackServer, subject: YouTrack) -> None:
        fake.required = {"Points"}

        with pytest.raises(Rejected) as caught:
            await subject.create(sample_draft(subject))

        told = "Issue is invalid; Points is required (HTTP 400): Points: Points is required"
        assert str(caught.value) == told

    @pytest.mark.parametrize("project", ["shop", "Webshop", "0-0"])
    async def test_a_project_is_known_by_key_name_and_id(self, fake: YouTrackServer, project: str) -> None:
        async with self.using(fake.url, project=project) as subject:
            assert (await subject.create(sample_draft(subject))).key == "SHOP-1"

    async def test_a_project_that_cannot_be_seen_pauses_the_tracker(self, fake: YouTrackServer) -> None:
        async with self.using(fake.url, project="Wbshop") as subject:
            with pytest.raises(NotAllowed, match=r'there is no project "Wbshop".*did you mean "Webshop"'):
                await subject.create(sample_draft(subject))

        assert fake.creates == []

    async def test_an_address_without_youtrack_pauses_the_tracker(self, fake: YouTrackServer) -> None:
        page = Reply(404, body=b"<html>nothing here</html>", headers={"Content-Type": "text/html"})
        fake.inject(Fault(FaultKind.REFUSE, When.ANY, times=9, reply=page))
        async with self.using(fake.url) as subject:
            with pytest.raises(NotAllowed, match="there is no YouTrack at"):
                await subject.create(sample_draft(subject))

    async def found(self, fake: YouTrackServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **{"labels": ["crowd"], **changes}) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    @pytest.mark.parametrize(
        ("me", "project", "told"),
        [
            ({"guest": True}, {}, "the token's user is the guest, or banned"),
            ({"banned": True}, {}, "the token's user is the guest, or banned"),
            ({}, {"archived": True}, "Webshop is archived"),
        ],
    )
    async def test_the_doctor_finds_who_and_what_cannot_be_used(
        self, fake: YouTrackServer, me: dict[str, Any], project: dict[str, Any], told: str
    ) -> None:
        fake.me, fake.project = me, project

        ((verdict, _, words),) = await self.found(fake)

        assert verdict is Verdict.ERROR
        assert words.startswith(told)

    async def test_the_doctor_knows_projects_with_a_similar_name(self, fake: YouTrackServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, project="Wbshop")

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert 'did you mean "Webshop"?' in told

    async def test_the_doctor_tells_an_address_from_a_token(self, fake: YouTrackServer) -> None:
        page = Reply(404, body=b"<html>nothing here</html>", headers={"Content-Type": "text/html"})
        fake.inject(Fault(FaultKind.REFUSE, When.ANY, reply=page))

        ((verdict, subject, _),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "url")

    async def test_the_doctor_looks_at_required_fields(self, fake: YouTrackServer) -> None:
        """One with a default, or with a value in the configuration, is fine."""
        fake.required = {"Points", "Notes"}

        found = await self.found(fake, fields={"notes": "{{ bug.title }}"})

        told = "an issue must have a value, and gets none > set it in `fields`"
        assert found == [(Verdict.ERROR, "fields.Points", told)]

    async def test_the_doctor_looks_at_every_configured_value(self, fake: YouTrackServer) -> None:
        found = await self.found(
            fake,
            labels=["crwod", "brand-new", "severity:{{ bug.severity }}"],
            assignee="alcie",
            priorities={"high": "Majro", "low": "{{ bug.priority }}"},
            severities={"high": "S1"},
            issue_types={"suggestion": "Old"},
            fields={"Fix version": "1.0", "Due": "soon"},
            marker_field="Points",
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "priorities.high", 'did you mean "Major"?'),
            (Verdict.WARNING, "issue_types.suggestion", "one of Bug, Cosmetics, Feature"),
            (Verdict.WARNING, "fields.Fix version", 'did you mean "Fix versions"?'),
            (Verdict.WARNING, "fields.Due", "correct it"),
            (Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            (Verdict.ERROR, "marker_field", "choose a field of the type string"),
            (Verdict.WARNING, "severities", "name the field in `severity_field`"),
            (Verdict.WARNING, "labels", 'did you mean "crowd"?'),
            (Verdict.WARNING, "labels", "make it yourself and share it, or share it after its first use"),
        ]


def tracker(**changes: Any) -> YouTrack:
    """Return a tracker that talks to nobody."""
    table = TestYouTrack().settings("http://127.0.0.1:9") | changes
    return YouTrack("shop", YouTrack.settings_type.model_validate(table))


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("float", "1.5", 1.5),
        ("integer", 3, 3),
        ("date and time", "2026-12-24T10:00:00+02:00", 1798099200000),
        ("date", 1798113600000, 1798113600000),
        ("user[1]", "carol", {"login": "carol"}),
        ("ownedField[1]", {"id": "7"}, {"id": "7"}),
        ("build[*]", "12", [{"name": "12"}]),
    ],
)
def test_each_type_has_its_form(kind: str, value: Any, sent: Any) -> None:
    """What is an object already is sent as it is; where values are not known, YouTrack decides."""
    field = ProjectField.of({"field": {"name": "own", "fieldType": {"id": kind}}})

    assert field.sent(value)["value"] == sent


def test_several_values_for_one_are_refused() -> None:
    field = ProjectField.of({"field": {"name": "own", "fieldType": {"id": "enum[1]"}}})

    with pytest.raises(ValueError, match="own takes one value"):
        field.sent(["a", "b"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"url": "acme.youtrack.cloud"}, "write it like"), ({"project": ""}, "at least 1 character")],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_settings_take_the_api_s_own_address() -> None:
    subject = tracker(url="https://acme.myjetbrains.com/youtrack/api/")

    assert subject.base_url == "https://acme.myjetbrains.com/youtrack/api"


def test_the_mapping_needs_no_network() -> None:
    """`fields` has the last word; a field without a name is not filled."""
    subject = tracker(type_field="", fields={"Priority": "Critical"})

    sent = payload(sample_draft(subject, labels=("a  b", "A b")), subject.settings)

    assert sent["tags"] == ["A b"]
    assert sent["customFields"] == {"Priority": "Critical"}


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/youtrack.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "youtrack.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert YouTrack.settings_type.model_validate(table).type == "youtrack"
