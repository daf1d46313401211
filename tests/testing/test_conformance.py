"""The suite finds what is wrong: each tracker below is the good one of `test_http_tracker` with one mistake."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

HEAD = """
import logging
from bridge import *
from bridge.testing.conformance import TrackerConformance
from tests.trackers.test_http_tracker import Settings, TestTickets as Good, Tickets, TicketsServer, ticket
"""

MISTAKES = {
    "sends a create again when the first was refused": (
        "test_a_refused_create_is_the_error_that_the_answer_means",
        """
        async def create(self, draft):
            try:
                return await super().create(draft)
            except TrackerError:
                return await super().create(draft)
        """,
    ),
    "takes an answer without a number for an issue": (
        "test_success_without_an_issue_is_no_success",
        """
        async def create(self, draft):
            data = await self.call("POST", "/tickets", purpose=Purpose.CREATE, json=ticket(draft, "SHOP"))
            return self._issue((data or {}).get("number", 0) if not isinstance(data, list) else 0)
        """,
    ),
    "forgets that a create is a create": (
        "test_a_lost_answer_leaves_a_create_in_doubt",
        """
        async def create(self, draft):
            data = await self.call("POST", "/tickets", json=ticket(draft, "SHOP"))
            return self._issue(data["number"])
        """,
    ),
    "makes two issues": (
        "test_create_makes_exactly_one_issue",
        """
        async def create(self, draft):
            await super().create(draft)
            return await super().create(draft)
        """,
    ),
    "cuts the title": (
        "test_create_takes_a_title_of_the_longest_length",
        """
        async def create(self, draft):
            return await super().create(draft.with_(title=draft.title[:100]))
        """,
    ),
    "drops the labels": (
        "test_create_says_everything",
        """
        async def create(self, draft):
            return await super().create(draft.with_(labels=()))
        """,
    ),
    "believes the tracker's filter": (
        "test_find_is_not_fooled_by_a_similar_marker",
        """
        async def find(self, marker):
            found = await self.call("GET", "/tickets", params={"search": marker.text})
            return self._issue(found[0]["number"]) if found else None
        """,
    ),
    "updates everything": (
        "test_update_sets_only_what_is_named",
        """
        async def update(self, issue, draft):
            return await super().update(issue, draft.with_(only=frozenset({"title", "body", "labels"})))
        """,
    ),
    "does not know a missing issue": (
        "test_an_issue_that_is_no_longer_there_is_gone",
        """
        async def comment(self, issue, body):
            await self.call("POST", f"/tickets/{issue.id}/comments", json={"text": body.text})
        """,
    ),
    "raises in a check": (
        "test_check_reports_refused_credentials",
        """
        async def check(self):
            await self.call("GET", "/me")
            return Report()
        """,
    ),
    "looks at nothing in a check": (
        "test_check_of_a_good_configuration_is_good",
        """
        async def check(self):
            return Report()
        """,
    ),
    "claims what it cannot do": (
        "test_can_do_what_it_does_not_declare_to_lack",
        """
        attach = Tracker.attach
        """,
    ),
    "logs its headers": (
        "test_logs_hold_no_secret",
        """
        async def create(self, draft):
            logging.getLogger("tickets").debug("sending %s", self.headers())
            return await super().create(draft)
        """,
    ),
    "shows the secret in its account": (
        "test_what_can_be_printed_holds_no_secret",
        """
        @property
        def account(self):
            return self.settings.token.get_secret_value()
        """,
    ),
    "raises an error that is not redacted": (
        "test_errors_hold_no_secret_even_if_the_tracker_repeats_it",
        """
        async def create(self, draft):
            try:
                return await super().create(draft)
            except TrackerError as error:
                raise Rejected("refused " + self.settings.token.get_secret_value()) from error
        """,
    ),
    "empties the file": (
        "test_attach_uploads_every_byte",
        """
        async def attach(self, issue, file):
            await self.call("POST", f"/tickets/{issue.id}/files", files={"file": ("a", b"")})
        """,
    ),
    "reads a whole file at once": (
        "test_attach_reads_a_large_file_in_pieces",
        """
        async def attach(self, issue, file):
            await self.call("POST", f"/tickets/{issue.id}/files", files={"file": ("a", file.path.read_bytes())})
        """,
    ),
    "sends in a preview": (
        "test_preview_shows_what_would_be_sent_and_sends_nothing",
        """
        def preview(self, draft):
            import httpx
            httpx.get(self.base_url)
            return super().preview(draft)
        """,
    ),
    "takes any setting": (
        "test_settings_refuse_unknown_keys_by_name",
        """
        settings_type = type("Loose", (Settings,), {"model_config": {"extra": "ignore"}, "__module__": __name__})
        """,
    ),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The mistakes for which a test failed. One process for all: starting one takes longest."""
    folder = tmp_path_factory.mktemp("mistakes")
    classes = [
        f"class Bad{number}(Tickets):\n{methods}\nclass TestBad{number}(Good):\n    tracker = Bad{number}\n"
        for number, (_, methods) in enumerate(MISTAKES.values())
    ]
    (folder / "test_bad.py").write_text("\n\n".join((HEAD, *classes)))
    chosen = [f"test_bad.py::TestBad{number}::{test}" for number, (test, _) in enumerate(MISTAKES.values())]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml", *chosen]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    cases = ET.parse(folder / "out.xml").iter("testcase")
    failed = {case.attrib["classname"] for case in cases if case.find("failure") is not None}
    return {mistake for number, mistake in enumerate(MISTAKES) if f"test_bad.TestBad{number}" in failed}


@pytest.mark.process
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_suite_finds_a_tracker_that(mistake: str, found: set[str]) -> None:
    assert mistake in found
