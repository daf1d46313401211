"""From a bug to a draft: templates make Markdown, the tree is rendered to the tracker's markup, and cut to fit."""

from bridge.mapping.changes import describe_changes
from bridge.mapping.mapper import Mapper, render
from bridge.mapping.templates import DEFAULT_BODY, template_problems
from bridge.mapping.text import quote

__all__ = ["DEFAULT_BODY", "Mapper", "describe_changes", "quote", "render", "template_problems"]
