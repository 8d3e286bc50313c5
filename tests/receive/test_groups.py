"""Sender groups and recipients: who is let in, for whom, and how much."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.load import parse_settings
from seg.config.receive import Access, Recipients, SenderGroup
from seg.dns.answer import FailureKind
from seg.events.receive import ConnectionAccepted, ConnectionAdmitted, ReceiveFailed
from seg.mail.errors import LocalFault
from seg.receive.access import HostAccess, sender_groups
from seg.receive.admission import NAME_TIMEOUT
from seg.receive.rates import HOUR, RecipientRateLimit
from seg.receive.recipients import RecipientAccess
from seg.receive.reverse_dns import client_name
from tests.dns_double import FakeResolver
from tests.receive.front_door import EHLO, MAIL, MESSAGE, TRANSACTION, FrontDoorCase

INSIDE = SenderGroup("INSIDE", ("192.0.2.0/24", ".inside.example"), Access.RELAY)
PARTNER = SenderGroup("PARTNER", ("mx.partner.example",), Access.ACCEPT)
BLOCKED = SenderGroup("BLOCKED", ("198.51.100.0/24",), Access.REJECT, "Go away")
CUT = SenderGroup("CUT", ("198.51.100.66",), Access.REFUSE)
PUBLIC = SenderGroup("PUBLIC", ("ALL",), Access.ACCEPT)
RCPT = b"RCPT TO:<%s>\r\n"


class TableTests(SynchronousTestCase):
    """`HostAccess.admit`."""

    def test_first_entry_decides(self) -> None:
        """Groups in order, by network or by verified name; whoever fits none is refused at every recipient."""
        table = HostAccess((CUT, INSIDE, PARTNER, BLOCKED))
        for address, name, action, match in (
            ("192.0.2.7", "", "RELAY", "192.0.2.0/24"),
            ("203.0.113.9", "mx.inside.example", "RELAY", ".inside.example"),
            ("203.0.113.9", "inside.example", "REJECT", "ALL"),
            ("203.0.113.9", "mx.partner.example", "ACCEPT", "mx.partner.example"),
            ("203.0.113.9", "amx.partner.example", "REJECT", "ALL"),
            ("198.51.100.66", "", "TCPREFUSE", "198.51.100.66"),
            ("198.51.100.65", "", "REJECT", "198.51.100.0/24"),
            ("2001:db8::1", "", "REJECT", "ALL"),
        ):
            found = table.lookup(ip_address(address), name)
            self.assertEqual((found.action, found.match), (action, match), (address, name))
        self.assertTrue(table.needs_names)
        self.assertFalse(HostAccess((CUT, BLOCKED, PUBLIC)).needs_names)

    def test_relay_networks(self) -> None:
        """Without groups the networks that may relay are the only one; with groups they count for nothing."""
        self.assertEqual(sender_groups((), ["10.0.0.0/8"])[0].match, ("10.0.0.0/8",))
        self.assertEqual(sender_groups((PUBLIC,), ["10.0.0.0/8"]), (PUBLIC,))

    def test_configuration(self) -> None:
        """Groups in the file, and their faults."""
        text = """[[sender_group]]
