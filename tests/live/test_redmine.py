"""Redmine as it really is: the adapter against Debian's package, over HTTP."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge import AttachmentFile, Gone, Issue, Marker, NotAllowed, Purpose, Rejected, Tools, Unavailable, Verdict
from bridge.model import Bug, Level
from bridge.testing import sample_bug, sample_draft
from bridge.testing.samples import HOSTILE_TITLE, hostile_bug, large_bug, sample_comment
from bridge_plugins.redmine import Redmine
from tests.bad_days import harness
from tests.bad_days.ledger_server import LedgerServer
from tests.live.redmine import Server

pytestmark = [pytest.mark.process, pytest.mark.anyio, pytest.mark.timeout(240)]  # the first waits for Rails

NO_SPACE = "\u200b"  # keeps what testers wrote from mentioning and linking
BUGS = count(50_001)
"""Each test has a bug of its own: they share one Redmine."""


def table(redmine: Server, **changes: Any) -> dict[str, Any]:
    """Return `[trackers.NAME]` for the project of the shop."""
    return {
        "type": "redmine",
        "url": redmine.url,
        "project": "webshop",
        "api_key": redmine.keys["bridge"],
    } | changes


@asynccontextmanager
async def using(redmine: Server, **changes: Any) -> AsyncIterator[Redmine]:
    """Give a tracker with `changes` of its settings."""
    subject = Redmine("shop", Redmine.settings_type.model_validate(table(redmine, **changes)), Tools())
    try:
        yield subject
    finally:
        await subject.close()


def new_bug(**changes: Any) -> Bug:
    """Return a bug that no other test has."""
    return sample_bug(id=next(BUGS), **changes)


async def made(redmine: Server, draft_changes: dict[str, Any] | None = None, **changes: Any) -> tuple[Issue, Any]:
    """Return a new issue as the adapter knows it, and as Redmine does."""
    async with using(redmine, **changes) as subject:
        issue = await subject.create(sample_draft(subject, new_bug(), **(draft_changes or {})))
    return issue, redmine.read(issue.id)


async def found(redmine: Server, **changes: Any) -> list[tuple[Verdict, str, str]]:
    """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
    async with using(redmine, **changes) as subject:
        report = await subject.check()
    return [
        (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
        for finding in report.findings
        if finding.verdict is not Verdict.OK
    ]


class TestDoctor:
    async def test_is_content_with_a_good_configuration(self, redmine: Server):
        more = {"issue_type": "Feature", "assignee": "Alice Able", "category": "Checkout", "version": "2.0"}
        await made(redmine)  # custom fields are known from the newest issues
        assert await found(redmine, **more, severity_field="Severity", private=True) == []

    async def test_does_not_take_a_wrong_key(self, redmine: Server):
        """Not even for a public project, which Redmine shows to everybody."""
        ((verdict, subject, told),) = await found(redmine, api_key="0" * 40, project="street")

        assert (verdict, subject) == (Verdict.ERROR, "credentials")
        assert told.startswith("Redmine does not know the API key, or its user is locked (HTTP 401) > My account")

    async def test_misses_a_project_and_knows_a_similar_one(self, redmine: Server):
        ((verdict, subject, told),) = await found(redmine, project="webshpo")

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert told.endswith('did you mean "webshop"?')

    async def test_does_not_see_a_project_of_others(self, redmine: Server):
        ((verdict, subject, told),) = await found(redmine, api_key=redmine.keys["stranger"])

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert "lacks a right in the project" in told

    async def test_says_that_a_closed_project_takes_no_issues(self, redmine: Server):
        assert [each[:2] for each in await found(redmine, project="attic")] == [(Verdict.ERROR, "project")]

    async def test_says_which_permissions_are_missing(self, redmine: Server):
        (lacking,) = await found(redmine, api_key=redmine.keys["reporter"])
        assert lacking[:2] == (Verdict.WARNING, "role")
        assert lacking[2].startswith('Reporter lacks "Edit issues"')

        mute = await found(redmine, api_key=redmine.keys["onlooker"])
        assert [each[0] for each in mute] == [Verdict.ERROR, Verdict.WARNING, Verdict.WARNING]
        assert mute[0][2].startswith('Onlooker lacks "Add issues"')

    async def test_looks_every_configured_name_up(self, redmine: Server):
        wrong: dict[str, Any] = {
            "issue_type": "Bugg", "priorities": {"high": "Hihg"}, "assignee": "Alice Abel",
            "category": "Chekout", "version": "2.1", "fields": {"status_id": "In Progres"},
        }  # fmt: skip

        assert [(subject, told.partition(" > ")[2]) for _, subject, told in await found(redmine, **wrong)] == [
            ("issue_type", 'did you mean "Bug"?'),
            ("fields.status_id", 'did you mean "In Progress"?'),
            ("priorities.high", 'did you mean "High"?'),
            ("category", 'did you mean "Checkout"?'),
            ("version", "one of 2.0"),
            ("assignee", 'did you mean "Alice Able"?'),
        ]

    async def test_misses_the_value_of_a_required_field(self, redmine: Server):
        """As far as Redmine tells: what is required is shown to administrators only."""
        changes = {"project": "desk", "api_key": redmine.keys["admin"]}

        ((verdict, subject, told),) = await found(redmine, **changes)

        assert (verdict, subject) == (Verdict.ERROR, "fields")
        assert told.startswith('"Team" is required, and nothing fills it')
        assert await found(redmine, **changes, fields={"Team": "Payments"}) == []

    async def test_does_not_ask_for_a_field_that_is_required_of_another_type(self, redmine: Server):
        assert await found(redmine, api_key=redmine.keys["admin"]) == []


class TestCreate:
    async def test_every_name_arrives(self, redmine: Server):
        names: dict[str, Any] = {
            "project": "Webshop", "issue_type": "feature", "assignee": "alice able", "category": "Checkout",
            "version": "2.0", "private": True, "fields": {"done_ratio": 10, "due_date": "2099-12-24"},
        }  # fmt: skip
        issue, there = await made(redmine, **names)

        assert issue.warnings == ()
        assert (issue.key, issue.url) == (f"#{issue.id}", f"{redmine.url}/issues/{issue.id}")
        shown = ("project", "tracker", "assigned_to", "category", "fixed_version")
        assert [there[name]["name"] for name in shown] == [
            "Webshop", "Feature", "Alice Able", "Checkout", "2.0",
        ]  # fmt: skip
        assert (there["is_private"], there["done_ratio"], there["due_date"]) == (True, 10, "2099-12-24")

    async def test_custom_fields_arrive_by_name(self, redmine: Server):
        more: dict[str, Any] = {
            "severity_field": "Severity", "severities": {"high": "high"}, "marker_field": "Bug key",
            "fields": {"Browsers": ["Safari", "Firefox"]},
        }  # fmt: skip
        await made(redmine)  # names are learnt from the newest issues
        issue, there = await made(redmine, **more)

        assert issue.warnings == ()
        values = {field["name"]: field["value"] for field in there["custom_fields"]}
        assert values.pop("Bug key").startswith("testio-bug-")
        assert values == {"Severity": "high", "Browsers": ["Safari", "Firefox"]}

    async def test_custom_fields_of_a_new_project_are_known_from_other_projects(self, redmine: Server):
        """Redmine lists all of them for administrators only."""
        await made(redmine)
        quay = redmine.call("POST", "/projects.json", {"project": {"name": "Quay", "identifier": "quay"}})[
            "project"
        ]
        membership = {"user_id": redmine.who("bridge"), "role_ids": [redmine.role("Developer")]}
        redmine.call("POST", f"/projects/{quay['id']}/memberships.json", {"membership": membership})

        issue, there = await made(redmine, project="Quay", issue_type="Bug", fields={"severity": "low"})

        assert issue.warnings == ()
        assert {"Severity": "low"}.items() <= {f["name"]: f["value"] for f in there["custom_fields"]}.items()

    @pytest.mark.parametrize(
        ("level", "priority"), [(Level.CRITICAL, "Urgent"), (Level.HIGH, "High"), (Level.LOW, "Low")]
    )
    async def test_a_severity_becomes_a_priority(self, redmine: Server, level: Level, priority: str):
        async with using(redmine) as subject:
            bug = new_bug(severity=level.value, level=level, priority="")
            issue = await subject.create(sample_draft(subject, bug))

        assert redmine.read(issue.id)["priority"]["name"] == priority

    async def test_a_parent_may_be_written_as_people_do(self, redmine: Server):
        epic, _ = await made(redmine)
        issue, there = await made(redmine, parent=epic.key)

        assert there["parent"]["id"] == int(epic.id)
        assert issue.warnings == ()

    async def test_hostile_text_arrives_as_it_is(self, redmine: Server):
        """Nothing is lost, neither emoji nor what looks like markup."""
        async with using(redmine) as subject:
            draft = sample_draft(subject, replace(hostile_bug(), id=next(BUGS)))
            issue = await subject.create(draft)

        there = redmine.read(issue.id)
        assert there["subject"] == draft.title
        assert there["subject"].replace(NO_SPACE, "") == HOSTILE_TITLE
        assert there["description"].replace("\r\n", "\n") == draft.body.text
        assert issue.warnings == ()

    async def test_the_largest_text_fits(self, redmine: Server):
        async with using(redmine) as subject:
            draft = sample_draft(subject, large_bug())
            issue = await subject.create(draft)

        there = redmine.read(issue.id)
        assert (there["subject"], issue.warnings) == (draft.title, ())
        assert draft.marker.found_in(there["description"])

    async def test_what_redmine_drops_is_said(self, redmine: Server):
        """Redmine answers 201 to a type, a status, a member and a custom field that it does not take."""
        changes: dict[str, Any] = {
            "issue_type": "99",
            "fields": {"77": "x", "status_id": "Closed"},
            "private": True,
        }
        issue, there = await made(redmine, **changes, api_key=redmine.keys["reporter"])

        assert [warning.partition(":")[0] for warning in issue.warnings] == [
            "tracker_id", "is_private", "status_id", "custom field 77",
        ]  # fmt: skip
        assert (there["tracker"]["name"], there["status"]["name"]) == ("Bug", "New")

    async def test_unknown_names_do_not_cost_an_issue(self, redmine: Server):
        more: dict[str, Any] = {
            "issue_type": "Bugg",
            "assignee": "Carol",
            "priorities": {"high": "Hoch"},
            "fields": {"Team": "A"},
        }
        issue, _ = await made(redmine, **more)

        assert [warning.split(" ")[0] for warning in issue.warnings] == [
            "tracker_id:", "priority_id:", "assigned_to_id:", "fields:",
        ]  # fmt: skip

    async def test_a_required_field_without_a_value_is_refused_in_redmine_s_words(self, redmine: Server):
        async with using(redmine, project="desk") as subject:
            with pytest.raises(Rejected, match=r"Team cannot be blank \(HTTP 422\)"):
                await subject.create(sample_draft(subject, new_bug()))

    async def test_a_required_field_with_a_value_is_accepted(self, redmine: Server):
        _, there = await made(redmine, project="desk", api_key=redmine.keys["admin"], fields={"Team": "Payments"})

        assert {"Team": "Payments"}.items() <= {f["name"]: f["value"] for f in there["custom_fields"]}.items()

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"api_key": "0" * 40}, "Redmine does not know the API key"),
            ({"project": "nowhere"}, "there is no project nowhere where the key's user may make issues"),
            ({"project": "No Where"}, 'there is no project "No Where"'),
            ({"project": "attic"}, "there is no project attic where the key's user may make issues"),
        ],
        ids=["wrong key", "missing project", "missing name", "closed project"],
    )
    async def test_what_every_delivery_would_meet_pauses_the_tracker(
        self, redmine: Server, changes: dict[str, Any], told: str
    ):
        async with using(redmine, **changes) as subject:
            with pytest.raises(NotAllowed, match=told):
                await subject.create(sample_draft(subject, new_bug()))

    @pytest.mark.parametrize("who", ["onlooker", "stranger"])
    async def test_who_may_not_make_issues_pauses_the_tracker(self, redmine: Server, who: str):
        async with using(redmine, api_key=redmine.keys[who]) as subject:
            with pytest.raises(NotAllowed):
                await subject.create(sample_draft(subject, new_bug()))

    async def test_a_wrong_key_is_noticed_at_a_public_project(self, redmine: Server):
        """Where everybody may read, so that a list would not tell."""
        async with using(redmine, project="Street", api_key="0" * 40) as subject:
            with pytest.raises(NotAllowed, match="does not know the API key"):
                await subject.create(sample_draft(subject, new_bug()))


