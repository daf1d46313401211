"""Shortcut under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge import (
    AttachmentFile,
    Gone,
    Issue,
    NotAllowed,
    RateLimited,
    Rejected,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins.shortcut import Shortcut, external_id, payload, refused_fields
from tests.trackers.fake_shortcut import TOKEN, ShortcutServer, uuid

INVALID = {"message": "The request included invalid or missing parameters.", "errors": {"name": "is too long"}}


class TestShortcut(TrackerConformance):
    tracker = Shortcut
    server = ShortcutServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [Reply(400, json=INVALID), Reply(422, json={"message": "The workflow state does not exist."})],
        NotAllowed: [
            Reply(401, json={"message": "Unauthorized"}),
            Reply(403, json={"message": "The feature is disabled.", "feature_tag": "stories"}),
        ],
        RateLimited: [
            Reply(429, json={"message": "Too many requests"}),
            Reply(429, json={"message": "Too many requests"}, headers={"Retry-After": "7"}),
        ],
        Unavailable: [Reply(503), Reply(409, json={"error": "data-conflict-error", "message": "Try again."})],
        Gone: Reply(404, json={"message": "Resource not found."}),
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "shortcut", "url": url, "token": self.secret}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, ShortcutServer)
        fake.complete_story(int(issue.id))
        return True

    async def test_a_full_draft_is_one_post_with_ids_for_names(self, fake: ShortcutServer) -> None:
        """Names in any letter case; people by name, mention name or address; renamed custom fields by either name."""
        more: dict[str, Any] = {
            "team": "apps", "state": "triage", "assignee": "Alice Able, @bob", "parent": "crowd findings",
            "labels": ["crowd"], "issue_type": "Chore",
            "fields": {"Browser": "{{ bug.device.browser }}", "estimate": 2, "follower_ids": ["bob@acme.example"]},
        }  # fmt: skip
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = fake.creates[0].json
        assert {name: sent[name] for name in sent if name not in {"name", "description", "external_id"}} == {
            "story_type": "chore", "workflow_state_id": 600, "group_id": uuid("Apps"), "epic_id": 70, "estimate": 2,
            "owner_ids": [uuid("Alice Able"), uuid("Bob Baker")], "follower_ids": [uuid("Bob Baker")],
            "labels": [{"name": "crowd"}], "external_links": ["https://app.test.io/bugs/12345"],
            "custom_fields": [
                {"field_id": uuid("Urgency"), "value_id": uuid("Urgency High")},
                {"field_id": uuid("Browser"), "value_id": uuid("Browser Safari")},
            ],
        }  # fmt: skip
        assert issue.warnings == ()

    async def test_the_story_is_known_as_people_know_it(self, subject: Shortcut, draft: Draft) -> None:
        issue = await subject.create(draft)

        assert (issue.id, issue.key, issue.url) == ("430", "sc-430", "https://app.shortcut.com/acme/story/430")

    @pytest.mark.parametrize(
        ("settings", "state"),
        [
            ({}, 500),
            ({"state": "Ready"}, 501),
            ({"state": "600"}, 600),
            ({"team": "Apps"}, 600),
            ({"workflow": "mobile"}, 600),
            ({"team": "Webshop", "workflow": "Mobile", "state": "shipped"}, 601),
        ],
    )
    async def test_a_story_gets_a_state_of_the_right_workflow(
        self, fake: ShortcutServer, settings: dict[str, str], state: int
    ) -> None:
        """Without one Shortcut refuses it; without a setting it is the first of the team's, or the workspace's."""
        async with self.using(fake.url, **settings) as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].json["workflow_state_id"] == state

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"state": "Inbx"}, 'did you mean "Inbox"?: correct `state`'),
            ({"workflow": "Mobil"}, 'did you mean "Mobile"?: correct `workflow`'),
            ({"team": "Webshpo"}, "correct `team`"),
        ],
    )
    async def test_a_setting_that_every_story_would_fail_by_pauses_the_tracker(
        self, fake: ShortcutServer, settings: dict[str, str], told: str
    ) -> None:
        async with self.using(fake.url, **settings) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value).endswith(told)
        assert fake.creates == []

    async def test_a_project_takes_the_place_of_a_state(self, fake: ShortcutServer) -> None:
        """Older workspaces have projects; Shortcut takes one of the two."""
        async with self.using(fake.url, fields={"project_id": 33}) as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].json["project_id"] == 33
        assert "workflow_state_id" not in fake.creates[0].json

    async def test_unknown_names_do_not_cost_a_story(self, fake: ShortcutServer) -> None:
        more = {"assignee": "Carol, bob", "parent": "Nothing", "fields": {"Browser": "Lynx", "Appetite": "Small"}}
        async with self.using(fake.url, **more, issue_type="Bugg") as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(":")[0] for warning in issue.warnings] == [
            "epic_id", "owner_ids", "Browser", "Appetite", "story_type",
        ]  # fmt: skip
        assert fake.creates[0].json["owner_ids"] == [uuid("Bob Baker")]
        assert fake.creates[0].json["story_type"] == "bug"

    @pytest.mark.parametrize(("settings", "warnings"), [({}, 0), ({"priorities": {"high": "High"}}, 1)])
    async def test_a_workspace_without_priorities_needs_no_settings(
        self, fake: ShortcutServer, settings: dict[str, Any], warnings: int
    ) -> None:
        """Only somebody who asked for a priority is told that there is none."""
        fake.enabled = False
        async with self.using(fake.url, **settings) as subject:
            issue = await subject.create(sample_draft(subject))

        assert len(issue.warnings) == warnings

    async def test_two_trackers_in_one_workspace_do_not_share_an_id(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        async with self.using(fake.url, team="Apps") as other:
            other.name = "other"
            await subject.create(draft)

            assert await other.find(sample_draft(other).marker) is None

    async def test_of_several_stories_the_first_one_is_ours(self, subject: Shortcut, draft: Draft) -> None:
        """Shortcut does not refuse a second one with our id."""
        first, second = await subject.create(draft), await subject.create(draft)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == first.id
        assert found.warnings == (f"another issue carries testio-bug-12345: {second.url}",)

    async def test_archived_stories_are_found_and_done(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.stories[430]["archived"] = True

        assert await subject.find(draft.marker) == issue
        assert (await subject.state(issue)).done

    async def test_the_state_is_in_the_workflow_s_words(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        assert (await subject.state(issue)).name == "Inbox"
        fake.complete_story(430)

        assert (await subject.state(issue)).name == "Done"

    async def test_an_update_keeps_what_people_set(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        """An array that is sent replaces the whole array: labels of people, and their custom fields, are sent too."""
        issue = await subject.create(draft)
        browser = {"field_id": uuid("Browser"), "value_id": uuid("Browser Safari"), "value": "Safari"}
        label = fake.stories[430]["labels"][0]
        fake.stories[430]["labels"] += [label | {"name": "theirs"}]
        fake.stories[430]["custom_fields"] += [browser]
        changed = draft.with_(labels=("severity:low",), priority="Low", only=frozenset({"labels", "priority"}))

        await subject.update(issue, changed)

        sent = fake.requests[-1].json
        assert [each["name"] for each in sent["labels"]] == ["severity:low", "test-io", "theirs"]
        assert sent["custom_fields"] == [
            {"field_id": uuid("Urgency"), "value_id": uuid("Urgency Low")},
            {"field_id": uuid("Browser"), "value_id": uuid("Browser Safari")},
        ]

    async def test_an_update_does_not_move_a_story(self, fake: ShortcutServer) -> None:
        """State, team and our id are those of a new one; the last cannot be sent later."""
        async with self.using(fake.url, team="Apps", fields={"external_id": "mine", "estimate": 1}) as subject:
            draft = sample_draft(subject)
            issue = await subject.create(draft)
            await subject.update(issue, draft)

        assert not {"external_id", "group_id", "workflow_state_id"} & fake.requests[-1].json.keys()

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"parent"}))) == issue
        assert len(fake.requests) == before

    async def test_a_file_is_attached_once(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft, tmp_path: Path
    ) -> None:
        """Even if the answer to the first try was lost."""
        issue, path = await subject.create(draft), tmp_path / "spooled"
        path.write_bytes(b"\x89PNG")
        file = AttachmentFile(path=path, name="ä b.png", type="image/png", size=4, url="")
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "POST"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)

        await subject.attach(issue, file)

        assert [each["filename"] for each in fake.stories[430]["files"]] == ["ä b.png"]

    async def test_a_refusal_names_the_fields(self, fake: ShortcutServer, subject: Shortcut, draft: Draft) -> None:
        errors = {"custom_fields": {"0": {"value_id": "unknown"}}, "name": "is too long"}
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=Reply(400, json=INVALID | {"errors": errors})))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert caught.value.fields == {"custom_fields.0.value_id": "unknown", "name": "is too long"}

    async def test_a_rate_limit_without_a_time_ends_with_the_minute(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=Reply(429, json={"message": "Too many requests"})))

        with pytest.raises(RateLimited) as caught:
            await subject.create(draft)

        assert caught.value.retry_after == timedelta(minutes=1)

    async def test_after_a_refusal_names_are_looked_up_anew(
        self, fake: ShortcutServer, subject: Shortcut, draft: Draft
    ) -> None:
        """What we remember may have been deleted."""
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=Reply(422, json={"message": "no such field"})))
        with pytest.raises(Rejected):
            await subject.create(draft)
        fake.enabled = False

        await subject.create(draft)

        assert "custom_fields" not in fake.creates[1].json

    async def test_a_conflict_leaves_no_doubt(self, fake: ShortcutServer, subject: Shortcut, draft: Draft) -> None:
        reply = Reply(409, json={"error": "data-conflict-error", "message": "Try again."})
        fake.inject(Fault(FaultKind.REFUSE, When.CREATE, reply=reply))

        with pytest.raises(Unavailable, match=r"Try again\."):
            await subject.create(draft)

    async def found(self, fake: ShortcutServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_is_content_with_a_good_configuration(self, fake: ShortcutServer) -> None:
        more = {"team": "Webshop", "state": "Ready", "assignee": "alice", "parent": "70"}
        assert await self.found(fake, **more, fields={"Browser": "Firefox"}) == []

    async def test_the_doctor_notices_an_observer(self, fake: ShortcutServer) -> None:
        fake.role = "observer"

        ((verdict, subject, told),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "credentials")
        assert "as an observer" in told

    @pytest.mark.parametrize(
        ("settings", "subject", "fix"),
        [
            ({"team": "Webshopp"}, "team", 'did you mean "Webshop"?'),
            ({"workflow": "Design"}, "workflow", "one of Engineering, Mobile"),
            ({"state": "Doen"}, "state", 'did you mean "Done"?'),
            ({"state": "Shipped"}, "state", "one of Inbox, Ready, Done"),
        ],
    )
    async def test_the_doctor_knows_where_stories_go(
        self, fake: ShortcutServer, settings: dict[str, str], subject: str, fix: str
    ) -> None:
        (finding,) = await self.found(fake, **settings)

        assert finding[:2] == (Verdict.ERROR, subject)
        assert finding[2].endswith(f" > {fix}")

    async def test_the_doctor_looks_at_every_configured_value(self, fake: ShortcutServer) -> None:
        found = await self.found(
            fake,
            issue_type="bugg",
            labels=["test-oi"],
            assignee="Alice Abel",
            parent="Crowd",
            priorities={"high": "Hihg"},
            severities={"high": "S1"},
            fields={"Browsr": "x", "owner_ids": "bobb"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "issue_type", 'did you mean "bug"?'),
            (Verdict.WARNING, "labels", 'did you mean "test-io"?'),
            (Verdict.WARNING, "assignee", 'did you mean "Alice Able"?'),
            (Verdict.WARNING, "parent", "write the name of the epic as Shortcut shows it"),
            (Verdict.WARNING, "fields.owner_ids", 'did you mean "bob"?'),
            (Verdict.WARNING, "priorities.high", 'did you mean "High"?'),
            (Verdict.WARNING, "severities.high", "turn it on for bugs: Settings > Custom Fields"),
            (Verdict.WARNING, "fields.Browsr", 'did you mean "Browser"?'),
        ]


def tracker(**changes: Any) -> Shortcut:
    """Return a tracker that talks to nobody."""
    table = TestShortcut().settings("http://127.0.0.1:9") | changes
    return Shortcut("shop", Shortcut.settings_type.model_validate(table))


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(fields={"estimate": 3, "Browser": "Safari"}, parent="Crowd", labels=["a" * 200])

    sent = payload(sample_draft(subject))

    assert (sent["estimate"], sent["epic_id"], len(sent["labels"][0]["name"])) == (3, "Crowd", 128)
    assert "Browser" not in sent


def test_our_id_fits_into_the_next_api_too() -> None:
    """v4 takes 128 characters."""
    draft = sample_draft(tracker())
    longest = sample_draft(tracker(), marker=draft.marker.of(2**40, draft.marker.since, suffix="0" * 26))

    assert external_id(draft.marker).startswith("testio-bug-12345:")
    assert len(external_id(longest.marker)) <= 128


@pytest.mark.parametrize("errors", [None, "no", [], {}])
def test_a_refusal_without_fields_is_a_refusal_all_the_same(errors: Any) -> None:
    assert refused_fields(errors) == {}


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(team="Apps"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/shortcut.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "shortcut.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Shortcut.settings_type.model_validate(table).type == "shortcut"
