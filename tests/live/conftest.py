"""Real trackers, each started once for all the tests that need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import missing
from tests.live import redmine as real


@pytest.fixture(scope="session")
def redmine() -> Iterator[real.Server]:
    """A real Redmine."""
    if not real.installed():
        missing("redmine", real.MISSING)
    with real.running() as server:
        yield server
