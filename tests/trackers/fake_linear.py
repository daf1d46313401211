"""Linear as far as the bridge talks to it: one team, and the storage that takes files."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid5

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.graphql_specs import Schema

TOKEN = "lin_api_secretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
SPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
TEAM = "9cfb482a-81e3-4154-b5b9-2c805e70a02d"


def number(name: str) -> str:
    """Return the id of what has this name."""
    return str(uuid5(SPACE, name))


def failure(message: str, kind: str = "invalid input", *, status: int = 200, **more: Any) -> Reply:
    """Return a refusal in Linear's form, with any status."""
    told = {"type": kind, "code": kind.upper().replace(" ", "_"), "userError": True, **more}
    return Reply(status, json={"errors": [{"message": message, "extensions": told}], "data": None})


def missing(what: str) -> Reply:
    """Return the answer to an id that nothing has."""
    return failure(f"Entity not found: {what}", userPresentableMessage=f"Could not find referenced {what}.")


class LinearServer(FakeServer):
    """A workspace with the team Engineering.

    Attributes:
        token: The key it takes.
        storage: Files by the path that they were sent to.
        refused_labels: Whether this user may not make labels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.token = TOKEN
        self.teams = {"ENG": "Engineering", "OPS": "Operations"}
        self.states = {"Triage": "triage", "Todo": "unstarted", "Done": "completed", "Duplicate": "duplicate"}
        self.people = {"alice": True, "bob": True, "carol": False}
        self.projects = ["Webshop", "Apps"]
        self.labels: dict[str, dict[str, Any]] = {}
        self.refused_labels = False
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, dict[str, Any]] = {}
        self.links: dict[tuple[str, str], dict[str, Any]] = {}
        self.storage: dict[str, bytes] = {}
        self.page = 250
        self._described = Schema.load("linear.graphql")
        self.add_label("Bug")

    def add_label(self, name: str, group: str | None = None, **more: Any) -> str:
        """Let a person make a label, in a group where one is named."""
        parent = {"name": group} if group else None
        id_ = number(f"label {name}")
        self.labels[id_] = {"id": id_, "name": name, "isGroup": False, "retiredAt": None, "parent": parent, **more}
        return id_

    def is_create(self, request: Request) -> bool:
        return request.path == "/graphql" and "mutation IssueCreate(" in request.json["query"]

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for i in self.issues.values() if (found := MARKER.search(i["description"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        if self._described and request.path == "/graphql":
            problems = self._described.check(request, reply)
            assert not problems, problems

    def finish(self, id_: str, state: str = "Done") -> None:
        """Let a person move an issue to another state."""
        with self.lock:
            self.issues[id_]["state"] = self._state(state)

    def respond(self, request: Request) -> Reply:
        if request.path.startswith("/storage/"):
            return self._store(request)
        if request.path != "/graphql":
            return Reply(404, body=b"Not found")
        if request.headers.get("authorization") != self.token:
            return failure("Authentication required, not authenticated", "authentication error", status=401)
        found = re.match(r"(?:query|mutation) (\w+)", request.json["query"])
        assert found, request.json["query"]
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found[1]).lower()
        answer = getattr(self, f"_do_{name}")(**request.json["variables"])
        return answer if isinstance(answer, Reply) else Reply(json={"data": answer})

    def _do_check(self) -> Any:
        viewer = {"id": number("bridge"), "name": "Bridge", "email": "bridge@acme.example"}
        return {"viewer": viewer, "organization": {"name": "Acme", "urlKey": "acme"}}

    def _do_teams(self, after: str | None = None) -> Any:
        ids = {"ENG": TEAM, "OPS": number("OPS")}
        teams = [{"id": ids[key], "key": key, "name": name} for key, name in self.teams.items()]
        return {"teams": self._nodes(teams, after)}

    def _do_states(self, team: str) -> Any:
        return {"team": {"states": {"nodes": [self._state(name) for name in self.states]}}}

    def _do_users(self, after: str | None = None) -> Any:
        people = [
            {"id": number(name), "name": f"{name.title()} Doe", "displayName": name,
             "email": f"{name}@acme.example", "active": active}
            for name, active in self.people.items()
        ]  # fmt: skip
        return {"users": self._nodes(people, after)}

    def _do_projects(self, team: str, after: str | None = None) -> Any:
        projects = [{"id": number(name), "name": name} for name in self.projects]
        return {"team": {"projects": self._nodes(projects, after)}}

    def _do_labels(self, team: str, after: str | None = None) -> Any:
        return {"issueLabels": self._nodes(list(self.labels.values()), after)}

    def _do_fields(self) -> Any:
        known = ("title", "dueDate", "estimate", "templateId")
        return {"__type": {"inputFields": [{"name": name} for name in known]}}

    def _do_label_create(self, input: dict[str, Any]) -> Any:  # noqa: A002 - Linear's word
        if self.refused_labels:
            return failure("You do not have permission to create labels", "forbidden")
        if any(label["name"].casefold() == input["name"].casefold() for label in self.labels.values()):
            return failure("duplicate label name", userPresentableMessage="A label of this name exists already.")
        return {"issueLabelCreate": {"success": True, "issueLabel": {"id": self.add_label(input["name"])}}}

    def _do_issue_create(self, input: dict[str, Any]) -> Any:  # noqa: A002
        id_ = input["id"]
        assert UUID(id_).version == 4
        assert input["teamId"] == TEAM
        if id_ in self.issues:
            told = f"Entity Issue with id {id_} already exists."
            return failure("conflict on insert of Issue", status=400, userPresentableMessage=told)
        if problem := self._problem(input):
            return problem
        key = f"ENG-{431 + len(self.issues)}"
        url = f"https://linear.app/acme/issue/{key}/checkout"
        own: dict[str, Any] = {
            "identifier": key,
            "url": url,
            "trashed": None,
            "state": self._state("Triage"),
            "labelIds": [],
        }
        self.issues[id_] = {"description": "", **input, **own, "labelIds": input.get("labelIds", [])}
        return {"issueCreate": {"success": True, "issue": self._told(id_)}}

    def _do_issue_update(self, id: str, input: dict[str, Any]) -> Any:  # noqa: A002
        if id not in self.issues:
            return missing("Issue")
        if problem := self._problem(input):
            return problem
        issue = self.issues[id]
        gone, added = input.get("removedLabelIds", []), input.get("addedLabelIds", [])
        labels = [label for label in issue["labelIds"] if label not in gone]
        issue |= {**input, "labelIds": [*labels, *(label for label in added if label not in labels)]}
        return {"issueUpdate": {"success": True, "issue": self._told(id)}}

    def _do_issue_get(self, id: str) -> Any:  # noqa: A002
        if id not in self.issues:
            return missing("Issue")
        state = {name: self.issues[id]["state"][name] for name in ("name", "type")}
        return {"issue": self._told(id) | {"state": state}}

    def _do_issue_labels(self, id: str) -> Any:  # noqa: A002
        if id not in self.issues:
            return missing("Issue")
        labels = [self.labels[label] for label in self.issues[id]["labelIds"]]
        nodes = [{name: label[name] for name in ("id", "name", "parent")} for label in labels]
        return {"issue": {"labels": {"nodes": nodes}}}

    def _do_comment_create(self, input: dict[str, Any]) -> Any:  # noqa: A002
        if input["issueId"] not in self.issues:
            return missing("Issue")
        id_ = input.get("id") or number(f"comment {len(self.comments)}")
        if id_ in self.comments:
            return failure("conflict on insert of Comment")
        self.comments[id_] = input
        return {"commentCreate": {"success": True, "comment": {"id": id_}}}

    def _do_attachment_create(self, input: dict[str, Any]) -> Any:  # noqa: A002
        self.links[input["issueId"], input["url"]] = input
        return {"attachmentCreate": {"success": True, "attachment": {"id": number(input["url"])}}}

    def _do_file_upload(self, contentType: str, filename: str, size: int) -> Any:  # noqa: N803
        path = f"/storage/{len(self.storage)}"
        place = {
            "uploadUrl": f"{self.url}{path}?X-Goog-Signature=abc",
            "assetUrl": f"https://uploads.linear.app{path}",
            "headers": [{"key": "x-goog-content-length-range", "value": f"{size},{size}"}],
        }
        return {"fileUpload": {"success": True, "uploadFile": place}}

    def _store(self, request: Request) -> Reply:
        assert request.method == "PUT"
        size = len(request.body)
        wanted = {"x-goog-content-length-range": f"{size},{size}", "cache-control": "public, max-age=31536000"}
        assert {name: request.headers.get(name) for name in wanted} == wanted
        assert "authorization" not in request.headers, "the storage must not see the key"
        self.storage[request.path] = request.body
        return Reply(200)

    def _problem(self, asked: dict[str, Any]) -> Reply | None:
        groups = [label["parent"]["name"] for label in self._labels(asked) if label["parent"]]
        if len(groups) != len(set(groups)):
            return failure("labelIds not exclusive child labels")
        if len(asked.get("title", "")) > 255:
            problem = {"property": "title", "constraints": {"maxLength": "title must be shorter"}}
            return failure("Argument Validation Error", status=400, validationErrors=[problem])
        return None

    def _labels(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        return [self.labels[label] for name in ("labelIds", "addedLabelIds") for label in asked.get(name, [])]

    def _nodes(self, items: list[Any], after: str | None) -> Any:
        start = int(after or 0)
        end = start + self.page
        more = end < len(items)
        return {
            "nodes": items[start:end],
            "pageInfo": {"hasNextPage": more, "endCursor": str(end) if more else None},
        }

    def _state(self, name: str) -> dict[str, Any]:
        return {"id": number(name), "name": name, "type": self.states[name]}

    def _told(self, id_: str) -> dict[str, Any]:
        issue = self.issues[id_]
        return {"id": id_} | {name: issue[name] for name in ("identifier", "url", "trashed")}
