"""An invented tracker as a plugin in a single file: everything an HTTP tracker can do, and a short `settle`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bridge import (
    AttachmentFile,
    Body,
    Draft,
    Finding,
    HttpTracker,
    Issue,
    Marker,
    Markup,
    NotAllowed,
    Purpose,
    Report,
    Secret,
    Tracker,
    TrackerSettings,
    Verdict,
    hookimpl,
)


class LedgerSettings(TrackerSettings):
    """`[trackers.NAME]` of type `ledger`."""

    url: str
    token: Secret


class Ledger(HttpTracker[LedgerSettings]):
    """The tracker of the bad days."""

    type = "ledger"
    label = "Ledger"
    settings_type = LedgerSettings
    markup = Markup.PLAIN
    settle = timedelta(seconds=1)

    @property
    def base_url(self) -> str:
        """The API."""
        return f"{self.settings.url}/api"

    def headers(self) -> dict[str, str]:
        """Sign in."""
        return {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}

    async def check(self) -> Report:
        """Look whether the token is good."""
        try:
            await self.call("GET", "/me")
        except NotAllowed as error:
            return Report((Finding(Verdict.ERROR, "credentials", str(error), "make a new token"),))
        return Report((Finding(Verdict.OK, "credentials", "signed in"),))

    async def create(self, draft: Draft) -> Issue:
        """Make an issue."""
        text = {"title": draft.title, "text": draft.body.text}
        data = await self.call("POST", "/issues", purpose=Purpose.CREATE, json=text)
        return self._issue(self.created(data, "number"))

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the marker among the issues made since; our clocks may differ by some minutes."""
        since = (marker.since - timedelta(minutes=5)).timestamp()
        found = await self.call("GET", "/issues", params={"since": since})
        return next((self._issue(item["number"]) for item in found if marker.found_in(item["text"])), None)

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self.call("POST", f"/issues/{issue.id}/comments", purpose=Purpose.ISSUE, json={"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file."""
        with file.path.open("rb") as content:
            files = {"file": (file.name, content, file.type)}
            await self.call("POST", f"/issues/{issue.id}/files", purpose=Purpose.ISSUE, files=files)

    def _issue(self, number: int) -> Issue:
        return Issue(id=str(number), key=f"L-{number}", url=f"{self.settings.url}/issues/{number}")


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Bring the tracker type `ledger`."""
    return [Ledger]
