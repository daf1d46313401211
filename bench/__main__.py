"""Measure everything and print the table: `python -m bench [accept|deliver|stand|claim ...]`."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from bench import accepting, claiming, delivering, killing, peers, replicas, standing
from bench.rows import Row

MEASURES: dict[str, tuple[Callable[[Path], list[Row]], ...]] = {
    "accept": (accepting.on_sqlite, accepting.on_postgresql, accepting.while_delivering),
    "deliver": (delivering.when_quiet, delivering.burst),
    "stand": (standing.starting, standing.idle, standing.growing),
    "claim": (claiming.claiming,),
    "kill": (killing.killing,),
    "replicas": (replicas.replicas,),
    "peers": (peers.node_red,),
}


def main(names: list[str]) -> int:
    """Measure, print a Markdown table, and return 1 if anything is not as wanted."""
    print(machine(), flush=True)
    print("\n| measure | here | wanted | |\n| --- | --- | --- | --- |", flush=True)
    missed = 0
    for measure in [measure for name in names or MEASURES for measure in MEASURES[name]]:
        with tempfile.TemporaryDirectory(prefix="tracker-bridge-bench-") as folder:
            for row in measure(Path(folder)):
                verdict = {True: "✓", False: "missed", None: ""}[row.good]
                missed += row.good is False
                print(f"| {row.measure} | {row.value} | {row.wanted} | {verdict} |", flush=True)
    return 1 if missed else 0


def machine() -> str:
    """Return what it was measured on."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("starlette", "uvicorn", "httpx", "sqlalchemy"))
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {versions}; client, server and tracker share the machine."
    )


sys.exit(main(sys.argv[1:]))
