"""GitHub: github.com, GHE.com and GitHub Enterprise Server.

REST API 2022-11-28, https://docs.github.com/en/rest/issues/issues?apiVersion=2022-11-28, through PyGithub 2.10.
Last verified in November 2026: requests and answers against GitHub's own OpenAPI descriptions (github.com and
Enterprise Server 3.19), PyGithub against a local server.

PyGithub's retries would post an issue again after a 502: they are off. Its typed calls know no `type` or
`issue_field_values`, and return an issue without a number for an odd answer: its requester is used instead, and
every answer is looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bridge import (
    Answer,
    Body,
    Draft,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    SdkTracker,
    Secret,
    Tracker,
    TrackerError,
    TrackerSettings,
    fingerprint,
    hookimpl,
    inside,
    list_inside,
    web_address,
)
from bridge.labels import WITH_SEVERITY, merged, missing, shortened
from bridge_plugins import _github_api as api

if TYPE_CHECKING:
    from github import Github

LABEL_LIMIT = 50  # characters
DROPPABLE = {"labels": "name", "assignees": "login", "type": "name", "milestone": "number"}
"""What GitHub leaves out in silence when the token may not set it, and the property that tells it in an answer."""


def _repository(value: str) -> str:
    owner, _, name = value.strip().partition("/")
    if not owner or not name or set("/:? ") & set(owner + name):
        raise ValueError('is no repository: write it as in its address, "owner/name"')
    return f"{owner}/{name}"


def _api(value: str) -> str:
    parts = urlsplit(value)
    host = parts.hostname or ""
    if host in {"github.com", "www.github.com"}:
        raise ValueError('is for people: the API is at "https://api.github.com"')
    if not host.startswith("api.") and not parts.path.endswith("/api/v3"):
        raise ValueError(f'is not the API: on Enterprise Server it is at "{parts.scheme}://{parts.netloc}/api/v3"')
    return value


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "github"`. Credentials: `token`, or all three of a GitHub App."""

    repository: Annotated[str, AfterValidator(_repository)] = Field(description='"owner/name"')
    url: Annotated[str, web_address("https://api.github.com"), AfterValidator(_api)] = Field(
        "https://api.github.com", description="the API; on Enterprise Server https://HOST/api/v3"
    )
    token: Secret | None = Field(None, description="personal access token: Issues read and write")
    app_id: int | None = Field(None, description="GitHub App: its id")
    private_key: Secret | None = Field(None, description="GitHub App: its private key (PEM)")
    installation_id: int | None = Field(None, description="GitHub App: the installation's id")
    milestone: str = Field("", description="title of the milestone that new issues get")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Settings:
        app = [self.app_id, self.private_key, self.installation_id]
        if (self.token is not None) == any(part is not None for part in app):
            raise ValueError("set either token, or app_id, private_key and installation_id")
        if self.token is None and None in app:
            raise ValueError("a GitHub App needs all of app_id, private_key and installation_id")
        return self


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set.

    A milestone is still named by its title: GitHub wants its number, which is looked up before sending.
    """
    chosen = draft.chosen(
        ("title", "title", draft.title),
        ("body", "body", draft.body.content),
        ("labels", "labels", shortened(draft.labels, LABEL_LIMIT)),
        ("issue_type", "type", draft.issue_type),
        ("assignee", "assignees", list(draft.assignees)),
        ("fields", "milestone", settings.milestone),
    )
    return {**chosen, **draft.own_fields}


def dropped(sent: Mapping[str, Json], answer: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that was sent and is not in the issue that came back."""
    warnings = []
    for field, key in DROPPABLE.items():
        got = [_name(item, key) for item in _listed(answer.get(field))]
        lost = missing(map(str, _listed(sent.get(field))), got)
        if lost:
            names = ", ".join(f'"{name}"' for name in lost)
            warnings.append(f"{field}: GitHub dropped {names} in silence; the token needs Triage or Write rights")
    return warnings


