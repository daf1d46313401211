"""What escapes from a plugin, and what only passes through it."""

from __future__ import annotations

import asyncio


def is_escaped(error: BaseException) -> bool:
    """Return whether an exception is a plugin's fault, rather than somebody asking this task or process to stop.

    `sys.exit()` in a plugin must not end the bridge, and a cancellation that a plugin made itself must not look
    like ours.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception | SystemExit)
