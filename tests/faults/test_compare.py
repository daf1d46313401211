"""The comparison notices what it is there to notice; every marked step exists and can be reached."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.faults.compare import compare
from tests.faults.load import Accepted
from tests.faults.plan import Bug, accepted_deliveries, bugs
from tests.faults.plugins.steps import STEPS, Step, mark
from tests.faults.trackers import Dice, Made

BUG = Bug(7, "mainland", 2, frozenset(), ("7-1.png",), "high")
ACCEPTED = [Accepted("one", BUG, 0), Accepted("two", BUG, 1)]


def made(*told: int, bug: int = 7, files: tuple[str, ...] = ("7-1.png",), broken: tuple[str, ...] = ()) -> Made:
    return Made(1, bug, "key", f"testio-bug-{bug}", 0, 0, list(told), list(files), list(broken))


def test_everything_there_once_and_in_order_is_well():
    verdict = compare(ACCEPTED, {"keyed": [made(0, 1)], "searched": [made(0, 1)], "island": []})
    assert (verdict.lost, verdict.doubled, verdict.disordered) == ([], [], [])
    assert (verdict.issues, verdict.comments, verdict.files) == (2, 2, 2)


@pytest.mark.parametrize(
    ("issues", "words"),
    [
        ([], "has no issue"),
        ([made(0)], "was not told export 1"),
        ([made(0, 1, files=())], "lacks 7-1.png"),
        ([made(0, 1, files=("7-1.png",), broken=("7-1.png",))], "7-1.png is broken"),
    ],
)
def test_what_is_lost_is_noticed(issues: list[Made], words: str):
    (lost,) = compare(ACCEPTED, {"keyed": issues}).lost
    assert words in lost


def test_what_is_doubled_is_noticed():
    assert len(compare(ACCEPTED, {"keyed": [made(0, 1), made(0)]}).doubled) == 1
    assert len(compare(ACCEPTED, {"keyed": [made(0, 1), made(0, bug=8)]}).doubled) == 1
    assert len(compare(ACCEPTED, {"island": [made(0, 1)]}).doubled) == 1


@pytest.mark.parametrize("told", [(1, 0), (0, 1, 0)])
def test_another_order_is_noticed(told: tuple[int, ...]):
    assert compare(ACCEPTED, {"keyed": [made(*told)]}).disordered


def test_a_comment_that_is_made_again_is_counted_and_no_disorder():
    verdict = compare(ACCEPTED, {"keyed": [made(0, 1, 1)]})
    assert (verdict.disordered, verdict.repeated_comments) == ([], 1)


def test_one_seed_makes_the_same_again():
    assert bugs(1, 500) == bugs(1, 500) != bugs(2, 500)
    assert sum(bug.exports for bug in bugs(1, 500)) == 500
    assert accepted_deliveries(bugs(1, 500)) == 1000
    first, second = (Dice("x", 2, "abc") for _ in range(2))
    assert [first.throw(bool) for _ in range(50)] == [second.throw(bool) for _ in range(50)]


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_every_marked_step_exists(step: Step):
    holder = import_module(step.module)
    for part in step.function.split("."):
        holder = getattr(holder, part)
    assert callable(holder)


def test_a_step_is_reached_the_time_it_should_be(monkeypatch: pytest.MonkeyPatch):
    from bridge import ids  # noqa: PLC0415 - any module with a function

    reached: list[int] = []
    monkeypatch.setattr(ids, "new_id", lambda now: now)
    mark(Step("bridge.ids", "new_id"), 2, lambda: reached.append(1))
    for expected in ([], [1], [1]):
        assert ids.new_id(5) == 5  # type: ignore[arg-type, comparison-overlap]
        assert reached == expected


def test_a_comment_that_the_tracker_was_slow_with_has_its_place_where_it_was_sent():
    """Its sender gave up waiting, and sent it once more, and then the next one."""
    issue = made(0)
    for export, at in ((1, 20.0), (2, 30.0), (1, 10.0)):
        issue.hear(export, at)

    assert issue.told == [0, 1, 1, 2]
