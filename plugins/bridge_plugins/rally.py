"""Rally (Broadcom; once CA Agile Central): defects or user stories in one project.

Web Services API 2.0, https://rally1.rallydev.com/slm/doc/webservice/ (needs a login). Last verified in November
2026 against the vendor's four toolkits, https://github.com/RallyTools; there is no machine-readable description.

Odd: every refusal has status 200 and says `Errors`; a field that Rally does not know is dropped with a warning;
one value that is not allowed refuses the whole issue; files travel in base64 inside JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from bridge import (
    Answer,
    AttachmentFile,
    Body,
    Draft,
    HttpTracker,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    NotAllowed,
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
from bridge.http import CONTENT, without_refused
from bridge.labels import merged, shortened
from bridge_plugins._rally_answers import both, condition, errors_in, fields_in, ignored, made, number, refusal
from bridge_plugins._rally_names import REFERENCES, RallyNames

LABEL_LIMIT = 128  # characters; not published
LARGEST_FILE = 50_000_000  # bytes
ESSENTIAL = frozenset({"Name", "Description", "Project"})


@dataclass(frozen=True)
class Artifact:
    """A type of issue.

    Attributes:
        type: Rally's word for it, in bodies and, in lower case, in paths.
        page: Its word in addresses for people.
        parent: The field that names the user story it belongs to.
        state: The field that tells where people are with it.
        own: Fields that only this type has.
    """

    type: str
    page: str
    parent: str
    state: str
    own: frozenset[str]

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return f"/{self.type.lower()}"


ARTIFACTS = {
    "Defect": Artifact("Defect", "defect", "Requirement", "State", frozenset({"Severity", "Priority", "State"})),
    "User Story": Artifact("HierarchicalRequirement", "userstory", "Parent", "ScheduleState", frozenset()),
}


def _site(address: str) -> str:
    """Return what is in front of the paths of Rally's pages and API."""
    return address.partition("/slm")[0].partition("/#")[0]


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "rally"`."""

    project: str = Field(min_length=1, description="the project that new issues are put in: its name or id")
    api_key: Secret = Field(description='API key ("_...") with full access')
    workspace: str = Field("", description="name or id; empty: the default workspace of the key's user")
    artifact: Literal["Defect", "User Story"] = Field("Defect", description="what is made of a bug")
    state: str = Field("Submitted", description="state of new defects; empty: Rally's own choice")
    done: tuple[str, ...] = Field(("Closed", "Accepted"), description="states of a finished issue")
    marker_field: str = Field("", description="text field that keeps the marker; by it issues are found again")
    url: Annotated[str, AfterValidator(_site), web_address("https://rally1.rallydev.com")] = Field(
        "https://rally1.rallydev.com", description="address of Rally"
    )


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the fields for the parts of a draft that are to be set; tags, people and stories are still named."""
    artifact = ARTIFACTS[settings.artifact]
    chosen = draft.chosen(
        ("title", "Name", draft.title),
        ("body", "Description", draft.body.content),
        ("severity", "Severity", draft.severity),
        ("priority", "Priority", draft.priority),
        ("labels", "Tags", shortened(draft.labels, LABEL_LIMIT)),
        ("assignee", "Owner", draft.assignee),
        ("parent", artifact.parent, draft.parent),
    )
    for name in {"Severity", "Priority"} - artifact.own:
        chosen.pop(name, None)
    return {**chosen, **draft.own_fields}


def new_issue(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the fields of a new issue, with names in place of references."""
    state = {"State": settings.state} if settings.state and settings.artifact == "Defect" else {}
    marker = {settings.marker_field: draft.marker.text} if settings.marker_field else {}
    return {"Project": settings.project, **state, **marker, **payload(draft, settings)}


class Rally(HttpTracker[Settings]):
    """Issues of one project."""

    type = "rally"
    label = "Rally"
    settings_type = Settings
    listed = ("project",)
    markup = Markup.HTML
    title_limit = 256
    body_limit = 30_000  # Rally takes 32 768, and may write HTML longer than it got it
    settle = timedelta(seconds=10)
    default_severities: ClassVar[Mapping[str, str]] = {
        "critical": "Crash/Data Loss",
        "high": "Major Problem",
        "low": "Minor Problem",
        "visual": "Cosmetic",
    }
    default_priorities: ClassVar[Mapping[str, str]] = {
        "critical": "Resolve Immediately",
        "high": "High Attention",
        "low": "Low",
    }

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.artifact = ARTIFACTS[settings.artifact]
        place = (settings.workspace, settings.project)
        self.names = RallyNames(*place, self.artifact.type, self.call, self.tools.clock)

    @property
    def base_url(self) -> str:
        """The API, version 2.0."""
        return f"{self.settings.url}/slm/webservice/v2.0"

    def headers(self) -> Mapping[str, str]:
        """Return the key; with one, no security token is needed. Rally asks integrations for their names."""
        name = "tracker-bridge"
        key = self.settings.api_key.get_secret_value()
        return {"ZSESSIONID": key, "X-RallyIntegrationName": name, "X-RallyIntegrationVendor": name}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: its `Errors` decide, whatever its status is."""
        if answer.status == 401:
            return NotAllowed("the API key is wrong, expired or revoked", status=401)
        errors = errors_in(data)
        if errors and answer.status >= 400:
            told = replace(answer, message="; ".join(errors), fields=fields_in(errors))
            return self.refusal(told, purpose)
        if errors:
            return refusal(errors, purpose)
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the issue; without a value that Rally refuses, where it can do without."""
        values, warnings = await self._resolved(new_issue(draft, self.settings), draft)
        query = {**await self.names.scope(), "fetch": "ObjectID,FormattedID"}

        async def send(values: dict[str, Json]) -> Json:
            sent = {self.artifact.type: values}
            return await self.call(
                "POST", f"{self.artifact.path}/create", purpose=Purpose.CREATE, params=query, json=sent
            )

        data, refused = await self._without_refused(send, values)
        self.created(data, "CreateResult", "Object", "_ref")
        result = data["CreateResult"]
        return self._issue(result["Object"], *warnings, *refused, *ignored(result))

    async def find(self, marker: Marker) -> Issue | None:
        """Ask the database for the marker: in its field, where there is one, and in descriptions."""
        since = marker.earliest.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        text = condition("Description", marker.text, "contains")
        query, fields = both(condition("CreationDate", since, ">="), "AND", text), ["Description"]
        if self.settings.marker_field:
            fields.append(await self._marker_field())
            query = both(query, "OR", condition(fields[-1], marker.text))
        fetch = ",".join(["ObjectID", "FormattedID", *fields])
        asked = {"query": query, "fetch": fetch, **await self.names.in_project()}
        found = [
            self._issue(each)
            for each in await self.names.listing(self.artifact.path, asked)
            if any(marker.found_in(str(each.get(name) or "")) for name in fields)
        ]
        return marker.first_of(sorted(found, key=lambda issue: int(issue.id)))

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Tags that people added stay."""
        named = payload(draft, self.settings)
        if "Tags" in named and "Tags" not in draft.fields:
            there = await self.names.listing(f"{self._path(issue)}/Tags", {"fetch": "Name"}, Purpose.ISSUE)
            named["Tags"] = merged([each["Name"] for each in there], named["Tags"])
        values, warnings = await self._resolved(named, draft)
        if not values:
            return replace(issue, warnings=tuple(warnings))

        async def send(values: dict[str, Json]) -> Json:
            sent = {self.artifact.type: values}
            return await self.call("POST", self._path(issue), purpose=Purpose.ISSUE, json=sent)

        data, refused = await self._without_refused(send, values)
        return replace(issue, warnings=(*warnings, *refused, *ignored(inside(data, "OperationResult"))))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add to the discussion."""
        await self._make("ConversationPost", {"Artifact": self._path(issue), "Text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Send the content, then what it is of; unless an earlier try whose answer was lost did."""
        if file.size > LARGEST_FILE:
            raise Rejected(f"{file.name}: {file.size} bytes are more than Rally takes, {LARGEST_FILE}")
        file = replace(file, name=" ".join(file.name.split()))
        query = {
            "query": condition("Artifact", self._path(issue)),
            "fetch": "Name,Size",
            **await self.names.scope(),
        }
        there = await self.names.listing("/attachment", query, Purpose.ISSUE)
        if file.is_one_of((each.get("Name"), each.get("Size")) for each in there):
            return
        sent = {"AttachmentContent": {"Content": CONTENT}}
        data = await self.send_encoded("/attachmentcontent/create", file, sent, params=await self.names.scope())
        about = {"Name": file.name, "ContentType": file.type, "Size": file.size}
        await self._make("Attachment", {**about, "Content": made(data), "Artifact": self._path(issue)})

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the issue's state is one of those that are done."""
        query = {"fetch": self.artifact.state}
        data = await self.call("GET", self._path(issue), purpose=Purpose.ISSUE, params=query)
        state = str(inside(data, self.artifact.type).get(self.artifact.state) or "open")
        return IssueState(state.casefold() in {each.casefold() for each in self.settings.done}, state)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the open projects that the key sees."""
        return await self.names.projects.all()

    async def check(self) -> Report:
        """Look at the key, workspace, project, fields that must be filled, and every configured value."""
        from bridge_plugins._rally_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; names are replaced by references when it is sent."""
        return {self.artifact.type: new_issue(draft, self.settings)}

    async def _resolved(self, named: dict[str, Json], draft: Draft) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with references for names, and a warning for each name that Rally does not know."""
        names, warnings = self.names, list[str]()
        values = {
            await names.field(name) if name in draft.fields else name: value for name, value in named.items()
        }
        if (marker := self.settings.marker_field) in values:
            values[await self._marker_field()] = values.pop(marker)
        if "Project" in values and "Project" not in draft.fields:
            values["Project"] = await names.project()
        if "Tags" in values and "Tags" not in draft.fields:
            values["Tags"] = [{"_ref": tag} for name in values["Tags"] if (tag := await names.tag(name, warnings))]
        for field in sorted(REFERENCES & values.keys()):
            value = values[field]
            if isinstance(value, str) and not value.startswith("/"):
                values[field] = await names.reference(field, value)
                warnings += [] if values[field] else [f'{field}: there is no "{value}"']
        return {name: value for name, value in values.items() if value is not None}, warnings

    async def _marker_field(self) -> str:
        """Return the field for the marker: Rally drops in silence what it does not know."""
        return await self.names.attributes.needed(self.settings.marker_field, "marker_field")

    async def _without_refused(
        self, send: Callable[[dict[str, Json]], Awaitable[Json]], values: Mapping[str, Json]
    ) -> tuple[Json, list[str]]:
        needed = {await self._marker_field()} if self.settings.marker_field else set()
        try:
            return await without_refused(send, values, ESSENTIAL | needed)
        except Rejected:
            self.forget()  # after an update, too: a reference may be of something that was deleted
            raise

    async def _make(self, type_: str, values: dict[str, Json]) -> str:
        """Make something that belongs to an issue, and return its reference."""
        path = f"/{type_.lower()}/create"
        query = await self.names.scope()
        return made(await self.call("POST", path, purpose=Purpose.ISSUE, params=query, json={type_: values}))

    def _path(self, issue: Issue) -> str:
        return f"{self.artifact.path}/{issue.id}"

    def _issue(self, data: Mapping[str, Json], *warnings: str) -> Issue:
        id_ = number(str(data["_ref"]))
        url = f"{self.settings.url}/#/detail/{self.artifact.page}/{id_}"
        return Issue(id=id_, key=str(data.get("FormattedID") or id_), url=url, warnings=warnings)


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Rally]
