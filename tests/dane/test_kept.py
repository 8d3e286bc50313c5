"""What is known to have DANE outlasts a restart."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.common.clock import SteadyClock, cautious_of
from seg.config.destinations import DANEMode
from seg.dns.answer import AnswerStatus, DNSAnswer
from seg.events.gateway import ConditionBegan, ConditionEnded
from seg.policy.dane import kept
from seg.policy.dane.kept import INTERVAL, LARGEST, STALE, SeenDANEFile
from seg.policy.dane.memory import MOST, SeenDANE
from seg.policy.requirement import TempFail
from tests.damage import DAMAGES as EVERY_DAMAGE
from tests.damage import bare
from tests.dane.test_provider import GOOD, HOST, ProviderCase, question
from tests.doubles import RecordingSink

DAY = 86400.0
NOW = 1_800_000_000.0
DAMAGES = (
    b"",
    b"{",
    b"[]",
    b"\0" * 100,
    b"\xff\xfe",
    b'{"version": 2, "seen": {}}',
    b'{"version": 1}',
    b'{"version": 1, "seen": []}',
    b'{"version": 1, "seen": {"a.test": "x"}}',
    b'{"version": 1, "seen": {"a.test": NaN}}',
    b'{"version": 1, "seen": {"a.test": true}}',
    b'{"version": 1, "seen": {"a.test": 1%s}}' % (b"0" * 4000),
    b'{"version": 1, "seen": {"%s": 1}}' % (b"x" * 300),
    b"[" * 100_000,
)


def answer(ttl: float = 3600.0) -> DNSAnswer:
    """Secure records, each time others."""
    return DNSAnswer("a.test", "TLSA", AnswerStatus.FOUND, (), True, "a.test", ttl)


class FileCase(SynchronousTestCase):
    """A gateway's memory of DANE and its file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "dane.json"
        self.path.parent.mkdir()
        self.system, self.elapsed = NOW, 0.0
        self.sink = RecordingSink()
        self.steps = 0
        self.start()

    def start(self) -> None:
        """A new process."""
        self.clock = Clock()
        steady = SteadyClock(lambda: self.elapsed, lambda: self.system)
        self.clock.seconds = steady  # type: ignore[method-assign]
        self.clock.rightNow = 0.0
        timers = Clock()
        self.timers = timers
        self.seen = SeenDANE(cautious_of(self.clock), DAY)
        self.file = SeenDANEFile(self.seen, self.path, timers, self.in_thread, self.sink)
        self.successResultOf(Deferred.fromCoroutine(self.file.begin()))

    def in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        self.steps += 1
        return maybeDeferred(work)

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.system += seconds
        self.elapsed += seconds
        self.timers.advance(seconds)

    def stop(self) -> None:
        """The process ends in good order."""
        self.successResultOf(Deferred.fromCoroutine(self.file.end()))
        self.assertEqual(self.timers.getDelayedCalls(), [])

    def begun(self) -> list[str]:
        """What was told to be wrong."""
        return [event.text for event in self.sink.of(ConditionBegan)]


