"""The stage of the demo: the real daemon on the embedded default, and the sandbox that plays test IO."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from bridge.app import HOME, Bridge, Setup
from bridge.config import default_config
from bridge.demo.play import Act, Scene, finished
from bridge.plugins import Plugins
from bridge.sandbox import Connection, Options, World, playing
from bridge.web import serve

LOOK = 0.05
"""Seconds between two looks at an export under way."""

_PATIENCE = 60.0
"""Seconds after which an export that is still under way counts as not well ended."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is.

    Attributes:
        url: The daemon's.
        sandbox_url: The sandbox's: attachments, and a page on which people can export bugs.
        export_url: Where test IO posts, secret included.
        token: The daemon's admin token.
        issues: Folder of the issues.
    """

    url: str
    sandbox_url: str
    export_url: str
    token: str
    issues: Path


class Audience:
    """Is told what happens. Shows nothing by itself."""

    def opened(self, stage: Stage) -> None:
        """The daemon serves."""

    def changed(self, acts: Sequence[Act]) -> None:
        """Something changed in what was played so far."""

    def ended(self, stage: Stage, acts: Sequence[Act]) -> None:
        """Everything was played, and has ended."""

    def visited(self, export: dict[str, Any]) -> None:
        """An export that somebody else sent has ended."""


def demo_setup(folder: Path, port: int | None) -> Setup:
    """Return the embedded default, made to fetch attachments from this machine.

    Args:
        folder: Where the demo keeps everything.
        port: Where the daemon listens; None for the default one, or any other while that is taken.

    Raises:
        ConfigError: The folder cannot be written.
    """
    plugins = Plugins.load()
    config = default_config(folder / HOME, plugins.types)
    chosen = port if port is not None else _free(config.server.host, config.server.port)
    server = config.server.model_copy(update={"port": chosen})
    attachments = config.attachments.model_copy(update={"allow_http": True, "allow_private": True})
    return Setup(config.model_copy(update={"server": server, "attachments": attachments}), plugins)


async def perform(
    bridge: Bridge, scenes: Sequence[Scene], audience: Audience, *, stay: bool, pause: float = 0.0
) -> bool:
    """Play the scenes on a daemon of our own; returns whether every one ended as it should.

    Args:
        bridge: A new one, of `demo_setup`.
        scenes: What test IO posts.
        audience: Is told.
        stay: Whether to go on serving until Ctrl-C.
        pause: Seconds between two scenes, for people.

    Raises:
        BridgeError: The daemon cannot start.
    """
    async with playing(Options(port=0)) as world, _serving(bridge) as url:
        stage = _stage(bridge, url, world)
        audience.opened(stage)
        acts = [Act(scene) for scene in scenes]
        async with _Player(stage, audience) as player:
            interrupted = _interruption()
            play = asyncio.ensure_future(_play(player, acts, pause, stay=stay))
            await asyncio.wait([play, interrupted], return_when=asyncio.FIRST_COMPLETED)
            play.cancel()
            with suppress(asyncio.CancelledError):
                await play
    return all(act.as_expected for act in acts)


async def _play(player: _Player, acts: Sequence[Act], pause: float, *, stay: bool) -> None:
    following = []
    for act in acts:
        await player.post(act)
        following.append(asyncio.ensure_future(player.follow(act)))
        await asyncio.sleep(pause)
    try:
        await asyncio.gather(*following)
    finally:
        for task in following:
            task.cancel()
    player.audience.ended(player.stage, acts)
    if stay:
        await player.receive_visitors()


class _Player:
    """Plays test IO, and looks at what becomes of it."""

    def __init__(self, stage: Stage, audience: Audience) -> None:
        self.stage, self.audience = stage, audience
        self._acts: list[Act] = []
        headers = {"Authorization": f"Bearer {stage.token}"}
        self._api = httpx.AsyncClient(base_url=stage.url, headers=headers, trust_env=False, timeout=30)
        self._sender = httpx.AsyncClient(trust_env=False, timeout=30)  # test IO has no token

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self._api.aclose()
        await self._sender.aclose()

    async def post(self, act: Act) -> None:
        """Post one scene, as test IO does."""
        self._acts.append(act)
        self.audience.changed(self._acts)
        url = self.stage.export_url
        if act.scene.stranger:
            url = url.rpartition("/")[0] + "/not-the-secret-at-all"
        body = act.scene.body(self.stage.sandbox_url, datetime.now(UTC))
        answer = await self._sender.post(url, content=body, headers={"Content-Type": "application/json"})
        act.status, act.answer = answer.status_code, answer.json()
        self.audience.changed(self._acts)

    async def follow(self, act: Act) -> None:
        """Look until nothing more happens."""
        if act.answer.get("export"):
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._look(act)
                    while not finished(act.export):
                        await asyncio.sleep(LOOK)
                        await self._look(act)
        act.done = not act.export or finished(act.export)
        self.audience.changed(self._acts)

    async def receive_visitors(self) -> None:
        """Tell what others send, for as long as somebody lets us."""
        seen = {row["id"] for row in await self._newest()}
        while True:
            await asyncio.sleep(10 * LOOK)
            for row in reversed(await self._newest()):
                if row["id"] in seen:
                    continue
                export = await self._export(row["id"])
                if finished(export):
                    seen.add(row["id"])
                    self.audience.visited(export)

    async def _look(self, act: Act) -> None:
        export = await self._export(act.answer["export"])
        if export != act.export:
            act.export = export
            self.audience.changed(self._acts)

    async def _export(self, export_id: str) -> dict[str, Any]:
        answer = await self._api.get(f"/api/exports/{export_id}")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def _newest(self) -> list[dict[str, Any]]:
        answer = await self._api.get("/api/exports", params={"limit": 20})
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["exports"]
        return rows


@asynccontextmanager
async def _serving(bridge: Bridge) -> AsyncIterator[str]:
    """Run the daemon, and give its URL once it serves."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.ensure_future(serve(bridge, on_ready=ready.set_result, install_signals=False))
    try:
        both: list[asyncio.Future[Any]] = [server, ready]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            server.result()  # raises what kept it from starting
        yield ready.result()
    finally:
        server.cancel()
        with suppress(asyncio.CancelledError):
            await server


def _stage(bridge: Bridge, url: str, world: World) -> Stage:
    """Return where everything is, once test IO knows where to post."""
    config = bridge.setup.config
    name, connection = next(iter(config.connections.items()))
    assert config.server.admin_token is not None
    export_url = f"{url}/export/{name}/{connection.secret.get_secret_value()}"
    world.connections[1] = Connection(1, name, export_url)
    return Stage(
        url=url,
        sandbox_url=world.url,
        export_url=export_url,
        token=config.server.admin_token.get_secret_value(),
        issues=config.folder / "issues",
    )


def _interruption() -> asyncio.Future[None]:
    """Return what is done once somebody presses Ctrl-C or ends the process."""
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not interrupted.done():
            interrupted.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    return interrupted


def _free(host: str, port: int) -> int:
    """Return `port`, or 0 (any free one) while somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return 0
    return port


__all__ = ["Audience", "Stage", "demo_setup", "perform"]
