"""GitLab under the conformance suite, and what is special about it."""

from __future__ import annotations

import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import (
    AttachmentFile,
    Body,
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
from bridge.testing.samples import sample_comment
from bridge_plugins.gitlab import GitLab, payload
from tests.trackers.fake_gitlab import GUEST, TOKEN, GitLabServer

LIMITED = {"message": {"error": "This endpoint has been requested too many times. Try again later."}}
BAD_TITLE = {"message": {"title": ["can't be blank", "is odd"]}}
LOCK = Reply(409, json={"message": "409 Conflict: Resource lock"})
SPAM = {"message": {"base": ["Your issue has been recognized as spam."]}, "needs_captcha_response": True}


def once(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestGitLab(TrackerConformance):
    tracker = GitLab
    server = GitLabServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            Reply(400, json=BAD_TITLE),
            Reply(400, json={"error": "title is missing"}),
            Reply(409, json=SPAM),
            Reply(422, json={"message": ["is odd"]}),
        ],
        NotAllowed: [
            Reply(401, json={"error": "invalid_token", "error_description": "Token is expired."}),
            Reply(403, json={"error": "insufficient_scope", "scope": "api"}),
            Reply(403, json={"message": "403 Forbidden"}),
        ],
        RateLimited: [
            Reply(429, json=LIMITED, headers={"Retry-After": "7"}),
            Reply(429, body=b"Retry later\n", headers={"Retry-After": "42", "Content-Type": "text/plain"}),
        ],
        InDoubt: [
            Reply(502, body=b"<html>GitLab is not responding</html>", headers={"Content-Type": "text/html"}),
            Reply(500, json={"message": "500 Internal Server Error"}),
            Reply(520, body=b""),
            LOCK,
        ],
        Unavailable: [Reply(503, body=b""), LOCK],
        Gone: [Reply(404, json={"message": "404 Not found"}), Reply(404, json={"message": "404 Issue Not Found"})],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "gitlab", "url": f"{url}/gitlab", "project": "acme/shop", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, GitLabServer)
        fake.close_issue(int(issue.id))
        return True

    async def test_a_full_draft_is_one_post_with_ids_for_names(self, fake: GitLabServer) -> None:
        """People, milestone and epic; `fields` has the last word."""
        more: dict[str, Any] = {
            "assignee": "@alice",
            "milestone": "sprint 7",
            "confidential": True,
            "parent": "12",
        }
        async with self.using(fake.url, fields={"weight": 3}, **more) as subject:
            issue = await subject.create(sample_draft(subject, issue_type="issue"))

        sent = fake.creates[0].json
        assert (sent["assignee_ids"], sent["milestone_id"], sent["epic_id"]) == ([31], 7, 12)
        assert (sent["confidential"], sent["weight"], sent["issue_type"]) == (True, 3, "issue")
        assert sent["labels"] == ["test-io", "severity::high"]
        assert issue.warnings == ()

    async def test_the_issue_is_addressed_by_its_number_in_the_project(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """`iid`, not `id`; the page is the one that GitLab names."""
        issue = await subject.create(draft)

        assert (issue.id, issue.key) == ("1", "acme/shop#1")
        assert issue.url == f"{fake.address}/acme/shop/-/issues/1"

    async def test_what_was_dropped_in_silence_is_a_warning(self, fake: GitLabServer) -> None:
        """A Guest's labels, people and milestone vanish without an error."""
        fake.role = GUEST
        async with self.using(fake.url, assignee="alice", milestone="Sprint 7") as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(":")[0] for warning in issue.warnings] == ["labels", "assignee_ids", "milestone_id"]

    async def test_a_second_assignee_that_the_free_tier_drops_is_a_warning(self, fake: GitLabServer) -> None:
        async with self.using(fake.url, assignee="alice, bob") as subject:
            issue = await subject.create(sample_draft(subject))

        assert len(issue.warnings) == 1
        assert issue.warnings[0].startswith('assignee_ids: GitLab dropped "32"')

    async def test_unknown_names_do_not_cost_an_issue(self, fake: GitLabServer) -> None:
        async with self.using(fake.url, assignee="carol", milestone="Sprint 8") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ('milestone: "Sprint 8" does not exist', 'assignee: there is no user "carol"')
        assert {"assignee_ids", "milestone_id"} & fake.creates[0].json.keys() == set()

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """Only the old severity gives way to the new one, on every tier."""
        issue = await subject.create(draft.with_(labels=("test-io", "severity::low")))
        fake.issues[1]["labels"].append("triaged")

        await subject.update(issue, draft.with_(only=frozenset({"labels"})))

        assert fake.issues[1]["labels"] == ["test-io", "severity::high", "triaged"]

    async def test_an_update_of_nothing_that_gitlab_has_sends_nothing(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """GitLab refuses an update without any field."""
        issue = await subject.create(draft)

        assert await subject.update(issue, draft.with_(only=frozenset({"priority"}))) == issue
        assert len(fake.requests) == 1

    async def test_find_reads_every_page(self, fake: GitLabServer, subject: GitLab, draft: Draft) -> None:
        """Newest first; text search would take the marker apart."""
        issue = await subject.create(draft)
        for iid in range(2, 252):
            moment = f"2026-01-05T10:{iid // 60:02}:{iid % 60:02}.000+00:00"
            fake.issues[iid] = fake.issues[1] | {"iid": iid, "description": "other", "created_at": moment}
        before = len(fake.requests)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id
        assert len(fake.requests) - before == 3
        assert "search" not in fake.requests[-1].query

    async def test_a_file_is_uploaded_and_shown_in_a_note(
        self, fake: GitLabServer, subject: GitLab, draft: Draft, tmp_path: Path
    ) -> None:
        """GitLab binds no file to an issue."""
        issue = await subject.create(draft)
        path = tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        url = "https://files.test.io/attachments/abc.png"

        await subject.attach(issue, AttachmentFile(path=path, name="abc.png", type="image/png", size=4, url=url))

        assert fake.notes[1] == ["![abc.png](/uploads/66dbcd21ec5d24ed6ea225176098d52b/abc.png)"]
        upload = next(request for request in fake.requests if request.path.endswith("/uploads"))
        assert (upload.files[0].name, upload.files[0].type) == ("abc.png", "image/png")

    async def test_a_file_above_the_instance_s_limit_is_rejected(
        self, fake: GitLabServer, subject: GitLab, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        path = tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        fake.inject(once(Reply(413, body=b"<html>413 Request Entity Too Large</html>"), When.ANY))

        with pytest.raises(Rejected):
            await subject.attach(issue, AttachmentFile(path=path, name="a", type="image/png", size=4, url=""))

    async def test_commands_in_a_tester_s_text_do_nothing(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """`/close` at the start of a line would be executed and removed, also through the API."""
        bug = sample_bug(description="/close\n\n/assign @alice", steps=("/label ~x", "  /confidential"))

        await subject.create(sample_draft(subject, bug))
        await subject.comment(Issue(id="1", key="", url=""), sample_comment(subject, "/close\n/reopen"))

        texts = [fake.issues[1]["description"], *fake.notes[1]]
        assert [
            line for text in texts for line in text.splitlines() if line.lstrip(" 1234567890.-").startswith("/")
        ] == []

    async def test_a_comment_that_was_taken_for_commands_is_rejected(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """202, and nothing to be seen."""
        issue = await subject.create(draft)

        with pytest.raises(Rejected, match="quick actions"):
            await subject.comment(issue, Body(Markup.GFM, "/close"))

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (
                Reply(404, json={"message": "404 Project Not Found"}),
                "acme/shop does not exist or the token has no",
            ),
            (
                Reply(405, json={"message": "Non GET methods are not allowed for moved projects"}),
                "acme/shop was moved",
            ),
            (Reply(301, headers={"Location": "/gitlab/api/v4/projects/4/issues"}), "acme/shop was moved"),
            (Reply(302, headers={"Location": "/gitlab/api/v4/user"}), "`url` is not GitLab's own address"),
            (
                Reply(302, headers={"Location": "https://sso.example/in?back=1"}),
                "redirects to https://sso.example:",
            ),
            (Reply(403, json={"error": "insufficient_scope", "error_description": "needs api"}), "needs api"),
        ],
    )
    async def test_a_project_that_cannot_be_used_pauses_the_tracker(
        self, fake: GitLabServer, subject: GitLab, draft: Draft, reply: Reply, told: str
    ) -> None:
        """Every delivery would end like this one: they wait until a person corrected it."""
        fake.inject(once(reply))

        with pytest.raises(NotAllowed) as caught:
            await subject.create(draft)

        assert told in str(caught.value)
        assert len(fake.creates) == 1

    async def test_comments_on_an_issue_of_a_lost_project_pause_the_tracker(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """The issue is not gone: a new one could not be made either."""
        issue = await subject.create(draft)
        fake.inject(once(Reply(404, json={"message": "404 Project Not Found"}), When.ANY))

        with pytest.raises(NotAllowed):
            await subject.comment(issue, sample_comment(subject))

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (Reply(400, json=BAD_TITLE), "GitLab refused it (HTTP 400): title: can't be blank, is odd"),
            (Reply(400, json={"error": "title is missing"}), "title is missing (HTTP 400)"),
            (Reply(422, json={"message": ["is odd", "is long"]}), "is odd, is long (HTTP 422)"),
            (Reply(409, json={"message": "Spam", "spam_log_id": 3}), "GitLab takes it for spam: Spam (HTTP 409)"),
            (Reply(400, body=b"Bad Request"), "Bad Request (HTTP 400)"),
        ],
    )
    async def test_every_shape_of_an_error_is_read(
        self, fake: GitLabServer, subject: GitLab, draft: Draft, reply: Reply, told: str
    ) -> None:
        fake.inject(once(reply))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == told

    async def test_a_rate_limit_is_waited_out_by_us_not_by_the_sdk(
        self, fake: GitLabServer, subject: GitLab, draft: Draft
    ) -> None:
        """python-gitlab would sleep as long as it is told, up to ten times, and post again."""
        fake.inject(once(Reply(429, json=LIMITED, headers={"Retry-After": "3600"})))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(hours=1)
        assert len(fake.creates) == 1

    async def test_without_the_sdk_it_says_what_to_install(
        self, subject: GitLab, draft: Draft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "gitlab", None)

        with pytest.raises(NotAllowed, match=r"tracker-bridge\[gitlab\]"):
            await subject.create(draft)

    async def found(self, fake: GitLabServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_projects_with_a_similar_name(self, fake: GitLabServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, project="acme/shpo")

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert told == 'acme/shpo does not exist, or the token has no access to it > did you mean "acme/shop"?'

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"path_with_namespace": "acme/store"}, 'acme/shop is now acme/store > set project = "acme/store"'),
            ({"archived": True}, "acme/shop is archived: nothing can be added > unarchive it"),
            ({"issues_access_level": "disabled"}, "acme/shop has no issues > turn them on under"),
        ],
    )
    async def test_the_doctor_finds_what_is_wrong_with_the_project(
        self, fake: GitLabServer, changes: dict[str, Any], told: str
    ) -> None:
        fake.project = changes

        ((verdict, subject, words),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert words.startswith(told)

    async def test_the_doctor_warns_of_a_role_that_is_too_low(self, fake: GitLabServer) -> None:
        fake.role = GUEST

        told = "the token has the role Guest in acme/shop: labels, assignee and milestone are dropped in silence"
        assert await self.found(fake) == [
            (Verdict.WARNING, "role", f"{told} > give it the role Planner or Reporter")
        ]

    async def test_the_doctor_reads_what_a_token_tells_of_itself(self, fake: GitLabServer) -> None:
        fake.token = {"scopes": ["read_api"], "expires_at": "2026-01-10"}

        scopes, expiry = await self.found(fake)

        assert scopes == (Verdict.ERROR, "token", 'its scopes are read_api > make one with the scope "api"')
        assert expiry == (Verdict.WARNING, "token", "it expires on 10 January 2026 > rotate it, or make a new one")

    async def test_the_doctor_is_content_with_a_token_that_tells_nothing(self, fake: GitLabServer) -> None:
        fake.token = None

        assert await self.found(fake) == []

    async def test_the_doctor_looks_at_every_configured_value(self, fake: GitLabServer) -> None:
        """A template cannot be looked at; a new label is made by GitLab, unless it looks like a slip."""
        found = await self.found(
            fake,
            labels=["test-oi", "brand-new", "severity::{{ bug.severity }}"],
            assignee="alcie",
            milestone="Sprint 77",
            issue_type="issue",
            issue_types={"test_case": "test-case"},
            severities={"high": "S1"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "labels", 'did you mean "test-io"?'),
            (Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            (Verdict.WARNING, "milestone", 'did you mean "Sprint 7"?'),
            (Verdict.ERROR, "issue_types.test_case", 'did you mean "test_case"?'),
            (Verdict.WARNING, "severities", 'use labels such as "priority::high"'),
        ]


def tracker(**changes: Any) -> GitLab:
    """Return a tracker that talks to nobody."""
    table = TestGitLab().settings("http://127.0.0.1:9") | changes
    return GitLab("shop", GitLab.settings_type.model_validate(table))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"project": "shop"}, 'write its id, or its path as in its address, "group/project"'),
        ({"project": "https://gitlab.com/acme/shop"}, "is no project"),
        ({"url": "gitlab.example"}, 'is no address: write it like "https://gitlab.com"'),
    ],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_settings_take_what_people_write() -> None:
    """The id as a number, a slash too many, the API's own address."""
    assert tracker(project=42).project == "/projects/42"
    assert tracker(project="/acme/web/shop/").project == "/projects/acme%2Fweb%2Fshop"
    assert tracker(url="https://git.acme.example/gitlab/api/v4/").settings.url == "https://git.acme.example/gitlab"


def test_trackers_with_one_token_share_an_account() -> None:
    """Rate limits are per user, whatever the project."""
    one, other, stranger = tracker(), tracker(project="acme/other"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    """A comma would make two labels of one."""
    subject = tracker()
    draft = sample_draft(subject, labels=("mobile, ios", "Test-IO", "test-io"))

    sent = payload(draft, subject.settings)

    assert sent["labels"] == ["mobile ios", "test-io"]
    assert set(sent) == {"title", "description", "labels"}


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/gitlab.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "gitlab.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert GitLab.settings_type.model_validate(table).type == "gitlab"
