"""What a tracker type says of itself, before it talks to anybody."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.model import EVERYTHING, Draft, Markup
from bridge.testing.conformance.setup import Setup, carries, carries_text, leaves
from bridge.testing.server import FakeServer
from bridge.tracker import OPTIONAL, Tracker, TrackerSettings


class Claims(Setup):
    """Type, settings, capabilities, preview."""

    def test_says_what_it_is(self) -> None:
        """A type as it is written in TOML, a name for people, a markup, settings."""
        assert re.fullmatch(r"[a-z][a-z0-9-]*", self.tracker.type)
        assert self.tracker.label
        assert isinstance(self.tracker.markup, Markup)
        assert issubclass(self.tracker.settings_type, TrackerSettings)

    def test_can_do_what_it_does_not_declare_to_lack(self) -> None:
        """What is not defined is in `lacks` with the reason, and nothing else is. `complete` needs no reason."""
        declarable = set(OPTIONAL) - {"complete"}
        missing = {method for method in declarable if not self.tracker.can(method)}

        assert missing == set(self.lacks) & declarable
        assert all(self.lacks.values())
        assert set(self.lacks) <= declarable | EVERYTHING | {"pieces"}

    def test_settings_hold_the_common_keys(self) -> None:
        """What every tracker understands, this one does too."""
        tracker = self.make("http://127.0.0.1:9", timeout="5s", rate="80/minute", labels=["{{ bug.kind }}"])

        assert tracker.settings.timeout.total_seconds() == 5

    def test_settings_refuse_unknown_keys_by_name(self) -> None:
        """A misspelt key is an error that names the key."""
        with pytest.raises(ValidationError) as caught:
            self.make("http://127.0.0.1:9", colour="red")

        assert ("colour",) in {error["loc"] for error in caught.value.errors()}

    def test_settings_are_frozen(self) -> None:
        """Nobody changes settings while they are in use."""
        settings = self.make("http://127.0.0.1:9").settings

        with pytest.raises(ValidationError):
            settings.timeout = 1

    async def test_preview_shows_what_would_be_sent_and_sends_nothing(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """It can be printed as JSON, holds title and body, and nobody was asked."""
        preview = json.loads(json.dumps(subject.preview(draft)))

        assert carries_text(list(leaves(preview)), draft.title)
        assert carries(list(leaves(preview)), draft.body)
        assert fake.requests == []

    async def test_lists_what_is_configured_where_it_can_list(self, subject: Tracker[Any]) -> None:
        """What `init` would offer for a `listed` setting has the configured value among it, by name or by id."""
        for setting in subject.listed:
            choices, configured = await subject.choices(setting), str(getattr(subject.settings, setting))

            assert configured in choices or any(map(configured.endswith, choices.values()))  # it may be an address

    async def test_can_be_closed_twice_and_unused(self, subject: Tracker[Any]) -> None:
        """Closing gives back what is there, if anything."""
        await subject.close()
        await subject.close()
