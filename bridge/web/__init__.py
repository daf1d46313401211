"""The daemon's HTTP: where exports come in, health, and the JSON API."""

from bridge.web.application import build_asgi
from bridge.web.openapi import openapi
from bridge.web.server import PortInUse, run, serve

__all__ = ["PortInUse", "build_asgi", "openapi", "run", "serve"]