name = "INSIDE"
match = ["192.0.2.0/24", ".inside.example"]
access = "relay"
[[sender_group]]
name = "PUBLIC"
match = ["ALL"]
access = "accept"
max_messages = 5
"""
        groups = parse_settings(text).sender_group
        self.assertEqual(groups[0], INSIDE)
        self.assertEqual((groups[1].access, groups[1].max_messages), (Access.ACCEPT, 5))
        for fault, words in (
            ("match = []", "names nobody"),
            ('match = ["10.0.0.0/33"]', "10.0.0.0/33"),
            ('match = ["ALL"]\naccess = "allow"', "access"),
            ('match = ["ALL"]\nmax_message_size = 10', "at least 1024"),
            ('match = ["ALL"]\nreject_text = "a\\nb"', "control character"),
            ('match = ["ALL"]\nmach = 1', "did you mean match?"),
        ):
            error = self.assertRaises(ConfigurationError, parse_settings, f"[[sender_group]]\n{fault}\n")
            self.assertIn(words, error.problems[0])
        twice = '[[sender_group]]\nname = "A"\nmatch = ["ALL"]\n' * 2
        self.assertIn(
            "another group is called", self.assertRaises(ConfigurationError, parse_settings, twice).problems[0]
        )
        self.assertIn(
            "array of tables",
            self.assertRaises(ConfigurationError, parse_settings, "[sender_group]\nname = 'x'\n").problems[0],
        )


class RecipientTests(SynchronousTestCase):
    """`RecipientAccess.objection`."""

    def test_table(self) -> None:
        """The most particular entry of both lists decides; whoever is in none isn't served."""
        access = RecipientAccess(
            Recipients(
                accept=("example.com", ".example.org", "boss@closed.example", "abuse@"),
                reject=("old@example.com", "closed.example", "spam.example.org"),
                reject_text="Moved away",
            )
        )
        for address, code in (
            ("bob@example.com", 0),
            ("BOB@EXAMPLE.COM", 0),
            ("old@example.com", "550 5.1.1 Moved away"),
            ("OLD@Example.com", "550 5.1.1 Moved away"),
            ("bob@sub.example.com", "550 5.7.1 Relaying denied"),
            ("bob@a.b.example.org", 0),
            ("bob@example.org", "550 5.7.1 Relaying denied"),
            ("bob@spam.example.org", "550 5.1.1 Moved away"),
            ("boss@closed.example", 0),
            ("bob@closed.example", "550 5.1.1 Moved away"),
            ("abuse@anywhere.example", 0),
            ("bob@elsewhere.example", "550 5.7.1 Relaying denied"),
            ("bob%elsewhere.example@example.com", 0),  # a mailbox there, whatever it looks like
            ('"bob@elsewhere.example"@example.com', 0),
            ("bob@[192.0.2.1]", "550 5.7.1 Relaying denied"),
            ("postmaster", "550 5.7.1 Relaying denied"),
        ):
            objection = access.objection(address)
            self.assertEqual(str(objection) if objection else 0, code, address)
        everybody = RecipientAccess(Recipients(accept=("ALL",), reject=("no@example.com",)))
        self.assertIsNone(everybody.objection("bob@any.example"))
        self.assertIsNotNone(everybody.objection("no@example.com"))

    def test_nobody(self) -> None:
        """Out of the box nobody is served."""
        self.assertIsNotNone(RecipientAccess(Recipients()).objection("bob@example.com"))


class RateTests(SynchronousTestCase):
    """`RecipientRateLimit`."""

    def test_window(self) -> None:
        """So many in an hour from the first one on; each address by itself; what was refused isn't counted."""
        now = [0.0]
        rates = RecipientRateLimit(lambda: now[0])
        one, other = ip_address("192.0.2.1"), ip_address("192.0.2.2")
        self.assertEqual([rates.count(one, 2) for _ in range(4)], [True, True, False, False])
        self.assertTrue(rates.count(other, 2))
        self.assertTrue(rates.count(one, 0))
        now[0] = HOUR
        self.assertTrue(rates.count(one, 2))


