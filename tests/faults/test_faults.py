"""A short part of `make faults`: everything goes wrong at once, and nothing is lost or doubled.

A failure names its seed; `FAULTS_SEED=… pytest tests/faults` throws the same dice again. What the processes make of it
in the same time may still differ.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tests import postgresql
from tests.conftest import missing
from tests.faults import databases, plan
from tests.faults.report import Progress, table
from tests.faults.run import prepared

pytestmark = pytest.mark.process

OPENERS = {"sqlite": databases.sqlite, "postgresql": databases.postgres}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", OPENERS)
def test_nothing_is_lost_or_doubled(database: str, tmp_path: Path):
    if database == "postgresql" and postgresql.binaries() is None:
        missing("postgresql", postgresql.MISSING)
    seed = int(os.environ.get("FAULTS_SEED") or Random().randrange(10**6))
    print(f"FAULTS_SEED={seed}")
    with prepared(OPENERS[database], tmp_path, seed=seed, exports=100, rhythm=plan.SHORT) as run:
        result = run.go(Progress())
    print(table([result]))
    assert result.wrong == []
    assert result.accepted == 100
    assert sum(result.kills.values()) >= 5
    assert sum(result.faults.values()) >= 10
