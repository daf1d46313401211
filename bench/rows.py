"""What a measure returns: lines of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        good: Whether it is as wanted; None where nothing is wanted.
    """

    measure: str
    value: str
    wanted: str = ""
    good: bool | None = None


def at_least(measure: str, value: float, words: str, wanted: float, unit: str = "") -> Row:
    """Return the line of a value that should not be smaller."""
    return Row(measure, words, f"≥ {wanted:,g}{unit}", value >= wanted)


def at_most(measure: str, value: float, words: str, wanted: float, unit: str = "") -> Row:
    """Return the line of a value that should not be larger."""
    return Row(measure, words, f"≤ {wanted:,g}{unit}", value <= wanted)
