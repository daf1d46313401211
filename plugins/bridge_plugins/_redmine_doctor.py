"""What the doctor looks at in Redmine.

https://www.redmine.org/projects/redmine/wiki/Rest_Users, https://www.redmine.org/projects/redmine/wiki/Rest_Roles
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from bridge import Finding, Json, NotAllowed, Rejected, doctor, inside
from bridge_plugins._redmine_lists import NATIVE

if TYPE_CHECKING:
    from bridge_plugins.redmine import Redmine

NEEDED = {
    "view_issues": "View issues",
    "add_issues": "Add issues",
    "add_issue_notes": "Add notes",
    "edit_issues": "Edit issues",
}
"""Permissions of a role, as the API and as people call them."""
PRIVATE = {"set_issues_private": "Set issues public or private"}
OWN = {"edit_own_issues", "set_own_issues_private"}  # enough: the issues are the user's own
STATUSES = {5: "is closed: it takes no issues", 9: "is archived", 10: "is about to be deleted"}


async def findings(tracker: Redmine) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        data = await tracker.call("GET", "/users/current.json", params={"include": "memberships"})
        user = inside(data, "user")
        yield doctor.ok("credentials", f"signed in as {user.get('login') or user['id']}")
    except (NotAllowed, Rejected) as refusal:
        fix = "My account > API access key; Administration > Settings > API > Enable REST web service"
        yield doctor.error("credentials", str(refusal), fix)
        return
    try:
        project = await tracker.lists.read_project("trackers", "issue_categories")
    except (NotAllowed, Rejected) as refusal:
        fix = await tracker.lists.similar_project()
        told = f"{tracker.settings.project} is not there for the key's user ({refusal})"
        yield doctor.error("project", told, fix or "correct `project`, or make the key's user a member of it")
        return
    yield _open(project)
    async for finding in _rights(tracker, user, project):
        yield finding
    async for finding in _values(tracker):
        yield finding
    async for finding in _custom_fields(tracker, project):
        yield finding


def _open(project: dict[str, Json]) -> Finding:
    told = STATUSES.get(project.get("status", 1))
    if told:
        return doctor.error("project", f"{project['name']} {told}", "reopen it, or name another one")
    return doctor.ok("project", f"{project['name']} takes issues")


async def _rights(tracker: Redmine, user: dict[str, Json], project: dict[str, Json]) -> AsyncIterator[Finding]:
    """Yield what the user's roles in the project lack; nothing where they cannot be known."""
    if user.get("admin"):
        return
    own = [each["roles"] for each in user.get("memberships") or () if each["project"]["id"] == project["id"]]
    if not own:
        fix = "make the user a member of the project, in a role that can add and edit issues"
        yield doctor.warning("role", "the key's user is no member of the project", fix)
        return
    try:
        roles = [(await tracker.call("GET", f"/roles/{role['id']}.json"))["role"] for role in own[0]]
    except (NotAllowed, Rejected):
        return
    held = {permission for role in roles for permission in role.get("permissions") or ()}
    held |= {permission.replace("_own", "") for permission in held & OWN}
    names = ", ".join(role["name"] for role in roles)
    for permission, name in (NEEDED | (PRIVATE if tracker.settings.private else {})).items():
        if permission not in held:
            needed = permission in {"view_issues", "add_issues"}
            told, fix = f'{names} lacks "{name}"', f'tick "{name}" under Administration > Roles and permissions'
            yield doctor.error("role", told, fix) if needed else doctor.warning("role", told, fix)


