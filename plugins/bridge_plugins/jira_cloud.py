"""Jira Cloud: Jira and Jira Service Management on atlassian.net.

REST API v3 with rich text in the Atlassian Document Format: https://developer.atlassian.com/cloud/jira/platform/rest/v3/
Through the `jira` package 3.10. Last verified against the vendor's description of December 2025.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from bridge import Finding, Json, Markup, Rejected, Secret, Tracker, doctor, hookimpl
from bridge_plugins._atlassian import JiraTracker
from bridge_plugins._atlassian_fields import Dialect
from bridge_plugins._atlassian_settings import JiraSettings


class Settings(JiraSettings):
    """Settings of a Jira Cloud tracker."""

    url: str = Field(
        description="https://SITE.atlassian.net; for tokens with scopes and service accounts the gateway, "
        "https://api.atlassian.com/ex/jira/CLOUDID"
    )
    email: str = Field(description="e-mail address of the account whose token it is")
    token: Secret = Field(
        description="API token, from https://id.atlassian.com/manage-profile/security/api-tokens"
    )

    @field_validator("url")
    @classmethod
    def _is_site_or_gateway(cls, value: str) -> str:
        """Return the address; what is often pasted instead of it is refused with what to write."""
        address = urlsplit(value)
        if address.hostname == "api.atlassian.com" and not re.fullmatch(r"/ex/jira/[0-9a-f-]+/?", address.path):
            raise ValueError("needs the id of the site: https://api.atlassian.com/ex/jira/CLOUDID")
        if str(address.hostname).endswith(".atlassian.net") and address.path.strip("/"):
            raise ValueError(f'is a page inside of Jira: write "https://{address.hostname}"')
        return value


class JiraCloud(JiraTracker[Settings]):
    """One project of a Jira Cloud site."""

    type = "jira-cloud"
    label = "Jira Cloud"
    settings_type = Settings
    markup = Markup.ADF
    body_limit = 30_000  # Jira's limit is 32 767; what it counts of ADF is not documented
    settle = timedelta(seconds=60)
    api_version = "3"
    dialect: ClassVar[Dialect] = Dialect(Markup.ADF, "accountId")
    credential_fix = (
        "check `email` and make a new token at https://id.atlassian.com/manage-profile/security/api-tokens "
        "(tokens end after a year at most); a token with scopes needs the gateway as `url`"
    )
    person_fix = "give the e-mail address, or the account id, of somebody with the right to be assigned issues"

    def sign_in(self) -> Mapping[str, Any]:
        """Return e-mail and token: Basic authentication at the site and at the gateway alike."""
        return {"basic_auth": (self.settings.email, self.settings.token.get_secret_value())}

    def instance(self, info: Mapping[str, Json]) -> Iterator[Finding]:
        """Yield whether this is a Cloud site."""
        if info.get("deploymentType") not in {None, "Cloud"}:
            words = f"this is a Jira {info['deploymentType']}, version {info.get('version')}, not Jira Cloud"
            yield doctor.error("type", words, 'set type = "jira-server"')
        else:
            yield doctor.ok("url", f"Jira Cloud at {info.get('baseUrl')}")

    def permission_query(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the parameter that names permissions: mandatory on Cloud."""
        return {"permissions": ",".join(names)}

    async def projects(self) -> list[str]:
        """Return keys of projects that the user sees."""
        return [one["key"] for one in (await self.look("project/search", "values", maxResults=50))["values"]]

    async def person(self, who: str) -> str:
        """Return the account id of an e-mail address; anything else is one already.

        Raises:
            Rejected: Nobody, or not clearly one, who can be assigned issues has the address.
        """
        if "@" not in who:
            return who
        users = await self.look("user/assignable/search", project=self.settings.project, query=who)
        same = [one for one in users if (one.get("emailAddress") or "").casefold() == who.casefold()]
        if not same and len(users) == 1 and not users[0].get("emailAddress"):
            same = users  # the profile hides the address; the search knows it all the same
        if len(same) == 1:
            return str(same[0]["accountId"])
        words = f'nobody who can be assigned issues in {self.settings.project} has the address "{who}"'
        raise Rejected("no such user", fields={"assignee": f"{words}: {self.person_fix}"})

    async def assignable(self, who: str) -> bool:
        """Whether issues of the project can be assigned to a user."""
        try:
            account = await self.person(who)
        except Rejected:
            return False
        users = await self.look("user/assignable/search", project=self.settings.project, accountId=account)
        return any(one["accountId"] == account for one in users)

    async def _search(self, jql: str) -> list[dict[str, Json]]:
        """The old `search` answers 410 since 2025: https://developer.atlassian.com/changelog/#CHANGE-2046."""
        found = await self.look("search/jql", "issues", jql=jql, fields="labels,status", maxResults=50)
        return list(found["issues"])


@hookimpl
def bridge_trackers() -> list[type[Tracker[Any]]]:
    """Return the tracker type of this module."""
    return [JiraCloud]
