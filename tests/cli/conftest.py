"""A daemon on a real socket in a thread, and the command line that asks it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import tomlkit
from typer.testing import CliRunner

from bridge.app import Bridge, load_setup
from bridge.cli.app import app
from bridge.config import LogSettings
from bridge.logs import configure_logging
from bridge.secrets import Redactor
from bridge.web import serve

SECRET = "connection-secret-0123456789"
TOKEN = "admin-token-0123456789"

PICKY = '''
"""A tracker that refuses everything until there is a file."""

from pathlib import Path

from pydantic import Field

from bridge import Finding, Issue, Markup, Rejected, Report, Secret, Tracker, TrackerSettings, Verdict, hookimpl


class Settings(TrackerSettings):
    mood: Path = Field(Path("mood"), description="the file")
    token: Secret | None = Field(None, description="its token")


class Picky(Tracker[Settings]):
    type = "picky"
    label = "Picky"
    settings_type = Settings
    markup = Markup.PLAIN
    title_limit = 80

    async def check(self):
        if self.settings.mood.exists():
            return Report((Finding(Verdict.OK, "mood", "good"),))
        return Report((Finding(Verdict.ERROR, "mood", "bad", "make the file"),))

    async def create(self, draft):
        if not self.settings.mood.exists():
            raise Rejected("not in the mood", status=422, fields={"priority": "is not valid"})
        return Issue(id=draft.marker.text, key=draft.marker.text.upper(), url="https://picky.example/1")


@hookimpl
def bridge_trackers():
    return [Picky]
'''

SHELVES = '''
"""A tracker that says which shelves it has, floor by floor."""

from bridge import Finding, Issue, Markup, NotAllowed, Report, Tracker, TrackerSettings, Verdict, hookimpl

FLOORS = {"1": {"Office": "s-2", "Attic": "s-1"}, "2": {"Cellar": "s-3"}}


class Settings(TrackerSettings):
    floor: str
    shelf: str


class Shelves(Tracker[Settings]):
    type = "shelves"
    label = "Shelves"
    settings_type = Settings
    markup = Markup.PLAIN
    listed = ("shelf",)

    async def check(self):
        return Report((Finding(Verdict.OK, "shelf", "good"),))

    async def choices(self, setting):
        if self.settings.floor not in FLOORS:
            raise NotAllowed("nobody goes there")
        return FLOORS[self.settings.floor]

    async def create(self, draft):
        return Issue(id="1", key="1", url="https://shelves.example/1")


@hookimpl
def bridge_trackers():
    return [Shelves]
'''


@dataclass
class Run:
    """How a command ended."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class House:
    """A folder with a configuration, and perhaps the daemon of it.

    Attributes:
        config: What is in the file; `write` writes it.
    """

    folder: Path
    port: int
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "config.toml"

    def write(self) -> Path:
        self.file.write_text(tomlkit.dumps(self.config))
        return self.file

    def cheer(self) -> None:
        """Let the picky tracker accept everything from now on."""
        (self.folder / "mood").touch()

    def export(self, bug: int, **changes: Any) -> dict[str, Any]:
        """Post an export of a bug; returns the receipt."""
        body = {"event": "bug.exported", "bug": {"id": bug, "title": f"Bug {bug}"} | changes}
        return self.post(body)

    def post(self, body: Any) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/export/shop/{SECRET}"
        answer: dict[str, Any] = httpx.post(url, json=body, trust_env=False, verify=False).json()
        return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Run]:
    """Run a command in an empty folder, where no configuration of somebody's is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRACKER_BRIDGE_CONFIG", raising=False)

    def run(*arguments: str, input: str | bytes | None = None) -> Run:  # noqa: A002
        result = CliRunner().invoke(app, list(arguments), input=input, prog_name="tracker-bridge")
        assert "Traceback" not in result.output
        return Run(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A configuration: issues as files, and a tracker that refuses everything."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "picky.py").write_text(PICKY)
    house = House(tmp_path, free_port())
    house.config = {
        "server": {"port": house.port, "admin_token": TOKEN},
        "plugins": {"folder": "plugins"},
        "connections": {"shop": {"secret": SECRET}},
        "routes": [{"name": "all", "trackers": ["files", "odd"]}],
        "trackers": {"files": {"type": "files", "attachments": "link"}, "odd": {"type": "picky"}},
    }
    house.write()
    return house


@pytest.fixture
def running(house: House) -> Iterator[House]:
    """The house with its daemon."""
    configure_logging(LogSettings(), Redactor(), io.StringIO())
    before = logging.getLogger().handlers[:]
    ready, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def work() -> None:
        bridge = Bridge(load_setup(house.file, {}))
        task = asyncio.create_task(serve(bridge, on_ready=lambda _url: ready.set(), install_signals=False))
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    assert ready.wait(20)
    yield house
    loop.call_soon_threadsafe(ended.set)
    thread.join(20)
    loop.close()
    logging.getLogger().handlers[:] = before
    structlog.reset_defaults()
