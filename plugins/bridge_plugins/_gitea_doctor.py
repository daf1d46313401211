"""What the doctor looks at in Gitea and Forgejo.

https://docs.gitea.com/api/#tag/repository, https://forgejo.org/docs/latest/user/token-scope/
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor

if TYPE_CHECKING:
    from bridge_plugins.gitea import Gitea

TOKEN = "Settings > Applications > Generate token, with the scopes write:issue and read:repository"  # noqa: S105
SCOPE = "required scope"  # in the words of the refusal


async def findings(tracker: Gitea) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        user = await tracker.call("GET", "/user")  # a public repository would be read without any token
        yield doctor.ok("credentials", f"signed in as {user['login']}")
    except (NotAllowed, Rejected) as refusal:
        if SCOPE not in refusal.message:
            yield doctor.error("credentials", str(refusal), f"correct `url`, or make a token: {TOKEN}")
            return
        yield doctor.ok("credentials", "the token is known; it may not say whose it is")
    repository, finding = await _repository(tracker)
    yield finding
    if finding.verdict == "error":
        return
    for each in _rights(tracker, repository):
        yield each
    async for each in _values(tracker):
        yield each
    if tracker.settings.attachments == "upload":
        yield await _attachments(tracker)


async def _repository(tracker: Gitea) -> tuple[dict[str, Json], Finding]:
    name = tracker.settings.repository
    try:
        found = await tracker.call("GET", tracker.repository)
    except (NotAllowed, Rejected) as refusal:
        if SCOPE in refusal.message:
            return {}, doctor.ok("repository", f"{name} cannot be looked at: the token has no read:repository")
        near = doctor.did_you_mean(name, await _visible(tracker)) if refusal.status == 404 else ""
        return {}, doctor.error("repository", str(refusal), near or "correct it, or give the token's user access")
    told, fix = "", ""
    if found["full_name"].casefold() != name.casefold():
        told, fix = f"{name} is now {found['full_name']}", f'set repository = "{found["full_name"]}"'
    elif found.get("archived"):
        told, fix = f"{name} is archived: nothing can be added", "unarchive it"
    elif found.get("has_issues") is False:
        told, fix = f"{name} has no issues", "turn them on under Settings > Units"
    return found, doctor.error("repository", told, fix) if told else doctor.ok(
        "repository", f"{name} takes issues"
    )


async def _visible(tracker: Gitea) -> list[str]:
    """Return repositories of a similar name."""
    query = {"q": tracker.settings.repository.split("/")[1][:4], "limit": "50"}
    try:
        found = await tracker.call("GET", "/repos/search", params=query)
    except (NotAllowed, Rejected):
        return []
    return [each["full_name"] for each in found.get("data") or ()]


def _rights(tracker: Gitea, repository: dict[str, Json]) -> list[Finding]:
    if (repository.get("permissions") or {}).get("push", True):
        return []
    told = "the token's user may not write: labels, assignees and milestone may be dropped in silence"
    return [doctor.warning("rights", told, f"make it a collaborator of {tracker.settings.repository} with Write")]


async def _values(tracker: Gitea) -> AsyncIterator[Finding]:
    settings = tracker.settings
    try:
        labels = await tracker.labels.all()
        milestones = await tracker.milestones.all() if settings.milestone else {}
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("issues", str(refusal), f"make a token: {TOKEN}")
        return
    configured = doctor.labels_of(tracker)
    if settings.make_labels:
        for finding in doctor.labels_compared(configured, labels, "the bridge"):
            yield finding
    else:
        absent = "does not exist: it will be left out"
        for finding in doctor.compared(configured, labels, absent, "make it, or set make_labels = true"):
            yield finding
    fixed = doctor.fixed([("milestone", settings.milestone)])
    for finding in doctor.compared(
        fixed, milestones, "does not exist: it will be left out", "make it, or correct it"
    ):
        yield finding
    people = doctor.assignees_of(tracker)
    try:
        known = await tracker.people.all() if people else {}
    except (NotAllowed, Rejected) as refusal:
        fix = "give the token the scope read:repository"
        yield doctor.warning("assignee", f"who can be assigned cannot be read: {refusal}", fix)
        people, known = [], {}
    absent = "cannot be assigned: it will be left out"
    for finding in doctor.compared(people, known, absent, f"make them a collaborator of {settings.repository}"):
        yield finding
    nothing = ("priorities", "severities", "issue_type", "issue_types", "parent")
    for finding in doctor.unused(tracker, nothing, 'use labels such as "priority/high"'):
        yield finding


async def _attachments(tracker: Gitea) -> Finding:
    """Return what the server takes; a server that does not say is no worse for it."""
    try:
        allowed = await tracker.call("GET", "/settings/attachment")
    except (NotAllowed, Rejected):
        return doctor.ok("attachments", "the server does not say what it takes")
    if not allowed.get("enabled", True):
        told = "the server takes no attachments: they stay links to test IO"
        return doctor.warning("attachments", told, 'set attachments = "link"')
    return doctor.ok("attachments", f"up to {allowed.get('max_size')} MB each")
