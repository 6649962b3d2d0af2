"""Which addresses of the internet may be asked on somebody else's word: a page's link, a callback's URL.

Everything inside is refused: this machine, private networks, link-local and metadata addresses, multicast,
and the IPv6 ranges that carry an IPv4 address. Whoever connects does so to an address that `resolve_public`
returned, not to the name again: a name may have another address the next moment.
"""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# Beside what Python 3.11 calls private; the last one serves the metadata of Azure's machines
_NOT_PUBLIC_4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "168.63.129.16/32")))
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2002::/16", "3fff::/20")))


def is_public(address: str) -> bool:
    """Whether the text is an IP address in the open internet. Names and shortened forms are not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        return _is_public_6(parsed)
    return _is_public_4(parsed)


def resolve_public(host: str) -> list[str]:
    """The addresses of a name, if each of them is public; none if one is not, or if there is no such name.

    A name with a public and a private address is refused altogether: nobody honest has one.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return addresses if all(map(is_public, addresses)) else []


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    # Mapped, NAT64 and site-local addresses lie outside of the unicast range; 6to4 and Teredo inside of it.
    return (
        address in _UNICAST_6
        and address.is_global
        and address.scope_id is None
        and not any(address in network for network in _NOT_PUBLIC_6)
    )
