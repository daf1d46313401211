"""What the doctor looks at in GitHub.

https://docs.github.com/en/rest/repos/repos#get-a-repository
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor

if TYPE_CHECKING:
    from bridge_plugins.github import GitHub

TOKEN_PAGE = "https://github.com/settings/tokens"  # noqa: S105 - where tokens are made, not one


async def findings(tracker: GitHub) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        for finding in await _credentials(tracker):
            yield finding
        _, repository = await tracker.call("GET", tracker.repository)
    except (NotAllowed, Rejected) as refusal:
        rights = f"check the token and its rights on {tracker.settings.repository}"
        fix = "correct `repository`, or let the token read and write its issues"
        yield await doctor.not_reached(tracker, refusal, "repository", rights, fix)
        return
    for finding in _repository(tracker, repository):
        yield finding
    async for finding in _values(tracker):
        yield finding


async def _credentials(tracker: GitHub) -> list[Finding]:
    settings = tracker.settings
    if settings.token is None:  # an installation has no user; reading the repository proves it
        return [doctor.ok("credentials", f"GitHub App {settings.app_id}, installation {settings.installation_id}")]
    headers, user = await tracker.call("GET", "/user")
    found = [doctor.ok("credentials", f"signed in as {user['login']}")]
    scopes = headers.get("x-oauth-scopes", "")  # classic tokens only
    if scopes and not {"repo", "public_repo"} & {scope.strip() for scope in scopes.split(",")}:
        told = f"the token's scopes are {scopes}"
        found.append(doctor.error("token", told, 'give it "repo" (or "public_repo" for a public repository)'))
    expiry = headers.get("github-authentication-token-expiration", "")[:10]
    if expiry:
        today = tracker.tools.clock.now().date()
        found += doctor.expiring(date.fromisoformat(expiry), today, f"make a new one: {TOKEN_PAGE}")
    return found


def _repository(tracker: GitHub, repository: dict[str, Json]) -> list[Finding]:
    name, found = tracker.settings.repository, []
    if repository["full_name"].casefold() != name.casefold():
        told = f"{name} is now {repository['full_name']}"
        found.append(doctor.error("repository", told, f'set repository = "{repository["full_name"]}"'))
    if repository.get("archived"):
        found.append(doctor.error("repository", f"{name} is archived: nothing can be added", "unarchive it"))
    if not repository.get("has_issues", True):
        found.append(doctor.error("repository", f"{name} has no issues", "turn them on in its settings"))
    rights = repository.get("permissions")
    if rights is not None and not (rights.get("push") or rights.get("triage")):
        told = "labels, assignee, type and milestone will be dropped in silence"
        found.append(doctor.warning("rights", told, f"give the token's user Triage or Write rights on {name}"))
    return found or [doctor.ok("repository", f"{name} takes issues")]


async def _values(tracker: GitHub) -> AsyncIterator[Finding]:
    settings, path = tracker.settings, tracker.repository
    labels = [label["name"] async for label in tracker.listing(f"{path}/labels")]
    for finding in doctor.labels_compared(doctor.labels_of(tracker), labels, "GitHub"):
        yield finding
    absent, correct = "does not exist: it will be left out", "correct it"
    people = doctor.assignees_of(tracker)
    if people:
        known = [user["login"] async for user in tracker.listing(f"{path}/assignees")]
        told = "cannot be assigned here: it will be left out"
        for finding in doctor.compared(people, known, told, f"give them access to {settings.repository}"):
            yield finding
    milestones = doctor.fixed([("milestone", settings.milestone)])
    if milestones:
        known = [item["title"] async for item in tracker.listing(f"{path}/milestones", state="all")]
        for finding in doctor.compared(milestones, known, absent, "make it, or correct it"):
            yield finding
    for finding in doctor.compared(doctor.issue_types_of(tracker), await _types(tracker), absent, correct):
        yield finding
    hint = "use labels, or `fields.issue_field_values` for an organisation's own fields"
    for finding in doctor.unused(tracker, ("priorities", "severities", "parent"), hint):
        yield finding


async def _types(tracker: GitHub) -> list[str]:
    """Return the issue types; none outside organisations and on Enterprise Servers before they had them."""
    if not doctor.issue_types_of(tracker):
        return []
    try:
        _, types = await tracker.call("GET", f"{tracker.repository}/issue-types")
    except NotAllowed:
        return []
    return [kind["name"] for kind in types or []]
