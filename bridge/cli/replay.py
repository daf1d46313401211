"""`tracker-bridge replay`: deliver again, in bulk, saying first what it will do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bridge.cli.daemon import Daemon, daemon
from bridge.cli.ending import Ending, Failed
from bridge.cli.options import (
    BugOption,
    ConfigOption,
    ErrorOption,
    JsonOption,
    SinceOption,
    StateOption,
    TrackerOption,
    YesOption,
    checked_states,
    parse_since,
)
from bridge.cli.show import console, many, print_json, state, table

CHUNK = 50
"""Exports replayed with one request."""

_PAGE = 500
_DELIVERY_STATES = ("pending", "delivered", "dead")
_EXPORT_STATES = ("rejected", "unrouted", "ignored")

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="exports, by id or its beginning")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="only say what would be delivered again")]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be delivered again, as the API takes it."""

    ids: Sequence[str]
    tracker: str
    states: Sequence[str]
    since: str | None
    error: str
    bug: int | None

    def body(self, **changes: Any) -> dict[str, Any]:
        """Return it as a request's body."""
        parts = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in parts.items() if value} | {"limit": 1000} | changes


def replay(
    ids: IdsArgument = None,
    tracker: TrackerOption = "",
    state: StateOption = None,
    since: SinceOption = "",
    error: ErrorOption = "",
    bug: BugOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Deliver again what is dead, or what --state or an id names; says first what it will do, and asks.

    A known issue is never made twice: a delivered one that is replayed is told again to its issue, by the
    route's on_reexport. Rejected, unrouted and ignored exports are judged anew.
    """
    moment = parse_since(since, datetime.now(UTC))
    states = checked_states(state)
    if not any((ids, tracker, states, since, error, bug is not None)):
        raise Failed(
            "say what: ids, --tracker, --since, --error, --bug; or --state dead for all that is dead", Ending.USAGE
        )
    with daemon(config) as running:
        exact = [running.get(f"/api/exports/{quote(one, safe='')}")["id"] for one in ids or ()]
        wish = Wish(exact, tracker, states, moment.isoformat() if moment else None, error, bug)
        plan = running.post("/api/replay", wish.body(dry_run=True))
        if dry_run and as_json:
            print_json(plan)
            return
        total = sum(row["count"] for row in plan["deliveries"]) + len(plan["exports"])
        if not as_json:
            _say_plan(plan, total)
        if dry_run or not total:
            _print_result([], as_json=as_json and not dry_run)
            return
        _ask(total, yes=yes)
        done = _run(running, wish, total, quiet=as_json)
    _print_result(done, as_json=as_json)


def batches(running: Daemon, wish: Wish) -> Iterator[list[str]]:
    """Yield the exports to replay, some at a time.

    What is to be done is listed before anything is: a delivery that is done quickly must not come up again.
    """
    exports = dict.fromkeys(wish.ids) if wish.ids else _selected(running, wish)
    todo = list(exports)
    for start in range(0, len(todo), CHUNK):
        yield todo[start : start + CHUNK]


def _selected(running: Daemon, wish: Wish) -> dict[str, None]:
    asked = list(wish.states) or ["dead"]
    found: dict[str, None] = {}
    going = [one for one in asked if one in _DELIVERY_STATES]
    if going:
        rows = _pages(running, "deliveries", wish, going)
        found |= dict.fromkeys(row["export"] for row in rows)
    lost = [one for one in asked if one in _EXPORT_STATES]
    if lost and not (wish.tracker or wish.error):
        found |= dict.fromkeys(row["id"] for row in _pages(running, "exports", wish, lost))
    return dict.fromkeys(reversed(found))  # oldest first


def _pages(running: Daemon, what: str, wish: Wish, states: Sequence[str]) -> Iterator[dict[str, Any]]:
    before = None
    while True:
        query = {"tracker": wish.tracker, "since": wish.since, "error": wish.error, "bug": wish.bug}
        answer = running.get(f"/api/{what}", state=",".join(states), limit=_PAGE, before=before, **query)
        yield from answer[what]
        before = answer["next"]
        if before is None:
            return


def _run(running: Daemon, wish: Wish, total: int, *, quiet: bool) -> list[str]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    out = console(error=True)
    columns = (TextColumn("Replaying"), BarColumn(), MofNCompleteColumn())
    done: list[str] = []
    with Progress(*columns, console=out, disable=quiet or not out.is_terminal) as progress:
        task = progress.add_task("replay", total=total)
        for chunk in batches(running, wish):
            # said again: other deliveries of the same exports may be in other states
            states = wish.states or ([] if wish.ids else ["dead"])
            done += running.post("/api/replay", wish.body(ids=chunk, states=states), patient=True)["replayed"]
            progress.update(task, completed=min(len(done), total))
        progress.update(task, completed=total)
    return done


def _say_plan(plan: dict[str, Any], total: int) -> None:
    out = console()
    if not total:
        out.print("There is nothing to replay.")
        return
    listing = table("tracker", "state", "deliveries")
    for row in plan["deliveries"]:
        listing.add_row(row["tracker"], state(row["state"]), str(row["count"]))
    if plan["exports"]:
        listing.add_row("", "went nowhere", str(len(plan["exports"])))
    out.print(listing)


def _ask(total: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failed("nobody can be asked here: say --yes to replay, or --dry-run to look", Ending.USAGE)
    if not typer.confirm(f"Deliver {'it' if total == 1 else f'these {total}'} again?"):
        raise Failed("nothing was replayed")


def _print_result(done: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"replayed": list(done)})
    elif done:
        count = many(len(done), "delivery", "deliveries")
        typer.echo(f"{count} to be made again. `tracker-bridge status` shows how it goes.")
