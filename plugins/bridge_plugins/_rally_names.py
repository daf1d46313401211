"""Rally's names and references: workspaces, projects, tags, people, fields, stories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bridge import Directory, Json, Names, NotAllowed, Purpose, Rejected, inside
from bridge.clock import Clock
from bridge_plugins._rally_answers import condition, made, number, reference

Call = Callable[..., Awaitable[Json]]
"""Sends a request: `HttpTracker.call`."""

PAGE = 2000  # the most that Rally gives at once
LOOK_UPS = {
    "Requirement": ("hierarchicalrequirement", "FormattedID"),
    "Parent": ("hierarchicalrequirement", "FormattedID"),
    "Iteration": ("iteration", "Name"),
    "Release": ("release", "Name"),
}
REFERENCES = {"Owner", *LOOK_UPS}
"""Fields that hold a reference, and can be given a name."""


class RallyNames(Directory):
    """What one project and its workspace have, by name. Makes tags that are missing.

    Args:
        workspace: Its name or id; empty for the one that Rally takes by itself.
        project: Its name or id.
        artifact: The type of issues.
        call: Sends a request.
        clock: The time.
    """

    def __init__(self, workspace: str, project: str, artifact: str, call: Call, clock: Clock) -> None:
        self._workspace, self._project, self._artifact, self._call = workspace, project, artifact, call
        self.workspaces = Names("workspace that the key sees", self._workspaces, clock)
        self.projects = Names("open project that the key sees", self._projects, clock)
        self.tags = Names("tag", self._tags, clock)
        self.people = Names("user", self._people, clock)
        self.attributes = Names("field", self._field_names, clock)

    async def listing(
        self, path: str, query: Mapping[str, str], purpose: Purpose = Purpose.LOOK
    ) -> list[dict[str, Json]]:
        """Return all results of a query, page by page."""
        found = list[dict[str, Json]]()
        while True:
            params = {**query, "pagesize": str(PAGE), "start": str(len(found) + 1)}
            told = inside(await self._call("GET", path, purpose=purpose, params=params), "QueryResult")
            results = told.get("Results") or []
            found += results
            if not results or len(found) >= int(told.get("TotalResultCount") or 0):
                return found

    async def scope(self) -> dict[str, str]:
        """Return the parameter that names the workspace."""
        name = self._workspace
        if not name:
            return {}
        id_ = name if name.isdecimal() else await self.workspaces.needed(name, "workspace")
        return {"workspace": f"/workspace/{id_}"}

    async def project(self) -> str:
        """Return the project's reference.

        Raises:
            NotAllowed: There is no open project of this name.
        """
        name = self._project
        return f"/project/{name if name.isdecimal() else await self.projects.needed(name, 'project')}"

    async def in_project(self) -> dict[str, str]:
        """Return the parameters that let a query look into the project and those under it."""
        scope = {**await self.scope(), "project": await self.project()}
        return {**scope, "projectScopeUp": "false", "projectScopeDown": "true"}

    async def fields(self) -> list[dict[str, Json]]:
        """Return every field that an issue has."""
        query = {"query": condition("ElementName", self._artifact), "fetch": "Attributes", **await self.scope()}
        types = await self.listing("/typedefinition", query)
        if not types:
            return []
        fetch = "ElementName,Name,Required,ReadOnly,AllowedValues"
        return await self.listing(f"{reference(types[0]['_ref'])}/Attributes", {"fetch": fetch})

    async def field(self, name: str) -> str:
        """Return a field as the API calls it, given what people call it; what Rally does not know as it is."""
        return await self.attributes.find(name) or name

    async def tag(self, name: str, warnings: list[str]) -> str | None:
        """Return the reference of a tag, made where it is missing; None with a warning where it cannot be."""
        try:
            return await self.tags.find_or_make(name, self._make_tag)
        except (NotAllowed, Rejected) as refusal:
            warnings.append(f'the tag "{name}" does not exist and cannot be made: {refusal}')
            return None

    async def reference(self, field: str, name: str) -> str | None:
        """Return the reference that one of the fields `REFERENCES` is to hold, None where there is none."""
        if field == "Owner":
            return await self.people.find(name)
        kind, key = LOOK_UPS[field]
        query = {"query": condition(key, name), "fetch": "ObjectID", **await self.in_project()}
        found = await self.listing(f"/{kind}", query)
        return reference(found[0]["_ref"]) if found else None

    async def _make_tag(self, name: str) -> str:
        sent = {"Tag": {"Name": name}}
        return made(await self._call("POST", "/tag/create", params=await self.scope(), json=sent))

    async def _workspaces(self) -> Mapping[str, str]:
        return {each["Name"]: number(each["_ref"]) for each in await self.listing("/workspace", {"fetch": "Name"})}

    async def _projects(self) -> Mapping[str, str]:
        query = {"query": condition("State", "Open"), "fetch": "Name", **await self.scope()}
        return {each["Name"]: number(each["_ref"]) for each in await self.listing("/project", query)}

    async def _tags(self) -> Mapping[str, str]:
        query = {"query": condition("Archived", "false"), "fetch": "Name", **await self.scope()}
        return {each["Name"]: reference(each["_ref"]) for each in await self.listing("/tag", query)}

    async def _people(self) -> Mapping[str, str]:
        keys = ("DisplayName", "UserName", "EmailAddress")
        query = {"query": condition("Disabled", "false"), "fetch": ",".join(keys), **await self.scope()}
        people = await self.listing("/user", query)
        return {each[key]: reference(each["_ref"]) for key in keys for each in people if each.get(key)}

    async def _field_names(self) -> Mapping[str, str]:
        fields = await self.fields()
        return {each[key]: each["ElementName"] for key in ("Name", "ElementName") for each in fields}
