"""A real daemon process that may be killed at any moment, and the comparison in the end.

Nothing here sleeps for a fixed time: `until` polls with a deadline.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any, TypeVar

import httpx
import tomlkit

from bridge.app import Bridge, load_setup
from tests.bad_days.ledger_server import LedgerServer

Found = TypeVar("Found")

HERE = Path(__file__).parent
SECRET = "connection-secret-0123456789"
TOKEN = "admin-token-0123456789"
QUICK = {
    "attempts": 50,
    "first": "30ms",
    "factor": 1.5,
    "longest": "150ms",
    "circuit_after": 20,
    "circuit_for": "0s",
}
"""A retry schedule for people without patience."""


def until(what: str, condition: Callable[[], Found], *, seconds: float = 20) -> Found:
    """Return what `condition` returns once that is true.

    Raises:
        AssertionError: It never was.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return found


def ledger_table(ledger: LedgerServer, **changes: Any) -> dict[str, Any]:
    """Return `[trackers.NAME]` for the invented tracker."""
    table = {"type": "ledger", "url": ledger.url, "token": ledger.token, "timeout": "1s", "retry": dict(QUICK)}
    return table | changes


def export(bug: int, *, at: str = "2026-01-05T09:00:00Z", pictures: str = "", **changes: Any) -> dict[str, Any]:
    """Return a payload as test IO posts it.

    Args:
        bug: test IO's id.
        at: The moment of the export; a later one makes a re-export.
        pictures: Address of a server with files, for two attachments; none by default.
        changes: Of the bug.
    """
    files = [{"url": f"{pictures}/pictures/{bug}-{n}.png", "type": "image/png"} for n in (1, 2)]
    described = {
        "id": bug,
        "title": f"Bug {bug}",
        "link": f"https://app.test.io/bugs/{bug}",
        "steps_to_reproduce": ["Open it", "Look"],
        "severity": "high",
        "attachments": files if pictures else [],
    }
    return {"event": "bug.exported", "exported_at": at, "bug": described | changes}


