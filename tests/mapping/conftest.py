"""A tracker that is nothing but its declarations, and what drafts for it look like."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.mapping import Mapper
from bridge.mapping.notion import family
from bridge.mapping.text import measure
from bridge.model import Draft, Export, Issue, Marker, Markup, Report
from bridge.payload import parse, read_export
from bridge.testing.samples import SINCE, sample_bug, sample_export
from bridge.tracker import Tracker, TrackerSettings, Unit

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


@pytest.fixture(scope="session")
def notion_is_valid() -> Callable[[Any], None]:
    """Raise an error for what are not blocks in the eyes of Notion's own description, or break a limit of it."""
    file = SHARED / "specs" / "notion.json"
    if not file.exists():
        pytest.skip(f"no description of Notion at {file}")
    jsonschema = pytest.importorskip("jsonschema")
    block = {**json.loads(file.read_text()), "$ref": "#/components/schemas/blockObjectRequest"}
    check: Callable[[Any], None] = jsonschema.Draft202012Validator(block).validate

    def validate(blocks: Any) -> None:
        for each in blocks:
            check(each)
            assert family(each) <= 1000
        for text in texts_of(blocks):
            assert 0 < measure(text["content"], Unit.UTF16) <= 2000
            assert measure((text.get("link") or {"url": ""})["url"], Unit.UTF16) <= 2000

    return validate


def texts_of(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every `text` in Notion's blocks."""
    if isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        if "content" in value:
            yield value
        for item in value.values():
            yield from texts_of(item)
