"""Sessions towards hosts in memory: what a failure to connect means, and whose it is."""

from __future__ import annotations

import errno
from ipaddress import ip_address

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from seg.config.schema import Delivery
from seg.deliver.connection_limits import LimitReached
from seg.deliver.connections import ConnectionOpener
from seg.deliver.greetings import Greetings
from seg.deliver.handshake import TLSServices
from seg.deliver.host_connector import OF_ONE_WAY, ConnectionServices
from seg.deliver.interfaces import IConnector
from seg.deliver.outbound import OutboundSettings
from seg.deliver.pool import ConnectionPool
from seg.deliver.progress import AttemptProgress
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.deliver.slots import PATIENCE
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.deliver.verified_connection import VerifiedConnection
from seg.events.delivery import DeliveryConnectFailed
from seg.events.gateway import ConditionBegan, ConditionEnded
from seg.mail.errors import LOCAL_ERRNOS, Temporary, local_fault
from seg.mail.hosts import MXHost, PeerAddress
from seg.policy.requirement import Decision, Requirement, TLSLevel
from seg.tls.context import ClientTLS
from seg.tls.roots import RootStore
from tests.deliver.test_sender import MemoryTransport
from tests.doubles import CountingCounters, RecordingSink

ADDRESS = ip_address("192.0.2.1")
HOST = MXHost("mx.to.example", 10, (ADDRESS,))
BY_MX, BY_ROUTE = OutboundSettings(by_mx=True), OutboundSettings()
DECISION = Decision("to.example", HOST.name, Requirement(TLSLevel.MAY, clear_retry=True))


@implementer(IConnector)
class MemoryConnector:
    """Connects when the test says so, or fails."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.pending: list[Deferred[object]] = []
        self.senders: list[SMTPClientProtocol] = []
        self.factories: list[ESMTPSenderFactory] = []

    def connect(
        self, factory: object, address: PeerAddress, port: int, source: str, timeout: float
    ) -> Deferred[object]:
        """`IConnector.connect`."""
        assert isinstance(factory, ESMTPSenderFactory)
        if self.failure is not None:
            return fail(self.failure)
        self.factories.append(factory)
        self.pending.append(
            Deferred(lambda asked: asked.errback(ConnectingCancelledError(ADDRESS)))
        )  # as an endpoint does
        return self.pending[-1]

    def made(self, number: int) -> SMTPClientProtocol:
        """The connection asked for comes about."""
        sender = self.factories[number].buildProtocol(None)
        sender.makeConnection(MemoryTransport())
        self.senders.append(sender)
        self.pending[number].callback(sender)
        return sender


class SessionCase(SynchronousTestCase):
    """Sessions, their connector and their clock."""

    settings = Delivery(source_address="")

    def setUp(self) -> None:
        self.clock = Clock()
        self.sink = RecordingSink()
        self.connector = MemoryConnector()
        factory = ESMTPSenderFactory("seg.test", self.settings, self.clock, CountingCounters())
        pool, greetings = ConnectionPool(self.clock, 5.0), Greetings(self.clock)
        services = ConnectionServices(self.connector, factory, pool, greetings=greetings)
        tls = TLSServices(ClientTLS(), RootStore(()))
        self.sessions = ConnectionOpener(services, tls, self.settings, self.sink, self.clock.seconds)

    def open(self, host: MXHost = HOST, outgoing: OutboundSettings = BY_ROUTE) -> Deferred[VerifiedConnection]:
        """Open a session."""
        address = host.addresses[0]
        return Deferred.fromCoroutine(self.sessions.open(DECISION, host, address, outgoing, AttemptProgress()))


class ConnectTests(SessionCase):
    """What comes of a connect."""

    def test_faults_of_ours(self) -> None:
        """What the system refuses to this process defers with its reason; it is told once, and never held against the host."""
        for number in sorted(LOCAL_ERRNOS):
            for error in (OSError(number, "x"), ConnectBindError(number, "x"), ConnectError(number, "x")):
                self.connector.failure = error
                failed = self.failureResultOf(self.open(), Temporary).value
                self.assertEqual(failed.enhanced, "4.3.0")
                self.assertIsNotNone(local_fault(failed))
        self.assertEqual(self.sink.of(DeliveryConnectFailed), [])
        told = [event.text for event in self.sink.of(ConditionBegan)]
        self.assertEqual(len(told), len(LOCAL_ERRNOS - OF_ONE_WAY))  # each reason once
        self.connector.failure = None
        opened = self.open()
        self.connector.made(0)
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
        opened.addErrback(lambda _: None).cancel()

    def test_faults_of_theirs(self) -> None:
        """What a host or the way to it refuses is told as that host's."""
        for error in (ConnectionRefusedError(errno.ECONNREFUSED, "x"), TimeoutError(), OSError(errno.ENETUNREACH, "x")):
            self.connector.failure = error
            failed = self.failureResultOf(self.open(), Temporary).value
            self.assertEqual(failed.enhanced, "4.4.1")
            self.assertIsNone(local_fault(failed))
        self.assertEqual(len(self.sink.of(DeliveryConnectFailed)), 3)
        self.assertEqual(self.sink.of(ConditionBegan), [])

    def test_our_side_of_tls(self) -> None:
        """What fails in our own TLS before anything is sent is no failure of the host's: no retry in clear text."""

        def broken(*arguments: object) -> object:
            raise MemoryError

        self.patch(MemoryTransport, "startTLS", broken)
        opened = self.open()
        self.connector.made(0).dataReceived(b"220 x\r\n")
        self.clock.advance(0)
        sender = self.connector.senders[0]
        sender.dataReceived(b"250-x\r\n250 STARTTLS\r\n")
        sender.dataReceived(b"220 go\r\n")
        self.assertIsNotNone(local_fault(self.failureResultOf(opened, Temporary).value))
        self.assertEqual(len(self.connector.pending), 1)

    def test_cancelled(self) -> None:
        """A connect that is given up leaves nothing behind."""
        opened = self.open()
        opened.cancel()
        self.failureResultOf(opened, CancelledError)