class NameTests(SynchronousTestCase):
    """`client_name`."""

    def find(self, zone: str, address: str = "192.0.2.1") -> tuple[str, bool]:
        """The name of an address."""
        resolver = FakeResolver(zone)
        return self.successResultOf(Deferred.fromCoroutine(client_name(resolver, ip_address(address), Clock().seconds)))

    def test_names(self) -> None:
        """A name is verified when one of its addresses is the client's; a verified one is preferred; IPv6 too."""
        ptr = "1.2.0.192.in-addr.arpa PTR"
        self.assertEqual(self.find(""), ("", False))
        self.assertEqual(self.find(f"{ptr} mx.one.example."), ("mx.one.example", False))
        self.assertEqual(self.find(f"{ptr} mx.one.example.\nmx.one.example A 192.0.2.2"), ("mx.one.example", False))
        both = f"{ptr} mx.liar.example.\n{ptr} MX.one.example.\nmx.one.example A 192.0.2.1"
        self.assertEqual(self.find(both), ("mx.one.example", True))
        six = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa PTR six.example.\nsix.example AAAA 2001:db8::1"
        self.assertEqual(self.find(six, "2001:db8::1"), ("six.example", True))

    def test_dns_fails(self) -> None:
        """A name that can't be looked up is none; a name that can't be verified isn't."""
        resolver = FakeResolver("1.2.0.192.in-addr.arpa PTR mx.one.example.")
        resolver.fail("mx.one.example", "A", FailureKind.SERVFAIL)
        client = ip_address("192.0.2.1")
        self.assertEqual(
            self.successResultOf(Deferred.fromCoroutine(client_name(resolver, client, Clock().seconds))),
            ("mx.one.example", False),
        )
        resolver.fail("1.2.0.192.in-addr.arpa", "PTR", FailureKind.TIMEOUT)
        self.assertEqual(
            self.successResultOf(Deferred.fromCoroutine(client_name(resolver, client, Clock().seconds))), ("", False)
        )


