"""The composition root: builds everything from a configuration. No globals; make as many bridges as you like."""

from __future__ import annotations

import asyncio
import os
import random as chance
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from bridge import payload
from bridge.attachments import Downloader
from bridge.clock import Clock, SystemClock
from bridge.config import Config, default_config, load_config, plugin_settings
from bridge.dispatch import Dispatcher, Tracking
from bridge.dispatch.lane import Work
from bridge.dispatch.slots import Slots
from bridge.errors import ConfigError, Problem, TrackerError
from bridge.ids import new_id
from bridge.ingest import Ingest
from bridge.lazy import lazily
from bridge.mapping import Mapper, template_problems
from bridge.model import Bug, Draft, Export, Finding, Json, Marker, Report, Verdict
from bridge.plugins import Plugins
from bridge.routing import Router
from bridge.secrets import Redactor
from bridge.store import News, Receipt, Selection, Store, reading
from bridge.testio import Side
from bridge.tracker import Tools, Tracker

if TYPE_CHECKING:
    import httpx
else:
    httpx = lazily("httpx")

CONFIG_FILE = "config.toml"
CONFIG_VARIABLE = "TRACKER_BRIDGE_CONFIG"
HOME = "tracker-bridge-data"
"""Folder of the embedded default, in the current one."""

_SPOOL_AGE = timedelta(days=1)
_MOST_TOLD = 1000


@dataclass(frozen=True, slots=True)
class Setup:
    """A configuration and the plugins that it was read with."""

    config: Config
    plugins: Plugins


def find_config(given: Path | None, env: Mapping[str, str]) -> Path | None:
    """Return the configuration file: the given one, `TRACKER_BRIDGE_CONFIG`, or `./config.toml`; None for none."""
    if given is not None:
        return given
    if env.get(CONFIG_VARIABLE):
        return Path(env[CONFIG_VARIABLE])
    return Path(CONFIG_FILE) if Path(CONFIG_FILE).exists() else None


def load_setup(path: Path | None, env: Mapping[str, str], *, home: Path = Path(HOME)) -> Setup:
    """Read a configuration with everything that belongs to it: plugins, and the templates of every tracker.

    Args:
        path: The file; None for the embedded default.
        env: Environment variables for `${NAME}`.
        home: Folder of the embedded default.

    Raises:
        ConfigError: Something is wrong; it names everything that is.
        PluginError: A plugin cannot be used.
    """
    if path is None:
        plugins = Plugins.load()
        return Setup(default_config(home, plugins.types), plugins)
    wanted = plugin_settings(path, env)
    plugins = Plugins.load(wanted.folder, wanted.disabled)
    config = load_config(path, plugins.types, env, why_missing=plugins.why_missing)
    problems = [
        problem
        for name, settings in config.trackers.items()
        for problem in template_problems(settings, f"trackers.{name}")
    ]
    if problems:
        raise ConfigError(problems, source=str(path))
    return Setup(config, plugins)


class Clients:
    """Makes HTTP clients that share one SSL context: making one each costs 20 ms."""

    def __init__(self) -> None:
        self._context: Any = None

    def __call__(self, **settings: Any) -> httpx.AsyncClient:
        """Return a new client; arguments as `httpx.AsyncClient`."""
        if self._context is None:
            self._context = httpx.create_ssl_context()
        return httpx.AsyncClient(verify=self._context, **settings)


