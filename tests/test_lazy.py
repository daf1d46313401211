"""Modules that are imported at their first use."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from bridge.lazy import lazily

SLOW = "import time\ntime.sleep(0.05)\nlast = 'here'\n"


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that takes a while to import."""
    name = f"slow_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_nothing_is_imported_before_its_first_use(slow):
    module = lazily(slow)
    assert slow not in sys.modules

    assert module.last == "here"
    assert slow in sys.modules


def test_whoever_looks_while_another_thread_is_importing_it_sees_all_of_it(slow):
    module, together = lazily(slow), Barrier(8)

    def look(_number: int) -> str:
        together.wait()
        return str(module.last)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(8))) == {"here"}


def test_an_attribute_that_is_not_there_is_said_to_be_the_modules(slow):
    with pytest.raises(AttributeError, match=f"module '{slow}' has no attribute 'first'"):
        _ = lazily(slow).first


def test_one_that_is_not_installed_is_said_at_once():
    with pytest.raises(ModuleNotFoundError, match="no_such_module is not installed"):
        lazily("no_such_module")


def test_a_daemon_imports_no_http_client_before_it_needs_one():
    code = "import sys, bridge.app, bridge.web; sys.exit('httpx._client' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
