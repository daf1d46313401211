"""What the daemon needs while it stands there: memory, processor, and the time it takes to start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import hammer, median, payloads
from bench.processes import daemon, delivering_daemon, first_accepted, instant_tracker
from bench.rows import Row, at_most

ROUNDS = 5
MANY = 100_000


def starting(folder: Path) -> list[Row]:
    """From its start to the first durable 202."""
    starts, body = [], payloads(1)
    for number in range(ROUNDS):
        start = time.perf_counter()
        with daemon(folder / f"start-{number}") as running:
            starts.append(first_accepted(running.export_url, next(body), start))
    started = median(starts)
    return [at_most("start to first durable 202", started, f"{started:.2f} s", 0.9, " s")]


def idle(folder: Path) -> list[Row]:
    """Memory and processor use with no SDK tracker configured."""
    body: Iterator[bytes] = payloads(1)
    with daemon(folder / "idle") as running:
        first_accepted(running.export_url, next(body), time.perf_counter())
        time.sleep(1)
        before = running.processor_seconds()
        time.sleep(5)
        used = (running.processor_seconds() - before) / 5 * 100
        memory = running.memory()
    return [
        at_most("idle memory, no SDK tracker configured", memory, f"{memory:.0f} MiB", 90, " MiB"),
        at_most("idle processor use", used, f"{used:.1f} % of a core", 1, " %"),
    ]


def growing(folder: Path) -> list[Row]:
    """How much memory 100 000 exports leave behind, while they are delivered as fast as that goes."""
    with instant_tracker(folder) as url, delivering_daemon(folder / "growing", url) as running:
        bodies, taken = payloads(1), asyncio.run(hammer(running.export_url, 16, 2.0, payloads(10**9))).requests
        before = running.memory()
        while taken < MANY:
            taken += asyncio.run(hammer(running.export_url, 16, 2.0, bodies)).requests
        grown = running.memory() - before
    return [at_most(f"growth over {MANY:,} exports", grown, f"{grown:.0f} MiB", 15, " MiB")]
