"""Errors say, for a person, what is wrong, where, and what the tracker said of which field."""

from __future__ import annotations

import inspect
from datetime import timedelta

import pytest

from bridge import errors
from bridge.errors import (
    AttachmentError,
    BridgeError,
    ConfigError,
    Gone,
    InDoubt,
    NotAllowed,
    Problem,
    RateLimited,
    Rejected,
    TrackerError,
    Unavailable,
)


def test_everything_raised_on_purpose_is_of_one_family():
    raised = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]

    assert all(issubclass(one, BridgeError) for one in raised)


def test_a_tracker_has_six_things_to_say():
    assert set(TrackerError.__subclasses__()) >= {Rejected, NotAllowed, RateLimited, Unavailable, InDoubt, Gone}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Rejected("no"), "no"),
        (Rejected("Invalid", status=422), "Invalid (HTTP 422)"),
        (Rejected("Invalid", fields={"a": "is missing", "b": "is odd"}), "Invalid: a: is missing; b: is odd"),
        (Rejected("Invalid", status=400, fields={"a": "x"}), "Invalid (HTTP 400): a: x"),
    ],
)
def test_a_tracker_error_says_the_trackers_own_words_status_and_fields(error, words):
    assert str(error) == words


def test_what_a_tracker_error_carries():
    error = RateLimited("slow", status=429, retry_after=timedelta(seconds=5))

    assert (error.message, error.status, error.fields, error.retry_after) == (
        "slow",
        429,
        {},
        timedelta(seconds=5),
    )


def test_its_fields_are_its_own():
    fields = {"a": "x"}
    error = Rejected("no", fields=fields)
    fields["b"] = "y"

    assert error.fields == {"a": "x"}


def test_a_problem_says_where():
    assert str(Problem("trackers.web.url", "is missing")) == "trackers.web.url: is missing"
    assert str(Problem("", "no file")) == "no file"


def test_a_configuration_error_says_everything_that_is_wrong():
    error = ConfigError([Problem("a", "x"), Problem("b", "y")], source="config.toml")

    assert str(error) == "a: x\nb: y"
    assert (len(error.problems), error.source) == (2, "config.toml")


def test_an_attachment_error_says_whether_trying_again_may_help():
    assert AttachmentError("gone", retry=False).retry is False
