"""What the doctor looks at in YouTrack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor

if TYPE_CHECKING:
    from bridge_plugins._youtrack_fields import ProjectField
    from bridge_plugins.youtrack import YouTrack

TOKENS = "your avatar > Profile > Account Security > New token, scope YouTrack"


async def findings(tracker: YouTrack) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        user = await tracker.call("GET", "/users/me", params={"fields": "id,login,guest,banned"})
    except (NotAllowed, Rejected) as refusal:
        subject, fix = ("url", "correct `url`") if refusal.status == 404 else ("credentials", TOKENS)
        yield doctor.error(subject, str(refusal), fix)
        return
    if not isinstance(user, dict) or user.get("guest") or user.get("banned"):
        yield doctor.error("credentials", "the token's user is the guest, or banned", f"make a token: {TOKENS}")
        return
    yield doctor.ok("credentials", f"signed in as {user['login']}")
    try:
        project = await tracker.names.project()
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("project", refusal.message, "correct `project`, or add the token's user to its team")
        return
    if project["archived"]:
        yield doctor.error("project", f"{project['name']} is archived", "restore it, or choose another")
    else:
        yield doctor.ok("project", f"{project['name']} ({project['shortName']}) exists")
    for finding in [*await _values(tracker), *await _required(tracker), *await _tags(tracker)]:
        yield finding


def configured(tracker: YouTrack) -> list[tuple[str, str, Json]]:
    """Return the setting, the field's name and the value of everything that goes into a custom field."""
    settings = tracker.settings
    tables = (
        ("priorities", settings.priority_field, {**tracker.default_priorities, **settings.priorities}),
        ("severities", settings.severity_field, settings.severities),
        ("issue_types", settings.type_field, {**tracker.default_issue_types, **settings.issue_types}),
    )
    found: list[tuple[str, str, Json]] = [
        (f"{table}.{word}", name, value) for table, name, words in tables if name for word, value in words.items()
    ]
    found += [(f"fields.{name}", name, value) for name, value in settings.fields.items()]
    single = (("issue_type", settings.type_field), ("assignee", settings.assignee_field))
    found += [(subject, name, getattr(settings, subject)) for subject, name in single if name]
    if settings.marker_field:
        found.append(("marker_field", settings.marker_field, "testio-bug-1"))
    return [(subject, name, value) for subject, name, value in found if value]


async def _values(tracker: YouTrack) -> list[Finding]:
    found: list[Finding] = []
    for subject, name, value in configured(tracker):
        own = await tracker.names.field(name)
        if own is None:
            fix = (
                doctor.did_you_mean(name, await tracker.names.fields.all())
                or "correct it, or add it to the project"
            )
            found.append(doctor.warning(subject, f'the project has no field "{name}": it is left out', fix))
        elif subject == "marker_field" and own.kind != "string":
            told = f'"{own.name}" is of the type {own.kind}: the marker does not fit'
            found.append(doctor.error(subject, told, "choose a field of the type string"))
        else:
            found.extend(_value(subject, own, value))
    unused = [] if tracker.settings.severity_field else ["severities"]
    return [*found, *doctor.unused(tracker, unused, "name the field in `severity_field`")]


def _value(subject: str, own: ProjectField, value: Json) -> Iterator[Finding]:
    if "{{" in str(value) or "{%" in str(value):
        return
    try:
        own.sent(value)
        yield doctor.ok(subject, f'{own.name} can be "{value}"')
    except ValueError as problem:
        fix = doctor.did_you_mean(str(value), own.values) or f"one of {', '.join(list(own.values)[:20])}"
        yield doctor.warning(subject, f"{problem}: it is left out", fix if own.values else "correct it")


async def _required(tracker: YouTrack) -> list[Finding]:
    """Say of every field that an issue must have where its value comes from."""
    given = {name.casefold() for _, name, _ in configured(tracker)}
    fields = [await tracker.names.field(name) for name in await tracker.names.fields.all()]
    return [
        doctor.error(f"fields.{own.name}", "an issue must have a value, and gets none", "set it in `fields`")
        for own in fields
        if own and own.required and not own.default and own.name.casefold() not in given
    ]


async def _tags(tracker: YouTrack) -> list[Finding]:
    known = await tracker.names.tags.all()
    found = []
    for finding in doctor.labels_compared(doctor.labels_of(tracker), known, "the bridge"):
        if finding.message.endswith("makes it at its first use") and not finding.fix:
            fix = "make it yourself and share it, or share it after its first use"
            found.append(doctor.warning(finding.subject, f"{finding.message}, seen by the token's user only", fix))
        else:
            found.append(finding)
    return found
