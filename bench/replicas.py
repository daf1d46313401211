"""What more daemons on one PostgreSQL bring."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

from bench.delivering import put_up_and_let_go
from bench.processes import delivering_daemon, instant_tracker
from bench.rows import Row, at_least
from tests import postgresql

SLOW, EACH = 0.1, 8
"""Seconds that the tracker takes, and attempts that each daemon has under way at once."""


def replicas(folder: Path) -> list[Row]:
    """Let three daemons deliver a burst that one delivered before, into a tracker that takes a while.

    Each has as many attempts under way as it is configured to; the tracker would take more.
    """
    if postgresql.binaries() is None:
        return [Row("three replicas against one", postgresql.MISSING)]
    one, three = _rate(folder, 1), _rate(folder, 3)
    words = f"{three / one:.2f} ({three:,.0f}/s to {one:,.0f}/s)"
    return [at_least("three replicas to one, PostgreSQL, tracker at 100 ms", three / one, words, 2.5)]


def _rate(folder: Path, count: int) -> float:
    with ExitStack() as stack:
        url = stack.enter_context(instant_tracker(folder, SLOW))
        store = stack.enter_context(postgresql.running()).url("postgres")
        server = f"attempts_at_once = {EACH - 1}"  # besides the one that each tracker may always have
        daemons = [
            stack.enter_context(
                delivering_daemon(folder / f"{number}-of-{count}", url, concurrency=64, store=store, server=server)
            )
            for number in range(count)
        ]
        rate, _ = asyncio.run(put_up_and_let_go(daemons[0], url, seconds=0.3))
    return rate
