"""What people type for moments and states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from bridge.cli.options import checked_states, parse_since

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("2025-11-07T10:15:00Z", datetime(2025, 11, 7, 10, 15, tzinfo=UTC)),
        ("2025-11-07T10:15:00+02:00", datetime(2025, 11, 7, 8, 15, tzinfo=UTC)),
        ("", None),
    ],
)
def test_since_is_a_duration_or_a_moment(text, moment):
    assert parse_since(text, NOW) == moment


def test_a_date_without_zone_is_the_local_one():
    assert parse_since("2025-11-07", NOW) == datetime(2025, 11, 7).astimezone(UTC)


@pytest.mark.parametrize("text", ["yesterday", "3 moons", "h", "-2h"])
def test_what_means_nothing_is_refused(text):
    with pytest.raises(typer.BadParameter, match="2h"):
        parse_since(text, NOW)


def test_states_may_be_repeated_or_listed():
    assert checked_states(["dead,pending", "Rejected"]) == ["dead", "pending", "rejected"]
    with pytest.raises(typer.BadParameter, match="deed"):
        checked_states(["deed"])