class TestPages:
    """What people see, which the API does not show."""

    @pytest.mark.parametrize("formatting", ["common_mark", "textile"])
    async def test_what_testers_wrote_is_text_on_the_page(self, redmine: Server, formatting: str):
        """No link to an issue, no mention, no macro, no markup, no script; but our own headings and steps."""
        other, _ = await made(redmine, project="street")
        text = f"See #{other.id} and @alice {{{{include(Wiki)}}}} _or_ -not- <script>alert(1)</script>"
        text_format = "textile" if formatting == "textile" else "markdown"
        redmine.set("text_formatting", formatting)
        try:
            async with using(redmine, project="street", text_format=text_format) as subject:
                bug = new_bug(description=text, steps=(text, "Look"), title=text)
                issue = await subject.create(sample_draft(subject, bug))
            page = redmine.page(f"/issues/{issue.id}")
        finally:
            redmine.set("text_formatting", "common_mark")

        described = page.partition('<div class="description">')[2].partition('<div id="history">')[0]
        assert "<h3" in described
        assert "<ol>" in described
        assert f"testio-bug-{bug.id}" not in visible(described)
        assert visible(described).replace(NO_SPACE, "").count(text) == 2
        for effect in ('class="issue', 'class="user', 'class="flash', "<script", "<em>", "<del>"):
            assert effect not in described

    async def test_the_rest_api_may_be_switched_off(self, redmine: Server):
        redmine.set("rest_api_enabled", "0")
        try:
            ((verdict, subject, told),) = await found(redmine)
            with pytest.raises(NotAllowed, match="the REST API is turned off"):
                await made(redmine)
        finally:
            redmine.set("rest_api_enabled", "1")

        assert (verdict, subject) == (Verdict.ERROR, "credentials")
        assert "Enable REST web service" in told