@dataclass(slots=True)
class Bridge:
    """Everything running together.

    Args:
        setup: Configuration and plugins.
        clock: The time.
        random: Returns a number from 0 up to 1.
        http: Makes HTTP clients for trackers.
    """

    setup: Setup
    clock: Clock = field(default_factory=SystemClock)
    random: Callable[[], float] = chance.random
    http: Callable[..., httpx.AsyncClient] = field(default_factory=Clients)
    store: Store = field(init=False)
    ingest: Ingest = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    testio: Side = field(init=False)
    redact: Redactor = field(init=False)
    _downloader: Downloader = field(init=False)
    started_at: datetime = field(init=False)
    ready: bool = field(init=False, default=False)
    _changing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _told: asyncio.Queue[tuple[str, dict[str, Any]]] = field(init=False)
    _telling: asyncio.Task[None] | None = field(init=False, default=None)
    _log: Any = field(init=False)

    def __post_init__(self) -> None:
        config = self.setup.config
        self.redact = Redactor(config.secrets)
        self.store = Store(config.store.url)
        self.ingest = Ingest(config, router(self.setup), self.store, self.clock, self._accepted, self._errand)
        self.testio = Side(config, self.store, self.ingest, self.clock, self.random, self.http, self.redact)
        downloader = Downloader(config.attachments, clock=self.clock)
        self.dispatcher = Dispatcher(
            Work(
                store=self.store,
                downloader=downloader,
                clock=self.clock,
                random=self.random,
                owner=f"{os.getpid()}-{new_id(self.clock.now())}",
                prepare=self._prepare,
                tell=self._tell,
                slots=Slots(config.server.attempts_at_once),
                lease=config.store.lease,
                keep=config.store.keep_delivered,
            )
        )
        self._downloader = downloader
        self._told = asyncio.Queue(_MOST_TOLD)
        self._log = structlog.get_logger("bridge.app")
        self.started_at = self.clock.now()

    async def start(self) -> None:
        """Open the store and begin to deliver. From here on exports can be accepted.

        Raises:
            StoreError: The store cannot be used.
            ConfigError: A tracker cannot be built.
        """
        trackings = build_trackings(self.setup, self.tools)
        try:
            await asyncio.to_thread(self.store.open)
            await self.store.probe()
            await self.dispatcher.start(trackings)
            await self.testio.start(trackings)
            self.store.listen(self._heard)
        except BaseException:
            await self.stop()
            raise
        self._telling = asyncio.create_task(self._tell_plugins())
        await asyncio.to_thread(self._downloader.clean, _SPOOL_AGE)
        self.ready = True

    async def stop(self) -> None:
        """End gracefully: nothing new, what is under way ends or is given back, everything is written down."""
        self.ready = False
        async with self._changing:
            await self.testio.stop()
            await self.dispatcher.stop(self.setup.config.server.shutdown_grace)
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self.store.close()

    async def reload(self) -> None:
        """Take over the changed configuration file: all of it, or, when it is wrong, none of it.

        Raises:
            ConfigError: It is wrong, or there is no file; everything goes on as before.
        """
        async with self._changing:  # one at a time
            if not self.ready:
                raise ConfigError([Problem("", "the bridge is not running")])
            await self._reload()

    async def _reload(self) -> None:
        source = self.setup.config.source
        if source is None:
            raise ConfigError(
                [Problem("", "the bridge runs without a configuration file: there is none to reload")]
            )
        setup = await asyncio.to_thread(load_setup, source, os.environ)
        fixed = [
            Problem(name, "cannot change while the bridge runs: restart it")
            for name, old, new in (
                ("store", self.setup.config.store, setup.config.store),
                ("server.host", self.setup.config.server.host, setup.config.server.host),
                ("server.port", self.setup.config.server.port, setup.config.server.port),
                (
                    "server.attempts_at_once",
                    self.setup.config.server.attempts_at_once,
                    setup.config.server.attempts_at_once,
                ),
                ("attachments", self.setup.config.attachments, setup.config.attachments),
            )
            if old != new
        ]
        if fixed:
            raise ConfigError(fixed, source=str(source))
        redact = Redactor(setup.config.secrets)
        trackings = build_trackings(setup, Tools(self.clock, redact, self.http))
        self.setup, self.redact = setup, redact
        self.ingest.replace(setup.config, router(self.setup))
        await self.dispatcher.replace(trackings, setup.config.server.shutdown_grace)
        await self.testio.replace(setup.config, redact, trackings)
        await self._resume_refused(setup.config.trackers)
        self._log.info("configuration reloaded", trackers=sorted(setup.config.trackers))

    @property
    def tools(self) -> Tools:
        """What trackers are given."""
        return Tools(self.clock, self.redact, self.http)

    # what people ask of it

    async def check(self, names: Sequence[str] = ()) -> dict[str, Report]:
        """Look at trackers live (all where none is named). A good one that the bridge had paused is resumed."""
        trackings = self.dispatcher.trackings
        chosen = [trackings[name] for name in names] if names else list(trackings.values())
        reports = await asyncio.gather(*(check(tracking.tracker) for tracking in chosen))
        found = {tracking.name: report for tracking, report in zip(chosen, reports, strict=True)}
        await self._resume_refused(name for name, report in found.items() if report.ok)
        return found

    async def pause(self, tracker: str, reason: str) -> None:
        """Pause a tracker: nothing is delivered there until it is resumed. Exports are still accepted."""
        await self.store.pause(tracker, reason, by="person", now=self.clock.now())
        self.dispatcher.wake([tracker])

    async def resume(self, tracker: str) -> bool:
        """Let a tracker work again. Returns whether anything held it."""
        changed = await self.store.resume(tracker)
        self.dispatcher.wake([tracker])
        self.testio.resumed(tracker)
        return changed

    async def replay(self, wanted: Selection) -> list[str]:
        """Deliver again what `wanted` selects, at most its limit; returns `export:tracker` for each."""
        blind = [
            name
            for name, tracking in self.dispatcher.trackings.items()
            if not tracking.tracker.can("find") and not tracking.tracker.enforces_marker
        ]
        again = []
        for export_id in await self.store.read(reading.lost_exports, wanted):
            row = await self.store.read(reading.export_body, export_id)
            if row is not None:
                received = datetime.fromtimestamp(row["received_at"], UTC)
                receipt = await self.ingest.take_again(export_id, row["connection"], row["body"], received)
                again += [f"{export_id}:{tracker}" for tracker in receipt.trackers]
        again += await self.store.replay(wanted, blind, self.clock.now())
        self.dispatcher.wake()
        return list(dict.fromkeys(again))

    def preview(self, body: bytes, connection: str, names: Sequence[str] = ()) -> list[dict[str, Json]]:
        """Return what would be sent where; sends nothing (see `preview`)."""
        return preview(self.setup, self.dispatcher.trackings, body, connection, names, self.clock.now())

    # pieces

    def _accepted(self, read: Callable[[], Export], receipt: Receipt) -> None:
        if self.setup.plugins.listens("bridge_received"):
            self._tell("bridge_received", {"export": read()})
        self.dispatcher.new_work(receipt.trackers)

    def _errand(self) -> None:
        self.testio.wake()

    def _heard(self, news: News) -> None:
        """Another replica made work, or changed something."""
        if news.kind == "work":
            self.dispatcher.new_work(news.trackers)
            return
        self.dispatcher.wake(news.trackers or None)
        for name in news.trackers or self.dispatcher.trackings:
            self.testio.resumed(name)

    def _prepare(self, draft: Draft, bug: Bug, tracker: str) -> Draft:
        return self.setup.plugins.prepare(draft, bug, tracker)  # after a reload, those of the new setup

    async def _resume_refused(self, names: Iterable[str]) -> None:
        """Resume those of the trackers that the bridge itself had paused."""
        known = await self.store.read(reading.list_trackers)
        for name in names:
            if known.get(name, {}).get("paused_by") == "bridge":
                await self.resume(name)

    def _tell(self, hook: str, arguments: dict[str, Any]) -> None:
        if hook == "bridge_delivered":
            self.testio.delivered(arguments["export_id"])
        if not self.setup.plugins.listens(hook):
            return
        try:
            self._told.put_nowait((hook, arguments))
        except asyncio.QueueFull:
            self._log.warning("plugins are too slow: they are not told of this", hook=hook)

    async def _tell_plugins(self) -> None:
        while True:
            hook, arguments = await self._told.get()
            await self.setup.plugins.tell(hook, **arguments)


