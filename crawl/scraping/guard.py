"""No socket to an address that may not be asked: checked once, and only what was checked is connected to.

Two middlewares see every request: the first, retries, each step of a chain of redirects, and robots.txt. One,
before all others, knows the hosts of the source; the other, last before the downloader, resolves the host,
judges all addresses and pins them. The resolver that Twisted asks when it connects never looks a name up: it
gives what is pinned, or nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import CannotResolveHostError
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from zope.interface import implementer

from crawl import rules
from crawl.scraping.outcomes import Refused
from jobs.addresses import resolve_public

_pinned: dict[tuple[str, int], list[str]] = {}


class HostGuard:
    """Refuses other schemes, and hosts that the source does not name."""

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> HostGuard:
        return cls(frozenset(crawler.settings.getlist("CRAWL_HOSTS")))

    def process_request(self, request: Request) -> None:
        try:
            host, _ = rules.address_of(request.url)
        except ValueError as error:
            raise Refused(f"leads to an address that {error}") from error
        if host not in self._hosts:
            raise Refused(f"leads to {host}, which the source does not name")


class AddressGuard:
    """Refuses addresses that are not public, but for hosts that the operator allowed."""

    async def process_request(self, request: Request) -> None:
        host, port = rules.address_of(request.url)
        if (host, port) not in _pinned:
            _pinned[host, port] = await sync_to_async(_addresses_of, thread_sensitive=False)(host, port)


def unpin(url: str) -> None:
    """Look the host's name up again at the next request: it could not be reached."""
    _pinned.pop(rules.address_of(url), None)


def _addresses_of(host: str, port: int) -> list[str]:
    allowed = rules.is_allowed(host, port)
    addresses = _resolve(host) if allowed else resolve_public(host)
    if addresses:
        return addresses
    if allowed or not _resolve(host):
        raise CannotResolveHostError(f"{host} has no address")
    raise Refused(f"{host} is at no public address")


def _resolve(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Nothing is under way."""


@implementer(IHostnameResolver)
class PinnedResolver:
    """Scrapy's setting TWISTED_DNS_RESOLVER. Twisted asks it for plain addresses too."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> PinnedResolver:
        return cls(reactor)

    def install_on_reactor(self) -> None:
        self._reactor.installNameResolver(self)

    def resolveHostName(  # noqa: N802 - the interface's name
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> Any:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in _pinned.get((hostName.lower(), portNumber), []):
            kind = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution
