"""What the doctors of all trackers share: findings, and configured values held against those that exist."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from bridge import Draft, Finding, HttpTracker, Issue, Markup, NotAllowed, Report, TrackerSettings, Verdict, doctor

TODAY = date(2026, 1, 5)


class Settings(TrackerSettings):
    project: str = "Webshpo"


class Boards(HttpTracker[Settings]):
    type, label, settings_type, markup, listed = "boards", "Boards", Settings, Markup.GFM, ("project",)
    there = {"Webshop": "1"}  # noqa: RUF012 - of this test only

    async def choices(self, setting: str) -> dict[str, str]:
        return self.there

    async def check(self) -> Report:
        return Report()

    async def create(self, draft: Draft) -> Issue:
        raise NotImplementedError


def boards(**settings: str) -> Boards:
    return Boards("boards", Settings.model_validate({"type": "boards", **settings}))


@pytest.mark.parametrize(
    ("assignee", "people"),
    [
        ("", []),
        ("ada", ["ada"]),
        ("@ada, grace", ["ada", "grace"]),
        ("{{ bug.reporter }}", []),
        ("ada, {{ bug.title | default('a, b') }}", ["ada"]),
        ("{% if bug.level %}ada{% endif %}, grace", ["grace"]),
    ],
)
def test_people_are_looked_at_where_they_are_the_same_for_every_bug(assignee: str, people: list[str]) -> None:
    assert doctor.assignees_of(boards(assignee=assignee)) == [("assignee", name) for name in people]


@pytest.mark.parametrize(("days", "warned"), [(-1, True), (0, True), (13, True), (14, False)])
def test_a_token_that_ends_within_two_weeks_is_a_warning(days: int, warned: bool) -> None:
    found = doctor.expiring(TODAY + timedelta(days), TODAY, "make a new one")

    assert [(each.verdict, each.subject, each.fix) for each in found] == (
        [(Verdict.WARNING, "token", "make a new one")] if warned else []
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("project", "status", "finding"),
    [
        ("Webshpo", 401, ("credentials", "who are you? (HTTP 401)", "look at the token")),
        ("Webshpo", 404, ("project", "Webshpo does not exist, or the token has no access to it",
                          'did you mean "Webshop"?')),
        ("Other", 404, ("project", "Other does not exist, or the token has no access to it", "correct it")),
    ],
)  # fmt: skip
async def test_why_it_can_look_no_further_is_told_with_what_may_have_been_meant(
    project: str, status: int, finding: tuple[str, str, str]
) -> None:
    refusal = NotAllowed("who are you?", status=status)

    found = await doctor.not_reached(
        boards(project=project), refusal, "project", "look at the token", "correct it"
    )

    assert found == Finding(Verdict.ERROR, *finding)
