"""A tracker that is nothing but its declarations, and what drafts for it look like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.mapping import Mapper
from bridge.model import Draft, Export, Issue, Marker, Markup, Report
from bridge.payload import parse, read_export
from bridge.testing.samples import SINCE, sample_bug, sample_export
from bridge.tracker import Tracker, TrackerSettings

SHARED = Path(__file__).parents[3] / "shared"


class Paper(Tracker[TrackerSettings]):
    type = "paper"
    label = "Paper"
    settings_type = TrackerSettings
    markup = Markup.GFM

    async def check(self) -> Report:
        return Report()

    async def create(self, draft: Draft) -> Issue:
        raise NotImplementedError


def paper(markup: Markup = Markup.GFM, declared: dict[str, Any] | None = None, **settings: Any) -> Paper:
    """Return a tracker of `markup` whose class has the attributes `declared`."""
    kind: type[Paper] = type("Paper", (Paper,), {"markup": markup, **(declared or {})})
    return kind("web-paper", TrackerSettings(type="paper", **settings))


@pytest.fixture
def tracker() -> Callable[..., Paper]:
    return paper


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """Map a bug (the documented one with `bug` changes) for a tracker with `settings`."""

    def mapped(
        markup: Markup = Markup.GFM,
        bug: dict[str, Any] | None = None,
        declared: dict[str, Any] | None = None,
        text: Any = "markdown",
        **settings: Any,
    ) -> Draft:
        export = sample_export(sample_bug(**(bug or {})))
        marker = Marker.of(export.bug.id, SINCE)
        return Mapper(paper(markup, declared, **settings)).draft(export, marker, text=text)

    return mapped


@pytest.fixture
def example() -> Callable[[str], Export]:
    """Read one of the shared example payloads."""

    def read(name: str) -> Export:
        file = SHARED / "examples" / f"{name}.json"
        if not file.exists():
            pytest.skip(f"no example payloads at {file.parent}")
        return read_export(parse(file.read_bytes()), id="e1", connection="web-shop", received_at=SINCE)

    return read


@pytest.fixture(scope="session")
def adf_is_valid() -> Callable[[Any], None]:
    """Raise an error for what is not ADF in the eyes of Atlassian's own schema."""
    file = SHARED / "specs" / "jira_cloud_adf.json"
    if not file.exists():
        pytest.skip(f"no ADF schema at {file}")
    jsonschema = pytest.importorskip("jsonschema")
    validate: Callable[[Any], None] = jsonschema.Draft4Validator(json.loads(file.read_text())).validate
    return validate
