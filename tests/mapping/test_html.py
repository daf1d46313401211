"""HTML with few elements, in which every text is escaped."""

from bridge.mapping import quote, render
from bridge.model import Markup


def html(text: str) -> str:
    return render(quote(text), Markup.HTML).text


def of_template(text: str) -> str:
    return render(text, Markup.HTML).text


def test_html_of_testers_is_text() -> None:
    assert html('<img src=x onerror=alert(1)> & "x"') == (
        "<p>&lt;img src=x onerror=alert(1)&gt; &amp; &quot;x&quot;</p>"
    )


def test_html_of_the_template_is_text_too() -> None:
    assert of_template("<b>x</b>") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"


def test_lines_and_paragraphs() -> None:
    assert html("one\ntwo\n\nthree") == "<p>one<br/>two</p><p>three</p>"


def test_the_markdown_that_testers_use_becomes_elements() -> None:
    assert html("**bold** *em* ~~gone~~ `a<b` [shop](https://s.test/?a=1&b=2)") == (
        "<p><strong>bold</strong> <em>em</em> <s>gone</s> <code>a&lt;b</code> "
        '<a href="https://s.test/?a=1&amp;b=2">shop</a></p>'
    )


def test_a_link_cannot_leave_its_attribute() -> None:
    assert html('[x](https://s.test/"onclick="y)') == '<p><a href="https://s.test/&quot;onclick=&quot;y">x</a></p>'


def test_lists_quotes_and_code() -> None:
    assert html("- a\n- b\n\n> c\n\n```\nd <e>\n```\n\n3. f") == (
        "<ul><li>a</li><li>b</li></ul><blockquote><p>c</p></blockquote>"
        '<pre><code>d &lt;e&gt;</code></pre><ol start="3"><li>f</li></ol>'
    )


def test_headings_rules_tables_and_pictures_of_a_template() -> None:
    template = "# One\n\na\n\n---\n\n| h |\n|---|\n| x |\n\n![p](https://s.test/a.png)"

    assert of_template(template) == (
        "<h1>One</h1><p>a</p><hr/><table><tr><th>h</th></tr><tr><td>x</td></tr></table>"
        '<p><img src="https://s.test/a.png" alt="p"/></p>'
    )


def test_what_help_desks_replace_arrives_as_it_was_written() -> None:
    """A zero-width space keeps placeholders and mentions apart, in code too; single braces stay as they are."""
    assert html("{{ticket.id}} `{{a}}` zsu[@user:1]zsu {b}") == (
        "<p>{\u200b{ticket.id}} <code>{\u200b{a}}</code> zsu\u200b[@user:1]zsu {b}</p>"
    )
