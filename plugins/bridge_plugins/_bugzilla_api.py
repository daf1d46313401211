"""Talking to a Bugzilla of any descent: where its API lives, how it takes the key, what its errors mean.

https://bugzilla.readthedocs.io/en/5.2/api/core/v1/general.html, Bugzilla/WebService/Constants.pm for the codes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

from pydantic import Field

from bridge import (
    Answer,
    Gone,
    HttpTracker,
    Json,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    Secret,
    Tools,
    TrackerError,
    TrackerSettings,
    web_address,
)
from bridge.answers import retry_after

ROOTS = ("/rest", "/rest.cgi")  # the second where the web server lacks the rule that makes the first
UNKNOWN_KEY = frozenset({300, 301, 302, 303, 304, 305, 306, 410})
NO_PRODUCT = 106  # not there, or not for this user: it does not tell
ALIAS_TAKEN = 103
NO_BUG = frozenset({100, 101})
ANY_OTHER = 32000  # whatever has no number of its own
INTERNAL = -32000


class ServerSettings(TrackerSettings):
    """What it takes to talk to a Bugzilla."""

    url: Annotated[str, web_address("https://bugzilla.acme.example")] = Field(
        description="the address, with the path Bugzilla lives under, if any"
    )
    api_key: Secret = Field(description="Preferences > API Keys")
    auth: Literal["auto", "param", "header", "bearer"] = Field(
        "auto", description="how the key is sent; auto: as this version takes it"
    )
    ca_file: Path | None = Field(None, description="PEM file with the CA of the server's certificate")


class AliasTaken(Rejected):
    """A bug has this alias already."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a Bugzilla says of itself.

    Attributes:
        root: Where its API lives, behind the address.
        version: `5.0.6`; `5.0.4.rh103` at Red Hat; `20260820.1` at Mozilla.
    """

    root: str
    version: str

    @property
    def stock(self) -> bool:
        """Whether it is Bugzilla 5; otherwise harmony or Mozilla's, which know types of bugs."""
        return self.version.startswith("5.")

    @property
    def takes_key_as(self) -> str:
        """How the API key is sent: the header is not known to 5.0 and 5.2, the parameter not to Red Hat."""
        if ".rh" in self.version:
            return "bearer"
        return "param" if self.version.startswith(("5.0", "5.2")) else "header"


B = TypeVar("B", bound=ServerSettings)


class Api(HttpTracker[B], Generic[B]):
    """Base of the tracker: paths of `call` are those behind `/rest`."""

    absent = "{settings.url} is not Bugzilla's address: correct `url`, or look at the proxy"
    limit_lasts = timedelta(minutes=1)  # in which bugzilla.mozilla.org counts; it does not say how long to wait

    def __init__(self, name: str, settings: B, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self._server: Server | None = None
        self._asking = asyncio.Lock()

    @property
    def base_url(self) -> str:
        """Where Bugzilla lives."""
        return self.settings.url

    async def server(self, *, anew: bool = False) -> Server:
        """Return what the server says of itself; asked once, or `anew`.

        Raises:
            NotAllowed: There is no Bugzilla with this API at `url`.
        """
        async with self._asking:
            if self._server is None or anew:
                self._server = await self._ask()
            return self._server

    async def call(
        self,
        method: str,
        path: str,
        *,
        purpose: Purpose = Purpose.LOOK,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Json:
        """Send one request with the key, as this server takes it."""
        server, key = await self.server(), self.settings.api_key.get_secret_value()
        path, own = f"{server.root}{path}", dict(headers or {})
        kind = server.takes_key_as if self.settings.auth == "auto" else self.settings.auth
        if kind == "bearer":
            own["Authorization"] = f"Bearer {key}"
        elif kind == "header":
            own["X-BUGZILLA-API-KEY"] = key
        elif "json" in request:  # a body is in no access log
            request["json"] = {**request["json"], "api_key": key}
        else:
            request["extensions"] = {"target": self._target(path, request.get("params"), key)}
        return await super().call(method, path, purpose=purpose, headers=own, **request)

    def explain(self, answer: Answer, data: Json, purpose: Purpose) -> TrackerError | None:
        """Return the error that an answer means: its code decides, not its status."""
        if isinstance(data, dict) and data.get("error") is True:
            words = " ".join(str(data.get("message", "")).split())
            return self._meaning(data.get("code"), replace(answer, message=words), purpose)
        if answer.status == 404:
            purpose = Purpose.LOOK  # that a bug is gone Bugzilla says with a code
        return super().explain(answer, data, purpose)

    def _meaning(self, code: Json, answer: Answer, purpose: Purpose) -> TrackerError:
        """Return the error that a code of Bugzilla means."""
        words, status = answer.message, answer.status
        if code in UNKNOWN_KEY:
            return NotAllowed(words, status=status)
        if code in NO_BUG and purpose is Purpose.ISSUE:
            return Gone(words, status=status)
        if code == NO_PRODUCT and purpose is not Purpose.ISSUE:
            return NotAllowed(f"{words}: correct `product`, or let the key's user file into it", status=status)
        if code == ANY_OTHER and "rate limit" in words.casefold():
            wait = retry_after(answer.headers, self.tools.clock.now()) or self.limit_lasts
            return RateLimited(words, status=status, retry_after=wait)
        if code == INTERNAL or status >= 500 or status == 429:
            return self.refusal(replace(answer, status=500 if code == INTERNAL else status), purpose)
        return (AliasTaken if code == ALIAS_TAKEN else Rejected)(words, status=status)

    async def _ask(self) -> Server:
        for root in ROOTS:
            try:
                data = await super().call("GET", f"{root}/version")
            except TrackerError as error:
                if error.status in {200, 404}:  # somebody's page
                    continue
                raise
            if isinstance(data, dict) and isinstance(data.get("version"), str):
                return Server(root, data["version"])
        raise NotAllowed(f"there is no REST API of Bugzilla 5.0 or newer at {self.base_url}: correct `url`")

    def _target(self, path: str, params: Mapping[str, str] | None, key: str) -> bytes:
        """Return what is asked for, the key included; the client's own URL, which gets into logs, has none."""
        query = urlencode({**(params or {}), "api_key": key})
        return f"{urlsplit(self.base_url).path}{path}?{query}".encode()
