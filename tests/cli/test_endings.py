"""How commands end: words and an exit code, whatever happens."""

from __future__ import annotations

import pytest
import typer

from bridge.cli.ending import Ending, Failed, told
from bridge.errors import BridgeError, ConfigError, PluginError, Problem, StoreError
from bridge.web import PortInUse


def ended(error: BaseException) -> int:
    with pytest.raises(typer.Exit) as caught, told():
        raise error
    return int(caught.value.exit_code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Failed("no"), Ending.WRONG),
        (Failed("no", Ending.UNREACHABLE), Ending.UNREACHABLE),
        (ConfigError([Problem("a", "b")]), Ending.USAGE),
        (PluginError("no"), Ending.USAGE),
        (PortInUse("no"), Ending.USAGE),
        (StoreError("no"), Ending.WRONG),
        (BridgeError("no"), Ending.WRONG),
        (KeyboardInterrupt(), Ending.INTERRUPTED),
        (typer.Abort(), Ending.INTERRUPTED),
        (ValueError("no"), Ending.BUG),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert ended(error) == code


def test_a_bug_is_one_line_that_says_where_and_one_that_says_what_to_do(capsys):
    ended(ValueError("it\nbroke at https://bridge.example/export/shop/connection-secret-0123456789"))

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("this is a bug: ValueError: it broke at https://bridge.example/export/shop/[secret] (")
    assert "test_endings.py" in first
    assert second.startswith("please report it")


def test_every_problem_of_a_configuration_is_told(capsys):
    ended(ConfigError([Problem("a", "is wrong"), Problem("b", "too")], source="config.toml"))

    assert capsys.readouterr().err.splitlines() == [
        "config.toml: 2 things are wrong",
        "  a: is wrong",
        "  b: too",
    ]


def test_typers_own_ways_to_end_are_left_to_it():
    with pytest.raises(typer.BadParameter), told():
        raise typer.BadParameter("no")
