"""The sample bugs and the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.model import Kind, Level
from bridge.testing import FakeClock, bugs, sample_bug


def test_sample_bugs_differ_in_what_matters() -> None:
    samples = bugs()

    assert len({bug.id for bug in samples.values()}) == len(samples)
    assert samples["documented"] == sample_bug()
    assert samples["minimal"].steps == ()
    assert (samples["visual"].level, samples["visual"].kind) == (Level.LOW, Kind.VISUAL)
    assert len(samples["large"].description) > 100_000


def test_a_sample_can_be_changed() -> None:
    assert sample_bug(title="Other").title == "Other"
    with pytest.raises(TypeError):
        sample_bug(colour="red")


def test_time_stands_still_until_it_is_told_to_move() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))

    clock.advance(timedelta(minutes=2))

    assert (clock.now(), clock.monotonic()) == (datetime(2026, 1, 1, 0, 2, tzinfo=UTC), 120)


def test_the_wall_clock_may_jump_while_no_time_passes() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))

    clock.jump(timedelta(days=-1))

    assert (clock.now(), clock.monotonic()) == (datetime(2025, 12, 31, tzinfo=UTC), 0)
    with pytest.raises(ValueError, match="jump"):
        clock.advance(timedelta(seconds=-1))
