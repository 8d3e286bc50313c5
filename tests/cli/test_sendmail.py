"""The command line and the header of seg-sendmail, and the listing of seg-mailq."""

from __future__ import annotations

import io
import os
import re
import string
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.mailq import listing
from seg.cli.sendmail import _lines, run
from seg.cli.sendmail_header import HeaderFields
from seg.cli.sendmail_manual import OPTIONS as OPTIONS_TOLD
from seg.cli.sendmail_manual import sendmail_page
from seg.cli.sendmail_options import UsageFault, Wanted, parse
from seg.model import BodyType, Notify, Ret

OPTIONS: list[tuple[str, Wanted]] = [
    ("-t -i", Wanted(from_header=True, dot_ends=False)),
    ("-ti", Wanted(from_header=True, dot_ends=False)),
    ("-oi -oem -odb -f a@b c@d", Wanted(dot_ends=False, sender="a@b", recipients=["c@d"])),
    ("-fa@b -- -c@d", Wanted(sender="a@b", recipients=["-c@d"])),
    ("-r a@b -F Name x -t", Wanted(sender="a@b", name="Name", recipients=["x", "-t"])),
    ("-O DeliveryMode=b -B8BITMIME x", Wanted(body=BodyType.EIGHT_BIT, recipients=["x"])),
    (
        "-N success,delay -R hdrs -V a+b",
        Wanted(notify=frozenset({Notify.SUCCESS, Notify.DELAY}), ret=Ret.HEADERS, envid="a+2Bb"),
    ),
    ("-N never -q15m -v", Wanted(notify=frozenset(), flush=True, verbose=True)),
    ("-bp", Wanted(mode="p")),
    ("-bs -C /x", Wanted(mode="s", configuration="/x")),
]


class OptionTests(SynchronousTestCase):
    """`seg.cli.sendmail_options.parse`."""

    def test_table(self) -> None:
        """What programs are known to call sendmail with."""
        for line, wanted in OPTIONS:
            self.assertEqual(parse(line.split()), wanted, line)

    def test_wrong(self) -> None:
        """Whatever isn't known is wrong usage (EX_USAGE)."""
        for line in ("-z", "-f", "-bd", "-B 9BIT", "-N now", "-R all", "-V \u00fc"):
            self.assertRaises(UsageFault, parse, line.split())
        self.assertEqual(run(["-z"]), os.EX_USAGE)

    def test_manual(self) -> None:
        """The manual page has each option that is taken, and no other; and each exit status."""
        taken = set()
        for letter in string.ascii_letters:
            try:
                parse([f"-{letter}", "x"])
            except UsageFault as fault:
                if "there is no option" in str(fault):
                    continue
            taken.add(letter)
        told = {letter for term, _ in OPTIONS_TOLD for letter in re.findall(r"(?:^|, )-([A-Za-z])", term)}
        self.assertEqual(told, taken)
        self.assertEqual({term for term, _ in OPTIONS_TOLD if term.startswith("-b")}, {"-bm", "-bs", "-bp"})
        for status in (os.EX_USAGE, os.EX_DATAERR, os.EX_UNAVAILABLE, os.EX_CANTCREAT, os.EX_TEMPFAIL, os.EX_CONFIG):
            self.assertIn(f".B {status}\n", sendmail_page())

    def test_no_configuration(self) -> None:
        """A configuration that isn't there is EX_CONFIG; no recipient is EX_USAGE."""
        self.assertEqual(run(["-C", "/nonexistent.toml", "a@b.test"]), os.EX_CONFIG)
        file = Path(tempfile.mkdtemp(dir=self.mktemp_folder())) / "seg.toml"
        file.write_text("")
        self.assertEqual(run(["-C", str(file)]), os.EX_USAGE)

    def mktemp_folder(self) -> str:
        """A folder of this test."""
        folder = self.mktemp()
        os.makedirs(folder)
        return folder


class HeaderTests(SynchronousTestCase):
    """`seg.cli.sendmail_header.HeaderFields`."""

    def header(self, text: bytes) -> HeaderFields:
        """The header in a text."""
        header = HeaderFields()
        for line in text.splitlines(keepends=True):
            self.assertTrue(header.add(line))
        return header

    def test_recipients(self) -> None:
        """To, Cc and Bcc name recipients, folded and with names; Resent- fields go before them."""
        text = b'To: "A, B" <a@x.test>,\n b@x.test\nCC: c@x.test\nBcc: d@x.test\n'
        self.assertEqual(self.header(text).recipients(), ["a@x.test", "b@x.test", "c@x.test", "d@x.test"])
        self.assertEqual(self.header(text + b"Resent-To: e@x.test\n").recipients(), ["e@x.test"])

    def test_completed(self) -> None:
        """Bcc goes with its folded lines; From, Date and Message-ID come where they are missing."""
        header = self.header(b"Bcc: d@x.test,\n e@x.test\nsubject: s\ndate: then\n")
        header.without_bcc()
        header.complete("a@x.test", "J\u00fcrgen", "now", "<1@x.test>")
        golden = b"From: =?utf-8?q?J=C3=BCrgen?= <a@x.test>\nMessage-ID: <1@x.test>\nsubject: s\ndate: then\n\n"
        self.assertEqual(header.text(), golden)

    def test_lines(self) -> None:
        """A dot alone ends the message, unless -i is given."""
        text = b"a\r\n.\r\nb\n"
        self.assertEqual(list(_lines(io.BytesIO(text), True)), [b"a\n"])
        self.assertEqual(list(_lines(io.BytesIO(text), False)), [b"a\n", b".\n", b"b\n"])


class MailqTests(SynchronousTestCase):
    """`seg.cli.mailq.listing`."""

    def test_listing(self) -> None:
        """It looks like Postfix's."""
        message = {"mid": 7, "state": "held", "size": 1200, "arrived": 0, "sender": "", "error": "refused",
                   "recipients": ["a@x.test"], "waiting": 2}  # fmt: skip
        lines = listing({"total": 1, "messages": [message]}).splitlines()
        self.assertTrue(lines[1].startswith("7!              1200 "), lines)
        self.assertTrue(lines[1].endswith(" MAILER-DAEMON"))
        self.assertEqual(lines[2].strip(), "(refused)")
        self.assertEqual(
            [lines[3].strip(), lines[4].strip(), lines[-1]], ["a@x.test", "and 1 more", "-- 2 Kbytes in 1 Request."]
        )
