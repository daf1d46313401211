"""What tests of several parts share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest

from bridge.store import Store
from tests import postgresql

EXAMPLES = Path(__file__).parents[2] / "shared" / "examples"


def missing(what: str, why: str) -> NoReturn:
    """Skip what cannot be tested here; fail where it is required: `TRACKER_BRIDGE_TESTS_REQUIRE="postgresql"`.

    Args:
        what: A word for what is not there.
        why: What to install.
    """
    if what in os.environ.get("TRACKER_BRIDGE_TESTS_REQUIRE", "").split():
        pytest.fail(why)
    pytest.skip(why)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A server of PostgreSQL is a process, and what is tested over both databases is a unit on SQLite alone."""
    for item in items:
        parameters = (
            item.callspec.params.values()
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else ()
        )
        if "databases" in getattr(item, "fixturenames", ()) or "postgresql" in parameters:
            item.add_marker("process")


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


class Databases:
    """Databases on a real PostgreSQL, each with the tables of an empty store."""

    def __init__(self, server: postgresql.Server) -> None:
        self.server = server
        self._numbers = count(1)
        with postgresql.connect(server.url("postgres")) as connection:
            connection.execute("CREATE DATABASE empty")
        store = Store(server.url("empty"))
        store.open()
        asyncio.run(store.close())

    def new(self, template: str = "empty") -> str:
        """The address of a new one."""
        name = f"bridge{next(self._numbers)}"
        with postgresql.connect(self.server.url("postgres")) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.server.url(name)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """A PostgreSQL server, for all tests of this process."""
    if postgresql.binaries() is None:
        missing("postgresql", postgresql.MISSING)
    with postgresql.running() as server:
        yield Databases(server)
