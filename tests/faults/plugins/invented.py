"""Invented trackers, one for each way to make sure that there is only one issue.

- `keyed`: takes a client-made id and refuses a second issue with it;
- `searched`: finds the marker by an index which lags;
- `scanned`: has no search at all; the issues made since the first attempt are read.
"""

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


class InventedSettings(TrackerSettings):
    """`[trackers.NAME]` of an invented type."""

    url: str
    token: Secret


class Invented(HttpTracker[InventedSettings]):
    """What they have in common."""

    settings_type = InventedSettings
    markup = Markup.PLAIN

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
        content = {"title": draft.title, "text": draft.body.text, "key": str(draft.marker.uuid)}
        data = await self.call("POST", "/issues", purpose=Purpose.CREATE, json=content)
        return self._issue(self.created(data, "number"))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self.call("POST", f"/issues/{issue.id}/comments", purpose=Purpose.ISSUE, json={"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file."""
        with file.path.open("rb") as content:
            files = {"file": (file.name, content, file.type)}
            await self.call("POST", f"/issues/{issue.id}/files", purpose=Purpose.ISSUE, files=files)

    async def _found(self, marker: Marker, **query: Any) -> Issue | None:
        found = await self.call("GET", "/issues", params=query)
        return next((self._issue(item["number"]) for item in found if marker.found_in(item["text"])), None)

    def _issue(self, number: int) -> Issue:
        return Issue(id=str(number), key=f"{self.name}-{number}", url=f"{self.settings.url}/issues/{number}")


class Keyed(Invented):
    """The tracker refuses a second issue with the same key."""

    type = "keyed"
    label = "Keyed"
    enforces_marker = True


class Searched(Invented):
    """The index of the search lags behind by less than `settle`."""

    type = "searched"
    label = "Searched"
    settle = timedelta(seconds=3)

    async def find(self, marker: Marker) -> Issue | None:
        """Search for the marker."""
        return await self._found(marker, search=marker.text)


class Scanned(Invented):
    """Reading is never behind, but a create that was given up may still be under way."""

    type = "scanned"
    label = "Scanned"
    settle = timedelta(seconds=3)

    async def find(self, marker: Marker) -> Issue | None:
        """Read what was made since the first attempt; our clocks may differ a little."""
        return await self._found(marker, since=(marker.since - timedelta(seconds=10)).timestamp())


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Bring the tracker types."""
    return [Keyed, Searched, Scanned]
