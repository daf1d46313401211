"""The clock jumps: in this process, because only a clock that is passed in can be moved without harm."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.app import Bridge
from bridge.dispatch import dispatcher
from bridge.store import reading
from bridge.testing import Fault, FaultKind, Reply
from tests.bad_days.harness import export, in_process
from tests.bad_days.ledger_server import LedgerServer

HOUR = timedelta(hours=1)


class JumpingClock:
    """The machine's time, and how wrong it is."""

    def __init__(self) -> None:
        self.wrong_by = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.wrong_by

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture(autouse=True)
def attentive_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice a jump within 50 ms instead of 15 s."""
    monkeypatch.setattr(dispatcher, "HEARTBEAT", timedelta(milliseconds=50))


async def accept(bridge: Bridge, bug: int) -> str:
    receipt = await bridge.ingest.accept("shop", json.dumps(export(bug)).encode())
    return receipt.export


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def finish(bridge: Bridge, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while await bridge.store.read(reading.unfinished):
            await asyncio.sleep(0.01)


@contextmanager
def one_issue(ledger: LedgerServer) -> Iterator[None]:
    yield
    assert len(ledger.issues) == 1


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
def test_while_a_delivery_waits_for_its_next_attempt(
    jump: timedelta, tmp_path: Path, ledger: LedgerServer, clock: JumpingClock
):
    """It waits as long as it was told to, and not an hour longer."""
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(429, headers={"Retry-After": "1"})))
    bridge = in_process(tmp_path, ledger, clock=clock)

    async def scenario() -> None:
        await bridge.start()
        await accept(bridge, 1)
        await until(lambda: ledger.creates)
        clock.wrong_by = jump
        await finish(bridge)
        await bridge.stop()

    with one_issue(ledger):
        asyncio.run(scenario())


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER, FaultKind.HANG_AFTER])
def test_while_it_is_in_doubt_whether_the_issue_was_made(
    kind: FaultKind, jump: timedelta, tmp_path: Path, ledger: LedgerServer, clock: JumpingClock
):
    """The doubt stays a doubt, and the search looks far enough back."""
    ledger.inject(Fault(kind))
    bridge = in_process(tmp_path, ledger, clock=clock)

    async def scenario() -> None:
        await bridge.start()
        await accept(bridge, 1)
        await until(lambda: ledger.issues)
        clock.wrong_by = jump
        await finish(bridge)
        await bridge.stop()

    with one_issue(ledger):
        asyncio.run(scenario())


def test_set_right_while_nothing_ran(tmp_path: Path, ledger: LedgerServer, clock: JumpingClock):
    """The clock was an hour ahead when the issue was made; the next process has the right time."""
    ledger.inject(Fault(FaultKind.HANG_AFTER))
    clock.wrong_by = HOUR

    async def first(bridge: Bridge) -> None:
        await bridge.start()
        await accept(bridge, 1)
        await accept(bridge, 1)
        await until(lambda: ledger.issues)
        await bridge.dispatcher.stop(timedelta(0))
        await bridge.stop()

    async def second(bridge: Bridge) -> None:
        await bridge.start()
        await finish(bridge)
        await bridge.stop()

    with one_issue(ledger):
        asyncio.run(first(in_process(tmp_path, ledger, clock=clock)))
        clock.wrong_by = timedelta(0)
        asyncio.run(second(in_process(tmp_path, ledger, clock=clock)))


def test_back_and_forth_all_the_time(tmp_path: Path, ledger: LedgerServer, clock: JumpingClock):
    for kind in (FaultKind.RESET_AFTER, FaultKind.RESET_BEFORE, FaultKind.REFUSE, FaultKind.HALF):
        ledger.inject(Fault(kind, times=3))
    bridge = in_process(tmp_path, ledger, clock=clock)

    async def scenario() -> None:
        await bridge.start()
        for bug in range(1, 21):
            clock.wrong_by = timedelta(seconds=(-1) ** bug * bug * 7)
            await accept(bridge, bug)
            await asyncio.sleep(0.02)
        await finish(bridge, 15)
        await bridge.stop()

    asyncio.run(scenario())
    assert sorted(ledger.markers()) == sorted(f"testio-bug-{bug}" for bug in range(1, 21))
