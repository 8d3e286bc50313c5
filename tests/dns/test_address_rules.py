"""Where a stranger's DNS may send the gateway."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.dns.address_rules import AddressKind, AddressRules, kind_of
from seg.mail.hosts import IPAddress

OWN = frozenset({ip_address("198.51.100.7"), ip_address("2001:db8:f::1")})
RULES = AddressRules(OWN)
REFUSED = {
    "127.0.0.1": AddressKind.LOOPBACK,
    "127.255.255.254": AddressKind.LOOPBACK,
    "0.0.0.0": AddressKind.UNSPECIFIED,
    "0.1.2.3": AddressKind.UNSPECIFIED,
    "198.51.100.7": AddressKind.OWN,
    "169.254.169.254": AddressKind.LINK_LOCAL,
    "100.100.100.200": AddressKind.METADATA,
    "168.63.129.16": AddressKind.METADATA,
    "192.0.0.192": AddressKind.METADATA,
    "224.0.0.1": AddressKind.MULTICAST,
    "239.255.255.255": AddressKind.MULTICAST,
    "240.0.0.1": AddressKind.RESERVED,
    "255.255.255.255": AddressKind.BROADCAST,
}
REFUSED6 = {
    "::": AddressKind.UNSPECIFIED,
    "::1": AddressKind.LOOPBACK,
    "2001:db8:f::1": AddressKind.OWN,
    "fe80::1": AddressKind.LINK_LOCAL,
    "fe80::1%3": AddressKind.LINK_LOCAL,
    "::1%3": AddressKind.LOOPBACK,
    "febf::1": AddressKind.LINK_LOCAL,
    "fd00:ec2::254": AddressKind.METADATA,
    "fd20:ce::254": AddressKind.METADATA,
    "ff02::1": AddressKind.MULTICAST,
}
PRIVATE = (
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "fd12::1",
    "fec0::1",
    "2001:db8::1",
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808")


def translated(inner: IPv4Address) -> list[IPv6Address]:
    """The IPv6 addresses behind which an IPv4 address can stand."""
    number = int(inner)
    prefixes = (
        "::ffff:0:0",
        "::ffff:0:0:0",
        "64:ff9b::",
        "64:ff9b:1::",
        "2a00:1450::5efe:0:0",
        "2a00:1450::200:5efe:0:0",
    )
    found = [IPv6Address(int(IPv6Address(prefix)) | number) for prefix in prefixes]
    if number > 1:  # else it is :: or ::1
        found.append(IPv6Address(number))
    found.append(IPv6Address((0x2002 << 112) | (number << 80) | 1))
    teredo = int(IPv6Address("2001::"))
    found.append(IPv6Address(teredo | (int(IPv4Address("8.8.8.8")) << 64) | (~number & 0xFFFFFFFF)))
    found.append(IPv6Address(teredo | (number << 64) | (~int(IPv4Address("8.8.8.8")) & 0xFFFFFFFF)))
    return found


class AddressRuleTests(SynchronousTestCase):
    """Which addresses are refused, by what they are."""

    def test_refused(self) -> None:
        """Addresses of no host but this one, or of no host at all, are refused by what they are."""
        for text, kind in (REFUSED | REFUSED6).items():
            address = ip_address(text)
            self.assertIs(kind_of(address, OWN), kind, text)
            self.assertEqual(RULES.refusal(address), f"{kind} address {address}")
            self.assertEqual(AddressRules(OWN, allow_loopback=True).refusal(address), "", text)

    def test_translated(self) -> None:
        """What stands behind a mapped, compatible, NAT64, 6to4, Teredo or ISATAP address is judged as itself."""
        for text, kind in REFUSED.items():
            for address in translated(IPv4Address(text)):
                self.assertIs(kind_of(address, OWN), kind, f"{text} as {address}")

    def test_private(self) -> None:
        """Networks that aren't routed on the Internet may be delivered to unless the operator says no, in each form."""
        strict = AddressRules(OWN, allow_private=False)
        for text in PRIVATE:
            address = ip_address(text)
            for form in (address, *(translated(address) if isinstance(address, IPv4Address) else ())):
                self.assertEqual(RULES.refusal(form), "", str(form))
                self.assertNotEqual(strict.refusal(form), "", str(form))

    def test_public(self) -> None:
        """All others are connected to."""
        for text in PUBLIC:
            self.assertEqual(AddressRules(OWN, allow_private=False).refusal(ip_address(text)), "", text)

    def test_leads_here(self) -> None:
        """Own, loopback and unspecified addresses are a loop in each form; the others are only refused."""
        here = {AddressKind.OWN, AddressKind.LOOPBACK, AddressKind.UNSPECIFIED}
        for text, kind in (REFUSED | REFUSED6).items():
            self.assertEqual(RULES.leads_here(ip_address(text)), kind in here, text)
        for address in translated(IPv4Address("127.0.0.1")):
            self.assertTrue(RULES.leads_here(address), str(address))

    @given(st.ip_addresses())
    def test_any(self, address: IPAddress) -> None:
        """Every address is of one kind, and what the standard library calls loopback, multicast or link-local is refused."""
        bad = address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified
        if bad:
            self.assertTrue(RULES.refusal(address), str(address))
