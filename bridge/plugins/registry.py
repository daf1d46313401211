"""The plugins of one bridge: registered, checked, and called one by one, so that none can harm another."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pluggy
import structlog

from bridge import hookspecs
from bridge.config.words import did_you_mean
from bridge.errors import PluginError
from bridge.hookspecs import PROJECT
from bridge.model import Bug, Draft, Export
from bridge.plugins.aside import Aside
from bridge.plugins.discovery import Found, PluginInfo, in_folder, installed, missing_packages
from bridge.plugins.escape import is_escaped
from bridge.tracker import Tracker, TrackerSettings

OURS = "tracker-bridge"
"""The distribution whose plugins are tested together with this module."""

TELL_TIMEOUT = 10.0
"""Seconds that one plugin may take to hear what happened."""

_SYNC = frozenset({"bridge_trackers", "bridge_route", "bridge_prepare"})
_SHOWN = 300  # characters of a plugin's error


class Plugins:
    """All plugins of one bridge. Use `Plugins.load`.

    Attributes:
        infos: Every plugin that was found, broken ones included.
        types: Tracker types by name.
        failures: How often a hook of each plugin raised or took too long.
    """

    def __init__(self, *, log: Any = None) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._log = log or structlog.get_logger("bridge.plugins")
        self._origins: dict[str, tuple[PluginInfo, Distribution | None]] = {}
        self._aside = Aside()
        self.infos: tuple[PluginInfo, ...] = ()
        self.types: dict[str, type[Tracker[Any]]] = {}
        self.failures: Counter[str] = Counter()

    @classmethod
    def load(
        cls,
        folder: Path | None = None,
        disabled: Iterable[str] = (),
        *,
        entry_points: Iterable[EntryPoint] | None = None,
        objects: Mapping[str, object] | None = None,
        log: Any = None,
    ) -> Plugins:
        """Find and register plugins. One that cannot be imported is kept in `infos` with its error.

        Args:
            folder: A folder of single `.py` files, each a plugin; those beginning with `_` are passed over.
            disabled: Names of plugins to leave out, without importing them.
            entry_points: Instead of those of the installed distributions.
            objects: More plugins by name: modules or instances, for tests and embedders.
            log: Where failing hooks are told.

        Raises:
            PluginError: A hook is misspelt, two plugins bring one tracker type, or the folder is missing.
        """
        plugins, left_out = cls(log=log), set(disabled)
        given = (objects or {}).items()
        found = [*installed(entry_points), *in_folder(folder)]
        found += [Found(PluginInfo(name=name), lambda plugin=plugin: plugin) for name, plugin in given]  # type: ignore[misc]
        infos = [
            replace(one.info, disabled=True) if one.info.name in left_out else plugins._register(one)
            for one in found
        ]
        names = {info.name for info in infos}
        unknown = [
            PluginInfo(name=name, disabled=True, error=f"there is no such plugin{did_you_mean(name, names)}")
            for name in sorted(left_out - names)
        ]
        plugins.infos = (*infos, *unknown)
        return plugins

    def need(self, name: str) -> type[Tracker[Any]]:
        """Return the tracker type that a configured tracker is of.

        Raises:
            PluginError: It is unknown, its plugin is broken, or packages that it needs are not installed.
        """
        reason = self.why_missing(name)
        if reason:
            raise PluginError(reason)
        return self.types[name]

    def why_missing(self, name: str) -> str:
        """Return why a tracker type cannot be used, and what to do about it; empty when it can."""
        if name in self.types:
            info, source = self._origins[name]
            extra, missing = missing_packages(source, name)
            command = f"pip install '{info.distribution}[{extra}]'"
            return f'tracker type "{name}" needs {", ".join(missing)}: {command}' if missing else ""
        for info in self.infos:
            if info.name == name and info.disabled:
                return f'"{name}": its {info} is disabled in the configuration'
            if info.name == name and info.error:
                return f'"{name}": its {info} cannot be loaded: {info.error}'
        broken = [str(info) for info in self.infos if info.error and not info.disabled]
        hint = f" (cannot be loaded: {', '.join(broken)})" if broken else ""
        return f'"{name}" is no tracker type{did_you_mean(name, self.types)}{hint}'

    def route(self, export: Export) -> list[str]:
        """Return the trackers that plugins want an export to go to, without repetition."""
        names: dict[str, None] = {}
        for implementation in self._implementations("bridge_route"):
            try:
                result = _call(implementation, {"export": export})
                wanted = [result] if isinstance(result, str) else list(result or ())
                names.update(dict.fromkeys(map(str, wanted)))
            except BaseException as error:  # noqa: BLE001 - a plugin never loses an export
                self._failed(implementation, error)
        return list(names)

    def prepare(self, draft: Draft, bug: Bug, tracker: str) -> Draft:
        """Return the draft as changed by plugins, each seeing what the one before made of it."""
        for implementation in self._implementations("bridge_prepare"):
            try:
                changed = _call(implementation, {"draft": draft, "bug": bug, "tracker": tracker})
                if not isinstance(changed, Draft | None):
                    raise TypeError(f"returned {type(changed).__name__} instead of a Draft or None")
                draft = changed or draft
            except BaseException as error:  # noqa: BLE001 - a plugin never loses an export
                self._failed(implementation, error)
        return draft

    def listens(self, hook: str) -> bool:
        """Whether any plugin has this hook."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    async def tell(self, hook: str, /, *, timeout: float = TELL_TIMEOUT, **arguments: Any) -> None:  # noqa: ASYNC109
        """Tell every plugin what happened, all at once. Nothing that a plugin does comes back from here.

        Args:
            hook: One of the hooks that only tell: `"bridge_delivered"`.
            timeout: Seconds that each plugin may take.
            arguments: The hook's arguments.
        """
        await asyncio.gather(*(self._tell(one, arguments, timeout) for one in self._implementations(hook)))

    async def _tell(self, one: pluggy.HookImpl, arguments: Mapping[str, Any], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                if inspect.iscoroutinefunction(one.function):
                    await _call(one, arguments)
                else:  # it may block, and the loop must not
                    await self._aside.call(
                        (one.plugin_name, one.function.__name__), partial(_call, one, arguments)
                    )
        except TimeoutError:
            self._failed(one, TimeoutError(f"took longer than {seconds:g} s"))
        except BaseException as error:  # noqa: BLE001 - a plugin never loses or delays an export
            self._failed(one, error)

    def _implementations(self, hook: str) -> Iterator[pluggy.HookImpl]:
        """Yield in the order in which pluggy would call."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return reversed(caller.get_hookimpls())

    def _failed(self, one: pluggy.HookImpl, error: BaseException) -> None:
        """Count and tell a plugin's failure; what only passes through it goes on."""
        if not is_escaped(error):
            raise error
        self.failures[one.plugin_name] += 1
        hook = one.function.__name__
        self._log.warning("a plugin's hook failed", plugin=one.plugin_name, hook=hook, error=_words(error))

    def _register(self, found: Found) -> PluginInfo:
        """Import and register one plugin; the result says how that went.

        Raises:
            PluginError: What would be silently wrong: a misspelt hook, a type that another plugin has.
        """
        info = found.info
        name = f"{info.distribution}:{info.name}" if self._manager.has_plugin(info.name) else info.name
        try:
            plugin = found.load()
            self._manager.register(plugin, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - shown; stops the start only if it is needed
            if self._manager.has_plugin(name):  # hooks before a bad one are in already
                self._manager.unregister(name=name)
            return replace(info, error=_words(error))
        callers = self._manager.get_hookcallers(plugin) or []
        info = replace(info, hooks=tuple(sorted(caller.name for caller in callers)))
        self._refuse_misunderstandings(info, plugin, callers)
        try:
            types = self._types_of(plugin)
            if info.distribution != OURS:  # ours are known to be right, and built when they are used
                for tracker in types.values():
                    tracker.settings_type.model_rebuild()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            self._manager.unregister(plugin)
            return replace(info, hooks=(), error=_words(error))
        info = replace(info, types=tuple(sorted(types)))
        for kind, tracker in types.items():
            if kind in self.types:
                raise PluginError(
                    f'two plugins bring the tracker type "{kind}": {self._origins[kind][0]} and {info}; '
                    "uninstall one, or name it in [plugins] disabled"
                )
            self.types[kind], self._origins[kind] = tracker, (info, found.distribution)
        return info

    def _refuse_misunderstandings(
        self, info: PluginInfo, plugin: object, callers: Iterable[pluggy.HookCaller]
    ) -> None:
        """Raise for functions that look like hooks and would never be called."""
        specified = [name for name in vars(hookspecs) if name.startswith("bridge_")]
        for caller in callers:
            if not caller.has_spec():
                raise PluginError(f"{info}: there is no hook {caller.name}{did_you_mean(caller.name, specified)}")
            one = next(one for one in caller.get_hookimpls() if one.plugin is plugin)
            if one.hookwrapper or one.wrapper:
                raise PluginError(f"{info}: {caller.name} must be a plain hook, not a wrapper")
            if caller.name in _SYNC and inspect.iscoroutinefunction(one.function):
                raise PluginError(f"{info}: {caller.name} must not be async")
        home = getattr(plugin, "__name__", None)
        for name, function in inspect.getmembers(plugin, inspect.isfunction):
            if name.startswith("bridge_") and name not in info.hooks and function.__module__ == home:
                raise PluginError(f"{info}: {name} is never called: mark it with @hookimpl from bridge")

    def _types_of(self, plugin: object) -> dict[str, type[Tracker[Any]]]:
        """Return the tracker types of a plugin by name."""
        types: dict[str, type[Tracker[Any]]] = {}
        for one in self._implementations("bridge_trackers"):
            for tracker in _call(one, {}) if one.plugin is plugin else ():
                if not (isinstance(tracker, type) and issubclass(tracker, Tracker)):
                    raise TypeError(f"bridge_trackers returned {tracker!r}, which is no Tracker class")
                if not issubclass(getattr(tracker, "settings_type", object), TrackerSettings):
                    raise TypeError(f"{tracker.__name__}.settings_type must be a subclass of TrackerSettings")
                types[tracker.type] = tracker
        return types


def _call(one: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    """Call an implementation with those of the arguments that it takes."""
    return one.function(*(arguments[name] for name in one.argnames))


def _words(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    line = lines[-1 if isinstance(error, pluggy.PluginValidationError) else 0]  # pluggy comes to the point last
    words = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return words if len(words) <= _SHOWN else words[:_SHOWN] + "…"
