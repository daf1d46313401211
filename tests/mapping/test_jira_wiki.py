"""Jira wiki markup."""

import pytest

from bridge.mapping import quote, render
from bridge.model import Markup

Z = "\u200b"


def wiki(text: str) -> str:
    return render(quote(text), Markup.JIRA_WIKI).text


def of_template(text: str) -> str:
    return render(text, Markup.JIRA_WIKI).text


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("{color:red}x{color}", r"\{color:red\}x\{color\}"),
        ("[~bob] [SHOP-1]", r"\[\~bob\] \[SHOP-1\]"),
        ("a | b ||c||", r"a \| b \|\|c\|\|"),
        ("!image.png!", r"\!image.png\!"),
        ("# not a list", r"\# not a list"),
        ("h1. not a heading", f"{Z}h1. not a heading"),
        ("bq. no quote", f"{Z}bq. no quote"),
        ("----", r"\-\-\-\-"),
        ("__init__ snake_case", r"\_\_init\_\_ snake_case"),
        ("??cite?? really?", r"\?\?cite\?\? really?"),
        ("(x) (on) :) (note)", r"\(x) \(on) :\) (note)"),
        (r"C:\Users\QA\file_name.txt", r"C:\Users\QA\file_name.txt"),
        (r"\\server\share", r"&#92;\server\share"),
        ("&lt;", "&#38;lt;"),
        ("[x](javascript:alert(1))", rf"\[x\](javascript:{Z}alert(1))"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("testio-bug-12", "testio-bug-12"),
    ],
)
def test_nothing_a_tester_writes_is_a_macro_or_mark(written: str, sent: str) -> None:
    assert wiki(written) == sent


def test_the_markdown_that_testers_use_becomes_wiki_markup() -> None:
    assert wiki("**bold** *em* ~~gone~~ `a*b` [shop](https://s.test/a)") == (
        "*bold* _em_ -gone- {{a*b}} [shop|https://s.test/a]"
    )


def test_a_mark_within_a_word_is_written_as_jiras_editor_does() -> None:
    assert wiki("a**b**c") == "a{*}b{*}c"


def test_an_address_is_a_whole_link() -> None:
    assert wiki("https://example.com/a_b_c?x=1&y=2") == "[https://example.com/a_b_c?x=1&y=2]"


def test_what_ends_a_link_is_encoded_in_its_address() -> None:
    assert wiki("[a](https://s.test/x|y{z}^!)") == "[a|https://s.test/x%7Cy%7Bz%7D%5E%21]"


def test_code_is_noformat_and_cannot_end_it() -> None:
    assert wiki("```java\n{noformat} {code}\n```") == f"{{noformat}}\n{{{Z}noformat}} {{code}}\n{{noformat}}"


def test_new_lines_are_kept() -> None:
    assert wiki("one\ntwo\n\nthree") == "one\ntwo\n\nthree"


def test_a_block_quote() -> None:
    assert wiki("> one\n> two") == "{quote}\none\ntwo\n{quote}"


def test_lists_nest_by_repeating_their_sign() -> None:
    assert wiki("- a\n  1. b\n  2. c\n- d") == "* a\n*# b\n*# c\n* d"


def test_an_item_has_no_blank_line_which_would_end_the_list() -> None:
    step = quote("Open\n\nthen wait\n\n```\nx\n```")

    assert of_template(f"1. {step}\n2. b") == "# Open\nthen wait\n{noformat}\nx\n{noformat}\n# b"


def test_a_list_that_does_not_start_at_one_keeps_its_numbers() -> None:
    assert wiki("5. a\n6. b") == "5. a\n6. b"


def test_headings_rules_tables_and_pictures_of_a_template() -> None:
    template = "# One\n\na\n\n---\n\n| h | i |\n|---|---|\n| x | |\n\n![p](https://s.test/a.png)"

    assert of_template(template) == "h1. One\n\na\n\n----\n\n||h||i||\n|x| |\n\n!https://s.test/a.png!"
