"""Bodies that fit: cut on the tree, before rendering, so that no mark, link, fence or escape is ever cut open."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.mapping.renderer import Renderer
from bridge.mapping.text import measure, shorten
from bridge.mapping.tree import Node, tidy
from bridge.model import Body, Json
from bridge.tracker import Unit

_WHOLE = ("code", "link", "image", "marker", "rule", "line_break")


def fit(
    blocks: Sequence[Node],
    end: Sequence[Node],
    note: Sequence[Node],
    *,
    renderer: Renderer[object],
    limit: int | None,
    unit: Unit,
) -> Body:
    """Return `blocks` and `end` as a body of at most `limit` units.

    Args:
        blocks: What is cut where it does not fit.
        end: What is always kept, even where it alone is too long: footer and marker.
        note: Said between them when something was cut.
        renderer: The markup's.
        limit: Longest content in `unit`s; None for any length.
        unit: What the tracker counts.
    """
    content = renderer.document([*blocks, *end])
    size = length(content, unit)
    if limit is None or size <= limit:
        return Body(renderer.markup, content)
    below = [*note, *end]
    if length(renderer.document(below), unit) > limit:
        below = list(end)

    def cut(budget: int) -> Json:
        return renderer.document([*tidy(keep(blocks, budget)[0]), *below])

    kept = cut(_largest(lambda budget: length(cut(budget), unit) <= limit, weight(blocks)))
    return Body(renderer.markup, kept, (f"cut from {size} to {length(kept, unit)} {unit}",))


def _largest(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest number below `most` that fits, 0 for none. Small ones are tried first: they cost less."""
    low, high = 0, 1
    while high < most and fits(high):
        low, high = high, 2 * high
    high = min(high, most)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def length(content: Json, unit: Unit) -> int:
    """Return the length of a body's content; of a document tree that of its shortest JSON."""
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return measure(content, unit)


def weight(nodes: Sequence[Node]) -> int:
    """Return how much there is to keep: each node, and each character of its text."""
    return sum(1 + len(node.text) + weight(node.children) for node in nodes)


def keep(nodes: Sequence[Node], budget: int) -> tuple[list[Node], int]:
    """Return the first nodes that weigh at most `budget`, the last one shortened, and what is left of the budget.

    Links and code stay whole. Nothing beyond the budget is looked at, so the cost is that of what is kept.
    """
    kept: list[Node] = []
    for node in nodes:
        if node.kind in _WHOLE:
            budget -= weight([node])
            if budget < 0:
                return kept, 0
            kept.append(node)
            continue
        if budget < 1:
            return kept, 0
        children, left = keep(node.children, budget - 1)
        text = shorten(node.text, left)
        if children or text or not (node.children or node.text):
            kept.append(replace(node, children=tuple(children), text=text))
        budget = left - len(text) if text == node.text else 0
    return kept, budget
