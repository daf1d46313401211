"""The trackers and the attachments: fakes on real sockets whose faults are thrown by seeded dice."""

from __future__ import annotations

import hashlib
import re
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from bridge.testing import FakeServer, Fault, FaultKind, Reply, Request, When

MARKER = re.compile(r"testio-bug-(\d+)(?![0-9a-z-])")
TOLD = re.compile(r"told (\d+)")
STORM, REFUSAL = "429 storm", "401 for a while"
_AGAIN_IN_A_SECOND = {"Retry-After": "1"}


def picture(name: str) -> bytes:
    """Return the content of an attachment: each has its own, so that a wrong or broken one is noticed."""
    return b"\x89PNG\r\n\x1a\n" + hashlib.sha256(name.encode()).digest() * (50 + len(name) * 20)


@dataclass
class Made:
    """An issue in a tracker.

    Attributes:
        key: The client-made id.
        shown_at: When the index of the search knows it.
        told: Which exports of the bug it tells of, in the order in which the requests came. A tracker that takes its
            time with a comment, longer than anybody waits, shows it below a later one: nobody can prevent that.
        files: Names of the files that came whole, in order.
        broken: Names of those that did not.
    """

    number: int
    bug: int
    key: str
    text: str
    made_at: float
    shown_at: float
    told: list[int]
    files: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _came: list[float] = field(default_factory=lambda: [0.0])

    def hear(self, export: int, at: float) -> None:
        """Take a comment that tells of an export, in a request that came at this moment."""
        place = bisect(self._came, at)
        self._came.insert(place, at)
        self.told.insert(place, export)


class Dice:
    """Decides which request something happens to, and what: every kind comes up before one comes up again.

    Args:
        seed: Of the dice.
        every: Requests between two faults, on average; none ever for 0.
        kinds: What can happen.
    """

    def __init__(self, seed: str, every: int, kinds: Iterable[str]) -> None:
        self._dice = Random(seed)
        self._every = every
        self._kinds = tuple(kinds)
        self._deck: list[str] = []

    def throw(self, fits: Callable[[str], bool]) -> str:
        """Return what happens to this request, of what fits it; mostly nothing."""
        if not self._every or self._dice.random() >= 1 / self._every:
            return ""
        if not self._deck:
            self._deck = list(self._kinds)
            self._dice.shuffle(self._deck)
        kind = next(filter(fits, self._deck), "")
        if kind:
            self._deck.remove(kind)
        return kind

    def seconds(self, least: float, most: float) -> float:
        """Return how long something takes."""
        return self._dice.uniform(least, most)


class FaultyServer(FakeServer):
    """A server with dice.

    Attributes:
        struck: How often each kind of fault struck.
        calm: Whether everything goes well from now on.
    """

    faults: ClassVar[dict[str, Fault]] = {}

    def __init__(self, seed: str, every: int) -> None:
        super().__init__()
        self.struck: Counter[str] = Counter()
        self.calm = False
        self.dice = Dice(seed, every, self.kinds())

    def kinds(self) -> Iterable[str]:
        """Return what the dice choose from."""
        return self.faults

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/api/issues")

    def markers(self) -> list[str]:
        return []

    def strike(self, request: Request) -> Fault | None:
        self.requests.clear()  # a long run makes a hundred thousand
        kind = "" if self.calm else self.dice.throw(lambda kind: self._fits(kind, request))
        if not kind:
            return None
        self.struck[kind] += 1
        return self.happen(kind)

    def happen(self, kind: str) -> Fault | None:
        """Return what goes wrong."""
        fault = self.faults[kind]
        if fault.kind in {FaultKind.LATE_BEFORE, FaultKind.LATE_AFTER}:
            return Fault(fault.kind, seconds=self.dice.seconds(0.05, fault.seconds))
        return fault

    def _fits(self, kind: str, request: Request) -> bool:
        fault = self.faults.get(kind)
        return fault is None or fault.when is When.ANY or self.is_create(request)


class PictureServer(FaultyServer):
    """Where the attachments are."""

    faults: ClassVar = {
        "attachment: 503": Fault(FaultKind.REFUSE, When.ANY, reply=Reply(503)),
        "attachment: half of it": Fault(FaultKind.HALF, When.ANY),
        "attachment: reset": Fault(FaultKind.RESET_BEFORE, When.ANY),
        "attachment: late": Fault(FaultKind.LATE_AFTER, When.ANY, seconds=1.0),
    }

    def respond(self, request: Request) -> Reply:
        return Reply(body=picture(request.path.strip("/")), headers={"Content-Type": "image/png"})


