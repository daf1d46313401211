"""Jira Server and Data Center: the conformance suite, what it shares with Jira Cloud, and what is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.register_assert_rewrite("tests.trackers.jira_behaviour")

from pydantic import ValidationError  # noqa: E402

from bridge import AttachmentFile, Gone, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict  # noqa: E402
from bridge.testing import Reply  # noqa: E402
from bridge.testing.conformance import TrackerConformance  # noqa: E402
from bridge.testing.samples import sample_draft  # noqa: E402
from bridge_plugins.jira_server import JiraServer  # noqa: E402
from tests.trackers.fake_jira import TOKEN, FakeJiraServer, custom_fields, field  # noqa: E402
from tests.trackers.jira_behaviour import (  # noqa: E402
    ANONYMOUS,
    CAPTCHA,
    JiraBehaviour,
    refusal,
    sentence,
    told,
)

LOGIN_PAGE = Reply(
    401,
    body=b"<html><head><title>Unauthorized (401)</title></head><body>Encountered an error</body></html>",
    headers={"Content-Type": "text/html", "X-Seraph-LoginReason": "AUTHENTICATED_FAILED"},
)


class TestJiraServer(JiraBehaviour, TrackerConformance):
    tracker = JiraServer
    server = FakeJiraServer
    secret = TOKEN
    somebody = "ada"
    reference: ClassVar[Any] = {"name": "ada"}
    refusals: ClassVar[Any] = {
        Rejected: (refusal(customfield_10001="Severity is required."), sentence("Payload too large", 413)),
        NotAllowed: (LOGIN_PAGE, CAPTCHA, ANONYMOUS),
        RateLimited: sentence("Rate limit exceeded.", 429, **{"Retry-After": "7", "X-RateLimit-Remaining": "0"}),
        Unavailable: Reply(503, body=b"<html><body>JIRA is starting up</body></html>"),
        Gone: sentence("Issue Does Not Exist", 404),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "jira-server", "url": url, "project": "ED", "token": TOKEN}

    def finish(self, fake: Any, issue: Issue) -> bool:
        fake.finish(issue.id)
        return True

    async def test_a_context_path_is_part_of_the_address(self, fake: FakeJiraServer) -> None:
        """https://host/jira is as common as https://jira.host."""
        fake.root = "/jira"
        async with self.using(f"{fake.url}/jira/") as tracker:
            issue = await tracker.create(sample_draft(tracker))

        assert issue.url == "https://jira.example.com/browse/ED-1"

    async def test_without_the_context_path_the_address_is_to_be_checked(self, fake: FakeJiraServer) -> None:
        """A common mistake."""
        fake.root = "/jira"
        async with self.using(fake.url) as tracker:
            assert "check `url`" in (await told(tracker))["url"]

    async def test_user_and_password_do_as_well(self, fake: FakeJiraServer) -> None:
        """Before 8.14 there are no tokens."""
        async with self.using(fake.url, token=None, user="bot", password=TOKEN) as tracker:
            await tracker.create(sample_draft(tracker))

        assert fake.creates[0].headers["authorization"].startswith("Basic ")

    @pytest.mark.parametrize(
        "changes", [{"token": None}, {"user": "bot", "password": "x"}, {"token": None, "user": "bot"}]
    )
    def test_there_is_exactly_one_way_in(self, changes: dict[str, Any]) -> None:
        """Neither none nor two nor half of one."""
        with pytest.raises(ValidationError, match="either `token`, or `user` and `password`"):
            self.make("http://127.0.0.1:9", **changes)

    def test_a_ca_file_is_used(self, tmp_path: Path) -> None:
        """Self-hosted means self-signed, often."""
        (tmp_path / "ca.pem").touch()
        tracker = self.make("http://127.0.0.1:9", ca_file=str(tmp_path / "ca.pem"))

        assert tracker.connect()._session.verify == str(tmp_path / "ca.pem")  # type: ignore[attr-defined]

    async def test_a_version_without_tokens_is_a_warning(self, fake: FakeJiraServer, subject: JiraServer) -> None:
        """It works with user and password."""
        fake.server_version = "8.13.2"

        assert "8.13.2" in (await told(subject, Verdict.WARNING))["version"]

    async def test_a_version_that_is_too_old_is_an_error(self, fake: FakeJiraServer, subject: JiraServer) -> None:
        """The create screen cannot be read there."""
        fake.server_version = "7.13.0"

        assert "8.4 is the least" in (await told(subject))["version"]

    async def test_check_says_that_this_is_cloud(
        self, fake: FakeJiraServer, subject: JiraServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other type is the right one."""
        info = {"baseUrl": fake.base_url, "version": "1001.0.0", "deploymentType": "Cloud"}
        monkeypatch.setattr(fake, "server_info", lambda: info)

        assert 'type = "jira-cloud"' in (await told(subject))["type"]

    async def test_an_epic_is_named_in_its_own_field(self, fake: FakeJiraServer, subject: JiraServer) -> None:
        """Server has Epic Link where Cloud has a parent."""
        epic = field("Epic Link", "customfield_10100", "any", custom="com.pyxis.greenhopper.jira:gh-epic-link")
        fake.screen = [one for one in fake.screen if one["fieldId"] != "parent"] + [epic]

        issue = await subject.create(sample_draft(subject, parent="ED-7"))

        assert fake.issues[issue.id]["fields"]["customfield_10100"] == "ED-7"

    async def test_text_in_rich_fields_is_literal(self, fake: FakeJiraServer, subject: JiraServer) -> None:
        """An unescaped {word} would be taken for a macro."""
        fake.screen += custom_fields()

        issue = await subject.create(sample_draft(subject, fields={"How to test": "{code} *as is*"}))

        assert fake.issues[issue.id]["fields"]["customfield_10006"] == r"\{code\} \*as is\*"

    async def test_a_file_that_is_too_large_is_refused_not_gone(
        self, fake: FakeJiraServer, subject: JiraServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Server says 404 for it: the issue is still there."""
        issue = await subject.create(sample_draft(subject))
        words = sentence("The attachment exceeds its maximum permitted size of 10.00 MB.", 404)
        monkeypatch.setattr(fake, "_attach", lambda _issue, _request: words)
        path = tmp_path / "repro.mp4"
        path.write_bytes(b"film")

        with pytest.raises(Rejected, match="maximum permitted size"):
            await subject.attach(
                issue, AttachmentFile(path=path, name="repro.mp4", type="video/mp4", size=4, url="")
            )
