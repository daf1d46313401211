"""Textile, as Redmine shows it: entities are its only escapes."""

import pytest

from bridge.mapping import quote, render
from bridge.model import Markup

Z = "\u200b"


def textile(text: str) -> str:
    return render(quote(text), Markup.TEXTILE).text


def of_template(text: str) -> str:
    return render(text, Markup.TEXTILE).text


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("@login fixes #12", "&#64;login fixes &#35;12"),
        ("{{include(x)}} [[Wiki]]", "&#123;&#123;include(x)&#125;&#125; &#91;&#91;Wiki&#93;&#93;"),
        ("commit:abc user:x 12:30", "commit&#58;abc user&#58;x 12:30"),
        ("r12 error12", f"r{Z}12 error12"),
        ("__init__ snake_case", "&#95;&#95;init&#95;&#95; snake_case"),
        ("-x- +y+ ^z^", "&#45;x&#45; &#43;y&#43; &#94;z&#94;"),
        ("!image.png!", "&#33;image.png&#33;"),
        ("h1. not a heading", "h1&#46; not a heading"),
        ("# not\n*a list", "&#35; not\n&#42;a list"),
        ('"text":http', "&#34;text&#34;:http"),
        ("|a|b|", "&#124;a&#124;b&#124;"),
        ("<b> &lt;", "&#60;b&#62; &#38;lt;"),
        (r"C\Users\QA\file_name.txt", r"C\Users\QA\file_name.txt"),
        ("[x](javascript:alert(1))", "&#91;x&#93;(javascript&#58;alert(1))"),
        ("(c) (note)", "&#40;c) (note)"),
    ],
)
def test_nothing_a_tester_writes_is_textile(written: str, sent: str) -> None:
    assert textile(written) == sent


def test_the_markdown_that_testers_use_becomes_textile() -> None:
    assert textile("**bold** *em* ~~gone~~ `a*b` [shop](https://s.test/a)") == (
        '*bold* _em_ -gone- <code>a*b</code> "shop":https://s.test/a'
    )


def test_an_address_is_a_whole_link() -> None:
    assert textile("https://s.test/a_b?x=1&y=2").endswith('":https://s.test/a_b?x=1&y=2')


def test_a_link_ends_before_what_follows_it() -> None:
    assert textile("([shop](https://s.test/a))") == '("shop":https://s.test/a )'
    assert textile("[shop](https://s.test/a?)") == '"shop":https://s.test/a%3F'


def test_code_is_shown_as_it_is_and_cannot_end_itself() -> None:
    assert textile("```\n</pre> #1 <b>\n```") == f"<pre>\n<{Z}/pre> #1 <b>\n</pre>"


def test_lists_quotes_and_lines() -> None:
    assert textile("- a\n  - b\n\n> c\n> d\n\n1. e") == "* a\n** b\n\n> c\n> d\n\n# e"


def test_headings_rules_tables_and_pictures_of_a_template() -> None:
    template = "# One\n\na\n\n---\n\n| h | i |\n|---|---|\n| x | |\n\n![p](https://s.test/a.png)"

    assert of_template(template) == "h1. One\n\na\n\n---\n\n|_. h|_. i|\n| x| |\n\n!https://s.test/a.png!"


def test_a_mark_within_a_word_cannot_be_written() -> None:
    assert textile("a**b**c") == "abc"
