"""What the bridge asks all day costs the same with ten thousands of rows: every statement uses an index, on both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from bridge.model import Attachment
from bridge.store import Followup, State, Store, Together, pruning, testio
from tests.store.conftest import FILE, OWNER, START, Database, World, after, new_export

pytestmark = pytest.mark.anyio
MANY = 20_000
BIG = {"exports", "deliveries", "attempts", "issues", "followups", "errands", "looks"}
MOMENT = START.timestamp()


def numbers(database: Database, many: int = MANY) -> str:
    """A table `n` with the numbers from 1 on."""
    if database.url.startswith("sqlite"):
        return f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {many}) SELECT n FROM c) AS t"
    return f"generate_series(1, {many}) AS t(n)"


def fill(database: Database) -> None:
    """What a year leaves behind, and a tracker that has been away for a while."""
    empty = "x'7b7d'" if database.url.startswith("sqlite") else "'{}'::bytea"
    state = "CASE WHEN n % 2 = 0 THEN 'pending' WHEN n % 20 = 1 THEN 'dead' ELSE 'delivered' END"
    every, odd, ago = "n > 0", "n % 2 = 1", f"{MOMENT} - n"
    issue = {"issue_id": "'i' || n", "issue_key": "'WEB-' || n", "issue_url": "'t/' || n"}
    of_web = {"tracker": "'web'", "bug_id": "n", "export_id": "'x' || n"}
    tables: list[tuple[str, str, dict[str, str]]] = [
        ("exports", every, {
            "id": "'x' || n", "connection": "'shop'", "state": "'accepted'", "bug_id": "n", "received_at": ago,
            "identity": "'x' || n", "body": empty,
        }),
        ("deliveries", every, of_web | {
            "tracker": "CASE WHEN n % 10 = 0 THEN 'app' ELSE 'web' END", "route": "''", "on_reexport": "'comment'",
            "update_fields": "''", "state": state, "next_at": ago, "created_at": ago, "changed_at": ago,
        }),
        ("attempts", every, {
            "export_id": "'x' || n", "tracker": "'web'", "started_at": ago, "outcome": "'delivered'",
        }),
        ("issues", odd, of_web | issue | {"created_at": ago}),
        ("followups", odd, of_web | issue | {
            "kind": "'attach'", "state": "CASE WHEN n % 3 = 0 THEN 'pending' ELSE 'delivered' END",
            "next_at": ago, "changed_at": ago,
        }),
        ("errands", every, {
            "kind": "'exported'", "connection": "'shop'", "bug_id": "n", "export_id": "'x' || n", "next_at": ago,
            "state": "CASE n % 20 WHEN 0 THEN 'pending' WHEN 2 THEN 'waiting' ELSE 'delivered' END",
            "changed_at": ago,
        }),
        ("looks", odd, of_web | {"looked_at": ago, "done": "n % 3 / 2", "connection": "'shop'"}),
    ]  # fmt: skip
    for table, where, values in tables:
        chosen = f"SELECT {', '.join(values.values())} FROM {numbers(database)} WHERE {where}"
        database.rows(f"INSERT INTO {table} ({', '.join(values)}) {chosen}")
    database.rows("ANALYZE")


class Asked:
    """Every statement that is executed, with its plan."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._statements: list[tuple[str, Any]] = []
        for engine in (store._engine, store._reading_engine):
            event.listen(engine, "before_cursor_execute", self._hear)

    def _hear(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "pg_" not in statement:
            self._statements.append((statement, parameters))

    async def scans(self) -> list[tuple[str, str]]:
        """Statements that read a big table from one end to the other, and where."""
        asked, self._statements = (
            list(dict.fromkeys((sql, _hashable(given)) for sql, given in self._statements)),
            [],
        )
        assert asked
        found: list[tuple[str, str]] = []

        def explain(connection: Any, items: Any) -> Any:
            plan = _plan_of_sqlite if connection.dialect.name == "sqlite" else _plan_of_postgresql
            for sql, given in asked:
                found.extend(
                    (sql, step) for step in plan(connection, sql, dict(given) if _named(given) else given)
                )
            return items

        await self._store.write(explain, None)
        return found


def _hashable(given: Any) -> Any:
    return tuple(sorted(given.items())) if isinstance(given, dict) else tuple(given)


def _named(given: Any) -> bool:
    return bool(given) and isinstance(given[0], tuple)


def _plan_of_sqlite(connection: Any, sql: str, given: Any) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given):
        step = row[3]
        scanned = step.startswith("SCAN") and step.split()[1] in BIG | {"earlier", "later", "dead"}
        if scanned and not step.endswith("_leased"):  # an index of what is under way only
            yield step


