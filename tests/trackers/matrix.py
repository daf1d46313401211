"""What each tracker can do, as tables in README.md and docs/trackers/README.md.

They are made from what the types themselves declare: `make matrix` writes them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.cli.types import describe
from bridge.tracker import Tracker, Unit
from bridge.units import format_duration
from tests.trackers.installed import ROOT, types

BEGIN, END = "<!-- matrix: made by `make matrix` -->", "<!-- end of matrix -->"
PAGES = (ROOT / "README.md", ROOT / "docs" / "trackers" / "README.md")
YES, NO = "✓", "-"


def short() -> str:
    """Return the table of the README: type, capability, markup, limits, how a second issue is prevented."""
    rows = [
        [
            f"[{kind.label}](docs/trackers/{name}.md)",
            f"`{name}`",
            *_can(kind, "update", "comment", "attach", "state"),
            _markup(kind),
            _limits(kind),
            _second(kind),
        ]
        for name, kind in types().items()
    ]
    head = ["tracker", "type", "update", "comment", "files", "done?", "markup", "title / body at most"]
    return table([*head, "a second issue is"], rows)


def full() -> str:
    """Return the table of the docs: type, capability, markup, how duplicates are prevented, limits."""
    rows = [
        [
            f"[`{name}`]({name}.md)",
            *_can(kind, "check", "find", "update", "comment", "attach", "state"),
            _markup(kind),
            _limits(kind),
            f"{_second(kind)}: {(kind.find.__doc__ or '').strip().splitlines()[0]}"
            if kind.can("find")
            else _second(kind),
        ]
        for name, kind in types().items()
    ]
    head = ["type", "check", "find", "update", "comment", "attach", "state", "markup", "title / body at most"]
    return table([*head, "how duplicates are prevented"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def within(page: str, made: str) -> str:
    """Return a page with what stands between the markers replaced."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"the page has no {BEGIN} ... {END}"
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"


def pages() -> dict[Path, str]:
    """Return each page as it has to be."""
    tables = zip(PAGES, (short(), full()), strict=True)
    return {path: within(path.read_text("utf-8"), made) for path, made in tables}


def _can(kind: type[Tracker[Any]], *methods: str) -> list[str]:
    always = {"check"}
    return [YES if method in always or kind.can(method) else NO for method in methods]


def _second(kind: type[Tracker[Any]]) -> str:
    if kind.enforces_marker:
        return "refused by the tracker"
    wait = f" for {format_duration(kind.settle)}" if kind.settle else ""
    return f"looked for first{wait}" if kind.can("find") else "not prevented"


def _markup(kind: type[Tracker[Any]]) -> str:
    comments = kind.comment_markup
    return kind.markup.value + (f", comments {comments.value}" if comments and comments != kind.markup else "")


def _limits(kind: type[Tracker[Any]]) -> str:
    told = describe(kind, "")
    unit = f" {told['unit']}" if kind.unit != Unit.CHARACTERS else ""
    return f"{kind.title_limit or 'any'} / {kind.body_limit or 'any'}{unit}"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
