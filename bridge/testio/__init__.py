"""test IO's side: its customer API, exports that never came, and the way back."""

from bridge.testio.client import CustomerApi, RemoteConnection, Wish
from bridge.testio.connections import NotReachable, shown_remote
from bridge.testio.reconcile import EXPORTED, NOT_EXPORTED, REQUESTED, Missing
from bridge.testio.side import Side

__all__ = [
    "EXPORTED", "NOT_EXPORTED", "REQUESTED", "CustomerApi", "Missing", "NotReachable", "RemoteConnection", "Side",
    "Wish", "shown_remote",
]  # fmt: skip
