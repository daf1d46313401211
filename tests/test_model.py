"""The words of the bridge: plain frozen data."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import model
from bridge.model import (
    Attachment,
    AttachmentFile,
    Body,
    Device,
    Draft,
    Finding,
    Issue,
    Marker,
    Markup,
    Report,
    Verdict,
)
from bridge.testing import sample_bug

SINCE = datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_everything_is_frozen():
    for name, one in inspect.getmembers(model, dataclasses.is_dataclass):
        assert getattr(one, "__dataclass_params__").frozen, name  # noqa: B009 - type checkers do not know it


class TestMarker:
    MARKER = Marker.of(12, SINCE, tracker="web")

    @pytest.mark.parametrize(
        "text",
        [
            "testio-bug-12",
            "<!-- testio-bug-12 -->",
            "see testio-bug-12.",
            "(testio-bug-12)",
            "testio-bug-123 and testio-bug-12",
            "testio-bug-12 - from test IO",
            "testio-bug-12-",
            "\ntestio-bug-12\n",
            "[testio-bug-12]",
        ],
    )
    def test_it_is_found(self, text):
        assert self.MARKER.found_in(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "testio-bug-1",
            "testio-bug-123",
            "testio-bug-12-01k9z3v8",
            "testio-bug-12x",
            "mytestio-bug-12",
            "my-testio-bug-12",
            "TESTIO-BUG-12",
        ],
    )
    def test_but_not_that_of_another_bug_or_export(self, text):
        assert not self.MARKER.found_in(text)

    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def test_no_marker_is_found_in_that_of_another_bug(self, one, other):
        assert Marker.of(one, SINCE).found_in(Marker.of(other, SINCE).text) is (one == other)

    def test_a_suffix_tells_issues_of_one_bug_apart(self):
        suffixed = Marker.of(12, SINCE, suffix="01K9Z3V8")

        assert suffixed.text == "testio-bug-12-01k9z3v8"
        assert suffixed.uuid != Marker.of(12, SINCE).uuid

    def test_its_uuid_is_stable_and_differs_by_tracker(self):
        later = datetime(2027, 1, 1, tzinfo=UTC)

        assert Marker.of(12, later, tracker="web").uuid == self.MARKER.uuid
        assert Marker.of(12, SINCE, tracker="app").uuid != self.MARKER.uuid

    def test_what_is_searched_begins_earlier_than_the_first_attempt_as_clocks_differ(self):
        assert self.MARKER.earliest == SINCE - timedelta(minutes=5)

    def test_of_several_issues_that_carry_it_the_first_counts_and_the_others_are_told(self):
        one, other = (Issue(id=key, key=key, url=f"https://x.example/{key}", warnings=(key,)) for key in "AB")
        assert self.MARKER.first_of([]) is None
        assert self.MARKER.first_of([one]) == one
        first = self.MARKER.first_of([one, other])
        assert first == replace(one, warnings=("A", "another issue carries testio-bug-12: https://x.example/B"))


class TestAttachment:
    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("https://f.example/a/b.png", "b.png"),
            ("https://f.example/b%20c.png?sig=x#y", "b c.png"),
            ("https://f.example/", "attachment"),
            ("https://f.example", "attachment"),
            ("https://f.example/a%2Fb.png", "b.png"),
            ("", "attachment"),
        ],
    )
    def test_its_name_is_the_last_part_of_its_address(self, url, name):
        assert Attachment(url=url).name == name

    @pytest.mark.parametrize(
        ("kind", "is_image"), [("image/png", True), ("IMAGE/JPEG", True), ("video/mp4", False)]
    )
    def test_whether_it_is_a_picture(self, kind, is_image):
        assert Attachment(url="u", type=kind).is_image is is_image


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (Device(device_type="mobile", os="ios", os_version="17.2", browser="safari"), "mobile, ios 17.2, safari"),
        (Device(os="ios"), "ios"),
        (Device(), ""),
    ],
)
def test_a_device_in_words(device, words):
    assert str(device) == words


@pytest.mark.parametrize(
    ("attached", "there"),
    [
        ([], False),
        ([("a.png", 3)], True),
        ([("b.png", 3), ("a.png", "3")], True),
        ([("a.png", 4), ("b.png", 3)], False),
    ],
)
def test_a_file_is_attached_already_where_name_and_size_are_the_same(attached, there):
    file = AttachmentFile(path=Path("x"), name="a.png", type="image/png", size=3, url="https://x.example/a.png")
    assert file.is_one_of(attached) is there


def test_a_file_has_its_name_on_one_line_and_within_a_limit():
    file = AttachmentFile(path=Path("x"), name="a\n long  name.png", type="image/png", size=3, url="")
    assert file.with_name_within(6).name == "a long"


class TestDraft:
    DRAFT = Draft(title="t", body=Body(Markup.GFM, "x"), marker=Marker.of(1, SINCE), bug=sample_bug())

    def test_it_sets_everything_unless_it_says_otherwise(self):
        assert self.DRAFT.sets("title")
        assert self.DRAFT.with_(only=frozenset({"body"})).sets("title") is False

    def test_a_changed_copy_leaves_the_first_alone(self):
        assert self.DRAFT.with_(title="other").title == "other"
        assert self.DRAFT.title == "t"

    def test_what_is_chosen_of_it_is_to_be_set_and_not_empty_and_has_a_name(self):
        parts = ("title", "name", "t"), ("body", "text", "x"), ("priority", "level", ""), ("severity", "", "high")
        assert self.DRAFT.chosen(*parts) == {"name": "t", "text": "x"}
        assert self.DRAFT.with_(only=frozenset({"body"})).chosen(*parts) == {"text": "x"}

    def test_its_own_fields_are_those_to_be_set(self):
        draft = self.DRAFT.with_(fields={"points": 3})
        assert draft.own_fields == {"points": 3}
        assert draft.with_(only=frozenset({"title"})).own_fields == {}

    @pytest.mark.parametrize(
        ("assignee", "people"), [("", ()), ("ada", ("ada",)), (" @ada, grace hopper,,@", ("ada", "grace hopper"))]
    )
    def test_people_are_named_between_commas_with_or_without_an_at(self, assignee, people):
        assert self.DRAFT.with_(assignee=assignee).assignees == people

    def test_what_it_has_no_field_for_is_refused(self):
        with pytest.raises(TypeError):
            self.DRAFT.with_(titel="x")


def test_the_text_of_a_document_tree_is_asked_for_in_vain():
    assert Body(Markup.GFM, "x").text == "x"
    with pytest.raises(TypeError, match="adf is not text"):
        _ = Body(Markup.ADF, {"type": "doc"}).text


@pytest.mark.parametrize(
    ("verdicts", "ok"), [((), True), ((Verdict.OK, Verdict.WARNING), True), ((Verdict.OK, Verdict.ERROR), False)]
)
def test_a_report_is_good_when_nothing_would_fail(verdicts, ok):
    assert Report(tuple(Finding(verdict, "x", "y") for verdict in verdicts)).ok is ok
