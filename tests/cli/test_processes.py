"""The command line as people run it: real processes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from tests.cli.conftest import SECRET, TOKEN, House

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "bridge"]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answers(house: House) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{house.port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_serve_takes_exports_in_until_it_is_told_to_end(house):
    house.cheer()
    log = house.folder / "log"
    with log.open("wb") as stream:
        daemon = subprocess.Popen([*COMMAND, "serve"], cwd=house.folder, stderr=stream)
    until(lambda: answers(house))
    sent = subprocess.run(
        [*COMMAND, "send", "-"],
        check=False, cwd=house.folder, capture_output=True,
        input=b'{"event": "bug.exported", "bug": {"id": 7, "title": "T"}}',
    )  # fmt: skip
    daemon.send_signal(signal.SIGINT)

    assert sent.returncode == 0, sent.stderr
    assert daemon.wait(20) == 0
    assert (house.folder / "issues" / "testio-bug-7" / "issue.md").exists()
    assert b"serving" in log.read_bytes()
    assert SECRET.encode() not in log.read_bytes()
    assert TOKEN.encode() not in log.read_bytes()


def test_serve_says_everything_that_is_wrong_and_does_not_start(house):
    house.config["trackers"]["files"]["lables"] = ["x"]
    house.write()

    ended = subprocess.run([*COMMAND, "serve"], check=False, cwd=house.folder, capture_output=True, text=True)

    assert ended.returncode == 2
    assert 'trackers.files.lables: is not known here; did you mean "labels"?' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_told(running):
    running.config["store"] = {"url": "sqlite:///other.db"}
    other = running.folder / "other.toml"
    running.write().rename(other)

    ended = subprocess.run(
        [*COMMAND, "serve", "--config", str(other)],
        check=False,
        cwd=running.folder,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 2
    assert f"port {running.port} cannot be listened on" in ended.stderr


def test_a_reader_that_goes_away_ends_a_command_quietly(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)

    ended = subprocess.run(
        [*COMMAND, "config", "schema"], check=False, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)

    assert ended.returncode == 141
    assert ended.stderr == b""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started hears Ctrl-C, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_asking_ends_quietly(tmp_path):
    main, terminal = pty.openpty()
    asking = subprocess.Popen(
        [*COMMAND, "init"], cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while b"Which type of tracker" not in seen:
        seen += os.read(main, 4096)
    error = None
    while (
        error is None
    ):  # one that comes just before it reads is seen only after that, as by everybody at a terminal
        asking.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, error = asking.communicate(timeout=5)
    os.close(main)

    assert asking.returncode == 130
    assert b"Traceback" not in error
    assert not (tmp_path / "config.toml").exists()


def test_help_comes_at_once():
    """Measured against the bare interpreter on the same machine: importing the whole program takes far longer."""

    def fastest(command: list[str]) -> float:
        times = []
        for _ in range(2):
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        return min(times)

    helped = fastest([*COMMAND, "--help"])
    everything = fastest([sys.executable, "-c", "import typer, rich.console, bridge.app, bridge.web"])
    assert helped < everything
