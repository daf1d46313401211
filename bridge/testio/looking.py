"""Looking whether people are done with an issue: gently, one after the other, each tracker at its own pace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import parse_qs

import structlog

from bridge.clock import Clock
from bridge.config import Config
from bridge.dispatch import Tracking
from bridge.errors import Gone, NotAllowed, RateLimited, StoreError, TrackerError
from bridge.model import Issue, IssueState, Json
from bridge.store import Store
from bridge.store.testio import DueLook, Errand, Looked, WantedLook, due_look, held_up, look_again, looked

_REFUSED, _LIMITED, _FAILED = timedelta(minutes=10), timedelta(minutes=1), timedelta(seconds=30)
_HELD = timedelta(minutes=1)
"""How long an issue is nobody else's while we look at it."""
_LONGEST_NAP = 30.0  # seconds; a hook of the tracker wakes earlier
_MOST_WORDS = 250
_LONGEST_WORD = 500


class Looker:
    """Looks at the issues of one tracker.

    Args:
        tracking: The tracker; it has to know `state`.
        counted: All trackers that know `state`: a bug is done once its issues in all of them are.
        config: The configuration.
        store: What is to be looked at, and what was seen.
        clock: The time.
        found: Told when there is something to do at test IO.
    """

    def __init__(
        self,
        tracking: Tracking,
        counted: tuple[str, ...],
        config: Config,
        store: Store,
        clock: Clock,
        found: Callable[[], None],
    ) -> None:
        self._tracking, self._counted = tracking, counted
        self._config, self._store, self._clock, self._found = config, store, clock, found
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("bridge.testio").bind(tracker=tracking.name)
        names = config.connections.items()
        self._wanted = tuple(name for name, settings in names if settings.when_done != "nothing")
        rate = tracking.tracker.settings.rate or config.testio.look_rate
        self._pace = rate.interval

    @property
    def needed(self) -> bool:
        """Whether any connection wants to know."""
        return bool(self._wanted)

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._wake.clear()
            try:
                seconds = await self._once()
            except StoreError as error:
                self._log.error("the store does not say which issue to look at", error=str(error))
                seconds = _LONGEST_NAP
            except Exception:  # noqa: BLE001 - a fault of ours or of a plugin's: said, and it goes on
                self._log.exception("looking at issues broke; it goes on")
                seconds = _LONGEST_NAP
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(min(seconds, self._pace))  # whoever wakes us does not hurry us

    async def _once(self) -> float:
        now, every = self._clock.now(), self._config.testio.look_every
        if self._tracking.name in await self._store.read(held_up, now.timestamp()):
            return _LONGEST_NAP
        before = (now - every).timestamp()
        held = before + _HELD.total_seconds()
        wanted = WantedLook(tracker=self._tracking.name, connections=self._wanted, before=before, held=held)
        due = await self._store.write(due_look, wanted)
        if due is None:
            return min(_LONGEST_NAP, max(self._pace, every.total_seconds() / 4))
        try:
            state = await self._tracking.tracker.state(
                Issue(id=due.issue_id, key=due.issue_key, url=due.issue_url)
            )
        except Gone:
            state = IssueState(done=False, name="gone")
        except TrackerError as error:
            return self._later(error)
        if await self._store.write(looked, self._seen(due, state)):
            self._log.info("people are done with a bug", bug=due.bug_id, issue=due.issue_key, state=state.name)
            self._found()
        return self._pace

    def _seen(self, due: DueLook, state: IssueState) -> Looked:
        settings = self._config.connections[due.connection]
        errand = Errand(settings.when_done) if settings.when_done != "nothing" else None
        return Looked(
            due=due,
            now=self._clock.now().timestamp(),
            done=state.done,
            name=state.name,
            counted=self._counted,
            errand=errand,
        )

    def _later(self, error: TrackerError) -> float:
        self._log.warning("the state of an issue cannot be looked at", error=str(error))
        usual = {NotAllowed: _REFUSED, RateLimited: _LIMITED}.get(type(error), _FAILED)
        return max(self._pace, (error.retry_after or usual).total_seconds())


async def told(store: Store, tracker: str, body: bytes, content_type: str) -> int:
    """Make those issues due that a tracker's webhook speaks of; return how many.

    Nothing in it is believed: whatever looks like the id, the key or the address of an issue of ours is looked up
    in the tracker itself. So it works with the webhooks of every tracker.

    Args:
        store: The store.
        tracker: The tracker's name.
        body: What it posted: JSON, or a form with JSON in it.
        content_type: Of the body.
    """
    words = list(dict.fromkeys(_words(_document(body, content_type))))[:_MOST_WORDS]
    return await store.write(look_again, (tracker, tuple(words))) if words else 0


def _document(body: bytes, content_type: str) -> Json:
    text = body.decode("utf-8", "replace")
    texts = [text]
    if "form-urlencoded" in content_type:
        texts = [value for values in parse_qs(text).values() for value in values]
    documents = []
    for each in texts:
        try:
            documents.append(json.loads(each))
        except (ValueError, RecursionError):
            documents.append(each)
    return documents


def _words(document: Json) -> Iterator[str]:
    """Yield every text and number of a document, breadth first: what it is about stands near its top."""
    level = [document]
    while level:
        inside: list[Json] = []
        for value in level:
            if isinstance(value, dict | list):
                inside += value.values() if isinstance(value, dict) else value
            elif (
                isinstance(value, str | int)
                and not isinstance(value, bool)
                and 0 < len(str(value)) < _LONGEST_WORD
            ):
                yield str(value)
        level = inside
