"""Commands that ask the running daemon."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.cli.conftest import SECRET, TOKEN


def settle(run, export: str) -> dict:
    """Return an export once every delivery has ended."""
    for _ in range(500):
        row: dict = run("show", export, "--json").json
        if all(one["state"] in {"delivered", "dead"} for one in row["deliveries"]):
            return row
    raise AssertionError(f"it never ends: {row}")


def settle_all(run) -> dict:
    """Return the status once nothing is under way."""
    for _ in range(500):
        status: dict = run("status", "--json").json
        if not status["unfinished"]:
            return status
    raise AssertionError(f"it never ends: {status}")


def test_send_follows_an_export_to_its_issues_and_ends_with_1_where_one_is_dead(run, running):
    sent = run("send", "--json")

    by_tracker = {one["tracker"]: one for one in sent.json["export"]["deliveries"]}
    assert sent.code == 1
    assert sent.json["receipt"]["state"] == "accepted"
    assert by_tracker["files"]["issue"]["key"] == "testio-bug-12345"
    assert by_tracker["odd"]["state"] == "dead"


def test_send_ends_with_0_where_every_issue_is_there(run, running):
    running.cheer()

    sent = run("send", "--wait", "20")

    assert sent.code == 0
    assert "files created testio-bug-12345" in sent.out
    assert "https://picky.example/1" in sent.out


def test_send_takes_a_file_or_standard_input(run, running):
    running.cheer()
    body = json.dumps({"event": "bug.exported", "bug": {"id": 5, "title": "Five"}})
    (running.folder / "five.json").write_text(body)

    assert run("send", "five.json", "--json").json["export"]["bug_id"] == 5
    assert run("send", "-", "--json", input=body).json["receipt"]["duplicate"] is True


def test_send_names_every_field_that_keeps_an_export_from_being_used(run, running):
    sent = run("send", "-", input='{"event": "bug.exported", "bug": {"id": [], "title": {}}}')

    assert sent.code == 1
    assert "/bug/id: must be a whole number" in sent.error
    assert "/bug/title: must be a text" in sent.error
    assert "kept as " in sent.error


def test_send_without_waiting_only_says_that_it_was_accepted(run, running):
    sent = run("send", "--wait", "0")

    assert sent.code == 0
    assert sent.out.split()[1] == "accepted"


def test_exports_lists_what_came_in_and_what_became_of_it(run, running):
    receipt = running.export(7)
    settle(run, receipt["export"])
    running.post({"event": "bug.exported", "bug": {"id": []}})

    listed = run("exports")

    assert listed.code == 0
    rejected, accepted = [line for line in listed.out.splitlines()[1:] if not line.startswith(" ")]
    assert "rejected" in rejected
    assert "Bug 7" in accepted
    assert "files created testio-bug-7" in accepted
    assert "odd dead: not in the mood (HTTP 422): priority: is not valid" in listed.out


def test_exports_are_chosen_by_state_tracker_error_bug_and_time(run, running):
    settle(run, running.export(7)["export"])
    running.cheer()
    settle(run, running.export(8)["export"])

    def bugs(*options: str) -> list[int]:
        return [row["bug_id"] for row in run("exports", "--json", *options).json["exports"]]

    assert bugs() == [8, 7]
    assert bugs("--state", "dead") == [7]
    assert bugs("--error", "mood") == [7]
    assert bugs("--bug", "8") == [8]
    assert bugs("--tracker", "files", "--since", "1h", "--limit", "1") == [8]
    assert bugs("--since", "2999-01-01") == []


def test_show_tells_each_attempt_with_the_trackers_answer(run, running):
    receipt = running.export(7)
    settle(run, receipt["export"])

    shown = run("show", receipt["export"][:12], "--body")

    assert shown.code == 0
    assert "bug 7: Bug 7" in shown.out
    assert "attempt 1" in shown.out
    assert "Rejected: not in the mood" in shown.out
    assert "issues/testio-bug-7/issue.md" in shown.out
    assert json.loads(shown.out.splitlines()[-1])["bug"]["title"] == "Bug 7"


def test_show_says_when_there_is_none_and_when_there_are_several(run, running):
    running.export(7)
    running.export(8)

    assert run("show", "zzz").code == 1
    several = run("show", "0")
    assert several.code == 1
    assert "several exports begin with 0" in several.error


def test_what_strangers_wrote_does_not_command_the_terminal(run, running):
    url = f"http://127.0.0.1:{running.port}/export/shop/{SECRET}"
    kept = httpx.post(
        url, content=b"{ \x1b]0;owned\x07 \x9b2J", headers={"Content-Type": "application/json"}
    ).json()

    shown = run("show", kept["export"], "--body")

    assert "]0;owned" in shown.out
    assert not {"\x1b", "\x07", "\x9b"} & set(shown.out)


def test_replay_says_first_what_it_will_do(run, running):
    settle(run, running.export(7)["export"])

    planned = run("replay", "--state", "dead", "--dry-run")

    assert planned.code == 0
    assert planned.out.split()[-3:] == ["odd", "dead", "1"]
    assert run("replay", "--state", "dead", "--dry-run", "--json").json["deliveries"][0]["count"] == 1


def test_replay_makes_dead_deliveries_again_once_they_can_succeed(run, running):
    receipts = [running.export(bug) for bug in range(60)]
    settle_all(run)
    running.cheer()

    replayed = run("replay", "--tracker", "odd", "--yes", "--json")

    assert replayed.code == 0
    assert sorted(replayed.json["replayed"]) == sorted(f"{receipt['export']}:odd" for receipt in receipts)
    assert settle_all(run)["deliveries"] == {"delivered": 120}
    assert run("status").code == 0


def test_replay_takes_exports_by_the_beginning_of_their_id(run, running):
    receipt = running.export(7)
    settle(run, receipt["export"])

    replayed = run("replay", receipt["export"][:12], "--tracker", "odd", "--yes", "--json")

    assert replayed.json == {"replayed": [f"{receipt['export']}:odd"]}
    assert run("replay", "zzz", "--yes").code == 1


def test_replay_judges_rejected_exports_anew(run, running):
    running.post({"event": "bug.exported", "bug": {"id": []}})

    replayed = run("replay", "--state", "rejected", "--yes")

    assert replayed.code == 0
    assert "went nowhere" in replayed.out


def test_replay_of_everything_needs_to_be_said(run, running):
    refused = run("replay", "--yes")

    assert refused.code == 2
    assert "--state dead" in refused.error


def test_replay_asks_nobody_where_nobody_can_answer(run, running):
    settle(run, running.export(7)["export"])

    refused = run("replay", "--state", "dead")

    assert refused.code == 2
    assert "--yes" in refused.error


def test_a_paused_tracker_lets_exports_wait_until_it_is_resumed(run, running):
    running.cheer()
    assert run("pause", "odd", "--reason", "the release").code == 0
    receipt = running.export(7)

    status = run("status")
    assert "paused" in status.out
    assert "the release" in status.out
    waiting = next(one for one in run("status", "--json").json["trackers"] if one["name"] == "odd")
    assert waiting["deliveries"] == {"pending": 1}

    assert "odd works again" in run("resume", "odd").out
    settle(run, receipt["export"])
    assert "was working" in run("resume", "odd").out
    assert run("pause", "nobody").code == 1


def test_status_ends_with_1_while_something_is_dead(run, running):
    assert run("status").code == 0
    settle(run, running.export(7)["export"])

    status = run("status")

    assert status.code == 1
    assert "1 dead: tracker-bridge exports --state dead" in status.out
    assert run("status", "--json").json["worries"] == ["1 dead: tracker-bridge exports --state dead"]


def test_check_lets_the_daemon_look(run, running):
    bad = run("check")
    running.cheer()
    good = run("check", "odd", "--json")

    assert bad.code == 1
    assert "→ make the file" in bad.out
    assert bad.error == ""
    assert good.code == 0
    assert good.json["trackers"][0]["findings"][0]["message"] == "good"
    assert run("check", "nobody").code == 1


def test_reload_takes_all_or_nothing(run, running):
    running.config["trackers"]["odd"]["labels"] = ["new"]
    running.write()
    assert run("reload").code == 0

    running.config["trackers"]["odd"]["lables"] = ["new"]
    running.write()
    refused = run("reload")

    assert refused.code == 1
    assert 'trackers.odd.lables: is not known here; did you mean "labels"?' in refused.error


def test_plugins_come_from_the_daemon_which_knows_their_failures(run, running):
    shown = {one["name"]: one for one in run("plugins", "--json").json["plugins"]}

    assert shown["picky"]["types"] == ["picky"]
    assert shown["picky"]["failures"] == 0


def test_no_command_shows_a_secret(run, running):
    receipt = running.export(7)
    settle(run, receipt["export"])

    for command in (
        ["status"],
        ["exports"],
        ["show", receipt["export"], "--body"],
        ["send"],
        ["check"],
        ["plugins"],
    ):
        shown = run(*command)
        assert SECRET not in shown.out + shown.error
        assert TOKEN not in shown.out + shown.error


@pytest.mark.parametrize(
    "command", [["status"], ["exports"], ["show", "x"], ["send"], ["pause", "odd"], ["reload"]]
)
def test_without_a_daemon_it_is_said_how_to_start_it(run, house, command):
    ended = run(*command)

    assert ended.code == 3
    assert f"nothing answers at http://127.0.0.1:{house.port}: start it with `tracker-bridge serve`" in ended.error


def test_a_daemon_with_another_token_says_no(run, running):
    running.config["server"]["admin_token"] = "another-token-0123456789"
    running.write()

    ended = run("status")

    assert ended.code == 3
    assert "admin token" in ended.error


def test_without_an_admin_token_nobody_can_ask(run, house):
    del house.config["server"]["admin_token"]
    house.write()

    ended = run("status")

    assert ended.code == 3
    assert "admin_token" in ended.error


def test_the_trackers_tokens_are_not_needed_to_look(run, running):
    running.config["trackers"]["odd"]["token"] = "${NOT_IN_THIS_ENVIRONMENT}"
    running.write()

    assert run("status").code == 0


def test_where_there_is_nothing_at_all_it_is_said_where_to_go(run):
    ended = run("status")

    assert ended.code == 3
    assert "--config" in ended.error
