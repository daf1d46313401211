"""What Zoho's products have in common: data centers, signing in, and the marker in the title.

https://www.zoho.com/accounts/protocol/oauth.html. An access token lives an hour; a refresh token neither ends nor
changes, but gives out ten access tokens in ten minutes at most. Refusals come with status 200, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, WrapValidator

from bridge import (
    Draft,
    Finding,
    HttpTracker,
    Json,
    Names,
    NotAllowed,
    Purpose,
    RateLimited,
    Secret,
    Tools,
    TrackerError,
    TrackerSettings,
    doctor,
    web_address,
)
from bridge.oauth import AccessToken

TOKENS_PAUSE = timedelta(minutes=10)  # after which a refresh token gives out access tokens again
TOO_MANY_TOKENS = {"access_denied", "access denied"}
REFUSED = {"invalid_code", "invalid_client", "invalid_client_secret"}
WRONG = "the refresh token was revoked, the client's secret is wrong, or both are of another `data_center`"

DataCenter = Literal["com", "eu", "in", "com.au", "jp", "com.cn", "sa", "uk", "ca"]
Address = Annotated[
    str,
    web_address("https://accounts.zoho.eu"),
    WrapValidator(lambda value, read: "" if value == "" else read(value)),
]
"""An address, or an empty text."""
Name = Annotated[str, BeforeValidator(str)]
"""A name, or an id as a text or as a number."""


def host(product: str, data_center: str) -> str:
    """Return the address of a product in a data center."""
    domain = "zohocloud.ca" if data_center == "ca" else f"zoho.{data_center}"
    return f"https://{product}.{domain}"


class ZohoSettings(TrackerSettings):
    """What all of Zoho's products need."""

    data_center: DataCenter = Field("com", description="what follows zoho. in the browser; ca for Canada")
    client_id: str = Field(min_length=1, description="of a self client, from https://api-console.zoho.com")
    client_secret: Secret = Field(description="the client's secret")
    refresh_token: Secret = Field(description="made once from the self client's code; does not end")
    accounts_url: Address = Field("", description="address of Zoho Accounts; empty: the data center's")
    url: Address = Field("", description="address of the API; empty: the data center's")


Z = TypeVar("Z", bound=ZohoSettings)


class ZohoTracker(HttpTracker[Z], Generic[Z]):
    """Base of Zoho's products: signs in, and sends each request with an access token."""

    def __init__(self, name: str, settings: Z, tools: Tools | None = None) -> None:
        super().__init__(name, settings, tools)
        self._access = AccessToken(self._refresh, self.tools.clock)

    async def call(
        self,
        method: str,
        path: str,
        *,
        purpose: Purpose = Purpose.LOOK,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Json:
        """Send one request with the access token, as `HttpTracker.call` does; with a new one where that ended."""
        plain = super().call

        async def send(token: str) -> Json:
            own = {**(headers or {}), "Authorization": f"Zoho-oauthtoken {token}"}
            return await plain(method, path, purpose=purpose, headers=own, **request)

        return await self._access.use(send)

    async def _refresh(self) -> Json:
        settings = self.settings
        form = {
            "grant_type": "refresh_token",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.get_secret_value(),
            "refresh_token": settings.refresh_token.get_secret_value(),
        }
        accounts = settings.accounts_url or host("accounts", settings.data_center)
        return await super().call("POST", f"{accounts}/oauth/v2/token", data=form)


def not_signed_in(data: Json) -> TrackerError | None:
    """Return the error of a refusal to give out an access token, whatever its status; else None."""
    error = data.get("error") if isinstance(data, dict) else None
    if not isinstance(error, str) or "id" in data:
        return None
    if error.casefold() in TOO_MANY_TOKENS:
        told = data.get("error_description") or "too many access tokens were asked for"
        return RateLimited(str(told), retry_after=TOKENS_PAUSE)
    return NotAllowed(f"{WRONG} (Zoho: {error})") if error in REFUSED else None


async def existence(names: Names, setting: str, value: str) -> Finding:
    """Return what the doctor says of a name without which nothing can be made."""
    if await names.find(value) is not None:
        return doctor.ok(setting, f'{names.what} "{value}" exists')
    known = await names.all()
    fix = doctor.did_you_mean(value, known) or f"one of {', '.join(sorted(known)) or 'none that can be seen'}"
    return doctor.error(setting, f'there is no {names.what} "{value}"', fix)


def titled(draft: Draft) -> str:
    """Return the title with the marker behind it: Zoho offers nothing else that is shown in every list."""
    return f"{draft.title} [{draft.marker.text}]"
