"""The page on the command line, made from the commands: `python -m bridge.cli.reference docs/command-line.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.cli.app import ENTRIES, PROGRAM
from bridge.cli.ending import MEANINGS

_HEAD = f"""\
# The command line

*Made from the commands: `python -m bridge.cli.reference docs/command-line.md`. Do not edit.*

`{PROGRAM} --help` and `{PROGRAM} COMMAND --help` say the same in a terminal.

Commands that look at what the daemon has, or tell it what to do, ask it over HTTP: at `[server] host` and `port`
of the configuration, with its `admin_token`. They read nothing else of the configuration, so the trackers' tokens
need not be in the environment of whoever types. Where they find it: `--config FILE`, else `TRACKER_BRIDGE_CONFIG`,
else `./config.toml`, else the embedded default in `./tracker-bridge-data`.

Every command that prints data prints it as JSON with `--json`. Messages go to standard error.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_endings(), *_overview(), *_commands()])


def _endings() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | means |\n| --- | --- |"
    yield from (f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items())
    yield ""


def _overview() -> Iterator[str]:
    panels: dict[str, list[str]] = {}
    for name, entry in ENTRIES.items():
        panels.setdefault(entry.panel, []).append(f"| [`{name}`](#{name}) | {entry.line} |")
    for panel, rows in panels.items():
        yield f"## {panel}\n"
        yield "| command | does |\n| --- | --- |"
        yield from rows
        yield ""


def _commands() -> Iterator[str]:
    for name, entry in ENTRIES.items():
        command = entry.load(name)
        inside = getattr(command, "commands", None)
        if inside is None:
            yield from _command(name, command, "##")
            continue
        yield f"## {name}\n\n{entry.line}\n"
        for below in inside.values():
            yield from _command(f"{name} {below.name}", below, "###")


def _command(name: str, command: Any, heading: str) -> Iterator[str]:
    visible = [one for one in command.params if one.name != "help"]
    arguments = [one for one in visible if one.param_type_name == "argument"]
    options = [one for one in visible if one.param_type_name == "option"]
    usage = [PROGRAM, name, *(["[OPTIONS]"] if options else []), *(_metavar(one) for one in arguments)]
    yield f"{heading} {name}\n"
    yield f"```console\n$ {' '.join(usage)}\n```\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    if visible:
        yield "| | |\n| --- | --- |"
        yield from (f"| `{_metavar(one)}` | {one.help} |" for one in arguments)
        yield from (f"| `{_option(one)}` | {one.help}{_default(one)} |" for one in options)
        yield ""


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    return names if option.is_flag else f"{names} {option.metavar or 'N'}"


def _default(option: Any) -> str:
    default = option.default
    shown = not option.is_flag and isinstance(default, str | int | float | Path) and default not in {"", 0}
    return (
        f" (default: {default:g})"
        if shown and isinstance(default, float)
        else f" (default: {default})"
        if shown
        else ""
    )


def main() -> None:
    """Write the page to the file that is named, or to standard output."""
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main()
