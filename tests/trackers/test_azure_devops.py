"""Azure DevOps under the conformance suite, and what is special about it."""

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
from bridge.testing import FakeClock, FakeServer, Fault, FaultKind, Reply, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins.azure_devops import AzureDevOps, payload
from tests.trackers.fake_azure_devops import (
    NO_ITEM,
    PREFIX,
    REPRO,
    SECRET,
    SEVERITY,
    SIGN_IN,
    TOKEN,
    AzureDevOpsServer,
    broken_rule,
    refusal,
)

BAD_GATEWAY = Reply(502, body=b"<html>Bad Gateway</html>", headers={"Content-Type": "text/html"})
ALICE = "alice@acme.example"


class TestAzureDevOps(TrackerConformance):
    tracker = AzureDevOps
    server = AzureDevOpsServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [
            broken_rule("System.Title", "Required, InvalidEmpty."),
            broken_rule("Custom.Team", "Required, HasValues, InvalidEmpty."),
            refusal(400, "TF51535: Cannot find field Custom.Nope."),
            refusal(415, "The request contains no valid content type."),
        ],
        NotAllowed: [
            SIGN_IN,
            Reply(302, headers={"Location": "https://login.example/signin?x=1"}),
            refusal(401, "TF400813: The user '' is not authorized to access this resource."),
            refusal(403, "TF401027: You need the Read permission to perform this action."),
            refusal(400, "TF237111: The current user does not have permissions to save work items."),
        ],
        RateLimited: refusal(429, "TF400733: The request has been canceled: Request was blocked."),
        Unavailable: [refusal(503, "VS403463: too busy"), refusal(409, "TF26071: changed by someone else.")],
        InDoubt: [BAD_GATEWAY, refusal(500, "TF246017: The database could not be reached.")],
        Gone: [NO_ITEM],
    }

    def settings(self, url: str) -> dict[str, Any]:
        collection = f"{url}/tfs/DefaultCollection"
        return {"type": "azure-devops", "url": collection, "project": "Webshop", "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, AzureDevOpsServer)
        fake.items[int(issue.id)]["fields"]["System.State"] = "Closed"
        return True

    async def test_a_full_work_item_is_one_json_patch(self, fake: AzureDevOpsServer) -> None:
        """Fields by any of their names, values in any letter case, the area as people write it."""
        fields = {"found in": "staging", "Custom.Points": "{{ bug.steps|length }}"}
        more = {"assignee": ALICE, "parent": "#12", "area": "Webshop/Checkout", "labels": ["crowd", "a,b"]}
        async with self.using(fake.url, fields=fields, notify=False, **more) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

        (create,) = fake.creates
        assert create.path == f"{PREFIX}/workitems/$Bug"
        assert create.headers["content-type"] == "application/json-patch+json"
        assert create.query == {"api-version": ["7.1"], "suppressNotifications": ["true"]}
        changes = {change["path"].removeprefix("/fields/"): change["value"] for change in create.json[:-2]}
        assert changes == {
            "System.AreaPath": "Webshop\\Checkout",
            "System.Title": draft.title,
            REPRO: draft.body.text,
            SEVERITY: "2 - High",
            "Microsoft.VSTS.Common.Priority": 2,
            "System.AssignedTo": ALICE,
            "System.Tags": "crowd; a b; testio-bug-12345",
            "Custom.FoundIn": "Staging",
            "Custom.Points": "3",
        }
        assert [change["value"]["url"] for change in create.json[-2:]] == [
            "https://app.test.io/bugs/12345",
            f"{fake.address}/_apis/wit/workItems/12",
        ]
        url = f"{fake.address}/Webshop/_workitems/edit/300"
        assert issue == Issue(id="300", key="#300", url=url)

    async def test_a_type_without_repro_steps_gets_a_description(self, fake: AzureDevOpsServer) -> None:
        """It has no severity either, which nobody asked for."""
        async with self.using(fake.url, issue_type="user story") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

        assert fake.creates[0].path == f"{PREFIX}/workitems/$User%20Story"
        assert fake.items[300]["fields"]["System.Description"] == draft.body.text
        assert issue.warnings == ()

    async def test_fields_that_the_type_does_not_have_are_left_out(self, fake: AzureDevOpsServer) -> None:
        more = {"issue_type": "User Story", "fields": {"Points": "3"}, "severities": {"high": "2 - High"}}
        async with self.using(fake.url, parent="Epic", **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'User Story has no field "Microsoft.VSTS.Common.Severity": it is left out',
            'User Story has no field "Points": it is left out',
            'parent: "Epic" is no number of a work item: it is left out',
        )

    @pytest.mark.parametrize(
        ("changes", "warning"),
        [
            ({"assignee": "carol"}, "System.AssignedTo is left out: The identity value 'carol' for field"),
            ({"area": "Webshop/Nope"}, "System.AreaPath is left out: TF401347: Invalid tree name"),
            ({"severities": {"high": "S1"}}, f"{SEVERITY} is left out: TF401320: Rule Error for field Severity."),
        ],
    )
    async def test_a_value_that_is_refused_does_not_cost_an_issue(
        self, fake: AzureDevOpsServer, changes: dict[str, Any], warning: str
    ) -> None:
        """A refusal saved nothing, so sending the rest makes no second one."""
        async with self.using(fake.url, **changes) as subject:
            issue = await subject.create(sample_draft(subject))

        (told,) = issue.warnings
        assert told.startswith(warning)
        assert len(fake.creates) == 2
        assert len(fake.items) == 1

    async def test_a_required_field_is_told_by_its_name(
        self, fake: AzureDevOpsServer, subject: AzureDevOps
    ) -> None:
        fake.required = {"Custom.FoundIn"}

        with pytest.raises(Rejected) as caught:
            await subject.create(sample_draft(subject))

        told = "TF401320: Rule Error for field FoundIn. Error code: Required, HasValues, InvalidEmpty."
        assert caught.value.fields == {"Custom.FoundIn": told}
        assert len(fake.creates) == 1

    async def test_a_type_that_does_not_exist_is_told_with_one_that_does(self, fake: AzureDevOpsServer) -> None:
        async with self.using(fake.url, issue_type="Bgu") as subject:
            with pytest.raises(Rejected, match='there is no work item type "Bgu"'):
                await subject.create(sample_draft(subject))

    async def test_types_and_fields_are_looked_up_once(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        await subject.create(draft)
        before = len(fake.requests)

        await subject.create(sample_draft(subject, sample_bug(id=2)))

        assert len(fake.requests) - before == 1

    async def test_a_field_may_keep_the_marker_in_place_of_a_tag(self, fake: AzureDevOpsServer) -> None:
        async with self.using(fake.url, marker_field="test IO", labels=[]) as subject:
            await subject.create(sample_draft(subject, sample_bug(id=123456)))
            draft = sample_draft(subject)
            assert await subject.find(draft.marker) is None

            issue = await subject.create(draft)

            assert await subject.find(draft.marker) == issue
        assert fake.items[301]["fields"]["Custom.TestIO"] == "testio-bug-12345"
        assert "System.Tags" not in fake.items[301]["fields"]

    async def test_where_there_is_no_field_for_the_marker_it_is_a_tag_after_all(
        self, fake: AzureDevOpsServer
    ) -> None:
        async with self.using(
            fake.url, marker_field="Points", issue_type="User Story", labels=["crowd"]
        ) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)

            assert await subject.find(draft.marker) == issue
        assert fake.items[300]["fields"]["System.Tags"] == "crowd; testio-bug-12345"

    async def test_find_reads_a_large_number_of_hits_in_pieces(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        """WIQL may find parts of tags; up to two hundred work items are read at once."""
        issue = await subject.create(draft)
        item = fake.items.pop(300)
        other = {**item, "fields": {**item["fields"], "System.Tags": "testio-bug-123456"}}
        fake.items = {number: {**other, "id": number} for number in range(1, 250)} | {300: item}

        assert await subject.find(draft.marker) == issue
        batches = [request for request in fake.requests if request.path.endswith("/workitemsbatch")]
        assert [len(request.json["ids"]) for request in batches] == [200, 50]

    async def test_update_keeps_the_tags_that_people_added(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        issue = await subject.create(draft.with_(labels=("crowd", "severity:low")))
        fake.items[300]["fields"]["System.Tags"] += "; triaged"

        await subject.update(issue, draft.with_(labels=("crowd", "severity:high"), only=frozenset({"labels"})))

        kept = "crowd; severity:high; testio-bug-12345; triaged"
        assert fake.items[300]["fields"]["System.Tags"] == kept

    async def test_a_change_in_between_is_not_overwritten(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        """The patch holds for the revision that was read; trying again reads anew."""
        issue = await subject.create(draft)
        changed = refusal(412, "VS403351: Test Operation for path /rev failed.")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.method == "PATCH", reply=changed))

        with pytest.raises(Unavailable, match="VS403351"):
            await subject.update(issue, draft)
        await subject.update(issue, draft)

        assert fake.requests[-1].json[-1] == {"op": "test", "path": "/rev", "value": 1}

    async def test_an_update_moves_the_work_item_to_another_parent(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        """It has one; the same one is not set again."""
        issue = await subject.create(draft.with_(parent="12"))
        for parent in ("13", "#13"):
            await subject.update(issue, draft.with_(parent=parent, only=frozenset({"parent"})))

        assert [each["url"][-2:] for each in fake.items[300]["relations"] if "Hierarchy" in each["rel"]] == ["13"]
        assert len([request for request in fake.requests if request.method == "PATCH"]) == 1

    async def test_an_update_leaves_area_and_type_as_people_made_them(self, fake: AzureDevOpsServer) -> None:
        async with self.using(fake.url, area="Webshop/Checkout") as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            await subject.update(issue, draft)

        assert "System.AreaPath" not in str(fake.requests[-1].json)

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"assignee"}))) == issue
        assert len(fake.requests) == before

    async def test_a_file_whose_upload_was_not_confirmed_is_not_attached_twice(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        path = tmp_path / "spooled"
        path.write_bytes(b"abc")
        file = AttachmentFile(path=path, name='a/"b".png', type="image/png", size=3, url="https://files.test.io/a")
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "PATCH"))

        with pytest.raises(Unavailable):
            await subject.attach(issue, file)
        await subject.attach(issue, file)

        files = [each for each in fake.items[300]["relations"] if each["rel"] == "AttachedFile"]
        assert [each["attributes"]["name"] for each in files] == ["a__b_.png"]

    async def test_resolved_is_not_done_yet(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        """Somebody has still to look whether it is."""
        issue = await subject.create(draft)
        fake.items[300]["fields"]["System.State"] = "Resolved"

        state = await subject.state(issue)

        assert (state.done, state.name) == (False, "Resolved")

    async def test_a_parent_that_does_not_exist_does_not_pause_the_tracker(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        fake.inject(Fault(FaultKind.REFUSE, reply=NO_ITEM))

        with pytest.raises(Rejected, match="parent: TF401232"):
            await subject.create(draft.with_(parent="9"))

    async def test_words_in_a_header_are_read(
        self, fake: AzureDevOpsServer, subject: AzureDevOps, draft: Draft
    ) -> None:
        told = {"X-TFS-ServiceError": "VS800075%3a+The+project+does+not+exist", "Content-Type": "text/html"}
        fake.inject(Fault(FaultKind.REFUSE, reply=Reply(400, body=b"<html></html>", headers=told)))

        with pytest.raises(Rejected, match="VS800075: The project does not exist"):
            await subject.create(draft)

    def principal(self, fake: AzureDevOpsServer, **changes: Any) -> dict[str, Any]:
        """Return settings for a service principal in place of a token."""
        own = {"tenant": "acme-tenant", "client_id": "0a1b", "client_secret": SECRET, "login_url": f"{fake.url}/"}
        return {"token": None, **own, **changes}

    async def test_a_service_principal_signs_in_once_an_hour(self, fake: AzureDevOpsServer) -> None:
        async with self.using(fake.url, **self.principal(fake)) as subject:
            await subject.create(sample_draft(subject))
            await subject.create(sample_draft(subject, sample_bug(id=2)))
            assert isinstance(subject.tools.clock, FakeClock)
            subject.tools.clock.advance(timedelta(hours=1))
            await subject.create(sample_draft(subject, sample_bug(id=3)))

        assert [request.headers["authorization"] for request in fake.creates] == [
            "Bearer entra-access-token-0",
            "Bearer entra-access-token-0",
            "Bearer entra-access-token-1",
        ]

    async def test_a_service_principal_with_a_wrong_secret_pauses_the_tracker(
        self, fake: AzureDevOpsServer
    ) -> None:
        async with self.using(fake.url, **self.principal(fake, client_secret="something-else")) as subject:
            with pytest.raises(NotAllowed, match="AADSTS7000215"):
                await subject.create(sample_draft(subject))
            report = await subject.check()

        assert [finding.subject for finding in report.findings] == ["credentials"]
        assert fake.creates == []

    async def test_a_token_that_is_no_longer_accepted_is_asked_for_anew(self, fake: AzureDevOpsServer) -> None:
        gone = refusal(401, "TF400813: The user is not authorized to access this resource.")
        async with self.using(fake.url, **self.principal(fake)) as subject:
            await subject.create(sample_draft(subject))
            fake.inject(Fault(FaultKind.REFUSE, reply=gone))
            with pytest.raises(NotAllowed):
                await subject.create(sample_draft(subject))
            await subject.create(sample_draft(subject))

        assert len(fake.bearers) == 2

    async def found(self, fake: AzureDevOpsServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **{"labels": ["crowd"], **changes}) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_is_content_with_a_full_configuration(self, fake: AzureDevOpsServer) -> None:
        more = {"assignee": ALICE, "area": "Webshop/Checkout", "iteration": "Webshop", "marker_field": "test IO"}
        fields = {"Found In": "Production", "Points": "{{ bug.steps|length }}"}

        assert await self.found(fake, fields=fields, **more) == []

    async def test_the_doctor_looks_at_every_type_that_is_used(self, fake: AzureDevOpsServer) -> None:
        fields = {"Points": "{{ bug.steps|length }}"}

        assert await self.found(fake, fields=fields, issue_types={"suggestion": "User Story"}) == [
            (
                Verdict.WARNING,
                "fields.Points",
                'User Story has no field "Points": it is left out > correct it, or add it to the process',
            )
        ]

    async def test_the_doctor_makes_nothing_and_rehearses(self, fake: AzureDevOpsServer) -> None:
        await self.found(fake)

        rehearsed = [request for request in fake.requests if "validateOnly" in request.query]
        assert [request.path for request in rehearsed] == [f"{PREFIX}/workitems/$Bug"]
        assert fake.items == {}

    @pytest.mark.parametrize(
        ("changes", "verdict", "subject", "told"),
        [
            ({"project": "Wbshop"}, Verdict.ERROR, "project", 'did you mean "Webshop"?'),
            ({"token": "something-else"}, Verdict.ERROR, "credentials", "sign-in page"),
            ({"issue_type": "User Stroy"}, Verdict.ERROR, "issue_type", 'did you mean "User Story"?'),
            ({"severities": {"high": "2 - Hihg"}}, Verdict.WARNING, "severities.high", 'did you mean "2 - High"?'),
            ({"fields": {"Fuond In": "x"}}, Verdict.WARNING, "fields.Fuond In", 'did you mean "Found In"?'),
            ({"fields": {"Found In": "QA"}}, Verdict.WARNING, "fields.Found In", "one of Staging, Production"),
            ({"area": "Webshop/Chekout"}, Verdict.WARNING, "area", 'did you mean "Webshop\\Checkout"?'),
            ({"iteration": "Sprint"}, Verdict.WARNING, "iteration", "write it like Webshop"),
            ({"marker_field": "Nope"}, Verdict.WARNING, "marker_field", "a tag holds the marker"),
            ({"labels": ["crwd"]}, Verdict.WARNING, "labels", 'did you mean "crowd"?'),
        ],
    )
    async def test_the_doctor_finds_what_is_not_there(
        self, fake: AzureDevOpsServer, changes: dict[str, Any], verdict: Verdict, subject: str, told: str
    ) -> None:
        """With what may have been meant."""
        found = {(each[0], each[1]): each[2] for each in await self.found(fake, **changes)}

        assert told in found[verdict, subject]

    async def test_the_doctor_hears_of_people_that_are_unknown(self, fake: AzureDevOpsServer) -> None:
        """Nobody lists them, but a rehearsal is refused."""
        ((verdict, subject, told),) = await self.found(fake, assignee="carol")

        assert (verdict, subject) == (Verdict.WARNING, "rehearsal")
        assert "The identity value 'carol'" in told

    async def test_the_doctor_looks_at_required_fields(self, fake: AzureDevOpsServer) -> None:
        fake.required = {"Custom.FoundIn"}

        assert await self.found(fake) == [
            (Verdict.ERROR, "fields.Found In", 'a Bug needs a value for it > fields = { "Found In" = "..." }')
        ]
        assert await self.found(fake, fields={"found in": "Staging"}) == []

    async def test_the_doctor_says_which_right_is_missing(self, fake: AzureDevOpsServer) -> None:
        fake.read_only = True

        ((verdict, subject, told),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "rights")
        assert "Edit work items in this node" in told

    async def test_the_doctor_tells_what_cannot_be_looked_at(self, fake: AzureDevOpsServer) -> None:
        denied = refusal(403, "TF50309: The following account does not have sufficient permissions")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.path.endswith("nodes"), reply=denied))

        ((verdict, subject, told),) = await self.found(fake, area="Webshop")

        assert (verdict, subject) == (Verdict.ERROR, "rights")
        assert "TF50309" in told

    async def test_the_doctor_does_without_what_the_token_may_not_see(self, fake: AzureDevOpsServer) -> None:
        """Lists of projects and tags need more rights than work items."""
        fake.private = True

        assert await self.found(fake) == []
        ((_, subject, told),) = await self.found(fake, project="Wbshop")
        assert subject == "project"
        assert "correct `url` and `project`" in told


