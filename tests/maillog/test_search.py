"""The mail log searched, over closed and compressed files."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.config.subscriptions import MAIL_LOG
from seg.maillog.compress import compress_closed
from seg.maillog.lines import LINES
from seg.maillog.search import (
    LONGEST,
    SearchCriteria,
    files_of,
    find_messages,
    lines_of,
    matching,
    moment_of,
    parse_moment,
    story_of,
)

LOG = """\
Wed Nov 25 10:00:00 2026 Info: New SMTP ICID 7 interface relay (127.0.0.1) address 10.0.0.1 reverse dns host unknown verified no
Wed Nov 25 10:00:00 2026 Info: ICID 7 RELAY SG RELAYLIST match 10.0.0.0/8 SBRS not enabled
Wed Nov 25 10:00:01 2026 Info: Start MID 1 ICID 7
Wed Nov 25 10:00:01 2026 Info: MID 1 ICID 7 From: <Alice@sender.example>
Wed Nov 25 10:00:01 2026 Info: MID 1 ICID 7 RID 0 To: <bob@one.example>
Wed Nov 25 10:00:01 2026 Info: MID 1 Message-ID 'abc@sender.example'
Wed Nov 25 10:00:01 2026 Info: MID 1 Subject 'Quarterly figures'
Wed Nov 25 10:00:02 2026 Info: Start MID 2 ICID 7
Wed Nov 25 10:00:02 2026 Info: MID 2 ICID 7 From: <carol@sender.example>
Wed Nov 25 10:00:02 2026 Info: MID 2 ICID 7 RID 0 To: <bob@two.example>
Wed Nov 25 10:00:03 2026 Info: ICID 7 close
Wed Nov 25 10:00:04 2026 Info: New SMTP DCID 3 interface 127.0.0.1 address 192.0.2.1 port 25
Wed Nov 25 10:00:04 2026 Info: Delivery start DCID 3 MID 1 to RID [0]
Wed Nov 25 10:00:05 2026 Info: New SMTP DCID 4 interface 127.0.0.1 address 192.0.2.2 port 25
Wed Nov 25 10:00:05 2026 Info: Bounced: DCID 3 MID 1 From: <Alice@sender.example> To: <bob@one.example> RID 0 - 5.1.1 - no ('550', [])
Wed Nov 25 10:00:05 2026 Info: MID 9 was generated for bounce of MID 1
Wed Nov 25 10:00:05 2026 Info: MID 9 ICID 0 RID 0 To: <Alice@sender.example>
Wed Nov 25 10:00:06 2026 Info: DCID 3 close
Wed Nov 25 10:00:06 2026 Info: Delivery start DCID 4 MID 2 to RID [0]
Wed Nov 25 12:00:00 2026 Info: Message finished MID 2 done
""".splitlines()
LINES_OF_LOG = [line.encode() for line in LOG]
NOW = datetime(2026, 11, 25, 13, 0)


class SearchTests(SynchronousTestCase):
    """Messages, stories and patterns."""

    def found(self, **wanted: object) -> list[int]:
        """The MIDs that fit."""
        return find_messages(iter(LINES_OF_LOG), SearchCriteria(**wanted))  # type: ignore[arg-type]

    def test_messages(self) -> None:
        """By sender, recipient, subject, Message-ID or time, in part and whatever the case; all that is given has to fit."""
        table: tuple[tuple[dict[str, object], list[int]], ...] = (
            ({"sender": "alice@SENDER"}, [1]),
            ({"sender": "sender.example"}, [1, 2]),
            ({"recipient": "two.example"}, [2]),
            ({"recipient": "alice"}, [9]),
            ({"subject": "quarterly"}, [1]),
            ({"message_id": "abc@"}, [1]),
            ({"sender": "carol", "recipient": "two"}, [2]),
            ({"sender": "carol", "recipient": "one"}, []),
            ({"since": datetime(2026, 11, 25, 11, 0)}, [2]),
            ({"sender": "carol", "until": datetime(2026, 11, 25, 10, 0, 1)}, []),
            ({"sender": "nobody"}, []),
        )
        for wanted, mids in table:
            self.assertEqual(self.found(**wanted), mids, str(wanted))

    def test_story(self) -> None:
        """The connections that a message came and went by, and the report on it, belong to its story; other messages don't."""
        told = [line.decode() for line in story_of([1], lambda: iter(LINES_OF_LOG))]
        self.assertEqual(told, [line for line in LOG if "MID 2" not in line and "DCID 4" not in line])
        self.assertEqual(list(story_of([77], lambda: iter(LINES_OF_LOG))), [])

    def test_matching(self) -> None:
        """Lines that fit, that don't, and what stands around them, each once."""
        lines = [b"a", b"b", b"x1", b"c", b"x2", b"d", b"e", b"x3"]
        x = re.compile(b"x")
        self.assertEqual(list(matching(iter(lines), x)), [b"x1", b"x2", b"x3"])
        self.assertEqual(list(matching(iter(lines), x, invert=True)), [b"a", b"b", b"c", b"d", b"e"])
        self.assertEqual(list(matching(iter(lines), x, context=1)), [b"b", b"x1", b"c", b"x2", b"d", b"e", b"x3"])

    def test_moments(self) -> None:
        """Times as people write them."""
        for text, wanted in (
            ("2h", datetime(2026, 11, 25, 11, 0)),
            ("90m", datetime(2026, 11, 25, 11, 30)),
            ("Today", datetime(2026, 11, 25)),
            ("yesterday", datetime(2026, 11, 24)),
            ("2026-11-20", datetime(2026, 11, 20)),
            ("2026-11-20 17:30", datetime(2026, 11, 20, 17, 30)),
        ):
            self.assertEqual(parse_moment(text, NOW), wanted)
        for text in ("", "soon", "2026-13-01", "2x"):
            self.assertRaises(ValueError, parse_moment, text, NOW)
        self.assertEqual(moment_of(LINES_OF_LOG[0]), datetime(2026, 11, 25, 10, 0))
        self.assertIsNone(moment_of(b"End"))

    def test_every_line(self) -> None:
        """Whatever the log can hold is read without a fault."""
        told = [
            b"Wed Nov 25 10:00:00 2026 Info: " + text.encode()
            for entry in LINES.values()
            for _, text in entry.render(entry.example)
        ]
        find_messages(iter(told), SearchCriteria(sender="a"))
        self.assertTrue(list(story_of([5444], lambda: iter(told))))

    @given(st.lists(st.binary(max_size=60)))
    def test_anything(self, lines: list[bytes]) -> None:
        """Nor does anything else."""
        find_messages(iter(lines), SearchCriteria(sender="a", since=NOW))
        list(story_of([1], lambda: iter(lines)))


