"""Making test IO's side what the configuration says: a Custom Bug Export Connection for each `[connections.NAME]`.

test IO has no call that lists connections, so the ids of those that we make are kept in the store. A lost one is
found again through the products it is for. https://guides.test.io/docs/api/connections
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.clock import Clock
from bridge.config import Config, ConnectionSettings
from bridge.errors import BridgeError, Gone, InDoubt
from bridge.model import Json
from bridge.secrets import HIDDEN
from bridge.store import Store
from bridge.store.testio import Remembered, forget, remember, remembered
from bridge.testio.accounts import Accounts
from bridge.testio.client import CustomerApi, RemoteConnection, Wish, remote_connection


class NotReachable(BridgeError):
    """test IO cannot post to the address that the bridge has."""


class Action(enum.StrEnum):
    """What a sync does with one connection."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    KEEP = "keep"
    DELETE = "delete"
    LEFT = "left"
    """Made by us and not in the configuration any more: left alone without `--prune`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a sync does, or would do, with one connection.

    Attributes:
        remote_id: test IO's id; None where there is none yet.
        differences: What is other at test IO, in words; never a secret.
    """

    name: str
    account: str
    action: Action
    remote_id: int | None = None
    differences: tuple[str, ...] = ()

    def shown(self) -> dict[str, Json]:
        """Return it for people and programs."""
        return {
            "name": self.name,
            "action": self.action.value,
            "id": self.remote_id,
            "differences": list(self.differences),
        }


