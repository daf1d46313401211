"""The tracker type of `bench.instant`, as small as one can be."""

from bridge import (
    Draft,
    Finding,
    HttpTracker,
    Issue,
    Marker,
    Markup,
    Purpose,
    Report,
    Tracker,
    TrackerSettings,
    Verdict,
    hookimpl,
)


class Settings(TrackerSettings):
    """Where it is."""

    url: str


class Instant(HttpTracker[Settings]):
    """Posts a draft, and is answered at once."""

    type, label, markup = "instant", "Instant", Markup.GFM
    settings_type = Settings

    @property
    def base_url(self) -> str:
        """Where it is."""
        return self.settings.url

    async def check(self) -> Report:
        """Nothing can be wrong."""
        return Report((Finding(Verdict.OK, "reach", "it is there"),))

    async def create(self, draft: Draft) -> Issue:
        """One call."""
        sent = {"title": draft.title, "body": draft.body.text, "marker": draft.marker.text}
        made = await self.call("POST", "/issues", purpose=Purpose.CREATE, json=sent)
        return self._issue(made["id"])

    async def find(self, marker: Marker) -> Issue | None:
        """One call."""
        found = await self.call("GET", "/issues", params={"marker": marker.text})
        return self._issue(found["id"]) if found["id"] else None

    def _issue(self, number: str) -> Issue:
        return Issue(id=number, key=number, url=f"{self.settings.url}/issues/{number}")


@hookimpl
def bridge_trackers() -> list[type[Tracker]]:
    """Tell the bridge."""
    return [Instant]
