"""test IO's REST form of a bug, in the form in which it is exported."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge import payload
from bridge.model import Attachment, Device
from bridge.testio.rest import as_export, enriched, link_for
from tests.testio.documented import BUG

FULL = {
    "id": 20,
    "title": "Summary of the bug",
    "severity": "high",
    "status": "accepted",
    "feature": {"id": 61, "title": "Landing Page"},
    "location": "test_url3.com",
    "author": {"name": "teamleader1"},
    "comments": [{"id": 123, "body": "comment message"}],
    "devices": [
        {
            "category": {"name": "Smartphones"},
            "vendor": {"name": "Google"},
            "operating_system": {"name": "Android"},
            "operating_system_version": {"name": "10"},
            "device": {"name": "Nexus 5"},
            "browsers": [{"name": "Chrome"}],
        }
    ],
    "exported_at": "2022-05-09T11:22:55.000+02:00",
    "product": {"id": 10, "name": "Product #2"},
    "section": {"id": 14, "name": "Section #2"},
    "attachments": [{"id": 51, "url": "https://example.com/uploads/51/6d96.jpg?x=1", "thumbnail_urls": {}}],
    "steps": ["Go to Url"],
    "test": {"id": 37, "title": "Product with sections"},
    "test_environment": {"id": 9, "username": "user", "password": "the-staging-password", "access": "x"},
}
"""What test IO's Java client has in its tests, shortened."""


def read(document):
    return payload.read_export(document, id="e", connection="shop", received_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_the_documented_form_becomes_a_bug():
    bug = read(as_export(BUG, product_id=2, link="https://app.test.io/bugs/123")).bug

    assert (bug.id, bug.title, bug.severity, bug.product_id) == (123, "Summary of the bug", "high", 2)
    assert bug.steps == ("Step to reproduce the bug",)
    assert bug.description == "Location: https://example.com/page"
    assert bug.link == "https://app.test.io/bugs/123"
    assert bug.extra["language"] == "en"


def test_the_whole_form_becomes_a_bug():
    export = read(as_export(FULL))
    bug = export.bug

    assert export.exported_at == datetime(2022, 5, 9, 9, 22, 55, tzinfo=UTC)
    assert bug.device == Device(device_type="Smartphones", os="Android", os_version="10", browser="Chrome")
    assert bug.attachments == (Attachment(url="https://example.com/uploads/51/6d96.jpg?x=1", type="image/jpeg"),)
    assert (bug.reporter.name, bug.product_id, bug.test_cycle_id) == ("teamleader1", 10, 37)
    assert bug.steps == ("Go to Url",)
    assert bug.extra["section"]["name"] == "Section #2"
    assert bug.extra["comments"][0]["body"] == "comment message"


def test_what_was_posted_stays_and_the_rest_is_added():
    posted = {"event": "bug.exported", "exported_at": "2025-11-07T10:15:00Z", "bug": {
        "id": 20, "title": "As posted", "priority": "p2", "steps_to_reproduce": ["One", "Two"], "description": "",
        "device": {"os": "ios"},
    }}  # fmt: skip

    export = read(enriched(posted, FULL))

    assert (export.bug.title, export.bug.steps, export.bug.priority) == ("As posted", ("One", "Two"), "p2")
    assert export.bug.device.os == "ios"
    assert export.bug.extra["feature"]["title"] == "Landing Page"
    assert export.bug.description.startswith("Feature: Landing Page")
    assert export.exported_at == datetime(2025, 11, 7, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "bug",
    [
        {"id": 1, "title": "x", "devices": None, "author": None, "attachments": None, "steps": None},
        {
            "id": 1,
            "title": "x",
            "devices": "odd",
            "author": "Joe",
            "attachments": [1, {"url": 2}, {}],
            "product": 3,
        },
        {"id": 1, "title": "x", "devices": [None], "feature": "odd", "exported_at": ""},
    ],
)
def test_odd_forms_break_nothing(bug):
    as_export(bug)


@pytest.mark.parametrize(
    ("api", "page"),
    [
        ("https://api.test.io/customer/v2", "https://app.test.io/bugs/7"),
        ("http://127.0.0.1:8090/customer/v2", "http://127.0.0.1:8090/bugs/7"),
    ],
)
def test_the_page_of_a_bug(api, page):
    assert link_for(api, 7) == page