class Keeper:
    """Keeps connections at test IO.

    Args:
        config: The configuration.
        accounts: test IO's accounts.
        store: Where ids are remembered.
        clock: The time.
    """

    def __init__(self, config: Config, accounts: Accounts, store: Store, clock: Clock) -> None:
        self._config, self._accounts, self._store, self._clock = config, accounts, store, clock

    def url(self, name: str) -> str:
        """Return where test IO posts the exports of a connection, its secret included.

        Raises:
            NotReachable: test IO takes HTTPS addresses only.
        """
        server = self._config.server
        base = server.public_url or f"http://{server.host}:{server.port}"
        sandbox = urlsplit(self._config.testio.url).scheme == "http"
        if not base.startswith("https://") and not sandbox:
            raise NotReachable(
                "test IO posts to HTTPS addresses only: set public_url in [server] to one that leads here"
            )
        return f"{base}/export/{name}/{self._config.connections[name].secret.get_secret_value()}"

    async def plan(self, *, names: Collection[str] = (), prune: bool = False) -> list[Change]:
        """Return what a sync would do; changes nothing.

        Args:
            names: Only these connections; none for all.
            prune: Whether to delete what we made and no longer find in the configuration.

        Raises:
            TrackerError: test IO does not answer, or says no.
            NotReachable: test IO could not post to us.
        """
        known = {each.name: each for each in await self._store.read(remembered)}
        wanted = {
            name: account
            for name, settings in self._config.connections.items()
            if settings.sync and (account := self._accounts.of(name)) and (not names or name in names)
        }
        changes = [await self._plan_one(name, account, known) for name, account in wanted.items()]
        gone = [each for name, each in known.items() if name not in self._config.connections and not names]
        action = Action.DELETE if prune else Action.LEFT
        return changes + [
            Change(name=each.name, account=each.account, action=action, remote_id=each.remote_id) for each in gone
        ]

    async def sync(self, *, names: Collection[str] = (), prune: bool = False) -> list[Change]:
        """Make test IO's side what the configuration says, and return what was done; raises as `plan`."""
        changes = await self.plan(names=names, prune=prune)
        return [await self._apply(change) for change in changes]

    async def shown(self) -> list[dict[str, Json]]:
        """Return the configured connections with what is remembered of each; asks nobody."""
        known = {each.name: each for each in await self._store.read(remembered)}
        rows: list[dict[str, Json]] = []
        for name in dict.fromkeys([*self._config.connections, *known]):
            settings, row = self._config.connections.get(name), known.get(name)
            rows.append(
                {
                    "name": name,
                    "configured": settings is not None,
                    "sync": settings is not None and settings.sync and self._accounts.of(name) is not None,
                    "id": row.remote_id if row else None,
                    "products": list(settings.product_ids if settings else row.product_ids if row else ()),
                    "sections": list(settings.section_ids if settings else row.section_ids if row else ()),
                }
            )
        return rows

    # one connection

    async def _plan_one(self, name: str, account: str, known: dict[str, Remembered]) -> Change:
        api, row = self._accounts.client(account), known.get(name)
        remote = await self._remote(api, row) if row is not None and row.account == account else None
        adopted = False
        if remote is None:
            others = {each.remote_id for each in known.values() if each.name != name}
            row, remote = None, await self._lost(api, name, others)
            adopted = remote is not None
        if remote is None:
            wish = self._wish(name, None)
            details = [f"products: {_ids(wish.product_ids)}", f"sections: {_ids(wish.section_ids)}"]
            return Change(name=name, account=account, action=Action.CREATE, differences=tuple(details))
        differences = tuple(self._differences(name, remote, row))
        action = Action.UPDATE if differences else Action.ADOPT if adopted else Action.KEEP
        return Change(name=name, account=account, action=action, remote_id=remote.id, differences=differences)

    async def _remote(self, api: CustomerApi, row: Remembered) -> RemoteConnection | None:
        try:
            return await api.connection(row.remote_id)
        except Gone:
            return None

    async def _lost(self, api: CustomerApi, name: str, others: set[int]) -> RemoteConnection | None:
        """Return the connection at test IO that is this one, though we know nothing of it any more."""
        prefix = self.url(name).rpartition("/")[0] + "/"
        for product in await api.products():
            found = remote_connection(product.get("connection"))
            if found is not None and found.id not in others and found.url.startswith(prefix):
                return found
        return None

    def _wish(self, name: str, row: Remembered | None) -> Wish:
        settings = self._config.connections[name]
        return Wish(
            name=_title(name, settings),
            url=self.url(name),
            fixed=settings.fixed,
            product_ids=_said(settings.product_ids, row.product_ids if row else ()),
            section_ids=_said(settings.section_ids, row.section_ids if row else ()),
        )

    def _differences(self, name: str, remote: RemoteConnection, row: Remembered | None) -> Iterable[str]:
        settings, url = self._config.connections[name], self.url(name)
        if remote.name != _title(name, settings):
            yield f"name: {remote.name!r} becomes {_title(name, settings)!r}"
        if remote.url != url:
            there, here = masked(remote.url), masked(url)
            yield "url: another secret" if there == here else f"url: {there} becomes {here}"
        if (remote.fixed or False) != settings.fixed:
            yield f"fixed: becomes {str(settings.fixed).lower()}"
        for what in ("product_ids", "section_ids"):
            ids, wanted = getattr(remote, what), getattr(settings, what)
            if ids is None:  # test IO does not show them: what we said last counts
                ids = getattr(row, what) if row is not None else None
            if ids is None and wanted:
                yield f"{what}: become {_ids(wanted)}"
            elif ids is not None and set(ids) != set(wanted):
                yield f"{what}: {_ids(ids)} become {_ids(wanted)}"

    async def _apply(self, change: Change) -> Change:
        match change.action:
            case Action.CREATE:
                remote_id = await self._create(change)
            case Action.UPDATE:
                assert change.remote_id is not None
                remote_id = change.remote_id
                known = {each.name: each for each in await self._store.read(remembered)}
                api = self._accounts.client(change.account)
                await api.update_connection(remote_id, self._wish(change.name, known.get(change.name)))
            case Action.DELETE:
                return await self._delete(change)
            case Action.ADOPT:
                assert change.remote_id is not None
                remote_id = change.remote_id
            case _:
                return change
        settings = self._config.connections[change.name]
        row = Remembered(
            name=change.name,
            account=change.account,
            remote_id=remote_id,
            product_ids=settings.product_ids,
            section_ids=settings.section_ids,
        )
        await self._store.write(remember, (row, self._clock.now().timestamp()))
        return Change(
            name=change.name,
            account=change.account,
            action=change.action,
            remote_id=remote_id,
            differences=change.differences,
        )

    async def _create(self, change: Change) -> int:
        api = self._accounts.client(change.account)
        try:
            return (await api.create_connection(self._wish(change.name, None))).id
        except InDoubt:
            found = await self._lost(api, change.name, set())
            if found is None:
                raise
            return found.id

    async def _delete(self, change: Change) -> Change:
        assert change.remote_id is not None
        if change.account not in self._accounts.keys:
            differences = ("its account has no token here any more: delete it at test IO",)
            return Change(
                name=change.name, account=change.account, action=Action.LEFT, remote_id=change.remote_id,
                differences=differences,
            )  # fmt: skip
        with suppress(Gone):
            await self._accounts.client(change.account).delete_connection(change.remote_id)
        await self._store.write(forget, change.name)
        return change


def masked(url: str) -> str:
    """Return an address with what stands at the place of the secret taken out."""
    head, slash, secret = url.rpartition("/")
    return f"{head}/{HIDDEN}" if slash and secret and "/export/" in url else url


def shown_remote(remote: RemoteConnection) -> dict[str, Json]:
    """Return a connection at test IO for people, without its secret."""
    return {
        "id": remote.id,
        "name": remote.name,
        "url": masked(remote.url),
        "fixed": remote.fixed,
        "product_ids": None if remote.product_ids is None else list(remote.product_ids),
        "section_ids": None if remote.section_ids is None else list(remote.section_ids),
    }


def _title(name: str, settings: ConnectionSettings) -> str:
    return settings.title or name


def _said(wanted: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...] | None:
    """What "no ids" means is not documented: nothing is said of them unless some were said before."""
    return wanted if wanted or before else None


def _ids(ids: Iterable[int] | None) -> str:
    return ", ".join(map(str, ids or ())) or "none"
