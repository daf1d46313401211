"""Where plugins come from: entry points of installed distributions, and single files in a folder."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path

from bridge.errors import PluginError
from bridge.hookspecs import PROJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One plugin, loaded or not, for people to look at.

    Attributes:
        name: Its entry point's name, or the name of its file.
        distribution: The installed package that it is from; empty for a single file.
        version: The distribution's version.
        hooks: Names of the hooks it implements.
        types: Tracker types it brings.
        error: Why it does not work; empty when it does.
        disabled: Whether the configuration leaves it out.
    """

    name: str
    distribution: str = ""
    version: str = ""
    hooks: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    error: str = ""
    disabled: bool = False

    def __str__(self) -> str:
        source = " ".join(filter(None, [self.distribution, self.version]))
        return f'plugin "{self.name}"' + (f" ({source})" if source else "")


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that was found and not yet imported.

    Attributes:
        info: What is known without importing it.
        load: Imports it.
        distribution: What it is installed by.
    """

    info: PluginInfo
    load: Callable[[], object]
    distribution: Distribution | None = None


def installed(found: Iterable[EntryPoint] | None = None) -> list[Found]:
    """Return the plugins of all installed distributions, by name.

    Args:
        found: Entry points instead of the installed ones.
    """
    points = entry_points(group=PROJECT) if found is None else found
    return [
        Found(
            PluginInfo(
                name=point.name,
                distribution=point.dist.name if point.dist else "",
                version=point.dist.version if point.dist else "",
            ),
            point.load,
            point.dist,
        )
        for point in sorted(points, key=lambda point: point.name)
    ]


def in_folder(folder: Path | None) -> list[Found]:
    """Return the single-file plugins of a folder, by name. Files beginning with `_` are theirs to import.

    Raises:
        PluginError: There is no such folder.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise PluginError(f"the plugin folder {folder} does not exist: correct [plugins] folder")
    files = [file for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")]
    return [Found(PluginInfo(name=file.stem), lambda file=file: _import(file)) for file in files]  # type: ignore[misc]


def missing_packages(source: Distribution | None, tracker_type: str) -> tuple[str, Sequence[str]]:
    """Return the extra that a tracker type needs and what of it is not installed.

    The extra is the one named like the type, or like its first words: `jira` for `jira-cloud`.

    Args:
        source: The distribution that the type is from.
        tracker_type: The type's name.
    """
    extras = (source.metadata.get_all("Provides-Extra") or []) if source else []
    fitting = [extra for extra in extras if f"{tracker_type}-".startswith(f"{extra}-")]
    if source is None or not fitting:
        return "", ()
    extra = max(fitting, key=len)
    wanted = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    names = [_project(requirement) for requirement in source.requires or [] if wanted.search(requirement)]
    return extra, [name for name in names if not _is_installed(name)]


def _import(file: Path) -> object:
    """Import a single file under a name that no other folder's plugin has."""
    name = f"_tracker_bridge_{file.stem}_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look their annotations up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _project(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return match[0] if match else requirement


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
