"""Plugins whose every hook fails, in every way in which Python can fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import hookspecs
from bridge.store import reading
from bridge.testing import Fault, FaultKind, Reply
from tests.bad_days.harness import (
    HERE,
    Daemon,
    assert_nothing_is_lost,
    export,
    in_process,
    ledger_table,
    running,
    until,
)
from tests.bad_days.ledger_server import LedgerServer

ARGUMENTS = {
    "bridge_route": "export",
    "bridge_prepare": "draft, bug, tracker",
    "bridge_received": "export",
    "bridge_attempt_failed": "export_id, error, attempt",
    "bridge_delivered": "export_id, issue, action",
    "bridge_dead": "export_id, error",
    "bridge_tracker_paused": "tracker, reason",
}
ONLY_TELL = ARGUMENTS.keys() - {"bridge_route", "bridge_prepare"}


def plugin_with(failure: str, *, asynchronous: bool, hooks: Collection[str] = ARGUMENTS.keys()) -> str:
    """Return the source of a plugin in which each of `hooks` does `failure`."""
    lines = ["import asyncio, sys, time", "from bridge import hookimpl"]
    for hook in hooks:
        arguments = ARGUMENTS[hook]
        prefix = "async " if asynchronous and hook in ONLY_TELL else ""
        lines += ["@hookimpl", f"{prefix}def {hook}({arguments}):", f"    {failure}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of plugins that has the tracker, and one that cannot even say which trackers it brings."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "ledger.py").write_text((HERE / "plugins" / "ledger.py").read_text())
    broken = "from bridge import hookimpl\n@hookimpl\ndef bridge_trackers():\n    return 1 / 0\n"
    (folder / "broken.py").write_text(broken)
    return folder


@pytest.fixture
def daemon(tmp_path: Path, folder: Path, ledger: LedgerServer, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    (folder / "saboteur.py").write_text(request.param)
    trackers = {"ledger": ledger_table(ledger)}
    with running(tmp_path, trackers, plugins={"folder": str(folder)}) as one:
        yield one


@pytest.mark.process
@pytest.mark.parametrize(
    "daemon",
    [
        pytest.param(plugin_with("raise RuntimeError('sabotage')", asynchronous=False), id="an error"),
        pytest.param(plugin_with("raise RuntimeError('sabotage')", asynchronous=True), id="an error, async"),
        pytest.param(plugin_with("sys.exit('sabotage')", asynchronous=False), id="sys.exit"),
        pytest.param(plugin_with("sys.exit('sabotage')", asynchronous=True), id="sys.exit, async"),
        pytest.param(plugin_with("raise asyncio.CancelledError", asynchronous=True), id="a cancellation"),
    ],
    indirect=True,
)
def test_every_hook_fails_and_every_export_arrives(daemon: Daemon, ledger: LedgerServer):
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(503)))
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(422, json={"message": "no"})))
    for bug in (1, 2, 3):
        daemon.accept(export(bug))
    daemon.finish()
    daemon.api("POST", "trackers/ledger/pause", {})
    until("every hook failed", lambda: failed_hooks(daemon) == set(ARGUMENTS))
    daemon.api("POST", "trackers/ledger/resume")
    daemon.accept(export(4))
    daemon.finish()
    plugins = {one["name"]: one for one in daemon.api("GET", "plugins")["plugins"]}
    assert plugins["saboteur"]["failures"] > len(ARGUMENTS)
    assert "ZeroDivisionError" in plugins["broken"]["error"]
    assert len(ledger.issues) == 3
    assert_nothing_is_lost(daemon, ledger)
    assert daemon.stop() == 0


@pytest.mark.process
@pytest.mark.parametrize(
    "daemon",
    [
        pytest.param(plugin_with("await asyncio.sleep(3600)", asynchronous=True, hooks=ONLY_TELL), id="async"),
        pytest.param(plugin_with("time.sleep(3600)", asynchronous=False, hooks=ONLY_TELL), id="in a thread"),
    ],
    indirect=True,
)
def test_hooks_that_never_end_hold_up_nothing(daemon: Daemon, ledger: LedgerServer):
    """Neither the exports and their files nor the end of the process."""
    for bug in range(1, 11):
        daemon.accept(export(bug, pictures=ledger.url))
    daemon.finish(seconds=8)
    assert len(ledger.issues) == 10
    assert_nothing_is_lost(daemon, ledger)
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < 5


def test_these_are_all_hooks():
    assert {*ARGUMENTS, "bridge_trackers"} == {name for name in vars(hookspecs) if name.startswith("bridge_")}


@pytest.mark.parametrize("error", [SystemExit("enough"), asyncio.CancelledError(), ValueError("odd")], ids=repr)
def test_a_tracker_type_that_fails_in_ways_of_its_own(error: BaseException, tmp_path: Path, ledger: LedgerServer):
    """In a create, in a search and in an upload: neither the daemon nor the delivery goes under."""
    bridge = in_process(tmp_path, ledger)
    failed: list[str] = []

    def failing_once(tracker: Any, method: str) -> None:
        good = getattr(tracker, method)

        async def fail(*arguments: Any) -> Any:
            if method in failed:
                return await good(*arguments)
            failed.append(method)
            raise error

        setattr(tracker, method, fail)

    async def scenario() -> None:
        await bridge.start()
        for method in ("create", "find", "attach"):
            failing_once(bridge.dispatcher.trackings["ledger"].tracker, method)
        await bridge.ingest.accept("shop", json.dumps(export(1, pictures=ledger.url)).encode())
        async with asyncio.timeout(10):
            while await bridge.store.read(reading.unfinished):
                await asyncio.sleep(0.01)
        await bridge.stop()

    asyncio.run(scenario())
    assert failed == ["create", "find", "attach"]
    assert len(ledger.issues) == 1
    assert sorted(ledger.issues[0]["files"]) == ["1-1.png", "1-2.png"]


def failed_hooks(daemon: Daemon) -> set[str]:
    return {line["hook"] for line in daemon.said("a plugin's hook failed") if line["plugin"] == "saboteur"}
