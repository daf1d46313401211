"""Trello: cards on one board.

REST API 1, https://developer.atlassian.com/cloud/trello/rest/. Last verified in November 2026: requests and
answers against Atlassian's own OpenAPI description. That has all inputs in the query; they are sent as JSON
("may also be replaced with a JSON request body"), because a long description overflows an address.

Odd: refusals are plain text; unknown names of fields are ignored in silence; a card is made in one call except for
its custom fields; a card on an archived list is made and seen by nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

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
    Names,
    Purpose,
    Rejected,
    Report,
    Secret,
    Tools,
    Tracker,
    TrackerError,
    TrackerSettings,
    by_name,
    hookimpl,
    list_inside,
)
from bridge.labels import WITH_SEVERITY, merged, shortened
from bridge.names import match

LABEL_LIMIT = 16_384  # characters
NAME_LIMIT = 256  # characters of a file's name
COLOUR = "sky"  # of labels that are made
NATIVE = frozenset({"due", "start", "dueComplete", "pos", "address", "locationName", "coordinates"})
"""Keys of `fields` that are a card's own; every other one names a custom field."""
CARD = "shortLink,shortUrl,desc"


def _board(value: str) -> str:
    """Return what names the board: from its address the short link, anything else as it is."""
    parts = [part for part in urlsplit(value.strip()).path.split("/") if part]
    if "://" not in value:
        return value.strip()
    if len(parts) < 2 or parts[0] != "b":
        raise ValueError('is no board: write its name, or its address, "https://trello.com/b/..."')
    return parts[1]


class Settings(TrackerSettings):
    """`[trackers.NAME]` with `type = "trello"`."""

    board: Annotated[str, AfterValidator(_board)] = Field(description="the board: its name, address or id")
    list: str = Field(description="the list that new cards are put on: its name or id")
    key: Secret = Field(description="API key, from https://trello.com/power-ups/admin")
    token: Secret = Field(description='token of a member of the board, scope "read,write", that never expires')
    position: Literal["top", "bottom"] = Field("bottom", description="where on the list new cards are put")
    done: tuple[str, ...] = Field(("Done",), description="lists on which a card is finished")
    priority_field: str = Field("", description="name of the custom field that `priorities` fill")
    severity_field: str = Field("", description="name of the custom field that `severities` fill")
    url: str = Field("https://api.trello.com/1", description="address of the API")


def card(draft: Draft) -> dict[str, Json]:
    """Return a card's own fields for the parts of a draft that are to be set; names are not yet ids."""
    chosen = draft.chosen(
        ("title", "name", draft.title),
        ("body", "desc", draft.body.content),
        ("labels", "idLabels", shortened(draft.labels, LABEL_LIMIT)),
        ("assignee", "idMembers", list(draft.assignees)),
        ("parent", "idList", draft.parent),
    )
    return chosen | {name: value for name, value in draft.own_fields.items() if name in NATIVE}


