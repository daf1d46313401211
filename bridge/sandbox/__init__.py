"""A local test IO, to try everything without an account.

It does what test IO documents at https://guides.test.io/docs/api, and nothing else by default: what is not
documented is an option.
"""

from bridge.sandbox.options import Options
from bridge.sandbox.server import playing, serve
from bridge.sandbox.world import Connection, World, invent

__all__ = ["Connection", "Options", "World", "invent", "playing", "serve"]