class Daemon:
    """The daemon as its own process, with a configuration in a folder of its own.

    Attributes:
        config: What is in the configuration file; `write` writes it anew after a change.
        accepted: Every export that was answered with 202, and its bug.
        process: The running process; None before `start`.
    """

    def __init__(self, folder: Path, trackers: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = folder
        self.file, self.log_file = folder / "config.toml", folder / "daemon.log"
        self.database = folder / "bridge.db"
        self.config: dict[str, Any] = {
            "server": {"port": 0, "admin_token": TOKEN, "shutdown_grace": "5s"},
            "store": {"url": f"sqlite:///{self.database}"},
            "log": {"format": "json"},
            "plugins": {"folder": str(HERE / "plugins")},
            "attachments": {"allow_http": True, "allow_private": True},
            "connections": {"shop": {"secret": SECRET}},
            "routes": [{"trackers": list(trackers)}],
            "trackers": {name: dict(table) for name, table in trackers.items()},
        }
        self.accepted: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._http = httpx.Client(verify=False, trust_env=False, timeout=15)

    # the process

    def write(self) -> None:
        """Write the configuration file."""
        self.file.write_text(tomlkit.dumps(self.config))

    def start(self) -> Daemon:
        """Start, and wait until the port is open."""
        self.write()
        before = len(self.log)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve", "--config", self.file],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

        def serving() -> str:
            assert self.is_running, f"the daemon did not start:\n{self.log_file.read_text()}"
            lines = [line for line in self.log[before:] if line["event"] == "serving"]
            return str(lines[-1]["url"]) if lines else ""

        self.url = until("the daemon serves", serving)
        return self

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self._end(SIGKILL)

    def stop(self) -> int:
        """End it as an administrator would, and return its exit code."""
        return self._end(SIGTERM)

    def restart(self) -> None:
        """Kill and start again."""
        self.kill()
        self.start()

    def signal(self, number: Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.is_running:
            self.kill()
        self._http.close()

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def _end(self, number: Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    # talking to it

    def post(self, payload: Mapping[str, Any]) -> httpx.Response:
        """Post an export as test IO does, and remember it when it is accepted."""
        answer = self._http.post(f"{self.url}/export/shop/{SECRET}", json=payload)
        if answer.status_code == 202:
            self.accepted[answer.json()["export"]] = payload["bug"]["id"]
        return answer

    def accept(self, payload: Mapping[str, Any]) -> str:
        """Post an export that has to be accepted; return its id."""
        answer = self.post(payload)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["export"])

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the JSON API."""
        answer = self._http.request(
            method, f"{self.url}/api/{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert answer.is_success, answer.text
        return answer.json()

    def show(self, export_id: str) -> dict[str, Any]:
        """Return what became of an export."""
        shown: dict[str, Any] = self.api("GET", f"exports/{export_id}")
        return shown

    def delivery(self, export_id: str) -> dict[str, Any]:
        """Return the only delivery of an export."""
        (delivery,) = self.show(export_id)["deliveries"]
        assert isinstance(delivery, dict)
        return delivery

    def tracker(self, name: str = "ledger") -> dict[str, Any]:
        """Return how a tracker stands."""
        (found,) = [one for one in self.api("GET", "trackers")["trackers"] if one["name"] == name]
        assert isinstance(found, dict)
        return found

    def finish(self, *, seconds: float = 20) -> None:
        """Wait until nothing is left to do."""
        try:
            until("everything is done", lambda: self.api("GET", "status")["unfinished"] == 0, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_file.read_text()[-4000:]}") from None

    # what it said

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every whole line of the log, of all processes so far."""
        text = self.log_file.read_text() if self.log_file.exists() else ""
        return [_line(line) for line in text.split("\n")[:-1]]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        return [line for line in self.log if line["event"] == event]


def _line(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {"event": text}
    return line if isinstance(line, dict) else {"event": text}


@contextmanager
def running(folder: Path, trackers: Mapping[str, Mapping[str, Any]], **sections: Any) -> Iterator[Daemon]:
    """Give a running daemon; `sections` are merged into its configuration."""
    daemon = Daemon(folder, trackers)
    for name, table in sections.items():
        daemon.config[name] = daemon.config.get(name, {}) | table
    try:
        yield daemon.start()
    finally:
        daemon.close()


def in_process(folder: Path, ledger: LedgerServer, **arguments: Any) -> Bridge:
    """Return a bridge in this process, on the configuration of a daemon that is not started.

    Args:
        folder: Its own.
        ledger: The tracker.
        arguments: Of the bridge: `clock`, ...
    """
    daemon = Daemon(folder, {"ledger": ledger_table(ledger)})
    daemon.write()
    daemon.close()
    return Bridge(load_setup(daemon.file, os.environ), **arguments)


def assert_nothing_is_lost(daemon: Daemon, ledger: LedgerServer) -> None:
    """Hold what was accepted against what the tracker has: one issue for each bug, or visibly dead."""
    shown = [daemon.show(export_id) for export_id in daemon.accepted]
    problems = [problem for one in shown for problem in _unfinished(one)]
    for bug in set(daemon.accepted.values()):
        deliveries = [each for one in shown if one["bug_id"] == bug for each in one["deliveries"]]
        problems += _miscounted(bug, deliveries, ledger)
    strangers = set(ledger.markers()) - {f"testio-bug-{bug}" for bug in daemon.accepted.values()}
    problems += [f"{marker}: an issue that nobody asked for" for marker in strangers]
    assert not problems, "\n".join(problems)


def _unfinished(shown: Mapping[str, Any]) -> Iterator[str]:
    if not shown["deliveries"]:
        yield f"export {shown['id']}: goes nowhere"
    for delivery in shown["deliveries"]:
        for step in (delivery, *delivery["followups"]):
            if step["state"] not in {"delivered", "dead"}:
                yield f"export {shown['id']}: left {step['state']}: {step}"
            if step["state"] == "dead" and not step["error"]:
                yield f"export {shown['id']}: dead, and nobody knows why: {step}"


def _miscounted(bug: int, deliveries: list[dict[str, Any]], ledger: LedgerServer) -> Iterator[str]:
    issues, states = ledger.of_bug(bug), [delivery["state"] for delivery in deliveries]
    if len(issues) > 1 or ("delivered" in states and not issues):
        yield f"bug {bug}: {len(issues)} issues, deliveries {states}"
    attached = {
        step["url"].rpartition("/")[2]
        for delivery in deliveries
        for step in delivery["followups"]
        if step["kind"] == "attach" and step["state"] == "delivered"
    }
    for name in attached - {name for issue in issues for name in issue["files"]}:
        yield f"bug {bug}: {name} is said to be attached, and is not"
