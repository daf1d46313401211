"""A bridge from a configuration file, and its HTTP: in the process, and on a real port."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomlkit

from bridge.app import Bridge, Setup
from bridge.config import load_config
from bridge.plugins import Plugins
from bridge.store import Selection, reading
from bridge.web import build_asgi, serve
from tests.dispatch.scripted import Scripted, TickingClock

SECRET, TOKEN = "secret-of-the-shop-1", "admin-token-0123456789"
SIGNING = "whsec_" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
PLUGIN = """
from bridge import hookimpl
from tests.dispatch.scripted import Scripted

@hookimpl
def bridge_trackers():
    return [Scripted]
"""


def tables() -> dict[str, Any]:
    """The configuration, before a test changes it."""
    return {
        "server": {"port": 0, "admin_token": TOKEN, "max_body": "20 KiB", "shutdown_grace": "0s"},
        "store": {"url": "sqlite:///bridge.db"},
        "plugins": {"folder": "plugins"},
        "connections": {
            "shop": {"secret": SECRET},
            "signed": {"secret": "secret-of-the-signed", "signing_secret": SIGNING},
        },
        "routes": [{"name": "all", "when": {"level": ["high", "critical"]}, "trackers": ["web"]}],
        "trackers": {"web": {"type": "scripted"}, "app": {"type": "scripted", "rate": "80/minute"}},
    }


def payload(bug: int = 7, **changes: Any) -> dict[str, Any]:
    """An export that the route takes."""
    return {"event": "bug.exported", "bug": {"id": bug, "title": f"Bug {bug}", "severity": "high"} | changes}


class World:
    """A running bridge and a client of it."""

    def __init__(self, bridge: Bridge, client: httpx.AsyncClient, file: Path) -> None:
        self.bridge, self.client, self.file = bridge, client, file

    def write(self, configuration: dict[str, Any]) -> None:
        self.file.write_text(tomlkit.dumps(configuration))

    def tracker(self, name: str = "web") -> Scripted:
        tracker = self.bridge.dispatcher.trackings[name].tracker
        assert tracker.type == "scripted"
        return tracker  # type: ignore[return-value]

    async def post(
        self, document: Any = None, *, connection: str = "shop", secret: str = SECRET, **options: Any
    ) -> httpx.Response:
        """Post as test IO does."""
        if not options.keys() & {"content", "data"}:
            options["json"] = payload() if document is None else document
        return await self.client.post(f"/export/{connection}/{secret}", **options)

    async def call(self, method: str, path: str, *, token: str = TOKEN, **options: Any) -> httpx.Response:
        """Call the API."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.client.request(method, f"/api{path}", headers=headers, **options)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, path: str, **body: Any) -> Any:
        answer = await self.call("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def delivered(self, bug: int = 7, **changes: Any) -> str:
        """Post an export and wait until its delivery has ended, well or badly; return its id."""
        export: str = (await self.post(payload(bug, **changes))).json()["export"]
        async with asyncio.timeout(5):
            while True:
                rows = await self.bridge.store.read(reading.list_deliveries, Selection(ids=[export]))
                if all(row["state"] in {"delivered", "dead"} for row in rows):
                    return export
                await asyncio.sleep(0.001)

    async def until_paused(self, name: str = "web") -> None:
        async with asyncio.timeout(5):
            while not (await self.bridge.store.read(reading.list_trackers)).get(name, {}).get("paused"):
                await asyncio.sleep(0.001)

    async def kept(self) -> list[dict[str, Any]]:
        return await self.bridge.store.read(reading.list_exports, Selection())


@pytest.fixture
def file(tmp_path: Path, empty_store: Path) -> Path:
    """The configuration file, with a plugin and an empty store beside it."""
    file = tmp_path / "config.toml"
    file.write_text(tomlkit.dumps(tables()))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "scripted.py").write_text(PLUGIN)
    shutil.copy(empty_store, tmp_path / "bridge.db")
    return file


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """All plugins: finding them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "scripted.py").write_text(PLUGIN)
    return Plugins.load(folder)


@pytest.fixture
def bridge(file: Path, plugins: Plugins) -> Bridge:
    setup = Setup(load_config(file, plugins.types, {}), plugins)
    return Bridge(setup, clock=TickingClock(), random=lambda: 1.0)


@pytest.fixture
async def world(bridge: Bridge, file: Path) -> AsyncIterator[World]:
    """A running bridge, asked within the process."""
    await bridge.start()
    transport = httpx.ASGITransport(build_asgi(bridge))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        yield World(bridge, client, file)
    await bridge.stop()


@pytest.fixture
async def served(bridge: Bridge, file: Path) -> AsyncIterator[World]:
    """A running bridge on a real port."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(bridge, on_ready=ready.set_result, install_signals=False))
    first: set[asyncio.Future[Any]] = {serving, ready}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    async with httpx.AsyncClient(base_url=await ready, trust_env=False, verify=False) as client:
        yield World(bridge, client, file)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
