"""What goes back to test IO: exported, fixed, known; and what is fetched for an export. Durable, never twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from bridge.errors import RateLimited, Unavailable
from tests.testio.bridging import HOOK, SECRET, running, tables, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(sandbox):
    return sandbox(allow_http=True, bugs=6, full=True)


def shop(**settings):
    return {"shop": {"secret": SECRET, **settings}}


def now() -> datetime:
    return datetime.now(UTC)


class TestExported:
    async def test_a_bug_is_marked_once_all_its_trackers_have_an_issue(self, world, tmp_path):
        trackers = {"web": {"type": "watched"}, "app": {"type": "watched"}}
        changes = {"trackers": trackers, "routes": [{"trackers": ["web", "app"]}]}
        async with running(
            tmp_path, tables(world, tmp_path, connections=shop(mark_exported=True), **changes)
        ) as run:
            await run.call("POST", "/api/trackers/app/pause", {})
            await run.post(world.payload(world.bugs[101], now()))
            await until(lambda: run.tracker("web").drafts)
            assert await run.errands() == {"exported waiting": 1}
            await run.call("POST", "/api/trackers/app/resume")
            await until(lambda: world.bugs[101].export_status == "exported")
            await until(lambda: _is(run, {"exported delivered": 1}))

        assert world.bugs[101].marks == ["mark_as_exported"]

    async def test_nothing_is_marked_unless_asked_to(self, world, tmp_path):
        async with running(tmp_path, tables(world, tmp_path)) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await run.finish()

            assert await run.errands() == {}

    async def test_a_restart_forgets_nothing(self, world, tmp_path):
        configuration = tables(world, tmp_path, connections=shop(mark_exported=True))
        away = tables(
            world,
            tmp_path,
            connections=shop(mark_exported=True),
            testio={
                "url": "http://127.0.0.1:9/customer/v2",
                "retry": {"first": "100ms", "longest": "100ms", "attempts": 1000},
            },
        )
        async with running(tmp_path, away) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await run.finish()
            await until(lambda: _is(run, {"exported pending": 1}))
        async with running(tmp_path, configuration):
            await until(lambda: world.bugs[101].export_status == "exported")

        assert world.bugs[101].marks == ["mark_as_exported"]

    async def test_a_stop_in_the_middle_of_telling_makes_the_next_start_tell_at_once(self, world, tmp_path):
        asked = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()
            writer.close()

        silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        away = {"url": f"http://127.0.0.1:{port}/customer/v2"}
        async with running(
            tmp_path, tables(world, tmp_path, connections=shop(mark_exported=True), testio=away)
        ) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await asyncio.wait_for(asked.wait(), 15)
        silent.close()
        async with running(tmp_path, tables(world, tmp_path, connections=shop(mark_exported=True))):
            await until(lambda: world.bugs[101].export_status == "exported")

    async def test_a_bug_that_test_io_does_not_know_is_dead_and_can_be_revived(self, world, tmp_path):
        async with running(tmp_path, tables(world, tmp_path, connections=shop(mark_exported=True))) as run:
            bug = world.bugs.pop(101)
            await run.post(world.payload(bug, now()))
            await until(lambda: _is(run, {"exported dead": 1}))
            world.bugs[101] = bug
            assert await run.call("POST", "/api/errands/revive") == {"revived": 1}
            await until(lambda: bug.export_status == "exported")

    async def test_what_was_pulled_is_marked_too_and_not_missing_any_more(self, world, tmp_path):
        world.bugs[101].export_status = "export_requested"
        async with running(tmp_path, tables(world, tmp_path, connections=shop(mark_exported=True))) as run:
            await run.call("POST", "/api/reconcile", {})
            await until(lambda: world.bugs[101].export_status == "exported")


class TestDone:
    @pytest.mark.parametrize(("wish", "mark"), [("fixed", "mark_as_fixed"), ("known", "mark_as_known")])
    async def test_a_bug_is_marked_once_its_issue_is_done(self, wish, mark, world, tmp_path):
        async with running(tmp_path, tables(world, tmp_path, connections=shop(when_done=wish))) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await until(lambda: len(run.tracker().looked) > 2)
            assert world.bugs[101].marks == []
            run.tracker().done.add("1")
            await until(lambda: world.bugs[101].marks)
            looks = len(run.tracker().looked)
            await run.call("POST", "/api/reconcile", {})

            assert world.bugs[101].marks == [mark]
            assert len(run.tracker().looked) == looks

    async def test_all_its_issues_have_to_be_done_where_a_tracker_knows(self, world, tmp_path):
        trackers = {
            name: {"type": kind} for name, kind in (("web", "watched"), ("app", "watched"), ("old", "stateless"))
        }
        changes = {"trackers": trackers, "routes": [{"trackers": list(trackers)}]}
        async with running(
            tmp_path, tables(world, tmp_path, connections=shop(when_done="fixed"), **changes)
        ) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await run.finish()
            run.tracker("web").done.add("1")
            seen = len(run.tracker("app").looked)
            await until(lambda: len(run.tracker("app").looked) > seen + 2)
            assert not world.bugs[101].fixed
            run.tracker("app").done.add("1")
            await until(lambda: world.bugs[101].fixed)

    async def test_in_bulk_each_once(self, world, tmp_path):
        async with running(tmp_path, tables(world, tmp_path, connections=shop(when_done="fixed"))) as run:
            for bug in world.bugs.values():
                await run.post(world.payload(bug, now()))
            await run.finish()
            run.tracker().done |= set(run.tracker().drafts)
            await until(lambda: all(bug.fixed for bug in world.bugs.values()))

        assert [bug.marks for bug in world.bugs.values()] == [["mark_as_fixed"]] * 6

    @pytest.mark.parametrize("trouble", [Unavailable("down"), RateLimited("slow down")])
    async def test_a_tracker_that_does_not_answer_is_left_alone_for_a_while(self, trouble, world, tmp_path):
        async with running(tmp_path, tables(world, tmp_path, connections=shop(when_done="fixed"))) as run:
            run.tracker().trouble = trouble
            await run.post(world.payload(world.bugs[101], now()))
            await until(lambda: run.tracker().looked)
            await run.call("GET", "/api/status")

            assert len(run.tracker().looked) == 1

    async def test_a_paused_tracker_is_not_looked_at(self, world, tmp_path):
        async with running(tmp_path, tables(world, tmp_path, connections=shop(when_done="fixed"))) as run:
            await run.call("POST", "/api/trackers/web/pause", {})
            await run.post(world.payload(world.bugs[101], now()))
            await run.call("GET", "/api/status")

            assert run.tracker().looked == []


class TestHooks:
    def slow(self, world, tmp_path, **changes):
        return tables(world, tmp_path, connections=shop(when_done="fixed"), testio={"look_every": "1h"}, **changes)

    @pytest.mark.parametrize(
        "said",
        [{"issue": {"id": 1}}, {"object": {"key": "web-1"}}, {"deep": [{"url": "https://t.example/1"}]}],
    )
    async def test_a_tracker_that_tells_is_looked_at_at_once(self, said, world, tmp_path):
        async with running(tmp_path, self.slow(world, tmp_path)) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await run.finish()
            run.tracker().done.add("1")
            answer = await run.call("POST", f"/hooks/web/{HOOK}", said)

            assert answer == {"issues": 1}
            await until(lambda: world.bugs[101].fixed)

    async def test_nothing_in_it_is_believed(self, world, tmp_path):
        async with running(tmp_path, self.slow(world, tmp_path)) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await run.finish()
            assert run.tracker().looked == []
            await run.call("POST", f"/hooks/web/{HOOK}", {"issue": {"id": "1", "state": "closed"}})
            await until(lambda: run.tracker().looked)

            assert world.bugs[101].marks == []

    async def test_a_wrong_secret_an_unknown_tracker_and_one_without_a_secret_are_answered_alike(
        self, world, tmp_path
    ):
        trackers = {"web": {"type": "watched", "hook_secret": HOOK}, "app": {"type": "watched"}}
        async with running(tmp_path, self.slow(world, tmp_path, trackers=trackers)) as run:
            answers = [
                await run.api.post(f"/hooks/{path}", json={"id": 1})
                for path in ("web/wrong", "nobody/wrong", "app/wrong", f"app/{HOOK}")
            ]
            assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
            assert (await run.api.head(f"/hooks/web/{HOOK}")).status_code == 200

    async def test_odd_bodies_do_no_harm(self, world, tmp_path):
        async with running(tmp_path, self.slow(world, tmp_path)) as run:
            for content in (b"", b"{", b"[" * 5000, b"\xff\xfe", b"null", b"7"):
                answer = await run.api.post(f"/hooks/web/{HOOK}", content=content)
                assert answer.status_code == 202
            large = await run.api.post(f"/hooks/web/{HOOK}", content=b"x" * (2**20 + 1))
            assert large.status_code == 413
            echo = await run.api.post(f"/hooks/web/{HOOK}", json={"challenge": "abc"})
            assert echo.json() == {"challenge": "abc"}


class TestEnriching:
    async def test_routes_and_templates_see_what_test_io_knows(self, world, tmp_path):
        bug = next(each for each in world.bugs.values() if each.product.id == 2)
        bug.section = 22
        changes = {
            "routes": [{"when": {"section": "Payment", "product": "shop app"}, "trackers": ["web"]}],
            "trackers": {
                "web": {
                    "type": "watched",
                    "title": "{{ bug.extra.section.name }}: {{ bug.extra.comments[0].body }}",
                }
            },
        }
        async with running(tmp_path, tables(world, tmp_path, connections=shop(enrich=True), **changes)) as run:
            receipt = await run.post(world.payload(bug, now()))
            await until(lambda: run.tracker().drafts)
            await run.finish()
            (export,) = await run.exports()
            again = await run.post(world.payload(bug, now()))

            assert (receipt["state"], export["state"]) == ("enriching", "accepted")
            assert run.tracker().drafts["1"].title == "Payment: I see it, too"
            assert not again["duplicate"]

    async def test_the_same_export_is_still_the_same(self, world, tmp_path):
        document = world.payload(world.bugs[101], now())
        del document["exported_at"]
        async with running(tmp_path, tables(world, tmp_path, connections=shop(enrich=True))) as run:
            first = await run.post(document)
            await until(lambda: run.tracker().drafts)
            again = await run.post(document)

            assert (again["export"], again["duplicate"]) == (first["export"], True)

    async def test_what_test_io_does_not_know_goes_on_without(self, world, tmp_path):
        bug = world.bugs.pop(101)
        async with running(tmp_path, tables(world, tmp_path, connections=shop(enrich=True))) as run:
            await run.post(world.payload(bug, now()))
            await until(lambda: run.tracker().drafts)
            (export,) = await run.exports()

            assert (export["state"], export["problems"]) == ("accepted", [])

    async def test_test_io_being_down_holds_an_export_up_only_for_some_attempts(self, world, tmp_path):
        configuration = tables(
            world, tmp_path, connections=shop(enrich=True),
            testio={"url": "http://127.0.0.1:9/customer/v2", "retry": {"first": "1ms", "longest": "1ms"}},
        )  # fmt: skip
        async with running(tmp_path, configuration) as run:
            await run.post(world.payload(world.bugs[101], now()))
            await until(lambda: run.tracker().drafts)


async def _is(run, expected) -> bool:
    return bool(await run.errands() == expected)
