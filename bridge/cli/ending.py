"""How a command ends: exit codes, and every error as words for a person. No traceback ever."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from importlib.metadata import metadata
from pathlib import Path

import typer

from bridge.errors import BridgeError, ConfigError, PluginError, Problem


class Ending(IntEnum):
    """Exit codes."""

    FINE = 0
    WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    BUG = 70
    INTERRUPTED = 130
    PIPE = 141


MEANINGS = {
    Ending.FINE: "fine",
    Ending.WRONG: "something would fail, is dead, or was not found",
    Ending.USAGE: "the command or the configuration is wrong",
    Ending.UNREACHABLE: "the daemon cannot be reached, or says no",
    Ending.BUG: "a bug of tracker-bridge",
    Ending.INTERRUPTED: "ended with Ctrl-C",
    Ending.PIPE: "nobody reads the output any more",
}


HARMLESS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""Takes out of foreign text what would command the terminal."""


class Failed(BridgeError):
    """A command cannot do what it should.

    Args:
        message: Why, and what to do about it.
        ending: The exit code.
        problems: Every single thing that is wrong, where there are several.
    """

    def __init__(self, message: str, ending: Ending = Ending.WRONG, *, problems: Sequence[Problem] = ()) -> None:
        self.ending, self.problems = ending, tuple(problems)
        super().__init__(message)


@contextmanager
def told() -> Iterator[None]:
    """Turn whatever is raised inside into words on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        say("")
        raise typer.Exit(Ending.INTERRUPTED) from None
    except typer.Abort:
        raise typer.Exit(Ending.INTERRUPTED) from None
    except BrokenPipeError:
        # What is still in the buffer would be complained about when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Ending.PIPE) from None
    except BridgeError as error:
        for line in words(error):
            say(line)
        raise typer.Exit(ending_of(error)) from None
    except Exception as error:
        if type(error).__module__.startswith(("typer", "click")):  # Exit, and wrong usage, which it shows itself
            raise
        raise _bug(error) from None


def say(line: str) -> None:
    """Print a line to standard error."""
    print(line.translate(HARMLESS), file=sys.stderr)


def words(error: BridgeError) -> list[str]:
    """Return the lines that tell an error."""
    problems: tuple[Problem, ...] = getattr(error, "problems", ())
    if isinstance(error, ConfigError):
        if len(problems) == 1 and problems[0].path == error.source:  # the file itself
            return [str(problems[0])]
        count = "one thing is" if len(problems) == 1 else f"{len(problems)} things are"
        head = f"{error.source}: {count} wrong" if error.source else f"{count} wrong"
        return [head, *(f"  {problem}" for problem in problems)]
    return [f"tracker-bridge: {error}", *(f"  {problem}" for problem in problems)]


def ending_of(error: BridgeError) -> Ending:
    """Return the exit code that an error means."""
    from bridge.web import PortInUse  # noqa: PLC0415 - the web stack, only when something failed

    if isinstance(error, Failed):
        return error.ending
    return Ending.USAGE if isinstance(error, ConfigError | PluginError | PortInUse) else Ending.WRONG


def _bug(error: Exception) -> typer.Exit:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno} in {place.name}"
    text = " ".join(str(error).split())
    say(f"this is a bug: {type(error).__name__}: {_masked(text)} ({where})")
    say(f"please report it with this line{_report_at()}")
    return typer.Exit(Ending.BUG)


def _masked(text: str) -> str:
    from bridge.logs import mask_export_path  # noqa: PLC0415 - only when something is broken

    return mask_export_path(text)[:500]


def _report_at() -> str:
    """Return where to report, from what the distribution says of itself."""
    links = dict(entry.split(", ", 1) for entry in metadata("tracker-bridge").get_all("Project-URL") or [])
    address = links.get("Issues") or links.get("Repository")
    return f" at {address}" if address else " to those you have tracker-bridge from"
