"""What the doctor looks at in Shortcut.

https://developer.shortcut.com/api/rest/v3#Member, #Workflows, #Groups, #Custom-Fields
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins.shortcut import NATIVE, STORY_TYPES

if TYPE_CHECKING:
    from bridge_plugins.shortcut import Shortcut

FIX = "make a token that may write at https://app.shortcut.com/settings/account/api-tokens"


async def findings(tracker: Shortcut) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.names.forget()
    try:
        member = await tracker.member()
        yield _signed_in(member)
        for step in (_place(tracker), _values(tracker), _custom(tracker)):
            async for finding in step:
                yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), FIX)


def _signed_in(member: Mapping[str, Json]) -> Finding:
    told = f"signed in as {member['mention_name']} in the workspace {member['workspace2']['name']}"
    if member.get("role") == "observer":
        return doctor.error("credentials", f"{told}, as an observer: it makes no stories", "use a member's token")
    return doctor.ok("credentials", told)


async def _place(tracker: Shortcut) -> AsyncIterator[Finding]:
    settings = tracker.settings
    if settings.team and await tracker.names.teams.find(settings.team) is None:
        fix = doctor.one_of(settings.team, await tracker.names.teams.all())
        yield doctor.error("team", f'there is no team "{settings.team}"', fix)
        return
    try:
        workflow = await tracker.names.workflow()
    except NotAllowed as refusal:
        names = [each["name"] for each in await tracker.names.listing("/workflows")]
        yield doctor.error("workflow", refusal.message, f"one of {', '.join(names)}")
        return
    states = {state["id"]: state["name"] for state in workflow["states"]}
    if not settings.state or await tracker.names.states.find(settings.state):
        first = settings.state or states.get(workflow["default_state_id"])
        yield doctor.ok("state", f'new stories are in "{first}" of the workflow {workflow["name"]}')
    else:
        fix = doctor.one_of(settings.state, states.values())
        yield doctor.error("state", f'the workflow {workflow["name"]} has no state "{settings.state}"', fix)


async def _values(tracker: Shortcut) -> AsyncIterator[Finding]:
    settings = tracker.settings
    absent = "is no type of story: it will be left out"
    kinds = doctor.issue_types_of(tracker)
    for finding in doctor.compared(kinds, STORY_TYPES, absent, f"one of {', '.join(STORY_TYPES)}"):
        yield finding
    labels = [label["name"] for label in await tracker.names.listing("/labels")]
    for finding in doctor.labels_compared(doctor.labels_of(tracker), labels, "Shortcut"):
        yield finding
    native = [(f"fields.{name}", name, str(value)) for name, value in settings.fields.items()]
    configured = [
        *((subject, "owner_ids", name) for subject, name in doctor.assignees_of(tracker)),
        ("parent", "epic_id", settings.parent),
        *((subject, field, value) for subject, field, value in native if field in tracker.names.by_field),
    ]
    for subject, field, value in configured:
        for _, name in doctor.fixed([(subject, value)]):
            yield await _named(tracker, subject, field, name)


async def _named(tracker: Shortcut, subject: str, field: str, name: str) -> Finding:
    names = tracker.names.by_field[field]
    if await names.find(name):
        return doctor.ok(subject, f'"{name}" exists')
    fix = (
        doctor.did_you_mean(name, await names.all()) or f"write the name of the {names.what} as Shortcut shows it"
    )
    return doctor.warning(subject, f'there is no {names.what} "{name}": it will be left out', fix)


async def _custom(tracker: Shortcut) -> AsyncIterator[Finding]:
    """Yield whether each configured custom field exists for bugs, and has the values it is to be set to."""
    settings = tracker.settings
    given = {
        settings.priority_field: {f"priorities.{word}": value for word, value in settings.priorities.items()},
        settings.severity_field: {f"severities.{word}": value for word, value in settings.severities.items()},
    }
    if await tracker.names.custom_fields.find(settings.priority_field):
        defaults = {f"priorities.{word}": value for word, value in tracker.default_priorities.items()}
        given[settings.priority_field] = defaults | given[settings.priority_field]
    given |= {
        name: {f"fields.{name}": str(value)} for name, value in settings.fields.items() if name not in NATIVE
    }
    for name, values in given.items():
        for finding in await _field(tracker, name, values):
            yield finding


async def _field(tracker: Shortcut, name: str, values: Mapping[str, str]) -> list[Finding]:
    configured = doctor.fixed(list(values.items()))
    if not configured:
        return []
    field_id = await tracker.names.custom_fields.find(name)
    if field_id is None:
        known = await tracker.names.custom_fields.all()
        fix = doctor.did_you_mean(name, known) or "turn it on for bugs: Settings > Custom Fields"
        told = f'there is no custom field "{name}" for bugs: it will be left out'
        return [doctor.warning(configured[0][0], told, fix)]
    options = await tracker.names.options(field_id).all()
    absent = f'is no value of "{name}": it will be left out'
    return list(doctor.compared(configured, options, absent, f"one of {', '.join(options)}"))
