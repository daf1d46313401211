"""What the doctor looks at in Notion. Whether the connection may insert cannot be seen without doing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins._notion_names import Source
from bridge_plugins._notion_properties import CHOICES, Property, several

if TYPE_CHECKING:
    from bridge_plugins.notion import Notion

CONNECTION = "copy its secret from notion.so/developers/connections; it must read, insert and update content"
SHARE = "correct `database`; in Notion: the database's ... menu > Connections > add the connection"


async def findings(tracker: Notion) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.names.forget()
    try:
        me = await tracker.call("GET", "/users/me")
        workspace = (me.get("bot") or {}).get("workspace_name") or "a workspace"
        yield doctor.ok("credentials", f"connection {me.get('name') or 'without a name'} of {workspace}")
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), CONNECTION)
        return
    try:
        source = await tracker.names.source()
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("database", str(refusal), SHARE)
        return
    yield doctor.ok("database", f"{source.name or 'the database'} is shared with the connection")
    yield _marker(tracker, source)
    for finding in (*_chosen(tracker, source), *_fields(tracker, source), *_status(tracker, source)):
        yield finding
    async for finding in _people(tracker, source):
        yield finding


def _marker(tracker: Notion, source: Source) -> Finding:
    name = tracker.settings.marker_property
    kept = source.find(name)
    if kept and kept.kind == "rich_text":
        return doctor.ok("marker_property", f"{kept.name} keeps the marker")
    told = f"{name} is no text property" if kept else f'the database has no property "{name}"'
    near = "" if kept else doctor.did_you_mean(name, source.properties)
    slow = f"{told}: after a lost answer all new pages are read to find the one that was made"
    return doctor.warning("marker_property", slow, near or f'add a text property "{name or "test IO ID"}"')


def _chosen(tracker: Notion, source: Source) -> Iterator[Finding]:
    """Yield whether what labels, priorities, severities and types become exists."""
    settings = tracker.settings
    priorities = {**tracker.default_priorities, **settings.priorities}
    severities = {**tracker.default_severities, **settings.severities}
    wanted: dict[str, doctor.Configured] = {
        "priority_property": [(f"priorities.{word}", value) for word, value in priorities.items()],
        "severity_property": [(f"severities.{word}", value) for word, value in severities.items()],
        "type_property": doctor.issue_types_of(tracker),
        "labels_property": doctor.labels_of(tracker),
    }
    for setting, configured in wanted.items():
        name, values = getattr(settings, setting), doctor.fixed(configured)
        if not name or not values:
            continue
        prop = source.find(name)
        if prop is None:
            yield _missing(setting, name, source)
            continue
        for subject, value in values:
            yield _value(subject, value, prop)


def _missing(setting: str, name: str, source: Source) -> Finding:
    fix = doctor.did_you_mean(name, source.properties)
    told = f'the database has no property "{name}": it is left out'
    return doctor.warning(setting, told, fix or f'add it, or set {setting} = ""')


def _value(subject: str, value: Json, prop: Property) -> Finding:
    """Return whether a property can have a value, and whether an option for it exists."""
    try:
        prop.value(value)
    except ValueError as problem:
        near = doctor.did_you_mean(str(value), prop.options)
        return doctor.warning(subject, f"{prop.name}: {problem}: it is left out", near or "correct it")
    new = [each for each in several(value) if prop.option(each) not in prop.options]
    if prop.kind not in CHOICES or not new:
        return doctor.ok(subject, f'"{value}" can be set in {prop.name}')
    told, near = f'{prop.name} has no option "{new[0]}"', doctor.did_you_mean(new[0], prop.options)
    if near:
        return doctor.warning(subject, f"{told}: Notion makes it at its first use", near)
    return doctor.ok(subject, f"{told} yet: Notion makes it at its first use")


def _fields(tracker: Notion, source: Source) -> Iterator[Finding]:
    for name, value in tracker.settings.fields.items():
        prop = source.find(name)
        if prop is None:
            yield _missing(f"fields.{name}", name, source)
        elif prop.kind != "people" and doctor.fixed([("", str(value))]):
            yield _value(f"fields.{name}", value, prop)


def _status(tracker: Notion, source: Source) -> Iterator[Finding]:
    """Yield whether it can be seen that people are done with a page."""
    name, done = tracker.settings.status_property, tracker.settings.done
    prop = source.find(name) if name else source.of_kind("status")
    if prop is None:
        told = f'the database has no property "{name}"' if name else "the database has no status"
        fix = doctor.did_you_mean(name, source.properties) or "name a select or a checkbox in `status_property`"
        yield doctor.warning("status_property", f"{told}: pages count as open", fix)
    elif prop.kind in CHOICES:
        told = f"is no option of {prop.name}"
        yield from doctor.compared([("done", each) for each in done], prop.options, told, "correct it")
        if not done and not prop.final:
            fix = f"name them: done = [...], of {', '.join(prop.options)}"
            yield doctor.warning("done", f"Notion does not say which options of {prop.name} mean finished", fix)
    elif prop.kind != "checkbox":
        told = f"{prop.name} is no status, select or checkbox: pages count as open"
        yield doctor.warning("status_property", told, "name another property")


async def _people(tracker: Notion, source: Source) -> AsyncIterator[Finding]:
    """Yield whether who pages are assigned to is known."""
    people, name = doctor.assignees_of(tracker), tracker.settings.assignee_property
    prop = source.find(name)
    if people and prop is None:
        yield _missing("assignee_property", name, source)
    if prop is None:
        return
    for subject, name in people:
        if prop.kind != "people":
            yield _value(subject, name, prop)
            continue
        try:
            await tracker.names.ids([name])
            yield doctor.ok("assignee", f'"{name}" is a member of the workspace')
        except (ValueError, Rejected) as problem:
            yield doctor.warning("assignee", f"{problem}: it is left out", "correct `assignee`")
