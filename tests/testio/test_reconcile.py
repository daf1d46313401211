"""Exports that never came: found at test IO, taken in once, whatever the webhook does after all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from bridge.clock import SystemClock
from bridge.store import reading
from tests.testio.bridging import SECRET, running, tables, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(sandbox):
    return sandbox(allow_http=True, bugs=6)


def requested(world, *bugs: int) -> None:
    for bug in bugs:
        world.bugs[bug].export_status = "export_requested"


async def reconcile(run, **wish):
    return await run.call("POST", "/api/reconcile", wish)


async def test_what_never_came_is_taken_in_as_an_export_of_its_connection(world, tmp_path):
    requested(world, 101, 102)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        result = await reconcile(run)
        await run.finish()

        assert [each["bug"] for each in result["taken"]] == [101, 102]
        assert [each["deliveries"] for each in result["taken"]] == [["web"], ["web"]]
        exports = await run.exports()
        assert {(each["connection"], each["bug_id"]) for each in exports} == {("shop", 101), ("shop", 102)}
        draft = run.tracker().drafts["1"]
        assert draft.bug.product_id == world.bugs[draft.bug.id].product.id
        assert draft.bug.link == f"{world.url}/bugs/{draft.bug.id}"


async def test_again_it_takes_in_nothing(world, tmp_path):
    requested(world, 101)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        await reconcile(run)
        again = await reconcile(run)

        assert (again["missing"], again["taken"]) == ([], [])


async def test_what_came_is_not_missing(world, tmp_path):
    requested(world, 101, 102)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        await run.post(world.payload(world.bugs[101], datetime.now(UTC)))
        result = await reconcile(run)

        assert [each["bug"] for each in result["taken"]] == [102]


@pytest.mark.parametrize("policy", ["comment", "new"])
async def test_its_webhook_that_comes_late_is_the_same_export(policy, world, tmp_path):
    clicked = datetime.now(UTC)
    requested(world, 101)
    routes = [{"trackers": ["web"], "on_reexport": policy}]
    async with running(tmp_path, tables(world, tmp_path, routes=routes)) as run:
        (taken,) = (await reconcile(run))["taken"]
        receipts = [await run.post(world.payload(world.bugs[101], clicked)) for _ in range(2)]
        await run.finish()

        assert [(each["export"], each["duplicate"]) for each in receipts] == [(taken["export"], True)] * 2
        assert receipts[0]["deliveries"] == ["web"]
        assert len(run.tracker().drafts) == 1
        assert run.tracker().comments == []


async def test_a_later_export_of_it_is_a_reexport(world, tmp_path):
    requested(world, 101)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        await reconcile(run)
        receipt = await run.post(world.payload(world.bugs[101], datetime.now(UTC) + timedelta(minutes=1)))
        await run.finish()

        assert not receipt["duplicate"]
        assert len(run.tracker().drafts) == 1
        assert len(run.tracker().comments) == 1


class Ahead(SystemClock):
    """Goes ahead of the real time."""

    ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


@pytest.fixture
def clock():
    return Ahead()


async def told(run, world, clock, *bugs: int) -> None:
    """Export bugs, wait until test IO was told that they are exported, and let some time pass."""
    for bug in bugs:
        await run.post(world.payload(world.bugs[bug], clock.now()))
    await until(lambda: all(world.bugs[bug].export_status == "exported" for bug in bugs))
    await until(lambda: everything_said(run, len(bugs)))
    clock.ahead += timedelta(minutes=10)


async def everything_said(run, count: int) -> bool:
    errands: dict[str, int] = await run.errands()
    return errands == {"exported delivered": count}


MARKING = {"shop": {"secret": SECRET, "mark_exported": True}}


async def test_a_reexport_that_never_came_is_taken_in_once_it_was_told_of_the_first(world, clock, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=MARKING), clock=clock) as run:
        await told(run, world, clock, 101, 102)
        requested(world, 101)
        result = await reconcile(run)
        again = await reconcile(run)
        await run.finish()

        assert [(each["bug"], each["again"]) for each in result["taken"]] == [(101, True)]
        assert again["taken"] == []
        assert len(run.tracker().drafts) == 2
        assert len(run.tracker().comments) == 1


async def test_each_lost_reexport_of_a_bug_counts(world, clock, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=MARKING), clock=clock) as run:
        await told(run, world, clock, 101)
        for count in (2, 3):
            requested(world, 101)
            assert len((await reconcile(run))["taken"]) == 1
            await until(partial(everything_said, run, count))
            clock.ahead += timedelta(minutes=10)

        assert len(run.tracker().drafts) == 1


async def test_the_late_webhook_of_a_reexport_that_was_asked_for_is_the_same_export(world, clock, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=MARKING), clock=clock) as run:
        await told(run, world, clock, 101)
        clicked = clock.now()
        requested(world, 101)
        (taken,) = (await reconcile(run))["taken"]
        receipt = await run.post(world.payload(world.bugs[101], clicked))

        assert (receipt["export"], receipt["duplicate"]) == (taken["export"], True)


async def test_a_known_bug_is_not_missing_while_nobody_told_test_io_or_only_just(world, clock, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=MARKING), clock=clock) as run:
        await told(run, world, clock, 101)
        clock.ahead -= timedelta(minutes=10)
        requested(world, 101)
        just_told = await reconcile(run)
    async with running(tmp_path, tables(world, tmp_path), clock=clock) as run:
        await run.post(world.payload(world.bugs[102], clock.now()))
        requested(world, 102)
        clock.ahead += timedelta(minutes=10)
        not_told = await reconcile(run, products=[world.bugs[102].product.id])

        assert just_told["missing"] == []
        assert 102 not in [each["bug"] for each in not_told["missing"]]


async def test_a_webhook_that_does_not_say_when_is_a_late_one_for_an_hour(world, clock, tmp_path):
    requested(world, 101)
    document = {"bug": world.payload(world.bugs[101], clock.now())["bug"]}
    async with running(tmp_path, tables(world, tmp_path), clock=clock) as run:
        await reconcile(run)
        soon = await run.post(document)
        clock.ahead += timedelta(hours=2)
        later = await run.post(document)

        assert (soon["duplicate"], later["duplicate"]) == (True, False)


async def test_a_dry_run_only_says_what_is_missing(world, tmp_path):
    requested(world, 101)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        result = await reconcile(run, dry_run=True)

        assert [each["bug"] for each in result["missing"]] == [101]
        assert await run.exports() == []


async def test_it_can_be_narrowed(sandbox, tmp_path):
    world = sandbox(allow_http=True, bugs=6, full=True)
    requested(world, *world.bugs)
    world.bugs[101].reported_at = datetime(2020, 1, 1, tzinfo=UTC)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        of_product = await reconcile(run, products=[2], dry_run=True)
        recent = await reconcile(run, since="2025-01-01T00:00:00Z", dry_run=True)

        assert {each["product"] for each in of_product["missing"]} == {2}
        assert [each["bug"] for each in recent["missing"]] == [102, 103, 104, 105, 106]


async def test_each_connection_gets_what_is_of_its_products_and_sections(world, tmp_path):
    requested(world, *world.bugs)
    connections = {
        "first": {"secret": "secret-of-the-first-1", "product_ids": [1]},
        "other": {"secret": "secret-of-the-other-1"},
        "silent": {"secret": "secret-of-the-third-1", "product_ids": [9], "reconcile": False},
    }
    async with running(tmp_path, tables(world, tmp_path, connections=connections)) as run:
        taken = (await reconcile(run))["taken"]

    assert {(each["connection"], each["product"]) for each in taken} == {("first", 1), ("other", 2)}
    assert len(taken) == 6


async def test_what_test_io_calls_exported_counts_only_where_that_is_asked_for(world, tmp_path):
    world.bugs[101].export_status = "exported"
    for wanted, bugs in ((False, []), (True, [101])):
        changes = {"testio": {"reconcile_exported": wanted}}
        async with running(tmp_path, tables(world, tmp_path, **changes)) as run:
            assert [each["bug"] for each in (await reconcile(run))["taken"]] == bugs


async def test_it_happens_by_itself_from_the_start_on(world, tmp_path):
    requested(world, 101)
    async with running(tmp_path, tables(world, tmp_path, testio={"reconcile_every": "50ms"})) as run:
        await until(lambda: run.tracker().drafts)
        requested(world, 102)
        await until(lambda: len(run.tracker().drafts) == 2)

        assert (await run.call("GET", "/api/connections"))["reconciled"]["failed"] == 0


async def test_test_io_being_down_is_survived(world, tmp_path):
    configuration = tables(
        world, tmp_path, testio={"reconcile_every": "30ms", "url": "http://127.0.0.1:9/customer/v2"}
    )
    async with running(tmp_path, configuration) as run:
        state = await until(lambda: run.bridge.testio.last)

        assert "no connection" in state["error"]
        assert not (await run.post(world.payload(world.bugs[101], datetime.now(UTC))))["duplicate"]


async def test_missing_bugs_are_fetched_whole_for_a_backfill(sandbox, tmp_path):
    world = sandbox(allow_http=True, bugs=3, full=True)
    async with running(tmp_path, tables(world, tmp_path)) as run:
        bugs = [{"bug": bug, "connection": "shop", "product": 1} for bug in (101, 999)]
        for taken in ([101], []):
            result = await run.call("POST", "/api/reconcile/take", {"bugs": bugs})
            assert [each["bug"] for each in result["taken"]] == taken
            assert [each["bug"] for each in result["failed"]] == [999]
        (export,) = await run.exports()

        kept = await run.bridge.store.read(reading.export_body, export["id"])
        assert kept is not None
        assert b'"comments"' in kept["body"]


@pytest.mark.parametrize("kept", [False, True])
async def test_staging_credentials_are_kept_only_where_that_is_asked_for(kept, sandbox, tmp_path):
    world = sandbox(allow_http=True, bugs=1, full=True, password="the-staging-password")
    requested(world, 101)
    connections = {"shop": {"secret": "secret-of-the-shop-1", "keep_environment_credentials": kept}}
    async with running(tmp_path, tables(world, tmp_path, connections=connections)) as run:
        await reconcile(run)
        await run.finish()
        (export,) = await run.exports()

        row = await run.bridge.store.read(reading.export_body, export["id"])
        assert row is not None
        assert (b"the-staging-password" in row["body"]) is kept
        assert b"https://staging.example.com" in row["body"]
