"""Bugzilla 5.0 to 5.3, harmony, bugzilla.mozilla.org and Red Hat's.

REST API "core/v1", https://bugzilla.readthedocs.io/en/5.2/api/core/v1/. Last verified in November 2026:
against the source of each, and recorded answers of a running 5.0.6. There is no machine-readable description.

A bug's alias is unique: Bugzilla itself refuses a second bug with ours. Odd: 5.0 and 5.2 take the key as a
parameter only; the description is the first comment, which cannot be changed; much is dropped in silence for want
of the right `editbugs`; every site changes the lists of values, and a value that is not in one costs the bug.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from bridge import (
    AttachmentFile,
    Body,
    Draft,
    Issue,
    IssueState,
    Json,
    Marker,
    Markup,
    Purpose,
    Rejected,
    Report,
    Tools,
    Tracker,
    TrackerError,
    hookimpl,
    inside,
    list_inside,
)
from bridge_plugins._bugzilla_api import AliasTaken, Api, Server, ServerSettings
from bridge_plugins._bugzilla_lists import CHOICES, Lists

NAME_LIMIT = 255  # characters of a file's name
ALIAS_LIMIT = 40
NATIVE = frozenset(
    {"alias", "assigned_to", "blocks", "cc", "component", "deadline", "depends_on", "estimated_time", "flags",
     "groups", "keywords", "op_sys", "platform", "priority", "product", "qa_contact", "resolution", "see_also",
     "severity", "status", "summary", "target_milestone", "type", "url", "version", "whiteboard"}
)  # fmt: skip
"""What a bug has besides custom fields: https://bugzilla.readthedocs.io/en/5.2/api/core/v1/bug.html#create-bug."""
DROPPED = ("assigned_to", "blocks", "depends_on", "keywords", "qa_contact", "status", "target_milestone")
"""What a new bug gets only from users with `editbugs` or `canconfirm`; from others it is dropped in silence."""
ADDED = frozenset({"blocks", "depends_on", "keywords", "see_also"})
"""Lists of which an update takes what is to be added."""


class Settings(ServerSettings):
    """`[trackers.NAME]` with `type = "bugzilla"`."""

    product: str = Field(description="product that bugs are filed into")
    component: str = Field(description="its component")
    version: str = Field("unspecified", description="its version")
    op_sys: str = Field("", description="operating system; empty: the device's, where Bugzilla has it")
    platform: str = Field("All", description="hardware")
    text_format: Literal["plain", "markdown"] = Field(
        "plain", description="markdown: where harmony or bugzilla.mozilla.org shows it"
    )
    emoji: bool = Field(True, description="false: leave emoji out of summaries, for older MySQL databases")


def alias_of(marker: Marker) -> str:
    """Return the alias of the bug with a marker: two trackers at one Bugzilla must not share it."""
    own = f"-{marker.uuid.hex[:8]}"
    return marker.text[: ALIAS_LIMIT - len(own)] + own


