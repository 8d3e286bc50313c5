"""Dropped messages come into the queue once, wherever the gateway is killed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from seg.config.submission import Submission, Submitters
from seg.events.gateway import Fault
from seg.events.receive import MessageQueued
from seg.events.runtime import Runtime
from seg.filter.submission import SubmissionRules
from seg.mail.envelope import BodyType, DSNNotify, DSNRet
from seg.maildrop import folder_claims as claim
from seg.maildrop.drop_envelope import DropEnvelope, NoteError, decode
from seg.maildrop.folder import drop
from seg.maildrop.folder_claims import MaildropFolder
from seg.maildrop.pickup import Pickup, PickupRules
from tests.queue.house import DELIVERED, House, HouseCase

NOTE = DropEnvelope(
    "a@sender.test", ("b@one.test",), BodyType.EIGHT_BIT, frozenset({DSNNotify.DELAY}), DSNRet.HEADERS, "x"
)


class Killed(Exception):
    """The process ends here."""


class DropCase(HouseCase):
    """A drop folder beside a queue."""

    submission: SubmissionRules | None = None

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp()).absolute()
        self.folder = MaildropFolder(self.path)
        self.folder.prepare()

    def pickup(self, house: House, last: int = 1000, limits: tuple[int, int] = (2000, 2)) -> Pickup:
        """One whose process is killed behind its `last` step of disk work."""
        steps = iter(range(last))

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            def step() -> Any:
                if next(steps, None) is None:
                    raise Killed
                return work()

            return maybeDeferred(step)

        runtime = Runtime(house.clock, house.sink, "mx.test", in_thread=in_thread)
        return Pickup(
            runtime,
            self.folder,
            house.queue,
            house.counters,
            lambda: PickupRules(*limits, submission=self.submission),
        )

    def live(self, house: House, pickup: Pickup) -> bool:
        """Let it begin and look once; False: it was killed."""
        done: list[object] = []
        Deferred.fromCoroutine(pickup.begin()).addBoth(done.append)
        if done == [None]:
            pickup.start()
            assert pickup._ended is not None
            failed = pickup._ended.called
            pickup._ended.addErrback(lambda _: None)
            Deferred.fromCoroutine(pickup.stop())
            return not failed
        return False


class PickupTests(DropCase):
    """`seg.maildrop.pickup.Pickup`."""

    def test_taken(self) -> None:
        """Envelope, trace and content are what was dropped, with CRLF; the user is its submitter; no file is left."""
        drop(self.path, NOTE, [b"Subject: x\n\nhi\r", b"\nend"])
        self.assertTrue(self.live(self.house, self.pickup(self.house)))
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        content: list[bytes] = []
        Deferred.fromCoroutine(lease.content.head(9999)).addCallback(content.append)  # type: ignore[arg-type]
        self.assertTrue(content[0].startswith(b"Received: by mx.test (seg-sendmail, from user "))
        self.assertTrue(content[0].endswith(b"+0000\r\nSubject: x\r\n\r\nhi\r\nend\r\n"), content)
        self.assertEqual([names for _, _, names in os.walk(self.path) if names], [])

    def stored(self, *pieces: bytes) -> bytes:
        """What becomes of a dropped content, below the Received field."""
        drop(self.path, NOTE, pieces)
        self.assertTrue(self.live(self.house, self.pickup(self.house)))
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        content: list[bytes] = []
        Deferred.fromCoroutine(lease.content.head(9999)).addCallback(content.append)  # type: ignore[arg-type]
        self.house.queue.settle(lease, {0: DELIVERED})
        return content[0].partition(b"+0000\r\n")[2]

    def test_completed(self) -> None:
        """The header of what programs write is completed, whatever its line ends and however it is cut; not where nobody's is to be."""
        self.submission = SubmissionRules("mx.test")
        for pieces in (
            (b"From: root (Cron Daemon)\nBcc: a@x.test\n\nTo: b\n",),
            (b"From: root (Cron Daemon)\r", b"\nBcc: a\r\n\r", b"\nTo: b"),
        ):
            found = self.stored(*pieces)
            self.assertRegex(
                found,
                rb"\ADate: .*\r\nMessage-ID: <.*@mx\.test>\r\nFrom: root@mx\.test \(Cron Daemon\)\r\n\r\nTo: b\r\n\Z",
            )
        self.assertTrue(self.stored(b"Subject: x\n\n").startswith(b"From: a@sender.test\r\nDate: "))
        self.submission = SubmissionRules("mx.test", Submission(clients=Submitters.NONE))
        self.assertEqual(self.stored(b"From: root\n\nhi\n"), b"From: root\r\n\r\nhi\r\n")

    def test_once(self) -> None:
        """Killed behind any step and started again, the gateway delivers the message exactly once."""
        for last in range(12):
            drop(self.path, NOTE, [b"Subject: x\n\nhi\n"])
            survived = self.live(self.house, self.pickup(self.house, last))
            times = int(self.house.attempt("one.test", DELIVERED) is not None)
            house = self.house = self.restart()
            self.assertTrue(self.live(house, self.pickup(house)))
            times += int(house.attempt("one.test", DELIVERED) is not None)
            self.assertEqual(times, 1, f"killed behind step {last}")
            self.assertIsNone(house.attempt("one.test", DELIVERED))
        self.assertTrue(survived, "there are more steps than were tried")

    def test_labels(self) -> None:
        """What has to be demanded of servers is found in the content and the addresses, whatever the program claims."""
        plain, beyond = b"Subject: x\n\nhi\n", b"Subject: x\n\nh\xc3\xbc\n"
        for sender, recipient, claims, content, body, smtputf8 in (
            ("a@s.test", "b@one.test", False, plain, BodyType.SEVEN_BIT, False),
            ("a@s.test", "b@one.test", True, plain, BodyType.SEVEN_BIT, False),
            ("a@s.test", "b@one.test", True, beyond, BodyType.EIGHT_BIT, False),
            ("a@s.test", "b@one.test", True, b"Subject: \xc3\xbc\n\nhi\n", BodyType.EIGHT_BIT, True),
            ("a@b\u00fccher.test", "b@one.test", False, plain, BodyType.SEVEN_BIT, False),
            ("a@s.test", "b\u00fc@one.test", False, plain, BodyType.SEVEN_BIT, False),
            ("\u00e4@s.test", "b@one.test", False, plain, BodyType.SEVEN_BIT, True),
        ):
            for claimed in BodyType:
                drop(self.path, DropEnvelope(sender, (recipient,), claimed, smtputf8=claims), [content])
                self.live(self.house, self.pickup(self.house))
                lease = self.house.queue.lease("one.test")
                assert lease is not None
                found = lease.envelope.body, lease.envelope.smtputf8
                self.assertEqual(found, (body, smtputf8), (sender, recipient, claims, content))
                self.house.queue.settle(lease, {0: DELIVERED})

    def test_set_aside(self) -> None:
        """What can't be sent is kept for an operator, who is told why, and those behind it are sent."""
        drop(self.path, NOTE, [b"x" * 3000])
        drop(self.path, DropEnvelope("", ("a@a.test", "b@b.test", "c@c.test")), [b"x\n"])
        (self.path / ("0" * 32)).write_bytes(b"no envelope\n")
        os.symlink("/etc/passwd", self.path / ("1" * 32))
        os.mkfifo(self.path / ("2" * 32))
        os.mkdir(self.path / ("3" * 32))
        drop(self.path, NOTE, [b"Subject: good\n\n"])
        self.live(self.house, self.pickup(self.house))
        self.assertEqual(len(self.house.sink.of(Fault)), 5)
        self.assertEqual(len(os.listdir(self.path / "bad")), 5)
        self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))

    def test_second_name(self) -> None:
        """A file with another name elsewhere may be somebody else's: it isn't sent."""
        name = drop(self.path, NOTE, [b"x\n"])
        os.link(self.path / name, self.path / "elsewhere")
        self.live(self.house, self.pickup(self.house))
        self.assertIn("isn't a file of its own", self.house.sink.of(Fault)[0].text)

    def test_permissions(self) -> None:
        """Who may write into the folder may not list it, nor remove what isn't his; unfinished files are nobody's mail."""
        self.assertEqual(self.path.stat().st_mode & 0o7777, 0o3730)

        def broken() -> Any:
            yield b"half"
            raise OSError(28, "No space left on device")

        self.assertRaises(OSError, drop, self.path, NOTE, broken())
        self.assertEqual(sorted(os.listdir(self.path)), ["bad", "taken"])

    def test_notes(self) -> None:
        """A note is read as it was written; nothing else is believed."""
        self.assertEqual(decode(NOTE.encode()), NOTE)
        good = DropEnvelope("", ("b@one.test",)).encode()
        for wrong in (
            b"[]",
            b"{}",
            good.replace(b"b@one", b"b\\n@one"),
            good.replace(b'"b@one.test"', b""),
            b"[" * 9999,
        ):
            self.assertRaises(NoteError, decode, wrong)

    def test_parameters(self) -> None:
        """No field of a note brings parameters of MAIL or RCPT with it, or the end of their lines."""
        injected = (
            "> SIZE=1 <",
            "> RET=HDRS",
            "> NOTIFY=NEVER <b@two.test",
            "><b@two.test",
            " x",
            "\r\nRSET",
            ",b@two.test",
        )
        for each in injected:
            for note in (
                DropEnvelope(f"a@sender.test{each}", ("b@one.test",)),
                DropEnvelope("a@sender.test", (f"b@one.test{each}",)),
                DropEnvelope(f"@x.test:a@sender.test{each}", ("b@one.test",)),
                DropEnvelope(f"<a@sender.test{each}", ("b@one.test",)),
            ):
                self.assertRaises(NoteError, decode, note.encode())
        for envid in ("x SMTPUTF8", "x BODY=8BITMIME", "+", "+zz", "x" * 101, "ü"):
            self.assertRaises(NoteError, decode, DropEnvelope("", ("b@one.test",), envid=envid).encode())
        good = DropEnvelope("a@sender.test", ("b@one.test", "Postmaster", '"a b"@one.test'), envid="a+2Bb")
        self.assertEqual(decode(good.encode()), good)

    def test_nul(self) -> None:
        """A NUL in a dropped message is refused as it is in one that comes by SMTP; bare line ends become CRLF."""
        drop(self.path, NOTE, [b"Subject: x\n\na\r", b"\nb\rc\0d\n"])
        drop(self.path, NOTE, [b"Subject: x\n\n.\r", b"\n\n.\n\r.\r"])
        self.live(self.house, self.pickup(self.house))
        self.assertIn("put a NUL into it", self.house.sink.of(Fault)[0].text)
        lease = self.house.queue.lease("one.test")
        assert lease is not None
        content = self.successResultOf(Deferred.fromCoroutine(lease.content.head(9999)))
        self.assertTrue(content.endswith(b"Subject: x\r\n\r\n.\r\n\r\n.\r\n\r\n.\r\n"), content)
        self.assertIsNone(self.house.queue.lease("one.test"))

    def test_told_before_due(self) -> None:
        """The log has the whole story of a message before its delivery can begin."""
        seen: list[int] = []
        self.house.queue.subscribe(lambda domain: seen.append(len(self.house.sink.of(MessageQueued))))
        drop(self.path, NOTE, [b"Subject: x\n\nhi\n"])
        self.house.commits.paused = True
        pickup = self.pickup(self.house)
        pickup.start()
        self.house.commits.resume()
        self.assertEqual(seen, [1])
        self.successResultOf(Deferred.fromCoroutine(pickup.stop()))

    def test_of_each_user_in_turn(self) -> None:
        """A flood of one user's files keeps another one's waiting no longer than its turn; a look goes through a bounded number of names."""
        self.patch(claim, "AT_A_LOOK", 50)
        names = [f"{number:032x}" for number in range(120)]
        for name in names:
            (self.path / name).write_bytes(b"x")
        users = {name: 7 if name == names[60] else 5 for name in names}
        stat = os.stat_result

        class Entry:
            def __init__(self, name: str) -> None:
                self.name = name

            def is_dir(self, follow_symlinks: bool) -> bool:
                return False

            def stat(self, follow_symlinks: bool) -> Any:
                return stat((0, 0, 0, 0, users[self.name], 0, 0, 0, 0, 0))

        class Entries:
            def __init__(self) -> None:
                self.left = iter([Entry(name) for name in names])

            def __iter__(self) -> Any:
                return self.left

            def __next__(self) -> Any:
                return next(self.left)

            def close(self) -> None:
                pass

        self.patch(os, "scandir", lambda path: Entries())
        self.assertEqual(self.folder.waiting(10), names[:10])
        self.assertEqual(sorted(self.folder.waiting(10)), sorted([names[60], *names[50:59]]))
        self.assertEqual(self.folder.waiting(10), names[100:110])
        self.assertEqual(self.folder.waiting(10), names[:10])

    def test_one_fails(self) -> None:
        """A file that can't be read just now holds no other one up, and is tried again; it is complained of once."""
        drop(self.path, NOTE, [b"Subject: one\n\n"])
        drop(self.path, NOTE, [b"Subject: two\n\n"])
        opened, broken = self.folder.open, []

        def failing(mid: int) -> Any:
            if not broken or broken == [mid]:
                broken[:] = [mid]
                raise OSError(5, "Input/output error")
            return opened(mid)

        self.folder.open = failing  # type: ignore[method-assign]
        self.live(self.house, self.pickup(self.house))
        self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))
        self.assertEqual(
            [event.text.rpartition(": ")[2] for event in self.house.sink.of(Fault)], ["Input/output error"]
        )
        self.folder.open = opened  # type: ignore[method-assign]
        self.live(self.house, self.pickup(self.house))
        self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))

    def test_loop(self) -> None:
        """A message that comes round again and again is stopped here as well as in SMTP."""
        drop(self.path, NOTE, [b"Received: x\n" * 51 + b"Subject: x\n\n"])
        self.live(self.house, self.pickup(self.house))
        self.assertIn("it loops", self.house.sink.of(Fault)[0].text)
        self.assertIsNone(self.house.attempt("one.test", DELIVERED))

    def test_bounded_aside(self) -> None:
        """Unusable files are kept for an operator, so many of them."""
        self.patch(claim, "MOST_BAD", 3)
        for number in range(6):
            (self.path / f"{number:032x}").write_bytes(b"no envelope\n")
        self.live(self.house, self.pickup(self.house))
        self.assertEqual(len(os.listdir(self.path / "bad")), 3)
        self.assertEqual(len(self.house.sink.of(Fault)), 6)

    def test_ours(self) -> None:
        """Mail isn't put aside for descriptors that the gateway lacks, or for a disk that fails: it is tried again, and what comes
        meanwhile is taken."""
        for number in (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM):
            drop(self.path, NOTE, [b"Subject: one\n\n"])
            really, fails = os.open, [True]

            def opened(path: Any, *rest: Any, number: int = number, really: Any = really, fails: Any = fails) -> int:
                if fails[0] and Path(path).parent.name == "taken":
                    raise OSError(number, os.strerror(number))
                return really(path, *rest)

            patched = self.patch(os, "open", opened)
            self.live(self.house, self.pickup(self.house))
            self.assertEqual((len(os.listdir(self.path / "bad")), len(os.listdir(self.path / "taken"))), (0, 1))
            self.assertIsNone(self.house.attempt("one.test", DELIVERED))
            fails[0] = False
            self.live(self.house, self.pickup(self.house))
            self.assertIsNotNone(self.house.attempt("one.test", DELIVERED))
            patched.restore()
