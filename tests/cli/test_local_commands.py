"""Commands that need no daemon."""

from __future__ import annotations

import json

import jsonschema
import pytest

from bridge.cli.app import ENTRIES


def test_help_lists_every_command_without_importing_any(run):
    shown = run("--help")

    assert shown.code == 0
    for name in ENTRIES:
        assert f" {name} " in shown.out
    assert "Exit codes:" in shown.out


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_explains_itself(run, name):
    assert run(name, "--help").code == 0


def test_version(run):
    assert run("--version").out.startswith("tracker-bridge ")


def test_a_misspelt_command_is_wrong_usage(run):
    ended = run("exprots")

    assert ended.code == 2
    assert "exports" in ended.error


# config


def test_config_check_tells_everything_that_is_wrong_at_once(run, house):
    house.config["trackers"]["files"]["lables"] = ["x"]
    house.config["server"]["port"] = "eighty"
    house.config["routes"][0]["trackers"] = ["fils"]
    house.write()

    checked = run("config", "check")

    assert checked.code == 2
    assert "config.toml: 3 things are wrong" in checked.error
    assert 'trackers.files.lables: is not known here; did you mean "labels"?' in checked.error
    assert "server.port: must be a whole number" in checked.error
    assert 'routes[0].trackers: there is no [trackers.fils]; did you mean "files"?' in checked.error
    paths = {problem["path"] for problem in run("config", "check", "--json").json["problems"]}
    assert paths == {"server.port", "trackers.files.lables", "routes[0].trackers"}


def test_config_check_says_when_it_is_fine(run, house):
    checked = run("config", "check", str(house.file))

    assert checked.code == 0
    assert checked.out == f"{house.file} is fine: 1 connection, 1 route, 2 trackers (files, odd).\n"
    assert run("config", "check", "--json").json["ok"] is True


def test_config_check_warns_of_what_is_probably_not_meant_so(run, house):
    house.config["routes"][0]["trackers"] = ["files"]
    house.write()

    checked = run("config", "check")

    assert checked.code == 0
    assert "warning: trackers.odd: is in no route" in checked.error


@pytest.mark.parametrize("command", [["config", "check"], ["preview"], ["check"], ["serve"], ["status"]])
def test_a_configuration_that_is_no_toml_is_told_by_every_command(run, house, command):
    house.file.write_text("[server\n")

    ended = run(*command)

    assert ended.code == 2
    assert "is no TOML" in ended.error


def test_a_configuration_that_was_named_and_is_not_there(run):
    ended = run("check", "--config", "nowhere.toml")

    assert ended.code == 2
    assert "nowhere.toml: cannot be read: No such file or directory" in ended.error


def test_config_schema_is_one_that_the_configuration_fits(run, house):
    schema = run("config", "schema").json

    jsonschema.validate(house.config, schema)


# preview


def test_preview_shows_exactly_what_would_be_sent_where(run, house):
    shown = run("preview")

    assert shown.code == 0
    assert "files (files)" in shown.out
    assert "odd (picky)" in shown.out
    assert "Checkout total is incorrect  27 of 80 characters" in shown.out
    assert "Observed wrong total after applying promo code." in shown.out
    assert "<!-- testio-bug-12345 -->" in shown.out
    assert not (house.folder / "issues").exists()


def test_preview_as_json_has_the_lengths_and_what_would_be_lost(run, house):
    shown = run("preview", "--tracker", "odd", "--json").json

    [preview] = shown["previews"]
    assert preview["tracker"] == "odd"
    assert preview["title"] == "Checkout total is incorrect"
    assert preview["lengths"]["title"] == 27
    assert preview["lengths"]["title_limit"] == 80
    assert preview["lost"] == []


def test_preview_of_standard_input_and_of_a_file_are_alike(run, house):
    body = json.dumps({"event": "bug.exported", "bug": {"id": 5, "title": "Five"}})
    (house.folder / "five.json").write_text(body)

    one, other = (run("preview", where, "--tracker", "odd", "--json", input=body) for where in ("-", "five.json"))

    assert one.json == other.json


def test_preview_says_when_nothing_would_be_sent(run, house):
    ignored = run("preview", "-", input='{"event": "bug.commented"}')
    house.config["routes"][0]["when"] = {"severity": "low"}
    house.write()
    unrouted = run("preview")

    assert (ignored.code, unrouted.code) == (0, 0)
    assert "'bug.commented' is ignored" in ignored.out
    assert "no route takes it" in unrouted.out


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "no JSON"),
        ("[]", "must be an object"),
        ('{"event": "bug.exported", "bug": {}}', "/bug/id: is required"),
    ],
)
def test_preview_ends_with_1_where_an_export_would_be_refused(run, house, body, words):
    ended = run("preview", "-", input=body)

    assert ended.code == 1
    assert words in ended.error


def test_preview_of_what_is_not_there(run, house):
    assert run("preview", "nothing.json").code == 2
    assert run("preview", "--tracker", "nobody").code == 1
    assert run("preview", "--connection", "nobody").code == 1


# check


def test_check_looks_itself_where_no_daemon_runs(run, house):
    bad = run("check")
    house.cheer()
    good = run("check", "--json")

    assert bad.code == 1
    assert "looking from here: nothing answers at" in bad.error
    assert "odd would fail" in bad.out
    assert "→ make the file" in bad.out
    assert good.code == 0
    assert [tracker["name"] for tracker in good.json["trackers"]] == ["files", "odd"]
    assert run("check", "nobody").code == 1


# what there is


def test_trackers_say_what_they_can_and_how_they_prevent_duplicates(run, house):
    types = {one["type"]: one for one in run("trackers", "--json").json["types"]}

    assert types["files"]["duplicates"] == "refused by it"
    assert types["picky"]["duplicates"] == "NOT PREVENTED"
    assert types["picky"]["can"]["attach"] is False
    assert types["jira-cloud"]["duplicates"].startswith("looked for, ")
    assert "picky" in run("trackers").out


def test_plugins_show_their_origin_and_why_one_does_not_work(run, house):
    (house.folder / "plugins" / "broken.py").write_text("import nothing_of_that_name")

    shown = run("plugins")

    assert shown.code == 1
    assert "No module named 'nothing_of_that_name'" in shown.out
    assert "tracker-bridge 0." in shown.out
    by_name = {one["name"]: one for one in run("plugins", "--json").json["plugins"]}
    assert by_name["files"]["distribution"] == "tracker-bridge"
    assert by_name["picky"]["hooks"] == ["bridge_trackers"]


def test_plugins_that_are_left_out_are_shown_as_such(run, house):
    house.config["plugins"]["disabled"] = ["github"]
    house.write()

    shown = run("plugins")

    assert shown.code == 0
    assert "disabled" in next(line for line in shown.out.splitlines() if line.startswith("github"))
