"""How many attempts one process has under way at once: shared by its lanes, and one for each besides."""

from __future__ import annotations

from bridge.dispatch.slots import Slots


def nobody() -> None:
    raise AssertionError("nobody was refused anything")


def test_a_lane_gets_its_own_and_what_is_left_of_the_shared_ones():
    slots = Slots(3)

    assert slots.take(3, 0, nobody) == 3, "its own, and two"
    assert slots.take(5, 0, lambda: None) == 2, "its own, and the last one"
    assert slots.take(1, 2, lambda: None) == 0
    assert slots.take(4, 0, lambda: None) == 1, "there is always one of its own"


def test_what_is_given_back_can_be_had_by_others_but_for_a_lane_s_own():
    slots = Slots(2)
    slots.take(3, 0, nobody)
    slots.give_back(2, 3)
    assert slots.take(3, 0, nobody) == 3

    slots.give_back(1, 1)
    assert slots.take(2, 1, lambda: None) == 0, "that was the lane's own"


def test_who_was_refused_is_told_once_when_there_are_some_again():
    slots, told = Slots(1), list[str]()
    slots.take(2, 0, nobody)
    slots.take(2, 0, lambda: told.append("b"))
    slots.take(9, 0, lambda: told.append("c"))
    assert told == []

    slots.give_back(1, 2)
    slots.give_back(1, 1)

    assert told == ["b", "c"]
