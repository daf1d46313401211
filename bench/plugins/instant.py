"""The tracker type of `bench.instant`, as small as one can be."""

from bridge import (
    Draft,
    Finding,
    HttpTracker,
    Issue,
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
    enforces_marker = True

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
        return Issue(id=made["id"], key=made["id"], url=f"{self.settings.url}/issues/{made['id']}")


@hookimpl
def bridge_trackers() -> list[type[Tracker]]:
    """Tell the bridge."""
    return [Instant]
