"""Asking test IO for exports that never came: a webhook that was not sent leaves no trace here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from bridge import payload
from bridge.clock import Clock
from bridge.config import Config
from bridge.ingest import Ingest
from bridge.model import Json
from bridge.store import Receipt, Store
from bridge.store.testio import seen_bugs, told_of
from bridge.testio.accounts import Accounts
from bridge.testio.rest import as_export, link_for

_SETTLED = timedelta(minutes=1)
"""How long after it was told that a bug is exported test IO may still list it as requested."""
REQUESTED, EXPORTED, NOT_EXPORTED = "export_requested", "exported", "not_exported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A bug at test IO of which an export never came.

    Attributes:
        connection: By which it should have come in.
        product_id: Its product, where that is known.
        bug: The bug in REST form.
        requested: Whether test IO says that its export was requested.
        asked_at: When test IO was asked, where the bug is known and this is a later export of it.
    """

    connection: str
    product_id: int | None
    bug: Mapping[str, Json]
    requested: bool = False
    asked_at: datetime | None = None

    @property
    def id(self) -> int:
        """Test IO's id of the bug."""
        return int(self.bug["id"])

    def shown(self) -> dict[str, Json]:
        """Return it for people; nothing of its environment."""
        title = str(self.bug.get("title") or "")[:200]
        return {
            "bug": self.id,
            "title": title,
            "connection": self.connection,
            "product": self.product_id,
            "again": self.asked_at is not None,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """What one list of bugs is narrowed to."""

    connection: str
    product_id: int | None
    section_id: int | None = None


class Reconciler:
    """Finds what is missing, and takes it in.

    Args:
        config: The configuration.
        accounts: test IO's accounts.
        store: What was seen.
        ingest: Takes in.
        clock: The time.
    """

    def __init__(self, config: Config, accounts: Accounts, store: Store, ingest: Ingest, clock: Clock) -> None:
        self._config, self._accounts = config, accounts
        self._store, self._ingest, self._clock = store, ingest, clock
        self._log = structlog.get_logger("bridge.testio")

    async def missing(
        self,
        statuses: Sequence[str],
        *,
        products: Collection[int] = (),
        since: datetime | None = None,
        connections: Collection[str] = (),
    ) -> list[Missing]:
        """Return the bugs that the bridge has never seen, and those whose export was requested again since.

        The latter only where test IO was told that they are exported: otherwise it says "requested" for ever.

        Args:
            statuses: test IO's export statuses to ask for.
            products: Only of these products.
            since: Only what was reported or exported since; what does not say when counts.
            connections: Only of these connections; none for all that reconcile.

        Raises:
            TrackerError: test IO does not answer, or says no.
        """
        found, asked_at = dict[int, Missing](), self._clock.now()
        for account in self._accounts.keys:
            names = [name for name in self._accounts.connections(account) if self._wanted(name, connections)]
            for scope in await self._scopes(account, names) if names else ():
                if not products or scope.product_id in products:
                    async for each in self._listed(account, scope, statuses):
                        if since is None or _since(each.bug, since):
                            found.setdefault(each.id, each)
        seen = await self._store.read(seen_bugs, set(found))
        known = {bug_id for bug_id in seen if found[bug_id].requested}
        again = await self._store.read(told_of, known, (asked_at - _SETTLED).timestamp())
        found |= {bug_id: replace(found[bug_id], asked_at=asked_at) for bug_id in again}
        return [each for bug_id, each in sorted(found.items()) if bug_id not in seen - again]

    async def take(self, missing: Missing) -> Receipt:
        """Take a bug in as an export of its connection; one that came meanwhile is left alone.

        The moment of the click is not known; that of a later export is not the one of the export before.

        Raises:
            Unusable: test IO's own form of the bug cannot be used.
            StoreError: It could not be written down.
        """
        link = link_for(self._config.testio.url, missing.id)
        document, told_before = as_export(missing.bug, product_id=missing.product_id, link=link), None
        if missing.asked_at is not None:
            document["exported_at"] = missing.asked_at.isoformat()
            told_before = missing.asked_at - _SETTLED
        body = payload.dump(document)
        return await self._ingest.accept(missing.connection, body, pulled=True, told_before=told_before)

    async def fetch(self, connection: str, bug_id: int, product_id: int | None) -> Missing | None:
        """Return a bug as test IO has it whole; None where the connection has no account.

        Raises:
            TrackerError: test IO does not answer, or does not know it.
        """
        account = self._accounts.of(connection)
        if account is None:
            return None
        bug = await self._accounts.client(account).bug(bug_id)
        return Missing(connection=connection, product_id=product_id, bug=bug)

    def _wanted(self, name: str, connections: Collection[str]) -> bool:
        return name in connections if connections else self._config.connections[name].reconcile

    async def _scopes(self, account: str, names: Iterable[str]) -> list[Scope]:
        """Return what to ask for, product by product: a bug in a list does not say of which one it is."""
        products = await self._accounts.client(account).products()
        chosen, settings = list(names), self._config.connections
        taken = {each for name in self._accounts.connections(account) for each in settings[name].product_ids}
        for_rest = [name for name in chosen if not settings[name].product_ids and not settings[name].section_ids]
        scopes = [
            *(Scope(name, each) for name in chosen for each in settings[name].product_ids),
            *(
                Scope(name, _product_of(products, each), each)
                for name in chosen
                for each in settings[name].section_ids
            ),
            *(
                Scope(name, each["id"])
                for name in for_rest[:1]
                for each in products
                if each.get("id") not in taken
            ),
        ]
        if len(for_rest) > 1:
            self._log.warning(
                "several connections of one account name neither products nor sections: what never came is taken "
                "in by the first",
                connections=for_rest,
            )
        return scopes

    async def _listed(self, account: str, scope: Scope, statuses: Sequence[str]) -> Any:
        client = self._accounts.client(account)
        narrowed: dict[str, Any] = (
            {"section_ids": [scope.section_id]} if scope.section_id else {"product_ids": [scope.product_id]}
        )
        for status in statuses:
            async for page in client.bug_pages(export_status=status, **narrowed):
                for bug in page:
                    if isinstance(bug.get("id"), int):
                        yield Missing(
                            connection=scope.connection,
                            product_id=scope.product_id,
                            bug=bug,
                            requested=status == REQUESTED,
                        )
            if client.capped:
                self._log.warning(
                    "test IO probably cut the list of bugs off", product=scope.product_id, status=status
                )


def _product_of(products: Iterable[Mapping[str, Json]], section_id: int) -> int | None:
    for product in products:
        if any(each.get("id") == section_id for each in product.get("sections") or ()):
            return int(product["id"])
    return None


def _since(bug: Mapping[str, Json], since: datetime) -> bool:
    moments = list(_moments(bug))
    return not moments or max(moments) >= since


def _moments(bug: Mapping[str, Json]) -> Iterator[datetime]:
    for name in ("reported_at", "exported_at"):
        with suppress(ValueError, TypeError):
            moment = datetime.fromisoformat(bug.get(name) or "")
            yield moment if moment.tzinfo else moment.replace(tzinfo=UTC)
