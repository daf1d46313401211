"""`init`: somebody answers, and a configuration that works is written."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from bridge.app import load_setup
from bridge.cli.ending import Failed
from bridge.cli.init import dialogue
from bridge.cli.new_config import Kept, NewConfig
from bridge.errors import ConfigError
from bridge.plugins import Plugins
from tests.cli.conftest import PICKY, SHELVES


class Scripted:
    """Answers questions by the words they begin with; one answer after the other, then what Enter means.

    What each choice offered is in `offered`.
    """

    def __init__(self, **answers: Sequence[str] | str) -> None:
        self._answers = {
            start.replace("_", " "): [given] if isinstance(given, str) else list(given)
            for start, given in answers.items()
        }
        self.asked: list[str] = []
        self.offered: list[list[str]] = []
        self.shown = ""

    def text(self, question: str, default: str = "", *, hidden: bool = False, required: bool = False) -> str:
        self.asked.append(question)
        for start, given in self._answers.items():
            if question.startswith(start) and given:
                return given.pop(0)
        assert default or not required, f"no answer to {question}"
        return default

    def choice(self, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        answer = self.text(question, default)
        self.offered.append([word for word, _ in options])
        assert answer in dict(options)
        return answer

    def confirm(self, question: str, *, default: bool = True) -> bool:
        return self.text(question, "yes" if default else "no") == "yes"

    def show(self, shown: Any) -> None:
        self.shown += (shown.plain if isinstance(shown, Text) else str(shown)) + "\n"


@pytest.fixture
def new(tmp_path: Path) -> NewConfig:
    return NewConfig(tmp_path / "config.toml")


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "picky.py").write_text(PICKY)
    return Plugins.load(tmp_path / "plugins")


def test_enter_everywhere_writes_what_works(new, plugins):
    asker = Scripted()

    dialogue(asker, new, plugins)

    config = load_setup(new.path, {}).config
    assert list(config.trackers) == ["files"]
    assert list(config.connections) == ["test-io"]
    assert config.routes[0].trackers == ("files",)
    assert config.server.admin_token is not None
    assert config.warnings == ()
    assert "config.toml is written." in asker.shown


def test_the_type_that_needs_no_account_is_offered_first(new, plugins):
    asker = Scripted()

    dialogue(asker, new, plugins)

    first, *others = asker.offered[0]
    assert first == "files"
    assert others == sorted(others)


def test_made_secrets_are_in_files_of_their_owner_and_shown_nowhere(new, plugins):
    asker = Scripted()

    dialogue(asker, new, plugins)

    for name in ("admin-token", "connection-test-io"):
        file = new.path.parent / "secrets" / name
        secret = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(secret) >= 32
        assert secret not in new.path.read_text() + asker.shown


def test_a_second_run_keeps_the_connections_secret(new, plugins):
    dialogue(Scripted(), new, plugins)
    before = (new.path.parent / "secrets" / "connection-test-io").read_text()

    dialogue(Scripted(), NewConfig(new.path), plugins)

    assert (new.path.parent / "secrets" / "connection-test-io").read_text() == before


@pytest.mark.parametrize(
    ("keeping", "written"),
    [
        ("file", 'token = {file = "secrets/odd-token"}'),
        ("env", 'token = "${ODD_TOKEN}"'),
        ("here", 'token = "its-own-token"'),
    ],
)
def test_a_token_is_kept_as_the_person_wants(new, plugins, keeping, written):
    (new.path.parent / "mood").touch()
    asker = Scripted(Which="picky", What_do="odd", token="its-own-token", Where_is=keeping)

    dialogue(asker, new, plugins)

    text = new.path.read_text()
    assert written in text
    assert ("its-own-token" in text) == (keeping == "here")
    assert "its-own-token" not in asker.shown
    assert ("set ODD_TOKEN in the daemon's environment" in asker.shown) == (keeping == "env")
    assert stat.S_IMODE(new.path.stat().st_mode) == (0o600 if keeping == "here" else 0o644)


def test_the_doctor_is_asked_until_the_tracker_is_good(new, plugins):
    (new.path.parent / "other-mood").touch()
    asker = Scripted(Which="picky", What_do="odd", And_now="again", mood="other-mood")

    dialogue(asker, new, plugins)

    assert asker.asked.count("And now?") == 1
    assert 'mood = "other-mood"' in new.path.read_text()


class TestWhatTheTrackerItselfLists:
    @pytest.fixture
    def plugins(self, tmp_path: Path) -> Plugins:
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "shelves.py").write_text(SHELVES)
        return Plugins.load(tmp_path / "plugins")

    @pytest.mark.parametrize("answer", ["2", "Office", "s-2"])
    def test_it_is_shown_and_chosen_by_number_name_or_id(self, new, plugins, answer):
        asker = Scripted(Which="shelves", floor="1", shelf=answer)

        dialogue(asker, new, plugins)

        assert "1  Attic\n   2  Office\n" in asker.shown
        assert new.trackers["shelves"]["shelf"] in {"Office", "s-2"}

    def test_what_is_asked_for_earlier_is_known_to_the_tracker_by_then(self, new, plugins):
        asker = Scripted(Which="shelves", floor="2")

        dialogue(asker, new, plugins)

        assert new.trackers["shelves"]["shelf"] == "Cellar", "the only one there is"

    def test_a_tracker_that_does_not_tell_is_no_reason_not_to_ask(self, new, plugins):
        asker = Scripted(Which="shelves", floor="3", shelf="Somewhere")

        dialogue(asker, new, plugins)

        assert new.trackers["shelves"]["shelf"] == "Somewhere"


def test_a_tracker_may_be_kept_though_it_is_bad_or_left_out(new, plugins):
    kept, dropped = Scripted(Which="picky", And_now="keep"), Scripted(Which="picky", And_now="drop", Another="no")

    dialogue(kept, new, plugins)
    with pytest.raises(Failed, match="without a tracker"):
        dialogue(dropped, NewConfig(new.path.parent / "other.toml"), plugins)

    assert "[trackers.picky]" in new.path.read_text()
    assert not (new.path.parent / "other.toml").exists()


def test_wrong_answers_are_told_and_asked_again(new, plugins):
    asker = Scripted(
        Which="gitlab", project=["no project", "acme/shop"], token="secret-token-1", And_now=["again", "keep"],
        url=["http://127.0.0.1:9"] * 2,
    )  # fmt: skip

    dialogue(asker, new, plugins)

    assert "✗ trackers.gitlab.project: " in asker.shown
    assert 'project = "acme/shop"' in new.path.read_text()
    assert "secret-token-1" not in asker.shown + new.path.read_text()


def test_a_wrong_public_address_is_told_and_asked_again(new, plugins):
    asker = Scripted(Address=["bugs", "https://bugs.example.com"])

    dialogue(asker, new, plugins)

    assert "server.public_url" in asker.shown
    assert "https://bugs.example.com/export/test-io/$(cat " in asker.shown


def test_a_trial_issue_is_made_only_when_wanted_and_with_a_marker_of_its_own(new, plugins):
    asker = Scripted(Make="yes")

    dialogue(asker, new, plugins)

    [issue] = (new.path.parent / "issues").iterdir()
    assert issue.name.startswith("testio-bug-12345-trial-")
    assert issue.as_uri() in asker.shown


def test_a_trial_that_the_tracker_refuses_is_told(new, plugins):
    asker = Scripted(Which="picky", And_now="keep", Make="yes")

    dialogue(asker, new, plugins)

    assert "✗ picky: not in the mood (HTTP 422): priority: is not valid" in asker.shown


def test_two_trackers_of_one_type_get_names_of_their_own(new, plugins):
    asker = Scripted(Another=["yes", "no"], folder=["one", "two"])

    dialogue(asker, new, plugins)

    assert list(load_setup(new.path, {}).config.trackers) == ["files", "files-2"]


def test_secrets_are_in_no_repr(new):
    new.trackers["x"] = {"token": Kept("its-own-token", "file", "x-token")}

    assert "its-own-token" not in repr(new)


def test_what_cannot_be_written_is_told(new, plugins):
    new.path = new.path.parent / "plugins" / "picky.py" / "config.toml"

    with pytest.raises((Failed, ConfigError), match=r"picky\.py"):
        dialogue(Scripted(And_now="keep"), new, plugins)


def test_init_replaces_nothing_and_asks_nobody_who_cannot_answer(run, house):
    existing = run("init")
    elsewhere = run("init", "--config", "other.toml")

    assert existing.code == 2
    assert "--force" in existing.error
    assert elsewhere.code == 2
    assert "run it in a terminal" in elsewhere.error
