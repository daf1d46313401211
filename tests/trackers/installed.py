"""The tracker types that are installed, each with its conformance test."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bridge.testing.conformance import LocalConformance
from bridge.tracker import Tracker

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@cache
def names() -> tuple[str, ...]:
    """Return the names of the entry points of this distribution, in order."""
    return tuple(sorted(point.name for point in entry_points(group="tracker_bridge")))


@cache
def types() -> dict[str, type[Tracker[Any]]]:
    """Return every tracker type that an entry point brings, by its name in a configuration."""
    modules = [point.load() for point in entry_points(group="tracker_bridge")]
    return dict(sorted((kind.type, kind) for module in modules for kind in module.bridge_trackers()))


@cache
def conformance() -> dict[str, type[LocalConformance]]:
    """Return the conformance test of each type; those of types that are no plugin are left out."""
    return {suite.tracker.type: suite for suite in _suites() if suite.tracker.type in types()}


def _suites() -> Iterator[type[LocalConformance]]:
    for path in sorted(HERE.glob("test_*.py")):
        if path.stem in {"test_all_trackers", "test_golden"}:
            continue
        module = importlib.import_module(f"tests.trackers.{path.stem}")
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, LocalConformance) and hasattr(found, "tracker"):
                yield found
