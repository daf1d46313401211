"""A bridge in this process, with test IO's side at a sandbox."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import uvicorn

from bridge.app import Bridge, Setup
from bridge.config import build_config
from bridge.model import Issue, IssueState
from bridge.plugins import Plugins
from bridge.sandbox import World
from bridge.store import Selection, reading
from bridge.tracker import Tracker
from bridge.web import build_asgi
from tests.dispatch.scripted import Scripted
from tests.testio.conftest import TOKEN

SECRET, ADMIN, HOOK = "secret-of-the-shop-1", "admin-token-0123456789", "hook-secret-0123456789"
QUICK = {"attempts": 20, "first": "20ms", "factor": 1.5, "longest": "60ms"}


PLUGIN = """
from bridge import hookimpl
from tests.testio.bridging import Stateless, Watched

@hookimpl
def bridge_trackers():
    return [Watched, Stateless]
"""


class Watched(Scripted):
    """Knows whether people are done: those issues that are in `done`."""

    type = "watched"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.done: set[str] = set()
        self.looked: list[str] = []
        self.trouble: Exception | None = None

    async def state(self, issue: Issue) -> IssueState:
        self.looked.append(issue.id)
        if self.trouble:
            raise self.trouble
        return IssueState(issue.id in self.done, "Closed" if issue.id in self.done else "Open")


class Stateless(Scripted):
    """Does not know whether people are done."""

    type = "stateless"
    state = Tracker.state


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tables(world: World, folder: Path, **changes: Any) -> dict[str, Any]:
    """A configuration with one connection for everything."""
    made: dict[str, Any] = {
        "server": {"port": free_port(), "admin_token": ADMIN, "shutdown_grace": "0s"},
        "store": {"url": f"sqlite:///{folder / 'bridge.db'}"},
        "testio": {
            "url": f"{world.url}/customer/v2",
            "token": TOKEN,
            "reconcile_every": "0s",
            "look_every": "50ms",
            "look_rate": "100/second",
            "retry": QUICK,
        },
        "attachments": {"spool": str(folder / "spool"), "allow_http": True, "allow_private": True},
        "connections": {"shop": {"secret": SECRET}},
        "routes": [{"trackers": ["web"]}],
        "trackers": {"web": {"type": "watched", "attachments": "link", "hook_secret": HOOK}},
    }
    for section, table in changes.items():
        both = section in {"server", "testio"}
        made[section] = {**made[section], **table} if both else table
    return made


@cache
def loaded_plugins() -> Plugins:
    """All plugins, with the trackers of these tests: finding them takes longer than most tests."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "tests.py").write_text(PLUGIN)
        return Plugins.load(Path(folder))


class Run:
    """A running bridge and its address."""

    def __init__(self, bridge: Bridge, url: str) -> None:
        self.bridge, self.url = bridge, url
        headers = {"Authorization": f"Bearer {ADMIN}"}
        self.api = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, verify=False, timeout=20)

    def tracker(self, name: str = "web") -> Watched:
        tracker = self.bridge.dispatcher.trackings[name].tracker
        assert isinstance(tracker, Watched)
        return tracker

    async def post(self, document: Any, connection: str = "shop", secret: str = SECRET) -> Any:
        answer = await self.api.post(f"/export/{connection}/{secret}", json=document)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.api.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def exports(self, **wanted: Any) -> list[dict[str, Any]]:
        return await self.bridge.store.read(reading.list_exports, Selection(**({"limit": 1000} | wanted)))

    async def errands(self) -> dict[str, int]:
        rows = (await self.call("GET", "/api/connections"))["errands"]
        return {f"{row['kind']} {row['state']}": row["count"] for row in rows}

    async def finish(self) -> None:
        async def done() -> bool:
            return bool((await self.call("GET", "/api/status"))["unfinished"] == 0)

        await until(done)


async def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(folder: Path, configuration: dict[str, Any], **arguments: Any) -> AsyncIterator[Run]:
    """Run a bridge on a real port. It knows its own port, so that `connections sync` can tell it to test IO."""
    plugins = loaded_plugins()
    config = build_config(configuration, folder, plugins.types, {})
    bridge = Bridge(Setup(config, plugins), **arguments)
    await bridge.start()
    listener = socket.create_server(("127.0.0.1", config.server.port))
    server = uvicorn.Server(uvicorn.Config(build_asgi(bridge), lifespan="off", log_config=None))
    task = asyncio.ensure_future(
        server.serve(sockets=[listener])
    )  # ends before its socket does, unlike a cancelled one
    run = Run(bridge, f"http://127.0.0.1:{config.server.port}")
    try:
        yield run
    finally:
        await run.api.aclose()
        server.should_exit = True
        await task
        await bridge.stop()
