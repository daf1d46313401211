"""monday.com under the conformance suite, and what is special about it."""

from __future__ import annotations

import json
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from bridge import (
    Answer,
    AttachmentFile,
    Gone,
    InDoubt,
    Issue,
    Markup,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    TrackerError,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, sample_bug, sample_comment, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins._monday_board import formed, options_of
from bridge_plugins.monday import FILES, Monday, columns
from tests.trackers.fake_monday import BOARD, TOKEN, MondayServer, failure


def asking(operation: str) -> Any:
    """Return whether a request is this operation."""
    return lambda request: f" {operation}(".encode() in request.body


class TestMonday(TrackerConformance):
    tracker = Monday
    server = MondayServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: failure("This status label doesn't exist", "ColumnValueException", data={"create_item": None}),
        NotAllowed: [
            Reply(401, json={"errors": ["Not Authenticated"]}),
            failure("User unauthorized to perform action", "UserUnauthorizedException"),
        ],
        RateLimited: Reply(
            429,
            json=failure("Complexity budget exhausted", "COMPLEXITY_BUDGET_EXHAUSTED").json,
            headers={"Retry-After": "7"},
        ),
        InDoubt: [
            failure("Internal server error", "INTERNAL_SERVER_ERROR"),
            Reply(502, body=b"<html>Bad gateway</html>"),
            Reply(200, json={"data": {"create_item": None}}),
        ],
        Unavailable: failure("Internal server error", "INTERNAL_SERVER_ERROR"),
        Gone: failure("Item not found", "ResourceNotFoundException"),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "monday", "url": url, "board": BOARD, "token": self.secret, "labels_column": "Labels"}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, MondayServer)
        fake.finish(issue.id)
        return True

    async def test_a_full_draft_is_one_mutation_with_columns_in_their_forms(self, fake: MondayServer) -> None:
        """What people call columns, groups and people becomes ids; the body follows."""
        more = {
            "board": "webshop",
            "group": "inbox",
            "priority_column": "Priority",
            "severity_column": "severity",
            "labels_column": "Tags",
            "assignee_column": "Owner",
            "assignee": "alice@acme.example",
            "fields": {"Bug": "{{ bug.link }}", "date_1": "2025-11-07T10:15:00"},
        }
        async with self.using(fake.url, **more) as subject:
            draft = sample_draft(subject, labels=("crowd", "cart"))
            issue = await subject.create(draft)
            await subject.complete(issue, draft)

        sent = fake.creates[0].json["variables"]
        assert (sent["boardId"], sent["groupId"], sent["name"]) == (BOARD, "topics", draft.title)
        link = "https://app.test.io/bugs/12345"
        assert json.loads(sent["values"]) == {
            "text_bugid": "testio-bug-12345",
            "status_prio": {"label": "High"},
            "status_sev": {"label": "High"},
            "tags_1": {"tag_ids": [700, 701]},
            "people_1": {"personsAndTeams": [{"id": 4616627, "kind": "person"}]},
            "link_1": {"url": link, "text": link},
            "date_1": {"date": "2025-11-07", "time": "10:15:00"},
        }
        assert issue == Issue(
            id="18012345678", key="18012345678", url=f"https://acme.monday.com/boards/{BOARD}/pulses/18012345678"
        )
        assert fake.descriptions == {issue.id: draft.body.text}

    async def test_the_board_is_looked_up_once(self, fake: MondayServer, subject: Monday) -> None:
        """Calls in a day are few: 200 on a free plan."""
        for number in (1, 2, 3):
            draft = sample_draft(subject, sample_bug(id=number))
            await subject.complete(await subject.create(draft), draft)

        assert len(fake.requests) == 1 + 3 * 2

    @pytest.mark.parametrize("size", [0, 1, 2])
    async def test_what_does_not_exist_on_the_board_is_left_out(self, fake: MondayServer, size: int) -> None:
        """The item is made; a warning says what it lacks. Labels that are missing are made only where wanted."""
        more = {
            "severity_column": "Severty",
            "assignee_column": "Owner",
            "assignee": "carol, carol",
            "make_labels": False,
        }
        async with self.using(fake.url, **more) as subject:
            draft = sample_draft(subject, labels=("Crowd", "a", "b")[: size + 1], parent="Later")
            issue = await subject.create(draft)

        assert issue.warnings == (
            'there is no column "Severty"; did you mean "Severity"?',
            *(f'Labels: there is no "{label}"' for label in ("a", "b")[:size]),
            'Owner: there is no person "carol": left out',
            'parent: there is no group "Later": left out',
        )
        assert set(fake.items[issue.id]["values"]) == {"text_bugid", "dropdown_1"}

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            (
                {"board": "Webshpo"},
                'there is no board that the token\'s user sees "Webshpo"; did you mean "Webshop"?',
            ),
            ({"board": "77"}, 'there is no board "77", or the token\'s user does not see it'),
            ({"group": "Inbxo"}, 'there is no group "Inbxo"; did you mean "Inbox"?: correct `group`'),
            ({"marker_column": "test OI"}, 'did you mean "test IO"?: correct `marker_column`'),
        ],
    )
    async def test_a_place_that_does_not_exist_pauses_the_tracker(
        self, fake: MondayServer, changes: dict[str, Any], told: str
    ) -> None:
        """Nothing is made without its marker."""
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert told in str(caught.value)
        assert fake.creates == []

    async def test_a_column_that_was_deleted_is_looked_up_anew(self, fake: MondayServer, subject: Monday) -> None:
        await subject.create(sample_draft(subject))
        fake.columns["new"] = fake.columns.pop("dropdown_1")
        fake.labels["new"] = []

        draft = sample_draft(subject, sample_bug(id=2))
        with pytest.raises(Rejected, match="column ID doesn't exist"):
            await subject.create(draft)
        await subject.create(draft)

        assert len(fake.items) == 2

    async def test_an_item_with_an_error_beside_it_is_an_item(
        self, fake: MondayServer, subject: Monday, draft: Draft
    ) -> None:
        """GraphQL allows partial data: the item exists, so it must not be made again."""
        made = {"create_item": {"id": "77", "url": "https://acme.monday.com/boards/1/pulses/77"}}
        fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=failure("no access to group", "X", data=made)))

        issue = await subject.create(draft)

        assert (issue.id, issue.warnings) == ("77", ("no access to group",))

    async def test_of_two_items_with_one_marker_the_first_is_ours(
        self, fake: MondayServer, subject: Monday, draft: Draft
    ) -> None:
        first, second = await subject.create(draft), await subject.create(draft)

        found = await subject.find(draft.marker)

        assert found is not None
        assert (found.id, found.warnings) == (first.id, (f"another issue carries testio-bug-12345: {second.url}",))

    async def test_a_description_that_was_not_set_is_set_again_later(
        self, fake: MondayServer, subject: Monday, draft: Draft
    ) -> None:
        """Status 200, no errors, and yet a failure."""
        issue = await subject.create(draft)
        failed = {"set_item_description_content": {"success": False, "error": "document is busy"}}
        fake.inject(Fault(FaultKind.REFUSE, asking("SetDescription"), reply=Reply(json={"data": failed})))

        with pytest.raises(Unavailable, match="the description was not set: document is busy"):
            await subject.complete(issue, draft)

    async def test_the_body_can_be_an_update_which_is_written_once(self, fake: MondayServer) -> None:
        """In HTML. A second time it is edited, not added; comments are other updates."""
        async with self.using(fake.url, body="update") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            await subject.complete(issue, draft)
            await subject.comment(issue, sample_comment(subject, "Still there"))
            changed = sample_draft(subject, sample_bug(description="Another"), only=frozenset({"body"}))
            await subject.update(issue, changed)

        assert draft.body.markup is Markup.HTML
        assert next(body for _, body in fake.updates.values()) == changed.body.text
        assert len(fake.updates) == 2
        assert fake.descriptions == {}

    @pytest.mark.parametrize("column", ["Labels", "Tags"])
    async def test_update_keeps_the_labels_that_people_added(self, fake: MondayServer, column: str) -> None:
        """Only the old severity gives way."""
        async with self.using(fake.url, labels_column=column) as subject:
            draft = sample_draft(subject, labels=("test-io", "severity:low", "triaged"))
            issue = await subject.create(draft)
            await subject.update(
                issue, draft.with_(labels=("test-io", "severity:high"), only=frozenset({"labels"}))
            )

        values = fake.items[issue.id]["values"]
        names = {int(id_): name for name, id_ in fake.tags.items()}
        labels = [names[id_] for id_ in values["tags_1"]["tag_ids"]] if names else values["dropdown_1"]["labels"]
        assert labels == ["test-io", "severity:high", "triaged"]

    async def test_an_update_of_the_parent_moves_the_item(
        self, fake: MondayServer, subject: Monday, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        await subject.update(issue, draft.with_(parent="Now", only=frozenset({"parent"})))

        assert fake.items[issue.id]["group"] == "group_2"

    async def test_a_file_goes_to_the_board_s_column_once(
        self, fake: MondayServer, subject: Monday, draft: Draft, tmp_path: Path
    ) -> None:
        """An upload whose answer was lost is not made again."""
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.RESET_AFTER, asking("AddFile")))

        with pytest.raises(Unavailable):
            await subject.attach(issue, self.file(tmp_path))
        await subject.attach(issue, self.file(tmp_path))

        assert fake.files == [(f"{issue.id}/files_1", "a.png", b"\x89PNG")]

    @pytest.mark.parametrize("operation", ["AddUpdate", "AddFileToUpdate"])
    async def test_without_a_column_files_go_to_one_update(
        self, fake: MondayServer, subject: Monday, draft: Draft, tmp_path: Path, operation: str
    ) -> None:
        """Made for the first file, whatever broke meanwhile."""
        del fake.columns["files_1"]
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.RESET_AFTER, asking(operation)))

        with pytest.raises(Unavailable):
            await subject.attach(issue, self.file(tmp_path))
        await subject.attach(issue, self.file(tmp_path))
        await subject.attach(issue, self.file(tmp_path, "b.png"))

        assert [name for _, name, _ in fake.files] == ["a.png", "b.png"]
        assert list(fake.updates.values()) == [(issue.id, f"<p>{FILES}</p>")]

    @pytest.mark.parametrize(("state", "error"), [("deleted", Gone), ("", Gone)])
    async def test_an_item_that_is_not_listed_is_gone(
        self, fake: MondayServer, subject: Monday, draft: Draft, state: str, error: type[TrackerError]
    ) -> None:
        """A missing or forbidden id is no error to monday.com: it answers with an empty list."""
        issue = await subject.create(draft)
        if state:
            fake.items[issue.id]["state"] = state
        else:
            fake.items.clear()

        with pytest.raises(error):
            await subject.state(issue)

    async def test_an_archived_item_is_done(self, fake: MondayServer, subject: Monday, draft: Draft) -> None:
        issue = await subject.create(draft)
        fake.items[issue.id]["state"] = "archived"

        assert (await subject.state(issue)).done

    async def test_a_board_without_a_status_has_items_that_are_active(self, fake: MondayServer) -> None:
        async with self.using(fake.url, status_column="Progress") as subject:
            state = await subject.state(await subject.create(sample_draft(subject)))

        assert (state.done, state.name) == (False, "active")

    async def test_something_else_that_is_missing_does_not_make_an_item_gone(
        self, fake: MondayServer, subject: Monday, draft: Draft
    ) -> None:
        """Otherwise the bridge would make another."""
        issue = await subject.create(draft)
        missing = failure("Group not found", "ResourceNotFoundException")
        fake.inject(Fault(FaultKind.REFUSE, asking("SetDescription"), reply=missing))

        with pytest.raises(Rejected, match="Group not found"):
            await subject.complete(issue, draft)

    @pytest.mark.parametrize(
        ("reply", "seconds"),
        [
            (Reply(429, json=failure("x", "DAILY_LIMIT_EXCEEDED").json), 15 * 3600),
            (failure("x", "COMPLEXITY_BUDGET_EXHAUSTED", retry_in_seconds=17), 17),
            (failure("Rate Limit Exceeded"), None),
            (Reply(429, json=failure("x", "DAILY_LIMIT_EXCEEDED").json, headers={"Retry-After": "9"}), 9),
        ],
    )
    async def test_a_limit_lasts_as_long_as_it_says(
        self, fake: MondayServer, subject: Monday, draft: Draft, reply: Reply, seconds: int | None
    ) -> None:
        """That of a day until midnight in UTC; the tests begin at nine."""
        fake.inject(Fault(FaultKind.REFUSE, reply=reply))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))

    async def test_a_locked_board_leaves_no_doubt(self, fake: MondayServer, subject: Monday, draft: Draft) -> None:
        """Nothing was made: another delivery writes to the board."""
        fake.inject(Fault(FaultKind.REFUSE, reply=failure("Resource is currently locked", "X", status=423)))

        with pytest.raises(Unavailable):
            await subject.create(draft)

    async def test_a_refusal_says_which_column(self, fake: MondayServer, subject: Monday, draft: Draft) -> None:
        told = {"column_type": "color", "column_id": "status_sev", "column_value": {}}
        reply = failure("This status label doesn't exist", "ColumnValueException", error_data=told)
        fake.inject(Fault(FaultKind.REFUSE, reply=reply))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == "This status label doesn't exist: column_type: color; column_id: status_sev"

    async def test_an_address_that_is_not_monday_s_pauses_the_tracker(self, fake: MondayServer) -> None:
        async with self.using(f"{fake.url}/elsewhere") as subject:
            with pytest.raises(NotAllowed, match=r"is not monday\.com"):
                await subject.create(sample_draft(subject))

    async def found(self, fake: MondayServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (each.verdict, each.subject, each.fix) for each in report.findings if each.verdict is not Verdict.OK
        ]

    @pytest.mark.parametrize(
        ("changes", "fix"),
        [
            ({"board": "Webshpo"}, 'did you mean "Webshop"?'),
            ({"board": "77"}, "correct `board`, or invite the user to it"),
        ],
    )
    async def test_the_doctor_knows_the_boards(
        self, fake: MondayServer, changes: dict[str, Any], fix: str
    ) -> None:
        assert await self.found(fake, **changes) == [(Verdict.ERROR, "board", fix)]

    @pytest.mark.parametrize(("name", "value"), [("access", "view"), ("state", "archived")])
    async def test_the_doctor_knows_whether_the_board_takes_items(
        self, fake: MondayServer, name: str, value: str
    ) -> None:
        setattr(fake, name, value)

        assert (Verdict.ERROR, "board") in [found[:2] for found in await self.found(fake)]

    async def test_the_doctor_warns_of_an_old_version(self, fake: MondayServer) -> None:
        fake.version = "deprecated"

        assert (Verdict.WARNING, "version") in [found[:2] for found in await self.found(fake)]

    async def test_the_doctor_looks_at_every_configured_value(self, fake: MondayServer) -> None:
        fake.labels["dropdown_1"] = ["test-io"]
        found = await self.found(
            fake,
            board="Webshop",
            group="Inbxo",
            marker_column="Status",
            priority_column="Priority",
            priorities={"high": "Hihg"},
            severity_column="Severty",
            type_column="",
            issue_type="Bug",
            labels=["test-oi"],
            assignee_column="Owner",
            assignee="Alice Deo, bob@acme.example",
            file_column="Bug",
            fields={"Fuond": "2026-11-07"},
            make_labels=False,
        )

        assert found == [
            (Verdict.ERROR, "marker_column", "name a column of type text"),
            (Verdict.WARNING, "priorities.high", 'did you mean "High"?'),
            (Verdict.WARNING, "severity_column", 'did you mean "Severity"?'),
            (Verdict.WARNING, "labels", 'did you mean "test-io"?'),
            (Verdict.ERROR, "file_column", "name a column of type file"),
            (Verdict.WARNING, "fields.Fuond", 'did you mean "Found"?'),
            (Verdict.WARNING, "issue_type", "name the column: type_column"),
            (Verdict.ERROR, "group", 'did you mean "Inbox"?'),
            (Verdict.WARNING, "assignee", 'did you mean "Alice Doe"?'),
        ]

    async def test_a_board_without_the_marker_s_column_gets_told_to_add_it(self, fake: MondayServer) -> None:
        del fake.columns["text_bugid"]

        assert await self.found(fake) == [
            (Verdict.ERROR, "marker_column", "add a column of type text to the board"),
        ]

    def file(self, folder: Path, name: str = "a.png") -> AttachmentFile:
        """Return a fetched attachment."""
        path = folder / "spooled"
        path.write_bytes(b"\x89PNG")
        return AttachmentFile(path=path, name=name, type="image/png", size=4, url=f"https://files.test.io/{name}")


