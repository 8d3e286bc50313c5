"""File descriptors: limits that follow from them, and ports that pause."""

from __future__ import annotations

import errno
import os
import resource
import socket
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from seg.config.receive import Receive
from seg.config.schema import Delivery, Settings
from seg.events.gateway import ConditionBegan, ConditionEnded
from seg.gateway.descriptors import (
    ACCEPTS,
    CALM,
    LOOK,
    OWN,
    PAUSE,
    SHORT,
    SPARES,
    Descriptors,
    _ListeningSocket,
    limits_in_force,
    open_descriptors,
    raise_limit,
)
from tests.doubles import RecordingSink

SETTINGS = Settings()


class Port:
    """What is used of Twisted's port, and of its socket."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.fileno = self.socket.fileno
        self.connected, self.disconnecting, self.reading = True, False, True
        self.numberAccepts = 100

    def doRead(self) -> None:
        """Nobody is there."""

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True


class LimitsTests(SynchronousTestCase):
    """`limits_in_force` and `raise_limit`."""

    def test_enough(self) -> None:
        """With the descriptors that the systemd unit gives, what is configured is in force."""
        limits = limits_in_force(65536, SETTINGS)
        self.assertEqual((limits.connections_in, limits.connections_out, limits.kept), (1000, 500, 144))

    def test_few(self) -> None:
        """With the usual 1,024 both kinds of connections shrink in proportion."""
        limits = limits_in_force(1024, SETTINGS)
        self.assertEqual((limits.connections_in, limits.connections_out), (560, 280))
        self.assertIn("560 connections in and 280 out", limits.told)

    @given(st.integers(64, 10**6), st.integers(1, 10**5), st.integers(1, 10**5))
    def test_never_more_than_there_are(self, files: int, most_in: int, most_out: int) -> None:
        """Whatever is configured, all connections and what is kept fit into the descriptors, and some mail flows."""
        settings = attrs.evolve(
            SETTINGS, receive=Receive(max_connections=most_in), delivery=Delivery(max_connections=most_out)
        )
        limits = limits_in_force(files, settings)
        self.assertGreaterEqual(min(limits.connections_in, limits.connections_out), 1)
        self.assertLessEqual((limits.connections_in, limits.connections_out), (most_in, most_out))
        if files >= 2 * OWN + 8:
            self.assertLessEqual(limits.connections_in + limits.connections_out + limits.kept + OWN, files + 2)

    def test_raised(self) -> None:
        """The soft limit becomes the hard one."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        self.assertEqual(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self.assertGreater(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 256)

    def test_counted(self) -> None:
        """Descriptors are counted as the kernel has them."""
        before = open_descriptors()
        read, write = os.pipe()
        self.assertEqual(open_descriptors(), before + 2)
        os.close(read)
        os.close(write)


