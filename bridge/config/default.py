"""The embedded default: what the daemon runs on when there is no configuration file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.config.load import Types, build_config
from bridge.config.settings import Config
from bridge.errors import ConfigError, Problem

CONNECTION = "default"
TRACKER = "files"


def default_config(
    folder: Path, types: Types, *, make_secret: Callable[[], str] = lambda: secrets.token_urlsafe(24)
) -> Config:
    """Return a configuration that needs no account anywhere: SQLite, one connection, issues as files.

    Args:
        folder: Where everything is kept. Made when missing, readable by its owner only.
        types: Tracker types by name; `files` is needed.
        make_secret: Makes a new secret; used once, then it is kept in the folder.

    Raises:
        ConfigError: The folder cannot be written, or the tracker type `files` is not there.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = _kept(folder / "connection-secret", make_secret)
        token = _kept(folder / "admin-token", make_secret)
    except OSError as error:
        raise ConfigError([Problem(str(folder), f"cannot be used: {error.strerror}")]) from None
    return build_config(_tables(secret, token), folder, types, {})


def _tables(secret: str, token: str) -> Mapping[str, Any]:
    return {
        "server": {"admin_token": token},
        "connections": {CONNECTION: {"secret": secret}},
        "routes": [{"name": "everything", "trackers": [TRACKER]}],
        "trackers": {TRACKER: {"type": "files", "folder": "issues"}},
    }


def _kept(file: Path, make: Callable[[], str]) -> str:
    """Return the secret in `file`; the first time, make it, in one step, so that no other user ever reads it."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        secret = make()
        stream.write(secret + "\n")
    return secret
