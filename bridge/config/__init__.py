"""The configuration: one TOML file, read into typed frozen settings, all problems told at once."""

from bridge.config.default import default_config
from bridge.config.load import build_config, load_config, plugin_settings
from bridge.config.schema import config_schema
from bridge.config.settings import (
    AttachmentSettings,
    Conditions,
    Config,
    ConnectionSettings,
    LogSettings,
    PluginSettings,
    RouteSettings,
    ServerSettings,
    StoreSettings,
)

__all__ = [
    "AttachmentSettings", "Conditions", "Config", "ConnectionSettings", "LogSettings", "PluginSettings",
    "RouteSettings", "ServerSettings", "StoreSettings", "build_config", "config_schema", "default_config",
    "load_config", "plugin_settings",
]  # fmt: skip
