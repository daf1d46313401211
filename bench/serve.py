"""Run the daemon as `tracker-bridge serve` does, and print its URL whatever the log level."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridge.cli.app import ENTRIES


def main(config: Path) -> None:
    """Serve until terminated."""
    ENTRIES["serve"].load("serve")  # imports what the command imports, in its way
    from bridge.app import Bridge, load_setup  # noqa: PLC0415
    from bridge.logs import configure_logging  # noqa: PLC0415
    from bridge.web import run  # noqa: PLC0415

    setup = load_setup(config, os.environ)
    bridge = Bridge(setup)
    configure_logging(setup.config.log, bridge.redact, sys.stderr)
    run(bridge, on_ready=lambda url: print(url, flush=True))


main(Path(sys.argv[1]))
