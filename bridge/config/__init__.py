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
    TestIOSettings,
)
from bridge.config.words import did_you_mean, problems_of

__all__ = [
    "AttachmentSettings", "Conditions", "Config", "ConnectionSettings", "LogSettings", "PluginSettings",
    "RouteSettings", "ServerSettings", "StoreSettings", "TestIOSettings", "build_config", "config_schema",
    "default_config", "did_you_mean", "load_config", "plugin_settings", "problems_of",
]  # fmt: skip