async def _values(tracker: Redmine) -> AsyncIterator[Finding]:
    settings = tracker.settings
    priorities = {**tracker.default_priorities, **settings.priorities}
    native = [(f"fields.{name}", name, str(value)) for name, value in settings.fields.items()]
    configured: list[tuple[str, str, str]] = [
        *((subject, "tracker_id", value) for subject, value in doctor.issue_types_of(tracker)),
        *((f"priorities.{word}", "priority_id", value) for word, value in priorities.items()),
        ("assignee", "assigned_to_id", settings.assignee),
        ("category", "category_id", settings.category),
        ("version", "fixed_version_id", settings.version),
        *((subject, name, value) for subject, name, value in native if name in tracker.lists.fields),
    ]
    for field, names in tracker.lists.fields.items():
        values = doctor.fixed([(subject, value) for subject, of, value in configured if of == field])
        if not values:
            continue
        try:
            known = await names.all()
        except (NotAllowed, Rejected) as refusal:
            fix = "write its id instead of its name, or let the role of the key's user see it"
            yield doctor.warning(values[0][0], f"its choices cannot be read: {refusal}", fix)
            continue
        choices = f"one of {', '.join(sorted(known))}" if known else f"make a {names.what} in the project"
        absent = f"is no {names.what} here: it will be left out"
        for finding in doctor.compared(values, {*known, *known.values()}, absent, choices):
            yield finding
    used = ("severities",) if not settings.severity_field else ()
    for finding in doctor.unused(tracker, ("labels", "kind_labels", *used), "use `fields` with a custom field"):
        yield finding


async def _custom_fields(tracker: Redmine, project: dict[str, Json]) -> AsyncIterator[Finding]:
    settings = tracker.settings
    given = {name: f"fields.{name}" for name in settings.fields if name not in NATIVE}
    given |= {settings.severity_field: "severity_field", settings.marker_field: "marker_field"}
    wanted = [(subject, name) for name, subject in given.items() if name]
    known = await tracker.lists.custom_fields.all() if wanted else {}
    fix = "make it under Administration > Custom fields, for this project and tracker, or write its id"
    absent = "is no custom field that the key's user can see: it will be left out"
    numbered = [each for each in wanted if not each[1].isdigit()]
    for finding in doctor.compared(numbered, known, absent, fix):
        yield finding
    for finding in _described(tracker, await tracker.lists.described_fields() or [], project, dict(wanted)):
        yield finding


def _described(
    tracker: Redmine, fields: list[dict[str, Any]], project: dict[str, Json], wanted: dict[str, str]
) -> Iterator[Finding]:
    """Yield what an administrator's key shows: required fields without a value, options that do not exist."""
    types = _types(tracker, project)
    here = [field for field in fields if _is_for(field, project, types)]
    names = {name.casefold() for name in wanted.values()}
    for field in here:
        given = {str(field["id"]), field["name"].casefold()} & names
        if field.get("is_required") and not given and not field.get("default_value"):
            told = f'"{field["name"]}" is required, and nothing fills it: Redmine may refuse the issue'
            yield doctor.error("fields", told, f'give it a value: fields = {{ "{field["name"]}" = "..." }}')
        if field["name"] == tracker.settings.marker_field and not field.get("is_filter"):
            fix = 'tick "Used as a filter" at the custom field'
            yield doctor.warning("marker_field", f'"{field["name"]}" is no filter: it cannot be searched', fix)
        options = [str(option["value"]) for option in field.get("possible_values") or ()]
        value = tracker.settings.fields.get(field["name"], tracker.settings.fields.get(str(field["id"])))
        if options and isinstance(value, str):
            subject, absent = f"fields.{field['name']}", "is no option of it: Redmine will refuse the issue"
            values, fix = doctor.fixed([(subject, value)]), f"one of {', '.join(options)}"
            yield from doctor.compared(values, options, absent, fix)


def _types(tracker: Redmine, project: dict[str, Json]) -> set[int]:
    """Return the ids of Redmine's trackers that new issues can be of."""
    every = project.get("trackers") or []
    wanted = {value.casefold() for _, value in doctor.issue_types_of(tracker)}
    chosen = {each["id"] for each in every if {str(each["id"]), each["name"].casefold()} & wanted}
    if not tracker.settings.issue_type:
        chosen |= {each["id"] for each in every[:1]}  # Redmine's choice
    return chosen or {each["id"] for each in every}


def _is_for(field: dict[str, Any], project: dict[str, Json], types: set[int]) -> bool:
    """Whether issues have this field; Redmine before 5.1 does not say of which projects."""
    if "trackers" in field and not types & {each["id"] for each in field["trackers"]}:
        return False
    if field.get("is_for_all") or "projects" not in field:
        return True
    return project["id"] in {each["id"] for each in field["projects"]}