class DescriptorsTests(SynchronousTestCase):
    """`Descriptors`, with a limit of 1,000 of which 144 are kept."""

    def setUp(self) -> None:
        self.clock, self.sink, self.used, self.counts = Clock(), RecordingSink(), 100, 0
        self.descriptors = Descriptors(1000, self.clock, self.sink, self.count)
        self.descriptors.use(SETTINGS)
        self.sink.events.clear()
        self.addCleanup(self.descriptors.stop)
        self.port, self.failing = Port(), 0
        self.addCleanup(lambda port: port.socket.close(), self.port)
        self.patch(socket.socket, "accept", lambda listening: self.accepted())

    def count(self) -> int:
        self.counts += 1
        return self.used

    def accepted(self) -> tuple[str, None]:
        """The system's word on accept(2)."""
        if self.failing:
            raise OSError(self.failing, os.strerror(self.failing))
        return "client", None

    def accept(self, port: Port | None = None) -> Any:
        """What Twisted does when a port is ready; None: nobody there."""
        listening: Any = (port or self.port).socket
        try:
            return listening.accept()[0]
        except BlockingIOError:
            return None

    def test_paused_while_short(self) -> None:
        """A listener accepts until only those kept are free, also in one burst between two counts; then it isn't read from, so that
        nothing spins, and goes on when there are more."""
        self.descriptors.watch(self.port)
        taken = 0
        while self.accept():
            taken += 1
            self.used += 1
        self.assertEqual(taken, 1000 - 144 - 100 + 1)
        self.assertFalse(self.port.reading)
        self.assertLess(self.counts, 10)
        self.clock.pump([LOOK] * 100)
        self.assertFalse(self.port.reading)
        self.used = 800
        self.clock.pump([LOOK] * 5)
        self.assertTrue(self.port.reading)
        self.assertEqual(self.accept(), "client")
        self.assertEqual((len(self.sink.of(ConditionBegan)), len(self.sink.of(ConditionEnded))), (1, 0))
        self.clock.advance(CALM)
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_count_fails(self) -> None:
        """If not even the count can be had, nothing is free."""
        self.descriptors._count = self._no_descriptor
        self.descriptors.watch(self.port)
        self.assertIsNone(self.accept())
        self.assertFalse(self.port.reading)

    def _no_descriptor(self) -> int:
        raise OSError(errno.EMFILE, "too many")

    def test_accept_fails(self) -> None:
        """Whatever the system lacks, accept never fails in a way that makes Twisted try again at once, and the port rests."""
        for self.failing in sorted(SHORT):
            port = Port()
            self.addCleanup(port.socket.close)
            self.descriptors.watch(port)
            self.assertIsNone(self.accept(port))
            self.assertFalse(port.reading, errno.errorcode[self.failing])
            self.failing = 0
            self.clock.advance(PAUSE)
            self.assertTrue(port.reading)
        self.assertEqual(len(self.sink.of(ConditionBegan)), 1)
        self.failing = errno.EPERM
        self.assertRaises(OSError, port.socket.accept)

    def test_control_socket_has_its_own(self) -> None:
        """The operators' port accepts while listeners are paused, and when none are left at all it gives up those kept for it."""
        self.descriptors.keep_open(self.port)
        self.used = 1000
        self.assertEqual(self.accept(), "client")
        before = open_descriptors()
        self.failing = errno.EMFILE
        kept = self.descriptors._spares

        def accepted(listening: object) -> tuple[str, None]:
            if kept:
                raise OSError(errno.EMFILE, "too many")
            return "client", None

        self.patch(socket.socket, "accept", accepted)
        self.assertEqual(self.accept(), "client")
        self.assertEqual(open_descriptors(), before - SPARES)
        self.assertTrue(self.port.reading)
        self.clock.advance(PAUSE)
        self.assertEqual(open_descriptors(), before)

    def test_closed_port(self) -> None:
        """A port that is closed meanwhile isn't read from again."""
        self.descriptors.watch(self.port)
        self.used = 1000
        self.clock.advance(2)
        self.assertIsNone(self.accept())
        self.port.disconnecting, self.used = True, 0
        self.clock.pump([LOOK] * 8)
        self.assertFalse(self.port.reading)

    def test_told(self) -> None:
        """Smaller limits than configured are told, and when they are no more."""
        self.assertIn(
            "of open files is 1000",
            Descriptors(1000, self.clock, self.sink, self.count).use(SETTINGS).told,
        )
        (began,) = self.sink.of(ConditionBegan)
        self.assertIn("configured are 1000 and 500", began.text)
        self.descriptors.use(
            attrs.evolve(SETTINGS, receive=Receive(max_connections=10), delivery=Delivery(max_connections=10))
        )
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_real_socket(self) -> None:
        """It is the same socket as before, and doesn't block."""
        descriptor = self.port.socket.fileno()
        self.descriptors.watch(self.port)
        self.assertIsInstance(self.port.socket, _ListeningSocket)
        self.assertEqual((self.port.fileno(), self.port.socket.gettimeout()), (descriptor, 0.0))


class BurstTests(TestCase):
    """A port of the real reactor."""

    timeout = 20

    async def test_burst(self) -> None:
        """However many clients connect together, and however often that happens, a few are accepted in one turn, and all in the end."""
        descriptors = Descriptors(10_000, reactor, RecordingSink(), lambda: 100)  # type: ignore[arg-type]
        descriptors.use(SETTINGS)
        self.addCleanup(descriptors.stop)
        accepted: list[int] = []
        everybody: Deferred[None] = Deferred()

        class Idle(Factory):
            """Takes connections, and closes them."""

            noisy = False

            def buildProtocol(self, addr: object) -> None:
                accepted[-1] += 1
                if sum(accepted) == 150:
                    everybody.callback(None)

        port: Any = reactor.listenTCP(0, Idle(), backlog=200, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        descriptors.watch(port)
        ready = port.doRead

        def counted() -> None:
            accepted.append(0)
            ready()

        port.doRead = counted
        clients = [socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5) for _ in range(150)]
        for client in clients:
            self.addCleanup(client.close)
        await everybody
        self.assertEqual(max(accepted), ACCEPTS)