def tracker(**changes: Any) -> AzureDevOps:
    """Return a tracker that talks to nobody."""
    table = {
        "type": "azure-devops",
        "url": "https://dev.azure.com/acme",
        "project": "Webshop",
        "token": "pat-0123",
    }
    return AzureDevOps("shop", AzureDevOps.settings_type.model_validate({**table, **changes}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"url": "dev.azure.com/acme"}, "write it like"),
        ({"url": "https://dev.azure.com"}, "names the organisation and nothing more"),
        ({"url": "https://dev.azure.com/acme/Webshop"}, "names the organisation and nothing more"),
        ({"project": ""}, "at least 1 character"),
        ({"token": None}, "needs either `token`, or all of"),
        ({"tenant": "t"}, "needs either `token`, or all of"),
        ({"token": None, "tenant": "t", "client_id": "c"}, "needs either `token`, or all of"),
    ],
)
def test_settings_say_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tracker(**changes)

    assert told in str(caught.value)


def test_a_token_that_was_pasted_with_blanks_is_trimmed() -> None:
    assert tracker(token=" pat-0123\n").auth() == ("", "pat-0123")


def test_it_waits_longer_than_azure_devops_delays() -> None:
    """Up to half a minute, before it refuses anything."""
    assert tracker().settings.timeout == timedelta(seconds=90)


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(fields={"Found In": "QA"}, iteration="Webshop/Sprint 7")
    draft = sample_draft(subject, labels=("@home", "b;c"))

    assert payload(draft, subject.settings)["System.Tags"] == "home; b c; testio-bug-12345"
    sent = json.dumps(subject.preview(draft))
    assert "Webshop\\\\Sprint 7" in sent
    assert '"/fields/Found In", "value": "QA"' in sent


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/azure-devops.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "azure-devops.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert AzureDevOps.settings_type.model_validate(table).type == "azure-devops"
