"""Text that tries to be something else, in every markup: the shared example, and whatever comes to mind."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bridge.mapping import Mapper, quote, render
from bridge.mapping.text import clean, measure
from bridge.model import Attachment, Device, Export, Markup
from bridge.testing.samples import SINCE, sample_bug, sample_export, sample_marker

from .conftest import paper, texts_of

Z = "\u200b"
PIECES = [
    "*", "**", "***", "_", "__", "`", "``", "```", "~", "~~", "~~~", "#", "##", "-", "+", ">", "1.", "1)",
    "|", "||", "[", "]", "(", ")", "![", "](", "<", ">", "<b>", "</b>", "<!--", "-->", "&", "&lt;", "&#35;",
    "\\", "\\\\", "/", "/close", "@all", "#1", "!1", "~x", "%x", "$x$", "{x}", "{{", "}}", "{%", "%}",
    "%{title}", "{code}", "{noformat}", "[~u]", "h1.", "bq.", "===", "---", ":::", ":a:", "</pre>",
    "</code>", "https://a.b/c_d*e", "javascript:x", "[x](javascript:y)", "[x](https://a.b)", "[x]:http://y",
    "<https://a.b>", "a", "b", "c", "ab_cd", "1", "2", "🐞",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*PIECES, " ", "  ", "    ", "\n", "\n\n", "\t", "\r\n", "x"]), max_size=25).map(
        "".join
    ),
)


def letters(text: str) -> str:
    """Return what can be seen of a text."""
    return re.sub(rf"[\s{Z}]", "", text)


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def reparsed(markdown: str) -> list[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return list(flat(parser.parse(markdown)))


def shown(tokens: list[Token]) -> str:
    return letters("".join(token.content for token in tokens if token.type != "inline"))


def hrefs(tokens: list[Token]) -> list[str]:
    return [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]


class Elements(HTMLParser):
    """What a browser sees."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.text = ""
        self.hrefs: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.hrefs += [value or "" for name, value in attrs if name == "href"]
        assert {name for name, _ in attrs} <= {"href", "start", "src", "alt"}

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXTS)
@also("a | b\n-|-")
@also("* *\n- -\n1.")
@also("`` ` ``\n\n    code")
@settings(max_examples=100, deadline=None)
def test_plain_text_reads_the_same_on_github(text: str) -> None:
    tokens = reparsed(render(quote(text), Markup.GFM, text="plain").text)

    assert shown(tokens) == letters(clean(text))
    assert all(href.partition(":")[0] in {"http", "https", "ftp", "mailto"} for href in hrefs(tokens))
    assert {token.type for token in tokens} <= {
        "paragraph_open", "paragraph_close", "inline", "text", "hardbreak", "link_open", "link_close"
    }  # fmt: skip


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_markdown_reads_the_same_on_github_as_everywhere(text: str) -> None:
    tokens = reparsed(render(quote(text), Markup.GFM).text)
    page = Elements(render(quote(text), Markup.HTML).text)

    assert shown(tokens) == letters(page.text)
    assert {token.type for token in tokens}.isdisjoint(
        {"html_block", "html_inline", "heading_open", "hr", "image", "table_open", "code_block"}
    )
    assert len(hrefs(tokens)) == len(page.hrefs)
    assert all(href.partition(":")[0].lower() in {"http", "https", "ftp", "mailto"} for href in page.hrefs)


@given(TEXTS, st.sampled_from(["markdown", "plain"]))
@also("- a\n  - b\n    - c\n      - d\n        - e", "markdown")
@also("> - a\n>   > b\n> \n> ```\n> c\n> ```", "markdown")
@settings(max_examples=100, deadline=None)
def test_text_reads_the_same_in_notion_as_everywhere(notion_is_valid: Any, text: str, mode: Any) -> None:
    blocks = render(quote(text), Markup.NOTION, text=mode).content
    page = Elements(render(quote(text), Markup.HTML, text=mode).text)

    notion_is_valid(blocks)
    assert letters("".join(each["content"] for each in texts_of(blocks))) == letters(page.text)


@given(TEXTS, st.sampled_from([Markup.JIRA_WIKI, Markup.TEXTILE]))
@settings(max_examples=100, deadline=None)
def test_no_sign_of_a_wiki_is_left_bare(text: str, markup: Markup) -> None:
    sent = render(quote(text), markup, text="plain").text
    without_links = re.sub(r"\[(?:ht|f)tps?://[^\]]*\]|mailto:\S+|\":\S+", "", sent)

    if markup is Markup.JIRA_WIKI:
        assert not re.search(r"(?<!\\)[{\[|!]", without_links)
    else:
        assert not re.search(r"[@{}|<>!%]", without_links)


