"""The wheel holds what it should and nothing else, and what is installed is what is written down."""

from __future__ import annotations

import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from bridge.hookspecs import PROJECT

ROOT = Path(__file__).parents[1]
PROJECT_TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REINSTALL = "the installed tracker-bridge is not this one: reinstall it (pip install -e .)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, as it would be published."""
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return zipfile.ZipFile(path)


def files_in(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_its_top_level_names_are_ours_only(wheel):
    assert {name.partition("/")[0] for name in files_in(wheel)} == {"bridge", "bridge_plugins"}


def test_type_checkers_are_told_that_it_is_typed(wheel):
    assert "bridge/py.typed" in files_in(wheel)


def test_it_holds_every_module_that_is_here(wheel):
    here = {str(file.relative_to(ROOT)) for file in (ROOT / "bridge").rglob("*.py")}
    here |= {str(file.relative_to(ROOT / "plugins")) for file in (ROOT / "plugins").rglob("*.py")}

    assert here <= files_in(wheel)


def test_it_holds_the_migrations_and_the_demo_s_payloads(wheel):
    assert "bridge/store/migrations/env.py" in files_in(wheel)
    assert "bridge/demo/examples/documented.json" in files_in(wheel)


def test_no_test_and_no_leftover_is_in_it(wheel):
    odd = [name for name in files_in(wheel) if "__pycache__" in name or "/tests/" in name or name.endswith(".db")]

    assert odd == []


def test_its_licence_goes_with_it(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_installed_entry_points_are_those_of_the_project():
    installed = {
        point.name: point.value for point in distribution("tracker-bridge").entry_points if point.group == PROJECT
    }

    assert installed == PROJECT_TABLE["entry-points"][PROJECT], REINSTALL


def test_so_is_the_command():
    installed = {
        point.name: point.value
        for point in distribution("tracker-bridge").entry_points
        if point.group == "console_scripts"
    }

    assert installed == PROJECT_TABLE["scripts"], REINSTALL


def test_so_is_the_version():
    assert distribution("tracker-bridge").version == PROJECT_TABLE["version"], REINSTALL


def test_every_entry_point_is_a_module_that_is_here():
    for name, value in PROJECT_TABLE["entry-points"][PROJECT].items():
        assert (ROOT / "plugins" / f"{value.replace('.', '/')}.py").is_file(), name


def test_every_tracker_module_is_an_entry_point():
    modules = {file.stem for file in (ROOT / "plugins" / "bridge_plugins").glob("[!_]*.py")}

    assert {value.rpartition(".")[2] for value in PROJECT_TABLE["entry-points"][PROJECT].values()} == modules
