# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""HTML with the few elements that every tracker keeps. New lines in it mean nothing, so there are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from bridge.mapping.gfm import ZWSP, encoded
from bridge.mapping.renderer import TextRenderer
from bridge.mapping.tree import Node
from bridge.model import Markup

_COMMANDS = re.compile(r"\{(?=\{)|zsu(?=\[)")
"""Beginnings of what help desks replace by something else, in code too: {{placeholder}}, zsu[@user:1]zsu."""


def _inert(text: str) -> str:
    return _COMMANDS.sub(lambda match: match[0] + ZWSP, text)


def _escaped(text: str) -> str:
    return escape(_inert(text))


class Html(TextRenderer):
    """Renders to HTML."""

    markup = Markup.HTML
    between = ""

    def title(self, text: str) -> str:
        """Return a title in which nothing is replaced by something else."""
        return _inert(text)

    def paragraph(self, node: Node) -> str:
        return f"<p>{self.inlines(node.children)}</p>"

    def heading(self, node: Node) -> str:
        return f"<h{node.number}>{self.inlines(node.children)}</h{node.number}>"

    def bullet_list(self, node: Node) -> str:
        return f"<ul>{self._items(node.children)}</ul>"

    def ordered_list(self, node: Node) -> str:
        start = "" if node.number == 1 else f' start="{node.number}"'
        return f"<ol{start}>{self._items(node.children)}</ol>"

    def quote(self, node: Node) -> str:
        return f"<blockquote>{self.blocks(node.children)}</blockquote>"

    def fence(self, node: Node) -> str:
        return f"<pre><code>{_escaped(node.text)}</code></pre>"

    def rule(self, node: Node) -> str:
        return "<hr/>"

    def table(self, node: Node) -> str:
        rows = [self._row(row, "td" if index else "th") for index, row in enumerate(node.children)]
        return f"<table>{''.join(rows)}</table>"

    def marker(self, node: Node) -> str:
        return f"<p>{escape(node.text)}</p>"

    def text(self, node: Node) -> str:
        return _escaped(node.text)

    def code(self, node: Node) -> str:
        return f"<code>{_escaped(node.text)}</code>"

    def strong(self, node: Node) -> str:
        return f"<strong>{self.inlines(node.children)}</strong>"

    def em(self, node: Node) -> str:
        return f"<em>{self.inlines(node.children)}</em>"

    def strike(self, node: Node) -> str:
        return f"<s>{self.inlines(node.children)}</s>"

    def link(self, node: Node) -> str:
        return f'<a href="{escape(encoded(node.href))}">{self.inlines(node.children)}</a>'

    def image(self, node: Node) -> str:
        return f'<img src="{escape(encoded(node.href))}" alt="{escape(node.text)}"/>'

    def line_break(self, node: Node) -> str:
        return "<br/>"

    def _items(self, items: Sequence[Node]) -> str:
        return "".join(f"<li>{self._item(item)}</li>" for item in items)

    def _item(self, item: Node) -> str:
        """A lone paragraph needs no element of its own, and lists look tighter without."""
        first, *more = item.children
        return (
            self.inlines(first.children) + self.blocks(more)
            if first.kind == "paragraph"
            else self.blocks([first, *more])
        )

    def _row(self, row: Node, element: str) -> str:
        cells = "".join(f"<{element}>{self.inlines(cell.children)}</{element}>" for cell in row.children)
        return f"<tr>{cells}</tr>"
