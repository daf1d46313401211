"""Labels, where a tracker has no field for severity: which to set, which to leave, which got lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WITH_SEVERITY = ("test-io", "{% if bug.severity %}severity:{{ bug.severity }}{% endif %}")
"""Labels of trackers that have no field for severity."""


def merged(existing: Iterable[str], ours: Sequence[str], separator: str = ":") -> list[str]:
    """Return an issue's labels after an update: ours, and those that people added.

    Of several labels with one prefix ours is the only one left: `severity:low` gives way to `severity:high`.

    Args:
        existing: What the issue has.
        ours: What it shall have.
        separator: What ends a prefix.
    """
    names = {label.casefold() for label in ours}
    prefixes = {_prefix(label, separator) for label in ours} - {""}
    kept = [
        label for label in existing if label.casefold() not in names and _prefix(label, separator) not in prefixes
    ]
    return [*ours, *kept]


def missing(wanted: Iterable[str], got: Iterable[str]) -> list[str]:
    """Return the wanted names that a tracker did not take; upper and lower case are the same."""
    names = {name.casefold() for name in got}
    return [name for name in wanted if name.casefold() not in names]


def shortened(labels: Iterable[str], limit: int) -> list[str]:
    """Return each label on one line and at most `limit` characters long, none twice."""
    unique = {label.casefold(): label for label in (" ".join(label.split())[:limit].strip() for label in labels)}
    return [label for label in unique.values() if label]


def _prefix(label: str, separator: str) -> str:
    return label.casefold().rpartition(separator)[0]