def tracker(**changes: Any) -> Monday:
    """Return a tracker that talks to nobody."""
    table = TestMonday().settings("http://127.0.0.1:9") | changes
    return Monday("web", Monday.settings_type.model_validate(table))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failure("This column ID doesn't exist for the board", "InvalidColumnIdException"), Rejected),
        (failure('Cannot query field "x" on type "Item".', "GRAPHQL_VALIDATION_FAILED", status=400), Rejected),
        (failure("unauthorized", "ColumnValueException"), Rejected),
        (Reply(json={"error_code": "JsonParseException", "error_message": "bad", "status_code": 200}), Rejected),
        (Reply(json={"errors": ["odd"]}), Rejected),
        (Reply(json={"errors": [{}]}), Rejected),
        (Reply(json={"errors": [{"message": None, "extensions": None}]}), Rejected),
        (Reply(400, json={"errors": {"token": "x"}}), Rejected),
        (Reply(json={"error_code": "UserUnauthorizedException", "error_message": "no"}), NotAllowed),
        (Reply(json={"error_code": "X", "error_message": "no", "status_code": 403}), NotAllowed),
        (failure("Missing scopes", "missingRequiredPermissions"), NotAllowed),
        (failure("invalid board id", "InvalidBoardIdException"), NotAllowed),
        (failure("Max concurrency exceeded", "maxConcurrencyExceeded"), RateLimited),
        (failure("Rate Limit Exceeded"), RateLimited),
        (Reply(429), RateLimited),
        (failure("Resource is currently locked", "RESOURCE_LOCKED", status=423), Unavailable),
        (Reply(503), Unavailable),
        (failure("invalid item id", "InvalidItemIdException"), Gone),
        (failure("The pulse was not found", "ResourceNotFoundException"), Gone),
        (failure("Group not found", "ResourceNotFoundException"), Rejected),
        (Reply(json={"data": {"me": None}}), type(None)),
    ],
)
def test_an_error_is_told_by_its_code_wherever_it_stands(reply: Reply, error: type) -> None:
    """Its words count only where it has no code: they may repeat what a tester wrote."""
    answer = Answer(reply.status, "" if reply.json else "no words")

    assert type(tracker().explain(answer, reply.json, Purpose.ISSUE)) is error


