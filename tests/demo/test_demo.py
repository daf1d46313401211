"""The demo as people run it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bridge.cli.demo import command_in
from bridge.demo.play import SCENES

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "bridge", "demo", "--port", "0"]


def play(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--exit", *options], check=False, cwd=folder, capture_output=True, text=True, timeout=50
    )


def test_everything_ends_as_it_should_and_the_issues_are_there(tmp_path):
    played = play(tmp_path)

    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stderr == ""
    assert [line.partition(": ")[0] for line in played.stdout.splitlines() if line.startswith("ok  ")] == [
        f"ok  {scene.title}" for scene in SCENES
    ]
    issues = tmp_path / "demo" / "tracker-bridge-data" / "issues"
    assert {folder.name for folder in issues.iterdir()} == {
        f"testio-bug-{number}" for number in (2, 12345, 12346, 12347, 12348)
    }
    first = issues / "testio-bug-12345"
    assert {file.name for file in first.iterdir()} == {"issue.md", "abc.png", "repro.mp4", "def.png"}
    assert "No discount applied at all" in (first / "issue.md").read_text()


def test_played_again_it_makes_nothing_twice(tmp_path):
    play(tmp_path)

    again = play(tmp_path, "--json")

    shown = json.loads(again.stdout)["exports"]
    assert again.returncode == 0
    assert [one["answer"].get("duplicate") for one in shown[:6]] == [True] * 6
    assert all(one["as_expected"] for one in shown)
    assert len(list((tmp_path / "demo" / "tracker-bridge-data" / "issues").iterdir())) == 5


def test_it_serves_until_ctrl_c_and_the_line_to_try_works(tmp_path):
    demo = subprocess.Popen(
        COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert demo.stdout is not None
    lines: list[str] = []
    for line in demo.stdout:
        lines.append(line)
        if "Serving until Ctrl-C" in line:
            break
    text = "".join(lines)
    command = text[text.index("curl ") : text.index("\n\n", text.index("curl "))]
    tried = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    heard = demo.stdout.readline()
    page = re.search(r"^export +(http\S+)", text, re.MULTILINE)
    assert page is not None
    httpx.post(f"{page[1]}/bugs/101/export", trust_env=False)
    clicked = demo.stdout.readline()
    demo.send_signal(signal.SIGINT)

    assert json.loads(tried.stdout)["state"] == "accepted"
    assert "bug 7: My first bug" in heard
    assert "bug 101: " in clicked
    assert demo.wait(20) == 0
    assert demo.stderr is not None
    assert demo.stderr.read() == ""
    demo.stdout.close()
    demo.stderr.close()


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "demo").write_text("")

    played = play(tmp_path)

    assert played.returncode == 2
    assert "cannot be used" in played.stderr


def test_how_to_look_is_told_so_that_a_shell_finds_the_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    by_path = command_in(Path("demo"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))

    assert command_in(Path("demo")) == "tracker-bridge"
    shown = subprocess.run(
        ["/bin/sh", "-c", f"cd demo && {by_path} --version"], check=True, capture_output=True, text=True
    )
    assert shown.stdout.startswith("tracker-bridge ")
