"""One attempt of a follow-up: what comes after the issue exists, and never fails, repeats or delays it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bridge.attachments import AttachmentError, Downloader
from bridge.clock import Clock
from bridge.dispatch.decide import decide
from bridge.dispatch.tracking import Tracking, make_draft, patience, words_of
from bridge.errors import Gone, Rejected, TrackerError, Unavailable
from bridge.model import EVERYTHING, Marker
from bridge.payload import NotJson, PayloadError, read_kept
from bridge.plugins.escape import is_escaped
from bridge.retry import wait_before
from bridge.store import ClaimedFollowup, Effect, Followup, FollowupOutcome, State
from bridge.units import format_duration


@dataclass(frozen=True, slots=True)
class FollowingUp:
    """One attempt of a follow-up under way."""

    claimed: ClaimedFollowup
    tracking: Tracking
    downloader: Downloader
    clock: Clock
    random: Callable[[], float]
    owner: str

    async def run(self) -> FollowupOutcome:
        """Make the attempt. Never raises but for cancellation."""
        longest = patience(self.tracking.tracker.settings)
        try:
            async with asyncio.timeout(longest.total_seconds()):
                await (self._complete() if self.claimed.kind is Followup.COMPLETE else self._attach())
        except TimeoutError:
            return self._failed(Unavailable(f"no end after {format_duration(longest)}"))
        except AttachmentError as error:
            return self._not_fetched(error)
        except TrackerError as error:
            return self._failed(error)
        except BaseException as error:  # a plugin's bug must not stop the others
            if not is_escaped(error):
                raise
            return self._failed(Unavailable(words_of(self.tracking.tracker, error)))
        return self._outcome(State.DELIVERED, effect=Effect(succeeded=True))

    def given_back(self) -> FollowupOutcome:
        """Return the outcome of an attempt that was cancelled: unspent."""
        return self._outcome(State.PENDING, next_at=self.clock.now(), spent=False)

    async def _attach(self) -> None:
        tracker = self.tracking.tracker
        if not tracker.can("attach"):
            raise Rejected(f"{tracker.label} takes no files; the issue has a link")
        file = await self.downloader.fetch(self.claimed.attachment)
        try:
            await tracker.attach(self.claimed.issue, file)
        finally:
            self.downloader.drop(file)

    async def _complete(self) -> None:
        claimed, tracker = self.claimed, self.tracking.tracker
        try:
            export = read_kept(claimed.export_id, claimed.connection, claimed.received_at, claimed.body)
        except (NotJson, PayloadError) as error:
            raise Rejected(f"the kept export cannot be read: {error}") from None
        marker = Marker.of(
            claimed.bug_id, claimed.first_attempt_at, tracker=tracker.name, suffix=claimed.marker_suffix
        )
        draft = await make_draft(self.tracking, export, marker, EVERYTHING, size=len(claimed.body))
        await tracker.complete(claimed.issue, draft)

    def _not_fetched(self, error: AttachmentError) -> FollowupOutcome:
        """The tracker is not to blame: nothing of it changes."""
        now = self.clock.now()
        wait = wait_before(self.tracking.tracker.settings.retry, self.claimed.attempt, self.random)
        if not error.retry or wait is None:
            return self._outcome(State.DEAD, error=f"not fetched: {error}")
        return self._outcome(State.PENDING, next_at=now + wait, error=f"not fetched: {error}")

    def _failed(self, error: TrackerError) -> FollowupOutcome:
        now, settings = self.clock.now(), self.tracking.tracker.settings.retry
        decision = decide(error, settings, self.claimed.attempt, now, self.random, self.tracking.account)
        state = State.DEAD if isinstance(error, Gone) else decision.state
        next_at = decision.next_at if state is State.PENDING else None
        return self._outcome(
            state, next_at=next_at, spent=decision.spent, error=str(error), effect=decision.effect
        )

    def _outcome(self, state: State, **values: object) -> FollowupOutcome:
        return FollowupOutcome(
            position=self.claimed.position,
            owner=self.owner,
            attempt=self.claimed.attempt,
            tracker=self.claimed.tracker,
            ended_at=self.clock.now(),
            state=state,
            **values,  # type: ignore[arg-type]
        )
