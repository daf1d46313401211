"""Runs the daemon of a configuration file: `python run_daemon.py --config FILE`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridge.app import Bridge, load_setup
from bridge.logs import configure_logging
from bridge.secrets import Redactor
from bridge.web import run


def main(config: Path) -> None:
    setup = load_setup(config, os.environ)
    configure_logging(setup.config.log, Redactor(setup.config.secrets), sys.stderr)
    run(Bridge(setup))


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
