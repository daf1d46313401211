"""What the doctor looks at on a server that speaks Pivotal Tracker's API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor

if TYPE_CHECKING:
    from bridge_plugins.pivotal_tracker import PivotalTracker

TYPES = ("bug", "chore", "feature", "release")
PRIORITIES = ("p0", "p1", "p2", "p3", "none")
TOKENS = "Profile > API Tokens"


async def findings(tracker: PivotalTracker) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        user = await tracker.call("GET", "/me")
    except (NotAllowed, Rejected) as refusal:
        subject, fix = ("url", "correct it") if refusal.status == 404 else ("credentials", f"make one: {TOKENS}")
        yield doctor.error(subject, str(refusal), fix)
        return
    if not isinstance(user, dict) or "projects" not in user:
        yield doctor.error("url", "this is not Pivotal Tracker's API: /me names no projects", "correct it")
        return
    yield doctor.ok("credentials", f"signed in as {user.get('name') or user.get('username')}")
    membership = _membership(tracker.settings.project, user["projects"])
    if membership is None:
        names = [str(each["project_name"]) for each in user["projects"]]
        near = doctor.did_you_mean(tracker.settings.project, names)
        told = f"the token's user is no member of {tracker.settings.project}"
        yield doctor.error("project", told, near or "correct it, or invite the user")
        return
    if membership.get("role") == "viewer":
        told = f"the token's user is only a viewer of {membership['project_name']}"
        yield doctor.error("project", told, "make it a member")
        return
    yield doctor.ok("project", f"{membership['project_name']} takes stories")
    async for finding in _values(tracker):
        yield finding


def _membership(project: str, projects: list[dict[str, Json]]) -> dict[str, Json] | None:
    for each in projects:
        if project.casefold() in {str(each["project_id"]), str(each["project_name"]).casefold()}:
            return each
    return None


async def _values(tracker: PivotalTracker) -> AsyncIterator[Finding]:
    settings = tracker.settings
    fix = f"one of {', '.join(TYPES)}"
    for finding in doctor.compared(doctor.issue_types_of(tracker), TYPES, "is no story type: it is left out", fix):
        yield finding
    table = {**tracker.default_priorities, **settings.priorities}
    priorities = doctor.fixed([(f"priorities.{word}", value) for word, value in table.items()])
    fix = f"one of {', '.join(PRIORITIES)}"
    for finding in doctor.compared(priorities, PRIORITIES, "is no priority: it is left out", fix):
        yield finding
    for finding in await _people(tracker):
        yield finding
    try:
        known = [str(each["name"]) for each in await tracker.call("GET", await tracker.path("labels"))]
    except (NotAllowed, Rejected):
        known = []
    for finding in doctor.labels_compared(doctor.labels_of(tracker), known, "the server"):
        yield finding
    for finding in _unused(tracker):
        yield finding


async def _people(tracker: PivotalTracker) -> list[Finding]:
    people = doctor.fixed([("assignee", tracker.settings.assignee.lstrip("@"))])
    try:
        known = await tracker.members.all() if people else {}
    except (NotAllowed, Rejected) as refusal:
        return [doctor.warning("assignee", f"the members cannot be read: {refusal}", "leave `assignee` out")]
    return list(doctor.compared(people, known, "is no member: it is left out", "invite them to the project"))


def _unused(tracker: PivotalTracker) -> Iterator[Finding]:
    yield from doctor.unused(tracker, ("severities",), 'use a label: labels = ["severity:{{ bug.severity }}"]')
    yield from doctor.unused(tracker, ("parent",), "use the epic's label in `labels`")
