"""Modules that are imported at their first use: a daemon that needs none of them yet starts sooner."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module. Several threads may come first: Python's own `LazyLoader` shows them half a module.

    https://github.com/python/cpython/issues/117178
    """

    def __getattr__(self, name: str) -> Any:
        module = import_module(self.__name__)  # waits while another thread is at it
        vars(self).update(vars(module))
        return getattr(module, name)


def lazily(name: str) -> ModuleType:
    """Return what stands for a module, which is imported at the first look at one of its attributes.

    Args:
        name: Of an installed top-level module; the import itself can then not fail for want of it.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    if find_spec(name) is None:
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    return _Later(name)
