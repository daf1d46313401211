"""tracker-bridge: test IO bug exports in, exactly one good issue out. This is what plugins import."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.address import web_address
    from bridge.answers import Answer, Purpose, error_for, inside, list_inside, unexpected
    from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
    from bridge.hookspecs import hookimpl
    from bridge.http import HttpTracker
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
    from bridge.names import Directory, Names, by_name
    from bridge.sdk import SdkTracker
    from bridge.secrets import Secret, fingerprint
    from bridge.tracker import Name, Tools, Tracker, TrackerSettings, Unit

__all__ = [
    "Answer", "Attachment", "AttachmentFile", "Body", "Bug", "Directory", "Draft", "Finding", "Gone",
    "HttpTracker", "InDoubt", "Issue", "IssueState", "Json", "Kind", "Level", "Marker", "Markup", "Name", "Names",
    "NotAllowed", "Purpose", "RateLimited", "Rejected", "Report", "SdkTracker", "Secret", "Tools",
    "Tracker", "TrackerError", "TrackerSettings", "Unavailable", "Unit", "Verdict", "by_name", "error_for",
    "fingerprint", "hookimpl", "inside", "list_inside", "unexpected", "web_address",
]  # fmt: skip

_MODULES = ("errors", "model", "secrets", "address", "answers", "tracker", "hookspecs", "names", "http", "sdk")
"""Where the names are; what costs least to import comes first."""


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: `tracker-bridge --help` needs none of them."""
    if name in __all__:
        for module in _MODULES:
            found = vars(import_module(f"bridge.{module}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
