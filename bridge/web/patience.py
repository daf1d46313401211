"""How long a sender's body may take: one timer for all that are being read."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_TOO_LATE = "it was not here in time"


class Patience:
    """Ends what takes too long. A timer for each body costs more than reading most of them.

    Args:
        seconds: How long one may take; up to a quarter more, since it is looked now and then only.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[asyncio.Task[Any], float] = {}  # the oldest comes first
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, reading: Coroutine[Any, Any, Result]) -> Result:
        """Return what is read. For one reading of a task at a time.

        Raises:
            TimeoutError: It took too long.
        """
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._since[task] = loop.time()
        if self._timer is None:
            self._look_later(loop)
        try:
            return await reading
        except asyncio.CancelledError as error:
            if error.args != (_TOO_LATE,) or task.uncancel() > 0:
                raise
            raise TimeoutError from None
        finally:
            self._since.pop(task, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what began too long ago; look again as long as there is anything."""
        self._timer = None
        now = loop.time()
        for task in [task for task, since in self._since.items() if now - since >= self.seconds]:
            del self._since[task]
            task.cancel(_TOO_LATE)
        if self._since:
            self._look_later(loop)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self.seconds / 4, self._look, loop)
