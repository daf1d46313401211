"""A sandbox on a real socket, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bridge.sandbox import Options, World, serve
from bridge.secrets import Secret
from bridge.testio import CustomerApi

TOKEN = "sandbox-token-0123456789"


@contextmanager
def serving(world: World | None = None, **options: Any) -> Iterator[World]:
    """Serve a sandbox, and give what there is in it."""
    told: list[World] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    given: dict[str, Any] = {"port": 0, "token": TOKEN, **options}
    chosen = world.options if world else Options(**given)

    def on_ready(world: World) -> None:
        told.append(world)
        ready.set()

    async def work() -> None:
        with pytest.raises(asyncio.CancelledError):
            await serve(chosen, on_ready=on_ready, world=world)

    task = loop.create_task(work())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    try:
        assert ready.wait(10)
        yield told[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
        loop.close()


@pytest.fixture
def sandbox() -> Iterator[Callable[..., World]]:
    """Make sandboxes, which end with the test."""
    with ExitStack() as stack:
        yield lambda world=None, **options: stack.enter_context(serving(world, **options))


def api_of(url: str, token: str = TOKEN, **arguments: Any) -> CustomerApi:
    return CustomerApi(
        url,
        Secret(token),
        http=lambda **settings: httpx.AsyncClient(trust_env=False, verify=False, **settings),
        timeout=timedelta(seconds=5),
        **arguments,
    )


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., CustomerApi]]:
    """Make clients, which are closed after the test."""
    made: list[CustomerApi] = []

    def connect(world_or_url: Any, **arguments: Any) -> CustomerApi:
        url = world_or_url if isinstance(world_or_url, str) else f"{world_or_url.url}/customer/v2"
        made.append(api_of(url, **arguments))
        return made[-1]

    yield connect
    for each in made:
        await each.close()
