"""Rally under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import (
    AttachmentFile,
    Gone,
    InDoubt,
    Issue,
    NotAllowed,
    RateLimited,
    Rejected,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins._rally_answers import condition, reference
from bridge_plugins.rally import Rally, new_issue
from tests.trackers.fake_rally import KEY, PROJECT, WORKSPACE, RallyServer, errors


def posting(path: str) -> Any:
    """Return whether a request posts there."""
    return lambda request: request.method == "POST" and request.path.endswith(path)


class TestRally(TrackerConformance):
    tracker = Rally
    server = RallyServer
    secret = KEY
    refusals: ClassVar = {
        Rejected: [
            errors("Validation error: Defect.Name should not be null"),
            errors('Cannot parse object reference from "/defect/x"'),
            Reply(400, json={"OperationResult": {"Errors": ["Cannot parse input stream"]}}),
        ],
        NotAllowed: [
            Reply(401, body=b"<html>Error 401 Full authentication is required</html>"),
            errors("Not authorized to perform action: Invalid key", kind="OperationResult"),
        ],
        RateLimited: Reply(429, headers={"Retry-After": "7"}),
        InDoubt: [
            Reply(502),
            Reply(524, body=b"<html>timeout</html>"),
            Reply(200, json={"CreateResult": {"Errors": []}}),
        ],
        Unavailable: [
            errors("Concurrency conflict: [Object has been modified since being read]", kind="OperationResult"),
            Reply(524),
        ],
        Gone: errors("Cannot find object to read", kind="OperationResult"),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "rally", "url": url, "project": "Webshop", "api_key": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, RallyServer)
        fake.objects["defect"][issue.id]["State"] = "Closed"
        return True

    async def test_a_full_draft_is_one_request_with_references_for_names(self, fake: RallyServer) -> None:
        more = {
            "workspace": "acme",
            "assignee": "alice@acme.example",
            "parent": "US12",
            "fields": {"Found By": "test IO", "Iteration": "Sprint 7", "Environment": "{{ bug.device }}"},
        }
        async with self.using(fake.url, **more) as subject:
            draft = sample_draft(subject, labels=("Crowd",))
            issue = await subject.create(draft)

        (request,) = fake.creates
        assert request.query["workspace"] == [f"/workspace/{WORKSPACE}"]
        assert request.json["Defect"] == {
            "Name": draft.title,
            "Description": draft.body.text,
            "Project": f"/project/{PROJECT}",
            "State": "Submitted",
            "Severity": "Major Problem",
            "Priority": "High Attention",
            "Tags": [{"_ref": "/tag/55"}],
            "Owner": "/user/333",
            "Requirement": "/hierarchicalrequirement/88",
            "Iteration": "/iteration/77",
            "c_FoundBy": "test IO",
            "Environment": "mobile, ios 17.2, safari",
        }
        assert (issue.id, issue.key, issue.warnings) == ("987654322", "DE43", ())
        assert issue.url == f"{fake.url}/#/detail/defect/987654322"

    async def test_a_value_that_is_not_allowed_does_not_cost_an_issue(self, fake: RallyServer) -> None:
        """Rally refuses the whole issue: it is sent once more without. Nothing was made by the first."""
        async with self.using(fake.url, severities={"high": "S1"}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            "Severity is left out: Could not set value for Severity: S1 is not an allowed value",
        )
        assert len(fake.objects["defect"]) == 1
        assert "Severity" not in fake.objects["defect"][issue.id]

    async def test_what_does_not_exist_is_left_out_with_a_warning(self, fake: RallyServer) -> None:
        """A user who is disabled does not exist, either. An unknown field Rally drops by itself."""
        fake.may_tag = False
        more = {"assignee": "bob", "parent": "US99", "fields": {"Fuond": "x"}}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject, labels=("new", "crowd")))

        assert sorted(issue.warnings) == [
            "Fuond is left out: Rally has no such field, or it cannot be set",
            'Owner: there is no "bob"',
            'Requirement: there is no "US99"',
            'the tag "new" does not exist and cannot be made: Not authorized to create: Tag',
        ]

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"project": "Webshpo"}, 'did you mean "Webshop"?: correct `project`'),
            ({"project": "Old"}, 'there is no open project that the key sees "Old"'),
            ({"project": "999"}, "correct `project`"),
            ({"workspace": "Acmee"}, 'did you mean "Acme"?: correct `workspace`'),
            ({"marker_field": "test OI bug"}, 'did you mean "test IO bug"?: correct `marker_field`'),
        ],
    )
    async def test_a_place_that_does_not_exist_pauses_the_tracker(
        self, fake: RallyServer, changes: dict[str, Any], told: str
    ) -> None:
        """Every delivery would fail."""
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert told in str(caught.value)
        assert fake.issues() == []

    async def test_a_tag_that_was_deleted_is_looked_up_anew(self, fake: RallyServer, subject: Rally) -> None:
        await subject.create(sample_draft(subject, labels=("crowd",)))
        fake.objects["tag"].clear()

        issue = await subject.create(sample_draft(subject, sample_bug(id=2), labels=("crowd",)))
        subject.names.forget()
        await subject.create(sample_draft(subject, sample_bug(id=3), labels=("crowd",)))

        assert issue.warnings == ("Tags is left out: Could not set value for Tags: Cannot find object to read",)
        assert [each["Name"] for each in fake.objects["tag"].values()] == ["crowd"]

    async def test_the_marker_is_found_in_its_field_when_people_rewrote_the_description(
        self, fake: RallyServer
    ) -> None:
        async with self.using(fake.url, marker_field="test IO bug") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            assert fake.objects["defect"][issue.id]["c_TestIObug"] == "testio-bug-12345"
            fake.objects["defect"][issue.id]["Description"] = "rewritten"

            found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id

    async def test_only_issues_since_the_first_attempt_are_read(
        self, fake: RallyServer, subject: Rally, draft: Draft
    ) -> None:
        """Clocks may differ by some minutes."""
        await subject.find(draft.marker)

        assert fake.requests[-1].query["query"] == [
            '((CreationDate >= "2026-01-05T08:55:00.000Z") AND (Description contains "testio-bug-12345"))'
        ]
        assert fake.requests[-1].query["project"] == [f"/project/{PROJECT}"]

    async def test_of_two_issues_with_one_marker_the_first_is_ours(
        self, fake: RallyServer, subject: Rally, draft: Draft
    ) -> None:
        fake.page = 1
        first, second = await subject.create(draft), await subject.create(draft)

        found = await subject.find(draft.marker)

        assert found is not None
        assert (found.id, found.warnings) == (first.id, (f"another issue carries testio-bug-12345: {second.url}",))

    async def test_update_keeps_the_tags_that_people_added(self, fake: RallyServer, subject: Rally) -> None:
        """Only the old severity gives way."""
        draft = sample_draft(subject, labels=("test-io", "severity:low", "triaged"))
        issue = await subject.create(draft)

        await subject.update(issue, draft.with_(labels=("test-io", "severity:high"), only=frozenset({"labels"})))

        tags = [each["_ref"].rpartition("/")[2] for each in fake.objects["defect"][issue.id]["Tags"]]
        assert [fake.objects["tag"][tag]["Name"] for tag in tags] == ["test-io", "severity:high", "triaged"]

    async def test_an_update_sets_neither_project_nor_state(
        self, fake: RallyServer, subject: Rally, draft: Draft
    ) -> None:
        """People may have moved the issue."""
        issue = await subject.create(draft)
        await subject.update(issue, draft)

        assert set(fake.requests[-1].json["Defect"]) == {"Name", "Description", "Severity", "Priority", "Tags"}

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: RallyServer, subject: Rally, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"fields"}))) == issue
        assert len(fake.requests) == before

    async def test_a_bug_can_become_a_user_story(self, fake: RallyServer) -> None:
        """Which has no severity, no priority, and another state."""
        async with self.using(fake.url, artifact="User Story", parent="US12") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            assert not (await subject.state(issue)).done
            fake.objects["hierarchicalrequirement"][issue.id]["ScheduleState"] = "Accepted"
            assert (await subject.state(issue)).done
            found = await subject.find(draft.marker)

        sent = fake.creates[0].json["HierarchicalRequirement"]
        assert set(sent) == {"Name", "Description", "Project", "Tags", "Parent"}
        assert issue.url.endswith(f"/#/detail/userstory/{issue.id}")
        assert found is not None

    @pytest.mark.parametrize("step", ["/attachmentcontent/create", "/attachment/create"])
    @pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
    async def test_a_file_is_there_once_whatever_broke_at_the_first_attempt(
        self, fake: RallyServer, subject: Rally, draft: Draft, tmp_path: Path, step: str, kind: FaultKind
    ) -> None:
        """Content without an attachment is seen by nobody."""
        issue, file = await subject.create(draft), self.file(tmp_path)
        fake.inject(Fault(kind, posting(step)))

        with pytest.raises(Unavailable):
            await subject.attach(issue, file)
        await subject.attach(issue, file)

        (attachment,) = fake.objects["attachment"].values()
        content = attachment.pop("Content").rpartition("/")[2]
        assert fake.objects["attachmentcontent"][content]["Content"] == "iVBORw=="
        expected = {"Name": "a b.png", "ContentType": "image/png", "Size": 4, "Artifact": f"/defect/{issue.id}"}
        assert {name: attachment[name] for name in expected} == expected

    async def test_a_file_that_is_too_large_is_not_sent(
        self, fake: RallyServer, subject: Rally, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        with pytest.raises(Rejected, match="more than Rally takes"):
            await subject.attach(issue, self.file(tmp_path, size=50_000_001))

        assert len(fake.requests) == before

    @pytest.mark.parametrize("act", ["comment", "attach"])
    async def test_an_issue_in_the_recycle_bin_is_gone(
        self, fake: RallyServer, subject: Rally, draft: Draft, tmp_path: Path, act: str
    ) -> None:
        """Rally says so of the field that names it."""
        issue = await subject.create(draft)
        fake.objects["defect"].clear()

        with pytest.raises(Gone):
            await (
                subject.comment(issue, draft.body)
                if act == "comment"
                else subject.attach(issue, self.file(tmp_path))
            )

    async def test_something_else_that_is_missing_does_not_make_an_issue_gone(
        self, fake: RallyServer, subject: Rally, draft: Draft
    ) -> None:
        """Otherwise the bridge would make another."""
        issue = await subject.create(draft)

        updated = await subject.update(
            issue, draft.with_(fields={"Owner": "/user/1"}, only=frozenset({"fields", "title"}))
        )

        assert updated.warnings == (
            "Owner is left out: Could not set value for Owner: Cannot find object to read",
        )

    async def test_a_refusal_is_told_per_field(self, fake: RallyServer, subject: Rally, draft: Draft) -> None:
        told = "Validation error: Defect.Description length is greater than the maximum length of 32768"
        fake.inject(Fault(FaultKind.REFUSE, reply=errors(told, "and more")))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == f"and more: Description: {told}"

    async def test_a_wrong_host_is_told(self, fake: RallyServer) -> None:
        """It redirects to a page for signing in."""
        async with self.using(fake.url) as subject:
            fake.inject(
                Fault(FaultKind.REFUSE, reply=Reply(302, headers={"Location": "https://sso.example/login"}))
            )
            with pytest.raises(Rejected, match=r"redirected to https://sso\.example/login: correct the address"):
                await subject.create(sample_draft(subject))

    async def found(self, fake: RallyServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (each.verdict, each.subject, each.fix) for each in report.findings if each.verdict is not Verdict.OK
        ]

    @pytest.mark.parametrize(
        ("changes", "subject", "fix"),
        [
            ({"project": "Webshpo"}, "project", 'did you mean "Webshop"?'),
            ({"project": "2224"}, "project", "open it, or name another `project`"),
            ({"project": "999"}, "project", "correct `project`, or make the key's user an Editor there"),
            ({"workspace": "Acmee"}, "workspace", 'did you mean "Acme"?'),
        ],
    )
    async def test_the_doctor_knows_workspaces_and_projects(
        self, fake: RallyServer, changes: dict[str, Any], subject: str, fix: str
    ) -> None:
        assert (Verdict.ERROR, subject, fix) in await self.found(fake, **changes)

    async def test_the_doctor_looks_at_every_configured_value(self, fake: RallyServer) -> None:
        fake.required["c_FoundBy"] = True
        found = await self.found(
            fake,
            marker_field="test OI bug",
            state="Submited",
            severities={"high": "Mayor Problem", "low": "{{ bug.severity }}"},
            labels=["cowrd", "new"],
            assignee="alcie",
            issue_type="Bug",
            fields={"Enviroment": "x", "Severity": "Cosmetics"},
        )

        assert found == [
            (Verdict.ERROR, "marker_field", 'did you mean "test IO bug"?'),
            (Verdict.WARNING, "fields.Enviroment", 'did you mean "Environment"?'),
            (Verdict.WARNING, "fields.Severity", 'did you mean "Cosmetic"?'),
            (Verdict.ERROR, "fields.c_FoundBy", 'fields = { c_FoundBy = "..." }'),
            (Verdict.WARNING, "severities.high", 'did you mean "Major Problem"?'),
            (Verdict.WARNING, "state", 'did you mean "Submitted"?'),
            (Verdict.WARNING, "labels", 'did you mean "crowd"?'),
            (Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            (Verdict.WARNING, "issue_type", 'use `artifact = "User Story"`, in a tracker of its own'),
        ]

    async def test_a_field_that_must_be_filled_is(self, fake: RallyServer) -> None:
        fake.required["c_FoundBy"] = True

        assert await self.found(fake, fields={"Found By": "test IO"}) == []

    def file(self, folder: Path, size: int = 4) -> AttachmentFile:
        """Return a fetched attachment."""
        path = folder / "spooled"
        path.write_bytes(b"\x89PNG")
        return AttachmentFile(
            path=path, name="a\nb.png", type="image/png", size=size, url="https://files.test.io/a"
        )


def tracker(**changes: Any) -> Rally:
    """Return a tracker that talks to nobody."""
    table = TestRally().settings("http://127.0.0.1:9") | changes
    return Rally("desk", Rally.settings_type.model_validate(table))


@pytest.mark.parametrize(
    "url",
    [
        "https://rally1.rallydev.com/",
        "https://rally1.rallydev.com/slm/webservice/v2.0",
        "https://rally1.rallydev.com/#/123d/dashboard",
    ],
)
def test_settings_take_any_address_of_rally(url: str) -> None:
    assert tracker(url=url).base_url == "https://rally1.rallydev.com/slm/webservice/v2.0"


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"url": "rally"}, "is no address"), ({"project": ""}, "at least 1"), ({"artifact": "Task"}, "'Defect' or")],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_trackers_with_one_key_share_an_account() -> None:
    """At most twelve requests of one user at a time."""
    one, other, stranger = tracker(), tracker(project="Apps"), tracker(api_key="_another")

    assert one.account == other.account != stranger.account


def test_a_quotation_mark_cannot_break_out_of_a_query() -> None:
    """Rally has no way to quote one."""
    assert condition("Name", 'a" OR (b') == '(Name = "a OR (b")'


def test_references_are_short() -> None:
    assert reference("https://rally1.rallydev.com/slm/webservice/v2.0/defect/12") == "/defect/12"


def test_the_mapping_needs_no_network() -> None:
    """What is empty is not sent."""
    subject = tracker(state="", priorities={"high": ""}, marker_field="c_TestIObug")

    assert new_issue(sample_draft(subject, labels=("a  b", "A b"), severity=""), subject.settings).keys() == {
        "Project",
        "c_TestIObug",
        "Name",
        "Description",
        "Tags",
    }


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/rally.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "rally.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["web"]

    assert Rally.settings_type.model_validate(table).type == "rally"
