"""Wrike under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge import AttachmentFile, Gone, Issue, NotAllowed, RateLimited, Rejected, Unavailable, Verdict
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins.wrike import Wrike, form, header_safe, importance_of
from tests.trackers.fake_wrike import (
    ALICE,
    BOB,
    BUG_TYPE,
    CROWD,
    FIELDS,
    INBOX,
    NOT_FOUND,
    STATUSES,
    TOKEN,
    WrikeServer,
    refusal,
)

BUSY = refusal(429, "too_many_requests", "You are making too many requests")


class TestWrike(TrackerConformance):
    tracker = Wrike
    server = WrikeServer
    secret = TOKEN
    lacks: ClassVar = {"labels": "Wrike has none: folders serve as tags"}
    refusals: ClassVar = {
        Rejected: refusal(400, "invalid_parameter", "Parameter 'title' value is invalid"),
        NotAllowed: [
            refusal(401, "not_authorized", "Access token is unknown or invalid"),
            refusal(403, "access_forbidden", "Access to requested resource is denied"),
        ],
        RateLimited: [BUSY, Reply(429, json=BUSY.json, headers={"Retry-After": "7"})],
        Unavailable: refusal(503, "server_error", "Internal server error"),
        Gone: NOT_FOUND,
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "wrike", "url": url, "token": self.secret, "folder": INBOX}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, WrikeServer)
        fake.tasks[issue.id]["status"] = "Completed"
        return True

    async def test_a_full_draft_is_one_post_with_ids_for_names(self, fake: WrikeServer) -> None:
        more: dict[str, Any] = {
            "status": "triage", "assignee": "Alice Able, bob@acme.example", "issue_type": "bug",
            "severity_field": "Severity", "severities": {"high": "high"}, "parent": "IEAGPARENT00",
            "fields": {"Browser": "{{ bug.device.browser }}", "Areas": ["Cart"], "parents": ["Webshop/Crowd"]},
        }  # fmt: skip
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        (made,) = fake.tasks.values()
        assert made["responsibleIds"] == [ALICE, BOB]
        assert made["parentIds"] == [INBOX, CROWD]
        assert made["customStatusId"] == STATUSES["Triage"][0]
        assert made["customItemTypeId"] == BUG_TYPE
        assert made["superTaskIds"] == ["IEAGPARENT00"]
        assert made["importance"] == "High"
        assert made["metadata"] == [{"key": "testio-bug", "value": "conformance:testio-bug-12345"}]
        assert {own["id"]: own["value"] for own in made["customFields"]} == {
            FIELDS["Severity"][0]: "high",
            FIELDS["Browser"][0]: "safari",
            FIELDS["Areas"][0]: '["Cart"]',
        }
        assert issue == Issue(id=made["id"], key="#9876543201", url="https://www.wrike.com/open.htm?id=9876543201")

    @pytest.mark.parametrize(
        "folder", ["Inbox", "webshop/inbox", INBOX, "1234567890", "https://www.wrike.com/open.htm?id=1234567890"]
    )
    async def test_a_folder_is_known_by_name_id_and_permalink(self, fake: WrikeServer, folder: str) -> None:
        async with self.using(fake.url, folder=folder) as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].path == f"/api/v4/folders/{INBOX}/tasks"

    @pytest.mark.parametrize(
        ("folder", "told"),
        [
            ("Inbx", 'did you mean "Inbox"'),
            ("42", "permalink 42 leads to nothing"),
            ("IEAGNOTTHERE0", "correct `folder`"),
        ],
    )
    async def test_a_folder_that_is_not_there_pauses_the_tracker(
        self, fake: WrikeServer, folder: str, told: str
    ) -> None:
        async with self.using(fake.url, folder=folder) as subject:
            with pytest.raises(NotAllowed, match=told):
                await subject.create(sample_draft(subject))

    async def test_what_wrike_does_not_have_is_left_out_with_a_warning(self, fake: WrikeServer) -> None:
        more = {"assignee": "Alcie", "issue_type": "Defect", "fields": {"Browsr": "x"}, "status": "Nwe"}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'responsibles: there is no person "Alcie": left out',
            'customStatus: there is no status "Nwe": left out',
            'customItemTypeId: there is no item type "Defect": left out',
            "Browsr: there is no such custom field: it is left out",
        )

    async def test_a_task_that_was_moved_is_found(self, fake: WrikeServer, subject: Wrike, draft: Draft) -> None:
        issue = await subject.create(draft)
        fake.tasks[issue.id]["parentIds"] = [CROWD]

        assert await subject.find(draft.marker) == issue

    async def test_a_task_of_another_api_app_is_found_by_its_description(
        self, fake: WrikeServer, subject: Wrike, draft: Draft
    ) -> None:
        """Page by page, each with the same filters."""
        for number in (3, 4):
            await subject.create(draft.with_(body=replaced(draft, f"other {number}")))
        issue = await subject.create(draft)
        fake.mine, fake.page = False, 1

        assert await subject.find(draft.marker) == issue

    async def test_another_tracker_s_task_of_the_same_bug_is_not_ours(
        self, fake: WrikeServer, subject: Wrike, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.tasks[issue.id] |= {
            "metadata": [{"key": "testio-bug", "value": f"other:{draft.marker.text}"}],
            "parentIds": [CROWD],
        }

        assert await subject.find(draft.marker) is None

    async def test_an_update_keeps_what_people_added(
        self, fake: WrikeServer, subject: Wrike, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.tasks[issue.id]["responsibleIds"] = [BOB]

        await subject.update(issue, draft.with_(assignee="Alice Able"))

        assert fake.tasks[issue.id]["responsibleIds"] == [BOB, ALICE]

    @pytest.mark.parametrize("method", ["update", "comment", "state"])
    async def test_a_task_in_the_recycle_bin_is_gone(
        self, fake: WrikeServer, subject: Wrike, draft: Draft, method: str
    ) -> None:
        issue = await subject.create(draft)
        fake.tasks[issue.id]["scope"] = "RbTask"
        arguments: dict[str, list[Any]] = {"update": [draft], "comment": [draft.body], "state": []}

        with pytest.raises(Gone, match="recycle bin"):
            await getattr(subject, method)(issue, *arguments[method])

    async def test_a_full_storage_costs_the_file_and_not_the_tracker(
        self, fake: WrikeServer, subject: Wrike, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        full = refusal(403, "not_allowed", "Storage quota is exceeded")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.method == "POST", 1, full))

        with pytest.raises(Rejected, match="quota"):
            await subject.attach(issue, a_file(tmp_path))

    async def test_a_file_is_sent_once_though_an_answer_was_lost(
        self, fake: WrikeServer, subject: Wrike, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "POST"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, a_file(tmp_path))
        await subject.attach(issue, a_file(tmp_path))

        assert [each["name"] for each in fake.tasks[issue.id]["attachments"]] == ["Ubersicht.png"]

    async def found(self, fake: WrikeServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (each.verdict, each.subject, each.fix) for each in report.findings if each.verdict is not Verdict.OK
        ]

    async def test_the_doctor_looks_at_every_configured_value(self, fake: WrikeServer) -> None:
        found = await self.found(
            fake,
            status="Triaeg",
            assignee="Alice Abel",
            issue_types={"high": "Bugg"},
            priorities={"p1": "Hihg"},
            severity_field="Severity",
            severities={"high": "hihg", "low": "low"},
            labels=["crowd"],
            fields={"Browsr": "x", "parents": ["Crowds"]},
        )

        assert found == [
            (Verdict.WARNING, "status", 'did you mean "Triage"?'),
            (Verdict.WARNING, "assignee", 'did you mean "Alice Able"?'),
            (Verdict.WARNING, "issue_types.high", 'did you mean "Bug"?'),
            (Verdict.WARNING, "fields.parents", 'did you mean "Crowd"?'),
            (Verdict.WARNING, "priorities.p1", 'did you mean "High"?'),
            (
                Verdict.WARNING,
                "labels",
                "Wrike has no labels: put tasks into more folders with fields = { parents = [...] }",
            ),
            (Verdict.WARNING, "fields.Browsr", 'did you mean "Browser"?'),
            (Verdict.WARNING, "severities.high", 'did you mean "high"?'),
        ]

    async def test_the_doctor_sees_a_collaborator_a_deleted_folder_and_a_wrong_one(
        self, fake: WrikeServer
    ) -> None:
        fake.role, fake.scope = "Collaborator", "RbFolder"

        assert [each[:2] for each in await self.found(fake)] == [
            (Verdict.ERROR, "credentials"),
            (Verdict.ERROR, "folder"),
        ]
        assert [each[:2] for each in await self.found(fake, folder="Nowhere")] == [
            (Verdict.ERROR, "credentials"),
            (Verdict.ERROR, "folder"),
        ]

    async def test_the_doctor_explains_a_token_on_the_wrong_host(self, fake: WrikeServer) -> None:
        async with self.using(fake.url, token="another-token") as subject:
            (finding,) = (await subject.check()).findings

        assert "belongs to another host" in finding.message


def a_file(folder: Path) -> AttachmentFile:
    path = folder / "spooled"
    path.write_bytes(b"abc")
    return AttachmentFile(path=path, name="Übersicht.png", type="image/png", size=3, url="https://files.test.io/a")


def replaced(draft: Draft, content: str) -> Any:
    """Return the draft's body with another content."""
    return type(draft.body)(content=content, markup=draft.body.markup)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("a.png", "a.png"),
        ("Übersicht.png", "Ubersicht.png"),
        ('a/b\\c"d\n.png', "a_b_c_d_.png"),
        ("日本.png", "file.png"),
        ("日本", "file"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
    ],
)
def test_a_file_name_fits_a_header(name: str, sent: str) -> None:
    assert header_safe(name) == sent


def test_what_is_no_text_is_json_in_a_form() -> None:
    assert form({"title": "a", "parents": ["b"], "follow": True}) == {
        "title": "a",
        "parents": '["b"]',
        "follow": "true",
    }


@pytest.mark.parametrize(("word", "importance"), [("high", "High"), ("LOW", "Low"), ("urgent", ""), ("", "")])
def test_importance_is_one_of_three_words(word: str, importance: str) -> None:
    assert importance_of(word) == importance


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/wrike.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "wrike.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Wrike.settings_type.model_validate(table).type == "wrike"
