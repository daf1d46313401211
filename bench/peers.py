"""What a user would pick instead, measured alike: Node-RED, where npm can install it.

Its flow is what its documentation shows: `http in` answers 202 at once and makes the issue with `http request`.
https://nodered.org/docs/
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.accepting import while_busy
from bench.delivering import count, quiet
from bench.killing import ROUNDS, STILL, killed
from bench.load import hammer, payloads
from bench.processes import Running, first_accepted, instant_tracker, process
from bench.rows import Row

PACKAGE = "node-red@4"
INSTALLED = Path(__file__).parent.parent / ".venv" / "peers"
_ISSUE = """
const bug = msg.payload.bug;
return {
    headers: {"content-type": "application/json"},
    payload: {title: bug.title, body: bug.description, marker: "testio-bug-" + bug.id},
};
"""


def node_red(folder: Path) -> list[Row]:
    """Let Node-RED do the same: what it takes in, how fast issues are made, what it needs, what a kill costs."""
    program = _installed()
    if program is None:
        return [Row("Node-RED", "not here: npm cannot install it")]
    with instant_tracker(folder) as url, _running(program, folder / "start", url) as running:
        started = first_accepted(running.export_url, next(payloads(1)), running.began)
        time.sleep(5)
        memory = running.memory()
        took = asyncio.run(quiet(running.export_url, url))
        busy = asyncio.run(while_busy(running))
    with instant_tracker(folder) as url, _running(program, folder / "burst", url) as running:
        burst, missing = asyncio.run(_burst(running, url))
    with instant_tracker(folder) as url:
        accepted, lost, doubled = killed(lambda: _running(program, folder / "killed", url), url)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    return [
        Row("Node-RED: accept while delivering, 64 connections", f"{busy.per_second:,.0f}/s"),
        Row("Node-RED: export → issue when quiet, p50 / p99", f"{p50:.1f} / {p99:.1f} ms"),
        Row("Node-RED: burst into an instant tracker", f"{burst:,.0f} issues/s, {missing} never made"),
        Row("Node-RED: idle memory", f"{memory:.0f} MiB"),
        Row("Node-RED: start to first 202", f"{started:.2f} s"),
        Row(
            f"Node-RED: kill -9 in a burst, {ROUNDS} rounds: lost / doubled", f"{lost} / {doubled} of {accepted:,}"
        ),
    ]


async def _burst(running: Running, tracker_url: str) -> tuple[float, int]:
    """Return issues per second, and how many exports of the burst never became one."""
    began = time.perf_counter()
    posted = (await hammer(running.export_url, 16, 2.0, payloads(1))).requests
    made, changed_at = 0, began
    while made < posted and time.perf_counter() - changed_at < STILL:
        now = count(tracker_url)
        made, changed_at = now, changed_at if now == made else time.perf_counter()
        await asyncio.sleep(0.05)
    return made / (changed_at - began), posted - made


def _installed() -> Path | None:
    """Return Node-RED's program, installed into `.venv` at first; None where that cannot be done."""
    npm, program = shutil.which("npm"), INSTALLED / "node_modules" / "node-red" / "red.js"
    if npm is None or program.exists():
        return program if program.exists() else None
    INSTALLED.mkdir(parents=True, exist_ok=True)
    arguments = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(INSTALLED), PACKAGE]
    done = subprocess.run(arguments, capture_output=True, check=False)
    return program if done.returncode == 0 and program.exists() else None


class NodeRed(Running):
    """A running Node-RED.

    Attributes:
        began: When it was started, by the performance counter.
    """

    began = 0.0


@contextmanager
def _running(program: Path, folder: Path, tracker_url: str) -> Iterator[NodeRed]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flows.json").write_text(json.dumps(_flow(f"{tracker_url}/issues")))
    (folder / "settings.js").write_text(
        "module.exports = {flowFile: 'flows.json', uiHost: '127.0.0.1', httpAdminRoot: false,"
        " logging: {console: {level: 'info', metrics: false, audit: false}}};\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    node = shutil.which("node") or "node"
    arguments = [node, str(program), "--userDir", str(folder), "--port", port, "-s", str(folder / "settings.js")]
    began = time.perf_counter()
    with process(arguments, folder / "node-red.log", env={**os.environ, "NODE_ENV": "production"}) as (
        started,
        url,
    ):
        running = NodeRed(started, url)
        running.began = began
        yield running


def _flow(issues_url: str) -> list[dict[str, Any]]:
    def node(name: str, kind: str, *to: str, **settings: Any) -> dict[str, Any]:
        return {"id": name, "type": kind, "z": "bridge", "wires": [list(to)] if to else [[]], **settings}

    return [
        {"id": "bridge", "type": "tab", "label": "bridge"},
        node("in", "http in", "answer", "issue", url="/export/:connection/:secret", method="post"),
        node("answer", "http response", statusCode="202"),
        node("issue", "function", "call", func=_ISSUE, outputs=1),
        node("call", "http request", method="POST", ret="obj", url=issues_url),
    ]
