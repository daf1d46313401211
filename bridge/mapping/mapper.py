"""The mapping of a bug to a draft, for one tracker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.errors import ConfigError
from bridge.mapping.adf import Adf
from bridge.mapping.fit import fit
from bridge.mapping.gfm import CommonMark, Gfm
from bridge.mapping.html import Html
from bridge.mapping.jira_wiki import JiraWiki
from bridge.mapping.markdown import Parsers, TextMode, parse
from bridge.mapping.notion import Notion
from bridge.mapping.plain import Plain
from bridge.mapping.renderer import Renderer
from bridge.mapping.tables import DEFAULT, look_up, merged, severity_warning
from bridge.mapping.templates import DEFAULT_BODY, Context, Templates, template_problems
from bridge.mapping.text import clean, cleaned, measure, one_line, shorten
from bridge.mapping.textile import Textile
from bridge.mapping.tree import Node
from bridge.model import EVERYTHING, Body, Bug, Draft, Export, Json, Marker, Markup
from bridge.tracker import Tracker


def renderer_for(markup: Markup) -> Renderer[Any]:
    """Return the renderer of a markup."""
    renderers: tuple[type[Renderer[Any]], ...] = (Gfm, CommonMark, JiraWiki, Adf, Html, Notion, Textile, Plain)
    return next(renderer for renderer in renderers if renderer.markup is markup)()


def render(markdown: str, markup: Markup, *, text: TextMode = "markdown") -> Body:
    """Return trusted Markdown in another markup, at any length.

    Args:
        markdown: The Markdown; what testers wrote in it is marked by `quote`.
        markup: What to render it to.
        text: What testers' text may be.
    """
    return Body(markup, renderer_for(markup).document(parse(markdown, Parsers(), text)))


class Mapper:
    """Maps bugs to drafts for one tracker. Compiles its templates once; may be used in several threads.

    Raises:
        ConfigError: A template is wrong. Carries every problem found.
    """

    def __init__(self, tracker: Tracker[Any]) -> None:
        self._tracker, settings = tracker, tracker.settings
        problems = template_problems(settings, f"trackers.{tracker.name}")
        if problems:
            raise ConfigError(problems)
        templates = Templates()
        self._parsers = Parsers()
        self._renderer = renderer_for(tracker.markup)
        self._title = templates.text(settings.title, "title")
        self._body = templates.markdown(
            DEFAULT_BODY if settings.template is None else settings.template, "template"
        )
        self._assignee = templates.text(settings.assignee, "assignee")
        self._parent = templates.text(settings.parent, "parent")
        labels = tracker.default_labels if settings.labels is None else settings.labels
        self._labels = [templates.text(label, "labels") for label in labels]
        self._fields = _compiled(settings.fields, "fields", templates)
        self._priorities = merged(tracker.default_priorities, settings.priorities)
        self._severities = merged(tracker.default_severities, settings.severities)
        self._kind_labels = merged(tracker.default_kind_labels, settings.kind_labels)
        default_type = {DEFAULT: settings.issue_type} if settings.issue_type else {}
        self._issue_types = merged(tracker.default_issue_types, default_type, settings.issue_types)

    def draft(
        self, export: Export, marker: Marker, *, text: TextMode = "markdown", only: frozenset[str] = EVERYTHING
    ) -> Draft:
        """Return the draft of an export's bug.

        Args:
            export: The export.
            marker: What the issue is recognised by.
            text: What testers' text may be: Markdown, or nothing but text.
            only: For an update: the parts to set anew.

        Raises:
            Rejected: A template cannot be filled in with this bug.
        """
        files = () if self._tracker.settings.attachments == "none" else export.bug.attachments
        clean_export: Export = cleaned(replace(export, bug=replace(export.bug, attachments=files)))
        bug = clean_export.bug
        context = {"bug": bug, "export": clean_export, "marker": marker}
        title, warnings = self._fitting_title(one_line(self._title(context)) or f"test IO bug {bug.id}")
        tables = (self._priorities, self._severities, self._issue_types, self._kind_labels)
        return Draft(
            title=title,
            body=self._fitting_body(self._body(context), text, _footer(bug, marker), _note(bug)),
            marker=marker,
            bug=export.bug,
            labels=self._labels_of(bug, context),
            issue_type=look_up(self._issue_types, bug),
            priority=look_up(self._priorities, bug),
            severity=look_up(self._severities, bug),
            assignee=one_line(self._assignee(context)),
            parent=one_line(self._parent(context)),
            fields=_filled(self._fields, context) or {},
            attachments=files,
            only=only,
            warnings=(*warnings, *severity_warning(bug, *tables)),
        )

    def comment(self, markdown: str, *, marker: Marker | None = None, text: TextMode = "markdown") -> Body:
        """Return a comment.

        Args:
            markdown: Trusted Markdown, as `describe_changes` returns it; testers' text in it is marked by `quote`.
            marker: Put below it, where given.
            text: What testers' text may be.
        """
        tracker = self._tracker
        end = () if marker is None else (Node("marker", text=marker.text),)
        note = (_paragraph(Node("text", text="The rest is too long for a comment here.")),)
        renderer = renderer_for(tracker.comment_markup or tracker.markup)
        blocks = parse(markdown, self._parsers, text)
        return fit(blocks, end, note, renderer=renderer, limit=tracker.body_limit, unit=tracker.unit)

    def _fitting_title(self, title: str) -> tuple[str, tuple[str, ...]]:
        title, tracker = self._renderer.title(title), self._tracker
        if tracker.title_limit is None or measure(title, tracker.unit) <= tracker.title_limit:
            return title, ()
        cut = shorten(title, tracker.title_limit, tracker.unit)
        before, after = measure(title, tracker.unit), measure(cut, tracker.unit)
        return cut, (f"title cut from {before} to {after} {tracker.unit}",)

    def _fitting_body(self, markdown: str, text: TextMode, footer: Iterable[Node], note: Node) -> Body:
        blocks = parse(markdown, self._parsers, text)
        first = () if blocks else (Node("rule"),)
        end = [node for node in footer if node not in first]
        limit, unit = self._tracker.body_limit, self._tracker.unit
        return fit(blocks, end, [note], renderer=self._renderer, limit=limit, unit=unit)

    def _labels_of(self, bug: Bug, context: Context) -> tuple[str, ...]:
        labels = [one_line(label(context)) for label in self._labels]
        return tuple(dict.fromkeys(label for label in (*labels, look_up(self._kind_labels, bug)) if label))


def _footer(bug: Bug, marker: Marker) -> list[Node]:
    words = [
        f"{name}: {value}" for name, value in (("severity", bug.severity), ("priority", bug.priority)) if value
    ]
    details = [Node("text", text=f" ({', '.join(words)})", foreign=True)] if words else []
    line = _paragraph(Node("text", text="Reported via test IO: "), _link_to(bug), *details)
    return [Node("rule"), line, Node("marker", text=marker.text)]


def _note(bug: Bug) -> Node:
    return _paragraph(Node("text", text="The rest is at test IO: "), _link_to(bug))


def _link_to(bug: Bug) -> Node:
    text = Node("text", text=bug.link or f"bug {bug.id}", foreign=True)
    return Node("link", (text,), href=bug.link) if bug.link else text


def _paragraph(*children: Node) -> Node:
    return Node("paragraph", children)


def _compiled(value: Any, name: str, templates: Templates) -> Any:
    """Return `value` with each text in it, however deep, compiled as a template."""
    if isinstance(value, str):
        return templates.text(value, name)
    if isinstance(value, Mapping):
        return {key: _compiled(item, f"{name}.{key}", templates) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_compiled(item, f"{name}.{index}", templates) for index, item in enumerate(value)]
    return value


def _filled(value: Any, context: Context) -> Json:
    """Return `value` with its templates filled in, and without whatever became empty; None when all did."""
    if callable(value):
        return clean(value(context)).strip() or None
    if isinstance(value, dict):
        filled = {key: _filled(item, context) for key, item in value.items()}
        return {key: item for key, item in filled.items() if item is not None} or None
    if isinstance(value, list):
        return [item for item in (_filled(item, context) for item in value) if item is not None] or None
    return value
