"""`tracker-bridge serve`: the daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import structlog

from bridge.app import HOME, Bridge, find_config, load_setup
from bridge.cli.options import ConfigOption
from bridge.logs import configure_logging
from bridge.secrets import Redactor


class CurrentSecrets(Redactor):
    """Hides the secrets that the bridge has at the moment: a reload may bring others."""

    def __init__(self) -> None:
        super().__init__()
        self.bridge: Bridge | None = None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        return self.bridge.redact(text) if self.bridge else text


def serve(config: ConfigOption = None) -> None:
    """Run the daemon: take exports in, and deliver them.

    Without any configuration it runs on the embedded default: SQLite, one connection, issues as Markdown files,
    everything in ./tracker-bridge-data. SIGHUP takes over a changed configuration; SIGTERM and Ctrl-C end it.
    """
    from bridge.web import run  # noqa: PLC0415 - the web stack, only for the daemon

    path = find_config(config, os.environ)
    setup = load_setup(path, os.environ)
    hidden = CurrentSecrets()
    configure_logging(setup.config.log, hidden, sys.stderr)
    hidden.bridge = bridge = Bridge(setup)
    log = structlog.get_logger("bridge.cli")
    for warning in setup.config.warnings:
        log.warning(str(warning))

    def on_ready(url: str) -> None:
        if path is None and sys.stderr.isatty():
            for line in hints(url, next(iter(setup.config.connections))):
                print(line, file=sys.stderr)

    run(bridge, on_ready=on_ready)


def hints(url: str, connection: str) -> list[str]:
    """Return where things are when the daemon runs on the embedded default."""
    home = Path(HOME)
    return [
        "",
        "  No configuration: this is the embedded default. `tracker-bridge init` writes one.",
        f"  exports come in at  {url}/export/{connection}/SECRET",
        f"  the secret is in    {home / 'connection-secret'}",
        f"  issues are in       {home / 'issues'}",
        "",
    ]
