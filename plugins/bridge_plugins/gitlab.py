"""GitLab: gitlab.com, Self-Managed and Dedicated.

REST API v4, https://docs.gitlab.com/api/issues/, through python-gitlab 8.6. Last verified in November 2026:
requests and answers against GitLab's own OpenAPI description, python-gitlab against a local server.

python-gitlab sleeps and posts again after a 429 unless each call says otherwise, and turns an array of labels into
a string that a comma in a label breaks: its `http_request` is used, and every answer is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    InDoubt,
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
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    fingerprint,
    hookimpl,
    inside,
    list_inside,
    web_address,
)
from bridge.labels import merged, missing, shortened
from bridge_plugins import _gitlab_api as api

if TYPE_CHECKING:
    from gitlab import Gitlab

LABEL_LIMIT = 255  # characters


def _project(value: str) -> str:
    path = value.strip().strip("/")
    if not path.isdigit() and ("/" not in path or set(":? ") & set(path)):
        raise ValueError('is no project: write its id, or its path as in its address, "group/project"')
    return path


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "gitlab"`."""

    project: Annotated[str, AfterValidator(_project), BeforeValidator(str)] = Field(
        description='"group/project", or its id'
    )
    url: Annotated[str, web_address("https://gitlab.com", "/api/v4")] = Field(
        "https://gitlab.com", description="the instance, with the path it lives under, if any"
    )
    token: Secret = Field(description='personal, group or project access token with scope "api"')
    confidential: bool = Field(False, description="make confidential issues")
    milestone: str = Field("", description="title of the milestone that new issues get")


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set.

    Assignees and milestone are still named: GitLab wants their ids, which are looked up before sending.
    """
    labels = (label.replace(",", " ") for label in draft.labels)  # a comma would make two of one
    chosen = draft.chosen(
        ("title", "title", draft.title),
        ("body", "description", draft.body.content),
        ("labels", "labels", shortened(labels, LABEL_LIMIT)),
        ("issue_type", "issue_type", draft.issue_type),
        ("assignee", "assignee_ids", list(draft.assignees)),
        ("parent", "epic_id", int(draft.parent) if draft.parent.isdigit() else draft.parent),
        ("fields", "milestone_id", settings.milestone),
        ("fields", "confidential", settings.confidential),
    )
    return {**chosen, **draft.own_fields}


def dropped(sent: Mapping[str, Json], answer: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that was sent and is not in the issue that came back."""
    got: dict[str, list[Json]] = {
        "labels": answer.get("labels") or [],
        "assignee_ids": [user["id"] for user in answer.get("assignees") or []],
        "milestone_id": [(answer.get("milestone") or {}).get("id")],
        "issue_type": [answer.get("issue_type")],
        "confidential": [answer.get("confidential")],
    }
    warnings = []
    for field, values in got.items():
        wanted = sent.get(field) if isinstance(sent.get(field), list) else [sent[field]] if field in sent else []
        lost = ", ".join(f'"{value}"' for value in missing(map(str, wanted or ()), map(str, values)))
        if lost:
            warnings.append(
                f"{field}: GitLab dropped {lost} in silence; the token's role must be Planner or higher"
            )
    return warnings


