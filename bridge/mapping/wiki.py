# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""What Jira wiki markup and Textile have in common: lists nested by repeating their sign, marks beside blanks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bridge.mapping.renderer import TextRenderer
from bridge.mapping.tree import Node

_LISTS = {"bullet_list": "*", "ordered_list": "#"}


class WikiRenderer(TextRenderer):
    """Base of renderers to wiki markups, in which a new line is a new line."""

    signs: ClassVar[dict[str, str]] = {"strong": "*", "em": "_", "strike": "-"}

    def bullet_list(self, node: Node) -> str:
        return "\n".join(self._items(node, "*"))

    def ordered_list(self, node: Node) -> str:
        """A list that does not start at one would be counted anew, so its numbers are written out."""
        if node.number == 1:
            return "\n".join(self._items(node, "#"))
        numbered = enumerate(node.children, node.number)
        return "\n".join(f"{number}. {self._flat(item)}" for number, item in numbered)

    def strong(self, node: Node) -> str:
        return self._mark(node)

    def em(self, node: Node) -> str:
        return self._mark(node)

    def strike(self, node: Node) -> str:
        return self._mark(node)

    def line_break(self, node: Node) -> str:
        return "\n"

    def _mark(self, node: Node) -> str:
        sign = self.signs[node.kind]
        return f"{sign}{self.inlines(node.children).strip()}{sign}"

    def _items(self, node: Node, prefix: str) -> Iterator[str]:
        """A blank line would end the list, so the blocks of an item stand directly below each other."""
        for item in node.children:
            lists = [child for child in item.children if child.kind in _LISTS]
            own = item.holding(child for child in item.children if child.kind not in _LISTS)
            if own.children:
                yield f"{prefix} {self._flat(own)}"
            for child in lists:
                yield from self._items(child, prefix + _LISTS[child.kind])

    def _flat(self, item: Node) -> str:
        return "\n".join(self.render(child) for child in item.children)
