"""What every bad day begins with: a tracker, and a daemon that delivers to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bad_days.harness import Daemon, ledger_table, running
from tests.bad_days.ledger_server import LedgerServer


@pytest.fixture
def ledger() -> Iterator[LedgerServer]:
    with LedgerServer() as server:
        yield server
        assert not server.invalid


@pytest.fixture
def daemon(tmp_path: Path, ledger: LedgerServer) -> Iterator[Daemon]:
    with running(tmp_path, {"ledger": ledger_table(ledger)}) as one:
        yield one
