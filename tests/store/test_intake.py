"""Exports on their way into PostgreSQL: sent by the event loop, many at once; whatever goes wrong, each is there once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from bridge.errors import Problem, StoreError
from bridge.store import Destination, ExportState, Receipt, Store, intake, line
from bridge.store.accept import accept as write
from tests.store.conftest import Database, new_export

pytestmark = pytest.mark.anyio

SENDERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%WITH given%' AND pid <> pg_backend_pid()"
"""Whoever has last been told the statement: https://www.postgresql.org/docs/current/monitoring-stats.html"""


@pytest.fixture
def postgres(databases) -> Database:
    return Database(databases.new())


@pytest.fixture
async def opened(postgres) -> AsyncIterator[Callable[..., Awaitable[Store]]]:
    """Opens a store whose exports are sent by the event loop."""
    stores: list[Store] = []

    async def open_(url: str = postgres.url) -> Store:
        store = Store(url)
        stores.append(store)
        await asyncio.to_thread(store.open)  # a proxy may be served by this loop
        await store.accept(new_export("first"))
        await eventually(lambda: postgres.rows(SENDERS))
        await settled()
        return store

    yield open_
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened):
    return await opened()


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def settled() -> None:
    """What a thread has just done reaches the event loop."""
    await asyncio.to_thread(lambda: None)
    await asyncio.sleep(0)


async def accept(store: Store, *exports) -> list[Any]:
    """Accept them all at once; return a receipt or an error for each."""
    async with asyncio.timeout(10):
        return await asyncio.gather(*map(store.accept, exports), return_exceptions=True)


def some(many: int, **changes) -> list:
    return [new_export(f"e{number}", number, **changes) for number in range(many)]


def commits(postgres: Database, ids: str = "e%") -> list[int]:
    """How many exports were committed together each time, in order."""
    query = f"SELECT count(*) FROM exports WHERE id LIKE '{ids}' GROUP BY xmin ORDER BY min(position)"
    return [count for (count,) in postgres.rows(query)]


def ids(postgres: Database) -> list[str]:
    return [name for (name,) in postgres.rows("SELECT id FROM exports WHERE id <> 'first' ORDER BY position")]


def as_new(*exports) -> list[Receipt]:
    return [Receipt(export.id, ("web",), ExportState.ACCEPTED) for export in exports]


class TestOneAfterTheOther:
    async def test_what_is_answered_is_there_for_everybody(self, store, postgres):
        await store.accept(new_export("e1", 7, "web", "app"))

        assert postgres.rows("SELECT bug_id, state FROM exports WHERE id = 'e1'") == [(7, "accepted")]
        query = "SELECT tracker, state FROM deliveries WHERE export_id = 'e1' ORDER BY position"
        assert postgres.rows(query) == [("web", "pending"), ("app", "pending")]

    async def test_it_writes_just_what_the_writer_writes(self, store, postgres):
        given = new_export(
            "e1",
            7,
            title='Ünïcode "quoted" \\ and\ttabs',
            body=b'{"a":\r\n  "\\ud800 \xc3\xa4"}\x00',
            exported_at=new_export().received_at,
            problems=(Problem("/bug", "all's well"),),
            destinations=(
                Destination(tracker="web", route="all", on_reexport="new", update_fields=("title", "priority")),
                Destination(tracker="app", route="some"),
            ),
        )
        await store.accept(given)
        await store._writer.submit(write, replace(given, id="w1", identity="w1"))

        assert written(postgres, "e1") == written(postgres, "w1")

    async def test_one_that_was_here_before_is_answered_with_the_first(self, store):
        await store.accept(new_export("e1", 1, "web", "app", identity="same"))

        assert await store.accept(new_export("e2", identity="same")) == Receipt(
            "e1", ("web", "app"), ExportState.ACCEPTED, duplicate=True
        )


class TestManyAtOnce:
    async def test_half_goes_first_and_the_rest_right_after_it(self, store, postgres):
        exports = some(40)

        assert await accept(store, *exports) == as_new(*exports)

        assert ids(postgres) == [export.id for export in exports], "in the order they came"
        assert commits(postgres) == [20, 20]

    async def test_senders_who_go_on_stay_in_two_halves(self, store, postgres):
        """The one half sends its next while the other one is committed."""

        async def send(number):
            for time in range(4):
                await store.accept(new_export(f"e{number}-{time}", number))

        async with asyncio.timeout(10):
            await asyncio.gather(*map(send, range(16)))

        assert commits(postgres) == [8] * 8

    async def test_few_share_one_commit(self, store, postgres):
        await accept(store, *some(4))

        assert commits(postgres) == [4]

    async def test_no_more_go_together_than_the_memory_bears(self, store, postgres, monkeypatch):
        monkeypatch.setattr(intake, "LARGEST_BODIES", 3000)

        exports = some(9, body=b"x" * 1000)
        assert await accept(store, *exports) == as_new(*exports)

        assert max(commits(postgres)) == 3

    async def test_one_that_is_larger_goes_alone(self, store, postgres, monkeypatch):
        monkeypatch.setattr(intake, "LARGEST_BODIES", 10)

        await accept(store, *some(3, body=b"x" * 1000))

        assert commits(postgres) == [1, 1, 1]

    async def test_what_does_not_fit_into_the_socket_arrives_whole(self, store, postgres):
        body = bytes(range(256)) * 2**15  # 8 MiB
        await accept(store, new_export("e1", body=body))

        (kept,) = postgres.rows("SELECT encode(sha256(body), 'hex') FROM exports WHERE id = 'e1'")
        assert kept == (hashlib.sha256(body).hexdigest(),)

    async def test_the_same_fifty_times_is_one(self, store, postgres):
        receipts = await accept(store, *[replace(export, identity="same") for export in some(50)])

        assert len(ids(postgres)) == 1
        assert sum(not receipt.duplicate for receipt in receipts) == 1
        assert {receipt.export for receipt in receipts} == set(ids(postgres))

    async def test_one_that_was_here_before_among_others_is_told_apart(self, store):
        await store.accept(new_export("old", identity="same"))
        exports = some(8)
        exports[3] = replace(exports[3], identity="same")

        receipts = await accept(store, *exports)

        assert [receipt.export for receipt in receipts if receipt.duplicate] == ["old"]
        assert [receipt for receipt in receipts if not receipt.duplicate] == as_new(*exports[:3], *exports[4:])

    @pytest.mark.parametrize("text", ["a \0 that PostgreSQL cannot keep", "\ud800 that nobody can spell"])
    async def test_a_bad_one_does_not_fail_its_companions(self, store, postgres, text):
        exports = some(4)
        exports[1] = replace(exports[1], title=text)

        results = await accept(store, *exports)

        assert [isinstance(result, Receipt) for result in results] == [True, False, True, True]
        assert sorted(ids(postgres)) == ["e0", "e2", "e3"]

    async def test_too_many_waiting_are_refused(self, store, postgres, monkeypatch):
        monkeypatch.setattr(intake, "LONGEST_QUEUE", 3)

        results = await accept(store, *some(5))

        assert [type(result) for result in results] == [Receipt] * 3 + [StoreError] * 2
        assert "too much is waiting" in str(results[3])
        assert ids(postgres) == ["e0", "e1", "e2"]


