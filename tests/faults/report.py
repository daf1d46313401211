"""What a person sees: one line while it runs, a Markdown table in the end."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TextIO

from tests.faults.compare import Verdict

_PLAIN_EVERY = 15.0  # seconds between two lines that nobody watches


class Progress:
    """One line that is updated on a terminal; now and then a line elsewhere.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream, self._told_at = stream, 0.0

    def __call__(self, words: str) -> None:
        """Say how it stands."""
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[2K{words[:width]}")
        elif time.monotonic() - self._told_at > _PLAIN_EVERY:
            self._told_at = time.monotonic()
            self._stream.write(words + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line alone from here on."""
        if self._stream.isatty():
            self._stream.write("\n")


@dataclass
class Result:
    """How a run ended.

    Attributes:
        starved: Deliveries to living trackers that were not made while the dead one was dead.
        dead_seconds: How long it was dead.
        problems: Whatever else must not be.
    """

    seed: int
    database: str
    replicas: int
    accepted: int
    posts: int
    refused: int
    verdict: Verdict
    kills: dict[str, int]
    graceful: int
    database_deaths: int
    death: str
    faults: dict[str, int]
    starved: int
    dead_seconds: float
    problems: list[str]
    seconds: float

    @property
    def wrong(self) -> list[str]:
        """Everything that must not be, in words; nothing when all is well."""
        found = [*self.verdict.lost, *self.verdict.doubled, *self.verdict.disordered, *self.problems]
        return [*found, f"{self.starved} deliveries starved behind the dead tracker"] if self.starved else found


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table, one column each."""
    rows: list[tuple[str, Callable[[Result], object]]] = [
        ("seed", lambda run: run.seed),
        ("daemons", lambda run: run.replicas),
        ("exports accepted (202)", lambda run: _number(run.accepted)),
        ("posts made for them; failed or 5xx", lambda run: f"{_number(run.posts)}; {_number(run.refused)}"),
        ("issues in the trackers", lambda run: _number(run.verdict.issues)),
        ("comments for later exports; attachments", lambda run: f"{_number(run.verdict.comments)}; {_number(run.verdict.files)}"),
        ("daemons killed (SIGKILL)", lambda run: _number(sum(run.kills.values()))),
        ("daemons ended by SIGTERM", lambda run: run.graceful),
        ("the database's deaths", lambda run: f"{run.database_deaths} ({run.death})"),
        ("faults of the trackers", lambda run: _number(sum(run.faults.values()))),
        ("one tracker dead for", lambda run: f"{run.dead_seconds:.0f} s"),
        ("**lost**", lambda run: f"**{len(run.verdict.lost)}**"),
        ("**doubled issues**", lambda run: f"**{len(run.verdict.doubled)}**"),
        ("**order of a bug broken**", lambda run: f"**{len(run.verdict.disordered)}**"),
        ("**starved behind the dead tracker**", lambda run: f"**{run.starved}**"),
        ("comments made again; attachments uploaded again", lambda run: f"{run.verdict.repeated_comments}; {run.verdict.repeated_files}"),
        ("seconds", lambda run: f"{run.seconds:.0f}"),
    ]  # fmt: skip
    lines = [f"| | {' | '.join(run.database for run in results)} |", "| --- |" + " --- |" * len(results)]
    lines += [f"| {name} | {' | '.join(str(value(run)) for run in results)} |" for name, value in rows]
    return "\n".join(lines)


def details(results: Sequence[Result]) -> str:
    """Return the kills by moment and the faults by kind, as Markdown."""
    parts = []
    for title, counts in (("killed", [run.kills for run in results]), ("fault", [run.faults for run in results])):
        names = sorted({name for each in counts for name in each})
        lines = [
            f"| {title} | {' | '.join(run.database for run in results)} |",
            "| --- |" + " --- |" * len(results),
        ]
        lines += [f"| {name} | {' | '.join(str(each.get(name, 0)) for each in counts)} |" for name in names]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def machine() -> str:
    """Return what it ran on, and with which versions."""
    names = ("tracker-bridge", "SQLAlchemy", "uvicorn", "httpx")
    versions: Iterable[str] = (f"{name} {version(name)}" for name in names)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB", f"Linux {platform.release()}"]
    return ", ".join([*parts, f"Python {platform.python_version()}", *versions])


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - no file of ours
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")
