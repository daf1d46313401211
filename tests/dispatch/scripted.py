"""A tracker in memory that does as it is told, and everything that a dispatcher needs around it."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from bridge.attachments import AttachmentError
from bridge.dispatch import Dispatcher, Tracking
from bridge.dispatch.lane import Work
from bridge.dispatch.slots import Slots
from bridge.mapping import Mapper
from bridge.model import Attachment, AttachmentFile, Body, Draft, Finding, Issue, Marker, Markup, Report, Verdict
from bridge.secrets import Redactor
from bridge.store import Batch, Claim, Destination, ExportState, NewExport, Receipt, Selection, Store, reading
from bridge.testing import FakeClock
from bridge.tracker import Tools, Tracker, TrackerSettings

Result = TypeVar("Result")
Row = dict[str, Any]
Step = BaseException | Callable[[], Awaitable[None]] | None


class TickingClock(FakeClock):
    """Stands still but for a millisecond at each look, so that no two things happen at one moment."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=1))
        return super().now()


class After:
    """The tracker does what it is asked, and only then answers with this error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Gate:
    """Holds a call until it is opened.

    Attributes:
        reached: How many calls have come.
    """

    def __init__(self) -> None:
        self.reached = 0
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self) -> None:
        self.reached += 1
        await self._open.wait()


class Scripted(Tracker[TrackerSettings]):
    """Keeps issues in memory. `on` says what happens instead, call by call.

    Attributes:
        drafts: What each issue was made of, by its id.
        calls: Every call: method and what it was about.
        well: What the doctor says.
    """

    type, label, settings_type, markup = "scripted", "Scripted", TrackerSettings, Markup.GFM

    def __init__(self, name: str, settings: TrackerSettings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.drafts: dict[str, Draft] = {}
        self.calls: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self.well = True
        self.warnings: tuple[str, ...] = ()
        self.closed = False
        self.under_way = self.most_under_way = 0
        self._script: defaultdict[str, list[Any]] = defaultdict(list)

    def on(self, method: str, *steps: Step | After) -> None:
        """At the next calls of `method`: raise, wait, or (None) simply do it."""
        self._script[method] += steps

    def made(self, bug: int) -> list[str]:
        """The ids of the issues that exist for a bug."""
        return [issue for issue, draft in self.drafts.items() if draft.bug.id == bug]

    def did(self, method: str) -> list[str]:
        """What `method` was called about, in order."""
        return [about for name, about in self.calls if name == method]

    async def check(self) -> Report:
        await self._play("check", "")
        return Report(() if self.well else (Finding(Verdict.ERROR, "credentials", "refused"),))

    async def create(self, draft: Draft) -> Issue:
        async def do() -> Issue:
            issue = self._issue(str(len(self.drafts) + 1))
            self.drafts[issue.id] = draft
            return issue

        return await self._do("create", draft.marker.text, do)

    async def find(self, marker: Marker) -> Issue | None:
        async def do() -> Issue | None:
            found = [issue for issue, draft in self.drafts.items() if draft.marker.text == marker.text]
            return self._issue(found[0]) if found else None

        return await self._do("find", marker.text, do)

    async def complete(self, issue: Issue, draft: Draft) -> None:
        async def do() -> None:
            assert draft.marker.text in draft.body.text

        await self._do("complete", issue.key, do)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        async def do() -> Issue:
            self.drafts[issue.id] = draft
            return issue

        return await self._do("update", issue.key, do)

    async def comment(self, issue: Issue, body: Body) -> None:
        async def do() -> None:
            self.comments.append(body.text)

        await self._do("comment", issue.key, do)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        async def do() -> None:
            assert file.size

        await self._do("attach", file.name, do)

    async def close(self) -> None:
        await self._play("close", "")
        self.closed = True

    def _issue(self, number: str) -> Issue:
        return Issue(
            id=number, key=f"{self.name}-{number}", url=f"https://t.example/{number}", warnings=self.warnings
        )

    async def _do(self, method: str, about: str, do: Callable[[], Awaitable[Result]]) -> Result:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            after = await self._play(method, about)
            result = await do()
            if after is not None:
                raise after.error
            return result
        finally:
            self.under_way -= 1

    async def _play(self, method: str, about: str) -> After | None:
        self.calls.append((method, about))
        step = self._script[method].pop(0) if self._script[method] else None
        if isinstance(step, After):
            return step
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            await step()
        return None


class Blind(Scripted):
    """Cannot be searched."""

    find = Tracker.find


class Files:
    """Stands where attachments are fetched.

    Attributes:
        broken: Errors by address.
        held: Addresses of files that were not given back yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.broken: dict[str, list[AttachmentError]] = defaultdict(list)
        self.held: list[str] = []

    async def fetch(self, attachment: Attachment) -> AttachmentFile:
        if self.broken[attachment.url]:
            raise self.broken[attachment.url].pop(0)
        self.held.append(attachment.url)
        return AttachmentFile(
            path=self._folder / attachment.name, name=attachment.name, type="image/png", size=4, url=attachment.url
        )

    def drop(self, file: AttachmentFile) -> None:
        self.held.remove(file.url)


