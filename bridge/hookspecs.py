"""The hooks: what there is, and what happened.

Hooks get small typed data, never the application. `bridge_trackers`, `bridge_route` and `bridge_prepare` are
plain functions; the ones that only tell may be `async def`. A hook that raises is logged with its plugin's name,
counted, shown by `tracker-bridge plugins`, and never loses or delays an export.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from bridge.errors import TrackerError
from bridge.model import Bug, Draft, Export, Issue
from bridge.tracker import Tracker

PROJECT = "tracker_bridge"
"""The entry point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook whose name it has."""


@hookspec
def bridge_trackers() -> Sequence[type[Tracker[Any]]]:  # type: ignore[empty-body]
    """Return the tracker classes of this plugin.

    Called once at start. Import the vendor's SDK inside the class's methods, not here::

        @hookimpl
        def bridge_trackers():
            return [Redmine]
    """


@hookspec
def bridge_route(export: Export) -> Sequence[str] | None:
    """Return names of trackers that the export goes to, besides what the routes of the configuration say.

    Called for each export before it is stored, so it must be quick and must not wait for anything::

        @hookimpl
        def bridge_route(export):
            return ["security-jira"] if "password" in export.bug.title.lower() else None
    """


@hookspec
def bridge_prepare(draft: Draft, bug: Bug, tracker: str) -> Draft | None:
    """Return the draft changed (`draft.with_(title=...)`), or None to leave it.

    Called before each create and update, after templates and rendering::

        @hookimpl
        def bridge_prepare(draft, bug, tracker):
            return draft.with_(labels=(*draft.labels, f"cycle-{bug.test_cycle_id}"))
    """


@hookspec
def bridge_received(export: Export) -> None:
    """Called after an export was written down. May be async."""


@hookspec
def bridge_delivered(export_id: str, tracker: str, bug_id: int, issue: Issue, action: str) -> None:
    """Called after a delivery ended well. May be async.

    Args:
        export_id: The export.
        tracker: The tracker's name.
        bug_id: test IO's id.
        issue: The issue in the tracker.
        action: `created`, `found`, `commented`, `updated`, `recorded`, `ignored` or `superseded`.
    """


@hookspec
def bridge_attempt_failed(export_id: str, tracker: str, bug_id: int, error: TrackerError, attempt: int) -> None:
    """Called after an attempt failed and will be made again. May be async."""


@hookspec
def bridge_dead(export_id: str, tracker: str, bug_id: int, error: TrackerError) -> None:
    """Called when a delivery needs a person. May be async."""


@hookspec
def bridge_tracker_paused(tracker: str, reason: str) -> None:
    """Called when a tracker was paused: by a person, or because it refused our credentials. May be async."""
