"""Moving a store: everything arrives, is compared, and whoever breaks it off has changed nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bridge.errors import StoreError
from bridge.store import Followup, Store, copying
from bridge.store.copying import TABLES, copy
from tests.store.conftest import FILE, Database, World, after, new_export

pytestmark = pytest.mark.anyio


def nothing(_table: str, _done: int, _total: int) -> None:
    """Show no progress."""


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A store in which something happened: five exports, a delivered one among them, one under way."""
    url = f"sqlite:///{tmp_path}/old.db"

    async def fill() -> None:
        store = Store(url)
        store.open()
        world = World(store)
        await world.delivered(followups=((Followup.ATTACH, FILE),))
        for bug in range(2, 6):
            await world.accept(bug, "web", "app", body=bytes(range(256)), title="ä \0 ü")
        await world.claim(2, limit=1)
        await store.close()

    asyncio.run(fill())
    return url


def test_every_row_of_every_table_arrives(source, databases):
    target = databases.new()
    told: list[tuple[str, int, int]] = []

    counts = copy(source, target, lambda *what: told.append(what))

    old, new = Database(source), Database(target)
    assert counts["exports"] == 5
    assert counts["deliveries"] == 9
    for table in TABLES:
        key = ", ".join(column.name for column in table.primary_key.columns)
        query = f"SELECT {', '.join(column.name for column in table.columns)} FROM {table.name} ORDER BY {key}"
        sent = [tuple(v.replace("\0", "") if isinstance(v, str) else v for v in row) for row in old.rows(query)]
        assert new.rows(query) == sent
        assert (table.name, counts[table.name], counts[table.name]) in told


async def test_the_bridge_goes_on_where_it_was(source, databases):
    target = databases.new()
    await asyncio.to_thread(copy, source, target, nothing)
    store = Store(target)
    store.open()
    world = World(store)
    try:
        await store.recover(now=after(100), everything=True)
        await store.accept(new_export("new", 6))
        assert await world.claimed_exports(100) == ["e2", "e3", "e4", "e5", "new"]
    finally:
        await store.close()


def test_a_target_that_holds_anything_is_refused(source, databases):
    target = databases.new()
    copy(source, target, nothing)

    with pytest.raises(StoreError, match=r"the target is not empty \(there are .*\): give an empty database"):
        copy(source, target, nothing)


def test_broken_off_it_leaves_the_target_empty_and_can_be_repeated(source, databases):
    target = databases.new()

    def break_off(table: str, done: int, total: int) -> None:
        if table == "exports" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, break_off)
    assert Database(target).rows("SELECT count(*) FROM attempts") == [(0,)]
    assert copy(source, target, nothing)["exports"] == 5


def test_a_row_that_changed_on_the_way_is_noticed(source, databases):
    target = databases.new()
    spoiled = Database(target)
    spoiled.rows(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.title = NEW.title || '!'; RETURN NEW; END $$"
    )
    spoiled.rows("CREATE TRIGGER spoil BEFORE INSERT ON exports FOR EACH ROW EXECUTE FUNCTION spoil()")

    with pytest.raises(StoreError, match="the table exports did not arrive as it was"):
        copy(source, target, nothing)
    assert spoiled.rows("SELECT count(*) FROM exports") == [(0,)]


def test_a_store_in_use_is_refused(source, databases):
    store = Store(source)
    store.open()
    try:
        with pytest.raises(StoreError, match="another tracker-bridge is using old"):
            copy(source, databases.new(), nothing)
    finally:
        asyncio.run(store.close())


def test_a_file_that_is_not_there_is_said_and_not_made(tmp_path, databases):
    with pytest.raises(StoreError, match="there is no store at"):
        copy(f"sqlite:///{tmp_path}/none.db", databases.new(), nothing)
    assert list(tmp_path.iterdir()) == []


def test_onto_itself_is_refused(source):
    with pytest.raises(StoreError, match="the same store"):
        copy(source, source, nothing)


def test_back_into_a_file_it_goes_as_well(source, databases, tmp_path):
    middle, back = databases.new(), f"sqlite:///{tmp_path}/back.db"
    there = copy(source, middle, nothing)

    assert copy(middle, back, nothing) == there
    with sqlite3.connect(tmp_path / "back.db") as connection:
        assert connection.execute("SELECT max(position) FROM deliveries").fetchone() == (9,)


def test_large_tables_go_over_in_parts(source, databases, monkeypatch):
    monkeypatch.setattr(copying, "_AT_ONCE", 2)
    told: list[tuple[str, int, int]] = []

    copy(source, databases.new(), lambda *what: told.append(what))

    assert [done for table, done, _ in told if table == "exports"] == [0, 2, 4, 5]
