"""Gitea and Forgejo: one's own server, gitea.com, codeberg.org.

REST API v1, https://docs.gitea.com/api/ and https://forgejo.org/docs/latest/user/api-usage/; every server
describes its own at /swagger.v1.json. Last verified in November 2026 against Gitea's description (1.27) and
Forgejo's (12.0).

Looks like GitHub's API and is not: labels are ids, an update answers 201, and labels, people and milestone of a
token without the right to write are dropped in silence. A renamed repository redirects: POST would become GET.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field

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
    Names,
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    Unit,
    hookimpl,
    inside,
    list_inside,
    web_address,
)
from bridge.labels import merged, missing, shortened

LABEL_LIMIT = 50  # characters
COLOUR = "#d73a4a"  # of labels that are made here
PAGE = 50  # the most that a server gives at once, unless its administrator allows more
CREATE_ONLY = frozenset({"closed", "labels"})  # an update takes these another way
LOOKED_UP = frozenset({"labels", "assignees", "milestone"})  # left out where nothing is left of them


def _repository(value: str) -> str:
    path = value.strip().strip("/")
    if path.count("/") != 1 or set(":? ") & set(path):
        raise ValueError('is no repository: write it as in its address, "owner/name"')
    return path


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "gitea"`."""

    url: Annotated[str, web_address("https://git.acme.example", "/api/v1")] = Field(
        description="the server, with the path it lives under, if any"
    )
    repository: Annotated[str, AfterValidator(_repository)] = Field(description='"owner/name"')
    token: Secret = Field(description="Settings > Applications > Generate token, scope write:issue")
    milestone: str = Field("", description="title of the milestone that new issues get")
    make_labels: bool = Field(True, description="make labels that do not exist")
    ca_file: Path | None = Field(None, description="PEM file with the CA of the server's certificate")


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set.

    Labels and milestone are still named: their ids are looked up before sending.
    """
    chosen = draft.chosen(
        ("title", "title", draft.title),
        ("body", "body", draft.body.content),
        ("labels", "labels", shortened(draft.labels, LABEL_LIMIT)),
        ("assignee", "assignees", list(draft.assignees)),
        ("fields", "milestone", settings.milestone),
    )
    return {**chosen, **draft.own_fields}


def dropped(sent: Mapping[str, Json], answer: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that was sent and is not in the issue that came back."""
    got: dict[str, list[Json]] = {
        "labels": [label["id"] for label in answer.get("labels") or ()],
        "assignees": [user["login"] for user in answer.get("assignees") or ()],
        "milestone": [(answer.get("milestone") or {}).get("id")],
    }
    warnings = []
    for name, values in got.items():
        wanted = sent[name] if isinstance(sent.get(name), list) else [sent[name]] if name in sent else []
        if missing(map(str, wanted), map(str, values)):
            warnings.append(f"{name}: dropped in silence; the token's user needs the right to write issues")
    return warnings


