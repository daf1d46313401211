"""`tracker-bridge exports` and `show`: what came in, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from bridge.cli.daemon import daemon
from bridge.cli.options import (
    BugOption,
    ConfigOption,
    ErrorOption,
    JsonOption,
    SinceOption,
    StateOption,
    TrackerOption,
    checked_states,
    parse_since,
)
from bridge.cli.show import console, distance, line, many, moment, outcome, print_json, short, state, table

LimitOption = Annotated[
    int, typer.Option("--limit", "-n", min=1, max=1000, help="how many at the most, newest first")
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="an export's id, or the beginning of one")]
BodyOption = Annotated[bool, typer.Option("--body", help="also what was received")]


def exports(
    state: StateOption = None,
    tracker: TrackerOption = "",
    since: SinceOption = "",
    error: ErrorOption = "",
    bug: BugOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what came in, newest first, and where it went."""
    moment_since = parse_since(since, datetime.now(UTC))
    query = {
        "state": checked_states(state),
        "tracker": tracker,
        "since": moment_since.isoformat() if moment_since else None,
        "error": error,
        "bug": bug,
        "limit": limit,
    }
    with daemon(config) as running:
        answer = running.get("/api/exports", **query)
    if as_json:
        print_json(answer)
        return
    rows: list[dict[str, Any]] = answer["exports"]
    out = console()
    out.print(_listing(rows) if rows else "There are none.")
    if answer["next"] is not None:
        out.print(f"[dim]There are more: --limit, --since or --state show others than the newest {limit}.[/]")


def show(
    export: IdArgument, body: BodyOption = False, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show one export whole: every delivery, every attempt with the tracker's answer, the issue's address."""
    with daemon(config) as running:
        row = running.get(f"/api/exports/{_in_path(export)}")
    if as_json:
        print_json(row)
        return
    out = console()
    out.print(tree(row))
    if body:
        out.print()
        out.print(Text(row["body"]), soft_wrap=True)


def tree(row: Mapping[str, Any]) -> Tree:
    """Return an export with everything that happened to it."""
    root = Tree(_head(row), guide_style="dim")
    for problem in row["problems"]:
        where = f"{problem['path']}: " if problem["path"] else ""
        root.add(Text(f"{where}{problem['message']}", "red" if row["state"] == "rejected" else "yellow"))
    if not row["deliveries"]:
        root.add(Text(_nowhere(row["state"]), "dim"))
    for delivery in row["deliveries"]:
        _add_delivery(root, delivery)
    return root


def _head(row: Mapping[str, Any]) -> Text:
    head = Text(row["id"], "bold").append(" ").append_text(state(row["state"]))
    head.stylize("not bold", len(row["id"]))
    if row["bug_id"] is not None:
        head.append(f"\nbug {row['bug_id']}: {row['title']}")
    came = f"\nreceived {moment(row['received_at'])} by connection {row['connection']}"
    exported = f", exported {moment(row['exported_at'])}" if row["exported_at"] else ""
    return head.append(f"{came}{exported}" + (f", event {row['event']}" if row["event"] else ""), "dim")


def _add_delivery(root: Tree, delivery: Mapping[str, Any]) -> None:
    branch = root.add(outcome({**delivery, "warnings": []}))
    if delivery["issue"]:
        branch.add(Text(delivery["issue"]["url"], "cyan"))
    for warning in delivery["warnings"]:
        branch.add(Text(f"warning: {warning}", "yellow"))
    if delivery["state"] == "pending" and not delivery["attempts"]:
        branch.add(Text(f"next attempt {distance(delivery['next_at'])}", "dim"))
    for number, attempt in enumerate(delivery.get("attempts_made", ()), 1):
        branch.add(_attempt(number, attempt))
    steps: Sequence[Mapping[str, Any]] = delivery.get("followups", ())
    for step in steps:
        branch.add(_followup(step))


def _attempt(number: int, attempt: Mapping[str, Any]) -> Text:
    took = f" {attempt['seconds']:.2f}s" if attempt["seconds"] is not None else ""
    words = Text(f"attempt {number}  {moment(attempt['started_at'])}{took}  ", "dim").append(
        attempt["outcome"], "not dim"
    )
    if attempt["message"]:
        words.append(f": {attempt['message']}", "not dim")
    return words


def _followup(step: Mapping[str, Any]) -> Text:
    what = f"file {step['url']}" if step["kind"] == "attach" else step["kind"]
    words = Text(f"{what} ").append_text(state(step["state"]))
    if step["state"] == "pending" and step["attempts"]:
        words.append(f", {many(step['attempts'], 'attempt')}, next {distance(step['next_at'])}")
    return words.append(f": {step['error']}" if step["error"] else "", "dim")


def _listing(rows: Sequence[Mapping[str, Any]]) -> Table:
    listing = table("received", "export", "bug", "title", "what became of it")
    listing.columns[0].no_wrap = listing.columns[1].no_wrap = True
    listing.columns[3].max_width = 40
    listing.columns[3].no_wrap, listing.columns[3].overflow = True, "ellipsis"
    for row in rows:
        became = Text("\n").join(outcome(delivery) for delivery in row["deliveries"])
        problems = "; ".join(f"{one['path']} {one['message']}".strip() for one in row["problems"])
        if not row["deliveries"]:
            became = state(row["state"]).append(f": {problems}" if problems else "", "dim")
        bug = "" if row["bug_id"] is None else str(row["bug_id"])
        listing.add_row(moment(row["received_at"]), short(row["id"]), bug, line(row["title"]), became)
    return listing


def _nowhere(word: str) -> str:
    return {
        "rejected": "nothing can be made of it; it is kept, and can be replayed once the bridge understands it",
        "unrouted": "no route takes it; it is kept, and can be replayed once one does",
        "enriching": "its bug is fetched from test IO first; then it goes where its routes say",
        "ignored": "nothing is to be done with it; it is kept",
    }.get(word, "no deliveries")


def _in_path(text: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415

    return quote(text.strip(), safe="")
