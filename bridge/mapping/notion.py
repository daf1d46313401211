# ruff: noqa: D102 - a method for each kind of node; `bridge.mapping.tree` says what they are
"""The blocks of a Notion page: a list of JSON objects, in which text is literal.

https://developers.notion.com/reference/block and, for what may be how long,
https://developers.notion.com/reference/request-limits#size-limits. Every block that is made keeps these limits;
how many may be sent at once is the tracker's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from bridge.mapping.gfm import encoded
from bridge.mapping.renderer import Renderer
from bridge.mapping.text import measure
from bridge.mapping.tree import Node, plain_text
from bridge.model import Json, Markup
from bridge.tracker import Unit

Parts = list[dict[str, Any]]
"""Blocks, or what is in them: pieces of text."""

PIECE = 2000  # UTF-16 units in a piece of text
ARRAY = 100  # entries of any list
FAMILY = 900  # blocks in a block; Notion takes 1000 in one request
ADDRESS = 2000  # UTF-16 units of a link's address
DEEPEST = 2  # blocks in blocks in blocks

_ANNOTATIONS = {"strong": "bold", "em": "italic", "strike": "strikethrough"}
_LANGUAGES = frozenset(
    {
        "bash", "c", "c#", "c++", "css", "dart", "diff", "docker", "elixir", "erlang", "gherkin", "go", "graphql",
        "groovy", "haskell", "html", "java", "javascript", "json", "kotlin", "latex", "less", "lua", "makefile",
        "markdown", "mermaid", "objective-c", "perl", "php", "powershell", "protobuf", "python", "r", "ruby",
        "rust", "sass", "scala", "scss", "shell", "sql", "swift", "toml", "typescript", "xml", "yaml",
    }
)  # fmt: skip
_OTHER_NAMES = {"js": "javascript", "py": "python", "rb": "ruby", "sh": "shell", "ts": "typescript", "yml": "yaml"}


class Notion(Renderer[Parts]):
    """Renders to Notion blocks. What Notion would refuse a whole page for (a link that is none) becomes text."""

    markup = Markup.NOTION

    def document(self, blocks: Sequence[Node]) -> Json:
        """Return the blocks."""
        return [block for node in blocks for block in self.render(node)]

    def paragraph(self, node: Node) -> Parts:
        return [_block("paragraph", text) for text in self._texts(node.children)]

    def heading(self, node: Node) -> Parts:
        first, *more = self._texts(node.children)
        return [_block(f"heading_{min(node.number, 3)}", first), *(_block("paragraph", text) for text in more)]

    def bullet_list(self, node: Node) -> Parts:
        return self._inside(node, 0)

    def ordered_list(self, node: Node) -> Parts:
        return self._inside(node, 0)

    def quote(self, node: Node) -> Parts:
        return self._inside(node, 0)

    def fence(self, node: Node) -> Parts:
        name = _OTHER_NAMES.get(node.info.lower(), node.info.lower())
        language = {"language": name if name in _LANGUAGES else "plain text"}
        return [_block("code", text, language) for text in self._texts([Node("text", text=node.text)])]

    def rule(self, node: Node) -> Parts:
        return [{"type": "divider", "divider": {}}]

    def table(self, node: Node) -> Parts:
        """Return tables, for one takes a hundred rows; as lines what is wider than Notion's."""
        head, *rows = node.children
        if len(head.children) > ARRAY:
            return self._lines(node)
        step = ARRAY - 1
        return [self._table([head, *rows[at : at + step]]) for at in range(0, len(rows), step)]

    def marker(self, node: Node) -> Parts:
        text = [_text(node.text) | {"annotations": {"color": "gray"}}]
        return [_block("paragraph", text)]

    def text(self, node: Node) -> Parts:
        return [_text(node.text)]

    def code(self, node: Node) -> Parts:
        return [_annotated(_text(node.text), "code")]

    def strong(self, node: Node) -> Parts:
        return self._marked(node)

    def em(self, node: Node) -> Parts:
        return self._marked(node)

    def strike(self, node: Node) -> Parts:
        return self._marked(node)

    def link(self, node: Node) -> Parts:
        parts, address = self._inlines(node.children), encoded(node.href)
        if not _is_taken(address):
            shown = plain_text(node.children) in {node.href, node.href.removeprefix("mailto:")}
            return parts if shown else [*parts, _text(f" ({node.href})")]
        return [{**part, "text": {**part["text"], "link": {"url": address}}} for part in parts]

    def image(self, node: Node) -> Parts:
        """A picture from elsewhere would be a block of its own, so there is a link."""
        return self.link(Node("link", (Node("text", text=node.text or node.href),), href=node.href))

    def line_break(self, node: Node) -> Parts:
        return [_text("\n")]

    def _inlines(self, nodes: Sequence[Node]) -> Parts:
        return [part for node in nodes for part in self.render(node)]

    def _marked(self, node: Node) -> Parts:
        return [_annotated(part, _ANNOTATIONS[node.kind]) for part in self._inlines(node.children)]

    def _texts(self, nodes: Sequence[Node]) -> list[Parts]:
        """Return inline nodes as the texts of as many blocks as they need: neighbours that look alike are one."""
        joined: Parts = []
        for part in self._inlines(nodes):
            if joined and _look(part) == _look(joined[-1]):
                joined[-1] = _with(part, joined[-1]["text"]["content"] + part["text"]["content"])
            else:
                joined.append(part)
        cut = [_with(part, piece) for part in joined for piece in pieces(part["text"]["content"])]
        return [cut[at : at + ARRAY] for at in range(0, len(cut), ARRAY)]

    def _inside(self, node: Node, depth: int) -> Parts:
        """Return the blocks of a node that lies in so many others."""
        match node.kind:
            case "bullet_list":
                return [block for item in node.children for block in self._nest("bulleted_list_item", item, depth)]
            case "ordered_list":
                return [block for item in node.children for block in self._nest("numbered_list_item", item, depth)]
            case "quote":
                return self._nest("quote", node, depth)
            case "table":
                return self._lines(node)
            case _:
                return self.render(node)

    def _nest(self, kind: str, node: Node, depth: int) -> Parts:
        """Return a block with others in it: the first paragraph is its text. What is too much follows it."""
        below = min(depth + 1, DEEPEST)
        children = [block for child in node.children for block in self._inside(child, below)]
        starts = children[0]["type"] == "paragraph"
        text = children.pop(0)["paragraph"]["rich_text"] if starts else []
        fitting = 0 if depth == DEEPEST else sum(1 for _ in _fitting(children))
        inside = {"children": children[:fitting]} if fitting else {}
        return [_block(kind, text, inside), *children[fitting:]]

    def _lines(self, table: Node) -> Parts:
        rows = [" | ".join(plain_text(cell.children) for cell in row.children) for row in table.children]
        return [block for row in rows for block in self.paragraph(Node("paragraph", (Node("text", text=row),)))]

    def _table(self, rows: Sequence[Node]) -> dict[str, Any]:
        cells = [[self._cell(cell) for cell in row.children] for row in rows]
        children = [{"type": "table_row", "table_row": {"cells": row}} for row in cells]
        table = {"table_width": len(cells[0]), "has_column_header": True, "children": children}
        return {"type": "table", "table": table}

    def _cell(self, cell: Node) -> Parts:
        first, *more = self._texts(cell.children) or [[]]
        return self._texts([Node("text", text=plain_text(cell.children))])[0] if more else first


