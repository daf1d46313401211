"""Several stores on one database: what is handed out, limited, paused and counted holds for all of them together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.errors import NotAllowed, Unavailable
from bridge.model import Issue
from bridge.store import Claim, Effect, Followup, News, Store, Together, postgresql, testio
from bridge.store.engine import open_engine
from bridge.store.migrate import migrate
from bridge.store.schema import HEAD
from tests import postgresql as server
from tests.store.conftest import FILE, ISSUE, LEASE, Database, World, after, new_export

pytestmark = pytest.mark.anyio
NO_LIMIT = Together(concurrency=1000)


@pytest.fixture
def url(databases) -> str:
    address: str = databases.new()
    return address


@pytest.fixture
async def two(url) -> AsyncIterator[tuple[World, World]]:
    """Two replicas."""
    stores = [Store(url), Store(url)]
    for store in stores:
        store.open()
    yield World(stores[0]), World(stores[1])
    for store in stores:
        await store.close()


async def claim(world: World, owner: str, seconds: float = 1, **changes):
    """Claim as a replica does; again, where the other one had the turn."""
    wanted = Claim(
        tracker="web", owner=owner, limit=10, now=after(seconds), lease=LEASE, circuit_after=3, together=NO_LIMIT
    )
    wanted = replace(wanted, **changes)
    return await world.store.claim(wanted)


def ids(batch) -> list[str]:
    return [claimed.export_id for claimed in batch.deliveries]


class TestTheSameExport:
    async def test_posted_to_both_at_once_it_is_one(self, two, url):
        same = [new_export(f"e{number}", identity="same") for number in range(40)]

        receipts = await asyncio.gather(*(two[n % 2].store.accept(one) for n, one in enumerate(same)))

        assert len({receipt.export for receipt in receipts}) == 1
        assert [receipt.duplicate for receipt in receipts].count(False) == 1
        assert Database(url).rows("SELECT count(*) FROM deliveries") == [(1,)]

    async def test_many_in_opposite_orders_block_nobody_for_ever(self, two):
        """Two transactions that insert the same in opposite orders: the database ends one, and it is done again."""
        forth = [new_export(f"a{number}", identity=f"i{number}") for number in range(50)]
        back = [new_export(f"b{number}", identity=f"i{number}") for number in reversed(range(50))]

        answers = await asyncio.gather(
            *(two[0].store.accept(one) for one in forth), *(two[1].store.accept(one) for one in back)
        )

        assert len({receipt.export for receipt in answers}) == 50

    async def test_pulled_by_one_while_its_webhook_reaches_the_other_it_is_one(self, two, url):
        for bug in range(1, 21):
            posted = testio.Intake(new_export(f"posted{bug}", bug, exported_at=after(-5)))
            pulled = testio.Intake(new_export(f"pulled{bug}", bug), pulled=True)
            await asyncio.gather(
                two[0].store.write(testio.take_in, posted), two[1].store.write(testio.take_in, pulled)
            )

        assert Database(url).rows("SELECT count(*) FROM exports") == [(20,)]


class TestHandingOut:
    async def test_nothing_is_handed_out_twice(self, two):
        for bug in range(30):
            await two[0].accept(bug)

        taken: list[str] = []
        while len(taken) < 30:
            batches = await asyncio.gather(claim(two[0], "a", limit=3), claim(two[1], "b", limit=3))
            taken += [export for batch in batches for export in ids(batch)]

        assert sorted(taken) == sorted(f"e{n}" for n in range(1, 31))

    async def test_who_comes_while_another_has_the_turn_waits_for_nobody_and_asks_again_soon(self, two, url):
        await two[0].accept(1)
        await claim(two[0], "a", limit=0)  # makes the tracker's row
        engine = open_engine(url, writes=True)
        with engine.begin() as other:
            other.exec_driver_sql("SELECT * FROM trackers WHERE name = 'web' FOR UPDATE")
            batch = await claim(two[1], "b")
        engine.dispose()

        assert (batch.deliveries, batch.next_at) == ((), after(1.01))
        assert ids(await claim(two[1], "b")) == ["e1"]

    async def test_a_bug_goes_in_order_whoever_has_it(self, two):
        for _ in range(3):
            await two[0].accept(7)

        (first,) = (await claim(two[0], "a")).deliveries
        assert ids(await claim(two[1], "b")) == []
        await two[0].end(first, owner="a")
        assert ids(await claim(two[1], "b", seconds=2)) == ["e2"]
        assert ids(await claim(two[0], "a", seconds=2)) == []

    async def test_other_trackers_are_not_held_up(self, two, url):
        await two[0].accept(1, "web", "app")
        await claim(two[0], "a", limit=0)
        engine = open_engine(url, writes=True)
        with engine.begin() as other:
            other.exec_driver_sql("SELECT * FROM trackers WHERE name = 'web' FOR UPDATE")
            assert ids(await claim(two[1], "b", tracker="app")) == ["e1"]
        engine.dispose()

    async def test_what_was_claimed_and_never_arrived_is_given_back_at_the_next_claim(self, two):
        """The connection broke when the claim was to be committed: nobody knows of it."""
        for bug in range(3):
            await two[0].accept(bug)
        known, *_ = ids(await claim(two[0], "a"))

        batch = await claim(two[0], "a", under_way=frozenset({known}))

        assert [(each.export_id, each.attempt) for each in batch.deliveries] == [("e2", 1), ("e3", 1)]

    async def test_it_is_given_back_as_well_where_another_has_the_turn(self, two, url):
        """That claim is answered, so it is the last one that says what is known."""
        await two[0].accept(1)
        await claim(two[0], "a")
        engine = open_engine(url, writes=True)
        with engine.begin() as other:
            other.exec_driver_sql("SELECT * FROM trackers WHERE name = 'web' FOR UPDATE")
            assert ids(await claim(two[0], "a", under_way=frozenset())) == []
        engine.dispose()

        assert ids(await claim(two[1], "b")) == ["e1"]


class TestLimits:
    async def test_concurrency_is_counted_over_all(self, two):
        for bug in range(10):
            await two[0].accept(bug)
        four = Together(concurrency=4)

        first = await claim(two[0], "a", limit=3, together=four)
        second = await claim(two[1], "b", limit=3, together=four)
        third = await claim(two[1], "b", limit=3, together=four)

        assert [len(batch.deliveries) for batch in (first, second, third)] == [3, 1, 0]
        assert third.next_at is not None, "there is more: it asks again"
        await two[0].end(first.deliveries[0], owner="a")
        assert len((await claim(two[1], "b", seconds=2, limit=3, together=four)).deliveries) == 1

    async def test_follow_ups_count_as_well(self, two):
        await two[0].delivered(followups=((Followup.ATTACH, FILE), (Followup.COMPLETE, FILE)))
        await two[0].accept(2)
        two_at_once = Together(concurrency=2)

        batch = await claim(two[0], "a", seconds=2, together=two_at_once)
        assert (len(batch.deliveries), len(batch.followups)) == (1, 1)
        assert (await claim(two[1], "b", seconds=2, together=two_at_once)).followups == ()

    async def test_the_rate_is_one_bucket_for_all(self, two):
        for bug in range(10):
            await two[0].accept(bug)
        one_a_second = Together(concurrency=100, interval=1.0)

        async def taken(world: World, owner: str, seconds: float) -> int:
            return len((await claim(world, owner, seconds, together=one_a_second)).deliveries)

        assert await taken(two[0], "a", 1) == 1
        assert await taken(two[1], "b", 1) == 0
        assert await taken(two[1], "b", 1.5) == 0
        assert await taken(two[1], "b", 2) == 1
        assert await taken(two[0], "a", 2) == 0
        assert await taken(two[0], "a", 9) == 1, "what was not used is not saved up"

    async def test_it_says_when_the_rate_lets_start_again(self, two):
        for bug in range(3):
            await two[0].accept(bug)
        limits = Together(concurrency=100, interval=5.0)
        await claim(two[0], "a", together=limits)

        assert (await claim(two[1], "b", seconds=2, together=limits)).next_at == after(6)

    async def test_a_pause_of_one_holds_for_the_other(self, two):
        await two[0].accept(1)
        await two[0].store.pause("web", "a person says so", by="person", now=after(0))

        batch = await claim(two[1], "b")
        assert (batch.deliveries, batch.paused) == ((), "a person says so")
        await two[1].store.resume("web")
        assert ids(await claim(two[0], "a")) == ["e1"]

    async def test_refused_credentials_pause_it_for_both(self, two):
        await two[0].accept(1)
        (claimed,) = (await claim(two[0], "a")).deliveries
        await two[0].fail(claimed, NotAllowed("expired"), owner="a", effect=Effect(pause="expired"))

        assert (await claim(two[1], "b", seconds=2)).paused == "expired"

    async def test_a_circuit_that_is_half_open_lets_one_through_and_not_one_each(self, two):
        for bug in range(5):
            await two[0].accept(bug)
        down = Effect(failed=True, circuit_after=1, circuit_until=after(5))
        (claimed,) = (await claim(two[0], "a", limit=1, circuit_after=1)).deliveries
        await two[0].fail(claimed, Unavailable("down"), owner="a", effect=down)

        assert (await claim(two[1], "b", seconds=2, circuit_after=1)).next_at == after(5)
        assert len((await claim(two[1], "b", seconds=6, circuit_after=1)).deliveries) == 1
        assert len((await claim(two[0], "a", seconds=6, circuit_after=1)).deliveries) == 0


class TestFencing:
    async def test_a_replica_whose_lease_ran_out_writes_no_outcome(self, two, url):
        await two[0].accept(1)
        (late,) = (await claim(two[0], "a")).deliveries
        assert await two[1].store.recover(now=after(100)) == 1
        (ours,) = (await claim(two[1], "b", seconds=101)).deliveries
        assert ours.doubt_since == after(100), "it looks first, whether an issue was made until then"

        effect = Effect(pause="not for you")
        assert await two[0].fail(late, Unavailable("late"), owner="a", effect=effect) is False
        assert await two[1].end(ours, owner="b") is True
        assert Database(url).rows("SELECT paused_reason FROM trackers") == [("",)]
        assert await two[0].end(late, owner="a", issue=Issue(id="2", key="WEB-2", url="https://t/2")) is False
        assert Database(url).rows("SELECT issue_key FROM issues") == [(ISSUE.key,)]

    async def test_an_issue_that_it_made_is_known_where_no_other_is(self, two, url):
        await two[0].accept(1)
        (late,) = (await claim(two[0], "a")).deliveries
        await two[1].store.recover(now=after(100))

        assert await two[0].end(late, owner="a") is False
        (again,) = (await claim(two[1], "b", seconds=101)).deliveries
        assert again.known is not None
        assert again.known.issue == ISSUE

    async def test_a_follow_up_neither(self, two):
        await two[0].delivered(followups=((Followup.ATTACH, FILE),))
        (late,) = (await claim(two[0], "a", seconds=2)).followups
        await two[1].store.recover(now=after(100))
        (again,) = (await claim(two[1], "b", seconds=101)).followups

        assert await two[0].end_step(late, owner="a") is False
        assert await two[1].end_step(again, owner="b") is True

    async def test_a_heartbeat_says_what_is_still_held(self, two):
        for bug in (1, 2):
            await two[0].accept(bug)
            await claim(two[0], "a", limit=1)
        await two[0].accept(3)
        await claim(two[1], "b")

        assert await two[0].store.heartbeat("a", after(500)) == {("e1", "web"), ("e2", "web")}
        await two[1].store.recover(now=after(600))
        assert await two[0].store.heartbeat("a", after(700)) == frozenset()

    async def test_two_that_take_back_at_once_take_each_back_once(self, two):
        for bug in range(20):
            await two[0].accept(bug)
        await claim(two[0], "a", limit=20)

        counts = await asyncio.gather(*(world.store.recover(now=after(100)) for world in two))

        assert sum(counts) == 20


class TestErrandsAndLooks:
    async def test_an_errand_is_one_replicas(self, two):
        for bug in range(1, 9):
            export = new_export(f"e{bug}", bug)
            await two[0].store.write(testio.take_in, testio.Intake(export, (testio.Errand.ENRICH,)))
        wanted = (after(1).timestamp(), after(60).timestamp(), 4)

        due = await asyncio.gather(*(world.store.write(testio.due_errands, wanted) for world in two))

        assert sorted(errand.bug_id for each in due for errand in each) == list(range(1, 9))

    async def test_an_issue_is_looked_at_by_one(self, two):
        await two[0].delivered(followups=())
        look = testio.WantedLook(
            tracker="web", connections=("shop",), before=after(100).timestamp(), held=after(160).timestamp()
        )

        seen = await asyncio.gather(*(world.store.write(testio.due_look, look) for world in two))

        assert [each is None for each in seen].count(True) == 1
        later = replace(look, before=after(161).timestamp())
        assert (await two[1].store.write(testio.due_look, later)) is not None


class TestNews:
    async def test_what_one_takes_in_the_other_hears_of(self, two):
        heard: list[News] = []
        two[1].store.listen(heard.append)
        await eventually(lambda: heard)  # at first: look at everything

        await two[0].accept(1, "web", "app")
        await two[0].store.pause("web", "no", by="person", now=after(0))

        await eventually(lambda: News("changed", ("web",)) in heard)
        assert heard[0] == News("missed")
        assert {name for news in heard if news.kind == "work" for name in news.trackers} == {"web", "app"}

    async def test_nobody_hears_himself(self, two):
        heard: list[News] = []
        two[0].store.listen(heard.append)
        await eventually(lambda: heard)

        await two[0].accept(1)
        await two[1].accept(2, "app", id="other", identity="other")

        await eventually(lambda: len(heard) > 1)
        assert heard[1] == News("work", ("app",))


class TestTheFirstStart:
    async def test_many_at_once_on_an_empty_database_make_the_tables_once(self, databases):
        url = databases.new("template1")

        open_at_once(url, 5)

        assert Database(url).rows("SELECT version_num FROM alembic_version") == [(HEAD,)]
        assert len(Database(url).rows("SELECT * FROM compatibility")) == 1

    async def test_many_at_once_on_an_older_schema_migrate_it_once(self, databases):
        url = databases.new("template1")
        engine = open_engine(url, writes=True)
        with engine.begin() as connection:
            migrate(connection, "nothing", to="0002")
        engine.dispose()

        open_at_once(url, 5)

        assert Database(url).rows("SELECT version_num FROM alembic_version") == [(HEAD,)]

    async def test_what_migrations_made_there_is_what_the_program_makes(self, databases, url):
        migrated = databases.new("template1")
        engine = open_engine(migrated, writes=True)
        with engine.begin() as connection:
            migrate(connection, "nothing")
        engine.dispose()
        columns = "table_name, column_name, data_type, is_nullable, column_default"
        described = (
            f"SELECT {columns} FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
            "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
        )

        for query in described:
            made = [row for row in Database(url).rows(query) if row[0] != "alembic_version"]
            assert [row for row in Database(migrated).rows(query) if row[0] != "alembic_version"] == made

    async def test_a_newer_schema_that_only_adds_is_used_by_this_program_as_well(self, two, url):
        """A rolling restart: a newer replica migrated, and this one goes on, even when it is started once more."""
        await two[0].accept(1)
        newer = Database(url)
        newer.rows("ALTER TABLE deliveries ADD COLUMN mood text NOT NULL DEFAULT 'good'")
        newer.rows("ALTER TABLE exports ADD COLUMN colour text")
        newer.rows("CREATE TABLE pets (name text)")
        newer.rows("UPDATE alembic_version SET version_num = '0004'")

        await two[0].accept(2)
        batch = await claim(two[1], "b")
        assert ids(batch) == ["e1", "e2"]
        assert await two[1].end(batch.deliveries[0], owner="b") is True
        late = Store(url)
        late.open()
        await late.close()
        assert newer.rows("SELECT version_num FROM alembic_version") == [("0004",)]


class TestTheServerIsAway:
    async def test_what_was_connected_before_a_restart_serves_the_first_export_after_it(self, own_server):
        store = Store(own_server.url("postgres"))
        store.open()
        await store.accept(new_export("e1"))
        await store.read(postgresql.ring, [])
        own_server.stop()
        own_server.start()

        assert (await store.accept(new_export("e2", 2))).export == "e2"
        await store.read(postgresql.ring, [])
        await store.close()


@pytest.fixture
def own_server(databases):
    """A server of this test alone, which it may stop."""
    with server.running() as own:
        yield own


def open_at_once(url: str, many: int) -> None:
    """Open stores in as many threads, all let go at the same moment."""
    gate, errors = threading.Barrier(many), list[Exception]()

    def work() -> None:
        store = Store(url)
        gate.wait(10)
        try:
            store.open()
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        asyncio.run(store.close())

    threads = [threading.Thread(target=work) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


async def eventually(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
