"""For a tracker's `check`: findings, and configured values held against those that exist there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any

from bridge.errors import NotAllowed, Rejected, TrackerError
from bridge.model import Finding, Verdict, people_in
from bridge.tracker import Tracker, TrackerSettings

_SOON = timedelta(days=14)  # a token that expires within this is worth a warning

Configured = list[tuple[str, str]]
"""Values in a configuration: the setting's name, and the value."""


def ok(subject: str, message: str) -> Finding:
    """Return that something is well."""
    return Finding(Verdict.OK, subject, message)


def warning(subject: str, message: str, fix: str) -> Finding:
    """Return that something will get lost."""
    return Finding(Verdict.WARNING, subject, message, fix)


def error(subject: str, message: str, fix: str) -> Finding:
    """Return that deliveries will fail."""
    return Finding(Verdict.ERROR, subject, message, fix)


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return a question naming the likeliest of the `known` values, empty when none is near."""
    names = {name.casefold(): name for name in known}
    near = get_close_matches(value.casefold(), names, n=1, cutoff=0.75)
    return f'did you mean "{names[near[0]]}"?' if near else ""


def one_of(value: str, known: Iterable[str]) -> str:
    """Return what to do about a value that is none of the `known` ones: which was meant, or all there are."""
    names = list(known)
    return did_you_mean(value, names) or f"one of {', '.join(names)}"


async def meant(tracker: Tracker[Any], setting: str) -> str:
    """Return which of the values that the tracker lists for a setting may have been meant; empty when none is."""
    try:
        choices = await tracker.choices(setting)
    except (NotAllowed, Rejected):  # it takes more rights than to make an issue
        return ""
    return did_you_mean(str(getattr(tracker.settings, setting)), choices)


async def not_reached(
    tracker: Tracker[Any], refusal: TrackerError, setting: str, credentials: str, fix: str
) -> Finding:
    """Return why the doctor can look no further: what a setting names is not there, or we are not let in.

    Args:
        tracker: The tracker.
        refusal: What it answered.
        setting: What was asked for: `"project"`.
        credentials: What to do where the credentials are refused.
        fix: What to do where there is nothing of that name, and no other one may have been meant.
    """
    if refusal.status != 404:
        return error("credentials", str(refusal), credentials)
    told = f"{getattr(tracker.settings, setting)} does not exist, or the token has no access to it"
    return error(setting, told, await meant(tracker, setting) or fix)


def expiring(day: date, today: date, fix: str) -> list[Finding]:
    """Return a warning where a token ends within two weeks."""
    return [warning("token", f"it expires on {day:%d %B %Y}", fix)] if day - today < _SOON else []


def compared(configured: Configured, known: Iterable[str], absent: str, fix: str) -> Iterator[Finding]:
    """Yield for each configured value that it exists, or that it is `absent`, with what may have been meant."""
    names = sorted(known)
    exact = {name.casefold() for name in names}
    for subject, value in configured:
        if value.casefold() in exact:
            yield ok(subject, f'"{value}" exists')
        else:
            yield warning(subject, f'"{value}" {absent}', did_you_mean(value, names) or fix)


def labels_compared(configured: Configured, known: Iterable[str], product: str) -> Iterator[Finding]:
    """Yield for each configured label that it exists, or will be made at its first use: perhaps a misspelling."""
    for finding in compared(configured, known, "does not exist", ""):
        made = f"{product} makes it at its first use"
        if finding.verdict is Verdict.OK:
            yield finding
        elif finding.fix:
            yield warning(finding.subject, f"{finding.message}: {made}", finding.fix)
        else:
            yield ok(finding.subject, f"{finding.message} yet: {made}")


def labels_of(tracker: Tracker[Any]) -> Configured:
    """Return the labels in a tracker's configuration that hold no template."""
    settings: TrackerSettings = tracker.settings
    labels = settings.labels if settings.labels is not None else tracker.default_labels
    kinds = {**tracker.default_kind_labels, **settings.kind_labels}
    return fixed([("labels", label) for label in labels] + _named("kind_labels", kinds))


def issue_types_of(tracker: Tracker[Any]) -> Configured:
    """Return the issue types in a tracker's configuration that hold no template."""
    types = {**tracker.default_issue_types, **tracker.settings.issue_types}
    return fixed([("issue_type", tracker.settings.issue_type), *_named("issue_types", types)])


def assignees_of(tracker: Tracker[Any]) -> Configured:
    """Return the people in a tracker's `assignee` that hold no template."""
    without_templates = re.sub(r"{{.*?}}|{%.*?%}", "{{}}", tracker.settings.assignee)  # they may hold commas
    return fixed([("assignee", name) for name in people_in(without_templates)])


def unused(tracker: Tracker[Any], settings: Iterable[str], fix: str) -> Iterator[Finding]:
    """Yield a warning for each of the `settings` that is set though the tracker has nothing for it."""
    for name in settings:
        if getattr(tracker.settings, name):
            yield warning(name, f"{tracker.label} issues have no such field: it is left out", fix)


def fixed(configured: Configured) -> Configured:
    """Return the values that are not empty and the same for every bug."""
    return [(subject, value) for subject, value in configured if value and "{{" not in value and "{%" not in value]


def _named(table: str, values: dict[str, str]) -> Configured:
    return [(f"{table}.{word}", value) for word, value in values.items()]
