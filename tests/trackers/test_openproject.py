"""OpenProject under the conformance suite, and what is special about it."""

from __future__ import annotations

import json
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
from bridge.testing.samples import SINCE
from bridge_plugins.openproject import OpenProject, payload
from tests.trackers.fake_openproject import (
    CONFLICT,
    NOT_FOUND,
    PREFIX,
    TOKEN,
    OpenProjectServer,
    error,
    invalid,
)

BLANK, BAD = "Subject can't be blank.", "Severity is bad."
TWO = error(
    422,
    "MultipleErrors",
    "Multiple field constraints have been violated.",
    errors=[invalid("subject", BLANK).json, invalid("customField8", BAD).json],
)
RESET = str(int(SINCE.timestamp()) + 3)
SLOW = {"RateLimit-Limit": "6", "RateLimit-Remaining": "0", "RateLimit-Reset": RESET}


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


class TestOpenProject(TrackerConformance):
    tracker = OpenProject
    server = OpenProjectServer
    secret = TOKEN
    lacks: ClassVar = {"labels": "work packages have none"}
    refusals: ClassVar = {
        Rejected: [
            invalid("subject", "Subject can't be blank."),
            TWO,
            error(400, "InvalidRequestBody", "The request body was not a single JSON object."),
            error(415, "TypeNotSupported", "Expected CONTENT-TYPE to be (application/json)."),
            Reply(406, body=b"Missing content-type header", headers={"Content-Type": "text/plain"}),
        ],
        NotAllowed: [
            error(401, "Unauthenticated", "You did not provide the correct credentials."),
            error(403, "MissingPermission", "You are not authorized to access this resource."),
        ],
        RateLimited: [Reply(429, body=b"Retry later", headers={"Content-Type": "text/plain", **SLOW})],
        InDoubt: [
            error(500, "InternalServerError", "An internal error has occurred."),
            Reply(502, body=b"<html>Bad Gateway</html>", headers={"Content-Type": "text/html"}),
        ],
        Gone: [NOT_FOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "openproject", "url": f"{url}/openproject", "project": "Webshop", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, OpenProjectServer)
        fake.packages[int(issue.id)]["_links"]["status"] = {"href": f"{PREFIX}/statuses/12", "title": "Closed"}
        return True

    async def test_a_full_work_package_is_one_post_with_links_for_names(self, fake: OpenProjectServer) -> None:
        """Links are copied, with the path that the instance lives under."""
        more: dict[str, Any] = {"assignee": "alice adams", "parent": "#12", "fields": {"dueDate": "2026-12-24"}}
        more |= {"priorities": {"p2": "immediate"}, "severity_field": "Severity", "severities": {"high": "s1"}}
        async with self.using(fake.url, notify=False, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        (create,) = fake.creates
        assert create.query == {"notify": ["false"]}
        assert {name: link["href"].removeprefix(PREFIX) for name, link in create.json["_links"].items()} == {
            "project": "/projects/3",
            "type": "/types/7",
            "priority": "/priorities/10",
            "customField8": "/custom_options/5",
            "assignee": "/users/31",
            "parent": "/work_packages/12",
        }
        assert create.json["dueDate"] == "2026-12-24"
        url = f"{fake.address}/work_packages/1528"
        assert issue == Issue(id="1528", key="#1528", url=url)

    async def test_custom_fields_are_set_by_their_names_and_as_their_kind_wants(
        self, fake: OpenProjectServer
    ) -> None:
        values = {"test IO bug": "{{ bug.id }}", "Found on": ["S1", "S2"], "Cost": "3", "Urgent": True}
        values |= {"Weight": 1.5, "Notes": "see *there*"}
        async with self.using(fake.url, fields=values) as subject:
            await subject.create(sample_draft(subject))

        sent = fake.creates[0].json
        assert [sent[f"customField{number}"] for number in (7, 10, 11, 12, 13)] == [
            "12345",
            3,
            True,
            1.5,
            {"raw": "see *there*"},
        ]
        assert [link["href"][-1] for link in sent["_links"]["customField9"]] == ["5", "6"]

    async def test_names_are_looked_up_once(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        """Forms may be limited to a few in a second."""
        await subject.create(draft)
        before = len(fake.requests)

        await subject.create(draft)

        assert [request.path.removeprefix(PREFIX) for request in fake.requests[before:]] == ["/work_packages"]

    async def test_what_was_refused_is_looked_up_anew(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        """Types and fields of a project change."""
        await subject.create(draft)
        fake.inject(refused(invalid("type", "Type is not set to one of the allowed values.")))
        with pytest.raises(Rejected):
            await subject.create(draft)
        before = len(fake.requests)

        await subject.create(draft)

        assert len(fake.requests) - before > 1

    async def test_unknown_names_do_not_cost_a_work_package(self, fake: OpenProjectServer) -> None:
        more: dict[str, Any] = {"assignee": "carol", "parent": "none", "priorities": {"p2": "Urgent"}}
        fields = {"Cost": "much", "Colour": "red"}
        async with self.using(fake.url, fields=fields, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'priority: there is no "Urgent"',
            'assignee: there is no "carol"',
            'parent: there is no "none"',
            'Cost: "much" is no Integer',
            "Colour: there is no such field in Webshop",
        )

    async def test_a_type_that_makes_its_own_subjects_is_left_to_it(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        fake.generated = True

        issue = await subject.create(draft)

        assert issue.warnings == ("subject: OpenProject sets it itself in Webshop",)

    @pytest.mark.parametrize("project", ["webshop", "WEBSHOP", "3", 3])
    async def test_the_project_is_named_as_people_know_it(self, fake: OpenProjectServer, project: Any) -> None:
        async with self.using(fake.url, project=project) as subject:
            await subject.create(sample_draft(subject))

        assert len(fake.packages) == 1

    async def test_without_the_project_deliveries_wait(self, fake: OpenProjectServer) -> None:
        """Every one would end like this one."""
        async with self.using(fake.url, project="webshpo") as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        told = 'there is no project "webshpo"; did you mean "webshop"?: correct `project`'
        assert str(caught.value).casefold() == told

    async def test_a_type_that_the_project_does_not_have_is_named(self, fake: OpenProjectServer) -> None:
        async with self.using(fake.url, issue_type="Bugs") as subject:
            with pytest.raises(Rejected, match='there is no type "Bugs" in Webshop; did you mean "Bug"'):
                await subject.create(sample_draft(subject))

        assert fake.creates == []

    async def test_a_token_may_be_a_bearer_s(self, fake: OpenProjectServer) -> None:
        """Where an instance has turned Basic off."""
        async with self.using(fake.url, authentication="bearer") as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].headers["authorization"] == f"Bearer {TOKEN}"

    async def test_find_reads_every_page(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        """The filter finds parts of words; always with a filter, or closed ones would be left out."""
        for number in range(123450, 123455):
            await subject.create(sample_draft(subject, sample_bug(id=number)))
        issue = await subject.create(draft)
        before = len(fake.requests)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id
        pages = [request for request in fake.requests[before:] if request.path.endswith("/work_packages")]
        assert len(pages) == 3
        condition = [{"description": {"operator": "~", "values": ["testio-bug-12345"]}}]
        assert all(json.loads(request.query["filters"][0]) == condition for request in pages)

    async def test_an_update_names_the_version_that_it_changes(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.packages[1528]["lockVersion"] = 4

        await subject.update(
            issue, draft.with_(title="Another", priority="Low", only=frozenset({"title", "priority"}))
        )

        assert fake.requests[-1].json == {
            "lockVersion": 4,
            "subject": "Another",
            "_links": {"priority": {"href": f"{PREFIX}/priorities/7"}},
        }

    async def test_an_update_never_replaces_files(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        """A list of attachments in a PATCH would take all others away."""
        issue = await subject.create(draft)

        await subject.update(issue, draft)

        assert "attachments" not in fake.requests[-1].json["_links"]

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"labels"}))) == issue
        assert len(fake.requests) == before

    async def test_a_change_that_somebody_else_was_faster_with_is_tried_again(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.method == "PATCH", 1, CONFLICT))
        with pytest.raises(Unavailable):
            await subject.update(issue, draft.with_(title="Another"))

        await subject.update(issue, draft.with_(title="Another"))

        assert fake.packages[1528]["subject"] == "Another"

    async def test_a_file_is_uploaded_once_with_its_name_in_a_part_of_its_own(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft, tmp_path: Path
    ) -> None:
        """The answer to the first try was lost; the second sees that the file is there, under a tamer name."""
        issue, path = await subject.create(draft), tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        file = AttachmentFile(path=path, name="a b.png", type="image/png", size=4, url="https://f/a.png")
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: bool(request.files)))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)

        await subject.attach(issue, file)

        (upload,) = [request for request in fake.requests if request.files]
        assert json.loads(upload.form["metadata"])["fileName"] == "a b.png"
        assert [(part.field, part.type) for part in upload.files] == [("file", "image/png")]
        assert b'name="metadata"\r\nContent-Type: application/json' in upload.body

    async def test_a_file_above_the_instance_s_limit_is_rejected(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft, tmp_path: Path
    ) -> None:
        issue, path = await subject.create(draft), tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        large = invalid("fileSize", "File is too large (maximum size is 5242880 Bytes).")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: bool(request.files), 1, large))

        with pytest.raises(Rejected, match="too large"):
            await subject.attach(
                issue, AttachmentFile(path=path, name="a", type="image/png", size=4, url="https://f/a")
            )

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (
                TWO,
                f"{BLANK}; {BAD} (HTTP 422): subject: {BLANK}; customField8: {BAD}",
            ),
            (
                error(403, "MissingPermission", "You are not authorized."),
                "You are not authorized. (HTTP 403)",
            ),
            (
                Reply(406, body=b"Missing content-type header", headers={"Content-Type": "text/plain"}),
                "Missing content-type header (HTTP 406)",
            ),
        ],
    )
    async def test_openproject_s_own_words_are_told(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft, reply: Reply, told: str
    ) -> None:
        fake.inject(refused(reply))

        with pytest.raises((Rejected, NotAllowed)) as caught:
            await subject.create(draft)

        assert str(caught.value) == told

    async def test_a_rate_limit_ends_at_the_moment_that_it_says(
        self, fake: OpenProjectServer, subject: OpenProject, draft: Draft
    ) -> None:
        fake.inject(refused(Reply(429, headers=SLOW)))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(seconds=3)

    async def found(self, fake: OpenProjectServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_projects_with_a_similar_name(self, fake: OpenProjectServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, project="backoffice")

        assert (verdict, subject) == (Verdict.ERROR, "project")
        assert told.startswith("backoffice does not exist, or the token's user may not see it > did you mean")

    async def test_the_doctor_finds_what_is_wrong_with_the_project(self, fake: OpenProjectServer) -> None:
        fake.rights = []
        ((_, _, may_not),) = await self.found(fake)
        fake.active = False
        ((_, _, archived),) = await self.found(fake)

        assert may_not.startswith("the token's user may not add work packages to Webshop > give the user a role")
        assert archived == "Webshop is archived: nothing can be added > unarchive it"

    async def test_the_doctor_names_required_fields_without_a_value(self, fake: OpenProjectServer) -> None:
        fake.required = True

        assert await self.found(fake) == [
            (Verdict.ERROR, "fields.Severity", 'Bug needs a value for it > fields = { "Severity" = "..." }')
        ]
        assert await self.found(fake, fields={"severity": "S1"}) == []

    async def test_the_doctor_looks_at_every_configured_value(self, fake: OpenProjectServer) -> None:
        found = await self.found(
            fake,
            issue_types={"suggestion": "Idea", "visual": "Tsk"},
            priorities={"p1": "Hihg", "low": "Low"},
            severity_field="Severity",
            severities={"critical": "S1", "high": "S3"},
            assignee="Alice Adam",
            labels=["crowd"],
            fields={"Cost": "much", "Colour": "red", "test IO bug": "{{ bug.id }}"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "priorities.p1", 'did you mean "High"?'),
            (Verdict.WARNING, "severities.high", "one of S1, S2"),
            (Verdict.WARNING, "assignee", 'did you mean "Alice Adams"?'),
            (Verdict.WARNING, "fields.Cost", "correct it"),
            (Verdict.WARNING, "fields.Colour", "turn it on for the project and the type, or correct its name"),
            (Verdict.ERROR, "issue_types.suggestion", "one of Task, Bug"),
            (Verdict.ERROR, "issue_types.visual", 'did you mean "Task"?'),
            (Verdict.WARNING, "labels", 'use a field: fields = { category = "..." }'),
        ]


def tracker(**changes: Any) -> OpenProject:
    """Return a tracker that talks to nobody."""
    table = TestOpenProject().settings("http://127.0.0.1:9") | changes
    return OpenProject("shop", OpenProject.settings_type.model_validate(table))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="is no address: write it like"):
        tracker(url="acme.openproject.com")


def test_settings_take_the_api_s_own_address() -> None:
    assert tracker(url="https://op.acme.example/path/api/v3/").base_url == "https://op.acme.example/path/api/v3"


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(project="other"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    """Names stay names until they are sent; a part that is not to be set is not there."""
    subject = tracker(fields={"Found by": "crowd"}, parent="#12")
    draft = sample_draft(subject)

    assert list(payload(draft, subject.settings)) == [
        "subject",
        "description",
        "type",
        "priority",
        "parent",
        "Found by",
    ]
    assert list(payload(draft.with_(only=frozenset({"title"})), subject.settings)) == ["subject"]


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/openproject.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "openproject.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert OpenProject.settings_type.model_validate(table).type == "openproject"
