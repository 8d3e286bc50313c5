"""Hostile clients, in every state of a session: each ends in bounded time and memory, and the next client's message is unharmed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from zope.interface import implementer

from seg.auth.backoff import Backoff
from seg.auth.sasl_server import SASLServer
from seg.config.receive import Access, ListenerAuth, ListenerSettings, ListenerTLS, Receive, SenderGroup
from seg.dns.answer import DNSAnswer
from seg.events.receive import (
    ConnectionClosed,
    MessageAborted,
    MessageQueued,
    MessageStarted,
    ReceiveFailed,
    ReceiveTimedOut,
    ReceiveTLSFailed,
)
from seg.events.receive import ConnectionLost as ConnectionLostEvent
from seg.receive.protocol import READ_AHEAD
from tests.receive.front_door import DATA, EHLO, MAIL, MESSAGE, RCPT, TRANSACTION, Client, FrontDoorCase, TCPTransport
from tests.receive.made_listener import made_listener
from tests.receive.test_tls import ServerTLS

HOUR = 3600
BODY = b"Subject: x\r\n\r\nsome of it\r\n"
# What brings a session into each state; the last three words aren't commands.
STATES: dict[str, bytes | None] = {
    "before the banner": None,
    "greeted": b"",
    "EHLO": EHLO,
    "handshake": EHLO + b"STARTTLS\r\n",
    "AUTH": EHLO + b"AUTH PLAIN\r\n",
    "MAIL": EHLO + MAIL,
    "RCPT": EHLO + MAIL + RCPT,
    "DATA": EHLO + TRANSACTION,
    "body": EHLO + TRANSACTION + BODY,
    "dot": EHLO + TRANSACTION + BODY + b".\r\n",
    "BDAT": EHLO + MAIL + RCPT + b"BDAT 1000\r\nx",
    "QUIT": EHLO + b"QUIT\r\n",
}
GARBAGE = bytes(range(256)) * 64
ENDLESS = b"x" * 16384


class Transport(TCPTransport):
    """Can start TLS, in which nothing more comes."""

    tls = False

    def startTLS(self, context: object) -> None:
        self.tls = True


class SlowResolver:
    """Never answers."""

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        waiting: Deferred[DNSAnswer] = Deferred()
        return await waiting


@implementer(ICredentialsChecker)
class Refusing:
    """Knows nobody."""

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: object) -> Deferred[bytes | tuple[()]]:
        return fail(UnauthorizedLogin())


class HostileTests(FrontDoorCase):
    """Every state against every behaviour."""

    transport_class = Transport

    def listen(self, slow_names: bool) -> None:
        self.factory = made_listener(
            self.queue,
            self.clock,
            Receive(max_message_size=1_000_000),
            ListenerSettings(tls=ListenerTLS.STARTTLS, auth=ListenerAuth.OFFERED),
            ServerTLS(),
            ids=self.counters,
            sink=self.sink,
            sender_group=(
                SenderGroup(name="IN", match=("127.0.0.0/8",) if not slow_names else (".x.test",), access=Access.RELAY),
            ),
            resolver=SlowResolver() if slow_names else None,  # type: ignore[arg-type]
            sasl=SASLServer(Refusing(), Backoff(self.clock.seconds), self.clock),
            turns=self.turns,
        )

    def in_state(self, name: str) -> Client:
        """A client whose session is in this state."""
        begin = STATES[name]
        self.listen(begin is None)
        self.queue.by_hand = name == "dot"
        client = self.connect()
        if begin is not None:
            core = client.protocol._core  # type: ignore[attr-defined]
            if name == "AUTH":
                core.tls_from_the_start()
                client.protocol.session.auth.secured({})  # type: ignore[attr-defined]
            client.say(begin)
        client.transport.clear()
        return client

    # --- behaviours

    def silence(self, client: Client) -> None:
        """Nothing at all."""
        self.pass_time(client)

    def garbage(self, client: Client) -> None:
        """Octets of every kind, as many as are read."""
        self.flood(client, GARBAGE)

    def endless_line(self, client: Client) -> None:
        """No line end, as much as is read."""
        self.flood(client, ENDLESS)

    def octet_by_octet(self, client: Client) -> None:
        """An octet in two seconds."""
        self.pass_time(client, lambda: self.push(client, b"x"))

    def closing(self, client: Client) -> None:
        """The end of what it has to say; a half-closed connection is over for us as well."""
        client.protocol.connectionLost(Failure(ConnectionDone()))

    def reset(self, client: Client) -> None:
        """A reset."""
        client.protocol.connectionLost(Failure(ConnectionLost()))

    def ahead(self, client: Client) -> None:
        """Whole messages and nonsense, as much as is read, without waiting for a reply; then silence."""
        self.flood(client, (EHLO + MESSAGE + b"NOOP\r\n" * 50 + MAIL + RCPT + b"RSET\r\n") * 20, 100_000)

    def never_reading(self, client: Client) -> None:
        """No reply is taken."""
        if client.transport.producer is not None:
            client.transport.producer.pauseProducing()
        self.flood(client, EHLO + b"HELP\r\n" * 1000)

    BEHAVIOURS = (silence, garbage, endless_line, octet_by_octet, closing, reset, ahead, never_reading)

    def push(self, client: Client, data: bytes) -> bool:
        """Hand octets in, if they are read; whether they were."""
        transport = client.transport
        if client.closed or transport.aborted or transport.tls or transport.producerState == "paused":  # type: ignore[attr-defined]
            return False
        client.protocol.dataReceived(data)
        self.bounded(client)
        return True

    def flood(self, client: Client, data: bytes, most: int = 20_000_000) -> None:
        sent = 0
        while sent < most and self.push(client, data):
            client.settle()
            sent += len(data)
        self.assertLess(sent, 6_000_000)
        self.pass_time(client)

    def pass_time(self, client: Client, each: Callable[[], object] = lambda: None) -> None:
        """Up to an hour and a bit, or the end."""
        for _ in range(HOUR // 2 + 10):
            if client.transport.aborted:
                break
            each()
            self.clock.advance(2)
            self.commit()

    def commit(self) -> None:
        for commit in self.queue.commits if self.queue.by_hand else ():
            if not commit.called:
                commit.callback(None)

    def bounded(self, client: Client) -> None:
        core = client.protocol._core  # type: ignore[attr-defined]
        self.assertLessEqual(core.buffered, 2 * READ_AHEAD)
        for writer in self.queue.writers:
            self.assertLess(len(writer.data), 1_100_000)

    # --- what is said of them

    def end_of(self, client: Client, case: str) -> None:
        """The connection is closed or cut, and its story, and that of each message, has an end."""
        if not self.sink.of(ConnectionClosed):
            self.assertTrue(client.closed or client.transport.aborted, case)
            client.vanish()
        self.assertIsInstance(self.sink.events[-1], ConnectionClosed, case)
        self.assertEqual(len(self.sink.of(ConnectionClosed)), 1, case)
        self.commit()
        began, aborted = (len(self.sink.of(kind)) for kind in (MessageStarted, MessageAborted))
        self.assertEqual(began, aborted + len(self.sink.of(MessageQueued)), case)
        self.assertLess(len(self.sink.events), 3000, case)
        self.assertEqual(self.factory.connections, 0, case)
        self.assertTrue(all(w.committed or w.aborted for w in self.queue.writers), case)

    def why(self, behaviour: str) -> str:
        """The event that says why it ended."""
        reasons = (
            ReceiveTimedOut,
            ReceiveFailed,
            ReceiveTLSFailed,
            ConnectionLostEvent,
        )
        return next((type(e).__name__ for e in reversed(self.sink.events) if isinstance(e, reasons)), "")

    def test_every_state_and_behaviour(self) -> None:
        """Each ends in time, in flat memory, with its reason in the log; then a whole message of somebody else goes through."""
        for state in STATES:
            for behaviour in self.BEHAVIOURS:
                name = behaviour.__name__
                with self.subTest(f"{state}: {name}"):
                    self.setUp()
                    client = self.in_state(state)
                    began = self.clock.seconds()
                    behaviour(self, client)
                    self.assertLessEqual(self.clock.seconds() - began, HOUR + 30)
                    self.end_of(client, f"{state}: {name}")
                    self.assertIn(self.why(name), self.wanted(state, name), (state, name))
                    self.next_message_is_unharmed()

    def wanted(self, state: str, behaviour: str) -> tuple[str, ...]:
        """What the log may say of the end."""
        if state == "QUIT":
            return ("",)
        if state == "handshake":
            return ("ReceiveTLSFailed",)
        if behaviour in ("closing", "reset"):
            return ("ConnectionLost",)
        if state == "before the banner":  # it is we who don't come to an end
            return ("ReceiveFailed",)
        if behaviour in ("silence", "octet_by_octet", "never_reading"):
            return ("ReceiveTimedOut",)
        return ("ReceiveFailed", "ReceiveTimedOut")

    def next_message_is_unharmed(self) -> None:
        self.queue.by_hand = False
        self.queue.messages.clear()
        self.listen(False)
        client = self.connect("127.0.0.7")
        self.assertEqual(client.codes(EHLO + MAIL + RCPT + DATA + BODY + b".\r\nQUIT\r\n")[-2:], [250, 221])
        (message,) = self.queue.messages.values()
        self.assertTrue(message.content.endswith(BODY))
        self.assertEqual(message.content.count(b"Received:"), 1)
