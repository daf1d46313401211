"""The schedule of retries: exponential, with full jitter, and with an end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.retry import wait_before
from bridge.tracker import RetrySettings


def settings(**changes: object) -> RetrySettings:
    return RetrySettings.model_validate(changes)


def waits(retry: RetrySettings, chance: float = 1.0) -> list[float]:
    """Seconds before each further attempt, until there is none."""
    found: list[float] = []
    while (wait := wait_before(retry, len(found) + 1, lambda: chance)) is not None:
        found.append(wait.total_seconds())
    return found


def test_each_wait_may_be_longer_than_the_one_before_up_to_the_longest():
    assert waits(settings(attempts=6, first="10s", factor=3, longest="200s")) == [10, 30, 90, 200, 200]


def test_by_default_twelve_attempts_take_about_three_days():
    default = waits(RetrySettings())

    assert len(default) == 11
    assert timedelta(days=2) < timedelta(seconds=sum(default) / 2) < timedelta(days=4), "half of it, on average"


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_jitter_is_full_so_that_many_do_not_come_back_at_once(chance):
    assert waits(settings(attempts=3, first="10s", factor=2), chance) == pytest.approx([10 * chance, 20 * chance])


def test_one_attempt_means_none_again():
    assert waits(settings(attempts=1)) == []


def test_what_the_tracker_asked_for_is_the_least():
    retry = settings(first="10s")

    assert wait_before(retry, 1, lambda: 0.5, at_least=timedelta(minutes=1)) == timedelta(minutes=1)
    assert wait_before(retry, 1, lambda: 0.5, at_least=timedelta(seconds=1)) == timedelta(seconds=5)


def test_it_does_not_overflow_however_often_it_is_tried():
    retry = settings(attempts=10_000, factor=1000)

    assert wait_before(retry, 9_999, lambda: 1.0) == timedelta(days=1)
