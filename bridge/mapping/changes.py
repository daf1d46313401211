"""What changed between two exports of a bug, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.mapping.text import quote
from bridge.model import Attachment, Bug

_SHORT = 200
_FIELDS = {
    "title": "Title",
    "description": "Description",
    "expected_result": "Expected result",
    "actual_result": "Actual result",
    "severity": "Severity",
    "priority": "Priority",
    "status": "Status",
    "device": "Environment",
}


def describe_changes(old: Bug, new: Bug) -> str:
    """Return Markdown that says what changed since the last export, for `Mapper.comment` or `render`.

    Args:
        old: The bug as it was exported last.
        new: The bug as it is now.

    Returns:
        Trusted Markdown. Testers' text in it is marked by `quote`.
    """
    parts = [*_field_changes(old, new), *_step_changes(old, new), *_file_changes(old, new)]
    if not parts:
        return "Exported again from test IO; nothing has changed since the last export."
    return "\n\n".join(["Exported again from test IO. Changed since the last export:", *parts])


def _field_changes(old: Bug, new: Bug) -> Iterator[str]:
    for field, name in _FIELDS.items():
        before, after = str(getattr(old, field)).strip(), str(getattr(new, field)).strip()
        if before != after:
            yield _change(name, before, after)


def _change(name: str, before: str, after: str) -> str:
    if not after:
        return f"**{name}** is now empty."
    if not (_is_short(before) and _is_short(after)):
        return f"**{name}** is now:\n\n> {quote(after)}"
    if not before:
        return f'**{name}** is now "{quote(after)}".'
    return f'**{name}** was "{quote(before)}", now "{quote(after)}".'


def _is_short(text: str) -> bool:
    return len(text) <= _SHORT and "\n" not in text


def _step_changes(old: Bug, new: Bug) -> Iterator[str]:
    if old.steps == new.steps:
        return
    if not new.steps:
        yield "**Steps to reproduce** are now empty."
        return
    steps = (f"{number}. {quote(step)}" for number, step in enumerate(new.steps, 1))
    yield "**Steps to reproduce** are now:\n\n" + "\n".join(steps)


def _file_changes(old: Bug, new: Bug) -> Iterator[str]:
    before, after = {file.url for file in old.attachments}, {file.url for file in new.attachments}
    added = [file for file in new.attachments if file.url not in before]
    removed = [file for file in old.attachments if file.url not in after]
    if added:
        yield f"**New attachments:** {_files(added)}"
    if removed:
        yield f"**Removed attachments:** {_files(removed)}"


def _files(files: Iterable[Attachment]) -> str:
    return ", ".join(f"[{quote(file.name)}]({quote(file.url)})" for file in files)
