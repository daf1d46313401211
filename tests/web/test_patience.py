"""How long a sender may take, with one timer for all."""

from __future__ import annotations

import asyncio

import pytest

from bridge.web.patience import Patience

pytestmark = pytest.mark.anyio


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


async def at_once() -> bytes:
    return b"a body"


async def test_what_is_there_at_once_is_returned():
    assert await Patience(30).wait(at_once()) == b"a body"


async def test_what_takes_too_long_is_ended_whatever_else_is_read_meanwhile():
    patience = Patience(0.02)

    ended = await asyncio.gather(patience.wait(never()), patience.wait(never()), return_exceptions=True)

    assert [type(each) for each in ended] == [TimeoutError, TimeoutError]
    assert await patience.wait(at_once()) == b"a body"


async def test_it_is_looked_again_for_what_began_later():
    patience = Patience(0.04)
    first = asyncio.create_task(patience.wait(never()))
    await asyncio.wait([first], timeout=0.02)

    with pytest.raises(TimeoutError):
        await patience.wait(never())

    assert isinstance(first.exception(), TimeoutError)


async def test_a_reading_that_is_cancelled_by_somebody_else_stays_cancelled():
    reading = asyncio.create_task(Patience(30).wait(never()))
    await asyncio.sleep(0)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_an_error_of_the_reading_is_the_callers():
    async def broken() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Patience(30).wait(broken())
