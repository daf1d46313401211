"""Jira Server and Data Center: self-hosted, 8.14 and later.

REST API v2 with rich text in wiki markup: https://developer.atlassian.com/server/jira/platform/rest/
Through the `jira` package 3.10. Last verified against the vendor's description of version 10.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from bridge import Finding, Json, Markup, Secret, Tracker, doctor, hookimpl
from bridge_plugins._atlassian import JiraTracker
from bridge_plugins._atlassian_fields import Dialect
from bridge_plugins._atlassian_settings import JiraSettings

OLDEST = (8, 4)  # has the create screen's description as we read it
TOKENS_SINCE = (8, 14)
TOKENS = "https://confluence.atlassian.com/enterprise/using-personal-access-tokens-1026032365.html"


class Settings(JiraSettings):
    """Settings of a Jira Server tracker: a personal access token, or user and password."""

    token: Secret | None = Field(None, description=f"personal access token: {TOKENS}")
    user: str = Field("", description="user name, where there is no token")
    password: Secret | None = Field(None, description="password, where there is no token")
    ca_file: Path | None = Field(None, description="PEM file with the CA of the server's certificate")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        by_password = bool(self.user and self.password)
        if bool(self.token) == by_password or bool(self.user) != bool(self.password):
            raise ValueError("needs either `token`, or `user` and `password`")
        return self


class JiraServer(JiraTracker[Settings]):
    """One project of a self-hosted Jira."""

    type = "jira-server"
    label = "Jira Server / Data Center"
    settings_type = Settings
    markup = Markup.JIRA_WIKI
    body_limit = 32_767
    settle = timedelta(seconds=30)
    api_version = "2"
    dialect: ClassVar[Dialect] = Dialect(Markup.JIRA_WIKI, "name")
    credential_fix = "make a new token under Profile > Personal Access Tokens, or correct `user` and `password`"
    person_fix = "give the user name (not the e-mail address) of somebody with the right to be assigned issues"

    def sign_in(self) -> Mapping[str, Any]:
        """Return the token, or user and password, and the CA file."""
        settings = self.settings
        options = {"options": {"verify": str(settings.ca_file)}} if settings.ca_file else {}
        if settings.token:
            return {"token_auth": settings.token.get_secret_value(), **options}
        assert settings.password
        return {"basic_auth": (settings.user, settings.password.get_secret_value()), **options}

    def instance(self, info: Mapping[str, Json]) -> Iterator[Finding]:
        """Yield whether this is a self-hosted Jira, and new enough."""
        version, shown = tuple(info.get("versionNumbers") or (0,)), info.get("version", "unknown")
        if info.get("deploymentType") == "Cloud":
            yield doctor.error("type", "this is Jira Cloud", 'set type = "jira-cloud"')
        elif version < OLDEST:
            yield doctor.error("version", f"Jira {shown} is too old: 8.4 is the least", "bring Jira up to date")
        elif version < TOKENS_SINCE:
            words = f"Jira {shown} has no personal access tokens and gets no security fixes"
            yield doctor.warning("version", words, "use `user` and `password`, and bring Jira to 8.14 or later")
        else:
            yield doctor.ok("version", f"Jira {shown}")

    def permission_query(self, _names: Iterable[str]) -> dict[str, Any]:
        """Return nothing: all permissions are listed."""
        return {}

    async def projects(self) -> list[str]:
        """Return keys of projects that the user sees."""
        return [one["key"] for one in await self.look("project")]

    async def assignable(self, who: str) -> bool:
        """Whether issues of the project can be assigned to a user."""
        users = await self.look("user/assignable/search", project=self.settings.project, username=who)
        return any(one["name"] == who for one in users)

    async def _search(self, jql: str) -> list[dict[str, Json]]:
        return list(
            (await self.look("search", "issues", jql=jql, fields="labels,status", maxResults=50))["issues"]
        )


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [JiraServer]