class FileTests(SynchronousTestCase):
    """Files in a folder."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-log-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.log = self.folder / "mail.log"

    def test_in_order(self) -> None:
        """Closed files come first, the oldest before the others, compressed or not; a rotated one that is gone is passed over."""
        self.assertEqual(files_of(self.log, MAIL_LOG.closed_pattern), [])
        for number, name in enumerate(("mail.@20261124T000000.s", "mail.@20261125T000000.s", "mail.log")):
            (self.folder / name).write_text(f"line {number}\n")
            os.utime(self.folder / name, (1000 + number, 1000 + number))
        (self.folder / "mail.jsonl").write_text("{}\n")
        made = compress_closed(self.folder, "mail.@*.s")
        self.assertEqual([path.name for path in made], ["mail.@20261124T000000.s.gz", "mail.@20261125T000000.s.gz"])
        self.assertEqual(compress_closed(self.folder, "mail.@*.s"), [])
        files = files_of(self.log, MAIL_LOG.closed_pattern)
        self.assertEqual(list(lines_of([*files, self.folder / "gone"])), [b"line 0", b"line 1", b"line 2"])
        seen: list[int] = []
        list(lines_of(files, seen.append))
        self.assertEqual(sum(seen), 21)
        self.assertEqual(gzip.decompress(made[0].read_bytes()), b"line 0\n")
        self.assertEqual([path.name for path in self.folder.glob(".*")], [])


class HostileFileTests(SynchronousTestCase):
    """Files that a disk, or a peer, left in a strange state."""

    def write(self, *blocks: bytes) -> Path:
        """A log of these octets."""
        path = Path(self.mktemp())
        path.write_bytes(b"".join(blocks))
        return path

    def test_lines_without_end(self) -> None:
        """A line of zeros, or of anything, without an end comes in pieces; what stands behind it is found."""
        path = self.write(b"\0" * (3 * LONGEST + 5), b"\nMID 5 done\n", b"x" * (LONGEST + 1))
        sizes = [len(line) for line in lines_of([path])]
        self.assertEqual(sizes, [LONGEST, LONGEST, LONGEST, 5, 10, LONGEST, 1])
        self.assertEqual(find_messages(lines_of([path]), SearchCriteria()), [5])

    def test_octets(self) -> None:
        """Octets that are no UTF-8, zeros within lines, and numbers without end are searched like all others."""
        numbers = b"MID " + b"9" * 5000 + b" From: <a@b>\nMID 7 From: <a@b>\nICID " + b"1" * 5000 + b" MID 7\n"
        path = self.write(b"\xff\xfe MID 6 From: <\0a@b>\n", numbers)
        self.assertEqual(find_messages(lines_of([path]), SearchCriteria(sender="a@b")), [6, 7])
        self.assertEqual(len(list(story_of([7], lambda: lines_of([path])))), 2)
        self.assertEqual(len(list(matching(lines_of([path]), re.compile(rb"a@b")))), 3)

    def test_broken_compressed_files(self) -> None:
        """A compressed file that is cut off, or none at all, is told of; the lines before the damage and the other files are read."""
        good = self.write(b"MID 9 done\n")
        whole = gzip.compress(b"MID 1 done\n" * 50_000 + os.urandom(50_000))
        for content in (
            whole[:-20],
            whole[:40_000],
            b"no gzip at all",
            b"\x1f\x8b" + os.urandom(100),
            whole[:100] + os.urandom(3000),
            b"",
        ):
            path = Path(self.mktemp() + ".gz")
            path.write_bytes(content)
            told: list[Path] = []
            found = list(lines_of([path, good], broken=lambda path, error, told=told: told.append(path)))  # type: ignore[misc]
            self.assertEqual(found[-1], b"MID 9 done")
            self.assertEqual(told, [path] if content else [])

    def test_times(self) -> None:
        """A time longer ago than there are times is refused in words."""
        for text in ("99999999999999d", "9" * 5000 + "s"):
            with self.assertRaisesRegex(ValueError, "longer ago"):
                parse_moment(text, datetime(2026, 11, 26))
