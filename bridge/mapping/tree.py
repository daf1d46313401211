"""The tree between Markdown and a tracker's markup, and what is made tidy in it before it is rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

BLOCKS = ("paragraph", "heading", "bullet_list", "ordered_list", "quote", "fence", "rule", "table", "marker")
"""Kinds of nodes that stand on their own; a renderer has a method for each."""

INLINES = ("text", "code", "strong", "em", "strike", "link", "image", "line_break")
"""Kinds of nodes within a line; a renderer has a method for each."""

MARKS = ("strong", "em", "strike")


@dataclass(frozen=True, slots=True)
class Node:
    """One piece of a document.

    Attributes:
        kind: One of `BLOCKS` or `INLINES`, or `item`, `row` or `cell`.
        children: What is inside. The first row of a table is its head.
        text: Of `text`, `code`, `fence` and `marker`; of an `image` what stands for it.
        href: Of `link` and `image`.
        number: Of a heading its level, of an ordered list its first number.
        info: Of a `fence` its language.
        foreign: Whether a tester wrote this text, so that it must do nothing.
    """

    kind: str
    children: tuple[Node, ...] = ()
    text: str = ""
    href: str = ""
    number: int = 0
    info: str = ""
    foreign: bool = False

    def holding(self, children: Iterable[Node]) -> Node:
        """Return a copy with other children."""
        return Node(self.kind, tuple(children), self.text, self.href, self.number, self.info, self.foreign)


BREAK = Node("line_break")
SPACE = Node("text", text=" ")


def plain_text(nodes: Sequence[Node]) -> str:
    """Return what a person reads of inline nodes, without marks."""
    return "".join("\n" if node.kind == "line_break" else node.text + plain_text(node.children) for node in nodes)


def tidy(blocks: Sequence[Node]) -> tuple[Node, ...]:
    """Return `blocks` without the parts that say nothing: empty paragraphs, lists, and headings above nothing.

    What is left has no empty node, no line break at an edge of a paragraph or inside a mark, no mark inside the
    same mark, no link inside a link, and headings and cells of one line.
    """
    return _headed([tidied for block in blocks if (tidied := _tidy_block(block)) is not None])


def _tidy_block(node: Node) -> Node | None:
    match node.kind:
        case "paragraph":
            node = node.holding(_lines(node.children))
        case "heading" | "cell":
            node = node.holding(_in_one_line(_lines(node.children)))
        case "item" | "quote":
            node = node.holding(tidy(node.children))
        case "bullet_list" | "ordered_list":
            node = node.holding(item for item in map(_tidy_block, node.children) if item is not None)
        case "table":
            return _tidy_table(node)
        case "fence":
            return node if node.text.strip() else None
        case _:
            return node
    return node if node.children else None


def _tidy_table(node: Node) -> Node | None:
    rows = [row.holding(_tidy_block(cell) or cell.holding(()) for cell in row.children) for row in node.children]
    kept = [row for row in rows[1:] if any(cell.children for cell in row.children)]
    return node.holding([rows[0], *kept]) if kept else None


def _headed(blocks: Sequence[Node]) -> tuple[Node, ...]:
    """Drop headings with nothing below them, and rules that part nothing."""
    kept: list[Node] = []
    for block in reversed(blocks):
        below = next((other for other in reversed(kept) if other.kind != "rule"), None)
        if block.kind == "heading":
            if below is None or (below.kind == "heading" and below.number <= block.number):
                continue
        elif block.kind == "rule" and (not kept or kept[-1].kind == "rule"):
            continue
        kept.append(block)
    while kept and kept[-1].kind == "rule":
        kept.pop()
    return tuple(reversed(kept))


def _lines(inlines: Sequence[Node]) -> tuple[Node, ...]:
    """Return inline nodes as lines joined by breaks: none empty, marks opened anew in each line."""
    if all([node.kind == "text" for node in inlines]):  # noqa: C419 - quicker than a generator
        return tuple(_trimmed([node for node in inlines if node.text]))
    lines = [line for line in map(_trimmed, _split(_flat(inlines, frozenset()))) if line]
    joined: list[Node] = []
    for line in lines:
        joined += [BREAK, *line] if joined else line
    return tuple(joined)


def _flat(inlines: Sequence[Node], inside: frozenset[str]) -> list[Node]:
    """Take marks out of the same mark, links out of links, and everything empty."""
    flat: list[Node] = []
    for node in inlines:
        if node.kind not in (*MARKS, "link"):
            flat += [node] if node.text or node.kind in {"line_break", "image"} else []
            continue
        children = _flat(node.children, inside | {node.kind})
        if node.kind in inside or not plain_text(children).strip():
            flat += children
        else:
            flat.append(node.holding(children))
    return flat


def _split(inlines: Sequence[Node]) -> list[list[Node]]:
    """Return the nodes of each line; a mark that spans lines is in each of them."""
    lines: list[list[Node]] = [[]]
    for node in inlines:
        if node.kind == "line_break":
            lines.append([])
        elif node.kind == "link":
            lines[-1].append(node.holding(_in_one_line(node.children)))
        elif node.kind in MARKS:
            first, *more = [[node.holding(line)] if line else [] for line in _split(node.children)]
            lines[-1] += first
            lines += more
        else:
            lines[-1].append(node)
    return lines


def _in_one_line(inlines: Sequence[Node]) -> list[Node]:
    return [SPACE if node.kind == "line_break" else node.holding(_in_one_line(node.children)) for node in inlines]


def _trimmed(line: list[Node]) -> list[Node]:
    """Return a line without white space at its ends; empty when there is nothing else."""
    if not plain_text(line).strip() and not any(node.kind == "image" for node in line):
        return []
    return _trim_edge(_trim_edge(line, 0, str.lstrip), -1, str.rstrip)


def _trim_edge(line: list[Node], index: int, stripped: Callable[[str], str]) -> list[Node]:
    while line and line[index].kind == "text":
        text = stripped(line[index].text)
        if text:
            line[index] = line[index] if text == line[index].text else replace(line[index], text=text)
            break
        del line[index]
    return line
