"""What the doctor looks at in Jira: everything that would make a create fail, before a bug has to find out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bridge import Finding, Gone, Json, NotAllowed, Purpose, Rejected, doctor
from bridge_plugins._atlassian_fields import Field, Screen, did_you_mean, levels, listed, parent_field

if TYPE_CHECKING:
    from bridge_plugins._atlassian import JiraTracker

NEEDED = {"BROWSE_PROJECTS": "see the project", "CREATE_ISSUES": "create issues"}
USEFUL = {
    "EDIT_ISSUES": "updates of issues will fail",
    "ADD_COMMENTS": "comments at a re-export will fail",
    "CREATE_ATTACHMENTS": "files will not be uploaded",
    "LINK_ISSUES": "the link to test IO among the issue's links will be missing",
    "ASSIGN_ISSUES": "issues with an assignee will be refused",
}
ALWAYS_FILLED = {"project", "issuetype", "summary", "description", "labels", "reporter"}  # Jira fills reporter


async def findings(tracker: JiraTracker[Any]) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    subject = "url"
    try:
        for finding in tracker.instance(await tracker.look("serverInfo")):
            yield finding
        subject = "credentials"
        me = await tracker.look("myself")
        yield doctor.ok(subject, f"signed in as {me.get('displayName') or me.get('name')}")
        subject = "project"
        yield await _project(tracker)
        subject = "rights"
        for finding in await _rights(tracker):
            yield finding
        subject = "issue_type"
        for finding in await _screens(tracker):
            yield finding
        subject = "attachments"
        for finding in await _attachments(tracker):
            yield finding
    except (NotAllowed, Rejected) as refusal:
        subject = "credentials" if refusal.status in {401, 403} and subject == "url" else subject
        yield doctor.error(subject, str(refusal), "correct this first: nothing further can be looked at")


async def _project(tracker: JiraTracker[Any]) -> Finding:
    key = tracker.settings.project
    try:
        project = await tracker.look(f"project/{key}", "key")
    except NotAllowed as refusal:
        if refusal.status != 404:
            raise
        near = did_you_mean(key, await tracker.projects())
        words = f"{key} does not exist, or this user cannot see it{near}"
        raise Rejected(words) from None
    if project.get("archived"):
        return doctor.error("project", f"{key} is archived: nothing can be added", "restore it")
    if project["key"] != key:
        fix = f'set project = "{project["key"]}"'
        return doctor.warning("project", f"{key} is now {project['key']}", fix)
    return doctor.ok("project", f"{key} is {project.get('name', key)}")


async def _rights(tracker: JiraTracker[Any]) -> list[Finding]:
    """Permissions must be named on Cloud; Server ignores the parameter, so it is left out there."""
    key = tracker.settings.project
    answer = await tracker.look(
        "mypermissions", "permissions", projectKey=key, **tracker.permission_query((*NEEDED, *USEFUL))
    )
    granted = {name for name, one in answer["permissions"].items() if one.get("havePermission")}
    fix = f"give this user the right in the permission scheme of {key}"
    found = [
        doctor.error("rights", f"{name}: this user may not {words}", fix)
        for name, words in NEEDED.items()
        if name not in granted
    ]
    for name, words in USEFUL.items():
        if name not in granted and (name != "ASSIGN_ISSUES" or tracker.settings.assignee):
            found.append(doctor.warning("rights", f"{name} is missing: {words}", fix))
    return found or [doctor.ok("rights", "everything that is needed")]


async def _screens(tracker: JiraTracker[Any]) -> list[Finding]:
    """Look at the create screen of each issue type that is configured."""
    found: dict[Finding, None] = {}
    types = await tracker.issue_types()
    known = {name.casefold() for name in types}
    for name, subject in {name: subject for subject, name in doctor.issue_types_of(tracker)}.items():
        if name.casefold() not in known:
            words = f'there is no issue type "{name}" in {tracker.settings.project}'
            found[doctor.error(subject, words + did_you_mean(name, types), "correct it")] = None
            continue
        screen = await tracker.screen(name)
        found |= dict.fromkeys(_required(tracker, screen))
        found |= dict.fromkeys(_values(tracker, screen))
        found |= dict.fromkeys([finding async for finding in _references(tracker, screen)])
        found[doctor.ok(subject, f'"{name}" exists')] = None
    return list(found)


def _required(tracker: JiraTracker[Any], screen: Screen) -> Iterator[Finding]:
    """Yield an error for each required field that nothing fills."""
    filled = ALWAYS_FILLED | {one.id for name in _configured(tracker, screen) if (one := screen.find(name))}
    for one in screen.fields.values():
        if one.required and not one.has_default and one.id not in filled:
            example = f'"{one.allowed[0]}"' if one.allowed else "..."
            choice = f" (one of: {', '.join(one.allowed[:20])})" if one.allowed else ""
            yield doctor.error(
                f"fields.{one.name}",
                f"{one} is required on the create screen of {screen.issue_type}, and nothing fills it",
                f'add "{one.name}" = {example} to [trackers.{tracker.name}.fields]{choice}',
            )


def _configured(tracker: JiraTracker[Any], screen: Screen) -> list[str]:
    """Return the names of the fields that the configuration fills."""
    settings = tracker.settings
    names = list(settings.fields)
    names += ["priority"] if any(tracker.priorities.values()) else []
    names += [settings.severity_field] if any(settings.severities.values()) else []
    names += ["assignee"] if settings.assignee else []
    return names + ([parent_field(screen)] if settings.parent else [])


def _values(tracker: JiraTracker[Any], screen: Screen) -> Iterator[Finding]:
    """Yield what is wrong with each configured field and each of its values."""
    settings = tracker.settings
    for name, value in settings.fields.items():
        yield from _checked(screen, f"fields.{name}", name, value)
    for word, value in settings.severities.items():
        if value:
            yield from _checked(screen, f"severities.{word}", settings.severity_field, value)
    for word, value in tracker.priorities.items():
        if value:
            yield from _checked(screen, f"priorities.{word}", "priority", value)
    if "labels" not in screen.fields:
        yield doctor.warning(
            "labels",
            f"labels are not on the create screen of {screen.issue_type}: they are left out",
            "put Labels on the screen: they are the surest way to recognise an issue again",
        )


def _checked(screen: Screen, subject: str, name: str, value: Json) -> Iterator[Finding]:
    one, where = screen.find(name), f"the create screen of {screen.issue_type}"
    if one is None:
        names = [other.name for other in screen.fields.values()]
        near = "" if name.startswith("customfield_") else did_you_mean(name, names)
        fix = "put the field on the screen, or leave it out of the configuration"
        yield doctor.error(subject, f'"{name}" is not on {where}{near}', fix)
        return
    for wrong, known in _unknown(one, value):
        yield doctor.error(subject, f'"{wrong}" is no value of {one}{did_you_mean(wrong, known)}', "correct it")


def _unknown(one: Field, value: Json) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each value without a template that cannot be chosen, and what can."""
    if not one.allowed or isinstance(value, Mapping):
        return
    if one.kind == "option-with-child":
        names = levels(value)
        choices = [one.allowed, one.children.get(names[0], ())] if names else []
        pairs = list(zip(names, choices, strict=False))
    else:
        pairs = [(str(item), one.allowed) for item in listed(value)]
    for _, name in doctor.fixed([("", name) for name, _ in pairs]):
        known = next(level for item, level in pairs if item == name)
        if name.casefold() not in {other.casefold() for other in known}:
            yield name, known


