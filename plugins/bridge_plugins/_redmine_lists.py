"""What a Redmine has to choose from: types, priorities, members, custom fields, each by its name.

https://www.redmine.org/projects/redmine/wiki/Rest_api
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bridge import Directory, Json, Names, NotAllowed, by_name, inside, list_inside
from bridge.doctor import did_you_mean

if TYPE_CHECKING:
    from bridge_plugins.redmine import Redmine

PAGE = 100  # the most that Redmine gives at once
IDENTIFIER = re.compile(r"[a-z0-9_-]+")


NATIVE = frozenset(
    {"tracker_id", "status_id", "priority_id", "category_id", "fixed_version_id", "assigned_to_id", "is_private",
     "parent_issue_id", "start_date", "due_date", "done_ratio", "estimated_hours", "watcher_user_ids"}
)  # fmt: skip
"""What an issue has besides custom fields: https://www.redmine.org/projects/redmine/wiki/Rest_Issues."""


class Lists(Directory):
    """The lists that one tracker looks names up in.

    Attributes:
        fields: For a native field that holds an id, what it chooses from.
        custom_fields: The custom fields of issues, as far as the key's user can know them.
    """

    def __init__(self, tracker: Redmine) -> None:
        self._tracker = tracker
        made = partial(Names, clock=tracker.tools.clock)
        self.projects = made("project", self._fetch_projects)
        self.custom_fields = made("custom field", self._fetch_custom_fields)
        statuses = partial(self._fetch, "/issue_statuses.json", "issue_statuses")
        priorities = partial(self._fetch, "/enumerations/issue_priorities.json", "issue_priorities")
        self.fields: Mapping[str, Names] = {
            "tracker_id": made("tracker", partial(self._fetch_of_project, "trackers")),
            "status_id": made("status", statuses),
            "priority_id": made("priority", priorities),
            "category_id": made("category", partial(self._fetch_of_project, "issue_categories")),
            "fixed_version_id": made("version", self._fetch_versions),
            "assigned_to_id": made("member", self._fetch_members),
        }

    async def id_of(self, field: str, value: str) -> str | None:
        """Return the id of `value`, a name or an id already; None where `field` has no such choice."""
        if value.isdigit():
            return value
        return await self.fields[field].find(value) if field in self.fields else None

    async def project(self) -> str:
        """Return the project's identifier or id.

        Raises:
            NotAllowed: No project has the configured name.
        """
        name = self._tracker.settings.project
        if IDENTIFIER.fullmatch(name):
            return name
        found = await self.projects.find(name)
        if found is None:
            hint = did_you_mean(name, await self.projects.all())
            raise NotAllowed(f'there is no project "{name}" for the key\'s user' + (f"; {hint}" if hint else ""))
        return found

    async def similar_project(self) -> str:
        """Return which project may have been meant, as a question; empty when none is near."""
        known = await self.projects.all()
        return did_you_mean(self._tracker.settings.project, [*known, *known.values()])

    async def read_project(self, *include: str) -> Any:
        """Return the project, with `include`."""
        path = await self._path(".json")
        data = await self._tracker.call("GET", path, params={"include": ",".join(include)})
        return inside(data, "project")

    async def pages(
        self, path: str, key: str, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, asking for one page after the other."""
        offset, total = 0, 1
        while offset < total:
            page = {**(query or {}), "limit": str(PAGE), "offset": str(offset)}
            data = await self._tracker.call("GET", path, params=page)
            items = list_inside(data, key)
            for item in items:
                yield item
            offset += len(items)
            total = int(data.get("total_count", 0)) if items else 0

    async def _path(self, end: str) -> str:
        return f"/projects/{quote(await self.project(), safe='')}{end}"

    async def _fetch(self, path: str, key: str) -> Mapping[str, str]:
        return by_name(list_inside(await self._tracker.call("GET", path), key), "name")

    async def _fetch_of_project(self, key: str) -> Mapping[str, str]:
        return by_name((await self.read_project(key)).get(key) or [], "name")

    async def _fetch_projects(self) -> Mapping[str, str]:
        return {item["name"]: item["identifier"] async for item in self.pages("/projects.json", "projects")}

    async def _fetch_versions(self) -> Mapping[str, str]:
        return await self._fetch(await self._path("/versions.json"), "versions")

    async def _fetch_members(self) -> Mapping[str, str]:
        pages = self.pages(await self._path("/memberships.json"), "memberships")
        members = [member async for each in pages if (member := each.get("user") or each.get("group"))]
        return by_name(members, "name")

    async def _fetch_custom_fields(self) -> Mapping[str, str]:
        """All of them are for administrators only; others see those of the project and of its newest issues.

        A new project has no issues: there those of other projects have to tell. A name is one field everywhere.
        """
        described = await self.described_fields()
        if described is not None:
            return by_name(described, "name")
        fields = list((await self.read_project("issue_custom_fields")).get("issue_custom_fields") or [])
        newest = {"status_id": "*", "sort": "id:desc", "limit": "10"}
        for query in ({"project_id": await self.project(), **newest}, newest):
            data = await self._tracker.call("GET", "/issues.json", params=query)
            if issues := list_inside(data, "issues"):
                break
        fields += [field for issue in issues for field in issue.get("custom_fields") or ()]
        return by_name(fields, "name")

    async def described_fields(self) -> list[dict[str, Json]] | None:
        """Return everything about the custom fields of issues; None where the user is no administrator."""
        try:
            data = await self._tracker.call("GET", "/custom_fields.json")
        except NotAllowed:
            return None
        fields = list_inside(data, "custom_fields")
        return [field for field in fields if field.get("customized_type") == "issue"]
