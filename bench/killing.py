"""What is lost and what is doubled when the process is killed in the middle of a burst, again and again."""

from __future__ import annotations

import http.client
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from random import Random
from threading import Lock, Thread, Timer
from urllib.parse import urlsplit

from bench.delivering import ask
from bench.load import payloads
from bench.processes import Running, delivering_daemon, instant_tracker
from bench.rows import Row

ROUNDS, SENDERS = 10, 8
_BURST = (0.3, 0.9)
"""Seconds until the kill, at least and at most."""

STILL = 10.0
"""Seconds without a new issue after which no more are expected."""


def killing(folder: Path) -> list[Row]:
    """Kill the daemon ten times in a burst, then let it deliver what it answered 202."""
    with instant_tracker(folder) as url:
        accepted, lost, doubled = killed(lambda: delivering_daemon(folder / "killed", url), url)
    words = f"{lost} / {doubled} of {accepted:,}"
    good = lost == doubled == 0
    return [Row(f"kill -9 in a burst, {ROUNDS} rounds: lost / doubled", words, "0 / 0", good)]


def killed(start: Callable[[], AbstractContextManager[Running]], tracker_url: str) -> tuple[int, int, int]:
    """Return how many exports were answered 202, how many of them have no issue in the end, and how many several.

    Args:
        start: Starts what takes exports in, each time with what it kept.
        tracker_url: Where the issues are made.
    """
    dice, accepted = Random(1), set[int]()
    for number in range(ROUNDS):
        with start() as running:
            Timer(dice.uniform(*_BURST), running.kill).start()
            accepted |= _post_until_the_end(running, 1 + number * 1_000_000)
    with start():
        made = _made_in_the_end(tracker_url, wanted := {f"testio-bug-{bug}" for bug in accepted})
    return len(accepted), len(wanted - made.keys()), sum(len(numbers) > 1 for numbers in made.values())


def _post_until_the_end(running: Running, first_bug: int) -> set[int]:
    """Post from several senders until nobody answers any more; return the bugs that were answered 202."""
    bodies, guard, accepted = (
        zip(itertools.count(first_bug), payloads(first_bug), strict=False),
        Lock(),
        set[int](),
    )

    def send() -> None:
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=5)
        with suppress(OSError, http.client.HTTPException):
            for bug, body in _shared(bodies, guard):
                connection.request("POST", urlsplit(running.export_url).path, body, _JSON)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    accepted.add(bug)

    senders = [Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return accepted


_JSON = {"Content-Type": "application/json"}


def _shared(items: Iterator[tuple[int, bytes]], guard: Lock) -> Iterator[tuple[int, bytes]]:
    while True:
        with guard:
            item = next(items)
        yield item


def _made_in_the_end(tracker_url: str, wanted: set[str]) -> dict[str, list[str]]:
    """Return the issues by their marker, once all are there or no more come."""
    made, changed_at = dict[str, list[str]](), time.monotonic()
    while wanted - made.keys() and time.monotonic() - changed_at < STILL:
        time.sleep(0.2)
        now = ask(f"{tracker_url}/made")
        changed_at = changed_at if len(now) == len(made) else time.monotonic()
        made = now
    return made
