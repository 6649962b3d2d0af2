"""Addresses that may be asked on somebody else's word: nothing inside, however it is written."""

import socket
from typing import Any

import pytest

from jobs.addresses import is_public, resolve_public

INSIDE = [
    "0.0.0.1", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "168.63.129.16", "198.18.0.1", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "fc00::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%lo", "fec0::1", "ff02::1", "5f00::1", "100::1",
]  # fmt: skip
NO_ADDRESSES = ["", "localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "8.8.8.8:80", "[::1]"]


@pytest.mark.parametrize("address", INSIDE + NO_ADDRESSES)
def test_what_is_inside_or_no_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_what_lies_in_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.1", "0x7f000001", "2130706433", "[::1]", "::ffff:10.0.0.1", "a" * 300, "a\0b", ""],
)
def test_a_name_of_something_inside_has_no_public_address(host: str) -> None:
    assert resolve_public(host) == []


def test_a_name_with_one_address_inside_is_refused_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, list[str]] = {
        "open.example": ["8.8.8.8", "2606:4700:4700::1111", "8.8.8.8"],
        "mixed.example": ["8.8.8.8", "10.0.0.1"],
    }

    def resolve(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert resolve_public("open.example") == ["8.8.8.8", "2606:4700:4700::1111"]
    assert resolve_public("mixed.example") == []
