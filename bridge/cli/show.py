"""How things look: one console, states in colours, moments as people say them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bridge.cli.ending import HARMLESS
from bridge.model import Json

COLOURS: Mapping[str, str] = {
    "delivered": "green",
    "accepted": "green",
    "ok": "green",
    "enriching": "cyan",
    "pending": "cyan",
    "running": "cyan",
    "warning": "yellow",
    "unrouted": "yellow",
    "ignored": "yellow",
    "rejected": "red",
    "dead": "red",
    "error": "red",
}
SIGNS: Mapping[str, str] = {"ok": "✓", "warning": "!", "error": "✗"}
_SHORT = 10
"""Characters of an id that are shown: the moment in it, which tells exports apart."""


class _Console(Console):
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield what is shown. Testers and trackers wrote much of it: none of that may command the terminal."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(text.translate(HARMLESS), style)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def console(*, error: bool = False) -> Console:
    """Return the console of standard output; as wide as lines need where no person reads them in a window."""
    made = _Console(stderr=error, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = 240
    return made


def print_json(value: Json) -> None:
    """Print `value` for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(*columns: str) -> Table:
    """Return an empty table in our style."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def state(word: str) -> Text:
    """Return a state in its colour."""
    return Text(word, COLOURS.get(word, ""))


def plain(text: Any) -> str:
    """Return foreign text for a place where rich reads markup."""
    return escape(str(text))


def line(text: str) -> str:
    """Return foreign text as one line, for a place where rich reads markup."""
    return escape(" ".join(text.split()))


def short(export_id: str) -> str:
    """Return the beginning of an export's id, enough to name it."""
    return export_id[:_SHORT]


def moment(iso: str | None, now: datetime | None = None) -> str:
    """Return a moment as people say it: `14:05:09` today, else with the date; empty for none."""
    if not iso:
        return ""
    local = datetime.fromisoformat(iso).astimezone()
    today = (now or datetime.now(UTC)).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def distance(iso: str | None, now: datetime | None = None) -> str:
    """Return how far a moment is: `in 4m10s`, `2h5m ago`; empty for none."""
    from bridge.units import format_duration  # noqa: PLC0415 - pydantic, only where it is needed

    if not iso:
        return ""
    away = datetime.fromisoformat(iso) - (now or datetime.now(UTC))
    words = format_duration(abs(away))
    if abs(away.total_seconds()) < 1:
        return "now"
    return f"in {words}" if away.total_seconds() > 0 else f"{words} ago"


def counted(counts: Mapping[str, int]) -> Text:
    """Return counts by state in their colours: `12 delivered, 1 dead`."""
    text = Text()
    for word, count in sorted(counts.items()):
        if count:
            text.append(", " if text else "").append(f"{count} {word}", COLOURS.get(word, ""))
    return text or Text("none", "dim")


def many(count: int, word: str, plural: str = "") -> str:
    """Return `1 tracker`, `2 trackers`."""
    return f"{count} {word if count == 1 else plural or word + 's'}"


def outcome(delivery: Mapping[str, Any]) -> Text:
    """Return in one line where a delivery is: the issue, or what it waits for."""
    text = Text().append(f"{delivery['tracker']} ", "bold")
    done = delivery["state"] == "delivered"
    text.append(
        delivery["action"] if done and delivery["action"] else delivery["state"], COLOURS[delivery["state"]]
    )
    issue = delivery["issue"]
    if issue:
        text.append(f" {issue['key']}")
    if delivery["state"] == "pending" and delivery["attempts"]:
        text.append(f", {many(delivery['attempts'], 'attempt')}, next {distance(delivery['next_at'])}")
    if delivery["in_doubt"] and delivery["state"] != "delivered":
        text.append(", in doubt", "yellow")
    if delivery["error"] and delivery["state"] != "delivered":
        text.append(f": {delivery['error']}", "dim")
    warnings: Sequence[str] = delivery["warnings"]
    if warnings:
        text.append(f" ({many(len(warnings), 'warning')})", "yellow")
    return text


__all__ = [
    "console", "counted", "distance", "line", "many", "moment", "outcome", "plain", "print_json", "short", "state",
    "table",
]  # fmt: skip
