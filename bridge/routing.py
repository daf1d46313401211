"""Which trackers an export goes to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.config import Conditions, Config, RouteSettings
from bridge.model import Bug, Export

Test = tuple[Callable[[Bug], str], frozenset[str]]
"""What a bug says, and what it may say."""

_WORDS: dict[str, Callable[[Bug], str]] = {
    "product_id": lambda bug: str(bug.product_id),
    "test_cycle_id": lambda bug: str(bug.test_cycle_id),
    "severity": lambda bug: bug.severity.casefold(),
    "level": lambda bug: bug.level.value,
    "kind": lambda bug: bug.kind.value,
    "priority": lambda bug: bug.priority.casefold(),
    "status": lambda bug: bug.status.casefold(),
    "os": lambda bug: bug.device.os.casefold(),
    "device_type": lambda bug: bug.device.device_type.casefold(),
    "browser": lambda bug: bug.device.browser.casefold(),
    "product": lambda bug: _fetched(bug, "product", "name"),
    "section_id": lambda bug: _fetched(bug, "section", "id"),
    "section": lambda bug: _fetched(bug, "section", "name"),
    "feature": lambda bug: _fetched(bug, "feature", "title"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A tracker that an export goes to, by which route, and what a re-export does there."""

    tracker: str
    route: str = ""
    on_reexport: str = "comment"
    update_fields: tuple[str, ...] = ()


class Router:
    """Decides by the routes of the configuration, and by what plugins add.

    Args:
        config: The configuration.
        also: Names of trackers that plugins want an export to go to (`bridge_route`); None where none wants any.
    """

    def __init__(self, config: Config, also: Callable[[Export], Sequence[str]] | None = None) -> None:
        self._trackers = config.trackers
        self._routes = [
            (route, _tests(route.when), [_destination(route, tracker) for tracker in route.trackers])
            for route in config.routes
        ]
        self._also = also
        self._reads = also is not None or any(tests for _, tests, _ in self._routes)
        self._known: dict[str, tuple[Destination, ...]] = {}

    def destinations(self, connection: str, read: Callable[[], Export]) -> tuple[Destination, ...]:
        """Return where an export goes, each tracker once.

        Every route that matches counts; the first that names a tracker decides its re-export policy. Routes with
        `otherwise` count only where no other matched.

        Args:
            connection: The connection it came in by.
            read: Reads it. Called only where a condition or a plugin wants to know what is in it.
        """
        if self._reads:
            return self._decide(connection, read())
        known = self._known.get(connection)  # then all exports of a connection go the same way
        if known is None:
            known = self._known[connection] = self._decide(connection, None)
        return known

    def _decide(self, connection: str, export: Export | None) -> tuple[Destination, ...]:
        mine = [
            (route.otherwise, destinations)
            for route, tests, destinations in self._routes
            if (not route.connections or connection in route.connections)
            and (export is None or _hold(tests, export.bug))
        ]
        matching = [each for each in mine if not each[0]] or mine
        found: dict[str, Destination] = {}
        for _, destinations in matching:
            for destination in destinations:
                found.setdefault(destination.tracker, destination)
        for tracker in self._also(export) if self._also and export else ():
            if tracker in self._trackers:
                found.setdefault(tracker, Destination(tracker=tracker, route="plugin"))
        return tuple(found.values())


def matches(conditions: Conditions, bug: Bug) -> bool:
    """Whether all conditions hold. Words are compared without regard to case."""
    return _hold(_tests(conditions), bug)


def _hold(tests: Sequence[Test], bug: Bug) -> bool:
    return all([word_of(bug) in wanted for word_of, wanted in tests])  # noqa: C419 - quicker than a generator


def _tests(conditions: Conditions) -> list[Test]:
    """Return what has to be compared: nothing for a condition that is not set."""
    tests: list[Test] = []
    for name, word_of in _WORDS.items():
        wanted = getattr(conditions, name)
        if wanted:
            tests.append((word_of, frozenset(str(value).casefold() for value in wanted)))
    return tests


def _fetched(bug: Bug, part: str, name: str) -> str:
    """Return what only test IO's REST form of a bug says, empty where it was not fetched."""
    value = bug.extra.get(part)
    return str(value.get(name) or "").casefold() if isinstance(value, Mapping) else ""


def _destination(route: RouteSettings, tracker: str) -> Destination:
    return Destination(
        tracker=tracker,
        route=route.name,
        on_reexport=route.on_reexport,
        update_fields=tuple(sorted(route.update_fields)),
    )
