"""The commands, put together. Each is imported only when it is called: `--help` must not take its time."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from bridge.cli.ending import MEANINGS, Ending, told

PROGRAM = "tracker-bridge"
_RUN, _LOOK, _ACT, _SET_UP = "Run", "Look", "Act", "Set up"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command in the listing.

    Attributes:
        where: Module and name of its function, or of its group of commands.
        panel: Under which heading it is listed.
        line: What it does; the first line of the function's docstring.
    """

    where: str
    panel: str
    line: str

    def load(self, name: str) -> Any:
        """Return the real command, imported now."""
        module, _, attribute = self.where.partition(":")
        gc.disable()  # an import makes no garbage, and to look for it takes a quarter of a start
        try:
            target = getattr(import_module(module), attribute)
        finally:
            gc.freeze()
            gc.enable()
        if not isinstance(target, typer.Typer):
            single = typer.Typer(add_completion=False)
            single.command(name, epilog=EPILOG)(target)
            target = single
        command = typer.main.get_command(target)
        command.name = name
        return command


ENTRIES = {
    "demo": Entry(
        "bridge.cli.demo:demo",
        _RUN,
        "Try it without any account: plays test IO, and shows what becomes of each export.",
    ),
    "sandbox": Entry(
        "bridge.cli.sandbox:sandbox",
        _RUN,
        "Play test IO on this machine: its API, a page with Export buttons, and the webhooks.",
    ),
    "serve": Entry("bridge.cli.serve:serve", _RUN, "Run the daemon: take exports in, and deliver them."),
    "init": Entry(
        "bridge.cli.init:init",
        _SET_UP,
        "Write a configuration by asking, with the doctor looking at each tracker.",
    ),
    "config": Entry(
        "bridge.cli.configuration:app", _SET_UP, "Is the configuration right, and what may stand in it."
    ),
    "check": Entry(
        "bridge.cli.check:check_trackers",
        _SET_UP,
        "Look at trackers live: would deliveries succeed, and what is to be done where not?",
    ),
    "preview": Entry(
        "bridge.cli.preview:preview",
        _SET_UP,
        "Show exactly what would be sent where, with lengths and what would be lost. Sends nothing.",
    ),
    "trackers": Entry(
        "bridge.cli.types:trackers", _SET_UP, "Show the tracker types that are installed, and what each can do."
    ),
    "plugins": Entry(
        "bridge.cli.types:plugins",
        _SET_UP,
        "Show the plugins: version, distribution, hooks, and why one does not work.",
    ),
    "connections": Entry(
        "bridge.cli.connections:app", _SET_UP, "test IO's connections: from the configuration, or by hand."
    ),
    "store": Entry("bridge.cli.store:app", _SET_UP, "The store: move it into another database, and back it up."),
    "status": Entry(
        "bridge.cli.status:status",
        _LOOK,
        "Show how the running daemon is: counts, and for each tracker what holds it up.",
    ),
    "exports": Entry("bridge.cli.exports:exports", _LOOK, "Show what came in, newest first, and where it went."),
    "show": Entry(
        "bridge.cli.exports:show",
        _LOOK,
        "Show one export whole: every delivery, every attempt with the tracker's answer, the issue's address.",
    ),
    "send": Entry(
        "bridge.cli.send:send",
        _ACT,
        "Post an export to the running daemon as test IO would, and follow it to its issues.",
    ),
    "replay": Entry(
        "bridge.cli.replay:replay",
        _ACT,
        "Deliver again what is dead, or what --state or an id names; says first what it will do, and asks.",
    ),
    "reconcile": Entry(
        "bridge.cli.reconcile:reconcile",
        _ACT,
        "Ask test IO for exports that never came, and take each in as an export of its connection.",
    ),
    "backfill": Entry(
        "bridge.cli.reconcile:backfill",
        _ACT,
        "Take in a whole history: bugs that were exported at test IO before the bridge was there.",
    ),
    "pause": Entry(
        "bridge.cli.control:pause",
        _ACT,
        "Deliver nothing to a tracker until it is resumed. Exports are accepted, and wait.",
    ),
    "resume": Entry(
        "bridge.cli.control:resume",
        _ACT,
        "Let a tracker work again at once: ends a pause, an open circuit, and a wait.",
    ),
    "reload": Entry(
        "bridge.cli.control:reload",
        _ACT,
        "Let the daemon take over its changed configuration: all of it, or, when it is wrong, none of it.",
    ),
}

EPILOG = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()) + "."


class Commands(TyperGroup):
    """The group of all commands: knows a line of each, and imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, entry in ENTRIES.items():
            self.commands[name] = TyperCommand(name, help=entry.line, rich_help_panel=entry.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that `args` begin with, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in ENTRIES:
            with told():
                command = ENTRIES[name].load(name)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; whatever it raises ends as words and an exit code."""
        with told():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that has gone is noticed here, not when Python ends
            return result


app = typer.Typer(
    cls=Commands,
    name=PROGRAM,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"{PROGRAM} {version('tracker-bridge')}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version, and end")
    ] = False,
) -> None:
    """Turn test IO bug exports into exactly one good issue in each of your trackers."""


def main() -> NoReturn:
    """Run the command line and end the process."""
    try:
        app(prog_name=PROGRAM)
    except KeyboardInterrupt:
        sys.exit(Ending.INTERRUPTED)
    sys.exit(Ending.FINE)
