"""Ids of exports: short, in order of time, without meaning otherwise."""

from __future__ import annotations

import random
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is misread


def new_id(now: datetime) -> str:
    """Return a new id of 16 characters: ten for the millisecond, six (30 bits) by chance."""
    number = (int(now.timestamp() * 1000) << 30) | random.getrandbits(30)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -1, -5))
