"""What the doctor looks at in ClickUp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins._clickup_fields import item, moment
from bridge_plugins.clickup import DATES, NATIVE, PRIORITIES, priority_of

if TYPE_CHECKING:
    from bridge_plugins.clickup import ClickUp

FIX = "make a token at ClickUp > avatar > Settings > ClickUp API, as a user who may create tasks in the list"
TOO_LITTLE = frozenset({"read", "comment", "edit"})
"""Levels of permission with which nobody can make a task."""


async def findings(tracker: ClickUp) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.names.forget()
    try:
        user = (await tracker.call("GET", "/user"))["user"]
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), FIX)
        return
    yield doctor.ok("credentials", f"signed in as {user['username']}")
    try:
        data = await tracker.names.list_itself()
    except (NotAllowed, Rejected) as refusal:
        fix = (
            await _lists_of_that_name(tracker)
            or 'write its address (the list\'s "..." > Copy link), or invite the user'
        )
        yield doctor.error("list", str(refusal), fix)
        return
    for finding in _list(tracker, data):
        yield finding
    try:
        for finding in [*await _values(tracker), *await _fields(tracker)]:
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("workspace", str(refusal), "correct `workspace`, or give the token's user the right")


async def _lists_of_that_name(tracker: ClickUp) -> str:
    """Return which lists `list` can mean, where it names several."""
    try:
        known = await tracker.names.lists.all()
    except (NotAllowed, Rejected):
        return ""
    name = tracker.settings.list.casefold()
    same = [path for path in known if path.casefold().endswith(f"/{name}")]
    return f"several have this name: write one of {', '.join(same)}" if len(same) > 1 else ""


def _list(tracker: ClickUp, data: Mapping[str, Json]) -> Iterator[Finding]:
    """Yield whether the list takes tasks of the token's user, in the configured statuses."""
    if data.get("archived"):
        yield doctor.error("list", f"{data['name']} is archived", "restore it, or name another list")
    elif data.get("permission_level") in TOO_LITTLE:
        told = f"the token's user may only {data['permission_level']} in {data['name']}"
        yield doctor.error("list", told, "share the list with them with full permission")
    else:
        yield doctor.ok("list", f"{data['name']} takes tasks")
    statuses = [each["status"] for each in data.get("statuses") or ()]
    configured = [
        ("status", tracker.settings.status),
        ("fields.status", str(tracker.settings.fields.get("status", ""))),
    ]
    for subject, value in doctor.fixed(configured):
        if value.casefold() in {each.casefold() for each in statuses}:
            yield doctor.ok(subject, f'"{value}" is a status of the list')
        else:
            fix = doctor.one_of(value, statuses)
            yield doctor.error(subject, f'the list has no status "{value}": ClickUp will refuse the task', fix)


async def _values(tracker: ClickUp) -> list[Finding]:
    settings, names = tracker.settings, tracker.names
    found = list(doctor.labels_compared(doctor.labels_of(tracker), await names.tags.all(), "the bridge"))
    if people := doctor.assignees_of(tracker):
        told = "is no member of the list: they will be left out"
        found += doctor.compared(people, _with_ids(await names.people.all()), told, "invite them to the list")
    if types := doctor.issue_types_of(tracker):
        told = "is no task type of the workspace: it will be left out"
        found += doctor.compared(types, _with_ids(await names.types.all()), told, "add it: Settings > Task Types")
    for level, word in {**tracker.default_priorities, **settings.priorities}.items():
        if word and "{" not in word and priority_of(word) is None:
            fix = doctor.one_of(word, PRIORITIES)
            found.append(doctor.warning(f"priorities.{level}", f'"{word}" is no priority: it is left out', fix))
    return found


async def _fields(tracker: ClickUp) -> list[Finding]:
    """Hold the configured fields, and what they are to be set to, against those of the list."""
    settings, names = tracker.settings, tracker.names
    found = [_taken(f"fields.{name}", moment, settings.fields[name]) for name in DATES if name in settings.fields]
    configured = [(f"fields.{name}", name, value) for name, value in settings.fields.items() if name not in NATIVE]
    if settings.severity_field:
        words = [
            (f"severities.{word}", settings.severity_field, value) for word, value in settings.severities.items()
        ]
        configured += words or [("severity_field", settings.severity_field, "{{ bug.severity }}")]
    else:
        found += doctor.unused(tracker, ("severities",), 'name the custom field: severity_field = "..."')
    if settings.marker_field:
        await names.workspace_id()
        configured.append(("marker_field", settings.marker_field, "testio-bug"))
    for subject, name, value in configured:
        id_ = await names.fields.find(name)
        if id_ is None:
            fix = doctor.did_you_mean(name, await names.fields.all()) or "add it to the list: + > New field"
            found.append(doctor.warning(subject, f'the list has no custom field "{name}": it is left out', fix))
        else:
            found.append(_taken(subject, partial(item, names.custom[id_]), value))
    return found


def _taken(subject: str, form: Callable[[Json], Json], value: Json) -> Finding:
    """Return whether a field takes a value, which `form` finds out."""
    if isinstance(value, str) and not doctor.fixed([(subject, value)]):
        return doctor.ok(subject, "is another for each bug")
    try:
        form(value)
    except ValueError as problem:
        return doctor.warning(subject, f"{problem}: it is left out", "correct it, or add the option in ClickUp")
    return doctor.ok(subject, f'"{value}" can be set')


def _with_ids(known: Mapping[str, str]) -> list[str]:
    return [*known.keys(), *known.values()]
