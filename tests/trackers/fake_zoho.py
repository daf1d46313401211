"""What the fakes of Zoho's products have in common: Zoho Accounts, which gives out access tokens."""

from __future__ import annotations

from typing import Any

from bridge.testing import FakeServer, Reply, Request

CLIENT, CLIENT_SECRET = "1000.GMB0YULZHJK411248S8I5GZ4CHUEX0", "122c324d3496d5d777ceeebc129470715fbb856b7"
REFRESH_TOKEN = "1000.18e983526f0ca8575ea9c53b0cd5bb58.1bd83a6f2e22c3a7e1309d96ae439cc1"
ACCOUNTS = "/oauth/v2/token"
LIFE = 3600


class ZohoServer(FakeServer):
    """One user of one product.

    Attributes:
        refreshed: Every access token that was given out; the last one is good.
        refusal: What Zoho Accounts answers instead of a token, with status 200.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refreshed: list[str] = []
        self.refusal: dict[str, Any] | None = None

    def respond(self, request: Request) -> Reply:
        if request.path == ACCOUNTS:
            return self._token(request)
        good = f"Zoho-oauthtoken {self.refreshed[-1]}" if self.refreshed else None
        if request.headers.get("authorization") != good:
            return self.stranger()
        return self.product(request)

    def end_token(self) -> None:
        """Let the access token end early, as when too many are given out."""
        with self.lock:
            self.refreshed.append("1000.nobody-has-this-one")

    def stranger(self) -> Reply:
        """Return what the product answers to a token that it does not know."""
        raise NotImplementedError

    def product(self, request: Request) -> Reply:
        """Return what the product answers."""
        raise NotImplementedError

    def _token(self, request: Request) -> Reply:
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "client_secret": CLIENT_SECRET}
        if self.refusal or request.form != {**form, "refresh_token": REFRESH_TOKEN}:
            return Reply(json=self.refusal or {"error": "invalid_client"})
        self.refreshed.append(f"1000.8cb99dxxxxxxxxxxxxx9be93.9b8xxxxxxxxxxxxxxxf{len(self.refreshed)}")
        token = {"access_token": self.refreshed[-1], "api_domain": "https://www.zohoapis.com"}
        return Reply(json={**token, "token_type": "Bearer", "expires_in": LIFE})
