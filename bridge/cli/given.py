"""What a command is given: a payload, and the configuration with everything that belongs to it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bridge.app import Clients, Setup, build_trackings, find_config, load_setup
from bridge.cli.ending import Ending, Failed
from bridge.clock import SystemClock
from bridge.demo.payloads import example
from bridge.dispatch import Tracking
from bridge.secrets import Redactor
from bridge.tracker import Tools

R = TypeVar("R")


def read_payload(file: str) -> bytes:
    """Return the payload in a file, `-` for standard input, empty for test IO's documented one.

    Raises:
        Failed: The file cannot be read.
    """
    try:
        if file == "-":
            return sys.stdin.buffer.read()
        return Path(file).read_bytes() if file else example()
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}", Ending.USAGE) from None


def read_setup(given: Path | None) -> Setup:
    """Return the configuration and its plugins, as the daemon reads them; raises as `load_setup`."""
    return load_setup(find_config(given, os.environ), os.environ)


def with_trackers(setup: Setup, work: Callable[[Mapping[str, Tracking]], Awaitable[R]]) -> R:
    """Return what `work` makes of the configured trackers, which are closed afterwards.

    Raises:
        ConfigError: A tracker cannot be built.
    """

    async def run() -> R:
        trackings = build_trackings(setup, Tools(SystemClock(), Redactor(setup.config.secrets), Clients()))
        try:
            return await work({tracking.name: tracking for tracking in trackings})
        finally:
            for tracking in trackings:
                await tracking.tracker.close()

    return asyncio.run(run())


def chosen(names: list[str] | None, trackings: Mapping[str, Tracking]) -> list[str]:
    """Return the trackers that were named, all configured ones where none was.

    Raises:
        Failed: There is no such tracker.
    """
    for name in names or ():
        if name not in trackings:
            raise Failed(f"there is no tracker {name!r}; there are: {', '.join(trackings) or 'none'}")
    return list(names or trackings)
