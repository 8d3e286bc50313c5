"""Nothing a client does costs more than the limits allow."""

from __future__ import annotations

from seg.events.receive import ReceiveFailed, ReceiveTimedOut
from seg.receive.connection_counter import ConnectionCounter
from seg.receive.timers import CLOSING_GRACE
from tests.receive.front_door import EHLO, MAIL, MESSAGE, RCPT, TRANSACTION, FrontDoorCase


class LimitTests(FrontDoorCase):
    """Sizes and counts."""

    def test_message_size(self) -> None:
        """A message above the limit is read to its end without being stored, and refused 552 5.3.4."""
        self.build(max_message_size=2000)
        client = self.connect()
        client.say(EHLO + TRANSACTION)
        for _ in range(100):
            self.assertEqual(client.say(b"x" * 998 + b"\r\n"), b"")
        self.assertEqual(client.say(b".\r\n"), b"552 5.3.4 Message size exceeds limit\r\n")
        self.assertLess(len(self.queue.writers[0].data), 2300)
        self.assertTrue(self.queue.writers[0].aborted)
        self.assertEqual(client.codes(b"MAIL FROM:<> SIZE=2001\r\n"), [552])
        failed = ReceiveFailed(1, "Message size exceeds limit")
        self.assertEqual(self.sink.of(ReceiveFailed), [failed, failed])

    def test_recipients(self) -> None:
        """Recipients above the limit get 452 4.5.3; the message goes to the others."""
        self.build(max_recipients=2)
        client = self.connect()
        self.assertEqual(
            client.codes(EHLO + MAIL + RCPT + b"RCPT TO:<c@two.test>\r\n" + RCPT), [250, 250, 250, 250, 452]
        )
        self.assertEqual(client.codes(b"DATA\r\n.\r\n"), [354, 250])
        self.assertEqual(len(self.queue.messages[1].envelope.recipients), 2)

    def test_connections_per_address(self) -> None:
        """One connection too many from an address gets 421 4.7.0 and no ICID; others aren't concerned."""
        self.build(max_connections_per_address=2)
        clients = [self.connect("127.0.0.1") for _ in range(2)]
        refused = self.connect("127.0.0.1")
        self.assertEqual(refused.heard(), b"421 4.7.0 Too many connections; try again later\r\n")
        self.assertTrue(refused.closed)
        self.assertEqual(refused.say(EHLO), b"")
        self.assertEqual(self.sink.events[-1], ReceiveFailed(0, "Connection limit exceeded: 2 from 127.0.0.1"))
        self.assertIn(b"220", self.connect("127.0.0.3").heard())
        clients[0].vanish()
        self.assertIn(b"220", self.connect("127.0.0.1").heard())

    def test_connections_in_all(self) -> None:
        """The limit in all holds over every address and every listener that shares a connections."""
        connections = ConnectionCounter(2, 2)
        self.build(connections=connections)
        self.connect("127.0.0.1")
        self.build(connections=connections)
        last = self.connect("127.0.0.2")
        self.assertIn(b"421 4.7.0", self.connect("127.0.0.3").heard())
        last.vanish()
        self.assertEqual(connections.total, 1)
        self.assertIn(b"220", self.connect("127.0.0.3").heard())

    def test_many_commands_unread(self) -> None:
        """A flood of commands is answered piece by piece; replies are never kept by the session itself."""
        self.build(max_idle_commands=20_000)
        client = self.connect()
        self.assertEqual(client.say(b"NOOP\r\n" * 10000).count(b"250"), 10000)


class TimeTests(FrontDoorCase):
    """Time-outs."""

    def setUp(self) -> None:
        super().setUp()
        self.build(command_timeout=100.0, data_timeout=50.0, connection_timeout=1000.0, min_data_rate=0)

    def test_command(self) -> None:
        """A client that sends no command in time gets 421 4.4.2 and is disconnected."""
        client = self.connect()
        client.say(EHLO + MESSAGE)
        self.clock.advance(99)
        client.say(b"NOOP\r\n")
        self.clock.advance(99)
        self.assertFalse(client.closed)
        client.transport.clear()
        self.clock.advance(1)
        self.assertEqual(client.heard(), b"421 4.4.2 Timeout; closing connection\r\n")
        self.assertTrue(client.closed)
        self.assertEqual(self.sink.events[-1], ReceiveTimedOut(1, "127.0.0.1", 1))

    def test_content(self) -> None:
        """Inside DATA the shorter time holds, from piece to piece; what has come is forgotten."""
        client = self.connect()
        client.say(EHLO + TRANSACTION)
        self.clock.advance(49)
        client.say(b"x")
        self.clock.advance(49)
        self.assertFalse(client.closed)
        self.clock.advance(1)
        self.assertTrue(client.closed)
        self.assertTrue(self.queue.writers[0].aborted)
        self.assertEqual(self.told()[-3:], ["ReceiveTimedOut", "MessageAborted", "MessageFinished"])

    def test_life(self) -> None:
        """A connection that is busy for ever ends with 421 4.4.2, also inside DATA."""
        client = self.connect()
        client.say(EHLO + TRANSACTION)
        for _ in range(25):
            self.clock.advance(40)
            client.say(b"x")
        self.assertTrue(client.closed)
        self.assertEqual(
            self.sink.of(ReceiveFailed),
            [ReceiveFailed(1, "Allowable connection time exceeded")],
        )
        self.assertEqual(self.queue.messages, {})

    def test_our_slowness(self) -> None:
        """While a commit is pending no time-out ends the session: the client gets its 250 first."""
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE)
        client.transport.clear()
        for _ in range(20):
            self.clock.advance(100)
        self.assertEqual(client.heard(), b"")
        self.queue.commits[0].callback(None)
        self.assertTrue(client.heard().startswith(b"250 2.0.0 Ok: queued as 1\r\n421 4.4.2 "))
        self.assertTrue(client.closed)

    def test_client_that_does_not_close(self) -> None:
        """When the last reply can't be delivered, the connection is cut after a moment."""
        client = self.connect()
        client.say(b"QUIT\r\n")
        self.clock.advance(CLOSING_GRACE - 1)
        self.assertFalse(client.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(client.transport.aborted)

    def test_nothing_is_read_behind_the_end(self) -> None:
        """What arrives behind the last reply is ignored."""
        client = self.connect()
        client.say(b"QUIT\r\n")
        self.assertEqual(client.say(EHLO + MESSAGE), b"")
        self.assertEqual(self.queue.messages, {})