class GitHub(SdkTracker[Settings, "Github"]):
    """Issues of one repository."""

    type = "github"
    label = "GitHub"
    settings_type = Settings
    listed = ("repository",)
    markup = Markup.GFM
    title_limit = 250
    body_limit = 65_536
    absent = (
        "{settings.repository} does not exist or the token has no access to it: correct `repository` or the token"
    )
    settle = timedelta(seconds=60)
    default_labels = WITH_SEVERITY

    @property
    def account(self) -> str:
        """The host, and the credentials' fingerprint: rate limits are per token or installation."""
        settings = self.settings
        secret = settings.token.get_secret_value() if settings.token else ""
        key = fingerprint(secret, str(settings.app_id), str(settings.installation_id))
        return f"{urlsplit(settings.url).hostname}/{key}"

    @property
    def repository(self) -> str:
        """The path of the repository."""
        return f"/repos/{self.settings.repository}"

    @property
    def issues(self) -> str:
        """The path of its issues."""
        return f"{self.repository}/issues"

    def connect(self) -> Github:
        """Return a client that sends each request once."""
        return api.connected(self.settings)

    def answer_of(self, error: Exception) -> Answer | None:
        """Return what GitHub answered."""
        return api.answer_of(error)

    def explain(self, answer: Answer, purpose: Purpose) -> TrackerError:
        """Return the error that an answer means, in GitHub's dialect."""
        status, words = answer.status, answer.message
        if limited := api.rate_limit(answer, self.tools.clock.now()):
            return limited
        if 300 <= status < 400:
            return self._moved(answer, purpose)
        if status == 410 and "disabled" in words.lower():
            return NotAllowed(f"{words} Turn them on in the settings of {self.settings.repository}", status=status)
        if status == 403 and "locked" in words.lower():  # one issue's conversation, not our rights
            return Rejected(words, status=status)
        return super().explain(answer, purpose)

    def _moved(self, answer: Answer, purpose: Purpose) -> TrackerError:
        where = answer.headers.get("location", answer.message).split("?")[0]
        if purpose is Purpose.ISSUE:  # perhaps this issue alone: not a reason to pause the tracker
            return Rejected(f"the issue or its repository was moved to {where}", status=answer.status)
        told = f"{self.settings.repository} was renamed or moved to {where}: correct `repository`"
        return NotAllowed(told, status=answer.status)

    async def create(self, draft: Draft) -> Issue:
        """Make the issue. Optional fields that GitHub refuses are left out, with a warning."""
        sent, warnings = await self._resolved(payload(draft, self.settings))
        try:
            _, data = await self.call("POST", self.issues, sent, purpose=Purpose.CREATE)
        except Rejected as refusal:
            refused = sent.keys() & DROPPABLE.keys() & refusal.fields.keys()
            if not refused or refused != refusal.fields.keys():
                raise
            warnings += [f"{field}: GitHub refused {sent.pop(field)!r}" for field in refused]
            _, data = await self.call("POST", self.issues, sent, purpose=Purpose.CREATE)  # the first made nothing
        issue = self._issue(data, Purpose.CREATE)
        return replace(issue, warnings=(*warnings, *dropped(sent, data)))

    async def find(self, marker: Marker) -> Issue | None:
        """Look through the newest issues, not the search: its index is minutes behind."""
        changed = marker.earliest.strftime("%Y-%m-%dT%H:%M:%SZ")  # GitHub's `since` is about the last change
        newest = self.listing(self.issues, state="all", sort="created", direction="desc", since=changed)
        async for data in newest:
            if "pull_request" not in data and marker.found_in(data.get("body") or ""):
                return self._issue(data, Purpose.LOOK)
            if datetime.fromisoformat(data["created_at"]) < marker.earliest:
                return None
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        path = f"{self.issues}/{issue.id}"
        sent, warnings = await self._resolved(payload(draft, self.settings))
        if not sent:
            return replace(issue, warnings=tuple(warnings))
        if "labels" in sent:
            _, data = await self.call("GET", path, purpose=Purpose.ISSUE)
            existing = [_name(label, "name") for label in list_inside(data, "labels", purpose=Purpose.ISSUE)]
            sent["labels"] = merged(existing, sent["labels"])
        _, data = await self.call("PATCH", path, sent, purpose=Purpose.ISSUE)
        return replace(self._issue(data, Purpose.ISSUE), warnings=(*warnings, *dropped(sent, data)))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        path = f"{self.issues}/{issue.id}/comments"
        _, data = await self.call("POST", path, {"body": body.text}, purpose=Purpose.ISSUE)
        inside(data, "id", purpose=Purpose.ISSUE)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue is closed, and why."""
        _, data = await self.call("GET", f"{self.issues}/{issue.id}", purpose=Purpose.ISSUE)
        state = inside(data, "state", purpose=Purpose.ISSUE)
        return IssueState(state == "closed", (state == "closed" and data.get("state_reason")) or state)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the repositories that the token, or the app's installation, sees, the last changed first."""
        if self.settings.app_id is not None:
            found = (await self.call("GET", "/installation/repositories", per_page=100))[1]["repositories"]
        else:
            _, found = await self.call("GET", "/user/repos", per_page=100, sort="pushed")
        return {each["full_name"]: each["full_name"] for each in found}

    async def check(self) -> Report:
        """Look at credentials, repository, rights, and every configured label, login, type and milestone."""
        from bridge_plugins._github_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; the milestone's title is replaced by its number when it is sent."""
        return payload(draft, self.settings)

    async def call(
        self, method: str, path: str, body: Json = None, *, purpose: Purpose = Purpose.LOOK, **query: Any
    ) -> tuple[Mapping[str, str], Json]:
        """Send one request, once, and return the headers (in lower case) and the JSON of the answer.

        Raises:
            TrackerError: The one that fits; also for a success whose body is no JSON.
        """
        return await self.run(lambda client: api.send(client, method, path, body, query), purpose=purpose)

    async def listing(self, path: str, **query: Any) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, asking for one page after the other."""
        pages: Mapping[str, Any] | None = {**query, "per_page": 100}
        while pages:
            headers, items = await self.call("GET", path, **pages)
            for item in list_inside(items):
                yield item
            pages = api.next_page(headers)

    async def _resolved(self, sent: dict[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return `sent` with the milestone's number for its title, and a warning where there is none."""
        title = sent.get("milestone")
        if not isinstance(title, str):
            return sent, []
        async for milestone in self.listing(f"{self.repository}/milestones", state="all"):
            if milestone["title"].casefold() == title.casefold():
                return {**sent, "milestone": milestone["number"]}, []
        rest = {name: value for name, value in sent.items() if name != "milestone"}
        return rest, [f'milestone: "{title}" does not exist in {self.settings.repository}']

    def _issue(self, data: Json, purpose: Purpose) -> Issue:
        number = inside(data, "number", purpose=purpose)
        return Issue(id=str(number), key=f"{self.settings.repository}#{number}", url=data["html_url"])


def _listed(value: Json) -> list[Json]:
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def _name(item: Json, key: str) -> str:
    return str(item.get(key) if isinstance(item, dict) else item)


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [GitHub]
