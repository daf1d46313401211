"""What the doctor looks at in Zendesk.

https://developer.zendesk.com/api-reference/ticketing/users/users/#show-self
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins._zendesk_fields import NATIVE
from bridge_plugins.zendesk import person, tag

if TYPE_CHECKING:
    from bridge_plugins.zendesk import Zendesk

TOKENS = "make a token in Admin Center > Apps and integrations > APIs > API tokens, and name an agent in `email`"
NEW_FIELD = "make it under Admin Center > Objects and rules > Tickets > Fields"
WORDS = {
    "priorities": ("urgent", "high", "normal", "low"),
    "issue_type": ("problem", "incident", "question", "task"),
    "fields.status": ("new", "open", "pending", "hold", "solved"),
}
PLACES = {"group_id": "group", "brand_id": "brand", "ticket_form_id": "form"}


async def findings(tracker: Zendesk) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        user = ((await tracker.call("GET", "/users/me")) or {}).get("user") or {}
    except (NotAllowed, Rejected) as refusal:
        subject, fix = ("url", "correct `url`") if refusal.status == 404 else ("credentials", TOKENS)
        yield doctor.error(subject, str(refusal), fix)
        return
    if user.get("role") not in {"agent", "admin"}:  # without credentials the answer is the same for anybody
        told = f"signed in as {user.get('role') or 'nobody'}, not as an agent: tickets cannot be made"
        yield doctor.error("credentials", told, TOKENS)
        return
    yield doctor.ok("credentials", f"signed in as {user.get('email') or user['name']} ({user['role']})")
    try:
        for name, setting in PLACES.items():
            if value := getattr(tracker.settings, setting):
                yield await _place(tracker, name, setting, value)
        for finding in [*_words(tracker), *_people(tracker), *_tags(tracker), *await _fields(tracker)]:
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), "give the agent a role that sees groups, forms and fields")


async def _place(tracker: Zendesk, name: str, setting: str, value: str) -> Finding:
    names = tracker.places[name]
    if await names.find(value) is not None:
        return doctor.ok(setting, f'{names.what} "{value}" exists')
    known = await names.all()
    fix = doctor.did_you_mean(value, known) or f"one of {', '.join(sorted(known)) or 'none that the agent sees'}"
    return doctor.error(setting, f'there is no {names.what} "{value}"', fix)


def _words(tracker: Zendesk) -> Iterator[Finding]:
    """Yield whether priorities, types and status are among those that every account has."""
    priorities = {**tracker.default_priorities, **tracker.settings.priorities}
    given = {
        "priorities": [(f"priorities.{word}", value) for word, value in priorities.items()],
        "issue_type": doctor.issue_types_of(tracker),
        "fields.status": [("fields.status", str(tracker.settings.fields.get("status", "")))],
    }
    for name, values in given.items():
        fix = f"one of {', '.join(WORDS[name])}"
        yield from doctor.compared(doctor.fixed(values), WORDS[name], "is none: Zendesk refuses the ticket", fix)


def _people(tracker: Zendesk) -> Iterator[Finding]:
    for setting in ("assignee", "requester"):
        for _, value in doctor.fixed([(setting, getattr(tracker.settings, setting))]):
            if person(value, setting):
                yield doctor.ok(setting, f'"{value}" will be asked for')
            else:
                told = f'"{value}" is no e-mail address and no id: it is left out'
                yield doctor.warning(setting, told, "write the person's e-mail address")
    parent = doctor.fixed([("parent", tracker.settings.parent)])
    if parent and not parent[0][1].lstrip("#").isdigit():
        told = f'"{parent[0][1]}" is no number of a ticket: it is left out'
        yield doctor.warning("parent", told, "write the number of a problem ticket")


def _tags(tracker: Zendesk) -> Iterator[Finding]:
    for subject, label in doctor.labels_of(tracker):
        if tag(label) != label:
            yield doctor.warning(subject, f'"{label}" becomes the tag "{tag(label)}"', f'write "{tag(label)}"')


async def _fields(tracker: Zendesk) -> list[Finding]:
    """Say of each configured custom field whether it exists, is on the form, and takes its values."""
    settings = tracker.settings
    given: list[tuple[str, str, Json]] = [
        (f"fields.{name}", name, value) for name, value in settings.fields.items() if name not in NATIVE
    ]
    if own := settings.severity_field:
        given.append(("severity_field", own, ""))
        given += [(f"severities.{word}", own, value) for word, value in settings.severities.items()]
    on_form = await _on_form(tracker) if given else None
    found = [await _field(tracker, on_form, *each) for each in given]
    unused = () if settings.severity_field else ("severities",)
    return [*found, *doctor.unused(tracker, unused, "name a custom field in `severity_field`")]


async def _field(tracker: Zendesk, on_form: set[int] | None, subject: str, name: str, value: Json) -> Finding:
    own = await tracker.field(name)
    if own is None:
        fix = doctor.did_you_mean(name, await tracker.fields.all()) or NEW_FIELD
        return doctor.warning(subject, f'there is no custom field "{name}": it is left out', fix)
    if on_form is not None and own.id not in on_form:
        told = f'"{own.title}" is not on the form "{tracker.settings.form}": Zendesk ignores it'
        return doctor.warning(subject, told, "add it to the form")
    if not value or "{{" in str(value) or "{%" in str(value):
        return doctor.ok(subject, f'"{own.title}" exists')
    try:
        own.sent(value)
    except ValueError as problem:
        fix = f"one of {', '.join(sorted(set(own.options.values())))}" if own.options else "correct it"
        return doctor.warning(subject, f"{problem}: it is left out", fix)
    return doctor.ok(subject, f'"{own.title}" can be "{value}"')


async def _on_form(tracker: Zendesk) -> set[int] | None:
    """Return the ids of the fields on the configured form; None where none is configured or found."""
    if not tracker.settings.form:
        return None
    form = await tracker.places["ticket_form_id"].find(tracker.settings.form)
    forms = {str(each["id"]): each for each in await tracker.listing("ticket_forms")}
    return set(forms[form].get("ticket_field_ids") or ()) if form in forms else None
