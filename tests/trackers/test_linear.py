"""Linear under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

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
    TrackerError,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, Request, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins.linear import Linear, payload, priority_of, version_4
from tests.trackers.fake_linear import TOKEN, LinearServer, failure, missing, number

PAGE = Reply(403, body=b"<html>blocked</html>", headers={"Content-Type": "text/html"})


def limited(**headers: str) -> Reply:
    """Return Linear's rate limit: status 400."""
    reply = failure("Rate limit exceeded", "ratelimited", status=400)
    return Reply(400, json=reply.json, headers=headers)


def asking(operation: str) -> Any:
    """Return whether a request is this operation."""
    return lambda request: request.path == "/graphql" and f" {operation}" in request.json["query"]


def storing(request: Request) -> bool:
    return request.path.startswith("/storage/")


class TestLinear(TrackerConformance):
    tracker = Linear
    server = LinearServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            failure("Argument Validation Error", status=400),
            failure("labelIds not exclusive child labels"),
            failure("Entity not found: WorkflowState"),
            failure('Cannot query field "x" on type "Issue".', "graphql error", status=400),
        ],
        NotAllowed: [
            failure("Authentication required, not authenticated", "authentication error", status=401),
            failure("You don't have permission", "forbidden"),
            failure("limit", userPresentableMessage="You've exceeded the free issue limit for this workspace."),
        ],
        RateLimited: [limited(**{"Retry-After": "7"}), Reply(429, headers={"Retry-After": "9"})],
        InDoubt: [
            failure("Internal server error", "internal error"),
            failure("lock timeout", "lock timeout", status=400),
            Reply(502, body=b"<html>Bad gateway</html>"),
            Reply(200, json={"data": {"issueCreate": {"success": False, "issue": None}}}),
            Reply(200, json={"data": None}),
        ],
        Unavailable: [failure("Internal server error", "internal error"), Reply(503)],
        Gone: missing("Issue"),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "linear", "url": url, "team": "ENG", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, LinearServer)
        fake.finish(issue.id)
        return True

    async def test_a_full_draft_is_one_mutation_with_ids_for_names(self, fake: LinearServer) -> None:
        more = {"project": "webshop", "state": "Todo", "assignee": "Alice@acme.example", "parent": "ENG-7"}
        async with self.using(fake.url, fields={"estimate": 3}, **more) as subject:
            draft = sample_draft(subject, labels=("Bug",))
            issue = await subject.create(draft)

        sent = fake.creates[0].json["variables"]["input"]
        names = {"projectId": "Webshop", "stateId": "Todo", "assigneeId": "alice"}
        assert {name: sent[name] for name in names} == {name: number(value) for name, value in names.items()}
        assert sent["labelIds"] == [number("label Bug")]
        assert (sent["priority"], sent["parentId"], sent["estimate"]) == (2, "ENG-7", 3)
        assert issue.warnings == ()

    async def test_the_id_is_ours_in_version_4(self, fake: LinearServer, subject: Linear, draft: Draft) -> None:
        """Of no other version does Linear take it; nothing else of the marker's UUID changes."""
        issue = await subject.create(draft)

        assert UUID(issue.id).version == 4
        assert issue.id == version_4(draft.marker.uuid)
        assert (issue.key, issue.url) == ("ENG-431", "https://linear.app/acme/issue/ENG-431/checkout")

    async def test_a_create_after_a_lost_answer_returns_the_issue(
        self, fake: LinearServer, subject: Linear, draft: Draft
    ) -> None:
        """Linear refuses the id: an earlier attempt got through."""
        fake.inject(Fault(FaultKind.RESET_AFTER))
        with pytest.raises(InDoubt):
            await subject.create(draft)

        issue = await subject.create(draft)

        assert list(fake.issues) == [issue.id]

    async def test_an_issue_in_the_trash_is_told(self, fake: LinearServer, subject: Linear, draft: Draft) -> None:
        """Its id is taken, so no other can be made; to people it is done with."""
        issue = await subject.create(draft)
        fake.issues[issue.id]["trashed"] = True

        again = await subject.create(draft)

        assert again.warnings == ("the issue is in Linear's trash: restore it there",)
        state = await subject.state(issue)
        assert (state.done, state.name) == (True, "trashed")

    async def test_an_id_of_an_issue_that_cannot_be_seen_is_rejected(
        self, fake: LinearServer, subject: Linear, draft: Draft
    ) -> None:
        """Deleted for good, or moved to a private team."""
        await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, asking("IssueGet"), reply=missing("Issue")))

        with pytest.raises(Rejected, match="was deleted for good, or the key does not see it"):
            await subject.create(draft)

    async def test_a_duplicate_is_done(self, fake: LinearServer, subject: Linear, draft: Draft) -> None:
        """The state's type counts; its name is up to the team."""
        issue = await subject.create(draft)
        fake.finish(issue.id, "Duplicate")

        assert (await subject.state(issue)).done

    async def test_labels_that_are_missing_are_made_once(self, fake: LinearServer, subject: Linear) -> None:
        """Also by deliveries at the same time; upper and lower case are the same label."""
        await subject.create(sample_draft(subject, labels=("crowd", "bug")))
        await subject.create(sample_draft(subject, sample_bug(id=2), labels=("Crowd",)))

        made = [request for request in fake.requests if asking("LabelCreate")(request)]
        assert [request.json["variables"]["input"]["name"] for request in made] == ["crowd"]
        assert fake.creates[0].json["variables"]["input"]["labelIds"] == [
            number("label crowd"),
            number("label Bug"),
        ]

    async def test_a_label_that_another_made_meanwhile_is_used(self, fake: LinearServer, subject: Linear) -> None:
        await subject.names.labels.all()
        fake.add_label("crowd")

        issue = await subject.create(sample_draft(subject, labels=("crowd",)))

        assert fake.issues[issue.id]["labelIds"] == [number("label crowd")]
        assert issue.warnings == ()

    async def test_labels_that_cannot_be_made_do_not_cost_an_issue(
        self, fake: LinearServer, subject: Linear
    ) -> None:
        fake.refused_labels = True

        issue = await subject.create(sample_draft(subject, labels=("crowd", "Bug")))

        assert fake.issues[issue.id]["labelIds"] == [number("label Bug")]
        (warning,) = issue.warnings
        assert warning.startswith('label "crowd" does not exist and cannot be made: You do not have permission')

    async def test_of_a_group_only_one_label_is_sent(self, fake: LinearServer, subject: Linear) -> None:
        """Linear would refuse the issue. A label in a group has its name, `Group:Label` and `Group/Label`."""
        fake.add_label("Major", "Severity")
        fake.add_label("Minor", "Severity")

        issue = await subject.create(sample_draft(subject, labels=("severity:major", "Severity/Minor", "major")))

        assert fake.issues[issue.id]["labelIds"] == [number("label Major")]
        assert issue.warnings == (
            'label "Severity/Minor" is left out: an issue can have one of the group "Severity"',
        )

    async def test_groups_and_retired_labels_are_not_set(self, fake: LinearServer, subject: Linear) -> None:
        fake.add_label("Severity", isGroup=True)
        fake.add_label("old", retiredAt="2025-01-01T00:00:00.000Z")

        issue = await subject.create(sample_draft(subject, labels=("Severity", "old")))

        assert fake.issues[issue.id]["labelIds"] == []
        assert len(issue.warnings) == 2

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: LinearServer, subject: Linear, draft: Draft
    ) -> None:
        """Only the old severity gives way, whether it is in a group or not."""
        for name in ("Major", "Minor"):
            fake.add_label(name, "Severity")
        issue = await subject.create(draft.with_(labels=("test-io", "Severity:Minor", "area:cart")))
        fake.issues[issue.id]["labelIds"].append(fake.add_label("triaged"))

        changed = draft.with_(labels=("test-io", "severity:major", "area:pay"), only=frozenset({"labels"}))
        await subject.update(issue, changed)

        labels = [fake.labels[label]["name"] for label in fake.issues[issue.id]["labelIds"]]
        assert labels == ["test-io", "triaged", "Major", "area:pay"]

    async def test_an_update_does_not_undo_where_people_moved_the_issue(self, fake: LinearServer) -> None:
        """Project, state, and what only a new issue can have."""
        more = {"project": "Webshop", "state": "Todo", "fields": {"templateId": "t-1", "estimate": 3}}
        async with self.using(fake.url, **more) as subject:
            draft = sample_draft(subject, labels=())
            await subject.update(await subject.create(draft), draft)

        sent = fake.requests[-1].json["variables"]["input"]
        assert set(sent) == {"title", "description", "priority", "estimate"}

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: LinearServer, subject: Linear, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"issue_type"}))) == issue
        assert len(fake.requests) == before

    async def test_unknown_people_and_priorities_do_not_cost_an_issue(self, fake: LinearServer) -> None:
        """A person who left is unknown, too."""
        async with self.using(fake.url, assignee="carol", priorities={"high": "Blocker"}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'priority: Linear has no "Blocker"; it has no priority, urgent, high, medium, low',
            'assignee: there is no user "carol": left out',
        )

    @pytest.mark.parametrize(
        ("changes", "error", "told"),
        [
            (
                {"team": "Enginering"},
                NotAllowed,
                'there is no team "Enginering", or the key does not see it; did you mean "Engineering"?',
            ),
            ({"project": "Webshpo"}, Rejected, 'there is no project "Webshpo"; did you mean "Webshop"?'),
            ({"state": "Tdoo"}, Rejected, 'there is no state "Tdoo"; did you mean "Todo"?'),
        ],
    )
    async def test_a_place_that_does_not_exist_is_told_before_anything_is_made(
        self, fake: LinearServer, changes: dict[str, Any], error: type[TrackerError], told: str
    ) -> None:
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(error) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value) == told
        assert fake.creates == []

    async def test_lists_are_read_page_by_page(self, fake: LinearServer) -> None:
        fake.page = 1
        async with self.using(fake.url, team="Operations") as subject:
            assert isinstance(subject, Linear)
            assert await subject.names.teams.find("Operations") == number("OPS")
            assert await subject.names.people.find("bob") == number("bob")
            assert await subject.names.projects.find("Apps") == number("Apps")

    async def test_the_bug_is_among_the_issue_s_links(
        self, fake: LinearServer, subject: Linear, draft: Draft
    ) -> None:
        """Once, however often it is said; an address that is none is left out."""
        issue = await subject.create(draft)
        await subject.complete(issue, draft)
        await subject.complete(issue, draft)
        await subject.complete(issue, draft.with_(bug=sample_bug(link="javascript:alert(1)")))

        (link,) = fake.links.values()
        assert (link["url"], link["title"]) == ("https://app.test.io/bugs/12345", "test IO bug 12345")

    async def test_a_file_goes_to_the_storage_without_the_key(
        self, fake: LinearServer, subject: Linear, draft: Draft, tmp_path: Path
    ) -> None:
        """With every header that Linear named; then it is shown in a comment."""
        issue = await subject.create(draft)
        file = self.file(tmp_path, "[a]*b*.png", "image/png")

        await subject.attach(issue, file)

        put = next(request for request in fake.requests if storing(request))
        assert (put.method, put.body, put.headers["content-type"]) == ("PUT", b"\x89PNG", "image/png")
        assert "authorization" not in put.headers
        (comment,) = fake.comments.values()
        assert comment["body"] == "![\\[a\\]\\*b\\*.png](https://uploads.linear.app/storage/0)"

    async def test_what_is_no_picture_is_a_link(
        self, fake: LinearServer, subject: Linear, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)

        await subject.attach(issue, self.file(tmp_path, "console.log", "text/plain"))

        (comment,) = fake.comments.values()
        assert comment["body"] == "[console.log](https://uploads.linear.app/storage/0)"

    @pytest.mark.parametrize("operation", ["FileUpload", "storage", "CommentCreate"])
    @pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
    async def test_a_file_is_shown_once_whatever_broke_at_the_first_attempt(
        self, fake: LinearServer, subject: Linear, draft: Draft, tmp_path: Path, operation: str, kind: FaultKind
    ) -> None:
        """The comment's id is the file's."""
        issue, file = await subject.create(draft), self.file(tmp_path, "a.png", "image/png")
        fake.inject(Fault(kind, storing if operation == "storage" else asking(operation)))

        with pytest.raises(Unavailable):
            await subject.attach(issue, file)
        await subject.attach(issue, file)

        assert len(fake.comments) == 1
        assert len(fake.issues) == 1

    @pytest.mark.parametrize(
        ("reply", "error"),
        [(PAGE, Unavailable), (Reply(404), Unavailable), (Reply(413), Rejected), (Reply(503), Unavailable)],
    )
    async def test_a_refusal_of_the_storage_says_nothing_of_key_and_issue(
        self,
        fake: LinearServer,
        subject: Linear,
        draft: Draft,
        tmp_path: Path,
        reply: Reply,
        error: type[TrackerError],
    ) -> None:
        """Its addresses are valid for a short time: the next attempt asks for a new one."""
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, storing, reply=reply))

        with pytest.raises(error) as caught:
            await subject.attach(issue, self.file(tmp_path, "a.png", "image/png"))

        assert type(caught.value) is error

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "7", "X-RateLimit-Requests-Reset": "1767603610000"}, 7),
            ({"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": "1767603610000",
              "X-RateLimit-Complexity-Remaining": "9", "X-RateLimit-Complexity-Reset": "1767603990000"}, 10),
            ({"X-RateLimit-Requests-Reset": "1767603610000", "X-RateLimit-Complexity-Reset": "1767603660000"}, 60),
            ({"X-RateLimit-Requests-Reset": "1"}, 0),
            ({"X-RateLimit-Requests-Reset": "9" * 30}, 30 * 86400),
        ],
    )  # fmt: skip
    async def test_a_rate_limit_lasts_until_the_used_up_budget_is_full(
        self, fake: LinearServer, subject: Linear, draft: Draft, headers: dict[str, str], seconds: int
    ) -> None:
        """Status 400; the moment is in milliseconds. 1767603600 is the moment of the tests."""
        fake.inject(Fault(FaultKind.REFUSE, reply=limited(**headers)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=seconds)

    async def test_a_refusal_is_told_in_linear_s_words_per_field(
        self, fake: LinearServer, subject: Linear, draft: Draft
    ) -> None:
        with pytest.raises(Rejected) as caught:
            await subject.create(draft.with_(title="x" * 256))

        assert str(caught.value) == "Argument Validation Error (HTTP 400): title: title must be shorter"

    @pytest.mark.parametrize("errors", [["odd"], [{}], [{"message": None, "extensions": None}]])
    async def test_odd_errors_are_refusals_too(
        self, fake: LinearServer, subject: Linear, draft: Draft, errors: Any
    ) -> None:
        fake.inject(Fault(FaultKind.REFUSE, reply=Reply(200, json={"errors": errors})))

        with pytest.raises(Rejected, match="did not say why"):
            await subject.create(draft)

    async def test_an_address_that_is_not_linear_s_pauses_the_tracker(self, fake: LinearServer) -> None:
        async with self.using(f"{fake.url}/elsewhere") as subject:
            with pytest.raises(NotAllowed, match="is not Linear's API"):
                await subject.create(sample_draft(subject))

    async def test_an_oauth_token_is_sent_as_a_bearer(self, fake: LinearServer) -> None:
        """A key must not be: Linear takes that for a malformed request."""
        fake.token = "Bearer oauth-token"
        async with self.using(fake.url, token="oauth-token") as subject:
            assert (await subject.check()).ok

    async def found(self, fake: LinearServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_teams_with_a_similar_name(self, fake: LinearServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, team="Enginering")

        assert (verdict, subject) == (Verdict.ERROR, "team")
        assert (
            told
            == 'there is no team "Enginering" in Acme, or the key does not see it > did you mean "Engineering"?'
        )

    async def test_the_doctor_looks_at_every_configured_value(self, fake: LinearServer) -> None:
        fake.add_label("test-io")
        found = await self.found(
            fake,
            labels=["test-oi", "brand-new", "severity:{{ bug.severity }}"],
            assignee="alcie",
            project="Webshpo",
            state="Tdoo",
            priorities={"high": "hihg", "low": "{{ bug.priority }}"},
            severities={"high": "S1"},
            issue_type="Bug",
            fields={"dueDate": "2026-12-24", "duedate": "2026-12-24"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "labels", 'did you mean "test-io"?'),
            (Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            (Verdict.ERROR, "project", 'did you mean "Webshop"?'),
            (Verdict.ERROR, "state", 'did you mean "Todo"?'),
            (Verdict.WARNING, "priorities.high", 'did you mean "high"?'),
            (Verdict.WARNING, "severities", 'use labels, such as "severity:{{ bug.severity }}" or `kind_labels`'),
            (Verdict.WARNING, "issue_type", 'use labels, such as "severity:{{ bug.severity }}" or `kind_labels`'),
            (Verdict.ERROR, "fields.duedate", 'did you mean "dueDate"?'),
        ]

    def file(self, folder: Path, name: str, kind: str) -> AttachmentFile:
        """Return a fetched attachment."""
        path = folder / "spooled"
        path.write_bytes(b"\x89PNG")
        return AttachmentFile(path=path, name=name, type=kind, size=4, url=f"https://files.test.io/{name}")


def tracker(**changes: Any) -> Linear:
    """Return a tracker that talks to nobody."""
    table = TestLinear().settings("http://127.0.0.1:9") | changes
    return Linear("eng", Linear.settings_type.model_validate(table))


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"url": "linear.app"}, "is no address"), ({"team": ""}, "at least 1 character")],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_settings_take_what_people_write() -> None:
    assert tracker(url="https://api.linear.app/graphql").settings.url == "https://api.linear.app"


def test_trackers_with_one_key_share_an_account() -> None:
    """Rate limits are per user, whatever the team."""
    one, other, stranger = tracker(), tracker(team="OPS"), tracker(token="lin_api_other")

    assert one.account == other.account != stranger.account


@pytest.mark.parametrize(
    ("word", "value"), [("Urgent", 1), ("no priority", 0), ("4", 4), ("Blocker", None), ("", None)]
)
def test_priorities_are_numbers(word: str, value: int | None) -> None:
    assert priority_of(word) == value


def test_the_mapping_needs_no_network() -> None:
    """What is empty is not sent; 0, "no priority", is."""
    draft = sample_draft(tracker(), labels=("a  b", "A b"), priority="No priority")

    sent = payload(draft)

    assert (sent["labelIds"], sent["priority"]) == (["A b"], 0)
    assert set(sent) == {"title", "description", "labelIds", "priority"}


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/linear.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "linear.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["web"]

    assert Linear.settings_type.model_validate(table).type == "linear"