class FileTests(FileCase):
    """`SeenDANEFile`."""

    def test_restart(self) -> None:
        """What was seen is known behind a restart until its TTL is over; what was given up isn't."""
        for name in ("a.test", "mx.a.test", "b.test"):
            self.seen.note(name, answer())
        self.seen.forget("b.test")
        self.stop()
        self.passes(3599)
        self.start()
        self.assertEqual([self.seen.knows(name) for name in ("a.test", "mx.a.test", "b.test")], [True, True, False])
        self.passes(1)
        self.assertFalse(self.seen.knows("a.test"))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_killed(self) -> None:
        """A process that is killed has lost a minute at most."""
        self.seen.note("a.test", answer())
        self.passes(INTERVAL)
        self.seen.note("late.test", answer())
        self.start()
        self.assertEqual((self.seen.knows("a.test"), self.seen.knows("late.test")), (True, False))

    def test_batches(self) -> None:
        """Whatever is noted, looked up and forgotten: the file is written once a minute at most, and not without a change."""
        self.steps = 0
        again = answer()
        for number in range(1000):
            self.seen.note(f"{number}.test", answer())
            self.seen.note("same.test", again)
            self.seen.knows("same.test")
            self.seen.forget("unknown.test")
        self.assertEqual(self.steps, 0)
        self.passes(INTERVAL)
        self.assertEqual(self.steps, 1)
        for _ in range(10):
            self.seen.note("same.test", again)
            self.passes(INTERVAL)
        self.assertEqual(self.steps, 1)
        self.assertEqual(self.timers.getDelayedCalls(), [])

    def test_damage(self) -> None:
        """A damaged file is kept aside and told of; what is seen from then on is kept, and the condition ends with a good file."""
        for damage in DAMAGES:
            self.sink.events.clear()
            self.path.write_bytes(damage)
            self.start()
            self.assertEqual(len(self.begun()), 1, damage[:80])
            self.assertIn("is damaged", self.begun()[0])
            self.seen.note("a.test", answer())
            self.passes(INTERVAL)
            self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
            self.start()
            self.assertTrue(self.seen.knows("a.test"))
            self.stop()
        self.assertTrue(self.path.with_name("dane.json.damaged").exists())

    def test_every_damage(self) -> None:
        """Whatever stands in its place stops nothing, is told of, and doesn't stay there."""
        for name, damage in EVERY_DAMAGE.items():
            self.seen.note("b.test", answer())
            self.stop()
            self.sink.events.clear()
            damage(self.path)
            self.start()
            self.assertEqual(len(self.begun()), name != "missing", name)
            self.seen.note("a.test", answer())
            self.stop()
            self.start()
            self.assertTrue(self.seen.knows("a.test"), name)
            bare(self.path)

    def test_unreadable(self) -> None:
        """A failure of the system leaves the file alone, and what it says is known once it can be read; nothing newer gives way to it."""
        self.seen.note("old.test", answer())
        self.seen.note("both.test", answer(10.0))
        self.stop()
        before = self.path.read_bytes()

        def fails(path: Path, limit: int) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patched = self.patch(__import__("seg.common.files", fromlist=["x"]), "read_regular", fails)
        self.start()
        self.assertIn("can't be read (Input/output error)", self.begun()[-1])
        self.seen.note("both.test", answer())
        self.passes(INTERVAL)
        self.assertEqual(self.path.read_bytes(), before)
        patched.restore()
        self.passes(INTERVAL)
        self.assertEqual([self.seen.knows(name) for name in ("old.test", "both.test")], [True, True])
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)
        self.stop()
        self.start()
        self.passes(600)
        self.assertEqual([self.seen.knows(name) for name in ("old.test", "both.test")], [True, True])

    def test_ends_while_writing(self) -> None:
        """The end waits for what is being written, and writes what came meanwhile."""
        done: Deferred[Any] = Deferred()
        self.seen.note("a.test", answer())
        self.patch(self.file, "_in_thread", lambda work: done.addCallback(lambda _: work()))
        self.passes(INTERVAL)
        self.seen.note("b.test", answer())
        ending = Deferred.fromCoroutine(self.file.end())
        self.assertNoResult(ending)
        self.patch(self.file, "_in_thread", self.in_thread)
        done.callback(None)
        self.successResultOf(ending)
        self.start()
        self.assertEqual([self.seen.knows(name) for name in ("a.test", "b.test")], [True, True])

    def test_too_many(self) -> None:
        """A file of more names than are ever kept is damage, however well it is formed."""
        seen = {f"{number}.test": 1 for number in range(MOST + 1)}
        self.assertRaises(ValueError, kept._decoded, json.dumps({"version": 1, "seen": seen}).encode())

    def test_full_disk(self) -> None:
        """While it can't be written that is told once, and tried again each minute; the old file stays."""
        self.seen.note("a.test", answer(DAY))
        self.passes(INTERVAL)

        def full(path: Path, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patched = self.patch(kept, "replace_file", full)
        self.seen.note("b.test", answer(DAY))
        for _ in range(5):
            self.passes(INTERVAL)
        self.assertEqual(len(self.begun()), 1)
        self.assertIn("a.test", self.path.read_text())
        patched.restore()
        self.passes(INTERVAL)
        self.assertIn("b.test", self.path.read_text())
        self.assertEqual(len(self.sink.of(ConditionEnded)), 1)

    def test_clock_ahead(self) -> None:
        """A start with a clock that is a day ahead forgets nothing: set right, what may still be kept is known again."""
        self.seen.note("a.test", answer())
        self.stop()
        self.system += STALE
        self.start()
        self.assertFalse(self.seen.knows("a.test"))
        self.seen.note("b.test", answer())
        self.stop()
        self.system -= STALE
        self.start()
        self.assertTrue(self.seen.knows("a.test"))
        self.assertTrue(self.seen.knows("b.test"))
        self.passes(DAY)  # the longest that an answer may be kept, however far in the future it was seen
        self.assertFalse(self.seen.knows("b.test"))

    def test_clock_set_while_running(self) -> None:
        """The system's clock set ahead ends nothing early; set back, nothing lasts longer than an answer may be kept."""
        self.seen.note("a.test", answer())
        self.system += 30 * DAY
        self.assertTrue(self.seen.knows("a.test"))
        self.system -= 60 * DAY
        self.assertTrue(self.seen.knows("a.test"))
        self.passes(DAY)
        self.assertFalse(self.seen.knows("a.test"))

    @given(st.dictionaries(st.text(min_size=1, max_size=300), st.floats(NOW - 3 * DAY, NOW + 3 * DAY), max_size=20))
    def test_any_names(self, names: dict[str, float]) -> None:
        """What is written is read, but for what is over since a day and what can't be a name."""
        found = kept._decoded(kept._encoded(list(names.items()), NOW - STALE))
        self.assertEqual(
            dict(found), {name: float(int(at)) for name, at in names.items() if at >= NOW - STALE and len(name) <= 255}
        )

    def test_bounded(self) -> None:
        """The most names of the longest kind fit into what is read."""
        names = [(f"{number:063}." * 3 + f"{number:063}", NOW) for number in range(MOST)]
        data = kept._encoded(names, 0.0)
        self.assertLess(len(data), LARGEST)
        self.assertEqual(len(kept._decoded(data)), MOST)
        json.loads(data)
        self.seen.add(dict(names))
        self.seen.note("one.more.test", answer())
        self.assertEqual(len(self.seen.until()), MOST)
        self.assertTrue(self.seen.knows("one.more.test"))


class OutageTests(ProviderCase):
    """A restart while the trusted resolvers are away."""

    def test_restart_in_an_outage(self) -> None:
        """A stand-in that hides the records, and a restart: the host isn't used all the same."""
        path = Path(self.mktemp())
        self.clock.advance(NOW)

        def process() -> SeenDANEFile:
            self.seen_dane = SeenDANE(self.clock.seconds, DAY)
            file = SeenDANEFile(self.seen_dane, path, self.clock, maybeDeferred, self.sink)
            self.successResultOf(Deferred.fromCoroutine(file.begin()))
            return file

        first = process()
        self.publish("_25._tcp.mx.example.com", GOOD)
        asked = question(DANEMode.OPPORTUNISTIC)
        self.answer(asked)
        self.successResultOf(Deferred.fromCoroutine(first.end()))
        second = process()
        self.resolver.remove("_25._tcp.mx.example.com", "TLSA")
        self.resolver.substitute = True
        lost = attrs.evolve(HOST, mx_secure=False, address_secure=False, substitute=True)
        self.assertIsInstance(self.answer(asked, lost), TempFail)
        self.successResultOf(Deferred.fromCoroutine(second.end()))
