"""Zoho Projects' names and ids: portals, projects, people, and the values of a bug's lists.

The lists of values are in the older API only, with the same ids:
https://www.zoho.com/projects/help/rest-api/bugs-api.html#alink13
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from html import unescape
from typing import Any

from bridge import Directory, Json, Names, by_name
from bridge.clock import Clock

Call = Callable[..., Awaitable[Json]]
"""Sends a request, returns the JSON of the answer."""

LISTS = {
    "severity": "severity_details",
    "classification": "classification_details",
    "module": "module_details",
    "status": "status_details",
    "is_it_reproducible": "priority_details",
    "release_milestone": "milestone_details",
    "affected_milestone": "milestone_details",
}
"""Fields that hold an id, and where its values are listed."""


class ZohoProjectsNames(Directory):
    """What one project has, by name.

    Args:
        portal: Name or id of the portal.
        project: Name or id of the project.
        call: Sends a request.
        clock: The time.
    """

    def __init__(self, portal: str, project: str, call: Call, clock: Clock) -> None:
        self._portal, self._project, self._call = portal, project, call
        self.portals = Names("portal", self._portals, clock)
        self.projects = Names("project", self._projects, clock)
        self.people = Names("member of the project", self._people, clock)
        self.values = {field: self._names_of(field, clock) for field in LISTS}

    async def portal(self) -> str:
        """Return the portal's number."""
        return await self.portals.needed(self._portal, "portal")

    async def portal_name(self) -> str:
        """Return what the portal is called in addresses."""
        number = await self.portal()
        return next((name for name, id_ in (await self.portals.all()).items() if id_ == number), number)

    async def project(self) -> str:
        """Return the project's id."""
        return await self.projects.needed(self._project, "project")

    async def path(self) -> str:
        """Return the path of the project, the same in both APIs but for their prefix."""
        return f"/portal/{await self.portal()}/projects/{await self.project()}"

    def _names_of(self, field: str, clock: Clock) -> Names:
        async def fetch() -> Mapping[str, str]:
            data = await self._call("GET", f"/restapi{await self.path()}/bugs/defaultfields/")
            found = data.get("defaultfields") if isinstance(data, dict) else None
            listed = (found or {}).get(LISTS[field]) or []
            return named(listed)

        return Names(field.replace("_", " "), fetch, clock)

    async def _portals(self) -> Mapping[str, str]:
        return named(items(await self._call("GET", "/api/v3/portals"), "portals"))

    async def _projects(self) -> Mapping[str, str]:
        return named(await self._pages(f"/api/v3/portal/{await self.portal()}/projects", "projects"))

    async def _people(self) -> Mapping[str, str]:
        found = await self._pages(f"/api/v3{await self.path()}/users", "users")
        return by_name(found, "email", "full_name", "name", id_key="zpuid")

    async def _pages(self, path: str, key: str) -> list[dict[str, Json]]:
        found: list[dict[str, Json]] = []
        page = 1
        while True:
            data = await self._call("GET", path, params={"page": str(page), "per_page": "100"})
            found += items(data, key)
            if not has_more(data):
                return found
            page += 1


def items(data: Json, key: str) -> list[dict[str, Json]]:
    """Return the items of a list, which comes bare or under `key`; an empty one comes as nothing at all."""
    found = data.get(key) if isinstance(data, dict) else data
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def has_more(data: Json) -> bool:
    """Whether a page is not the last one."""
    about = data.get("page_info") if isinstance(data, dict) else None
    about = about[0] if isinstance(about, list) and about else about
    return isinstance(about, dict) and about.get("has_next_page") in {True, "true"}


def named(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return ids by names, whatever a list calls them: `id` and `name`, `severity_id` and `severity_name`, ..."""
    known: dict[str, str] = {}
    for each in found:
        id_ = next((value for key, value in each.items() if key == "id" or key.endswith("_id")), None)
        name = next((value for key, value in each.items() if key == "name" or key.endswith("_name")), None)
        if id_ and name:
            known.setdefault(unescape(str(name)), str(id_))
    return known
