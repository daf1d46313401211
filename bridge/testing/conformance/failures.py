"""Bad days: refusals, gateways, broken connections. What must follow is an error of the right class, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.model import AttachmentFile, Draft, Issue, Verdict
from bridge.testing.conformance.setup import ALWAYS, Setup, refuse
from bridge.testing.samples import sample_comment, sample_draft
from bridge.testing.server import FakeServer, Fault, FaultKind, Reply, When, refusing
from bridge.tracker import Tracker

PATIENCE = ("0.3s", "3s", "20s")
"""The tracker's timeout where the server does not answer. On a busy machine the first may be over before the
request in question was even sent; then the next one is tried."""

PAGE = Reply(200, body=b"<html><body>Please sign in</body></html>", headers={"Content-Type": "text/html"})
"""What a proxy or a single sign-on answers in a tracker's place."""

DOUBLED = "an SDK's own retry makes a second issue behind our back"

LOST_ANSWERS = (FaultKind.RESET_AFTER, FaultKind.HANG_AFTER, FaultKind.HALF)
LOST_REQUESTS = (FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE)

Act = Callable[[Tracker[Any], Issue, Draft], Awaitable[Any]]


async def _create(tracker: Tracker[Any], _issue: Issue, draft: Draft) -> None:
    await tracker.create(draft)


async def _attach(tracker: Tracker[Any], issue: Issue, _draft: Draft) -> None:
    await tracker.attach(issue, _small_file())


def _small_file() -> AttachmentFile:
    path = Path(__file__)  # it surely exists
    return AttachmentFile(
        path=path, name="a.txt", type="text/plain", size=path.stat().st_size, url="https://t/a.txt"
    )


ACTS: dict[str, Act] = {
    "find": lambda tracker, _issue, draft: tracker.find(draft.marker),
    "comment": lambda tracker, issue, _draft: tracker.comment(issue, sample_comment(tracker)),
    "update": lambda tracker, issue, draft: tracker.update(issue, draft),
    "attach": _attach,
    "state": lambda tracker, issue, _draft: tracker.state(issue),
}
"""Everything that is done besides `create`."""


Refused = tuple[type[TrackerError], Reply]
"""An error and an answer of the vendor that means it."""

F = TypeVar("F", bound=Callable[..., Any])


def each_answer(*errors: type[TrackerError]) -> Callable[[F], F]:
    """Run a test for each of the vendor's answers that mean `errors`, as its argument `refused`."""

    def decorate(test: F) -> F:
        test.answers_of = errors  # type: ignore[attr-defined]
        return test

    return decorate


