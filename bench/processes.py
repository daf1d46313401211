"""The processes that are measured: the daemon, a raw Starlette endpoint, a tracker that answers at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

SECRET = "bench-secret-0123456789"
TOKEN = "bench-token-0123456789"
_PLUGINS = Path(__file__).parent / "plugins"
"""Where the tracker type of `instant_tracker` is."""


@contextmanager
def process(arguments: list[str], log: Path, **how: Any) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a process; yield it and the URL that it says it serves at."""
    with log.open("wb") as stream:
        started = subprocess.Popen(arguments, stdout=stream, stderr=stream, **how)
    try:
        yield started, _url_in(log, started)
    finally:
        started.terminate()
        started.wait(timeout=30)


def _url_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.002)
    raise RuntimeError(f"did not start:\n{log.read_text()}")


@contextmanager
def raw(folder: Path) -> Iterator[str]:
    """Run an endpoint that only reads the body and answers 202, on the same server; yield its URL."""
    with process([sys.executable, "-m", "bench.raw"], folder / "raw.log") as (_, url):
        yield f"{url}/export/shop/{SECRET}"


@contextmanager
def instant_tracker(folder: Path, seconds: float = 0.0) -> Iterator[str]:
    """Run a tracker that answers at once, or after so many seconds; yield its URL."""
    with process([sys.executable, "-m", "bench.instant", str(seconds)], folder / "instant.log") as (_, url):
        yield url


class Running:
    """Something that takes exports in at an address, in a process of its own.

    Attributes:
        export_url: Where exports are posted.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, path: str = f"/export/shop/{SECRET}") -> None:
        self.url, self.export_url = url, f"{url}{path}"
        self._process = psutil.Process(process.pid)

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        return float(self._process.memory_info().rss) / 2**20

    def processor_seconds(self) -> float:
        """Return the processor time used so far, in seconds."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(10)


class Daemon(Running):
    """A running daemon."""

    def api(self, path: str, body: object = None) -> dict[str, Any]:
        """Call the API."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/api/{path}", data, {"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))


@contextmanager
def daemon(
    folder: Path, *, tracker: str = 'type = "files"', plugins: str = "", store: str = "", server: str = ""
) -> Iterator[Daemon]:
    """Run a daemon with one tracker in a folder of its own.

    Args:
        folder: Where its files are.
        tracker: The tracker's section of the configuration.
        plugins: The section of the plugins.
        store: Address of the database; the daemon's own file without one.
        server: More of the section of the server.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(
        f'[server]\nport = 0\nadmin_token = "{TOKEN}"\n{server}\n[log]\nlevel = "warning"\n{plugins}\n'
        f"{f'[store]{chr(10)}url = {json.dumps(store)}{chr(10)}' if store else ''}"
        f'[connections.shop]\nsecret = "{SECRET}"\n[[routes]]\ntrackers = ["it"]\n[trackers.it]\n{tracker}\n'
    )
    with process([sys.executable, "-m", "bench.serve", str(config)], folder / "daemon.log") as (started, url):
        yield Daemon(started, url)


def first_accepted(url: str, body: bytes, start: float) -> float:
    """Return the seconds from `start` until an export was answered 202."""
    while True:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 202:
                    return time.perf_counter() - start
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.002)


@contextmanager
def delivering_daemon(folder: Path, tracker_url: str, *, concurrency: int = 8, **how: str) -> Iterator[Daemon]:
    """Run a daemon that delivers to an `instant_tracker`; arguments as `daemon`."""
    tracker = f'type = "instant"\nurl = "{tracker_url}"\nconcurrency = {concurrency}'
    with daemon(folder, tracker=tracker, plugins=f'[plugins]\nfolder = "{_PLUGINS}"', **how) as running:
        yield running