def new_card(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent to make a card, with names in place of ids."""
    link = {"urlSource": draft.bug.link} if draft.bug.link else {}
    return {"idList": settings.list, "pos": settings.position, **link, **card(draft)}


def custom_fields(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return the values of custom fields, by name, for the parts of a draft that are to be set."""
    chosen = draft.chosen(
        ("priority", settings.priority_field, draft.priority),
        ("severity", settings.severity_field, draft.severity),
    )
    return chosen | {name: value for name, value in draft.own_fields.items() if name not in NATIVE}


def item(field: Mapping[str, Json], value: Json) -> dict[str, Json]:
    """Return a value as a custom field of its type takes it.

    https://developer.atlassian.com/cloud/trello/guides/rest-api/getting-started-with-custom-fields/

    Raises:
        ValueError: The field is a list, and `value` is not on it; says what is.
    """
    kind, text = field["type"], str(value)
    if kind == "list":
        options = {option["value"]["text"]: option["id"] for option in field.get("options") or ()}
        if (chosen := match(text, options)) is None:
            raise ValueError(f'"{text}" is none of {", ".join(options)}')
        return {"idValue": chosen}
    if kind == "checkbox":
        return {"value": {"checked": "true" if text.casefold() in {"true", "yes", "1"} else "false"}}
    return {"value": {kind: text}}


def object_id(moment: datetime) -> str:
    """Return the least id that something made at `moment` can have: ids begin with the time in seconds."""
    return f"{int(moment.timestamp()):08x}" + "0" * 16


class Trello(HttpTracker[Settings]):
    """Cards on one list of a board."""

    type = "trello"
    label = "Trello"
    settings_type = Settings
    listed = ("board", "list")
    markup = Markup.COMMONMARK
    title_limit = 16_384
    body_limit = 16_384
    settle = timedelta(seconds=10)
    absent = "the board or list does not exist or the token's member is not on it: correct `board` or `list`"
    limit_lasts = timedelta(seconds=10)  # the window in which Trello counts requests
    page = 1000
    """Cards in one answer."""
    default_labels = WITH_SEVERITY

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        clock = self.tools.clock
        self.boards = Names("board that the token's member is on", self._boards, clock)
        self.lists = Names("open list", self._lists, clock)
        self.labels = Names("label", self._labels, clock)
        self.members = Names("member of the board", self._members, clock)

    @property
    def base_url(self) -> str:
        """The API's address."""
        return self.settings.url.rstrip("/")

    def headers(self) -> Mapping[str, str]:
        """Return key and token; in the query they would end up in logs."""
        key, token = self.settings.key.get_secret_value(), self.settings.token.get_secret_value()
        return {"Authorization": f'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'}

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means, in Trello's dialect."""
        if answer.status == 403 and purpose is Purpose.ISSUE and "limit" in answer.message.lower():
            return Rejected(answer.message, status=403)  # this card is full; others are not
        return super().explain(answer, data, purpose)

    async def create(self, draft: Draft) -> Issue:
        """Make the card."""
        sent, warnings = await self._resolved(new_card(draft, self.settings))
        if "idList" not in sent:
            sent["idList"] = await self.lists.needed(self.settings.list, "list")
        data = await self.call("POST", "/cards", purpose=Purpose.CREATE, json=sent)
        self.created(data, "id")
        return replace(self._issue(data), warnings=tuple(warnings))

    async def find(self, marker: Marker) -> Issue | None:
        """Read the board's cards since the first attempt, archived ones too: the search lags."""
        found = [each async for each in self._cards(marker.earliest) if marker.found_in(each.get("desc") or "")]
        return marker.first_of([self._issue(each) for each in sorted(found, key=lambda each: str(each["id"]))])

    async def complete(self, issue: Issue, draft: Draft) -> None:
        """Set the custom fields: a card is made without them."""
        await self._set(issue, custom_fields(draft, self.settings))

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. Labels that people added stay."""
        wanted, path, existing = card(draft), f"/cards/{issue.id}", []
        if "idLabels" in wanted:
            query = {"fields": "labels"}
            existing = (await self.call("GET", path, purpose=Purpose.ISSUE, params=query))["labels"]
            kept = set(merged([each["name"] for each in existing], wanted["idLabels"])) - set(wanted["idLabels"])
            existing = [each["id"] for each in existing if each["name"] in kept]
        sent, warnings = await self._resolved(wanted)
        if "idLabels" in sent:
            sent["idLabels"] = ",".join([*sent["idLabels"], *existing])
        if "idMembers" in sent:
            sent["idMembers"] = ",".join(sent["idMembers"])
        if sent:
            await self.call("PUT", path, purpose=Purpose.ISSUE, json=sent)
        await self._set(issue, custom_fields(draft, self.settings))
        return replace(issue, warnings=tuple(warnings))

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment."""
        path = f"/cards/{issue.id}/actions/comments"
        await self.call("POST", path, purpose=Purpose.ISSUE, json={"text": body.text})

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Upload a file, unless an earlier try whose answer was lost did."""
        path, file = f"/cards/{issue.id}/attachments", replace(file, name=file.name[:NAME_LIMIT])
        there = await self.listing(path, Purpose.ISSUE, fields="name,bytes")
        if not file.is_one_of((each.get("name"), each.get("bytes")) for each in there):
            more = {"name": file.name, "mimeType": file.type, "setCover": "false"}
            await self.upload(path, file, data=more)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the card is archived, complete, or on a list of finished ones."""
        query = {"fields": "closed,dueComplete", "list": "true"}
        data = await self.call("GET", f"/cards/{issue.id}", purpose=Purpose.ISSUE, params=query)
        where = (data.get("list") or {}).get("name") or "open"
        if data.get("closed"):
            return IssueState(True, "archived")
        if data.get("dueComplete"):
            return IssueState(True, "complete")
        return IssueState(where.casefold() in {name.casefold() for name in self.settings.done}, where)

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the boards that the token's member is on, or the board's open lists."""
        return await (self.boards if setting == "board" else self.lists).all()

    async def check(self) -> Report:
        """Look at credentials, board, lists, and every configured label, member and custom field."""
        from bridge_plugins._trello_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST, with names for ids, and the custom fields that are set after it."""
        custom = custom_fields(draft, self.settings)
        return new_card(draft, self.settings) | ({"customFields": custom} if custom else {})

    async def listing(self, path: str, purpose: Purpose = Purpose.LOOK, **query: Json) -> list[dict[str, Json]]:
        """Return a list that Trello has.

        Raises:
            TrackerError: The one that fits; also for an answer that is no list.
        """
        return list_inside(await self.call("GET", path, purpose=purpose, params=query), purpose=purpose)

    async def board_id(self) -> str:
        """Return the id of the configured board.

        Raises:
            NotAllowed: There is none of this name: every delivery would fail, so they wait.
        """
        return await self.boards.needed(self.settings.board, "board")

    async def custom(self) -> dict[str, dict[str, Json]]:
        """Return the board's custom fields by name, in lower case."""
        fields = await self.listing(f"/boards/{await self.board_id()}/customFields")
        return {str(field["name"]).casefold(): field for field in fields}

    async def _resolved(self, sent: dict[str, Json]) -> tuple[dict[str, Json], list[str]]:
        """Return `sent` with ids for names, and a warning for each name that Trello does not know."""
        ids, warnings = dict(sent), list[str]()
        for field, setting, names, make in (
            ("idList", "list", self.lists, None),
            ("idLabels", "labels", self.labels, self._new_label),
            ("idMembers", "assignee", self.members, None),
        ):
            wanted = ids.pop(field, [])
            single = isinstance(wanted, str)
            found, unknown = await names.ids_of([wanted] if single else wanted, setting, make)
            ids |= {field: found[0] if single else found} if found else {}
            warnings += unknown
        return ids, warnings

    async def _set(self, issue: Issue, values: Mapping[str, Json]) -> None:
        """Set custom fields, all that can be set.

        Raises:
            Rejected: Some cannot; says which, and why.
        """
        problems, known = {}, await self.custom() if values else {}
        for name, value in values.items():
            field = known.get(name.casefold())
            try:
                sent = item(field, value) if field else None
            except ValueError as error:
                problems[name] = str(error)
                continue
            if field is None:
                problems[name] = "the board has no such custom field"
                continue
            path = f"/cards/{issue.id}/customField/{field['id']}/item"
            await self.call("PUT", path, purpose=Purpose.ISSUE, json=sent)
        if problems:
            raise Rejected("custom fields that cannot be set", fields=problems)

    async def _new_label(self, name: str) -> str:
        sent = {"name": name, "color": COLOUR, "idBoard": await self.board_id()}
        return str((await self.call("POST", "/labels", json=sent))["id"])

    async def _cards(self, since: datetime) -> AsyncIterator[dict[str, Json]]:
        path = f"/boards/{await self.board_id()}/cards/all"
        query: dict[str, Json] = {"fields": CARD, "since": object_id(since), "limit": self.page}
        while True:
            cards = await self.listing(path, **query)
            for each in cards:
                yield each
            oldest = min((str(each["id"]) for each in cards), default="")
            if len(cards) < self.page or oldest == query.get("before"):
                return
            query["before"] = oldest

    async def _boards(self) -> Mapping[str, str]:
        fields = "name,shortUrl"
        boards = await self.listing("/members/me/boards", filter="open", fields=fields)
        links = {str(each["shortUrl"]).rpartition("/")[2]: each["id"] for each in boards}
        return {**links, **by_name(boards, "name")}

    async def _lists(self) -> Mapping[str, str]:
        return by_name(await self.listing(f"/boards/{await self.board_id()}/lists", filter="open"), "name")

    async def _labels(self) -> Mapping[str, str]:
        return by_name(await self.listing(f"/boards/{await self.board_id()}/labels", limit=1000), "name")

    async def _members(self) -> Mapping[str, str]:
        return by_name(await self.listing(f"/boards/{await self.board_id()}/members"), "username", "fullName")

    def _issue(self, data: Mapping[str, Json]) -> Issue:
        short = data.get("shortLink") or data["id"]
        return Issue(id=data["id"], key=short, url=data.get("shortUrl") or f"https://trello.com/c/{short}")


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Trello]
