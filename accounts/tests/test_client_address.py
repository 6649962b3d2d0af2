"""The client's address, behind proxies that are trusted and those that are not."""

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from accounts.client_address import client_address, client_network


@pytest.mark.parametrize(
    ("proxies", "socket", "forwarded", "address"),
    [
        ([], "192.0.2.1", "", "192.0.2.1"),
        ([], "192.0.2.1", "198.51.100.9", "192.0.2.1"),
        (["10.0.0.1"], "10.0.0.2", "198.51.100.9", "10.0.0.2"),
        (["10.0.0.1"], "10.0.0.1", "198.51.100.9", "198.51.100.9"),
        (["10.0.0.1"], "10.0.0.1", "1.1.1.1, 198.51.100.9", "198.51.100.9"),
        (["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 198.51.100.9, 10.9.9.9", "198.51.100.9"),
        (["10.0.0.1"], "10.0.0.1", "", "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.1", "unknown", "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.1", "198.51.100.9, <script>", "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ([], "", "198.51.100.9", None),
        (["127.0.0.1"], "", "198.51.100.9", "198.51.100.9"),
        ([], "::ffff:192.0.2.1", "", "192.0.2.1"),
        (["2001:db8::/32"], "2001:db8::1", "2001:4860::7", "2001:4860::7"),
    ],
)
def test_only_trusted_proxies_are_believed(
    settings: Settings, proxies: list[str], socket: str, forwarded: str, address: str | None
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=socket, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address


@pytest.mark.parametrize(
    ("socket", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("", None),
    ],
)
def test_the_addresses_of_one_ipv6_client_count_as_one(socket: str, network: str | None) -> None:
    assert client_network(RequestFactory().get("/", REMOTE_ADDR=socket)) == network
