"""A listener shuts down in order."""

from __future__ import annotations

from tests.receive.front_door import EHLO, MESSAGE, TRANSACTION, FrontDoorCase

LAST_WORD = b"421 4.3.2 Service shutting down; try again later\r\n"


class ShutdownTests(FrontDoorCase):
    """`ReceiveFactory.shutdown`."""

    def test_without_sessions(self) -> None:
        """It is done at once."""
        self.assertIsNone(self.successResultOf(self.factory.shutdown(30)))

    def test_idle(self) -> None:
        """Idle sessions get 421 now; it is done when they are gone."""
        client = self.connect()
        client.say(EHLO + MESSAGE)
        client.transport.clear()
        done = self.factory.shutdown(30)
        self.assertEqual(client.heard(), LAST_WORD)
        self.assertNoResult(done)
        client.vanish()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_running(self) -> None:
        """A running transaction may end; then comes the 421, and nothing new begins."""
        client = self.connect()
        client.say(EHLO + TRANSACTION + b"x\r\n")
        done = self.factory.shutdown(30)
        self.assertEqual(client.heard().count(b"421"), 0)
        said = client.say(b".\r\n" + MESSAGE)
        self.assertEqual(said, b"250 2.0.0 Ok: queued as 1\r\n" + LAST_WORD)
        self.assertEqual(list(self.queue.messages), [1])
        client.vanish()
        self.successResultOf(done)

    def test_out_of_patience(self) -> None:
        """After the given time a transaction that isn't over is dropped with 421."""
        client = self.connect()
        client.say(EHLO + TRANSACTION + b"x\r\n")
        self.factory.shutdown(30)
        client.transport.clear()
        self.clock.advance(30)
        self.assertEqual(client.heard(), LAST_WORD)
        self.assertTrue(client.closed)
        self.assertTrue(self.queue.writers[0].aborted)

    def test_commit_pending(self) -> None:
        """A message that is being made durable gets its 250 even then."""
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE)
        self.factory.shutdown(30)
        self.clock.advance(30)
        client.transport.clear()
        self.queue.commits[0].callback(None)
        self.assertEqual(client.heard(), b"250 2.0.0 Ok: queued as 1\r\n" + LAST_WORD)

    def test_newcomers(self) -> None:
        """A connection that still comes in gets 421 and no session."""
        self.factory.shutdown(30)
        self.assertEqual(self.connect().heard(), LAST_WORD)
        self.assertEqual(self.sink.events, [])