class TestFind:
    async def test_what_was_made_is_found_by_its_marker_alone(self, redmine: Server):
        """By the exact marker: testio-bug-5 is no testio-bug-50."""
        bug = new_bug()
        async with using(redmine) as subject:
            draft = sample_draft(subject, bug)
            assert await subject.find(draft.marker) is None
            issue = await subject.create(draft)

            assert await subject.find(draft.marker) == issue
            shorter = Marker.of(bug.id // 10, draft.marker.since)
            assert await subject.find(shorter) is None

    async def test_closed_and_private_issues_are_found(self, redmine: Server):
        async with using(redmine, private=True) as subject:
            draft = sample_draft(subject, new_bug())
            issue = await subject.create(draft)
            close(redmine, issue)

            assert await subject.find(draft.marker) == issue

    async def test_the_marker_s_field_survives_an_edited_description(self, redmine: Server):
        await made(redmine)
        async with using(redmine, marker_field="Bug key") as subject:
            draft = sample_draft(subject, new_bug())
            issue = await subject.create(draft)
            redmine.call("PUT", f"/issues/{issue.id}.json", {"issue": {"description": "rewritten"}})

            assert await subject.find(draft.marker) == issue

    async def test_a_filter_that_redmine_ignores_finds_nothing_wrong(self, redmine: Server):
        """Redmine answers an unknown filter with every issue."""
        await made(redmine)
        async with using(redmine, marker_field="77") as subject:
            assert await subject.find(sample_draft(subject, new_bug()).marker) is None

    async def test_a_wrong_key_finds_nothing_out(self, redmine: Server):
        """Redmine treats a wrong key as nobody: what is not seen so is not known to be absent."""
        async with using(redmine, api_key="0" * 40, project="street") as subject:
            with pytest.raises(NotAllowed):
                await subject.find(sample_draft(subject, new_bug()).marker)


class TestFollowUps:
    async def test_an_update_sets_what_it_names_only(self, redmine: Server):
        async with using(redmine, issue_type="Feature") as subject:
            draft = sample_draft(subject, new_bug())
            issue = await subject.create(draft)
            redmine.call("PUT", f"/issues/{issue.id}.json", {"issue": {"priority_id": _urgent(redmine)}})
            updated = await subject.update(
                issue, draft.with_(title="Another 🐞", priority="Low", only=frozenset({"title"}))
            )

        there = redmine.read(issue.id)
        assert (there["subject"], there["priority"]["name"]) == ("Another 🐞", "Urgent")
        assert updated == issue

    async def test_changes_that_the_role_does_not_permit_are_warnings(self, redmine: Server):
        """204, and nothing was done."""
        issue, _ = await made(redmine)
        async with using(redmine, api_key=redmine.keys["reporter"]) as subject:
            draft = sample_draft(subject, new_bug())
            updated = await subject.update(issue, draft.with_(title="Another", only=frozenset({"title"})))

        assert redmine.read(issue.id)["subject"] == draft.title
        assert updated.warnings[0].startswith("subject: Redmine dropped it in silence")

    async def test_a_comment_becomes_a_note(self, redmine: Server):
        issue, _ = await made(redmine)
        async with using(redmine) as subject:
            comment = sample_comment(subject, "Still there 🐞 in *today's* build.")
            await subject.comment(issue, comment)

        notes = [entry["notes"] for entry in redmine.read(issue.id)["journals"]]
        assert [note.replace("\r\n", "\n") for note in notes] == [comment.text]

    @pytest.mark.parametrize(
        ("name", "kept"),
        [("ä b 🐞.png", "ä b 🐞.png"), ("a;b&c=d+f#1.bin", "a;b&c=d+f#1.bin"), ('50%"?.png', "50_.png")],
    )
    async def test_a_file_comes_back_byte_for_byte(self, redmine: Server, tmp_path: Path, name: str, kept: str):
        """Redmine writes an underscore for what a file system may not take."""
        issue, _ = await made(redmine)
        content = bytes(range(256)) * 4000
        async with using(redmine) as subject:
            await subject.attach(issue, spooled(tmp_path, content, name))

        (there,) = redmine.read(issue.id)["attachments"]
        assert (there["filename"], there["content_type"]) == (kept, "image/png")
        assert redmine.download(there["content_url"]) == content

    async def test_a_file_above_the_limit_is_rejected_in_redmine_s_words(self, redmine: Server, tmp_path: Path):
        issue, _ = await made(redmine)
        async with using(redmine) as subject:
            with pytest.raises(Rejected, match="exceeds the maximum allowed file size"):
                await subject.attach(issue, spooled(tmp_path, b"x" * 5_242_881, "a.mp4"))

    async def test_the_state_follows_the_issue(self, redmine: Server):
        issue, _ = await made(redmine)
        async with using(redmine) as subject:
            before = await subject.state(issue)
            close(redmine, issue)
            after = await subject.state(issue)

        assert (before.done, before.name, after.done, after.name) == (False, "New", True, "Closed")

    async def test_a_deleted_issue_is_gone(self, redmine: Server, tmp_path: Path):
        issue, _ = await made(redmine)
        redmine.call("DELETE", f"/issues/{issue.id}.json")
        async with using(redmine) as subject:
            draft = sample_draft(subject, new_bug())
            with pytest.raises(Gone):
                await subject.update(issue, draft)
            with pytest.raises(Gone):
                await subject.comment(issue, sample_comment(subject))
            with pytest.raises(Gone):
                await subject.attach(issue, spooled(tmp_path, b"x", "a.png"))
            with pytest.raises(Gone):
                await subject.state(issue)

    async def test_a_change_that_meets_another_one_is_made_again(self, redmine: Server):
        """Redmine locks optimistically: of two files that are attached at once one is refused without a word."""
        issue, _ = await made(redmine)
        as_of_before = {"lock_version": 99, "description": "changed by two at once"}
        async with using(redmine) as subject:
            with pytest.raises(Unavailable, match="somebody else changed the issue"):
                await subject.call(
                    "PUT", f"/issues/{issue.id}.json", purpose=Purpose.ISSUE, json={"issue": as_of_before}
                )

    async def test_a_wrong_key_does_not_make_an_issue_gone(self, redmine: Server):
        issue, _ = await made(redmine)
        async with using(redmine, api_key="0" * 40) as subject:
            with pytest.raises(NotAllowed):
                await subject.comment(issue, sample_comment(subject))
            with pytest.raises(NotAllowed):
                await subject.state(issue)


class TestDaemon:
    async def test_an_export_posted_five_times_is_one_issue_with_its_files(self, redmine: Server, tmp_path: Path):
        payload_bug = next(BUGS)

        def exported() -> dict[str, Any]:
            with LedgerServer() as pictures, harness.running(tmp_path, {"shop": table(redmine)}) as daemon:
                payload = harness.export(payload_bug, pictures=pictures.url, title=HOSTILE_TITLE)
                with ThreadPoolExecutor(5) as pool:
                    answers = list(pool.map(daemon.post, [payload] * 5))
                assert {answer.status_code for answer in answers} == {202}
                (one,) = {answer.json()["export"] for answer in answers}
                daemon.finish(seconds=60)
                return daemon.show(one)

        (delivery,) = (await asyncio.to_thread(exported))["deliveries"]

        assert delivery["state"] == "delivered"
        (issue,) = redmine.issues("webshop", f"testio-bug-{payload_bug}")
        there = redmine.read(issue["id"])
        assert there["subject"].replace(NO_SPACE, "") == HOSTILE_TITLE
        assert sorted(file["filename"] for file in there["attachments"]) == [
            f"{payload_bug}-1.png", f"{payload_bug}-2.png",
        ]  # fmt: skip


def spooled(folder: Path, content: bytes, name: str) -> AttachmentFile:
    """Return a file as the bridge hands it to a tracker."""
    path = folder / "spooled"
    path.write_bytes(content)
    return AttachmentFile(path=path, name=name, type="image/png", size=len(content), url="")


def visible(markup: str) -> str:
    """Return what is read on a page: without tags and comments."""
    text = re.sub(r"<!--.*?-->|</?[a-z][^>]*>", "", markup, flags=re.DOTALL)
    return html.unescape(text)


def close(redmine: Server, issue: Issue) -> None:
    """Let a person close an issue."""
    statuses = redmine.call("GET", "/issue_statuses.json")["issue_statuses"]
    closed = next(status["id"] for status in statuses if status["name"] == "Closed")
    redmine.call("PUT", f"/issues/{issue.id}.json", {"issue": {"status_id": closed}})


def _urgent(redmine: Server) -> int:
    every = redmine.call("GET", "/enumerations/issue_priorities.json")["issue_priorities"]
    return next(int(each["id"]) for each in every if each["name"] == "Urgent")
