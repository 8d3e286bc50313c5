"""No client holds the others up: commands are worked off in slices, by turns."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from seg.receive.turns import HANDSHAKES, SLICE, STEPS, ClientTurns
from tests.receive.front_door import EHLO, MAIL, RCPT, TRANSACTION, FrontDoorCase

# What costs a client nothing to send, and us something to answer. Content among it: each piece or chunk is a step.
FLOODS = {
    "NOOP": b"NOOP\r\n",
    "RSET": b"RSET\r\n",
    "VRFY": b"VRFY x\r\n",
    "HELP": b"HELP\r\n",
    "EHLO": EHLO,
    "unknown": b"XYZZY\r\n",
    "empty lines": b"\r\n",
    "not ASCII": b"\xff\r\n",
    "bare LF": b"a\nb\r\n",
    "too long": b"x" * 1100 + b"\r\n",
    "AUTH": b"AUTH PLAIN AAAA\r\n",
    "STARTTLS": b"STARTTLS x\r\n",
    "XCLIENT": b"XCLIENT ADDR=192.0.2.1\r\n",
    "transactions": MAIL + RCPT + b"RSET\r\n",
    "messages": TRANSACTION + b".\r\n",
    "chunks": MAIL + RCPT + b"BDAT 1\r\nx" * 100 + b"RSET\r\n",
    "empty chunks": MAIL + RCPT + b"BDAT 0\r\n" * 100 + b"RSET\r\n",
    "recipients": MAIL + RCPT * 200 + b"RSET\r\n",
}
MANY = 10**9


class OneByOne:
    """A reactor's calls, turn by turn."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def callLater(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == 0
        self.due.append(call)

    def turn(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()

    def settle(self) -> None:
        while self.due:
            self.turn()


class SliceTests(FrontDoorCase):
    """Sessions with no other limit than their turns."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = OneByOne()
        self.turns = ClientTurns(self.reactor, seconds=lambda: 0.0)  # type: ignore[arg-type]
        self.build(
            max_unknown_commands=MANY, max_refusals=MANY, max_idle_commands=MANY, max_recipients=MANY, vrfy="answer"
        )

    def test_every_flood(self) -> None:
        """Of 64 KiB of anything a slice takes 20 steps; the transport is paused until the rest is done, and all of it is."""
        for name, flood in FLOODS.items():
            with self.subTest(name):
                client = self.connect()
                client.say(EHLO)
                client.transport.clear()
                client.protocol.dataReceived(flood * max(40, 4096 // len(flood)))
                self.assertLessEqual(client.heard().count(b"\r\n250 "), STEPS)
                self.assertLessEqual(client.heard().count(b"\r\n"), STEPS * 11)  # EHLO has some lines
                self.assertEqual(client.transport.producerState, "paused")
                before = len(client.heard())
                self.reactor.turn()
                self.assertGreater(len(client.heard()), before)
                self.reactor.settle()
                self.assertEqual(client.transport.producerState, "producing")
                self.assertEqual(client.codes(b"NOOP\r\n")[-1:], [250])

    def test_who_says_little_goes_first(self) -> None:
        """With fifty that pipeline without an end a newcomer is answered before they go on."""
        for _ in range(50):
            self.connect().protocol.dataReceived(EHLO + b"NOOP\r\n" * 10000)
        client = self.connect()
        client.protocol.dataReceived(EHLO + TRANSACTION + b".\r\n")
        self.assertIn(b"queued", client.heard())
        self.reactor.settle()

    def test_gone_meanwhile(self) -> None:
        """What a client sent that is gone by its turn isn't worked off."""
        client = self.connect()
        client.protocol.dataReceived(EHLO + b"NOOP\r\n" * 1000 + TRANSACTION + b".\r\n")
        client.vanish()
        self.reactor.settle()
        self.assertEqual(self.queue.messages, {})

    def test_octets_while_replies_are_unread(self) -> None:
        """What comes while the client takes none of our replies (the rest of a TLS record) is worked off when it does."""
        client = self.connect()
        client.transport.producer.pauseProducing()
        client.protocol.dataReceived(EHLO + b"NOOP\r\n")
        self.reactor.settle()
        self.assertNotIn(b"250", client.heard())
        client.transport.producer.resumeProducing()
        self.reactor.settle()
        self.assertTrue(client.heard().endswith(b"250 2.0.0 Ok\r\n"))
        self.assertEqual(client.transport.producerState, "producing")

    def test_unread_replies(self) -> None:
        """As long as the client takes none of our replies its commands wait, and they are worked off afterwards."""
        client = self.connect()
        client.protocol.dataReceived(EHLO + b"NOOP\r\n" * 100)
        client.transport.producer.pauseProducing()
        client.transport.clear()
        self.reactor.settle()
        self.assertEqual(client.heard(), b"")
        client.transport.producer.resumeProducing()
        self.reactor.settle()
        self.assertGreater(client.heard().count(b"250"), 70)
        self.assertEqual(client.transport.producerState, "producing")


class _Worker:
    """Has so many slices to do, each of so many seconds."""

    def __init__(self, name: str, slices: int, log: list[str], passing: list[float], cost: float) -> None:
        self.name, self.slices, self.log, self.passing, self.cost = name, slices, log, passing, cost
        self.broken = False

    def take_turn(self, most: int, until: float) -> bool:
        self.log.append(self.name)
        self.passing[0] += self.cost
        self.slices -= 1
        if self.slices < 0:
            raise ValueError("nothing to do")
        return self.slices > 0

    def break_off(self, error: BaseException) -> None:
        self.broken = True


class TurnsTests(SynchronousTestCase):
    """The order of slices."""

    def setUp(self) -> None:
        self.now = [0.0]
        self.log: list[str] = []
        self.reactor = OneByOne()
        self.turns = ClientTurns(self.reactor, lambda: self.now[0])  # type: ignore[arg-type]

    def worker(self, name: str, slices: int, cost: float = SLICE) -> _Worker:
        return _Worker(name, slices, self.log, self.now, cost)

    def test_one_after_the_other(self) -> None:
        """Between two looks at the sockets there is time for little, and everybody has a turn before anybody has another one."""
        for name in "abc":
            self.turns.ask(self.worker(name, 3))
        self.assertEqual(self.log, ["a"])
        for _ in range(8):
            before = len(self.log)
            self.reactor.turn()
            self.assertLessEqual(len(self.log) - before, 2)
        self.assertLessEqual("".join(self.log[:6]).count("a"), 3)
        self.assertEqual(sorted(self.log), list("aaabbbccc"))
        self.assertEqual(self.reactor.due, [])

    def test_newcomers_first_and_nobody_starves(self) -> None:
        """However many newcomers there are, one of those that wait for more has a slice each time."""
        self.turns.ask(self.worker("old", 5))
        for number in range(20):
            self.turns.ask(self.worker(f"new{number}", 1))
            self.reactor.turn()
        self.assertEqual(self.log[:12].count("old"), 5)

    def test_little_work_needs_no_call(self) -> None:
        """Who is done within a slice costs no turn of the reactor."""
        self.turns.ask(self.worker("a", 1, SLICE / 10))
        self.assertEqual(self.reactor.due, [])

    def test_handshakes(self) -> None:
        """Of many handshakes a few begin at a time, in order."""
        for number in range(HANDSHAKES * 3):
            self.turns.begin_handshake(lambda number=number: self.log.append(str(number)))  # type: ignore[misc]
        for count in (1, 2, 3, 3):
            self.assertEqual(self.log, [str(number) for number in range(HANDSHAKES * count)])
            self.reactor.turn()
        self.reactor.settle()

    def test_a_session_that_fails(self) -> None:
        """An error of one session ends that one, is logged, and stops no other."""
        broken, other = self.worker("broken", 0), self.worker("other", 2)
        self.turns.ask(other)
        self.turns.ask(broken)
        self.reactor.turn()
        self.reactor.turn()
        self.assertTrue(broken.broken)
        self.assertEqual(self.log.count("other"), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
