"""`tracker-bridge status`: is anything stuck, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.text import Text

from bridge.cli.daemon import daemon
from bridge.cli.ending import Ending
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import console, counted, distance, moment, print_json, table

DELIVERING = "delivering"


def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show how the running daemon is: counts, and for each tracker what holds it up.

    Ends with 1 when a delivery or a file is dead, or the bridge had to pause a tracker: somebody should look.
    """
    with daemon(config) as running:
        found = running.get("/api/status")
        trackers: list[dict[str, Any]] = running.get("/api/trackers")["trackers"]
        url = running.url
    reasons = worries(found, trackers)
    if as_json:
        print_json({**found, "trackers": trackers, "worries": reasons})
    else:
        _print(url, found, trackers, reasons)
    if reasons:
        raise typer.Exit(Ending.WRONG)


def worries(found: Mapping[str, Any], trackers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a person should look at, and how."""
    dead, files = found["deliveries"].get("dead", 0), found["followups"].get("dead", 0)
    paused = [tracker["name"] for tracker in trackers if tracker["paused_by"] == "bridge"]
    away = [tracker["name"] for tracker in trackers if tracker["circuit_until"] and not tracker["paused"]]
    return [
        *([f"{dead} dead: tracker-bridge exports --state dead"] if dead else []),
        *([f"{files} files or last steps are missing from their issues: tracker-bridge exports"] if files else []),
        *(f"{name} refuses us: tracker-bridge check {name}" for name in paused),
        *(f"{name} does not answer: tracker-bridge check {name}" for name in away),
        *([] if found["ready"] else ["exports cannot be stored at the moment"]),
    ]


def standing(tracker: Mapping[str, Any]) -> tuple[str, str]:
    """Return in a word and in full how a tracker is, and what holds it up."""
    if tracker["paused"]:
        by = "" if tracker["paused_by"] == "person" else " by the bridge"
        return "paused", f"{tracker['paused']} (paused{by} {distance(tracker['paused_at'])})"
    for until, word, reason in (
        (tracker["blocked_until"], "waiting", tracker["blocked_reason"]),
        (tracker["circuit_until"], "not answering", tracker["last_error"]),
    ):
        if until and distance(until).startswith("in "):
            return word, f"again {distance(until)}: {reason}"
    if tracker["failures"]:
        return "failing", f"{tracker['failures']} in a row: {tracker['last_error']}"
    return DELIVERING, ""


def _print(
    url: str, found: Mapping[str, Any], trackers: Sequence[Mapping[str, Any]], reasons: Sequence[str]
) -> None:
    out = console()
    started = distance(found["started_at"])
    out.print(f"tracker-bridge {found['version']} at {url}, started {started}")
    out.print(Text.assemble(("exports     ", "dim"), counted(found["exports"])))
    out.print(Text.assemble(("deliveries  ", "dim"), counted(found["deliveries"])))
    if found["followups"]:
        out.print(Text.assemble(("files       ", "dim"), counted(found["followups"])))
    listing = table("tracker", "type", "is", "deliveries", "oldest waiting", "why")
    for tracker in trackers:
        word, why = standing(tracker)
        colour = "green" if word == DELIVERING else "yellow" if word == "paused" else "red"
        waiting = moment(tracker["oldest_pending"])
        listing.add_row(
            tracker["name"],
            tracker["type"],
            Text(word, colour),
            counted(tracker["deliveries"]),
            waiting,
            Text(why),
        )
    out.print()
    out.print(listing)
    for reason in reasons:
        out.print(Text(f"→ {reason}", "bold"))
