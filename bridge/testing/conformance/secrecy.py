"""Credentials show up nowhere but in the requests themselves."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import pytest

from bridge.errors import TrackerError
from bridge.model import Draft, Json
from bridge.testing.conformance.failures import ACTS
from bridge.testing.conformance.setup import Setup, refuse
from bridge.testing.samples import sample_draft
from bridge.testing.server import FakeServer, Reply, refusing
from bridge.tracker import Tracker


class Secrecy(Setup):
    """No error, log, repr, preview or report holds the secret."""

    def test_the_suite_knows_the_secret(self) -> None:
        """Otherwise the tests below would prove nothing."""
        assert len(self.secret) >= 6
        assert self.secret in json.dumps(self.settings("http://127.0.0.1:9"), default=str)

    async def test_what_can_be_printed_holds_no_secret(self, subject: Tracker[Any], draft: Draft) -> None:
        """The tracker, its settings in every form, its account, its preview."""
        shown = [
            repr(subject),
            repr(subject.settings),
            subject.settings.model_dump_json(),
            subject.account,
            json.dumps(subject.preview(draft)),
        ]

        assert [text for text in shown if self.secret in text] == []

    async def test_logs_hold_no_secret(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither ours nor the SDK's, at the most talkative level, on good days and bad ones."""
        caplog.set_level(logging.DEBUG)
        report = await subject.check()
        issue = await subject.create(draft)
        for method, act in ACTS.items():
            if subject.can(method):
                await act(subject, issue, draft)
        fake.inject(refuse(self._echo()))
        with pytest.raises(TrackerError):
            await subject.create(draft)

        assert self._hides(fake, caplog.text)
        assert self._hides(fake, repr((report, issue)))

    async def test_errors_hold_no_secret_even_if_the_tracker_repeats_it(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """Text, repr, fields and the whole traceback with its causes."""
        fake.inject(refuse(self._echo()))
        with pytest.raises(TrackerError) as caught:
            await subject.create(draft)

        assert self._hides(fake, _everything(caught.value))

    async def test_a_refused_connection_holds_no_secret(self) -> None:
        """Some clients put the whole address or their own settings into their errors."""
        with refusing() as url:
            async with self.using(url) as subject:
                with pytest.raises(TrackerError) as caught:
                    await subject.create(sample_draft(subject))

        assert self.secret not in _everything(caught.value)

    def _echo(self) -> Reply:
        """Return a refusal that repeats the credentials, as some servers' debug pages do."""
        words = f"bad credentials: {self.secret}"
        body: Json = {"message": words, "error": words, "errorMessages": [words], "errors": {"token": self.secret}}
        return Reply(400, json=body)

    def _hides(self, fake: FakeServer, text: str) -> bool:
        """Whether neither the secret nor a credential header that was sent is in `text`."""
        names = ("authorization", "private-token", "x-api-key")
        headers = {request.headers.get(name, "").split(" ")[-1] for request in fake.requests for name in names}
        return not any(secret in text for secret in {self.secret, *headers} if secret)


def _everything(error: TrackerError) -> str:
    """Return all that a log could print of an error."""
    lines = traceback.format_exception(error)
    return "\n".join((str(error), repr(error), error.message, repr(error.fields), *lines))
