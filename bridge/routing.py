"""Which trackers an export goes to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.config import Conditions, Config, RouteSettings
from bridge.model import Bug, Export

_WORDS: dict[str, Callable[[Bug], str]] = {
    "severity": lambda bug: bug.severity,
    "level": lambda bug: bug.level.value,
    "kind": lambda bug: bug.kind.value,
    "priority": lambda bug: bug.priority,
    "status": lambda bug: bug.status,
    "os": lambda bug: bug.device.os,
    "device_type": lambda bug: bug.device.device_type,
    "browser": lambda bug: bug.device.browser,
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
        also: Names of trackers that plugins want an export to go to (`bridge_route`).
    """

    def __init__(self, config: Config, also: Callable[[Export], Sequence[str]] = lambda _: ()) -> None:
        self._config = config
        self._also = also

    def destinations(self, export: Export) -> tuple[Destination, ...]:
        """Return where the export goes, each tracker once.

        Every route that matches counts; the first that names a tracker decides its re-export policy. Routes with
        `otherwise` count only where no other matched.
        """
        mine = [route for route in self._config.routes if _is_for(route, export)]
        matching = [route for route in mine if not route.otherwise] or mine
        found: dict[str, Destination] = {}
        for route in matching:
            for tracker in route.trackers:
                found.setdefault(tracker, _destination(route, tracker))
        for tracker in self._also(export):
            if tracker in self._config.trackers:
                found.setdefault(tracker, Destination(tracker=tracker, route="plugin"))
        return tuple(found.values())


def matches(conditions: Conditions, bug: Bug) -> bool:
    """Whether all conditions hold. Words are compared without regard to case."""
    numbers = ((conditions.product_id, bug.product_id), (conditions.test_cycle_id, bug.test_cycle_id))
    if any(wanted and number not in wanted for wanted, number in numbers):
        return False
    for name, word_of in _WORDS.items():
        wanted = getattr(conditions, name)
        if wanted and word_of(bug).casefold() not in {str(word).casefold() for word in wanted}:
            return False
    return True


def _is_for(route: RouteSettings, export: Export) -> bool:
    return (not route.connections or export.connection in route.connections) and matches(route.when, export.bug)


def _destination(route: RouteSettings, tracker: str) -> Destination:
    return Destination(
        tracker=tracker,
        route=route.name,
        on_reexport=route.on_reexport,
        update_fields=tuple(sorted(route.update_fields)),
    )
