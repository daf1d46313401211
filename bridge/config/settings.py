"""What each section of the configuration may hold. Every model is frozen and refuses unknown keys."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializeAsAny,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from bridge.errors import Problem
from bridge.model import Kind, Level
from bridge.secrets import Secret, secrets_in
from bridge.tracker import RetrySettings, TrackerSettings
from bridge.units import CallRate, Duration, Rate, Size

SHORTEST_SECRET = 16
"""Characters a secret must have at least: it is all that keeps strangers from filing bugs."""


class _Many:
    """Marks a list for which one value may stand alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def listed(value: Any) -> Any:
            return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value

        return core_schema.no_info_before_validator_function(listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _nothing(value: Any) -> Any:
    """An empty text means that nothing is set: TOML has no null."""
    return None if value == "" else value


def _long_enough(value: Secret | None) -> Secret | None:
    if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters")
    return value


def _fits_a_url(value: Secret | None) -> Secret | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9._~-]*", value.get_secret_value()):
        raise ValueError("may hold only letters, digits and . _ ~ - because it is part of a URL")
    return _long_enough(value)


def _signs(value: Secret | None) -> Secret | None:
    """Standard Webhooks: "whsec_" and 24 to 64 bytes in base64.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    if value is None:
        return None
    text = value.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError('must be "whsec_" and 24 to 64 random bytes in base64')
    return value


def _address(value: str) -> str:
    if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
        raise ValueError('must be an address like "https://bridge.example.com"')
    return value.rstrip("/")


def _host(value: str) -> str:
    if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]+", value.lower()):
        raise ValueError('must be a host like "files.test.io" or "*.test.io"')
    return value.lower()


Strings = Annotated[tuple[str, ...], _Many()]
Numbers = Annotated[tuple[int, ...], _Many()]
Host = Annotated[str, AfterValidator(_host)]
Part = Literal["title", "body", "labels", "issue_type", "priority", "severity", "assignee", "parent", "fields"]


class Settings(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Settings):
    """`[server]`: where the daemon listens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes any free one")
    public_url: Annotated[str, AfterValidator(_address)] = Field(
        "", description="address under which test IO reaches the bridge, where it differs from host and port"
    )
    admin_token: Annotated[Secret | None, BeforeValidator(_nothing), AfterValidator(_long_enough)] = Field(
        None, description="token for the API and the console; without one they are closed"
    )
    max_body: Size = Field(2**20, description="largest export accepted")
    attempts_at_once: int = Field(
        100,
        ge=1,
        description="attempts under way at once in this process, over all trackers; each may always have one",
    )
    drain: Duration = Field(
        timedelta(0),
        description="how long exports are still taken in after SIGTERM, while /readyz says 503: a load balancer's"
        " time to notice",
    )
    shutdown_grace: Duration = Field(
        timedelta(seconds=20), description="how long deliveries under way may take to end at shutdown"
    )


class StoreSettings(Settings):
    """`[store]`: where exports and deliveries are written down."""

    url: str = Field(
        "sqlite:///bridge.db", repr=False, description="SQLite file (sqlite:///bridge.db) or PostgreSQL address"
    )
    lease: Duration = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=2),
        description="PostgreSQL: how long the work of a replica that died waits until another takes it up",
    )
    keep_delivered: Duration = Field(
        timedelta(0),
        description="delivered exports are deleted when they are older, their issues stay known; 0: kept for ever",
    )

    @property
    def shown(self) -> str:
        """The address without its password, for people."""
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}")) if at else self.url

    @property
    def password(self) -> str:
        """The password inside the address; empty where there is none."""
        return unquote(urlsplit(self.url).password or "")


class LogSettings(Settings):
    """`[log]`: what the daemon says, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least important line shown")
    format: Literal["auto", "human", "json"] = Field(
        "auto", description="auto: for people on a terminal, JSON lines otherwise"
    )


class AttachmentSettings(Settings):
    """`[attachments]`: which files are fetched, and from where."""

    spool: Path = Field(Path("spool"), description="folder for files on their way")
    max_size: Size = Field(25 * 2**20, description="largest file fetched")
    max_spool: Size = Field(2 * 2**30, description="all files on their way together")
    allowed_hosts: Annotated[tuple[Host, ...], _Many()] = Field(
        (), description="hosts files may come from (files.test.io, *.test.io); empty: any public host"
    )
    allow_http: bool = Field(False, description="also fetch over plain HTTP")
    allow_private: bool = Field(False, description="also fetch from private and local addresses")
    timeout: Duration = Field(timedelta(seconds=60), description="longest time for one file")


class TestIOSettings(Settings):
    """`[testio]`: test IO's API. Without a token nothing is ever asked there."""

    __test__ = False  # pytest takes what begins with Test for tests

    url: Annotated[str, AfterValidator(_address)] = Field(
        "https://api.test.io/customer/v2", description="test IO's customer API, or a sandbox"
    )
    token: Annotated[Secret | None, BeforeValidator(_nothing)] = Field(
        None, description="API token: at test IO under Integrations, API"
    )
    timeout: Duration = Field(timedelta(seconds=30), description="longest wait for one answer")
    reconcile_every: Duration = Field(
        timedelta(minutes=15), description="how often test IO is asked for exports that never came; 0s: never"
    )
    reconcile_exported: bool = Field(
        False, description="also take in what test IO says is exported, and was never seen here"
    )
    look_every: Duration = Field(
        timedelta(minutes=15), description="how often the state of an issue is looked at, for `when_done`"
    )
    look_rate: CallRate = Field(
        Rate(30, 60), description="at most so many looks at one tracker, where it has no rate of its own"
    )
    retry: RetrySettings = Field(
        default_factory=RetrySettings, description="when a call that failed is made again"
    )


