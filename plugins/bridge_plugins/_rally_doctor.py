"""What the doctor looks at in Rally."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, Names, NotAllowed, Rejected, doctor, inside

if TYPE_CHECKING:
    from bridge_plugins.rally import Rally

KEY_FIX = "make a new one with full access: https://rally1.rallydev.com/login > API Keys"
TABLES = {"Severity": "severities", "Priority": "priorities"}


async def findings(tracker: Rally) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.names.forget()
    settings = tracker.settings
    try:
        user = inside(await tracker.call("GET", "/user", params={"fetch": "UserName"}), "User")
        yield doctor.ok("credentials", f"signed in as {user.get('UserName')}")
        for subject, names in (("workspace", tracker.names.workspaces), ("project", tracker.names.projects)):
            if (problem := await _place(subject, getattr(settings, subject), names)) is not None:
                yield problem
                return
        for finding in [await _project(tracker), *await _fields(tracker), *await _values(tracker)]:
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), KEY_FIX)


async def _place(subject: str, name: str, names: Names) -> Finding | None:
    """Return what is wrong with the name of a workspace or project; an id shows later whether it is right."""
    if not name or name.isdecimal() or await names.find(name):
        return None
    near = doctor.did_you_mean(name, await names.all())
    told = f'there is no {names.what} "{name}"'
    return doctor.error(subject, told, near or f"correct `{subject}`, or make the key's user an Editor there")


async def _project(tracker: Rally) -> Finding:
    try:
        data = await tracker.call("GET", await tracker.names.project(), params={"fetch": "Name,State"})
    except Rejected as refusal:
        return doctor.error("project", str(refusal), "correct `project`, or make the key's user an Editor there")
    project = inside(data, "Project")
    if project.get("State") != "Open":
        told = f"{project.get('Name')} is {project.get('State')}: it takes no issues"
        return doctor.error("project", told, "open it, or name another `project`")
    return doctor.ok("project", f"{project.get('Name')} is open")


async def _fields(tracker: Rally) -> list[Finding]:
    """Look at the fields that are set, those that must be set, and the values that each is to have."""
    settings, fields = tracker.settings, await tracker.names.fields()
    known = {name: field for field in fields for name in (field["Name"], field["ElementName"])}
    folded = {name.casefold(): field for name, field in known.items()}
    found = []
    named = [("marker_field", settings.marker_field)] if settings.marker_field else []
    named += [(f"fields.{name}", name) for name in settings.fields]
    for setting, name in named:
        field = folded.get(name.casefold())
        if field is None or field.get("ReadOnly"):
            fix = doctor.did_you_mean(name, known) or "let a workspace administrator add it"
            say = doctor.error if setting == "marker_field" else doctor.warning
            found.append(say(setting, f'there is no field "{name}" that can be set', fix))
        else:
            found.append(doctor.ok(setting, f'the field "{name}" exists'))
            found += await _allowed(tracker, field, _text_of(tracker, setting))
    filled = {folded[name.casefold()]["ElementName"] for _, name in named if name.casefold() in folded}
    found += _required(fields, filled)
    for name, table in TABLES.items():
        if name in tracker.artifact.own and name in known:
            words = {**getattr(tracker, f"default_{table}"), **getattr(settings, table)}
            found += await _allowed(
                tracker, known[name], [(f"{table}.{word}", value) for word, value in words.items()]
            )
    if "State" in tracker.artifact.own and "State" in known:
        found += await _allowed(tracker, known["State"], [("state", settings.state)])
    return found


def _text_of(tracker: Rally, setting: str) -> doctor.Configured:
    name = setting.removeprefix("fields.")
    value = tracker.settings.fields.get(name) if name != setting else None
    return [(setting, value)] if isinstance(value, str) else []


def _required(fields: list[dict[str, Json]], filled: set[str]) -> Iterator[Finding]:
    """Yield the custom fields without which Rally refuses an issue; others that it requires have a default."""
    for field in fields:
        name = str(field["ElementName"])
        if field.get("Required") and name.startswith("c_") and name not in filled:
            told = f'the field "{field["Name"]}" must be filled: Rally will refuse the issue'
            yield doctor.error(f"fields.{name}", told, f'fields = {{ {name} = "..." }}')


async def _allowed(tracker: Rally, field: dict[str, Json], configured: doctor.Configured) -> list[Finding]:
    """Hold values against those that a field allows, where it does not allow any."""
    values = doctor.fixed(configured)
    allowed = field.get("AllowedValues")
    if not values or not isinstance(allowed, dict) or not allowed.get("Count", 1):
        return []
    path = "/" + str(allowed["_ref"]).partition("/v2.0/")[2]
    known = [
        each["StringValue"]
        for each in await tracker.names.listing(path, {"fetch": "StringValue"})
        if each.get("StringValue")
    ]
    told = f'is no value of "{field["Name"]}": it is left out'
    return list(doctor.compared(values, known, told, f"one of {', '.join(known[:20])}")) if known else []


async def _values(tracker: Rally) -> list[Finding]:
    """Look at tags and people."""
    settings = tracker.settings
    found = list(doctor.labels_compared(doctor.labels_of(tracker), await tracker.names.tags.all(), "the bridge"))
    if people := doctor.fixed([("assignee", settings.assignee)]):
        told = "is no active user: it is left out"
        found += doctor.compared(people, await tracker.names.people.all(), told, "correct it, or invite them")
    unused = ["issue_type", "issue_types"]
    found += doctor.unused(tracker, unused, 'use `artifact = "User Story"`, in a tracker of its own')
    if settings.artifact != "Defect":
        found += doctor.unused(tracker, ["severities", "priorities"], "use labels or `fields`")
    return found
