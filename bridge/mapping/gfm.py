# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""GitHub Flavored Markdown, as GitHub, GitLab, Gitea and many others show it.

https://github.github.com/gfm/ and https://docs.gitlab.com/user/markdown/
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridge.mapping.renderer import TextRenderer
from bridge.mapping.tree import Node, plain_text
from bridge.model import Markup

ZWSP = "\u200b"
"""The zero-width space: seen by no person, and no tracker finds a reference across it."""

_REFERENCES = re.compile(
    r"""(?<![A-Za-z0-9_])@(?=\S)          # @user, @org/team, @all; not in an address
      | [#~%](?=[\w"])                    # #1, owner/repo#1, ~label, %milestone
      | [!$&](?=\d)                       # !1, $1, &1
      | [{\[](?=[{\[+-])|\[(?=[a-z_]+:)    # {{macro}}, [[wiki]], {+ inline diff +}, [issue:1]
      | \*(?=iteration:)
      | (?<![A-Za-z0-9_])GH-(?=\d)
      | :(?=[a-z+-][a-z0-9_+-]*:)         # :emoji:
      | (?<![\w-])(?=[0-9]*[a-f])[0-9a-f](?=[0-9a-f]{6,39}(?![\w-]))   # a commit; not a part of an UUID
    """,
    re.VERBOSE,
)
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$]|&(?=#?\w+;)")
_LINE_START = re.compile(r"^([ \t]*)(?:([#+=:-])|(\d{1,9})([.)])(?=\s|$))", re.MULTILINE)
_COMMAND = re.compile(r"/(?=\w)")
_SIGNS = {"strong": "**", "em": "*", "strike": "~~"}
_BLANK = frozenset({"", " ", "\n"})
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>\x00-\x1f]*")
_IN_ADDRESS = re.compile(r"[\s<>\\]|[\x00-\x1f]")


def neutral(text: str) -> str:
    """Return `text` so that nobody is mentioned and nothing is referred to; it looks the same."""
    return _REFERENCES.sub(lambda match: match[0] + ZWSP, text)


def longest_run(text: str, character: str) -> int:
    """Return the length of the longest run of `character` in `text`."""
    return max(map(len, re.findall(f"{re.escape(character)}+", text)), default=0)


def encoded(url: str) -> str:
    """Return `url` with what would end it percent-encoded."""
    return _IN_ADDRESS.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), url)


class Gfm(TextRenderer):
    """Renders to GitHub Flavored Markdown."""

    markup = Markup.GFM

    def title(self, text: str) -> str:
        """Return a title that mentions nobody: GitLab looks for mentions in titles too."""
        return neutral(text)

    def blocks(self, nodes: Sequence[Node]) -> str:
        """Return blocks; the second of two neighbouring lists gets other marks, or they would become one."""
        parts: list[str] = []
        other = False
        for index, node in enumerate(nodes):
            other = not other and index > 0 and nodes[index - 1].kind == node.kind
            parts.append(self._list(node, other=other) if node.kind.endswith("_list") else self.render(node))
        return self.between.join(parts)

    def beside(self, node: Node, part: str, before: str, after: str) -> str:
        """Return `part` so that marks open and close, and no line starts with one of GitLab's quick actions."""
        sign = _SIGNS.get(node.kind, "")
        if sign:
            part = _flanked(part[len(sign) : -len(sign)], sign, before, after)
        command = node.foreign and before in {"", "\n"} and _COMMAND.match(part)
        touching = part[:1] == before and before in {"*", "~", "`"}
        return ZWSP + part if command or touching else part

    def paragraph(self, node: Node) -> str:
        return _LINE_START.sub(r"\1\3\\\2\4", self.inlines(node.children))

    def heading(self, node: Node) -> str:
        text = self.inlines(node.children)
        closing = re.sub(r"(#+)$", lambda match: match[0].replace("#", "\\#"), text)
        return f"{'#' * node.number} {closing}"

    def bullet_list(self, node: Node) -> str:
        return self._list(node, other=False)

    def ordered_list(self, node: Node) -> str:
        return self._list(node, other=False)

    def quote(self, node: Node) -> str:
        return _indented(self.blocks(node.children), "> ", "> ")

    def fence(self, node: Node) -> str:
        ticks = "`" * max(3, longest_run(node.text, "`") + 1)
        return f"{ticks}{node.info}\n{node.text}\n{ticks}"

    def rule(self, node: Node) -> str:
        return "---"

    def table(self, node: Node) -> str:
        rows = [[self._cell(cell) for cell in row.children] for row in node.children]
        rows.insert(1, ["---"] * len(rows[0]))
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)

    def marker(self, node: Node) -> str:
        return f"<!-- {node.text} -->"

    def text(self, node: Node) -> str:
        text = neutral(node.text) if node.foreign else node.text
        return _SPECIAL.sub(lambda match: "\\" + match[0], text)

    def code(self, node: Node) -> str:
        ticks = "`" * (longest_run(node.text, "`") + 1)
        padded = node.text.startswith(("`", " ")) or node.text.endswith(("`", " "))
        pad = " " if padded and node.text.strip() else ""
        return f"{ticks}{pad}{node.text}{pad}{ticks}"

    def strong(self, node: Node) -> str:
        return f"**{self._inside(node)}**"

    def em(self, node: Node) -> str:
        return f"*{self._inside(node)}*"

    def strike(self, node: Node) -> str:
        return f"~~{self._inside(node)}~~"

    def link(self, node: Node) -> str:
        if plain_text(node.children) == node.href and _ADDRESS.fullmatch(node.href):
            return f"<{node.href}>"
        return f"[{self.inlines(node.children)}]({_target(encoded(node.href))})"

    def image(self, node: Node) -> str:
        return f"![{self.text(node)}]({_target(encoded(node.href))})"

    def line_break(self, node: Node) -> str:
        return "  \n"

    def _inside(self, node: Node) -> str:
        """A mark at the edge of a mark is taken for one inside a word, the case in which every mark is safe."""
        return self.inlines(node.children, edge="x")

    def _cell(self, cell: Node) -> str:
        return re.sub(r"(?<!\\)\|", r"\|", self.inlines(cell.children))

    def _list(self, node: Node, *, other: bool) -> str:
        items = []
        for number, item in enumerate(node.children, node.number):
            bullet = "* " if other else "- "
            sign = bullet if node.kind == "bullet_list" else f"{number}{')' if other else '.'} "
            items.append(_indented(self.blocks(item.children), sign, " " * len(sign)))
        return "\n".join(items)


class CommonMark(Gfm):
    """Renders to the same for trackers that show HTML as it is written: there a comment would not be hidden."""

    markup = Markup.COMMONMARK

    def marker(self, node: Node) -> str:
        return node.text


def _target(url: str) -> str:
    url = re.sub(r"&(?=#?\w+;)", "&amp;", url)
    return f"<{url}>" if re.search("[()]", url) else url


def _flanked(inner: str, sign: str, before: str, after: str) -> str:
    """Beside a letter, a blank outside, or this space, a mark always opens and closes."""
    starts = inner[:1].isalnum() or (before in _BLANK and not inner[:1].isspace())
    ends = inner[-1:].isalnum() or (after in _BLANK and not inner[-1:].isspace())
    return f"{sign}{'' if starts else ZWSP}{inner}{'' if ends else ZWSP}{sign}"


def _indented(text: str, first: str, rest: str) -> str:
    lines = [rest + line if line else rest.rstrip() for line in text.split("\n")]
    return first + "\n".join(lines)[len(rest) :]
