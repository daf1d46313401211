"""Shortcut as far as the bridge talks to it: one workspace with two workflows, its stories, labels and files."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

TOKEN = "5f1b6c1e-1234-4abc-8def-0123456789ab"
PREFIX = "/api/v3"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
MOMENT = "2026-01-05T09:00:00Z"
STATES = {"Inbox": (500, "backlog"), "Ready": (501, "unstarted"), "Done": (502, "done")}
MOBILE = {"Triage": (600, "unstarted"), "Shipped": (601, "done")}
MEMBERS = {"Alice Able": "alice", "Bob Baker": "bob"}
SLIM: dict[str, Any] = {
    "archived": False, "started": False, "story_links": [], "entity_type": "story", "labels": [], "task_ids": [],
    "mention_ids": [], "member_mention_ids": [], "group_mention_ids": [], "file_ids": [], "num_tasks_completed": 0,
    "workflow_id": 50, "completed_at_override": None, "started_at": None, "completed_at": None, "global_id": "g",
    "completed": False, "blocker": False, "blocked": False, "epic_id": None, "story_template_id": None,
    "external_links": [], "previous_iteration_ids": [], "iteration_id": None, "label_ids": [],
    "started_at_override": None, "group_id": None, "updated_at": MOMENT, "follower_ids": [], "owner_ids": [],
    "external_id": None, "estimate": None, "position": 1, "project_id": None, "linked_file_ids": [],
    "deadline": None, "stats": {"num_related_documents": 0}, "comment_ids": [], "created_at": MOMENT,
    "moved_at": None, "story_type": "feature", "custom_fields": [],
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "linked_files": [], "comments": [], "branches": [], "tasks": [], "pull_requests": [], "commits": [], "files": [],
    "description": "",
}  # fmt: skip
ONLY_SLIM = ("task_ids", "file_ids", "num_tasks_completed", "linked_file_ids", "comment_ids")
EPIC: dict[str, Any] = {
    "archived": False, "started": False, "entity_type": "epic", "labels": [], "mention_ids": [],
    "member_mention_ids": [], "associated_groups": [], "project_ids": [], "stories_without_projects": 0,
    "completed_at_override": None, "productboard_plugin_id": None, "started_at": None, "completed_at": None,
    "objective_ids": [], "global_id": "g", "completed": False, "productboard_url": None, "planned_start_date": None,
    "state": "to do", "milestone_id": None, "epic_state_id": 1, "label_ids": [], "started_at_override": None,
    "group_id": None, "updated_at": MOMENT, "group_mention_ids": [], "productboard_id": None, "follower_ids": [],
    "group_ids": [], "owner_ids": [], "external_id": None, "position": 1, "productboard_name": None,
    "deadline": None, "created_at": MOMENT,
}  # fmt: skip


def uuid(name: str) -> str:
    """Return the id of what has a name here."""
    return str(uuid5(NAMESPACE_URL, name))


@cache
def described() -> Description | None:
    """Return the vendor's description."""
    return Description.load("shortcut.json", relax=mended)


def mended(place: str, schema: Any) -> Any:
    """Return a schema of the description; statistics of epics are a page long, and of no interest."""
    if place == "#/definitions/EpicSlim":
        return schema | {"required": [name for name in schema["required"] if name != "stats"]}
    return schema


