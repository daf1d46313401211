"""Sample bugs: the documented one, the least one, a hostile one, one above every limit."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bridge.model import Attachment, Body, Bug, Device, Draft, Export, Kind, Level, Marker, Reporter
from bridge.tracker import Tracker, TrackerSettings

if TYPE_CHECKING:
    from bridge.mapping import Mapper

SINCE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""The moment of the first attempt in samples; where `FakeClock` starts."""

HOSTILE_TITLE = (
    "**bold** `code` <script>alert(1)</script> @all fixes #1 {color:red}x{color} | a | b | "
    "[x](javascript:alert(1)) \\ \"quoted\" 'quoted' 🐞"
)
"""Markup of every tracker, mentions, commands: to arrive as it is and do nothing."""

HOSTILE_TEXT = (
    "Line one\nLine two *literal* __init__ 3 < 4 && 5 > 4\n\n```python\nprint('hi')\n```\n"
    "<img src=x onerror=alert(1)>\n"
    "@everyone see https://example.com/a_b_c?x=1&y=2 and C:\\Users\\QA\\file_name.txt\n"
    "{code}rm -rf{code} %{title} {{ bug.title }} {% for %} ]]> --> \u202eright to left\u202c"
)

HOSTILE_STEPS = (
    "# not a heading",
    "- not a list",
    "1) numbered\n   continued",
    "> quote | pipe",
    "/close",
    "A" * 500,
)


def sample_bug(**changes: Any) -> Bug:
    """Return test IO's documented bug, with `changes`."""
    documented: dict[str, Any] = {
        "id": 12345,
        "title": "Checkout total is incorrect",
        "link": "https://app.test.io/bugs/12345",
        "description": "Observed wrong total after applying promo code.",
        "steps": ("Add item to cart", "Apply PROMO20", "Proceed to checkout"),
        "expected_result": "20% discount applied to subtotal",
        "actual_result": "10% discount applied",
        "severity": "high",
        "level": Level.HIGH,
        "kind": Kind.FUNCTIONAL,
        "priority": "p2",
        "status": "accepted",
        "attachments": (
            Attachment(url="https://files.test.io/attachments/abc.png", type="image/png"),
            Attachment(url="https://files.test.io/attachments/repro.mp4", type="video/mp4"),
        ),
        "device": Device(device_type="mobile", os="ios", os_version="17.2", browser="safari"),
        "reporter": Reporter(id=999, name="QA Tester"),
        "test_cycle_id": 7777,
        "product_id": 1,
    }
    return Bug(**(documented | changes))


def bugs() -> dict[str, Bug]:
    """Return sample bugs by name: `documented`, `minimal`, `visual`, `hostile`, `large`."""
    return {
        "documented": sample_bug(),
        "minimal": Bug(
            id=2,
            title="Crash on start",
            link="https://app.test.io/bugs/2",
            severity="critical",
            level=Level.CRITICAL,
            kind=Kind.FUNCTIONAL,
        ),
        "visual": sample_bug(
            id=12346, severity="visual", level=Level.LOW, kind=Kind.VISUAL, priority="", attachments=()
        ),
        "hostile": hostile_bug(),
        "large": large_bug(),
    }


def hostile_bug() -> Bug:
    """Return a bug whose every text tries to be something else."""
    return sample_bug(
        id=12347,
        link="https://app.test.io/bugs/12347",
        title=HOSTILE_TITLE,
        description=HOSTILE_TEXT,
        steps=HOSTILE_STEPS,
        device=Device(device_type="<b>mobile</b>", os="i*o*s", os_version="17|2", browser="@safari"),
    )


def large_bug() -> Bug:
    """Return a bug that is above every tracker's limits."""
    return sample_bug(
        id=12348,
        link="https://app.test.io/bugs/12348",
        title="Very long title with 🐞 " * 200,
        description="\n\n".join(f"Paragraph {number}: " + "words and 🐞 more " * 40 for number in range(600)),
        steps=tuple(f"Step {number} " + "x" * 200 for number in range(200)),
        attachments=tuple(
            Attachment(url=f"https://files.test.io/attachments/{number}.png", type="image/png")
            for number in range(40)
        ),
    )


def sample_marker(bug: Bug, tracker: str = "", suffix: str = "") -> Marker:
    """Return the marker that the bridge would use for `bug`, first tried at `SINCE`."""
    return Marker.of(bug.id, SINCE, tracker=tracker, suffix=suffix)


def sample_export(bug: Bug | None = None) -> Export:
    """Return the export of `bug` (the documented one), received at `SINCE`."""
    return Export(
        id="01k9z3v8aaaaaaaaaaaaaaaaaa",
        connection="web-shop",
        event="bug.exported",
        received_at=SINCE,
        exported_at=SINCE,
        bug=bug or sample_bug(),
    )


def sample_draft(
    tracker: Tracker[Any], bug: Bug | None = None, *, marker: Marker | None = None, **changes: Any
) -> Draft:
    """Return `bug` (the documented one) mapped for `tracker` as the bridge does it, with `changes`."""
    export = sample_export(bug)
    return _mapper(tracker).draft(export, marker or sample_marker(export.bug, tracker.name)).with_(**changes)


def sample_comment(tracker: Tracker[Any], text: str = "Still there in *today's* build.") -> Body:
    """Return what a tester wrote as a comment in the tracker's markup."""
    from bridge.mapping import quote  # noqa: PLC0415 - templates and renderers only where they are wanted

    return _mapper(tracker).comment(quote(text))


def _mapper(tracker: Tracker[Any]) -> Mapper:
    return _compiled(_Same(tracker))


class _Same:
    """A tracker, equal to others for which the mapping is the same: hundreds of tests compile it once."""

    def __init__(self, tracker: Tracker[Any]) -> None:
        self.tracker = tracker
        common = tracker.settings.model_dump_json(include=set(TrackerSettings.model_fields))
        self.key = (type(tracker), tracker.markup, common)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=32)
def _compiled(same: _Same) -> Mapper:
    from bridge.mapping import Mapper  # noqa: PLC0415 - as above

    return Mapper(same.tracker)
