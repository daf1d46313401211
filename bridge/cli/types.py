"""`tracker-bridge trackers` and `plugins`: what there is, and what each can do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from bridge.app import find_config
from bridge.cli.daemon import daemon
from bridge.cli.ending import Ending, Failed
from bridge.cli.options import ConfigOption, JsonOption
from bridge.cli.show import console, print_json, table
from bridge.config import plugin_settings
from bridge.errors import ConfigError
from bridge.plugins import Plugins
from bridge.tracker import OPTIONAL, Tracker, Unit
from bridge.units import format_duration

_CANNOT = {
    "find": "look for an issue in doubt",
    "update": "change an issue",
    "comment": "comment",
    "attach": "upload files",
    "state": "say whether people are done",
}


def trackers(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the tracker types that are installed, and what each can do.

    After an unclear answer (did it make the issue?) a second issue is refused by the tracker itself, or the
    first one is looked for, for as long as the tracker's search may lag; or nothing prevents it, and a person
    has to look.
    """
    plugins = load_plugins(config)
    described = [describe(kind, plugins.why_missing(name)) for name, kind in sorted(plugins.types.items())]
    if as_json:
        print_json({"types": described})
        return
    listing = table("type", "product", "markup", "title / body at most", "second issue", "cannot")
    for one in described:
        limits = f"{one['title_limit'] or 'any'} / {one['body_limit'] or 'any'}"
        limits += f" {one['unit']}" if one["unit"] != Unit.CHARACTERS else ""
        cannot = ", ".join(words for method, words in _CANNOT.items() if not one["can"][method])
        listing.add_row(one["type"], one["label"], one["markup"], limits, one["duplicates"], cannot)
    out = console()
    out.print(listing)
    for one in described:
        if one["missing"]:
            out.print(Text(f"! {one['missing']}", "yellow"))


def plugins(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the plugins: version, distribution, hooks, and why one does not work.

    Ends with 1 when one cannot be loaded.
    """
    shown = _of_the_daemon(config)
    if shown is None:
        shown = [asdict(info) | {"failures": 0} for info in load_plugins(config).infos]
    if as_json:
        print_json({"plugins": shown})
    else:
        _print_plugins(shown)
    if any(one["error"] and not one["disabled"] for one in shown):
        raise typer.Exit(Ending.WRONG)


def load_plugins(given: Path | None) -> Plugins:
    """Return the plugins of a configuration; the installed ones where it cannot be read and was not named.

    Raises:
        ConfigError: The named configuration's `[plugins]` is wrong.
        PluginError: A plugin is ambiguous.
    """
    path = find_config(given, os.environ)
    if path is None:
        return Plugins.load()
    try:
        wanted = plugin_settings(path, os.environ)
    except ConfigError:
        if given is not None:
            raise
        return Plugins.load()
    return Plugins.load(wanted.folder, wanted.disabled)


def describe(kind: type[Tracker[Any]], missing: str) -> dict[str, Any]:
    """Return what a tracker type can do, for people and programs.

    Args:
        kind: The type.
        missing: Why it cannot be used at the moment; empty when it can.
    """
    return {
        "type": kind.type,
        "label": kind.label,
        "markup": kind.markup.value,
        "can": {method: kind.can(method) for method in OPTIONAL},
        "duplicates": prevention(kind),
        "settle_seconds": kind.settle.total_seconds(),
        "title_limit": kind.title_limit,
        "body_limit": kind.body_limit,
        "unit": kind.unit.value,
        "missing": missing,
    }


def prevention(kind: type[Tracker[Any]]) -> str:
    """Return how a type keeps from making an issue twice after an unclear answer."""
    if kind.enforces_marker:
        return "refused by it"
    if kind.can("find"):
        return "looked for" + (f", {format_duration(kind.settle)}" if kind.settle else "")
    return "NOT PREVENTED"


def _of_the_daemon(config: Path | None) -> Sequence[Mapping[str, Any]] | None:
    """Return what the running daemon says of its plugins, which knows their failures; None where none runs."""
    try:
        with daemon(config) as running:
            found: list[dict[str, Any]] = running.get("/api/plugins")["plugins"]
            return found
    except (Failed, ConfigError):
        return None


def _print_plugins(shown: Sequence[Mapping[str, Any]]) -> None:
    listing = table("plugin", "from", "brings", "hooks", "")
    for one in shown:
        source = f"{one['distribution']} {one['version']}".strip() or "a file"
        hooks = ", ".join(hook.removeprefix("bridge_") for hook in one["hooks"])
        word = Text("disabled", "yellow") if one["disabled"] else Text(one["error"], "red")
        if one["failures"]:
            word = Text(f"{one['failures']} failures: see the log", "red")
        listing.add_row(one["name"], source, ", ".join(one["types"]), hooks, word)
    console().print(listing)
