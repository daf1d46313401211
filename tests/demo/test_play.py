"""What is played in the demo, and the examples it is made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from bridge.demo.payloads import example, names
from bridge.demo.play import SCENES, Act, Scene
from bridge.payload import BUG_EXPORTED, PayloadError, event_of, parse, read_export
from bridge.sandbox import Options, playing

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def test_the_documented_example_is_test_ios_own(examples):
    assert example("documented") == (examples / "documented.json").read_bytes()
    assert example() == example("documented")


def test_every_example_is_played():
    assert {scene.example for scene in SCENES} == set(names())


def test_there_is_no_other_example():
    with pytest.raises(KeyError):
        example("nothing-of-that-name")


@pytest.mark.parametrize("name", sorted(set(names()) - {"invalid", "unknown-event"}))
def test_examples_can_be_used(name):
    document = parse(example(name))

    assert event_of(document) == BUG_EXPORTED
    assert read_export(document, id="1", connection="demo", received_at=NOW).bug.title


def test_the_invalid_example_names_several_fields():
    with pytest.raises(PayloadError) as refused:
        read_export(parse(example("invalid")), id="1", connection="demo", received_at=NOW)

    assert len(refused.value.problems) == 5


@pytest.mark.anyio
async def test_attachments_come_from_this_machine_and_are_what_they_are_called():
    async with playing(Options(port=0)) as world, httpx.AsyncClient(trust_env=False) as client:
        body = SCENES[0].body(world.url, NOW)
        for attachment in json.loads(body)["bug"]["attachments"]:
            answer = await client.get(attachment["url"])
            assert answer.headers["content-type"] == attachment["type"]
            assert int(answer.headers["content-length"]) == len(answer.content) > 100
        assert (await client.get(f"{world.url}/attachments/other.exe")).status_code == 404


def test_a_scene_that_happens_later_says_so():
    assert (
        json.loads(Scene("", "re-export", "commented", later=True).body("", NOW))["exported_at"] == NOW.isoformat()
    )
    assert json.loads(Scene("", "documented", "created").body("", NOW)) == json.loads(
        example().replace(b"https://files.test.io", b"")
    )


def test_an_act_is_as_expected_only_when_everything_is_there():
    delivery = {"state": "delivered", "action": "created", "followups": [{"state": "delivered"}]}
    act = Act(SCENES[0], 202, {"state": "accepted", "duplicate": False}, {"deliveries": [delivery]}, done=True)
    assert act.as_expected

    for worse in ({"state": "dead"}, {"action": "commented"}, {"followups": [{"state": "dead"}]}):
        act.export = {"deliveries": [delivery | worse]}
        assert not act.as_expected
