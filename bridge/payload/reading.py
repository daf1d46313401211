"""A body to the model: whole, liberally, and every problem noted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.errors import BridgeError, Problem
from bridge.model import Attachment, Bug, Device, Export, Json, Kind, Level, Reporter
from bridge.payload.body import parse

BUG_EXPORTED = "bug.exported"
"""The only event test IO documents."""

NO_TITLE = "(no title)"
LARGEST_ID = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NUMBERED = re.compile(r"\s*\d{1,3}[.)]\s+")
_SEVERITIES = {
    "critical": (Level.CRITICAL, Kind.FUNCTIONAL),
    "high": (Level.HIGH, Kind.FUNCTIONAL),
    "low": (Level.LOW, Kind.FUNCTIONAL),
    "visual": (Level.LOW, Kind.VISUAL),
    "content": (Level.LOW, Kind.CONTENT),
    "suggestion": (Level.LOW, Kind.SUGGESTION),
    "usability": (Level.LOW, Kind.SUGGESTION),
    "spelling": (Level.LOW, Kind.SPELLING),
    "test_case": (Level.LOW, Kind.TEST_CASE),
    "custom": (Level.LOW, Kind.CUSTOM),
}
DEVICE = ("device_type", "os", "os_version", "browser")
_KNOWN = frozenset({
    "id", "title", "link", "description", "steps_to_reproduce", "expected_result", "actual_result", "severity",
    "priority", "status", "attachments", "device", "reporter", "test_cycle_id", "product_id",
})  # fmt: skip

OTHER_FORM = ("environment", "tester", "test_cycle")
"""Parts of a bug in the other form of the guide."""


class PayloadError(BridgeError):
    """The body is JSON, but no export that can be used. Carries every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))


@dataclass
class _Reader:
    """Reads loosely typed values and notes what cannot be understood."""

    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def text(self, parent: Mapping[str, Json], name: str, path: str) -> str:
        value = parent.get(name)
        if isinstance(value, str):
            return (value if value.isprintable() else clean(value)).strip()
        if value is None:
            return ""
        if isinstance(value, dict | list):
            self.wrong(f"{path}/{name}", "must be a text")
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def number(self, parent: Mapping[str, Json], name: str, path: str, *, required: bool = False) -> int | None:
        value = parent.get(name)
        if value is None and not required:
            return None
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,19}\s*", value, re.ASCII):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID:
            return value
        if value is None or value == "":
            if required:
                self.wrong(f"{path}/{name}", "is required")
            return None
        self.wrong(f"{path}/{name}", "must be a whole number")
        return None

    def moment(self, parent: Mapping[str, Json], name: str) -> datetime | None:
        value = parent.get(name)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return datetime.fromtimestamp(value, UTC)
            return moment_of(value)
        except (ValueError, AttributeError, OverflowError, OSError):
            self.wrong(f"/{name}", "must be a moment in ISO 8601, like 2025-11-07T10:15:00Z")
            return None

    def part(self, parent: Mapping[str, Json], name: str, path: str, *, bare: str) -> Mapping[str, Json]:
        """Return an object; a bare text is taken as its member `bare`."""
        value = parent.get(name)
        if value is None or value == "":
            return {}
        if isinstance(value, str):
            return {bare: value}
        if isinstance(value, dict):
            return value
        self.wrong(f"{path}/{name}", "must be an object")
        return {}

    def steps(self, parent: Mapping[str, Json]) -> tuple[str, ...]:
        value, path = parent.get("steps_to_reproduce"), "/bug/steps_to_reproduce"
        if value is None:
            return ()
        if isinstance(value, str):
            return _steps_of(clean(value))
        if not isinstance(value, list):
            self.wrong(path, "must be a list of texts, or one text")
            return ()
        texts = []
        for index, step in enumerate(value):
            if isinstance(step, dict | list):
                self.wrong(f"{path}/{index}", "must be a text")
            elif step is not None:
                texts.append(clean(str(step)).strip("\n").rstrip())
        return tuple([text for text in texts if text and not text.isspace()])

    def attachments(self, parent: Mapping[str, Json]) -> tuple[Attachment, ...]:
        value, path = parent.get("attachments"), "/bug/attachments"
        if value is None or value == "":
            return ()
        if not isinstance(value, list):
            self.wrong(path, "must be a list")
            return ()
        found = []
        for index, item in enumerate(value):
            entry = {"url": item} if isinstance(item, str) else item
            if not isinstance(entry, dict):
                self.wrong(f"{path}/{index}", "must be an object with a url")
                continue
            url = self.text(entry, "url", f"{path}/{index}").strip()
            if url:
                kind = self.text(entry, "type", f"{path}/{index}")
                found.append(Attachment(url=url, type=kind if "/" in kind else ""))  # "screenshot" is no MIME type
        return tuple(found)


def moment_of(text: str) -> datetime:
    """Return a moment in ISO 8601, in UTC.

    Raises:
        ValueError: It is none.
        OverflowError: It is too long ago, or too far away.
    """
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def event_of(document: Json) -> str:
    """Return the event's name.

    Raises:
        PayloadError: There is none.
    """
    if not isinstance(document, dict):
        raise PayloadError([Problem("", "must be an object")])
    event = document.get("event")
    if event == BUG_EXPORTED:
        return BUG_EXPORTED
    if event in (None, "") and isinstance(document.get("bug"), dict):
        return BUG_EXPORTED  # one form of the guide names no event, and this is the only one there is
    if not isinstance(event, str) or not event.strip():
        raise PayloadError([Problem("/event", "is required, and must be a text")])
    return clean(event).strip()


