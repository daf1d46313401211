"""Names to ids: cached, forgiving of letter case, and made at most once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bridge.errors import NotAllowed, Rejected
from bridge.names import Directory, Names, by_name
from bridge.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Labels:
    """A tracker's labels, and how often it was asked."""

    def __init__(self) -> None:
        self.there = {"bug": "1", "Crowd": "2"}
        self.fetched = 0
        self.made: list[str] = []
        self.clock = FakeClock()
        self.names = Names("label", self.fetch, self.clock)

    async def fetch(self) -> dict[str, str]:
        self.fetched += 1
        return dict(self.there)

    async def make(self, name: str) -> str:
        await asyncio.sleep(0)
        self.made.append(name)
        self.there[name] = str(len(self.there) + 1)
        return self.there[name]

    async def refuse(self, name: str) -> str:
        raise NotAllowed(f"{name}: you may not")


@pytest.fixture
def labels() -> Labels:
    return Labels()


async def test_a_name_is_found_in_any_letter_case_and_an_id_is_taken_as_it_is(labels: Labels) -> None:
    assert [await labels.names.find(name) for name in ("crowd", "BUG", "2", "other")] == ["2", "1", "2", None]
    assert labels.fetched == 1


async def test_a_name_that_is_not_there_is_asked_for_again_but_not_all_the_time(labels: Labels) -> None:
    assert await labels.names.find("new") is None
    labels.there["new"] = "3"

    assert await labels.names.find("new") is None
    labels.clock.advance(timedelta(seconds=16))
    assert await labels.names.find("new") == "3"


async def test_the_list_is_asked_for_again_when_it_is_old(labels: Labels) -> None:
    await labels.names.all()
    labels.clock.advance(timedelta(seconds=601))
    await labels.names.all()

    assert labels.fetched == 2


async def test_a_name_that_does_not_exist_is_told_with_what_may_have_been_meant(labels: Labels) -> None:
    with pytest.raises(Rejected, match=r'there is no label "crwod"; did you mean "Crowd"\?'):
        await labels.names.id_of("crwod")


async def test_what_is_missing_is_made_once_however_many_want_it(labels: Labels) -> None:
    ids = await asyncio.gather(*(labels.names.find_or_make("new", labels.make) for _ in range(5)))

    assert set(ids) == {"3"}
    assert labels.made == ["new"]
    assert await labels.names.find_or_make("crowd", labels.make) == "2"


async def test_what_somebody_else_made_meanwhile_is_found(labels: Labels) -> None:
    await labels.names.all()
    labels.there["new"] = "3"

    assert await labels.names.find_or_make("new", labels.refuse) == "3"


async def test_what_cannot_be_made_is_the_maker_s_error(labels: Labels) -> None:
    with pytest.raises(NotAllowed, match="you may not"):
        await labels.names.find_or_make("new", labels.refuse)


async def test_without_what_is_needed_deliveries_wait(labels: Labels) -> None:
    """A person has to correct the setting; each delivery alone is not to blame."""
    assert await labels.names.needed("bug", "label") == "1"
    with pytest.raises(NotAllowed) as caught:
        await labels.names.needed("crowds", "label")

    assert str(caught.value) == 'there is no label "crowds"; did you mean "Crowd"?: correct `label`'


async def test_a_tracker_s_own_refusal_stays_what_it_is(labels: Labels) -> None:
    async def refused() -> dict[str, str]:
        raise Rejected("bad query", status=400)

    with pytest.raises(Rejected, match="bad query"):
        await Names("label", refused, labels.clock).needed("bug", "label")


async def test_of_many_names_those_without_an_id_are_left_out_with_a_warning_each(labels: Labels) -> None:
    told = 'labels: there is no label "new": left out'

    assert await labels.names.ids_of(["new", "BUG", "crowd"], "labels") == (["1", "2"], [told])
    assert await labels.names.ids_of(["bug", "new"], "labels", labels.make) == (["1", "3"], [])
    assert await labels.names.ids_of([], "labels", labels.make) == ([], [])


async def test_a_name_that_cannot_be_made_is_left_out_too(labels: Labels) -> None:
    async def full(name: str) -> str:
        raise Rejected("no more labels")

    assert await labels.names.ids_of(["bug", "new"], "labels", full) == (
        ["1"],
        ['labels: there is no label "new": left out'],
    )


async def test_a_directory_forgets_all_its_names_also_those_in_mappings_and_in_other_directories(
    labels: Labels,
) -> None:
    class Project(Directory):
        def __init__(self) -> None:
            self.by_setting = {"labels": Names("label", labels.fetch, labels.clock)}

    class Account(Directory):
        def __init__(self) -> None:
            self.labels, self.project, self.title = labels.names, Project(), "an account"

    account = Account()
    for _ in range(2):
        assert await account.labels.find("bug") == await account.project.by_setting["labels"].find("bug") == "1"
    assert labels.fetched == 2
    account.forget()

    assert await account.labels.find("bug") == await account.project.by_setting["labels"].find("bug") == "1"
    assert labels.fetched == 4


def test_what_a_tracker_lists_is_known_by_each_of_its_names_and_of_two_with_one_name_the_first_counts() -> None:
    people = [
        {"id": 1, "name": "Ada", "login": "ada"},
        {"id": 2, "name": "Grace", "login": None},
        {"id": 3, "name": "ada", "login": "Grace"},
        {"id": 4, "name": "Ada"},
    ]

    assert by_name(people, "name", "login") == {"Ada": "1", "Grace": "2", "ada": "3"}
    assert by_name(people, "login", id_key="name") == {"ada": "Ada", "Grace": "ada"}