class TestTheCaller:
    async def test_one_who_went_away_is_written_down_all_the_same(self, store, postgres):
        task = asyncio.create_task(store.accept(new_export("e1")))
        await asyncio.sleep(0)
        task.cancel()
        await accept(store, new_export("e2"))

        assert ids(postgres) == ["e1", "e2"]

    async def test_closing_waits_for_what_was_sent_and_for_what_waits(self, opened, postgres):
        store = await opened()
        tasks = [asyncio.create_task(store.accept(export)) for export in some(20)]
        await asyncio.sleep(0)
        await store.close()

        assert await asyncio.gather(*tasks) == as_new(*some(20))
        with pytest.raises(StoreError, match="closed"):
            await store.accept(new_export("late"))


class TestTheConnectionIsLost:
    async def test_while_nothing_is_sent_the_next_export_does_not_notice(self, store, postgres):
        end_sender(postgres)

        assert await store.accept(new_export("e1")) == as_new(new_export("e1"))[0]

    async def test_afterwards_the_event_loop_sends_again(self, store, postgres):
        end_sender(postgres)
        await settled()
        await store.accept(new_export("w1"))
        await eventually(lambda: postgres.rows(SENDERS))
        await settled()

        await accept(store, *some(40))

        assert commits(postgres) == [20, 20]

    async def test_with_the_answer_nothing_is_there_twice(self, opened, postgres):
        """It was committed, and nobody said so: the writer finds it by its id."""
        async with Proxy(postgres.url) as proxy:
            store = await opened(proxy.url)
            proxy.swallow_next = True
            exports = some(12)

            assert await accept(store, *exports) == as_new(*exports), "they are no duplicates"

            assert proxy.swallowed
            assert sorted(ids(postgres)) == sorted(export.id for export in exports)
            assert postgres.rows("SELECT count(*) FROM deliveries WHERE export_id <> 'first'") == [(12,)]
            await store.close()

    async def test_a_server_that_does_not_understand_the_statement_gets_others(self, postgres, monkeypatch):
        monkeypatch.setattr(line, "statement", lambda: b"SELECT nonsense FROM nowhere")
        store = Store(postgres.url)
        store.open()
        try:
            for export in some(3):
                assert await store.accept(export) == as_new(export)[0]
                await settled()
            asked = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT nonsense%'"
            await eventually(lambda: not postgres.rows(asked))  # nobody keeps a connection for that
        finally:
            await store.close()

        assert ids(postgres) == ["e0", "e1", "e2"]


def end_sender(postgres: Database) -> None:
    ((pid,),) = postgres.rows(SENDERS)
    assert postgres.rows(f"SELECT pg_terminate_backend({pid}, 5000)") == [(True,)]


def written(postgres: Database, name: str) -> list[tuple]:
    """Everything that is kept of an export, but for its id."""
    ours = {"position", "id", "identity", "export_id"}
    found = []
    for table, key in (("exports", "id"), ("deliveries", "export_id")):
        query = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
        columns = ", ".join(sorted({column for (column,) in postgres.rows(query)} - ours))
        rows = postgres.rows(f"SELECT {columns} FROM {table} WHERE {key} = '{name}' ORDER BY position")
        found += [tuple(str(value).replace(name, "its id") for value in row) for row in rows]
    return found


class Proxy:
    """Between a store and its server.

    Attributes:
        url: For the store.
        swallow_next: Whether the next answer of the server to an export never arrives: its connection ends instead.
        swallowed: Whether one did not.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self.swallow_next = self.swallowed = False

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._listening.sockets[0].getsockname()[1]
        self.url = self._server._replace(netloc=f"{self._server.username}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        await self._listening.wait_closed()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
        asked = False

        async def asking() -> None:
            nonlocal asked
            while data := await client.read(65536):
                asked = asked or (self.swallow_next and b"tracker_bridge_accept" in data)
                to_server.write(data)
            to_server.close()

        async def answering() -> None:
            while data := await server.read(65536):
                if asked and self.swallow_next:
                    self.swallow_next, self.swallowed = False, True
                    break
                to_client.write(data)
            to_client.close()

        await asyncio.gather(asking(), answering(), return_exceptions=True)
