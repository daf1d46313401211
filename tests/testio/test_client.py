"""The client of test IO's API where the documentation is silent, and where things go wrong."""

from __future__ import annotations

import pytest

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, Unavailable
from bridge.testing.server import FakeServer, Fault, FaultKind, Reply, Request, When
from bridge.testio import Wish
from tests.testio.conftest import TOKEN

pytestmark = pytest.mark.anyio


async def ids(api, **filters) -> list[int]:
    return [bug["id"] async for page in api.bug_pages(**filters) for bug in page]


class TestLists:
    async def test_where_test_io_ignores_pages_each_bug_comes_once(self, sandbox, connect):
        world = sandbox(bugs=230)
        api = connect(world)

        assert await ids(api) == list(world.bugs)
        assert not api.capped

    async def test_where_test_io_pages_all_are_found(self, sandbox, connect):
        world = sandbox(bugs=230, paging="pages")
        api = connect(world)

        found = await ids(api)

        assert sorted(found) == list(world.bugs)
        assert not api.capped

    async def test_where_test_io_cuts_off_it_is_noticed(self, sandbox, connect):
        world = sandbox(bugs=230, paging="capped")
        api = connect(world)

        assert len(await ids(api)) == 150
        assert api.capped

    async def test_a_short_list_takes_one_request(self, sandbox, connect):
        world = sandbox(bugs=24)

        await ids(connect(world))

        assert world.requests == ["GET /bugs"]

    async def test_filters_narrow_it(self, sandbox, connect):
        world = sandbox(bugs=10)
        world.bugs[103].export_status = "export_requested"
        api = connect(world)

        assert await ids(api, export_status="export_requested") == [103]
        assert {world.bugs[each].product.id for each in await ids(api, product_ids=[2])} == {2}
        assert {world.bugs[each].section for each in await ids(api, section_ids=[11])} == {11}

    async def test_products_are_narrowed_here(self, sandbox, connect):
        products = await connect(sandbox(products=3)).products([2])

        assert [each["id"] for each in products] == [2]


class TestForms:
    @pytest.mark.parametrize("form", ["flat", "wrapped"])
    async def test_connections_are_made_whichever_body_test_io_wants(self, form, sandbox, connect):
        world = sandbox(form=form)
        api = connect(world)

        made = await api.create_connection(Wish(name="Shop", url="https://bridge.example.com/x"))
        await api.update_connection(made.id, Wish(name="Shop 2"))

        assert world.connections[made.id].name == "Shop 2"

    async def test_the_form_that_worked_is_remembered(self, sandbox, connect):
        world = sandbox(form="wrapped")
        api = connect(world)

        for number in range(3):
            await api.create_connection(Wish(name=f"Shop {number}", url="https://bridge.example.com/x"))

        assert len(world.requests) == 4

    async def test_a_refusal_is_told_in_the_words_for_the_documented_form(self, sandbox, connect):
        with pytest.raises(Rejected, match="Url must be an HTTPS address") as raised:
            await connect(sandbox()).create_connection(Wish(name="Shop", url="http://bridge.example.com"))
        assert raised.value.status == 422


class Refusing(FakeServer):
    """Answers everything alike."""

    reply = Reply(500)

    def respond(self, request: Request) -> Reply:
        return self.reply

    def is_create(self, request: Request) -> bool:
        return request.method == "POST"


class TestErrors:
    async def test_a_wrong_token(self, sandbox, connect):
        with pytest.raises(NotAllowed, match="missing or invalid API token"):
            await connect(sandbox(), token="wrong-token-0123456789").products()

    async def test_what_is_not_there(self, sandbox, connect):
        api = connect(sandbox())
        with pytest.raises(Gone):
            await api.bug(7)
        with pytest.raises(Gone):
            await api.connection(7)

    async def test_a_refused_value(self, sandbox, connect):
        with pytest.raises(Rejected, match="reason is invalid"):
            await connect(sandbox()).reject(101, "no such reason", "because")

    @pytest.mark.parametrize(
        ("reply", "error", "words"),
        [
            (Reply(429, headers={"Retry-After": "7"}), RateLimited, "429"),
            (Reply(503, json={"error": "down"}), Unavailable, "down"),
            (Reply(422, json={"errors": ["Name is bad", "Url is bad"]}), Rejected, "Name is bad, Url is bad"),
            (Reply(422, json={"errors": {"name": ["is bad"]}}), Rejected, "name"),
            (Reply(200, body=b"<html>sign in</html>"), Unavailable, "no JSON"),
            (Reply(200, json={"bugs": None}), Unavailable, "holds no products"),
        ],
    )
    async def test_what_is_not_documented_is_sorted_all_the_same(self, reply, error, words, connect):
        with Refusing() as server:
            server.reply = reply
            with pytest.raises(error, match=words):
                await connect(server.url).products()

    async def test_a_create_without_a_clear_answer_is_in_doubt(self, connect):
        with Refusing() as server:
            server.reply = Reply(201, json={"fine": True})
            api = connect(server.url)
            with pytest.raises(InDoubt):
                await api.create_connection(Wish(name="Shop", url="https://x.example.com"))
            server.inject(Fault(FaultKind.RESET_AFTER, When.CREATE))
            with pytest.raises(InDoubt):
                await api.create_connection(Wish(name="Shop", url="https://x.example.com"))

    async def test_nobody_there(self, connect):
        with pytest.raises(Unavailable, match="no connection"):
            await connect("http://127.0.0.1:9").products()

    async def test_no_error_tells_the_token(self, connect):
        with Refusing() as server:
            server.reply = Reply(401, json={"error": f"Token {TOKEN} is wrong"})
            with pytest.raises(NotAllowed) as raised:
                await connect(server.url).products()
        assert TOKEN not in str(raised.value) + repr(raised.value)
