"""A configuration that is being made: what is in it so far, and writing it down with its secrets beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tomlkit
from tomlkit.items import Table

from bridge.cli.ending import Ending, Failed
from bridge.config import Config, build_config
from bridge.plugins import Plugins

SECRETS = "secrets"
"""Folder of the secrets, beside the configuration."""

Keeping = Literal["file", "env", "here"]

_HEAD = (
    "tracker-bridge: test IO bug exports in, exactly one good issue in each tracker out.",
    "What else can stand here: docs/configuration.md. After a change:",
    "tracker-bridge config check && tracker-bridge reload",
)
_COMMENTS = {
    "public_url": "the address under which test IO reaches the bridge",
    "admin_token": "lets the command line ask the daemon",
    "secret": "the last part of the URL that test IO posts to",
    "on_reexport": "comment, update, new or ignore: what a later export of a known bug does to its issue",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret: its value, and where it is to be kept.

    Attributes:
        value: The secret itself.
        keeping: In a file beside the configuration, in an environment variable, or in the configuration.
        name: The file's or the variable's name.
    """

    value: str
    keeping: Keeping
    name: str

    @property
    def written(self) -> Any:
        """What stands in the configuration."""
        if self.keeping == "file":
            table = tomlkit.inline_table()
            table["file"] = f"{SECRETS}/{self.name}"
            return table
        return f"${{{self.name}}}" if self.keeping == "env" else self.value

    def __repr__(self) -> str:
        return f"Kept({self.keeping!r}, {self.name!r})"


@dataclass(slots=True)
class NewConfig:
    """A configuration that is being made.

    Attributes:
        path: Where it will be.
        server: The table `[server]`; secrets are `Kept`. Likewise the others.
    """

    path: Path
    server: dict[str, Any] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    trackers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def build(self, plugins: Plugins, *only: str) -> Config:
        """Return it as the daemon would read it.

        Args:
            plugins: What there is.
            only: Names of trackers; none for all.

        Raises:
            ConfigError: Something in it is wrong.
        """
        tables = self._tables(only or tuple(self.trackers))
        return build_config(_values(tables), self.path.absolute().parent, plugins.types, {}, source=self.path)

    @property
    def variables(self) -> list[str]:
        """Environment variables that the daemon will need."""
        return [one.name for one in _kept(self._tables(tuple(self.trackers))) if one.keeping == "env"]

    def write(self) -> None:
        """Write the secrets, each readable by its owner only, and then the configuration.

        Raises:
            Failed: A file cannot be written.
        """
        tables = self._tables(tuple(self.trackers))
        secrets = [one for one in _kept(tables) if one.keeping == "file"]
        private = any(one.keeping == "here" for one in _kept(tables))
        folder = self.path.absolute().parent / SECRETS
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for one in secrets:
                write_file(folder / one.name, one.value + "\n", 0o600)
            write_file(self.path, tomlkit.dumps(_document(tables)), 0o600 if private else 0o644)
        except OSError as error:
            raise Failed(f"{error.filename} cannot be written: {error.strerror}", Ending.USAGE) from None

    def _tables(self, trackers: tuple[str, ...]) -> dict[str, Any]:
        return {
            "server": self.server,
            "connections": self.connections,
            "trackers": {name: self.trackers[name] for name in trackers},
            "routes": [{"name": "everything", "trackers": list(trackers), "on_reexport": "comment"}]
            if trackers
            else [],
        }


def write_file(path: Path, content: str, mode: int) -> None:
    """Write a file whole or not at all, never readable by others than `mode` says."""
    temporary = path.with_name(f".{path.name}.part")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _values(value: Any) -> Any:
    """Return tables with the secrets themselves in them."""
    if isinstance(value, Kept):
        return value.value
    if isinstance(value, dict):
        return {name: _values(item) for name, item in value.items()}
    return [_values(item) for item in value] if isinstance(value, list) else value


def _kept(value: Any) -> list[Kept]:
    if isinstance(value, Kept):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for item in items for one in _kept(item)]


def _document(tables: Mapping[str, Any]) -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    for line in _HEAD:
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    document["server"] = _table(tables["server"])
    for section in ("connections", "trackers"):
        parent = tomlkit.table(is_super_table=True)
        for name, table in tables[section].items():
            parent[name] = _table(table)
        document[section] = parent
    routes = tomlkit.aot()
    for table in tables["routes"]:
        routes.append(_table(table))
    document["routes"] = routes
    return document


def _table(values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for name, value in values.items():
        if name in _COMMENTS:
            table.add(tomlkit.comment(_COMMENTS[name]))
        table[name] = value.written if isinstance(value, Kept) else value
    return table