class ShortcutServer(FakeServer):
    """One workspace.

    Attributes:
        role: Of the token's member.
        enabled: Whether the custom field "priority" is turned on.
        comments: Texts, by story.
    """

    def __init__(self) -> None:
        super().__init__()
        self.role = "member"
        self.enabled = True
        self.stories: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[str]] = {}

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/stories")

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for each in self.stories.values() if (found := MARKER.search(each["description"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        if (description := described()) and reply.status not in {401, 404}:
            assert not (problems := description.check(request, reply)), problems

    def complete_story(self, number: int) -> None:
        """Let a person finish a story."""
        with self.lock:
            self.stories[number] |= {"workflow_state_id": STATES["Done"][0], "completed": True}

    def respond(self, request: Request) -> Reply:
        if request.headers.get("shortcut-token") != TOKEN:
            return Reply(401, json={"message": "Unauthorized"})
        path = request.path.removeprefix(f"{PREFIX}/").split("/")
        match request.method, path:
            case "POST", ["stories"]:
                return self._create(request.json)
            case "POST", ["stories", "search"]:
                wanted = request.json["external_id"]
                found = [self._slim(each) for each in self.stories.values() if each["external_id"] == wanted]
                return Reply(201, json=found)
            case "POST", ["files"]:
                return self._upload(request)
            case _, ["stories", number, *more]:
                return self._story(request, int(number), more)
            case "GET", [name]:
                lists = self._lists()
                return Reply(json=lists[name]) if name in lists else Reply(404, json={"message": "Not found"})
        return Reply(404, json={"message": "Resource not found."})

    def _create(self, asked: dict[str, Any]) -> Reply:
        if problem := self._refused(asked):
            return problem
        if ("workflow_state_id" in asked) == ("project_id" in asked):
            return Reply(422, json={"message": "exactly one of workflow_state_id and project_id is needed"})
        number = len(self.stories) + 430
        url = f"https://app.shortcut.com/acme/story/{number}"
        own = {"id": number, "app_url": url, "requested_by_id": uuid("bridge"), "workflow_state_id": 500}
        self.stories[number] = SLIM | WHOLE | own | self._taken(asked)
        self.comments[number] = []
        return Reply(201, json=self._shown(self.stories[number]))

    def _refused(self, asked: dict[str, Any]) -> Reply | None:
        states = {number for number, _ in (*STATES.values(), *MOBILE.values())}
        if asked.get("workflow_state_id", 500) not in states:
            return Reply(422, json={"message": "The workflow state does not exist."})
        if len(asked.get("name", "x")) > 512 or len(asked.get("description", "")) > 100_000:
            errors = {"name": "should be at most 512 characters"}
            return Reply(
                400, json={"message": "The request included invalid or missing parameters.", "errors": errors}
            )
        return None

    def _taken(self, asked: dict[str, Any]) -> dict[str, Any]:
        taken = dict(asked)
        if "labels" in taken:
            taken["labels"] = [_label(label["name"]) for label in taken["labels"]]
        if "custom_fields" in taken:
            taken["custom_fields"] = [{**each, "value": "some"} for each in taken["custom_fields"]]
        return taken

    def _story(self, request: Request, number: int, more: list[str]) -> Reply:
        if number not in self.stories:
            return Reply(404, json={"message": "Resource not found."})
        story = self.stories[number]
        match request.method, more:
            case "GET", []:
                return Reply(json=self._shown(story))
            case "PUT", []:
                if problem := self._refused(request.json):
                    return problem
                story |= self._taken(request.json)
                return Reply(json=self._shown(story))
            case "POST", ["comments"]:
                self.comments[number].append(request.json["text"])
                return Reply(201, json=_comment(number, len(self.comments[number]), request.json["text"]))
        return Reply(404, json={"message": "Resource not found."})

    def _upload(self, request: Request) -> Reply:
        (file,) = request.files
        story = self.stories.get(int(request.form["story_id"]))
        if story is None:
            return Reply(422, json={"message": "The story does not exist."})
        entry = {
            "description": None, "entity_type": "file", "story_ids": [story["id"]], "mention_ids": [],
            "member_mention_ids": [], "group_mention_ids": [], "name": file.name, "filename": file.name,
            "thumbnail_url": None, "size": len(file.content), "uploader_id": uuid("bridge"),
            "content_type": file.type, "updated_at": MOMENT, "external_id": None, "url": None, "created_at": MOMENT,
            "id": 900 + len(story["files"]),
        }  # fmt: skip
        story["files"] = [*story["files"], entry]
        return Reply(201, json=[entry])

    def _shown(self, story: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in story.items() if name not in ONLY_SLIM}

    def _slim(self, story: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in story.items() if name not in WHOLE}

    def _lists(self) -> dict[str, Any]:
        return {
            "member": self._member(),
            "members": [_member(name, mention) for name, mention in MEMBERS.items()],
            "workflows": [_workflow(50, "Engineering", STATES), _workflow(60, "Mobile", MOBILE)],
            "groups": [_group("Webshop", 50), _group("Apps", 60)],
            "labels": [_label("test-io") | {"stats": _numbers()}],
            "epics": [
                EPIC | {"id": 70, "name": "Crowd findings", "app_url": "https://e", "requested_by_id": uuid("bob")}
            ],
            "custom-fields": self._custom_fields(),
        }

    def _member(self) -> dict[str, Any]:
        workspace = {
            "id": uuid("acme"), "created_at": MOMENT, "default_workflow_id": 50, "estimate_scale": [1, 2],
            "name": "Acme", "url_slug": "acme", "utc_offset": "+00:00",
        }  # fmt: skip
        own = {
            "id": uuid("bridge"),
            "is_owner": False,
            "mention_name": "bridge",
            "name": "Bridge",
            "role": self.role,
        }
        return {**own, "workspace2": workspace, "organization2": {"id": uuid("org")}}

    def _custom_fields(self) -> list[dict[str, Any]]:
        """One that people renamed, one of their own, one that is for features only."""
        urgency = _custom("Urgency", ["Highest", "High", "Low"]) | {"canonical_name": "priority"}
        return [
            urgency | {"enabled": self.enabled},
            _custom("Browser", ["Safari", "Firefox"]),
            _custom("Appetite", ["Small"]) | {"story_types": ["feature"]},
        ]


def _label(name: str) -> dict[str, Any]:
    empty = {"description": None, "archived": False, "color": None, "external_id": None}
    about = {"app_url": "https://l", "entity_type": "label", "global_id": "g", "id": 80 + len(name)}
    return {"name": name, **empty, **about, "updated_at": MOMENT, "created_at": MOMENT}


def _numbers() -> dict[str, int]:
    names = (
        "num_epics", "num_epics_completed", "num_epics_in_progress", "num_epics_total", "num_epics_unstarted",
        "num_points_backlog", "num_points_completed", "num_points_in_progress", "num_points_total",
        "num_points_unstarted", "num_related_documents", "num_stories_backlog", "num_stories_completed",
        "num_stories_in_progress", "num_stories_total", "num_stories_unestimated", "num_stories_unstarted",
    )  # fmt: skip
    return dict.fromkeys(names, 0)


def _member(name: str, mention: str) -> dict[str, Any]:
    profile = {
        "entity_type": "profile", "deactivated": False, "mention_name": mention, "name": name, "gravatar_hash": None,
        "id": uuid(f"profile of {name}"), "display_icon": None, "is_owner": False,
        "email_address": f"{mention}@acme.example",
    }  # fmt: skip
    about = {"role": "member", "entity_type": "member", "disabled": False, "global_id": "g", "state": "full"}
    times = {"updated_at": MOMENT, "created_at": MOMENT, "created_without_invite": False}
    return {"id": uuid(name), "profile": profile, "group_ids": [], **about, **times}


def _workflow(number: int, name: str, states: dict[str, tuple[int, str]]) -> dict[str, Any]:
    own = {
        "description": "", "entity_type": "workflow", "project_ids": [], "updated_at": MOMENT, "created_at": MOMENT,
        "auto_assign_owner": False, "team_id": 1, "default_state_id": next(iter(states.values()))[0],
    }  # fmt: skip
    return {"id": number, "name": name, **own, "states": [_state(name, *state) for name, state in states.items()]}


def _state(name: str, number: int, kind: str) -> dict[str, Any]:
    about = {"description": "", "entity_type": "workflow-state", "verb": None, "global_id": "g", "position": 1}
    times = {"updated_at": MOMENT, "created_at": MOMENT, "num_stories": 0, "num_story_templates": 0}
    return {"id": number, "name": name, "type": kind, **about, **times}


def _group(name: str, workflow: int) -> dict[str, Any]:
    counts = dict.fromkeys(("num_stories_started", "num_stories", "num_epics_started", "num_stories_backlog"), 0)
    about = {
        "app_url": "https://g",
        "description": "",
        "archived": False,
        "entity_type": "group",
        "global_id": "g",
    }
    looks = {"color": None, "color_key": "blue", "display_icon": None, "mention_name": f"team-{name.lower()}"}
    flows = {"default_workflow_id": workflow, "workflow_ids": [workflow], "member_ids": []}
    times = {"updated_at": MOMENT, "created_at": MOMENT}
    return {"id": uuid(name), "name": name, **counts, **about, **looks, **flows, **times}


def _custom(name: str, values: list[str]) -> dict[str, Any]:
    about = {"entity_type": "custom-field", "field_type": "enum", "position": 1, "enabled": True}
    value = {"color_key": None, "entity_type": "custom-field-enum-value", "enabled": True, "position": 1}
    options = [{"id": uuid(f"{name} {each}"), "value": each, **value} for each in values]
    return {"id": uuid(name), "name": name, "values": options, "updated_at": MOMENT, "created_at": MOMENT, **about}


def _comment(story: int, number: int, text: str) -> dict[str, Any]:
    about = {"app_url": "https://c", "entity_type": "story-comment", "deleted": False, "linked_to_slack": False}
    lists: dict[str, Any] = {name: [] for name in ("mention_ids", "member_mention_ids", "group_mention_ids")}
    rest = {"author_id": uuid("bridge"), "updated_at": MOMENT, "created_at": MOMENT, "external_id": None}
    return {
        "id": number,
        "story_id": story,
        "text": text,
        "position": 1,
        "reactions": [],
        **about,
        **lists,
        **rest,
    }
