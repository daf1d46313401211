"""Calling what may block: in threads of their own, which nothing waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any


class Aside:
    """Calls functions in threads, one at a time for each owner.

    Not in asyncio's own threads: those are few, downloads and long drafts wait for them, and the process does not
    end before they do. A plugin that never returns may hold up none of that.
    """

    def __init__(self) -> None:
        self._busy: set[Hashable] = set()

    async def call(self, owner: Hashable, function: Callable[[], Any]) -> None:
        """Call `function` and wait until it has ended, however it does.

        Raises:
            BaseException: What the function raised.
            RuntimeError: An earlier call of this owner has not ended yet.
        """
        if owner in self._busy:
            raise RuntimeError("still busy with an earlier call")
        self._busy.add(owner)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = loop.create_future()

        def end(error: BaseException | None) -> None:
            self._busy.discard(owner)
            if not ended.done():
                ended.set_result(error)

        def run() -> None:
            error: BaseException | None = None
            try:
                function()
            except BaseException as raised:  # noqa: BLE001 - it is the caller's to judge
                error = raised
            with suppress(RuntimeError):  # the loop has ended meanwhile: nobody wants to know any more
                loop.call_soon_threadsafe(end, error)

        threading.Thread(target=run, name=f"plugin {owner}", daemon=True).start()
        if (error := await ended) is not None:
            raise error
