"""Writing exports down: durable before it is answered, many in one commit, each for itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bridge.errors import Problem, StoreError
from bridge.store import Destination, ExportState, Receipt, Selection, Store, reading, writer
from bridge.store.engine import open_engine
from tests import postgresql
from tests.store.conftest import World, new_export

pytestmark = pytest.mark.anyio


def rows(file: Path, query: str) -> list[tuple]:
    """What another process sees in the file."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def commits(file: Path) -> int:
    """How many transactions were committed, as the write-ahead log tells: https://www.sqlite.org/fileformat2.html"""
    log = Path(f"{file}-wal").read_bytes()
    page_size = int.from_bytes(log[8:12])
    frames = range(32, len(log), 24 + page_size)
    return sum(int.from_bytes(log[frame + 4 : frame + 8]) > 0 for frame in frames)


async def pragma(store: Store, name: str) -> Any:
    def ask(connection, items):
        return [_first(connection.exec_driver_sql(f"PRAGMA {name}")) for _ in items]

    return await store._writer.submit(ask, None)


def _first(result):
    return result.scalar() if result.returns_rows else None


class Held:
    """Keeps the writer busy, so that everything submitted meanwhile shares the next commit."""

    def __init__(self, store: Store) -> None:
        self._store, self._let_go, self._begun = store, threading.Event(), threading.Event()

    def _hold(self, _connection, items):
        self._begun.set()
        assert self._let_go.wait(10)
        return list(items)

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._store._writer.submit(self._hold, None))
        await asyncio.to_thread(self._begun.wait, 10)

    async def __aexit__(self, *_: object) -> None:
        self._let_go.set()
        await self._task


async def submitted(*waiting):
    """Start these, and return once each waits for the writer."""
    tasks = [asyncio.create_task(one) for one in waiting]
    await asyncio.sleep(0)
    return tasks


async def test_what_was_accepted_is_in_the_file_before_it_is_answered(world, file):
    await world.accept(7, "web", "app")

    assert rows(file, "SELECT id, bug_id, state FROM exports") == [("e1", 7, "accepted")]
    assert rows(file, "SELECT tracker, state FROM deliveries ORDER BY position") == [
        ("web", "pending"),
        ("app", "pending"),
    ]


@pytest.mark.usefixtures("file")
async def test_a_commit_reaches_the_disk_before_it_counts(store):
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2, "FULL: SQLite calls fsync at every commit"


