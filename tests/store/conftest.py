"""A store in a real file, and what goes into it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import TrackerError
from bridge.model import Attachment, Issue
from bridge.store import (
    Batch,
    Claim,
    Claimed,
    ClaimedFollowup,
    Destination,
    ExportState,
    Followup,
    FollowupOutcome,
    NewExport,
    Outcome,
    Receipt,
    State,
    Store,
)
from tests import postgresql

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
LEASE = timedelta(seconds=60)
OWNER = "this process"
ISSUE = Issue(id="10001", key="WEB-1", url="https://t.example/WEB-1")
FILE = Attachment(url="https://files.test.io/a.png", type="image/png")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def new_export(name: str = "e1", bug: int = 1, *trackers: str, **changes: Any) -> NewExport:
    """An export of `bug` to these trackers (`web`)."""
    export = NewExport(
        id=name,
        connection="shop",
        state=ExportState.ACCEPTED,
        event="bug.exported",
        bug_id=bug,
        title=f"Bug {bug}",
        received_at=START,
        identity=name,
        body=b"{}",
        destinations=tuple(Destination(tracker=tracker) for tracker in trackers or ("web",)),
    )
    return replace(export, **changes)


class World:
    """A store, and shorthands for what its two halves do with it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._numbers = count(1)

    async def accept(self, bug: int = 1, *trackers: str, **changes: Any) -> Receipt:
        """Write a new export down; ids count up: e1, e2, ..."""
        return await self.store.accept(new_export(f"e{next(self._numbers)}", bug, *trackers, **changes))

    async def claim(self, seconds: float = 1, tracker: str = "web", **changes: Any) -> Batch:
        wanted = Claim(
            tracker=tracker, owner=OWNER, limit=10, now=after(seconds), lease=LEASE, circuit_after=3
        )  # fmt: skip
        return await self.store.claim(replace(wanted, **changes))

    async def claim_one(self, seconds: float = 1, tracker: str = "web", **changes: Any) -> Claimed:
        (claimed,) = (await self.claim(seconds, tracker, **changes)).deliveries
        return claimed

    async def claimed_exports(self, seconds: float = 1, tracker: str = "web", **changes: Any) -> list[str]:
        return [claimed.export_id for claimed in (await self.claim(seconds, tracker, **changes)).deliveries]

    async def end(self, claimed: Claimed, state: State = State.DELIVERED, **changes: Any) -> bool:
        """Write down how an attempt ended: well, with `ISSUE`, unless `changes` say otherwise."""
        outcome = Outcome(
            export_id=claimed.export_id,
            tracker=claimed.tracker,
            bug_id=claimed.bug_id,
            owner=OWNER,
            claimed_at=claimed.claimed_at,
            ended_at=claimed.claimed_at + timedelta(seconds=0.5),
            state=state,
        )
        if state is State.DELIVERED:
            outcome = replace(outcome, action="created", issue=ISSUE)
        return await self.store.record(replace(outcome, **changes))

    async def fail(self, claimed: Claimed, error: TrackerError, **changes: Any) -> bool:
        """Write down a failure; again at once, unless `changes` say otherwise."""
        given: dict[str, Any] = {"state": State.PENDING, "next_at": claimed.claimed_at} | changes
        return await self.end(claimed, error=error, **given)

    async def end_step(self, step: ClaimedFollowup, state: State = State.DELIVERED, **changes: Any) -> bool:
        outcome = FollowupOutcome(
            position=step.position,
            owner=OWNER,
            attempt=step.attempt,
            ended_at=after(2),
            state=state,
            tracker=step.tracker,
        )
        return await self.store.record_followup(replace(outcome, **changes))

    async def delivered(self, seconds: float = 1, **changes: Any) -> Claimed:
        """Accept an export of bug 1 with follow-ups and deliver it."""
        await self.accept()
        claimed = await self.claim_one(seconds)
        steps = {"followups": ((Followup.COMPLETE, Attachment(url="")), (Followup.ATTACH, FILE))}
        await self.end(claimed, **(steps | changes))
        return claimed

    async def read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self.store.read(function, *arguments)


class Database:
    """A database with the tables of an empty store.

    Attributes:
        url: Its address.
        file: Where it is, of SQLite.
    """

    def __init__(self, url: str, file: Path = Path()) -> None:
        self.url, self.file = url, file

    def rows(self, query: str) -> list[tuple]:
        """What another process sees in it; also changes what there is, for a statement that returns nothing."""
        file = self.url.removeprefix("sqlite:///")
        connecting = postgresql.connect(self.url) if file == self.url else sqlite3.connect(file)
        with closing(connecting) as connection, connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everything holds for both databases, but for what looks into SQLite's file."""
    if "database" in metafunc.fixturenames:
        both = ["sqlite"] if "file" in metafunc.fixturenames else ["sqlite", "postgresql"]
        metafunc.parametrize("database", both, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, empty_store: Path) -> Database:
    """Each of the two."""
    if request.param == "postgresql":
        return Database(request.getfixturevalue("databases").new())
    file = tmp_path / "bridge.db"
    shutil.copy(empty_store, file)
    return Database(f"sqlite:///{file}", file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    store = Store(database.url)
    store.open()
    yield store
    await store.close()


@pytest.fixture
def world(store: Store) -> World:
    return World(store)