class TrackerServer(FaultyServer):
    """A tracker: issues, comments and files in memory, a search that lags, and everything that goes wrong.

    Attributes:
        issues: All of them, in order.
        dead: Whether nothing at all is answered as it should be.
        heard: The exports it heard of: bug, and which export of it.
    """

    token: ClassVar[str] = "tracker-secret-token"
    longest_lag: ClassVar[float] = 1.0
    """Seconds; has to be less than the plugin's `settle`, together with the longest LATE_BEFORE."""

    faults: ClassVar = {
        "5xx, nothing made": Fault(FaultKind.REFUSE),
        "5xx, made all the same": Fault(FaultKind.ANSWER_AFTER),
        "503, anything": Fault(FaultKind.REFUSE, When.ANY, reply=Reply(503)),
        "reset, nothing made": Fault(FaultKind.RESET_BEFORE),
        "reset, made all the same": Fault(FaultKind.RESET_AFTER),
        "reset after anything": Fault(FaultKind.RESET_AFTER, When.ANY),
        "no answer, nothing made": Fault(FaultKind.HANG_BEFORE),
        "no answer, made all the same": Fault(FaultKind.HANG_AFTER),
        "no answer, anything": Fault(FaultKind.HANG_AFTER, When.ANY),
        "half an answer": Fault(FaultKind.HALF, When.ANY),
        "a page instead of an answer": Fault(FaultKind.ANSWER_AFTER, reply=Reply(200, body=b"<html>")),
        "made late": Fault(FaultKind.LATE_BEFORE, When.ANY, seconds=1.4),
        "answered late": Fault(FaultKind.LATE_AFTER, When.ANY, seconds=1.4),
    }

    def __init__(self, seed: str, every: int) -> None:
        super().__init__(seed, every)
        self.issues: list[Made] = []
        self.heard: set[tuple[int, int]] = set()
        self.dead = False
        self._by_key: dict[str, Made] = {}
        self._refuses_until = self._storms_until = 0.0

    def kinds(self) -> Iterable[str]:
        return [*self.faults, *self.faults, STORM, REFUSAL]

    def strike(self, request: Request) -> Fault | None:
        if self.dead:
            self.requests.clear()
            self.struck["dead: a request to it"] += 1
            kinds = (FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE, FaultKind.REFUSE)
            return Fault(kinds[self.struck.total() % 3])
        stormy = max(self._refuses_until, self._storms_until) > time.monotonic()
        return None if stormy else super().strike(request)

    def happen(self, kind: str) -> Fault | None:
        if kind in self.faults:
            return super().happen(kind)
        until = time.monotonic() + self.dice.seconds(0.3, 1.5)
        if kind == STORM:
            self._storms_until = until
        else:
            self._refuses_until = until
        return None

    def respond(self, request: Request) -> Reply:
        now = time.monotonic()
        if now < self._refuses_until:
            return Reply(401, json={"message": "this token has expired"})
        if now < self._storms_until:
            return Reply(429, json={"message": "slow down"}, headers=_AGAIN_IN_A_SECOND)
        if request.path == "/api/me":
            return Reply(json={"name": "bridge"})
        if self.is_create(request):
            return self._create(request)
        if request.path == "/api/issues":
            return self._find(request)
        return self._add(request)

    def _create(self, request: Request) -> Reply:
        content = request.json
        assert isinstance(content, dict)
        found = MARKER.search(content["text"])
        assert found is not None, "an issue without a marker"
        known = self._refuse_second(content["key"])
        if known is not None:
            return Reply(200, json={"number": known.number})
        told = int(TOLD.findall(content["title"])[-1])
        now = time.time()
        made = Made(
            number=len(self.issues) + 1,
            bug=int(found[1]),
            key=content["key"],
            text=found[0],
            made_at=now,
            shown_at=now + self.dice.seconds(0, self.longest_lag),
            told=[told],
        )
        self.issues.append(made)
        self._by_key[made.key] = made
        self.heard.add((made.bug, told))
        return Reply(201, json={"number": made.number})

    def _refuse_second(self, _key: str) -> Made | None:
        return None

    def _find(self, request: Request) -> Reply:
        now = time.time()
        if "search" in request.query:
            wanted = request.query["search"][0]
            found = [made for made in self.issues if made.text == wanted and made.shown_at <= now]
        else:
            since = float(request.query["since"][0])
            found = [made for made in self.issues if made.made_at >= since]
        return Reply(json=[{"number": made.number, "text": made.text} for made in found])

    def _add(self, request: Request) -> Reply:
        found = re.fullmatch(r"/api/issues/(\d+)/(comments|files)", request.path)
        if found is None or not 0 < int(found[1]) <= len(self.issues):
            return Reply(404, json={"message": "no such thing"})
        made = self.issues[int(found[1]) - 1]
        if found[2] == "comments":
            assert isinstance(request.json, dict)
            export = int(TOLD.findall(request.json["text"])[-1])
            made.hear(export, request.at)
            self.heard.add((made.bug, export))
        else:
            (file,) = request.files
            whole = file.content == picture(file.name)
            (made.files if whole else made.broken).append(file.name)
        return Reply(201, json={})


class KeyedServer(TrackerServer):
    """Refuses a second issue with the same key: it answers with the first."""

    def _refuse_second(self, key: str) -> Made | None:
        return self._by_key.get(key)
