"""Marked steps: moments at which a daemon dies by SIGKILL, as the environment of its process says.

The daemon itself knows nothing of them. This file is a plugin only the fault harness configures; it wraps the
functions between which the steps lie. One that does not exist any more fails the start, and so the test.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from inspect import iscoroutinefunction
from itertools import count
from threading import Timer
from typing import Any

VARIABLE = "TRACKER_BRIDGE_FAULTS_DIE_AT"
"""`STEP/N`: at the Nth time that the step is reached."""


@dataclass(frozen=True)
class Step:
    """A moment.

    Attributes:
        module: Of the function.
        function: `name` or `Class.name`.
        moment: `before` or `after` it, or `during` it: some milliseconds later.
        often: The step is reached at least about so often in a life; it dies the Nth time up to that.
        shared: Whether only daemons that share their store get there.
    """

    module: str
    function: str
    moment: str = "after"
    often: int = 1
    shared: bool = False


STEPS = {
    "export written, not committed": Step("bridge.store.accept", "accept", often=3),
    "export sent, perhaps committed": Step("bridge.store.line", "Line.send", often=10, shared=True),
    "export committed, not answered": Step("bridge.store.store", "Store.accept", often=10),
    "export answered": Step("bridge.web.export", "ExportEndpoint.__call__", often=10),
    "claim written, not committed": Step("bridge.store.claim", "claim", often=10),
    "claim committed, nothing sent": Step("bridge.store.store", "Store.claim", often=10),
    "create about to be sent": Step("bridge.dispatch.delivery", "Delivering._create", "before", 10),
    "create under way": Step("bridge.dispatch.delivery", "Delivering._create", "during", 10),
    "create answered, not written down": Step("bridge.dispatch.delivery", "Delivering._create", often=10),
    "outcome written, not committed": Step("bridge.store.outcome", "record", often=8),
    "outcome committed": Step("bridge.store.store", "Store.record", often=10),
    "in doubt, about to look": Step("bridge.dispatch.delivery", "Delivering._look", "before"),
    "in doubt, looked": Step("bridge.dispatch.delivery", "Delivering._look"),
    "comment under way": Step("bridge.dispatch.delivery", "Delivering._tell_again", "during"),
    "comment answered, not written down": Step("bridge.dispatch.delivery", "Delivering._tell_again"),
    "attachment fetched": Step("bridge.attachments", "Downloader.fetch"),
    "attachment under way": Step("bridge.dispatch.steps", "FollowingUp._attach", "during"),
    "attachment answered, not written down": Step("bridge.dispatch.steps", "FollowingUp._attach"),
    "attachment committed": Step("bridge.store.store", "Store.record_followup"),
    "store opened": Step("bridge.store.store", "Store.open"),
    "interrupted work given back, not committed": Step("bridge.store.outcome", "recover"),
    "interrupted work given back": Step("bridge.store.store", "Store.recover"),
}


def mark(step: Step, number: int, die: Callable[[], None]) -> None:
    """Let `die` be called at the `number`th time that a step is reached.

    Raises:
        AttributeError: There is no such function any more.
    """
    holder: Any = import_module(step.module)
    *path, name = step.function.split(".")
    for part in path:
        holder = getattr(holder, part)
    function, passages = getattr(holder, name), count(1)

    def reached(moment: str) -> None:
        if moment == step.moment and next(passages) == number:
            die()
        elif moment == "before" and step.moment == "during" and next(passages) == number:
            Timer(0.002 * number, die).start()

    if iscoroutinefunction(function):

        @wraps(function)
        async def marked(*arguments: Any, **named: Any) -> Any:
            reached("before")
            result = await function(*arguments, **named)
            reached("after")
            return result
    else:

        @wraps(function)
        def marked(*arguments: Any, **named: Any) -> Any:
            reached("before")
            result = function(*arguments, **named)
            reached("after")
            return result

    setattr(holder, name, marked)


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _mark_as_told() -> None:
    name, _, number = os.environ.get(VARIABLE, "").rpartition("/")
    if name:
        mark(STEPS[name], int(number), die)


_mark_as_told()
