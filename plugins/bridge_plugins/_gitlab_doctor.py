"""What the doctor looks at in GitLab.

https://docs.gitlab.com/api/projects/#get-a-single-project, https://docs.gitlab.com/api/personal_access_tokens/
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor

if TYPE_CHECKING:
    from bridge_plugins.gitlab import GitLab

GUEST, PLANNER = 10, 15
ISSUE_TYPES = ("issue", "incident", "test_case", "requirement", "task", "ticket")


async def findings(tracker: GitLab) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        user = await tracker.call("GET", "/user")
        yield doctor.ok("credentials", f"signed in as {user['username']}")
        for finding in await _token(tracker):
            yield finding
        project = await tracker.call("GET", tracker.project)
    except (NotAllowed, Rejected) as refusal:
        rights = f"check the token and its role in {tracker.settings.project}"
        fix = "correct `project`, or make the token's user a member with the role Planner"
        yield await doctor.not_reached(tracker, refusal, "project", rights, fix)
        return
    for finding in _project(tracker, project):
        yield finding
    async for finding in _values(tracker):
        yield finding


async def _token(tracker: GitLab) -> list[Finding]:
    """Return what is wrong with the token; nothing for tokens that cannot say, such as OAuth's."""
    try:
        token = await tracker.call("GET", "/personal_access_tokens/self")
    except (NotAllowed, Rejected):
        return []
    found, scopes = [], token.get("scopes") or []
    if "api" not in scopes:
        found.append(doctor.error("token", f"its scopes are {', '.join(scopes)}", 'make one with the scope "api"'))
    if token.get("expires_at"):
        day, today = date.fromisoformat(token["expires_at"]), tracker.tools.clock.now().date()
        found += doctor.expiring(day, today, "rotate it, or make a new one")
    return found


def _project(tracker: GitLab, project: dict[str, Json]) -> list[Finding]:
    name, path, found = tracker.settings.project, project["path_with_namespace"], []
    if not name.isdigit() and path.casefold() != name.casefold():
        found.append(doctor.error("project", f"{name} is now {path}", f'set project = "{path}"'))
    if project.get("archived"):
        found.append(doctor.error("project", f"{path} is archived: nothing can be added", "unarchive it"))
    if project.get("issues_access_level") == "disabled" or project.get("issues_enabled") is False:
        fix = "turn them on under Settings > General > Visibility"
        found.append(doctor.error("project", f"{path} has no issues", fix))
    roles = (project.get("permissions") or {}).values()
    level = max((int(role["access_level"]) for role in roles if role), default=None)
    if level is None or level < PLANNER:
        role = "no role" if level is None else "the role Guest" if level <= GUEST else "a lesser role"
        told = f"the token has {role} in {path}: labels, assignee and milestone are dropped in silence"
        found.append(doctor.warning("role", told, "give it the role Planner or Reporter"))
    return found or [doctor.ok("project", f"{path} takes issues")]


async def _values(tracker: GitLab) -> AsyncIterator[Finding]:
    settings, path = tracker.settings, tracker.project
    labels = [label["name"] async for label in tracker.listing(f"{path}/labels")]
    for finding in doctor.labels_compared(doctor.labels_of(tracker), labels, "GitLab"):
        yield finding
    people = doctor.assignees_of(tracker)
    if people:
        known = [member["username"] async for member in tracker.listing(f"{path}/members/all")]
        told = "is no member of the project: it will be left out"
        for finding in doctor.compared(people, known, told, f"invite them to {settings.project}"):
            yield finding
    milestones = doctor.fixed([("milestone", settings.milestone)])
    if milestones:
        known = [item["title"] async for item in tracker.listing(f"{path}/milestones", include_ancestors=True)]
        absent = "does not exist: it will be left out"
        for finding in doctor.compared(milestones, known, absent, "make it, or correct it"):
            yield finding
    for subject, value in doctor.issue_types_of(tracker):
        if value in ISSUE_TYPES:
            yield doctor.ok(subject, f'"{value}" exists')
        else:
            fix = doctor.one_of(value, ISSUE_TYPES)
            yield doctor.error(subject, f'"{value}" is no issue type: GitLab will refuse the issue', fix)
    hint = 'use labels such as "priority::high"'
    for finding in doctor.unused(tracker, ("priorities", "severities"), hint):
        yield finding
