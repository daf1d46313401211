"""Three real daemons on one PostgreSQL, and a tracker that counts what they make."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bad_days.harness import Daemon, ledger_table
from tests.bad_days.ledger_server import LedgerServer

LEASE = 2.0
"""Seconds: the shortest that may be configured."""


class Replicas:
    """Daemons with the same configuration, each in a folder of its own.

    Attributes:
        all: The daemons, running or not.
    """

    def __init__(self, daemons: list[Daemon]) -> None:
        self.all = daemons

    def start(self) -> Replicas:
        """Start all at the same moment."""
        errors: list[Exception] = []

        def start(daemon: Daemon) -> None:
            try:
                daemon.start()
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)

        threads = [threading.Thread(target=start, args=(daemon,)) for daemon in self.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return self

    @property
    def accepted(self) -> dict[str, int]:
        """Every export that any of them answered with 202, and its bug."""
        return {export: bug for daemon in self.all for export, bug in daemon.accepted.items()}

    def alive(self) -> Daemon:
        """One that runs, which knows what was accepted by any of them."""
        daemon = next(daemon for daemon in self.all if daemon.is_running)
        daemon.accepted = self.accepted
        return daemon

    def delivered_by(self) -> list[int]:
        """How many deliveries each of them ended well."""
        return [len(daemon.said("delivered")) for daemon in self.all]


@pytest.fixture
def ledger() -> Iterator[LedgerServer]:
    with LedgerServer() as server:
        yield server
        assert not server.invalid


@pytest.fixture
def replicas(tmp_path: Path, ledger: LedgerServer, databases: Any) -> Iterator[Callable[..., Replicas]]:
    """Makes daemons that share a database; the keyword arguments are the tracker's settings."""
    with ExitStack() as stack:

        def make(count: int = 3, *, url: str = "", **settings: Any) -> Replicas:
            address, daemons = url or databases.new("template1"), []
            for number in range(count):
                folder = tmp_path / f"replica{number}"
                folder.mkdir()
                daemon = Daemon(folder, {"ledger": ledger_table(ledger, **settings)})
                daemon.config["store"] = {"url": address, "lease": f"{LEASE}s"}
                stack.callback(daemon.close)
                daemons.append(daemon)
            return Replicas(daemons)

        yield make
