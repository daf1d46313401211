"""Who may know whom, and that nothing is done by importing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import bridge

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("bridge/**/*.py"), *ROOT.glob("plugins/bridge_plugins/**/*.py")])


def run(program: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_imports_point_down_only():
    """The contracts are in pyproject.toml, under [tool.importlinter]."""
    ended = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_importing_starts_no_thread_and_loads_no_sdk():
    run(
        "import sys, threading\n"
        "import bridge, bridge.web, bridge.app, bridge.testing, bridge_plugins.github, bridge_plugins.gitlab\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "sdks = {'github', 'gitlab', 'jira', 'alembic'} & set(sys.modules)\n"
        "assert not sdks, sdks\n"
    )


def test_everything_imported_into_the_window_is_in_it():
    """Names are imported lazily; what type checkers see must be what there is."""
    tree = ast.parse((ROOT / "bridge" / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bridge.")
        for alias in node.names
    }
    assert imported == set(bridge.__all__)


def test_what_is_not_in_the_window_cannot_be_taken_out_of_it():
    with pytest.raises(AttributeError, match="Trackre"):
        _ = bridge.Trackre


@pytest.mark.parametrize(
    "part", ["", ".attachments", ".config", ".dispatch", ".mapping", ".plugins", ".store", ".web"]
)
def test_every_name_in_a_window_is_there_once(part):
    module = import_module(f"bridge{part}")

    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_every_module_says_what_it_is_for():
    silent = [
        str(file.relative_to(ROOT)) for file in MODULES if not ast.get_docstring(ast.parse(file.read_text()))
    ]

    assert silent == []


def test_no_machine_is_named_in_the_code():
    """No path of the machine at hand: neither the folder in which this project lies, nor the home of who runs it."""
    places = {ROOT.parent, Path.home()} - {Path("/")}
    named = [(file, place) for file in MODULES for place in places if f"{place}/" in file.read_text()]

    assert named == []
