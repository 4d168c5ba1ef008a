"""Where we may call: a partner's addresses must not make us knock on other doors (SSRF)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

import httpx

from agent.config.utility import is_loopback
from agent.errors import RefusedError

URL_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be called.

    Attributes:
        url: What is called; `host`: the name in it, for TLS and the Host header.
        address: The IP address to connect to; empty: whatever the name resolves to.
    """

    url: httpx.URL
    host: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides where we may call.

    Attributes:
        hosts: `host` or `host:port` from the settings. Where there are none, a partner may be
            called at its own address only, and only if that is a public one.
    """

    hosts: tuple[str, ...] = ()

    def check(self, text: str, own: str = "") -> httpx.URL:
        """Return the address if it is allowed; what it resolves to is not looked at yet.

        Args:
            text: What the partner named.
            own: Address of the partner's versions, once it is known.

        Raises:
            RefusedError: With the reason, for the partner.
        """
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, TypeError) as error:
            raise RefusedError(f"is no URL: {error}") from error
        if len(text) > URL_MAX or not url.is_absolute_url or not url.host:
            raise RefusedError("is no absolute URL of at most 255 characters")
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
            raise RefusedError("must be https")
        if url.userinfo or url.fragment:
            raise RefusedError("must have no user and no fragment")
        place = _place(url)
        if self.hosts:
            if place not in {_with_port(host, url.scheme) for host in self.hosts}:
                raise RefusedError(f"host {place} is not allowed here")
        elif own and place != _place(httpx.URL(own)):
            raise RefusedError(f"host {place} is not the one of the partner's versions")
        return url

    async def target(self, text: str, own: str = "") -> Target:
        """Return what to connect to.

        Raises:
            RefusedError: Not allowed, or a name that leads into this network.
        """
        url = self.check(text, own)
        if self.hosts:
            return Target(url, url.host)
        port = url.port or 443
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise RefusedError(f"host {url.host} cannot be found") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(ipaddress.ip_address(a).is_global for a in addresses):
            hint = "name it in ocpi.callback_hosts to allow it"
            raise RefusedError(f"host {url.host} is not public ({hint})")
        # Connecting to what was checked leaves a name no chance to change in between.
        return Target(url, url.host, addresses[0])


def _place(url: httpx.URL) -> str:
    port = url.port or (443 if url.scheme == "https" else 80)
    return f"{url.host.lower()}:{port}"


def _with_port(host: str, scheme: str) -> str:
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and not name.endswith(":"):
        return f"{name.strip('[]').lower()}:{port}"
    return f"{host.strip('[]').lower()}:{443 if scheme == 'https' else 80}"
