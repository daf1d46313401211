"""Every example of test IO's documentation: our client asks like that, and the sandbox answers like that."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from bridge.sandbox import Options, World
from bridge.sandbox.world import Bug, Product
from bridge.testing.server import FakeServer, Reply, Request
from bridge.testio import CustomerApi, RemoteConnection, Wish
from tests.testio.conftest import TOKEN
from tests.testio.documented import BUG, CHANGED, CONNECTION, EXAMPLES, PAYLOAD_KEYS, PRODUCT, REASON, Example

pytestmark = pytest.mark.anyio

WISH = Wish(
    name="Issue Endpoint",
    url="https://issues.example.com/export",
    fixed=False,
    product_ids=(1, 2),
    section_ids=(5,),
)
CHANGE = Wish(name="Issue Endpoint (Prod)", url="https://issues.example.com/export", fixed=True)
SHOWN = RemoteConnection(id=42, name="Issue Endpoint", url="https://issues.example.com/export", fixed=False)


async def pages(api: CustomerApi) -> list[Any]:
    found = api.bug_pages(product_ids=[1, 2], export_status="not_exported")
    return [bug async for page in found for bug in page]


CALLS: dict[str, tuple[Callable[[CustomerApi], Awaitable[Any]], Any]] = {
    "create connection": (lambda api: api.create_connection(WISH), SHOWN),
    "get connection": (lambda api: api.connection(42), SHOWN),
    "update connection": (lambda api: api.update_connection(42, CHANGE), RemoteConnection(**CHANGED)),
    "delete connection": (lambda api: api.delete_connection(42), None),
    "list products": (lambda api: api.products(), [PRODUCT]),
    "get product": (lambda api: api.product(1), PRODUCT),
    "fetch bugs": (pages, [BUG]),
    "get bug": (lambda api: api.bug(123), BUG),
    "search bug": (lambda api: api.bugs_by_external_id("id in the system"), []),
    "reject reasons": (lambda api: api.reject_reasons(), [REASON]),
    "accept bug": (lambda api: api.accept(123), EXAMPLES["accept bug"].response["bug"]),
    "mark as known": (lambda api: api.mark_as_known(123), BUG | {"known": True}),
    "mark as fixed": (lambda api: api.mark_as_fixed(123), BUG),
    "mark as exported": (lambda api: api.mark_as_exported(123), BUG),
    "reject bug": (
        lambda api: api.reject(123, "known_bug", "This bug is already known and being tracked"),
        EXAMPLES["reject bug"].response["bug"],
    ),
}


class Documented(FakeServer):
    """Answers with one example, literally."""

    example: Example

    def respond(self, request: Request) -> Reply:
        return Reply(self.example.status, json=self.example.response)


def test_every_example_has_its_call():
    assert set(CALLS) == set(EXAMPLES)


@pytest.mark.parametrize("name", CALLS)
async def test_the_client_asks_and_understands_as_documented(name, connect):
    call, expected = CALLS[name]
    example = EXAMPLES[name]
    with Documented() as server:
        server.example = example

        assert await call(connect(f"{server.url}/customer/v2", token="YOUR_API_TOKEN")) == expected

        (request,) = server.requests
    query = "&".join(f"{key}={value}" for key, values in request.query.items() for value in values)
    assert request.method == example.method
    assert unquote(request.path + ("?" + query if query else "")) == "/customer/v2" + example.path
    assert request.headers["authorization"] == "Token YOUR_API_TOKEN"
    assert (json.loads(request.body) if request.body else None) == example.body


def documented_world() -> World:
    """The world in which the documentation's examples are true."""
    products = {
        1: Product(1, "My Product", {2: "x", 5: "y"}),
        2: Product(2, "Another", {6: "z"}),
    }
    bug = Bug(
        id=123, title="Summary of the bug", severity="high", product=products[1], section=5, place="Page",
        device=("mobile", "ios", "17.2", "safari", "Smartphones", "Apple", "iPhone 15"),
        reported_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    options = Options(port=0, token=TOKEN, first_connection=42)
    return World(options, products, {123: bug}, next_connection=42)


INVENTED = {"language", "location", "expected_result", "actual_result", "steps", "description", "sections"}
"""What the sandbox invents in other words than the documentation, in the same form."""


def form_of(value: Any, also: frozenset[str] = frozenset()) -> Any:
    """The same, with what is invented replaced by its type."""
    if isinstance(value, dict):
        loose = INVENTED | also
        return {key: type(each).__name__ if key in loose else form_of(each, also) for key, each in value.items()}
    return [form_of(each, also) for each in value] if isinstance(value, list) else value


def test_the_sandbox_answers_as_documented(sandbox):
    world = sandbox(documented_world())
    headers = {"Authorization": f"Token {TOKEN}"}
    with httpx.Client(trust_env=False, headers=headers) as client:
        for name, example in EXAMPLES.items():
            answer = client.request(example.method, f"{world.url}/customer/v2{example.path}", json=example.body)

            assert answer.status_code == example.status, name
            got, expected = answer.json(), example.response
            if name == "list products":
                got["products"] = got["products"][:1]
            if name == "mark as exported":
                assert got["bug"].pop("exported_at")
                expected = {"bug": {key: value for key, value in BUG.items() if key != "exported_at"}}
            assert form_of(got) == form_of(expected), name


def test_the_payload_has_the_documented_form(sandbox):
    world = documented_world()
    payload = world.payload(world.bugs[123], datetime(2025, 11, 7, 10, 15, tzinfo=UTC))

    assert set(payload) == {"event", "exported_at", "bug"}
    assert payload["event"] == "bug.exported"
    assert set(payload["bug"]) == PAYLOAD_KEYS
    assert CONNECTION["id"] == world.next_connection
