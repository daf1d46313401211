"""GitHub Flavored Markdown: what people read is what was written, and nothing else happens."""

import pytest

from bridge.mapping import quote, render
from bridge.model import Markup

Z = "\u200b"


def gfm(text: str) -> str:
    return render(quote(text), Markup.GFM).text


def of_template(text: str) -> str:
    return render(text, Markup.GFM).text


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("@all", f"@{Z}all"),
        ("thanks @acme/qa!", f"thanks @{Z}acme/qa!"),
        ("**@bob**", f"**@{Z}bob**"),
        ("fixes #1", f"fixes #{Z}1"),
        ("acme/shop#28", f"acme/shop#{Z}28"),
        ("GH-12", f"GH-{Z}12"),
        ("!1 ~label %x $1 &1", f"!{Z}1 \\~{Z}label %{Z}x \\${Z}1 &{Z}1"),
        ("[issue:1]", f"\\[{Z}issue:1\\]"),
        ("at 1a2b3c4d", f"at 1{Z}a2b3c4d"),
        ("1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b", f"1{Z}a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"),
        ("{{include(x)}} [[Wiki]]", f"{{{Z}{{include(x)}}}} \\[{Z}\\[Wiki\\]\\]"),
        (":tada:", f"\\:{Z}tada:"),
        ("/close", f"{Z}/close"),
        ("see\n  /close", f"see  \n{Z}/close"),
        ("- /close", f"- {Z}/close"),
    ],
)
def test_nobody_is_mentioned_and_nothing_referred_to(written: str, sent: str) -> None:
    assert gfm(written) == sent


@pytest.mark.parametrize(
    "written",
    [
        "qa@example.com",
        "a / b and/or c",
        "12:30:45",
        "550e8400-e29b-41d4-a716-446655440000",
        "order 1234567",
        "100% of 5 & more",
        "issue # 5",
    ],
)
def test_ordinary_text_stays_as_it_is(written: str) -> None:
    assert gfm(written) == written


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("__init__ and snake_case", r"\_\_init\_\_ and snake\_case"),
        (r"C:\Users\QA\*.txt", r"C:\\Users\\QA\\\*.txt"),
        ("# not a heading", r"\# not a heading"),
        ("Title\n===", "Title  \n\\==="),
        ("Title\n---", "Title  \n\\---"),
        ("* * *", r"\* \* \*"),
        ("-", r"\-"),
        ("a | b\n:-", "a \\| b  \n\\:-"),
        ("[a]: http://x.test", r"\[a\]: <http://x.test>"),
        ("&lt; AT&T &amp;", r"\&lt; AT&T \&amp;"),
        ("5 * 3 * 2", r"5 \* 3 \* 2"),
        ("[x](javascript:alert(1))", r"\[x\](javascript:alert(1))"),
        ("[x](data:text/html,x) [y](vbscript:x) [z](file:///etc)",
         r"\[x\](data:text/html,x) \[y\](vbscript:x) \[z\](file:///etc)"),
        ("[x](/logout)", r"\[x\](/logout)"),
        ("    four blanks", "four blanks"),
    ],
)  # fmt: skip
def test_what_testers_did_not_mean_as_markdown_is_literal(written: str, sent: str) -> None:
    assert gfm(written) == sent


@pytest.mark.parametrize(
    "written",
    [
        "*emphasis* and **bold** and ~~gone~~",
        "a**b**c",
        "`code`",
        "``a ` b``",
        "[the shop](https://shop.test/a?b=1&c=2)",
        "> quoted",
        "- a\n- b",
        "1. a\n2. b",
        "5. a\n6. b",
        "```python\nprint('hi')\n```",
        "````\n```\n````",
    ],
)
def test_the_markdown_that_testers_use_keeps_working(written: str) -> None:
    assert gfm(written) == written


def test_addresses_stay_whole_and_clickable() -> None:
    assert gfm("see https://example.com/a_b_c?x=1&y=2.") == "see <https://example.com/a_b_c?x=1&y=2>."


def test_a_new_line_is_a_line_break() -> None:
    assert gfm("one\ntwo\n\nthree") == "one  \ntwo\n\nthree"


def test_a_picture_of_a_tester_is_a_link() -> None:
    assert gfm("![screen](https://x.test/a.png)") == "[screen](https://x.test/a.png)"


def test_a_fence_without_an_end_ends_with_the_text() -> None:
    fence = quote("```\nno end")

    assert of_template(f"{fence}\n\n## Next\n\nx") == "```\nno end\n```\n\n## Next\n\nx"


def test_what_the_author_of_a_template_writes_is_trusted() -> None:
    assert of_template("@qa-team, see #12\n\n/label ~bug") == "@qa-team, see #12\n\n/label \\~bug"


def test_neighbouring_lists_stay_two_lists() -> None:
    assert of_template(f"- a\n\n{quote('- b')}") == "- a\n\n* b"


def test_blocks_in_an_item_stay_in_it() -> None:
    step = quote("Open\n\n```\nx\n```")

    assert of_template(f"1. {step}\n2. b") == "1. Open\n\n   ```\n   x\n   ```\n2. b"


def test_a_table_of_the_template_holds_pipes_and_lines() -> None:
    lines, code = quote("a | b\nc"), quote("`a|b`")
    table = f"| field | value |\n|---|---|\n| x | {lines} |\n| code | {code} |"

    assert of_template(table) == ("| field | value |\n| --- | --- |\n| x | a \\| b c |\n| code | `a\\|b` |")


def test_marks_hold_whatever_is_put_into_them() -> None:
    assert of_template(f"**{quote('(x)')}**y") == f"**(x){Z}**y"


def test_a_link_of_the_template_to_a_dangerous_address_is_none() -> None:
    assert of_template(f"[file]({quote('javascript:alert(1)')})") == "file"


def test_an_address_with_blanks_and_brackets_is_encoded() -> None:
    assert of_template(f"[file]({quote('https://x.test/a b(1).png')})") == "[file](<https://x.test/a%20b(1).png>)"


def test_where_html_is_shown_as_it_is_the_marker_is_no_comment(draft) -> None:
    """Trello, for one. All else is the same."""
    here, there = draft(Markup.GFM).body.text, draft(Markup.COMMONMARK).body.text

    assert there == here.replace("<!-- testio-bug-12345 -->", "testio-bug-12345")
    assert there.endswith("\n\ntestio-bug-12345")
