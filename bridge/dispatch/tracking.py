"""What the dispatcher has for one configured tracker."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from bridge.mapping import Mapper
from bridge.model import Draft, Export, Marker
from bridge.tracker import Tracker, TrackerSettings


@dataclass(frozen=True, slots=True)
class Tracking:
    """A tracker, how bugs are mapped for it, and who shares its rate limit.

    Attributes:
        text: How to read what testers wrote, per connection.
        account: Names of the trackers with the same credentials, this one included.
    """

    tracker: Tracker[Any]
    mapper: Mapper
    text: dict[str, Literal["markdown", "plain"]] = field(default_factory=dict)
    account: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The tracker's name in the configuration."""
        return self.tracker.name


LONG = 16 * 1024
"""Bytes of an export above which mapping it takes long enough to hold up the event loop."""


def patience(settings: TrackerSettings) -> timedelta:
    """Return how long a whole attempt may take: a tracker that sends a byte now and then never times out."""
    return settings.timeout * 10


def words_of(tracker: Tracker[Any], error: BaseException) -> str:
    """Return what to say of an exception that no tracker should raise: a bug in a plugin, or in a template."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{place.name}, line {place.lineno} of {Path(place.filename).name}"
    return tracker.tools.redact(
        f"the tracker type {tracker.type} failed: {type(error).__name__}: {error} (in {where})"
    )


async def make_draft(
    tracking: Tracking, export: Export, marker: Marker, only: frozenset[str], *, size: int
) -> Draft:
    """Return the draft of an export; a long one is made in a thread.

    Args:
        tracking: The tracker it is for.
        export: The export.
        marker: How the issue is recognised.
        only: The parts that are to be set.
        size: Bytes of the export as it came.
    """
    text = tracking.text.get(export.connection, "markdown")

    def make() -> Draft:
        return tracking.mapper.draft(export, marker, text=text, only=only)

    return await asyncio.to_thread(make) if size > LONG else make()