@pytest.mark.parametrize(
    ("set_there", "holds"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")]
)
async def test_postgresql_too_whatever_is_set_for_the_database_unless_that_is_stricter(
    databases, set_there, holds
):
    url = databases.new()
    name = url.rpartition("/")[2]
    with postgresql.connect(url) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = '{set_there}'")
    engine = open_engine(url, writes=True)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == holds
    engine.dispose()


async def test_the_body_is_kept_byte_for_byte(world):
    body = b'{"a":\r\n  "\\ud800 \xc3\xa4"}\x00'
    await world.accept(body=body)

    assert (await world.claim_one()).body == body


class TestTheSameExport:
    async def test_it_is_answered_with_the_first_one(self, world):
        first = await world.accept(1, "web", "app", identity="same")

        assert await world.accept(1, "web", identity="same") == Receipt(
            first.export, ("web", "app"), ExportState.ACCEPTED, duplicate=True
        )

    async def test_a_rejected_one_too(self, world):
        problems = {"state": ExportState.REJECTED, "destinations": (), "problems": (Problem("/bug", "no"),)}
        await world.accept(identity="same", **problems)

        assert await world.accept(identity="same", **problems) == Receipt(
            "e1", (), ExportState.REJECTED, duplicate=True
        )

    async def test_fifty_at_once_are_one(self, store, file):
        same = [new_export(f"e{number}", identity="same") for number in range(50)]

        receipts = await asyncio.gather(*(store.accept(export) for export in same))

        assert rows(file, "SELECT count(*) FROM exports") == [(1,)]
        assert rows(file, "SELECT count(*) FROM deliveries") == [(1,)]
        assert len({receipt.export for receipt in receipts}) == 1
        assert sum(not receipt.duplicate for receipt in receipts) == 1
        assert {receipt.trackers for receipt in receipts} == {("web",)}


class TestGroupCommit:
    @pytest.mark.parametrize(("many", "shared"), [(4, 1), (200, 2)])
    async def test_what_waits_while_a_commit_is_under_way_shares_the_next(self, store, file, many, shared):
        await store.accept(new_export("first"))
        before = commits(file)

        async with Held(store):
            tasks = await submitted(*(store.accept(new_export(f"e{number}", number)) for number in range(many)))
        await asyncio.gather(*tasks)

        assert rows(file, "SELECT count(*) FROM exports") == [(many + 1,)]
        assert commits(file) == before + shared, "the one which held it up wrote nothing"

    async def test_of_much_half_goes_first_and_is_answered_while_the_other_half_is_written(self, store):
        written: list[list[int]] = []
        answered, answered_meanwhile = threading.Event(), list[bool]()

        def write(_connection, items):
            answered_meanwhile.append(answered.wait(10 if written else 0))
            written.append(list(items))
            return items

        async def each(number):
            await store._writer.submit(write, number)
            answered.set()

        async with Held(store):
            tasks = await submitted(*(each(number) for number in range(200)))
        await asyncio.gather(*tasks)

        assert [len(items) for items in written] == [100, 100]
        assert [item for items in written for item in items] == list(range(200)), "in the order they came"
        assert answered_meanwhile == [False, True]

    async def test_alone_nothing_waits_for_company(self, store, file):
        await store.accept(new_export("first"))
        before = commits(file)

        for number in range(3):
            await store.accept(new_export(f"e{number}", number))

        assert commits(file) == before + 3

    async def test_exports_share_a_commit_with_other_work_as_well(self, store, file, world):
        await store.accept(new_export("first", 1, "app"))
        claimed = await world.claim_one(tracker="app")
        before = commits(file)

        async with Held(store):
            end = asyncio.create_task(world.end(claimed))
            tasks = await submitted(*(store.accept(new_export(f"e{number}", number)) for number in range(3)))
        await asyncio.gather(end, *tasks)

        assert rows(file, "SELECT count(*) FROM exports") == [(4,)]
        assert commits(file) == before + 1

    async def test_one_bad_item_does_not_fail_its_companions(self, store, file):
        async with Held(store):
            bad = new_export("e2", title=None)
            waiting = (new_export("e1"), bad, new_export("e3"), new_export("e3", identity="another"))
            tasks = await submitted(*(store.accept(export) for export in waiting))
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(result) for result in results] == [Receipt, StoreError, Receipt, StoreError]
        assert rows(file, "SELECT id FROM exports ORDER BY id") == [("e1",), ("e3",)]

    async def test_an_error_that_is_no_database_error_reaches_its_own_caller_as_it_is(self, store):
        def broken(_connection, _items):
            raise KeyError("a bug")

        async with Held(store):
            tasks = await submitted(store._writer.submit(broken, None), store.accept(new_export()))
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert isinstance(results[0], KeyError)
        assert isinstance(results[1], Receipt)

    async def test_a_caller_who_went_away_is_written_down_all_the_same(self, store, file):
        async with Held(store):
            (task,) = await submitted(store.accept(new_export()))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await store.probe()

        assert rows(file, "SELECT id FROM exports") == [("e1",)]

    async def test_closing_writes_what_still_waits_and_then_refuses(self, file):
        store = Store(f"sqlite:///{file}")
        store.open()
        async with Held(store):
            (task,) = await submitted(store.accept(new_export()))
            closing_ = asyncio.create_task(store.close())
            await asyncio.sleep(0)
        await closing_

        assert (await task).export == "e1"
        with pytest.raises(StoreError, match="closed"):
            await store.accept(new_export("e2"))

    async def test_closing_between_two_halves_leaves_none_behind(self, file):
        store = Store(f"sqlite:///{file}")
        store.open()
        written: list[list[int]] = []
        begun, closing = threading.Event(), threading.Event()

        def write(_connection, items):
            begun.set()
            assert closing.wait(10)
            written.append(list(items))
            return items

        async with Held(store):
            tasks = await submitted(*(store._writer.submit(write, number) for number in range(200)))
        await asyncio.to_thread(begun.wait, 10)
        closed = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        closing.set()
        await asyncio.wait([closed, *tasks], timeout=10)

        assert written == [list(range(100)), list(range(100, 200))]
        assert all(task.done() for task in tasks)

    def test_an_event_loop_that_is_gone_does_not_stop_the_writer(self, file):
        store = Store(f"sqlite:///{file}")
        store.open()

        async def leave():
            hold = Held(store)
            await hold.__aenter__()
            await submitted(store.accept(new_export()))
            return hold

        loop = asyncio.new_event_loop()
        hold = loop.run_until_complete(leave())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        hold._let_go.set()

        assert asyncio.run(store.accept(new_export("e2"))).export == "e2"
        asyncio.run(store.close())


