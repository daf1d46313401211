"""test IO's side: its customer API, exports that never came, and the way back."""

from bridge.testio.client import CustomerApi, RemoteConnection, Wish

__all__ = ["CustomerApi", "RemoteConnection", "Wish"]
