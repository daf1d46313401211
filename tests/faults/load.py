"""Posts exports as test IO might: again and again until 2xx, and sometimes once more after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from threading import Event, Lock, Thread

import httpx

from tests.faults.plan import SECRET, Bug

SENDERS = 8
_SOON = 50
"""Exports of other bugs that come in between two of the same bug, at the most."""


@dataclass(frozen=True)
class Accepted:
    """An export that was answered with 202."""

    id: str
    bug: Bug
    told: int


class Load:
    """All exports of all bugs. Those of one bug are posted one after the other: their order has to be kept.

    Args:
        bugs: What is posted.
        seed: Of the dice.
        pictures: Address of the server with the attachments.
        urls: Where to post, any of them.
        may_post: Whether to go on at this moment.

    Attributes:
        accepted: What was answered with 202, each export once.
        deliveries: How many of them go to each tracker.
        posts: How many requests were made.
        refused: How many of them failed or were answered with 5xx.
        problems: What must not happen.
    """

    def __init__(
        self,
        bugs: Sequence[Bug],
        seed: str,
        pictures: str,
        urls: Sequence[str],
        may_post: Callable[[], bool],
        senders: int = SENDERS,
    ) -> None:
        self._urls, self._pictures, self._may_post = urls, pictures, may_post
        self._dice, self._lock = Random(seed), Lock()
        self._waiting = [(bug, 0) for bug in reversed(bugs)]
        self._left = sum(bug.exports for bug in bugs)
        self._stopped = Event()
        self.accepted: list[Accepted] = []
        self.deliveries: Counter[str] = Counter()
        self.posts = self.refused = 0
        self.problems: list[str] = []
        self._threads = [Thread(target=self._send, args=(Random(f"{seed}/{n}"),)) for n in range(senders)]

    def start(self) -> None:
        """Begin to post."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, whatever is still to be posted."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_done(self) -> bool:
        """Whether everything was accepted."""
        return len(self.accepted) >= self._left or bool(self.problems)

    def _send(self, dice: Random) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self.is_done and not self._stopped.is_set():
                turn = self._next() if self._may_post() else None
                if turn is None:
                    self._stopped.wait(0.02)
                    continue
                self._post_until_accepted(client, dice, *turn)

    def _next(self) -> tuple[Bug, int] | None:
        with self._lock:
            return self._waiting.pop() if self._waiting else None

    def _post_until_accepted(self, client: httpx.Client, dice: Random, bug: Bug, told: int) -> None:
        first = self._until_accepted(client, dice, bug, told)
        if not first:
            return
        again = self._until_accepted(client, dice, bug, told) if told in bug.again else first
        if again not in {first, ""}:
            self.problems.append(f"bug {bug.id}: the same export was {first} and then {again}")
        with self._lock:
            self.accepted.append(Accepted(first, bug, told))
            self.deliveries.update(bug.trackers)
            if told + 1 < bug.exports:  # its next export comes soon, or much later
                place = self._dice.randint(max(0, len(self._waiting) - _SOON), len(self._waiting))
                self._waiting.insert(place, (bug, told + 1))

    def _until_accepted(self, client: httpx.Client, dice: Random, bug: Bug, told: int) -> str:
        payload = bug.payload(told, self._pictures)
        while not self._stopped.is_set():
            self.posts += 1
            try:
                answer = client.post(f"{dice.choice(self._urls)}/export/{bug.connection}/{SECRET}", json=payload)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 202:
                return str(answer.json()["export"])
            self.refused += 1
            if answer is not None and answer.status_code < 500:
                self.problems.append(f"bug {bug.id}: {answer.status_code} {answer.text}")
                return ""
            self._stopped.wait(dice.uniform(0.02, 0.2))
        return ""
