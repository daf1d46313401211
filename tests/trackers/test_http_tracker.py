"""`HttpTracker` under the whole conformance suite, by a small invented tracker: Tickets.

`docs/write-a-plugin.md` builds the same plugin step by step.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic import HttpUrl

from bridge import (
    AttachmentFile,
    Body,
    Draft,
    Finding,
    HttpTracker,
    Issue,
    IssueState,
    Marker,
    Markup,
    NotAllowed,
    Purpose,
    Report,
    Secret,
    TrackerSettings,
    Verdict,
    fingerprint,
)
from bridge.testing import FakeServer, Reply, Request
from bridge.testing.conformance import TrackerConformance


class Settings(TrackerSettings):
    url: HttpUrl
    token: Secret
    project: str


def ticket(draft: Draft, project: str) -> dict[str, Any]:
    return {
        "project": project,
        "subject": draft.title,
        "text": draft.body.text,
        "tags": list(draft.labels),
        **draft.fields,
    }


def changes(draft: Draft) -> dict[str, Any]:
    named = {
        "title": ("subject", draft.title),
        "body": ("text", draft.body.text),
        "labels": ("tags", draft.labels),
    }
    return dict(field for part, field in named.items() if draft.sets(part))


class Tickets(HttpTracker[Settings]):
    type = "tickets"
    label = "Tickets"
    settings_type = Settings
    markup = Markup.GFM
    title_limit = 200
    body_limit = 20_000

    @property
    def base_url(self) -> str:
        return f"{str(self.settings.url).rstrip('/')}/api"

    @property
    def account(self) -> str:
        return fingerprint(self.base_url, self.settings.token.get_secret_value())

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}

    async def check(self) -> Report:
        try:
            user = await self.call("GET", "/me")
            await self.call("GET", f"/projects/{self.settings.project}")
        except NotAllowed as error:
            fix = "make a new token under Profile > Tokens, and put it into `token`"
            return Report((Finding(Verdict.ERROR, "credentials", str(error), fix),))
        return Report((Finding(Verdict.OK, "credentials", f"signed in as {user['name']}"),))

    async def create(self, draft: Draft) -> Issue:
        data = await self.call(
            "POST", "/tickets", purpose=Purpose.CREATE, json=ticket(draft, self.settings.project)
        )
        return self._issue(self.created(data, "number"))

    async def find(self, marker: Marker) -> Issue | None:
        found = await self.call("GET", "/tickets", params={"search": marker.text})
        return next((self._issue(item["number"]) for item in found if marker.found_in(item["text"])), None)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        await self.call("PATCH", f"/tickets/{issue.id}", purpose=Purpose.ISSUE, json=changes(draft))
        return issue

    async def comment(self, issue: Issue, body: Body) -> None:
        await self.call("POST", f"/tickets/{issue.id}/comments", purpose=Purpose.ISSUE, json={"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        with file.path.open("rb") as content:
            await self.call(
                "POST",
                f"/tickets/{issue.id}/files",
                purpose=Purpose.ISSUE,
                files={"file": (file.name, content, file.type)},
            )

    async def state(self, issue: Issue) -> IssueState:
        data = await self.call("GET", f"/tickets/{issue.id}", purpose=Purpose.ISSUE)
        return IssueState(data["state"] == "closed", data["state"])

    def _issue(self, number: int) -> Issue:
        url = str(self.settings.url).rstrip("/")
        return Issue(id=str(number), key=f"#{number}", url=f"{url}/tickets/{number}")


class TicketsServer(FakeServer):
    """What the invented vendor's server does."""

    token: ClassVar[str] = "tickets-secret-token"

    def __init__(self) -> None:
        super().__init__()
        self.tickets: list[dict[str, Any]] = []

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/api/tickets")

    def markers(self) -> list[str]:
        return [marker for item in self.tickets for marker in re.findall(r"testio-bug-[0-9a-z-]*\w", item["text"])]

    def respond(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, json={"message": "who are you?"})
        match request.method, request.path.removeprefix("/api/").split("/"):
            case "GET", ["me"]:
                return Reply(json={"name": "bridge"})
            case "GET", ["projects", "SHOP"]:
                return Reply(json={"name": "SHOP"})
            case "GET", ["tickets"]:
                search = request.query["search"][0]  # sloppy like many: any part of a text will do
                return Reply(json=[item for item in self.tickets if search in item["text"]])
            case "POST", ["tickets"]:
                self.tickets.append({"number": len(self.tickets) + 1, "state": "open", **request.json})
                return Reply(201, json=self.tickets[-1])
            case method, ["tickets", number, *what] if number.isdecimal() and int(number) <= len(self.tickets):
                return self._one(method, what, self.tickets[int(number) - 1], request)
        return Reply(404, json={"message": "no such thing"})

    def _one(self, method: str, what: list[str], item: dict[str, Any], request: Request) -> Reply:
        match method, what:
            case "GET", []:
                return Reply(json=item)
            case "PATCH", []:
                item.update(request.json)
                return Reply(json=item)
            case "POST", ["comments" | "files"]:
                return Reply(201, json={})
        return Reply(405)


class TestTickets(TrackerConformance):
    tracker = Tickets
    server = TicketsServer
    secret = TicketsServer.token

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "tickets", "url": url, "token": self.secret, "project": "SHOP"}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        assert isinstance(fake, TicketsServer)
        fake.tickets[int(issue.id) - 1]["state"] = "closed"
        return True
