"""The documented export as each tracker type would send it, for people to read: golden/TYPE.txt.

`make golden` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
from pathlib import Path

from bridge.model import Json
from bridge.testing.conformance import TrackerConformance
from bridge.testing.samples import sample_draft
from tests.trackers.installed import conformance

FOLDER = Path(__file__).parent / "golden"
ADDRESS = "http://127.0.0.1:9"
PLACE = "/issues"
"""The folder of a tracker that talks to no server."""


def preview(name: str) -> str:
    """Return title, body and request of the documented export for a tracker type."""
    suite = conformance()[name]
    tracker = suite().make(ADDRESS if issubclass(suite, TrackerConformance) else PLACE)
    draft = sample_draft(tracker)
    content = draft.body.content
    body = content if isinstance(content, str) else _told(content)
    request = _told(_pointing(tracker.preview(draft), content))
    files = "\n".join(f"- {each.url}" for each in draft.attachments) or "-"
    parts = {"title": draft.title, "body": body, "files": files, "request": request}
    return "".join(f"== {part} ==\n{text.rstrip()}\n\n" for part, text in parts.items()).rstrip() + "\n"


def path_of(name: str) -> Path:
    """Return where the preview of a type is kept."""
    return FOLDER / f"{name}.txt"


def _told(value: Json) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _pointing(value: Json, body: Json) -> Json:
    """Return a request in which the body, told above, is only pointed to."""
    if value == body:
        return "(the body above)"
    if isinstance(value, dict):
        return {key: _pointing(each, body) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_pointing(each, body) for each in value]
    return value


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in conformance():
        path_of(each).write_text(preview(each), "utf-8")
