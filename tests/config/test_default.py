"""The embedded default: runs without a file, and keeps its secrets across restarts."""

from __future__ import annotations

import stat
from itertools import count

import pytest

from bridge.config import default_config
from bridge.errors import ConfigError
from bridge.plugins import Plugins


@pytest.fixture(scope="module")
def types():
    return Plugins.load().types


def test_it_has_one_connection_one_route_and_issues_as_files(types, tmp_path):
    config = default_config(tmp_path / "bridge", types)

    assert list(config.connections) == ["default"]
    assert list(config.trackers) == ["files"]
    assert config.routes[0].trackers == ("files",)
    assert config.store.url == f"sqlite:///{tmp_path}/bridge/bridge.db"
    assert config.warnings == ()


def test_its_secrets_are_made_once_and_kept_for_their_owner_only(types, tmp_path):
    numbers = count()

    def make_secret() -> str:
        return f"made-secret-number-{next(numbers)}"

    first = default_config(tmp_path / "bridge", types, make_secret=make_secret)
    second = default_config(tmp_path / "bridge", types, make_secret=make_secret)

    assert first.secrets == second.secrets
    assert set(first.secrets) == {"made-secret-number-0", "made-secret-number-1"}
    for name in ("connection-secret", "admin-token"):
        assert stat.S_IMODE((tmp_path / "bridge" / name).stat().st_mode) == 0o600


def test_secrets_differ_between_installations(types, tmp_path):
    assert not set(default_config(tmp_path / "a", types).secrets) & set(
        default_config(tmp_path / "b", types).secrets
    )


def test_a_folder_that_cannot_be_made_is_told(types, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be used: "):
        default_config(tmp_path / "file" / "below", types)
