"""What the doctor looks at in Zoho Projects.

https://projects.zoho.com/api-docs
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, Verdict, doctor
from bridge_plugins._zoho import existence
from bridge_plugins._zoho_projects_names import LISTS

if TYPE_CHECKING:
    from bridge_plugins.zoho_projects import ZohoProjects

SCOPES = "make a refresh token with the scopes {0}.portals.READ, {0}.projects.READ and {0}.bugs.ALL"
FAMILY = {"projects": "ZohoProjects", "bugtracker": "ZohoBugTracker"}


async def findings(tracker: ZohoProjects) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        async for finding in _places(tracker):
            yield finding
            if finding.verdict is Verdict.ERROR:
                return
        async for finding in _values(tracker):
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), SCOPES.format(FAMILY[tracker.settings.product]))
        return
    unused = ("priorities", "labels", "kind_labels", "parent")
    for finding in doctor.unused(tracker, unused, "use `severities`, or a field in `fields`"):
        yield finding


async def _places(tracker: ZohoProjects) -> AsyncIterator[Finding]:
    settings, names = tracker.settings, tracker.names
    yield await existence(names.portals, "portal", settings.portal)
    yield await existence(names.projects, "project", settings.project)
    await tracker.call("GET", f"/api/v3{await names.path()}")
    await tracker.call("GET", await tracker.path(), params={"page": "1", "per_page": "1"})
    yield doctor.ok("credentials", "the project's bugs can be read")


async def _values(tracker: ZohoProjects) -> AsyncIterator[Finding]:
    """Yield for each configured value of a list whether it exists."""
    settings = tracker.settings
    severities = {**tracker.default_severities, **settings.severities}
    given: list[tuple[str, str, Json]] = [("assignee", "assignee", settings.assignee)]
    given += [("severity", f"severities.{word}", value) for word, value in severities.items()]
    given += [("classification", subject, value) for subject, value in doctor.issue_types_of(tracker)]
    given += [(name, f"fields.{name}", value) for name, value in settings.fields.items() if name in LISTS]
    for field, subject, value in given:
        if not isinstance(value, str) or not doctor.fixed([(subject, value)]):
            continue
        names = tracker.names.people if field == "assignee" else tracker.names.values[field]
        try:
            found, known = await tracker.id_of(field, value), await names.all()
        except (NotAllowed, Rejected) as refusal:
            told = f"its choices cannot be read: {refusal}"
            yield doctor.warning(subject, told, "write its id instead of its name")
            continue
        if found is None:
            fix = doctor.did_you_mean(value, known) or f"one of {', '.join(known) or 'none that can be seen'}"
            yield doctor.warning(subject, f'there is no {names.what} "{value}": it is left out', fix)
        else:
            yield doctor.ok(subject, f'{names.what} "{value}" exists')
