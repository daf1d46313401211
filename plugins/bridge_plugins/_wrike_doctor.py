"""What the doctor looks at in Wrike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins.wrike import IMPORTANCE, NATIVE, importance_of, listed

if TYPE_CHECKING:
    from bridge_plugins.wrike import Wrike

FIX = "make a permanent token: your picture > Apps & Integrations > API; `url` is the address your browser shows"


async def findings(tracker: Wrike) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.forget()
    try:
        me = (await tracker.look("/contacts", me="true"))[0]
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), FIX)
        return
    name = f"{me.get('firstName', '')} {me.get('lastName', '')}".strip()
    if any(profile.get("role") == "Collaborator" for profile in me.get("profiles") or ()):
        yield doctor.error("credentials", f"{name} is a collaborator, who makes no tasks", "use a regular user")
    else:
        yield doctor.ok("credentials", f"signed in as {name}")
    try:
        folder = await tracker.names.folder()
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("folder", str(refusal), "write its permalink, or share it with the token's user")
        return
    if str(folder.get("scope")).startswith("Rb"):
        yield doctor.error("folder", f"{folder['title']} is in the recycle bin", "restore it, or name another")
    else:
        yield doctor.ok("folder", f"{folder['title']} is there")
    try:
        for finding in [*await _values(tracker), *await _fields(tracker)]:
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("values", str(refusal), "give the token's user the right to read them")


async def _values(tracker: Wrike) -> list[Finding]:
    settings, names = tracker.settings, tracker.names
    found: list[Finding] = []
    left_out = "does not exist: it will be left out"
    if settings.status:
        known = _with_ids(await names.statuses.all())
        found += doctor.compared([("status", settings.status)], known, left_out, "add it to the workflow")
    if people := doctor.assignees_of(tracker):
        found += doctor.compared(people, _with_ids(await names.people.all()), left_out, "invite them")
    if types := doctor.issue_types_of(tracker):
        found += doctor.compared(types, _with_ids(await names.types.all()), left_out, "add the item type in Wrike")
    folders = settings.fields.get("parents") or ()
    if folders := doctor.fixed([("fields.parents", str(each)) for each in listed(folders)]):
        found += doctor.compared(folders, _with_ids(await names.folders.all()), left_out, "correct the folder")
    for level, word in {**tracker.default_priorities, **settings.priorities}.items():
        if word and "{" not in word and not importance_of(word):
            fix = doctor.one_of(word, IMPORTANCE)
            found.append(doctor.warning(f"priorities.{level}", f'"{word}" is no importance: it is left out', fix))
    fix = "Wrike has no labels: put tasks into more folders with fields = { parents = [...] }"
    found += doctor.unused(tracker, ("labels", "kind_labels"), fix)
    return found


async def _fields(tracker: Wrike) -> list[Finding]:
    """Hold the configured fields, and what they are to be set to, against those of the account."""
    settings, names = tracker.settings, tracker.names
    found: list[Finding] = []
    configured = [(f"fields.{name}", name, value) for name, value in settings.fields.items() if name not in NATIVE]
    if settings.severity_field:
        words = [
            (f"severities.{word}", settings.severity_field, value) for word, value in settings.severities.items()
        ]
        configured += words or [("severity_field", settings.severity_field, "{{ bug.severity }}")]
    else:
        found += doctor.unused(tracker, ("severities",), 'name the custom field: severity_field = "..."')
    for subject, name, value in configured:
        id_ = await names.fields.find(name)
        if id_ is None:
            fix = doctor.did_you_mean(name, await names.fields.all()) or "add it: Settings > Custom fields"
            found.append(doctor.warning(subject, f'there is no custom field "{name}": it is left out', fix))
        else:
            found.append(_taken(subject, names.custom[id_], value))
    return found


def _taken(subject: str, field: Mapping[str, Json], value: Json) -> Finding:
    """Return whether a drop-down has the option; other fields take what Wrike can read."""
    settings = field.get("settings") or {}
    options = [str(each) for each in settings.get("values") or ()]
    if not isinstance(value, str) or not doctor.fixed([(subject, value)]):
        return doctor.ok(subject, "is another for each bug")
    if not options or settings.get("allowOtherValues") or value in options:
        return doctor.ok(subject, f'"{value}" can be set')
    fix = doctor.one_of(value, options)
    return doctor.warning(subject, f'"{value}" is no option of {field["title"]}', fix)


def _with_ids(known: Mapping[str, str]) -> list[str]:
    return [*known.keys(), *known.values()]
