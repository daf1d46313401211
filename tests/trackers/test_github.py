"""GitHub under the conformance suite, and what is special about it."""

from __future__ import annotations

import sys
import tomllib
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from bridge import Gone, Issue, NotAllowed, RateLimited, Rejected, Verdict
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import SINCE, sample_comment, sample_marker
from bridge_plugins.github import GitHub, payload
from tests.trackers.fake_github import APP_TOKEN, PREFIX, TOKEN, GitHubServer


def words(status: int, message: str, errors: Any = None, **headers: str) -> Reply:
    """Return one of GitHub's refusals."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json={"message": message} | ({"errors": errors} if errors else {}), headers=named)


TITLE = [{"resource": "Issue", "field": "title", "code": "missing_field"}]


def app(key: str) -> dict[str, Any]:
    """Return the settings of a GitHub App."""
    return {"token": None, "app_id": 12, "private_key": key, "installation_id": 34}


@lru_cache
def private_key() -> str:
    """Return an App's private key; making one takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


class TestGitHub(TrackerConformance):
    tracker = GitHub
    server = GitHubServer
    secret = TOKEN
    lacks: ClassVar = {"attach": "GitHub has no upload for issues; the body links to the files"}
    refusals: ClassVar = {
        Rejected: [words(422, "Validation Failed", TITLE), words(400, "Problems parsing JSON")],
        NotAllowed: [
            words(401, "Bad credentials"),
            words(403, "Resource not accessible by personal access token"),
            words(403, "Repository was archived so is read-only."),
        ],
        RateLimited: [
            words(403, "You have exceeded a secondary rate limit.", Retry_After="7"),
            words(429, "You have exceeded a secondary rate limit.", Retry_After="7"),
            words(403, "API rate limit exceeded for user ID 1.", x_ratelimit_remaining="0"),
        ],
        Gone: [words(404, "Not Found"), words(410, "This issue was deleted")],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "github", "url": f"{url}{PREFIX}", "repository": "acme/shop", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, GitHubServer)
        fake.close_issue(int(issue.id))
        return True

    async def test_a_full_draft_is_one_post(self, fake: GitHubServer) -> None:
        """Type, people and the milestone's number go with it; `fields` has the last word."""
        fields = {"issue_field_values": [{"field_id": 7, "value": "Critical"}]}
        async with self.using(
            fake.url, milestone="sprint 7", assignee="@octocat, crowd-bot", fields=fields
        ) as subject:
            issue = await subject.create(sample_draft(subject, issue_type="Bug"))

        sent = fake.creates[0].json
        assert (sent["milestone"], sent["assignees"], sent["type"]) == (3, ["octocat", "crowd-bot"], "Bug")
        assert sent["labels"] == ["test-io", "severity:high"]
        assert sent["issue_field_values"] == fields["issue_field_values"]
        assert issue.warnings == ()

    async def test_what_was_dropped_in_silence_is_a_warning(self, fake: GitHubServer) -> None:
        """Without Triage rights GitHub says 201 and leaves out labels, people, type and milestone."""
        fake.may_push = False
        async with self.using(fake.url, milestone="Sprint 7", assignee="octocat") as subject:
            issue = await subject.create(sample_draft(subject, issue_type="Bug"))

        assert [warning.split(":")[0] for warning in issue.warnings] == [
            "labels",
            "assignees",
            "type",
            "milestone",
        ]
        assert '"test-io", "severity:high"' in issue.warnings[0]

    async def test_people_who_left_do_not_cost_an_issue(self, fake: GitHubServer) -> None:
        """GitHub refuses the whole issue for an unknown login: it is made without, and says so."""
        async with self.using(fake.url, assignee="left-the-company") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

        assert fake.markers() == [draft.marker.text]
        assert issue.warnings == ("assignees: GitHub refused ['left-the-company']",)

    async def test_an_unknown_milestone_does_not_cost_an_issue(self, fake: GitHubServer) -> None:
        async with self.using(fake.url, milestone="Sprint 8") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ('milestone: "Sprint 8" does not exist in acme/shop',)

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: GitHubServer, subject: GitHub, draft: Draft
    ) -> None:
        """Only the old severity gives way to the new one."""
        issue = await subject.create(draft.with_(labels=("test-io", "severity:low")))
        fake.issues[1]["labels"].append(
            {"id": 2, "name": "triaged"} | fake.issues[1]["labels"][0] | {"name": "triaged"}
        )

        await subject.update(issue, draft.with_(only=frozenset({"labels"})))

        labels = [label["name"] for label in fake.issues[1]["labels"]]
        assert labels == ["test-io", "severity:high", "triaged"]

    async def test_find_reads_every_page_and_passes_over_pull_requests(
        self, fake: GitHubServer, subject: GitHub, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        for number in range(2, 252):
            body = draft.body.text if number == 200 else "other"
            fake.issues[number] = fake.issues[1] | {"number": number, "body": body}
            fake.issues[number]["created_at"] = f"2026-01-05T10:{number // 60:02}:{number % 60:02}Z"
        fake.issues[200]["pull_request"] = dict.fromkeys(
            ("diff_url", "html_url", "patch_url", "url"), "https://x.example"
        )

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id

    async def test_find_stops_at_issues_from_before_the_first_attempt(
        self, fake: GitHubServer, subject: GitHub, draft: Draft
    ) -> None:
        """A busy repository has thousands of old issues that changed lately."""
        await subject.create(draft)
        for number in range(1, 400):
            fake.issues[number] = fake.issues[1] | {"number": number, "created_at": "2020-01-01T00:00:00Z"}
            fake.issues[number]["body"] = "other"
        before = len(fake.requests)

        assert await subject.find(draft.marker) is None
        assert len(fake.requests) - before == 1

    async def test_an_update_of_nothing_that_github_has_sends_nothing(
        self, fake: GitHubServer, subject: GitHub, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        assert await subject.update(issue, draft.with_(only=frozenset({"priority"}))) == issue
        assert len(fake.requests) == 1

    async def test_state_tells_why_an_issue_was_closed(
        self, fake: GitHubServer, subject: GitHub, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.close_issue(1, "not_planned")

        state = await subject.state(issue)

        assert (state.done, state.name) == (True, "not_planned")

    @pytest.mark.parametrize(
        ("reply", "seconds"),
        [
            (words(403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="RESET"), 91),
            (words(429, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="RESET"), 91),
            (words(403, "You have exceeded a secondary rate limit", x_ratelimit_remaining="4711"), 60),
            (words(429, "Too many requests"), 60),
            (
                words(422, "Validation Failed", [{"field": "body", "message": "body was submitted too quickly"}]),
                60,
            ),
        ],
    )
    async def test_rate_limits_say_how_long(
        self, fake: GitHubServer, subject: GitHub, draft: Draft, reply: Reply, seconds: int
    ) -> None:
        """Until the quota is back; a minute where GitHub does not say."""
        reset = str(int(SINCE.timestamp()) + 90)
        headers = {name: text.replace("RESET", reset) for name, text in reply.headers.items()}
        fake.inject(Fault(FaultKind.REFUSE, reply=Reply(reply.status, reply.json, headers=headers)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (words(404, "Not Found"), "acme/shop does not exist or the token has no access to it"),
            (
                words(410, "Issues has been disabled in this repository."),
                "Turn them on in the settings of acme/shop",
            ),
            (
                words(307, "Moved", Location="https://x.example/repositories/1/issues?a=b"),
                "/repositories/1/issues: correct",
            ),
            (words(301, "Moved", Location="http://new.example/api/v3/x"), "correct your Github server URL"),
        ],
    )
    async def test_a_repository_that_cannot_be_used_pauses_the_tracker(
        self, fake: GitHubServer, subject: GitHub, draft: Draft, reply: Reply, told: str
    ) -> None:
        """Every delivery would end like this one: they wait until a person corrected it."""
        fake.inject(Fault(FaultKind.REFUSE, reply=reply))

        with pytest.raises(NotAllowed) as caught:
            await subject.create(draft)

        assert told in str(caught.value)
        assert len(fake.creates) == 1

    @pytest.mark.parametrize(
        "reply",
        [
            words(403, "Unable to create comment because issue is locked."),
            words(307, "Moved Permanently", Location="https://x.example/repositories/2/issues/9/comments"),
        ],
    )
    async def test_one_locked_or_moved_issue_does_not_pause_the_tracker(
        self, fake: GitHubServer, subject: GitHub, draft: Draft, reply: Reply
    ) -> None:
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, When.ANY, reply=reply))

        with pytest.raises(Rejected):
            await subject.comment(issue, sample_comment(subject))

    async def test_a_refusal_names_the_fields(self, fake: GitHubServer, subject: GitHub, draft: Draft) -> None:
        with pytest.raises(Rejected) as caught:
            await subject.create(draft.with_(title="x" * 300))

        assert caught.value.fields == {"title": "invalid"}
        assert str(caught.value) == "Validation Failed (HTTP 422): title: invalid"

    async def test_every_request_pins_the_version_of_the_api(
        self, fake: GitHubServer, subject: GitHub, draft: Draft
    ) -> None:
        await subject.create(draft)

        assert {request.headers["x-github-api-version"] for request in fake.requests} == {"2022-11-28"}

    async def test_an_app_uses_its_installation_token(self, fake: GitHubServer) -> None:
        """Signed with the private key, fetched once, and never shown."""
        async with self.using(fake.url, concurrency=1, **app(private_key())) as subject:
            report = await subject.check()
            await subject.create(sample_draft(subject))

        assert report.ok
        assert fake.creates[0].headers["authorization"] == f"token {APP_TOKEN}"
        asked = [request.path for request in fake.requests if "/app/" in request.path]
        assert asked == [f"{PREFIX}/app/installations/34/access_tokens"]

    async def test_an_app_without_access_is_told_apart_from_a_missing_repository(self, fake: GitHubServer) -> None:
        async with self.using(fake.url, **app(private_key())) as subject:
            fake.inject(Fault(FaultKind.REFUSE, When.ANY, reply=words(404, "Integration not found")))
            with pytest.raises(NotAllowed, match=r"correct `app_id`, .* \(GitHub: Integration not found\)"):
                await subject.create(sample_draft(subject))

        assert fake.creates == []

    async def test_a_key_that_is_none_is_said_without_showing_it(self, fake: GitHubServer) -> None:
        async with self.using(fake.url, **app("-----BEGIN NONSENSE-----")) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value) == "`private_key` is not the PEM file that GitHub made for the App"

    async def test_without_the_sdk_it_says_what_to_install(
        self, subject: GitHub, draft: Draft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "github", None)

        with pytest.raises(NotAllowed, match=r"tracker-bridge\[github\]"):
            await subject.create(draft)

    async def found(self, fake: GitHubServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_repositories_with_a_similar_name(self, fake: GitHubServer) -> None:
        found = await self.found(fake, repository="acme/shpo")

        words = "acme/shpo does not exist, or the token has no access to it"
        assert found == [(Verdict.ERROR, "repository", f'{words} > did you mean "acme/shop"?')]

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"full_name": "acme/store"}, 'acme/shop is now acme/store > set repository = "acme/store"'),
            ({"archived": True}, "acme/shop is archived: nothing can be added > unarchive it"),
            ({"has_issues": False}, "acme/shop has no issues > turn them on in its settings"),
        ],
    )
    async def test_the_doctor_finds_what_is_wrong_with_the_repository(
        self, fake: GitHubServer, changes: dict[str, Any], told: str
    ) -> None:
        fake.repository = changes

        assert await self.found(fake) == [(Verdict.ERROR, "repository", told)]

    async def test_the_doctor_warns_of_missing_rights(self, fake: GitHubServer) -> None:
        fake.may_push = False

        ((verdict, subject, told),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.WARNING, "rights")
        assert told.startswith("labels, assignee, type and milestone will be dropped in silence")

    async def test_the_doctor_looks_at_every_configured_value(self, fake: GitHubServer) -> None:
        """A template cannot be looked at; a new label is made by GitHub, unless it looks like a slip."""
        found = await self.found(
            fake,
            labels=["test-oi", "brand-new", "severity:{{ bug.severity }}"],
            kind_labels={"visual": "Bug"},
            assignee="octocta, {{ bug.priority }}",
            milestone="Sprint 77",
            issue_type="Bug",
            issue_types={"suggestion": "Featrue"},
            priorities={"high": "P1"},
        )

        assert [(subject, told.partition(" > ")[2]) for _, subject, told in found] == [
            ("labels", 'did you mean "test-io"?'),
            ("assignee", 'did you mean "octocat"?'),
            ("milestone", 'did you mean "Sprint 7"?'),
            ("issue_types.suggestion", 'did you mean "Feature"?'),
            ("priorities", "use labels, or `fields.issue_field_values` for an organisation's own fields"),
        ]
        assert {verdict for verdict, _, _ in found} == {Verdict.WARNING}

    async def test_the_doctor_reads_what_a_token_tells_of_itself(self, fake: GitHubServer) -> None:
        """Scopes of a classic token, and the day on which it expires."""
        fake.headers = {
            "X-OAuth-Scopes": "gist, read:org",
            "GitHub-Authentication-Token-Expiration": "2026-01-10 08:00:00 UTC",
        }

        (scopes, expiry) = await self.found(fake)

        assert scopes[:2] == (Verdict.ERROR, "token")
        assert scopes[2].startswith('the token\'s scopes are gist, read:org > give it "repo"')
        assert expiry[0] is Verdict.WARNING
        assert expiry[2].startswith("it expires on 10 January 2026 > make a new one")


