"""Asking the running daemon: where it is, the token, and its refusals in words."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bridge.app import HOME, find_config
from bridge.cli.ending import Ending, Failed
from bridge.config import Config, build_config, default_config, load_config
from bridge.errors import Problem
from bridge.model import Json
from bridge.secrets import Redactor

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Seconds to wait for an answer."""

_PATIENT = 600.0
"""Seconds to wait for the doctor, who waits for trackers."""


class Unreachable(Failed):
    """Nothing answers where the daemon should be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Ending.UNREACHABLE)


class Refused(Failed):
    """The daemon answered, and said no.

    Args:
        status: HTTP status.
        document: Its problem details.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status, self.document = status, document
        problems = [Problem(str(one.get("path", "")), str(one.get("message", ""))) for one in _listed(document)]
        endings = {404: Ending.WRONG, 409: Ending.WRONG, 422: Ending.WRONG, 400: Ending.USAGE}
        detail = document.get("detail") or document.get("title") or f"the daemon answered with HTTP {status}"
        matches = document.get("matches")
        if isinstance(matches, list):
            detail = f"{detail}: {', '.join(map(str, matches))}"
        super().__init__(str(detail), endings.get(status, Ending.UNREACHABLE), problems=problems)


class Daemon:
    """The running daemon, as a client sees it.

    Args:
        url: Its address.
        token: The admin token; empty for none.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._redact = Redactor([token])
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Never by way of a proxy: the daemon is on this machine, and the token goes along.
        self._client = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=TIMEOUT,
            trust_env=False,
            verify=False,  # noqa: S501 - it is plain HTTP; making what checks certificates would take its time
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a question; empty parts of the query are left out.

        Raises:
            Unreachable: Nothing answers.
            Refused: The daemon said no.
        """
        asked = {name: value for name, value in query.items() if value not in (None, "", [])}
        return self._ask("GET", path, params=asked)

    def post(self, path: str, body: Json = None, *, patient: bool = False) -> Any:
        """Return the answer to a request to do something; raises as `get`.

        Args:
            path: Below the daemon's address.
            body: What is sent, as JSON.
            patient: Whether it may take long.
        """
        more = {"timeout": httpx.Timeout(_PATIENT, connect=5.0)} if patient else {}
        return self._ask("POST", path, json=body if body is not None else {}, **more)

    def put(self, path: str, body: Json) -> Any:
        """Return the answer to a change; raises as `get`."""
        return self._ask("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        """Return the answer to a request to delete; raises as `get`."""
        return self._ask("DELETE", path)

    def send(self, path: str, body: bytes) -> Any:
        """Post bytes as test IO does; raises as `get`."""
        return self._ask("POST", path, content=body, headers={"Content-Type": "application/json"})

    def close(self) -> None:
        """Give back the connection."""
        self._client.close()

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise Unreachable(self._why(error)) from None
        try:
            document = answer.json()
        except ValueError:
            document = None
        if answer.is_success and document is not None:
            return document
        if not isinstance(document, dict):
            raise Unreachable(
                f"{self.url} is no tracker-bridge: it answers with HTTP {answer.status_code}, without JSON"
            )
        raise Refused(answer.status_code, document)

    def _why(self, error: httpx.TransportError) -> str:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"nothing answers at {self.url}: start it with `tracker-bridge serve`"
        if isinstance(error, httpx.TimeoutException):
            return f"{self.url} takes too long to answer"
        return self._redact(f"{self.url} broke off: {type(error).__name__} {error}".rstrip())


@contextmanager
def daemon(given: Path | None) -> Iterator[Daemon]:
    """Give the daemon of a configuration.

    Args:
        given: The configuration file, where one was named.

    Raises:
        ConfigError: `[server]` is wrong.
        Unreachable: It cannot be asked with this configuration.
    """
    config = client_config(given)
    if config.server.admin_token is None:
        raise Unreachable("the daemon lets nobody ask: set admin_token in [server], and restart it")
    made = Daemon(address(config), config.server.admin_token.get_secret_value())
    try:
        yield made
    finally:
        made.close()


def address(config: Config) -> str:
    """Return where the daemon of a configuration is reached from its own machine.

    Raises:
        Unreachable: Any free port is taken, so that nobody knows.
    """
    host, port = config.server.host, config.server.port
    if port == 0:
        raise Unreachable("[server] port is 0, any free one: give it a number for the command line to find it")
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is compared, not listened on
    return f"http://{f'[{near}]' if ':' in near else near}:{port}"


def client_config(given: Path | None, *, connections: bool = False, store: bool = False) -> Config:
    """Return what a client needs of the configuration: `[server]`, and if wanted `[connections]` or `[store]`.

    The rest is left alone: a person who looks at the daemon need not have the trackers' tokens in the environment.

    Raises:
        ConfigError: It is wrong.
        Unreachable: There is no configuration, and no daemon ran here without one.
    """
    path = find_config(given, os.environ)
    if path is None:
        return _embedded()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return load_config(path, {}, os.environ)  # raises, in words for a person
    wanted = {"server", *(["connections"] if connections else []), *(["store"] if store else [])}
    chosen = {name: table for name, table in tables.items() if name in wanted}
    return build_config(chosen, path.absolute().parent, {}, os.environ, source=path)


def _embedded() -> Config:
    from bridge.plugins import Plugins  # noqa: PLC0415 - only the embedded default needs a tracker type

    if not (Path(HOME) / "admin-token").exists():
        raise Unreachable(
            f"there is neither a config.toml nor a {HOME} in this folder: go to the daemon's folder, name its "
            "configuration with --config, or start one with `tracker-bridge serve`"
        )
    return default_config(Path(HOME), Plugins.load().types)


def _listed(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    problems = document.get("problems")
    return [one for one in problems if isinstance(one, dict)] if isinstance(problems, list) else []


__all__ = ["Daemon", "Refused", "Unreachable", "address", "client_config", "daemon"]
