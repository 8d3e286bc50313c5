"""The admin API over TLS: what a connection may cost, and the listener."""

from __future__ import annotations

import datetime
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from seg.admin.http import RouteTable
from seg.admin.roles import Role
from seg.admin.tcp import (
    KEPT,
    LARGE_REQUEST_TIME,
    LINGER,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_ADDRESS,
    REQUEST_TIME,
    APISite,
    LimitedTLSFactory,
    TLSListener,
)
from seg.admin.token_access import TokenAccess
from seg.admin.tokens import Token, hash_of, parse_tokens, with_token
from seg.admin.wire.route import APIRoute, NoParameters
from seg.auth.backoff import Backoff
from seg.auth.reloading_file import FileFormat, ReloadingFile
from seg.auth.users_file import change
from seg.common.errors import ConfigurationError
from seg.config.schema import Control
from seg.events.gateway import AdminRefused, Fault, Notice
from seg.gateway.certificates import CertificateReloader
from seg.mail.client import client_address
from seg.mail.hosts import IPAddress
from seg.tls.listening import ListenerCertificates
from tests.certificates import self_signed
from tests.doubles import RecordingSink

ACT = b"Authorization: Bearer seg_act\r\n"
GET = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n"


@attrs.frozen
class Large:
    """A request with a large body."""

    MAX_BODY: ClassVar = 200_000

    size: int

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Large:
        """How large it is."""
        return cls(len(body.get("x", "")))


@attrs.frozen
class Said:
    """Who asks, and how much."""

    by: str
    size: int


async def status(asked: NoParameters | Large, by: str) -> Said:
    """Says who asks."""
    return Said(by, asked.size if isinstance(asked, Large) else 0)


def table() -> RouteTable:
    """Two operations, of which one takes large bodies."""
    made = RouteTable()
    made.add(APIRoute("GET", "/v1/status", "status", Role.WATCH, NoParameters, Said, ""), status)
    made.add(APIRoute("POST", "/v1/status", "say", Role.ACT, Large, Said, ""), status)
    return made


class Wire(StringTransport):
    """Closes only when the other end does, or when it is cut."""

    def __init__(self, host: str = "192.0.2.1") -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 40000))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As a TCP connection has it."""

    def loseConnection(self) -> None:
        """Ask for the end."""
        self.disconnecting = True


class SiteCase(SynchronousTestCase):
    """A site with a token, and a clock."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-tcp-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        change(self.folder / "tokens", lambda text: with_token(text, Token("a", Role.ACT, hash_of(b"seg_act"))))
        self.clock = Clock()
        self.sink = RecordingSink()
        kind = FileFormat("tokens file", parse_tokens, "no token counts", "seg token add")
        tokens = ReloadingFile(self.folder / "tokens", kind, execute, self.sink, self.clock.seconds, 0.0)
        door = TokenAccess(tokens, Backoff(self.clock.seconds), self.clock, self.sink)
        self.site = APISite(table(), door, self.clock)  # type: ignore[arg-type]

    def connect(self) -> tuple[Any, Wire]:
        """A connection within TLS."""
        channel: Any = self.site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 40000))
        wire = Wire()
        channel.makeConnection(wire)
        self.addCleanup(channel.connectionLost, None)
        return channel, wire

    def later(self, seconds: float) -> None:
        """Time passes in small steps."""
        for _ in range(round(seconds)):
            self.clock.advance(1)


