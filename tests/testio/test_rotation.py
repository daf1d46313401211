"""A new secret for a connection, written where the old one stood, with the old one beside it."""

from __future__ import annotations

import stat

import pytest

from bridge.cli.ending import Failed
from bridge.cli.rotation import finish, rotate_secret
from bridge.config import load_config

OLD = "old-secret-0123456789"


def configured(tmp_path, secret: str):
    file = tmp_path / "config.toml"
    file.write_text(f"# ours\n[connections.shop]\nsecret = {secret} # keep it\ntext = 'plain'\n")
    return file


def secrets_of(file, env=None):
    shop = load_config(file, {}, env or {}).connections["shop"]
    return shop.secret.get_secret_value(), shop.previous_secret and shop.previous_secret.get_secret_value()


def test_one_that_stands_in_the_configuration(tmp_path):
    file = configured(tmp_path, f'"{OLD}"')
    file.chmod(0o640)

    rotate_secret(file, "shop")
    new, previous = secrets_of(file)

    assert previous == OLD
    assert new != OLD
    assert len(new) >= 32
    assert "# ours" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640

    finish(file, "shop")
    assert secrets_of(file) == (new, None)
    assert OLD not in file.read_text()


def test_one_in_a_file_of_its_own(tmp_path):
    (tmp_path / "shop-secret").write_text(f"{OLD}\n")
    file = configured(tmp_path, '{ file = "shop-secret" }')

    rotate_secret(file, "shop")
    new, previous = secrets_of(file)

    assert (previous, new != OLD) == (OLD, True)
    assert new not in file.read_text()
    finish(file, "shop")
    assert secrets_of(file) == (new, None)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.toml", "shop-secret"]


def test_one_from_the_environment_is_explained_and_left_alone(tmp_path):
    file = configured(tmp_path, '"${SHOP_SECRET}"')
    before = file.read_text()

    with pytest.raises(Failed, match=r"comes from the environment: put the old value into previous_secret"):
        rotate_secret(file, "shop")
    assert file.read_text() == before


def test_a_second_rotation_waits_for_the_end_of_the_first(tmp_path):
    file = configured(tmp_path, f'"{OLD}"')
    rotate_secret(file, "shop")

    with pytest.raises(Failed, match="--finish first"):
        rotate_secret(file, "shop")


@pytest.mark.parametrize("call", [rotate_secret, finish])
def test_an_unknown_connection(call, tmp_path):
    with pytest.raises(Failed, match="there is no connection 'web'"):
        call(configured(tmp_path, f'"{OLD}"'), "web")


def test_nothing_to_finish(tmp_path):
    with pytest.raises(Failed, match="no previous_secret"):
        finish(configured(tmp_path, f'"{OLD}"'), "shop")
