"""OAuth access tokens, which run out: fetched when one is needed, and anew before the end of the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.answers import words_in
from bridge.clock import Clock, SystemClock
from bridge.errors import NotAllowed, Rejected
from bridge.model import Json

T = TypeVar("T")

EARLY_SECONDS = 60.0
"""How long before its end a token is no longer used."""
LIFE_SECONDS = 3600.0
"""How long a token is taken to live whose end nobody told."""


@dataclass(slots=True)
class AccessToken:
    """A token for as many requests as it lives.

    Attributes:
        fetch: Asks the token endpoint; returns its answer (RFC 6749, section 5.1). May raise a `TrackerError`.
        clock: The time.
    """

    fetch: Callable[[], Awaitable[Json]]
    clock: Clock = field(default_factory=SystemClock)
    _token: str = field(default="", init=False, repr=False)
    _ends: float = field(default=0.0, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def get(self) -> str:
        """Return a token that is good for at least a minute; however many ask, one fetches it.

        Raises:
            NotAllowed: The credentials were refused, whatever the status: somebody has to correct them.
            TrackerError: What else `fetch` raised.
        """
        async with self._lock:
            if not self._token or self.clock.monotonic() >= self._ends:
                await self._renew()
            return self._token

    async def use(self, send: Callable[[str], Awaitable[T]]) -> T:
        """Return what `send` returns for a token; for a new one where the tracker answered 401 to the first.

        A token may end early: somebody revoked it, or the tracker gave out too many. Nothing was done when it was
        refused, so sending again is safe, a create too. Of many that are refused at once one fetches a new token.

        Args:
            send: Sends a request with a token. Called again, it must send the same.

        Raises:
            TrackerError: What `get` or `send` raised; a second 401 is not tried again.
        """
        token = await self.get()
        try:
            return await send(token)
        except NotAllowed as refusal:
            if refusal.status != 401:
                raise
        self.forget(token)
        return await send(await self.get())

    def forget(self, token: str = "") -> None:
        """Fetch a new one next time; where `token` is given, only if that is still the one in use."""
        if token in {"", self._token}:
            self._token = ""

    async def _renew(self) -> None:
        self._token = ""
        try:
            data = await self.fetch()
        except Rejected as refusal:
            raise NotAllowed(f"no access token: {refusal.message}", status=refusal.status) from None
        token = data.get("access_token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not token:  # some refuse with status 200
            raise NotAllowed(f"no access token: {words_in(data) or 'the answer holds none'}")
        self._ends = self.clock.monotonic() + _life(data) - EARLY_SECONDS
        self._token = token


def _life(data: dict[str, Json]) -> float:
    """Return how many seconds a token lives."""
    try:
        return float(data.get("expires_in", LIFE_SECONDS))
    except (TypeError, ValueError):
        return LIFE_SECONDS
