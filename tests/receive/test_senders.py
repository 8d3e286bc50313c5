"""As whom a user may send."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.auth.backoff import Backoff
from seg.auth.checker import UsersChecker
from seg.auth.sasl_server import SASLServer
from seg.config.receive import Auth, ListenerAuth, ListenerSettings
from seg.events.receive import ReceiveFailed, SenderRefused
from seg.receive.senders import LONGEST, SenderRules, SendersUnclear, addresses_of
from seg.smtp.header_scan import HeaderScan
from tests.receive.front_door import EHLO, Client, FrontDoorCase
from tests.receive.made_listener import made_listener
from tests.receive.test_tls import ServerTLS

SENDERS = {
    "alice@x.test": ("alice@x.test", "@lists.x.test", "Sales@bücher.test"),
    "app": ("ALL",),
    "nobody": (),
}
OWN = "alice@x.test"


class MapTests(SynchronousTestCase):
    """`SenderRules.may_use`."""

    def test_table(self) -> None:
        """An entry says all that its user may use; without one it is the own address; the null reverse-path is for everybody."""
        for user, address, may in (
            ("alice@x.test", "alice@x.test", True),
            ("Alice@X.test", "ALICE@x.TEST", True),
            ("alice@x.test", "any.thing@lists.x.test", True),
            ("alice@x.test", "a@sub.lists.x.test", False),
            ("alice@x.test", "a@xlists.x.test", False),
            ("alice@x.test", "sales@xn--bcher-kva.test", True),
            ("alice@x.test", "bob@x.test", False),
            ("alice@x.test", "", True),
            ("app", "ceo@anywhere.test", True),
            ("nobody", "nobody@x.test", False),
            ("nobody", "", True),
            ("bob@x.test", "bob@x.test", True),
            ("bob@x.test", "alice@x.test", False),
            ("bob", "bob@x.test", False),
        ):
            self.assertEqual(SenderRules(Auth(senders=SENDERS)).may_use(user, address), may, (user, address))

    def test_without_a_map(self) -> None:
        """`own_address_only` goes on by itself, and an entry goes before it; with neither everybody may use any address."""
        rules = SenderRules(Auth(own_address_only=True))
        self.assertTrue(rules.may_use("bob@x.test", "Bob@x.test"))
        self.assertFalse(rules.may_use("bob@x.test", "alice@x.test"))
        self.assertTrue(SenderRules(Auth()).may_use("bob", "alice@x.test"))
        both = SenderRules(Auth(own_address_only=True, senders={"bob@x.test": ("@y.test",)}))
        self.assertEqual(
            (both.may_use("bob@x.test", "b@y.test"), both.may_use("bob@x.test", "bob@x.test")), (True, False)
        )


class HeaderTests(SynchronousTestCase):
    """What a header says of the sender, for alice@x.test alone."""

    rules = SenderRules(Auth(own_address_only=True, check_header_from=True))

    def objection(self, text: str | bytes) -> str:
        reader = HeaderScan()
        reader.feed((text.encode() if isinstance(text, str) else text) + b"\r\n\r\nFrom: ceo@x.test\r\n")
        return self.rules.objection(OWN, reader.text)

    def test_good(self) -> None:
        """One's own address, however it is dressed."""
        for text in (
            "From: alice@x.test",
            "from:ALICE@X.TEST",
            "From : alice@x.test",
            "From: <alice@x.test>",
            "From: Alice <alice@x.test>",
            "From: Alice A. <alice@x.test>",
            'From: "A, (lice" <alice@x.test>',
            'From: "\\"" <alice@x.test>',
            "From: alice@x.test (Alice (of X))",
            "From: (c) alice@x.test (d)",
            "From: (\\)) alice@x.test",
            "From: alice@x.test <alice@x.test>",
            "From: =?utf-8?q?Alice?= <alice@x.test>",
            "From: =?utf-8?b?Y2VvQHgudGVzdA==?= <alice@x.test>",
            "From: Ælfrida <alice@x.test>",
            "From: Alice\r\n <alice@x.test>",
            "From:\r\n\talice@x.test",
            "From: alice@x.test, Alice <alice@x.test>",
            "From: Us: alice@x.test, <alice@x.test>;",
            "X: y\r\nFrom: alice@x.test\r\nTo: b@y.test",
            "From: alice@x.test\r\nSender: <alice@x.test>\r\nResent-From: alice@x.test",
            "From: alice@x.test\r\nX-From: ceo@x.test\r\nReply-To: ceo@x.test",
            "From: alice@x.test\r\nSubject: a\r\n From: ceo@x.test",
        ):
            self.assertEqual(self.objection(text), "", text)

    def test_bad(self) -> None:
        """Anybody else's address, wherever a reader may see it; and whatever can't be read in one way only."""
        for text in (
            "From: ceo@x.test",
            "From : ceo@x.test",
            "FROM\t:ceo@x.test",
            "From: alice@x.test <ceo@x.test>",
            "From: ceo@x.test <alice@x.test>",
            "From: <alice@x.test> <ceo@x.test>",
            "From: <ceo@x.test> alice@x.test",
            "From: <alice@x.test>, ceo@x.test",
            "From: ceo@x.test, alice@x.test",
            "From: ceo@x.test alice@x.test",
            "From: ceo @x.test <alice@x.test>",
            "From: Us: alice@x.test, ceo@x.test;",
            "From: Us:;",
            "From: ceo@x.test:alice@x.test;",
            "From: ceo@x.test (alice@x.test)",
            'From: "alice@x.test" <ceo@x.test>',
            'From: "alice@x.test"',
            "From: =?utf-8?q?alice=40x.test?=",
            "From: =?utf-8?q?ceo=40x.test?=",
            "From: ceo@x.test (",
            'From: "alice <alice@x.test>',
            "From: alice@x.test\0",
            "From: alice@x.test\r",
            "From: alice@x.test\u2028ceo@x.test",
            b"From: \xff <alice@x.test>",
            "From:",
            "From: ",
            "From: alice",
            "From: ,",
            "From: <>",
            "From: <alice@x.test",
            "From: alice@x.test>",
            "From: <<alice@x.test>>",
            "From: alice@x.test\r\nFrom: ceo@x.test",
            "From: ceo@x.test\r\nFrom: alice@x.test",
            "From: alice@x.test\r\nfrom : alice@x.test",
            "From: alice@x.test\r\nSender: ceo@x.test",
            "From: alice@x.test\r\nSender: alice@x.test\r\nSender: alice@x.test",
            "From: ceo@x.test\r\nSender: alice@x.test",
            "From: ceo@x.test\r\nResent-From: alice@x.test",
            "From: alice@x.test\r\nResent-From: ceo@x.test",
            "From: alice@x.test\r\nResent-Sender: ceo@x.test",
            "Resent-From: alice@x.test",
            "Sender: alice@x.test",
            "Subject: x",
            "",
            "From: " + "(" * LONGEST + "alice@x.test",
            "From: " + "x" * LONGEST + " <alice@x.test>",
        ):
            self.assertNotEqual(self.objection(text), "", text)

    @given(st.text('ab@x.test<>(),:;"\\ \t=?', max_size=60))
    def test_anything(self, text: str) -> None:
        """Whatever a field holds, it is read, or it is said that it can't be; what was let through has no other bare address."""
        try:
            found = [address for _, address in addresses_of(f"\r\nFrom: {text}\r\n".encode())]
        except SendersUnclear:
            return
        self.assertTrue(found)

    def test_cost(self) -> None:
        """The worst header costs little, and that grows with its length only."""
        for line in (
            b"From: " + b"(" * 3000,
            b"From: " + b'"' * 3900,
            b"Sender: <" * 400,
            b"From\t" * 10,
            b"resent-from: a@b.c, " * 180,
        ):
            header = b"\r\n" + (line + b"\r\n") * (65536 // (len(line) + 2))
            self.assertNotEqual(self.rules.objection(OWN, header), "")


class SessionTests(FrontDoorCase):
    """Through a session."""

    def client(self, **auth: Any) -> Client:
        settings = Auth(**auth)
        self.factory = made_listener(
            self.queue,
            self.clock,
            listener=ListenerSettings(auth=ListenerAuth.REQUIRED),
            tls=ServerTLS(),
            ids=self.counters,
            sink=self.sink,
            sasl=SASLServer(UsersChecker(None, None, 1), Backoff(self.clock.seconds), self.clock),  # type: ignore[arg-type]
            auth=settings,
            turns=self.turns,
        )
        client = self.connect()
        core = client.protocol._core  # type: ignore[attr-defined]
        client.say(EHLO)
        core.identity = OWN
        return client

    def test_envelope(self) -> None:
        """A sender that isn't the user's is 553 5.7.1, and told."""
        client = self.client(senders=SENDERS)
        self.assertEqual(client.codes(b"MAIL FROM:<a@lists.x.test>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"), [250] * 4)
        self.assertEqual(client.say(b"MAIL FROM:<bob@x.test>\r\n")[:9], b"553 5.7.1")
        (refused,) = self.sink.of(SenderRefused)
        self.assertEqual(refused.address, "bob@x.test")

    def test_header(self) -> None:
        """A header that names somebody else is 553 5.7.1 at the end of the message, by DATA and by BDAT; nothing of it stays."""
        begin = b"MAIL FROM:<alice@x.test>\r\nRCPT TO:<b@two.test>\r\n"
        bad = b"From: ceo@x.test\r\n\r\nx\r\n"
        long = b"X: y\r\n" * 11000 + b"From: ceo@x.test\r\n\r\n"
        hidden = b"From: alice@x.test\r\n" + long
        for senders in ({"own_address_only": True}, {"senders": SENDERS}):
            client = self.client(check_header_from=True, **senders)
            for content in (bad, long, hidden, b"\r\nFrom: alice@x.test\r\n"):
                self.assertEqual(
                    client.say(begin + b"DATA\r\n" + content + b".\r\n").splitlines()[-1][:9], b"553 5.7.1"
                )
                chunk = b"BDAT %d LAST\r\n" % len(content)
                self.assertEqual(client.say(begin + chunk + content).splitlines()[-1][:9], b"553 5.7.1")
            self.assertEqual(client.codes(begin + b"DATA\r\nFrom: alice@x.test\r\n\r\n.\r\n"), [250, 250, 354, 250])
        self.assertEqual(len(self.queue.messages), 2)
        told = self.sink.of(ReceiveFailed)
        self.assertEqual(told[0].text, f"From <ceo@x.test> isn't an address of {OWN}")

    def test_others(self) -> None:
        """Without AUTH, and without the key, the header is nobody's business."""
        begin = b"MAIL FROM:<alice@x.test>\r\nRCPT TO:<b@two.test>\r\nDATA\r\nFrom: ceo@x.test\r\n\r\n.\r\n"
        self.assertEqual(self.client(own_address_only=True).codes(begin)[-1], 250)
        self.assertEqual(self.client(check_header_from=True, senders={OWN: ("ALL",)}).codes(begin)[-1], 250)
