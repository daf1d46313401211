"""Addresses in the settings of a tracker."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import AfterValidator


def web_address(example: str, *api: str, path: bool = True, optional: bool = False) -> AfterValidator:
    """Return what makes a text in settings a server's address, without a slash at its end.

    `url: Annotated[str, web_address("https://git.acme.example", "/api/v1")]` takes the address of the server, and
    that of its API as well.

    Args:
        example: What an address looks like, for who writes none.
        api: Ends that are left out.
        path: Whether a server may live under a path; else what is behind the host is left out.
        optional: Whether it may be empty.
    """

    def read(value: str) -> str:
        address = value.strip().rstrip("/")
        if optional and not address:
            return ""
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f'is no address: write it like "{example}"')
        for end in api:
            address = address.removesuffix(end).rstrip("/")
        return address if path else f"{parts.scheme}://{parts.netloc}"

    return AfterValidator(read)
