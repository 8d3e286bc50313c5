"""Sockets of listeners."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from seg.common.errors import ConfigurationError
from seg.config.receive import ListenerSettings
from seg.events.gateway import ListenerStarted
from seg.receive.binding import bind
from tests.doubles import MemoryQueue, RecordingSink
from tests.receive.made_listener import made_listener


class BindTests(SynchronousTestCase):
    """`seg.receive.binding.bind`."""

    def test_clients_wait(self) -> None:
        """From the moment of binding clients can connect, though nobody answers yet."""
        bound = bind(ListenerSettings(port=0))
        self.addCleanup(bound.close)
        socket.create_connection(bound.getsockname(), timeout=5).close()

    def test_taken(self) -> None:
        """An address that is taken is a fault that names listener and address."""
        bound = bind(ListenerSettings(port=0))
        self.addCleanup(bound.close)
        port = bound.getsockname()[1]
        fault = self.assertRaises(ConfigurationError, bind, ListenerSettings(name="relay", port=port))
        self.assertIn(f"listener relay: can't listen at 127.0.0.1:{port}: Address already in use", fault.problems[0])


class ServeTests(TestCase):
    """`Listener.serve`."""

    timeout = 10

    async def test_serve(self) -> None:
        """A client that connected before gets its greeting once the listener serves, and the log says where it listens."""
        sink = RecordingSink()
        listener = ListenerSettings(port=0)
        bound = bind(listener)
        address = bound.getsockname()
        early = socket.create_connection(address, timeout=5)
        self.addCleanup(early.close)
        factory = made_listener(MemoryQueue(), reactor, listener=listener, sink=sink)
        port = factory.serve(reactor, bound)  # type: ignore[arg-type]
        self.assertEqual(sink.of(ListenerStarted), [ListenerStarted("relay", *address)])
        while not factory.connections:
            await _turn()
        await port.stopListening()  # type: ignore[misc]
        await factory.shutdown(0)
        self.assertTrue(early.recv(100).startswith(b"220 mx.test ESMTP"))


async def _turn() -> None:
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.01)  # type: ignore[arg-type]
