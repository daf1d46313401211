# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""Text without any markup, laid out to be read: numbered steps, indented code, addresses written out."""

from __future__ import annotations

from bridge.mapping.renderer import TextRenderer
from bridge.mapping.tree import Node
from bridge.model import Markup


class Plain(TextRenderer):
    """Renders to plain text."""

    markup = Markup.PLAIN

    def paragraph(self, node: Node) -> str:
        return self.inlines(node.children)

    def heading(self, node: Node) -> str:
        text = self.inlines(node.children)
        return text if text.endswith((":", "?", "!", ".")) else f"{text}:"

    def bullet_list(self, node: Node) -> str:
        return "\n".join(self._item(item, "- ") for item in node.children)

    def ordered_list(self, node: Node) -> str:
        return "\n".join(self._item(item, f"{number}. ") for number, item in enumerate(node.children, node.number))

    def quote(self, node: Node) -> str:
        return _indented(self.blocks(node.children), "> ")

    def fence(self, node: Node) -> str:
        return _indented(node.text, "    ")

    def rule(self, node: Node) -> str:
        return "-" * 20

    def table(self, node: Node) -> str:
        return "\n".join(" | ".join(self.inlines(cell.children) for cell in row.children) for row in node.children)

    def marker(self, node: Node) -> str:
        return node.text

    def text(self, node: Node) -> str:
        return node.text

    def code(self, node: Node) -> str:
        return f"`{node.text}`"

    def strong(self, node: Node) -> str:
        """Marks stay: people know them, and `5*3*2` was none."""
        return f"**{self.inlines(node.children)}**"

    def em(self, node: Node) -> str:
        return f"*{self.inlines(node.children)}*"

    def strike(self, node: Node) -> str:
        return f"~~{self.inlines(node.children)}~~"

    def link(self, node: Node) -> str:
        text = self.inlines(node.children)
        return text if node.href in {text, f"mailto:{text}"} else f"{text} ({node.href})"

    def image(self, node: Node) -> str:
        return f"{node.text} ({node.href})" if node.text else node.href

    def line_break(self, node: Node) -> str:
        return "\n"

    def _item(self, item: Node, sign: str) -> str:
        return sign + _indented(self.blocks(item.children), " " * len(sign))[len(sign) :]


def _indented(text: str, margin: str) -> str:
    return "\n".join(margin + line if line else margin.rstrip() for line in text.split("\n"))
