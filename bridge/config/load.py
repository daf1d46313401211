"""Reading the TOML file. Nothing is half taken over: either a whole `Config`, or every problem at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.config.placeholders import Placeholders
from bridge.config.settings import (
    AttachmentSettings,
    Config,
    ConnectionSettings,
    LogSettings,
    PluginSettings,
    RouteSettings,
    ServerSettings,
    StoreSettings,
    TestIOSettings,
)
from bridge.config.words import did_you_mean, path_of, problems_of
from bridge.errors import ConfigError, Problem
from bridge.secrets import Redactor
from bridge.tracker import Tracker, TrackerSettings

M = TypeVar("M", bound=BaseModel)
Types = Mapping[str, type[Tracker[Any]]]

SECTIONS: Mapping[str, type[BaseModel]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "log": LogSettings,
    "attachments": AttachmentSettings,
    "plugins": PluginSettings,
    "testio": TestIOSettings,
}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_BAD_NAME = "a name may have only small letters, digits and, inside, hyphens"


def load_config(
    path: Path, types: Types, env: Mapping[str, str], *, why_missing: Callable[[str], str] | None = None
) -> Config:
    """Read the configuration file.

    Args:
        path: The TOML file. Relative paths inside it are relative to its folder.
        types: Tracker types by name, as `Plugins.types` has them.
        env: Environment variables for `${NAME}`.
        why_missing: Says why a tracker type cannot be used (`Plugins.why_missing`); empty when it can.

    Raises:
        ConfigError: Something is wrong; it names everything that is.
    """
    path = path.absolute()
    return build_config(_read(path), path.parent, types, env, source=path, why_missing=why_missing)


def plugin_settings(path: Path, env: Mapping[str, str]) -> PluginSettings:
    """Read only `[plugins]`: plugins are loaded before the rest can be judged.

    Raises:
        ConfigError: The file is no TOML, or this section is wrong.
    """
    path = path.absolute()
    reading = _Reading(path.parent, env)
    table = reading.placeholders.fill(_read(path).get("plugins", {}), "plugins")
    settings = reading.section("plugins", table)
    reading.stop_if_wrong(path)
    assert isinstance(settings, PluginSettings)
    return settings


def build_config(
    data: Mapping[str, Any],
    folder: Path,
    types: Types,
    env: Mapping[str, str],
    *,
    source: Path | None = None,
    why_missing: Callable[[str], str] | None = None,
) -> Config:
    """Make a configuration of tables as TOML has them; arguments as `load_config`.

    Raises:
        ConfigError: Something is wrong; it names everything that is.
    """
    reading = _Reading(folder, env)
    data = reading.placeholders.fill(dict(data))
    for key in data:
        if key not in Config.model_fields or key in {"source", "folder", "warnings"}:
            known = (*SECTIONS, "connections", "routes", "trackers")
            reading.problem(f"is not known here{did_you_mean(key, known)}", key)
    sections = {name: reading.section(name, data.get(name, {})) for name in SECTIONS}
    connections = {
        name: reading.model(ConnectionSettings, table, "connections", name)
        for name, table in reading.named(data, "connections").items()
    }
    trackers = {
        name: reading.tracker(name, table, types, why_missing)
        for name, table in reading.named(data, "trackers").items()
    }
    tables = reading.routes(data)
    routes = [reading.model(RouteSettings, table, "routes", index) for index, table in enumerate(tables)]
    reading.check_routes(tables, connections, trackers)
    reading.stop_if_wrong(source)
    warnings = tuple(_warnings([route for route in routes if route], connections, trackers))
    return Config.model_validate(
        {**sections, "connections": connections, "routes": routes, "trackers": trackers}
        | {"source": source, "folder": folder, "warnings": warnings}
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is no UTF-8 text (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        problem = f"is no TOML: {error}"
    raise ConfigError([Problem(str(path), problem)], source=str(path))


class _Reading:
    """One reading of one file: goes on after a problem, to find them all."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.placeholders = Placeholders(env, folder, self.problems)

    def problem(self, message: str, *path: str | int) -> None:
        self.problems.append(Problem(path_of(*path), message))

    def stop_if_wrong(self, source: Path | None) -> None:
        if self.problems:
            # A plugin's own validator may quote the value it refuses, and the value may be a secret.
            redact = Redactor(self.placeholders.values)
            problems = [Problem(problem.path, redact(problem.message)) for problem in self.problems]
            raise ConfigError(problems, source=str(source or ""))

    def section(self, name: str, table: Any) -> BaseModel | None:
        return self.model(SECTIONS[name], table, name)

    def model(self, model: type[M], table: Any, *path: str | int) -> M | None:
        """Return `table` as `model`; None, and the problems noted, when it does not fit."""
        unfilled = {problem.path for problem in self.problems}
        try:
            return _anchored(model.model_validate(table), self.folder)
        except ValidationError as error:
            found = problems_of(error, table, model, *path)
            self.problems += [problem for problem in found if problem.path not in unfilled]
            return None

    def tracker(
        self, name: str, table: Any, types: Types, why_missing: Callable[[str], str] | None
    ) -> TrackerSettings | None:
        path, kind = ("trackers", name), table.get("type") if isinstance(table, dict) else None
        if kind is None or not isinstance(kind, str):
            self.problem(f"is required; known are {', '.join(sorted(types))}", *path, "type")
        elif reason := why_missing(kind) if why_missing else "":
            self.problem(reason, *path, "type")
        elif kind not in types:
            self.problem(f'"{kind}" is no tracker type{did_you_mean(kind, types)}', *path, "type")
        else:
            return self.model(types[kind].settings_type, table, *path)
        return None

    def named(self, data: Mapping[str, Any], section: str) -> dict[str, Any]:
        """Return the tables of `[section.NAME]`."""
        tables = data.get(section, {})
        if not isinstance(tables, dict):
            self.problem(f"must be tables with a name each: [{section}.NAME]", section)
            return {}
        for name in tables:
            if not _NAME.fullmatch(name):
                self.problem(_BAD_NAME, section, name)
        return tables

    def routes(self, data: Mapping[str, Any]) -> list[Any]:
        """Return the tables of `[[routes]]`."""
        tables = data.get("routes", [])
        if isinstance(tables, list):
            return tables
        self.problem("must be written as [[routes]], with double brackets", "routes")
        return []

    def check_routes(self, tables: Sequence[Any], connections: Iterable[str], trackers: Iterable[str]) -> None:
        """Note every name in a route that is not configured, also where the route has other problems."""
        for index, table in enumerate(tables):
            for key, known in (("connections", connections), ("trackers", trackers)):
                names = table.get(key, ()) if isinstance(table, dict) else ()
                for name in [names] if isinstance(names, str) else names if isinstance(names, list) else ():
                    if isinstance(name, str) and name not in known:
                        words = f"there is no [{key}.{name}]{did_you_mean(name, known)}"
                        self.problem(words, "routes", index, key)


