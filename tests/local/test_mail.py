"""The aliases as the running gateway knows them."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import Destinations, NextHop, SMTPRoute
from seg.config.schema import GatewaySettings
from seg.events.gateway import Fault
from seg.events.runtime import Runtime
from seg.local.mail import EVERY, LocalMail
from seg.local.table import NoTaker
from tests.doubles import RecordingSink


class LocalMailTests(SynchronousTestCase):
    """`seg.local.mail.LocalMail`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(mode=0o755)
        self.file = self.folder / "aliases"
        self.clock, self.sink, self.destinations = Clock(), RecordingSink(), Destinations()
        self.serial = 0
        settings = GatewaySettings(local_domains=("more.test",), postmaster="p@there.test")
        runtime = Runtime(self.clock, self.sink, "gw.test", in_thread=maybeDeferred)
        self.mail = LocalMail(runtime, self.file, settings, lambda: self.destinations)
        self.successResultOf(Deferred.fromCoroutine(self.mail.look()))
        self.mail.start()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.mail.stop())))

    def write(self, path: Path, text: str) -> None:
        """Change a file, and let a moment pass."""
        self.serial += 1
        path.write_text(text)
        os.utime(path, ns=(self.serial, self.serial))
        self.clock.advance(EVERY)

    def to(self, address: str) -> tuple[str, ...]:
        """Who gets mail for an address."""
        return self.mail.table().takers(address).addresses

    def test_read_again(self) -> None:
        """A change counts without a command, in the aliases and in a file that they include; without a file nothing is wrong."""
        self.assertEqual(self.sink.of(Fault), [])
        self.write(self.file, "a: one@there.test\n")
        self.assertEqual((self.to("a@gw.test"), self.to("a@more.test")), (("one@there.test",), ("one@there.test",)))
        listed = self.folder / "list"
        self.write(listed, "x@there.test\n")
        self.write(self.file, f"a: :include:{listed}\n")
        self.assertEqual(self.to("a"), ("x@there.test",))
        self.write(listed, "x@there.test\ny@there.test\n")
        self.assertEqual(self.to("a"), ("x@there.test", "y@there.test"))
        self.write(self.file, "")
        self.assertIs(self.mail.table().takers("a").none, NoTaker.UNKNOWN)
        self.assertEqual(self.sink.of(Fault), [])

    def test_faults_told(self) -> None:
        """A line that can't be used is told with file and line."""
        self.write(self.file, "a: one@there.test\nb: |/bin/x\n")
        (fault,) = self.sink.of(Fault)
        self.assertIn(f"aliases file {self.file}: line 2: b has a command (|/bin/x): programs aren't run", fault.text)

    def test_others_files(self) -> None:
        """A file that others can write, or one too large, isn't included: the alias is broken, with the reason."""
        listed = self.folder / "list"
        self.write(listed, "x@there.test\n")
        os.chmod(listed, 0o666)
        self.write(self.file, f"a: :include:{listed}\nb: :include:list\nc: :include:/dev/zero\n")
        told = [event.text for event in self.sink.of(Fault)]
        self.assertEqual(len(told), 3, told)
        self.assertIn("can be written by others", told[0])
        os.chmod(listed, 0o644)
        self.write(listed, "x" * (1024 * 1024 + 1))
        self.assertIn("more than the 1048576", self.mail.table().takers("a").fault)

    def test_unreadable(self) -> None:
        """While the file can't be read, what it said counts."""
        self.write(self.file, "a: one@there.test\n")
        self.file.unlink()
        self.file.mkdir()
        self.clock.advance(EVERY)
        self.assertEqual(self.to("a"), ("one@there.test",))

    def test_routed(self) -> None:
        """A domain with an SMTP route is served elsewhere; behind a smart host the aliases count, and others are left to it."""
        self.write(self.file, "a: one@there.test\n")
        route = SMTPRoute("x", (NextHop("mail.there.test"),))
        self.destinations = Destinations(routes={"gw.test": route})
        self.assertFalse(self.mail.table().is_local("a@gw.test"))
        self.assertTrue(self.mail.table().is_local("a@more.test"))
        self.destinations = Destinations(routes={"ALL": route})
        self.assertEqual(self.to("a@gw.test"), ("one@there.test",))
        self.assertTrue(self.mail.table().elsewhere)