class WatchedStore(Store):
    """Remembers what was asked of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.claims: list[tuple[Claim, Batch]] = []
        self.beats: list[datetime] = []
        self.shifts: list[timedelta] = []

    async def claim(self, wanted: Claim) -> Batch:
        batch = await super().claim(wanted)
        self.claims.append((wanted, batch))
        return batch

    async def heartbeat(self, owner: str, until: datetime) -> frozenset[tuple[str, str]]:
        held = await super().heartbeat(owner, until)
        self.beats.append(until)
        return held

    async def shift(self, back: timedelta, now: datetime) -> None:
        await super().shift(back, now)
        self.shifts.append(back)


class World:
    """A dispatcher with scripted trackers on a real store, in a time that the test owns.

    Attributes:
        told: What plugins would have been told: hook and arguments.
    """

    def __init__(self, store: WatchedStore, folder: Path) -> None:
        self.store = store
        self.clock = TickingClock()
        self.told: list[tuple[str, Row]] = []
        self.files = Files(folder)
        self.prepare: Callable[..., Draft] = lambda draft, _bug, _tracker: draft
        self.slots = 100
        self.dispatcher = self.new_dispatcher()
        self._numbers = count(1)

    def new_dispatcher(self, owner: str = "this process") -> Dispatcher:
        work = Work(
            store=self.store,
            downloader=self.files,  # type: ignore[arg-type]
            clock=self.clock,
            random=lambda: 1.0,
            owner=owner,
            prepare=lambda draft, bug, tracker: self.prepare(draft, bug, tracker),  # noqa: PLW0108 - tests change it
            tell=lambda hook, arguments: self.told.append((hook, arguments)),
            slots=Slots(self.slots),
        )
        return Dispatcher(work)

    # trackers

    def track(
        self,
        name: str = "web",
        kind: type[Scripted] = Scripted,
        *,
        account: Sequence[str] = (),
        secrets: Sequence[str] = (),
        **settings: Any,
    ) -> Tracking:
        """A tracking of a new scripted tracker; its retry waits are whole, without jitter."""
        table = TrackerSettings.model_validate({"type": "scripted"} | settings)
        tracker = kind(name, table, Tools(clock=self.clock, redact=Redactor(secrets)))
        return Tracking(tracker, Mapper(tracker), {}, tuple(account) or (name,))

    async def start(self, *trackings: Tracking) -> None:
        await self.dispatcher.start(trackings or [self.track()])

    def tracker(self, name: str = "web") -> Scripted:
        tracker = self.dispatcher.trackings[name].tracker
        assert isinstance(tracker, Scripted)
        return tracker

    # exports

    async def export(
        self, bug: int = 1, *trackers: str, on: str = "comment", update_fields: Sequence[str] = (), **fields: Any
    ) -> str:
        """Accept an export of a bug; each is a minute later than the one before. Does not wake anybody."""
        number = next(self._numbers)
        export = f"e{number}"
        at = fields.pop("at", f"2026-01-05T08:{number:02}:00Z")
        document = {
            "event": "bug.exported",
            "exported_at": at,
            "bug": {"id": bug, "title": f"Bug {bug}", "link": f"https://app.test.io/bugs/{bug}"} | fields,
        }
        to = [
            Destination(tracker=name, on_reexport=on, update_fields=tuple(update_fields))
            for name in trackers or ("web",)
        ]
        await self.store.accept(
            NewExport(
                id=export,
                connection="shop",
                state=ExportState.ACCEPTED,
                event="bug.exported",
                bug_id=bug,
                received_at=self.clock.now(),
                identity=export,
                body=json.dumps(document).encode(),
                destinations=tuple(to),
            )
        )
        return export

    async def receipt(self, bug: int = 1, *trackers: str) -> Receipt:
        """Accept an export and wake its trackers, as the other half does."""
        export = await self.export(bug, *trackers)
        self.dispatcher.wake(trackers or ("web",))
        return Receipt(export, trackers or ("web",), ExportState.ACCEPTED)

    async def replay(self, *ids: str, blind: Sequence[str] = ()) -> None:
        await self.store.replay(Selection(ids=ids), blind, self.clock.now())
        await self.settle()

    # time

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let things happen until `condition` holds."""
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def settle(self) -> None:
        """Let everything happen that happens at this moment."""
        lanes, claims = self.dispatcher._lanes, self.store.claims

        def under_way() -> bool:
            return any(lane._running for lane in lanes.values())

        def handed_out() -> int:
            return sum(len(batch.deliveries) + len(batch.followups) for _, batch in claims)

        while True:
            await self.until(lambda: not under_way())
            now, before, seen = self.clock.now(), handed_out(), len(claims)
            self.dispatcher.wake()
            await self.until(lambda: {one.tracker for one, _ in claims[seen:] if one.now >= now} >= lanes.keys())  # noqa: B023
            if handed_out() == before and not under_way():
                return

    async def woken(self) -> None:
        """Wake every lane, and let each come to rest: for those that may be too early to ask for work."""
        self.dispatcher.wake()
        await self.until(
            lambda: not any(lane._wake.is_set() or lane._running for lane in self.dispatcher._lanes.values())
        )

    async def shifted(self) -> None:
        """Wait until it was noticed that the clock was set back."""
        await self.until(lambda: self.store.shifts != [])

    async def pass_(self, **duration: float) -> None:
        """Let time pass, and then everything that happens."""
        self.clock.advance(timedelta(**duration))
        await self.settle()

    # looking

    async def delivery(self, export: str = "e1", tracker: str = "web") -> Row:
        row = await self.store.read(reading.show_export, export)
        assert row is not None
        (found,) = [delivery for delivery in row["deliveries"] if delivery["tracker"] == tracker]
        return dict(found)

    async def states(self, tracker: str = "web") -> dict[str, str]:
        rows = await self.store.read(reading.list_deliveries, Selection(tracker=tracker))
        return {row["export"]: row["state"] for row in reversed(rows)}

    async def followups(self, export: str = "e1", tracker: str = "web") -> dict[str, str]:
        found = (await self.delivery(export, tracker))["followups"]
        return {step["url"].rpartition("/")[2] or step["kind"]: step["state"] for step in found}

    async def status(self, tracker: str = "web") -> Row:
        return (await self.store.read(reading.list_trackers))[tracker]

    def hooks(self, hook: str) -> list[Row]:
        return [arguments for name, arguments in self.told if name == hook]
