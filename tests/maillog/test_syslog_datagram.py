"""Syslog over datagrams: nothing blocks, what waits is bounded, what is lost is counted."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.maillog.syslog_datagram import RENEW, DatagramLink, connect_udp, connect_unix
from seg.maillog.syslog_link import Backlog, delay_after
from tests.maillog.syslog_double import Daemon, Told


class BacklogTests(SynchronousTestCase):
    """Messages that wait."""

    def test_bounded(self) -> None:
        """What finds no room is lost and counted; a note always finds room."""
        backlog = Backlog(10)
        self.assertTrue(backlog.add([b"12345", b"67890"]))
        self.assertFalse(backlog.add([b"x", b"y"]))
        backlog.add_note(b"two lost")
        self.assertEqual((backlog.lost, len(backlog), backlog.size), (2, 3, 18))
        self.assertEqual(backlog.take(10), [b"12345", b"67890"])
        self.assertTrue(backlog.add([b"z"]))

    def test_take(self) -> None:
        """As many as fit, but always one; put back they come first again."""
        backlog = Backlog(100)
        backlog.add([b"aaaa", b"bb", b"c"])
        self.assertEqual(backlog.take(1), [b"aaaa"])
        self.assertEqual(backlog.take(3), [b"bb", b"c"])
        self.assertEqual((backlog.take(3), backlog.size), ([], 0))
        backlog.put_back([b"bb", b"c"])
        self.assertEqual((backlog.first(), backlog.size), (b"bb", 3))

    def test_delays(self) -> None:
        """The wait for the next try doubles, up to a minute."""
        self.assertEqual([delay_after(n) for n in range(9)], [1, 1, 2, 4, 8, 16, 32, 60, 60])
        self.assertEqual(delay_after(10**9), 60)


class DatagramCase(SynchronousTestCase):
    """A link to a daemon that does as it is told."""

    unix = True

    def setUp(self) -> None:
        self.clock = Clock()
        self.told = Told()
        self.daemon = Daemon(self.unix)
        self.link = self.begin()

    def begin(self, most: int = 1000) -> DatagramLink:
        """A link, started."""
        link = DatagramLink(self.daemon.connect, self.clock, self.told, not self.unix, most)
        link.start()
        return link

    def send(self, *numbers: int) -> None:
        """Messages that bear numbers."""
        self.link.send([b"%d" % number for number in numbers])

    @property
    def got(self) -> str:
        """What the daemon got, since the last look."""
        got, self.daemon.got = self.daemon.got, []
        return b" ".join(got).decode()

    def end(self) -> None:
        """End the link; nothing is left behind."""
        self.successResultOf(self.link.stop())
        self.assertEqual((self.clock.getDelayedCalls(), self.daemon.open), ([], 0))


class UnixTests(DatagramCase):
    """The daemon of this machine."""

    def test_send(self) -> None:
        """A message is a datagram, at once; nothing is told."""
        self.send(1, 2)
        self.assertEqual((self.got, self.told.news), ("1 2", []))
        self.end()

    def test_not_there(self) -> None:
        """Without a daemon lines wait; it is told once that it is away, and that it is back; nothing was lost."""
        self.end()
        self.daemon.gone = True
        self.link = self.begin()
        self.send(1)
        self.clock.pump([1, 2, 4])
        self.send(2)
        self.assertEqual((self.got, self.told.news), ("", ["away: No such file or directory"]))
        self.daemon.gone = False
        self.clock.advance(8)
        self.assertEqual((self.got, self.told.news[1:]), ("1 2", ["back"]))
        self.end()

    def test_goes_away(self) -> None:
        """A daemon that goes away is looked for again, soon at first."""
        self.send(1)
        self.daemon.gone = True
        self.send(2, 3)
        self.assertEqual(self.told.news, ["away: Connection refused"])
        self.daemon.gone = False
        self.clock.advance(1)
        self.assertEqual((self.got, self.told.news[1:]), ("1 2 3", ["back"]))
        self.daemon.gone = True
        self.send(4)
        self.daemon.gone = False
        self.clock.advance(1)  # as soon as the first time
        self.assertEqual(self.got, "4")
        self.end()

    def test_lost(self) -> None:
        """Beyond the memory set aside lines are lost, and told once it is back: to the daemon behind what was kept."""
        self.end()
        self.daemon.gone = True
        self.link = self.begin(most=4)
        self.send(1, 2, 3, 4, 5, 6)
        self.send(7)
        self.daemon.gone = False
        self.clock.advance(1)
        self.assertEqual(self.got, "1 2 3 4 NOTE 3")
        self.assertEqual(self.told.news, ["away: No such file or directory", "back", "lost 3"])
        self.send(8)
        self.assertEqual((self.got, len(self.told.news)), ("8", 3))
        self.end()

    def test_full(self) -> None:
        """A daemon that reads slowly is waited for, and nobody is alarmed."""
        self.daemon.room = 1
        self.send(1, 2, 3)
        self.send(4)
        self.assertEqual(self.got, "1")
        self.daemon.room = 2
        self.clock.advance(0.02)
        self.assertEqual(self.got, "2 3")
        self.daemon.room = 9
        self.clock.advance(0.02)
        self.assertEqual((self.got, self.told.news), ("4", []))
        self.end()

    def test_too_slow(self) -> None:
        """One that is slower than the log for long is told of, and what was lost once it has caught up."""
        self.end()
        self.link = self.begin(most=3)
        self.daemon.room = 0
        self.send(1, 2, 3, 4, 5)
        self.assertEqual(self.told.news, ["away: it is too slow"])
        self.daemon.room = 9
        self.clock.advance(0.02)
        self.assertEqual((self.got, self.told.news[1:]), ("1 2 3 NOTE 2", ["back", "lost 2"]))
        self.end()

    def test_too_long(self) -> None:
        """A message that the system never takes is lost and counted; the others go."""
        self.daemon.most = 6
        self.link.send([b"1", b"long message", b"2"])
        self.assertEqual((self.got, self.told.news), ("1 2 NOTE 1", ["lost 1"]))
        self.end()

    def test_stop(self) -> None:
        """At the end what still goes is sent, and what doesn't is counted."""
        self.daemon.room = 0
        self.send(1, 2, 3)
        self.daemon.room = 1
        self.end()
        self.assertEqual((self.got, self.told.news), ("1", ["lost 2"]))
        self.successResultOf(self.link.stop())
        self.assertEqual(self.told.news, ["lost 2"])

    def test_stop_while_away(self) -> None:
        """The end while nobody is there."""
        self.end()
        self.daemon.gone = True
        self.link = self.begin()
        self.send(1)
        self.end()
        self.assertEqual(self.told.news, ["away: No such file or directory", "lost 1"])

    def test_stop_while_looked_for(self) -> None:
        """A socket that is made after the end is closed, and a failure then is no news."""
        for error in (None, OSError(2, "No such file")):
            waiting: Deferred[Any] = Deferred()
            link = DatagramLink(lambda d=waiting: d, self.clock, self.told, False)  # type: ignore[misc]
            link.start()
            link.stop()
            if error is None:
                self.daemon.connect().addCallback(waiting.callback)
            else:
                waiting.errback(error)
        self.end()
        self.assertEqual(self.told.news, [])


