"""For people who write a tracker: sample bugs, a clock, a fake server that fails on demand, a conformance suite.

`TrackerConformance` is in `bridge.testing.conformance`, which needs pytest; everything else does not.
"""

from bridge.testing.clock import FakeClock
from bridge.testing.multipart import UploadedFile
from bridge.testing.samples import bugs, sample_bug, sample_comment, sample_draft, sample_export
from bridge.testing.server import FakeServer, Fault, FaultKind, Reply, Request, When, refusing

__all__ = [
    "FakeClock", "FakeServer", "Fault", "FaultKind", "Reply", "Request", "UploadedFile", "When",
    "bugs", "refusing", "sample_bug", "sample_comment", "sample_draft", "sample_export",
]  # fmt: skip
