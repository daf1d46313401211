"""The Atlassian Document Format, held against Atlassian's own schema."""

from typing import Any

import pytest

from bridge.mapping import quote, render
from bridge.model import Markup

EXAMPLES = ["documented", "minimal", "loose-types", "hostile-text", "large", "re-export"]


def adf(markdown: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = render(markdown, Markup.ADF).content["content"]
    return content


def text(written: str, *marks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": written} | ({"marks": list(marks)} if marks else {})


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("limit", [None, 1000])
def test_every_example_is_valid(name: str, limit: int | None, example: Any, adf_is_valid: Any, draft: Any) -> None:
    bug = example(name).bug
    fields = {field: getattr(bug, field) for field in bug.__dataclass_fields__}

    body = draft(Markup.ADF, bug=fields, declared={"body_limit": limit}).body

    adf_is_valid(body.content)


def test_text_is_literal() -> None:
    assert adf(quote("{code} @all #1 <b> | \\ __init__")) == [
        {"type": "paragraph", "content": [text("{code} @all #1 <b> | \\ __init__")]}
    ]


def test_a_new_line_is_a_hard_break_and_never_in_a_text() -> None:
    assert adf(quote("one\ntwo")) == [
        {"type": "paragraph", "content": [text("one"), {"type": "hardBreak"}, text("two")]}
    ]


def test_code_has_no_mark_but_a_link() -> None:
    assert adf(quote("**`a` b** [`c`](https://s.test)"))[0]["content"] == [
        text("a", {"type": "code"}),
        text(" b", {"type": "strong"}),
        text(" "),
        text("c", {"type": "code"}, {"type": "link", "attrs": {"href": "https://s.test"}}),
    ]


def test_a_fence_is_a_code_block() -> None:
    assert adf(quote("```python\na\n\nb\n```")) == [
        {"type": "codeBlock", "attrs": {"language": "python"}, "content": [text("a\n\nb")]}
    ]


def test_a_table_of_a_template(adf_is_valid: Any) -> None:
    document = render("| h |\n|---|\n| x |\n| y |", Markup.ADF).content

    adf_is_valid(document)
    rows = document["content"][0]["content"]
    assert [[cell["type"] for cell in row["content"]] for row in rows] == [
        ["tableHeader"], ["tableCell"], ["tableCell"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "template",
    [
        "> # heading\n>\n> text\n>\n> > nested\n>\n> ---\n>\n> | a |\n> |---|\n> | b |",
        "- # heading\n\n  text\n- > quote\n- - list at once\n- ```\n  code\n  ```",
        "1. | a |\n   |---|\n   | b |\n2. ---",
        "# *a*\\\nb",
        "![picture](https://s.test/a.png)",
        "**a *b* ~~c~~** [d **e**](https://s.test)",
        "",
    ],
)
def test_what_adf_does_not_allow_inside_is_put_otherwise(template: str, adf_is_valid: Any) -> None:
    adf_is_valid(render(template, Markup.ADF).content)
