"""What handing out work costs, however much of it waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from bench.load import median
from bench.rows import Row
from bridge.store import Claim
from bridge.store.claim import claim
from bridge.store.engine import open_engine, prepare
from bridge.store.schema import deliveries, exports


def claiming(folder: Path) -> list[Row]:
    """What handing out ten deliveries costs with 10, 10 000 and 1 000 000 waiting."""
    costs = {}
    for waiting in (10, 10_000, 1_000_000):
        path = folder / f"claim-{waiting}.db"
        costs[waiting] = _claim_cost(f"sqlite:///{path}", waiting)
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
