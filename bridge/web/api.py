"""The JSON API under `/api`, for the command line and for programs. Needs the admin token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge import payload
from bridge.app import Bridge
from bridge.config import problems_of
from bridge.errors import BridgeError, ConfigError, PluginError, Problem, StoreError
from bridge.ingest import bearer
from bridge.model import Json
from bridge.store import Selection, reading
from bridge.tracker import OPTIONAL
from bridge.web.problem import ProblemResponse

B = TypeVar("B", bound=BaseModel)

MOST_ROWS = 1000


def _whole(value: str) -> str:
    """Refuse halves of characters, which JSON can say and no store can hold."""
    value.encode()
    return value


Text = Annotated[str, AfterValidator(_whole)]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Refused(BridgeError):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        detail: Why.
        extra: More members of the problem document.
    """

    def __init__(self, status: int, detail: str, *, problems: Sequence[Problem] = (), **extra: Json) -> None:
        self.status, self.problems, self.extra = status, tuple(problems), extra
        super().__init__(detail)


class Wanted(BaseModel):
    """Query of a listing: which rows, newest first."""

    model_config = ConfigDict(extra="forbid")

    state: list[Text] = Field([], description="states of exports or deliveries")
    tracker: Text = Field("", description="name of a tracker")
    since: datetime | None = Field(None, description="only what came in since this moment (ISO 8601)")
    error: Text = Field("", description="text that the error contains")
    bug: Number | None = Field(None, description="test IO's id of a bug")
    limit: int = Field(100, ge=1, le=MOST_ROWS, description="rows at the most")
    before: Number | None = Field(None, description="`next` of the page before")

    def selection(self) -> Selection:
        """Return it as the store takes it."""
        return Selection(
            tracker=self.tracker, states=self.state, since=_utc(self.since), error=self.error, bug_id=self.bug,
            limit=self.limit, before=self.before,
        )  # fmt: skip


class PauseBody(BaseModel):
    """Why a tracker is paused."""

    model_config = ConfigDict(extra="forbid")

    reason: Text = Field("paused by hand", max_length=500, description="shown to everybody who looks")


class CheckBody(BaseModel):
    """Which trackers the doctor looks at."""

    model_config = ConfigDict(extra="forbid")

    trackers: list[Text] = Field([], description="names; empty: all")


class PreviewBody(BaseModel):
    """A payload, and where to look at it."""

    model_config = ConfigDict(extra="forbid")

    payload: Any = Field(description="what test IO would post")
    connection: Text | None = Field(None, description="name of a connection; the first where it is left out")
    trackers: list[Text] = Field([], description="names; empty: those that the routes choose")


