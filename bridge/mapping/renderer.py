# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""What every renderer is: one method for each kind of node, from the tree to one markup."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar, cast

from bridge.mapping.tree import Node
from bridge.model import Json, Markup

T = TypeVar("T")


class Renderer(ABC, Generic[T]):
    """Turns a tidy tree into one markup. Holds no state: one renderer serves any number of documents.

    `T` is what a node becomes: text, or a list of JSON nodes.
    """

    markup: ClassVar[Markup]

    @abstractmethod
    def document(self, blocks: Sequence[Node]) -> Json:
        """Return the content of a `Body`."""

    def title(self, text: str) -> str:
        """Return a title, which is text in every tracker, so that it does nothing."""
        return text

    def render(self, node: Node) -> T:
        """Return what `node` becomes."""
        return cast("T", getattr(self, node.kind)(node))

    @abstractmethod
    def paragraph(self, node: Node) -> T: ...
    @abstractmethod
    def heading(self, node: Node) -> T: ...
    @abstractmethod
    def bullet_list(self, node: Node) -> T: ...
    @abstractmethod
    def ordered_list(self, node: Node) -> T: ...
    @abstractmethod
    def quote(self, node: Node) -> T: ...
    @abstractmethod
    def fence(self, node: Node) -> T: ...
    @abstractmethod
    def rule(self, node: Node) -> T: ...
    @abstractmethod
    def table(self, node: Node) -> T: ...
    @abstractmethod
    def marker(self, node: Node) -> T: ...
    @abstractmethod
    def text(self, node: Node) -> T: ...
    @abstractmethod
    def code(self, node: Node) -> T: ...
    @abstractmethod
    def strong(self, node: Node) -> T: ...
    @abstractmethod
    def em(self, node: Node) -> T: ...
    @abstractmethod
    def strike(self, node: Node) -> T: ...
    @abstractmethod
    def link(self, node: Node) -> T: ...
    @abstractmethod
    def image(self, node: Node) -> T: ...
    @abstractmethod
    def line_break(self, node: Node) -> T: ...


class TextRenderer(Renderer[str]):
    """A renderer to a markup that is text: blocks are set apart by `between`."""

    between: ClassVar[str] = "\n\n"

    def document(self, blocks: Sequence[Node]) -> str:
        """Return the whole text."""
        return self.blocks(blocks)

    def blocks(self, nodes: Sequence[Node]) -> str:
        """Return blocks one below the other."""
        return self.between.join(self.render(node) for node in nodes)

    def inlines(self, nodes: Sequence[Node], edge: str = "") -> str:
        """Return inline nodes one after the other, each in the form that fits between its neighbours.

        Args:
            nodes: The nodes.
            edge: The character at both ends, empty where a line starts and ends.
        """
        parts = [self.render(node) for node in nodes]
        edges = [edge, *parts, edge]
        return "".join(
            self.beside(node, part, edges[index][-1:], edges[index + 2][:1])
            for index, (node, part) in enumerate(zip(nodes, parts, strict=True))
        )

    def beside(self, node: Node, part: str, before: str, after: str) -> str:
        """Return what the inline `node` became (`part`) in the form it needs between two characters.

        Args:
            node: The node.
            part: What it became.
            before: The character before it, empty at the start.
            after: The character after it, empty at the end.
        """
        del node, before, after
        return part
