# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""The Atlassian Document Format of Jira Cloud: a tree of JSON nodes, in which text is literal.

https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bridge.mapping.gfm import encoded
from bridge.mapping.renderer import Renderer
from bridge.mapping.tree import Node, plain_text
from bridge.model import Json, Markup

Nodes = list[dict[str, Any]]


class Adf(Renderer[Nodes]):
    """Renders to ADF. A text node is never empty, and code has no mark but a link."""

    markup = Markup.ADF

    def document(self, blocks: Sequence[Node]) -> Json:
        """Return the document."""
        return {"type": "doc", "version": 1, "content": self._blocks(blocks)}

    def paragraph(self, node: Node) -> Nodes:
        return [{"type": "paragraph", "content": self._inlines(node.children)}]

    def heading(self, node: Node) -> Nodes:
        return [{"type": "heading", "attrs": {"level": node.number}, "content": self._inlines(node.children)}]

    def bullet_list(self, node: Node) -> Nodes:
        return [{"type": "bulletList", "content": self._items(node)}]

    def ordered_list(self, node: Node) -> Nodes:
        return [{"type": "orderedList", "attrs": {"order": node.number}, "content": self._items(node)}]

    def quote(self, node: Node) -> Nodes:
        return [{"type": "blockquote", "content": self._inside(node.children)}]

    def fence(self, node: Node) -> Nodes:
        attributes = {"attrs": {"language": node.info}} if node.info else {}
        return [{"type": "codeBlock", **attributes, "content": [{"type": "text", "text": node.text}]}]

    def rule(self, node: Node) -> Nodes:
        return [{"type": "rule"}]

    def table(self, node: Node) -> Nodes:
        rows = [self._row(row, "tableCell" if index else "tableHeader") for index, row in enumerate(node.children)]
        return [{"type": "table", "content": rows}]

    def marker(self, node: Node) -> Nodes:
        return [{"type": "paragraph", "content": [{"type": "text", "text": node.text}]}]

    def text(self, node: Node) -> Nodes:
        return [{"type": "text", "text": node.text}]

    def code(self, node: Node) -> Nodes:
        return [{"type": "text", "text": node.text, "marks": [{"type": "code"}]}]

    def strong(self, node: Node) -> Nodes:
        return self._marked({"type": "strong"}, node)

    def em(self, node: Node) -> Nodes:
        return self._marked({"type": "em"}, node)

    def strike(self, node: Node) -> Nodes:
        return self._marked({"type": "strike"}, node)

    def link(self, node: Node) -> Nodes:
        return self._marked({"type": "link", "attrs": {"href": encoded(node.href)}}, node)

    def image(self, node: Node) -> Nodes:
        """A picture from elsewhere would be a block of its own, so there is a link."""
        return self.link(Node("link", (Node("text", text=node.text or node.href),), href=node.href))

    def line_break(self, node: Node) -> Nodes:
        return [{"type": "hardBreak"}]

    def _blocks(self, nodes: Sequence[Node]) -> Nodes:
        return [block for node in nodes for block in self.render(node)]

    def _inlines(self, nodes: Sequence[Node]) -> Nodes:
        """Return inline nodes; neighbouring texts with the same marks are one."""
        joined: Nodes = []
        for part in (part for node in nodes for part in self.render(node)):
            last = joined[-1] if joined else {}
            if part["type"] == last.get("type") == "text" and part.get("marks") == last.get("marks"):
                joined[-1] = {**last, "text": last["text"] + part["text"]}
            else:
                joined.append(part)
        return joined

    def _marked(self, mark: dict[str, Any], node: Node) -> Nodes:
        return [_with_mark(part, mark) for part in self._inlines(node.children)]

    def _items(self, node: Node) -> Nodes:
        return [{"type": "listItem", "content": self._item(item)} for item in node.children]

    def _item(self, item: Node) -> Nodes:
        """Jira's editor wants something to stand beside the number."""
        content = self._inside(item.children)
        starts = content[0]["type"] in {"paragraph", "codeBlock"}
        return content if starts else [{"type": "paragraph", "content": []}, *content]

    def _inside(self, nodes: Sequence[Node]) -> Nodes:
        """Return blocks for a list item or quote, which hold no headings, rules, quotes or tables."""
        blocks: Nodes = []
        for node in nodes:
            match node.kind:
                case "heading":
                    blocks += self.paragraph(node.holding([Node("strong", node.children)]))
                case "quote":
                    blocks += self._inside(node.children)
                case "table":
                    for row in node.children:
                        text = " | ".join(plain_text(cell.children) for cell in row.children)
                        blocks += self.paragraph(Node("paragraph", (Node("text", text=text),)))
                case "rule":
                    pass
                case _:
                    blocks += self.render(node)
        return blocks

    def _row(self, row: Node, kind: str) -> dict[str, Any]:
        cells = [{"type": kind, "content": self.paragraph(cell)} for cell in row.children]
        return {"type": "tableRow", "content": cells}


def _with_mark(part: dict[str, Any], mark: dict[str, Any]) -> dict[str, Any]:
    marks = part.get("marks", [])
    code = {"type": "code"} in marks
    if part["type"] != "text" or (code and mark["type"] != "link"):
        return part
    return {**part, "marks": [*marks, mark]}
