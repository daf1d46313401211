"""The one place that builds everything: from a file or from nothing, as many as one likes, all of it or none."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomlkit

from bridge.app import Bridge, Clients, Setup, build_trackings, find_config, load_setup, preview, router
from bridge.config import build_config
from bridge.errors import ConfigError, PluginError, Rejected, StoreError
from bridge.hookspecs import hookimpl
from bridge.payload import PayloadError
from bridge.plugins import Plugins
from bridge.store import Selection, reading
from bridge.tracker import Tools, Tracker
from tests.dispatch.scripted import Scripted, TickingClock

SECRET, TOKEN = "secret-of-the-shop-1", "token-of-the-tracker"
TABLES: dict[str, Any] = {
    "connections": {"shop": {"secret": SECRET}},
    "routes": [{"trackers": ["web"]}],
    "trackers": {"web": {"type": "scripted"}, "app": {"type": "scripted"}},
}
EXPORT = {"event": "bug.exported", "bug": {"id": 7, "title": "Crash"}}


class Shared(Scripted):
    """Two of these have one account."""

    type = "shared"

    @property
    def account(self) -> str:
        return "the account"


class Blind(Scripted):
    """Cannot be searched."""

    type = "blind"
    find = Tracker.find


class Hooks:
    """A plugin that uses every hook."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    @hookimpl
    def bridge_trackers(self):
        return [Scripted, Shared, Blind]

    @hookimpl
    def bridge_route(self, export):
        return ["app", "nowhere"] if "both" in export.bug.title else None

    @hookimpl
    def bridge_prepare(self, draft, tracker):
        return draft.with_(title=f"[{tracker}] {draft.title}")

    @hookimpl
    def bridge_received(self, export):
        self.told.append(("received", export.bug.id))

    @hookimpl
    async def bridge_delivered(self, issue, action):
        self.told.append((action, issue.key))

    @hookimpl
    def bridge_dead(self, error):
        raise ZeroDivisionError("a plugin's bug")

    @hookimpl
    def bridge_tracker_paused(self, reason):
        self.told.append(("paused", reason))


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def setup(tmp_path, empty_store, hooks):
    """Make a setup with these tables changed."""
    shutil.copy(empty_store, tmp_path / "bridge.db")

    def setup(**changes: Any) -> Setup:
        plugins = Plugins.load(entry_points=[], objects={"hooks": hooks})
        return Setup(build_config(TABLES | changes, tmp_path, plugins.types, {}), plugins)

    return setup


@pytest.fixture
async def start():
    """Start a bridge; it is stopped in the end."""
    running: list[Bridge] = []

    async def start(setup: Setup) -> Bridge:
        bridge = Bridge(setup, clock=TickingClock(), random=lambda: 1.0)
        await bridge.start()
        running.append(bridge)
        return bridge

    yield start
    for bridge in running:
        await bridge.stop()


async def accept(bridge: Bridge, **fields: Any) -> str:
    document = EXPORT | {"bug": EXPORT["bug"] | fields}  # type: ignore[operator]
    return (await bridge.ingest.accept("shop", json.dumps(document).encode())).export


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def scripted(bridge: Bridge, name: str = "web") -> Scripted:
    tracker = bridge.dispatcher.trackings[name].tracker
    assert isinstance(tracker, Scripted)
    return tracker