class SessionTests(FrontDoorCase):
    """What a client of each group hears."""

    def test_each_access(self) -> None:
        """RELAY takes anybody; ACCEPT the recipients of the table; REJECT says 554 and closes; TCPREFUSE says nothing."""
        groups = (CUT, BLOCKED, SenderGroup("INSIDE", ("192.0.2.0/24",), Access.RELAY), PUBLIC)
        self.build(groups=groups, recipients=Recipients(accept=("two.test",)))
        for host, codes in (("192.0.2.7", [250, 250]), ("203.0.113.9", [250, 550])):
            client = self.connect(host)
            client.say(EHLO + MAIL)
            self.assertEqual(client.codes(RCPT % b"b@two.test" + RCPT % b"c@three.test"), codes)
        client = self.connect("198.51.100.65")
        self.assertEqual(client.heard(), b"554 5.7.1 Go away\r\n")
        self.assertTrue(client.closed)
        client = self.connect("198.51.100.66")
        self.assertEqual((client.heard(), client.transport.aborted), (b"", True))
        client.vanish()
        admitted = [(e.action, e.group) for e in self.sink.of(ConnectionAdmitted)]
        self.assertEqual(
            admitted, [("RELAY", "INSIDE"), ("ACCEPT", "PUBLIC"), ("REJECT", "BLOCKED"), ("TCPREFUSE", "CUT")]
        )

    def test_limits(self) -> None:
        """Each limit of a group holds for its clients, and no other."""
        tight = SenderGroup(
            "TIGHT",
            ("192.0.2.0/24",),
            Access.RELAY,
            max_connections=1,
            max_messages=2,
            max_recipients=2,
            recipients_per_hour=3,
            max_message_size=2000,
        )
        self.build(groups=(tight, SenderGroup("OTHERS", ("ALL",), Access.RELAY)))
        client = self.connect("192.0.2.7")
        self.assertIn(b"SIZE 2000\r\n", client.say(EHLO))
        self.assertEqual(
            client.codes(MAIL + RCPT % b"a@b.test" + RCPT % b"c@b.test" + RCPT % b"d@b.test"), [250, 250, 250, 452]
        )
        self.assertEqual(client.codes(b"RSET\r\n" + MAIL + RCPT % b"a@b.test"), [250, 250, 250])
        self.assertIn(b"452 4.7.1 Too many recipients received this hour", client.say(RCPT % b"c@b.test"))
        self.assertEqual(client.codes(b"DATA\r\nx\r\n.\r\n"), [354, 250])
        self.assertEqual(client.codes(b"MAIL FROM:<> SIZE=3000\r\n"), [552])
        crowd = self.connect("192.0.2.7")
        self.assertTrue(crowd.heard().startswith(b"421 4.7.0 Too many connections from your address"))
        self.clock.advance(HOUR)
        other = self.connect("192.0.2.8")
        other.say(EHLO)
        other.say(MESSAGE)
        other.say(MESSAGE)
        self.assertEqual(other.say(MAIL), b"452 4.5.3 Too many messages on this connection\r\n")
        free = self.connect("203.0.113.9")
        self.assertIn(b"SIZE 26214400\r\n", free.say(EHLO))
        self.assertEqual(free.codes(MESSAGE + MESSAGE + MESSAGE)[-1], 250)

    def test_tls_required(self) -> None:
        """A group may have to start TLS before it hands in a message."""
        self.build(groups=(SenderGroup("INSIDE", ("ALL",), Access.RELAY, tls_required=True),))
        client = self.connect("192.0.2.7")
        client.say(EHLO)
        self.assertEqual(client.codes(TRANSACTION), [530, 503, 503])

    def test_by_name(self) -> None:
        """A name is looked up before the greeting, and only when a group asks for one; nothing is read meanwhile."""
        zone = "9.113.0.203.in-addr.arpa PTR mx.partner.example.\nmx.partner.example A 203.0.113.9"
        resolver = FakeResolver(zone)
        resolver.hold("9.113.0.203.in-addr.arpa", "PTR")
        self.build(groups=(PARTNER,), recipients=Recipients(accept=("two.test",)), resolver=resolver)
        client = self.connect("203.0.113.9")
        self.assertEqual((client.heard(), client.transport.producerState), (b"", "paused"))
        resolver.release("9.113.0.203.in-addr.arpa", "PTR")
        self.assertEqual((client.heard(), client.transport.producerState), (b"220 mx.test ESMTP\r\n", "producing"))
        self.assertEqual(client.codes(EHLO + MAIL + RCPT % b"b@two.test"), [250, 250, 250])
        (accepted,) = self.sink.of(ConnectionAccepted)
        self.assertEqual((accepted.reverse_name, accepted.verified), ("mx.partner.example", True))

    def test_name_that_does_not_come(self) -> None:
        """A lookup that never ends is our fault, and where a group goes by names nobody is let in or refused without one; a client that
        leaves meanwhile leaves nothing behind."""
        resolver = FakeResolver("")
        for address in ("9.113.0.203", "8.113.0.203"):
            resolver.hold(f"{address}.in-addr.arpa", "PTR")
        self.build(groups=(PARTNER,), resolver=resolver)
        client, gone = self.connect("203.0.113.9"), self.connect("203.0.113.8")
        gone.vanish()
        self.clock.advance(NAME_TIMEOUT)
        self.assertEqual(client.heard(), NO_NAME_NOW)
        self.assertTrue(client.closed)
        self.assertEqual(gone.heard(), b"")
        client.vanish()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_their_dns_fails(self) -> None:
        """A client whose own DNS fails or is silent is one without a name."""
        for kind in FailureKind:
            resolver = FakeResolver("")
            resolver.fail("9.113.0.203.in-addr.arpa", "PTR", kind)
            self.build(groups=(PARTNER, PUBLIC), recipients=Recipients(accept=("two.test",)), resolver=resolver)
            client = self.connect("203.0.113.9")
            self.assertEqual(client.codes(EHLO + MAIL + RCPT % b"b@two.test"), [250, 250, 250])

    def test_names_without_end(self) -> None:
        """Behind ten seconds no further name is looked at."""
        zone = "\n".join(f"9.113.0.203.in-addr.arpa PTR n{number}.example." for number in range(5))
        resolver = FakeResolver(zone)
        for number in range(5):
            resolver.hold(f"n{number}.example", "A")
        self.build(groups=(PARTNER, PUBLIC), recipients=Recipients(accept=("two.test",)), resolver=resolver)
        client = self.connect("203.0.113.9")
        self.clock.advance(11.0)
        resolver.release("n0.example", "A")
        self.assertEqual(client.codes(EHLO + MAIL + RCPT % b"b@two.test"), [250, 250, 250])
        self.assertEqual(len(resolver.questions), 2)


