"""The sandbox: a local test IO that posts what somebody exports."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from bridge.sandbox import Options, World, invent
from bridge.testing.server import FakeServer, Reply, Request
from tests.testio.conftest import TOKEN


class Inbox(FakeServer):
    """Where webhooks go."""

    refuse = 0

    def respond(self, request: Request) -> Reply:
        if self.refuse:
            self.refuse -= 1
            return Reply(503, json={"no": "thanks"})
        return Reply(202, json={})

    @property
    def payloads(self) -> list[dict]:
        return [json.loads(request.body) for request in self.requests]


@pytest.fixture
def inbox():
    with Inbox() as server:
        yield server


def connected(world: World, inbox: Inbox, **changes) -> int:
    body = {"name": "inbox", "url": f"{inbox.url}/export"} | changes
    headers = {"Authorization": f"Token {TOKEN}"}
    answer = httpx.post(f"{world.url}/customer/v2/connections", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["connection"]["id"]
    return number


def click(world: World, *bugs: int) -> None:
    with httpx.Client(trust_env=False) as client:
        for bug in bugs:
            assert client.post(f"{world.url}/bugs/{bug}/export").status_code == 303


def settled(world: World) -> Any:
    """The state, once everything is sent."""
    deadline = time.monotonic() + 15
    while (state := httpx.get(f"{world.url}/state", trust_env=False).json())["busy"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return state


def test_export_posts_the_payload_to_the_connection_of_the_product(sandbox, inbox):
    world = sandbox(allow_http=True)
    connected(world, inbox, product_ids=[2])
    mine, other = (next(bug.id for bug in world.bugs.values() if bug.product.id == each) for each in (2, 1))

    click(world, mine, other)

    state = settled(world)
    assert [each["bug"]["id"] for each in inbox.payloads] == [mine]
    assert inbox.requests[0].headers["content-type"] == "application/json"
    assert {bug["export_status"] for bug in state["bugs"] if bug["id"] in (mine, other)} == {"export_requested"}


def test_what_is_not_answered_with_2xx_is_sent_again(sandbox, inbox):
    world = sandbox(allow_http=True, retry_wait=0.01)
    connected(world, inbox)
    inbox.refuse = 2

    click(world, 101)

    outcomes = [line["outcome"] for line in settled(world)["log"]]
    assert outcomes == ["503", "503", "202"]
    assert len({request.body for request in inbox.requests}) == 1


def test_faults_come_from_the_seed(sandbox, inbox):
    logs = []
    for _ in range(2):
        world = sandbox(allow_http=True, bugs=60, drop=0.3, double=0.2, shuffle=0.5, late_by=0.05, seed=7)
        connected(world, inbox)
        click(world, *world.bugs)
        log = settled(world)["log"]
        dropped = {line["bug"] for line in log if line["outcome"] == "dropped"}
        sent = [line["bug"] for line in log if line["outcome"] == "202"]
        logs.append((dropped, sorted(sent)))
        assert 5 < len(dropped) < 35
        assert len(sent) > len(set(sent))
        assert sent != sorted(sent)
    assert logs[0] == logs[1]


def test_auto_export_exports_what_is_accepted(sandbox, inbox):
    world = sandbox(allow_http=True)
    connected(world, inbox)
    with httpx.Client(trust_env=False, headers={"Authorization": f"Token {TOKEN}"}) as client:
        client.put(f"{world.url}/customer/v2/bugs/101/accept")
        client.post(f"{world.url}/auto-export")
        client.put(f"{world.url}/customer/v2/bugs/102/accept")

    settled(world)
    assert [each["bug"]["id"] for each in inbox.payloads] == [102]


def test_a_2xx_marks_nothing_unless_asked_to(sandbox, inbox):
    for wanted, status in ((False, "export_requested"), (True, "exported")):
        world = sandbox(allow_http=True, answer_marks_exported=wanted)
        connected(world, inbox)
        click(world, 101)
        assert settled(world)["bugs"][0]["export_status"] == status


def test_plain_http_is_refused_unless_allowed(sandbox, inbox):
    world = sandbox()
    answer = httpx.post(
        f"{world.url}/customer/v2/connections",
        json={"name": "x", "url": inbox.url},
        headers={"Authorization": f"Token {TOKEN}"},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()) == (422, {"error": "Url must be an HTTPS address"})


def test_the_pages_show_bugs_with_their_buttons_and_what_was_sent(sandbox, inbox):
    world = sandbox(allow_http=True)
    connected(world, inbox, name="<b>inbox</b>")
    with httpx.Client(trust_env=False, base_url=world.url) as client:
        assert client.get("/").text.count(">Export<") == len(world.bugs)
        click(world, 101)
        settled(world)
        home, log = client.get("/").text, client.get("/log").text
        assert home.count(">Re-export<") == 1
        assert "&lt;b&gt;inbox&lt;/b&gt;" in home
        assert "202" in log
        assert client.get("/bugs/101").status_code == 200
        assert client.get("/bugs/7").status_code == 404


def test_the_files_in_a_payload_are_served(sandbox, inbox):
    world = sandbox(allow_http=True)
    connected(world, inbox)
    click(world, 102)
    settled(world)

    for file in inbox.payloads[0]["bug"]["attachments"]:
        answer = httpx.get(file["url"], trust_env=False)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(file["type"])


def test_the_same_seed_invents_the_same():
    first, again, other = (invent(Options(seed=seed)) for seed in (1, 1, 2))

    assert first.bugs == again.bugs
    assert first.bugs != other.bugs


def test_credentials_are_in_bugs_only_where_full_ones_are_asked_for(sandbox):
    for full in (False, True):
        world = sandbox(full=full, password="a-staging-password")
        answer = httpx.get(
            f"{world.url}/customer/v2/bugs/101",
            headers={"Authorization": f"Token {TOKEN}"},
            trust_env=False,
        )
        assert ("a-staging-password" in answer.text) is full
