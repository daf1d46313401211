"""Teamwork under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
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
from bridge_plugins._teamwork_names import number, value
from bridge_plugins.teamwork import Teamwork, custom_fields, task
from tests.trackers.fake_teamwork import ALICE, BUGS, INBOX, NOT_FOUND, PROJECT, TOKEN, TeamworkServer, error

HTML = {"Content-Type": "text/html"}


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestTeamwork(TrackerConformance):
    tracker = Teamwork
    server = TeamworkServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            error(400, "invalid payload", "company not found"),
            error(409, "conflict"),
            error(422, "invalid payload", "task cannot be moved"),
        ],
        NotAllowed: [
            error(401, "unexpected error", "401: Not authorized"),
            error(403, "forbidden", "you cannot add tasks"),
        ],
        RateLimited: [
            Reply(429, json={"message": "Too many requests"}, headers={"Retry-After": "7"}),
            Reply(429, body=b""),
        ],
        InDoubt: [
            Reply(502, body=b"<html>Bad Gateway</html>", headers=HTML),
            Reply(408, json={"message": "timeout"}),
        ],
        Unavailable: [Reply(503, body=b"<html>Service Unavailable</html>", headers=HTML)],
        Gone: [NOT_FOUND, Reply(404, json={"message": "Not Found"})],
    }
    empty_answers = (
        *TrackerConformance.empty_answers,
        Reply(201, json={"task": None}),
        Reply(201, json={"task": {"id": 0}}),
        Reply(201, json={"task": {"name": "x"}}),
    )

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "teamwork", "url": url, "project": "Webshop", "list": "Bugs", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, TeamworkServer)
        fake.tasks[int(issue.id)]["status"] = "completed"
        return True

    async def test_a_full_task_is_one_post_with_ids_for_names(self, fake: TeamworkServer) -> None:
        """Options and the task are beside each other."""
        more: dict[str, Any] = {"assignee": "@Alice Adams", "parent": "#12", "fields": {"dueAt": "2026-12-24"}}
        async with self.using(fake.url, labels=["bug"], **more) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

        (request,) = fake.creates
        assert request.path == f"/projects/api/v3/tasklists/{BUGS}/tasks.json"
        assert request.json == {
            "task": {
                "name": "Checkout total is incorrect",
                "description": draft.body.content,
                "priority": "high",
                "tagIds": [1],
                "assignees": {"userIds": [ALICE], "teamIds": [], "companyIds": []},
                "parentTaskId": 12,
                "dueAt": "2026-12-24",
            },
            "taskOptions": {"notify": False, "checkInvalidusers": False},
        }
        assert issue == Issue(id="12345", key="#12345", url=f"{fake.url}/app/tasks/12345")

    async def test_a_bearer_s_token_is_one(self, fake: TeamworkServer) -> None:
        async with self.using(fake.url, auth="bearer") as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].headers["authorization"] == f"Bearer {TOKEN}"

    async def test_names_are_looked_up_once(self, fake: TeamworkServer, subject: Teamwork, draft: Draft) -> None:
        """Tasks after the first cost one request each."""
        await subject.create(draft)
        before = len(fake.requests)
        for _ in range(3):
            await subject.create(draft)

        assert len(fake.requests) - before == 3

    async def test_a_tag_is_made_once_in_the_project(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        """Where the project has none of this name; those of other projects do not count."""
        for _ in range(2):
            await subject.create(draft.with_(labels=("test-io", "elsewhere")))

        made = [
            request.json["tag"] for request in fake.requests if request.method == "POST" and "tags" in request.path
        ]
        assert made == [{"name": name, "projectId": PROJECT} for name in ("test-io", "elsewhere")]

    async def test_unknown_names_do_not_cost_a_task(self, fake: TeamworkServer) -> None:
        fake.takes_no_tags = True
        changes: dict[str, Any] = {"assignee": "carol", "parent": "Epic", "priorities": {"high": "Hihg"}}
        async with self.using(fake.url, labels=["new"], **changes) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'labels: there is no tag "new": left out',
            'assignee: there is no member of the project "carol": left out',
            'parent: "Epic" is neither a task\'s address nor id',
            'priority: "hihg" is none of none, low, medium, high',
        )

    async def test_tags_that_were_left_out_in_silence_are_told(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        made = Reply(201, json={"task": {"id": 7, "tags": []}})
        fake.inject(Fault(FaultKind.ANSWER_AFTER, When.CREATE, reply=made))

        issue = await subject.create(draft.with_(labels=("Bug",)))

        assert issue.warnings == ("labels: Teamwork left out the tags 1",)

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"list": "inbox"}, INBOX),
            ({"list": 99, "project": ""}, BUGS),
            ({"list": "https://acme.teamwork.com/app/tasklists/99"}, BUGS),
            ({"project": "", "list": "Bugs"}, BUGS),
            ({"project": PROJECT, "list": "Bugs"}, BUGS),
        ],
    )
    async def test_the_list_is_named_as_people_know_it(
        self, fake: TeamworkServer, changes: dict[str, Any], where: int
    ) -> None:
        async with self.using(fake.url, **changes) as subject:
            issue = await subject.create(sample_draft(subject))

        assert fake.tasks[int(issue.id)]["tasklist"] == {"id": where}

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"project": "Webshpo"}, 'there is no project "Webshpo"; did you mean "Webshop"?: correct `project`'),
            ({"list": "Bgus"}, 'there is no task list "Bgus"; did you mean "Bugs"?: correct `list`'),
            ({"list": "77"}, "the task list does not exist or the key's user may not see it"),
        ],
    )
    async def test_without_a_list_deliveries_wait(
        self, fake: TeamworkServer, changes: dict[str, Any], told: str
    ) -> None:
        """Every one would end like this one."""
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value).startswith(told)
        assert fake.tasks == {}

    async def test_a_name_that_several_lists_have_needs_the_project(self, fake: TeamworkServer) -> None:
        fake.elsewhere = [{"id": 7, "name": "bugs", "project": {"id": 1}, "status": "new"}]
        async with self.using(fake.url, project="") as subject:
            with pytest.raises(NotAllowed, match='2 task lists are called "Bugs": name the `project`'):
                await subject.create(sample_draft(subject))
        async with self.using(fake.url) as subject:
            await subject.create(sample_draft(subject))

        assert len(fake.tasks) == 1

    async def test_what_was_deleted_is_looked_up_anew(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        await subject.create(draft)
        fake.tags = {"test-io": (70, None)}
        with pytest.raises(Rejected, match="tag not found"):
            await subject.create(draft)

        issue = await subject.create(draft)

        assert 70 in fake.tasks[int(issue.id)]["tagIds"]

    async def test_find_reads_new_tasks_where_the_search_lags(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        """Of the whole project, page by page, finished ones too."""
        issue = await subject.create(draft)
        fake.tasks[int(issue.id)] |= {"status": "completed", "tasklist": {"id": INBOX}}
        for bug in range(20, 25):
            await subject.create(sample_draft(subject, sample_bug(id=bug)))
        subject.names.page = 2
        nothing = Reply(json={"tasks": [], "meta": {"page": {"hasMore": False}}})
        fake.inject(Fault(FaultKind.REFUSE, lambda request: "searchTerm" in request.query, reply=nothing))

        found = await subject.find(draft.marker)

        assert found == issue
        scans = [request for request in fake.requests if "createdAfter" in request.query]
        assert [scan.query["page"] for scan in scans] == [["1"], ["2"], ["3"]]
        assert scans[0].query["createdAfter"] == ["2026-01-05T08:55:00Z"]

    async def test_find_stops_at_older_tasks_even_where_filters_are_ignored(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        fake.ignores_filters = True
        for bug in range(20, 30):
            issue = await subject.create(sample_draft(subject, sample_bug(id=bug)))
            fake.tasks[int(issue.id)]["createdAt"] = "2025-11-07T10:15:04Z"
        subject.names.page = 2

        assert await subject.find(draft.marker) is None

        scans = [request for request in fake.requests if "createdAfter" in request.query]
        assert len(scans) == 1

    async def test_of_several_tasks_the_first_is_the_one(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        first, second = [await subject.create(draft) for _ in range(2)]

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == first.id
        assert found.warnings == (f"another issue carries testio-bug-12345: {second.url}",)

    async def test_custom_fields_are_set_after_the_task_was_made(self, fake: TeamworkServer) -> None:
        """Each as its type wants it; what has a value already gets another one."""
        fields = {"Found by": "crowd", "cost": "3", "Urgent": "yes", "Areas": "Cart, shop"}
        tables = {"severities": {"high": "s2"}, "severity_field": "severity"}
        async with self.using(fake.url, fields=fields, **tables) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            for _ in range(2):
                await subject.complete(issue, draft)

        assert fake.tasks[int(issue.id)]["custom"] == {
            500: "S2", 501: "crowd", 502: 3, 503: True, 504: ["cart", "shop"]
        }  # fmt: skip

    async def test_custom_fields_that_cannot_be_set_are_named(self, fake: TeamworkServer) -> None:
        """The others are set."""
        fields = {"Fuond by": "x", "Severity": "S3", "Cost": "much", "Urgent": "perhaps", "Found by": "crowd"}
        async with self.using(fake.url, fields=fields) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            with pytest.raises(Rejected) as caught:
                await subject.complete(issue, draft)

        assert caught.value.fields == {
            "Fuond by": "there is no such custom field for tasks of the project",
            "Severity": '"S3" is none of S1, S2',
            "Cost": '"much" is no number',
            "Urgent": '"perhaps" is neither true nor false',
        }
        assert fake.tasks[int(issue.id)]["custom"] == {501: "crowd"}

    async def test_update_keeps_the_tags_that_people_added(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        """Those of other projects, too; only the old severity gives way."""
        issue = await subject.create(draft.with_(labels=("test-io", "severity:low")))
        fake.tasks[int(issue.id)]["tagIds"] += [1, 2]

        await subject.update(issue, draft.with_(only=frozenset({"labels"})))

        names = {id_: name for name, (id_, _) in fake.tags.items()}
        tags = {names[id_] for id_ in fake.tasks[int(issue.id)]["tagIds"]}
        assert tags == {"test-io", "severity:high", "Bug", "elsewhere"}

    async def test_update_changes_nothing_where_nothing_is_to_be_set(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        await subject.update(issue, draft.with_(only=frozenset({"parent"})))

        assert [request for request in fake.requests if request.method == "PUT"] == []

    @pytest.mark.parametrize("act", ["update", "comment", "state"])
    async def test_a_deleted_task_is_gone(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft, act: str
    ) -> None:
        """Teamwork still shows it."""
        issue = await subject.create(draft)
        fake.tasks[int(issue.id)]["status"] = "deleted"
        acts: dict[str, Any] = {
            "update": lambda: subject.update(issue, draft),
            "comment": lambda: subject.comment(issue, sample_comment(subject)),
            "state": lambda: subject.state(issue),
        }

        with pytest.raises(Gone, match="deleted"):
            await acts[act]()

    @pytest.mark.parametrize("notify", [False, True])
    async def test_comments_are_html_and_notify_who_is_to_be_notified(
        self, fake: TeamworkServer, notify: bool
    ) -> None:
        async with self.using(fake.url, notify=notify) as subject:
            issue = await subject.create(sample_draft(subject))
            await subject.comment(issue, sample_comment(subject, "3 < 4"))

        (comment,) = fake.tasks[int(issue.id)]["comments"]
        expected = {"body": "<p>3 &lt; 4</p>", "contentType": "HTML"} | ({"notify": True} if notify else {})
        assert comment == expected
        assert fake.creates[0].json["taskOptions"]["notify"] is notify

    async def test_ok_is_said_in_words(self, fake: TeamworkServer, subject: Teamwork, draft: Draft) -> None:
        """By version 1, whatever the status says."""
        issue = await subject.create(draft)
        wrong = Reply(201, json={"STATUS": "Error", "MESSAGE": "comments are off"})
        fake.inject(Fault(FaultKind.REFUSE, lambda request: "comments" in request.path, reply=wrong))

        with pytest.raises(Rejected, match="comments are off"):
            await subject.comment(issue, sample_comment(subject))

    def file(self, folder: Path, content: bytes = b"\x89PNG") -> AttachmentFile:
        (folder / "spooled").write_bytes(content)
        return AttachmentFile(
            path=folder / "spooled", name="abc.png", type="image/png", size=len(content), url="https://f/abc.png"
        )

    @pytest.mark.parametrize("signed", [False, True])
    async def test_a_file_goes_to_the_storage_and_is_put_on_the_task_once(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft, tmp_path: Path, signed: bool
    ) -> None:
        """The answer to the first try was lost; the second sees that the file is there."""
        issue, fake.signs_acl = await subject.create(draft), signed
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "PUT"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, self.file(tmp_path))

        await subject.attach(issue, self.file(tmp_path))

        assert fake.tasks[int(issue.id)]["files"] == [
            {"originalName": "abc.png", "displayName": "abc.png", "size": 4}
        ]
        puts = [request.json for request in fake.requests if request.path.endswith("/12345.json") and request.body]
        assert [put["task"] for put in puts] == [{}]
        assert list(puts[0]) == ["task", "taskOptions", "attachments"]

    async def test_empty_files_are_not_even_tried(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        with pytest.raises(Rejected, match="no empty files"):
            await subject.attach(issue, self.file(tmp_path, b""))

        assert len(fake.requests) == before

    async def test_an_address_for_a_file_that_is_none_is_tried_again(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, lambda request: "presigned" in request.path, reply=Reply(json={})))

        with pytest.raises(Unavailable):
            await subject.attach(issue, self.file(tmp_path))

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "7", "X-Rate-Limit-Reset": "20"}, 7),
            ({"X-Rate-Limit-Reset": "20"}, 20),
            ({"X-Rate-Limit-Reset": str(int(datetime(2026, 1, 5, 9, 0, 30, tzinfo=UTC).timestamp()))}, 30),
            ({"X-Rate-Limit-Reset": "soon"}, 60),
            ({}, 60),
        ],
    )
    async def test_a_rate_limit_lasts_as_long_as_teamwork_says(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft, headers: dict[str, str], seconds: int
    ) -> None:
        fake.inject(refused(Reply(429, json={"message": "Too many requests"}, headers=headers)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (error(400, "invalid payload", "company not found"), "invalid payload: company not found (HTTP 400)"),
            (Reply(400, json={"STATUS": "Error", "MESSAGE": "bad"}), "bad (HTTP 400)"),
            (Reply(400, json={"CONTENT": "worse"}), "worse (HTTP 400)"),
            (Reply(400, json={"errors": ["odd"]}), "odd (HTTP 400)"),
            (
                Reply(404, json={"message": "Not Found"}),
                "the task list does not exist or the key's user may not see it",
            ),
            (
                error(401, "unexpected error", "401: Not authorized"),
                "unexpected error: 401: Not authorized: the key is",
            ),
        ],
    )
    async def test_teamwork_s_own_words_are_told(
        self, fake: TeamworkServer, subject: Teamwork, draft: Draft, reply: Reply, told: str
    ) -> None:
        fake.inject(refused(reply))

        with pytest.raises((Rejected, NotAllowed)) as caught:
            await subject.create(draft)

        assert str(caught.value).startswith(told)

    async def found(self, fake: TeamworkServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_lists_with_a_similar_name(self, fake: TeamworkServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, list="Bgus")

        assert (verdict, subject) == (Verdict.ERROR, "list")
        assert 'did you mean "Bugs"?' in told

    async def test_the_doctor_knows_that_a_completed_list_takes_no_tasks(self, fake: TeamworkServer) -> None:
        fake.list_status = "completed"

        ((verdict, subject, told),) = [each for each in await self.found(fake) if each[1] == "list"]

        assert (verdict, subject) == (Verdict.ERROR, "list")
        assert told == "Bugs is completed: it takes no tasks > reopen it in Teamwork, or name another list"

    async def test_the_doctor_looks_at_every_configured_value(self, fake: TeamworkServer) -> None:
        found = await self.found(
            fake,
            labels=["Bugg", "brand-new", "severity:{{ bug.severity }}"],
            assignee="Alice Adasm, Alice Adams",
            priorities={"p1": "hihg"},
            severity_field="Severity",
            severities={"high": "S1", "low": "S22"},
            issue_type="Bug",
            fields={"Cots": 3, "Cost": "much", "dueAt": "2026-12-24", "Found by": "{{ bug.id }}"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "priorities.p1", 'did you mean "high"?'),
            (Verdict.WARNING, "labels", 'did you mean "Bug"?'),
            (Verdict.WARNING, "assignee", 'did you mean "Alice Adams"?'),
            (Verdict.WARNING, "fields.Cots", 'did you mean "Cost"?'),
            (Verdict.WARNING, "fields.Cost", "correct it"),
            (Verdict.WARNING, "severities.low", 'did you mean "S2"?'),
            (Verdict.WARNING, "issue_type", 'use labels: kind_labels = { visual = "design" }'),
        ]

    async def test_the_doctor_asks_for_a_field_for_severities(self, fake: TeamworkServer) -> None:
        assert [subject for _, subject, _ in await self.found(fake, severities={"high": "S1"})] == ["severities"]


def tracker(**changes: Any) -> Teamwork:
    """Return a tracker that talks to nobody."""
    table = TestTeamwork().settings("http://127.0.0.1:9") | changes
    return Teamwork("shop", Teamwork.settings_type.model_validate(table))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="is no address"):
        tracker(url="acme.teamwork.com")


def test_only_the_site_counts_of_an_address() -> None:
    assert tracker(url="https://acme.teamwork.com/app/projects/1").settings.url == "https://acme.teamwork.com"


def test_trackers_of_one_site_share_a_rate_limit() -> None:
    one, other, stranger = tracker(), tracker(token="another"), tracker(url="https://other.teamwork.com")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    """A task's own fields and custom fields go different ways."""
    subject = tracker(fields={"dueAt": "2026-12-24", "Found by": "crowd"})
    draft = sample_draft(subject)

    assert list(task(draft)) == ["name", "description", "priority", "tagIds", "dueAt"]
    assert custom_fields(draft, subject.settings) == {"Found by": "crowd"}
    assert subject.preview(draft)["customFields"] == {"Found by": "crowd"}


@pytest.mark.parametrize(
    ("text", "id_"),
    [("#12", "12"), ("12", "12"), ("https://acme.teamwork.com/app/tasks/12/", "12"), ("Epic 12", ""), ("", "")],
)
def test_ids_are_found_in_addresses(text: str, id_: str) -> None:
    assert number(text) == id_


@pytest.mark.parametrize(
    ("kind", "wanted", "taken"),
    [
        ("number-decimal", "2.5", 2.5),
        ("rating", "4", 4),
        ("checkbox", "No", False),
        ("text-short", 7, "7"),
        ("date", "2026-12-24", "2026-12-24"),
        ("dropdown", "unlisted", "unlisted"),
        ("user", [31], [31]),
    ],
)
def test_a_custom_field_takes_values_of_its_type(kind: str, wanted: Any, taken: Any) -> None:
    assert value({"type": kind}, wanted) == taken


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/teamwork.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "teamwork.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Teamwork.settings_type.model_validate(table).type == "teamwork"
