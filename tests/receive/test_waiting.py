"""Commands behind one that is answered later wait for the answer: nothing is decided by rights that the client is about to lose."""

from __future__ import annotations

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.auth.backoff import Backoff
from seg.auth.sasl_server import SASLServer
from seg.config.receive import Access, ListenerAuth, ListenerSettings, Receive, SenderGroup
from seg.config.schema import Filter
from seg.dns.answer import AnswerStatus, DNSAnswer
from seg.filter.answers import Accept
from seg.filter.chain import ConfiguredFilter, FilterChain
from seg.smtp import server_events as events
from seg.smtp.server_options import VrfyPolicy
from seg.smtp.server_replies import OK
from tests.doubles import named_in
from tests.filter.test_chain import FilterDouble
from tests.receive.front_door import DATA, EHLO, MAIL, MESSAGE, RCPT, TRANSACTION, Client, FrontDoorCase
from tests.receive.made_listener import made_listener
from tests.receive.test_tls import ServerTLS
from tests.smtp.accepting import AcceptingServer

NOTHING = DNSAnswer("x", "PTR", AnswerStatus.NO_NAME)
PROXY, STRANGER = "192.0.2.9", "203.0.113.5"
# What makes the core ask each question; then NOOP in the same segment.
ASKED: dict[type[events.Question], bytes] = {
    events.MailCommand: EHLO + MAIL,
    events.RcptCommand: EHLO + MAIL + RCPT,
    events.ContentEnded: EHLO + TRANSACTION + b"x: y\r\n.\r\n",
    events.AuthBegun: EHLO + b"AUTH PLAIN AAAA\r\n",
    events.AuthResponse: EHLO + b"AUTH PLAIN\r\nAAAA\r\n",
    events.XclientCommand: EHLO + b"XCLIENT ADDR=203.0.113.5\r\n",
    events.VrfyCommand: EHLO + b"VRFY bob@two.test\r\n",
}


class QuestionTests(SynchronousTestCase):
    """The core, for every question that there is."""

    def test_every_question(self) -> None:
        """Whatever is asked, nothing behind it is read before the answer."""
        self.assertEqual(set(ASKED), set(named_in(events, events.Question)))
        for question, lines in ASKED.items():
            with self.subTest(question.__name__):
                core = AcceptingServer(max_faults=9, vrfy=VrfyPolicy.ANSWER, auth=True).core
                core.tls_from_the_start()
                core.mechanisms, core.xclient_allowed = ("PLAIN",), True
                core.feed(lines + b"NOOP\r\n" * 3)
                while not isinstance(event := next(core.receive(b"")), question):
                    if core.awaiting:
                        core.challenge(b"") if isinstance(event, events.AuthBegun) else core.accept()
                core.data_to_send()
                self.assertTrue(core.awaiting)
                self.assertEqual(list(core.receive(b"NOOP\r\n")), [])
                self.assertEqual((core.data_to_send(), core.buffered), (b"", 24))
                if question is events.XclientCommand:
                    core.reset_for_xclient()
                    self.assertEqual(list(core.receive(b"")), [])
                    self.assertEqual(core.data_to_send(), b"")
                    core.greet()
                else:
                    core.refuse(OK)
                list(core.receive(b""))
                self.assertEqual(core.data_to_send().count(b"\r\n"), 5)

    def test_before_the_greeting(self) -> None:
        """Nothing is read before the greeting."""
        core = AcceptingServer().core
        core._open = False
        self.assertEqual(list(core.receive(EHLO + MAIL)), [])
        self.assertEqual(core.data_to_send(), b"")


class SlowResolver:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Deferred[DNSAnswer]] = []

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        self.asked.append(Deferred())
        return await self.asked[-1]


