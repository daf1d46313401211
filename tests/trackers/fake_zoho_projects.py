"""Zoho Projects as far as the bridge talks to it: one portal, one project, its bugs, lists and files.

There is no description by the vendor; shapes are those of its documents and of what others recorded.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from bridge.testing import Reply, Request
from tests.trackers.fake_zoho import ZohoServer

PORTAL, PROJECT, ANN = "64050000", "1063648000000007001", "74050001"
HOME = f"/portal/{PORTAL}/projects/{PROJECT}"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
SEVERITIES = {"Show Stopper": "8075", "Critical": "8076", "Major": "1063648000000008077", "Minor": "8078"}
CLASSES = {"UI/Usability": "8090", "Crash/Hang": "8091"}
MODULES = {"Check & out": "8101"}
STATUSES = {"Open": "8063", "Closed": "8064", "Parked": "8065"}
TOLD = ("name", "description", "flag", "severity", "classification", "module", "status", "assignee", "due_date")


def error(status: int, title: str, message: str, kind: str = "FIELDS_VALIDATION_ERROR", **more: str) -> Reply:
    """Return a refusal as v3 words it."""
    problem = {
        "status_code": str(status),
        "title": title,
        "error_type": kind,
        "details": [{"message": message, **more}],
    }
    return Reply(status, json={"error": problem})


NOT_FOUND = error(404, "RESOURCE_NOT_FOUND", "The issue is not available")
STRANGER = error(401, "INVALID_OAUTHTOKEN", "Invalid OAuth access token")
WRONG_URL = error(400, "URL_RULE_NOT_CONFIGURED", "Given URL is wrong")


class ZohoProjectsServer(ZohoServer):
    """One project.

    Attributes:
        wrapped: Under which key a bug comes: none, `issue` or `issues`.
        newest_first: Whether the list does so.
        work_drive: Whether the portal has it, so that files can be uploaded.
        old_comments: Whether comments are taken by the older API only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wrapped = ""
        self.newest_first = True
        self.work_drive = True
        self.old_comments = False
        self.bugs: dict[str, dict[str, Any]] = {}
        self.comments: list[str] = []
        self.files: dict[str, list[str]] = {}

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", f"/api/v3{HOME}/issues")

    def markers(self) -> list[str]:
        with self.lock:
            return [MARKER.findall(each["name"])[-1] for each in self.bugs.values()]

    def stranger(self) -> Reply:
        return STRANGER

    def product(self, request: Request) -> Reply:
        if request.path == "/api/v3/portals":
            return Reply(json=[{"id": PORTAL, "portal_name": "acme"}])
        version, _, path = request.path.removeprefix("/").partition("/portal")
        path = path.removeprefix(HOME.removeprefix("/portal")).strip("/")
        match version, request.method, path.split("/"):
            case "api/v3", "GET", [_, "projects"]:
                return Reply(json=[{"id": PROJECT, "name": "Webshop"}])
            case "api/v3", "GET", [""]:
                return Reply(json={"id": PROJECT, "name": "Webshop"})
            case "api/v3", "GET", ["users"]:
                ann = {"zpuid": ANN, "full_name": "Ann Able", "email": "ann@acme.example"}
                return Reply(json={"users": [ann], "page_info": {"has_next_page": False}})
            case "restapi", "GET", ["bugs", "defaultfields"]:
                return Reply(json={"defaultfields": _lists()})
            case "api/v3", "POST", [_, "attachments"] if not path.startswith("issues"):
                return self._upload(request)
            case "api/v3", method, ["issues"]:
                return self._create(request) if method == "POST" else self._list(request)
            case "api/v3" | "restapi", _, ["issues" | "bugs", number, *rest] if number in self.bugs:
                return self._bug(version, number, rest, request)
        return NOT_FOUND if path.startswith(("issues/", "bugs/")) else WRONG_URL

    def _create(self, request: Request) -> Reply:
        asked = request.json
        known = set(SEVERITIES.values())
        if "severity" in asked and asked["severity"]["id"] not in known:
            return error(400, "INVALID_INPUT", "Invalid severity", field="severity")
        number = str(1063648000000123001 + len(self.bugs))
        made = f"2026-01-05T09:00:{len(self.bugs):02}Z"
        blank = {"status": {"id": STATUSES["Open"]}, "id": number, "prefix": f"QA7-I{51 + len(self.bugs)}"}
        self.bugs[number] = {**blank, "created_time": made, **asked}
        return Reply(201, json=self._shown(self.bugs[number], self.wrapped))

    def _shown(self, bug: dict[str, Any], wrapped: str = "") -> Any:
        status = next(name for name, id_ in STATUSES.items() if id_ == bug["status"]["id"])
        told = {**bug, "name": escape(bug["name"]), "description": f"<div>{bug.get('description', '')}</div>"}
        told["status"] = {"id": bug["status"]["id"], "name": status, "is_closed_type": status == "Closed"}
        return {"issue": {"issue": told}, "issues": {"issues": [told]}}.get(wrapped, told)

    def _list(self, request: Request) -> Reply:
        found = sorted(self.bugs.values(), key=lambda bug: str(bug["created_time"]), reverse=self.newest_first)
        page, size = int(request.query["page"][0]), int(request.query["per_page"][0])
        assert size <= 200
        shown = [self._shown(bug) for bug in found[(page - 1) * size : page * size]]
        about = {"page": page, "per_page": size, "has_next_page": len(found) > page * size}
        return Reply(json={"issues": shown, "page_info": about}) if shown else Reply(204)

    def _bug(self, version: str, number: str, rest: list[str], request: Request) -> Reply:
        match version, request.method, rest:
            case "api/v3", "GET", []:
                return Reply(json=self._shown(self.bugs[number]))
            case "api/v3", "PATCH", []:
                self.bugs[number] |= request.json
                return Reply(json=self._shown(self.bugs[number]))
            case "api/v3", "POST", ["comments"] if not self.old_comments:
                self.comments.append(request.json["comment"])
                return Reply(201, json={"comments": [{"id": "1"}]})
            case "restapi", "POST", ["comments"]:
                self.comments.append(request.form["content"])
                return Reply(json={"comments": [{"id": 1}]})
            case "api/v3", "POST", ["attachments"]:
                self.files.setdefault(number, []).extend(json.loads(request.form["attachment_ids"]))
                return Reply(json={"attachments": []})
        return WRONG_URL

    def _upload(self, request: Request) -> Reply:
        if not self.work_drive:
            return error(403, "INVALID_OAUTHSCOPE", "Invalid OAuth scope")
        assert request.form == {
            "attachment_details[storage_type]": "WorkDrive",
            "attachment_details[location_details][project_id]": PROJECT,
        }
        (file,) = request.files
        assert file.field == "upload_file"
        return Reply(json={"attachment": [{"attachment_id": f"wd{len(self.requests)}", "name": file.name}]})


def _lists() -> dict[str, Any]:
    def listed(kind: str, values: dict[str, str]) -> list[dict[str, Any]]:
        return [{f"{kind}_id": int(id_), f"{kind}_name": escape(name)} for name, id_ in values.items()]

    return {
        "severity_details": listed("severity", SEVERITIES),
        "classification_details": listed("classification", CLASSES),
        "module_details": listed("module", MODULES),
        "status_details": listed("status", STATUSES),
        "priority_details": listed("priority", {"Always": "8111"}),
    }