def _block(kind: str, text: Parts, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, kind: {"rich_text": text, **(more or {})}}


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": {"content": content}}


def _with(part: dict[str, Any], content: str) -> dict[str, Any]:
    return {**part, "text": {**part["text"], "content": content}}


def _annotated(part: dict[str, Any], annotation: str) -> dict[str, Any]:
    return {**part, "annotations": {**part.get("annotations", {}), annotation: True}}


def _look(part: dict[str, Any]) -> tuple[Any, Any]:
    return part.get("annotations"), part["text"].get("link")


def pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that Notion takes, no character cut in two."""
    raw, at = text.encode("utf-16-le"), 0
    while at < len(raw):
        end = at + 2 * PIECE
        cuts = end < len(raw) and raw[end - 1] & 0xFC == 0xD8  # the first half of a character would be the last
        end -= 2 * cuts
        yield raw[at:end].decode("utf-16-le")
        at = end


def _fitting(blocks: Parts) -> Iterator[dict[str, Any]]:
    """Yield the first of the blocks, as many as fit into another one."""
    size = 0
    for block in blocks[:ARRAY]:
        size += family(block)
        if size > FAMILY:
            return
        yield block


def family(block: dict[str, Any]) -> int:
    """Return how many blocks a block is, those in it included."""
    return 1 + sum(family(child) for child in block[block["type"]].get("children", ()))


def _is_taken(address: str) -> bool:
    """Whether Notion takes an address as a link's: with another one it refuses the page."""
    if measure(address, Unit.UTF16) > ADDRESS:
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "mailto":
        return bool(re.fullmatch(r"[^@\s]+@[^@\s]+", parts.path))
    return parts.scheme in {"http", "https"} and bool(re.fullmatch(r"\w[\w.-]*|[0-9a-f:.]+", host))