@implementer(ICredentialsChecker)
class SlowChecker:
    """Knows alice, when it is told to."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.asked: list[Deferred[bytes | tuple[()]]] = []

    def requestAvatarId(self, credentials: object) -> Deferred[bytes | tuple[()]]:
        self.asked.append(Deferred())
        return self.asked[-1]


class WaitingTests(FrontDoorCase):
    """Each step of a session that takes its time, with a whole transaction in the same segment."""

    def setUp(self) -> None:
        super().setUp()
        self.resolver, self.checker = SlowResolver(), SlowChecker()

    def listen(self, *, filters: FilterChain | None = None, auth: ListenerAuth = ListenerAuth.OFF) -> None:
        self.factory = made_listener(
            self.queue,
            self.clock,
            Receive(xclient_networks=(PROXY,), proxy_networks=("192.0.2.10",)),
            ListenerSettings(auth=auth),
            ServerTLS(),
            ids=self.counters,
            sink=self.sink,
            sender_group=(
                SenderGroup(name="IN", match=(PROXY, "198.51.100.0/24"), access=Access.RELAY),
                SenderGroup(name="NAMED", match=(".friend.test",), access=Access.RELAY),
            ),
            resolver=self.resolver,  # type: ignore[arg-type]
            filters=filters,
            sasl=SASLServer(self.checker, Backoff(self.clock.seconds), self.clock),
            turns=self.turns,
        )

    def named(self) -> None:
        """The DNS says: no such name."""
        for asked in self.resolver.asked:
            if not asked.called:
                asked.callback(NOTHING)
        self.clock.advance(0)

    def greeted(self, address: str) -> Client:
        client = self.connect(address)
        self.named()
        return client

    def test_name_at_the_beginning(self) -> None:
        """While the client's name is looked up nothing it sends is read; then the table decides, and the commands get their answers."""
        self.listen()
        client = self.connect(STRANGER)
        self.assertEqual(client.say(EHLO + TRANSACTION), b"")
        self.assertEqual(client.transport.producerState, "paused")
        client.transport.clear()
        self.named()
        self.assertEqual(
            [line[:3] for line in client.heard().splitlines() if line[3:4] == b" "],
            [b"220", b"250", b"250", b"550", b"554"],
        )

    def test_shutdown_meanwhile(self) -> None:
        """A shutdown while the name is looked up is the end, whatever the DNS says then."""
        self.listen()
        client = self.connect(STRANGER)
        self.factory.shutdown(10)
        self.assertIn(b"421 4.3.2", client.heard())
        client.transport.clear()
        self.named()
        self.assertEqual((client.heard(), client.closed), (b"", True))

    def test_proxy_header(self) -> None:
        """The client behind a load balancer is judged by its own address, whatever it sends together with the header."""
        self.listen()
        client = self.connect("192.0.2.10")
        self.assertEqual(client.say(b"PROXY TCP4 203.0.113.5 192.0.2.1 1 25\r\n" + EHLO + TRANSACTION), b"")
        self.assertEqual(client.say(TRANSACTION), b"")
        client.transport.clear()
        self.named()
        self.assertIn(b"550 5.7.1", client.heard())
        self.assertNotIn(b"354", client.heard())

    def test_xclient(self) -> None:
        """Behind XCLIENT nothing is read until the table has decided on the new client; the proxy's rights are gone at once."""
        for before in (EHLO, EHLO + MAIL + b"RSET\r\n", EHLO + MESSAGE):
            with self.subTest(before[-20:]):
                self.setUp()
                self.listen()
                client = self.greeted(PROXY)
                client.say(before)
                self.assertEqual(client.say(b"XCLIENT ADDR=203.0.113.5\r\n" + EHLO + TRANSACTION), b"")
                self.assertEqual(client.say(TRANSACTION), b"")
                self.assertFalse(client.protocol.session.client.may_relay)  # type: ignore[attr-defined]
                client.transport.clear()
                self.named()
                self.assertIn(b"550 5.7.1", client.heard())
                self.assertNotIn(b"354", client.heard())

    def test_xclient_and_the_end(self) -> None:
        """A shutdown, and a client that vanishes, while the new client's name is looked up."""
        self.listen()
        client = self.greeted(PROXY)
        client.say(EHLO + b"XCLIENT ADDR=203.0.113.5\r\n")
        gone = self.factory.shutdown(10)
        client.transport.clear()
        self.named()
        self.assertIn(b"421 4.3.2", client.heard())
        client.vanish()
        self.successResultOf(gone)
        self.setUp()
        self.listen()
        client = self.greeted(PROXY)
        client.say(EHLO + b"XCLIENT ADDR=203.0.113.5\r\n")
        client.vanish()
        self.named()

    def test_auth(self) -> None:
        """Behind AUTH nothing is read until the checker has spoken: what was sent ahead has the rights that AUTH gave, or none."""
        for right in (True, False):
            with self.subTest(right=right):
                self.setUp()
                self.listen(auth=ListenerAuth.OFFERED)
                client = self.greeted(STRANGER)
                client.protocol._core.tls_from_the_start()  # type: ignore[attr-defined]
                client.protocol.session.auth.secured({})  # type: ignore[attr-defined]
                client.say(EHLO)
                self.assertEqual(client.say(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n" + TRANSACTION), b"")
                client.transport.clear()
                answer: object = b"alice" if right else UnauthorizedLogin()
                asked = self.checker.asked[0]
                asked.callback(answer) if right else asked.errback(answer)  # type: ignore[arg-type]
                self.clock.advance(0)
                codes = [int(line[:3]) for line in client.heard().splitlines()]
                self.assertEqual(codes, [235, 250, 250, 354] if right else [535, 250, 550, 554])

    def test_filter_and_queue(self) -> None:
        """Behind a message nothing is read until filters and queue have spoken."""
        self.queue.by_hand = True
        later: Deferred[object] = Deferred()
        double = FilterDouble(later)
        chain = FilterChain([ConfiguredFilter(Filter(name="f", kind="double"), double, 60.0)], self.sink, self.clock)
        self.listen(filters=chain)
        client = self.greeted("198.51.100.1")
        self.assertNotIn(b"queued", client.say(EHLO + MESSAGE + b"NOOP\r\n" + MAIL))
        self.assertEqual(client.say(RCPT + DATA), b"")
        later.callback(Accept())
        self.clock.advance(0)
        self.assertEqual(client.heard(), b"")
        self.queue.commits[0].callback(None)
        self.clock.advance(0)
        self.assertEqual([line[:3] for line in client.heard().splitlines()], [b"250", b"250", b"250", b"250", b"354"])
