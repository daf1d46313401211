"""What the doctor looks at in Zoho Desk.

https://desk.zoho.com/DeskAPIDocument#Organizations and #Departments
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, NotAllowed, Rejected, Verdict, doctor
from bridge_plugins._zoho import existence
from bridge_plugins.zoho_desk import NATIVE

if TYPE_CHECKING:
    from bridge_plugins.zoho_desk import ZohoDesk

TOKENS = (
    "make a self client in the API console of your data center, and a refresh token with the scopes "
    "Desk.tickets.ALL, Desk.basic.READ, Desk.search.READ and Desk.contacts.READ"
)
CLASSES = ("Problem", "Request", "Question", "Others")
PRIORITIES = ("High", "Medium", "Low")


async def findings(tracker: ZohoDesk) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        async for finding in _places(tracker):
            yield finding
            if finding.verdict is Verdict.ERROR:
                return
        async for finding in _people(tracker):
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), TOKENS)
        return
    for finding in _values(tracker):
        yield finding


async def _places(tracker: ZohoDesk) -> AsyncIterator[Finding]:
    settings = tracker.settings
    yield await existence(tracker.organizations, "organization", settings.organization)
    yield await existence(tracker.departments, "department", settings.department)
    department = await tracker.departments.id_of(settings.department)
    data = await tracker.desk("GET", f"/departments/{department}")
    if isinstance(data, dict) and data.get("isEnabled") is False:
        yield doctor.error("department", f"{data.get('name')} is disabled", "enable it, or name another one")
    await tracker.desk("GET", "/tickets/search", params={"departmentId": department, "limit": "1"})
    yield doctor.ok("credentials", "tickets can be searched")


async def _people(tracker: ZohoDesk) -> AsyncIterator[Finding]:
    for subject, who in doctor.fixed([("assignee", tracker.settings.assignee)]):
        if await tracker.agent(who):
            yield doctor.ok(subject, f'agent "{who}" exists')
        else:
            fix = "write the agent's e-mail address or id; the scope Desk.basic.READ lets names be looked up"
            yield doctor.warning(subject, f'there is no agent "{who}": it is left out', fix)
    who = tracker.settings.contact
    if "@" not in who and not who.isdigit():
        yield doctor.error("contact", f'"{who}" is no e-mail address and no id', "write an address of your own")


def _values(tracker: ZohoDesk) -> Iterator[Finding]:
    """Yield what of the words for values is not among those that every portal has; it may have others, too."""
    settings = tracker.settings
    priorities = {**tracker.default_priorities, **settings.priorities}
    given = [(f"priorities.{word}", value) for word, value in priorities.items()]
    absent = "is none of Desk's own: Desk takes it only where the portal has such a value"
    yield from doctor.compared(doctor.fixed(given), PRIORITIES, absent, f"one of {', '.join(PRIORITIES)}")
    yield from doctor.compared(doctor.issue_types_of(tracker), CLASSES, absent, f"one of {', '.join(CLASSES)}")
    for name in settings.fields:
        if name not in NATIVE and not name.startswith("cf_"):
            fix = doctor.did_you_mean(name, NATIVE) or 'write the API name: "cf_..."'
            yield doctor.warning(f"fields.{name}", "is no API name of a field: it is left out", fix)
    if settings.severity_field and not settings.severity_field.startswith("cf_"):
        told = f'"{settings.severity_field}" is no API name of a custom field'
        yield doctor.error("severity_field", told, 'write the API name: "cf_..."')
    unused = () if settings.severity_field else ("severities",)
    yield from doctor.unused(tracker, unused, "name a custom field in `severity_field`")
    yield from doctor.unused(tracker, ("labels", "kind_labels", "parent"), "use `fields` with a custom field")
