"""Which addresses may be fetched from.

An export names any URL it likes, so an attachment must not become a way into the network the bridge stands in.
The name is resolved once, *every* address it has is checked, and the connection goes to a checked address: what
the name resolves to a moment later (DNS rebinding) does not matter.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.config import AttachmentSettings
from bridge.errors import AttachmentError
from bridge.lazy import lazily

if TYPE_CHECKING:
    import httpx
else:
    httpx = lazily("httpx")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host for a port; raises `OSError` when it has none."""

_CONNECT_SECONDS = 10.0  # then the next address has its turn
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of `host`, as the machine's resolver orders them.

    Raises:
        OSError: There are none, or the resolver does not answer.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also when it wears an IPv4 address inside."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    local = ip.is_multicast or ip.is_reserved or ip.is_link_local or getattr(ip, "is_site_local", False)
    return ip.is_global and not local


@dataclass(frozen=True, slots=True)
class Target:
    """A checked place to fetch from.

    Attributes:
        url: The address as it was named, without user and password.
        addresses: Checked IP addresses of its host.
    """

    url: httpx.URL
    addresses: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host's name, in the form that DNS and TLS know."""
        return self.url.raw_host.decode("ascii")

    def requests(self, headers: dict[str, str]) -> list[httpx.Request]:
        """Return the same request once for each address.

        The connection goes to the address; the `Host` header, TLS's server name and the check of the certificate
        keep the name. https://www.encode.io/httpcore/extensions/#sni_hostname
        """
        host = self.url.netloc.decode("ascii")
        return [
            httpx.Request(
                "GET",
                self.url.copy_with(host=address, fragment=None),
                headers={"Host": host, **headers},
                extensions={"sni_hostname": self.host, "timeout": {"connect": _CONNECT_SECONDS}},
            )
            for address in self.addresses
        ]


class Guard:
    """Decides, before each connection, whether it may be made.

    Args:
        settings: What is allowed.
        resolve: Finds the addresses of a host.
    """

    def __init__(self, settings: AttachmentSettings, resolve: Resolve = resolve) -> None:
        self._settings = settings
        self._resolve = resolve

    async def check(self, url: httpx.URL) -> Target:
        """Return where to connect for `url`.

        Raises:
            AttachmentError: It may not be fetched from there, or its name has no address now.
        """
        schemes = ("https", "http") if self._settings.allow_http else ("https",)
        if url.scheme not in schemes or not url.host:
            raise AttachmentError(
                f"only {' and '.join(schemes)} addresses are fetched, not {url.scheme or 'this'}", retry=False
            )
        host = url.raw_host.decode("ascii").rstrip(".").lower()
        port = url.port or (443 if url.scheme == "https" else 80)
        if port > 65535:
            raise AttachmentError(f"its address is none: there is no port {port}", retry=False)
        if not self._is_allowed(host):
            raise AttachmentError(f"{host} is not in [attachments] allowed_hosts", retry=False)
        addresses = await self._addresses(host, port)
        if not self._settings.allow_private:
            for address in addresses:
                if not is_public(address):
                    raise AttachmentError(f"{host} is at the private address {address}: not fetched", retry=False)
        return Target(url.copy_with(userinfo=b""), tuple(addresses))

    def _is_allowed(self, host: str) -> bool:
        hosts = self._settings.allowed_hosts
        return not hosts or any(
            host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed for allowed in hosts
        )

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except UnicodeError:
            raise AttachmentError(f"{host} is no host name", retry=False) from None
        except OSError as error:
            raise AttachmentError(f"{host} has no address: {error.strerror or error}", retry=True) from None
        if not addresses:
            raise AttachmentError(f"{host} has no address", retry=True)
        return addresses
