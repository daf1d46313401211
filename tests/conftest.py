"""What tests of several parts share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.store import Store

EXAMPLES = Path(__file__).parents[2] / "shared" / "examples"


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked `anyio` run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def examples() -> Path:
    """Payloads as test IO posts them."""
    if not EXAMPLES.is_dir():
        pytest.skip("the examples are not here: they are expected beside the repository, in shared/examples")
    return EXAMPLES


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file, to be copied: making one takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "bridge.db"
    store = Store(f"sqlite:///{file}")
    store.open()
    asyncio.run(store.close())
    return file
