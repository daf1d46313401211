"""Addresses in the settings of a tracker."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import AfterValidator


def web_address(example: str, *api: str) -> AfterValidator:
    """Return what makes a text in settings a server's address, without a slash at its end.

    `url: Annotated[str, web_address("https://git.acme.example", "/api/v1")]` takes the address of the server, and
    that of its API as well.

    Args:
        example: What an address looks like, for who writes none.
        api: Ends that are left out; one path in front of it stays.
    """

    def read(value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f'is no address: write it like "{example}"')
        address = value.strip().rstrip("/")
        for end in api:
            address = address.removesuffix(end).rstrip("/")
        return address

    return AfterValidator(read)
