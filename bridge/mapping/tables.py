"""From test IO's words to a tracker's, by table."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.model import Bug, Kind, Level

DEFAULT = "default"

Table = Mapping[str, str]


def merged(*tables: Table) -> Table:
    """Return one table, keys in lower case; entries of later tables replace those of earlier ones."""
    return {key.lower(): value for table in tables for key, value in table.items()}


def look_up(table: Table, bug: Bug) -> str:
    """Return the entry for `bug`, empty for none. An entry with an empty text means: leave it out.

    The keys are, strongest first: test IO's priority, its severity, the kind, the level, and `default`.
    """
    keys = (bug.priority.lower(), bug.severity.lower(), bug.kind.value, bug.level.value, DEFAULT)
    return next((table[key] for key in keys if key and key in table), "")


def severity_warning(bug: Bug, *tables: Table) -> tuple[str, ...]:
    """Return what to tell people when test IO's severity is neither known nor in a table."""
    known = {*Level, *Kind, *(key for table in tables for key in table)} - {Kind.UNKNOWN}
    if not bug.severity or bug.severity.lower() in known:
        return ()
    return (f'severity "{bug.severity}" is not known; treated as {bug.level}',)
