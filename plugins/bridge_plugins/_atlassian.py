"""What Jira Cloud and Jira Server share: one dialogue through the `jira` package, errors, the create screen.

Every answer is looked at before the SDK sees it (`inspect`): only JSON with status 2xx is a success, redirects
are not followed, log-in pages with status 200 do not pass. The SDK's retries are off: they would repeat a create.
https://jira.readthedocs.io/
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlsplit

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    Finding,
    Gone,
    InDoubt,
    Issue,
    IssueState,
    Json,
    Marker,
    NotAllowed,
    Purpose,
    Rejected,
    Report,
    SdkTracker,
    TrackerError,
    Unit,
    fingerprint,
    unexpected,
)
from bridge_plugins._atlassian_answers import Refused, in_context, inspect, no_log_in, only_this
from bridge_plugins._atlassian_doctor import findings
from bridge_plugins._atlassian_fields import (
    PROPERTY,
    Dialect,
    Field,
    Form,
    Screen,
    create_payload,
    did_you_mean,
    listed,
    update_payload,
)
from bridge_plugins._atlassian_settings import JiraSettings

_PAGE = 100
_TOO_LARGE = re.compile(r"too (large|big)|size|exceed", re.IGNORECASE)


J = TypeVar("J", bound=JiraSettings)

Payload = Callable[[Draft, Form], tuple[dict[str, Json], tuple[str, ...]]]
"""Makes the body of a request from a draft, and warnings."""


class JiraTracker(SdkTracker[J, Any]):
    """One Jira project."""

    dialect: ClassVar[Dialect]
    api_version: ClassVar[str]
    credential_fix: ClassVar[str]
    """What to do when Jira does not accept the credentials."""
    person_fix: ClassVar[str]
    """What to do when a user is not found."""

    title_limit = 254
    unit = Unit.UTF16
    listed = ("project",)
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Highest", "high": "High", "low": "Low"}
    default_kind_labels: ClassVar[Mapping[str, str]] = {
        "visual": "visual",
        "content": "content",
        "suggestion": "suggestion",
        "spelling": "spelling",
    }

    _screens: dict[str, Screen]
    _people: dict[str, str]
    _site: str = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._screens, self._people = {}, {}

    @property
    def account(self) -> str:
        """The host, and the credentials' fingerprint."""
        url = self.settings.url
        return f"{urlsplit(url).hostname}/{fingerprint(url, str(self.sign_in()))}"

    # The SDK

    @abstractmethod
    def sign_in(self) -> Mapping[str, Any]:
        """Return the arguments of `jira.JIRA` that hold the credentials and what is special."""

    def connect(self) -> Any:
        """Return a new client. Asks Jira nothing."""
        try:
            from jira import JIRA  # noqa: PLC0415 - 130 ms: only where a Jira is configured
        except ImportError:
            raise NotAllowed('jira is not installed: pip install "tracker-bridge[jira]"') from None

        seconds = self.settings.timeout.total_seconds()
        special = dict(self.sign_in())
        options = {"rest_api_version": self.api_version, **special.pop("options", {})}
        client = JIRA(
            server=self.settings.url,
            options=options,
            max_retries=0,
            timeout=(min(seconds, 10.0), seconds),
            get_server_info=False,
            **special,
        )
        client._session.hooks["response"].append(inspect)  # noqa: SLF001 - before redirects and the SDK's parsing
        return client

    def answer_of(self, error: Exception) -> Answer | None:
        """Return what Jira answered."""
        from jira import JIRAError  # noqa: PLC0415 - imported already by `connect`

        if isinstance(error, Refused):
            return error.answer
        if isinstance(error, JIRAError):  # the SDK's own doubts about an answer; its str() would show headers
            return Answer(
                error.status_code or 200, str(error.text or "an answer that the SDK does not understand")
            )
        return None

    def explain(self, answer: Answer, purpose: Purpose) -> TrackerError:
        """Return the error that an answer means in Jira's dialect."""
        if denied := no_log_in(answer, self.credential_fix):
            return denied
        return in_context(super().explain(answer, purpose), answer, purpose, self.settings.project)

    async def look(self, path: str, needs: str = "", *, purpose: Purpose = Purpose.LOOK, **params: Any) -> Json:
        """Return the JSON behind a path of the API.

        Args:
            path: Behind `/rest/api/N/`.
            needs: A key without which the answer is none of Jira's.
            purpose: What it is for; decides what a failure means.
            params: The query.
        """
        data = await self.run(lambda jira: jira._get_json(path, params), purpose=purpose)  # noqa: SLF001
        if needs and not (isinstance(data, dict) and needs in data):
            raise unexpected(f'an answer that Jira does not give: no "{needs}" from {path}', purpose)
        return data

    async def send(self, method: str, path: str, payload: Json, purpose: Purpose) -> Json:
        """Send JSON, once, and return the answer's JSON; None where it has none.

        The SDK's `create_issue` cannot send entity properties, `update` reloads from an address that is wrong
        behind the gateway, `add_remote_link` asks for application links first: so this uses its session.
        """

        def call(jira: Any) -> Json:
            response = jira._session.request(method, jira._get_url(path), data=json.dumps(payload))  # noqa: SLF001
            return response.json() if response.content else None

        return await self.run(call, purpose=purpose)

    # What a tracker does

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the keys of the projects that the user sees."""
        return {key: key for key in await self.projects()}

    async def check(self) -> Report:
        """Look, live, whether deliveries would succeed."""
        self._screens.clear()
        self._people.clear()
        return await Report.of(findings(self))

    async def create(self, draft: Draft) -> Issue:
        """Make the issue in one POST, with the marker as label and as entity property."""
        site = await self.site()
        answer, warnings = await self._submit("POST", "issue", create_payload, draft, Purpose.CREATE)
        if not (isinstance(answer, dict) and answer.get("id") and answer.get("key")):
            raise InDoubt("Jira answered a create with success, but with no issue key")
        return self._issue(answer, site, warnings)

    async def find(self, marker: Marker) -> Issue | None:
        """Return the oldest issue with the marker. The index may lag; what it offers is read again, exactly."""
        for hit in await self._search(self._jql(marker)):
            with suppress(Gone):
                issue = await self.look(
                    f"issue/{hit['id']}", "fields", purpose=Purpose.ISSUE, fields="labels", properties=PROPERTY
                )
                if _carries(issue, marker):
                    return self._issue(issue, await self.site())
        return None

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Put "test IO bug" among the issue's links; a link with this globalId is updated, never doubled."""
        bug = draft.bug
        if not (self.settings.remote_link and bug.link):
            return
        link = {
            "globalId": f"testio-bug={bug.id}",
            "relationship": "reported in",
            "object": {"url": bug.link, "title": f"test IO bug {bug.id}"},
        }
        try:
            await self.send("POST", f"issue/{issue.id}/remotelink", link, Purpose.ISSUE)
        except NotAllowed as error:
            raise only_this(error, "links", "give the right to link issues, or set remote_link = false") from None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set the named parts anew. Labels that people added stay."""
        path = f"issue/{issue.id}"
        _, warnings = await self._submit("PUT", path, update_payload, draft, Purpose.ISSUE)
        return replace(issue, warnings=warnings)

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        await self.send("POST", f"issue/{issue.id}/comment", {"body": body.content}, Purpose.ISSUE)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file in pieces, unless an earlier attempt did so already."""
        if file.size == 0:
            raise Rejected(f"{file.name} is empty: Jira takes no empty files")
        there = await self.look(f"issue/{issue.id}", "fields", purpose=Purpose.ISSUE, fields="attachment")
        attached = there["fields"].get("attachment") or ()
        if file.is_one_of((one.get("filename"), one.get("size")) for one in attached):
            return

        def upload(jira: Any) -> None:
            with file.path.open("rb") as content:
                jira.add_attachment(issue=issue.id, attachment=content, filename=file.name)

        try:
            await self.run(upload, purpose=Purpose.ISSUE)
        except NotAllowed as error:
            raise only_this(
                error, "attachments", "give the right to create attachments, or switch them on"
            ) from None
        except Gone as error:
            if _TOO_LARGE.search(error.message):  # a Server's way of saying it
                raise Rejected(error.message, status=error.status) from None
            raise

    async def state(self, issue: Issue) -> IssueState:
        """Return the status; done is what its category says, whatever the workflow calls it."""
        data = await self.look(f"issue/{issue.id}", "fields", purpose=Purpose.ISSUE, fields="status")
        status = data["fields"]["status"]
        return IssueState(status["statusCategory"]["key"] == "done", status["name"])

    def preview(self, draft: Draft) -> Json:
        """Return what `create` would send. Custom fields show by name until the create screen is known."""
        return create_payload(draft, self._form(self._screens.get(draft.issue_type.casefold())))[0]

    # What is asked once

    async def site(self) -> str:
        """Return the address of Jira for people. Behind the gateway it is not the one we talk to."""
        if not self._site:
            told = self.settings.browser_url or (await self.look("serverInfo", "baseUrl"))["baseUrl"]
            self._site = told.rstrip("/")
        return self._site

    async def form(self, draft: Draft) -> Form:
        """Return what is needed to fill in the create screen of the draft's issue type."""
        screen = await self.screen(draft.issue_type)
        wanted: list[Any] = [draft.assignee] if draft.sets("assignee") else []
        for name, value in draft.own_fields.items():
            one = screen.find(name)
            if one and one.is_person:
                wanted += listed(value)
        for who in wanted:
            if who and isinstance(who, str) and who not in self._people:
                self._people[who] = await self.person(who)
        return self._form(screen)

    async def screen(self, issue_type: str) -> Screen:
        """Return the create screen of an issue type, by name; asked once, and again after a refusal.

        Raises:
            NotAllowed: The project does not exist, or the user may not create issues in it.
            Rejected: The project has no such issue type.
        """
        key = issue_type.casefold()
        if key not in self._screens:
            types = await self.issue_types()
            name = next((name for name in types if name.casefold() == key), None)
            if name is None:
                where = f"there is no such type in {self.settings.project}{did_you_mean(issue_type, types)}"
                raise Rejected(f'no issue type "{issue_type}"', fields={"issue_type": where})
            fields = await self._pages(f"{self._meta}/{quote(types[name])}", "fields")
            self._screens[key] = Screen.of(name, map(Field.read, fields))
        return self._screens[key]

    async def issue_types(self) -> dict[str, str]:
        """Return id by name of the issue types that the user may create in the project."""
        types = {one["name"]: str(one["id"]) for one in await self._pages(self._meta, "issueTypes")}
        if not types:
            raise NotAllowed(
                f"this user can create nothing in project {self.settings.project}: correct `project`, "
                "or give the user the right to create issues there"
            )
        return types

    async def person(self, who: str) -> str:
        """Return a user's id in this Jira."""
        return who

    @abstractmethod
    async def assignable(self, who: str) -> bool:
        """Whether issues of the project can be assigned to a user."""

    @abstractmethod
    async def projects(self) -> list[str]:
        """Return keys of projects that the user sees."""

    @abstractmethod
    def instance(self, info: Mapping[str, Json]) -> Iterator[Finding]:
        """Yield what `serverInfo` says about the kind and version of this Jira."""

    @abstractmethod
    def permission_query(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the parameters that ask for these permissions."""

    @property
    def priorities(self) -> dict[str, str]:
        """The words for priorities: the type's own, replaced by the configuration's."""
        return {**self.default_priorities, **self.settings.priorities}

    @property
    def _meta(self) -> str:
        return f"issue/createmeta/{self.settings.project}/issuetypes"

    @abstractmethod
    async def _search(self, jql: str) -> list[dict[str, Json]]:
        """Return the first issues that a query finds."""

    async def _pages(self, path: str, name: str) -> list[dict[str, Json]]:
        """Return all entries of a paged list: Cloud calls them `name`, Server `values`."""
        result: list[dict[str, Json]] = []
        while True:
            page = await self.look(path, "total", startAt=len(result), maxResults=_PAGE)
            entries = page.get(name) or page.get("values") or []
            result += entries
            if not entries or len(result) >= page["total"]:
                return result

    def _jql(self, marker: Marker) -> str:
        """Return a query that offers candidates: by label, or by text where labels are not on the screen."""
        return (
            f'project = "{self.settings.project}" AND (labels = "{marker.text}"'
            f' OR description ~ "\\"{marker.text}\\"") ORDER BY created ASC'
        )

    def _form(self, screen: Screen | None) -> Form:
        return Form(
            project=self.settings.project,
            dialect=self.dialect,
            severity=self.settings.severity_field,
            screen=screen,
            people=self._people,
        )

    async def _submit(
        self, method: str, path: str, make: Payload, draft: Draft, purpose: Purpose
    ) -> tuple[Json, tuple[str, ...]]:
        """Send a draft as the create screen wants it, and return the answer and warnings.

        A refusal is put in people's words, and the screen is looked at anew next time: it may be another by then.
        """
        try:
            payload, warnings = make(draft, await self.form(draft))
            answer = await self.send(method, path, payload, purpose) if payload else None
        except Rejected as error:
            screen = self._screens.get(draft.issue_type.casefold())
            self._screens.clear()
            raise (screen.explain(error) if screen else error) from None
        return answer, warnings

    def _issue(self, data: Mapping[str, Json], site: str, warnings: tuple[str, ...] = ()) -> Issue:
        return Issue(id=str(data["id"]), key=data["key"], url=f"{site}/browse/{data['key']}", warnings=warnings)


def _carries(issue: Mapping[str, Json], marker: Marker) -> bool:
    """Whether an issue is this marker's: its property says so, or, where it has none, its label."""
    known = (issue.get("properties") or {}).get(PROPERTY)
    if isinstance(known, dict):
        return bool(known.get("uuid") == str(marker.uuid))
    return marker.text in (issue["fields"].get("labels") or ())
