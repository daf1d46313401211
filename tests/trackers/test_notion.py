"""Notion under the conformance suite, and what is special about it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

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
from bridge_plugins._notion_properties import Property, identifier
from bridge_plugins.notion import Notion, groups, values
from tests.trackers.fake_notion import ALICE, ARCHIVE, BUGS, DATABASE, NOT_FOUND, TOKEN, NotionServer, error

SPOOLED = "https://files.test.io/attachments/abc.png"
LONG = sample_bug(description="\n\n".join(f"line {number}" for number in range(105)))
INVALID = error(400, "validation_error", "body failed validation: body.properties.X should be defined")


def refused(reply: Reply, when: When = When.CREATE) -> Fault:
    """Return the fault that refuses one request with `reply`."""
    return Fault(FaultKind.REFUSE, when, reply=reply)


def shown(blocks: Any) -> Iterator[str]:
    """Yield the pieces of text in blocks as they were sent."""
    if isinstance(blocks, list):
        for each in blocks:
            yield from shown(each)
    elif isinstance(blocks, dict):
        if "content" in blocks:
            yield blocks["content"]
        else:
            for each in blocks.values():
                yield from shown(each)


def sent_blocks(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks of a page of the fake as they were sent."""
    return [{name: value for name, value in block.items() if name != "id"} for block in page["children"]]