def _anchored(settings: M, folder: Path) -> M:
    """Return `settings` with relative paths put behind `folder`: a daemon may start anywhere."""
    changes: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            changes[name] = folder / value.expanduser()
        elif isinstance(value, BaseModel):
            changes[name] = _anchored(value, folder)
    if isinstance(settings, StoreSettings):
        changes["url"] = _anchored_url(settings.url, folder)
    return settings.model_copy(update=changes) if changes else settings


def _anchored_url(url: str, folder: Path) -> str:
    match = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(\?.*)?", url)
    return f"{match[1]}{folder / match[2]}{match[3] or ''}" if match else url


def _warnings(
    routes: Sequence[RouteSettings], connections: Iterable[str], trackers: Iterable[str]
) -> list[Problem]:
    """Return what is probably not meant so."""
    routed = {name for route in routes for name in route.trackers}
    heard = {name for route in routes for name in route.connections or connections}
    idle = [f"trackers.{name}" for name in trackers if name not in routed]
    silent = [f"connections.{name}" for name in connections if name not in heard]
    return [
        *([] if connections else [Problem("connections", "there is none, so nothing can be exported to here")]),
        *(Problem(path, "is in no route, so only a plugin can send exports to it") for path in idle),
        *(Problem(path, "is in no route, so its exports go nowhere") for path in silent),
    ]
