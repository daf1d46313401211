"""The blocks of Notion, held against Notion's own description."""

import json
from typing import Any

import pytest

from bridge.mapping import quote, render
from bridge.mapping.notion import family
from bridge.model import Markup

from .conftest import texts_of

EXAMPLES = ["documented", "minimal", "loose-types", "hostile-text", "large", "re-export"]


def notion(markdown: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = render(markdown, Markup.NOTION).content
    return content


def text(written: str, link: str = "", **annotations: Any) -> dict[str, Any]:
    inside = {"content": written} | ({"link": {"url": link}} if link else {})
    return {"type": "text", "text": inside} | ({"annotations": annotations} if annotations else {})


def paragraph(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "paragraph": {"rich_text": list(parts)}}


def item(kind: str, words: str, *children: dict[str, Any]) -> dict[str, Any]:
    inside = {"rich_text": [text(words)]} | ({"children": list(children)} if children else {})
    return {"type": f"{kind}_list_item", f"{kind}_list_item": inside}


def shown(blocks: Any) -> str:
    return "".join(each["content"] for each in texts_of(blocks))


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("limit", [None, 1000])
def test_every_example_is_valid(
    name: str, limit: int | None, example: Any, notion_is_valid: Any, draft: Any
) -> None:
    bug = example(name).bug
    fields = {field: getattr(bug, field) for field in bug.__dataclass_fields__}

    notion_is_valid(draft(Markup.NOTION, bug=fields, declared={"body_limit": limit}).body.content)


def test_text_is_literal() -> None:
    assert notion(quote("**{code} @all #1 <b> | \\ __init__")) == [
        paragraph(text("**{code} @all #1 <b> | \\ __init__"))
    ]


def test_the_marker_is_small_and_at_the_end(draft: Any) -> None:
    *_, rule, line, marker = draft(Markup.NOTION).body.content

    assert rule == {"type": "divider", "divider": {}}
    assert shown(line) == "Reported via test IO: https://app.test.io/bugs/12345 (severity: high, priority: p2)"
    assert marker == paragraph(text("testio-bug-12345", color="gray"))


def test_a_new_line_is_in_the_text() -> None:
    assert notion(quote("one\ntwo")) == [paragraph(text("one\ntwo"))]


def test_marks_add_up() -> None:
    assert notion(quote("**`a` b *c*** ~~d~~ [`e`](https://s.test)")) == [
        paragraph(
            text("a", code=True, bold=True),
            text(" b ", bold=True),
            text("c", italic=True, bold=True),
            text(" "),
            text("d", strikethrough=True),
            text(" "),
            text("e", link="https://s.test", code=True),
        )
    ]


@pytest.mark.parametrize(
    ("info", "language"), [("python", "python"), ("PY", "python"), ("c++", "c++"), ("klingon", "plain text")]
)
def test_a_fence_is_code_in_a_language_that_notion_knows(info: str, language: str, notion_is_valid: Any) -> None:
    blocks = notion(f"```{info}\na\n\nb\n```")

    notion_is_valid(blocks)
    assert blocks == [{"type": "code", "code": {"rich_text": [text("a\n\nb")], "language": language}}]


@pytest.mark.parametrize(
    "address",
    ["ftp://s.test/a", "https://", "https://[", "http://-x/", "mailto:nobody", "https://s.test/" + "a" * 1999],
)
def test_a_link_that_notion_would_refuse_the_page_for_is_text(address: str) -> None:
    blocks = notion(f"[log]({address})")

    assert shown(blocks) == f"log ({address})"
    assert not any(each.get("link") for each in texts_of(blocks))


def test_lists_nest_as_deep_as_one_request_may_go(notion_is_valid: Any) -> None:
    """What is deeper is on the deepest level there is."""
    blocks = notion("- a\n  - b\n    1. c\n       1. d\n          - e\n- f")

    notion_is_valid(blocks)
    below = [item("numbered", "c"), item("numbered", "d"), item("bulleted", "e")]
    assert blocks == [item("bulleted", "a", item("bulleted", "b", *below)), item("bulleted", "f")]


@pytest.mark.parametrize("count", [100, 101, 250])
def test_what_is_too_much_inside_follows(count: int, notion_is_valid: Any) -> None:
    blocks = notion("- top\n" + "\n".join(f"  - {number}" for number in range(count)))

    notion_is_valid(blocks)
    assert shown(blocks) == "top" + "".join(map(str, range(count)))
    assert len(blocks) == 1 + max(0, count - 100)


def test_no_block_has_more_in_it_than_a_request_may_have(notion_is_valid: Any) -> None:
    inner = "\n".join(f"    - {number}" for number in range(90))
    blocks = notion("- top\n" + "\n".join(f"  - group\n{inner}" for _ in range(12)))

    notion_is_valid(blocks)
    assert max(family(block) for block in blocks) <= 900
    assert sum(family(block) for block in blocks) == 1 + 12 * 91


def test_long_text_is_in_pieces(notion_is_valid: Any) -> None:
    """An emoji counts twice. A block holds a hundred pieces; the rest is in another one."""
    written = "x" + "🐞" * 150_000
    blocks = notion(quote(written))

    notion_is_valid(blocks)
    assert [len(block["paragraph"]["rich_text"]) for block in blocks] == [100, 51]
    assert shown(blocks) == written


def test_a_heading_of_many_styles_is_continued_below(notion_is_valid: Any) -> None:
    blocks = notion("#### " + "".join(f"**{number}** " for number in range(80)) + "\n\nbelow")

    notion_is_valid(blocks)
    assert [block["type"] for block in blocks] == ["heading_3", "paragraph", "paragraph"]


def test_a_table_of_a_template(notion_is_valid: Any) -> None:
    blocks = notion("| h | **i** |\n|---|---|\n| x | |\n| y | z |")

    notion_is_valid(blocks)
    rows = [row["table_row"]["cells"] for row in blocks[0]["table"]["children"]]
    assert rows == [[[text("h")], [text("i", bold=True)]], [[text("x")], []], [[text("y")], [text("z")]]]
    assert blocks[0]["table"]["table_width"] == 2


def test_a_long_table_is_several(notion_is_valid: Any) -> None:
    blocks = notion("| h |\n|---|\n" + "\n".join(f"| {number} |" for number in range(150)))

    notion_is_valid(blocks)
    assert [shown(block)[:2] for block in blocks] == ["h0", "h9"]
    assert [len(block["table"]["children"]) for block in blocks] == [100, 52]


def test_a_wide_table_is_lines(notion_is_valid: Any) -> None:
    blocks = notion("|" + "h|" * 101 + "\n|" + "-|" * 101 + "\n|" + "x|" * 101)

    notion_is_valid(blocks)
    assert [block["type"] for block in blocks] == ["paragraph", "paragraph"]


def test_a_cell_of_many_styles_loses_them(notion_is_valid: Any) -> None:
    styles = "".join(f"**{number}** " for number in range(80))
    blocks = notion(f"| h |\n|---|\n| {styles} |")

    notion_is_valid(blocks)
    assert shown(blocks[0]["table"]["children"][1]) == "".join(f"{number} " for number in range(80)).strip()


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
def test_any_template_is_valid(template: str, notion_is_valid: Any) -> None:
    notion_is_valid(notion(template))


def test_a_large_bug_is_cut_in_the_json(draft: Any, example: Any) -> None:
    bug = example("large").bug
    fields = {field: getattr(bug, field) for field in bug.__dataclass_fields__}

    body = draft(Markup.NOTION, bug=fields, declared={"body_limit": 3000}).body

    assert len(json.dumps(body.content, ensure_ascii=False, separators=(",", ":"))) <= 3000
    assert shown(body.content).endswith(f"testio-bug-{bug.id}")
