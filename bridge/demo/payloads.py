"""The shipped examples of what test IO posts. `documented` is test IO's own, literally."""

from __future__ import annotations

from importlib.resources import files

DOCUMENTED = "documented"


def example(name: str = DOCUMENTED) -> bytes:
    """Return an example's JSON.

    Args:
        name: One of `names()`.

    Raises:
        KeyError: There is no such example.
    """
    if name not in names():
        raise KeyError(name)
    return (files("bridge.demo") / "examples" / f"{name}.json").read_bytes()


def names() -> list[str]:
    """Return the names of all examples."""
    folder = files("bridge.demo") / "examples"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
