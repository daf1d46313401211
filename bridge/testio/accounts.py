"""The accounts at test IO: which connection belongs to which, and a client for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.clock import Clock
from bridge.config import Config
from bridge.secrets import Redactor, Secret, fingerprint
from bridge.testio.client import CustomerApi


class Accounts:
    """The clients for everything that is configured. An account is named by a fingerprint of its token.

    Args:
        config: The configuration.
        http: Makes HTTP clients.
        clock: The time.
        redact: Knows all secrets.
    """

    def __init__(self, config: Config, http: Callable[..., Any], clock: Clock, redact: Redactor) -> None:
        self._config, self._http, self._clock, self._redact = config, http, clock, redact
        self._clients: dict[str, CustomerApi] = {}
        tokens = {name: settings.token or config.testio.token for name, settings in config.connections.items()}
        self._tokens: dict[str, Secret] = {name: token for name, token in tokens.items() if token}
        self._of = {name: self._key(token) for name, token in self._tokens.items()}
        self._by_key = {self._key(token): token for token in self._tokens.values()}
        if config.testio.token is not None:
            self._by_key.setdefault(self._key(config.testio.token), config.testio.token)

    @property
    def any(self) -> bool:
        """Whether there is a token at all."""
        return bool(self._by_key)

    @property
    def keys(self) -> list[str]:
        """Every account."""
        return list(self._by_key)

    def of(self, connection: str) -> str | None:
        """Return the account of a connection, None where it has none."""
        return self._of.get(connection)

    def connections(self, account: str) -> list[str]:
        """Return the connections of an account."""
        return [name for name, key in self._of.items() if key == account]

    def client(self, account: str) -> CustomerApi:
        """Return the client of an account, made at its first use."""
        if account not in self._clients:
            self._clients[account] = CustomerApi(
                self._config.testio.url,
                self._by_key[account],
                http=self._http,
                timeout=self._config.testio.timeout,
                clock=self._clock,
                redact=self._redact,
            )
        return self._clients[account]

    async def close(self) -> None:
        """Give back connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _key(self, token: Secret) -> str:
        return fingerprint(self._config.testio.url, token.get_secret_value())
