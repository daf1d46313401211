"""Test IO's connections made what the configuration says, through the daemon's API."""

from __future__ import annotations

import pytest

from tests.testio.bridging import SECRET, running, tables

pytestmark = pytest.mark.anyio

TWO = {
    "shop": {"secret": SECRET, "title": "Shop", "product_ids": [1]},
    "app": {"secret": "secret-of-the-app-01", "product_ids": [2], "section_ids": [11]},
}


async def sync(run, **wish):
    answer = await run.call("POST", "/api/connections/sync", wish)
    return {each["name"]: each for each in answer["connections"]}


def actions(changes) -> dict[str, str]:
    return {name: each["action"] for name, each in changes.items()}


@pytest.fixture
def world(sandbox):
    return sandbox(allow_http=True)


async def test_a_dry_run_shows_and_changes_nothing(world, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=TWO)) as run:
        changes = await sync(run, dry_run=True)

    assert actions(changes) == {"shop": "create", "app": "create"}
    assert changes["app"]["differences"] == ["products: 2", "sections: 11"]
    assert not world.connections


async def test_sync_makes_them_once_and_the_ids_survive_a_restart(world, tmp_path):
    configuration = tables(world, tmp_path, connections=TWO)
    for expected in ({"shop": "create", "app": "create"}, {"shop": "keep", "app": "keep"}):
        async with running(tmp_path, configuration) as run:
            assert actions(await sync(run)) == expected
            assert actions(await sync(run)) == {"shop": "keep", "app": "keep"}

    shop, app = world.connections.values()
    assert (shop.name, shop.fixed, shop.product_ids) == ("Shop", False, [1])
    assert (app.name, app.product_ids, app.section_ids) == ("app", [2], [11])
    assert shop.url == f"http://127.0.0.1:{configuration['server']['port']}/export/shop/{SECRET}"


async def test_what_changed_is_said_without_a_secret_and_updated(world, tmp_path):
    configuration = tables(world, tmp_path, connections=TWO)
    async with running(tmp_path, configuration) as run:
        await sync(run)
    changed = {
        "shop": {"secret": "another-secret-000001", "title": "Web shop", "product_ids": [1, 2], "fixed": True}
    }
    async with running(
        tmp_path, tables(world, tmp_path, connections=changed, server=configuration["server"])
    ) as run:
        planned = (await sync(run, dry_run=True))["shop"]
        await sync(run)

        assert planned["differences"] == [
            "name: 'Shop' becomes 'Web shop'",
            "url: another secret",
            "fixed: becomes true",
            "product_ids: 1 become 1, 2",
        ]
    shop = world.connections[1]
    assert (shop.name, shop.fixed, shop.product_ids) == ("Web shop", True, [1, 2])
    assert shop.url.endswith("/another-secret-000001")


async def test_what_left_the_configuration_is_deleted_only_with_prune(world, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=TWO)) as run:
        await sync(run)
    only = {"shop": TWO["shop"]}
    async with running(tmp_path, tables(world, tmp_path, connections=only)) as run:
        assert actions(await sync(run))["app"] == "left"
        assert len(world.connections) == 2

        assert actions(await sync(run, prune=True))["app"] == "delete"
        assert [each.name for each in world.connections.values()] == ["Shop"]
        assert "app" not in await sync(run)


async def test_one_that_somebody_deleted_at_test_io_is_made_again(world, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, connections=TWO)) as run:
        await sync(run)
        del world.connections[1]

        assert actions(await sync(run)) == {"shop": "create", "app": "keep"}


async def test_a_lost_id_is_found_again_through_the_products(world, tmp_path):
    configuration = tables(world, tmp_path, connections=TWO)
    async with running(tmp_path, configuration) as run:
        await sync(run)
    (tmp_path / "other").mkdir()
    configuration["store"] = {"url": f"sqlite:///{tmp_path / 'other' / 'bridge.db'}"}
    async with running(tmp_path, configuration) as run:
        changes = await sync(run)

        assert {each["id"] for each in changes.values()} == {1, 2}
        assert len(world.connections) == 2


async def test_those_that_are_not_to_be_kept_are_left_alone(world, tmp_path):
    connections = {"shop": {"secret": SECRET, "sync": False}}
    async with running(tmp_path, tables(world, tmp_path, connections=connections)) as run:
        assert await sync(run) == {}


async def test_without_a_token_nothing_is_asked(world, tmp_path):
    configuration = tables(world, tmp_path, testio={"token": ""})
    async with running(tmp_path, configuration) as run:
        answer = await run.api.post("/api/connections/sync", json={})

        assert (answer.status_code, "set token in [testio]" in answer.text) == (422, True)
    assert world.requests == []


async def test_a_wrong_token_is_told_in_test_ios_words(world, tmp_path):
    async with running(tmp_path, tables(world, tmp_path, testio={"token": "wrong-token-0123456789"})) as run:
        answer = await run.api.post("/api/connections/sync", json={})

        assert answer.status_code == 502
        assert "missing or invalid API token" in answer.json()["detail"]
        assert "wrong-token" not in answer.text


async def test_single_ones_by_hand(world, tmp_path):
    async with running(tmp_path, tables(world, tmp_path)) as run:
        path = "/api/test-io/connections"
        made = await run.call("POST", path, {"name": "Mine", "url": "https://x.example.com/export/a/some-secret"})
        changed = await run.call("PUT", f"{path}/{made['id']}", {"name": "Ours", "fixed": True})
        shown = await run.call("GET", f"{path}/{made['id']}")

        assert shown == changed
        assert (shown["name"], shown["fixed"]) == ("Ours", True)
        assert shown["url"] == "https://x.example.com/export/a/[secret]"
        await run.call("DELETE", f"{path}/{made['id']}")
        assert (await run.api.get(f"{path}/{made['id']}")).status_code == 502
        assert (await run.api.get(f"{path}/x")).status_code == 422
    assert not world.connections
