"""Linear, https://linear.app. Cloud only.

GraphQL API without a version, https://linear.app/developers/graphql. Last verified in November 2026: every
document, its variables and the fake's answers against Linear's own schema (`packages/sdk/src/schema.graphql`).

An issue takes an id that we make, so Linear itself refuses a second one. Whether an answer is a refusal is decided
by its `errors`, never by its status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    Gone,
    HttpTracker,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    Purpose,
    Rejected,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    hookimpl,
    inside,
    web_address,
)
from bridge.labels import WITH_SEVERITY, shortened
from bridge_plugins import _linear_api as api
from bridge_plugins._linear_names import LinearNames

LABEL_LIMIT = 255  # characters; not published
PRIORITIES = {"no priority": 0, "urgent": 1, "high": 2, "medium": 3, "low": 4}
DONE = {"completed", "canceled", "duplicate"}  # types of states; the names are up to each team
ONLY_NEW = {  # fields of a new issue that an update does not know
    "completedAt", "createAsUser", "createdAt", "displayIconUrl", "id", "preserveSortOrderOnCreate",
    "referenceCommentId", "sourceCommentId", "sourcePullRequestCommentId", "templateId", "useDefaultTemplate",
}  # fmt: skip


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "linear"`."""

    team: str = Field(min_length=1, description='key of the team ("ENG"), its name or id')
    token: Secret = Field(description='API key ("lin_api_..."), or an OAuth access token')
    project: str = Field("", description="name of the project that new issues belong to")
    state: str = Field("", description="name of the state of new issues; empty: Linear's own choice")
    url: Annotated[str, web_address("https://api.linear.app", "/graphql")] = Field(
        "https://api.linear.app", description="address of the API"
    )


