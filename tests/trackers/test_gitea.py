"""Gitea and Forgejo under the conformance suite, and what is special about them."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import AttachmentFile, Gone, InDoubt, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import sample_comment
from bridge_plugins.gitea import Gitea, payload
from tests.trackers.fake_gitea import TOKEN, ForgejoServer, GiteaServer, scope

HTML = {"Content-Type": "text/html"}


class TestGitea(TrackerConformance):
    tracker = Gitea
    server = GiteaServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            Reply(422, json={"message": "Assignee does not exist: [name: carol]"}),
            Reply(412, json={"message": "cannot close this issue because it still has open dependencies"}),
            Reply(413, body=b"<html>413 Request Entity Too Large</html>", headers=HTML),
        ],
        NotAllowed: [
            Reply(401, json={"message": "invalid username, password or token"}),
            Reply(403),
            scope("[write:issue]"),
            Reply(423, json={"message": "Repo is archived"}),
            Reply(301, headers={"Location": "/git/api/v1/repositories/5/issues"}),
        ],
        RateLimited: Reply(429, body=b"<html>Too many requests</html>", headers={"Retry-After": "7", **HTML}),
        InDoubt: [
            Reply(502, body=b"<html>Bad Gateway</html>", headers=HTML),
            Reply(500, json={"message": "", "url": "https://git.example/api/swagger"}),
        ],
        Unavailable: [Reply(503), Reply(502, body=b"<html>Bad Gateway</html>", headers=HTML)],
        Gone: [Reply(404), Reply(404, json={"message": "issue does not exist [id: 0, repo_id: 5, index: 1]"})],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "gitea", "url": f"{url}/git", "repository": "acme/shop", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, GiteaServer)
        fake.close_issue(int(issue.id))
        return True

    def said(self, fake: FakeServer, since: int, draft: Draft) -> set[str]:
        """An update names labels by their ids."""
        assert isinstance(fake, GiteaServer)
        labels = any(request.path.endswith("/1/labels") for request in fake.requests[since:])
        return super().said(fake, since, draft) | ({"labels"} if labels else set())

    async def test_a_full_draft_is_one_post_with_ids_for_names(self, fake: GiteaServer) -> None:
        """Labels of the repository and of its organization; those that are missing are made; `fields` as it is."""
        fake.labels |= {"Test-IO": 3}
        more = {"assignee": "@alice, Bob", "milestone": "sprint 7", "fields": {"due_date": "2026-12-24T00:00:00Z"}}
        async with self.using(fake.url, labels=["test-io", "crowd", "severity/high"], **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = fake.creates[0].json
        assert sent["labels"] == [3, 70, 2]
        assert (sent["assignees"], sent["milestone"]) == (["alice", "bob"], 7)
        assert sent["due_date"] == "2026-12-24T00:00:00Z"
        (made,) = [r.json for r in fake.requests if (r.method, r.path[-12:]) == ("POST", "/shop/labels")]
        assert made == {"name": "severity/high", "color": "#d73a4a", "exclusive": True}
        assert issue.warnings == ()

    async def test_the_issue_is_addressed_by_its_number(
        self, fake: GiteaServer, subject: Gitea, draft: Draft
    ) -> None:
        """Not by its id, which counts those of all repositories."""
        issue = await subject.create(draft)

        assert (issue.id, issue.key) == ("1", "acme/shop#1")
        assert issue.url == f"{fake.address}/acme/shop/issues/1"

    @pytest.mark.parametrize(
        ("root", "page"),
        [
            ("https://git.acme.example", "https://git.acme.example/acme/shop/issues/1"),
            ("http://localhost:3000", "{address}/acme/shop/issues/1"),
        ],
    )
    async def test_the_page_is_the_one_that_the_server_names_unless_nobody_told_it_its_name(
        self, fake: GiteaServer, subject: Gitea, draft: Draft, root: str, page: str
    ) -> None:
        """`ROOT_URL` is localhost where it was never set."""
        fake.root_url = root

        assert (await subject.create(draft)).url == page.format(address=fake.address)

    async def test_a_label_is_made_once_for_deliveries_at_the_same_time(
        self, fake: GiteaServer, subject: Gitea
    ) -> None:
        drafts = [sample_draft(subject, sample_bug(id=number)) for number in (1, 2, 3)]
        await asyncio.gather(*(subject.create(draft) for draft in drafts))

        assert [
            r.json["name"] for r in fake.requests if r.path.endswith("/shop/labels") and r.method == "POST"
        ] == [
            "test-io",
            "severity/high",
        ]

    async def test_what_was_dropped_in_silence_is_a_warning(self, fake: GiteaServer) -> None:
        """Whoever may only read can make issues: without labels, people and milestone."""
        fake.labels = {"test-io": 1, "severity/high": 2}
        fake.writer = False
        async with self.using(fake.url, assignee="alice", milestone="Sprint 7") as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(":")[0] for warning in issue.warnings] == ["labels", "assignees", "milestone"]

    async def test_unknown_names_do_not_cost_an_issue(self, fake: GiteaServer) -> None:
        """An assignee whom the server does not know would make it refuse everything."""
        more = {"assignee": "carol", "milestone": "Sprint 8", "labels": ["new"], "make_labels": False}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'milestone: "Sprint 8" does not exist: left out',
            'assignees: nobody called "carol" can be assigned: left out',
            'labels: there is no label "new": left out',
        )
        assert fake.creates[0].json.keys() == {"title", "body"}

    async def test_a_token_with_the_least_scope_is_enough(self, fake: GiteaServer) -> None:
        """`write:issue`: people cannot be looked up, and are sent as they are."""
        fake.scopes = set()
        async with self.using(fake.url, assignee="alice") as subject:
            issue = await subject.create(sample_draft(subject))
            report = await subject.check()

        assert fake.creates[0].json["assignees"] == ["alice"]
        assert issue.warnings == ()
        assert report.ok

    async def test_a_label_that_may_not_be_made_is_left_out(self, fake: GiteaServer) -> None:
        fake.writer = False
        async with self.using(fake.url, labels=["new"]) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ('labels: there is no label "new": left out',)

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: GiteaServer, subject: Gitea, draft: Draft
    ) -> None:
        """Only the old severity gives way to the new one."""
        fake.labels = {"triaged": 1, "severity/low": 2}
        issue = await subject.create(draft.with_(labels=("test-io", "severity/low")))
        fake.issues[1]["labels"].append({"id": 1, "name": "triaged"})

        await subject.update(issue, draft.with_(only=frozenset({"labels"})))

        assert sorted(label["name"] for label in fake.issues[1]["labels"]) == [
            "severity/high",
            "test-io",
            "triaged",
        ]

    async def test_an_update_of_nothing_that_gitea_has_sends_nothing(
        self, fake: GiteaServer, subject: Gitea, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"priority"}))) == issue
        assert len(fake.requests) == before

    async def test_find_reads_the_newest_issues_as_far_back_as_the_first_attempt(
        self, fake: GiteaServer, subject: Gitea, draft: Draft
    ) -> None:
        """Page by page, without words to search for: those would ask an index that lags."""
        issue = await subject.create(draft)
        moment = "2026-01-05T10:00:00Z"
        for number in range(2, 112):
            fake.issues[number] = fake.issues[1] | {"number": number, "body": "other", "created_at": moment}
        before = len(fake.requests)

        assert await subject.find(draft.marker) == issue
        assert len(fake.requests) - before == 3
        assert "q" not in fake.requests[-1].query
        fake.issues[112] = fake.issues[2] | {"created_at": "2025-12-24T10:00:00Z"}
        fake.issues[1]["created_at"] = "2025-12-23T10:00:00Z"
        assert await subject.find(draft.marker) is None

    async def test_a_comment_on_an_issue_that_is_gone_is_told_from_a_broken_server(
        self, fake: GiteaServer, subject: Gitea, draft: Draft
    ) -> None:
        """Gitea answers 500 to the one and to the other."""
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, When.ANY, reply=Reply(500, json={"message": ""})))
        with pytest.raises(Unavailable):
            await subject.comment(issue, sample_comment(subject))
        fake.issues.clear()

        with pytest.raises(Gone):
            await subject.comment(issue, sample_comment(subject))

    async def test_forgejo_says_404_for_the_same(self) -> None:
        with ForgejoServer() as forgejo:
            async with self.using(forgejo.url) as subject:
                with pytest.raises(Gone):
                    await subject.comment(Issue(id="9", key="", url=""), sample_comment(subject))

    async def test_a_file_has_its_name_and_the_field_that_gitea_wants(
        self, fake: GiteaServer, subject: Gitea, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)

        await subject.attach(issue, a_file(tmp_path, "ä b&c.png"))

        assert fake.issues[1]["assets"] == [{"id": 3, "name": "ä b&c.png", "size": 4}]

    async def test_a_refused_file_is_rejected_and_the_issue_is_not_gone(
        self, fake: GiteaServer, subject: Gitea, draft: Draft, tmp_path: Path
    ) -> None:
        """A wrong kind is 422; a server without attachments says 404, as if there were no issue."""
        issue = await subject.create(draft)
        with pytest.raises(Rejected, match="forbidden file extension"):
            await subject.attach(issue, a_file(tmp_path, "tool.exe"))
        fake.attachments = False

        with pytest.raises(Rejected, match="takes no attachments"):
            await subject.attach(issue, a_file(tmp_path, "a.png"))

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (Reply(404, json={"message": "not found"}), "acme/shop does not exist, the token has no access to it"),
            (Reply(301, headers={"Location": "/git/api/v1/x"}), "acme/shop was renamed, or `url` is not"),
            (Reply(423, json={"message": "Repo is archived"}), "acme/shop is archived"),
            (scope("[write:issue]"), "token does not have at least one of required scope(s)"),
        ],
    )
    async def test_a_repository_that_cannot_be_used_pauses_the_tracker(
        self, fake: GiteaServer, subject: Gitea, draft: Draft, reply: Reply, told: str
    ) -> None:
        """Every delivery would end like this one: they wait until a person corrected it."""
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=reply))

        with pytest.raises(NotAllowed) as caught:
            await subject.create(draft)

        assert str(caught.value).startswith(told)

    async def found(self, fake: GiteaServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_does_not_take_a_public_repository_for_a_good_token(self, fake: GiteaServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, token="wrong-token-wrong-token")

        assert (verdict, subject) == (Verdict.ERROR, "credentials")
        assert told.startswith("invalid username, password or token (HTTP 401) > correct `url`, or make a token")

    async def test_the_doctor_knows_repositories_with_a_similar_name(self, fake: GiteaServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, repository="acme/shpo")

        assert (verdict, subject) == (Verdict.ERROR, "repository")
        assert told.endswith('did you mean "acme/shop"?')

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"full_name": "acme/store"}, 'acme/shop is now acme/store > set repository = "acme/store"'),
            ({"archived": True}, "acme/shop is archived: nothing can be added > unarchive it"),
            ({"has_issues": False}, "acme/shop has no issues > turn them on under Settings > Units"),
        ],
    )
    async def test_the_doctor_finds_what_is_wrong_with_the_repository(
        self, fake: GiteaServer, changes: dict[str, Any], told: str
    ) -> None:
        fake.repository = changes

        assert await self.found(fake) == [(Verdict.ERROR, "repository", told)]

    async def test_the_doctor_warns_of_what_will_be_dropped(self, fake: GiteaServer) -> None:
        fake.writer = False
        fake.attachments = False

        rights, files = await self.found(fake)

        assert rights[:2] == (Verdict.WARNING, "rights")
        assert rights[2].startswith(
            "the token's user may not write: labels, assignees and milestone may be dropped"
        )
        assert files == (
            Verdict.WARNING,
            "attachments",
            'the server takes no attachments: they stay links to test IO > set attachments = "link"',
        )

    async def test_the_doctor_looks_at_every_configured_value(self, fake: GiteaServer) -> None:
        found = await self.found(
            fake,
            labels=["corwd", "brand-new", "severity/{{ bug.severity }}"],
            assignee="alcie",
            milestone="Sprint 77",
            priorities={"high": "P1"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "labels", 'did you mean "crowd"?'),
            (Verdict.WARNING, "milestone", 'did you mean "Sprint 7"?'),
            (Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            (Verdict.WARNING, "priorities", 'use labels such as "priority/high"'),
        ]


def a_file(folder: Path, name: str) -> AttachmentFile:
    """Return a fetched picture."""
    (folder / "spooled").write_bytes(b"\x89PNG")
    return AttachmentFile(path=folder / "spooled", name=name, type="image/png", size=4, url="")


def tracker(**changes: Any) -> Gitea:
    """Return a tracker that talks to nobody."""
    table = TestGitea().settings("http://127.0.0.1:9") | changes
    return Gitea("shop", Gitea.settings_type.model_validate(table))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"repository": "shop"}, 'write it as in its address, "owner/name"'),
        ({"repository": "https://codeberg.org/acme/shop"}, "is no repository"),
        ({"url": "codeberg.org"}, "is no address"),
    ],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_settings_take_what_people_write() -> None:
    """The API's own address, a slash too many."""
    subject = tracker(url="https://codeberg.org/api/v1/", repository="/acme/shop/")

    assert (subject.base_url, subject.issues) == ("https://codeberg.org/api/v1", "/repos/acme/shop/issues")


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(repository="acme/other"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(assignee="@alice")

    sent = payload(sample_draft(subject, labels=("x" * 60, "crowd", "Crowd")), subject.settings)

    assert sent["labels"] == ["x" * 50, "Crowd"]
    assert sent["assignees"] == ["alice"]


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/gitea.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "gitea.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Gitea.settings_type.model_validate(table).type == "gitea"
