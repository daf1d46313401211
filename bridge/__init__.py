"""tracker-bridge: test IO bug exports in, exactly one good issue out. This is what plugins import."""

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.hookspecs import hookimpl
from bridge.http import Answer, HttpTracker, Purpose, error_for, fingerprint
from bridge.model import (
    Attachment,
    AttachmentFile,
    Body,
    Bug,
    Draft,
    Finding,
    Issue,
    IssueState,
    Json,
    Kind,
    Level,
    Marker,
    Markup,
    Report,
    Verdict,
)
from bridge.names import Names
from bridge.sdk import SdkTracker
from bridge.secrets import Secret
from bridge.tracker import Tools, Tracker, TrackerSettings, Unit

__all__ = [
    "Answer", "Attachment", "AttachmentFile", "Body", "Bug", "Draft", "Finding", "Gone", "HttpTracker",
    "InDoubt", "Issue", "IssueState", "Json", "Kind", "Level", "Marker", "Markup", "Names", "NotAllowed",
    "Purpose", "RateLimited", "Rejected", "Report", "SdkTracker", "Secret", "Tools", "Tracker", "TrackerError",
    "TrackerSettings", "Unavailable", "Unit", "Verdict", "error_for", "fingerprint", "hookimpl",
]  # fmt: skip
