"""YouTrack's names and ids: projects, their custom fields, tags."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from bridge import Directory, Json, Names, NotAllowed, Rejected, list_inside
from bridge.clock import Clock
from bridge.doctor import did_you_mean
from bridge_plugins._youtrack_fields import FIELDS, ProjectField

PAGE = 100
Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the JSON of the answer."""


def in_query(text: str) -> str:
    """Return a text as one value of YouTrack's search."""
    return "{" + re.sub(r"[{}]", "", text) + "}"


class YouTrackNames(Directory):
    """What one project has, by name. Makes tags that are missing.

    Args:
        project: Short name, name or id of the project.
        call: Sends a request.
        clock: The time.
    """

    def __init__(self, project: str, call: Call, clock: Clock) -> None:
        self._project, self._call = project, call
        self.projects = Names("project", self._projects, clock)
        self.tags = Names("tag", self._tags, clock)
        self.fields = Names("field", self._fields, clock)
        self._by_id: dict[str, dict[str, Json]] = {}  # projects
        self._by_name: dict[str, ProjectField] = {}

    async def project(self) -> dict[str, Json]:
        """Return the project.

        Raises:
            NotAllowed: There is none, or the token's user does not see it.
        """
        name = self._project
        found = await self.projects.find(name)
        if found is None:
            hint = did_you_mean(name, await self.projects.all()) or "correct `project`, or let the user see it"
            raise NotAllowed(f'there is no project "{name}", or the token\'s user does not see it; {hint}')
        return self._by_id[found]

    async def field(self, name: str) -> ProjectField | None:
        """Return a custom field of the project, None where there is none of this name."""
        found = await self.fields.find(name)
        return self._by_name[found] if found is not None else None

    async def listing(self, path: str, fields: str, **query: str) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, asking for one page after the other."""
        for skip in itertools.count(0, PAGE):
            page = {**query, "fields": fields, "$top": str(PAGE), "$skip": str(skip)}
            items = list_inside(await self._call("GET", path, params=page))
            for item in items:
                yield item
            if len(items) < PAGE:
                return

    async def tag(self, name: str) -> str:
        """Return the id of a tag; one that does not exist is made, seen by the token's user only."""
        return await self.tags.find_or_make(name, self._make_tag)

    async def _make_tag(self, name: str) -> str:
        data = await self._call("POST", "/tags", params={"fields": "id,name"}, json={"name": name})
        return str(data["id"])

    async def _projects(self) -> Mapping[str, str]:
        found = [item async for item in self.listing("/admin/projects", "id,name,shortName,archived")]
        self._by_id = {project["id"]: project for project in found}
        return {project[name]: project["id"] for name in ("name", "shortName") for project in found}

    async def _tags(self) -> Mapping[str, str]:
        return {tag["name"]: tag["id"] async for tag in self.listing("/tags", "id,name")}

    async def _fields(self) -> Mapping[str, str]:
        """Return the project's custom fields; where its settings may not be seen, those of its newest issue."""
        project = await self.project()
        try:
            found = [item async for item in self.listing(f"/admin/projects/{project['id']}/customFields", FIELDS)]
        except (NotAllowed, Rejected):
            query = {"query": f"project: {in_query(project['shortName'])}", "$top": "1"}
            asked = {**query, "fields": "id,customFields(projectCustomField(field(name,fieldType(id))))"}
            issues = await self._call("GET", "/issues", params=asked)
            found = [own["projectCustomField"] for issue in issues for own in issue["customFields"]]
        self._by_name = {item["field"]["name"]: ProjectField.of(item) for item in found}
        return {name: name for name in self._by_name}
