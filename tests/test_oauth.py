"""Access tokens that run out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bridge import NotAllowed, Rejected, Unavailable
from bridge.oauth import AccessToken
from bridge.testing import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def tokens(clock: FakeClock, **more: Any) -> tuple[AccessToken, list[str]]:
    """Return what keeps a token that lives an hour, and a list of those that were fetched."""
    fetched: list[str] = []

    async def fetch() -> dict[str, Any]:
        await asyncio.sleep(0)
        fetched.append(f"token-{len(fetched) + 1}")
        return {"access_token": fetched[-1], "expires_in": 3600, **more}

    return AccessToken(fetch, clock), fetched


async def test_one_token_serves_many_requests() -> None:
    """Those that come while it is fetched wait for it."""
    access, fetched = tokens(FakeClock())

    assert set(await asyncio.gather(*(access.get() for _ in range(5)))) == {"token-1"}
    assert fetched == ["token-1"]


@pytest.mark.parametrize(("seconds", "token"), [(3539, "token-1"), (3541, "token-2")])
async def test_it_is_fetched_anew_before_it_ends(seconds: int, token: str) -> None:
    clock = FakeClock()
    access, _ = tokens(clock)
    await access.get()

    clock.advance(timedelta(seconds=seconds))

    assert await access.get() == token


@pytest.mark.parametrize("life", [{"expires_in": None}, {"expires_in": "soon"}, {"expires_in": "3600"}])
async def test_an_end_that_is_not_told_is_after_an_hour(life: dict[str, Any]) -> None:
    clock = FakeClock()
    access, fetched = tokens(clock, **life)
    for _ in range(3):
        await access.get()
        clock.advance(timedelta(seconds=1790))

    assert fetched == ["token-1", "token-2"]


async def test_one_that_was_refused_can_be_forgotten() -> None:
    access, _ = tokens(FakeClock())
    await access.get()

    access.forget()

    assert await access.get() == "token-2"


def refusing(answer: Any) -> Callable[[], Any]:
    async def fetch() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return fetch


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Rejected("AADSTS7000215: Invalid client secret provided.", status=400), "AADSTS7000215"),
        ({"error": "invalid_code"}, "no access token: invalid_code"),
        ({"access_token": ""}, "no access token"),
        (None, "the answer holds none"),
    ],
)
async def test_refused_credentials_pause_the_tracker(answer: Any, told: str) -> None:
    with pytest.raises(NotAllowed, match=told):
        await AccessToken(refusing(answer), FakeClock()).get()


async def test_an_endpoint_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await AccessToken(refusing(Unavailable("no connection")), FakeClock()).get()


async def test_the_token_is_in_no_repr() -> None:
    access, _ = tokens(FakeClock())
    await access.get()

    assert "token-1" not in repr(access)


class Door:
    """Lets in whoever has the `good` token, and others not."""

    def __init__(self, good: str, status: int = 401) -> None:
        self.good, self.status = good, status
        self.tried: list[str] = []

    async def send(self, token: str) -> str:
        await asyncio.sleep(0)
        self.tried.append(token)
        if token != self.good:
            raise NotAllowed("INVALID_OAUTHTOKEN", status=self.status)
        return "in"


async def test_a_request_refused_with_401_is_sent_once_more_with_a_new_token() -> None:
    access, _ = tokens(FakeClock())
    door = Door("token-2")

    assert await access.use(door.send) == "in"
    assert await access.use(door.send) == "in"
    assert door.tried == ["token-1", "token-2", "token-2"]


async def test_of_many_that_are_refused_at_once_one_fetches_a_new_token() -> None:
    """Fetching too many locks the account."""
    access, fetched = tokens(FakeClock())
    door = Door("token-2")

    assert await asyncio.gather(*(access.use(door.send) for _ in range(5))) == ["in"] * 5
    assert fetched == ["token-1", "token-2"]


async def test_a_second_401_is_final() -> None:
    access, fetched = tokens(FakeClock())
    door = Door("of somebody else")

    with pytest.raises(NotAllowed):
        await access.use(door.send)

    assert door.tried == fetched == ["token-1", "token-2"]


async def test_a_missing_right_needs_no_new_token() -> None:
    access, fetched = tokens(FakeClock())

    with pytest.raises(NotAllowed):
        await access.use(Door("of somebody else", status=403).send)

    assert fetched == ["token-1"]