def payload(draft: Draft) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set.

    Labels and assignee are still named: Linear wants their ids, which are looked up before sending.
    """
    priority = priority_of(draft.priority)
    chosen = draft.chosen(("title", "title", draft.title), ("body", "description", draft.body.content))
    if draft.sets("priority") and priority is not None:  # 0, "no priority", is one
        chosen["priority"] = priority
    chosen |= draft.chosen(
        ("labels", "labelIds", shortened(draft.labels, LABEL_LIMIT)),
        ("assignee", "assigneeId", draft.assignee),
        ("parent", "parentId", draft.parent),
    )
    return {**chosen, **draft.own_fields}


def priority_of(word: str) -> int | None:
    """Return the number of a priority, given its name or the number itself; None for any other word."""
    known = {**PRIORITIES, **{str(number): number for number in PRIORITIES.values()}}
    return known.get(word.casefold())


def version_4(uuid: UUID) -> str:
    """Return an UUID in the form of version 4, the only one that Linear takes."""
    return str(UUID(bytes=uuid.bytes, version=4))


def shown(file: AttachmentFile, address: str) -> str:
    """Return the Markdown that shows an uploaded file: a picture or video itself, anything else as a link."""
    name = re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", " ".join(file.name.split()))
    return f"{'!' if file.type.startswith(('image/', 'video/')) else ''}[{name}]({address})"


class Linear(HttpTracker[Settings]):
    """Issues of one team."""

    type = "linear"
    label = "Linear"
    settings_type = Settings
    listed = ("team",)
    markup = Markup.GFM
    title_limit = 255
    body_limit = 60_000  # Linear publishes none
    enforces_marker = True
    absent = "{settings.url} is not Linear's API: correct `url`, or look at the proxy"
    default_labels = WITH_SEVERITY
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Urgent", "high": "High", "low": "Low"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.names = LinearNames(settings.team, self.ask, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API's host."""
        return self.settings.url

    async def ask(self, document: str, *, purpose: Purpose = Purpose.LOOK, **variables: Json) -> Json:
        """Send a document and return the `data`."""
        return await self.graphql(document, variables, path="/graphql", purpose=purpose)

    def headers(self) -> Mapping[str, str]:
        """Return the key as it is, or the token as a bearer's."""
        token = self.settings.token.get_secret_value()
        return {"Authorization": token if token.startswith("lin_api_") else f"Bearer {token}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: its `errors` decide, where there are any."""
        if isinstance(data, dict) and isinstance(errors := data.get("errors"), list) and errors:
            return api.refusal(errors, answer, purpose, self.tools.clock.now())
        if answer.status == 404:  # of no issue: Linear itself says that differently
            purpose = Purpose.LOOK
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the issue under an id of ours, or return the one that has it already."""
        sent, warnings = await self._resolved(draft)
        more = await self._of_new(draft)
        sent = {"id": version_4(draft.marker.uuid), "teamId": await self.names.team(), **more, **sent}
        try:
            data = await self.ask(api.CREATE, purpose=Purpose.CREATE, input=sent)
        except api.AlreadyThere as refusal:
            return await self._existing(draft.marker, refusal)
        self.created(data, "issueCreate", "issue", "id")
        return self._issue(data["issueCreate"]["issue"], *warnings)

    async def find(self, marker: Marker) -> Issue | None:
        """Ask for the id that we made: Linear answers from its primary store."""
        try:
            data = await self.ask(api.GET, purpose=Purpose.ISSUE, id=version_4(marker.uuid))
        except Gone:
            return None
        return self._issue(data["issue"])

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Show the bug among the issue's links. The same link once more changes nothing."""
        bug = draft.bug
        if not bug.link.startswith(("http://", "https://")):
            return
        card = {"issueId": issue.id, "url": bug.link, "title": f"test IO bug {bug.id}"}
        subtitle = {"subtitle": f"severity {bug.severity}"} if bug.severity else {}
        await self.ask(api.LINK, purpose=Purpose.ISSUE, input=card | subtitle)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        sent, warnings = await self._resolved(draft)
        sent = {name: value for name, value in sent.items() if name not in ONLY_NEW}
        if "labelIds" in sent and "labelIds" not in draft.fields:
            sent |= await self.names.label_changes(issue, sent.pop("labelIds"))
        if not sent:
            return replace(issue, warnings=warnings)
        data = await self.ask(api.UPDATE, purpose=Purpose.ISSUE, id=issue.id, input=sent)
        return self._issue(inside(data, "issueUpdate", "issue", purpose=Purpose.ISSUE), *warnings)

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        data = await self.ask(api.COMMENT, purpose=Purpose.ISSUE, input={"issueId": issue.id, "body": body.text})
        inside(data, "commentCreate", "comment", purpose=Purpose.ISSUE)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload the file to Linear's storage, and show it in a comment whose id is the file's: never twice."""
        asked = {"contentType": file.type, "filename": file.name, "size": file.size}
        data = await self.ask(api.UPLOAD, purpose=Purpose.ISSUE, **asked)
        place = inside(data, "fileUpload", "uploadFile", purpose=Purpose.ISSUE)
        headers = {"Cache-Control": "public, max-age=31536000"}
        headers |= {pair["key"]: pair["value"] for pair in place["headers"]}
        await self.store_file(place["uploadUrl"], file, headers=headers)
        name = version_4(uuid5(NAMESPACE_URL, f"{issue.id} {file.url}"))
        sent = {"id": name, "issueId": issue.id, "body": shown(file, place["assetUrl"])}
        try:
            await self.ask(api.COMMENT, purpose=Purpose.ISSUE, input=sent)
        except api.AlreadyThere:
            return

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue is completed, canceled, a duplicate, or in the trash."""
        data = (await self.ask(api.GET, purpose=Purpose.ISSUE, id=issue.id))["issue"]
        if data["trashed"]:
            return IssueState(True, "trashed")
        return IssueState(data["state"]["type"] in DONE, data["state"]["name"])

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the teams that the key's user sees."""
        return await self.names.teams.all()

    async def check(self) -> Report:
        """Look at the key, the team, and every configured label, person, priority, project, state and field."""
        from bridge_plugins._linear_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the input of the mutation; names are replaced by ids when it is sent."""
        settings = self.settings
        named = {"teamId": settings.team, "projectId": settings.project, "stateId": settings.state}
        own = {"id": version_4(draft.marker.uuid), **{name: value for name, value in named.items() if value}}
        return {**own, **payload(draft)}

    async def _resolved(self, draft: Draft) -> tuple[dict[str, Json], tuple[str, ...]]:
        """Return the draft's payload with ids for names, and a warning for each name that Linear does not know."""
        sent, warnings = payload(draft), list[str]()
        if draft.sets("priority") and draft.priority and priority_of(draft.priority) is None:
            warnings.append(f'priority: Linear has no "{draft.priority}"; it has {", ".join(PRIORITIES)}')
        if "assigneeId" in sent and "assigneeId" not in draft.fields:
            found, lost = await self.names.people.ids_of([sent.pop("assigneeId")], "assignee")
            sent |= {"assigneeId": found[0]} if found else {}
            warnings += lost
        if "labelIds" in sent and "labelIds" not in draft.fields:
            sent["labelIds"], lost = await self.names.label_ids(sent["labelIds"])
            warnings += lost
        return sent, tuple(warnings)

    async def _of_new(self, draft: Draft) -> dict[str, Json]:
        """Return what only a new issue gets: an update must not undo where people moved it."""
        settings, found = self.settings, {}
        if settings.project and "projectId" not in draft.fields:
            found["projectId"] = await self.names.projects.id_of(settings.project)
        if settings.state and "stateId" not in draft.fields:
            found["stateId"] = await self.names.states.id_of(settings.state)
        return found

    async def _existing(self, marker: Marker, refusal: api.AlreadyThere) -> Issue:
        found = await self.find(marker)
        if found is None:
            told = "was deleted for good, or the key does not see it: restore it, or let the key's user see it"
            raise Rejected(f"an issue of this bug exists, but {told} (Linear: {refusal.message})")
        return found

    def _issue(self, data: dict[str, Json], *warnings: str) -> Issue:
        trashed = ["the issue is in Linear's trash: restore it there"] if data["trashed"] else []
        return Issue(id=data["id"], key=data["identifier"], url=data["url"], warnings=(*warnings, *trashed))


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Linear]
