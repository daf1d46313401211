"""How fast exports are taken in, each durable before it is answered."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path

from bench import commits
from bench.load import Result, hammer, median, payloads
from bench.processes import Daemon, Running, daemon, delivering_daemon, instant_tracker, raw
from bench.rows import Row, at_least, at_most
from tests import postgresql

ROUNDS, SECONDS = 5, 2.0
_DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB", "min_wal_size": "512MB"}


def on_sqlite(folder: Path) -> list[Row]:
    """Against a raw endpoint on the same server, in turn, so that both see the same machine."""
    with raw(folder) as raw_url, daemon(folder / "accept") as running:
        rows = asyncio.run(_compare("durable accept", raw_url, running, {1: 0.0, 16: 0.40, 64: 0.50}))
        return [*rows, _limit("SQLite", commits.of_sqlite(folder))]


def on_postgresql(folder: Path) -> list[Row]:
    """The same on PostgreSQL, as it comes: it syncs each commit."""
    if postgresql.binaries() is None:
        return [Row("durable accept on PostgreSQL", postgresql.MISSING)]
    with (
        raw(folder) as raw_url,
        postgresql.running(_DURABLE) as server,
        daemon(folder / "accept", store=server.url("postgres")) as running,
    ):
        _settle(server.url("postgres"))
        rows = asyncio.run(_compare("durable accept on PostgreSQL", raw_url, running, {16: 0.35, 64: 0.50}))
        return [*rows, _limit("PostgreSQL", commits.of_postgresql(server.url("postgres")))]


def _settle(url: str) -> None:
    """Let a new server's log grow to what it keeps: one that has run for a while no longer waits for that.

    https://www.postgresql.org/docs/current/wal-configuration.html
    """
    with postgresql.connect(url) as connection:
        for _ in range(40):  # of 16 MiB each
            connection.execute("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")
        connection.execute("CHECKPOINT")


def _limit(database: str, rate: float) -> Row:
    return Row(f"for comparison: rows that {database} alone commits, {commits.TOGETHER} at once", f"{rate:,.0f}/s")


def while_delivering(folder: Path) -> list[Row]:
    """Exports per second while what came in before is delivered at full speed."""
    with instant_tracker(folder) as url, delivering_daemon(folder / "both", url) as running:
        result = asyncio.run(while_busy(running))
    words = f"{result.per_second:,.0f}/s"
    return [at_least("accept while delivering, 64 connections", result.per_second, words, 1900, "/s")]


async def while_busy(running: Running) -> Result:
    """Post from 64 connections at once, once there is always more to deliver."""
    bodies = payloads(1)
    await hammer(running.export_url, 64, 1.0, bodies)
    return await hammer(running.export_url, 64, 3 * SECONDS, bodies)


async def _compare(name: str, raw_url: str, running: Daemon, floors: Mapping[int, float]) -> list[Row]:
    """Measure in pairs. A floor is the least part of the raw endpoint's throughput; 0 for none."""
    running.api("trackers/it/pause", {"reason": "accepting is measured alone"})
    bodies, rows = payloads(1), list[Row]()
    for url in (raw_url, running.export_url):
        await hammer(url, 16, 0.5, bodies)
    for connections, least in floors.items():
        pairs = [
            [await hammer(url, connections, SECONDS, bodies) for url in (raw_url, running.export_url)]
            for _ in range(ROUNDS)
        ]
        rows += _compared(f"{name}, {connections} connection{'s' if connections > 1 else ''}", pairs, least)
        refused = sum(result.refused for result in itertools.chain.from_iterable(pairs))
        rows += [Row(f"{name}: not answered 202", str(refused), "0", good=False)] if refused else []
    return rows


def _compared(name: str, pairs: list[list[Result]], least: float) -> list[Row]:
    ratio = median([ours.per_second / theirs.per_second for theirs, ours in pairs])
    slower = median([ours.percentile(0.99) / theirs.percentile(0.99) for theirs, ours in pairs])
    theirs, ours = (median([pair[side].per_second for pair in pairs]) for side in (0, 1))
    p99 = median([pair[1].percentile(0.99) for pair in pairs])
    throughput, tail = f"{ratio:.2f} ({ours:,.0f}/s to {theirs:,.0f}/s)", f"{slower:.1f} times ({p99:.1f} ms)"
    if not least:
        return [Row(f"{name}: throughput to raw Starlette", throughput), Row(f"{name}: p99 to raw p99", tail)]
    return [
        at_least(f"{name}: throughput to raw Starlette", ratio, throughput, least),
        at_most(f"{name}: p99 to raw p99", slower, tail, 6, " times"),
    ]
