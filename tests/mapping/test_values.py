"""Labels, priorities, types and fields of a draft, by table and template."""

from typing import Any

import pytest

from bridge.model import EVERYTHING, Kind, Level

VISUAL = {"severity": "visual", "level": Level.LOW, "kind": Kind.VISUAL, "priority": ""}


@pytest.mark.parametrize(
    ("bug", "priority"),
    [
        ({}, "by priority"),
        ({"priority": "P2"}, "by priority"),
        ({"priority": "p9"}, "by severity"),
        ({**VISUAL}, "by level"),
        ({"severity": "odd", "level": Level.CRITICAL, "kind": Kind.UNKNOWN, "priority": ""}, "by default"),
    ],
)
def test_the_strongest_key_wins(bug: dict[str, Any], priority: str, draft: Any) -> None:
    table = {"default": "by default", "low": "by level", "high": "by severity", "p2": "by priority"}

    assert draft(bug=bug, priorities=table).priority == priority


def test_settings_override_the_types_table_entry_by_entry(draft: Any) -> None:
    declared = {"default_severities": {"high": "S1", "low": "S3"}}

    assert draft(bug={"priority": ""}, declared=declared, severities={"low": "S4"}).severity == "S1"
    assert draft(bug=VISUAL, declared=declared, severities={"low": "S4"}).severity == "S4"


def test_an_empty_entry_leaves_it_out(draft: Any) -> None:
    declared = {"default_priorities": {"high": "High"}}

    assert draft(bug={"priority": ""}, declared=declared, priorities={"high": ""}).priority == ""


def test_the_issue_type_is_for_what_the_table_does_not_name(draft: Any) -> None:
    declared = {"default_issue_types": {"default": "Bug", "suggestion": "Improvement"}}
    suggestion = {"severity": "suggestion", "kind": Kind.SUGGESTION, "level": Level.LOW, "priority": ""}

    assert draft(declared=declared).issue_type == "Bug"
    assert draft(declared=declared, issue_type="Defect").issue_type == "Defect"
    assert draft(declared=declared, issue_type="Defect", bug=suggestion).issue_type == "Improvement"


def test_labels_are_templates_and_the_kind_adds_one(draft: Any) -> None:
    made = draft(
        bug=VISUAL,
        labels=("a", "cycle-{{ bug.test_cycle_id }}", "{{ bug.priority }}", "a"),
        kind_labels={"visual": "ui"},
    )

    assert made.labels == ("a", "cycle-7777", "ui")


def test_the_types_labels_stand_where_settings_say_nothing(draft: Any) -> None:
    declared = {"default_labels": ("test-io", "{{ bug.severity }}")}

    assert draft(declared=declared).labels == ("test-io", "high")
    assert draft(declared=declared, labels=()).labels == ()


def test_an_unknown_severity_is_told(draft: Any) -> None:
    odd = {"severity": "weird", "level": Level.LOW, "kind": Kind.UNKNOWN, "priority": ""}

    assert draft(bug=odd).warnings == ('severity "weird" is not known; treated as low',)
    assert draft(bug=odd, priorities={"weird": "High"}).warnings == ()
    assert draft(bug=VISUAL).warnings == ()


def test_fields_are_templates_however_deep_and_empty_ones_are_left_out(draft: Any) -> None:
    made = draft(
        bug={"priority": ""},
        fields={
            "text": " {{ bug.title }} ",
            "nested": {"value": "{{ bug.severity }}", "child": {"value": "{{ bug.priority }}"}},
            "list": ["{{ bug.priority }}", "x-{{ bug.id }}", 3],
            "gone": "{{ bug.priority }}",
            "gone_too": {"value": "{{ bug.priority }}"},
            "number": 5,
            "flag": False,
        },
    )

    assert made.fields == {
        "text": "Checkout total is incorrect",
        "nested": {"value": "high"},
        "list": ["x-12345", 3],
        "number": 5,
        "flag": False,
    }


def test_assignee_and_parent_are_templates_of_one_line(draft: Any) -> None:
    made = draft(assignee="{{ bug.severity }}-team", parent=" SHOP-{{ bug.product_id }}\n")

    assert (made.assignee, made.parent) == ("high-team", "SHOP-1")


def test_the_title_is_one_clean_line(draft: Any) -> None:
    assert draft(bug={"title": " a\r\n\tb\x00\x07  c\u2028d "}).title == "a b c d"


def test_a_bug_without_a_title_has_a_name(draft: Any) -> None:
    assert draft(bug={"title": " \n"}).title == "test IO bug 12345"


def test_the_draft_carries_the_bug_as_it_came(draft: Any) -> None:
    made = draft(bug={"description": "a\r\nb\x00"})

    assert made.bug.description == "a\r\nb\x00"
    assert made.body.text.startswith("a  \nb\n")
    assert made.only == EVERYTHING
