"""Real processes: a sandbox, the daemon, and the command line, as people run them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomlkit

from tests.testio.bridging import free_port

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

COMMAND = [sys.executable, "-m", "bridge"]
TOKEN, ADMIN = "test-io-api-token-0123456789", "admin-token-0123456789"
SECRETS = {"shop": "secret-of-the-shop-0123", "app": "secret-of-the-app-01234"}
PASSWORD = "staging-password"
TRACKERS = ("web", "archive")


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


@contextmanager
def process(folder: Path, log: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / log).open("ab") as stream:
        started = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stdout=stream, stderr=stream)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0, (folder / log).read_text()[-3000:]


class Town:
    """A sandbox and a daemon, each a process."""

    def __init__(self, folder: Path, stack: ExitStack, *options: str) -> None:
        self.folder, self._stack = folder, stack
        arguments = ("sandbox", "--port", "0", "--token", TOKEN, "--allow-http", "--retry-wait", "0.05", *options)
        stack.enter_context(process(folder, "sandbox.log", *arguments))
        self.http = stack.enter_context(httpx.Client(trust_env=False, timeout=30))
        log = folder / "sandbox.log"
        self.test_io = until(lambda: re.search(r"http://[\d.:]+", log.read_text()), "the sandbox serves")[0]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.write()

    def write(self, **settings: Any) -> None:
        names = zip(SECRETS, ([1], [2]), strict=True)
        connections = {name: {"secret": SECRETS[name], "product_ids": ids, **settings} for name, ids in names}
        tables = {
            "server": {"port": self.port, "admin_token": ADMIN, "shutdown_grace": "5s"},
            "log": {"format": "json", "level": "debug"},
            "attachments": {"allow_http": True, "allow_private": True},
            "testio": {
                "url": f"{self.test_io}/customer/v2", "token": TOKEN, "reconcile_every": "0s",
                "look_every": "200ms", "look_rate": "200/second",
            },
            "connections": connections,
            "routes": [{"trackers": list(TRACKERS), "on_reexport": "new"}],
            "trackers": {
                name: {"type": "files", "folder": f"issues-{name}", "attachments": "link"} for name in TRACKERS
            },
        }  # fmt: skip
        (self.folder / "config.toml").write_text(tomlkit.dumps(tables))

    def serve(self) -> None:
        self._stack.enter_context(process(self.folder, "daemon.log", "serve", "--config", "config.toml"))

        def ready() -> bool:
            try:
                return self.http.get(f"{self.url}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        until(ready, "the daemon serves")

    def run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [*COMMAND, *arguments, "--config", "config.toml"],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def api(self, path: str) -> Any:
        return self.http.get(f"{self.url}/api/{path}", headers={"Authorization": f"Bearer {ADMIN}"}).json()

    def finish(self) -> None:
        until(lambda: self.api("status")["unfinished"] == 0, "everything is delivered")

    def state(self) -> Any:
        return self.http.get(f"{self.test_io}/state").json()

    def export(self, bugs: list[int]) -> Any:
        for bug in bugs:
            assert self.http.post(f"{self.test_io}/bugs/{bug}/export").status_code == 303
        return until(lambda: (state := self.state())["busy"] == 0 and state, "all webhooks are sent")

    def issues(self, tracker: str) -> dict[Path, int]:
        """Every issue, and the bug that it is about."""
        files = (self.folder / f"issues-{tracker}").rglob("*.md")
        found = {}
        for file in files:
            marker = re.search(r"testio-bug-(\d+)", file.read_text())
            if marker:
                found[file] = int(marker[1])
        return found


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    with ExitStack() as stack:
        yield lambda *options: Town(tmp_path, stack, *options)


def test_nothing_is_lost_or_doubled_though_webhooks_are(town):
    """200 exports, 30 % of the webhooks dropped, 10 % doubled, some late: one issue for each bug and tracker."""
    one = town(
        "--bugs", "200", "--drop", "0.3", "--double", "0.1", "--shuffle", "0.2", "--late-by", "0.5", "--full"
    )  # fmt: skip
    one.serve()
    plan = json.loads(one.run("connections", "sync", "--dry-run", "--json"))
    assert {each["action"] for each in plan["connections"]} == {"create"}
    one.run("connections", "sync", "--yes")

    bugs = [bug["id"] for bug in one.state()["bugs"]]
    state = one.export(bugs)
    outcomes = Counter(line["outcome"] for line in state["log"])
    assert outcomes["dropped"] > 30
    assert outcomes["202"] > 200 - outcomes["dropped"]
    one.finish()
    missing = json.loads(one.run("reconcile", "--dry-run", "--json"))["missing"]
    assert len(missing) == outcomes["dropped"]
    assert "taken in" in one.run("reconcile")
    one.finish()

    for tracker in TRACKERS:
        assert sorted(one.issues(tracker).values()) == bugs
    assert json.loads(one.run("reconcile", "--json"))["taken"] == []
    assert len(one.api("exports?limit=1000")["exports"]) == 200


def test_the_loop_is_closed(town):
    """Issues closed in bulk, one tracker paused meanwhile: each bug is fixed at test IO, once."""
    one = town("--bugs", "12")
    one.write(mark_exported=True, when_done="fixed")
    one.serve()
    one.run("connections", "sync", "--yes")
    bugs = [bug["id"] for bug in one.state()["bugs"]]
    one.export(bugs)
    one.finish()
    until(
        lambda: {bug["export_status"] for bug in one.state()["bugs"]} == {"exported"},
        "all are marked as exported",
    )
    one.run("pause", "archive")
    for tracker in TRACKERS:
        for file in one.issues(tracker):
            text = file.read_text()
            assert re.search(r"^status: ", text, re.MULTILINE)
            file.write_text(re.sub(r"^status: .*", "status: closed", text, flags=re.MULTILINE))
    looked = len(one.state()["requests"])
    assert not any(bug["fixed"] for bug in one.state()["bugs"]), looked
    one.run("resume", "archive")
    until(lambda: all(bug["fixed"] for bug in one.state()["bugs"]), "all are fixed", 90)

    marks = [sorted(bug["marks"]) for bug in one.state()["bugs"]]
    assert marks == [["mark_as_exported", "mark_as_fixed"]] * len(bugs)
    for tracker in TRACKERS:
        assert len(one.issues(tracker)) == len(bugs)


def test_no_credential_is_found_anywhere_afterwards(town):
    one = town("--bugs", "9", "--full", "--drop", "0.5")
    one.write(enrich=True, mark_exported=True)
    one.serve()
    shown = one.run("connections", "sync", "--yes")
    one.export([bug["id"] for bug in one.state()["bugs"]])
    until(lambda: one.api("connections")["errands"], "errands are there")
    one.finish()
    shown += one.run("reconcile", "--json") + one.run("backfill", "--everything", "--json")
    one.finish()
    until(lambda: len(one.issues("web")) == 9, "all bugs have an issue")
    shown += one.run("connections", "list") + one.run("connections", "show", "1")
    for path in ("status", "connections", "trackers", "deliveries?limit=1000", "exports?limit=1000"):
        shown += json.dumps(one.api(path))
    for row in one.api("exports?limit=1000")["exports"]:
        shown += json.dumps(one.api(f"exports/{row['id']}"))

    places = {"what was shown": shown.encode()}
    for file in one.folder.rglob("*"):
        if file.is_file() and file.name not in {"config.toml", "sandbox.log"}:
            places[file.name] = file.read_bytes()
    assert b"Staging" in places["bridge.db"] + places.get("bridge.db-wal", b"")
    for secret in (PASSWORD, "staging-user", TOKEN, *SECRETS.values()):
        assert [name for name, content in places.items() if secret.encode() in content] == [], secret


def test_a_secret_is_rotated_without_losing_an_export(town):
    one = town("--bugs", "6")
    one.serve()
    one.run("connections", "sync", "--yes")
    one.run("connections", "rotate", "shop", "--yes")
    urls = {each["name"]: each["url"] for each in one.state()["connections"]}
    assert SECRETS["shop"] not in urls["shop"]
    old = one.http.post(f"{one.url}/export/shop/{SECRETS['shop']}", json={"event": "x"})
    assert old.status_code == 202

    one.export([bug["id"] for bug in one.state()["bugs"]])
    one.finish()
    assert len(one.issues("web")) == 6
    one.run("connections", "rotate", "shop", "--finish", "--yes")
    old = one.http.post(f"{one.url}/export/shop/{SECRETS['shop']}", json={"event": "x"})
    assert old.status_code == 404


def test_single_connections_by_hand(town):
    one = town("--bugs", "0")
    one.serve()
    address = "https://x.example.com/export/a/a-secret"
    made = json.loads(one.run("connections", "create", "Mine", "--url", address, "--product", "1", "--json"))
    one.run("connections", "update", str(made["id"]), "--fixed")
    (connection,) = one.state()["connections"]
    assert (connection["name"], connection["url"], connection["fixed"]) == ("Mine", address, True)
    assert "a-secret" not in one.run("connections", "show", str(made["id"]))
    one.run("connections", "delete", str(made["id"]), "--yes")
    assert one.state()["connections"] == []
