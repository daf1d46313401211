"""A configuration file that is broken when it is to be reloaded: everything goes on as before."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from signal import SIGHUP
from typing import Any

import pytest

from bridge.testing import Fault, FaultKind
from tests.bad_days.harness import HERE, Daemon, assert_nothing_is_lost, export, in_process, ledger_table, until
from tests.bad_days.ledger_server import LedgerServer

WRONG = "the configuration is wrong; nothing was taken over"


def break_with_wrong_values(daemon: Daemon) -> None:
    daemon.config["trackers"]["ledger"] |= {"concurrency": 0, "tokn": "x"}
    daemon.config["routes"] = [{"trackers": ["ledgr"]}]
    daemon.config["servr"] = {}
    daemon.write()


def break_with_bytes(daemon: Daemon) -> None:
    daemon.file.write_bytes(b"\xff\xfe[server")


def break_by_removing(daemon: Daemon) -> None:
    daemon.file.unlink()


def break_the_plugin_folder(daemon: Daemon) -> None:
    (folder := daemon.folder / "plugins").mkdir()
    (folder / "ledger.py").write_text("import nothing_of_this_name\n")
    daemon.config["plugins"]["folder"] = str(folder)
    daemon.write()


def break_a_template(daemon: Daemon) -> None:
    daemon.config["trackers"]["ledger"]["title"] = "{{ bug.titel "
    daemon.write()


def change_what_cannot_be_changed(daemon: Daemon) -> None:
    daemon.config["store"] = {"url": "sqlite:///another.db"}
    daemon.write()


@pytest.mark.process
def test_a_broken_file_changes_nothing_and_every_problem_is_said(daemon: Daemon, ledger: LedgerServer):
    assert daemon.process is not None
    break_with_wrong_values(daemon)
    daemon.signal(SIGHUP)
    (line,) = until("it says what is wrong", lambda: daemon.said(WRONG))
    said = "\n".join(line["problems"])
    for place in ("trackers.ledger.concurrency", "trackers.ledger.tokn", "servr", "routes[0].trackers"):
        assert place in said
    assert 'did you mean "ledger"' in said
    daemon.accept(export(1))
    daemon.finish()
    assert_nothing_is_lost(daemon, ledger)


def has_said_so(daemon: Daemon, times: int) -> bool:
    return len(daemon.said(WRONG)) == times


@pytest.mark.process
def test_however_it_is_broken_the_daemon_goes_on(daemon: Daemon, ledger: LedgerServer):
    sound = dict(daemon.config)
    breaks = (
        break_with_bytes,
        break_by_removing,
        break_the_plugin_folder,
        break_a_template,
        change_what_cannot_be_changed,
    )
    for number, broken in enumerate(breaks, start=1):
        broken(daemon)
        daemon.signal(SIGHUP)
        until("it says what is wrong", partial(has_said_so, daemon, number))
        daemon.accept(export(number))
        daemon.config = dict(sound) | {"plugins": {"folder": str(HERE / "plugins")}}
        daemon.config["trackers"] = {"ledger": ledger_table(ledger)}
    daemon.write()
    daemon.signal(SIGHUP)
    until("it takes the sound file over", lambda: daemon.said("configuration reloaded"))
    daemon.finish()
    assert len(ledger.issues) == len(breaks)
    assert_nothing_is_lost(daemon, ledger)


@pytest.mark.process
def test_reloaded_again_and_again_while_deliveries_are_under_way(daemon: Daemon, ledger: LedgerServer):
    """Creates fail in every way meanwhile; what a reload cuts off is looked for like after a kill."""
    for kind in (FaultKind.RESET_AFTER, FaultKind.RESET_BEFORE, FaultKind.HALF, FaultKind.HANG_AFTER):
        ledger.inject(Fault(kind, times=2))
    daemon.config["server"]["shutdown_grace"] = "100ms"
    for bug in range(1, 31):
        daemon.accept(export(bug, pictures=ledger.url))
        if bug % 5 == 0:
            daemon.config["trackers"]["ledger"]["concurrency"] = bug // 5
            daemon.write()
            daemon.signal(SIGHUP)
    daemon.finish()
    assert len(ledger.issues) == 30
    assert_nothing_is_lost(daemon, ledger)


def test_many_reloads_at_once_leave_one_lane_for_each_tracker(tmp_path: Path, ledger: LedgerServer):
    bridge = in_process(tmp_path, ledger)

    async def scenario() -> list[str]:
        await bridge.start()
        await asyncio.gather(*(bridge.reload() for _ in range(5)))
        stopping = asyncio.gather(bridge.stop(), bridge.reload(), return_exceptions=True)
        _, refused = await stopping
        assert "not running" in str(refused)
        return [str(task) for task in asyncio.all_tasks() if "Lane.run" in str(task)]

    assert asyncio.run(scenario()) == []


def test_a_tracker_that_does_not_close_holds_up_neither_reload_nor_end(tmp_path: Path, ledger: LedgerServer):
    bridge = in_process(tmp_path, ledger)

    async def fail() -> None:
        raise RuntimeError("this plugin's close is broken")

    async def scenario() -> None:
        await bridge.start()
        tracker: Any = bridge.dispatcher.trackings["ledger"].tracker
        tracker.close = fail
        await bridge.reload()
        assert bridge.dispatcher.trackings["ledger"].tracker is not tracker
        await bridge.stop()

    asyncio.run(scenario())