class TestNotion(TrackerConformance):
    tracker = Notion
    server = NotionServer
    secret = TOKEN
    refusals: ClassVar = {
        Rejected: [INVALID, error(413, "validation_error", "too large"), Reply(403, body=b"<html>Blocked</html>")],
        NotAllowed: [
            error(401, "unauthorized", "API token is invalid."),
            error(403, "restricted_resource", "Insufficient permissions for this endpoint."),
        ],
        RateLimited: [
            Reply(429, json=error(429, "rate_limited", "Slow down.").json, headers={"Retry-After": "7"}),
            Reply(529, json=error(529, "service_overload", "Overloaded.").json, headers={"Retry-After": "9"}),
        ],
        InDoubt: [
            Reply(502, body=b"<html>Bad Gateway</html>", headers={"Content-Type": "text/html"}),
            error(504, "gateway_timeout", "Timeout"),
        ],
        Unavailable: [error(503, "service_unavailable", "Try later."), error(409, "conflict_error", "Collision.")],
        Gone: [NOT_FOUND],
    }

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "notion", "database": "Bugs", "token": self.secret, "url": url}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, NotionServer)
        fake.pages[issue.id]["properties"]["Status"] = {"status": {"name": "Fixed"}}
        return True

    def has_said(self, fake: FakeServer, draft: Draft) -> None:
        """A description of many blocks is sent in several requests."""
        assert isinstance(fake, NotionServer)
        (page,) = fake.pages.values()
        assert "".join(shown(page["properties"]["Bug"])) == draft.title
        assert sent_blocks(page) == draft.body.content
        assert page["properties"]["Tags"]["multi_select"] == [{"name": label} for label in draft.labels]

    async def test_a_full_page_has_each_value_in_the_form_of_its_property(self, fake: NotionServer) -> None:
        """One request, the marker included."""
        fields: dict[str, Any] = {
            "cost": "3", "Urgent": "yes", "Seen": "{{ export.exported_at.date() }}", "Link": "{{ bug.link }}",
            "Status": "not started", "Files": "https://s.test/a.log?x=1",
        }  # fmt: skip
        more: dict[str, Any] = {"assignee": "@Alice", "priorities": {"p2": "p2"}, "fields": fields}
        page = "https://www.notion.so/acme/Epic-00000001cccc4ccc8ccc000000000000?pvs=4"
        async with self.using(fake.url, parent=page, **more) as subject:
            issue = await subject.create(sample_draft(subject))

        (request,) = fake.creates
        assert request.json["parent"] == {"type": "data_source_id", "data_source_id": BUGS}
        assert request.json["properties"] == {
            "Bug": {"title": [{"text": {"content": "Checkout total is incorrect"}}]},
            "Tags": {"multi_select": [{"name": "test-io"}]},
            "Priority": {"select": {"name": "P2"}},
            "Severity": {"select": {"name": "High"}},
            "Assignee": {"people": [{"object": "user", "id": ALICE}]},
            "Parent item": {"relation": [{"id": "00000001-cccc-4ccc-8ccc-000000000000"}]},
            "Cost": {"number": 3},
            "Urgent": {"checkbox": True},
            "Seen": {"date": {"start": "2026-01-05"}},
            "Link": {"url": "https://app.test.io/bugs/12345"},
            "Status": {"status": {"name": "Not started"}},
            "Files": {
                "files": [{"type": "external", "name": "a.log", "external": {"url": "https://s.test/a.log?x=1"}}]
            },
            "test IO ID": {"rich_text": [{"text": {"content": "testio-bug-12345"}}]},
        }
        bare = issue.id.replace("-", "")
        assert issue == Issue(id=issue.id, key="BUG-1", url=f"https://www.notion.so/Bug-{bare}")

    async def test_without_a_number_of_its_own_a_page_is_known_by_its_id(self, fake: NotionServer) -> None:
        del fake.kinds["ID"]
        async with self.using(fake.url) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.key == "00000001"

    async def test_the_database_is_looked_up_once(self, fake: NotionServer, subject: Notion, draft: Draft) -> None:
        for _ in range(3):
            await subject.create(draft)

        assert [str(request) for request in fake.requests if request.path != "/v1/pages"] == [
            "POST /v1/search",
            f"GET /v1/data_sources/{BUGS}",
        ]

    @pytest.mark.parametrize(
        "database",
        [
            "bugs",
            BUGS,
            DATABASE,
            DATABASE.replace("-", ""),
            f"https://www.notion.so/acme/Bugs-{DATABASE.replace('-', '')}?v=0",
        ],
    )
    async def test_the_database_is_named_as_people_know_it(self, fake: NotionServer, database: str) -> None:
        async with self.using(fake.url, database=database) as subject:
            await subject.create(sample_draft(subject))

        assert len(fake.pages) == 1

    async def test_of_several_data_sources_one_is_chosen(self, fake: NotionServer) -> None:
        fake.sources["Archive"] = ARCHIVE
        async with self.using(fake.url, database=DATABASE, data_source="archive") as subject:
            await subject.create(sample_draft(subject))

        assert fake.creates[0].json["parent"]["data_source_id"] == ARCHIVE

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            (
                {"database": "Bgus"},
                'there is no database that is shared with the connection "Bgus"; did you mean "Bugs"',
            ),
            ({"database": ALICE}, "the database does not exist or is not shared with the connection"),
            (
                {"database": DATABASE},
                "the database has several data sources; correct `data_source`, one of Bugs, Archive",
            ),
            (
                {"database": DATABASE, "data_source": "Achive"},
                'the database has no data source "Achive"; did you mean "Archive"?',
            ),
        ],
    )
    async def test_without_a_database_deliveries_wait(
        self, fake: NotionServer, changes: dict[str, Any], told: str
    ) -> None:
        """Every one would end like this one."""
        fake.sources["Archive"] = ARCHIVE
        async with self.using(fake.url, **changes) as subject:
            with pytest.raises(NotAllowed) as caught:
                await subject.create(sample_draft(subject))

        assert str(caught.value).startswith(told)
        assert fake.creates == []

    async def test_values_that_cannot_be_set_do_not_cost_a_page(self, fake: NotionServer) -> None:
        fields = {"Status": "Fxed", "Cost": "much", "Created": "now", "Sevrity": "x", "Parent item": "Epic"}
        async with self.using(fake.url, assignee="Carol", fields=fields) as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings == (
            'Assignee: there is no member of the workspace "Carol"',
            'Status: "Fxed" is none of Not started, Fixed, Won\'t fix',
            'Cost: "much" is no number',
            "Created: Notion sets it itself",
            'Sevrity: the database has no such property; did you mean "Severity"?',
            'Parent item: "Epic" is neither the address of a page nor an id',
        )

    async def test_who_may_not_read_users_assigns_nobody(self, fake: NotionServer) -> None:
        fake.reads_users = False
        async with self.using(fake.url, assignee="Alice") as subject:
            issue = await subject.create(sample_draft(subject))

        assert issue.warnings[0].startswith("Assignee: the connection may not read users: turn on")

    async def test_a_property_that_was_renamed_is_looked_up_anew(
        self, fake: NotionServer, subject: Notion, draft: Draft
    ) -> None:
        await subject.create(draft)
        fake.kinds["Keywords"] = fake.kinds.pop("Tags")
        with pytest.raises(Rejected, match="Tags is not a property that exists"):
            await subject.create(draft)

        issue = await subject.create(draft)

        assert issue.warnings == ("Tags: the database has no such property",)

    async def test_a_long_description_comes_in_several_requests(self, fake: NotionServer, subject: Notion) -> None:
        """The marker is in the first one, and what is missing is put above it."""
        draft = sample_draft(subject, LONG)

        issue = await subject.create(draft)

        first = sent_blocks(fake.pages[issue.id])
        assert (len(first), first[-1]) == (100, draft.body.content[-1])

        await subject.complete(issue, draft)

        assert sent_blocks(fake.pages[issue.id]) == draft.body.content

    async def test_completing_goes_on_where_it_was_broken_off(self, fake: NotionServer, subject: Notion) -> None:
        """What people, or attachments, put below the marker does not count."""
        draft = sample_draft(subject, LONG)
        issue = await subject.create(draft)
        fake.pages[issue.id]["children"].append({"id": fake.new_id(), "type": "divider", "divider": {}})
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "PATCH"))
        with pytest.raises(Unavailable):
            await subject.complete(issue, draft)

        for _ in range(2):
            await subject.complete(issue, draft)

        assert sent_blocks(fake.pages[issue.id])[:-1] == draft.body.content

    async def test_without_a_marker_nothing_is_completed(self, fake: NotionServer, subject: Notion) -> None:
        draft = sample_draft(subject, LONG)
        issue = await subject.create(draft)
        del fake.pages[issue.id]["children"][-1]

        await subject.complete(issue, draft)

        assert len(fake.pages[issue.id]["children"]) == 99

    async def test_find_asks_for_the_property_that_keeps_the_marker(
        self, fake: NotionServer, subject: Notion, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        second = await subject.create(draft)

        found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id
        assert found.warnings == (f"another issue carries testio-bug-12345: {second.url}",)
        assert fake.requests[-1].json["filter"] == {
            "property": "test IO ID",
            "rich_text": {"equals": "testio-bug-12345"},
        }

    async def test_without_such_a_property_find_reads_new_pages(self, fake: NotionServer) -> None:
        """All since a little before the first attempt, down to the last block."""
        del fake.kinds["test IO ID"]
        async with self.using(fake.url) as subject:
            await subject.create(sample_draft(subject, sample_bug(id=7)))
            draft = sample_draft(subject, LONG)
            issue = await subject.create(draft)

            found = await subject.find(draft.marker)

        assert found is not None
        assert found.id == issue.id
        (query,) = [request.json for request in fake.requests if request.path.endswith("/query")]
        assert query["filter"]["created_time"] == {"on_or_after": "2026-01-05T08:55:00Z"}

    async def test_a_part_of_a_list_proves_nothing(
        self, fake: NotionServer, subject: Notion, draft: Draft
    ) -> None:
        """Notion answers with ten thousand pages at most."""
        part = {"object": "list", "results": [], "has_more": False, "request_status": {"type": "incomplete"}}
        fake.inject(
            Fault(FaultKind.REFUSE, lambda request: request.path.endswith("/query"), reply=Reply(json=part))
        )

        with pytest.raises(Unavailable, match="a part of the list only"):
            await subject.find(draft.marker)

    async def test_update_keeps_the_labels_that_people_added(
        self, fake: NotionServer, subject: Notion, draft: Draft
    ) -> None:
        issue = await subject.create(draft.with_(labels=("test-io", "area:cart")))
        fake.pages[issue.id]["properties"]["Tags"]["multi_select"].append({"name": "mobile"})

        await subject.update(issue, draft.with_(labels=("area:shop",), only=frozenset({"labels"})))

        tags = fake.pages[issue.id]["properties"]["Tags"]["multi_select"]
        assert [each["name"] for each in tags] == ["area:shop", "test-io", "mobile"]

    async def test_update_replaces_the_description_down_to_the_marker(
        self, fake: NotionServer, subject: Notion, draft: Draft
    ) -> None:
        """What people wrote below it stays, and what the bridge cannot have made."""
        issue = await subject.create(draft)
        children = fake.pages[issue.id]["children"]
        note = {"id": fake.new_id(), "type": "callout", "callout": {"rich_text": [], "icon": None}}
        children.insert(1, note)
        below = {
            "id": fake.new_id(),
            "type": "paragraph",
            "paragraph": {"rich_text": [{"text": {"content": "Seen."}}]},
        }
        children.append(below)
        changed = sample_draft(subject, LONG, marker=draft.marker, only=frozenset({"body"}))

        await subject.update(issue, changed)

        assert sent_blocks(fake.pages[issue.id])[:-2] == changed.body.content
        assert fake.pages[issue.id]["children"][-2:] == [note, below]

    @pytest.mark.parametrize("method", ["DELETE", "PATCH"])
    async def test_an_update_that_was_broken_off_leaves_nothing_twice(
        self, fake: NotionServer, subject: Notion, draft: Draft, method: str
    ) -> None:
        issue = await subject.create(draft)
        changed = sample_draft(subject, LONG, marker=draft.marker, only=frozenset({"body"}))
        for count in (1, 2):
            seen: list[str] = []

            def nth(request: Any, count: int = count, seen: list[str] = seen) -> bool:
                seen += [request.path] if request.method == method else []
                return len(seen) == count

            fake.inject(Fault(FaultKind.RESET_AFTER, nth))
            with pytest.raises(Unavailable):
                await subject.update(issue, changed)
            fake.heal()

        await subject.update(issue, changed)

        assert sent_blocks(fake.pages[issue.id]) == changed.body.content

    @pytest.mark.parametrize("act", ["update", "comment", "state"])
    async def test_a_page_in_the_trash_is_gone(
        self, fake: NotionServer, subject: Notion, draft: Draft, act: str
    ) -> None:
        issue = await subject.create(draft)
        fake.pages[issue.id]["in_trash"] = True
        acts: dict[str, Any] = {
            "update": lambda: subject.update(issue, draft),
            "comment": lambda: subject.comment(issue, sample_comment(subject)),
            "state": lambda: subject.state(issue),
        }

        with pytest.raises(Gone, match="trash"):
            await acts[act]()

    async def test_a_page_that_goes_to_the_trash_meanwhile_is_gone(
        self, fake: NotionServer, subject: Notion, draft: Draft
    ) -> None:
        issue = await subject.create(draft)
        archived = error(400, "validation_error", "Can't edit block that is archived.")
        fake.inject(Fault(FaultKind.REFUSE, lambda request: request.method == "PATCH", reply=archived))

        with pytest.raises(Gone):
            await subject.update(issue, draft.with_(only=frozenset({"title"})))

    def file(self, folder: Path, **changes: Any) -> AttachmentFile:
        path = folder / "spooled"
        path.write_bytes(b"\x89PNG-and-more")
        about: dict[str, Any] = {
            "name": "abc.png",
            "type": "image/png",
            "url": f"{SPOOLED}?signature=1",
            "size": 13,
        }
        return AttachmentFile(path=path, **(about | changes))

    @pytest.mark.parametrize(
        ("name", "type_", "kind", "sent"),
        [
            ("abc.png", "image/png", "image", "abc.png"),
            ("repro.mp4", "video/mp4", "video", "repro.mp4"),
            ("log", "text/plain", "file", "log.txt"),
            ("a.b.pdf", "application/pdf", "pdf", "a.b.pdf"),
            ("x" * 200 + ".mp3", "audio/mpeg", "audio", "x" * 96 + ".mp3"),
        ],
    )
    async def test_a_file_is_shown_as_what_it_is(
        self,
        fake: NotionServer,
        subject: Notion,
        draft: Draft,
        tmp_path: Path,
        name: str,
        type_: str,
        kind: str,
        sent: str,
    ) -> None:
        """Its caption leads to where it came from, without the signature."""
        issue = await subject.create(draft)

        await subject.attach(issue, self.file(tmp_path, name=name, type=type_))

        (upload,) = fake.uploads.values()
        block = fake.pages[issue.id]["children"][-1]
        assert (upload["filename"], upload["content"]) == (sent, b"\x89PNG-and-more")
        assert (block["type"], block[kind]["file_upload"]) == (kind, {"id": upload["id"]})
        assert block[kind]["caption"] == [{"text": {"content": sent, "link": {"url": SPOOLED}}}]

    async def test_a_file_is_shown_once(
        self, fake: NotionServer, subject: Notion, draft: Draft, tmp_path: Path
    ) -> None:
        """The answer to the first try was lost; another file of the same name is another file."""
        issue, there = await subject.create(draft), len(draft.body.content)
        fake.inject(Fault(FaultKind.RESET_AFTER, lambda request: request.method == "PATCH"))
        with pytest.raises(Unavailable):
            await subject.attach(issue, self.file(tmp_path))

        await subject.attach(issue, self.file(tmp_path, url=f"{SPOOLED}?signature=2"))
        assert len(fake.pages[issue.id]["children"]) == there + 1

        await subject.attach(issue, self.file(tmp_path, url="https://files.test.io/2/abc.png"))
        assert len(fake.pages[issue.id]["children"]) == there + 2

    async def test_a_large_file_is_sent_in_parts(
        self, fake: NotionServer, subject: Notion, draft: Draft, tmp_path: Path
    ) -> None:
        issue = await subject.create(draft)
        subject.part = 5

        await subject.attach(issue, self.file(tmp_path))

        (upload,) = fake.uploads.values()
        assert (upload["mode"], upload["number_of_parts"], upload["parts"]) == ("multi_part", 3, ["1", "2", "3"])
        assert (upload["status"], upload["content"]) == ("uploaded", b"\x89PNG-and-more")

    @pytest.mark.parametrize(
        ("settings", "properties", "done", "name"),
        [
            ({}, {}, False, "open"),
            ({}, {"Status": {"status": {"name": "Not started"}}}, False, "Not started"),
            ({}, {"Status": {"status": {"name": "Won't fix"}}}, True, "Won't fix"),
            ({"done": ["fixed"]}, {"Status": {"status": {"name": "Won't fix"}}}, False, "Won't fix"),
            ({"done": ["fixed"]}, {"Status": {"status": {"name": "Fixed"}}}, True, "Fixed"),
            (
                {"status_property": "Priority", "done": ["P2"]},
                {"Priority": {"select": {"name": "P2"}}},
                True,
                "P2",
            ),
            ({"status_property": "urgent"}, {"Urgent": {"checkbox": True}}, True, "Urgent"),
            ({"status_property": "urgent"}, {}, False, "open"),
            ({"status_property": "Nothing"}, {}, False, "open"),
        ],
    )
    async def test_a_status_a_select_or_a_checkbox_says_that_a_page_is_finished(
        self, fake: NotionServer, settings: dict[str, Any], properties: dict[str, Any], done: bool, name: str
    ) -> None:
        async with self.using(fake.url, **settings) as subject:
            issue = await subject.create(sample_draft(subject))
            fake.pages[issue.id]["properties"] |= properties

            state = await subject.state(issue)

        assert (state.done, state.name) == (done, name)

    async def test_notion_s_own_words_are_told(self, fake: NotionServer, subject: Notion, draft: Draft) -> None:
        fake.inject(refused(INVALID))

        with pytest.raises(Rejected) as caught:
            await subject.create(draft)

        assert str(caught.value) == "body failed validation: body.properties.X should be defined (HTTP 400)"

    async def found(self, fake: NotionServer, **changes: Any) -> list[tuple[Verdict, str, str]]:
        """Return what the doctor is not content with: verdict, subject, and its words with the fix."""
        async with self.using(fake.url, **changes) as subject:
            report = await subject.check()
        return [
            (finding.verdict, finding.subject, f"{finding.message} > {finding.fix}")
            for finding in report.findings
            if finding.verdict is not Verdict.OK
        ]

    async def test_the_doctor_knows_databases_with_a_similar_name(self, fake: NotionServer) -> None:
        ((verdict, subject, told),) = await self.found(fake, database="Bgus")

        assert (verdict, subject) == (Verdict.ERROR, "database")
        assert 'did you mean "Bugs"?: correct `database` > correct `database`; in Notion: ' in told

    async def test_the_doctor_recommends_a_property_for_the_marker(self, fake: NotionServer) -> None:
        del fake.kinds["test IO ID"]

        ((verdict, subject, told),) = await self.found(fake)

        assert (verdict, subject) == (Verdict.WARNING, "marker_property")
        assert told.endswith('> add a text property "test IO ID"')

    async def test_the_doctor_looks_at_every_configured_value(self, fake: NotionServer) -> None:
        found = await self.found(
            fake,
            labels=["mobiel", "brand-new", "severity:{{ bug.severity }}"],
            assignee="Alcie",
            priorities={"p1": "P1", "p2": "P22"},
            severity_property="Sevrity",
            issue_type="Bug",
            status_property="Status",
            done=["Fixd"],
            fields={"Status": "Fxed", "Cots": 3, "Cost": "much", "Link": "{{ bug.link }}", "Created": "now"},
        )

        assert [(verdict, subject, told.partition(" > ")[2]) for verdict, subject, told in found] == [
            (Verdict.WARNING, "priorities.p2", 'did you mean "P2"?'),
            (Verdict.WARNING, "severity_property", 'did you mean "Severity"?'),
            (Verdict.WARNING, "type_property", 'add it, or set type_property = ""'),
            (Verdict.WARNING, "labels", 'did you mean "mobile"?'),
            (Verdict.WARNING, "fields.Status", 'did you mean "Fixed"?'),
            (Verdict.WARNING, "fields.Cots", 'did you mean "Cost"?'),
            (Verdict.WARNING, "fields.Cost", "correct it"),
            (Verdict.WARNING, "fields.Created", "correct it"),
            (Verdict.WARNING, "done", 'did you mean "Fixed"?'),
            (Verdict.WARNING, "assignee", "correct `assignee`"),
        ]

    async def test_the_doctor_says_where_nothing_tells_that_pages_are_finished(self, fake: NotionServer) -> None:
        del fake.kinds["Status"]

        assert [subject for _, subject, _ in await self.found(fake)] == ["status_property"]
        assert [subject for _, subject, _ in await self.found(fake, status_property="Cost")] == ["status_property"]


def tracker(**changes: Any) -> Notion:
    """Return a tracker that talks to nobody."""
    table = TestNotion().settings("http://127.0.0.1:9") | changes
    return Notion("shop", Notion.settings_type.model_validate(table))


def test_trackers_with_one_token_share_an_account() -> None:
    one, other, stranger = tracker(), tracker(database="Other"), tracker(token="another-token")

    assert one.account == other.account != stranger.account


def test_the_mapping_needs_no_network() -> None:
    subject = tracker(fields={"Link": "{{ bug.link }}"}, labels=["crowd"])
    draft = sample_draft(subject)

    assert values(draft, subject.settings) == {
        "title": "Checkout total is incorrect",
        "Tags": ["crowd"],
        "Severity": "High",
        "Link": "https://app.test.io/bugs/12345",
    }
    assert subject.preview(draft)["properties"]["test IO ID"] == "testio-bug-12345"


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("https://www.notion.so/acme/Bugs-0123456789abcdef0123456789ABCDEF?v=1#x", "01234567-89ab-cdef-0123-456789abcdef"),
        ("https://www.notion.so/0123456789abcdef0123456789abcdef/", "01234567-89ab-cdef-0123-456789abcdef"),
        ("01234567-89ab-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"),
        ("Bugs of the web shop", ""),
        ("https://www.notion.so/acme/Bugs", ""),
    ],
)  # fmt: skip
def test_ids_are_found_in_addresses(text: str, id_: str) -> None:
    assert identifier(text) == id_


def test_options_have_no_commas_and_are_not_made_twice() -> None:
    prop = Property("Tags", "multi_select", ("Mobile", "A b"))

    assert prop.value(["mobile", "a, b", "new,  one", "Mobile", " "]) == {
        "multi_select": [{"name": "Mobile"}, {"name": "A b"}, {"name": "new one"}]
    }
    assert prop.value({"raw": 1}) == {"multi_select": {"raw": 1}}


def test_blocks_are_grouped_by_how_many_a_request_takes() -> None:
    """Those inside others count, too."""
    small: dict[str, Any] = {"type": "divider", "divider": {}}
    family = {"type": "quote", "quote": {"rich_text": [], "children": [small] * 99}}

    assert [len(group) for group in groups([small] * 250)] == [99, 99, 52]
    assert [len(group) for group in groups([family] * 25)] == [9, 9, 7]
    assert groups([]) == [[]]


def test_the_documented_example_is_valid() -> None:
    """docs/trackers/notion.md shows a table that loads."""
    page = (Path(__file__).parents[2] / "docs" / "trackers" / "notion.md").read_text("utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["trackers"]["shop"]

    assert Notion.settings_type.model_validate(table).type == "notion"