class TestWhichConfiguration:
    def test_the_given_file_then_the_variable_then_the_usual_name_then_none(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert find_config(None, {}) is None

        Path("config.toml").touch()
        assert find_config(None, {}) == Path("config.toml")
        assert find_config(None, {"TRACKER_BRIDGE_CONFIG": "other.toml"}) == Path("other.toml")
        assert find_config(Path("mine.toml"), {"TRACKER_BRIDGE_CONFIG": "other.toml"}) == Path("mine.toml")

    def test_without_a_file_there_is_a_default_that_needs_no_account(self, tmp_path):
        config = load_setup(None, {}, home=tmp_path / "home").config

        assert [settings.type for settings in config.trackers.values()] == ["files"]
        assert len(config.connections) == 1
        assert config.server.admin_token is not None

    def test_all_wrong_templates_are_told_at_once_with_their_paths(self, tmp_path):
        file = tmp_path / "config.toml"
        file.write_text(
            tomlkit.dumps(
                {
                    "connections": {"shop": {"secret": SECRET}},
                    "routes": [{"trackers": ["a", "b"]}],
                    "trackers": {
                        "a": {"type": "files", "folder": "a", "title": "{{ bug.titel }}"},
                        "b": {"type": "files", "folder": "b", "template": "{% for %}"},
                    },
                }
            )
        )
        with pytest.raises(ConfigError) as caught:
            load_setup(file, {})

        assert [problem.path for problem in caught.value.problems] == ["trackers.a.title", "trackers.b.template"]
        assert caught.value.source == str(file)


class TestBuilding:
    def test_nothing_is_opened_or_started_by_building(self, setup, tmp_path):
        before = {file.name for file in tmp_path.iterdir()}
        bridge = Bridge(setup(store={"url": "sqlite:///other.db"}))

        assert not bridge.ready
        assert {file.name for file in tmp_path.iterdir()} == before

    @pytest.mark.anyio
    async def test_many_bridges_do_not_know_of_each_other(self, setup, start):
        first = await start(setup())
        second = await start(setup(store={"url": "sqlite:///second.db"}))
        await accept(first)
        await until(lambda: scripted(first).made(7) == ["1"])

        assert scripted(second).calls == []
        assert await second.store.read(reading.unfinished) == 0

    @pytest.mark.anyio
    async def test_the_folder_of_the_store_is_made(self, setup, start, tmp_path):
        await start(setup(store={"url": "sqlite:///deep/down/bridge.db"}))

        assert (tmp_path / "deep" / "down" / "bridge.db").exists()

    @pytest.mark.anyio
    async def test_a_store_that_is_taken_is_refused(self, setup, start):
        await start(setup())
        with pytest.raises(StoreError, match="another tracker-bridge"):
            await start(setup())

    @pytest.mark.anyio
    async def test_a_folder_that_cannot_be_made_is_said_in_words(self, setup, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot be opened"):
            await Bridge(setup(store={"url": "sqlite:///file/bridge.db"})).start()

    def test_a_type_that_no_plugin_brings_is_named(self, setup):
        good = setup()
        lacking = Setup(good.config, Plugins.load(entry_points=[]))
        with pytest.raises(PluginError, match='"scripted" is no tracker type'):
            build_trackings(lacking, Tools())

    def test_trackers_with_the_same_credentials_share_an_account(self, setup):
        trackers = {"a": {"type": "shared"}, "b": {"type": "shared"}, "c": {"type": "scripted"}}
        built = build_trackings(setup(trackers=trackers, routes=[{"trackers": ["a"]}]), Tools())

        assert [tracking.account for tracking in built] == [("a", "b"), ("a", "b"), ("c",)]

    def test_clients_share_one_ssl_context(self):
        clients = Clients()
        first = clients(base_url="https://a.example")
        context = clients._context

        assert isinstance(first, httpx.AsyncClient)
        clients()
        assert clients._context is context

    def test_its_repr_holds_no_secret(self, setup):
        bridge = Bridge(setup(server={"admin_token": "admin-token-0123456789"}))

        assert SECRET not in repr(bridge)
        assert "admin-token-0123456789" not in repr(bridge)

    def test_every_secret_of_the_configuration_is_redacted(self, setup):
        bridge = Bridge(setup(server={"admin_token": "admin-token-0123456789"}))

        assert bridge.redact(f"{SECRET} admin-token-0123456789") == "[secret] [secret]"


@pytest.mark.anyio
class TestPlugins:
    async def test_they_route_prepare_and_are_told(self, setup, start, hooks):
        bridge = await start(setup())
        await accept(bridge, title="for both")
        await until(lambda: len(hooks.told) == 3)

        assert scripted(bridge, "web").drafts["1"].title == "[web] for both"
        assert scripted(bridge, "app").drafts["1"].title == "[app] for both"
        assert set(hooks.told) == {("received", 7), ("created", "web-1"), ("created", "app-1")}

    async def test_one_that_raises_is_counted_and_harms_nothing(self, setup, start):
        bridge = await start(setup())
        scripted(bridge).on("create", Rejected("no"))
        await accept(bridge)
        await until(lambda: bridge.setup.plugins.failures["hooks"] == 1)

        (row,) = await bridge.store.read(reading.list_deliveries, Selection())
        assert row["state"] == "dead"

    async def test_those_who_are_too_slow_are_not_waited_for(self, setup, start, monkeypatch, hooks):
        monkeypatch.setattr("bridge.app._MOST_TOLD", 1)
        bridge = await start(setup())
        for bug in range(20):
            await accept(bridge, id=bug)
        await until(lambda: len(scripted(bridge).drafts) == 20)


@pytest.mark.anyio
class TestReplaying:
    async def test_what_went_nowhere_is_judged_anew_and_what_is_dead_delivered(self, setup, start):
        bridge = await start(setup(routes=[{"trackers": ["web"], "when": {"level": "high"}}]))
        lost = await accept(bridge, severity="low")
        again = setup()
        bridge.setup = again
        bridge.ingest.replace(again.config, router(again))

        assert await bridge.replay(Selection(ids=[lost])) == [f"{lost}:web"]
        await until(lambda: scripted(bridge).made(7) == ["1"])

    async def test_two_people_at_once_make_one_issue(self, setup, start):
        bridge = await start(setup(routes=[{"trackers": ["web"], "when": {"level": "high"}}]))
        lost = await accept(bridge, severity="low")
        again = setup()
        bridge.setup = again
        bridge.ingest.replace(again.config, router(again))
        await asyncio.gather(*(bridge.replay(Selection(states=["unrouted"])) for _ in range(5)))
        await until(lambda: scripted(bridge).made(7) == ["1"])
        while await bridge.store.read(reading.unfinished):
            await asyncio.sleep(0.001)

        assert scripted(bridge).did("create") == ["testio-bug-7"]
        assert lost

    async def test_at_a_tracker_that_cannot_be_searched_the_person_says_that_there_is_no_issue(self, setup, start):
        bridge = await start(setup(trackers={"web": {"type": "blind", "retry": {"first": "0s"}}}))
        tracker = scripted(bridge)
        tracker.on("create", KeyError("no answer"))
        export = await accept(bridge)

        async def state() -> str:
            (row,) = await bridge.store.read(reading.list_deliveries, Selection())
            return str(row["state"])

        async with asyncio.timeout(5):
            while await state() != "dead":
                await asyncio.sleep(0.001)
        assert await bridge.replay(Selection(ids=[export])) == [f"{export}:web"]
        await until(lambda: tracker.made(7) == ["1"])


class TestPreview:
    def body(self, **fields: Any) -> bytes:
        return json.dumps(EXPORT | {"bug": EXPORT["bug"] | fields}).encode()  # type: ignore[operator]

    def shown(self, setup: Setup, *names: str, **fields: Any) -> list[dict[str, Any]]:
        trackings = {tracking.name: tracking for tracking in build_trackings(setup, Tools())}
        return preview(setup, trackings, self.body(**fields), "shop", names, TickingClock().now())

    def test_it_shows_what_plugins_make_of_it_too(self, setup):
        (web,) = self.shown(setup())

        assert (web["tracker"], web["title"], web["markup"]) == ("web", "[web] Crash", "gfm")

    def test_where_plugins_route_it_as_well(self, setup):
        assert [one["tracker"] for one in self.shown(setup(), title="both")] == ["web", "app"]

    def test_what_would_be_lost(self, setup):
        class Small(Scripted):
            type, body_limit = "small", 200

        plugins = Plugins.load(entry_points=[], objects={"small": _bringing(Small)})
        tables = TABLES | {"trackers": {"web": {"type": "small"}}}
        small = Setup(build_config(tables, Path.cwd(), plugins.types, {}), plugins)
        (web,) = self.shown(small, description="long " * 500)

        assert web["lost"]
        assert len(web["body"]) <= 200

    def test_a_route_that_makes_new_issues_has_markers_of_its_own(self, setup):
        (web,) = self.shown(setup(routes=[{"trackers": ["web"], "on_reexport": "new"}]))

        assert "testio-bug-7-" in web["body"]

    def test_what_cannot_be_used_is_said(self, setup):
        with pytest.raises(PayloadError, match="/bug/id"):
            self.shown(setup(), id=None)


def _bringing(kind: type[Scripted]) -> object:
    return type("Plugin", (), {"bridge_trackers": hookimpl(staticmethod(lambda: [kind]))})()


@pytest.mark.anyio
async def test_stopping_gives_back_what_is_under_way_and_the_next_start_goes_on(setup, start):
    first = Bridge(setup(server={"shutdown_grace": "0s"}), clock=TickingClock())
    await first.start()
    blocked = asyncio.Event()
    scripted(first).on("create", blocked.wait)  # type: ignore[arg-type]
    await accept(first)
    await until(lambda: scripted(first).under_way == 1)
    await first.stop()

    second = await start(setup())
    await until(lambda: scripted(second).made(7) == ["1"])
    assert scripted(second).did("find") == ["testio-bug-7"], "a create was under way"


@pytest.mark.anyio
async def test_a_start_that_fails_leaves_the_store_to_the_next(setup, start, monkeypatch):
    failing = Bridge(setup())

    async def fails(*_: object) -> None:
        raise StoreError("the store cannot write: database or disk is full")

    monkeypatch.setattr(failing.store, "probe", fails)
    with pytest.raises(StoreError, match="full"):
        await failing.start()

    assert (await start(setup())).ready
