"""Names as people see them to ids as an API wants them: looked up, cached, and with "did you mean"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.clock import Clock, SystemClock
from bridge.doctor import did_you_mean
from bridge.errors import NotAllowed, Rejected

FRESH_SECONDS = 600.0
"""How long a list is trusted."""
RETRY_SECONDS = 15.0
"""How old a list must at least be before a name that is not in it makes us ask again."""


@dataclass(slots=True)
class Names:
    """The values of one sort that a tracker has: its projects, labels, members.

    Attributes:
        what: What they are, for people: `"project"`.
        fetch: Asks the tracker; returns names, each with its id. May raise a `TrackerError`.
        clock: The time.
    """

    what: str
    fetch: Callable[[], Awaitable[Mapping[str, str]]]
    clock: Clock = field(default_factory=SystemClock)
    _known: Mapping[str, str] | None = field(default=None, init=False)
    _fetched_at: float = field(default=0.0, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def all(self) -> Mapping[str, str]:
        """Return every name with its id."""
        async with self._lock:
            return await self._list(FRESH_SECONDS)

    async def find(self, name: str) -> str | None:
        """Return the id of a name (in any letter case; an id is taken as it is), None where there is none.

        A name that is not in the list makes it ask once more: somebody may just have added it.
        """
        async with self._lock:
            found = match(name, await self._list(FRESH_SECONDS))
            return found if found is not None else match(name, await self._list(RETRY_SECONDS))

    async def id_of(self, name: str) -> str:
        """Return the id of a name.

        Raises:
            Rejected: There is no such name; says which one may have been meant.
        """
        found = await self.find(name)
        if found is not None:
            return found
        hint = did_you_mean(name, await self.all())
        raise Rejected(f'there is no {self.what} "{name}"' + (f"; {hint}" if hint else ""))

    async def ids_of(
        self, names: Iterable[str], setting: str, make: Callable[[str], Awaitable[str]] | None = None
    ) -> tuple[list[str], list[str]]:
        """Return the ids of names, and a warning for each that has none: it is left out.

        Args:
            names: The names.
            setting: Where they were configured: `"assignee"`.
            make: Makes one that there is not, and returns its id (`find_or_make`); may be refused.
        """
        found, warnings = list[str](), list[str]()
        for name in names:
            id_ = await (self._found_or_made(name, make) if make else self.find(name))
            if id_ is None:
                warnings.append(f'{setting}: there is no {self.what} "{name}": left out')
            else:
                found.append(id_)
        return found, warnings

    async def find_or_make(self, name: str, make: Callable[[str], Awaitable[str]]) -> str:
        """Return the id of a name; where there is none, make it: once, however many deliveries want it now.

        Args:
            name: The name.
            make: Makes it and returns its id; must not ask these names.

        Raises:
            TrackerError: What `make` raised, unless it was there after all: somebody else made it meanwhile.
        """
        async with self._lock:
            for oldest in (FRESH_SECONDS, RETRY_SECONDS):
                found = match(name, await self._list(oldest))
                if found is not None:
                    return found
            try:
                made = await make(name)
            except (NotAllowed, Rejected):
                self.forget()
                found = match(name, await self._list(FRESH_SECONDS))
                if found is None:
                    raise
                return found
            self._known = {**(self._known or {}), name: made}
            return made

    async def _found_or_made(self, name: str, make: Callable[[str], Awaitable[str]]) -> str | None:
        try:
            return await self.find_or_make(name, make)
        except Rejected:
            return None

    async def needed(self, name: str, setting: str) -> str:
        """Return the id of what a setting names, without which no delivery can succeed.

        Raises:
            NotAllowed: There is no such name: deliveries wait until a person corrected the setting.
        """
        try:
            return await self.id_of(name)
        except Rejected as error:
            if error.status is not None:  # the tracker's own refusal, not ours
                raise
            raise NotAllowed(f"{error.message}: correct `{setting}`") from None

    def forget(self) -> None:
        """Ask anew next time."""
        self._known = None

    async def _list(self, oldest: float) -> Mapping[str, str]:
        now = self.clock.monotonic()
        if self._known is None or now - self._fetched_at > oldest:
            self._known, self._fetched_at = dict(await self.fetch()), now
        return self._known


class Directory:
    """Base of what holds `Names`, or other directories, as attributes or in mappings."""

    def forget(self) -> None:
        """Ask for all of them anew next time."""
        forget_names(self)


def forget_names(holder: object) -> None:
    """Forget what `holder` has as attributes, or in mappings, of `Names` and directories."""
    for held in vars(holder).values():
        for each in held.values() if isinstance(held, Mapping) else (held,):
            if isinstance(each, Names | Directory):
                each.forget()


def by_name(items: Iterable[Mapping[str, Any]], *keys: str, id_key: str = "id") -> dict[str, str]:
    """Return the ids of items by each of the properties `keys`; of two with one name the first.

    Args:
        items: What a tracker lists.
        keys: Properties that a person may know an item by, the one that counts first in front.
        id_key: The property with the id.
    """
    listed, known = list(items), dict[str, str]()
    for key in keys:
        for each in listed:
            if each.get(key):
                known.setdefault(str(each[key]), str(each[id_key]))
    return known


def match(name: str, known: Mapping[str, str]) -> str | None:
    """Return the id of a name among the `known`, in any letter case; an id is taken as it is, None is for none."""
    if name in known:
        return known[name]
    folded = {each.casefold(): id_ for each, id_ in known.items()}
    if name.casefold() in folded:
        return folded[name.casefold()]
    return name if name in known.values() else None