@given(
    st.builds(
        dict, title=TEXTS, link=TEXTS, description=TEXTS, steps=st.lists(TEXTS, max_size=3).map(tuple),
        expected_result=TEXTS, actual_result=TEXTS, severity=TEXTS, priority=TEXTS,
        attachments=st.lists(st.builds(Attachment, url=TEXTS, type=TEXTS), max_size=2).map(tuple),
        device=st.builds(Device, device_type=TEXTS, os=TEXTS, os_version=TEXTS, browser=TEXTS),
    ),
    st.sampled_from(list(Markup)), st.sampled_from(["markdown", "plain"]), st.none() | st.integers(1, 900),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_every_text_in_every_field_makes_a_draft(
    adf_is_valid: Any,
    notion_is_valid: Any,
    bug: dict[str, Any],
    markup: Markup,
    text: Any,
    limit: int | None,
) -> None:
    export: Export = sample_export(sample_bug(**bug))

    made = Mapper(paper(markup, {"body_limit": limit, "title_limit": limit})).draft(
        export, sample_marker(export.bug), text=text
    )

    assert made.title == made.title.strip()
    assert "\n" not in made.title
    assert limit is None or measure(made.title, paper().unit) <= limit
    if markup is Markup.ADF:
        adf_is_valid(made.body.content)
    elif markup is Markup.NOTION:
        notion_is_valid(made.body.content)
    else:
        assert sample_marker(export.bug).found_in(made.body.text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef]", made.body.text)


@pytest.fixture
def hostile(example: Any) -> Any:
    return example("hostile-text")


def sent(hostile: Any, markup: Markup) -> Any:
    return Mapper(paper(markup)).draft(hostile, sample_marker(hostile.bug))


def test_the_hostile_title(hostile: Any) -> None:
    words = (
        "**bold** `code` <script>alert(1)</script> @all fixes #1 {color:red}x{color} | a | b | /close "
        "[x](javascript:alert(1)) 🐞"
    )

    assert sent(hostile, Markup.PLAIN).title == words
    assert sent(hostile, Markup.GFM).title == words.replace("@all", f"@{Z}all").replace("#1", f"#{Z}1")


HOSTILE = {
    Markup.GFM: (
        "Line one  \nLine two *literal* \\_\\_init\\_\\_ 3 \\< 4 && 5 \\> 4\n\n```python\nprint('hi')\n```\n\n"
        f"\\<img src=x onerror=alert(1)\\>  \n@{Z}everyone please see <https://example.com/a_b_c?x=1&y=2> "
        "and C:\\\\Users\\\\QA\\\\file\\_name.txt  \n"
        f"{{code}}rm -rf{{code}} %{{title}} {{{Z}{{ bug.title }}}} {{% for %}}\n\n### Steps to reproduce\n\n"
        "1. \\# not a heading\n2. \\- not a list\n3. 1\\) numbered  \n   continued\n"
    ),
    Markup.JIRA_WIKI: (
        "Line one\nLine two _literal_ \\_\\_init\\_\\_ 3 < 4 && 5 > 4\n\n{noformat}\nprint('hi')\n{noformat}\n\n"
        "<img src=x onerror=alert(1)>\n@everyone please see [https://example.com/a_b_c?x=1&y=2] "
        "and C:\\Users\\QA\\file_name.txt\n"
        "\\{code\\}rm \\-rf\\{code\\} %\\{title\\} \\{\\{ bug.title \\}\\} \\{% for %\\}\n\n"
        "h3. Steps to reproduce\n\n# \\# not a heading\n# \\- not a list\n# 1) numbered\ncontinued\n"
    ),
    Markup.HTML: (
        "<p>Line one<br/>Line two <em>literal</em> __init__ 3 &lt; 4 &amp;&amp; 5 &gt; 4</p>"
        "<pre><code>print(&#x27;hi&#x27;)</code></pre>"
        "<p>&lt;img src=x onerror=alert(1)&gt;<br/>@everyone please see "
        '<a href="https://example.com/a_b_c?x=1&amp;y=2">https://example.com/a_b_c?x=1&amp;y=2</a> '
        "and C:\\Users\\QA\\file_name.txt<br/>{code}rm -rf{code} %{title} {\u200b{ bug.title }} {% for %}</p>"
        "<h3>Steps to reproduce</h3><ol><li># not a heading</li><li>- not a list</li>"
        "<li>1) numbered<br/>continued</li>"
    ),
    Markup.TEXTILE: (
        "Line one\nLine two _literal_ &#95;&#95;init&#95;&#95; 3 &#60; 4 &#38;&#38; 5 &#62; 4\n\n"
        "<pre>\nprint('hi')\n</pre>\n\n&#60;img src&#61;x onerror&#61;alert(1)&#62;\n"
        '&#64;everyone please see "https&#58;//example.com/a_b_c?x&#61;1&#38;y&#61;2":'
        "https://example.com/a_b_c?x=1&y=2 and C&#58;\\Users\\QA\\file_name.txt\n"
    ),
    Markup.PLAIN: (
        "Line one\nLine two *literal* __init__ 3 < 4 && 5 > 4\n\n    print('hi')\n\n"
        "<img src=x onerror=alert(1)>\n@everyone please see https://example.com/a_b_c?x=1&y=2 "
        "and C:\\Users\\QA\\file_name.txt\n{code}rm -rf{code} %{title} {{ bug.title }} {% for %}\n\n"
        "Steps to reproduce:\n\n1. # not a heading\n2. - not a list\n3. 1) numbered\n   continued\n"
    ),
}


@pytest.mark.parametrize("markup", HOSTILE)
def test_the_hostile_text_arrives_as_it_was_written(markup: Markup, hostile: Any) -> None:
    text: str = sent(hostile, markup).body.text

    assert text[: len(HOSTILE[markup])] == HOSTILE[markup]
    assert sample_marker(hostile.bug).found_in(text)
    assert sample_marker(hostile.bug).since == SINCE


def test_the_hostile_text_is_literal_in_adf(hostile: Any, adf_is_valid: Any) -> None:
    document = sent(hostile, Markup.ADF).body.content

    adf_is_valid(document)
    first = document["content"][0]["content"]
    assert [part.get("text") for part in first] == [
        "Line one",
        None,
        "Line two ",
        "literal",
        " __init__ 3 < 4 && 5 > 4",
    ]


def test_a_mapper_serves_several_threads_at_once() -> None:
    mapper = Mapper(paper())
    export = sample_export(sample_bug(description="see https://a.b/c_d *now* " * 50))
    marker = sample_marker(export.bug)
    expected = mapper.draft(export, marker)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: mapper.draft(export, marker).body.text, range(40))) == {expected.body.text}
