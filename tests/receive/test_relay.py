"""No client outside the relay networks gets anything relayed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.events.receive import (
    ConnectionAccepted,
    ConnectionAdmitted,
    MessageStarted,
    RecipientAccepted,
    RecipientRefused,
)
from seg.mail.client import client_address
from seg.receive.access import HostAccess, sender_groups
from tests.receive.front_door import EHLO, MAIL, FrontDoorCase

# Recipients by which open relays have been found; the code that refuses each.
ATTEMPTS = {
    "<victim@two.test>": 550,
    "<VICTIM@TWO.TEST>": 550,
    "<victim%two.test@mx.test>": 550,
    "<victim%two.test@[127.0.0.1]>": 550,
    "<victim@two.test@mx.test>": 501,
    '<"victim@two.test">': 501,
    '<"victim@two.test"@mx.test>': 550,
    '<"victim%two.test"@mx.test>': 550,
    '<"victim%two.test"@MX.Test>': 550,
    "<two.test!victim>": 501,
    "<two.test!victim@mx.test>": 550,
    "<@mx.test:victim@two.test>": 550,
    "<@[127.0.0.1]:victim@two.test>": 501,
    "<@mx.test,@mx.test:victim@two.test>": 550,
    "<victim@two.test.>": 501,
    "<victim@>": 501,
    "<victim>": 501,
    "<victim@[127.0.0.1]>": 550,
    "<victim@[192.0.2.1]>": 550,
    "<victim@mx.test>": 550,
    "<postmaster@mx.test>": 550,
    "<Postmaster>": 550,
    "<>": 501,
    "victim@two.test": 501,
}


class RelayTests(FrontDoorCase):
    """Foreign clients, and others."""

    def test_attempts(self) -> None:
        """Every way of writing a recipient is refused for a foreign client, whatever sender it claims."""
        for sender in ("<>", "<a@one.test>", "<root@mx.test>", "<a@[127.0.0.1]>"):
            client = self.connect("198.51.100.7")
            client.say(b"EHLO mx.test\r\nMAIL FROM:" + sender.encode() + b"\r\n")
            for recipient, code in ATTEMPTS.items():
                self.assertEqual(client.codes(f"RCPT TO:{recipient}\r\n".encode()), [code], recipient)
            client.vanish()
        self.assertEqual(self.sink.of(RecipientAccepted), [])

    def setUp(self) -> None:
        super().setUp()
        self.build(max_unknown_commands=1000)

    def test_refused_alone(self) -> None:
        """With no recipient left DATA is refused, so pipelined content can't become a message."""
        client = self.connect("198.51.100.7")
        said = client.say(EHLO + MAIL + b"RCPT TO:<b@two.test>\r\nDATA\r\nSubject: x\r\n.\r\n")
        self.assertIn(b"550 5.7.1 Relaying denied\r\n554 5.5.1 No valid recipients\r\n500 ", said)
        self.assertEqual(self.queue.writers, [])
        self.assertEqual(
            self.sink.events[:4],
            [
                ConnectionAccepted(1, "relay", "127.0.0.2", "198.51.100.7"),
                ConnectionAdmitted(1, "REJECT", "ALL", "ALL"),
                MessageStarted(1, 1, "a@one.test"),
                RecipientRefused(1, 1, "b@two.test", "550 5.7.1 Relaying denied"),
            ],
        )

    def test_networks(self) -> None:
        """Clients in a relay network may relay, IPv4 written as IPv6 too; their neighbours may not."""
        self.build(relay_networks=("192.0.2.0/25", "2001:db8:1::/48"))
        for host, code in [
            ("192.0.2.127", 250),
            ("192.0.2.128", 550),
            ("::ffff:192.0.2.1", 250),
            ("::ffff:192.0.2.200", 550),
            ("2001:db8:1::25", 250),
            ("2001:db8:2::25", 550),
            ("127.0.0.1", 550),
        ]:
            client = self.connect(host)
            self.assertEqual(client.codes(EHLO + MAIL + b"RCPT TO:<b@two.test>\r\n"), [250, 250, code], host)


class AccessTests(SynchronousTestCase):
    """`seg.receive.access`."""

    def test_bad_networks(self) -> None:
        """All networks that can't be read are named."""
        groups = sender_groups((), ["10.0.0.0/33", "127.0.0.1", "::1/200"])
        error = self.assertRaises(ConfigurationError, HostAccess, groups)
        self.assertEqual(len(error.problems), 2)

    def test_zone(self) -> None:
        """The zone of a link-local address doesn't matter."""
        self.assertTrue(HostAccess(sender_groups((), ["fe80::/64"])).lookup(client_address("fe80::1%eth0")).may_relay)
        self.assertEqual(str(client_address("fe80::1%eth0")), "fe80::1")
