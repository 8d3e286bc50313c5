"""XCLIENT from a mail proxy, and VRFY, through a session."""

from __future__ import annotations

from seg.config.receive import Access, Recipients, SenderGroup, Verifying
from seg.events.receive import ConnectionAccepted
from tests.receive.front_door import EHLO, FrontDoorCase

PROXY = "192.0.2.9"


class RepresentedTests(FrontDoorCase):
    """A proxy at 192.0.2.9; clients in 10/8 may relay."""

    def setUp(self) -> None:
        super().setUp()
        self.build(xclient_networks=(PROXY,), relay_networks=("10.0.0.0/8",), max_unknown_commands=1000)

    def test_offered(self) -> None:
        """Only a listed address is offered it; from all others it is refused."""
        self.assertIn(b"XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", self.connect(PROXY).say(EHLO))
        other = self.connect("10.0.0.1")
        self.assertNotIn(b"XCLIENT", other.say(EHLO))
        self.assertEqual(other.say(b"XCLIENT ADDR=10.0.0.1\r\n")[:9], b"550 5.7.0")

    def test_another_client(self) -> None:
        """The session begins anew, and the host access table judges the client that was named."""
        client = self.connect(PROXY)
        client.say(EHLO)
        self.assertEqual(client.codes(b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\nRSET\r\n"), [250, 550, 250])
        self.assertEqual(client.codes(b"XCLIENT ADDR=10.1.2.3 NAME=client.one.test\r\n"), [220])
        self.assertEqual(client.codes(b"MAIL FROM:<a@one.test>\r\n"), [503])
        self.assertEqual(client.codes(EHLO + b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n"), [250, 250, 250])
        accepted = self.sink.of(ConnectionAccepted)[-1]
        self.assertEqual(
            (accepted.address, accepted.reverse_name, accepted.verified), ("10.1.2.3", "client.one.test", True)
        )
        self.assertEqual(client.codes(b"DATA\r\nx: y\r\n\r\nz\r\n.\r\n"), [354, 250])
        (message,) = self.queue.messages.values()
        self.assertEqual(message.envelope.client, "10.1.2.3")
        self.assertIn(b"[10.1.2.3]", message.content)

    def test_pipelined(self) -> None:
        """What follows in the same segment is read by the new client's rules."""
        client = self.connect(PROXY)
        said = client.codes(
            EHLO + b"XCLIENT ADDR=198.51.100.1\r\n" + EHLO + b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n"
        )
        self.assertEqual(said, [250, 220, 250, 250, 550])

    def test_login(self) -> None:
        """Whom the proxy authenticated may relay."""
        client = self.connect(PROXY)
        client.say(EHLO + b"XCLIENT ADDR=198.51.100.1 LOGIN=alice\r\n")
        self.assertEqual(client.codes(EHLO + b"MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n"), [250, 250, 250])

    def test_refused_client(self) -> None:
        """A client that is turned away is turned away behind the proxy as well, and counted as itself."""
        self.build(
            groups=(SenderGroup(name="BAD", match=("198.51.100.0/24",), access=Access.REJECT),),
            xclient_networks=(PROXY,),
        )
        client = self.connect(PROXY)
        client.say(EHLO)
        self.assertEqual(client.say(b"XCLIENT ADDR=198.51.100.1\r\n")[:9], b"554 5.7.1")
        self.assertTrue(client.closed)

    def test_malformed(self) -> None:
        """A malformed one changes nothing."""
        client = self.connect(PROXY)
        client.say(EHLO)
        self.assertEqual(client.say(b"XCLIENT ADDR=x\r\n")[:9], b"501 5.5.4")
        self.assertEqual(client.codes(b"NOOP\r\n"), [250])
        client.say(b"MAIL FROM:<a@one.test>\r\n")
        self.assertEqual(client.codes(b"XCLIENT ADDR=10.0.0.1\r\n"), [503])

    def test_verify(self) -> None:
        """VRFY says what RCPT would: anything to those that may relay, the recipient table to those it is for, nothing to others."""
        self.build(
            groups=(
                SenderGroup(name="IN", match=("198.51.100.0/24",), access=Access.ACCEPT),
                SenderGroup(name="OUT", match=("10.0.0.0/8",), access=Access.RELAY),
            ),
            recipients=Recipients(accept=("two.test",), reject=("old@two.test",)),
            vrfy=Verifying.ANSWER,
        )
        for address, replies in (
            ("10.0.0.1", [250, 250, 250]),
            ("198.51.100.1", [250, 550, 550]),
            ("203.0.113.1", [550, 550, 550]),
        ):
            client = self.connect(address)
            client.say(EHLO)
            lines = b"VRFY bob@two.test\r\nVRFY old@two.test\r\nVRFY bob@three.test\r\n"
            self.assertEqual(client.codes(lines), replies, address)
