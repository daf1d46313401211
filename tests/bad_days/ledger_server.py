"""The invented tracker's server, which is also where the testers' files are."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, ClassVar

from bridge.testing import FakeServer, Reply, Request

MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(2000)


def is_upload(request: Request) -> bool:
    """Whether a file is attached."""
    return request.method == "POST" and request.path.endswith("/files")


def is_comment(request: Request) -> bool:
    """Whether a comment is added."""
    return request.method == "POST" and request.path.endswith("/comments")


def is_search(request: Request) -> bool:
    """Whether the marker is looked for."""
    return (request.method, request.path) == ("GET", "/api/issues")


class LedgerServer(FakeServer):
    """Issues, comments and files in memory.

    Attributes:
        valid: The token that is let in.
        behind: Searches that are answered by an index which does not know of any issue yet.
        created: Called after an issue was made, before the answer goes out.
    """

    token: ClassVar[str] = "ledger-secret-token"

    def __init__(self) -> None:
        super().__init__()
        self.valid = self.token
        self.behind = 0
        self.created: Callable[[], object] = lambda: None
        self.issues: list[dict[str, Any]] = []

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/api/issues")

    def markers(self) -> list[str]:
        with self.lock:
            return [found for issue in self.issues for found in MARKER.findall(issue["text"])]

    def of_bug(self, bug: int) -> list[dict[str, Any]]:
        """Return the issues that carry the marker of a bug."""
        with self.lock:
            return [issue for issue in self.issues if f"testio-bug-{bug}" in MARKER.findall(issue["text"])]

    def respond(self, request: Request) -> Reply:
        if request.path.startswith("/pictures/"):
            return Reply(body=PICTURE, headers={"Content-Type": "image/png"})
        if request.headers.get("authorization") != f"Bearer {self.valid}":
            return Reply(401, json={"message": "this token has expired"})
        if request.path == "/api/me":
            return Reply(json={"name": "bridge"})
        if self.is_create(request):
            return self._create(request)
        if is_search(request):
            return self._search(float(request.query["since"][0]))
        found = re.fullmatch(r"/api/issues/(\d+)/(comments|files)", request.path)
        if found is None or int(found[1]) > len(self.issues):
            return Reply(404, json={"message": "no such thing"})
        issue = self.issues[int(found[1]) - 1]
        issue[found[2]].append(request.files[0].name if is_upload(request) else request.json["text"])
        return Reply(201, json={})

    def _create(self, request: Request) -> Reply:
        number = len(self.issues) + 1
        made: dict[str, Any] = {"number": number, "made": time.time(), "comments": [], "files": []}
        self.issues.append(made | request.json)
        self.created()
        return Reply(201, json={"number": number})

    def _search(self, since: float) -> Reply:
        if self.behind:
            self.behind -= 1
            return Reply(json=[])
        found = [issue for issue in self.issues if issue["made"] >= since]
        return Reply(json=[{name: issue[name] for name in ("number", "text")} for issue in found])