class AddressTests(SessionCase):
    """How many connections go to one address that strangers name."""

    settings = Delivery(source_address="", max_connections=150)

    def test_before_the_first_greeting(self) -> None:
        """Two wait for the first greeting of an address; the others wait for what comes of them, and go when it greets."""
        opened = [self.open(outgoing=BY_MX) for _ in range(5)]
        self.assertEqual(len(self.connector.pending), 2)
        sender = self.connector.made(0)
        sender.dataReceived(b"220 x\r\n")
        self.assertEqual(len(self.connector.pending), 5)
        for each in opened:
            each.addErrback(lambda _: None).cancel()

    def test_silent(self) -> None:
        """Those that wait behind a silent address are deferred, or go to the next host, after some seconds, and later ones at once."""
        opened = [self.open(outgoing=BY_MX) for _ in range(5)]
        self.clock.advance(PATIENCE)
        for each in (*opened[2:], self.open(outgoing=BY_MX)):
            self.assertEqual(self.failureResultOf(each, Temporary).value.enhanced, "4.4.1")
        self.assertEqual(len(self.connector.pending), 2)
        by_route = self.open()  # the operator's own host isn't bound by it
        self.assertEqual(len(self.connector.pending), 3)
        for each in (*opened[:2], by_route):
            each.addErrback(lambda _: None).cancel()

    def test_several_domains(self) -> None:
        """Several domains at one address share so many connections, by MX or by a route, unless the operator set a limit by address."""
        for allowed, outgoing, most in (
            (20, BY_MX, 20),
            (20, OutboundSettings(by_mx=True, connections=25, per_address=True), 25),
            (20, OutboundSettings(by_mx=True, connections=25), 20),
            (20, BY_ROUTE, 20),
            (20, OutboundSettings(connections=25, per_address=True), 25),
            (7, BY_MX, 7),
            (7, BY_ROUTE, 7),
            (0, BY_MX, 28),
            (0, BY_ROUTE, 28),
        ):
            with self.subTest(allowed=allowed, most=most):
                self.settings = attrs.evolve(self.settings, host_connections=allowed)
                self.setUp()
                opened = []
                for number in range(28):
                    decision = attrs.evolve(DECISION, domain=f"d{number}.example")
                    opened.append(
                        Deferred.fromCoroutine(self.sessions.open(decision, HOST, ADDRESS, outgoing, AttemptProgress()))
                    )
                    if number < len(self.connector.pending):
                        self.connector.made(number).dataReceived(b"220 x\r\n")
                self.assertEqual(len(self.connector.pending), most)
                for each in opened[most:]:
                    self.failureResultOf(each, LimitReached)
                for each in opened[:most]:
                    each.addErrback(lambda _: None).cancel()

    def test_share(self) -> None:
        """A fifth of all connections go to one address, unless the operator set a limit by address; a route's host has no such bound."""
        for outgoing, most in (
            (BY_MX, 30),
            (OutboundSettings(by_mx=True, connections=40, per_address=True), 40),
            (OutboundSettings(by_mx=True, connections=40), 30),
            (OutboundSettings(), 45),
        ):
            with self.subTest(most=most):
                self.setUp()
                opened = []
                for number in range(45):
                    opened.append(self.open(outgoing=outgoing))
                    if number < len(self.connector.pending):
                        self.connector.made(number).dataReceived(b"220 x\r\n")
                self.assertEqual(len(self.connector.pending), most)
                for each in opened[most:]:
                    self.failureResultOf(each, LimitReached)
                for each in opened[:most]:
                    each.addErrback(lambda _: None).cancel()