async def _references(tracker: JiraTracker[Any], screen: Screen) -> AsyncIterator[Finding]:
    """Yield what is wrong with the assignee and the parent."""
    settings = tracker.settings
    for subject, name in doctor.fixed([("assignee", settings.assignee)]):
        for finding in _checked(screen, subject, "assignee", ""):
            yield finding
        if not await tracker.assignable(name):
            words = f'"{name}" is nobody to whom an issue of {settings.project} can be assigned'
            yield doctor.error(subject, words, tracker.person_fix)
    for subject, key in doctor.fixed([("parent", settings.parent)]):
        for finding in _checked(screen, subject, parent_field(screen), ""):
            yield finding
        try:
            await tracker.look(f"issue/{key}", purpose=Purpose.ISSUE, fields="summary")
        except (Gone, Rejected) as refusal:
            yield doctor.error(subject, f"{key} is not there: {refusal.message}", "correct it")


async def _attachments(tracker: JiraTracker[Any]) -> list[Finding]:
    if tracker.settings.attachments != "upload":
        return []
    try:
        meta = await tracker.look("attachment/meta")
    except (NotAllowed, Rejected) as refusal:
        told = f"the limit is not known: {refusal}"
        return [doctor.warning("attachments", told, "none needed if uploads work")]
    if not meta.get("enabled"):
        fix = 'switch them on in Jira\'s settings, or set attachments = "link"'
        return [doctor.warning("attachments", "attachments are switched off: no file will be uploaded", fix)]
    return [doctor.ok("attachments", f"files up to {int(meta.get('uploadLimit', 0)) / 2**20:g} MiB")]
