"""Options that several commands share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="the configuration; else TRACKER_BRIDGE_CONFIG, ./config.toml, the embedded default",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
TrackerOption = Annotated[str, typer.Option("--tracker", metavar="NAME", help="only of this tracker")]
StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="pending, running, delivered, dead; accepted, enriching, unrouted, ignored, rejected; "
        "may be repeated",
    ),
]
SinceOption = Annotated[
    str, typer.Option("--since", metavar="WHEN", help='only what came in since: "2h", "3d", or a date in ISO 8601')
]
ErrorOption = Annotated[
    str, typer.Option("--error", metavar="TEXT", help="only where the error contains this text")
]
BugOption = Annotated[int | None, typer.Option("--bug", metavar="ID", help="only of this bug of test IO's")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]

STATES = ("pending", "running", "delivered", "dead", "accepted", "enriching", "unrouted", "ignored", "rejected")
_DURATION = re.compile(r"(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+", re.IGNORECASE)


def parse_since(text: str, now: datetime) -> datetime | None:
    """Return the moment that `--since` means, None for none.

    Args:
        text: `"2h"`, `"3d"`, or a date or moment in ISO 8601; without a time zone, the local one.
        now: The present moment.

    Raises:
        typer.BadParameter: It means nothing.
    """
    from bridge.units import parse_duration  # noqa: PLC0415 - pydantic, only where it is needed

    text = text.strip()
    if not text:
        return None
    if _DURATION.fullmatch(text):
        weeks = re.fullmatch(r"(\d+(?:\.\d+)?)\s*w", text, re.IGNORECASE)
        return now - (timedelta(weeks=float(weeks[1])) if weeks else parse_duration(text))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f'{text!r}: write "2h", "3d" or a date like 2025-11-07', param_hint="--since"
        ) from None


def checked_states(given: list[str] | None) -> list[str]:
    """Return the states named by `--state`, also several with commas.

    Raises:
        typer.BadParameter: There is no such state.
    """
    states = [part.strip().lower() for value in given or [] for part in value.split(",") if part.strip()]
    for state in states:
        if state not in STATES:
            raise typer.BadParameter(f"{state!r} is no state; they are {', '.join(STATES)}", param_hint="--state")
    return states
