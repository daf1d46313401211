"""A real tracker type on its bad days, where waiting for its search (60 s) is not part of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.testing import Fault, FaultKind, Reply
from tests.bad_days.harness import QUICK, Daemon, export, running, until
from tests.trackers.fake_github import PREFIX, REPOSITORY, TOKEN, GitHubServer

pytestmark = pytest.mark.process

REFUSED = Reply(
    422,
    json={
        "message": "Validation Failed",
        "errors": [{"resource": "Issue", "field": "milestone", "code": "invalid", "value": 9}],
    },
)


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server
        assert not server.invalid


@pytest.fixture
def daemon(tmp_path: Path, github: GitHubServer) -> Iterator[Daemon]:
    table = {"type": "github", "url": f"{github.url}{PREFIX}", "repository": REPOSITORY, "token": TOKEN}
    with running(tmp_path, {"github": table | {"retry": dict(QUICK)}}) as one:
        yield one


def test_refused_limited_and_exported_again(daemon: Daemon, github: GitHubServer):
    github.inject(Fault(FaultKind.REFUSE, reply=REFUSED))
    dead = daemon.accept(export(1))
    daemon.finish()
    assert daemon.delivery(dead)["state"] == "dead"
    assert "milestone" in daemon.delivery(dead)["error"]
    github.inject(
        Fault(FaultKind.REFUSE, reply=Reply(429, json={"message": "wait"}, headers={"Retry-After": "1"}))
    )
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(daemon.post, [export(2), export(2, at="2026-01-06T09:00:00Z"), export(3), export(4)]))
    daemon.finish()
    assert sorted(github.markers()) == ["testio-bug-2", "testio-bug-3", "testio-bug-4"]
    daemon.api("POST", "replay", {"ids": [dead]})
    daemon.finish()
    assert sorted(github.markers()) == [f"testio-bug-{bug}" for bug in range(1, 5)]


def test_killed_after_the_create_finds_the_issue(daemon: Daemon, github: GitHubServer):
    github.inject(Fault(FaultKind.HANG_AFTER))
    accepted = daemon.accept(export(1))
    until("GitHub made the issue", github.markers)
    github.issues[1]["created_at"] = github.issues[1]["updated_at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    daemon.restart()
    daemon.finish()
    assert daemon.delivery(accepted)["action"] == "found"
    assert github.markers() == ["testio-bug-1"]


def test_bad_credentials_pause_it_and_a_good_check_goes_on(daemon: Daemon, github: GitHubServer):
    github.inject(Fault(FaultKind.REFUSE, reply=Reply(401, json={"message": "Bad credentials"})))
    accepted = daemon.accept(export(1))
    until("it is paused", lambda: daemon.tracker("github")["paused"])
    assert "Bad credentials" in daemon.tracker("github")["paused"]
    assert daemon.delivery(accepted)["attempts"] == 0
    assert daemon.api("POST", "check", {})["ok"]
    daemon.finish()
    assert github.markers() == ["testio-bug-1"]
