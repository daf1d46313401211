"""Redmine as far as the bridge talks to it: one project, its issues, lists and uploads, under a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/redmine"
KEY = "0123456789abcdef0123456789abcdef01234567"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PRIORITIES = {"Low": 3, "Normal": 4, "High": 5, "Urgent": 6, "Immediate": 7}
TRACKERS = {"Bug": 1, "Feature": 2}
STATUSES = {"New": 1, "In Progress": 2, "Closed": 5}
MEMBERS = {"Alice Able": 31, "Bob Baker": 32}
BLANKS: dict[str, Any] = {
    "start_date": "2026-01-05", "due_date": None, "done_ratio": 0, "is_private": False, "estimated_hours": None,
    "total_estimated_hours": None, "closed_on": None,
}  # fmt: skip


def named(table: dict[str, int], number: int) -> dict[str, Any]:
    """Return an entry of a list as Redmine shows it: id and name."""
    return {"id": number, "name": next(name for name, other in table.items() if other == number)}


def mended(place: str, schema: Any) -> Any:
    """Return a schema of the description, which is that of 7.0, requiring no more than older ones give."""
    older = {"issue_priority", "issue_status", "issue_status.summary", "role", "user"}
    return schema | {"required": ["id"]} if place.rpartition("/")[2] in older else schema


@cache
def described() -> Description | None:
    """Return the description: unofficial, and held against a real Redmine by its authors."""
    return Description.load("redmine.yaml", PREFIX, mended)


class RedmineServer(FakeServer):
    """One project.

    Attributes:
        admin: Whether the key's user is an administrator, who alone may list custom fields.
        permissions: Those of the user's role; without "edit_issues" changes are dropped in silence.
        fields: Custom fields of issues: name to description.
        old: Whether statuses do not say that they are closed, as before Redmine 5.0.
        public: Whether the project is shown to anybody, so that a wrong key is not noticed when reading.
        project: Changes to what the project's page says.
        elsewhere: Issues of other projects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.admin = False
        self.old = False
        self.public = False
        self.permissions = ["view_issues", "add_issues", "add_issue_notes", "edit_issues"]
        self.fields: dict[str, dict[str, Any]] = {
            "Severity": {"id": 1, "possible_values": [{"value": word} for word in ("critical", "high", "low")]},
            "Bug key": {"id": 2, "is_filter": True},
            "Browsers": {"id": 3},
        }
        self.project: dict[str, Any] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.elsewhere: list[dict[str, Any]] = []
        self.notes: dict[int, list[str]] = {}
        self.files: dict[int, list[dict[str, Any]]] = {}
        self._tokens: set[str] = set()
        self._uploads = 0

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}{PREFIX}"

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"{PREFIX}/issues.json")

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for i in self.issues.values() if (found := MARKER.search(i["description"] or ""))]

    def validate(self, request: Request, reply: Reply) -> None:
        if description := described():
            query = {"cf_x" if name.startswith("cf_") else name: value for name, value in request.query.items()}
            assert not (problems := description.check(replace(request, query=query), reply)), problems

    def close_issue(self, number: int) -> None:
        """Let a person close an issue."""
        with self.lock:
            self.issues[number]["status_id"] = STATUSES["Closed"]

    def respond(self, request: Request) -> Reply:
        if request.headers.get("x-redmine-api-key") != KEY and not self._is_open(request):
            return Reply(401)
        path = request.path.removeprefix(PREFIX).removesuffix(".json")
        page: Callable[[Request], Reply] | None = {
            "/users/current": self._user,
            "/uploads": self._upload,
            "/issues": self._create if request.method == "POST" else self._list,
            "/projects": lambda asked: self._page(asked, "projects", [self._project()]),
            "/projects/webshop/memberships": self._members,
        }.get(path)
        if page is not None:
            return page(request)
        if path.startswith("/issues/"):
            return self._issue(request, int(path.removeprefix("/issues/")))
        return self._lists(path)

    def _is_open(self, request: Request) -> bool:
        """Whether nobody in particular may ask for it: what can be read of a public project."""
        closed = ("/users/", "/roles", "/custom_fields", "/uploads")
        return (
            self.public
            and request.method == "GET"
            and not request.path.startswith(tuple(PREFIX + e for e in closed))
        )

    def _lists(self, path: str) -> Reply:
        lists: dict[str, Callable[[], Any]] = {
            "/projects/webshop": lambda: {"project": self._project()},
            "/projects/webshop/versions": lambda: {"versions": [self._version()], "total_count": 1},
            "/roles/4": self._role,
            "/trackers": lambda: {"trackers": _all(TRACKERS)},
            "/issue_statuses": lambda: {
                "issue_statuses": [s | {"is_closed": s["id"] == 5} for s in _all(STATUSES)]
            },
            "/enumerations/issue_priorities": lambda: {
                "issue_priorities": [p | {"is_default": p["id"] == 4, "active": True} for p in _all(PRIORITIES)]
            },
        }
        if path == "/custom_fields":
            described = [self._custom_field(name) for name in self.fields]
            return Reply(json={"custom_fields": described}) if self.admin else Reply(403)
        return Reply(json=lists[path]()) if path in lists else Reply(404)

    def _create(self, request: Request) -> Reply:
        if request.headers.get("content-type") != "application/json":
            return Reply(422, json={"errors": ["Subject cannot be blank"]})
        asked = request.json["issue"]
        if str(asked["project_id"]) not in {"webshop", "7"} or "add_issues" not in self.permissions:
            blank = [f"{name} cannot be blank" for name in ("Project", "Tracker", "Status")]
            return Reply(422, json={"errors": blank})
        number = len(self.issues) + 1
        made = START + timedelta(seconds=number)
        self.issues[number] = {
            "id": number,
            "tracker_id": 1,
            "status_id": 1,
            "priority_id": 4,
            "created_on": _text(made),
        }
        if problem := self._set(self.issues[number], asked):
            del self.issues[number]
            return problem
        return Reply(201, json={"issue": self._shown(self.issues[number])})

    def _set(self, issue: dict[str, Any], asked: dict[str, Any]) -> Reply | None:
        if len(asked.get("subject", "x")) > 255:
            return Reply(422, json={"errors": ["Subject is too long (maximum is 255 characters)"]})
        if asked.get("priority_id", 4) not in PRIORITIES.values():
            return Reply(422, json={"errors": ["Priority cannot be blank"]})
        permitted = "edit_issues" in self.permissions or "subject" not in issue
        plain = (
            "subject",
            "description",
            "priority_id",
            "assigned_to_id",
            "category_id",
            "parent_issue_id",
            "is_private",
        )
        issue |= {name: asked[name] for name in plain if name in asked and permitted}
        if asked.get("tracker_id") in TRACKERS.values() and permitted:
            issue["tracker_id"] = asked["tracker_id"]
        values = issue.setdefault("values", dict.fromkeys((field["id"] for field in self.fields.values()), ""))
        values |= {f["id"]: f["value"] for f in asked.get("custom_fields", ()) if f["id"] in values and permitted}
        if issue.get("description"):
            issue["description"] = re.sub(r"\r?\n", "\r\n", issue["description"])
        return None

    def _issue(self, request: Request, number: int) -> Reply:
        if number not in self.issues:
            return Reply(404)
        if request.method == "GET":
            return Reply(json={"issue": self._shown(self.issues[number])})
        asked = request.json["issue"]
        if any(upload["token"] not in self._tokens for upload in asked.get("uploads", ())):
            return Reply(422, json={"errors": ["1 file(s) could not be saved."]})
        self._tokens -= {upload["token"] for upload in asked.get("uploads", ())}
        self.files.setdefault(number, []).extend(asked.get("uploads", ()))
        if "notes" in asked:
            self.notes.setdefault(number, []).append(asked["notes"])
        return self._set(self.issues[number], asked) or Reply(204)

    def _upload(self, request: Request) -> Reply:
        if request.headers["content-type"] != "application/octet-stream":
            return Reply(406)
        if len(request.body) > 5120 * 1024:
            words = "This file cannot be uploaded because it exceeds the maximum allowed file size (5242880)"
            return Reply(422, json={"errors": [words]})
        self._uploads += 1
        token = f"{self._uploads}.a75813d36a834c57"
        self._tokens.add(token)
        return Reply(201, json={"upload": {"id": 1, "token": token}})

    def _list(self, request: Request) -> Reply:
        """Filter by what it knows; ignore the rest, as Redmine does."""
        if "project_id" not in request.query:
            return self._page(request, "issues", [self._shown(issue) for issue in self.elsewhere])
        if request.query["project_id"][0] != "webshop":
            return Reply(404)
        found = sorted(self.issues.values(), key=lambda issue: -int(issue["id"]))
        if "status_id" not in request.query:
            found = [issue for issue in found if issue["status_id"] != STATUSES["Closed"]]
        if "description" in request.query and not self.old:
            text = request.query["description"][0].removeprefix("~")
            found = [issue for issue in found if text in (issue["description"] or "")]
        for field in self.fields.values():
            wanted = request.query.get(f"cf_{field['id']}")
            if wanted and field.get("is_filter"):
                found = [issue for issue in found if issue["values"].get(field["id"]) == wanted[0]]
        return self._page(request, "issues", [self._shown(issue) for issue in found])

    def _shown(self, issue: dict[str, Any]) -> dict[str, Any]:
        ids = {field["id"]: name for name, field in self.fields.items()}
        closed = {} if self.old else {"is_closed": issue["status_id"] == STATUSES["Closed"]}
        shown = BLANKS | {name: issue.get(name) for name in ("id", "subject", "description", "created_on")}
        shown |= {
            "project": {"id": 7, "name": "Webshop"}, "author": {"id": 30, "name": "bridge"},
            "tracker": named(TRACKERS, issue["tracker_id"]), "priority": named(PRIORITIES, issue["priority_id"]),
            "status": named(STATUSES, issue["status_id"]) | closed, "is_private": issue.get("is_private", False),
            "updated_on": issue["created_on"],
            "custom_fields": [{"id": key, "name": ids[key], "value": v} for key, v in issue["values"].items()],
        }  # fmt: skip
        if issue.get("assigned_to_id") in MEMBERS.values():
            shown["assigned_to"] = named(MEMBERS, issue["assigned_to_id"])
        if issue.get("category_id") == 8:
            shown["category"] = {"id": 8, "name": "Checkout"}
        if issue.get("parent_issue_id") in self.issues:
            shown["parent"] = {"id": issue["parent_issue_id"]}
        return shown

    def _page(self, request: Request, key: str, items: list[Any]) -> Reply:
        offset = int(request.query.get("offset", ["0"])[0])
        limit = min(100, int(request.query.get("limit", ["25"])[0]))
        page = {"total_count": len(items), "offset": offset, "limit": limit}
        return Reply(json={key: items[offset : offset + limit], **page})

    def _user(self, _: Request) -> Reply:
        role = {"id": 9, "project": {"id": 7, "name": "Webshop"}, "roles": [{"id": 4, "name": "Developer"}]}
        names = {
            "id": 30,
            "login": "bridge",
            "firstname": "tracker",
            "lastname": "bridge",
            "mail": "b@acme.example",
        }
        return Reply(json={"user": names | {"admin": self.admin, "memberships": [role]}})

    def _members(self, request: Request) -> Reply:
        about: dict[str, Any] = {
            "project": {"id": 7, "name": "Webshop"},
            "roles": [{"id": 4, "name": "Developer"}],
        }
        people = [about | {"id": person["id"], "user": person} for person in _all(MEMBERS)]
        return self._page(request, "memberships", [*people, about | {"id": 40, "group": {"id": 40, "name": "QA"}}])

    def _role(self) -> Any:
        return {"role": {"id": 4, "name": "Developer", "permissions": self.permissions}}

    def _version(self) -> dict[str, Any]:
        dates = {"created_on": _text(START), "updated_on": _text(START), "due_date": None}
        words = {"description": "", "status": "open", "sharing": "none", "wiki_page_title": None}
        return {"id": 12, "name": "2.0", "project": {"id": 7, "name": "Webshop"}, **dates, **words}

    def _custom_field(self, name: str) -> dict[str, Any]:
        plain = {
            "customized_type": "issue",
            "field_format": "string",
            "regexp": "",
            "description": "",
            "visible": True,
        }
        flags = dict.fromkeys(
            ("is_required", "is_for_all", "is_filter", "searchable", "multiple", "editable"), False
        )
        rest = {
            "min_length": None,
            "max_length": None,
            "default_value": None,
            "projects": [{"id": 7, "name": "Webshop"}],
            "trackers": _all(TRACKERS),
        }
        return {"name": name, **plain, **flags, **rest, **self.fields[name]}

    def _project(self) -> dict[str, Any]:
        names = {
            "id": 7,
            "name": "Webshop",
            "identifier": "webshop",
            "description": "",
            "homepage": "",
            "status": 1,
        }
        rest = {
            "is_public": False,
            "inherit_members": False,
            "created_on": _text(START),
            "updated_on": _text(START),
        }
        lists = {
            "trackers": _all(TRACKERS),
            "issue_categories": [{"id": 8, "name": "Checkout"}],
            "issue_custom_fields": [],
        }
        return names | rest | lists | self.project


def _all(table: dict[str, int]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for name, number in table.items()]


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
