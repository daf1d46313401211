"""What the dispatcher has for one configured tracker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.mapping import Mapper
from bridge.tracker import Tracker


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
