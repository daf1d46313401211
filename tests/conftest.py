"""What tests of several parts share."""

from __future__ import annotations

from pathlib import Path

import pytest

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
