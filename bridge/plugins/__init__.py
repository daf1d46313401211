"""Plugins: finding them, saying what became of each, and calling their hooks so that none can do harm."""

from bridge.plugins.discovery import PluginInfo
from bridge.plugins.registry import Plugins

__all__ = ["PluginInfo", "Plugins"]
