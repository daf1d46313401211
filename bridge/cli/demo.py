"""`tracker-bridge demo`: how the demo looks."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bridge.app import Bridge
from bridge.cli.ending import Ending, Failed
from bridge.cli.options import JsonOption
from bridge.cli.show import console, many, outcome, print_json, short
from bridge.config import LogSettings
from bridge.demo.play import SCENES, Act
from bridge.demo.stage import Audience, Stage, demo_setup, perform
from bridge.logs import configure_logging

PAUSE = 0.35
"""Seconds between two exports, for people to follow."""

_CURL = """curl {url} \\
  -H 'Content-Type: application/json' \\
  -d '{{"event": "bug.exported", "bug": {{"id": 7, "title": "My first bug", "severity": "high"}}}}'"""

ExitOption = Annotated[
    bool, typer.Option("--exit", help="end after the last delivery; 0 when all went as it should")
]
FolderOption = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="where everything of the demo is kept")
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="N", min=0, max=65535, help="where the daemon listens; by default 8080, if it is free"
    ),
]


def demo(
    leave: ExitOption = False,
    folder: FolderOption = Path("demo"),
    port: PortOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try it without any account: plays test IO, and shows what becomes of each export.

    Runs the real daemon on the embedded default (SQLite, one connection with a generated secret, issues as
    Markdown files), posts the documented export and several others over HTTP, and keeps serving until Ctrl-C.
    """
    setup = demo_setup(folder, port)
    out = console()
    with (folder / "bridge.log").open("a", encoding="utf-8") as log:
        bridge = Bridge(setup)
        configure_logging(LogSettings(format="human"), bridge.redact, log)
        audience = _audience(out, folder, stay=not leave, as_json=as_json)
        watched = out.is_terminal and not as_json
        went_well = asyncio.run(perform(bridge, SCENES, audience, stay=not leave, pause=PAUSE if watched else 0.0))
    if not went_well:
        raise Failed(f"not everything ended as it should; {folder / 'bridge.log'} says more", Ending.WRONG)


def _audience(out: Console, folder: Path, *, stay: bool, as_json: bool) -> Audience:
    if as_json:
        return Recorder()
    return Screen(out, folder, stay=stay) if out.is_terminal else Lines(out, folder, stay=stay)


class Recorder(Audience):
    """Prints everything as JSON, in the end."""

    def ended(self, stage: Stage, acts: Sequence[Act]) -> None:
        """Print it."""
        print_json(
            {
                "url": stage.url,
                "issues": str(stage.issues),
                "exports": [
                    {
                        "title": act.scene.title,
                        "status": act.status,
                        "answer": dict(act.answer),
                        "became": became(act).plain,
                        "as_expected": act.as_expected,
                    }
                    for act in acts
                ],
            }
        )


class Lines(Audience):
    """Prints a line for each export that has ended."""

    def __init__(self, out: Console, folder: Path, *, stay: bool) -> None:
        self.out, self._folder, self._stay = out, folder, stay
        self._told: set[int] = set()

    def opened(self, stage: Stage) -> None:
        """Say where the daemon is."""
        self.out.print(Text(f"tracker-bridge serves at {stage.url}; test IO exports {len(SCENES)} times:"))

    def changed(self, acts: Sequence[Act]) -> None:
        """Print what has ended, in the order in which it was sent."""
        for number, act in enumerate(acts):
            if not act.done:
                return
            if number not in self._told:
                self._told.add(number)
                sign = "ok  " if act.as_expected else "NOT "
                self.out.print(
                    Text(f"{sign}{act.scene.title}: {answer(act).plain}: {became(act).plain}"), soft_wrap=True
                )

    def ended(self, stage: Stage, acts: Sequence[Act]) -> None:
        """Say where everything is."""
        for line in where(stage, self._folder, acts, stay=self._stay):
            self.out.print(line, soft_wrap=True)

    def visited(self, export: Mapping[str, Any]) -> None:
        """Say what became of an export that somebody else sent."""
        line = Text(f"{datetime.now().astimezone():%H:%M:%S} ", "dim")
        line.append(
            f"bug {export['bug_id']}: {export['title']} " if export["bug_id"] is not None else "an export "
        )
        for delivery in export["deliveries"]:
            line.append("→ ").append_text(outcome(delivery))
        self.out.print(line if export["deliveries"] else line.append(export["state"]), soft_wrap=True)


class Screen(Lines):
    """Shows it live, on a terminal."""

    def __init__(self, out: Console, folder: Path, *, stay: bool) -> None:
        super().__init__(out, folder, stay=stay)
        self._live = Live(console=out, refresh_per_second=12)

    def opened(self, stage: Stage) -> None:
        """Begin to show."""
        self.out.print()
        self.out.print(Text.assemble(("tracker-bridge ", "bold"), "serves at ", (stage.url, "cyan")))
        self.out.print()
        self._live.start()

    def changed(self, acts: Sequence[Act]) -> None:
        """Show how it stands."""
        self._live.update(board(acts))

    def ended(self, stage: Stage, acts: Sequence[Act]) -> None:
        """Say where everything is."""
        self._live.update(board(acts), refresh=True)
        self._live.stop()
        self.out.print()
        super().ended(stage, acts)


