"""One run: trackers, database, daemons, load, and death, until everything is delivered; then the comparison."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from random import Random
from signal import SIGTERM
from threading import Event, Lock, Thread

import httpx

from tests.faults.compare import compare
from tests.faults.daemons import GRACEFUL, RANDOM, Fates, Replica, replicas
from tests.faults.databases import Database
from tests.faults.load import Load
from tests.faults.plan import DEAD, Rhythm, bugs
from tests.faults.plugins.steps import STEPS
from tests.faults.report import Result
from tests.faults.trackers import KeyedServer, PictureServer, TrackerServer

PATIENCE = 180.0
"""Seconds within which everything has to be delivered once nothing more is in its way."""

_LONGEST_LIFE_AT_A_STEP = 4.0


class Run:
    """Everything that a run has.

    Args:
        database: Below the daemons.
        daemons: Not started yet.
        trackers: By name.
        pictures: Where the attachments are.
        seed: Of all dice.
        exports: How many are posted.
        rhythm: How often things go wrong.
    """

    def __init__(
        self,
        database: Database,
        daemons: list[Replica],
        trackers: dict[str, TrackerServer],
        pictures: PictureServer,
        *,
        seed: int,
        exports: int,
        rhythm: Rhythm,
    ) -> None:
        self.database, self.daemons, self.trackers, self.pictures = database, daemons, trackers, pictures
        self.seed, self.exports, self.rhythm = seed, exports, rhythm
        self.load = Load(
            bugs(seed, exports), f"{seed}/load", pictures.url, [each.url for each in daemons], self._may_post
        )
        self.kills: Counter[str] = Counter()
        self.graceful = self.database_deaths = self.starved = 0
        self.dead_seconds = 0.0
        self.problems: list[str] = []
        self._calm, self._lock = Event(), Lock()
        self._database_back_at = 0.0
        self._fates = Fates(f"{seed}/fates", shared=database.replicas > 1)

    # what goes on at the same time

    def live_and_die(self, number: int) -> None:
        """Let a daemon live many short lives, until it is calm; then one more, without a kill."""
        daemon, dice = self.daemons[number], Random(f"{self.seed}/daemon/{number}")
        while not self._calm.is_set():
            moment, at = self._fates.deal()
            daemon.start(f"{moment}/{at}" if moment in STEPS else "")
            self._end(daemon, moment, dice)
        while not daemon.is_running or not daemon.is_ready():
            if not daemon.is_running:
                daemon.start()
            daemon.wait_until_ready(Event())

    def _end(self, daemon: Replica, moment: str, dice: Random) -> None:
        started = time.monotonic()
        seconds = dice.uniform(*self.rhythm.life)
        was_ready = daemon.wait_until_ready(self._calm)
        code = daemon.wait(_LONGEST_LIFE_AT_A_STEP if moment in STEPS else seconds)
        if code is None and moment == GRACEFUL:
            self.graceful += 1
            code = daemon.end(SIGTERM)
            if code and was_ready:
                self.problems.append(f"SIGTERM ended with {code}:\n{daemon.said}")
        elif code is None:
            daemon.end()
            self._count(RANDOM)
        elif code == -9:
            self._count(moment)
        elif was_ready or started > self._database_back_at:  # without its database none can start, but go on
            self.problems.append(f"a daemon ended by itself with {code}:\n{daemon.said}")

    def _count(self, moment: str) -> None:
        with self._lock:
            self.kills[moment] += 1

    def kill_the_database(self) -> None:
        """Let the database die now and then, until it is calm."""
        dice = Random(f"{self.seed}/database")
        while not self._calm.wait(dice.uniform(*self.rhythm.database_every)):
            self._database_back_at = float("inf")
            self.database.die(dice, self._calm)
            self._database_back_at = time.monotonic()
            self.database_deaths += 1

    def be_the_person(self) -> None:
        """Resume trackers that were paused for their credentials, as the person does who mended these."""
        while not self._calm.wait(0.5):
            self.resume()

    def resume(self) -> None:
        """Let any daemon check all trackers: those that are well again are resumed."""
        for daemon in self.daemons:
            try:
                paused = [each["name"] for each in daemon.api("GET", "trackers")["trackers"] if each["paused"]]
                if paused:
                    daemon.api("POST", "check", {"trackers": paused})
                return
            except httpx.HTTPError:
                continue

    # how it stands

    def reached(self, *, dead: bool = False) -> int:
        """Return how many accepted exports reached the living trackers, or the dead one."""
        return sum(len(server.heard) for name, server in self.trackers.items() if (name == DEAD) is dead)

    def to_reach(self, *, dead: bool = False) -> int:
        """Return how many should."""
        return sum(count for name, count in self.load.deliveries.items() if (name == DEAD) is dead)

    def _may_post(self) -> bool:
        return self.to_reach() - self.reached() < self.rhythm.backlog

    def standing(self) -> str:
        """Return one line for people."""
        dead = "dead" if self.trackers[DEAD].dead else "alive"
        return (
            f"{self.database.name}: {len(self.load.accepted)} of {self.exports} accepted, "
            f"{self.reached()} of {self.to_reach()} delivered, {DEAD} {self.reached(dead=True)} of "
            f"{self.to_reach(dead=True)} ({dead}), {self.kills.total()} kills, "
            f"{self.database_deaths} of the database, {self._struck().total()} faults"
        )

    def _struck(self) -> Counter[str]:
        return sum((server.struck for server in (*self.trackers.values(), self.pictures)), Counter())

    # the run

    def go(self, tell: Callable[[str], None]) -> Result:
        """Let everything happen; return how it ended."""
        began = time.monotonic()
        self.load.start()
        lives = [Thread(target=self.live_and_die, args=(number,)) for number in range(len(self.daemons))]
        others = [Thread(target=self.kill_the_database), Thread(target=self.be_the_person)]
        for thread in (*lives, *others):
            thread.start()
        try:
            self._storm(tell)
        finally:
            self._calm.set()
            self.load.stop()
            for thread in (*others, *lives):
                thread.join()
        self._let_end(tell)
        return self._result(time.monotonic() - began)

    def _storm(self, tell: Callable[[str], None]) -> None:
        """Let the dead tracker die early, and live again only once all others have everything."""
        island = self.trackers[DEAD]
        self._wait(lambda: len(self.load.accepted) >= self.exports // 10, tell, seconds=None)
        island.dead, died = True, time.monotonic()
        self._wait(lambda: self.load.is_done, tell, seconds=None)
        self._wait(lambda: self.reached() >= self.to_reach(), tell, seconds=PATIENCE)
        self.starved = self.to_reach() - self.reached()
        island.dead, self.dead_seconds = False, time.monotonic() - died
        self._wait(lambda: self.reached(dead=True) >= self.to_reach(dead=True), tell, seconds=None)

    def _let_end(self, tell: Callable[[str], None]) -> None:
        """Let nothing go wrong any more, and wait until nothing is left to do."""
        for server in (*self.trackers.values(), self.pictures):
            server.calm = True
        self._wait(self._is_finished, tell, seconds=PATIENCE)
        if not self._is_finished():
            self.problems.append(f"something is left to do: {self.daemons[0].api('GET', 'status')}")

    def _is_finished(self) -> bool:
        self.resume()
        return bool(self.daemons[0].api("GET", "status")["unfinished"] == 0)

    def _wait(self, condition: Callable[[], bool], tell: Callable[[str], None], *, seconds: float | None) -> None:
        """Wait for a condition, for so long at the most; as long as there is progress where `seconds` is None."""
        reached, deadline = -1, time.monotonic() + (seconds or PATIENCE)
        while not condition() and not self.load.problems:
            now_reached = self.reached() + self.reached(dead=True) + len(self.load.accepted)
            if seconds is None and now_reached != reached:
                reached, deadline = now_reached, time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                self.problems.append(f"it goes no further: {self.standing()}")
                return
            tell(self.standing())
            time.sleep(0.1)

    def _result(self, seconds: float) -> Result:
        verdict = compare(self.load.accepted, {name: server.issues for name, server in self.trackers.items()})
        return Result(
            seed=self.seed,
            database=self.database.name,
            replicas=len(self.daemons),
            accepted=len(self.load.accepted),
            posts=self.load.posts,
            refused=self.load.refused,
            verdict=verdict,
            kills=dict(self.kills),
            graceful=self.graceful,
            database_deaths=self.database_deaths,
            death=self.database.death,
            faults=dict(self._struck()),
            starved=self.starved,
            dead_seconds=self.dead_seconds,
            problems=[*self.problems, *self.load.problems, *self._contradictions()],
            seconds=seconds,
        )

    def _contradictions(self) -> Iterator[str]:
        """What the bridge says of itself has to be what happened."""
        status = self.daemons[0].api("GET", "status")
        accepted, deliveries = len(self.load.accepted), self.load.deliveries.total()
        if status["exports"] != {"accepted": accepted}:
            yield f"{accepted} exports were accepted, and the bridge knows of {status['exports']}"
        if status["deliveries"] != {"delivered": deliveries}:
            yield f"{deliveries} deliveries were accepted, and the bridge says {status['deliveries']}"
        if set(status["followups"]) - {"delivered"}:
            yield f"follow-ups: {status['followups']}"
        for server in (*self.trackers.values(), self.pictures):
            yield from server.invalid


@contextmanager
def prepared(
    open_database: Callable[[Path], AbstractContextManager[Database]],
    folder: Path,
    *,
    seed: int,
    exports: int,
    rhythm: Rhythm,
) -> Iterator[Run]:
    """Give a run that has everything it needs."""
    with ExitStack() as stack:
        every = rhythm.fault_every
        types = {
            "keyed": ("keyed", KeyedServer),
            "searched": ("searched", TrackerServer),
            DEAD: ("scanned", TrackerServer),
        }
        servers = {
            name: (type_, stack.enter_context(server(f"{seed}/{name}", every)))
            for name, (type_, server) in types.items()
        }
        pictures = stack.enter_context(PictureServer(f"{seed}/pictures", every))
        database = stack.enter_context(open_database(folder))
        daemons = stack.enter_context(replicas(folder, database, servers))
        trackers = {name: server for name, (_, server) in servers.items()}
        yield Run(database, daemons, trackers, pictures, seed=seed, exports=exports, rhythm=rhythm)