class GitLab(SdkTracker[Settings, "Gitlab"]):
    """Issues of one project."""

    type = "gitlab"
    label = "GitLab"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.GFM
    title_limit = 255
    body_limit = 1_000_000
    absent = "{settings.project} does not exist or the token has no access to it: correct `project` or `token`"
    settle = timedelta(seconds=30)
    default_labels: ClassVar[tuple[str, ...]] = (
        "test-io",
        "{% if bug.severity %}severity::{{ bug.severity }}{% endif %}",
    )

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self._answered = threading.local()

    @property
    def account(self) -> str:
        """The host, and the token's fingerprint: rate limits are per user."""
        key = fingerprint(self.settings.token.get_secret_value())
        return f"{urlsplit(self.settings.url).hostname}/{key}"

    @property
    def project(self) -> str:
        """The path of the project."""
        return f"/projects/{quote(self.settings.project, safe='')}"

    @property
    def issues(self) -> str:
        """The path of its issues."""
        return f"{self.project}/issues"

    def connect(self) -> Gitlab:
        """Return a client that sends each request once."""
        return api.connected(self.settings, self._remember)

    def answer_of(self, error: Exception) -> Answer | None:
        """Return what GitLab answered."""
        return api.answer_of(error, getattr(self._answered, "headers", {}))

    def explain(self, answer: Answer, purpose: Purpose) -> TrackerError:
        """Return the error that an answer means, in GitLab's dialect."""
        status, words, name = answer.status, answer.message, self.settings.project
        lower = words.lower()
        if 300 <= status < 400 or (status == 405 and "moved" in lower):
            told = f"{name} was moved, or `url` is not GitLab's own address: correct `project` or `url`"
            return NotAllowed(f"{told} (GitLab: {words})", status=status)
        if status == 404 and "project" in lower:
            return super().explain(answer, Purpose.LOOK)  # whatever was asked for
        if status == 409 and "spam" not in lower:  # another request holds the issue or the counter of issues
            return (InDoubt if purpose is Purpose.CREATE else Unavailable)(words, status=status)
        return super().explain(answer, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the issue."""
        sent, warnings = await self._resolved(payload(draft, self.settings))
        data = await self.call("POST", self.issues, purpose=Purpose.CREATE, post_data=sent)
        issue = self._issue(data, Purpose.CREATE)
        return replace(issue, warnings=(*warnings, *dropped(sent, data)))

    async def find(self, marker: Marker) -> Issue | None:
        """Look through the newest issues: a plain list is up to date, a text search takes words apart."""
        since = marker.earliest.isoformat()
        newest = self.listing(
            self.issues, scope="all", state="all", created_after=since, order_by="created_at", sort="desc"
        )
        async for data in newest:
            if marker.found_in(data.get("description") or ""):
                return self._issue(data, Purpose.LOOK)
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        path = f"{self.issues}/{issue.id}"
        sent, warnings = await self._resolved(payload(draft, self.settings))
        if not sent:
            return replace(issue, warnings=tuple(warnings))
        if "labels" in sent:
            data = await self.call("GET", path, purpose=Purpose.ISSUE)
            sent["labels"] = merged(inside(data, "labels", purpose=Purpose.ISSUE), sent["labels"])
        data = await self.call("PUT", path, purpose=Purpose.ISSUE, post_data=sent)
        return replace(self._issue(data, Purpose.ISSUE), warnings=(*warnings, *dropped(sent, data)))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a note."""
        await self._note(issue, body.text)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload the file to the project, and show it in a note: GitLab knows no files of an issue."""
        upload = f"{self.project}/uploads"

        def sent(client: Gitlab) -> Json:
            with file.path.open("rb") as content:  # sent in pieces
                return api.send(client, "POST", upload, files={"file": (file.name, content, file.type)})[1]

        data = await self.run(sent, purpose=Purpose.ISSUE)
        await self._note(issue, inside(data, "markdown", purpose=Purpose.ISSUE))

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue is closed."""
        data = await self.call("GET", f"{self.issues}/{issue.id}", purpose=Purpose.ISSUE)
        state = inside(data, "state", purpose=Purpose.ISSUE)
        return IssueState(state == "closed", state)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the projects that the token's user is a member of."""
        projects = self.listing("/projects", membership=True, simple=True)
        return {each["path_with_namespace"]: each["path_with_namespace"] async for each in projects}

    async def check(self) -> Report:
        """Look at the token, project, role, and every configured label, name, type and milestone."""
        from bridge_plugins._gitlab_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names of people and milestone are replaced by ids when it is sent."""
        return payload(draft, self.settings)

    async def call(self, method: str, path: str, *, purpose: Purpose = Purpose.LOOK, **options: Any) -> Json:
        """Send one request, once, and return the JSON of the answer.

        Raises:
            TrackerError: The one that fits; also for a success whose body is no JSON.
        """
        return (await self._send(method, path, purpose, **options))[1]

    async def listing(self, path: str, **query: Any) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, asking for one page after the other."""
        pages: Mapping[str, Any] = {**query, "per_page": 100}
        while pages:
            pages, items = await self._send("GET", path, Purpose.LOOK, query_data=pages)
            for item in list_inside(items):
                yield item

    async def _send(
        self, method: str, path: str, purpose: Purpose, **options: Any
    ) -> tuple[Mapping[str, Json], Json]:
        return await self.run(lambda client: api.send(client, method, path, **options), purpose=purpose)

    async def _note(self, issue: Issue, text: str) -> None:
        path = f"{self.issues}/{issue.id}/notes"
        data = await self.call("POST", path, purpose=Purpose.ISSUE, post_data={"body": text})
        if isinstance(data, dict) and "commands_changes" in data and "id" not in data:
            raise Rejected("GitLab took the whole comment for quick actions: nothing is shown")
        inside(data, "id", purpose=Purpose.ISSUE)

    async def _resolved(self, sent: dict[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return `sent` with ids for names, and a warning for each name that GitLab does not know."""
        ids: dict[str, Json] = {}
        warnings: list[str] = []
        if isinstance(title := sent.get("milestone_id"), str):
            ids["milestone_id"] = await self.milestone(title)
            warnings += [] if ids["milestone_id"] else [f'milestone: "{title}" does not exist']
        if "assignee_ids" in sent:
            people = {
                name: name if isinstance(name, int) else await self.user(name) for name in sent["assignee_ids"]
            }
            ids["assignee_ids"] = [user for user in people.values() if user]
            warnings += [f'assignee: there is no user "{name}"' for name, user in people.items() if not user]
        return {name: value for name, value in (sent | ids).items() if name not in ids or value}, warnings

    async def milestone(self, title: str) -> int | None:
        """Return the id of the project's or its groups' milestone, None where there is none of this title."""
        async for item in self.listing(f"{self.project}/milestones", title=title, include_ancestors=True):
            if item["title"].casefold() == title.casefold():
                return int(item["id"])
        return None

    async def user(self, username: str) -> int | None:
        """Return the id of a user, None where there is none of this name."""
        async for item in self.listing("/users", username=username):
            if item["username"].casefold() == username.casefold():
                return int(item["id"])
        return None

    def _issue(self, data: Json, purpose: Purpose) -> Issue:
        iid = inside(data, "iid", purpose=purpose)
        key = data.get("references", {}).get("full") or f"{self.settings.project}#{iid}"
        return Issue(id=str(iid), key=key, url=data["web_url"])

    def _remember(self, headers: Mapping[str, str]) -> None:
        self._answered.headers = headers


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [GitLab]
