"""Bugzilla under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge import (
    AttachmentFile,
    Gone,
    InDoubt,
    Issue,
    Markup,
    NotAllowed,
    RateLimited,
    Rejected,
    Unavailable,
    Verdict,
)
from bridge.model import Draft
from bridge.testing import FakeServer, Fault, FaultKind, Reply, When, sample_bug, sample_draft
from bridge.testing.conformance import TrackerConformance
from bridge_plugins.bugzilla import Bugzilla, alias_of, payload
from tests.trackers.fake_bugzilla import KEY, BugzillaServer


def refusal(code: int, message: str, status: int = 400) -> Reply:
    """Return a refusal as Bugzilla words it."""
    return Reply(
        status, json={"error": True, "code": code, "message": message, "documentation": "https://b.example"}
    )


class TestBugzilla(TrackerConformance):
    tracker = Bugzilla
    server = BugzillaServer
    secret = KEY
    lacks: ClassVar = {"pieces": "Bugzilla takes files inside JSON only"}
    refusals: ClassVar = {
        Rejected: [
            refusal(53, "Can't use cf_x as a field name."),
            refusal(51, "There is no version named '3' in the 'Webshop' product.", 404),
            refusal(32000, "JSON syntax error"),
        ],
        NotAllowed: [
            refusal(306, "The API key you specified is invalid or was revoked."),
            refusal(410, "You must log in before using this part of Bugzilla.", 401),
            Reply(403, body=b"<html>Forbidden</html>"),
        ],
        RateLimited: [
            refusal(32000, "You have exceeded the rate limit."),
            Reply(429, body=b"slow down", headers={"Retry-After": "7"}),
        ],
        Unavailable: [Reply(503), refusal(-32000, "DBD::mysql::db do failed")],
        InDoubt: [
            Reply(502, body=b"<html>Bad Gateway</html>"),
            refusal(-32000, "Lost connection to the database"),
        ],
        Gone: refusal(101, "Bug #8 does not exist.", 404),
    }

    def settings(self, url: str) -> dict[str, Any]:
        where = {"product": "Webshop", "component": "Checkout"}
        return {"type": "bugzilla", "url": f"{url}/bugs", "api_key": self.secret, **where}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, BugzillaServer)
        fake.close_bug(int(issue.id))
        return True

    async def test_a_full_draft_is_one_post_with_this_site_s_words(self, fake: BugzillaServer) -> None:
        """Values in any letter case, people by their names, custom fields as people call them."""
        more: dict[str, Any] = {
            "component": "checkout", "version": "2.0", "assignee": "Alice Able", "parent": "#7",
            "labels": ["Crowd", "checkout"], "priorities": {"high": "HIGHEST"}, "op_sys": "linux", "platform": "pc",
            "fields": {"Browser": "{{ bug.device.browser }}", "cc": ["bob@acme.example"]},
        }  # fmt: skip
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        sent = fake.creates[0].json
        assert {name: sent[name] for name in sent if name not in {"summary", "description", "alias", "api_key"}} == {
            "product": "Webshop", "component": "Checkout", "version": "2.0", "op_sys": "Linux", "platform": "PC",
            "severity": "major", "priority": "Highest", "assigned_to": "alice@acme.example", "blocks": [7],
            "keywords": ["crowd"], "whiteboard": "[checkout]", "cc": ["bob@acme.example"], "cf_browser": "safari",
            "url": "https://app.test.io/bugs/12345",
        }  # fmt: skip
        assert issue.warnings == ()

    async def test_the_bug_is_known_by_its_number(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        issue = await subject.create(draft)

        assert (issue.id, issue.key, issue.url) == ("1", "#1", f"{fake.address}/show_bug.cgi?id=1")

    @pytest.mark.parametrize(
        ("device", "values", "chosen"),
        [
            ("windows", [], "Windows"),
            ("macos", [], "Mac OS"),
            ("ios", ["iOS"], "iOS"),
            ("ios", [], "Other"),
            ("", [], "All"),
        ],
    )
    async def test_the_operating_system_is_the_device_s_where_the_site_has_it(
        self, fake: BugzillaServer, subject: Bugzilla, device: str, values: list[str], chosen: str
    ) -> None:
        """Bugzilla wants one, and refuses one that is not in its list."""
        fake.values["op_sys"] += values
        bug = sample_bug()
        bug = sample_bug(device=type(bug.device)(os=device))

        await subject.create(sample_draft(subject, bug))

        assert fake.creates[0].json["op_sys"] == chosen

    async def test_a_site_with_mozilla_s_values_needs_no_tables(
        self, fake: BugzillaServer, subject: Bugzilla
    ) -> None:
        fake.values["bug_severity"] = ["S1", "S2", "S3", "S4", "N/A", "--"]
        fake.values["priority"] = ["P1", "P2", "P3", "P4", "P5", "--"]

        await subject.create(sample_draft(subject))

        assert (fake.creates[0].json["severity"], fake.creates[0].json["priority"]) == ("S2", "P2")

    async def test_unknown_names_do_not_cost_a_bug(self, fake: BugzillaServer) -> None:
        more = {"assignee": "Carol", "priorities": {"high": "Hoch"}, "fields": {"Team": "A"}}
        async with self.using(fake.url, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(" ")[0] for warning in issue.warnings] == [
            "assigned_to:",
            "fields.Team:",
            "priority:",
        ]

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"product": "Webshpo"}, 'there is no product "Webshpo" for the key\'s user; did you mean "Webshop"?'),
            ({"component": "Checkuot"}, 'did you mean "Checkout"?: correct `component`'),
            ({"version": "2.00"}, 'did you mean "2.0"?: correct `version`'),
        ],
    )
    async def test_a_setting_that_every_bug_would_fail_by_pauses_the_tracker(
        self, fake: BugzillaServer, change: dict[str, str], told: str
    ) -> None:
        async with self.using(fake.url, **change) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value).endswith(told)
        assert fake.creates == []

    async def test_what_was_dropped_in_silence_is_a_warning(self, fake: BugzillaServer) -> None:
        """Without `editbugs` Bugzilla says yes to people and keywords, and does not set them."""
        fake.editbugs = False
        async with self.using(fake.url, assignee="bob@acme.example", labels=["crowd"]) as subject:
            issue = await subject.create(sample_draft(subject))

        assert [warning.split(":")[0] for warning in issue.warnings] == ["assigned_to", "keywords"]

    async def test_a_bug_that_cannot_be_read_back_is_filed_all_the_same(self, fake: BugzillaServer) -> None:
        fake.inject(Fault(FaultKind.RESET_BEFORE, lambda request: request.path.endswith("/bug/1")))
        async with self.using(fake.url, assignee="bob@acme.example") as subject:
            issue = await subject.create(sample_draft(subject))

        assert (issue.id, len(issue.warnings)) == ("1", 1)

    async def test_two_trackers_at_one_bugzilla_do_not_share_an_alias(self, fake: BugzillaServer) -> None:
        """One files into another product, say: both get their bug."""
        async with self.using(fake.url) as one, self.using(fake.url) as other:
            other.name = "other"
            first, second = await one.create(sample_draft(one)), await other.create(sample_draft(other))

        assert first.id != second.id

    async def test_an_alias_of_a_bug_that_we_cannot_see_is_reported(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        await subject.create(draft)
        fake.hidden.add(1)

        with pytest.raises(Rejected, match=r"hidden from the key's user.*Bug 1 has already taken the alias"):
            await subject.create(draft)

    async def test_where_aliases_are_off_the_whiteboard_keeps_it_to_one_bug(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        """Harmony can be set up to ignore aliases in silence."""
        fake.version, fake.aliases = "20260820.1", False
        fake.inject(Fault(FaultKind.RESET_AFTER))
        with pytest.raises(InDoubt):
            await subject.create(draft)

        issue = await subject.create(draft)

        assert (issue.id, len(fake.bugs)) == ("1", 1)
        assert fake.bugs[1]["whiteboard"] == f"[{alias_of(draft.marker)}] [test-io]"

    async def test_where_aliases_are_seen_to_work_nothing_is_searched_any_more(
        self, fake: BugzillaServer, subject: Bugzilla
    ) -> None:
        """Mozilla blocks addresses that read much."""
        fake.version = "20260820.1"
        await subject.create(sample_draft(subject, sample_bug(id=1)))
        before = len(fake.requests)

        await subject.create(sample_draft(subject, sample_bug(id=2)))

        assert len(fake.requests) - before == 1

    async def test_bugs_have_a_type_where_bugzilla_knows_types(
        self, fake: BugzillaServer, subject: Bugzilla
    ) -> None:
        """Bugzilla 5 refuses the key."""
        fake.version = "20260820.1"

        await subject.create(sample_draft(subject))

        assert fake.creates[0].json["type"] == "defect"

    @pytest.mark.parametrize("version", ["5.0.6", "5.2", "5.1.2", "5.3.3", "20260820.1", "5.0.4.rh103"])
    async def test_the_key_is_sent_as_each_version_takes_it(
        self, fake: BugzillaServer, draft: Draft, version: str
    ) -> None:
        """In the address only where there is no other way, and never in that of a POST: see the fake."""
        fake.version = version
        async with self.using(fake.url) as subject:
            report = await subject.check()
            issue = await subject.create(draft)
            assert await subject.find(draft.marker) == issue

        assert report.ok

    async def test_how_the_key_is_sent_can_be_set(self, fake: BugzillaServer) -> None:
        async with self.using(fake.url, auth="header") as subject:
            with pytest.raises(NotAllowed, match="You must log in"):
                await subject.create(sample_draft(subject))

    async def test_an_api_without_the_web_server_s_rule_is_found(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        """Asked for once."""
        fake.rewritten = False

        await subject.create(draft)
        await subject.find(draft.marker)

        assert {request.path.split("/")[2] for request in fake.requests[1:]} == {"rest.cgi"}

    async def test_an_address_without_bugzilla_pauses_the_tracker(self, fake: BugzillaServer) -> None:
        async with self.using(f"{fake.url}/elsewhere") as subject:
            with pytest.raises(NotAllowed, match=r"no REST API of Bugzilla 5\.0 or newer at .*: correct `url`"):
                await subject.create(sample_draft(subject))

    async def test_labels_are_added_to_those_of_people(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        fake.bugs[1] |= {"whiteboard": "[mine] see #5 [test-io]", "keywords": ["regression"]}

        await subject.update(issue, draft.with_(labels=("test-io", "new", "crowd"), only=frozenset({"labels"})))

        assert fake.bugs[1]["whiteboard"] == "[mine] see #5 [test-io] [new]"
        assert fake.bugs[1]["keywords"] == ["regression", "crowd"]

    async def test_a_new_description_becomes_a_comment(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        """The first one cannot be changed."""
        issue = await subject.create(draft)

        await subject.update(issue, draft.with_(only=frozenset({"body"})))

        assert fake.comments[1] == [draft.body.text] * 2

    async def test_an_update_of_nothing_sends_nothing(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        before = len(fake.requests)

        assert await subject.update(issue, draft.with_(only=frozenset({"parent"}))) == issue
        assert len(fake.requests) == before

    async def test_a_file_is_attached_once(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft, tmp_path: Path
    ) -> None:
        """Even if the answer to the first try was lost."""
        issue, file = await subject.create(draft), spooled(tmp_path, 4)
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "POST"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, file)

        await subject.attach(issue, file)

        assert [each["file_name"] for each in fake.files[1]] == ["ä b.png"]

    async def test_a_file_above_the_limit_is_not_sent(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft, tmp_path: Path
    ) -> None:
        fake.parameters["maxattachmentsize"] = "1"
        issue = await subject.create(draft)
        before = len(fake.requests)

        with pytest.raises(Rejected, match="3 KB is more than Bugzilla's maxattachmentsize, 1"):
            await subject.attach(issue, spooled(tmp_path, 4000))

        assert {request.method for request in fake.requests[before:]} == {"GET"}

    async def test_the_state_is_in_bugzilla_s_words(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        assert (await subject.state(issue)).name == "CONFIRMED"
        fake.close_bug(1)

        assert (await subject.state(issue)).name == "RESOLVED FIXED"

    async def test_a_bug_that_people_hid_does_not_pause_the_tracker(
        self, fake: BugzillaServer, subject: Bugzilla, draft: Draft
    ) -> None:
        """401, and yet nothing is wrong with the key."""
        issue = await subject.create(draft)
        words = "You are not authorized to access bug #1."
        fake.inject(Fault(FaultKind.REFUSE, When.ANY, reply=refusal(102, words, 401)))

        with pytest.raises(Rejected, match="not authorized to access bug"):
            await subject.state(issue)

    async def test_emoji_can_be_left_out_of_summaries(self, fake: BugzillaServer) -> None:
        async with self.using(fake.url, emoji=False) as subject:
            await subject.create(sample_draft(subject, sample_bug(title="A 🐞 in the cart, again")))

        assert fake.creates[0].json["summary"] == "A in the cart, again"

    async def found(self, fake: BugzillaServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_is_content_with_a_good_configuration(self, fake: BugzillaServer) -> None:
        assert await self.found(fake) == []

    async def test_the_doctor_notices_a_key_that_is_not_taken(self, fake: BugzillaServer) -> None:
        """5.0 ignores the header, and answers as to anybody."""
        ((verdict, subject, told),) = await self.found(fake, auth="header")

        assert (verdict, subject) == (Verdict.ERROR, "credentials")
        assert told.startswith("Bugzilla does not take the key")

    async def test_the_doctor_knows_products_with_a_similar_name(self, fake: BugzillaServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, product="Webshpo")

        assert (verdict, subject) == (Verdict.ERROR, "product")
        assert 'did you mean "Webshop"?' in told

    @pytest.mark.parametrize(
        ("attribute", "told"),
        [
            ("active", "Webshop is closed for new bugs"),
            ("enterable", "the key's user may not file bugs into Webshop"),
        ],
    )
    async def test_the_doctor_says_that_a_product_takes_no_bugs(
        self, fake: BugzillaServer, attribute: str, told: str
    ) -> None:
        setattr(fake, attribute, False)

        ((verdict, subject, words),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.ERROR, "product")
        assert words.startswith(told)

    async def test_the_doctor_looks_at_every_configured_value(self, fake: BugzillaServer) -> None:
        found = await self.found(
            fake,
            component="Fax",
            version="1.0",
            severities={"high": "mayor"},
            priorities={"p1": "Hihgest"},
            op_sys="Linuxx",
            platform="Mac",
            assignee="Carol",
            parent="99",
            issue_type="task",
            fields={"Browsr": "x", "priority": "Urgent"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.ERROR, "component", "one of Checkout, Search"),
            (Verdict.ERROR, "version", "one of 2.0, unspecified"),
            (Verdict.WARNING, "severities.high", 'did you mean "major"?'),
            (Verdict.WARNING, "priorities.p1", 'did you mean "Highest"?'),
            (Verdict.WARNING, "op_sys", 'did you mean "Linux"?'),
            (Verdict.WARNING, "platform", "one of All, PC, Macintosh, Other"),
            (Verdict.WARNING, "fields.priority", "one of Highest, High, Normal, Low, Lowest, ---"),
            (
                Verdict.WARNING,
                "assignee",
                "write the login name; the key's user may not be allowed to see everybody",
            ),
            (Verdict.ERROR, "parent", "the number of a bug that the key's user can see"),
            (Verdict.WARNING, "fields.Browsr", 'did you mean "Browser"?'),
            (Verdict.WARNING, "issue_type", "use `fields` with a custom field"),
        ]

    async def test_the_doctor_sees_mandatory_fields_that_nothing_fills(self, fake: BugzillaServer) -> None:
        fake.fields["cf_team"] = {"display_name": "Team", "is_mandatory": True}

        ((verdict, subject, told),) = await self.found(fake)
        assert (verdict, subject) == (Verdict.ERROR, "fields")
        assert told.endswith('give it a value: fields = { cf_team = "..." }')

        assert await self.found(fake, fields={"Team": "A"}) == []


def spooled(folder: Path, size: int) -> AttachmentFile:
    """Return a fetched attachment."""
    path = folder / "spooled"
    path.write_bytes(b"x" * size)
    return AttachmentFile(path=path, name="ä b.png", type="image/png", size=size, url="")


def tracker(**changes: Any) -> Bugzilla:
    """Return a tracker that talks to nobody."""
    table = TestBugzilla().settings("http://127.0.0.1:9") | changes
    return Bugzilla("shop", Bugzilla.settings_type.model_validate(table))


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(fields={"cf_team": "A"}, parent="meta-crowd", labels=["a", "b c"])

    sent = payload(sample_draft(subject), subject.settings)

    assert (sent["cf_team"], sent["blocks"], sent["whiteboard"]) == ("A", ["meta-crowd"], "[a] [b c]")


def test_the_alias_is_one_that_bugzilla_takes() -> None:
    """At most 40 characters, no blank, not only digits; of an issue made anew on purpose another one."""
    draft = sample_draft(tracker())
    again = sample_draft(tracker(), marker=draft.marker.of(2**40, draft.marker.since, suffix="01k9z3v8" * 3))

    assert alias_of(draft.marker).startswith("testio-bug-12345-")
    assert len(alias_of(again.marker)) == 40


@pytest.mark.parametrize(("text_format", "markup"), [("plain", Markup.PLAIN), ("markdown", Markup.COMMONMARK)])
def test_bodies_are_in_the_site_s_format(text_format: str, markup: Markup) -> None:
    subject = tracker(text_format=text_format)

    body = sample_draft(subject).body

    assert (subject.markup, body.markup) == (markup, markup)
    assert ("### " in body.text) == (markup is Markup.COMMONMARK)
    assert body.text.endswith("testio-bug-12345")


def test_trackers_with_one_key_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(product="Other"), tracker(api_key="another-key")

    assert one.account == other.account != stranger.account


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/bugzilla.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "bugzilla.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Bugzilla.settings_type.model_validate(table).type == "bugzilla"