class UDPTests(DatagramCase):
    """A host that answers with ICMP, or not at all."""

    unix = False

    def test_refused(self) -> None:
        """The refusal of a message comes with the next: both wait, go again, and nothing is lost or comes twice."""
        self.daemon.gone = True
        self.send(1)
        self.send(2)
        self.assertEqual(self.told.news, ["away: Connection refused"])
        self.send(3)
        self.daemon.gone = False
        self.clock.advance(1)
        self.assertEqual((self.got, self.told.news[1:]), ("1", []))  # alone
        self.clock.advance(0.5)
        self.assertEqual((self.got, self.told.news[1:]), ("2 3", ["back"]))
        self.end()

    def test_refused_again(self) -> None:
        """While messages are refused, one goes at a time, more and more seldom, and it is told once."""
        self.daemon.gone = True
        self.send(1)
        self.send(2)
        for delay in (1, 2, 4):
            self.clock.advance(delay)
            self.clock.advance(0.5)
        self.assertEqual((self.daemon.made, self.told.news), (4, ["away: Connection refused"]))
        self.daemon.gone = False
        self.clock.pump([8, 0.5])
        self.assertEqual((self.got, self.told.news[1:]), ("1 2", ["back"]))
        self.end()

    def test_name_unknown(self) -> None:
        """A name that can't be looked up is a reason, too; with nothing to send there is nothing to prove."""
        self.end()
        self.daemon.unknown = True
        self.link = self.begin()
        self.assertEqual(self.told.news, ["away: no such host"])
        self.daemon.unknown = False
        self.clock.advance(1)
        self.clock.advance(5)
        self.assertEqual(self.told.news[1:], [])
        self.send(1)
        self.clock.advance(0.5)
        self.assertEqual((self.got, self.told.news[1:]), ("1", ["back"]))
        self.end()

    def test_stop_in_doubt(self) -> None:
        """What was never proven to arrive counts as lost."""
        self.daemon.gone = True
        self.send(1)
        self.send(2)
        self.clock.advance(1)
        self.end()
        self.assertEqual(self.told.news[1:], ["lost 2"])

    def test_full_while_in_doubt(self) -> None:
        """A full socket is waited for, in doubt as well."""
        self.daemon.gone = True
        self.send(1)
        self.send(2)
        self.daemon.gone = False
        self.daemon.room = 0
        self.clock.advance(1)
        self.daemon.room = 9
        self.clock.advance(0.02)
        self.assertEqual(self.got, "1")
        self.clock.advance(0.5)
        self.assertEqual(self.got, "2")
        self.end()

    def test_renewed(self) -> None:
        """The host's address is looked up again now and then, without a gap; a failure of that changes nothing."""
        self.clock.advance(RENEW)
        self.send(1)
        self.assertEqual((self.daemon.made, self.daemon.open), (2, 1))
        self.send(2)
        self.assertEqual(self.daemon.made, 2)
        self.daemon.unknown = True
        self.clock.advance(RENEW)
        self.send(3)
        self.send(4)
        self.assertEqual((self.got, self.told.news), ("1 2 3 4", []))
        self.end()

    def test_renewed_too_late(self) -> None:
        """An address that is known after the end is of no use; one look-up at a time is enough."""
        self.clock.advance(RENEW)
        waiting: Deferred[Any] = Deferred()
        self.link._connect = lambda: waiting
        self.send(1)
        self.clock.advance(RENEW)
        self.send(2)
        self.link.stop()
        self.daemon.connect().addCallback(waiting.callback)
        self.end()


class ConnectTests(SynchronousTestCase):
    """The sockets themselves."""

    def in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        """At once."""
        return maybeDeferred(work)

    def test_unix(self) -> None:
        """A datagram socket that doesn't block, to a path; without a listener an error."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        path = str(Path(folder) / "log")
        self.failureResultOf(connect_unix(path), OSError)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            made: Any = self.successResultOf(connect_unix(path))
            made.send(b"x")
            self.assertEqual((server.recv(9), made.getblocking()), (b"x", False))
            made.close()

    def test_udp(self) -> None:
        """A datagram socket that doesn't block, to a host."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            made: Any = self.successResultOf(connect_udp("127.0.0.1", server.getsockname()[1], self.in_thread))
            made.send(b"x")
            self.assertEqual((server.recv(9), made.getblocking()), (b"x", False))
            made.close()
