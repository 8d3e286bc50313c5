"""Clients behind a load balancer."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.events.receive import ConnectionAccepted, ReceiveFailed
from seg.receive.admission import PROXY_TIMEOUT
from seg.receive.proxy_protocol import ProxiedClient, ProxyHeader, ProxyHeaderError
from tests.receive.front_door import EHLO, MAIL, FrontDoorCase

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 25\r\n"


def v2(family: int, block: bytes, command: int = 1) -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([0x20 | command, family]) + len(block).to_bytes(2) + block


FOUR = ip_address("192.0.2.7").packed + ip_address("203.0.113.1").packed + b"\x12\x67\0\x19"
SIX = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + b"\x12\x67\0\x19"
GOOD = {
    V1: "192.0.2.7",
    b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n": "2001:db8::7",
    b"PROXY UNKNOWN\r\n": "",
    b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n": "",
    v2(0x11, FOUR): "192.0.2.7",
    v2(0x21, SIX): "2001:db8::7",
    v2(0x11, FOUR + b"\x04\0\x01x"): "192.0.2.7",
    v2(0x00, b"", command=0): "",
    v2(0x11, FOUR, command=0): "",
    v2(0x31, b"x" * 216): "",
}
BAD = (
    b"EHLO client.test\r\n",
    b"PROXY TCP4 192.0.2.7 203.0.113.1 4711\r\n",
    b"PROXY TCP4 2001:db8::7 203.0.113.1 4711 25\r\n",
    b"PROXY TCP5 192.0.2.7 203.0.113.1 4711 25\r\n",
    b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 65536\r\n",
    b"PROXY TCP4 192.0.2.7 203.0.113.1 -1 25\r\n",
    b"PROXY " + b"x" * 200,
    SIGNATURE + b"\x11\x11\0\x0c" + FOUR,
    SIGNATURE + b"\x22\x11\0\x0c" + FOUR,
    SIGNATURE + b"\x21\x11\xff\xff",
    v2(0x11, FOUR[:8]),
)


class HeaderTests(SynchronousTestCase):
    """`ProxyHeader`."""

    def test_good(self) -> None:
        """Both versions, however they are cut; what follows isn't part of it."""
        for octets, client in GOOD.items():
            for step in (1, 7, 1000):
                header, found = ProxyHeader(), None
                data = octets + b"rest"
                for start in range(0, len(data), step):
                    if found is None:
                        found = header.feed(data[start : start + step])
                        left = data[start + step :]
                assert isinstance(found, ProxiedClient)
                self.assertEqual((str(found.client or ""), found.rest + left), (client, b"rest"), octets)

    def test_bad(self) -> None:
        """Everything else is refused, in bounded time and memory."""
        for octets in BAD:
            self.assertRaises(ProxyHeaderError, ProxyHeader().feed, octets)

    @given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE, V1[:20]]))
    @settings(max_examples=200, deadline=None)
    def test_hostile(self, octets: bytes, start: bytes) -> None:
        """Whatever comes, it's a header, a part of one, or an error."""
        try:
            ProxyHeader().feed(start + octets)
        except ProxyHeaderError:
            return


class SessionTests(FrontDoorCase):
    """A listener behind a load balancer."""

    def setUp(self) -> None:
        super().setUp()
        self.build(proxy_networks=("10.0.0.0/8",), relay_networks=("192.0.2.0/24",), max_connections_per_address=2)

    def test_client(self) -> None:
        """The client is who the header says, in the log and in what it may do; the greeting comes after it."""
        for header, code in ((V1, 250), (v2(0x11, FOUR), 250), (v2(0x21, SIX), 550), (b"PROXY UNKNOWN\r\n", 550)):
            client = self.connect("10.0.0.1")
            self.assertEqual(client.heard(), b"")
            self.assertEqual(client.say(header), b"220 mx.test ESMTP\r\n")
            self.assertEqual(client.codes(EHLO + MAIL + b"RCPT TO:<b@two.test>\r\n"), [250, 250, code], header)
            client.vanish()
        addresses = [event.address for event in self.sink.of(ConnectionAccepted)]
        self.assertEqual(addresses, ["192.0.2.7", "192.0.2.7", "2001:db8::7", "10.0.0.1"])

    def test_only_from_balancers(self) -> None:
        """Nobody else can call himself another: the header is an unknown command."""
        client = self.connect("203.0.113.9")
        self.assertTrue(client.heard().startswith(b"220"))
        self.assertEqual(client.codes(V1 + EHLO + MAIL + b"RCPT TO:<b@two.test>\r\n"), [500, 250, 250, 550])

    def test_no_header(self) -> None:
        """A balancer that sends anything else, or nothing, is cut off."""
        client = self.connect("10.0.0.1")
        client.say(EHLO)
        self.assertTrue(client.transport.aborted)
        silent = self.connect("10.0.0.2")
        self.clock.advance(PROXY_TIMEOUT)
        self.assertTrue(silent.transport.aborted)
        causes = [event.text for event in self.sink.of(ReceiveFailed)]
        self.assertEqual(causes, ["no PROXY header from 10.0.0.1", "no PROXY header in time from 10.0.0.2"])

    def test_limit(self) -> None:
        """Connections count for the client, not for the balancer."""
        clients = [self.connect("10.0.0.1") for _ in range(2)]
        for client in clients:
            client.say(V1)
        third = self.connect("10.0.0.1")
        self.assertTrue(third.say(V1).startswith(b"421 4.7.0 Too many connections"))
        for client in (*clients, third):
            client.vanish()
        self.assertTrue(self.connect("10.0.0.1").say(V1).startswith(b"220"))
