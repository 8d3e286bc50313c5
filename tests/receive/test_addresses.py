"""Addresses as old programs, lists and forwarders write them, and from whom they are taken."""

from __future__ import annotations

from seg.config.receive import Access, LenientAddresses, Recipients, SenderGroup
from seg.events.receive import MessageStarted, RecipientAccepted
from tests.receive.front_door import EHLO, FrontDoorCase

INSIDE, OUTSIDE = "127.0.0.1", "198.51.100.7"
GROUPS = (
    SenderGroup(name="RELAYLIST", match=("127.0.0.0/8",), access=Access.RELAY),
    SenderGroup(name="OTHERS", match=("ALL",), access=Access.ACCEPT),
)
OLD = (
    b"MAIL FROM:scan@client.example\r\nRCPT TO:u@rcpt.example\r\n",
    b"MAIL FROM: scan@client.example SIZE=100\r\nRCPT TO: u@rcpt.example NOTIFY=NEVER\r\n",
    b"MAIL FROM:< scan@client.example >\r\nRCPT TO:< u@rcpt.example. >\r\n",
)


class AddressTests(FrontDoorCase):
    """MAIL and RCPT of a listener."""

    def listen(self, lenient: LenientAddresses = LenientAddresses.RELAY) -> None:
        self.build(groups=GROUPS, recipients=Recipients(accept=("rcpt.example",)), lenient_addresses=lenient)

    def test_who_is_forgiven(self) -> None:
        """By default those who may relay; by `lenient_addresses` everybody, or nobody."""
        for lenient, forgiven in (
            (LenientAddresses.RELAY, (INSIDE,)),
            (LenientAddresses.ALL, (INSIDE, OUTSIDE)),
            (LenientAddresses.NONE, ()),
        ):
            self.listen(lenient)
            for host in (INSIDE, OUTSIDE):
                for said in OLD:
                    client = self.connect(host)
                    client.say(EHLO)
                    self.assertEqual(
                        client.codes(said), [250, 250] if host in forgiven else [501, 503], (lenient, said)
                    )
                    client.vanish()

    def test_what_is_meant(self) -> None:
        """The address goes on as it should have been written; one without a domain is in our own."""
        self.listen()
        client = self.connect(INSIDE)
        client.say(EHLO + b"MAIL FROM:root\r\nRCPT TO:<u@rcpt.example.>\r\nRCPT TO:admin\r\nRCPT TO:postmaster\r\n")
        self.assertEqual([event.reverse_path for event in self.sink.of(MessageStarted)], ["root@mx.test"])
        told = [event.address for event in self.sink.of(RecipientAccepted)]
        self.assertEqual(told, ["u@rcpt.example", "admin@mx.test", "postmaster@mx.test"])

    def test_long_and_odd(self) -> None:
        """Local parts of lists and forwarders, and domains with underscores, are taken from everybody."""
        self.listen()
        for host in (INSIDE, OUTSIDE):
            client = self.connect(host)
            client.say(EHLO)
            for local in (b"l" * 65, b"l" * 100, b"list-bounces+" + b"x" * 200, b"SRS0=" + b"y" * 800):
                said = b"RSET\r\nMAIL FROM:<%s@a_b.example>\r\nRCPT TO:<%s@rcpt.example>\r\n" % (local, local)
                self.assertEqual(client.codes(said), [250, 250, 250], local)
        client = self.connect(INSIDE)
        self.assertEqual(client.codes(EHLO + b"MAIL FROM:<>\r\nRCPT TO:<u@my_host.example>\r\n"), [250, 250, 250])

    def test_lines_of_the_header(self) -> None:
        """However long a recipient is, no line of the Received field is longer than RFC 5322 §2.1.1 allows."""
        self.listen()
        client = self.connect(INSIDE)
        recipient = b"x" * 880 + b"@rcpt.example"
        client.say(EHLO + b"MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\nA: b\r\n\r\n.\r\n" % recipient)
        (message,) = self.queue.messages.values()
        self.assertIn(recipient, message.content)
        self.assertLess(max(map(len, message.content.split(b"\r\n"))), 999)
