"""What the doctor looks at in Trello.

https://developer.atlassian.com/cloud/trello/guides/rest-api/object-definitions/#board-object (memberships)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins.trello import NATIVE, item

if TYPE_CHECKING:
    from bridge_plugins.trello import Trello

FIX = "make a token for this key with the scope read,write, as a member of the board"


async def findings(tracker: Trello) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.forget()
    try:
        member = await tracker.call("GET", "/members/me", params={"fields": "username"})
        yield doctor.ok("credentials", f"signed in as {member['username']}")
        board = await tracker.boards.find(tracker.settings.board)
        if board is None:
            yield await _no_board(tracker)
            return
        async for finding in _board(tracker, board):
            yield finding
        async for finding in _values(tracker):
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), FIX)


async def _no_board(tracker: Trello) -> Finding:
    name = tracker.settings.board
    near = doctor.did_you_mean(name, await tracker.boards.all())
    told = f'"{name}" is no open board that the token\'s member is on'
    return doctor.error("board", told, near or "correct `board`, or invite the member to it")


async def _board(tracker: Trello, board: str) -> AsyncIterator[Finding]:
    """Yield whether the board, and whether its name names only one, and whether the member may write."""
    name = tracker.settings.board
    boards = await tracker.listing("/members/me/boards", filter="open", fields="name,shortUrl")
    same = [each["shortUrl"] for each in boards if each["name"].casefold() == name.casefold()]
    query = {"fields": "name", "memberships": "me"}
    data = await tracker.call("GET", f"/boards/{board}", params=query)
    mine = [each.get("memberType") for each in data.get("memberships") or ()]
    if len(same) > 1:
        told = f'{len(same)} boards are called "{name}": {", ".join(same)}'
        yield doctor.warning("board", told, f'write the address of the one you mean: board = "{same[0]}"')
    if "observer" in mine:
        yield doctor.error("board", f"the token's member only observes {data['name']}", "make it a normal member")
    else:
        yield doctor.ok("board", f"{data['name']} takes cards")


async def _values(tracker: Trello) -> AsyncIterator[Finding]:
    settings = tracker.settings
    lists = await tracker.lists.all()
    for subject, value in doctor.fixed([("list", settings.list), ("parent", settings.parent)]):
        if await tracker.lists.find(value):
            yield doctor.ok(subject, f'"{value}" is an open list')
        else:
            fix = doctor.one_of(value, lists)
            yield doctor.error(
                subject, f'there is no open list "{value}": cards on archived ones are not seen', fix
            )
    labels = await tracker.labels.all()
    for finding in doctor.labels_compared(doctor.labels_of(tracker), labels, "the bridge"):
        yield finding
    assignees = doctor.assignees_of(tracker)
    if assignees:
        told = "is no member of the board: it will be left out"
        known = await tracker.members.all()
        for finding in doctor.compared(assignees, known, told, "invite them to the board"):
            yield finding
    for finding in _custom(tracker, await tracker.custom()):
        yield finding
    hint = 'use labels: kind_labels = { visual = "design" }'
    for finding in doctor.unused(tracker, ("issue_type", "issue_types"), hint):
        yield finding


def _custom(tracker: Trello, known: dict[str, dict[str, Json]]) -> Iterator[Finding]:
    """Yield whether each configured custom field exists, and takes what it is to be set to."""
    settings = tracker.settings
    for table in ("priorities", "severities"):
        name, values = getattr(settings, _FIELD[table]), getattr(settings, table)
        if name:
            yield from _field(
                _FIELD[table], name, {f"{table}.{word}": value for word, value in values.items()}, known
            )
        else:
            yield from doctor.unused(tracker, (table,), f'name the custom field: {_FIELD[table]} = "..."')
    for name, value in settings.fields.items():
        if name not in NATIVE:
            yield from _field(f"fields.{name}", name, {f"fields.{name}": str(value)}, known)


def _field(
    setting: str, name: str, values: dict[str, str], known: dict[str, dict[str, Json]]
) -> Iterator[Finding]:
    field = known.get(name.casefold())
    if field is None:
        names = [each["name"] for each in known.values()]
        fix = doctor.did_you_mean(name, names) or "make it: Power-Ups > Custom Fields (Standard plan and up)"
        yield doctor.warning(setting, f'the board has no custom field "{name}"', fix)
        return
    for subject, value in doctor.fixed(list(values.items())):
        try:
            item(field, value)
        except ValueError as problem:
            yield doctor.warning(
                subject, f"{name}: {problem}: it will not be set", "correct it, or add the option"
            )
        else:
            yield doctor.ok(subject, f'"{value}" can be set in {name}')


_FIELD = {"priorities": "priority_field", "severities": "severity_field"}
"""Which setting names the custom field that a table fills."""
