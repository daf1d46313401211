"""What the doctor looks at in monday.com."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins import _monday_api as api
from bridge_plugins._monday_board import options_of

if TYPE_CHECKING:
    from bridge_plugins.monday import Monday

TOKEN_FIX = "make a new one: avatar > Developers > My access tokens"  # noqa: S105 - where one is made
SETTABLE = ("status", "dropdown", "text", "tags", "long_text", "numbers")
KINDS = {
    "marker_column": ("text",),
    "priority_column": SETTABLE,
    "severity_column": SETTABLE,
    "type_column": SETTABLE,
    "labels_column": ("dropdown", "tags", "status", "text"),
    "assignee_column": ("people",),
    "file_column": ("file",),
}
"""Types of columns that each setting can name."""
COLUMNS = {
    "priorities": "priority_column",
    "severities": "severity_column",
    "issue_types": "type_column",
    "issue_type": "type_column",
    "labels": "labels_column",
    "kind_labels": "labels_column",
    "assignee": "assignee_column",
}
"""Which column a part of the draft goes to."""


async def findings(tracker: Monday) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.board.forget()
    settings = tracker.settings
    try:
        data = await tracker.ask(api.CHECK, ids=[settings.board] if settings.board.isdecimal() else [])
        yield doctor.ok("credentials", f"signed in as {data['me']['name']} in {data['me']['account']['slug']}")
        yield _version(data["version"])
        if not settings.board.isdecimal():
            if await tracker.board.boards.find(settings.board) is None:
                fix = await doctor.meant(tracker, "board") or "write its address, or let the token's user in"
                yield doctor.error("board", f'there is no board "{settings.board}"', fix)
                return
            data = await tracker.ask(api.CHECK, ids=[await tracker.board.id()])
        for finding in _board(tracker, data["boards"]):
            yield finding
        if data["boards"]:
            for finding in [*await _columns(tracker), *await _places(tracker)]:
                yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), TOKEN_FIX)


def _version(version: dict[str, Json]) -> Finding:
    if version["kind"] in {"current", "maintenance", "release_candidate"}:
        return doctor.ok("version", f"{version['value']} is supported ({version['kind']})")
    told = f"{version['value']} will not work for long, or not as it should ({version['kind']})"
    return doctor.warning("version", told, "set `version` to the current one, or update tracker-bridge")


def _board(tracker: Monday, boards: list[dict[str, Json]]) -> Iterator[Finding]:
    if not boards:
        told = f'there is no board "{tracker.settings.board}", or the token\'s user does not see it'
        yield doctor.error("board", told, "correct `board`, or invite the user to it")
    elif boards[0]["state"] != "active":
        yield doctor.error(
            "board", f"{boards[0]['name']} is {boards[0]['state']}", "restore it, or correct `board`"
        )
    elif boards[0]["access_level"] != "edit":
        yield doctor.error("board", f"the token's user can only view {boards[0]['name']}", "let the user edit it")
    else:
        yield doctor.ok("board", f"{boards[0]['name']} takes items")


async def _columns(tracker: Monday) -> list[Finding]:
    """Look at each configured column, and at the values that it is to be set to."""
    settings, found = tracker.settings, []
    known = await tracker.board.columns.all()
    named = [(setting, getattr(settings, setting), kinds) for setting, kinds in KINDS.items()]
    named += [(f"fields.{name}", name, ()) for name in settings.fields]
    for setting, name, kinds in named:
        column = await tracker.board.column(name) if name else None
        if column and kinds and column["type"] not in kinds:
            told = f'"{name}" is a column of type {column["type"]}'
            found.append(doctor.error(setting, told, f"name a column of type {' or '.join(kinds)}"))
        elif column:
            found += [doctor.ok(setting, f'the board has the column "{name}"'), *_labels(tracker, setting, column)]
        elif name:
            say = doctor.error if setting == "marker_column" else doctor.warning
            fix = (
                doctor.did_you_mean(name, known) or f"add a column of type {(kinds or ('text',))[0]} to the board"
            )
            found.append(say(setting, f'the board has no column "{name}"', fix))
    unset = [setting for setting, column in COLUMNS.items() if not getattr(settings, column)]
    found += doctor.unused(
        tracker, unset, "name the column: " + ", ".join({COLUMNS[setting] for setting in unset})
    )
    return found


def _labels(tracker: Monday, setting: str, column: dict[str, Json]) -> Iterator[Finding]:
    """Look at the labels that a status or dropdown column is to be set to."""
    if column["type"] not in {"status", "dropdown"}:
        return
    if tracker.settings.make_labels:
        yield from doctor.labels_compared(_values(tracker, setting), options_of(column), "monday.com")
    else:
        told = f'is no label of "{column["title"]}": it is left out'
        yield from doctor.compared(_values(tracker, setting), options_of(column), told, "add it, or correct it")


def _values(tracker: Monday, setting: str) -> doctor.Configured:
    """Return the configured values for the column that a setting names."""
    settings = tracker.settings
    if setting == "labels_column":
        return doctor.labels_of(tracker)
    if setting == "type_column":
        return doctor.issue_types_of(tracker)
    if setting.startswith("fields."):
        return doctor.fixed([(setting, str(settings.fields[setting.removeprefix("fields.")]))])
    table, defaults = {
        "priority_column": ("priorities", tracker.default_priorities),
        "severity_column": ("severities", tracker.default_severities),
    }[setting]
    words = {**defaults, **getattr(settings, table)}
    return doctor.fixed([(f"{table}.{word}", value) for word, value in words.items()])


async def _places(tracker: Monday) -> list[Finding]:
    """Look at groups and people."""
    settings, found = tracker.settings, []
    for setting, name in doctor.fixed([("group", settings.group), ("parent", settings.parent)]):
        if await tracker.board.groups.find(name):
            found.append(doctor.ok(setting, f'"{name}" is a group of the board'))
        else:
            known = await tracker.board.groups.all()
            fix = doctor.one_of(name, known)
            say = doctor.error if setting == "group" else doctor.warning
            found.append(say(setting, f'the board has no group "{name}"', fix))
    people = doctor.assignees_of(tracker) if settings.assignee_column else []
    if people:
        known = await tracker.board.people.all()
        told = "is nobody in this account: it is left out"
        found += doctor.compared(people, [*known, *known.values()], told, "correct it, or invite them")
    return found
