"""What test IO posts in the demo, in which order, and what should become of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.demo.payloads import DOCUMENTED, example

FILES_HOST = b"https://files.test.io"
"""Where test IO keeps attachments; in the demo they come from this machine."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One request of test IO's.

    Attributes:
        title: What is special about it.
        example: Which example is posted.
        expected: What should become of it: `created`, `duplicate`, `commented`, `ignored`, `rejected`, `refused`.
        later: Whether it says that it was exported just now, which is what makes it an export of its own.
    """

    title: str
    example: str
    expected: str
    later: bool = False

    @property
    def stranger(self) -> bool:
        """Whether it comes with a wrong secret."""
        return self.expected == "refused"

    def body(self, files_url: str, now: datetime) -> bytes:
        """Return what is posted.

        Args:
            files_url: Where the attachments are instead of at test IO: the sandbox's address.
            now: The present moment.
        """
        body = example(self.example).replace(FILES_HOST, files_url.encode())
        if not self.later:
            return body
        return json.dumps(json.loads(body) | {"exported_at": now.isoformat()}).encode()


SCENES = (
    Scene("the documented export", DOCUMENTED, "created"),
    Scene("the same once more", DOCUMENTED, "duplicate"),
    Scene("only what a bug cannot do without", "minimal", "created"),
    Scene("ids as text, steps as one text, nulls", "loose-types", "created"),
    Scene("markup, mentions, commands, emoji", "hostile-text", "created"),
    Scene("100 KB of text, 300 steps, 40 files", "large", "created"),
    Scene("the first bug again, later and changed", "re-export", "commented", later=True),
    Scene("an event that nobody documented", "unknown-event", "ignored"),
    Scene("fields of wrong types", "invalid", "rejected"),
    Scene("a wrong secret", DOCUMENTED, "refused"),
)


@dataclass(slots=True)
class Act:
    """A scene as it goes.

    Attributes:
        status: HTTP status of the daemon's answer; None before it came.
        answer: The daemon's answer.
        export: The export as the daemon's API shows it, the last time it was looked at.
        done: Whether nothing more happens.
    """

    scene: Scene
    status: int | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    export: Mapping[str, Any] = field(default_factory=dict)
    done: bool = False

    @property
    def was_known(self) -> bool:
        """Whether the daemon had the same export before."""
        return bool(self.answer.get("duplicate"))

    @property
    def as_expected(self) -> bool:
        """Whether it ended as it should. In a folder of an earlier demo, what was created then is known now."""
        if not self.done:
            return False
        match self.scene.expected:
            case "refused":
                return self.status == 404
            case "rejected":
                return self.status == 422
            case "ignored":
                return self.status == 202 and self.answer["state"] == "ignored"
            case "duplicate":
                return self.was_known and self._delivered("created")
            case action:
                return self.status == 202 and self._delivered(action)

    def _delivered(self, action: str) -> bool:
        deliveries = self.export.get("deliveries", ())
        steps = [step for delivery in deliveries for step in delivery["followups"]]
        return (
            bool(deliveries)
            and all(one["state"] == "delivered" and one["action"] == action for one in deliveries)
            and all(step["state"] == "delivered" for step in steps)
        )


def finished(export: Mapping[str, Any]) -> bool:
    """Whether nothing more happens to an export by itself: everything is delivered, or dead."""
    steps = [step for delivery in export["deliveries"] for step in delivery["followups"]]
    return all(one["state"] in {"delivered", "dead"} for one in [*export["deliveries"], *steps])
