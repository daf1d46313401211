"""Durations, sizes and rates as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bridge.units import (
    CallRate,
    Duration,
    Rate,
    Size,
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


class Settings(BaseModel):
    wait: Duration = timedelta(seconds=5)
    limit: Size = 1024
    rate: CallRate | None = None


class TestDurations:
    @pytest.mark.parametrize(
        ("written", "seconds"),
        [
            ("30s", 30),
            ("500ms", 0.5),
            ("5m", 300),
            ("2h", 7200),
            ("3d", 259_200),
            ("1h30m", 5400),
            (" 1 H 30 M ", 5400),
            ("1.5h", 5400),
            ("0s", 0),
            (30, 30),
            (0.5, 0.5),
            (timedelta(minutes=1), 60),
        ],
    )
    def test_what_is_one(self, written, seconds):
        assert parse_duration(written) == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "written", ["", "30", "s", "30 years", "-5s", "5s and more", -1, True, None, [], "1h-30m"]
    )
    def test_what_is_none(self, written):
        with pytest.raises(ValueError, match='is no duration: write it like "30s"'):
            parse_duration(written)

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [(0, "0ms"), (0.25, "250ms"), (1, "1s"), (90, "1m30s"), (7500, "2h5m"), (86_400, "1d"), (90_061, "1d1h")],
    )
    def test_how_they_are_shown(self, seconds, shown):
        assert format_duration(timedelta(seconds=seconds)) == shown

    @given(st.integers(0, 59), st.integers(1, 23))
    def test_what_is_shown_can_be_read_again(self, minutes, hours):
        duration = timedelta(minutes=minutes, hours=hours)

        assert parse_duration(format_duration(duration)) == duration


class TestSizes:
    @pytest.mark.parametrize(
        ("written", "size"),
        [
            ("25 MiB", 25 * 2**20),
            ("1MB", 10**6),
            ("1.5 KiB", 1536),
            ("10 b", 10),
            ("2gib", 2**31),
            (512, 512),
            (0, 0),
        ],
    )
    def test_what_is_one(self, written, size):
        assert parse_size(written) == size

    @pytest.mark.parametrize(
        "written", ["", "25", "MiB", "25 miles", "-1 MiB", "1 ib", -1, 1.5, True, None, "9" * 400 + "b"]
    )
    def test_what_is_none(self, written):
        with pytest.raises(ValueError, match='is no size: write it like "25 MiB"'):
            parse_size(written)

    @pytest.mark.parametrize(
        ("size", "shown"),
        [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (25 * 2**20, "25 MiB"), (2**31, "2 GiB")],
    )
    def test_how_they_are_shown(self, size, shown):
        assert format_size(size) == shown


class TestRates:
    @pytest.mark.parametrize(
        ("written", "rate"),
        [
            ("80/minute", Rate(80, 60)),
            ("5 / s", Rate(5, 1)),
            ("1/Hour", Rate(1, 3600)),
            ("500/d", Rate(500, 86_400)),
            (Rate(2, 1), Rate(2, 1)),
        ],
    )
    def test_what_is_one(self, written, rate):
        assert parse_rate(written) == rate

    @pytest.mark.parametrize(
        "written", ["", "80", "/minute", "0/s", "-1/s", "1.5/s", "80/fortnight", 80, None, "9" * 400 + "/s"]
    )
    def test_what_is_none(self, written):
        with pytest.raises(ValueError, match='is no rate: write it like "80/minute"'):
            parse_rate(written)

    def test_the_time_between_two_calls(self):
        assert Rate(80, 60).interval == 0.75

    @pytest.mark.parametrize(("rate", "shown"), [(Rate(80, 60), "80/minute"), (Rate(3, 90), "3/90s")])
    def test_how_they_are_shown(self, rate, shown):
        assert str(rate) == shown


class TestInSettings:
    def test_they_are_read_and_written_as_people_do(self):
        settings = Settings.model_validate({"wait": "90s", "limit": "1 MiB", "rate": "80/minute"})

        assert (settings.wait, settings.limit, settings.rate) == (timedelta(seconds=90), 2**20, Rate(80, 60))
        written: dict[str, Any] = settings.model_dump(mode="json")
        assert (written["wait"], written["rate"]) == ("1m30s", "80/minute")
        assert Settings.model_validate(written) == settings

    def test_a_wrong_one_says_how_to_write_it(self):
        with pytest.raises(ValidationError, match='is no duration: write it like "30s", "5m", "2h" or "3d"'):
            Settings.model_validate({"wait": "soon"})

    def test_the_schema_shows_examples(self):
        properties = Settings.model_json_schema()["properties"]

        assert "30s" in properties["wait"]["examples"]
        assert "25 MiB" in properties["limit"]["examples"]
