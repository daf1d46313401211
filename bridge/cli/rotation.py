"""A new secret in the configuration file, with the one before beside it. Comments and order stay."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit

from bridge.cli.ending import Ending, Failed

_SUFFIX = ".previous"


def rotate_secret(file: Path, name: str) -> str:
    """Give a connection a new secret, and keep the old one as `previous_secret`; returns what was done, in words.

    Raises:
        Failed: The secret stands where we cannot write.
    """
    document, table = _read(file, name)
    if table.get("previous_secret"):
        raise Failed(
            f"connections.{name} has a previous_secret still: say --finish first, once test IO has the new one"
        )
    value = table.get("secret")
    new = secrets.token_urlsafe(24)
    if isinstance(value, MutableMapping) and isinstance(value.get("file"), str):
        path = _anchored(file, value["file"])
        before = path.with_name(path.name + _SUFFIX)
        _write(before, _text(path))
        table["previous_secret"] = tomlkit.inline_table()
        table["previous_secret"]["file"] = value["file"] + _SUFFIX
        _write(file, tomlkit.dumps(document))  # first: whatever comes next, the old secret stays valid
        _write(path, new + "\n")
        return f"The new secret is in {path}, the one before in {before}."
    if not isinstance(value, str) or re.search(r"\$\{", value):
        raise Failed(
            f"connections.{name}.secret comes from the environment: put the old value into previous_secret, the "
            f"new one into its variable, restart the daemon, and say `tracker-bridge connections sync {name}`",
            Ending.USAGE,
        )
    table["previous_secret"], table["secret"] = value, new
    _write(file, tomlkit.dumps(document))
    return f"The new secret is in {file}."


def finish(file: Path, name: str) -> str:
    """Remove the secret before; returns what was done, in words.

    Raises:
        Failed: There is none.
    """
    document, table = _read(file, name)
    value = table.get("previous_secret")
    if not value:
        raise Failed(f"connections.{name} has no previous_secret")
    del table["previous_secret"]
    _write(file, tomlkit.dumps(document))
    if isinstance(value, MutableMapping) and str(value.get("file", "")).endswith(_SUFFIX):
        with suppress(OSError):
            _anchored(file, value["file"]).unlink()
    return "The secret before is not valid any more."


def _read(file: Path, name: str) -> tuple[tomlkit.TOMLDocument, MutableMapping[str, Any]]:
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failed(f"{file} cannot be read: {error}", Ending.USAGE) from None
    tables: Any = document.get("connections", {})
    if name not in tables:
        raise Failed(f"there is no connection {name!r} in {file}; there are: {', '.join(tables) or 'none'}")
    return document, tables[name]


def _anchored(file: Path, given: str) -> Path:
    return file.parent / Path(given).expanduser()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by whom it was before; a new one by its owner only."""
    beside = path.with_name(path.name + ".new")
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.chmod(mode)
        beside.replace(path)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from None