def _plan_of_postgresql(connection: Any, sql: str, given: Any) -> Iterator[str]:
    (answer,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", given).one()
    plans = json.loads(answer) if isinstance(answer, str) else answer
    waiting = [plans[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node.get("Relation Name") in BIG and ("Seq Scan" in node["Node Type"] or _is_whole_index(node)):
            yield f"{node['Node Type']} on {node['Relation Name']} {node.get('Index Name', '')}"


def _is_whole_index(node: dict[str, Any]) -> bool:
    """Whether an index is read from one end to the other, and only then looked at."""
    return "Index" in node["Node Type"] and "Index Cond" not in node and node["Plan Rows"] > 1000


@pytest.fixture
async def asked(store: Store, database: Database) -> Asked:
    fill(database)
    return Asked(store)


@pytest.fixture
def together(database: Database) -> Together | None:
    """Limits as they are given where replicas share the store."""
    return None if database.url.startswith("sqlite") else Together(concurrency=5, interval=0.1)


async def test_claiming_and_writing_down_how_it_ended(world: World, asked: Asked, together, store: Store):
    steps: tuple[tuple[Followup, Attachment], ...] = (
        (Followup.COMPLETE, Attachment(url="")),
        (Followup.ATTACH, FILE),
    )
    batch = await world.claim(MANY, limit=3, together=together)
    assert len(batch.deliveries) == (1 if together else 3), "the rate lets one start"
    for claimed in batch.deliveries:
        await world.end(claimed, followups=steps)
    batch = await world.claim(2 * MANY, tracker="web", limit=20, circuit_after=1, together=together)
    await world.claim(2 * MANY, limit=20, together=together, under_way=frozenset({"x2", 7}))
    await store.heartbeat(OWNER, after(3 * MANY))
    await store.recover(now=after(4 * MANY))
    for step in batch.followups:
        await world.end_step(step)

    assert await asked.scans() == []


async def test_taking_in(world: World, asked: Asked, store: Store):
    intake = testio.Intake(new_export("new", 7), (testio.Errand.EXPORTED,))
    await world.accept(3)
    await world.accept(3, identity="x3")
    await store.write(testio.take_in, intake)
    await store.write(testio.take_in, testio.Intake(new_export("pulled", 9), pulled=True))

    assert await asked.scans() == []


async def test_errands(store: Store, asked: Asked):
    now = after(1).timestamp()
    due = await store.write(testio.due_errands, (now, now + 60, 20))
    assert len(due) == 20
    outcome = testio.ErrandOutcome(position=due[0].position, state=State.DELIVERED, now=now)
    await store.write(testio.record_errands, outcome)
    await store.write(testio.ripen, (now, ("x2", "x22")))
    await store.read(testio.next_errand)

    assert await asked.scans() == []


async def test_looks(store: Store, asked: Asked):
    wanted = testio.WantedLook(tracker="web", connections=("shop", "app"), before=MOMENT, held=MOMENT + 60)
    due = await store.write(testio.due_look, wanted)
    assert due is not None
    assert due.bug_id == MANY - 1 - (MANY - 1) % 3 // 2 * 2, "the one that was looked at longest ago"
    seen = testio.Looked(
        due=due, now=MOMENT, done=True, name="closed", counted=("web",), errand=testio.Errand.FIXED
    )
    await store.write(testio.looked, seen)

    assert await asked.scans() == []


async def test_deleting_what_is_old(store: Store, asked: Asked, monkeypatch):
    monkeypatch.setattr(pruning, "_STEP", 20)  # for 200 of 20 000 PostgreSQL rightly reads them all
    await store.write(pruning.prune, (after(10).timestamp(), 100))

    assert await asked.scans() == []


def test_the_test_would_notice(database: Database):
    fill(database)
    store = Store(database.url)
    look: Callable[..., Any] = _plan_of_sqlite if database.url.startswith("sqlite") else _plan_of_postgresql
    with store._reading_engine.connect() as connection:
        assert list(look(connection, "SELECT title FROM exports WHERE title = 'x'", ())) != []
    store._reading_engine.dispose()
