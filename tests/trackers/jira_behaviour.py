"""What is special about Jira, and the same in Cloud and Server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import (
    AttachmentFile,
    Draft,
    InDoubt,
    Issue,
    Marker,
    NotAllowed,
    RateLimited,
    Rejected,
    Tracker,
    Unavailable,
    Verdict,
)
from bridge.testing import Fault, FaultKind, Reply, When
from bridge.testing.conformance.setup import Setup
from bridge.testing.samples import SINCE, sample_draft
from tests.trackers.fake_jira import NO_RIGHT, FakeJira, custom_fields, field, options


def refusal(**errors: str) -> Reply:
    """Return Jira's refusal of fields."""
    return Reply(400, json={"errorMessages": [], "errors": errors})


def sentence(words: str, status: int, **headers: str) -> Reply:
    """Return Jira's refusal in words."""
    return Reply(status, json={"errorMessages": [words], "errors": {}}, headers=headers)


CAPTCHA = Reply(
    403,
    body=b"<html><body>Forbidden</body></html>",
    headers={"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=https://jira.example.com/login.jsp"},
)
ANONYMOUS = Reply(200, json={"issues": []}, headers={"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})


async def told(tracker: Tracker[Any], verdict: Verdict = Verdict.ERROR) -> dict[str, str]:
    """Return what the doctor finds wrong, and the fix, by subject."""
    findings = (await tracker.check()).findings
    return {one.subject: f"{one.message} | {one.fix}" for one in findings if one.verdict is verdict}


class JiraBehaviour(Setup):
    """To be mixed into the conformance suite of both.

    Attributes:
        somebody: A user to whom issues can be assigned, as the configuration names them.
        reference: How Jira's JSON names that user.
    """

    somebody: ClassVar[str]
    reference: ClassVar[Mapping[str, str]]

    def refused(self, fake: FakeJira, reply: Reply, when: When = When.CREATE) -> None:
        fake.inject(Fault(FaultKind.REFUSE, when, 1, reply))

    # Creating

    async def test_one_post_makes_issue_label_and_property(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """Nothing that tells the issue apart comes later: a lost answer would leave it without."""
        issue = await subject.create(draft)

        made = fake.issues[issue.id]
        assert draft.marker.text in made["fields"]["labels"]
        assert made["properties"]["testio.bug"]["uuid"] == str(draft.marker.uuid)
        assert made["properties"]["testio.bug"]["id"] == 12345
        assert issue.url == f"{fake.base_url}/browse/{issue.key}"

    async def test_the_create_screen_is_asked_for_once(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """The second issue takes one request."""
        await subject.create(draft)
        before = len(fake.requests)

        await subject.create(draft)

        assert [str(request) for request in fake.requests[before:]] == [f"POST {fake.api}/issue"]

    @pytest.mark.parametrize("kind", [FaultKind.ANSWER_AFTER, FaultKind.RESET_AFTER, FaultKind.RESET_BEFORE])
    async def test_whatever_happens_a_create_is_one_post(
        self, fake: FakeJira, subject: Any, draft: Draft, kind: FaultKind
    ) -> None:
        """The SDK would send it again by itself."""
        fake.inject(Fault(kind, times=5))

        with pytest.raises(InDoubt):
            await subject.create(draft)

        assert len(fake.creates) == 1

    @pytest.mark.parametrize(
        ("name", "value", "sent"),
        [
            ("Severity", "Major", {"customfield_10001": {"value": "Major"}}),
            ("severity", "major", {"customfield_10001": {"value": "Major"}}),
            ("customfield_10001", {"id": "10000"}, {"customfield_10001": {"id": "10000"}}),
            ("Story Points", "3", {"customfield_10002": 3}),
            ("Story Points", 0.5, {"customfield_10002": 0.5}),
            ("Browsers", ["Safari", "chrome"], {"customfield_10003": [{"value": "Safari"}, {"value": "Chrome"}]}),
            ("Browsers", "Safari", {"customfield_10003": [{"value": "Safari"}]}),
            ("Found on", "2025-11-07", {"customfield_10004": "2025-11-07"}),
            ("Region", "Europe", {"customfield_10007": {"value": "Europe"}}),
            (
                "Region",
                "Europe > Berlin",
                {"customfield_10007": {"value": "Europe", "child": {"value": "Berlin"}}},
            ),
            (
                "Region",
                ["europe", "berlin"],
                {"customfield_10007": {"value": "Europe", "child": {"value": "Berlin"}}},
            ),
            ("components", ["Web"], {"components": [{"name": "Web"}]}),
        ],
    )
    async def test_fields_take_the_shape_of_their_type(
        self, fake: FakeJira, subject: Any, name: str, value: Any, sent: dict[str, Any]
    ) -> None:
        """They are named as people see them, values written as people write them."""
        fake.screen += custom_fields()

        issue = await subject.create(sample_draft(subject, fields={name: value}))

        assert sent.items() <= fake.issues[issue.id]["fields"].items()

    async def test_people_are_named_in_jiras_way(self, fake: FakeJira, subject: Any) -> None:
        """As the assignee, and in a field for users."""
        fake.screen += custom_fields()
        draft = sample_draft(subject, assignee=self.somebody, fields={"Contact": self.somebody})

        issue = await subject.create(draft)

        fields = fake.issues[issue.id]["fields"]
        assert fields["assignee"] == fields["customfield_10005"] == self.reference

    async def test_an_issue_is_put_under_its_parent(self, fake: FakeJira, subject: Any) -> None:
        """An epic, or whatever the issue type belongs under."""
        issue = await subject.create(sample_draft(subject, parent="ED-7"))

        assert fake.issues[issue.id]["fields"]["parent"] == {"key": "ED-7"}

    async def test_severity_fills_the_field_of_that_name(self, fake: FakeJira) -> None:
        """Jira has none of its own."""
        fake.screen.append(
            field("Impact", "customfield_10001", "option", allowedValues=options("Blocker", "Major"))
        )
        async with self.using(fake.url, severity_field="Impact", severities={"high": "Major"}) as tracker:
            issue = await tracker.create(sample_draft(tracker))

        assert fake.issues[issue.id]["fields"]["customfield_10001"] == {"value": "Major"}

    async def test_an_unknown_field_is_refused_before_anything_is_sent(self, fake: FakeJira, subject: Any) -> None:
        """With the name that was probably meant."""
        fake.screen += custom_fields()

        with pytest.raises(Rejected, match='did you mean "Severity"'):
            await subject.create(sample_draft(subject, fields={"Severty": "Major"}))

        assert fake.creates == []

    async def test_a_value_of_the_wrong_type_is_refused(self, fake: FakeJira, subject: Any) -> None:
        """A text is no number."""
        fake.screen += custom_fields()

        with pytest.raises(Rejected, match='"many" is no number'):
            await subject.create(sample_draft(subject, fields={"Story Points": "many"}))

    async def test_a_name_that_two_fields_have_is_refused(self, fake: FakeJira, subject: Any) -> None:
        """Jira allows it; the id says which one is meant."""
        fake.screen += [field("Team", "customfield_10020"), field("Team", "customfield_10021")]

        with pytest.raises(Rejected, match=r"by its id \(customfield_10020, customfield_10021\)"):
            await subject.create(sample_draft(subject, fields={"Team": "Shop"}))

    async def test_a_refusal_names_the_field_and_what_it_takes(self, fake: FakeJira, subject: Any) -> None:
        """Not `customfield_10001: Option value is not valid`."""
        fake.screen += custom_fields()

        with pytest.raises(Rejected) as caught:
            await subject.create(sample_draft(subject, fields={"Severity": "Awful"}))

        assert "one of: Blocker, Major, Minor" in caught.value.fields["Severity (customfield_10001)"]

    async def test_a_priority_that_is_off_the_screen_is_a_visible_error_until_it_is_mended(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """The screen is looked at again after a refusal: no restart is needed."""
        priority = next(one for one in fake.screen if one["fieldId"] == "priority")
        fake.screen.remove(priority)
        with pytest.raises(Rejected) as caught:
            await subject.create(draft)
        assert "not on the appropriate screen" in caught.value.fields["priority"]

        fake.screen.append(priority)
        issue = await subject.create(draft)

        assert fake.issues[issue.id]["fields"]["priority"] == {"name": "High"}

    async def test_a_field_that_was_missing_is_found_once_it_is_on_the_screen(
        self, fake: FakeJira, subject: Any
    ) -> None:
        """A replay is enough."""
        draft = sample_draft(subject, fields={"Severity": "Major"})
        with pytest.raises(Rejected, match="not on the create screen"):
            await subject.create(draft)

        fake.screen += custom_fields()

        assert await subject.create(draft)

    async def test_a_table_is_sent_as_it_is(self, fake: FakeJira, subject: Any) -> None:
        """The way out for what the bridge does not foresee; also for people."""
        fake.screen += custom_fields()
        draft = sample_draft(subject, fields={"Contact": dict(self.reference)})

        issue = await subject.create(draft)

        assert fake.issues[issue.id]["fields"]["customfield_10005"] == self.reference

    async def test_labels_lose_their_spaces_and_say_so(self, fake: FakeJira, subject: Any) -> None:
        """Jira would refuse the whole issue."""
        issue = await subject.create(sample_draft(subject, labels=("check out", "shop")))

        assert fake.issues[issue.id]["fields"]["labels"] == ["check-out", "shop", "testio-bug-12345"]
        assert any("check-out" in warning for warning in issue.warnings)

    async def test_labels_of_the_configurations_own_fields_keep_the_marker(
        self, fake: FakeJira, subject: Any
    ) -> None:
        """`fields` wins over everything but what tells the issue apart."""
        issue = await subject.create(sample_draft(subject, fields={"labels": ["mine"]}))

        assert fake.issues[issue.id]["fields"]["labels"] == ["mine", "testio-bug-12345"]

    async def test_an_issue_type_that_does_not_exist_is_refused(self, subject: Any) -> None:
        """With the one that was probably meant."""
        with pytest.raises(Rejected, match='did you mean "Bug"'):
            await subject.create(sample_draft(subject, issue_type="Bugs"))

    # Finding

    async def test_without_labels_on_the_screen_the_text_and_the_property_tell(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """The labels are left out, with a warning."""
        fake.screen = [one for one in fake.screen if one["fieldId"] != "labels"]

        issue = await subject.create(draft)

        assert "labels" in issue.warnings[0]
        found = await subject.find(draft.marker)
        assert found
        assert found.id == issue.id

    async def test_what_only_looks_like_the_issue_is_not_found(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """Another bug's issue that quotes the marker; a longer marker; a label that is not quite it."""
        for suffix in ("abc", "2"):
            await subject.create(draft.with_(marker=Marker.of(12345, SINCE, suffix=suffix)))

        assert await subject.find(draft.marker) is None

    async def test_the_issue_of_another_tracker_of_this_project_is_not_found(
        self, subject: Any, draft: Draft
    ) -> None:
        """Two trackers may put one bug into one project: each has its own issue."""
        await subject.create(draft.with_(marker=Marker.of(12345, SINCE, tracker="another")))

        assert await subject.find(draft.marker) is None

    async def test_a_label_alone_is_believed_where_there_is_no_property(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """Somebody marked an issue by hand."""
        issue = await subject.create(draft)
        fake.issues[issue.id]["properties"].clear()

        found = await subject.find(draft.marker)
        assert found
        assert found.key == issue.key

    async def test_what_the_index_does_not_know_yet_is_a_miss(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """Which is why a miss counts only after `settle`."""
        issue = await subject.create(draft)
        fake.hidden.add(issue.id)

        assert await subject.find(draft.marker) is None
        assert subject.settle >= timedelta(seconds=30)

    async def test_an_issue_that_was_deleted_meanwhile_is_not_found(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """The index may still offer it."""
        issue = await subject.create(draft)
        offered = fake.found
        fake.found = lambda request: [{"id": "999"}, *offered(request)]  # type: ignore[method-assign]

        found = await subject.find(draft.marker)
        assert found
        assert found.id == issue.id

    # Errors

    @pytest.mark.parametrize(
        "errors",
        [
            {"project": NO_RIGHT},
            {"project": "project is required"},
            {"project": "valid project is required", "issuetype": "Specify an issue type"},
        ],
    )
    async def test_a_missing_right_that_comes_as_400_pauses_the_tracker(
        self, fake: FakeJira, subject: Any, draft: Draft, errors: dict[str, str]
    ) -> None:
        """Jira reports it as an error of the project."""
        self.refused(fake, refusal(**errors))

        with pytest.raises(NotAllowed, match="does not let this user create issues in ED"):
            await subject.create(draft)

    async def test_who_may_create_nothing_is_told_so(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """Jira then says that there are no issue types."""
        fake.rights.remove("CREATE_ISSUES")

        with pytest.raises(NotAllowed, match="can create nothing in project ED"):
            await subject.create(draft)

        assert fake.creates == []

    async def test_a_project_that_is_not_there_pauses_the_tracker(self, fake: FakeJira) -> None:
        """Every delivery would fail; none is lost."""
        async with self.using(fake.url, project="NOPE") as tracker:
            with pytest.raises(NotAllowed, match="NOPE"):
                await tracker.create(sample_draft(tracker))

    async def test_a_404_on_create_is_about_address_or_project(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """There is no issue yet that could be gone."""
        self.refused(fake, sentence("null for uri", 404))

        with pytest.raises(NotAllowed, match="check `url` and `project`"):
            await subject.create(draft)

    async def test_a_captcha_says_what_to_do(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """Only a person can solve it; trying again makes it worse."""
        self.refused(fake, CAPTCHA)

        with pytest.raises(NotAllowed, match="log in once in a browser"):
            await subject.create(draft)

    async def test_a_redirect_is_not_followed(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """A followed POST turns into a GET, and its 200 looks like success."""
        self.refused(fake, Reply(302, headers={"Location": f"{fake.url}/login?token=secret"}))

        with pytest.raises(NotAllowed, match=r"redirected to .*/login") as caught:
            await subject.create(draft)

        assert "token=" not in str(caught.value)
        assert fake.requests[-1].method == "POST"

    async def test_a_conflict_is_tried_again(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """409: somebody else is changing the issue."""
        issue = await subject.create(draft)
        self.refused(fake, sentence("Conflict", 409), When.ANY)

        with pytest.raises(Unavailable):
            await subject.update(issue, draft)

    async def test_at_least_a_second_is_waited(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """Server may say `Retry-After: 0`."""
        self.refused(fake, Reply(429, headers={"Retry-After": "0"}))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=1)

    async def test_what_jira_does_not_answer_is_unavailable(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """JSON with status 200 from something in front of it."""
        issue = await subject.create(draft)
        self.refused(fake, Reply(200, json={"status": "ok"}), When.ANY)

        with pytest.raises(Unavailable, match='no "fields"'):
            await subject.state(issue)

    async def test_a_search_that_jira_refuses_pauses_the_tracker(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """Who cannot see the project any more gets a 400 for its name: no miss, and nobody's last word."""
        words = "The value 'ED' does not exist for the field 'project'."
        self.refused(fake, sentence(words, 400), When.ANY)

        with pytest.raises(NotAllowed, match="does not exist for the field"):
            await subject.find(draft.marker)

    async def test_an_odd_error_body_is_still_an_error(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """The SDK's own parsing stumbles over these."""
        for body in (b"null", b"[]", b'"no"', b'{"errorMessages": null, "errors": null}', b"\xff\xfe"):
            self.refused(fake, Reply(400, body=body, headers={"Content-Type": "application/json"}))
            with pytest.raises(Rejected):
                await subject.create(draft)

    # What comes after

    async def test_update_keeps_the_labels_of_people(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """Ours are added."""
        issue = await subject.create(draft)
        fake.issues[issue.id]["fields"]["labels"].append("triaged")

        await subject.update(issue, draft.with_(labels=("visual",), only=frozenset({"labels"})))

        assert set(fake.issues[issue.id]["fields"]["labels"]) >= {"triaged", "visual", draft.marker.text}

    async def test_the_link_to_test_io_is_there_once(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """However often the step is repeated."""
        issue = await subject.create(draft)

        await subject.complete(issue, draft)
        await subject.complete(issue, draft)

        (link,) = fake.issues[issue.id]["links"].values()
        assert link["object"]["url"] == draft.bug.link

    async def test_the_link_can_be_left_out(self, fake: FakeJira) -> None:
        """`remote_link = false`."""
        async with self.using(fake.url, remote_link=False) as tracker:
            draft = sample_draft(tracker)
            issue = await tracker.create(draft)
            await tracker.complete(issue, draft)

        assert fake.issues[issue.id]["links"] == {}

    async def test_a_missing_right_to_link_does_not_pause_the_tracker(
        self, fake: FakeJira, subject: Any, draft: Draft
    ) -> None:
        """Issues can still be made."""
        fake.rights.remove("LINK_ISSUES")
        issue = await subject.create(draft)

        with pytest.raises(Rejected, match="remote_link = false"):
            await subject.complete(issue, draft)

    async def test_a_missing_right_to_attach_does_not_pause_the_tracker(
        self, fake: FakeJira, subject: Any, draft: Draft, tmp_path: Path
    ) -> None:
        """The link in the text stays."""
        fake.rights.remove("CREATE_ATTACHMENTS")
        issue = await subject.create(draft)

        with pytest.raises(Rejected, match="give the right to create attachments"):
            await subject.attach(issue, _file(tmp_path))

    async def test_a_file_is_there_once(self, fake: FakeJira, subject: Any, draft: Draft, tmp_path: Path) -> None:
        """Also when the first answer was lost."""
        issue, file = await subject.create(draft), _file(tmp_path)

        await subject.attach(issue, file)
        await subject.attach(issue, file)

        assert len(fake.issues[issue.id]["files"]) == 1

    # The doctor

    async def test_all_is_well_on_a_project_as_it_comes(self, subject: Any) -> None:
        """No errors, no warnings."""
        findings = (await subject.check()).findings

        assert {one.verdict for one in findings} == {Verdict.OK}

    async def test_check_names_a_required_field_that_nothing_fills(self, fake: FakeJira) -> None:
        """With the line to add, and what can be chosen; once it is added, all is well."""
        severity = next(one for one in custom_fields() if one["name"] == "Severity")
        fake.screen.append({**severity, "required": True})
        async with self.using(fake.url) as tracker:
            problem = (await told(tracker))["fields.Severity"]
        async with self.using(fake.url, fields={"Severity": "Major"}) as mended:
            after = await told(mended)

        assert 'add "Severity" = "Blocker" to [trackers.conformance.fields]' in problem
        assert "Blocker, Major, Minor" in problem
        assert after == {}

    @pytest.mark.parametrize(
        ("changes", "subject_of", "words"),
        [
            ({"priorities": {"high": "Hihg"}}, "priorities.high", 'did you mean "High"'),
            ({"fields": {"Severity": "Majr"}}, "fields.Severity", 'did you mean "Major"'),
            ({"fields": {"Severty": "Major"}}, "fields.Severty", 'did you mean "Severity"'),
            ({"fields": {"customfield_99": "x"}}, "fields.customfield_99", "not on the create screen of Bug"),
            ({"fields": {"Region": "Europe > Berlln"}}, "fields.Region", 'did you mean "Berlin"'),
            ({"fields": {"components": ["Wep"]}}, "fields.components", 'did you mean "Web"'),
            ({"severities": {"high": "Majr"}}, "severities.high", 'did you mean "Major"'),
            ({"issue_type": "Bgu"}, "issue_type", 'did you mean "Bug"'),
            ({"issue_types": {"visual": "Tsk"}}, "issue_types.visual", 'did you mean "Task"'),
            ({"assignee": "nobody@example.com"}, "assignee", "can be assigned"),
            ({"parent": "ED-99"}, "parent", "ED-99 is not there"),
        ],
    )
    async def test_check_finds_each_configured_value_that_does_not_exist(
        self, fake: FakeJira, changes: dict[str, Any], subject_of: str, words: str
    ) -> None:
        """Before a bug has to find out."""
        fake.screen += custom_fields()

        async with self.using(fake.url, **changes) as tracker:
            assert words in (await told(tracker))[subject_of]

    async def test_check_takes_what_exists_and_leaves_templates_alone(self, fake: FakeJira) -> None:
        """A template's value is known only with a bug."""
        fake.screen += custom_fields()
        fields = {"Severity": "{{ bug.severity }}", "Region": "Europe > Berlin", "components": ["Web"]}

        async with self.using(fake.url, fields=fields, assignee=self.somebody) as tracker:
            assert await told(tracker) == {}

    async def test_check_says_that_a_priority_is_off_the_screen(self, fake: FakeJira, subject: Any) -> None:
        """Every issue would be refused."""
        fake.screen = [one for one in fake.screen if one["fieldId"] != "priority"]

        assert "not on the create screen of Bug" in (await told(subject))["priorities.high"]

    async def test_check_says_which_rights_are_missing(self, fake: FakeJira, subject: Any) -> None:
        """And what will not work without."""
        fake.rights.remove("ADD_COMMENTS")
        assert "comments" in (await told(subject, Verdict.WARNING))["rights"]

        fake.rights.remove("CREATE_ISSUES")
        assert "may not create issues" in (await told(subject))["rights"]

    async def test_check_offers_the_project_that_was_meant(self, fake: FakeJira) -> None:
        """And looks at nothing further."""
        async with self.using(fake.url, project="EDD") as tracker:
            assert 'did you mean "ED"' in (await told(tracker))["project"]

    async def test_check_says_that_attachments_are_off(self, fake: FakeJira, subject: Any) -> None:
        """A warning: links still work."""
        fake.attachments_enabled = False

        assert 'attachments = "link"' in (await told(subject, Verdict.WARNING))["attachments"]

    async def test_check_says_that_labels_are_off_the_screen(self, fake: FakeJira, subject: Any) -> None:
        """A warning: issues are then recognised by their text and property."""
        fake.screen = [one for one in fake.screen if one["fieldId"] != "labels"]

        assert "put Labels on the screen" in (await told(subject, Verdict.WARNING))["labels"]

    # Settings and preview

    @pytest.mark.parametrize(
        "changes",
        [
            {"url": "jira.example.com"},
            {"url": "https://jira.example.com/browse/ED-1"},
            {"url": "https://bot:pw@jira.example.com"},
            {"project": 'ED" OR project != "'},
        ],
    )
    def test_settings_refuse_what_cannot_be_right(self, changes: dict[str, str]) -> None:
        """An address with a page or credentials in it; a project that would change the query."""
        with pytest.raises(ValidationError):
            self.tracker.settings_type.model_validate({**self.settings("http://127.0.0.1:9"), **changes})

    def test_account_tells_credentials_apart(self) -> None:
        """Trackers of one account share a rate limit."""
        one, two = self.make("http://127.0.0.1:9"), self.make("http://127.0.0.1:9", project="SHOP")
        other = self.make("http://127.0.0.1:9", token="quite-another-token")

        assert one.account == two.account != other.account

    async def test_preview_is_what_create_sends(self, fake: FakeJira, subject: Any, draft: Draft) -> None:
        """To the letter, once the create screen is known."""
        await subject.create(draft)

        assert subject.preview(draft) == fake.creates[0].json


def _file(folder: Path) -> AttachmentFile:
    path = folder / "abc.png"
    path.write_bytes(b"\x89PNG")
    return AttachmentFile(path=path, name="abc.png", type="image/png", size=4, url="https://files.test.io/abc.png")


__all__ = ["ANONYMOUS", "CAPTCHA", "Issue", "JiraBehaviour", "refusal", "sentence", "told"]
