"""A world for each test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.dispatch.scripted import WatchedStore, World


@pytest.fixture
async def world(tmp_path: Path, empty_store: Path) -> AsyncIterator[World]:
    shutil.copy(empty_store, tmp_path / "bridge.db")
    store = WatchedStore(f"sqlite:///{tmp_path}/bridge.db")
    store.open()
    world = World(store, tmp_path)
    yield world
    await world.dispatcher.stop(timedelta(0))
    await store.close()