class Gitea(HttpTracker[Settings]):
    """Issues of one repository."""

    type = "gitea"
    label = "Gitea"
    settings_type = Settings
    listed = ("repository",)
    markup = Markup.GFM
    title_limit = 250  # 255, cut by Gitea in columns and by Forgejo in bytes, both in silence
    body_limit = 1_000_000
    unit = Unit.BYTES
    absent = "{settings.repository} does not exist, the token has no access to it, or its issues are turned off"
    settle = timedelta(seconds=30)
    default_labels: ClassVar[tuple[str, ...]] = (
        "test-io",
        "{% if bug.severity %}severity/{{ bug.severity }}{% endif %}",
    )

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        clock = self.tools.clock
        self.labels = Names("label", self._fetch_labels, clock)
        self.milestones = Names("milestone", self._fetch_milestones, clock)
        self.people = Names("assignee", self._fetch_people, clock)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return f"{self.settings.url}/api/v1"

    @property
    def repository(self) -> str:
        """The path of the repository."""
        return f"/repos/{quote(self.settings.repository)}"

    @property
    def issues(self) -> str:
        """The path of its issues."""
        return f"{self.repository}/issues"

    def headers(self) -> Mapping[str, str]:
        """Return the token."""
        return {"Authorization": f"token {self.settings.token.get_secret_value()}"}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: some refusals have no words, and some are everybody's."""
        status, name = answer.status, self.settings.repository
        found = super().explain(answer, data, purpose)
        told = ""
        if 300 <= status < 400:
            told = f"{name} was renamed, or `url` is not the server's own address: correct `repository` or `url`"
        elif status == 423:
            told = f"{name} is archived, or the issue is locked"
        return NotAllowed(f"{told} ({found.message})", status=status) if found and told else found

    async def create(self, draft: Draft) -> Issue:
        """Make the issue."""
        sent, warnings = await self._resolved(payload(draft, self.settings))
        data = await self.call("POST", self.issues, purpose=Purpose.CREATE, json=sent)
        self.created(data, "number")
        return self._issue(data, (*warnings, *dropped(sent, data)))

    async def find(self, marker: Marker) -> Issue | None:
        """Look through the newest issues: without search words the server reads its database, not an index."""
        query = {"type": "issues", "state": "all", "since": marker.earliest.isoformat()}
        async for item in self.listing(self.issues, query):
            if marker.found_in(item.get("body") or ""):
                return self._issue(item)
            if datetime.fromisoformat(item["created_at"]) < marker.earliest:
                return None  # `since` means the last change, the order is that of making
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        named = payload(draft, self.settings)
        labels = {"labels": named.pop("labels")} if "labels" in named else {}
        sent, warnings = await self._resolved({n: value for n, value in named.items() if n not in CREATE_ONLY})
        path, answer = f"{self.issues}/{issue.id}", {}
        if sent:
            answer = await self.call("PATCH", path, purpose=Purpose.ISSUE, json=sent)
        if labels:
            existing = (await self._read_issue(issue)).get("labels") or ()
            ours, lost = await self._resolved(labels)
            sent["labels"] = await self._kept(existing, ours.get("labels", ()))
            set_ = await self.call("PUT", f"{path}/labels", purpose=Purpose.ISSUE, json={"labels": sent["labels"]})
            answer, warnings = {**answer, "labels": set_}, [*warnings, *lost]
        return replace(issue, warnings=(*warnings, *dropped(sent, answer)))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        try:
            path = f"{self.issues}/{issue.id}/comments"
            await self.call("POST", path, purpose=Purpose.ISSUE, json={"body": body.text})
        except Unavailable as error:
            if error.status == 500:  # Gitea's answer where there is no such issue
                await self._read_issue(issue)
            raise

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload the file; it is shown below the issue."""
        path = f"{self.issues}/{issue.id}/assets?name={quote(file.name, safe='')}"
        try:
            await self.upload(path, file, field_name="attachment")
        except Gone:
            await self._read_issue(issue)
            raise Rejected("the server takes no attachments: they are turned off there", status=404) from None

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue is closed."""
        state = (await self._read_issue(issue))["state"]
        return IssueState(state == "closed", state)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the repositories of the token's user."""
        repositories = self.listing("/user/repos")
        return {each["full_name"]: each["full_name"] async for each in repositories}

    async def check(self) -> Report:
        """Look at the token, repository, rights, and every configured label, name and milestone."""
        from bridge_plugins._gitea_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names of labels and milestone are replaced by ids when it is sent."""
        return payload(draft, self.settings)

    async def listing(self, path: str, query: Mapping[str, str] | None = None) -> AsyncIterator[dict[str, Json]]:
        """Yield the items of a list, asking for one page after the other: a page may be shorter than asked."""
        page = 1
        while items := await self.call("GET", path, params={**(query or {}), "page": page, "limit": PAGE}):
            for item in list_inside(items):
                yield item
            page += 1

    async def _resolved(self, named: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return `named` with ids for names, and a warning for each name that the server does not know."""
        sent, warnings = dict(named), []
        if isinstance(title := sent.get("milestone"), str):
            number = await self.milestones.find(title)
            sent["milestone"] = int(number) if number else None
            warnings += [] if number else [f'milestone: "{title}" does not exist: left out']
        if people := sent.get("assignees"):
            known = [(name, await self._person(name)) for name in people]
            sent["assignees"] = [login for _, login in known if login]
            lost = [name for name, login in known if not login]
            warnings += [f'assignees: nobody called "{name}" can be assigned: left out' for name in lost]
        if labels := sent.get("labels"):
            make = self._new_label if self.settings.make_labels else None
            given = [label for label in labels if isinstance(label, int)]
            found, unknown = await self.labels.ids_of(
                [each for each in labels if each not in given], "labels", make
            )
            sent["labels"] = [*given, *map(int, found)]
            warnings += unknown
        return {name: value for name, value in sent.items() if value or name not in LOOKED_UP}, warnings

    async def _kept(self, existing: Sequence[Mapping[str, Json]], ours: Sequence[int]) -> list[int]:
        """Return the ids of an issue's labels after an update: ours, and those that people added."""
        names = {int(number): name for name, number in (await self.labels.all()).items()}
        ids = {label["name"]: label["id"] for label in existing}
        own = [names.get(number, "") for number in ours]
        return [*ours, *(ids[name] for name in merged(ids, own, "/")[len(own) :])]

    async def _new_label(self, name: str) -> str:
        label = {"name": name, "color": COLOUR, "exclusive": "/" in name}
        try:
            return str(inside(await self.call("POST", f"{self.repository}/labels", json=label), "id"))
        except NotAllowed as refusal:  # none may be made; the issue may, without it
            raise Rejected(refusal.message, status=refusal.status) from None

    async def _person(self, login: str) -> str | None:
        """Return the login; None for somebody who cannot be assigned, and would cost the whole issue."""
        try:
            return await self.people.find(login)
        except NotAllowed:  # the token lacks the scope read:repository
            return login

    async def _fetch_labels(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        owner = self.settings.repository.split("/")[0]
        for path in (f"/orgs/{quote(owner)}/labels", f"{self.repository}/labels"):
            try:
                found |= {label["name"]: str(label["id"]) async for label in self.listing(path)}
            except NotAllowed:
                if path.startswith("/repos"):
                    raise
        return found

    async def _fetch_milestones(self) -> Mapping[str, str]:
        pages = self.listing(f"{self.repository}/milestones", {"state": "all"})
        return {item["title"]: str(item["id"]) async for item in pages}

    async def _fetch_people(self) -> Mapping[str, str]:
        people = await self.call("GET", f"{self.repository}/assignees")  # has no pages
        return {user["login"]: user["login"] for user in people or ()}

    async def _read_issue(self, issue: Issue) -> dict[str, Json]:
        data = await self.call("GET", f"{self.issues}/{issue.id}", purpose=Purpose.ISSUE)
        inside(data, "number", purpose=Purpose.ISSUE)
        return dict(data)

    def _issue(self, data: Mapping[str, Json], warnings: tuple[str, ...] = ()) -> Issue:
        name, number = self.settings.repository, str(data["number"])
        page, own = urlsplit(data.get("html_url") or ""), urlsplit(self.settings.url)
        unset = page.hostname in {None, "localhost"} and own.hostname != "localhost"  # ROOT_URL was never set
        url = f"{self.settings.url}/{name}/issues/{number}" if unset else page.geturl()
        return Issue(id=number, key=f"{name}#{number}", url=url, warnings=warnings)


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Gitea]
