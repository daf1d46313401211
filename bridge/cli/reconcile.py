"""`tracker-bridge reconcile` and `backfill`: what test IO has and the bridge has never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bridge.cli.daemon import daemon
from bridge.cli.ending import Ending, say
from bridge.cli.options import ConfigOption, JsonOption, parse_since
from bridge.cli.show import console, line, many, plain, print_json, table

CHUNK = 10
"""Bugs fetched in one step: what is done is done when somebody presses Ctrl-C."""

SinceOption = Annotated[
    str,
    typer.Option(
        "--since", metavar="WHEN", help='only bugs reported or exported since: "2h", "3d", or a date in ISO 8601'
    ),
]
ProductOption = Annotated[
    list[int] | None, typer.Option("--product", metavar="ID", help="only of this product; may be repeated")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="only show what is missing")]


def reconcile(
    since: SinceOption = "",
    product: ProductOption = None,
    exported: Annotated[
        bool, typer.Option("--exported", help="also what test IO says is exported, and was never seen here")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask test IO for exports that never came, and take each in as an export of its connection.

    The daemon does the same by itself, every `reconcile_every`.
    """
    statuses = ["export_requested", "exported"] if exported else []
    with daemon(config) as running:
        result = running.post(
            "/api/reconcile", _wish(since, product, statuses) | {"dry_run": dry_run}, patient=True
        )
    if as_json:
        print_json(result)
    elif dry_run:
        _say("missing", result["missing"])
    else:
        _say("taken in", result["taken"])
    _end(result["failed"])


def backfill(
    since: SinceOption = "",
    product: ProductOption = None,
    everything: Annotated[bool, typer.Option("--everything", help="also bugs that nobody ever exported")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take in a whole history: bugs that were exported at test IO before the bridge was there.

    Fetches each bug whole. It may be interrupted and called again: what was seen is not taken in twice.
    """
    statuses = ["export_requested", "exported", *(["not_exported"] if everything else [])]
    with daemon(config) as running:
        plan = running.post("/api/reconcile", _wish(since, product, statuses) | {"dry_run": True}, patient=True)
        missing = plan["missing"] = [each for each in plan["missing"] if not each["again"]]
        if dry_run:
            print_json(plan) if as_json else _say("missing", missing)
            return
        result = _take(running, missing, quiet=as_json)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{many(len(result['taken']), 'bug')} taken in.")
    _end(result["failed"])


def _take(running: Any, missing: Sequence[Mapping[str, Any]], *, quiet: bool) -> dict[str, list[Any]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    out = console(error=True)
    columns = (TextColumn("Taking in"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    result: dict[str, list[Any]] = {"taken": [], "failed": []}
    with Progress(*columns, console=out, disable=quiet or not out.is_terminal) as progress:
        task = progress.add_task("backfill", total=len(missing))
        for start in range(0, len(missing), CHUNK):
            chunk = list(missing[start : start + CHUNK])
            answer = running.post("/api/reconcile/take", {"bugs": chunk}, patient=True)
            for part in result:
                result[part] += answer[part]
            progress.advance(task, len(chunk))
    return result


def _wish(since: str, product: Sequence[int] | None, statuses: Sequence[str]) -> dict[str, Any]:
    moment = parse_since(since, datetime.now(UTC))
    wish: dict[str, Any] = {"products": list(product or ()), "statuses": list(statuses)}
    return wish | ({"since": moment.isoformat()} if moment else {})


def _say(what: str, bugs: Sequence[Mapping[str, Any]]) -> None:
    if bugs:
        listing = table("bug", "connection", "product", "title")
        for each in bugs:
            product = str(each["product"] or "")
            listing.add_row(str(each["bug"]), plain(each["connection"]), product, line(each["title"]))
        console().print(listing)
    typer.echo(f"{many(len(bugs), 'bug')} {what}.")


def _end(failed: Sequence[Mapping[str, Any]]) -> None:
    for each in failed:
        say(f"bug {each['bug']} could not be taken in: {each['error']}")
    if failed:
        raise typer.Exit(Ending.WRONG)
