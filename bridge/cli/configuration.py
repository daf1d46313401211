"""`tracker-bridge config`: is the file right, and what may stand in it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bridge.app import find_config, load_setup
from bridge.cli.ending import Ending, say, words
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import many, print_json
from bridge.config import Config, plugin_settings
from bridge.errors import BridgeError, ConfigError, Problem

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="the configuration; by default the one `serve` would take")
]


def check_config(file: FileArgument = None, as_json: JsonOption = False) -> None:
    """Read a configuration and tell everything that is wrong with it, each with its path."""
    path = find_config(file, os.environ)
    try:
        found = load_setup(path, os.environ).config
    except BridgeError as error:
        if as_json:
            problems = error.problems if isinstance(error, ConfigError) else [Problem("", str(error))]
            print_json(_report(path, [asdict(problem) for problem in problems], []))
        else:
            for line in words(error):
                say(line)
        raise typer.Exit(Ending.USAGE) from None
    if as_json:
        print_json(_report(path, [], [asdict(warning) for warning in found.warnings]))
        return
    for warning in found.warnings:
        say(f"warning: {warning}")
    typer.echo(f"{path or 'The embedded default'} is fine: {_summary(found)}.")


def print_schema(config: ConfigOption = None) -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from bridge.config import config_schema  # noqa: PLC0415
    from bridge.plugins import Plugins  # noqa: PLC0415 - finding plugins takes a moment

    path = find_config(config, os.environ)
    wanted = plugin_settings(path, os.environ) if path else None
    plugins = Plugins.load(wanted.folder, wanted.disabled) if wanted else Plugins.load()
    print_json(config_schema(plugins.types))


def _report(
    path: Path | None, problems: list[dict[str, str]], warnings: list[dict[str, str]]
) -> dict[str, object]:
    file = str(path) if path else None
    return {"ok": not problems, "file": file, "problems": problems, "warnings": warnings}


def _summary(config: Config) -> str:
    return ", ".join(
        [
            many(len(config.connections), "connection"),
            many(len(config.routes), "route"),
            f"{many(len(config.trackers), 'tracker')} ({', '.join(config.trackers) or 'none'})",
        ]
    )


app = typer.Typer(no_args_is_help=True, help="Is the configuration right, and what may stand in it.")
app.command("check")(check_config)
app.command("schema")(print_schema)
