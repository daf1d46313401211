"""What a re-export says, in words."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.mapping import Mapper, describe_changes
from bridge.model import Attachment, Bug, Device, Markup
from bridge.testing.samples import SINCE, sample_bug, sample_marker

OLD = sample_bug()
ABC, MP4 = OLD.attachments


@pytest.fixture
def said(tracker: Any) -> Any:
    """Say in the body of a comment what changed, without the first line."""

    def comment(markup: Markup = Markup.GFM, old: Bug = OLD, **changes: Any) -> str:
        body = Mapper(tracker(markup)).comment(describe_changes(old, replace(old, **changes)))
        first, _, rest = body.text.partition("\n\n")
        assert first == "Exported again from test IO. Changed since the last export:"
        return rest

    return comment


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"actual_result": "No discount applied at all"},
            '**Actual result** was "10% discount applied", now "No discount applied at all".',
        ),
        ({"severity": "critical"}, '**Severity** was "high", now "critical".'),
        ({"priority": ""}, "**Priority** is now empty."),
        (
            {"device": Device(os="android")},
            '**Environment** was "mobile, ios 17.2, safari", now "android".',
        ),
        ({"steps": ("Open", "- Close")}, "**Steps to reproduce** are now:\n\n1. Open\n2. \\- Close"),
        ({"steps": ()}, "**Steps to reproduce** are now empty."),
        ({"description": "one\n\ntwo"}, "**Description** is now:\n\n> one\n>\n> two"),
        (
            {"attachments": (ABC, Attachment(url="https://f.test/new.png"))},
            (
                "**New attachments:** [new.png](https://f.test/new.png)\n\n"
                "**Removed attachments:** [repro.mp4](https://files.test.io/attachments/repro.mp4)"
            ),
        ),
    ],
)
def test_each_change_is_said(changes: dict[str, Any], words: str, said: Any) -> None:
    assert said(**changes) == words


def test_what_was_empty_is_only_said_as_it_is_now(said: Any) -> None:
    assert said(old=replace(OLD, priority=""), priority="p1") == '**Priority** is now "p1".'


def test_several_changes_are_several_paragraphs(said: Any) -> None:
    assert said(title="A", severity="low").split("\n\n") == [
        '**Title** was "Checkout total is incorrect", now "A".',
        '**Severity** was "high", now "low".',
    ]


def test_nothing_changed_is_said_too(tracker: Any) -> None:
    body = Mapper(tracker()).comment(describe_changes(OLD, OLD))

    assert body.text == "Exported again from test IO; nothing has changed since the last export."


def test_testers_text_does_nothing_here_either(said: Any) -> None:
    assert said(title="@all **x** fixes #1") == (
        '**Title** was "Checkout total is incorrect", now "@\u200ball **x** fixes #\u200b1".'
    )
    assert said(Markup.JIRA_WIKI, title="{code} [~bob]").endswith(r'now "\{code\} \[\~bob\]".')


def test_a_comment_has_the_markup_of_comments_and_a_marker_where_asked(tracker: Any) -> None:
    mapper = Mapper(tracker(Markup.GFM, {"comment_markup": Markup.PLAIN}))

    assert mapper.comment("# Hello").text == ""
    assert mapper.comment("**Hello**").markup is Markup.PLAIN
    assert mapper.comment("Hello", marker=sample_marker(OLD)).text == "Hello\n\ntestio-bug-12345"
    assert sample_marker(OLD).since == SINCE


def test_the_shared_re_export_says_what_changed(example: Any, tracker: Any) -> None:
    old, new = example("documented").bug, example("re-export").bug

    assert Mapper(tracker(Markup.PLAIN)).comment(describe_changes(old, new)).text.splitlines()[2:] == [
        '**Actual result** was "10% discount applied", now "No discount applied at all".',
        "",
        "**New attachments:** def.png (https://files.test.io/attachments/def.png)",
    ]
