"""Who counts as one client."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.client import client_address, client_key

CASES = (
    ("192.0.2.1", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("64:ff9b::192.0.2.1", "192.0.2.1"),
    ("64:ff9b:1::c000:201", "64:ff9b:1::c000:201"),
    ("2001:db8::1", "2001:db8::/64"),
    ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
    ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
    ("2002:c000:201:5::1", "2002:c000:201::/48"),
    ("fe80::1%eth0", "fe80::/64"),
    ("::1", "::/64"),
)


class ClientKeyTests(SynchronousTestCase):
    """`client_key`."""

    def test_table(self) -> None:
        """An IPv4 address however it is written, an IPv6 /64, a 6to4 site."""
        for text, key in CASES:
            self.assertEqual(client_key(client_address(text)), key, text)

    @given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1))
    def test_no_address_within_a_64_is_another_client(self, address: int, other: int) -> None:
        """Whoever has a /64 is one client, unless an IPv4 client stands behind each address."""
        one, two = IPv6Address(address), IPv6Address(address >> 64 << 64 | other)
        if one.ipv4_mapped is None and two.ipv4_mapped is None and not str(one).startswith("64:ff9b"):
            self.assertEqual(client_key(one), client_key(two))

    @given(st.ip_addresses(v=4))
    def test_ipv4(self, address: IPv4Address) -> None:
        """IPv4 addresses are clients of their own, mapped ones the same."""
        self.assertEqual(client_key(address), str(address))
        self.assertEqual(client_key(ip_address(f"::ffff:{address}")), str(address))
