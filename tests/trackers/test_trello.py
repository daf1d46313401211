"""Trello under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
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
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import sample_comment
from bridge_plugins.trello import Trello, custom_fields, item, new_card, object_id
from tests.trackers.fake_trello import ALICE, DOING, DONE, INBOX, KEY, NOT_FOUND, PLAIN, TOKEN, TrelloServer

LIMITED = {"error": "API_TOKEN_LIMIT_EXCEEDED", "message": "Rate limit exceeded"}


def words(status: int, text: str) -> Reply:
    """Return a refusal as Trello words it: plain text."""
    return Reply(status, body=text.encode(), headers=PLAIN)


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestTrello(TrackerConformance):
    tracker = Trello
    server = TrelloServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [words(400, "invalid value for idLabels"), words(413, "too large")],
        NotAllowed: [
            words(401, "invalid key"),
            words(401, "unauthorized card permission requested"),
            Reply(401, json={"message": "missing scopes"}),
            words(403, "This board is read-only"),
        ],
        RateLimited: [Reply(429, json=LIMITED), Reply(429, json=LIMITED, headers={"Retry-After": "7"})],
        InDoubt: [Reply(504, body=b"<html>Gateway Timeout</html>", headers={"Content-Type": "text/html"})],
        Unavailable: [Reply(503, body=b"<html>Service Unavailable</html>", headers={"Content-Type": "text/html"})],
        Gone: [NOT_FOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        table = {"type": "trello", "board": "Webshop", "list": "Inbox", "key": KEY, "token": self.secret}
        return table | {"url": f"{url}/1"}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, TrelloServer)
        fake.cards[issue.id]["closed"] = True
        return True

    async def test_a_full_card_is_one_post_with_ids_for_names(self, fake: TrelloServer) -> None:
        more: dict[str, Any] = {"assignee": "@Alice", "parent": "doing", "fields": {"due": "2026-12-24"}}
        async with self.using(fake.url, position="top", labels=["bug"], **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = fake.creates[0].json
        assert (sent["idList"], sent["pos"], sent["due"]) == (DOING, "top", "2026-12-24")
        assert (sent["idLabels"], sent["idMembers"]) == ([fake.labels["Bug"]], [ALICE])
        assert sent["urlSource"] == "https://app.test.io/bugs/12345"
        assert issue == Issue(id=issue.id, key="Yd9Sco01", url="https://trello.com/c/Yd9Sco01")

    async def test_names_are_looked_up_once(self, fake: TrelloServer, subject: Trello, draft: Draft) -> None:
        """Cards after the first cost one request each, and new labels one more."""
        await subject.create(draft)
        before = len(fake.requests)
        for _ in range(3):
            await subject.create(draft)

        assert len(fake.requests) - before <= 4

    async def test_a_label_is_made_once_at_its_first_use(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        """Trello would make a second one of the same name."""
        for _ in range(2):
            await subject.create(draft)

        made = [request.json["name"] for request in fake.requests if request.path == "/1/labels"]
        assert made == ["test-io", "severity:high"]

    async def test_unknown_names_do_not_cost_a_card(self, fake: TrelloServer) -> None:
        async with self.using(fake.url, assignee="carol", parent="Nowhere") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'list: there is no open list "Nowhere": left out',
            'assignee: there is no member of the board "carol": left out',
        )
        assert fake.cards[issue.id]["idList"] == INBOX

    async def test_a_board_full_of_labels_does_not_cost_a_card(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        full = Fault(
            FaultKind.REFUSE, lambda request: request.path == "/1/labels", 9, words(400, "too many labels")
        )
        fake.inject(full)

        issue = await subject.create(draft)

        assert issue.warnings[0] == 'labels: there is no label "test-io": left out'

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"board": "Webshpo"}, 'there is no board that the token\'s member is on "Webshpo"; did you mean'),
            ({"list": "Inbx"}, 'there is no open list "Inbx"; did you mean "Inbox"?: correct `list`'),
        ],
    )
    async def test_without_board_or_list_deliveries_wait(
        self, fake: TrelloServer, changes: dict[str, Any], told: str
    ) -> None:
        """Every one would end like this one."""
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value).startswith(told)
        assert fake.creates == []

    @pytest.mark.parametrize("board", ["webshop", "https://trello.com/b/aB3xYz12/webshop", "aB3xYz12"])
    async def test_the_board_is_named_as_people_know_it(self, fake: TrelloServer, board: str) -> None:
        async with self.using(fake.url, board=board) as subject:
            await subject.create(sample_draft(subject))

        assert len(fake.cards) == 1

    async def test_what_was_deleted_is_looked_up_anew(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        """A list that a person replaced: its old id is refused once."""
        await subject.create(draft)
        fake.lists = {"Inbox": DONE}
        with pytest.raises(Rejected, match="invalid value for idList"):
            await subject.create(draft)

        issue = await subject.create(draft)

        assert fake.cards[issue.id]["idList"] == DONE

    async def test_find_reads_the_board_page_by_page(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        """Since a little before the first attempt; archived cards too; never the search."""
        issue = await subject.create(draft)
        fake.cards[issue.id]["closed"] = True
        for number in range(5):
            await subject.create(sample_draft(subject, sample_bug(id=20 + number)))
        fake.page = subject.page = 2
        before = len(fake.requests)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id
        pages = fake.requests[before:]
        assert {request.path.rpartition("/cards")[2] for request in pages} == {"/all"}
        assert pages[0].query["since"] == [object_id(draft.marker.since - timedelta(minutes=5))]
        assert len(pages) == 4

    async def test_of_several_cards_the_first_is_the_one(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        first, second = [await subject.create(draft) for _ in range(2)]

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == first.id
        assert found.warnings == (f"another issue carries testio-bug-12345: {second.url}",)

    async def test_custom_fields_are_set_after_the_card_was_made(self, fake: TrelloServer) -> None:
        """Each as its type wants it; `complete` does it."""
        values = {"Bug": "main:{{ bug.id }}", "cost": 3, "Urgent": True, "Seen": "2026-01-05T09:00:00.000Z"}
        tables = {"priorities": {"p2": "high"}, "priority_field": "Priority"}
        async with self.using(fake.url, fields=values, **tables) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            assert fake.cards[issue.id]["custom"] == {}
            await subject.complete(issue, draft)

        assert list(fake.cards[issue.id]["custom"].values()) == [
            {"idValue": f"{7:024x}"},
            {"value": {"text": "main:12345"}},
            {"value": {"number": "3"}},
            {"value": {"checked": "true"}},
            {"value": {"date": "2026-01-05T09:00:00.000Z"}},
        ]

    async def test_custom_fields_that_cannot_be_set_are_named(self, fake: TrelloServer) -> None:
        """The others are set."""
        async with self.using(fake.url, fields={"Bgu": "1", "Priority": "Urgent", "Bug": "7"}) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            with pytest.raises(Rejected) as caught:
                await subject.complete(issue, draft)

        assert caught.value.fields == {
            "Bgu": "the board has no such custom field",
            "Priority": '"Urgent" is none of High, Low',
        }
        assert len(fake.cards[issue.id]["custom"]) == 1

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        """Those without a name, too; only the old severity gives way."""
        issue = await subject.create(draft.with_(labels=("test-io", "severity:low")))
        fake.labels |= {"": f"{77:024x}"}
        fake.cards[issue.id]["idLabels"] += [fake.labels["Bug"], fake.labels[""]]

        await subject.update(issue, draft.with_(only=frozenset({"labels"})))

        names = {id_: name for name, id_ in fake.labels.items()}
        assert {names[id_] for id_ in fake.cards[issue.id]["idLabels"]} == {"test-io", "severity:high", "Bug", ""}

    async def test_update_moves_a_card_and_sets_its_people_and_fields(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        parts = frozenset({"parent", "assignee", "fields"})

        await subject.update(issue, draft.with_(parent="Doing", assignee="alice", fields={"Bug": "7"}, only=parts))

        card = fake.cards[issue.id]
        assert (card["idList"], card["idMembers"]) == (DOING, [ALICE])
        assert list(card["custom"].values()) == [{"value": {"text": "7"}}]

    async def test_a_file_is_uploaded_once_and_is_no_cover(
        self, fake: TrelloServer, subject: Trello, draft: Draft, tmp_path: Path
    ) -> None:
        """The answer to the first try was lost; the second sees that the file is there."""
        issue, path = await subject.create(draft), tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        file = AttachmentFile(path=path, name="abc.png", type="image/png", size=4, url="https://f/abc.png")
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: bool(request.files)))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)

        await subject.attach(issue, file)

        uploads = [request for request in fake.requests if request.files]
        assert len(uploads) == 1
        assert uploads[0].form == {"name": "abc.png", "mimeType": "image/png", "setCover": "false"}

    async def test_a_card_full_of_files_pauses_nobody(
        self, fake: TrelloServer, subject: Trello, draft: Draft, tmp_path: Path
    ) -> None:
        """Other cards are not full; a board full of cards is another matter."""
        issue, path = await subject.create(draft), tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        full = words(403, "Too many attachments: limit reached")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: bool(request.files), 1, full))
        with pytest.raises(Rejected):
            await subject.attach(
                issue, AttachmentFile(path=path, name="a", type="image/png", size=4, url="https://f/a")
            )

        fake.inject(refused(words(403, "Too many open cards: limit reached")))
        with pytest.raises(NotAllowed):
            await subject.create(draft)

    @pytest.mark.parametrize(
        ("changes", "done", "name"),
        [
            ({}, False, "Inbox"),
            ({"idList": DONE}, True, "Done"),
            ({"dueComplete": True}, True, "complete"),
            ({"closed": True}, True, "archived"),
        ],
    )
    async def test_a_card_is_done_in_three_ways(
        self, fake: TrelloServer, subject: Trello, draft: Draft, changes: dict[str, Any], done: bool, name: str
    ) -> None:
        issue = await subject.create(draft)
        fake.cards[issue.id] |= changes

        state = await subject.state(issue)

        assert (state.done, state.name) == (done, name)

    async def test_mentions_in_comments_notify_nobody(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        await subject.comment(issue, sample_comment(subject, "@board look, @alice"))

        (comment,) = fake.cards[issue.id]["comments"]
        assert "@board" not in comment
        assert "@alice" not in comment

    async def test_a_rate_limit_lasts_as_long_as_trello_counts(
        self, fake: TrelloServer, subject: Trello, draft: Draft
    ) -> None:
        """It does not say how long; more than 200 refusals in a window would block the key."""
        fake.inject(refused(Reply(429, json=LIMITED)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=10)

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (words(400, "invalid value for desc"), "invalid value for desc (HTTP 400)"),
            (Reply(400, json={"message": "bad", "error": "BAD"}), "bad (HTTP 400)"),
            (words(401, "invalid app token"), "invalid app token (HTTP 401)"),
        ],
    )
    async def test_trello_s_own_words_are_told(
        self, fake: TrelloServer, subject: Trello, draft: Draft, reply: Reply, told: str
    ) -> None:
        fake.inject(refused(reply))

        with pytest.raises((Rejected, NotAllowed)) as caught:
            await subject.create(draft)

        assert str(caught.value) == told

    async def found(self, fake: TrelloServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_boards_with_a_similar_name(self, fake: TrelloServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, board="Webshpo")

        assert (verdict, subject) == (Verdict.ERROR, "board")
        assert told.endswith('> did you mean "Webshop"?')

    async def test_the_doctor_warns_of_boards_with_one_name(self, fake: TrelloServer) -> None:
        fake.boards.append(("Webshop", "eF5xYz56"))

        ((verdict, subject, told),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.WARNING, "board")
        assert told.endswith('> write the address of the one you mean: board = "https://trello.com/b/aB3xYz12"')

    async def test_the_doctor_knows_who_only_observes(self, fake: TrelloServer) -> None:
        fake.member_type = "observer"

        assert await self.found(fake) == [
            (Verdict.ERROR, "board", "the token's member only observes Webshop > make it a normal member")
        ]

    async def test_the_doctor_looks_at_every_configured_value(self, fake: TrelloServer) -> None:
        found = await self.found(
            fake,
            list="Inbx",
            labels=["Bgu", "brand-new", "severity:{{ bug.severity }}"],
            assignee="alcie",
            priority_field="Priority",
            priorities={"p1": "High", "p2": "Hihg"},
            severities={"high": "S1"},
            issue_type="Bug",
            fields={"Cots": 3, "due": "2026-12-24", "Bug": "{{ bug.id }}"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.ERROR, "list", 'did you mean "Inbox"?'),
            (Verdict.WARNING, "assignee", 'did you mean "alice"?'),
            (Verdict.WARNING, "priorities.p2", "correct it, or add the option"),
            (Verdict.WARNING, "severities", 'name the custom field: severity_field = "..."'),
            (Verdict.WARNING, "fields.Cots", 'did you mean "Cost"?'),
            (Verdict.WARNING, "issue_type", 'use labels: kind_labels = { visual = "design" }'),
        ]


def tracker(**changes: Any) -> Trello:
    """Return a tracker that talks to nobody."""
    table = TestTrello().settings("http://127.0.0.1:9") | changes
    return Trello("shop", Trello.settings_type.model_validate(table))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="write its name, or its address"):
        tracker(board="https://trello.com/c/Yd9Sco01")


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(list="Doing"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    """A card's own fields and custom fields go different ways."""
    subject = tracker(priority_field="Priority", fields={"due": "2026-12-24", "Found by": "crowd"})
    draft = sample_draft(subject, priority="High")

    sent = new_card(draft, subject.settings)

    assert list(sent) == ["idList", "pos", "urlSource", "name", "desc", "idLabels", "due"]
    assert custom_fields(draft, subject.settings) == {"Priority": "High", "Found by": "crowd"}
    assert subject.preview(draft)["customFields"] == {"Priority": "High", "Found by": "crowd"}


def test_a_custom_list_takes_its_options_only() -> None:
    field = {"type": "list", "options": [{"id": "1", "value": {"text": "High"}}]}

    assert item(field, "high") == {"idValue": "1"}
    with pytest.raises(ValueError, match='"Low" is none of High'):
        item(field, "Low")


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/trello.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "trello.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Trello.settings_type.model_validate(table).type == "trello"
