"""Run the daemon as `tracker-bridge serve` does, and print its URL whatever the log level."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridge.app import Bridge, load_setup
from bridge.logs import configure_logging
from bridge.web import run

setup = load_setup(Path(sys.argv[1]), os.environ)
bridge = Bridge(setup)
configure_logging(setup.config.log, bridge.redact, sys.stderr)
run(bridge, on_ready=lambda url: print(url, flush=True))
