"""What is written about the commands agrees with them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import bridge
from bridge.cli.app import ENTRIES
from bridge.cli.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), f"run: python -m bridge.cli.reference docs/{PAGE.name}"


@pytest.mark.parametrize("name", ENTRIES)
def test_the_line_in_the_listing_is_the_commands_own(name):
    own = inspect.cleandoc(ENTRIES[name].load(name).help).splitlines()[0]

    assert ENTRIES[name].line == own


def test_every_public_name_can_be_imported_though_none_is_at_first():
    for name in bridge.__all__:
        assert getattr(bridge, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        bridge.nothing_of_that_name  # noqa: B018
