"""Durations, sizes and rates as people write them in TOML: `"30s"`, `"25 MiB"`, `"80/minute"`."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_PER = {"second": 1, "s": 1, "minute": 60, "m": 60, "hour": 3600, "h": 3600, "day": 86400, "d": 86400}


def parse_duration(value: Any) -> timedelta:
    """Return the duration that `value` (`"1h30m"`, `"500ms"`, or seconds as a number) means.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, timedelta):
        return value
    with suppress(OverflowError, ValueError):  # more than anybody can wait, or no number
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return timedelta(seconds=value)
        if isinstance(value, str):
            parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", value.strip().lower())
            if parts and re.fullmatch(r"(\s*\d+(\.\d+)?\s*(ms|s|m|h|d))+\s*", value.lower()):
                return timedelta(seconds=sum(float(number) * _DURATION[unit] for number, unit in parts))
    raise ValueError('is no duration: write it like "30s", "5m", "2h" or "3d"')


def parse_size(value: Any) -> int:
    """Return the bytes that `value` (`"25 MiB"`, `"1 MB"`, or bytes as a number) means.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([kmg]?i?b)", value.strip().lower())
        if match and match[2] in _SIZE:
            return int(float(match[1]) * _SIZE[match[2]])
    raise ValueError('is no size: write it like "25 MiB"')


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in `seconds`."""

    count: int
    seconds: float

    @property
    def interval(self) -> float:
        """Seconds between two calls at this rate."""
        return self.seconds / self.count

    def __str__(self) -> str:
        unit = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}.get(int(self.seconds))
        return f"{self.count}/{unit}" if unit else f"{self.count}/{self.seconds:g}s"


def parse_rate(value: Any) -> Rate:
    """Return the rate that `value` (`"80/minute"`) means.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, Rate):
        return value
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,9})\s*/\s*([a-z]+)", value.strip().lower())
        if match and match[2] in _PER and int(match[1]) > 0:
            return Rate(int(match[1]), _PER[match[2]])
    raise ValueError('is no rate: write it like "80/minute"')


def format_duration(value: timedelta) -> str:
    """Return `value` as a person writes it: `"2h5m"`, at most two units."""
    seconds = value.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    left, parts = round(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts[:2])


def format_size(value: int) -> str:
    """Return a size in bytes as a person writes it: `"25 MiB"`."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value} B"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["30s", "5m", "2h", "3d"]}),
]
"""A settings field for a duration."""

Size = Annotated[
    int, BeforeValidator(parse_size), WithJsonSchema({"type": ["string", "integer"], "examples": ["25 MiB"]})
]
"""A settings field for a size in bytes."""

CallRate = Annotated[
    Rate,
    BeforeValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["80/minute"]}),
]
"""A settings field for a rate of calls."""
