# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""Textile, as Redmine shows it.

https://www.redmine.org/projects/redmine/wiki/RedmineTextFormattingTextile
A backslash escapes nothing there; characters are written as entities, which Redmine shows as they are.
"""

from __future__ import annotations

import re

from bridge.mapping.gfm import ZWSP, encoded
from bridge.mapping.tree import Node
from bridge.mapping.wiki import WikiRenderer
from bridge.model import Markup

_WORD = "A-Za-z0-9"
_SPECIAL = re.compile(
    rf"""(?<![{_WORD}])[*_^~+?-] | [*_^~+?-](?![{_WORD}])   # marks; inside a word they are none
      | [!%@\#|{{}}\[\]"=<>&]                               # images, mentions, issues, macros, tables, links, HTML
      | (?<=[A-Za-z]):(?=\S)                                # commit:x, user:x, source:x and bare addresses
      | \((?=(?:c|r|tm)\))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_REVISION = re.compile(r"(?<![\w&#])r(?=\d)")
_LINE_START = re.compile(r"^([a-z]+[^\s.]*)\.(?=\s)", re.MULTILINE)  # h1. bq. p. fn1.
_ADDRESS_END = re.compile(r"[.,;:!?)\"]$")


class Textile(WikiRenderer):
    """Renders to Textile."""

    markup = Markup.TEXTILE

    def paragraph(self, node: Node) -> str:
        return _LINE_START.sub(r"\1&#46;", self.inlines(node.children))

    def heading(self, node: Node) -> str:
        return f"h{node.number}. {self.inlines(node.children)}"

    def quote(self, node: Node) -> str:
        lines = self.blocks(node.children).split("\n")
        return "\n".join(f"> {line}".rstrip() for line in lines)

    def fence(self, node: Node) -> str:
        return f"<pre>\n{_within(node.text, 'pre')}\n</pre>"

    def rule(self, node: Node) -> str:
        return "---"

    def table(self, node: Node) -> str:
        return "\n".join(self._row(row, " " if index else "_. ") for index, row in enumerate(node.children))

    def marker(self, node: Node) -> str:
        return f"<!-- {node.text} -->"

    def text(self, node: Node) -> str:
        return _REVISION.sub("r" + ZWSP, _SPECIAL.sub(_entity, node.text))

    def code(self, node: Node) -> str:
        return f"<code>{_within(node.text, 'code')}</code>"

    def link(self, node: Node) -> str:
        return f'"{self.inlines(node.children)}":{_address(node.href)}'

    def image(self, node: Node) -> str:
        return f"!{_address(node.href)}!"

    def beside(self, node: Node, part: str, before: str, after: str) -> str:
        """Return a link with a blank behind it, its only end; a mark within a word cannot be written."""
        if node.kind == "link" and after not in {"", " ", "\n", ".", ","}:
            return part + " "
        if node.kind in self.signs and (before.isalnum() or after.isalnum()):
            return part[1:-1]
        return part

    def _row(self, row: Node, start: str) -> str:
        return "|" + "|".join(start + self.inlines(cell.children) for cell in row.children) + "|"


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _within(text: str, element: str) -> str:
    """Return text that is shown as it is, unless it would close its element."""
    return re.sub(f"</(?={element})", f"<{ZWSP}/", text, flags=re.IGNORECASE)


def _address(url: str) -> str:
    return _ADDRESS_END.sub(lambda match: f"%{ord(match[0]):02X}", encoded(url))
