"""`tracker-bridge check`: the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.app import Setup, check
from bridge.cli.daemon import Unreachable, daemon
from bridge.cli.ending import Ending, say
from bridge.cli.given import chosen, read_setup, with_trackers
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import COLOURS, SIGNS, console, plain, print_json
from bridge.dispatch import Tracking

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[TRACKER]...", help="trackers; by default all")
]


def check_trackers(
    trackers: NamesArgument = None, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Look at trackers live: would deliveries succeed, and what is to be done where not?

    Credentials, project, required fields, and every value of every map. Creates nothing. Where the daemon runs,
    it does the looking, and resumes the trackers that it had paused and that are good again.
    """
    report = _by_the_daemon(trackers or [], config)
    if report is None:
        setup = read_setup(config)
        found = look(setup, trackers)
        report = {"ok": all(one["ok"] for one in found), "trackers": found}
    if as_json:
        print_json(report)
    else:
        print_report(console(), report["trackers"])
    if not report["ok"]:
        raise typer.Exit(Ending.WRONG)


def look(setup: Setup, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the doctor's findings as the API returns them, made in this process.

    Raises:
        Failed: There is no such tracker.
        ConfigError: A tracker cannot be built.
    """

    async def work(trackings: Mapping[str, Tracking]) -> list[dict[str, Any]]:
        wanted = chosen(list(names or ()), trackings)
        reports = await asyncio.gather(*(check(trackings[name].tracker) for name in wanted))
        return [
            {"name": name, "ok": report.ok, "findings": [asdict(finding) for finding in report.findings]}
            for name, report in zip(wanted, reports, strict=True)
        ]

    return with_trackers(setup, work)


def print_report(out: Console, trackers: Sequence[Mapping[str, Any]]) -> None:
    """Show findings, each with what to do about it."""
    if not trackers:
        out.print("There are no trackers.")
    for tracker in trackers:
        word, colour = ("good", "green") if tracker["ok"] else ("would fail", "red")
        out.print(f"[bold]{plain(tracker['name'])}[/] [{colour}]{word}[/]")
        out.print(findings_of(tracker["findings"]))


def findings_of(findings: Sequence[Mapping[str, str]]) -> Table:
    """Return the table of a tracker's findings."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=3, justify="right")
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in findings:
        words = Text(finding["message"])
        if finding["fix"]:
            words.append(f"\n→ {finding['fix']}", "bold")
        verdict = finding["verdict"]
        grid.add_row(Text(SIGNS[verdict], COLOURS[verdict]), Text(finding["subject"], "dim"), words)
    return grid


def _by_the_daemon(names: list[str], config: Path | None) -> dict[str, Any] | None:
    """Return the running daemon's report; None where none can be asked."""
    try:
        with daemon(config) as running:
            report: dict[str, Any] = running.post("/api/check", {"trackers": names}, patient=True)
            return report
    except Unreachable as error:
        say(f"(looking from here: {error})")
        return None
