"""Our own certificates: told before they end, served when they have ended, never waited for."""

from __future__ import annotations

import datetime
import os
import threading
from pathlib import Path

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.clock import posix
from seg.common.errors import ConfigurationError
from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault
from seg.tls.clients import TrustedClients
from seg.tls.context import ClientIdentity
from seg.tls.expiry import DAY, INTERVAL, ExpiryWatch, Presented
from seg.tls.inventory import server_file, trust_list
from seg.tls.listening import ListenerCertificates
from seg.tls.roots import load_roots
from tests.certificates import Authority
from tests.doubles import RecordingSink

NOW = datetime.datetime.now(datetime.UTC)
ROOT = Authority.root(now=NOW)
LEAF = ROOT.leaf("mx.example", now=NOW)  # ends first in its chain
LONG_AGO = ROOT.leaf("old.example", now=NOW - datetime.timedelta(days=1000))


@attrs.define
class Shown:
    """What shows certificates."""

    presented: tuple[Presented, ...]


class WatchTests(SynchronousTestCase):
    """`ExpiryWatch`."""

    def watch(self, days: float) -> list[Event]:
        """Begin so many days before the end of a certificate; what is told at once."""
        self.clock, self.sink = Clock(), RecordingSink()
        end = min(each.not_valid_after_utc for each in LEAF.chain).timestamp()
        self.clock.advance(self.clock.seconds() + end - days * DAY - posix(self.clock))
        self.shown = Shown((Presented("mx.pem", LEAF.chain),))
        self.expiry = ExpiryWatch(lambda: {"listener relay": self.shown}, self.clock, self.sink)
        self.expiry.start()
        self.addCleanup(self.expiry.stop)
        return self.sink.events

    def pass_days(self, days: int) -> None:
        """Let time pass."""
        for _ in range(int(days * DAY / INTERVAL)):
            self.clock.advance(INTERVAL)

    def test_in_time(self) -> None:
        """A certificate with more than 30 days left is not told of until then; after that a Warning comes each day."""
        self.assertEqual(self.watch(31.5), [])
        self.pass_days(1)
        self.assertEqual(self.sink.events, [])
        self.pass_days(3)
        told = [event.text for event in self.sink.of(Fault)]
        self.assertEqual(len(told), 3)
        self.assertIn("mx.pem (listener relay): certificate CN=mx.example ends on ", told[0])
        self.assertIn("in 29 days", told[0])

    def test_at_the_start(self) -> None:
        """One that ends soon is told of at the start."""
        (fault,) = self.watch(1.5)
        self.assertIn("in 1 days; renew it", str(fault))
        self.assertTrue(self.expiry.lasting()[0].soon)

    def test_outdated(self) -> None:
        """One that has ended is a condition, with a Warning each day, until another one is in use."""
        self.watch(-1)
        (began,) = self.sink.of(ConditionBegan)
        self.assertIn("expired on", began.text)
        self.assertLess(self.expiry.lasting()[0].seconds_left, 0)
        self.pass_days(2)
        self.assertEqual((len(self.sink.of(ConditionBegan)), len(self.sink.of(Fault))), (1, 2))
        self.shown.presented = ()
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_not_yet_valid(self) -> None:
        """One that isn't valid yet is a condition, too, until its time has come."""
        self.watch(0)
        begin = LEAF.certificate.not_valid_before_utc.timestamp()
        self.clock.rightNow += begin - DAY - posix(self.clock)
        self.expiry.look()
        (began,) = self.sink.of(ConditionBegan)
        self.assertIn("is valid only from", began.text)
        self.clock.rightNow += 2 * DAY
        self.expiry.look()
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_never_started(self) -> None:
        """What was never started can be stopped."""
        ExpiryWatch(dict, Clock(), RecordingSink()).stop()


class OutdatedTests(SynchronousTestCase):
    """Certificates whose dates are wrong."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_served_at_the_start(self) -> None:
        """At the start one that has ended is served, by a listener and towards servers; in a new configuration, and in the place of a good
        one, it is a fault."""
        files = LONG_AGO.write(self.folder)
        for served in (ListenerCertificates([files], outdated=True), ClientIdentity(*files, outdated=True)):
            self.assertEqual(served.presented[0].chain, tuple(LONG_AGO.chain))
            self.assertRaises(ConfigurationError, served.load)
            LEAF.write(self.folder)
            served.load()
            self.assertEqual(served.presented[0].chain, tuple(LEAF.chain))
            LONG_AGO.write(self.folder)
            self.assertRaises(ConfigurationError, served.load)
            self.assertEqual(served.presented[0].chain, tuple(LEAF.chain))
        self.assertRaises(ConfigurationError, ListenerCertificates, [files])
        self.assertRaises(ConfigurationError, ClientIdentity, *files)

    def test_no_file(self) -> None:
        """A pipe, a device or a folder in the place of any PEM file is a fault in one line, and nobody waits for it."""
        pipe, good = str(self.folder / "pipe.pem"), LEAF.write(self.folder)
        os.mkfifo(pipe)
        now = datetime.datetime.now(datetime.UTC)
        for path in (pipe, "/dev/zero", str(self.folder)):
            faults: list[object] = []

            def all_of_them(path: str = path, faults: list[object] = faults) -> None:
                for read in (
                    lambda: ListenerCertificates([(path, "")]),
                    lambda: ListenerCertificates([(good[0], path)]),
                    lambda: ListenerCertificates([good], clients=path),
                    lambda: ClientIdentity(path),
                    lambda: TrustedClients(path),
                    lambda: load_roots(path, ""),
                    lambda: load_roots(good[0], path),
                ):
                    try:
                        read()
                    except ConfigurationError as error:
                        faults.append(error)
                faults.append(server_file(path, "", now).problems)
                faults.append(trust_list(path, now).problems)

            thread = threading.Thread(target=all_of_them, daemon=True)
            thread.start()
            thread.join(20)
            self.assertEqual(len(faults), 9, path)
            for fault in faults:
                self.assertIn("can't be read", str(fault))
