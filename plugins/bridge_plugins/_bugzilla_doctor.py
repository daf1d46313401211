"""What the doctor looks at in Bugzilla.

https://bugzilla.readthedocs.io/en/5.2/api/core/v1/product.html, .../field.html, .../user.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bridge import Finding, Json, NotAllowed, Rejected, doctor, inside
from bridge_plugins._bugzilla_lists import CHOICES
from bridge_plugins.bugzilla import NATIVE

if TYPE_CHECKING:
    from bridge_plugins.bugzilla import Bugzilla

FIX = "make a key under Preferences > API Keys, and look at `url` and `auth`"


async def findings(tracker: Bugzilla) -> AsyncIterator[Finding]:
    """Yield everything that is well or wrong. Looks only; stops where nothing further can be known."""
    try:
        server = await tracker.server(anew=True)
        yield doctor.ok("server", f"Bugzilla {server.version}, its API at {server.root}")
        yield await _signed_in(tracker)
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("credentials", str(refusal), FIX)
        return
    try:
        product = await tracker.lists.product()
    except (NotAllowed, Rejected) as refusal:
        yield doctor.error("product", str(refusal), "correct `product`, or let the key's user see it")
        return
    yield await _open(tracker, product)
    for step in (_places(tracker), _values(tracker), _people(tracker), _labels(tracker), _fields(tracker)):
        async for finding in step:
            yield finding
    if not server.stock:
        return
    for finding in doctor.unused(tracker, ("issue_type", "issue_types"), "use `fields` with a custom field"):
        yield finding
    limit = await tracker.largest_file()
    yield doctor.ok("attachments", f"files of up to {limit} KB; larger ones stay links")


async def _signed_in(tracker: Bugzilla) -> Finding:
    """Return who the key's user is; where that cannot be asked (5.0, 5.2) whether the key is good."""
    try:
        user = await tracker.call("GET", "/whoami")
        return doctor.ok("credentials", f"signed in as {user['name']}")
    except Rejected:
        told = inside(await tracker.call("GET", "/parameters"), "parameters")
    if "maxattachmentsize" in told:  # which nobody sees who is not signed in
        return doctor.ok("credentials", "the key is good")
    raise NotAllowed("Bugzilla does not take the key, and treats the bridge as not signed in")


async def _open(tracker: Bugzilla, product: dict[str, Json]) -> Finding:
    name = product["name"]
    if not product.get("is_active", True):
        return doctor.error("product", f"{name} is closed for new bugs", "open it, or name another one")
    if await tracker.lists.products.find(name) is None:
        fix = "let the user's groups file into it: Administration > Products > Edit Group Access Controls"
        return doctor.error("product", f"the key's user may not file bugs into {name}", fix)
    return doctor.ok("product", f"{name} takes bugs")


async def _places(tracker: Bugzilla) -> AsyncIterator[Finding]:
    settings = tracker.settings
    for setting, names in (("component", tracker.lists.components), ("version", tracker.lists.versions)):
        value, known = getattr(settings, setting), await names.all()
        if setting in settings.fields or await names.find(value):
            yield doctor.ok(setting, f'"{value}" exists')
        else:
            fix = doctor.one_of(value, sorted(known))
            yield doctor.error(setting, f'{settings.product} has no active {setting} "{value}"', fix)


async def _values(tracker: Bugzilla) -> AsyncIterator[Finding]:
    settings = tracker.settings
    tables = {
        "severity": ("severities", {**tracker.default_severities, **settings.severities}),
        "priority": ("priorities", {**tracker.default_priorities, **settings.priorities}),
    }
    configured = [
        (field, f"{table}.{word}", value)
        for field, (table, words) in tables.items()
        for word, value in words.items()
    ]
    configured += [("op_sys", "op_sys", settings.op_sys), ("platform", "platform", settings.platform)]
    configured += [
        (name, f"fields.{name}", value)
        for name, value in settings.fields.items()
        if name in CHOICES and isinstance(value, str)
    ]
    for field, subject, value in configured:
        for _, word in doctor.fixed([(subject, value)]):
            yield await _value(tracker, field, subject, word)


async def _value(tracker: Bugzilla, field: str, subject: str, word: str) -> Finding:
    found = await tracker.lists.value(field, word)
    if found is not None and (found.casefold() == word.casefold() or field in {"severity", "priority"}):
        return doctor.ok(subject, f'"{word}" is "{found}" here')
    known = await tracker.lists.values[field].all()
    fix = doctor.one_of(word, known)
    instead = f'"{found}" is taken instead' if found else "it will be left out"
    return doctor.warning(subject, f'there is no {field} "{word}" here: {instead}', fix)


async def _people(tracker: Bugzilla) -> AsyncIterator[Finding]:
    for subject, name in doctor.fixed([("assignee", tracker.settings.assignee)]):
        found = await tracker.lists.person(name)
        if found:
            yield doctor.ok(subject, f"{name} is {found}")
        else:
            fix = "write the login name; the key's user may not be allowed to see everybody"
            yield doctor.warning(subject, f'there is no user "{name}": it will be left out', fix)
    for subject, value in doctor.fixed([("parent", tracker.settings.parent.lstrip("#"))]):
        try:
            await tracker.call("GET", f"/bug/{value}", params={"include_fields": "id"})
            yield doctor.ok(subject, f"new bugs block {value}")
        except (NotAllowed, Rejected) as refusal:
            yield doctor.error(subject, str(refusal), "the number of a bug that the key's user can see")


async def _labels(tracker: Bugzilla) -> AsyncIterator[Finding]:
    for subject, label in doctor.labels_of(tracker):
        keyword = await tracker.lists.keywords.find(label)
        place = f'is the keyword "{keyword}"' if keyword else "is no keyword here: it goes into the whiteboard"
        yield doctor.ok(subject, f'"{label}" {place}')


async def _fields(tracker: Bugzilla) -> AsyncIterator[Finding]:
    given = [(f"fields.{name}", name) for name in tracker.settings.fields if name not in NATIVE]
    described = await tracker.lists.described_fields()
    known = {name for field in described for name in (field["name"], field["display_name"])}
    fix = "make it under Administration > Custom Fields, or write its name: cf_..."
    for finding in doctor.compared(given, known, "is no custom field here: it will be left out", fix):
        yield finding
    filled = {name.casefold() for _, name in given}
    for field in described:
        names = {field["name"].casefold(), field["display_name"].casefold()}
        if field.get("is_mandatory") and field.get("is_on_bug_entry") and not names & filled:
            told = f'"{field["display_name"]}" is mandatory, and nothing fills it: Bugzilla may refuse the bug'
            yield doctor.error("fields", told, f'give it a value: fields = {{ {field["name"]} = "..." }}')
