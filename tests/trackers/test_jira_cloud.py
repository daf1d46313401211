"""Jira Cloud: the conformance suite, what it shares with Jira Server, and what is its own."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

pytest.register_assert_rewrite("tests.trackers.jira_behaviour")

from pydantic import ValidationError  # noqa: E402

from bridge import Draft, Gone, Issue, NotAllowed, RateLimited, Rejected  # noqa: E402
from bridge.testing.conformance import TrackerConformance  # noqa: E402
from bridge.testing.samples import bugs, sample_draft  # noqa: E402
from bridge_plugins.jira_cloud import JiraCloud  # noqa: E402
from tests.trackers.fake_jira import EMAIL, TOKEN, FakeJiraCloud, custom_fields  # noqa: E402
from tests.trackers.jira_behaviour import (  # noqa: E402
    ANONYMOUS,
    CAPTCHA,
    JiraBehaviour,
    refusal,
    sentence,
    told,
)


class TestJiraCloud(JiraBehaviour, TrackerConformance):
    tracker = JiraCloud
    server = FakeJiraCloud
    secret = TOKEN
    somebody = "ada@example.com"
    reference: ClassVar[Any] = {"accountId": "5b10aa"}
    refusals: ClassVar[Any] = {
        Rejected: (refusal(customfield_10001="Severity is required."), sentence("Payload too large", 413)),
        NotAllowed: (
            sentence("Client must be authenticated to access this resource.", 401),
            CAPTCHA,
            ANONYMOUS,
        ),
        RateLimited: sentence(
            "Rate limit exceeded.", 429, **{"Retry-After": "7", "RateLimit-Reason": "jira-per-issue-on-write"}
        ),
        Gone: sentence("Issue does not exist or you do not have permission to see it.", 404),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "jira-cloud", "url": url, "project": "ED", "email": EMAIL, "token": TOKEN}

    def finish(self, fake: Any, issue: Issue) -> bool:
        fake.finish(issue.id)
        return True

    async def test_behind_the_gateway_issues_have_the_sites_address(self, fake: FakeJiraCloud) -> None:
        """Tokens with scopes work only there; people cannot open it."""
        fake.root = "/ex/jira/11223344-a1b2-3b33-c444-def123456789"
        async with self.using(fake.url + fake.root) as tracker:
            issue = await tracker.create(sample_draft(tracker))
            await tracker.update(issue, sample_draft(tracker))

        assert issue.url == "https://example.atlassian.net/browse/ED-1"

    async def test_the_address_for_people_can_be_set(self, fake: FakeJiraCloud) -> None:
        """Where Jira says a wrong one."""
        async with self.using(fake.url, browser_url="https://jira.example.com/") as tracker:
            issue = await tracker.create(sample_draft(tracker))

        assert issue.url == "https://jira.example.com/browse/ED-1"

    async def test_the_removed_search_is_never_used(
        self, fake: FakeJiraCloud, subject: JiraCloud, draft: Draft
    ) -> None:
        """It answers 410; `search/jql` took its place."""
        await subject.find(draft.marker)

        paths = [request.path for request in fake.requests]
        assert "/rest/api/3/search/jql" in paths
        assert "/rest/api/3/search" not in paths

    @pytest.mark.parametrize("name", ["hostile", "large"])
    async def test_every_body_is_a_valid_document(
        self, fake: FakeJiraCloud, subject: JiraCloud, name: str
    ) -> None:
        """The fake holds it against Atlassian's own schema; so for rich text in custom fields."""
        fake.screen += custom_fields()
        bug = bugs()[name]
        draft = sample_draft(subject, bug, fields={"How to test": bug.description[:2000]})

        issue = await subject.create(draft)

        assert fake.issues[issue.id]["fields"]["customfield_10006"]["type"] == "doc"

    async def test_an_address_that_its_owner_hides_is_found_by_the_search(
        self, fake: FakeJiraCloud, subject: JiraCloud
    ) -> None:
        """Atlassian's search knows it, and gives one answer without it."""
        fake.people = {"5b10bb": ""}

        issue = await subject.create(sample_draft(subject, assignee="grace@example.com"))

        assert fake.issues[issue.id]["fields"]["assignee"] == {"accountId": "5b10bb"}

    async def test_an_address_that_means_nobody_for_sure_is_refused(
        self, fake: FakeJiraCloud, subject: JiraCloud
    ) -> None:
        """Nobody is assigned by guess."""
        fake.people = {"5b10aa": "", "5b10bb": ""}

        with pytest.raises(Rejected, match="nobody who can be assigned"):
            await subject.create(sample_draft(subject, assignee="grace@example.com"))

    async def test_an_account_id_is_taken_as_it_is(self, fake: FakeJiraCloud, subject: JiraCloud) -> None:
        """Without a look-up."""
        issue = await subject.create(sample_draft(subject, assignee="5b10bb"))

        assert fake.issues[issue.id]["fields"]["assignee"] == {"accountId": "5b10bb"}

    async def test_check_says_that_this_is_a_server(
        self, fake: FakeJiraCloud, subject: JiraCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other type is the right one."""
        info = {"baseUrl": fake.base_url, "version": "9.4.0", "deploymentType": "Server"}
        monkeypatch.setattr(fake, "server_info", lambda: info)

        assert 'type = "jira-server"' in (await told(subject))["type"]

    @pytest.mark.parametrize(
        "url",
        ["https://api.atlassian.com", "https://example.atlassian.net/jira/your-work", "example.atlassian.net"],
    )
    def test_addresses_that_are_often_pasted_are_refused(self, url: str) -> None:
        """The site, or the gateway with the site's id."""
        with pytest.raises(ValidationError, match=r"write|needs"):
            JiraCloud.settings_type.model_validate(self.settings(url))

    async def test_the_fix_for_wrong_credentials_names_the_page(self, fake: FakeJiraCloud) -> None:
        """Tokens end after a year at most: it will happen."""
        async with self.using(fake.url, token="expired-long-ago") as tracker:
            assert "manage-profile/security/api-tokens" in (await told(tracker))["credentials"]
