"""`docs/write-a-plugin.md` builds a plugin from an empty directory. Here it is built, as written, and works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bridge.plugins import Plugins

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"
BLOCK = re.compile(r"^```\w+ (?P<file>\S+\.\w+)(?P<within> \w+)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HOOK = "\n\n@hookimpl\n"


def build(folder: Path, *, steps: str) -> Path:
    """Write the page's files: those of the first steps, or all with the methods put into the class."""
    for block in BLOCK.finditer(PAGE.read_text()):
        path = folder / block["file"]
        if not block["within"]:
            path.write_text(block["text"])
        elif steps == "all":
            path.write_text(path.read_text().replace(HOOK, f"\n{block['text']}{HOOK}"))
    if steps == "all":
        test = folder / "test_tickets.py"
        test.write_text(re.sub(r"^    lacks = .*\n", "", test.read_text(), flags=re.MULTILINE))
    return folder


@pytest.mark.process
@pytest.mark.parametrize(
    ("steps", "quick"),  # waiting for timeouts is tested for the same tracker elsewhere
    [("first", "create or can_do or lacks"), ("all", "not an_answer_that_does_not_come")],
)
def test_the_plugin_passes_the_suite(tmp_path: Path, steps: str, quick: str) -> None:
    build(tmp_path, steps=steps)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", quick],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 15  # type: ignore[index]


def test_the_single_file_is_a_plugin_and_its_configuration_is_valid(tmp_path: Path) -> None:
    build(tmp_path, steps="all")
    (tmp_path / "test_tickets.py").unlink()

    plugins = Plugins.load(tmp_path, entry_points=())

    tracker = plugins.need("tickets")
    config = tomllib.loads((tmp_path / "config.toml").read_text())
    settings = tracker.settings_type.model_validate(config["trackers"]["desk"])
    assert tracker("desk", settings).can("find")


def test_the_entry_point_names_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, steps="all")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    monkeypatch.syspath_prepend(str(tmp_path))

    [(name, module)] = project["project"]["entry-points"]["tracker_bridge"].items()
    plugins = Plugins.load(entry_points=[EntryPoint(name, module, "tracker_bridge")])
    monkeypatch.delitem(sys.modules, module, raising=False)

    assert list(plugins.types) == ["tickets"]