class ReplayBody(BaseModel):
    """What to deliver again. Without states and ids: what is dead."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Text] = Field([], description="exports")
    tracker: Text = Field("", description="name of a tracker")
    states: list[Text] = Field([], description="states of deliveries or exports")
    since: datetime | None = Field(None, description="only what came in since this moment (ISO 8601)")
    error: Text = Field("", description="text that the error contains")
    bug: Number | None = Field(None, description="test IO's id of a bug")
    limit: int = Field(100, ge=1, le=MOST_ROWS, description="deliveries at the most; call again for more")
    dry_run: bool = Field(False, description="only say what would be delivered again")

    def selection(self) -> Selection:
        """Return it as the store takes it."""
        return Selection(
            ids=self.ids, tracker=self.tracker, states=self.states, since=_utc(self.since), error=self.error,
            bug_id=self.bug, limit=self.limit,
        )  # fmt: skip


class Api:
    """The handlers.

    Args:
        bridge: What they ask.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    @property
    def bridge(self) -> Bridge:
        """What is asked."""
        return self._bridge

    async def status(self, _request: Request) -> Json:
        """How much there is, and how it stands."""
        bridge, read = self._bridge, self._bridge.store.read
        source, counts = bridge.setup.config.source, await read(reading.count_states)
        waiting = ("pending", "running")
        under_way = [counts[name].get(state, 0) for name in ("deliveries", "followups") for state in waiting]
        unfinished = sum(under_way)  # of the same look: two looks could contradict each other
        return {
            "version": version("tracker-bridge"),
            "started_at": bridge.started_at.isoformat(timespec="seconds"),
            "ready": bridge.ready,
            "config": str(source) if source else None,
            **counts,
            "unfinished": unfinished,
        }

    async def exports(self, request: Request) -> Json:
        """What came in, newest first, each with its deliveries."""
        wanted = _query(request).selection()
        rows = await self._bridge.store.read(reading.list_exports, wanted)
        return {"exports": rows, "next": _next(rows, wanted)}

    async def export(self, request: Request) -> Json:
        """One export whole: body, deliveries, attempts, follow-ups."""
        given = request.path_params["id"].lower()
        ids = await self._bridge.store.read(reading.matching_ids, given)
        if len(ids) > 1 and given not in ids:
            raise Refused(409, f"several exports begin with {given}", matches=ids)
        found = (
            await self._bridge.store.read(reading.show_export, given if given in ids else ids[0]) if ids else None
        )
        if found is None:
            raise Refused(404, f"there is no export {given}")
        return found

    async def deliveries(self, request: Request) -> Json:
        """Deliveries, newest first."""
        wanted = _query(request).selection()
        rows = await self._bridge.store.read(reading.list_deliveries, wanted)
        return {"deliveries": rows, "next": _next(rows, wanted)}

    async def trackers(self, _request: Request) -> Json:
        """The configured trackers: what waits there, and what holds it up."""
        known = await self._bridge.store.read(reading.list_trackers)
        shown = []
        for name, tracking in self._bridge.dispatcher.trackings.items():
            tracker = tracking.tracker
            settings = tracker.settings
            shown.append(
                {
                    "name": name,
                    "type": tracker.type,
                    "label": tracker.label,
                    "account": list(tracking.account),
                    "concurrency": settings.concurrency,
                    "rate": str(settings.rate) if settings.rate else None,
                    "can": {method: tracker.can(method) for method in OPTIONAL},
                    "deliveries": {},
                    "oldest_pending": None,
                    "paused": "",
                    "paused_by": "",
                    "paused_at": None,
                    "blocked_until": None,
                    "blocked_reason": "",
                    "failures": 0,
                    "circuit_until": None,
                    "last_error": "",
                    **known.get(name, {}),
                }
            )
        return {"trackers": shown}

    async def pause(self, request: Request) -> Json:
        """Deliver nothing there until it is resumed. Exports are still accepted."""
        name, body = self._tracker(request), await read_body(request, PauseBody)
        await self._bridge.pause(name, body.reason or "paused by hand")
        return {"tracker": name, "paused": True}

    async def resume(self, request: Request) -> Json:
        """Let a tracker work again: no pause, no open circuit, no wait."""
        name = self._tracker(request)
        return {"tracker": name, "resumed": await self._bridge.resume(name)}

    async def check(self, request: Request) -> Json:
        """The doctor: would deliveries succeed?"""
        body = await read_body(request, CheckBody)
        self._known(body.trackers)
        reports = await self._bridge.check(body.trackers)
        shown = [
            {"name": name, "ok": report.ok, "findings": [asdict(finding) for finding in report.findings]}
            for name, report in reports.items()
        ]
        return {"ok": all(report.ok for report in reports.values()), "trackers": shown}

    async def preview(self, request: Request) -> Json:
        """Exactly what would be sent where. Sends nothing."""
        body = await read_body(request, PreviewBody)
        self._known(body.trackers)
        connections = self._bridge.setup.config.connections
        connection = body.connection or next(iter(connections), "")
        if connection not in connections:
            raise Refused(404, f"there is no connection {connection!r}")
        try:
            shown = self._bridge.preview(payload.dump(body.payload), connection, body.trackers)
            return {"event": payload.event_of(body.payload), "previews": shown}
        except payload.PayloadError as error:
            raise Refused(422, "the export cannot be used", problems=error.problems) from None

    async def replay(self, request: Request) -> Json:
        """Deliver again what is selected."""
        body = await read_body(request, ReplayBody)
        if body.tracker:
            self._known([body.tracker])
        if body.dry_run:
            return await self._bridge.store.read(reading.count_replay, body.selection())
        return {"replayed": await self._bridge.replay(body.selection())}

    async def reload(self, _request: Request) -> Json:
        """Take over the changed configuration file: all of it, or none."""
        try:
            await self._bridge.reload()
        except ConfigError as error:
            raise Refused(422, "nothing was taken over", problems=error.problems) from None
        except PluginError as error:
            raise Refused(422, f"nothing was taken over: {error}") from None
        return {"reloaded": True}

    async def plugins(self, _request: Request) -> Json:
        """The plugins, broken ones included."""
        plugins = self._bridge.setup.plugins
        return {"plugins": [asdict(info) | {"failures": plugins.failures[info.name]} for info in plugins.infos]}

    def _tracker(self, request: Request) -> str:
        name: str = request.path_params["name"]
        self._known([name])
        return name

    def _known(self, names: Sequence[str]) -> None:
        trackings = self._bridge.dispatcher.trackings
        for name in names:
            if name not in trackings:
                raise Refused(404, f"there is no tracker {name!r}; there are: {', '.join(trackings) or 'none'}")


def guarded(
    bridge: Bridge, handler: Callable[[Request], Awaitable[Json]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that asks for the admin token, and turns refusals into problem documents."""

    async def answer(request: Request) -> Response:
        token = bridge.setup.config.server.admin_token
        if token is None:
            return ProblemResponse(403, "the API is closed: set admin_token in [server]")
        given = bearer(request.headers.get("authorization", ""))
        if not any(hmac.compare_digest(token.get_secret_value().encode(), one.encode()) for one in given):
            return ProblemResponse(
                401, "send the admin token: Authorization: Bearer ...", headers={"WWW-Authenticate": "Bearer"}
            )
        try:
            return JSONResponse(await handler(request))
        except Refused as error:
            return ProblemResponse(error.status, str(error), problems=error.problems, **error.extra)
        except StoreError as error:
            return ProblemResponse(503, str(error), headers={"Retry-After": "5"})

    return answer


def _query(request: Request) -> Wanted:
    given: dict[str, Any] = dict(request.query_params)
    states = [part for value in request.query_params.getlist("state") for part in value.split(",") if part]
    try:
        return Wanted.model_validate(given | {"state": states})
    except ValidationError as error:
        raise Refused(422, "the query cannot be used", problems=problems_of(error, given, Wanted)) from None


async def read_body(request: Request, model: type[B]) -> B:
    """Return the body of a request as `model`.

    Raises:
        Refused: It is no JSON, or does not fit.
    """
    raw = await request.body()
    try:
        document = payload.parse(raw) if raw.strip() else {}
        return model.model_validate(document)
    except payload.NotJson as error:
        raise Refused(400, str(error)) from None
    except ValidationError as error:
        raise Refused(422, "the request cannot be used", problems=problems_of(error, document, model)) from None


def _next(rows: Sequence[dict[str, Any]], wanted: Selection) -> int | None:
    return rows[-1]["position"] if len(rows) == wanted.limit else None


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
