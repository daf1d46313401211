"""Whatever goes wrong at whichever request: exactly one issue, and everything of it there in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.dispatch import Tracking
from bridge.dispatch.delivery import Delivering
from bridge.dispatch.steps import FollowingUp
from bridge.mapping.mapper import Mapper
from bridge.model import Attachment, AttachmentFile, Bug, Draft, Marker
from bridge.store import Batch, Claim, Claimed, Destination, ExportState, NewExport, State, Store
from bridge.testing.clock import FakeClock
from bridge.testing.conformance.setup import Setup
from bridge.testing.server import FakeServer, Fault, FaultKind, Request
from bridge.tracker import Tracker

FAULTS = {
    "the answer is lost": FaultKind.RESET_AFTER,
    "it never arrives": FaultKind.RESET_BEFORE,
    "the process is killed": FaultKind.RESET_AFTER,
}
KILLED = "the process is killed"
_LEASE = timedelta(minutes=1)
_MOST_STEPS = 200


class Moment:
    """When something goes wrong: at the request with a number, counted from 1."""

    def __init__(self, number: int) -> None:
        self._left = number

    @property
    def has_come(self) -> bool:
        """Whether that request was there."""
        return self._left <= 0

    def __call__(self, _request: Request) -> bool:
        """Whether it is this request, which is counted by asking."""
        self._left -= 1
        return self._left == 0


class _Files:
    """Stands where attachments are fetched."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def fetch(self, attachment: Attachment) -> AttachmentFile:
        path = self._folder / attachment.name
        size = path.write_bytes(attachment.name.encode())
        return AttachmentFile(path=path, name=attachment.name, type="image/png", size=size, url=attachment.url)

    def drop(self, file: AttachmentFile) -> None:
        file.path.unlink()


@dataclass
class Way:
    """The way of a bug's exports from the store into the tracker: the dispatcher's own steps, one after the other.

    Attributes:
        states: How each delivery and each step after it stands.
    """

    store: Store
    clock: FakeClock
    files: _Files
    states: dict[Any, State]

    async def export(self, bug: int, number: int) -> None:
        """Write an export down as the other half does; each says something new."""
        attachment = {"url": f"https://files.test.io/attachments/{bug}-{number}.png", "type": "image/png"}
        document = {
            "event": "bug.exported",
            "bug": {
                "id": bug,
                "title": f"Basket total {bug}",
                "link": f"https://app.test.io/bugs/{bug}",
                "severity": "high",
                "actual_result": f"Seen {number} times",
                "attachments": [attachment],
            },
        }
        await self.store.accept(
            NewExport(
                id=f"{bug}-{number}",
                connection="conformance",
                state=ExportState.ACCEPTED,
                event="bug.exported",
                bug_id=bug,
                received_at=self.clock.now(),
                identity=f"{bug}-{number}",
                body=json.dumps(document).encode(),
                destinations=(Destination(tracker="conformance"),),
            )
        )

    async def go(self, tracker: Tracker[Any], killed: Moment | None = None) -> None:
        """Do what there is to do, and let time pass to whatever is next. Stops where the process was killed."""
        tracking = Tracking(tracker, Mapper(tracker))
        for _ in range(_MOST_STEPS):
            batch = await self._claim()
            assert not batch.paused, batch.paused
            for work in (*batch.deliveries, *batch.followups):
                await self._attempt(work, tracking, killed)
                if killed is not None and killed.has_come:
                    return
            if not batch.deliveries and not batch.followups:
                if batch.next_at is None:
                    return
                self.clock.advance(max(batch.next_at - self.clock.now(), timedelta(milliseconds=1)))
        raise AssertionError(f"there is no end to it: {self.states}")

    async def _claim(self) -> Batch:
        claim = Claim(
            tracker="conformance",
            owner="here",
            limit=1,
            now=self.clock.now(),
            lease=_LEASE,
            circuit_after=_MOST_STEPS,
        )
        return await self.store.claim(claim)

    async def _attempt(self, work: Any, tracking: Tracking, killed: Moment | None) -> None:
        """Make an attempt, and write down how it went: if there is still anybody to do that."""
        if isinstance(work, Claimed):
            delivering = Delivering(work, tracking, self.store, self.clock, _whole, _unchanged, "here", _ours)
            outcome: Any = await delivering.run()
            key: Any = work.export_id
            record: Any = self.store.record
        else:
            step = FollowingUp(work, tracking, self.files, self.clock, _whole, "here")  # type: ignore[arg-type]
            outcome, key, record = await step.run(), work.position, self.store.record_followup
        if killed is not None and killed.has_come:
            return
        self.states[key] = outcome.state
        await record(outcome)


class ExactlyOnce(Setup):
    """Every request of creating, uploading and telling again goes wrong once, in every way."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        """A store in a real file."""
        store = Store(f"sqlite:///{tmp_path / 'bridge.db'}")
        store.open()
        yield store
        await store.close()

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_one_issue_whatever_goes_wrong_at_which_request(
        self, fake: FakeServer, store: Store, tmp_path: Path, fault: str
    ) -> None:
        """A bug is exported with a picture, and once more: first undisturbed, then disturbed at each request."""
        await self._deliver(1, fake, store, tmp_path)
        requests = list(fake.requests)

        for number, request in enumerate(requests, 1):
            moment, bug = Moment(number), 1 + number
            fake.heal()
            fake.inject(Fault(FAULTS[fault], moment))
            if fault == KILLED:  # what it would have sent later is not sent
                fake.inject(Fault(FaultKind.RESET_BEFORE, lambda _, at=moment: at.has_come, _MOST_STEPS))  # type: ignore[misc]
            await self._deliver(bug, fake, store, tmp_path, moment if fault == KILLED else None)

            where = f"{fault}: request {number} of {len(requests)}, {request}"
            marker = Marker.of(bug, FakeClock().now(), tracker="conformance").text
            assert Counter(fake.markers())[marker] == 1, where

    async def _deliver(
        self, bug: int, fake: FakeServer, store: Store, folder: Path, killed: Moment | None = None
    ) -> None:
        """Deliver two exports of a bug; after a kill by a new process, which knows nothing but the store."""
        way = Way(store, FakeClock(), _Files(folder), {})
        for number in (1, 2):
            await way.export(bug, number)
            async with self.using(fake.url) as tracker:
                await way.go(tracker, killed)
            if killed is not None and killed.has_come:
                killed = None
                fake.heal()
                way.clock.advance(timedelta(seconds=1))  # a process takes a while to start
                await store.recover(now=way.clock.now(), everything=True)
                async with self.using(fake.url) as tracker:
                    await way.go(tracker)
        assert set(way.states.values()) == {State.DELIVERED}, way.states


def _whole() -> float:
    return 1.0


def _ours(_claimed: Claimed) -> bool:
    return True


def _unchanged(draft: Draft, _bug: Bug, _tracker: str) -> Draft:
    return draft
