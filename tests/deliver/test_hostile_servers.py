"""Every step of a delivery against every way in which a server can behave: each ends in bounded time and memory with the right
outcome, and the next message is unharmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError, TimeoutError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.destinations import Destinations
from seg.config.schema import Delivery
from seg.deliver.attempt import Attempt, AttemptServices
from seg.deliver.connections import ConnectionOpener
from seg.deliver.greetings import Greetings
from seg.deliver.handshake import TLSServices
from seg.deliver.host_connector import ConnectionServices
from seg.deliver.interfaces import IConnector
from seg.deliver.plan import plan_for
from seg.deliver.pool import ConnectionPool
from seg.deliver.progress import AttemptProgress
from seg.deliver.rate_limits import SendingRates
from seg.deliver.report_events import ReportEvents
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.deliver.smtp_client import CLOSE_TIMEOUT, SMTPClientProtocol
from seg.deliver.transmit import SMTPTransmit
from seg.mail.envelope import Envelope, Recipient
from seg.mail.errors import Temporary
from seg.mail.hosts import MXHost, PeerAddress, Route, RouteKind
from seg.mail.outcome import Delayed, Delivered, Outcome
from seg.policy.chain import PolicyChain
from seg.policy.requirement import Raise, Requirement, TLSLevel
from seg.queue.interfaces import Lease
from seg.smtp.client_auth import LoginClient, PlainClient, ScramClient
from seg.tls.context import ClientTLS
from seg.tls.roots import RootStore
from tests.deliver.test_attempt import FakeProvider, FakeRouter
from tests.deliver.test_sender import MemoryTransport, SenderCase
from tests.doubles import CountingCounters, MemoryContent, RecordingSink

BAD, GOOD = (
    MXHost("bad.example", 10, (ip_address("192.0.2.1"),)),
    MXHost("good.example", 20, (ip_address("192.0.2.2"),)),
)
SETTINGS = Delivery(
    connect_timeout=5.0,
    greeting_timeout=10.0,
    command_timeout=20.0,
    data_timeout=40.0,
    tls_timeout=5.0,
    idle_timeout=30.0,
)
LONGEST = 3 * SETTINGS.data_timeout  # seconds: more than any one step may take
MOST_READ = 300_000  # octets of a server that never stops
STEPS = ("banner", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "body", "dot", "octet", "BDAT", "RSET", "QUIT", "idle")
POSITIVE = {"banner": b"220", "STARTTLS": b"220", "DATA": b"354", "QUIT": b"221", "body": b"452"}

Write = Callable[[bytes], None]


class Server:
    """One connection of a server that is good but for one step.

    :param how: what it does in that step.
    """

    def __init__(self, clock: Clock, sender: SMTPClientProtocol, step: str, how: str, offers: bytes) -> None:
        self.clock = clock
        self.sender = sender
        self.step = step
        self.how = how
        self.offers = offers
        self.open = True
        self.written = 0
        self.taken = 0  # messages
        self._lines = b""
        self._in_content = False
        self._chunk = 0  # octets of BDAT still to come
        self._last = False  # this chunk is the last one
        self._deaf = False
        self.answer("banner", b"220 x\r\n")

    # --- the client's side of the wire ---

    def receive(self, data: bytes) -> None:
        """What the client writes."""
        self._lines += data
        while self.open and not self._deaf and self._step():
            pass

    def _step(self) -> bool:
        if self._chunk:
            taken, self._lines = self._lines[: self._chunk], self._lines[self._chunk :]
            self._chunk -= len(taken)
            if taken and not self._chunk:
                self._chunk_taken()
            return bool(taken)
        line, end, rest = self._lines.partition(b"\r\n")
        if not end:
            return False
        self._lines = rest
        if self._in_content:
            if self.step == "body" and self.how != "fine":
                self._deaf = True
                self.misbehave("body", b"")
            elif line == b".":
                self._in_content = False
                self.take("dot")
            return True
        self.command(line)
        return True

    def command(self, line: bytes) -> None:
        """One command."""
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.answer("EHLO", b"250-x\r\n" + self.offers + b"250 SIZE\r\n")
        elif verb == b"STAR":
            self.answer("STARTTLS", b"220 x\r\n")
        elif verb == b"MAIL":
            self.answer("MAIL", b"250 x\r\n")
        elif verb == b"RCPT":
            refused = self.step == "RSET" and self.sender.dcid == 1 and self.sender.transactions == 1
            self.answer("RCPT", b"550 x\r\n" if refused else b"250 x\r\n")
        elif verb == b"DATA":
            self._in_content = not (self.step == "DATA" and self.how not in ("fine", "non-ASCII", "65 kB"))
            self.answer("DATA", b"354 x\r\n")
        elif verb == b"BDAT":
            self._chunk, self._last = int(line.split()[1]), line.endswith(b"LAST")
        elif verb == b"RSET":
            self.answer("RSET", b"250 x\r\n")
        elif verb == b"QUIT":
            self.answer("QUIT", b"221 x\r\n")
            if self.open and self.step != "QUIT":
                self.lose()

    def _chunk_taken(self) -> None:
        if self._last:
            self.take("BDAT")
        else:
            self.answer("octet", b"250 x\r\n")

    def take(self, step: str) -> None:
        """A whole message has come."""
        if self.how in ("fine", "non-ASCII", "65 kB") or self.step != step:
            self.taken += 1
        self.answer(step, b"250 2.0.0 taken\r\n")

    # --- what it says ---

    def answer(self, step: str, reply: bytes) -> None:
        """Say the right thing, or what this server is there for."""
        following = {"banner": "EHLO", "MAIL": "RCPT", "RCPT": "DATA", "DATA": "dot"}.get(step)
        if step == "EHLO":
            following = "STARTTLS" if self.step == "STARTTLS" else "MAIL"
        if self.how == "before the command" and following == self.step:
            self.say(reply + b"250 x\r\n")
        elif step == self.step and self.how not in ("fine", "before the command"):
            self.misbehave(step, reply)
        else:
            self.say(reply)

    def misbehave(self, step: str, reply: bytes) -> None:
        """One of the ways."""
        code = POSITIVE.get(step, b"250")
        how = self.how
        if how == "garbage":
            self.say(b"\x16\x03\x01 what?\r\n")
        elif how == "endless line":
            self.go_on(b"x" * 1000)
        elif how == "endless lines":
            self.go_on(code + b"-more\r\n")
        elif how == "octet by octet":
            self.go_on(b"2", every=1.0)
        elif how in ("close", "reply lost"):
            self.lose()
        elif how == "reset":
            self.lose(ConnectionLost())
        elif how == "421":
            self.say(b"421 4.3.2 x\r\n")
        elif how == "non-ASCII":
            self.say(code + b" \xff\x00\xe2\x82\xac\x1b[2J\r\n")
        elif how == "out of range":
            self.say(b"999 x\r\n")
        elif how == "65 kB":
            self.say((code + b"-" + b"y" * 2000 + b"\r\n") * 31 + code + b" z\r\n")
        else:
            assert how in ("silence", "before the command"), how

    def say(self, data: bytes) -> None:
        """Octets to the client, in the next turn."""
        self.clock.callLater(0, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self.open:
            self.written += len(data)
            self.sender.dataReceived(data)

    def go_on(self, data: bytes, every: float = 0.01) -> None:
        """The same, again and again, for as long as the client listens."""
        if self.open and self.written < MOST_READ:
            self._deliver(data)
            self.clock.callLater(every, self.go_on, data, every)

    def lose(self, reason: Exception | None = None) -> None:
        """The end of the connection, from either side."""
        if self.open:
            self.open = False
            self.clock.callLater(0, self._lost, reason or ConnectionDone())

    def _lost(self, reason: Exception) -> None:
        transport = self.sender.transport
        if transport.producer is not None:
            transport.producer.stopProducing()
        self.sender.connectionLost(Failure(reason))


class Wire(MemoryTransport):
    """A transport whose other end is a `Server`."""

    server: Server

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def write(self, data: bytes) -> None:
        self._clock.callLater(0, self.arrive, data)

    def arrive(self, data: bytes) -> None:
        """What was written comes out."""
        if self.server.open:
            self.server.receive(data)

    def loseConnection(self) -> None:
        super().loseConnection()
        self.server.lose()

    def abortConnection(self) -> None:
        super().abortConnection()
        self.server.lose(ConnectionLost())


@implementer(IConnector)
class Network:
    """Connects to servers in memory: one that is bad in one step, and a good one."""

    def __init__(self, clock: Clock, step: str, how: str, offers: bytes) -> None:
        self.clock = clock
        self.step, self.how, self.offers = step, how, offers
        self.servers: dict[str, list[Server]] = {"bad": [], "good": []}

    def connect(
        self, factory: object, address: PeerAddress, port: int, source: str, timeout: float
    ) -> Deferred[object]:
        """`IConnector.connect`."""
        assert isinstance(factory, ESMTPSenderFactory)
        made: Deferred[object] = Deferred()
        bad = address in BAD.addresses
        if bad and self.step == "connect" and self.how != "fine":
            error = TimeoutError() if self.how == "silence" else ConnectionRefusedError(111, "refused")
            self.clock.callLater(timeout if self.how == "silence" else 0, made.errback, error)
            return made
        sender, wire = factory.buildProtocol(None), Wire(self.clock)
        wire.server = Server(self.clock, sender, self.step if bad else "", self.how if bad else "fine", self.offers)
        self.servers["bad" if bad else "good"].append(wire.server)
        sender.makeConnection(wire)
        made.callback(sender)
        return made

    def taken(self, which: str) -> int:
        """Messages that a host took."""
        return sum(server.taken for server in self.servers[which])


WAYS = (
    "silence",
    "garbage",
    "endless line",
    "endless lines",
    "octet by octet",
    "close",
    "reset",
    "421",
    "before the command",
    "reply lost",
    "non-ASCII",
    "out of range",
    "65 kB",
)
STILL_A_REPLY = ("non-ASCII", "65 kB")  # odd, but it says what is wanted


def expected(step: str, how: str) -> str:
    """What is to become of a message to the domain: "bad" or "good" takes it, "doubt", or it is "deferred"."""
    if how in STILL_A_REPLY and step != "body":
        return "bad"
    if step in ("QUIT", "idle"):
        return "bad"  # it had the message before
    if step == "RSET":
        return "bad"  # a new connection begins without it
    if step == "STARTTLS":
        # Refused before a 220 the session goes on in clear text; text before the command is tampering.
        return {"out of range": "bad", "before the command": "deferred"}.get(how, "good")
    if step in ("body", "dot", "BDAT") and how not in ("421", "before the command", *STILL_A_REPLY):
        return "doubt"  # small content is out with its dot before anything is heard
    return "good"


class HostileServerTests(SynchronousTestCase):
    """`Attempt` with real sessions and senders, in memory."""

    def prepare(self, step: str, how: str) -> None:
        """A gateway and its internet."""
        self.clock = Clock()
        self.sink = RecordingSink(debug=False)
        offers = {"STARTTLS": b"250-STARTTLS\r\n", "BDAT": b"250-CHUNKING\r\n", "octet": b"250-CHUNKING\r\n"}.get(
            step, b""
        )
        self.network = Network(self.clock, step, how, offers)
        senders = ESMTPSenderFactory("seg.test", SETTINGS, self.clock, CountingCounters())
        self.pool = ConnectionPool(self.clock, SETTINGS.idle_timeout)
        now = self.clock.seconds
        connecting = ConnectionServices(self.network, senders, self.pool, greetings=Greetings(self.clock))
        sessions = ConnectionOpener(connecting, TLSServices(ClientTLS(), RootStore()), SETTINGS, self.sink, now)
        may = Requirement(TLSLevel.MAY, source="static", clear_retry=True)
        provider = FakeProvider("static", lambda question, host: Raise(may, "preferred"))
        services = AttemptServices(
            FakeRouter(Route("to.example", RouteKind.MX, (BAD, GOOD))),  # type: ignore[arg-type]
            PolicyChain([provider], self.sink, self.clock),  # type: ignore[arg-type, list-item]
            sessions,
            SMTPTransmit(sessions, SendingRates(now)),
        )
        plan = plan_for(Destinations(), "to.example", Delivery(max_hosts=5, max_addresses=10), 0.0)
        self.make = lambda lease: Attempt(
            lease, plan, services, ReportEvents(lease, plan, self.sink, lambda domain, host, text: None)
        )

    def attempt(self) -> tuple[Attempt, Deferred[None]]:
        """An attempt under way."""
        to = Recipient(0, "bob@to.example")
        content = MemoryContent(b"Subject: x\r\n\r\n" + b"line\r\n" * 20)
        lease = Lease(Envelope(1, "a@from.example", (to,), 0.0), "to.example", (to,), content)
        attempt = self.make(lease)
        attempt.progress = AttemptProgress(self.clock.seconds)
        return attempt, Deferred.fromCoroutine(attempt.run())

    def outcome(self) -> Outcome:
        """What becomes of a message, within the time that a delivery may take."""
        attempt, done = self.attempt()
        begun = self.clock.seconds()
        while not done.called:
            self.clock.advance(0.25)
            self.assertLess(self.clock.seconds() - begun, LONGEST)
        self.successResultOf(done)
        return attempt.outcomes[0]

    def kind(self, outcome: Outcome) -> str:
        """In the words of `expected`."""
        if isinstance(outcome, Delivered):
            return "bad" if self.network.taken("bad") else "good"
        assert isinstance(outcome, Delayed), outcome
        return "doubt" if outcome.in_doubt else "deferred"

    def cases(self) -> Iterator[tuple[str, str]]:
        """Every step with every way."""
        for step in ("connect", *STEPS):
            for how in WAYS:
                yield step, how

    def test_every_step_and_way(self) -> None:
        """Bounded time, bounded reading, the right outcome; all connections of it end; the next message to the domain arrives."""
        for step, how in self.cases():
            if step == "connect" and how in ("non-ASCII", "65 kB", "before the command"):
                continue  # nothing is said
            if step in ("banner", "body", "octet", "BDAT", "RSET", "QUIT", "idle") and how == "before the command":
                continue  # it is the first, or there is no reply before it
            with self.subTest(step=step, how=how):
                self.prepare(step, how)
                if step == "RSET":  # a first message leaves an open transaction
                    first = self.outcome()
                    self.assertNotIsInstance(first, Delivered)
                outcome = self.outcome()
                self.assertEqual((step, how, self.kind(outcome)), (step, how, expected(step, how)), outcome)
                self.check_idle(step, how)
                self.check_next(step)

    def check_idle(self, step: str, how: str) -> None:
        """The bad server goes on while nobody asks it for anything; then it isn't used any more."""
        if step == "idle":
            (server,) = self.network.servers["bad"]
            server.misbehave("idle", b"250 x\r\n")
        self.clock.pump([0.25] * int((SETTINGS.idle_timeout + 4 * CLOSE_TIMEOUT + 20) / 0.25))
        for server in self.network.servers["bad"] + self.network.servers["good"]:
            self.assertFalse(server.open)
            self.assertLess(server.written, MOST_READ // 2)
        self.assertEqual((len(self.pool), self.clock.getDelayedCalls()), (0, []))

    def check_next(self, step: str) -> None:
        """The server is mended: nothing is remembered against it, and nothing of before is left."""
        before = self.network.taken("bad")
        self.network.how = "fine"
        self.assertIsInstance(self.outcome(), Delivered)
        if step != "STARTTLS":  # these servers have no TLS really
            self.assertEqual(self.network.taken("bad"), before + 1)
        self.clock.pump([1.0] * 60)

    def test_reused_connection(self) -> None:
        """What a server says while its connection waits for the next message ends that connection; the message takes another one."""
        for octets in (b"250 x\r\n", b"2", b" \n", b"421 bye\r\n", b"354 go\r\n", b"\x00", b"250-x\r\n"):
            with self.subTest(octets):
                self.prepare("", "fine")
                self.outcome()
                (server,) = self.network.servers["bad"]
                server._deliver(octets)
                self.clock.pump([0.0, 0.0])
                self.assertEqual(len(self.pool), 0)
                self.assertIsInstance(self.outcome(), Delivered)
                self.assertEqual(len(self.network.servers["bad"]), 2)

    def test_given_up_at_any_step(self) -> None:
        """An attempt that is given up ends at once, whatever it waits for: deferred with the reason, in doubt only behind the dot."""
        for step in ("connect", *STEPS[:-3]):
            with self.subTest(step):
                self.prepare(step, "silence")
                attempt, done = self.attempt()
                self.clock.pump([0.25] * 12)
                self.assertNoResult(done)
                attempt.progress.give_up(Temporary("4.4.7", "enough"))
                if not done.called:
                    done.cancel()
                self.successResultOf(done)
                outcome = attempt.outcomes[0]
                assert isinstance(outcome, Delayed)
                self.assertEqual((outcome.error.text, outcome.in_doubt), ("enough", step in ("body", "dot", "BDAT")))
                self.assertEqual(self.network.servers["good"], [])
                self.clock.pump([1.0] * 20)
                self.assertFalse(any(server.open for server in self.network.servers["bad"]))


class HostileAuthTests(SenderCase):
    """AUTH, and the handshake, which need TLS in a session: the sender alone."""

    def answers(self, how: str) -> tuple[bytes, ...]:
        """What comes in the place of the 235."""
        return {
            "garbage": (b"\x16\x03\x01 what?\r\n",),
            "endless line": (b"x" * 1000,) * 300,
            "endless lines": (b"235-more\r\n",) * 300,
            "octet by octet": (b"2",) * 3000,
            "421": (b"421 4.3.2 x\r\n",),
            "non-ASCII": (b"235 \xff\x00\xe2\x82\xac\x1b[2J\r\n",),
            "out of range": (b"999 x\r\n",),
            "65 kB": ((b"235-" + b"y" * 2000 + b"\r\n") * 31 + b"235 z\r\n",),
            "challenges": (b"334 \r\n",) * 20,
            "long challenge": ((b"334-" + b"A" * 2000 + b"\r\n") * 31 + b"334 A\r\n", b"334 \r\n"),
            "silence": (),
        }[how]

    def test_auth(self) -> None:
        """Each way in which a server can behave in AUTH ends within the time of a command, temporarily; an odd 235 is a 235."""
        for mechanism in (PlainClient, LoginClient, ScramClient):
            for how in (
                *(way for way in WAYS if way not in ("close", "reset", "before the command", "reply lost")),
                "challenges",
                "long challenge",
            ):
                with self.subTest(mechanism=mechanism.name, how=how):
                    self.setUp()
                    self.greet()
                    done = self.run_(self.sender.authenticate(mechanism("user", "password")))
                    for octets in self.answers(how):
                        self.server(octets)
                    self.clock.advance(SETTINGS.command_timeout + CLOSE_TIMEOUT)
                    if how in STILL_A_REPLY and mechanism is not ScramClient:
                        self.successResultOf(done)
                        continue
                    self.failureResultOf(done, Temporary)
                    self.assertGone()

    def test_lost(self) -> None:
        """A connection that ends in AUTH is an end like any other."""
        for reason in (ConnectionDone(), ConnectionLost()):
            self.setUp()
            self.greet()
            done = self.run_(self.sender.authenticate(PlainClient("user", "password")))
            self.sender.connectionLost(Failure(reason))
            self.failureResultOf(done, Temporary)
            self.assertEqual(self.clock.getDelayedCalls(), [])
