"""A rolling restart behind a load balancer that knows nothing but what /readyz says."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from threading import Event

import pytest

from tests import postgresql
from tests.bad_days.harness import until
from tests.conftest import missing
from tests.faults import databases
from tests.faults.balancer import Balancer
from tests.faults.compare import compare
from tests.faults.daemons import Replica, replicas
from tests.faults.load import Load
from tests.faults.plan import DEAD, bugs
from tests.faults.trackers import KeyedServer, PictureServer, TrackerServer

pytestmark = pytest.mark.process


@pytest.mark.timeout(120)
def test_three_replicas_restarted_one_after_the_other_refuse_no_request(tmp_path: Path):
    """Each is told to end while exports come in; nobody tells the balancer."""
    if postgresql.binaries() is None:
        missing("postgresql", postgresql.MISSING)
    with ExitStack() as stack:
        keyed, searched, island = (
            stack.enter_context(server("", 0)) for server in (KeyedServer, TrackerServer, TrackerServer)
        )
        trackers = {"keyed": ("keyed", keyed), "searched": ("searched", searched), DEAD: ("scanned", island)}
        pictures = stack.enter_context(PictureServer("", 0))
        database = stack.enter_context(databases.postgres(tmp_path))
        daemons = stack.enter_context(replicas(tmp_path, database, trackers, drain="1s"))
        for daemon in daemons:
            daemon.start()
        balancer = stack.enter_context(Balancer(daemons))
        until("all are ready", lambda: all(map(balancer.knows, daemons)))
        reached = lambda: len(keyed.heard) + len(searched.heard) + len(island.heard)  # noqa: E731
        load = Load(
            bugs(1, 5_000),
            "1",
            pictures.url,
            [balancer.url],
            lambda: load.deliveries.total() - reached() < 50,
            senders=3,
        )
        load.start()
        try:
            for daemon in daemons:
                _restart_under_load(daemon, balancer, load)
        finally:
            load.stop()
        until("everything is delivered", lambda: daemons[0].api("GET", "status")["unfinished"] == 0, seconds=30)

        assert (load.refused, load.problems) == (0, [])
        verdict = compare(load.accepted, {name: server.issues for name, (_, server) in trackers.items()})
        assert (verdict.lost, verdict.doubled, verdict.disordered) == ([], [], [])
        assert daemons[0].api("GET", "status")["exports"] == {"accepted": len(load.accepted)}


def _restart_under_load(daemon: Replica, balancer: Balancer, load: Load) -> None:
    before = len(load.accepted)
    until("exports come in", lambda: len(load.accepted) > before + 20)
    assert daemon.end(SIGTERM) == 0, daemon.said
    daemon.start()
    assert daemon.wait_until_ready(Event())
    until("the balancer knows", lambda: balancer.knows(daemon))
