"""Daemon processes: started, killed at random or at a marked step, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Lock
from typing import Any

import httpx
import tomlkit

from tests.faults.databases import Database
from tests.faults.plan import ROUTES, SECRET
from tests.faults.plugins.steps import STEPS, VARIABLE
from tests.faults.trackers import TrackerServer

TOKEN = "admin-token-0123456789"
RANDOM, GRACEFUL = "at a random moment", "SIGTERM instead"
_PLUGINS = Path(__file__).parent / "plugins"
_RETRY = {"attempts": 1000, "first": "50ms", "factor": 2.0, "longest": "1s", "circuit_for": "500ms"}


def configuration(
    folder: Path, port: int, database: Database, trackers: Mapping[str, tuple[str, TrackerServer]], drain: str
) -> dict[str, Any]:
    """Return a daemon's configuration.

    Args:
        folder: For its files.
        port: Where it listens.
        database: Its store.
        trackers: Type and server of each tracker, by its name.
        drain: As in `[server]`.
    """
    return {
        "server": {"port": port, "admin_token": TOKEN, "shutdown_grace": "1s", "drain": drain},
        "store": {"url": database.url, "lease": "3s"},
        "log": {"format": "json", "level": "warning"},
        "plugins": {"folder": str(_PLUGINS)},
        "attachments": {
            "allow_http": True,
            "allow_private": True,
            "spool": str(folder / "spool"),
            "timeout": "2s",
        },
        "connections": {name: {"secret": SECRET} for name in ROUTES},
        "routes": [{"connections": [name], "trackers": list(names)} for name, names in ROUTES.items()],
        "trackers": {
            name: {
                "type": type_,
                "url": server.url,
                "token": server.token,
                "timeout": "1s",
                "concurrency": 8,
                "retry": _RETRY,
            }
            for name, (type_, server) in trackers.items()
        },
    }


class Replica:
    """One daemon, always at the same address.

    Attributes:
        url: Its address.
        life: Which life it leads, from 1.
    """

    def __init__(self, folder: Path, port: int, configuration: Mapping[str, Any]) -> None:
        folder.mkdir()
        self._file, self._log = folder / "config.toml", folder / "daemon.log"
        self._folder = folder
        self._file.write_text(tomlkit.dumps(configuration))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{port}"
        self.life = 0

    def start(self, die_at: str = "") -> None:
        """Start it; with `die_at` (`STEP/N`) it ends by itself at that step."""
        self.life += 1
        environment = os.environ | ({VARIABLE: die_at} if die_at else {})
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "bridge", "serve", "--config", str(self._file)]
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, env=environment)

    def wait_until_ready(self, stop: Event, seconds: float = 20) -> bool:
        """Wait until it takes exports in. Returns whether it does; not when it ended, or `stop` is set."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.is_running and not stop.is_set():
            if self.is_ready():
                return True
            time.sleep(0.02)
        return False

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, seconds: float) -> int | None:
        """Return its exit code once it ended; None when it did not within `seconds`."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, wait for the end, return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask its API.

        Raises:
            httpx.HTTPError: It does not answer, or not well.
        """
        answer = httpx.request(
            method,
            f"{self.url}/api/{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            timeout=30,
        )
        return answer.raise_for_status().json()


class Fates:
    """Deals how each life ends: every marked step comes up before one comes up again, random moments in between.

    Args:
        seed: Of the dice.
        shared: Whether the daemons share their store.
    """

    def __init__(self, seed: str, *, shared: bool) -> None:
        self._dice, self._lock = Random(seed), Lock()
        self._steps = [name for name, step in STEPS.items() if shared or not step.shared]
        self._deck: list[str] = []

    def deal(self) -> tuple[str, int]:
        """Return the moment of the end, and at which time of reaching it (for a step)."""
        with self._lock:
            if not self._deck:
                self._deck = [*self._steps, *[RANDOM] * len(self._steps), GRACEFUL]
                self._dice.shuffle(self._deck)
            moment = self._deck.pop()
            return moment, self._dice.randint(1, STEPS[moment].often) if moment in STEPS else 0


@contextmanager
def replicas(
    folder: Path, database: Database, trackers: Mapping[str, tuple[str, TrackerServer]], *, drain: str = "0s"
) -> Iterator[list[Replica]]:
    """Give daemons that are not started yet, and leave none behind."""
    made = []
    for number in range(1, database.replicas + 1):
        port = free_port()
        place = folder / f"replica-{number}"
        made.append(Replica(place, port, configuration(place, port, database, trackers, drain)))
    try:
        yield made
    finally:
        for replica in made:
            if replica.is_running:
                replica.end()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number