def board(acts: Sequence[Act]) -> Table:
    """Return the table of what was played."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    grid.add_column("", width=1)
    grid.add_column("test IO exports", width=38)
    grid.add_column("answer", width=13)
    grid.add_column("what becomes of it", min_width=30)
    for act in acts:
        grid.add_row(_sign(act), act.scene.title, answer(act), became(act))
    return grid


def _sign(act: Act) -> RenderableType:
    if not act.done:
        return Spinner("dots", style="cyan")
    return Text("✓", "green") if act.as_expected else Text("✗", "bold red")


def answer(act: Act) -> Text:
    """Return what the daemon answered to the sender."""
    if act.status is None:
        return Text("…", "dim")
    if act.status != 202:
        return Text(f"{act.status} ", "bold").append("rejected" if act.status == 422 else "refused", "yellow")
    word, colour = ("duplicate", "cyan") if act.was_known else (act.answer["state"], "green")
    return Text("202 ", "bold").append(word, "yellow" if word == "ignored" else colour)


def became(act: Act) -> Text:
    """Return in a line what became of an export."""
    if act.status is None or act.scene.stranger:
        return Text("" if act.status is None else "not taken in")
    if act.status != 202:
        named = [problem["path"] for problem in act.answer.get("problems", ())]
        return Text(f"kept, with each wrong field named: {' '.join(named)}")
    if not act.export:
        return Text("on its way", "dim")
    deliveries: Sequence[Mapping[str, Any]] = act.export["deliveries"]
    if act.was_known and all(delivery["state"] == "delivered" for delivery in deliveries):
        return Text(f"nothing new: it is export {short(act.export['id'])}")
    results = Text(", ").join(_result(delivery) for delivery in deliveries)
    return results or Text("kept, and sent nowhere")


def _result(delivery: Mapping[str, Any]) -> Text:
    if delivery["state"] != "delivered":
        return outcome(delivery)
    verbs = {"created": "issue ", "found": "issue ", "commented": "comment on ", "updated": "changes to "}
    text = Text(verbs.get(delivery["action"], f"{delivery['action']} ")).append(delivery["issue"]["key"], "bold")
    files = [step["state"] for step in delivery["followups"] if step["kind"] == "attach"]
    there = files.count("delivered")
    if files:
        text.append(f" and {many(there, 'file')}" + (f" of {len(files)}" if there < len(files) else ""))
    return text


def where(stage: Stage, folder: Path, acts: Sequence[Act], *, stay: bool) -> list[Text]:
    """Return where everything is, and what to try."""
    keys = {one["issue"]["key"] for act in acts for one in act.export.get("deliveries", ()) if one["issue"]}
    facts: dict[str, str] = {
        "issues": f"{_near(stage.issues)}  ({many(len(keys), 'issue')}, each a folder with its files)",
        "the first": str(_near(stage.issues / "testio-bug-12345" / "issue.md")),
        "log": str(folder / "bridge.log"),
    }
    if stay:
        look = f"cd {shlex.quote(str(folder))} && {command_in(folder)} exports"
        facts["look"] = f"{look}   (or status, show ID, preview)"
        facts["export"] = f"{stage.sandbox_url}   (more bugs, each with a button)"
        facts["try"] = _CURL.format(url=stage.export_url)
    if stay and not stage.url.endswith(":8080"):
        del facts["look"]  # the command line looks for the default's port
    rows = [_fact(name, value) for name, value in facts.items()]
    again = [
        Text("\nEverything was known from an earlier demo in this folder; remove it to begin anew.", "yellow")
    ]
    ready = [Text("\nServing until Ctrl-C.", "bold")]
    played_before = acts[0].was_known if acts else False
    return rows + (again if played_before else []) + (ready if stay else [])


def command_in(folder: Path) -> str:
    """Return how this program is called from a folder: by its name, or by its path where no shell finds it."""
    program = Path(sys.executable).with_name("tracker-bridge")
    if shutil.which("tracker-bridge") or not program.exists():
        return "tracker-bridge"
    return shlex.quote(os.path.relpath(program, folder))


def _fact(name: str, value: str) -> Text:
    first, *rest = value.splitlines()
    text = Text(f"{name:<11}", "dim").append(first, "not dim")
    for line in rest:  # no indent: the lines are to be copied
        text.append(f"\n{line}", "not dim")
    return text


def _near(path: Path) -> Path:
    """Return a path as seen from here, where it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