class PluginSettings(Settings):
    """`[plugins]`: plugins besides the installed ones, and which to leave out."""

    folder: Annotated[Path | None, BeforeValidator(_nothing)] = Field(
        None, description="folder of single .py files that are plugins"
    )
    disabled: Strings = Field((), description="names of plugins that are not loaded")


class ConnectionSettings(Settings):
    """`[connections.NAME]`: one Custom Bug Export Connection at test IO."""

    secret: Annotated[Secret, AfterValidator(_fits_a_url)] = Field(
        description="the last part of the URL that test IO posts to; at least 16 characters"
    )
    previous_secret: Annotated[Secret | None, BeforeValidator(_nothing), AfterValidator(_fits_a_url)] = Field(
        None, description="the secret before, valid as well until test IO has the new one"
    )
    signing_secret: Annotated[Secret | None, BeforeValidator(_nothing), AfterValidator(_signs)] = Field(
        None, description="Standard Webhooks secret (whsec_...), for senders that sign"
    )
    text: Literal["markdown", "plain"] = Field(
        "markdown", description="how to read what testers wrote: text with Markdown in it, or plain text"
    )
    token: Annotated[Secret | None, BeforeValidator(_nothing)] = Field(
        None, description="token of its test IO account, where that is not the one of [testio]"
    )
    sync: bool = Field(True, description="whether `connections sync` makes and keeps it at test IO")
    title: str = Field("", description="its name at test IO; empty: the name it has here")
    fixed: bool = Field(False, description="test IO's `fixed`, whose meaning test IO does not document")
    product_ids: Numbers = Field((), description="test IO's products whose bugs come in by it")
    section_ids: Numbers = Field((), description="test IO's sections whose bugs come in by it")
    reconcile: bool = Field(True, description="whether test IO is asked for exports that never came")
    enrich: bool = Field(False, description="fetch each bug from test IO before it is routed and mapped")
    keep_environment_credentials: bool = Field(
        False, description="keep the staging credentials in `test_environment`, which are dropped otherwise"
    )
    mark_exported: bool = Field(False, description="mark a bug as exported once it has all its issues")
    when_done: Literal["nothing", "fixed", "known"] = Field(
        "nothing", description="what a bug is marked as at test IO once its issues are done"
    )


class Conditions(Settings):
    """`when` of a route. One value or a list of values each; all conditions must hold; none: every bug."""

    product_id: Numbers = Field((), description="test IO's product")
    test_cycle_id: Numbers = Field((), description="test IO's test cycle")
    severity: Strings = Field((), description="test IO's word: critical, high, low, visual, content, ...")
    level: Annotated[tuple[Level, ...], _Many()] = Field((), description="how bad")
    kind: Annotated[tuple[Kind, ...], _Many()] = Field((), description="what sort of bug")
    priority: Strings = Field((), description="test IO's priority")
    status: Strings = Field((), description="test IO's status")
    os: Strings = Field((), description="operating system of the device, without its version")
    device_type: Strings = Field((), description="what kind of device")
    browser: Strings = Field((), description="browser on the device")
    product: Strings = Field((), description="name of test IO's product; only of bugs that were fetched")
    section_id: Numbers = Field((), description="test IO's section; only of bugs that were fetched")
    section: Strings = Field((), description="name of test IO's section; only of bugs that were fetched")
    feature: Strings = Field((), description="title of test IO's feature; only of bugs that were fetched")


class RouteSettings(Settings):
    """`[[routes]]`: exports from these connections that look like this go to these trackers."""

    name: str = Field("", description="what people call it")
    connections: Strings = Field((), description="connections it is for; empty: all")
    when: Conditions = Field(Conditions(), description="conditions; all must hold")
    trackers: Strings = Field(min_length=1, description="trackers that get an issue")
    on_reexport: Literal["comment", "update", "new", "ignore"] = Field(
        "comment", description="what happens to the issue when the bug is exported again"
    )
    update_fields: Annotated[frozenset[Part], _Many()] = Field(
        frozenset({"title", "body"}), description="what `update` sets anew; everything else is left alone"
    )
    otherwise: bool = Field(False, description="true: only for exports that no other route takes")


class Config(BaseModel):
    """Everything that was configured.

    Attributes:
        source: The file; None for the embedded default.
        folder: What relative paths are relative to.
        warnings: What is probably not meant so, but does no harm.
    """

    model_config = ConfigDict(frozen=True)

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    attachments: AttachmentSettings = AttachmentSettings()
    plugins: PluginSettings = PluginSettings()
    testio: TestIOSettings = TestIOSettings()
    connections: Mapping[str, ConnectionSettings] = Field(default_factory=dict)
    routes: tuple[RouteSettings, ...] = ()
    trackers: Mapping[str, SerializeAsAny[TrackerSettings]] = Field(default_factory=dict)
    source: Path | None = None
    folder: Path = Path()
    warnings: tuple[Problem, ...] = ()

    def asks_test_io(self, connection: ConnectionSettings) -> bool:
        """Whether there is a token to ask test IO about what comes in by a connection."""
        return connection.token is not None or self.testio.token is not None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret inside, for a `Redactor`."""
        return (*secrets_in(self), *filter(None, [self.store.password]))
