"""One attempt of one delivery: look when in doubt, create or follow the re-export policy, and say how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bridge.clock import Clock
from bridge.dispatch.decide import decide
from bridge.dispatch.tracking import Tracking, make_draft, patience, words_of
from bridge.errors import Gone, InDoubt, Rejected, TrackerError, Unavailable
from bridge.mapping import describe_changes
from bridge.model import EVERYTHING, Attachment, Bug, Draft, Export, Issue, Marker
from bridge.payload import NotJson, PayloadError, read_kept
from bridge.plugins.escape import is_escaped
from bridge.store import Claimed, Effect, Followup, Outcome, State, Store
from bridge.store.reading import export_body
from bridge.units import format_duration

Prepare = Callable[[Draft, Bug, str], Draft]


@dataclass(slots=True)
class Delivering:
    """One attempt under way.

    Attributes:
        is_ours: Whether no other replica may have taken over; asked before the one call that makes an issue.
        doubt_since: Until when a create may have made an issue that we do not know; None for no doubt.
        began_at: When it began.
    """

    claimed: Claimed
    tracking: Tracking
    store: Store
    clock: Clock
    random: Callable[[], float]
    prepare: Prepare
    owner: str
    is_ours: Callable[[Claimed], bool] = lambda _claimed: True
    doubt_since: datetime | None = None
    began_at: datetime | None = None

    async def run(self) -> Outcome:
        """Make the attempt. Never raises but for cancellation, where it says what to write down instead."""
        self.doubt_since, self.began_at = self.claimed.doubt_since, self.clock.now()
        longest = patience(self.tracking.tracker.settings)
        try:
            async with asyncio.timeout(longest.total_seconds()):
                return await self._attempt()
        except TimeoutError:
            return self._failed(self._unclear(f"no end after {format_duration(longest)}"))
        except TrackerError as error:
            return self._failed(error)
        except BaseException as error:  # a plugin's bug must not lose the delivery
            if not is_escaped(error):
                raise
            return self._failed(self._unclear(words_of(self.tracking.tracker, error)))

    def given_back(self) -> Outcome:
        """Return the outcome of an attempt that was cancelled: unspent, in doubt when a create was under way."""
        now = self.clock.now()
        return self._outcome(State.PENDING, next_at=now, spent=False, doubt_since=self.doubt_since)

    async def _attempt(self) -> Outcome:
        export = self._read()
        known = self.claimed.known
        if known is None or self.claimed.on_reexport == "new":
            return await self._make(export)
        if await self._is_superseded(export):
            return self._delivered(known.issue, "superseded", followups=False)
        if self.claimed.on_reexport == "ignore":
            return self._delivered(known.issue, "ignored", followups=False)
        return await self._tell_again(export, known.issue)

    def _read(self) -> Export:
        claimed = self.claimed
        try:
            return read_kept(claimed.export_id, claimed.connection, claimed.received_at, claimed.body)
        except (NotJson, PayloadError) as error:
            raise Rejected(f"the kept export cannot be read: {error}") from None

    # making the issue

    async def _make(self, export: Export) -> Outcome:
        tracker, marker = self.tracking.tracker, self._marker()
        if self.doubt_since is not None and not tracker.enforces_marker:
            found = await self._look(marker)
            if isinstance(found, Outcome):
                return found
            if found is not None:
                return self._delivered(found, "found", bug=export.bug)
        draft = await self._draft(export, marker)
        issue = await self._create(draft)
        warnings = (*draft.warnings, *draft.body.lost, *issue.warnings)
        return self._delivered(issue, "created", bug=export.bug, warnings=warnings)

    async def _look(self, marker: Marker) -> Issue | Outcome | None:
        """Look whether an earlier attempt made it. A miss counts only once the tracker's index has settled."""
        tracker = self.tracking.tracker
        assert self.doubt_since is not None
        if not tracker.can("find"):
            error = Rejected(
                f"an earlier attempt may have made the issue, and {tracker.label} cannot be searched for it: "
                f"look for {marker.text} there; if it is missing, replay this delivery"
            )
            return self._outcome(State.DEAD, error=error, doubt_since=self.doubt_since)
        found = await tracker.find(marker)
        self.doubt_since = min(self.doubt_since, self.clock.now())  # not from tomorrow on: the clock was set back
        settled_at = self.doubt_since + tracker.settle
        if found is not None:
            return _checked(found)
        if self.clock.now() < settled_at:
            return self._outcome(
                State.PENDING,
                next_at=settled_at,
                spent=False,
                doubt_since=self.doubt_since,
                error=InDoubt(
                    "an earlier attempt may have made the issue; waiting until a search is sure to show it"
                ),
            )
        return None

    async def _create(self, draft: Draft) -> Issue:
        if not self.is_ours(self.claimed):
            raise Unavailable("the lease ran out before anything was sent: another replica takes over")
        try:
            issue = _checked(await self.tracking.tracker.create(draft))
        except BaseException as error:  # cancellation is no clear answer either
            clear = isinstance(error, TrackerError) and not isinstance(error, InDoubt)
            self.doubt_since = None if clear else self.clock.now()  # until now it may have been made
            raise
        self.doubt_since = None
        return issue

    # a bug that has an issue already

    async def _is_superseded(self, export: Export) -> bool:
        """Whether the issue has heard of a later export of this bug: an older one must not undo that."""
        told = await self._told()
        return bool(told and told.exported_at and export.exported_at and told.exported_at > export.exported_at)

    async def _told(self) -> Export | None:
        assert self.claimed.known is not None
        row = await self.store.read(export_body, self.claimed.known.export_id)
        if row is None:
            return None
        received = datetime.fromtimestamp(row["received_at"], self.claimed.claimed_at.tzinfo)
        try:
            return read_kept(row["id"], row["connection"], received, row["body"])
        except (NotJson, PayloadError):
            return None

    async def _tell_again(self, export: Export, issue: Issue) -> Outcome:
        tracker = self.tracking.tracker
        told = await self._told()
        words = describe_changes(told.bug if told else export.bug, export.bug)
        action: Literal["commented", "updated", "recorded"] = "recorded"
        warnings: tuple[str, ...] = ()
        if self.claimed.on_reexport == "update" and tracker.can("update"):
            draft = await self._draft(export, self._marker(), only=EVERYTHING & set(self.claimed.update_fields))
            updated = await tracker.update(issue, draft)
            issue, warnings = replace(updated, warnings=()), (*draft.warnings, *draft.body.lost, *updated.warnings)
            words += f"\n\nSet anew from the export: {', '.join(sorted(draft.only))}."
            action = "updated"
        if tracker.can("comment"):
            body = self.tracking.mapper.comment(words)
            await tracker.comment(issue, body)
            action = action if action == "updated" else "commented"
            warnings += body.lost
        return self._delivered(issue, action, bug=export.bug, warnings=warnings)

    # pieces

    def _marker(self) -> Marker:
        claimed = self.claimed
        return Marker.of(
            claimed.bug_id, claimed.first_attempt_at, tracker=self.tracking.name, suffix=claimed.marker_suffix
        )

    async def _draft(self, export: Export, marker: Marker, *, only: frozenset[str] = EVERYTHING) -> Draft:
        draft = await make_draft(self.tracking, export, marker, only, size=len(self.claimed.body))
        return self.prepare(draft, export.bug, self.tracking.name)

    def _unclear(self, words: str) -> TrackerError:
        return InDoubt(words) if self.doubt_since is not None else Unavailable(words)

    def _failed(self, error: TrackerError) -> Outcome:
        claimed, now = self.claimed, self.clock.now()
        settings = self.tracking.tracker.settings.retry
        decision = decide(error, settings, claimed.attempt, now, self.random, self.tracking.account)
        lost = claimed.known if isinstance(error, Gone) and claimed.on_reexport != "new" else None
        warnings = claimed.warnings
        if lost is not None:
            words = f"the earlier issue {lost.issue.key} was gone from the tracker, so a new one was made"
            warnings = (*warnings, words)
        elif isinstance(error, Gone):  # whatever is gone, it was not an issue of ours
            decision = replace(decision, state=State.DEAD, next_at=None)
        return self._outcome(
            decision.state,
            next_at=decision.next_at,
            spent=decision.spent,
            doubt_since=self.doubt_since,
            error=error,
            effect=decision.effect,
            warnings=warnings,
            forget_issue=lost is not None,
            marker_suffix=claimed.export_id if lost is not None else None,
        )

    def _delivered(
        self,
        issue: Issue,
        action: str,
        *,
        bug: Bug | None = None,
        warnings: tuple[str, ...] = (),
        followups: bool = True,
    ) -> Outcome:
        return self._outcome(
            State.DELIVERED,
            action=action,
            issue=issue,
            warnings=tuple(dict.fromkeys((*self.claimed.warnings, *warnings))),
            followups=self._followups(action, bug) if followups and bug else (),
            effect=Effect(succeeded=True),
        )

    def _followups(self, action: str, bug: Bug) -> tuple[tuple[Followup, Attachment], ...]:
        tracker = self.tracking.tracker
        steps = []
        if action in {"created", "found"} and tracker.can("complete"):
            steps.append((Followup.COMPLETE, Attachment(url="")))
        if tracker.settings.attachments == "upload" and tracker.can("attach"):
            steps += [(Followup.ATTACH, attachment) for attachment in bug.attachments]
        return tuple(steps)

    def _outcome(self, state: State, **values: object) -> Outcome:
        claimed = self.claimed
        values.setdefault("warnings", claimed.warnings)
        return Outcome(
            export_id=claimed.export_id,
            tracker=claimed.tracker,
            bug_id=claimed.bug_id,
            owner=self.owner,
            claimed_at=claimed.claimed_at,
            began_at=self.began_at,
            ended_at=self.clock.now(),
            state=state,
            **values,  # type: ignore[arg-type]
        )


def _checked(issue: object) -> Issue:
    """Return what a tracker's plugin says is an issue, if it is one.

    Raises:
        InDoubt: It is none.
    """
    if not isinstance(issue, Issue) or not issue.id or not issue.key:
        raise InDoubt("the tracker answered without the issue's id")
    return issue