NO_NAME_NOW = b"421 4.3.0 Your host name can't be looked up at the moment; try again later\r\n"
FAULT = LocalFault("all 128 questions about clients that there may be at a time are taken")
GROUPS = (
    CUT,
    INSIDE,
    PARTNER,
    BLOCKED,
    PUBLIC,
    SenderGroup("SPAMMERS", (".partner.example", ".spam.example"), Access.REJECT, "Go away"),
    SenderGroup("LIMITED", ("203.0.113.0/25", ".many.example"), Access.ACCEPT, max_recipients=1),
)


class OwnFaultTests(FrontDoorCase):
    """The name of a client can't be looked up by a fault of ours."""

    @given(
        groups=st.lists(st.sampled_from(GROUPS), max_size=5, unique_by=lambda group: group.name),
        address=st.sampled_from(("192.0.2.7", "203.0.113.9", "198.51.100.65", "198.51.100.66")),
    )
    def test_table(self, groups: list[SenderGroup], address: str) -> None:
        """The table says what it says whatever the client is called, or nothing."""
        table, client = HostAccess(groups), ip_address(address)
        names = ("", "mx.partner.example", "x.inside.example", "a.spam.example", "b.many.example")
        words = {table.lookup(client, name).group.name for name in names}
        word = table.lookup_unnamed(client)
        self.assertEqual(word.group.name if word else None, words.pop() if len(words) == 1 else None)

    def test_neither_weaker_nor_stronger(self) -> None:
        """Whoever could be refused, limited or let in by name hears 421, at the look-up of the name and at that of its addresses; who
        is decided on by his address goes on."""
        zone = "9.113.0.203.in-addr.arpa PTR mx.partner.example.\nmx.partner.example A 203.0.113.9"
        for failing in (("9.113.0.203.in-addr.arpa", "PTR"), ("mx.partner.example", "A")):
            resolver = FakeResolver(zone)
            resolver.fail(*failing, FAULT)
            for first in (
                PARTNER,
                GROUPS[5],
                SenderGroup("SMALL", (".partner.example",), Access.ACCEPT, max_messages=1),
            ):
                self.build(groups=(first, PUBLIC), recipients=Recipients(accept=("two.test",)), resolver=resolver)
                client = self.connect("203.0.113.9")
                self.assertEqual((client.heard(), client.closed), (NO_NAME_NOW, True))
                client.vanish()
                self.assertEqual(self.clock.getDelayedCalls(), [])
            self.build(groups=(PUBLIC, PARTNER), recipients=Recipients(accept=("two.test",)), resolver=resolver)
            client = self.connect("203.0.113.9")
            self.assertEqual(client.heard(), b"220 mx.test ESMTP\r\n")
            client.vanish()
        self.assertIn(f"Name of 203.0.113.9 not looked up: {FAULT.text}", [e.text for e in self.sink.of(ReceiveFailed)])

    def test_represented(self) -> None:
        """So does the client of a mail proxy, whatever the proxy itself may do."""
        resolver = FakeResolver("7.2.0.192.in-addr.arpa PTR proxy.example.")
        resolver.fail("9.113.0.203.in-addr.arpa", "PTR", FAULT)
        groups = (SenderGroup("PROXY", ("192.0.2.7",), Access.RELAY), PARTNER, PUBLIC)
        self.build(groups=groups, resolver=resolver, xclient_networks=("192.0.2.7",))
        client = self.connect("192.0.2.7")
        client.say(EHLO)
        self.assertEqual(client.say(b"XCLIENT ADDR=203.0.113.9\r\n" + TRANSACTION), NO_NAME_NOW)
        self.assertTrue(client.closed)
