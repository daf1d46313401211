"""What is posted, where it goes, and how often things go wrong: all of it from one seed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

ROUTES: Mapping[str, tuple[str, ...]] = {"mainland": ("keyed", "searched"), "archipelago": ("searched", "island")}
"""Trackers of each connection. Each tracker is of a type of its own; `island` is dead for most of the run."""

DEAD = "island"
SECRET = "connection-secret-0123456789"
_KINDS = ("high", "low", "critical", "visual")


@dataclass(frozen=True)
class Bug:
    """One bug, all its exports.

    Attributes:
        exports: How often it is exported; each later one says something new.
        again: Which exports are posted once more after they were accepted, as a sender does that lost the answer.
        pictures: Names of its attachments.
    """

    id: int
    connection: str
    exports: int
    again: frozenset[int]
    pictures: tuple[str, ...]
    severity: str

    @property
    def trackers(self) -> tuple[str, ...]:
        """Where an issue is to be."""
        return ROUTES[self.connection]

    def payload(self, told: int, pictures: str) -> dict[str, Any]:
        """Return an export as test IO posts it.

        Args:
            told: Which export of this bug, from 0.
            pictures: Address of the server with the attachments.
        """
        return {
            "event": "bug.exported",
            "exported_at": f"2026-01-05T09:{told:02}:00Z",
            "bug": {
                "id": self.id,
                "title": f"Bug {self.id}, told {told}",
                "link": f"https://app.test.io/bugs/{self.id}",
                "steps_to_reproduce": ["Open it", "Look"],
                "severity": self.severity,
                "attachments": [{"url": f"{pictures}/{name}", "type": "image/png"} for name in self.pictures],
            },
        }


@dataclass(frozen=True)
class Rhythm:
    """How often things go wrong.

    Attributes:
        fault_every: Requests of a tracker between two faults, on average.
        life: Seconds a daemon lives, at least and at most.
        database_every: Seconds between two deaths of the database, at least and at most.
        backlog: Deliveries that may wait in the bridge before the load pauses.
    """

    fault_every: int
    life: tuple[float, float]
    database_every: tuple[float, float]
    backlog: int


LONG = Rhythm(fault_every=30, life=(0.1, 1.5), database_every=(10, 30), backlog=400)
SHORT = Rhythm(fault_every=8, life=(0.2, 1.2), database_every=(3, 6), backlog=100)


def bugs(seed: int, exports: int) -> list[Bug]:
    """Return bugs with so many exports together; about a fifth of the exports are of a bug that is known."""
    dice = Random(f"{seed}/bugs")
    made: list[Bug] = []
    left = exports
    while left:
        count = min(left, dice.choices((1, 2, 4), (85, 10, 5))[0])
        left -= count
        number = len(made) + 1
        pictures = dice.choices((0, 1, 2), (85, 10, 5))[0]
        made.append(
            Bug(
                id=number,
                connection=dice.choices(tuple(ROUTES), (4, 1))[0],
                exports=count,
                again=frozenset(told for told in range(count) if dice.random() < 0.15),
                pictures=tuple(f"{number}-{each}.png" for each in range(1, pictures + 1)),
                severity=dice.choice(_KINDS),
            )
        )
    return made


def accepted_deliveries(all_bugs: Sequence[Bug]) -> int:
    """Return how many deliveries the exports of these bugs are."""
    return sum(bug.exports * len(bug.trackers) for bug in all_bugs)
