"""What a Shortcut workspace has to choose from: states, teams, members, epics, custom fields, each by its name.

https://developer.shortcut.com/api/rest/v3
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from bridge import Directory, Json, Names, NotAllowed, by_name, list_inside
from bridge.doctor import did_you_mean
from bridge.names import match

if TYPE_CHECKING:
    from bridge_plugins.shortcut import Shortcut

NUMBERS = frozenset({"epic_id", "iteration_id", "project_id", "workflow_state_id"})
"""What has numbers as ids; everything else has UUIDs."""
LISTS = frozenset({"follower_ids", "owner_ids"})


class ShortcutNames(Directory):
    """The names that one tracker looks up.

    Attributes:
        by_field: For a field of a story that holds ids, what it chooses from.
        custom_fields: Those that are turned on, by name and by the name they had when Shortcut made them.
    """

    def __init__(self, tracker: Shortcut) -> None:
        self._tracker = tracker
        self._made = partial(Names, clock=tracker.tools.clock)
        self.teams = self._made("team", self._fetch_teams)
        self.states = self._made("state of the workflow", self._fetch_states)
        self.custom_fields = self._made("custom field", self._fetch_custom_fields)
        members = self._made("member", self._fetch_members)
        self.by_field: Mapping[str, Names] = {
            "epic_id": self._made("epic", partial(self._fetch, "/epics")),
            "follower_ids": members,
            "group_id": self.teams,
            "iteration_id": self._made("iteration", partial(self._fetch, "/iterations")),
            "owner_ids": members,
            "project_id": self._made("project", partial(self._fetch, "/projects")),
            "requested_by_id": members,
            "workflow_state_id": self.states,
        }
        self._options: dict[str, Names] = {}

    def options(self, field_id: str) -> Names:
        """Return the values of a custom field."""
        return self._options.setdefault(field_id, self._made("value", partial(self._fetch_options, field_id)))

    async def ids(self, field: str, value: Json) -> tuple[Json, list[str]]:
        """Return what a field holds, with ids for names, and a warning for each name that there is not."""
        names = dict.fromkeys(str(each) for each in (value if isinstance(value, list) else [value]))
        given = [name for name in names if name.isdigit() and field in NUMBERS - {"workflow_state_id"}]
        found, warnings = await self.by_field[field].ids_of([name for name in names if name not in given], field)
        ids = [int(id_) if field in NUMBERS else id_ for id_ in (*given, *found)]
        return ids if field in LISTS else next(iter(ids), None), warnings

    async def first_state(self) -> int:
        """Return the state that new stories get: the configured one, or the first of the workflow.

        Raises:
            NotAllowed: There is no such state, workflow or team: every story would be refused.
        """
        if self._tracker.settings.state:
            return int(await self.states.needed(self._tracker.settings.state, "state"))
        return int((await self.workflow())["default_state_id"])

    async def workflow(self) -> dict[str, Json]:
        """Return the configured workflow, or the team's own, or the workspace's.

        Raises:
            NotAllowed: There is none of the configured name.
        """
        workflows = await self.listing("/workflows")
        name = self._tracker.settings.workflow
        if name:
            known = by_name(workflows, "name")
            found = match(name, known)
            if found is None:
                hint = did_you_mean(name, known)
                told = f'there is no workflow "{name}"' + (f"; {hint}" if hint else "")
                raise NotAllowed(f"{told}: correct `workflow`")
            return next(each for each in workflows if str(each["id"]) == found)
        default = await self._default_workflow()
        return next((each for each in workflows if each["id"] == default), workflows[0])

    async def listing(self, path: str) -> list[dict[str, Json]]:
        """Return a list that Shortcut has.

        Raises:
            TrackerError: The one that fits; also for an answer that is no list.
        """
        return list_inside(await self._tracker.call("GET", path))

    async def _default_workflow(self) -> Json:
        if self._tracker.settings.team:
            team = await self.teams.needed(self._tracker.settings.team, "team")
            groups = {each["id"]: each for each in await self.listing("/groups")}
            own = groups.get(team, {})
            return own.get("default_workflow_id") or next(iter(own.get("workflow_ids") or ()), None)
        return (await self._tracker.member())["workspace2"].get("default_workflow_id")

    async def _fetch(self, path: str) -> Mapping[str, str]:
        return by_name(await self.listing(path), "name")

    async def _fetch_states(self) -> Mapping[str, str]:
        """Those of the workflow by name; those of all others by id only."""
        others = [state for each in await self.listing("/workflows") for state in each["states"]]
        own = by_name((await self.workflow())["states"], "name")
        return {**{str(state["id"]): str(state["id"]) for state in others}, **own}

    async def _fetch_teams(self) -> Mapping[str, str]:
        teams = await self.listing("/groups")
        return by_name([team for team in teams if not team.get("archived")], "name", "mention_name")

    async def _fetch_members(self) -> Mapping[str, str]:
        active = [each for each in await self.listing("/members") if not each.get("disabled")]
        people = [{**each["profile"], "member": each["id"]} for each in active]
        return by_name(people, "mention_name", "email_address", "name", id_key="member")

    async def _fetch_custom_fields(self) -> Mapping[str, str]:
        fields = await self.listing("/custom-fields")
        usable = [
            each for each in fields if each.get("enabled", True) and "bug" in each.get("story_types", ["bug"])
        ]
        return by_name(usable, "canonical_name", "name")

    async def _fetch_options(self, field_id: str) -> Mapping[str, str]:
        fields = await self.listing("/custom-fields")
        values = [value for field in fields if field["id"] == field_id for value in field.get("values") or ()]
        return by_name([value for value in values if value.get("enabled", True)], "value")
