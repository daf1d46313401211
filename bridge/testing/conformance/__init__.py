"""The suite that every tracker passes, built in or not. Needs pytest; anyio, which the bridge brings, runs it.

A tracker's whole test is usually::

    from bridge.testing.conformance import TrackerConformance

    class TestTickets(TrackerConformance):
        tracker = Tickets
        server = TicketsServer
        secret = "a-token-of-tickets"
        lacks = {"attach": "Tickets takes no files"}

        def settings(self, url):
            return {"type": "tickets", "url": url, "token": self.secret}
"""

import pytest

# Before the modules are imported: a failing assertion then shows its values, also at a third party.
for _module in ("claims", "exactly_once", "failures", "issues", "later", "secrecy", "setup"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from bridge.testing.conformance.claims import Claims  # noqa: E402
from bridge.testing.conformance.exactly_once import ExactlyOnce  # noqa: E402
from bridge.testing.conformance.failures import Failures  # noqa: E402
from bridge.testing.conformance.issues import Issues  # noqa: E402
from bridge.testing.conformance.later import Later  # noqa: E402
from bridge.testing.conformance.secrecy import Secrecy  # noqa: E402

__all__ = ["LocalConformance", "TrackerConformance"]


class LocalConformance(Claims, Issues, Later):
    """For a tracker that talks to no server; `server` is a stand-in that knows the issues."""


class TrackerConformance(LocalConformance, Failures, Secrecy, ExactlyOnce):
    """For a tracker that talks HTTP, by an SDK or without."""
