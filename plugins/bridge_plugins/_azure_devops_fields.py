"""What work items of a project have: their types, the fields of each, and how values go into them.

https://learn.microsoft.com/rest/api/azure/devops/wit/work-item-types-field/list
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from urllib.parse import quote

from bridge import Directory, Json, Names, by_name, list_inside
from bridge.clock import Clock
from bridge.labels import shortened
from bridge.names import match

TITLE, DESCRIPTION, REPRO_STEPS = "System.Title", "System.Description", "Microsoft.VSTS.TCM.ReproSteps"
SEVERITY, PRIORITY = "Microsoft.VSTS.Common.Severity", "Microsoft.VSTS.Common.Priority"
TAGS, ASSIGNEE, HISTORY = "System.Tags", "System.AssignedTo", "System.History"
AREA, ITERATION = "System.AreaPath", "System.IterationPath"
ESSENTIAL = {TITLE, DESCRIPTION, REPRO_STEPS, TAGS}
"""Fields without which an issue is not made."""
TAG_LIMIT = 400  # characters

Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the JSON of the answer."""
_REFERENCE = re.compile(r"\b(?:System|Microsoft\.VSTS|Custom)(?:\.\w+)+")


class ProjectNames(Directory):
    """A project's types, and the fields that each has, looked at in the last ten minutes.

    Args:
        path: Of the project's work items.
        call: Sends a request.
        clock: The time.
    """

    def __init__(self, path: str, call: Call, clock: Clock) -> None:
        self._path, self._call, self._clock = path, call, clock
        self.types = Names("work item type", self._types, clock)
        self.everywhere = Names("field", self._everywhere, clock)
        self._names: dict[str, Names] = {}
        self._fields: dict[str, dict[str, dict[str, Json]]] = {}

    async def fields(self, kind: str) -> Mapping[str, dict[str, Json]]:
        """Return the descriptions of a type's fields by reference name."""
        await self._names_of(kind).all()
        return self._fields[kind]

    async def field(self, kind: str, name: str) -> str | None:
        """Return the reference name of a type's field, None where it has no such field."""
        if name.startswith("System."):  # every type has these, and not every list tells
            return name
        found = await self._names_of(kind).find(name)
        return DESCRIPTION if found is None and name == REPRO_STEPS else found

    async def resolved(self, kind: str, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return values by reference name as a type wants them, and the names of fields that it does not have."""
        values: dict[str, Json] = {}
        absent: list[str] = []
        for name, value in named.items():
            field = await self.field(kind, name)
            if field is None:
                absent.append(name)
            else:
                values[field] = canonical(value, (await self.fields(kind)).get(field, {}))
        return values, absent

    async def listed(self, path: str, **query: str) -> list[dict[str, Json]]:
        """Return the values of a list.

        Raises:
            TrackerError: The answer is none.
        """
        return list_inside(await self._call("GET", f"{self._path}/{path}", params=query), "value")

    async def _types(self) -> Mapping[str, str]:
        found = await self.listed("workitemtypes")
        return by_name((each for each in found if not each.get("isDisabled")), "name", id_key="name")

    async def _everywhere(self) -> Mapping[str, str]:
        return by_name(await self.listed("fields"), "referenceName", "name", id_key="referenceName")

    def _names_of(self, kind: str) -> Names:
        if kind not in self._names:
            self._names[kind] = Names("field", partial(self._fields_of, kind), self._clock)
        return self._names[kind]

    async def _fields_of(self, kind: str) -> Mapping[str, str]:
        path = f"workitemtypes/{quote(kind, safe='')}/fields"
        found = await self.listed(path, **{"$expand": "allowedValues"})
        self._fields[kind] = {each["referenceName"]: each for each in found}
        return by_name(found, "referenceName", "name", id_key="referenceName")


def tags(labels: Iterable[str]) -> str:
    """Return labels as the one text that tags are: a tag has no comma or semicolon in it."""
    return "; ".join(shortened((re.sub(r"[,;]", " ", label).lstrip("@ ") for label in labels), TAG_LIMIT))


def split(text: Json) -> list[str]:
    """Return the tags in the one text that they are."""
    return [tag.strip() for tag in str(text or "").split(";") if tag.strip()]


def document(values: Mapping[str, Json], relations: Iterable[Json] = ()) -> list[Json]:
    """Return the JSON Patch that sets fields and adds relations."""
    fields = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in values.items()]
    return [*fields, *({"op": "add", "path": "/relations/-", "value": relation} for relation in relations)]


def refused_fields(data: Mapping[str, Json]) -> dict[str, str]:
    """Return what a refusal says of single fields, by their reference names."""
    own, message = data.get("customProperties") or {}, str(data.get("message", ""))
    found = {
        str(each.get("fieldReferenceName")): str(each.get("errorMessage") or message)
        for each in own.get("RuleValidationErrors") or ()
    }
    single = own.get("FieldReferenceName") or own.get("ReferenceName")
    if not found and not single and (named := _REFERENCE.search(message)):
        single = named[0]
    return found or ({str(single): message} if single else {})


def canonical(value: Json, field: Mapping[str, Json]) -> Json:
    """Return a value as it is spelt among those that a field may have; any other one as it is."""
    allowed = {str(each): each for each in field.get("allowedValues") or ()}
    found = match(value, allowed) if isinstance(value, str) else None
    return value if found is None else found


def node(path: str) -> str:
    r"""Return an area or iteration path as Azure DevOps writes it: `Webshop\Checkout`."""
    return path.strip("/\\").replace("/", "\\")
