"""A real Redmine for tests: Debian's package, as an instance of its own in a temporary folder.

The package's files are copied, so that neither the machine's configuration in /etc/redmine nor its instances
in /var/lib/redmine are looked at or touched. What is in the new instance is written in `redmine.ru`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

MISSING = "no Redmine here: install Debian's packages redmine, redmine-sqlite, dbconfig-no-thanks and ruby-webrick"
PACKAGE = Path("/usr/share/redmine")
_CONTENTS = Path(__file__).with_name("redmine.ru")
_INSTANCE = "tests"
_QUICK = """
require "active_record/connection_adapters/sqlite3_adapter"
ActiveRecord::ConnectionAdapters::SQLite3Adapter.prepend(Module.new do
  def configure_connection
    super
    execute("PRAGMA synchronous = OFF") # nothing here has to survive a power cut
  end
end)
"""
_PATIENCE = 120.0  # seconds; Rails starts slowly, and more so beside other tests


def installed() -> bool:
    """Whether the package is here, with Ruby, SQLite and a web server."""
    ruby = shutil.which("ruby")
    if ruby is None or not (PACKAGE / "config.ru").exists():
        return False
    needed = [ruby, "-e", "gem 'sqlite3'; gem 'webrick'"]
    return subprocess.run(needed, check=False, capture_output=True).returncode == 0


class Server:
    """A running Redmine, and what a person may do there by its API.

    Attributes:
        url: Its address.
        keys: API keys by who holds them: `admin`, `bridge`, `reporter`, `onlooker`, `stranger`.
    """

    def __init__(self, folder: Path) -> None:
        self._site = folder / "redmine"
        self._own = self._site / "instances" / _INSTANCE
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.keys: Mapping[str, str] = {}

    def create(self) -> None:
        """Make the instance and its database."""
        shutil.copytree(
            PACKAGE, self._site, ignore=shutil.ignore_patterns("instances", "Gemfile.lock", "database.yml")
        )
        for name in ("config", "files", "log", "tmp/cache", "public/plugin_assets"):
            (self._own / name).mkdir(parents=True)
        database = f"production: {{adapter: sqlite3, database: {self._own}/redmine.sqlite3, timeout: 10000}}\n"
        (self._own / "config" / "database.yml").write_text(database)
        gems = self._site / "Gemfile"
        gems.write_text(gems.read_text().replace(str(PACKAGE), str(self._site)))  # it looks for that file there
        (self._site / "Gemfile.local").write_text('gem "webrick"\n')
        (self._site / "config" / "initializers" / "quick.rb").write_text(_QUICK)
        with self._log.open("ab") as log:
            migrate = ["ruby", "bin/rake", "db:migrate"]
            done = subprocess.run(migrate, check=False, stdout=log, stderr=log, timeout=_PATIENCE, **self._how())
        if done.returncode:
            raise RuntimeError(self._told())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        served = ["-u", "webrick", "-b", "127.0.0.1", "-p", str(self._port), "-P", str(self._own / "pid")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["ruby", "bin/rails", "server", *served, "-c", str(_CONTENTS)],
                stdout=log,
                stderr=log,
                **self._how(),
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(self._told())
            if time.monotonic() > deadline:
                raise TimeoutError(f"Redmine does not start: {self._told()}")
            time.sleep(0.05)
        self.keys = json.loads((self._own / "keys.json").read_text())

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def call(self, method: str, path: str, body: Any = None, *, who: str = "admin") -> Any:
        """Do by the API what somebody does, and return the answer's JSON."""
        headers = {"X-Redmine-API-Key": self.keys[who]}
        answer = httpx.request(
            method, f"{self.url}{path}", json=body, headers=headers, timeout=30, trust_env=False
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def read(self, number: int | str) -> Any:
        """Return an issue with its notes and files."""
        return self.call("GET", f"/issues/{number}.json?include=journals,attachments")["issue"]

    def who(self, name: str) -> int:
        """Return the id of a holder of a key."""
        return int(self.call("GET", "/users/current.json", who=name)["user"]["id"])

    def role(self, name: str) -> int:
        """Return the id of a role."""
        roles = self.call("GET", "/roles.json")["roles"]
        return next(int(role["id"]) for role in roles if role["name"] == name)

    def issues(self, project: str, text: str) -> list[Any]:
        """Return the issues of a project, closed ones too, that have `text` in their descriptions."""
        found = self.call("GET", f"/issues.json?project_id={project}&status_id=*&limit=100")["issues"]
        return [issue for issue in found if text in (issue["description"] or "")]

    def set(self, name: str, value: str) -> None:
        """Do what an administrator does under Administration > Settings."""
        at = (datetime.now(UTC) + timedelta(seconds=1)).strftime(
            "%Y-%m-%d %H:%M:%S.%f"
        )  # or Redmine keeps the old
        with closing(sqlite3.connect(self._own / "redmine.sqlite3", timeout=10)) as database, database:
            changed = database.execute(
                "UPDATE settings SET value = ?, updated_on = ? WHERE name = ?", (value, at, name)
            )
            assert changed.rowcount == 1, name

    def page(self, path: str) -> str:
        """Return a page as somebody sees it who is not signed in."""
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False).raise_for_status().text

    def download(self, url: str) -> bytes:
        """Return an attachment's bytes."""
        answer = httpx.get(url, headers={"X-Redmine-API-Key": self.keys["admin"]}, timeout=30, trust_env=False)
        return answer.raise_for_status().content

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/robots.txt", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _told(self) -> str:
        return self._log.read_text("utf-8", "replace")[-5000:]

    def _how(self) -> dict[str, Any]:
        given = {"PATH": os.environ["PATH"], "TZ": "UTC"}
        own = {"RAILS_ENV": "production", "X_DEBIAN_SITEID": _INSTANCE, "SECRET_KEY_BASE": "0" * 64}
        rest = {"HOME": str(self._site), "LANG": "C.UTF-8", "KEYS": str(self._own / "keys.json")}
        return {"cwd": self._site, "env": given | own | rest}


@contextmanager
def running() -> Iterator[Server]:
    """A new Redmine, gone afterwards.

    Raises:
        RuntimeError: There is none on this machine, or it does not start.
    """
    if not installed():
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory(prefix="bridge-redmine-", ignore_cleanup_errors=True) as place:
        server = Server(Path(place))
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.stop()
