"""Ids of exports: short, in order of time, without meaning otherwise."""

from __future__ import annotations

import random
from datetime import datetime
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is misread
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(now: datetime) -> str:
    """Return a new id of 16 characters: ten for the millisecond, six (30 bits) by chance."""
    chance = random.getrandbits(30)
    end = _PAIRS[chance >> 20] + _PAIRS[chance >> 10 & 1023] + _PAIRS[chance & 1023]
    return _of_millisecond(int(now.timestamp() * 1000)) + end


@lru_cache(maxsize=1)
def _of_millisecond(number: int) -> str:
    """Return the first part, the last ten letters of a number in base 32: under load many ids share it."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(40, -1, -10)])
