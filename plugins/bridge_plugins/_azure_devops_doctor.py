"""What the doctor looks at in Azure DevOps.

https://learn.microsoft.com/rest/api/azure/devops/wit/work-item-types-field/list,
https://learn.microsoft.com/rest/api/azure/devops/wit/work-items/create (validateOnly)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor
from bridge_plugins._azure_devops_fields import (
    AREA,
    ASSIGNEE,
    ESSENTIAL,
    ITERATION,
    PRIORITY,
    REPRO_STEPS,
    SEVERITY,
    TITLE,
    node,
)

if TYPE_CHECKING:
    from bridge_plugins.azure_devops import AzureDevOps

TOKENS = "User settings > Personal access tokens > New token, scope Work Items: Read & write"
RIGHT = 'let the token\'s user "Edit work items in this node" on the area, with access level Basic'
DEPTH = "20"  # levels of areas and iterations that are looked at


async def findings(tracker: AzureDevOps) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    tracker.directory.types.forget()
    try:
        known = await tracker.directory.types.all()
    except (NotAllowed, Rejected) as refusal:
        yield await _no_project(tracker, refusal)
        return
    yield doctor.ok("credentials", "the token is accepted")
    yield doctor.ok("project", f"{tracker.settings.project} has work items")
    try:
        async for finding in _configuration(tracker, known):
            yield finding
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("rights", str(refusal), RIGHT)


async def _configuration(tracker: AzureDevOps, known: Iterable[str]) -> AsyncIterator[Finding]:
    """Yield what is to be said of the types, and of everything that is configured."""
    said: set[tuple[str, str]] = set()
    for subject, name in doctor.issue_types_of(tracker):
        kind = await tracker.directory.types.find(name)
        if kind is None:
            fix = doctor.one_of(name, sorted(known))
            yield doctor.error(subject, f'there is no work item type "{name}"', fix)
            continue
        async for finding in _type(tracker, subject, kind):
            if (finding.subject, finding.message) not in said:  # said for another type
                said.add((finding.subject, finding.message))
                yield finding
    async for finding in _places(tracker):
        yield finding
    async for finding in _tags(tracker):
        yield finding


async def _no_project(tracker: AzureDevOps, refusal: NotAllowed | Rejected) -> Finding:
    if refusal.status != 404:
        return doctor.error("credentials", str(refusal), f"make a token: {TOKENS}")
    near = await doctor.meant(tracker, "project")
    return doctor.error("project", str(refusal), near or "correct `url` and `project`")


async def _type(tracker: AzureDevOps, subject: str, kind: str) -> AsyncIterator[Finding]:
    """Yield what is to be said of one type: its fields, their values, and whether it would be saved."""
    yield doctor.ok(subject, f'"{kind}" exists')
    fields = await tracker.directory.fields(kind)
    values: dict[str, Json] = {TITLE: "test IO", REPRO_STEPS: "test IO"}
    configured = _configured(tracker)
    for setting, name, value in configured:
        field = await tracker.directory.field(kind, name)
        if field is None:
            for finding in _absent(tracker, setting, name, kind, fields):
                yield finding
            continue
        if doctor.fixed([(setting, value)]):
            for finding in _allowed(setting, value, fields.get(field, {})):
                yield finding
            values.setdefault(name, value)
    given = {await tracker.directory.field(kind, name) for _, name, _ in configured}
    needed = {name: own for name, own in fields.items() if _required(own)}
    for own in (own for name, own in needed.items() if name not in given):
        fix = f'fields = {{ "{own["name"]}" = "..." }}'
        yield doctor.error(f"fields.{own['name']}", f"a {kind} needs a value for it", fix)
    resolved, _ = await tracker.resolved(kind, values)
    if set(needed) <= set(resolved):  # otherwise a template fills what is needed, or it was said that nothing does
        yield await _rehearsed(tracker, kind, resolved)


async def _rehearsed(tracker: AzureDevOps, kind: str, values: Mapping[str, Json]) -> Finding:
    """Let Azure DevOps itself say whether it would save a work item with the configured values."""
    try:
        await tracker.save_nothing(kind, values)
    except Rejected as refusal:
        fix = f"correct {', '.join(refusal.fields) or 'the configuration'}"
        if refusal.fields and not ESSENTIAL & set(refusal.fields):
            return doctor.warning("rehearsal", f"{kind}: what is refused here is left out: {refusal}", fix)
        return doctor.error("rehearsal", f"{kind}: {refusal}", fix)
    except NotAllowed as refusal:
        return doctor.error("rights", str(refusal), RIGHT)
    return doctor.ok("rehearsal", f"a {kind} with the configured values would be saved")


def _configured(tracker: AzureDevOps) -> list[tuple[str, str, str]]:
    """Return setting, field and value of everything that is set besides title, description and tags."""
    settings = tracker.settings
    severities = {**tracker.default_severities, **settings.severities}
    priorities = {**tracker.default_priorities, **settings.priorities}
    found = [
        *((f"fields.{name}", name, str(value)) for name, value in settings.fields.items()),
        *((f"severities.{word}", SEVERITY, value) for word, value in severities.items()),
        *((f"priorities.{word}", PRIORITY, value) for word, value in priorities.items()),
        ("assignee", ASSIGNEE, settings.assignee),
        ("area", AREA, node(settings.area)),
        ("iteration", ITERATION, node(settings.iteration)),
        ("marker_field", settings.marker_field, "testio-bug-1"),
    ]
    return [(setting, name, value) for setting, name, value in found if name and value]


def _absent(
    tracker: AzureDevOps, setting: str, name: str, kind: str, fields: Mapping[str, Mapping[str, Json]]
) -> Iterator[Finding]:
    word = setting.partition(".")[2]
    if name in {SEVERITY, PRIORITY} and word not in getattr(tracker.settings, setting.partition(".")[0]):
        return  # nobody asked for it
    near = doctor.did_you_mean(name, [str(field["name"]) for field in fields.values()])
    lost = "a tag holds the marker" if setting == "marker_field" else "it is left out"
    yield doctor.warning(
        setting, f'{kind} has no field "{name}": {lost}', near or "correct it, or add it to the process"
    )


def _allowed(setting: str, value: str, field: Mapping[str, Json]) -> Iterator[Finding]:
    """Yield whether a field may have a value; who can be assigned is not told here."""
    allowed = [str(each) for each in field.get("allowedValues") or ()]
    if not allowed or field.get("referenceName") == ASSIGNEE:
        return
    absent = f"is no value of {field['name']}: it is left out"
    yield from doctor.compared([(setting, value)], allowed, absent, f"one of {', '.join(allowed[:20])}")


def _required(field: Mapping[str, Json]) -> bool:
    own = not str(field["referenceName"]).startswith("System.")  # those it fills itself
    return own and bool(field.get("alwaysRequired")) and not field.get("defaultValue")


async def _places(tracker: AzureDevOps) -> AsyncIterator[Finding]:
    """Yield for area and iteration whether there is such a path."""
    wanted = [(setting, node(getattr(tracker.settings, setting))) for setting in ("area", "iteration")]
    if not any(path for _, path in wanted):
        return
    found = await tracker.directory.listed("classificationnodes", **{"$depth": DEPTH})
    roots = {root["structureType"]: root for root in found}
    for setting, path in wanted:
        known = list(_paths(roots[setting])) if setting in roots else []
        fix = f"write it like {node(known[-1])}" if known else "correct it"
        for finding in doctor.compared(
            doctor.fixed([(setting, path)]), known, "does not exist: it is left out", fix
        ):
            yield finding


def _paths(root: Mapping[str, Json], above: str = "") -> Iterator[str]:
    path = f"{above}\\{root['name']}" if above else str(root["name"])
    yield path
    for child in root.get("children") or ():
        yield from _paths(child, path)


async def _tags(tracker: AzureDevOps) -> AsyncIterator[Finding]:
    try:
        found = await tracker.directory.listed("tags")
    except (NotAllowed, Rejected):  # servers before 2022 do not list them
        return
    known = [each["name"] for each in found]
    for finding in doctor.labels_compared(doctor.labels_of(tracker), known, "Azure DevOps"):
        yield finding