def router(setup: Setup) -> Router:
    """Return what decides where exports go."""
    plugins = setup.plugins
    return Router(setup.config, plugins.route if plugins.listens("bridge_route") else None)


def build_trackings(setup: Setup, tools: Tools) -> list[Tracking]:
    """Return the configured trackers, ready to work.

    Raises:
        ConfigError: A template is wrong.
    """
    trackers = [
        setup.plugins.need(settings.type)(name, settings, tools)
        for name, settings in setup.config.trackers.items()
    ]
    accounts: dict[str, list[str]] = {}
    for tracker in trackers:
        accounts.setdefault(tracker.account, []).append(tracker.name)
    text = {name: connection.text for name, connection in setup.config.connections.items()}
    return [Tracking(tracker, Mapper(tracker), text, tuple(accounts[tracker.account])) for tracker in trackers]


async def check(tracker: Tracker[Any]) -> Report:
    """Return the doctor's report on a tracker; one that cannot be reached is a finding."""
    try:
        return await tracker.check()
    except TrackerError as error:
        return Report(
            (Finding(Verdict.ERROR, "reach", str(error), "see whether its address is right and it runs"),)
        )
    except Exception as error:  # noqa: BLE001 - shown, like everything the doctor finds
        words = tracker.tools.redact(f"the tracker type {tracker.type} failed: {type(error).__name__}: {error}")
        return Report((Finding(Verdict.ERROR, "plugin", words, "tell the plugin's author"),))


def preview(
    setup: Setup,
    trackings: Mapping[str, Tracking],
    body: bytes,
    connection: str,
    names: Sequence[str],
    now: datetime,
) -> list[dict[str, Json]]:
    """Return exactly what would be sent where, with lengths and what would be lost. Sends nothing.

    Args:
        setup: Configuration and plugins.
        trackings: The configured trackers.
        body: A payload as test IO posts it.
        connection: The connection it would come in by.
        names: Trackers to show; none for those that the routes choose.
        now: The present moment.

    Raises:
        NotJson, PayloadError: The payload cannot be used.
    """
    document = payload.parse(body)
    event = payload.event_of(document)
    if event != payload.BUG_EXPORTED:
        return []
    export = payload.read_export(document, id=new_id(now), connection=connection, received_at=now)
    routed = {to.tracker: to for to in router(setup).destinations(connection, lambda: export)}
    shown = []
    for name in names or routed:
        tracking = trackings[name]
        suffix = export.id if name in routed and routed[name].on_reexport == "new" else ""
        marker = Marker.of(export.bug.id, now, tracker=name, suffix=suffix)
        text = tracking.text.get(connection, "markdown")
        draft = tracking.mapper.draft(export, marker, text=text)
        draft = setup.plugins.prepare(draft, export.bug, name)
        shown.append(
            {
                "tracker": name,
                "type": tracking.tracker.type,
                "routed": name in routed,
                "on_reexport": routed[name].on_reexport if name in routed else None,
                "title": draft.title,
                "body": draft.body.content,
                "markup": draft.body.markup.value,
                "lost": list(draft.body.lost),
                "warnings": list(draft.warnings),
                "attachments": [asdict(attachment) for attachment in draft.attachments],
                "request": tracking.tracker.preview(draft),
            }
        )
    return shown


__all__ = [
    "Bridge", "Clients", "Setup", "build_trackings", "check", "find_config", "load_setup", "preview",
]  # fmt: skip
