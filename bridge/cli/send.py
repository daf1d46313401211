"""`tracker-bridge send`: posts an export to the running daemon, and follows it to its issues."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich.live import Live
from rich.text import Text

from bridge.cli.daemon import Daemon, Refused, address, client_config
from bridge.cli.ending import Ending, Failed
from bridge.cli.exports import tree
from bridge.cli.given import read_payload
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.preview import ConnectionOption, FileArgument, connection_of
from bridge.cli.show import console, print_json, short

INTERVAL = 0.1
"""Seconds between two looks."""

WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="how long to follow it; 0: not at all")
]


def send(
    file: FileArgument = "",
    connection: ConnectionOption = "",
    wait: WaitOption = 60.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Post an export to the running daemon as test IO would, and follow it to its issues.

    Ends with 1 when it is refused, when a delivery is dead, or when it is not done in time.
    """
    body = read_payload(file)
    receipt, running = _post(body, connection, config)
    try:
        row = _follow(running, receipt, wait, quiet=as_json)
    finally:
        running.close()
    if as_json:
        print_json({"receipt": receipt, "export": row})
    elif row is not None:
        console().print(tree(row))
    if row is not None and not went_well(row):
        raise typer.Exit(Ending.WRONG)


def finished(row: Mapping[str, Any]) -> bool:
    """Whether there is nothing more to wait for: every delivery has ended, and every file was tried."""
    steps = [step for delivery in row["deliveries"] for step in delivery["followups"]]
    ended = all(one["state"] in {"delivered", "dead"} for one in row["deliveries"])
    return ended and all(
        step["state"] != "running" and (step["state"] != "pending" or step["attempts"]) for step in steps
    )


def went_well(row: Mapping[str, Any]) -> bool:
    """Whether an export reached every tracker that it goes to."""
    return row["state"] != "rejected" and all(one["state"] == "delivered" for one in row["deliveries"])


def _post(body: bytes, connection: str, given: Path | None) -> tuple[dict[str, Any], Daemon]:
    """Return the daemon's receipt, and the daemon to follow it with."""
    config = client_config(given, connections=True)
    name = connection_of(config, connection)
    secret = config.connections[name].secret.get_secret_value()
    token = config.server.admin_token
    running = Daemon(address(config), token.get_secret_value() if token else "")
    try:
        return running.send(f"/export/{name}/{secret}", body), running
    except Refused as error:
        running.close()
        kept = f" (kept as {error.document['export']})" if error.document.get("export") else ""
        raise Failed(f"the daemon refused it: {error}{kept}", error.ending, problems=error.problems) from None
    except BaseException:
        running.close()
        raise


def _follow(running: Daemon, receipt: Mapping[str, Any], wait: float, *, quiet: bool) -> dict[str, Any] | None:
    """Return the export as it is in the end; None where nobody wants to wait, or nobody may ask."""
    out = console()
    if not quiet:
        again = "was here before" if receipt["duplicate"] else receipt["state"]
        out.print(Text(f"{short(receipt['export'])} {again}", "bold"))
    if not wait:
        return None
    until = time.monotonic() + wait
    path = f"/api/exports/{receipt['export']}"
    row: dict[str, Any] = running.get(path)
    with (
        Live(console=out, transient=True, auto_refresh=False)
        if out.is_terminal and not quiet
        else _Unseen() as live
    ):
        while not finished(row) and time.monotonic() < until:
            time.sleep(INTERVAL)
            row = running.get(path)
            live.update(tree(row), refresh=True)
    return row


class _Unseen:
    """Stands for a live display where there is no terminal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        pass

    def update(self, _shown: object, *, refresh: bool) -> None:
        """Show nothing."""
