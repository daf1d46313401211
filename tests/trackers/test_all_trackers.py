"""All tracker types at equal depth: each has a module, a page, an example, a conformance test and a row."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from bridge.testing import Reply, Request
from tests.trackers import golden, matrix
from tests.trackers.installed import ROOT, conformance, names, types
from tests.trackers.specs import FOLDER, REASON

NAMED_BY_TEST_IO = {
    "azure-devops", "bugzilla", "clickup", "github", "gitlab", "gitea", "jira-cloud", "jira-server", "linear",
    "monday", "notion", "openproject", "pivotal-tracker", "rally", "redmine", "shortcut", "teamwork", "trello",
    "wrike", "youtrack", "zendesk", "zoho-desk", "zoho-projects",
}  # fmt: skip
"""test IO names 22; its Zoho is two products."""
NOT_DESCRIBED = {
    "bugzilla": "Bugzilla publishes its documentation only",
    "files": "no product has it",
    "rally": "Broadcom publishes its documentation only",
    "teamwork": "Teamwork publishes its documentation only",
    "zoho-projects": "Zoho describes Desk, not Projects",
}
"""Types that are held against what their vendors' documentation says instead, in `validate` of their fakes."""
HEADINGS = ["What you need", "What goes where", "Limits", "How duplicates are prevented", "Troubleshooting"]
ELSEWHERE = {
    "gitea": "/api/v1/x",
    "github": "/x",
    "gitlab": "/api/v4/x",
    "linear": "/graphql",
    "monday": "/v2",
    "youtrack": "/youtrack/api/x",
}
"""Where the fake expects the API, where that counts."""
JSON_SENT = {"content-type": "application/json"}
NO_DOCUMENT = b'{"query": "{ nothingLikeIt { id } }", "variables": {}}'
PAGES = ROOT / "docs" / "trackers"


def test_every_tracker_that_test_io_names_is_there() -> None:
    """And `files`, which needs no account."""
    assert set(names()) == NAMED_BY_TEST_IO | {"files"}


def test_an_entry_point_is_called_as_its_type() -> None:
    assert tuple(types()) == names()


def test_every_module_is_an_entry_point() -> None:
    modules = {path.stem for path in (ROOT / "plugins" / "bridge_plugins").glob("*.py")}

    assert {each.replace("_", "-") for each in modules if not each.startswith("_")} == set(names())


def test_every_type_has_a_page() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(names())


def test_every_type_has_a_section_in_the_example() -> None:
    example = tomllib.loads((ROOT / "config.example.toml").read_text("utf-8"))

    assert {table["type"] for table in example["trackers"].values()} == set(names())


@pytest.mark.parametrize("page", matrix.PAGES, ids=["README", "docs"])
def test_the_matrix_is_up_to_date(page: Path) -> None:
    """Every type has its row in it, with what it declares."""
    assert page.read_text("utf-8") == matrix.pages()[page], "run: make matrix"
    rows = re.findall(r"^\|.*`([a-z-]+)`", page.read_text("utf-8").partition(matrix.BEGIN)[2], re.MULTILINE)
    assert rows == list(names())


@pytest.mark.parametrize("name", names())
class TestEach:
    def test_it_is_held_to_the_conformance_suite(self, name: str) -> None:
        assert name in conformance()

    def test_what_it_sends_is_held_against_the_vendor_s_description(self, name: str) -> None:
        """The fake notices a request that the vendor does not know; the suite asks it after each test."""
        if name in NOT_DESCRIBED:
            assert not list(FOLDER.glob(f"{name.replace('-', '_')}.[jyg]*"))
            pytest.skip(NOT_DESCRIBED[name])
        if not FOLDER.is_dir():
            pytest.skip(REASON)
        server = conformance()[name].server()
        unknown = Request("POST", ELSEWHERE.get(name, "/x"), {}, JSON_SENT, NO_DOCUMENT)

        with pytest.raises(AssertionError):
            server.validate(unknown, Reply(200, json={"data": {"nothingLikeIt": {"id": 1}}}))

    def test_its_page_says_what_the_others_say(self, name: str) -> None:
        if name == "files":
            pytest.skip("files is no product with an account and an API: its page tells where they are written")
        headings = re.findall(r"^## (.+)$", (PAGES / f"{name}.md").read_text("utf-8"), re.MULTILINE)

        assert headings == HEADINGS

    def test_the_documented_export_looks_as_it_did(self, name: str) -> None:
        assert golden.path_of(name).read_text("utf-8") == golden.preview(name), "run: make golden, and read it"
