"""Bodies, comments and titles that fit."""

import json
import time
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bridge.mapping import Mapper, quote
from bridge.mapping.text import measure, shorten
from bridge.model import Body, Markup
from bridge.testing.samples import large_bug, sample_marker
from bridge.tracker import Unit

LARGE = {field: getattr(large_bug(), field) for field in large_bug().__dataclass_fields__}
NOTE = "The rest is at test IO: "


def size(body: Body, unit: Unit) -> int:
    content = body.content
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return measure(content, unit)


@pytest.mark.parametrize("markup", list(Markup))
def test_a_large_bug_fits_in_every_markup_and_unit(markup: Markup, draft: Any) -> None:
    whole = draft(markup, bug=LARGE).body
    for unit in Unit:
        body = draft(markup, bug=LARGE, declared={"body_limit": 20_000, "unit": unit}).body
        text = body.content if isinstance(body.content, str) else json.dumps(body.content)

        assert 19_000 < size(body, unit) <= 20_000, unit
        assert NOTE in text
        assert sample_marker(large_bug()).found_in(text)
        assert body.lost == (f"cut from {size(whole, unit)} to {size(body, unit)} {unit}",)


def test_what_fits_is_left_alone(draft: Any) -> None:
    whole = draft().body
    limit = {"body_limit": len(whole.text)}

    assert draft(declared=limit).body == whole
    assert whole.lost == ()


@pytest.mark.parametrize("limit", range(200, 620, 21))
def test_a_cut_never_goes_through_markup(limit: int, draft: Any) -> None:
    description = (
        "word **bold words** [a link](https://s.test/a_b) `code of some length`\n\n```\ncode\nmore\n```\n\n"
    )
    body = draft(bug={"description": description * 3}, declared={"body_limit": limit}).body

    tokens = MarkdownIt("commonmark").parse(body.text)
    shown = "".join(child.content for token in tokens for child in token.children or () if child.type == "text")
    assert len(body.text) <= limit
    assert "*" not in shown
    assert "`" not in shown
    assert "](" not in shown
    assert tokens[-1].content.strip() == "<!-- testio-bug-12345 -->"


def test_no_heading_is_left_above_nothing(draft: Any) -> None:
    whole = draft().body.text
    for limit in range(len(whole) - 1, 260, -11):
        text = draft(declared={"body_limit": limit}).body.text
        assert not any(
            line.startswith("#") and below.startswith(("#", "The rest"))
            for line, below in zip(text.split("\n\n"), text.split("\n\n")[1:], strict=False)
        )


def test_the_footer_is_kept_even_where_it_alone_is_too_long(draft: Any) -> None:
    body = draft(declared={"body_limit": 10}).body

    assert body.text.startswith("---\n\nReported via test IO: <https://app.test.io/bugs/12345>")
    assert body.text.endswith("<!-- testio-bug-12345 -->")
    assert NOTE not in body.text
    assert body.lost


def test_a_comment_is_cut_too(tracker: Any) -> None:
    body = Mapper(tracker(declared={"body_limit": 100})).comment(quote("word " * 100))

    assert len(body.text) <= 100
    assert body.text.endswith("…\n\nThe rest is too long for a comment here.")


@pytest.mark.parametrize(
    ("unit", "limit", "title"),
    [
        (Unit.CHARACTERS, 6, "ab🐞cd…"),
        (Unit.UTF16, 6, "ab🐞c…"),
        (Unit.BYTES, 9, "ab🐞…"),
        (Unit.BYTES, 8, "ab…"),
        (Unit.CHARACTERS, 7, "ab🐞cdef"),
    ],
)
def test_a_title_is_cut_in_the_trackers_unit(unit: Unit, limit: int, title: str, draft: Any) -> None:
    made = draft(bug={"title": "ab🐞cdef"}, declared={"title_limit": limit, "unit": unit})

    assert made.title == title
    assert measure(made.title, unit) <= limit
    assert bool(made.warnings) == title.endswith("…")


def test_a_cut_title_is_a_warning(draft: Any) -> None:
    assert draft(bug={"title": "x" * 300}, declared={"title_limit": 250}).warnings == (
        "title cut from 300 to 250 characters",
    )


def test_one_visible_character_is_never_cut_in_two() -> None:
    family, accent = "👨\u200d👩\u200d👧", "e\u0301"

    assert shorten(f"ab{family}cd", 6) == "ab…"
    assert shorten(f"ab{accent}cd", 4) == "ab…"
    assert shorten("abcd", 0) == ""


def seconds(draft: Any, description: str, limit: int | None) -> float:
    started = time.process_time()
    draft(bug={"description": description}, declared={"body_limit": limit})
    return time.process_time() - started


def test_cutting_costs_no_more_than_mapping(draft: Any) -> None:
    """Nothing that will not be kept is rendered for every guess."""
    text = "Lorem *ipsum* dolor sit amet. " * 3_000

    assert seconds(draft, text, 10_000) < 2 * seconds(draft, text, None) + 1


@pytest.mark.parametrize(
    "text",
    ["[" * 30_000, "`a" * 15_000, "![" * 15_000, "**" * 15_000, "> " * 15_000, "<" * 30_000, "*a " * 10_000],
)
def test_text_made_to_be_slow_is_not(text: str, draft: Any) -> None:
    ordinary = seconds(draft, "Lorem *ipsum* dolor sit amet. " * 1_000, 9_000)

    assert seconds(draft, text, 9_000) < 15 * ordinary + 1
