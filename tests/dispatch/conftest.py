"""A world for each test, over both databases."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.dispatch.scripted import WatchedStore, World


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everything holds for both databases, but for what only a store of one process can know."""
    if "world" in metafunc.fixturenames:
        both = ["sqlite"] if "one_process" in metafunc.fixturenames else ["sqlite", "postgresql"]
        metafunc.parametrize("url", both, indirect=True)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, empty_store: Path) -> str:
    """A database with the tables of an empty store."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("databases").new()
        return address
    shutil.copy(empty_store, tmp_path / "bridge.db")
    return f"sqlite:///{tmp_path}/bridge.db"


@pytest.fixture
def one_process() -> None:
    """No other process can have the store."""


@pytest.fixture
async def world(tmp_path: Path, url: str) -> AsyncIterator[World]:
    store = WatchedStore(url)
    store.open()
    world = World(store, tmp_path)
    yield world
    await world.dispatcher.stop(timedelta(0))
    await store.close()
