"""What the doctor looks at in Linear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from bridge import Finding, NotAllowed, Rejected, doctor
from bridge_plugins import _linear_api as api
from bridge_plugins.linear import PRIORITIES, priority_of

if TYPE_CHECKING:
    from bridge_plugins.linear import Linear

KEY_PAGE = "https://linear.app/settings/account/security"


async def findings(tracker: Linear) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        data = await tracker.ask(api.VIEWER)
        user, workspace = data["viewer"], data["organization"]
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), f"make a new key with Read and Write: {KEY_PAGE}")
        return
    yield doctor.ok("credentials", f"signed in as {user['name']} in {workspace['name']}")
    name = tracker.settings.team
    try:
        if await tracker.names.teams.find(name) is None:
            told = f'there is no team "{name}" in {workspace["name"]}, or the key does not see it'
            fix = await doctor.meant(tracker, "team") or "correct `team`, or let the key's user in"
            yield doctor.error("team", told, fix)
            return
        yield doctor.ok("team", f'"{name}" exists')
        for finding in [*await _values(tracker), *await _fields(tracker)]:
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("team", str(refusal), f"give the key Read and Write, and the team: {KEY_PAGE}")


async def _values(tracker: Linear) -> list[Finding]:
    settings = tracker.settings
    known = await tracker.names.labels.all()
    found = list(doctor.labels_compared(doctor.labels_of(tracker), known, "the bridge"))
    if people := doctor.fixed([("assignee", settings.assignee)]):
        told = "is no active user: it will be left out"
        found += doctor.compared(
            people, _with_ids(await tracker.names.people.all()), told, "correct it, or invite them"
        )
    for subject, names in (("project", tracker.names.projects), ("state", tracker.names.states)):
        if value := getattr(settings, subject):
            found.append(_needed(subject, value, _with_ids(await names.all())))
    for level, word in {**tracker.default_priorities, **settings.priorities}.items():
        if word and "{" not in word and priority_of(word) is None:
            fix = doctor.one_of(word, PRIORITIES)
            found.append(doctor.warning(f"priorities.{level}", f'"{word}" is no priority: it is left out', fix))
    hint = 'use labels, such as "severity:{{ bug.severity }}" or `kind_labels`'
    return [*found, *doctor.unused(tracker, ("severities", "issue_type", "issue_types"), hint)]


async def _fields(tracker: Linear) -> list[Finding]:
    """Hold the names of `fields` against those that Linear's API says a new issue has."""
    if not tracker.settings.fields:
        return []
    data = await tracker.ask(api.FIELDS)
    known = [field["name"] for field in data["__type"]["inputFields"]]
    return [_needed(f"fields.{name}", name, known, exactly=True) for name in tracker.settings.fields]


def _needed(subject: str, value: str, known: list[str], *, exactly: bool = False) -> Finding:
    if value in known or (not exactly and value.casefold() in {name.casefold() for name in known}):
        return doctor.ok(subject, f'"{value}" exists')
    fix = doctor.did_you_mean(value, known) or f"one of {', '.join(sorted(known)[:20])}"
    return doctor.error(subject, f'"{value}" does not exist: Linear will refuse the issue', fix)


def _with_ids(known: Mapping[str, str]) -> list[str]:
    return [*known.keys(), *known.values()]
