"""What the doctor looks at in Teamwork. Whether the user may add tasks cannot be seen without doing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, NotAllowed, Rejected, doctor
from bridge_plugins._teamwork_names import V3, choices, full_name, value
from bridge_plugins.teamwork import NATIVE, PRIORITIES

if TYPE_CHECKING:
    from bridge_plugins.teamwork import Teamwork

KEY = "copy the key anew: your picture > Edit my details > API & Mobile > Show your token; and look at `url`"
LIST = "correct `list` or `project`, or add the key's user to the project"


async def findings(tracker: Teamwork) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.forget()
    try:
        person = (await tracker.call("GET", f"{V3}/me.json"))["person"]
        yield doctor.ok("credentials", f"signed in as {full_name(person) or person.get('email')}")
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), KEY)
        return
    try:
        data = (await tracker.call("GET", f"{V3}/tasklists/{await tracker.names.list_id()}.json"))["tasklist"]
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("list", str(refusal), LIST)
        return
    if data.get("status") in {"completed", "deleted"}:
        told = f"{data['name']} is {data['status']}: it takes no tasks"
        yield doctor.error("list", told, "reopen it in Teamwork, or name another list")
    else:
        yield doctor.ok("list", f"{data['name']} is there")
    for finding in _priorities(tracker):
        yield finding
    async for finding in _values(tracker):
        yield finding


def _priorities(tracker: Teamwork) -> Iterator[Finding]:
    table = {**tracker.default_priorities, **tracker.settings.priorities}
    configured = doctor.fixed([(f"priorities.{word}", priority) for word, priority in table.items()])
    fix = f"one of {', '.join(PRIORITIES)}"
    yield from doctor.compared(configured, PRIORITIES, "is no priority of Teamwork: it is left out", fix)


async def _values(tracker: Teamwork) -> AsyncIterator[Finding]:
    """Yield whether tags, people and custom fields are known."""
    settings = tracker.settings
    for finding in doctor.labels_compared(doctor.labels_of(tracker), await tracker.names.tags.all(), "the bridge"):
        yield finding
    if people := doctor.assignees_of(tracker):
        told = "is no member of the project: it will be left out"
        known = await tracker.names.people.all()
        for finding in doctor.compared(people, known, told, "add them to the project"):
            yield finding
    if settings.severities and not settings.severity_field:
        told = "Teamwork tasks have no severity: it is left out"
        yield doctor.warning("severities", told, 'name a custom field: severity_field = "..."')
    wanted = [(f"fields.{name}", name, str(text)) for name, text in settings.fields.items() if name not in NATIVE]
    if settings.severity_field:
        wanted += [
            (f"severities.{word}", settings.severity_field, text) for word, text in settings.severities.items()
        ]
    for subject, name, text in wanted:
        yield await _custom(tracker, subject, name, text)
    for finding in doctor.unused(
        tracker, ("issue_type", "issue_types"), 'use labels: kind_labels = { visual = "design" }'
    ):
        yield finding


async def _custom(tracker: Teamwork, subject: str, name: str, text: str) -> Finding:
    """Return whether a custom field exists and takes a value."""
    field = await tracker.names.custom(name)
    if field is None:
        near = doctor.did_you_mean(name, await tracker.names.fields.all())
        return doctor.warning(
            subject, f'there is no custom field "{name}": it is left out', near or "add it, for tasks"
        )
    if doctor.fixed([("", text)]):
        try:
            value(field, text)
        except ValueError as problem:
            near = doctor.did_you_mean(text, choices(field))
            return doctor.warning(subject, f"{name}: {problem}: it is left out", near or "correct it")
    return doctor.ok(subject, f"{name} is there")