class ConnectionTests(SiteCase):
    """`APIChannel` and `APIRequest`."""

    def test_served(self) -> None:
        """Several requests over one connection, each with its own token."""
        channel, wire = self.connect()
        for _ in range(3):
            channel.dataReceived(GET + ACT + b"\r\n")
            self.assertIn(b'{"by": "token a", "size": 0}', wire.value())
            wire.clear()
        channel.dataReceived(GET + b"\r\n")
        self.later(1)
        self.assertIn(b"HTTP/1.1 401 ", wire.value())
        self.assertIn(b'WWW-Authenticate: Bearer realm="seg"', wire.value())
        self.assertFalse(wire.disconnecting)

    def test_slow_header(self) -> None:
        """A header that comes octet by octet has a minute, and no more."""
        channel, wire = self.connect()
        for _ in range(round(REQUEST_TIME) - 1):
            channel.dataReceived(b"G")
            self.later(1)
        self.assertFalse(wire.disconnecting)
        self.later(1)
        self.assertTrue(wire.disconnecting)

    def test_slow_body(self) -> None:
        """So has a small body; a large one of a token for all has longer."""
        channel, wire = self.connect()
        channel.dataReceived(GET + ACT + b"\r\n")
        channel.dataReceived(b"POST /v1/status HTTP/1.1\r\nContent-Length: 60000\r\n" + ACT + b"\r\n")
        other, large = self.connect()
        other.dataReceived(b"POST /v1/status HTTP/1.1\r\nContent-Length: 150000\r\n" + ACT + b"\r\n")
        for _ in range(round(REQUEST_TIME)):
            channel.dataReceived(b" ")
            other.dataReceived(b" ")
            self.later(1)
        self.assertTrue(wire.disconnecting)
        self.assertFalse(large.disconnecting)
        self.later(LARGE_REQUEST_TIME - REQUEST_TIME)
        self.assertTrue(large.disconnecting)

    def test_idle(self) -> None:
        """Between two requests a connection has a minute."""
        channel, wire = self.connect()
        channel.dataReceived(GET + ACT + b"\r\n")
        self.later(REQUEST_TIME - 1)
        self.assertFalse(wire.disconnecting)
        self.later(1)
        self.assertTrue(wire.disconnecting)

    def test_end_without_the_other(self) -> None:
        """A client that doesn't take part in the end is cut off, whatever it asked for."""
        for request in (GET + b"Connection: close\r\n" + ACT + b"\r\n", b"rubbish\r\n\r\n", b""):
            channel, wire = self.connect()
            channel.dataReceived(request)
            self.later(REQUEST_TIME)
            self.assertTrue(wire.disconnecting)
            self.assertFalse(wire.disconnected)
            self.later(LINGER)
            self.assertTrue(wire.disconnected, request)

    def test_end(self) -> None:
        """Behind a connection nothing is left."""
        self.site.doStop()
        channel, _ = self.connect()
        channel.dataReceived(GET + b"Connection: close\r\n" + ACT + b"\r\n")
        channel.connectionLost(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large_body(self) -> None:
        """It is taken from a token for all, up to what some path takes, with its length or in chunks."""
        channel, wire = self.connect()
        channel.dataReceived(GET + ACT + b"\r\n")
        body = b'{"x": "' + b"x" * 150_000 + b'"}'
        channel.dataReceived(b"POST /v1/status HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + ACT + b"\r\n" + body)
        self.assertIn(b'"size": 150000', wire.value())
        wire.clear()
        head = b"POST /v1/status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + ACT + b"\r\n"
        channel.dataReceived(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        self.assertIn(b'"size": 150000', wire.value())
        wire.clear()
        channel.dataReceived(b"POST /v1/status HTTP/1.1\r\nContent-Length: 200001\r\n" + ACT + b"\r\n" + b"x" * 200_001)
        self.assertIn(b"HTTP/1.1 413 ", wire.value())
        self.assertIn(b"larger than 200000 octets", wire.value())
        self.assertEqual(self.sink.of(AdminRefused), [])

    def test_large_body_of_a_stranger(self) -> None:
        """It is refused before it is read, counts as a failure, and what comes behind it is nothing."""
        body = b"x" * 70_000
        for head in (
            b"Content-Length: 70000\r\n\r\n" + body,
            b"Transfer-Encoding: chunked\r\n\r\n11170\r\n" + body + b"\r\n0\r\n\r\n",
        ):
            channel, wire = self.connect()
            channel.dataReceived(b"POST /v1/status HTTP/1.1\r\n" + head + GET + ACT + b"\r\n")
            self.assertEqual(wire.value().count(b"HTTP/1.1 "), 1)
            self.assertIn(b"HTTP/1.1 413 ", wire.value())
            self.assertTrue(wire.disconnecting)
            self.assertEqual(self.sink.of(AdminRefused).pop().reason, "the body is larger than 65536 octets")

    def test_negotiation(self) -> None:
        """By ALPN it is HTTP/1.1 and nothing else."""
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])


class EntranceTests(SiteCase):
    """`LimitedTLSFactory`."""

    def setUp(self) -> None:
        super().setUp()
        pair = self_signed("gateway.example", now=datetime.datetime.now(datetime.UTC)).write(self.folder)
        self.known: set[IPAddress] = set()
        self.entrance = LimitedTLSFactory(
            ListenerCertificates([pair]), self.site, lambda address: address in self.known, self.clock
        )

    def enter(self, host: str) -> Any:
        """A connection from there, None when there is no room."""
        address = (IPv6Address if ":" in host else IPv4Address)("TCP", host, 40000)
        protocol: Any = self.entrance.buildProtocol(address)
        if protocol is not None:
            wire = Wire()
            wire.peerAddr = address
            protocol.makeConnection(wire)
        return protocol

    def test_limits(self) -> None:
        """So many from one address, an IPv6 network counting as one, and so many in all; who goes makes room. Some are kept for this machine
        and for those who were let in of late."""
        ours = [self.enter("192.0.2.1") for _ in range(MAX_CONNECTIONS_PER_ADDRESS)]
        self.assertNotIn(None, ours)
        self.assertIsNone(self.enter("192.0.2.1"))
        self.assertIsNone(self.enter("::ffff:192.0.2.1"))
        ours.pop().connectionLost(None)
        self.assertIsNotNone(self.enter("192.0.2.1"))
        six = [self.enter(f"2001:db8::{number}") for number in range(1, MAX_CONNECTIONS_PER_ADDRESS + 2)]
        self.assertEqual([each is None for each in six], [False] * MAX_CONNECTIONS_PER_ADDRESS + [True])
        rest = [self.enter(f"198.51.100.{number}") for number in range(MAX_CONNECTIONS)]
        self.assertEqual(rest.count(None), 2 * MAX_CONNECTIONS_PER_ADDRESS + KEPT)
        self.assertIsNone(self.enter("203.0.113.1"))
        self.known.add(client_address("203.0.113.1"))
        kept = [self.enter(host) for host in ["203.0.113.1", "127.0.0.1"] * KEPT]
        self.assertEqual(len(kept) - kept.count(None), KEPT)


class PortTests(SiteCase):
    """`TLSListener`."""

    def test_off(self) -> None:
        """Without an address there is nothing: no certificate is read, no port is bound."""
        port = TLSListener(Control(certificate="nowhere.pem"))
        port.bind()
        port.serve(None, table(), self.site.door, self.sink)
        self.successResultOf(Deferred.fromCoroutine(port.close()))
        self.assertEqual((port.certificates, self.sink.events), ({}, []))

    def test_certificate(self) -> None:
        """One that can't be used is a fault of the configuration."""
        with self.assertRaises(ConfigurationError) as caught:
            TLSListener(Control(address="192.0.2.1", certificate="/nowhere.pem"))
        self.assertIn("/nowhere.pem", str(caught.exception))

    def test_taken(self) -> None:
        """A port that can't be had is told with the section that wants it."""
        certificate, key = self_signed("a.example", now=datetime.datetime.now(datetime.UTC)).write(self.folder)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            number = other.getsockname()[1]
            port = TLSListener(Control(address="127.0.0.1", port=number, certificate=certificate, key=key))
            with self.assertRaises(ConfigurationError) as caught:
                port.bind()
        self.assertIn(
            f"[control] port: can't listen at 127.0.0.1:{number}: Address already in use", str(caught.exception)
        )

    def test_never_served(self) -> None:
        """What was bound for a start that failed is given back."""
        certificate, key = self_signed("a.example", now=datetime.datetime.now(datetime.UTC)).write(self.folder)
        port = TLSListener(Control(address="127.0.0.1", port=0, certificate=certificate, key=key))
        port.bind()
        self.successResultOf(Deferred.fromCoroutine(port.close()))

    def test_renewal(self) -> None:
        """A certificate that changes on disk is taken up as those of listeners are; a bad one is told of."""
        now = datetime.datetime.now(datetime.UTC)
        certificate, key = self_signed("a.example", now=now).write(self.folder)
        port = TLSListener(Control(address="127.0.0.1", port=0, certificate=certificate, key=key))
        renewal = CertificateReloader(lambda: port.certificates, self.clock, self.sink)
        self.patch(renewal, "_in_thread", execute)
        self_signed("b.example", now=now).write(self.folder)
        self.successResultOf(renewal.look())
        self.assertEqual(self.sink.of(Notice), [Notice("[control]: changed on disk, and in use")])
        Path(certificate).write_text("rubbish")
        self.successResultOf(renewal.look())
        self.assertIn("[control]: changed on disk, but can't be used", self.sink.of(Fault)[0].text)
