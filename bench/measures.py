"""What is measured. Each measure returns rows: what, value, how it compares, and what is wanted of it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from bench.load import Result, hammer, median, payloads
from bench.processes import daemon, first_accepted, instant_tracker, raw
from bridge.store import Claim, Store
from bridge.store.claim import claim
from bridge.store.engine import open_engine, prepare
from bridge.store.schema import deliveries, exports

ROUNDS, SECONDS = 5, 2.0
INSTANT = Path(__file__).parent / "plugins"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    measure: str
    value: str
    wanted: str = ""
    good: bool | None = None


async def accepting(folder: Path) -> list[Row]:
    """Durable accept against a raw endpoint on the same server, in turn, so that both see the same machine."""
    rows = []
    bodies = payloads(1)
    with raw(folder) as raw_url, daemon(folder / "accept", tracker='type = "files"') as running:
        running.api("trackers/it/pause", {"reason": "accepting is measured alone"})
        await hammer(raw_url, 16, 0.5, bodies)
        await hammer(running.export_url, 16, 0.5, bodies)
        for connections, least in ((1, None), (16, 0.40), (64, 0.45)):
            pairs = [
                (
                    await hammer(raw_url, connections, SECONDS, bodies),
                    await hammer(running.export_url, connections, SECONDS, bodies),
                )
                for _ in range(ROUNDS)
            ]
            rows += _compared(connections, pairs, least)
    return rows


def _compared(connections: int, pairs: list[tuple[Result, Result]], least: float | None) -> list[Row]:
    ratio = median([ours.per_second / theirs.per_second for theirs, ours in pairs])
    slower = median([ours.percentile(0.99) / theirs.percentile(0.99) for theirs, ours in pairs])
    ours, theirs = (median([pair[side].per_second for pair in pairs]) for side in (1, 0))
    p99 = median([pair[1].percentile(0.99) for pair in pairs])
    refused = sum(pair[1].refused for pair in pairs)
    name = f"durable accept, {connections} connection{'s' if connections > 1 else ''}"
    return [
        Row(
            f"{name}: throughput to raw Starlette",
            f"{ratio:.2f} ({ours:,.0f}/s to {theirs:,.0f}/s)",
            f"≥ {least:.2f}" if least else "",
            ratio >= least if least else None,
        ),
        Row(f"{name}: p99 to raw p99", f"{slower:.1f} times ({p99:.1f} ms)"),
        Row(f"{name}: not answered 202", str(refused), "0", refused == 0),
    ]


async def delivering(folder: Path) -> list[Row]:
    """Deliveries per second into a tracker that answers at once, and export to issue when nothing else goes on."""
    plugins = f'[plugins]\nfolder = "{INSTANT}"'
    with instant_tracker(folder) as url:
        tracker = f'type = "instant"\nurl = "{url}"\nconcurrency = 8'
        with daemon(folder / "deliver", tracker=tracker, plugins=plugins) as running:
            quiet = await _quiet(running.export_url, url)
            running.api("trackers/it/pause", {"reason": "a burst is being put up"})
            waiting = (await hammer(running.export_url, 16, 1.0, payloads(1_000_000))).requests
            before, start = len(_made(url)), time.perf_counter()
            running.api("trackers/it/resume", {})
            while len(_made(url)) < before + waiting:
                await asyncio.sleep(0.02)
            rate = waiting / (time.perf_counter() - start)
    p50, p99 = quiet[len(quiet) // 2], quiet[int(len(quiet) * 0.99)]
    return [
        Row("export → issue when quiet, p50", f"{p50:.1f} ms", "< 15 ms", p50 < 15),
        Row("export → issue when quiet, p99", f"{p99:.1f} ms"),
        Row("deliveries into an instant tracker", f"{rate:,.0f}/s of a burst of {waiting:,}"),
    ]


async def _quiet(export_url: str, tracker_url: str) -> list[float]:
    """Return sorted milliseconds from sending an export until its issue was made, at 10 exports a second."""
    sent: dict[str, float] = {}
    for number, body in zip(range(500_000, 500_100), payloads(500_000), strict=False):
        sent[f"testio-bug-{number}"] = time.time()
        await asyncio.to_thread(_post, export_url, body)
        await asyncio.sleep(0.1)
    made = _made(tracker_url)
    return sorted((made[marker] - moment) * 1000 for marker, moment in sent.items() if marker in made)[5:]


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10):
        pass


def _made(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/issues", timeout=30) as answer:
        return dict(json.load(answer))


def standing(folder: Path) -> list[Row]:
    """Idle memory and processor use with no SDK tracker configured, and start to the first durable 202."""
    starts = []
    body: Iterator[bytes] = payloads(1)
    for number in range(ROUNDS):
        start = time.perf_counter()
        with daemon(folder / f"start-{number}") as running:
            starts.append(first_accepted(running.export_url, next(body), start))
    with daemon(folder / "idle") as running:
        first_accepted(running.export_url, next(body), time.perf_counter())
        time.sleep(1)
        before = running.processor_seconds()
        time.sleep(5)
        idle = (running.processor_seconds() - before) / 5
        memory = running.memory()
    started = median(starts)
    return [
        Row("start to first durable 202", f"{started:.2f} s", "< 1 s", started < 1),
        Row("idle memory, no SDK tracker configured", f"{memory:.0f} MiB", "< 90 MiB", memory < 90),
        Row("idle processor use", f"{idle * 100:.1f} % of a core"),
    ]


def claiming(folder: Path) -> list[Row]:
    """What handing out ten deliveries costs with 10, 10 000 and 1 000 000 waiting."""
    costs = {}
    for waiting in (10, 10_000, 1_000_000):
        path = folder / f"claim-{waiting}.db"
        url = f"sqlite:///{path}"
        Store(url)
        costs[waiting] = _claim_cost(url, waiting)
    flat = costs[1_000_000] / costs[10]
    row = Row(
        "claim of ten, 10 → 10 000 → 1 000 000 waiting",
        " → ".join(f"{cost:.2f} ms" for cost in costs.values()),
        "flat (at most twice)",
        flat <= 2,
    )
    return [row]


def _claim_cost(url: str, waiting: int) -> float:
    """Return the median milliseconds of a claim, each rolled back so that as many keep waiting."""
    engine = open_engine(url, writes=True)
    prepare(engine)
    now = datetime.now(UTC)
    moment = now.timestamp() - 60
    with engine.begin() as connection:
        for start in range(0, waiting, 50_000):
            numbers = range(start, min(start + 50_000, waiting))
            connection.execute(insert(exports), [_export_row(number, moment) for number in numbers])
            connection.execute(insert(deliveries), [_delivery_row(number, moment) for number in numbers])
    wanted = Claim(tracker="it", owner="bench", limit=10, now=now, lease=timedelta(seconds=60), circuit_after=5)
    times = []
    with engine.connect() as connection:
        for _ in range(60):
            transaction = connection.begin()
            start_at = time.perf_counter()
            assert len(claim(connection, [wanted])[0].deliveries) == 10
            times.append((time.perf_counter() - start_at) * 1000)
            transaction.rollback()
    engine.dispose()
    return median(times[10:])


def _export_row(number: int, moment: float) -> dict[str, object]:
    return {
        "id": f"e{number:09}", "connection": "shop", "state": "accepted", "event": "bug.exported",
        "bug_id": number, "received_at": moment, "identity": f"shop/{number}", "body": b"{}",
    }  # fmt: skip


def _delivery_row(number: int, moment: float) -> dict[str, object]:
    return {
        "export_id": f"e{number:09}", "tracker": "it", "bug_id": number, "route": "", "on_reexport": "comment",
        "update_fields": "", "state": "pending", "next_at": moment, "created_at": moment, "changed_at": moment,
    }  # fmt: skip
