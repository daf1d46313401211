"""What the doctor looks at in OpenProject.

https://www.openproject.org/docs/api/endpoints/projects/, https://www.openproject.org/docs/api/endpoints/work-packages/
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bridge import Finding, NotAllowed, Rejected, doctor
from bridge_plugins.openproject import path_of

if TYPE_CHECKING:
    from bridge_plugins._openproject_form import Field, Form
    from bridge_plugins.openproject import OpenProject

Values = list[tuple[str, str, str]]
"""What the configuration sets: the setting's name, the property's, and the value."""

FIX = "make an API token under My account > Access tokens, as a member of the project"


async def findings(tracker: OpenProject) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.forget()
    try:
        user = await tracker.call("GET", "/users/me")
        yield doctor.ok("credentials", f"signed in as {user['name']}")
        project = await tracker.projects.find(tracker.settings.project)
        if project is None:
            told = f"{tracker.settings.project} does not exist, or the token's user may not see it"
            fix = await doctor.meant(tracker, "project") or "correct `project`, or make the user a member of it"
            yield doctor.error("project", told, fix)
            return
        async for finding in _project(tracker, project):
            yield finding
        async for finding in _types(tracker):
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), FIX)
        return
    for finding in _unused(tracker):
        yield finding


async def _project(tracker: OpenProject, href: str) -> AsyncIterator[Finding]:
    project = await tracker.call("GET", path_of(href))
    name = project["name"]
    if project.get("active") is False:
        yield doctor.error("project", f"{name} is archived: nothing can be added", "unarchive it")
    elif "createWorkPackage" not in project["_links"]:
        fix = 'give the user a role with "Add work packages", "Edit work packages" and "Add notes"'
        yield doctor.error("project", f"the token's user may not add work packages to {name}", fix)
    else:
        yield doctor.ok("project", f"{name} takes work packages")
    limit = (await tracker.call("GET", "/configuration")).get("maximumAttachmentFileSize")
    if limit:
        yield doctor.ok("attachments", f"files up to {limit / 2**20:.1f} MiB; larger ones stay links")


async def _types(tracker: OpenProject) -> AsyncIterator[Finding]:
    """Yield for each configured type whether it exists, has all values that it needs, and takes those it gets."""
    offered = (await tracker.form()).field("type")
    known = await tracker.values(offered) if offered else {}
    seen: set[tuple[str, str]] = set()
    for subject, name in doctor.issue_types_of(tracker):
        if name.casefold() not in {each.casefold() for each in known}:
            fix = doctor.one_of(name, known)
            yield doctor.error(subject, f'there is no type "{name}" in {tracker.settings.project}', fix)
            continue
        yield doctor.ok(subject, f'"{name}" exists')
        async for finding in _values(tracker, name, await tracker.form(name)):
            if (finding.subject, finding.message) not in seen:  # said for another type
                seen.add((finding.subject, finding.message))
                yield finding


async def _values(tracker: OpenProject, issue_type: str, form: Form) -> AsyncIterator[Finding]:
    configured = _configured(tracker)
    given = {field.key for _, name, _ in configured if (field := form.field(name))}
    for field in form.fields:
        if field.required and field.writable and field.key not in given:
            fix = f'fields = {{ "{field.name}" = "..." }}'
            yield doctor.error(f"fields.{field.name}", f"{issue_type} needs a value for it", fix)
    for subject, name, value in configured:
        found = form.field(name)
        if found is None:
            near = doctor.did_you_mean(name, [field.name for field in form.fields])
            fix = near or "turn it on for the project and the type, or correct its name"
            yield doctor.warning(subject, f'{issue_type} has no field "{name}": it is left out', fix)
        elif doctor.fixed([(subject, value)]):
            yield await _value(tracker, subject, found, value)


async def _value(tracker: OpenProject, subject: str, field: Field, value: str) -> Finding:
    if field.linked:
        if await tracker.href(field, value):
            return doctor.ok(subject, f'"{value}" exists')
        known = await tracker.values(field)
        fix = (
            doctor.did_you_mean(value, known) or f"one of {', '.join(list(known)[:10]) or 'none that can be seen'}"
        )
        return doctor.warning(subject, f'there is no "{value}" for {field.name}: it is left out', fix)
    try:
        field.plain(value)
    except ValueError:
        return doctor.warning(subject, f'"{value}" is no {field.kind}: it is left out', "correct it")
    return doctor.ok(subject, f'"{value}" can be set in {field.name}')


def _configured(tracker: OpenProject) -> Values:
    """Return what the configuration sets besides title, body and type; what has no value in it, left out."""
    settings = tracker.settings
    priorities = {**tracker.default_priorities, **settings.priorities}
    own = [
        (f"fields.{name}", name, str(each))
        for name, value in settings.fields.items()
        for each in (value if isinstance(value, list | tuple) else [value])
    ]
    severities = settings.severities.items() if settings.severity_field else ()
    values = [
        *((f"priorities.{word}", "priority", value) for word, value in priorities.items()),
        *((f"severities.{word}", settings.severity_field, value) for word, value in severities),
        ("assignee", "assignee", settings.assignee.lstrip("@")),
        ("parent", "parent", settings.parent.lstrip("#")),
        *own,
    ]
    return [(subject, name, value) for subject, name, value in values if value]


def _unused(tracker: OpenProject) -> list[Finding]:
    found = list(doctor.unused(tracker, ("labels", "kind_labels"), 'use a field: fields = { category = "..." }'))
    if not tracker.settings.severity_field:
        found += doctor.unused(tracker, ("severities",), 'name a custom field: severity_field = "..."')
    return found
