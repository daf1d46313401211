"""`tracker-bridge init`: a configuration by asking, and the doctor looks at each tracker at once."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bridge.app import CONFIG_FILE, Setup
from bridge.cli.asking import Asker, Terminal
from bridge.cli.ending import Ending, Failed
from bridge.cli.given import with_trackers
from bridge.cli.init_tracker import ask_tracker
from bridge.cli.new_config import Kept, NewConfig
from bridge.cli.show import console
from bridge.demo.payloads import example
from bridge.dispatch import Tracking
from bridge.errors import ConfigError, TrackerError
from bridge.ids import new_id
from bridge.model import Issue, Marker
from bridge.payload import parse, read_export
from bridge.plugins import Plugins

ConfigOption = Annotated[Path, typer.Option("--config", metavar="FILE", help="the file to write")]
ForceOption = Annotated[bool, typer.Option("--force", help="replace the file if there is one")]


def init(config: ConfigOption = Path(CONFIG_FILE), force: ForceOption = False) -> None:
    """Write a configuration by asking, with the doctor looking at each tracker.

    Secrets are made, or typed without being shown, and kept in files that only you can read, or in environment
    variables. In the end it can make a trial issue.
    """
    if config.exists() and not force:
        raise Failed(f"{config} exists: --force replaces it, --config FILE writes another", Ending.USAGE)
    if not sys.stdin.isatty():
        raise Failed(
            "init asks, and nobody can answer here: run it in a terminal, or write the file by hand "
            "(docs/configuration.md has every key)",
            Ending.USAGE,
        )
    dialogue(Terminal(console()), NewConfig(config), Plugins.load())


def dialogue(asker: Asker, new: NewConfig, plugins: Plugins) -> None:
    """Ask for everything, and write it.

    Args:
        asker: Who answers.
        new: What becomes the configuration.
        plugins: Which tracker types there are.

    Raises:
        Failed: A file cannot be written, or it was left without a tracker.
    """
    asker.show(Text("Where issues are to be made", "bold"))
    while True:
        name = ask_tracker(asker, new, plugins)
        if name is not None:
            asker.show(Text(f"✓ {name} is in.", "green"))
        if not asker.confirm("Another tracker?", default=not new.trackers):
            break
    if not new.trackers:
        raise Failed("without a tracker there is nothing to write")
    asker.show(Text("\nWhere exports come in", "bold"))
    _ask_connection(asker, new, plugins)
    new.write()
    _offer_trial(asker, new, plugins)
    for line in next_steps(new):
        asker.show(line)


def _ask_connection(asker: Asker, new: NewConfig, plugins: Plugins) -> None:
    while True:
        name = asker.text("Name of the connection, a part of its address", "test-io")
        public = asker.text("Address under which test IO reaches this bridge (Enter if you do not know yet)")
        new.server = {"host": "127.0.0.1", "port": 8080}
        new.server |= {"public_url": public} if public else {}
        new.server["admin_token"] = _made(new, "admin-token")
        new.connections = {name: {"secret": _made(new, f"connection-{name}")}}
        try:
            new.build(plugins)
        except ConfigError as error:
            for problem in error.problems:
                asker.show(Text(f"✗ {problem}", "red"))
        else:
            return


def _made(new: NewConfig, name: str) -> Kept:
    """Return a generated secret; the one of an earlier `init`, where test IO may know it already."""
    file = new.path.absolute().parent / "secrets" / name
    value = file.read_text("utf-8").strip() if file.is_file() else secrets.token_urlsafe(24)
    return Kept(value, "file", name)


def _offer_trial(asker: Asker, new: NewConfig, plugins: Plugins) -> None:
    for name in new.trackers:
        question = f"Make a trial issue in {name} now? (test IO's documented bug; delete it afterwards)"
        if not asker.confirm(question, default=False):
            continue
        setup = Setup(new.build(plugins), plugins)
        try:
            issue = with_trackers(setup, partial(make_trial, setup, name=name))
        except TrackerError as error:
            asker.show(Text(f"✗ {name}: {error}", "red"))
        else:
            asker.show(Text(f"✓ {issue.key}  ", "green").append(issue.url, "cyan"))


async def make_trial(setup: Setup, trackings: Mapping[str, Tracking], name: str) -> Issue:
    """Make an issue of the documented bug, with a marker of its own: it never stands for a real export.

    Raises:
        TrackerError: The tracker did not make it.
    """
    now = datetime.now(UTC)
    export = read_export(
        parse(example()), id=new_id(now), connection=next(iter(setup.config.connections)), received_at=now
    )
    marker = Marker.of(export.bug.id, now, tracker=name, suffix=f"trial-{export.id}")
    tracking = trackings[name]
    draft = setup.plugins.prepare(tracking.mapper.draft(export, marker), export.bug, name)
    return await tracking.tracker.create(draft)


def next_steps(new: NewConfig) -> list[Text]:
    """Return what to do with the configuration. Tells where the secrets are, not what they are."""
    name = next(iter(new.connections))
    base = new.server.get("public_url", "").rstrip("/") or "http://127.0.0.1:8080"
    secret = os.path.relpath(new.path.absolute().parent / "secrets" / f"connection-{name}")
    start = "tracker-bridge serve" + ("" if str(new.path) == CONFIG_FILE else f" --config {new.path}")
    lines = [Text(f"\n{new.path} is written.", "bold")]
    lines += [Text(f"  set {variable} in the daemon's environment") for variable in new.variables]
    return [
        *lines,
        Text(f"  start the daemon:     {start}"),
        Text(f"  the URL for test IO:  echo {base}/export/{name}/$(cat {secret})"),
    ]
