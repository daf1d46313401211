"""ClickUp under the conformance suite, and what is special about it."""

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
    TrackerError,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import SINCE
from bridge_plugins._clickup_fields import dropped, item, moment
from bridge_plugins.clickup import ClickUp, priority_of, task
from tests.trackers.fake_clickup import (
    ALICE,
    BOB,
    DOING,
    FIELDS,
    INBOX,
    LABELS,
    NOT_AUTHORIZED,
    NOT_FOUND,
    OPTIONS,
    START,
    TOKEN,
    WORKSPACE,
    ClickUpServer,
    refusal,
)

LIMITED = refusal(429, "Rate limit reached", "APP_002")
RESET = str(int(SINCE.timestamp()) + 42)
IDS = {field["name"]: id_ for id_, field in FIELDS.items()}
ADDRESS = f"https://app.clickup.com/{WORKSPACE}/v/li/{INBOX}"


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


def values(task: dict[str, Any]) -> dict[str, Any]:
    """Return the custom fields of a task that have a value, by name."""
    return {own["name"]: own["value"] for own in task["custom_fields"] if "value" in own}


class TestClickUp(TrackerConformance):
    tracker = ClickUp
    server = ClickUpServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            refusal(400, "Status does not exist", "ITEM_114"),
            refusal(400, "Max usage for custom task types reached", "ITEM_246"),
            refusal(403, "Storage is full", "GBUSED_005"),
        ],
        NotAllowed: [
            refusal(400, "Authorization header required", "OAUTH_017"),
            refusal(401, "Token invalid", "OAUTH_025"),
            NOT_AUTHORIZED,
            Reply(403, json={"status": 403, "message": "Forbidden"}),
        ],
        RateLimited: [LIMITED, Reply(429, json=LIMITED.json, headers={"Retry-After": "7"})],
        InDoubt: [Reply(504, body=b"<html>Gateway Timeout</html>", headers={"Content-Type": "text/html"})],
        Unavailable: [refusal(500, "Internal Server Error", "SERVER_1"), Reply(503, body=b"<html>503</html>")],
        Gone: [NOT_FOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "clickup", "list": ADDRESS, "token": self.secret, "url": f"{url}/api/v2"}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, ClickUpServer)
        fake.tasks[issue.id]["status"] = {"status": "complete", "type": "closed"}
        return True

    async def test_a_full_task_is_one_post_with_ids_for_names(self, fake: ClickUpServer) -> None:
        more: dict[str, Any] = {"assignee": "Alice, bob@acme.example", "issue_type": "bug", "status": "doing"}
        fields = {
            "Areas": "Cart, search",
            "Cost": 2.5,
            "Urgent": True,
            "Seen": "2026-01-05",
            "due_date": "2026-12-24",
        }
        own = {"severity_field": "Severity", "severities": {"high": "High"}, "marker_field": "test IO ID"}
        async with self.using(fake.url, fields=fields, labels=["Crowd"], **more, **own) as subject:
            issue = await subject.create(sample_draft(subject, parent="86c9aaaaa"))

        sent = fake.creates[0].json
        assert (sent["assignees"], sent["custom_item_id"], sent["status"]) == ([ALICE, BOB], 1300, "doing")
        assert (sent["priority"], sent["tags"], sent["parent"]) == (2, ["crowd"], "86c9aaaaa")
        assert (sent["due_date"], sent["notify_all"]) == (1_798_070_400_000, False)
        assert values(fake.tasks[issue.id]) == {
            "test IO ID": "conformance:testio-bug-12345",
            "Severity": OPTIONS[0]["id"],
            "Areas": [LABELS[0]["id"], LABELS[1]["id"]],
            "Cost": 2.5,
            "Urgent": True,
            "Seen": 1_767_571_200_000,
        }
        assert issue == Issue(id=issue.id, key=issue.id, url=f"https://app.clickup.com/t/{issue.id}")

    async def test_the_body_is_markdown(self, fake: ClickUpServer, subject: ClickUp, draft: Draft) -> None:
        """In `description` ClickUp would show every sign of it."""
        await subject.create(draft)

        sent = fake.creates[0].json
        assert sent["markdown_content"] == draft.body.content
        assert "description" not in sent

    async def test_tasks_after_the_first_cost_one_request_each(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        await subject.create(draft)
        before = len(fake.requests)
        for _ in range(3):
            await subject.create(draft)

        assert len(fake.requests) - before == 3

    async def test_a_tag_that_may_not_be_made_is_sent_all_the_same(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        """The task may make it; a label does not cost a task."""
        may_not = Fault(
            FaultKind.REFUSE,
            lambda request: request.method == "POST" and request.path.endswith("/tag"),
            9,
            refusal(401, "Not allowed", "ACCESS_083"),
        )
        fake.inject(may_not)

        issue = await subject.create(draft)

        assert [tag["name"] for tag in fake.tasks[issue.id]["tags"]] == ["test-io", "severity:high"]

    async def test_unknown_names_do_not_cost_a_task(self, fake: ClickUpServer) -> None:
        fields = {"Cots": 3, "Severity": "Urgent", "Cost": "much", "Owner": "Alice", "start_date": "soon"}
        async with self.using(fake.url, assignee="carol", issue_type="Defect", fields=fields) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'assignee: there is no member of the list "carol": left out',
            'issue_type: there is no task type "Defect": left out',
            'start_date: "soon" is no day: write it like 2026-12-24: it is left out',
            "Cots: the list has no such custom field: it is left out",
            'Severity: "Urgent" is none of High, Low: it is left out',
            'Cost: "much" is no number: it is left out',
            'Owner: a field of type "users" takes no text: it is left out',
        )

    async def test_what_clickup_drops_in_silence_is_told(self, fake: ClickUpServer) -> None:
        """A custom field that is only for tasks of another type."""
        fake.ignored.add(IDS["Cost"])
        async with self.using(fake.url, fields={"Cost": 3, "Urgent": "yes"}) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == ("Cost: ClickUp dropped it",)

    @pytest.mark.parametrize("name", ["inbox", "Shop/Inbox", INBOX, f"https://app.clickup.com/1/v/l/6-{INBOX}-1"])
    async def test_the_list_is_named_as_people_know_it(self, fake: ClickUpServer, name: str) -> None:
        async with self.using(fake.url, list=name) as subject:
            issue = await subject.create(sample_draft(subject))

        assert fake.tasks[issue.id]["home"] == INBOX

    async def test_a_list_in_a_folder_has_the_folder_in_its_name(self, fake: ClickUpServer) -> None:
        async with self.using(fake.url, list="Shop/Sprint/Doing") as subject:
            issue = await subject.create(sample_draft(subject))

        assert fake.tasks[issue.id]["home"] == DOING

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"list": "Inbx"}, 'there is no list "Inbx"; did you mean "Inbox"?: correct `list`'),
            ({"list": "999"}, "the list does not exist or the token's user does not see it"),
            ({"list": "Inbox", "workspace": "Acne"}, "there is no workspace that the token's user is in"),
        ],
    )
    async def test_without_a_list_deliveries_wait(
        self, fake: ClickUpServer, changes: dict[str, Any], told: str
    ) -> None:
        """Every one would end like this one."""
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value).startswith(told)

    async def test_of_several_workspaces_one_is_named(self, fake: ClickUpServer) -> None:
        fake.workspaces["42"] = "Side project"
        async with self.using(fake.url, list="Inbox") as subject:
            with pytest.raises(NotAllowed, match='name one of "Acme", "Side project" as `workspace`'):
                await subject.create(sample_draft(subject))
        async with self.using(fake.url, list="Inbox", workspace="acme") as subject:
            await subject.create(sample_draft(subject))

        assert len(fake.tasks) == 1

    async def test_find_reads_the_list_page_by_page(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        """Since a little before the first attempt; closed, archived and subtasks too."""
        issue = await subject.create(draft)
        for number in range(4):
            await subject.create(sample_draft(subject, sample_bug(id=20 + number)))
        fake.tasks[issue.id]["archived"] = True
        fake.page = 2
        before = len(fake.requests)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id
        pages = fake.requests[before:]
        assert len(pages) == 3
        assert {request.path for request in pages} == {f"/api/v2/list/{INBOX}/task"}
        assert pages[0].query["date_created_gt"] == [str(START - 300_000)]
        assert pages[0].query["subtasks"] == pages[0].query["include_timl"] == ["true"]

    async def test_with_a_field_for_the_marker_a_moved_task_is_found(self, fake: ClickUpServer) -> None:
        async with self.using(fake.url, marker_field="test IO ID") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            fake.tasks[issue.id]["home"] = DOING
            before = len(fake.requests)

            found = await subject.find(draft.marker)

        assert found == issue
        (request,) = fake.requests[before:]
        assert request.path == f"/api/v2/team/{WORKSPACE}/task"

    async def test_the_same_bug_of_another_tracker_in_the_workspace_is_another_task(
        self, fake: ClickUpServer
    ) -> None:
        async with self.using(fake.url, marker_field="test IO ID") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            fake.tasks[issue.id]["home"] = DOING
            subject.name = "other"

            assert await subject.find(draft.marker) is None

    async def test_of_several_tasks_the_first_is_the_one(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        first, second = [await subject.create(draft) for _ in range(2)]

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == first.id
        assert found.warnings == (f"another issue carries testio-bug-12345: {second.url}",)

    async def test_update_keeps_the_tags_that_people_added(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        """Only the old severity gives way. A tag's name goes into an address."""
        issue = await subject.create(draft.with_(labels=("test-io", "severity:low", "a/b c")))
        fake.tasks[issue.id]["tags"].append({"name": "from people"})

        await subject.update(
            issue, draft.with_(labels=("test-io", "severity:high", "x/y?"), only=frozenset({"labels"}))
        )

        names = {tag["name"] for tag in fake.tasks[issue.id]["tags"]}
        assert names == {"test-io", "severity:high", "a/b c", "from people", "x/y?"}

    async def test_update_sets_people_priority_and_fields(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        issue = await subject.create(draft.with_(assignee="Alice"))
        parts = frozenset({"priority", "assignee", "fields"})
        fields = {"Severity": "Low", "links_to": "86c9zzz", "status": "doing"}

        await subject.update(issue, draft.with_(priority="Low", assignee="Bob", fields=fields, only=parts))

        task = fake.tasks[issue.id]
        assert (task["priority"]["id"], task["status"]["status"]) == ("4", "doing")
        assert [each["id"] for each in task["assignees"]] == [BOB]
        assert values(task) == {"Severity": OPTIONS[1]["id"]}

    async def test_a_field_that_is_gone_does_not_make_the_task_gone(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft
    ) -> None:
        """The bridge would make another task."""
        issue = await subject.create(draft)
        gone = refusal(404, "Field not found", "FIELD_015")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: "/field/" in request.path, reply=gone))

        with pytest.raises(Rejected, match="FIELD_015"):
            await subject.update(issue, draft.with_(fields={"Cost": 3}, only=frozenset({"fields"})))

    async def test_a_file_is_uploaded_once(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft, tmp_path: Path
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
        assert [(each.files[0].field, each.files[0].name) for each in uploads] == [("attachment", "abc.png")]

    @pytest.mark.parametrize(
        ("changes", "done", "name"),
        [
            ({}, False, "to do"),
            ({"status": {"status": "shipped", "type": "done"}}, True, "shipped"),
            ({"archived": True}, True, "archived"),
        ],
    )
    async def test_a_task_is_done_when_its_status_means_it(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft, changes: dict[str, Any], done: bool, name: str
    ) -> None:
        issue = await subject.create(draft)
        fake.tasks[issue.id] |= changes

        state = await subject.state(issue)

        assert (state.done, state.name) == (done, name)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [({"X-RateLimit-Reset": RESET}, 42), ({"X-RateLimit-Reset": "1"}, 1), ({}, 60), ({"Retry-After": "7"}, 7)],
    )
    async def test_a_rate_limit_lasts_until_clickup_s_reset(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft, headers: dict[str, str], seconds: int
    ) -> None:
        fake.inject(refused(Reply(429, json=LIMITED.json, headers=headers)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after is not None
        assert round(caught.value.retry_after / timedelta(seconds=1)) == seconds

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (refusal(400, "Status does not exist", "ITEM_114"), "Status does not exist (ITEM_114) (HTTP 400)"),
            (refusal(401, "Token invalid", "OAUTH_025"), "Token invalid (OAUTH_025) (HTTP 401)"),
            (Reply(400, json={"status": 400, "message": "bad"}), "bad (HTTP 400)"),
        ],
    )
    async def test_clickup_s_own_words_are_told(
        self, fake: ClickUpServer, subject: ClickUp, draft: Draft, reply: Reply, told: str
    ) -> None:
        fake.inject(refused(reply))

        with pytest.raises(TrackerError) as caught:
            await subject.create(draft)

        assert str(caught.value) == told

    async def found(self, fake: ClickUpServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and what to do."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        bad = [finding for finding in report.findings if finding.verdict is not Verdict.OK]
        return [(finding.verdict, finding.subject, finding.fix) for finding in bad]

    async def test_the_doctor_is_content_with_all_that_exists(self, fake: ClickUpServer) -> None:
        fields = {"Cost": 3, "Seen": "{{ export.received_at }}", "due_date": "2026-12-24"}
        own = {"severity_field": "Severity", "marker_field": "test IO ID", "issue_type": "Bug", "status": "To Do"}

        assert await self.found(fake, fields=fields, assignee="Alice", **own) == []

    async def test_the_doctor_says_which_list_can_be_meant(self, fake: ClickUpServer) -> None:
        fake.lists["Doing"] = "901234567892"

        ((verdict, subject, fix),) = await self.found(fake, list="Doing")

        assert (verdict, subject) == (Verdict.ERROR, "list")
        assert fix == "several have this name: write one of Shop/Sprint/Doing, Shop/Doing"

    @pytest.mark.parametrize("level", ["read", "comment", "edit"])
    async def test_the_doctor_knows_who_may_not_make_tasks(self, fake: ClickUpServer, level: str) -> None:
        fake.permission = level

        assert [found[:2] for found in await self.found(fake)] == [(Verdict.ERROR, "list")]

    async def test_the_doctor_knows_archived_lists(self, fake: ClickUpServer) -> None:
        fake.archived = True

        assert await self.found(fake) == [(Verdict.ERROR, "list", "restore it, or name another list")]

    async def test_the_doctor_looks_at_every_configured_value(self, fake: ClickUpServer) -> None:
        found = await self.found(
            fake,
            status="dooing",
            labels=["Crwod", "brand-new", "severity:{{ bug.severity }}"],
            assignee="Alcie",
            issue_types={"high": "Bugg"},
            priorities={"p1": "Highest"},
            severity_field="Severity",
            severities={"high": "Hihg", "low": "Low"},
            marker_field="testIO ID",
            fields={"Cots": 3, "Seen": "soon", "due_date": "later", "Cost": "{{ bug.id }}"},
        )

        assert found == [
            (Verdict.ERROR, "status", 'did you mean "doing"?'),
            (Verdict.WARNING, "labels", 'did you mean "crowd"?'),
            (Verdict.WARNING, "assignee", 'did you mean "Alice"?'),
            (Verdict.WARNING, "issue_types.high", 'did you mean "Bug"?'),
            (Verdict.WARNING, "priorities.p1", "one of Urgent, High, Normal, Low"),
            (Verdict.WARNING, "fields.due_date", "correct it, or add the option in ClickUp"),
            (Verdict.WARNING, "fields.Cots", 'did you mean "Cost"?'),
            (Verdict.WARNING, "fields.Seen", "correct it, or add the option in ClickUp"),
            (Verdict.WARNING, "severities.high", "correct it, or add the option in ClickUp"),
            (Verdict.WARNING, "marker_field", 'did you mean "test IO ID"?'),
        ]

    async def test_the_doctor_wants_a_field_for_severities(self, fake: ClickUpServer) -> None:
        assert await self.found(fake, severities={"high": "High"}) == [
            (Verdict.WARNING, "severities", 'name the custom field: severity_field = "..."')
        ]

    async def test_the_doctor_wants_to_know_which_workspace(self, fake: ClickUpServer) -> None:
        """Only where something is looked for in it."""
        fake.workspaces["42"] = "Side project"

        assert await self.found(fake, list=INBOX) == []
        assert [each[:2] for each in await self.found(fake, list=INBOX, issue_type="Bug")] == [
            (Verdict.ERROR, "workspace")
        ]


def tracker(**changes: Any) -> ClickUp:
    """Return a tracker that talks to nobody."""
    table = TestClickUp().settings("http://127.0.0.1:9") | changes
    return ClickUp("shop", ClickUp.settings_type.model_validate(table))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="is no list: open the list"):
        tracker(list="https://app.clickup.com/t/86c9hvqbu")


def test_a_personal_token_is_sent_as_it_is_and_one_of_oauth_as_a_bearer_s() -> None:
    assert tracker().headers() == {"Authorization": TOKEN}
    assert tracker(token="123_abcdef").headers() == {"Authorization": "Bearer 123_abcdef"}


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(list=DOING), tracker(token="pk_another_token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    """A task's own fields and custom fields go different ways; the preview shows names."""
    subject = tracker(
        severity_field="Severity", marker_field="test IO ID", fields={"points": 3, "Found by": "crowd"}
    )
    draft = sample_draft(subject, severity="High")

    assert task(draft, subject.settings)["points"] == 3
    assert subject.preview(draft)["custom_fields"] == {
        "test IO ID": "shop:testio-bug-12345",
        "Severity": "High",
        "Found by": "crowd",
    }


@pytest.mark.parametrize(("word", "number"), [("Urgent", 1), ("low", 4), ("3", 3), ("", None), ("highest", None)])
def test_priorities_are_numbers(word: str, number: int | None) -> None:
    assert priority_of(word) == number


def test_a_value_is_sent_as_its_field_takes_it() -> None:
    """Options by name or id; what is a table already goes as it is."""
    options = {"type": "drop_down", "type_config": {"options": OPTIONS}}

    assert item(options, "high") == item(options, OPTIONS[0]["id"]) == OPTIONS[0]["id"]
    assert item({"type": "labels", "type_config": {"options": LABELS}}, ["Cart"]) == [LABELS[0]["id"]]
    assert item({"type": "users"}, {"add": [ALICE]}) == {"add": [ALICE]}
    assert item({"type": "url"}, "https://app.test.io ") == "https://app.test.io"
    assert item({"type": "number"}, "7") == 7


def test_a_moment_is_in_milliseconds() -> None:
    assert moment("2026-01-05T10:00:00+01:00") == moment("2026-01-05T09:00:00") == moment(START) == START


def test_what_an_answer_says_nothing_of_counts_as_kept() -> None:
    sent = {"tags": ["a"], "custom_fields": [{"id": "1", "value": "x"}]}

    assert dropped(sent, {"id": "1", "tags": [], "custom_fields": []}) == []
    assert dropped(sent, {"tags": [{"name": "b"}], "custom_fields": [{"id": "1", "value": None}]}) == ["a", "1"]


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/clickup.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "clickup.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert ClickUp.settings_type.model_validate(table).type == "clickup"