class Failures(Setup):
    """Each answer and each broken connection is the error that the dispatcher needs to know.

    Attributes:
        empty_answers: What looks like success to a create and names no issue.
    """

    empty_answers: ClassVar[tuple[Reply, ...]] = (
        Reply(201, json={}),
        Reply(200, json=[]),
        Reply(200, json={"errors": None}),
        Reply(204),
    )

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run a test decorated with `each_answer` once for each of the vendor's answers."""
        errors = getattr(metafunc.function, "answers_of", ())
        cases = [(error, reply) for error in errors for reply in cls.replies(error)]
        if cases:
            metafunc.parametrize(
                "refused", cases, ids=[f"{error.__name__}-{reply.status}" for error, reply in cases]
            )

    @each_answer(Rejected, NotAllowed, RateLimited)
    async def test_a_refused_create_is_the_error_that_the_answer_means(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft, refused: Refused
    ) -> None:
        """Sent once; the SDK does not try again behind our back."""
        error, reply = refused
        fake.inject(refuse(reply, When.CREATE))

        with pytest.raises(TrackerError) as caught:
            await subject.create(draft)

        assert type(caught.value) is error
        assert len(fake.creates) == 1
        self._says_how_long(caught.value, reply)

    @each_answer(InDoubt)
    async def test_a_gateway_error_leaves_a_create_in_doubt(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft, refused: Refused
    ) -> None:
        """The server behind the gateway may have made the issue: here it has."""
        fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=refused[1]))

        await self._is_in_doubt(fake, subject, draft)
        await self._can_be_found(fake, subject, draft)

    async def test_a_sign_in_page_is_no_success(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """HTML with status 200 is not an issue."""
        fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=PAGE))

        await self._is_in_doubt(fake, subject, draft)
        await self._can_be_found(fake, subject, draft)

    async def test_success_without_an_issue_is_no_success(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """2xx without an id is in doubt, whatever it looks like."""
        for reply in self.empty_answers:
            fake.inject(Fault(FaultKind.ANSWER_AFTER, reply=reply))
            with pytest.raises(InDoubt):
                await subject.create(draft)

        assert len(fake.creates) == len(self.empty_answers)

    @pytest.mark.parametrize("kind", LOST_ANSWERS)
    async def test_a_lost_answer_leaves_a_create_in_doubt(self, fake: FakeServer, kind: FaultKind) -> None:
        """The issue was made, nobody told us; it is found by its marker, and there is one."""
        draft = await self._create_without_an_answer(fake, kind)

        async with self.using(fake.url) as subject:
            await self._can_be_found(fake, subject, draft)

    @pytest.mark.parametrize("kind", LOST_REQUESTS)
    async def test_a_lost_request_leaves_a_create_in_doubt(self, fake: FakeServer, kind: FaultKind) -> None:
        """Nothing was made, but nobody can know: looking for the marker says so, and the next create makes it."""
        draft = await self._create_without_an_answer(fake, kind)

        async with self.using(fake.url) as subject:
            if subject.can("find"):
                assert await subject.find(draft.marker) is None
            await subject.create(draft)

        assert fake.markers() == [draft.marker.text]

    @pytest.mark.parametrize("method", ["create", *ACTS])
    async def test_a_refused_connection_is_unavailable(self, method: str) -> None:
        """Nothing was sent: no doubt, in a create as in everything else."""
        self.needs(method)
        with refusing() as url:
            async with self.using(url) as subject:
                issue, draft = Issue(id="1", key="1", url=url), sample_draft(subject)
                with pytest.raises(Unavailable):
                    await {"create": _create, **ACTS}[method](subject, issue, draft)

    async def test_check_without_a_connection_is_unavailable(self) -> None:
        """The doctor cannot say anything: that is not the configuration's fault."""
        with refusing() as url:
            async with self.using(url) as subject:
                with pytest.raises(Unavailable):
                    await subject.check()

    @each_answer(NotAllowed)
    async def test_check_reports_refused_credentials(
        self, fake: FakeServer, subject: Tracker[Any], refused: Refused
    ) -> None:
        """As a finding with what to do about it, not as an exception."""
        fake.inject(refuse(refused[1]))

        report = await subject.check()

        errors = [finding for finding in report.findings if finding.verdict is Verdict.ERROR]
        assert errors
        assert all(finding.fix for finding in errors)

    @each_answer(NotAllowed, RateLimited, Unavailable)
    @pytest.mark.parametrize("method", ACTS)
    async def test_a_refusal_is_the_error_that_the_answer_means(
        self,
        fake: FakeServer,
        subject: Tracker[Any],
        draft: Draft,
        method: str,
        refused: Refused,
    ) -> None:
        """Of everything that is done besides `create`."""
        self.needs(method)
        issue = await subject.create(draft)
        fake.inject(refuse(refused[1]))

        with pytest.raises(TrackerError) as caught:
            await ACTS[method](subject, issue, draft)

        assert type(caught.value) is refused[0]
        self._says_how_long(caught.value, refused[1])

    @each_answer(Gone)
    @pytest.mark.parametrize("method", [method for method in ACTS if method != "find"])
    async def test_an_issue_that_is_no_longer_there_is_gone(
        self,
        fake: FakeServer,
        subject: Tracker[Any],
        draft: Draft,
        method: str,
        refused: Refused,
    ) -> None:
        """So that the bridge makes a new one."""
        self.needs(method)
        issue = await subject.create(draft)
        fake.inject(refuse(refused[1]))

        with pytest.raises(Gone):
            await ACTS[method](subject, issue, draft)

    @pytest.mark.parametrize("method", ACTS)
    async def test_an_answer_that_does_not_come_is_unavailable(self, fake: FakeServer, method: str) -> None:
        """Nothing was created, so there is no doubt about an issue."""
        self.needs(method)
        async with self.using(fake.url) as patient:
            draft = sample_draft(patient)
            issue = await patient.create(draft)
        async with self.using(fake.url, timeout=PATIENCE[0]) as subject:
            fake.inject(Fault(FaultKind.HANG_BEFORE, When.ANY, ALWAYS))

            with pytest.raises(Unavailable):
                await ACTS[method](subject, issue, draft)

    async def test_works_again_when_the_tracker_does(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """A broken connection leaves nothing broken behind."""
        for kind in (FaultKind.RESET_BEFORE, FaultKind.REFUSE):
            fake.inject(Fault(kind))
            with pytest.raises(TrackerError):
                await subject.create(draft)

        await subject.create(draft)

        assert fake.markers() == [draft.marker.text]

    async def _create_without_an_answer(self, fake: FakeServer, kind: FaultKind) -> Draft:
        """Let the request that makes an issue get no answer: that is in doubt. Returns what was to be made."""
        fake.inject(Fault(kind))
        for patience in PATIENCE:
            async with self.using(fake.url, timeout=patience) as subject:
                draft = sample_draft(subject)
                with pytest.raises(TrackerError) as caught:
                    await subject.create(draft)
            if fake.creates:
                break
        assert type(caught.value) is InDoubt
        assert len(fake.creates) == 1, DOUBLED
        return draft

    async def _is_in_doubt(self, fake: FakeServer, subject: Tracker[Any], draft: Draft) -> None:
        with pytest.raises(InDoubt):
            await subject.create(draft)
        assert len(fake.creates) == 1, DOUBLED

    async def _can_be_found(self, fake: FakeServer, subject: Tracker[Any], draft: Draft) -> None:
        """What the bridge does next: exactly one issue exists, and it is recognised."""
        assert fake.markers() == [draft.marker.text]
        if subject.can("find"):
            assert await subject.find(draft.marker) is not None
        elif subject.enforces_marker:
            assert (await subject.create(draft)).id

    def _says_how_long(self, error: TrackerError, reply: Reply) -> None:
        seconds = reply.headers.get("Retry-After", "")
        if isinstance(error, RateLimited) and seconds.isdigit():
            assert error.retry_after == timedelta(seconds=int(seconds))