@pytest.mark.parametrize(
    ("value", "board"),
    [("https://acme.monday.com/boards/123/views/4", "123"), ("123", "123"), (" Webshop ", "Webshop")],
)
def test_a_board_is_named_as_people_know_it(value: str, board: str) -> None:
    assert tracker(board=value).settings.board == board


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"board": "https://acme.monday.com/"}, "is no board"),
        ({"board": ""}, "at least 1 character"),
        ({"version": "latest"}, "should match pattern"),
    ],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(board="2"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("text", 7, "7"),
        ("text", ["a", "b"], "a, b"),
        ("numbers", "3.5", "3.5"),
        ("status", ["a", "b"], {"label": "a"}),
        ("dropdown", "a", {"labels": ["a"]}),
        ("long_text", "x" * 2001, {"text": "x" * 2000}),
        ("date", "2025-11-07", {"date": "2025-11-07"}),
        ("date", "2025-11-07T10:15:00Z", {"date": "2025-11-07", "time": "10:15:00"}),
        ("checkbox", True, {"checked": "true"}),
        ("email", "a@b.c", {"email": "a@b.c", "text": "a@b.c"}),
        ("country", {"countryCode": "DE"}, {"countryCode": "DE"}),
    ],
)
def test_each_type_of_column_has_its_form(kind: str, value: Any, form: Any) -> None:
    assert formed(kind, value) == form


@pytest.mark.parametrize(
    "labels",
    [[{"label": "a"}, {"label": "b"}], {"0": "a", "1": "b"}, [{"name": "a"}, {"name": "b"}, {"name": ""}]],
)
def test_labels_are_read_in_the_form_of_every_version(labels: Any) -> None:
    assert options_of({"settings": {"labels": labels}}) == ["a", "b"]
    assert options_of({"settings": None}) == []


def test_the_mapping_needs_no_network() -> None:
    """Parts without a column are not sent."""
    subject = tracker(severity_column="Severity")

    assert columns(sample_draft(subject, labels=("a  b", "A b")), subject.settings) == {
        "Severity": "High",
        "Labels": ["A b"],
    }


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/monday.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "monday.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["web"]

    assert Monday.settings_type.model_validate(table).type == "monday"
