"""Pivotal Tracker's API v5 as far as the bridge talks to it: stories, labels, comments and files of one project."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/services/v5"
PROJECT = f"{PREFIX}/projects/1027488"
TOKEN = "0123456789abcdef0123456789abcdef"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
PEOPLE = {101: ("Alice Adams", "alice"), 102: ("Bob Brown", "bob")}
NATIVE = {
    "name", "description", "story_type", "current_state", "estimate", "labels", "owner_ids", "story_priority",
}  # fmt: skip


@cache
def described() -> Description | None:
    """Return the description, which recordings made, with what the sheet says beside them.

    `filter`, a story's other fields in a PUT, labels of one story and memberships were not recorded.
    """
    loaded = Description.load("pivotal_tracker.json", PREFIX)
    if loaded is None:
        return None
    paths = copy.deepcopy(dict(loaded.document["paths"]))
    stories = paths["/projects/{project_id}/stories"]
    stories["get"]["parameters"].append({"name": "filter", "in": "query", "schema": {"type": "string"}})
    story = "/projects/{project_id}/stories/{story_id}"
    whole = {**stories["post"]["requestBody"]["content"]["application/json"]["schema"], "required": []}
    paths[story]["put"]["requestBody"]["content"]["application/json"]["schema"] = whole
    label = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
    given = {"oneOf": [{"required": ["name"]}, {"required": ["label"]}]}
    paths[f"{story}/labels"] = {"post": operation(label, given)}
    paths[f"{story}/labels/{{label_id}}"] = {"delete": {"responses": {"204": {}}}}
    paths["/projects/{project_id}/memberships"] = {"get": operation({"type": "array"})}
    return Description({**loaded.document, "paths": paths}, PREFIX)


def operation(answer: Any, request: Any = None) -> dict[str, Any]:
    """Return the description of something that was not recorded."""
    body = {"requestBody": {"content": {"application/json": {"schema": request}}}} if request else {}
    return {**body, "responses": {"200": {"content": {"application/json": {"schema": answer}}}}}


def error(status: int, code: str, words: str, problem: str = "", **fields: str) -> Reply:
    """Return a refusal in the form that two client libraries know."""
    body: dict[str, Any] = {"kind": "error", "code": code, "error": words}
    body |= {"general_problem": problem} if problem else {}
    if fields:
        body["validation_errors"] = [{"field": name, "problem": told} for name, told in fields.items()]
    return Reply(status, json=body)


UNFOUND = error(404, "unfound_resource", "The object you tried to access could not be found.")
NO_ROUTE = error(404, "route_not_found", "The path you requested has no valid endpoint.")
INVALID = "One or more request parameters was missing or invalid."


class PivotalTrackerServer(FakeServer):
    """One project.

    Attributes:
        lite: Whether it is LiteTracker, with its own ways.
        lacks: Last parts of paths that this server does not have.
        refused: What it says of parameters that it does not know, or `None` in words only.
        slow_filter: Whether a filter takes longer than the gateway waits.
        role: Of the token's user in the project.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lite = False
        self.lacks: set[str] = set()
        self.refused: dict[str, str] = {}
        self.slow_filter = False
        self.role = "member"
        self.page = 500
        self.stories: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.labels = {1: "crowd"}

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PROJECT}/stories")

    def markers(self) -> list[str]:
        with self.lock:
            return [
                label["name"]
                for story in self.stories.values()
                for label in story["labels"]
                if MARKER.fullmatch(label["name"])
            ]

    def validate(self, request: Request, reply: Reply) -> None:
        if reply.status < 400 and (description := described()):
            problems = description.check(request, reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        if request.headers.get("x-trackertoken") != TOKEN:
            words = "Invalid authentication credentials were presented."
            return error(403, "invalid_authentication", words)
        path = request.path.removeprefix(f"{PROJECT}/").split("/")
        if path[-1] in self.lacks or request.path.rpartition("/")[2] in self.lacks:
            return NO_ROUTE
        match request.method, path:
            case "GET", ["", "services", "v5", "me"]:
                return Reply(json=self._me())
            case "GET", ["memberships"]:
                people = [
                    {"person": {"id": number, "name": name, "username": short, "email": f"{short}@acme.example"}}
                    for number, (name, short) in PEOPLE.items()
                ]
                return Reply(json=people)
            case "GET", ["labels"]:
                return Reply(
                    json=[{"kind": "label", "id": number, "name": name} for number, name in self.labels.items()]
                )
            case "GET", ["stories"]:
                return self._listed(request)
            case "POST", ["stories"]:
                return self._create(request.json)
            case "POST", ["uploads"]:
                (file,) = request.files
                facts = {
                    "id": 85128165,
                    "filename": file.name,
                    "size": len(file.content),
                    "content_type": file.type,
                }
                return Reply(
                    json={"kind": "file_attachment", **facts, "download_url": "/file_attachments/85128165"}
                )
            case method, ["stories", number, *rest] if int(number) in self.stories:
                return self._story(method, int(number), rest, request)
        return UNFOUND

    def _story(self, method: str, number: int, rest: list[str], request: Request) -> Reply:
        story = self.stories[number]
        match method, rest:
            case "GET", []:
                return Reply(json=self._shown(story))
            case "PUT", []:
                return self._set(story, request.json) or Reply(json=self._shown(story))
            case "GET", ["comments"]:
                return Reply(
                    json=[{name: each[name] for name in ("id", "text")} for each in self.comments.get(number, [])]
                )
            case "POST", ["comments"]:
                comment = {"id": 181648335, **request.json}
                self.comments.setdefault(number, []).append(comment)
                return Reply(
                    json={"kind": "comment", "id": 181648335, "story_id": number, "text": comment["text"]}
                )
            case "POST", ["labels"]:
                name = request.json["label"]["name"] if self.lite else request.json["name"]
                story["labels"].append(self._label(name))
                return Reply(json=story["labels"][-1])
            case "DELETE", ["labels", label]:
                story["labels"] = [each for each in story["labels"] if each["id"] != int(label)]
                return Reply(204)
        return NO_ROUTE

    def _create(self, sent: dict[str, Any]) -> Reply:
        number = 144829981 + len(self.stories)
        story: dict[str, Any] = {
            "kind": "story", "id": number, "project_id": 1027488, "story_type": "feature", "labels": [], "owner_ids": [],
            "current_state": "unscheduled", "url": f"{self.url}/story/show/{number}", "description": "",
        }  # fmt: skip
        if self.lite:
            sent = {name: value for name, value in sent.items() if name != "owner_ids"}
        problem = self._set(story, sent)
        if problem is None:
            self.stories[number] = story
        return problem or Reply(json=self._shown(story))

    def _set(self, story: dict[str, Any], sent: dict[str, Any]) -> Reply | None:
        if self.refused.keys() & sent.keys():
            return error(400, "invalid_parameter", INVALID, **self.refused)
        if unknown := sent.keys() - NATIVE:
            return error(400, "invalid_parameter", INVALID, f"'{min(unknown)}' is no parameter of this endpoint.")
        if not 0 < len(sent.get("name", "x")) <= 5000:
            return error(400, "invalid_parameter", INVALID, name="Name can't be blank")
        labels = [self._label(label["name"]) for label in sent.get("labels", ())]
        story |= sent | ({"labels": labels} if "labels" in sent else {})
        return None

    def _label(self, name: str) -> dict[str, Any]:
        known = {label: number for number, label in self.labels.items()}
        number = known.get(name.lower()) or len(self.labels) + 1
        self.labels[number] = name.lower()
        return {"kind": "label", "id": number, "name": name.lower()}

    def _shown(self, story: dict[str, Any]) -> dict[str, Any]:
        if not self.lite:
            return story
        return {("title" if name == "name" else name): value for name, value in story.items()}

    def _listed(self, request: Request) -> Reply:
        found = list(self.stories.values())
        if "filter" in request.query:
            if self.slow_filter:
                return Reply(504, body=b"<html>Gateway Time-out</html>", headers={"Content-Type": "text/html"})
            (clause,) = request.query["filter"]
            wanted = clause.removeprefix("label:")
            assert re.fullmatch(r"[a-z0-9-]+", wanted)  # one clause
            open_ones = [story for story in found if story["current_state"] != "accepted"]
            found = [
                each for each in open_ones if any(wanted in label["name"] for label in each["labels"])
            ]  # sloppy
        offset = int(request.query.get("offset", ["0"])[0])
        size = min(self.page, int(request.query.get("limit", ["100"])[0]))
        return Reply(json=[self._shown(story) for story in found[offset : offset + size]])

    def _me(self) -> dict[str, Any]:
        projects = [
            {
                "kind": "membership_summary",
                "id": 1,
                "project_id": 1027488,
                "project_name": "Webshop",
                "role": self.role,
            },
            {
                "kind": "membership_summary",
                "id": 2,
                "project_id": 1027489,
                "project_name": "Office",
                "role": "owner",
            },
        ]
        return {
            "kind": "me",
            "id": 100,
            "name": "Bridge",
            "username": "bridge",
            "api_token": TOKEN,
            "projects": projects,
        }
