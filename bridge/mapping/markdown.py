"""Markdown to a tree: the template's Markdown, with what testers wrote put in where it was marked by `quote`.

A tester's text is parsed by itself, by stricter rules, and its nodes are put into the tree. So it cannot close or
open anything of the template's, whatever is in it and wherever it is put.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Literal
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, blockquote, list_block
from markdown_it.rules_inline import StateInline, emphasis
from markdown_it.token import Token

from bridge.mapping.text import CLOSE, OPEN, QUOTED
from bridge.mapping.tree import BLOCKS, BREAK, Node, plain_text, tidy

TextMode = Literal["markdown", "plain"]

SAFE_SCHEMES = frozenset({"http", "https", "ftp", "mailto"})
"""What a link that a tester wrote may lead to. Anything else stays text."""

_PLACE = re.compile(f"{OPEN}(\\d+){CLOSE}")
_ONLY_PLACES = re.compile(f"(?:[ \t]*{OPEN}\\d+{CLOSE}[ \t]*(?:\n|$))+")
_BRACKETED_URL = re.compile(f"<({OPEN}[a-z]+://[^\\s{OPEN}{CLOSE}]+{CLOSE})>", re.IGNORECASE)
_KINDS = {"s": "strike", "list_item": "item", "blockquote": "quote", "tr": "row", "th": "cell", "td": "cell"}
_PLAIN = re.compile(r"""(?:[^\W\d_]|\d+(?![\d.)]))(?:[\w ,;.?!'"%()=+-]|/(?!/))*""")
"""One line that no parser makes anything of but text: it begins with a letter, or a number that is no list's."""

_COSTLY = 2000  # brackets and backticks; beyond that looking for their partners takes seconds


def parse(markdown: str, parsers: Parsers, text: TextMode = "markdown") -> tuple[Node, ...]:
    """Return the tidy blocks of a template's Markdown.

    Args:
        markdown: Trusted Markdown, in which testers' text is marked by `quote`.
        parsers: Where the parsers are kept.
        text: What testers' text may be: Markdown, or nothing but text.
    """
    quoted: list[str] = []

    def place(match: re.Match[str]) -> str:
        quoted.append(match[1])
        return f"{OPEN}{len(quoted) - 1}{CLOSE}"

    source = QUOTED.sub(place, _BRACKETED_URL.sub(r"\1", markdown))
    return tidy(_Builder(parsers, text, quoted).blocks(parsers.of_template(source)))


class Parsers(threading.local):
    """The parsers, once for each thread: linkify-it keeps the text that it is looking at in itself."""

    @cached_property
    def _template(self) -> MarkdownIt:
        parser = _parser("commonmark", ["table", "strikethrough", "linkify"], lambda _: True)
        return parser.disable(["html_block", "html_inline"])

    @cached_property
    def of_template(self) -> Callable[[str], list[Token]]:
        """Parses a template's Markdown. Where testers' text stands in it, bugs of one shape are one source."""
        return lru_cache(maxsize=64)(self._template.parse)

    @cached_property
    def _markdown(self) -> MarkdownIt:
        return _tester_parser()

    @cached_property
    def _step(self) -> MarkdownIt:
        return _tester_parser().disable(["list", "blockquote"])

    @cached_property
    def _plain(self) -> MarkdownIt:
        return _parser("zero", ["linkify", "newline"], is_safe)

    def of_tester(self, source: str, mode: TextMode, *, step: bool) -> MarkdownIt:
        """Return the parser for a tester's text.

        Args:
            source: The text.
            mode: As in `parse`.
            step: Whether it is one item of a list: then a number or dash that it starts with is text.
        """
        costly = source.count("[") + source.count("`") > _COSTLY
        if mode == "plain" or costly:
            return self._plain
        return self._step if step else self._markdown


def is_safe(url: str) -> bool:
    """Whether a tester's link may be a link."""
    try:
        return urlsplit(url.strip()).scheme.lower() in SAFE_SCHEMES
    except ValueError:
        return False


def _parser(preset: str, rules: Sequence[str], valid: Callable[[str], bool]) -> MarkdownIt:
    parser = MarkdownIt(preset, {"html": False, "linkify": True}).enable(list(rules))
    builtin = parser.validateLink
    parser.validateLink = lambda url: builtin(url) and valid(url)  # type: ignore[method-assign]
    parser.normalizeLink = parser.normalizeLinkText = _as_written  # type: ignore[method-assign,assignment]
    if parser.linkify is not None:
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    return parser


def _as_written(url: str) -> str:
    return url


def _tester_parser() -> MarkdownIt:
    parser = _parser("commonmark", ["strikethrough", "linkify"], is_safe)
    parser.disable(["heading", "lheading", "hr", "reference", "code", "html_block"])
    parser.disable(["html_inline", "entity", "escape"])
    parser.inline.ruler.at("emphasis", _stars_only)
    parser.block.ruler.at("list", _list_with_content, {"alt": ["paragraph", "blockquote"]})
    parser.block.ruler.at("blockquote", _quote_with_content, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


def _stars_only(state: StateInline, silent: bool) -> bool:
    """Emphasis by stars: underscores are in names far more often, and a backslash is part of a path."""
    escaped = state.pos > 0 and state.src[state.pos - 1] == "\\"
    return state.src[state.pos] == "*" and not escaped and emphasis.tokenize(state, silent)


def _list_with_content(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Lists, but neither a lone dash nor a line of dashes or stars is one."""
    line = _line(state, start)
    if not re.match(r"(?:[-+*]|\d{1,9}[.)])\s+\S", line) or re.fullmatch(r"([-*])(?:\s*\1){2,}\s*", line):
        return False
    return list_block(state, start, end, silent)


def _quote_with_content(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Block quotes, but a lone `>` is none."""
    return bool(re.match(r"[>\s]*[^>\s]", _line(state, start))) and blockquote(state, start, end, silent)


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


class _Builder:
    """Makes nodes of tokens. A tester's text (`foreign`) has no places for other text in it."""

    def __init__(self, parsers: Parsers, text: TextMode, quoted: Sequence[str], *, foreign: bool = False) -> None:
        self.parsers, self.text, self.quoted, self.foreign = parsers, text, quoted, foreign

    def blocks(self, tokens: Sequence[Token]) -> tuple[Node, ...]:
        """Return the nodes of block tokens."""
        levels: list[list[Node]] = [[]]
        openers: list[Token] = []
        for token in tokens:
            if token.nesting == 1:
                openers.append(token)
                levels.append([])
            elif token.nesting == -1:
                children = levels.pop()
                levels[-1] += _block(openers.pop(), children)
            elif token.type == "inline":
                levels[-1] += self._content(token, [opener.type for opener in openers])
            else:
                levels[-1].append(self._leaf(token))
        return tuple(levels[0])

    def _content(self, token: Token, within: Sequence[str]) -> Sequence[Node]:
        """A paragraph that is nothing but testers' text becomes the blocks of that text."""
        if self.foreign or within[-1] != "paragraph_open" or not _ONLY_PLACES.fullmatch(token.content):
            return self.inlines(token.children or ())
        nodes: list[Node] = []
        for place in _PLACE.finditer(token.content):
            source = self.quoted[int(place[1])]
            if _PLAIN.fullmatch(source):
                nodes.append(Node("paragraph", (Node("text", text=source, foreign=True),)))
                continue
            parser = self.parsers.of_tester(source, self.text, step="list_item_open" in within)
            nodes += _Builder(self.parsers, self.text, (), foreign=True).blocks(parser.parse(source))
        return nodes

    def _leaf(self, token: Token) -> Node:
        if token.type == "hr":
            return Node("rule")
        language = re.match(r"[\w+#.-]*", self._filled(token.info).strip())
        text = self._filled(token.content).removesuffix("\n")
        return Node("fence", text=text, info=language[0] if language else "", foreign=self.foreign)

    def inlines(self, tokens: Sequence[Token]) -> list[Node]:
        """Return the nodes of inline tokens. A mark inside the same mark is none."""
        levels: list[list[Node]] = [[]]
        openers: list[Token] = []
        for token in tokens:
            if token.nesting == 1:
                openers.append(token)
                levels.append([])
            elif token.nesting == -1:
                children, opener = levels.pop(), openers.pop()
                again = any(other.type == opener.type for other in openers)
                levels[-1] += children if again else self._marked(opener, children)
            else:
                levels[-1] += self._inline(token)
        return levels[0]

    def _marked(self, opener: Token, children: list[Node]) -> list[Node]:
        kind = opener.type.removesuffix("_open")
        if kind != "link":
            return [Node(_KINDS.get(kind, kind), tuple(children))]
        return self._link(str(opener.attrs.get("href", "")), children)

    def _link(self, target: str, children: Sequence[Node]) -> list[Node]:
        href = self._filled(target).strip()
        if not href or (href != target and not is_safe(href)):
            return list(children)
        if not plain_text(children).strip():
            children = [Node("text", text=href, foreign=True)]
        return [Node("link", tuple(children), href=href)]

    def _inline(self, token: Token) -> list[Node]:
        match token.type:
            case "softbreak" | "hardbreak":
                return [BREAK]
            case "code_inline":
                return [Node("code", text=self._filled(token.content).replace("\n", " "), foreign=self.foreign)]
            case "image":
                return self._image(token)
            case _ if self.foreign:
                return [Node("text", text=token.content, foreign=True)]
            case _:
                return self._text(token.content)

    def _image(self, token: Token) -> list[Node]:
        """A template's image is shown; a tester's is a link, for it could be of any size and place."""
        href, alt = str(token.attrs.get("src", "")), self.inlines(token.children or ())
        if self.foreign:
            return self._link(href, alt)
        href = self._filled(href)
        return [Node("image", text=plain_text(alt), href=href)] if is_safe(href) else list(alt)

    def _text(self, content: str) -> list[Node]:
        nodes: list[Node] = []
        for index, part in enumerate(_PLACE.split(content)):
            if index % 2 == 0:
                nodes.append(Node("text", text=part))
                continue
            source = self.quoted[int(part)]
            if _PLAIN.fullmatch(source):
                nodes.append(Node("text", text=source, foreign=True))
                continue
            parser = self.parsers.of_tester(source, self.text, step=True)
            for token in parser.parseInline(source):
                nodes += _Builder(self.parsers, self.text, (), foreign=True).inlines(token.children or ())
        return nodes

    def _filled(self, content: str) -> str:
        return _PLACE.sub(lambda place: self.quoted[int(place[1])], content)


def _block(opener: Token, children: list[Node]) -> list[Node]:
    kind = opener.type.removesuffix("_open")
    if kind in {"thead", "tbody"} or (kind == "paragraph" and any(child.kind in BLOCKS for child in children)):
        return children
    number = 0
    if kind == "heading":
        number = int(opener.tag[1])
    elif kind == "ordered_list":
        number = int(opener.attrs.get("start", 1))
    return [Node(_KINDS.get(kind, kind), tuple(children), number=number)]
