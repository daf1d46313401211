# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""Jira wiki markup, for Jira Server and Data Center.

https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
"""

from __future__ import annotations

import re

from bridge.mapping.gfm import ZWSP, encoded
from bridge.mapping.tree import Node, plain_text
from bridge.mapping.wiki import WikiRenderer
from bridge.model import Markup

_WORD = "A-Za-z0-9"
_SPECIAL = re.compile(
    rf"""(?P<entity>\\(?![{_WORD}])                       # before a letter a backslash is one; two are a new line
          | &(?=\#?\w+;))
      | (?P<escape>[{{}}\[\]|!]                           # macros, links, tables, images
          | (?<![{_WORD}])[*_^~+-] | [*_^~+-](?![{_WORD}])  # marks; inside a word they are none
          | \?(?=\?) | (?<=\?)\?
          | \((?=(?:[!?/xiyn*+-]|on|off|flag|flagoff|\*[rgby])\))   # icons
          | (?<=[:;])[()] | (?<=:-)[()])                   # faces
      | (?P<broken>[:;](?=-?[PD]\b) | \b(?:javascript|vbscript|data|file):(?=\S))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LINE_START = re.compile(r"^(\s*)(?:(#)|(?=(?:h[1-6]|bq)\.))", re.MULTILINE)
_IN_LINK = re.compile(r"[\[\]|{}^!\"]")


class JiraWiki(WikiRenderer):
    """Renders to Jira wiki markup."""

    markup = Markup.JIRA_WIKI

    def paragraph(self, node: Node) -> str:
        return _LINE_START.sub(_harmless_start, self.inlines(node.children))

    def heading(self, node: Node) -> str:
        return f"h{node.number}. {self.inlines(node.children)}"

    def quote(self, node: Node) -> str:
        return f"{{quote}}\n{self.blocks(node.children)}\n{{quote}}"

    def fence(self, node: Node) -> str:
        """Not `{code}`: a language that Jira does not know would show an error in place of the text."""
        text = re.sub(r"\{(?=noformat)", "{" + ZWSP, node.text)
        return f"{{noformat}}\n{text}\n{{noformat}}"

    def rule(self, node: Node) -> str:
        return "----"

    def table(self, node: Node) -> str:
        return "\n".join(self._row(row, "|" if index else "||") for index, row in enumerate(node.children))

    def marker(self, node: Node) -> str:
        return node.text

    def text(self, node: Node) -> str:
        return _SPECIAL.sub(_escaped, node.text)

    def code(self, node: Node) -> str:
        return "{{" + _SPECIAL.sub(_escaped, node.text) + "}}"

    def link(self, node: Node) -> str:
        if plain_text(node.children) == node.href:
            return f"[{_address(node.href)}]"
        return f"[{self.inlines(node.children)}|{_address(node.href)}]"

    def image(self, node: Node) -> str:
        return f"!{_address(node.href)}!"

    def beside(self, node: Node, part: str, before: str, after: str) -> str:
        """Return a mark beside a letter as Jira's own editor writes it: `{*}`."""
        if node.kind not in self.signs or not (before.isalnum() or after.isalnum()):
            return part
        sign = "{" + self.signs[node.kind] + "}"
        return f"{sign}{part[1:-1]}{sign}"

    def _row(self, row: Node, bar: str) -> str:
        return bar + bar.join(self.inlines(cell.children) or " " for cell in row.children) + bar


def _escaped(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "escape":
            return "\\" + match[0]
        case "entity":
            return f"&#{ord(match[0])};"
        case _:
            return match[0] + ZWSP


def _harmless_start(match: re.Match[str]) -> str:
    return f"{match[1]}\\#" if match[2] else f"{match[1]}{ZWSP}"


def _address(url: str) -> str:
    return _IN_LINK.sub(lambda match: f"%{ord(match[0]):02X}", encoded(url))
