"""`tracker-bridge pause`, `resume` and `reload`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from bridge.cli.daemon import daemon
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import print_json

NameArgument = Annotated[str, typer.Argument(metavar="TRACKER", help="the tracker's name in the configuration")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="shown to everybody who looks")]


def pause(
    tracker: NameArgument, reason: ReasonOption = "", as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Deliver nothing to a tracker until it is resumed. Exports are accepted, and wait."""
    with daemon(config) as running:
        body = {"reason": reason} if reason else {}
        answer = running.post(f"/api/trackers/{quote(tracker, safe='')}/pause", body)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{tracker} is paused. `tracker-bridge resume {tracker}` lets it work again.")


def resume(tracker: NameArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let a tracker work again at once: ends a pause, an open circuit, and a wait."""
    with daemon(config) as running:
        answer = running.post(f"/api/trackers/{quote(tracker, safe='')}/resume")
    if as_json:
        print_json(answer)
    else:
        typer.echo(
            f"{tracker} works again." if answer["resumed"] else f"{tracker} was working: nothing held it up."
        )


def reload(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let the daemon take over its changed configuration: all of it, or, when it is wrong, none of it."""
    with daemon(config) as running:
        answer = running.post("/api/reload", patient=True)
    if as_json:
        print_json(answer)
    else:
        typer.echo("The configuration was taken over.")
