"""How fast exports become issues."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.load import hammer, payloads
from bench.processes import Daemon, delivering_daemon, instant_tracker
from bench.rows import Row, at_least, at_most

WORKERS, SLOW = 16, 0.1
_FIRST, _UNCOUNTED, _COUNTED = 500_000, 10, 200


def when_quiet(folder: Path) -> list[Row]:
    """Export to issue when nothing else goes on, at ten exports a second."""
    with instant_tracker(folder) as url, delivering_daemon(folder / "quiet", url) as running:
        took = asyncio.run(quiet(running.export_url, url))
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    return [
        at_most("export → issue when quiet, p50", p50, f"{p50:.1f} ms", 8, " ms"),
        at_most("export → issue when quiet, p99", p99, f"{p99:.1f} ms", 25, " ms"),
    ]


def burst(folder: Path) -> list[Row]:
    """Issues per second of a burst: into a tracker that answers at once, and into one that takes a while."""
    at_once, _ = _burst(folder / "instant", 0.0, workers=8)
    slow, waiting = _burst(folder / "slow", SLOW, workers=WORKERS)
    ideal = WORKERS / SLOW
    return [
        at_least("burst into an instant tracker", at_once, f"{at_once:,.0f} issues/s", 350, " issues/s"),
        at_least(
            f"burst of {waiting:,} into a {SLOW * 1000:.0f} ms tracker: rate to workers ÷ latency",
            slow / ideal,
            f"{slow / ideal:.2f} ({slow:,.0f}/s to {ideal:,.0f}/s)",
            0.9,
        ),
    ]


def _burst(folder: Path, seconds: float, *, workers: int) -> tuple[float, int]:
    """Return issues per second, and how many there were."""
    folder.mkdir()
    with (
        instant_tracker(folder, seconds) as url,
        delivering_daemon(folder / "burst", url, concurrency=workers) as running,
    ):
        return asyncio.run(put_up_and_let_go(running, url))


async def put_up_and_let_go(running: Daemon, url: str, seconds: float = 0.5) -> tuple[float, int]:
    """Let exports gather for so long, then let all go; return issues per second, and how many there were."""
    running.api("trackers/it/pause", {"reason": "a burst is being put up"})
    waiting = (await hammer(running.export_url, 16, seconds, payloads(1))).requests
    start = time.time()
    running.api("trackers/it/resume", {})
    while count(url) < waiting:
        await asyncio.sleep(0.25)  # asking costs the tracker and this machine something, too
    return waiting / (max(ask(f"{url}/moments").values()) - start), waiting


async def quiet(export_url: str, tracker_url: str) -> list[float]:
    """Return sorted milliseconds from sending an export until its issue was made.

    The first ones do not count: how long a daemon takes to start is measured by itself.
    """
    sent: dict[str, float] = {}
    for number, body in zip(range(_FIRST, _FIRST + _UNCOUNTED + _COUNTED), payloads(_FIRST), strict=False):
        sent[f"testio-bug-{number}"] = time.time()
        await asyncio.to_thread(_post, export_url, body)
        await asyncio.sleep(0.1)
    made = ask(f"{tracker_url}/moments")
    return sorted((made[marker] - moment) * 1000 for marker, moment in [*sent.items()][_UNCOUNTED:])


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10):
        pass


def count(url: str) -> int:
    """Return how many issues a tracker has."""
    return int(ask(f"{url}/count")["issues"])


def ask(url: str) -> dict[str, Any]:
    """Return what a tracker answers."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return dict(json.load(answer))