class TestWhenNothingCanBeWritten:
    async def test_a_full_disk_is_said_and_nothing_is_changed_and_it_goes_on_when_there_is_room(self, store, file):
        pages = await pragma(store, "page_count")
        await pragma(store, f"max_page_count={pages + 2}")

        with pytest.raises(StoreError, match="full"):
            await store.accept(new_export(body=b"x" * 100_000))
        with pytest.raises(StoreError, match="full"):
            await asyncio.gather(*(store.accept(new_export(f"f{n}", body=b"x" * 9000)) for n in range(20)))
        assert rows(file, "SELECT count(*) FROM deliveries WHERE export_id = 'e1'") == [(0,)]

        await pragma(store, "max_page_count=100000")
        assert (await store.accept(new_export(body=b"x" * 100_000))).duplicate is False

    async def test_a_lock_of_somebody_else_is_waited_for_only_briefly(self, store, file, monkeypatch):
        await pragma(store, "busy_timeout=100")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with pytest.raises(StoreError, match="locked"):
                await store.accept(new_export())
            assert time.monotonic() - began < 2

            other.execute("ROLLBACK")
        assert (await store.accept(new_export())).export == "e1"

    async def test_a_batch_that_meets_a_lock_waits_for_it_once_and_not_for_each_item(self, store, file):
        await pragma(store, "busy_timeout=100")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            exports = [new_export(f"e{number}", number) for number in range(40)]
            results = await asyncio.gather(*map(store.accept, exports), return_exceptions=True)

        assert {type(result) for result in results} == {StoreError}
        assert time.monotonic() - began < 2, "forty times a tenth of a second would be four"

    async def test_too_many_waiting_are_refused_at_once(self, store, monkeypatch):
        monkeypatch.setattr(writer, "LONGEST_QUEUE", 3)  # the one that is held counts too
        async with Held(store):
            tasks = await submitted(*(store.accept(new_export(f"e{number}")) for number in range(3)))
            with pytest.raises(StoreError, match="too much is waiting"):
                await tasks[2]
        assert [(await task).export for task in tasks[:2]] == ["e0", "e1"]

    async def test_a_probe_says_whether_it_could_write_now(self, store, file):
        await store.probe()
        await pragma(store, "query_only=ON")
        with pytest.raises(StoreError, match="readonly"):
            await store.probe()

    async def test_reading_says_what_is_wrong(self, store):
        with pytest.raises(StoreError, match=r"cannot be read: .*nowhere"):
            await store.read(lambda connection: connection.execute(text("SELECT * FROM nowhere")))


class TestOpening:
    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_a_store_needs_a_file(self, url):
        with pytest.raises(StoreError, match="sqlite:///FILE"):
            Store(url)

    def test_a_database_it_cannot_use_is_named(self):
        with pytest.raises(StoreError, match="cannot use mysql"):
            Store("mysql://user:pw@host/db")

    async def test_a_second_store_on_the_same_file_is_refused(self, store, file):
        with pytest.raises(StoreError, match=r"another tracker-bridge is using bridge.db"):
            Store(f"sqlite:///{file}").open()

    async def test_once_the_first_is_closed_the_next_finds_everything(self, file):
        for name in ("e1", "e2"):
            store = Store(f"sqlite:///{file}")
            store.open()
            await store.accept(new_export(name))
            await store.close()

        assert rows(file, "SELECT id FROM exports") == [("e1",), ("e2",)]

    def test_a_file_that_is_no_database_is_refused_and_the_lock_given_back(self, file):
        file.write_text("this is a text, and long enough to be seen as one by whoever looks at it")
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be opened: file is not a database"):
                Store(f"sqlite:///{file}").open()

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be opened"):
            Store(f"sqlite:///{tmp_path}/file/bridge.db").open()

    def test_the_lock_is_readable_by_its_owner_only(self, file):
        Store(f"sqlite:///{file}").open()

        assert Path(f"{file}.lock").stat().st_mode & 0o077 == 0


async def test_an_unrouted_export_is_kept_and_has_no_deliveries(world: World):
    await world.accept(state=ExportState.UNROUTED, destinations=())

    (shown,) = await world.read(reading.list_exports, Selection())
    assert (shown["state"], shown["deliveries"]) == ("unrouted", [])


async def test_where_each_export_makes_an_issue_of_its_own_each_has_its_own_marker(world: World):
    to = (Destination(tracker="web"), Destination(tracker="app", on_reexport="new"))
    await world.accept(destinations=to)

    assert (await world.claim_one()).marker_suffix == ""
    assert (await world.claim_one(tracker="app")).marker_suffix == "e1"


async def test_what_shares_a_commit_stays_in_the_order_in_which_it_came(world: World):
    """Exports of one bug are delivered in this order, whichever way each of them goes."""
    ways = [("web", "app"), ("app",), ("web",), ("app", "web")]
    coming = [new_export(f"e{number}", 1, *ways[number % 4]) for number in range(200)]

    async with Held(world.store):
        tasks = await submitted(*(world.store.accept(export) for export in coming))
    await asyncio.gather(*tasks)

    def in_order(connection: Connection) -> list[tuple[str, str]]:
        rows = connection.execute(text("SELECT export_id, tracker FROM deliveries ORDER BY position"))
        return [(row.export_id, row.tracker) for row in rows]

    assert await world.store.read(in_order) == [
        (each.id, to.tracker) for each in coming for to in each.destinations
    ]