def settings_errors(**changes: Any) -> str:
    """Return what is wrong with settings, in words."""
    table = TestGitHub().settings("http://127.0.0.1:9") | changes
    with pytest.raises(ValidationError) as caught:
        GitHub.settings_type.model_validate(table)
    return "; ".join(error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"repository": "shop"}, 'write it as in its address, "owner/name"'),
        ({"repository": "https://github.com/acme/shop"}, 'write it as in its address, "owner/name"'),
        ({"url": "https://github.com/acme"}, 'the API is at "https://api.github.com"'),
        ({"url": "https://git.acme.example"}, 'it is at "https://git.acme.example/api/v3"'),
        ({"url": "git.acme.example/api/v3"}, "is no address"),
        ({"token": None}, "set either token, or app_id, private_key and installation_id"),
        ({"app_id": 1}, "set either token, or app_id"),
        ({"token": None, "app_id": 1}, "a GitHub App needs all of app_id, private_key and installation_id"),
    ],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    assert told in settings_errors(**changes)


def tracker(**changes: Any) -> GitHub:
    """Return a tracker that talks to nobody."""
    table = TestGitHub().settings("http://127.0.0.1:9") | changes
    return GitHub("shop", GitHub.settings_type.model_validate(table))


def test_trackers_with_one_token_share_an_account() -> None:
    """Rate limits are per token, whatever the repository."""
    one, other, stranger = tracker(), tracker(repository="acme/other"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    """Labels fit GitHub's 50 characters and are there once; `fields` has the last word."""
    subject = tracker(milestone="Sprint 7")
    draft = sample_draft(subject, labels=("Test-IO", "test-io", "x" * 60), fields={"milestone": 4})

    sent = payload(draft, subject.settings)

    assert sent["labels"] == ["test-io", "x" * 50]
    assert sent["milestone"] == 4
    assert "assignees" not in sent


def test_the_marker_is_a_hidden_comment_and_nobody_is_pinged() -> None:
    draft = sample_draft(tracker(), sample_bug(description="@octocat see #1"))

    assert f"<!-- {sample_marker(sample_bug()).text} -->" in draft.body.text
    assert "@octocat" not in draft.body.text
    assert "#1" not in draft.body.text


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/github.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "github.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert GitHub.settings_type.model_validate(table).type == "github"