def read_export(document: Json, *, id: str, connection: str, received_at: datetime) -> Export:  # noqa: A002
    """Return the export that a `bug.exported` document is.

    Args:
        document: The body's JSON.
        id: The id we give it.
        connection: Name of the connection it came in by.
        received_at: When, in UTC.

    Raises:
        PayloadError: Something in it cannot be understood; every such place is named.
    """
    event, reader = event_of(document), _Reader()
    exported_at = reader.moment(document, "exported_at")
    bug = document.get("bug")
    if not isinstance(bug, dict):
        reader.wrong("/bug", "is required, and must be an object")
        raise PayloadError(reader.problems)
    read = _bug(_in_one_form(bug, document.get("product")), reader)
    if reader.problems or read is None:
        raise PayloadError(reader.problems)
    extra = {name: value for name, value in document.items() if name not in {"event", "exported_at", "bug"}}
    return Export(
        id=id,
        connection=connection,
        event=event,
        received_at=received_at,
        exported_at=exported_at,
        bug=read,
        extra=extra,
    )


def read_kept(export_id: str, connection: str, received_at: datetime, body: bytes) -> Export:
    """Return the export that a kept body is.

    Raises:
        NotJson: It is none.
        PayloadError: It cannot be read by this program.
    """
    return read_export(parse(body), id=export_id, connection=connection, received_at=received_at)


def identity(connection: str, bug_id: int, exported_at: datetime | None, body: bytes) -> str:
    """Return what makes two exports the same: connection, bug and `exported_at`, or else the body's hash."""
    moment = exported_at.isoformat() if exported_at else hashlib.sha256(body).hexdigest()
    return f"{connection}/{bug_id}/{moment}"


def clean(text: str) -> str:
    """Return `text` with Unix line ends, and without control characters and lone surrogates."""
    if text.isprintable():  # most are, and finding out is quick
        return text
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _in_one_form(bug: Mapping[str, Json], product: Json) -> Mapping[str, Json]:
    """Return a bug with the names that are read here.

    The guide has shown the export in another form too: `environment`, `tester` and `test_cycle` in the bug, and
    `product` beside it. They stay where they are as well, for templates.
    """
    if not isinstance(product, dict) and not any(name in bug for name in OTHER_FORM):
        return bug
    environment, tester, cycle = (bug[name] if isinstance(bug.get(name), dict) else {} for name in OTHER_FORM)
    product = product if isinstance(product, dict) else {}
    meant = {
        "device": {"device_type": environment.get("device"), **environment},
        "reporter": tester,
        "test_cycle_id": cycle.get("id"),
        "product_id": product.get("id"),
        "product": product,
    }
    return {**bug, **{name: value for name, value in meant.items() if value and not bug.get(name)}}


def _bug(bug: Mapping[str, Json], reader: _Reader) -> Bug | None:
    path = "/bug"
    bug_id = reader.number(bug, "id", path, required=True)
    if bug.get("title") is None:
        reader.wrong("/bug/title", "is required")
    severity = reader.text(bug, "severity", path).lower()
    if severity not in _SEVERITIES:
        severity = re.sub(r"[\s-]+", "_", severity)
    level, kind = _SEVERITIES.get(severity, (Level.LOW, Kind.UNKNOWN))
    device = reader.part(bug, "device", path, bare="device_type")
    reporter = reader.part(bug, "reporter", path, bare="name")
    values: dict[str, Any] = {
        "title": reader.text(bug, "title", path) or NO_TITLE,
        "severity": severity,
        "level": level,
        "kind": kind,
        "steps": reader.steps(bug),
        "attachments": reader.attachments(bug),
        "device": Device(**{name: reader.text(device, name, "/bug/device") for name in DEVICE}),
        "reporter": Reporter(
            id=reader.number(reporter, "id", "/bug/reporter"), name=reader.text(reporter, "name", "/bug/reporter")
        ),
        "test_cycle_id": reader.number(bug, "test_cycle_id", path),
        "product_id": reader.number(bug, "product_id", path),
        "extra": {name: value for name, value in bug.items() if name not in _KNOWN},
    }
    for name in ("link", "description", "expected_result", "actual_result", "priority", "status"):
        values[name] = reader.text(bug, name, path)
    return None if bug_id is None else Bug(id=bug_id, **values)


def _steps_of(text: str) -> tuple[str, ...]:
    """Split one text into steps: at its numbers where it has any, else at its lines."""
    lines = [line.rstrip() for line in text.split("\n")]
    if not any(_NUMBERED.match(line) for line in lines):
        return tuple(line.strip() for line in lines if line.strip())
    steps: list[str] = []
    for line in lines:
        if _NUMBERED.match(line) or not steps:
            steps.append(_NUMBERED.sub("", line, count=1))
        else:
            steps[-1] += f"\n{line}"
    return tuple(step.strip() for step in steps if step.strip())