def payload(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent for the parts of a draft that are to be set; labels are tags in the whiteboard.

    People, values and custom fields are as configured: they are looked up before sending.
    """
    parent = draft.parent.lstrip("#")
    chosen = draft.chosen(
        ("title", "summary", draft.title if settings.emoji else _without_emoji(draft.title)),
        ("body", "description", draft.body.content),
        ("severity", "severity", draft.severity),
        ("priority", "priority", draft.priority),
        ("issue_type", "type", draft.issue_type),
        ("assignee", "assigned_to", draft.assignee),
        ("parent", "blocks", [int(parent) if parent.isdigit() else parent] if parent else None),
        ("labels", "whiteboard", tags(draft.labels)),
    )
    return {**chosen, **draft.own_fields}


def new_bug(draft: Draft, settings: Settings) -> dict[str, Json]:
    """Return what is sent to file a bug."""
    link = draft.bug.link
    return {
        "product": settings.product,
        "component": settings.component,
        "version": settings.version,
        "op_sys": settings.op_sys or draft.bug.device.os or "All",
        "platform": settings.platform,
        "alias": alias_of(draft.marker),
        **({"url": link} if link.startswith(("http://", "https://")) else {}),
        **payload(draft, settings),
    }


def tags(labels: Iterable[str]) -> str:
    """Return labels as people write them into the whiteboard: `[crowd] [checkout]`."""
    return " ".join(f"[{label}]" for label in labels)


def _without_emoji(text: str) -> str:
    """Return `text` without what MySQL's three-byte UTF-8 cannot hold."""
    return " ".join(re.sub(r"[\U00010000-\U0010ffff]", "", text).split())


class Bugzilla(Api[Settings]):
    """Bugs of one product."""

    type = "bugzilla"
    label = "Bugzilla"
    settings_type = Settings
    listed = ("product", "component")
    markup = Markup.PLAIN
    title_limit = 255
    body_limit = 65_535
    enforces_marker = True
    settle = timedelta(seconds=30)  # a search reads the replica of the database, where there is one
    default_priorities: ClassVar[Mapping[str, str]] = {"critical": "Highest", "high": "High", "low": "Low"}
    default_severities: ClassVar[Mapping[str, str]] = {
        "critical": "critical",
        "high": "major",
        "low": "minor",
        "spelling": "trivial",
        "suggestion": "enhancement",
    }
    default_issue_types: ClassVar[Mapping[str, str]] = {"default": "defect", "suggestion": "enhancement"}

    def __init__(self, name: str, settings: Settings, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self.markup = Markup.COMMONMARK if settings.text_format == "markdown" else Markup.PLAIN
        self.lists = Lists(self)
        self._aliases_work = False

    async def create(self, draft: Draft) -> Issue:
        """File the bug under an alias of ours, or return the one that has it already."""
        server = await self.server()
        if not server.stock and not self._aliases_work:  # they may be turned off there, and are then ignored
            found = await self.find(draft.marker)
            if found is not None:
                return found
        sent, warnings = await self._resolved(new_bug(draft, self.settings), draft, server)
        if "component" not in draft.fields:
            sent["component"] = await self.lists.components.needed(self.settings.component, "component")
        if "version" not in draft.fields:
            sent["version"] = await self.lists.versions.needed(self.settings.version, "version")
        if not server.stock:
            sent["whiteboard"] = f"[{sent['alias']}] {sent.get('whiteboard', '')}".strip()
        try:
            data = await self.call("POST", "/bug", purpose=Purpose.CREATE, json=sent)
        except AliasTaken as refusal:
            return await self._existing(draft.marker, refusal)
        number = self.created(data, "id")
        return self._issue(number, *warnings, *await self._lost(number, sent, server))

    async def find(self, marker: Marker) -> Issue | None:
        """Look for the alias; where aliases may be turned off, in whiteboards too."""
        alias, fields = alias_of(marker), "id,alias,whiteboard"
        searches = [{"alias": alias}]
        if not (await self.server()).stock:
            searches.append({"whiteboard": alias, "product": self.settings.product})
        for search in searches:
            data = await self.call("GET", "/bug", params={**search, "include_fields": fields})
            for bug in list_inside(data, "bugs"):
                if alias in {*_texts(bug.get("alias")), *re.split(r"[\s,\[\]]+", bug.get("whiteboard") or "")}:
                    return self._issue(bug["id"])
        return None

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set parts of the draft. A new description becomes a comment; labels that people added stay."""
        sent, warnings = await self._resolved(payload(draft, self.settings), draft, await self.server())
        if "description" in sent:
            sent["comment"] = {"body": sent.pop("description")}
        sent |= {name: {"add": sent[name]} for name in ADDED & sent.keys() if isinstance(sent[name], list)}
        if "whiteboard" in sent and "whiteboard" not in draft.fields:
            there = (await self._bug(issue, "whiteboard")).get("whiteboard") or ""
            new = [tag for tag in re.findall(r"\[.*?\]", sent["whiteboard"]) if tag not in there]
            sent["whiteboard"] = " ".join([there, *new]).strip()
        if sent:
            await self.call("PUT", f"/bug/{issue.id}", purpose=Purpose.ISSUE, json=sent)
        return self._issue(issue.id, *warnings)

    async def comment(self, issue: Issue, body: Body) -> None:
        """Add a comment. Here it is a text: an object would be stored as `HASH(0x...)`."""
        sent = {"comment": body.text}
        await self.call("POST", f"/bug/{issue.id}/comment", purpose=Purpose.ISSUE, json=sent)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Send the file inside JSON, unless an earlier try whose answer was lost did."""
        path, file = f"/bug/{issue.id}/attachment", replace(file, name=file.name[:NAME_LIMIT])
        fields = {"include_fields": "file_name,size"}
        there = inside(await self.call("GET", path, purpose=Purpose.ISSUE, params=fields), "bugs")
        if file.is_one_of((each["file_name"], each["size"]) for each in there.get(issue.id) or ()):
            return
        limit = await self.largest_file()
        if limit is not None and file.size > limit * 1024:
            raise Rejected(
                f"{file.name}: {file.size // 1024} KB is more than Bugzilla's maxattachmentsize, {limit}"
            )
        content = await asyncio.to_thread(lambda: b64encode(file.path.read_bytes()).decode())
        about = {"file_name": file.name, "summary": file.name, "content_type": file.type}
        sent = {"ids": [int(issue.id)], "data": content, **about}
        await self.call("POST", path, purpose=Purpose.ISSUE, json=sent)

    async def state(self, issue: Issue) -> IssueState:
        """Return whether the bug's status is a closed one."""
        bug = await self._bug(issue, "status,resolution,is_open")
        return IssueState(not bug["is_open"], " ".join(filter(None, (bug["status"], bug.get("resolution")))))

    async def choices(self, setting: str) -> Mapping[str, str]:
        """Return the products that the key's user may file into, or the product's components."""
        return await (self.lists.products if setting == "product" else self.lists.components).all()

    async def check(self) -> Report:
        """Look at the key, product, rights, and every configured name, value and custom field."""
        from bridge_plugins._bugzilla_doctor import findings  # noqa: PLC0415 - it knows this module

        return await Report.of(findings(self))

    def preview(self, draft: Draft) -> Json:
        """Return the body of the POST; when it is sent, names and labels become what this site has."""
        return new_bug(draft, self.settings)

    async def largest_file(self) -> int | None:
        """Return how many KB a file may have; None where the server does not say."""
        if not (await self.server()).stock:
            return None
        told = inside(await self.call("GET", "/parameters"), "parameters")
        small, local = int(told.get("maxattachmentsize") or 0), int(told.get("maxlocalattachment") or 0) * 1024
        return max(small, local) or None

    async def _resolved(
        self, named: dict[str, Json], draft: Draft, server: Server
    ) -> tuple[dict[str, Json], list[str]]:
        """Return what to send, with this site's words, and a warning for each that it does not have."""
        sent, unknown = dict(named), {}
        for field in {"assigned_to", *CHOICES} & sent.keys():
            word, lists = str(named[field]), self.lists
            sent[field] = await (lists.person(word) if field == "assigned_to" else lists.value(field, word))
            if sent[field] is None:
                unknown[field] = word
        if server.stock and "type" not in draft.fields:
            sent["type"] = None  # not known there, and so refused
        for name in named.keys() & (draft.fields.keys() - NATIVE):
            value, custom = sent.pop(name), await self.lists.custom_fields.find(name)
            if custom:
                sent[custom] = value
            else:
                unknown[f"fields.{name}"] = name
        await self._label(sent, draft)
        warnings = [f'{field}: "{word}" does not exist here: left out' for field, word in sorted(unknown.items())]
        return {name: value for name, value in sent.items() if value not in (None, "", [])}, warnings

    async def _label(self, sent: dict[str, Json], draft: Draft) -> None:
        """Turn labels that are keywords at this site into keywords; the others stay tags in the whiteboard."""
        if "whiteboard" in draft.fields or not sent.get("whiteboard"):
            return
        found = {label: await self.lists.keywords.find(label) for label in draft.labels}
        sent["whiteboard"] = tags([label for label, keyword in found.items() if not keyword])
        sent["keywords"] = [*_texts(sent.get("keywords")), *filter(None, found.values())]

    async def _existing(self, marker: Marker, refusal: AliasTaken) -> Issue:
        found = await self.find(marker)
        if found is None:
            told = "it is hidden from the key's user: let the user see it, or take the alias away"
            raise Rejected(f"a bug with this alias exists, but {told} (Bugzilla: {refusal.message})")
        return found

    async def _lost(self, number: int, sent: Mapping[str, Json], server: Server) -> tuple[str, ...]:
        """Return a warning for each value that a new bug does not have though it was sent."""
        unsure = not (server.stock or self._aliases_work)
        looked = [name for name in DROPPED if name in sent and not _by_alias(name, sent[name])]
        looked += ["alias"] if unsure else []
        if not looked:
            return ()
        try:
            bug = await self._bug(self._issue(number), ",".join(looked))
        except TrackerError as error:  # the bug is filed: this must not look as if it were not
            return (f"whether Bugzilla took {', '.join(looked)} could not be read: {error.message}",)
        lost = [name for name in looked if not set(_texts(sent[name])) <= set(_texts(bug.get(name)))]
        self._aliases_work |= unsure and "alias" not in lost
        told = "Bugzilla dropped it in silence; give the key's user the right editbugs"
        return tuple(f"{name}: {told}" for name in lost if name != "alias")

    async def _bug(self, issue: Issue, fields: str) -> dict[str, Json]:
        params = {"include_fields": fields}
        data = await self.call("GET", f"/bug/{issue.id}", purpose=Purpose.ISSUE, params=params)
        return dict(inside(data, "bugs", 0, purpose=Purpose.ISSUE))

    def _issue(self, number: int | str, *warnings: str) -> Issue:
        url = f"{self.base_url}/show_bug.cgi?id={number}"
        return Issue(id=str(number), key=f"#{number}", url=url, warnings=warnings)


def _by_alias(name: str, value: Json) -> bool:
    """Whether bugs are named by their aliases, where an answer has their numbers."""
    return name in {"blocks", "depends_on"} and not all(text.isdigit() for text in _texts(value))


def _texts(value: Json) -> list[str]:
    """Return what a field holds as texts: it may be a list, one value or nothing."""
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if each not in (None, "")]


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [Bugzilla]
