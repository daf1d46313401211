"""What both Jiras are told in the configuration."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from bridge import TrackerSettings


class JiraSettings(TrackerSettings):
    """Settings of both Jiras."""

    url: str = Field(description="address of Jira, with its context path if it has one")
    project: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="key of the project: SHOP")
    issue_type: str = Field("Bug", description="issue type where `issue_types` says nothing")
    severity_field: str = Field("Severity", description="name of the field that `severities` fill")
    remote_link: bool = Field(True, description='show "test IO bug" among the links of the issue')
    browser_url: str = Field("", description="address of Jira for people, if Jira itself says a wrong one")

    @field_validator("url", "browser_url")
    @classmethod
    def _is_base(cls, value: str) -> str:
        """Return the address without a trailing slash."""
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError('is no address: write it like "https://jira.example.com"')
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold neither credentials nor a query: only the address")
        if re.search(r"/(rest|browse|projects|secure)(/|$)", parts.path):
            raise ValueError("is a page inside of Jira: leave out everything from /rest, /browse or /projects on")
        return value.rstrip("/")
