"""Linear's names and ids: teams, people, projects, states, labels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bridge import Directory, Issue, Json, Names, NotAllowed, Purpose, Rejected, by_name, inside, list_inside
from bridge.clock import Clock
from bridge.doctor import did_you_mean
from bridge.labels import merged
from bridge_plugins import _linear_api as api

Ask = Callable[..., Awaitable[Json]]
"""Sends a document with its variables, returns the `data`."""


def label_of(data: Mapping[str, Any]) -> str:
    """Return a label's name with its group in front, as `Severity:High`: of a group only one fits on an issue."""
    return f"{data['parent']['name']}:{data['name']}" if data.get("parent") else str(data["name"])


class LinearNames(Directory):
    """What one team has, by name. Makes labels that are missing.

    Args:
        team: Key, name or id of the team.
        ask: Sends a document.
        clock: The time.
    """

    def __init__(self, team: str, ask: Ask, clock: Clock) -> None:
        self._team, self._ask = team, ask
        self.teams = Names("team", self._teams, clock)
        self.people = Names("user", self._people, clock)
        self.projects = Names("project", self._projects, clock)
        self.states = Names("state", self._states, clock)
        self.labels = Names("label", self._labels, clock)
        self._in_full: dict[str, str] = {}  # names of labels, group included, by id
        self._grouped: set[str] = set()  # ids of labels in a group

    async def team(self) -> str:
        """Return the team's id.

        Raises:
            NotAllowed: There is none, or the key does not see it.
        """
        name = self._team
        found = await self.teams.find(name)
        if found is None:
            hint = did_you_mean(name, await self.teams.all()) or "correct `team`, or let the key's user see it"
            raise NotAllowed(f'there is no team "{name}", or the key does not see it; {hint}')
        return found

    async def label_ids(self, names: list[str]) -> tuple[list[str], list[str]]:
        """Return the labels' ids, made where missing, and a warning for each label that is left out."""
        chosen: dict[str, str] = {}
        warnings = list[str]()
        for name in names:
            try:
                found = await self.labels.find_or_make(name, self._make_label)
            except (Rejected, NotAllowed) as refusal:
                warnings.append(f'label "{name}" does not exist and cannot be made: {refusal.message}')
                continue
            group = self._in_full[found].rpartition(":")[0] if found in self._grouped else found
            if chosen.setdefault(group, found) != found:
                warnings.append(f'label "{name}" is left out: an issue can have one of the group "{group}"')
        return list(chosen.values()), warnings

    async def label_changes(self, issue: Issue, ours: list[str]) -> dict[str, Json]:
        """Return what to add and remove so that ours are set, and those that people added stay."""
        data = await self._ask(api.GET_LABELS, purpose=Purpose.ISSUE, id=issue.id)
        existing = {label["id"]: label_of(label) for label in data["issue"]["labels"]["nodes"]}
        kept = set(merged(existing.values(), [self._in_full.get(label, "") for label in ours]))
        removed = [label for label, name in existing.items() if label not in ours and name not in kept]
        return {"addedLabelIds": ours} | ({"removedLabelIds": removed} if removed else {})

    async def _make_label(self, name: str) -> str:
        data = await self._ask(api.LABEL, input={"name": name, "teamId": await self.team()})
        made: str = data["issueLabelCreate"]["issueLabel"]["id"]
        self._in_full[made] = name
        return made

    async def _nodes(self, document: str, *path: str, **variables: Json) -> list[dict[str, Json]]:
        """Return all nodes of the list that `path` leads to, page by page."""
        found: list[dict[str, Json]] = []
        after: str | None = None
        while True:
            data = await self._ask(document, **variables, **({"after": after} if after else {}))
            found += list_inside(data, *path, "nodes")
            page = inside(data, *path).get("pageInfo") or {}
            after = page.get("endCursor")
            if not page.get("hasNextPage") or not after:
                return found

    async def _teams(self) -> Mapping[str, str]:
        return by_name(await self._nodes(api.TEAMS, "teams"), "key", "name")

    async def _people(self) -> Mapping[str, str]:
        people = [user for user in await self._nodes(api.USERS, "users") if user["active"]]
        return by_name(people, "email", "displayName", "name")

    async def _projects(self) -> Mapping[str, str]:
        return by_name(await self._nodes(api.PROJECTS, "team", "projects", team=await self.team()), "name")

    async def _states(self) -> Mapping[str, str]:
        return by_name(await self._nodes(api.STATES, "team", "states", team=await self.team()), "name")

    async def _labels(self) -> Mapping[str, str]:
        """Return the labels that can be set, those in a group also as `Group:Label` and `Group/Label`."""
        labels = await self._nodes(api.LABELS, "issueLabels", team=await self.team())
        usable = [label for label in labels if not label["isGroup"] and not label["retiredAt"]]
        self._in_full = {label["id"]: label_of(label) for label in usable}
        self._grouped = {label["id"] for label in usable if label["parent"]}
        full = {name: id_ for id_, name in self._in_full.items()}
        alike = {name.replace(":", "/"): id_ for name, id_ in full.items() if id_ in self._grouped}
        return alike | full | {label["name"]: label["id"] for label in usable}
