"""Where a request comes from: the socket's address, or what a trusted proxy says."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str | None:
    """The client's address; None for a Unix socket without a trusted proxy.

    ``X-Forwarded-For`` is read from the right, where the nearest proxy wrote, and only past addresses of
    TRUSTED_PROXIES (addresses or networks): what a client writes into it is never believed.
    """
    proxies = _networks(tuple(settings.TRUSTED_PROXIES))
    address = _parse(request.META.get("REMOTE_ADDR", ""))
    if address is None and not proxies:
        return None
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while forwarded and proxies and (address is None or _trusted(address, proxies)):
        claimed = _parse(forwarded.pop())
        if claimed is None:
            break
        address = claimed
    return None if address is None else str(address)


def client_network(request: HttpRequest) -> str | None:
    """What limits count by: an IPv4 address, or the first address of the IPv6 /64 that one client has."""
    address = _parse(client_address(request) or "")
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False).network_address)
    return None if address is None else str(address)


@lru_cache(maxsize=1024)  # the same clients come again and again, and parsing is plain Python
def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _trusted(address: Address, proxies: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in proxies)


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
