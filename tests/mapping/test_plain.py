"""Plain text, laid out to be read."""

from bridge.mapping import quote, render
from bridge.model import Markup


def plain(text: str) -> str:
    return render(quote(text), Markup.PLAIN).text


def test_what_testers_write_is_left_as_it_is() -> None:
    written = "**bold** `code` __init__ <b> #1 @all {x} | https://s.test/a_b *em*\n5*3*2 C:\\*.txt"

    assert plain(written) == written


def test_links_show_where_they_lead() -> None:
    assert plain("[shop](https://s.test/a)") == "shop (https://s.test/a)"


def test_code_is_indented() -> None:
    assert plain("```\na\n\n  b\n```") == "    a\n\n      b"


def test_lists_quotes_and_headings() -> None:
    template = f"# One\n\n1. a\n   - b\n\n   c\n2. d\n\n{quote('> e')}"

    assert render(template, Markup.PLAIN).text == "One:\n\n1. a\n\n   - b\n\n   c\n2. d\n\n> e"


def test_tables_rules_and_pictures_of_a_template() -> None:
    template = "a\n\n---\n\n| h | i |\n|---|---|\n| x | y |\n\n![p](https://s.test/a.png)"

    assert render(template, Markup.PLAIN).text == (
        "a\n\n--------------------\n\nh | i\nx | y\n\np (https://s.test/a.png)"
    )
