"""The command line and the header of seg-sendmail, and the listing of seg-mailq."""

from __future__ import annotations

import grp
import io
import os
import re
import string
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.cli.mailq import listing
from seg.cli.sendmail import _group_of, _lines, run
from seg.cli.sendmail_header import HeaderFields
from seg.cli.sendmail_manual import OPTIONS as OPTIONS_TOLD
from seg.cli.sendmail_manual import sendmail_page
from seg.cli.sendmail_options import UsageFault, Wanted, parse
from seg.drop.note import Note, decode
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
        self.assertEqual(
            {term for term, _ in OPTIONS_TOLD if term.startswith("-b")}, {"-bm", "-bs", "-bp", "-bi", "-bv"}
        )
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
        self.assertEqual(
            self.header(text).recipients(),
            [("To", '"A, B" <a@x.test>, b@x.test'), ("Cc", "c@x.test"), ("Bcc", "d@x.test")],
        )
        self.assertEqual(self.header(text + b"Resent-To: e@x.test\n").recipients(), [("Resent-To", "e@x.test")])

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


class DropTests(SynchronousTestCase):
    """What `run` leaves in the drop folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.dropped = self.folder / "maildrop"
        self.dropped.mkdir(parents=True)
        self.file = self.folder / "seg.toml"
        (self.folder / "destinations.toml").write_text("")
        self.file.write_text(f'[gateway]\nhostname = "gw.test"\nvar = "{self.folder}"\n')

    def send(self, message: bytes, *arguments: str) -> tuple[int, str]:
        """Call the command; its exit status, and what it says."""
        said = io.StringIO()
        source = io.TextIOWrapper(io.BytesIO(message))
        with redirect_stderr(said):
            self.patch(sys, "stdin", source)
            status = run(["-C", str(self.file), *arguments])
        return status, said.getvalue()

    def note(self) -> Note:
        """The envelope of the one message that was dropped."""
        (name,) = os.listdir(self.dropped)
        with open(self.dropped / name, "rb") as file:
            found = decode(file.readline())
            self.content = file.read()
        os.unlink(self.dropped / name)
        return found

    def test_header_lists(self) -> None:
        """-t sends to those whom the header names, and to nobody whose address is another one's name; nothing at all when it isn't clear."""
        status, said = self.send(b"To: boss@other.test <real@rcpt.test>\n\nhi\n", "-t", "-i", "-f", "a@client.test")
        self.assertEqual((status, self.note().recipients), (0, ("real@rcpt.test",)), said)
        for field in (b"Doe, John <john@x.test>", b"<a@x.test> <b@x.test>", b'"Doe <a@x.test>', b"J\xfcrgen@x.test"):
            status, said = self.send(b"Cc: ok@x.test\nTo: " + field + b"\n\nhi\n", "-t")
            self.assertEqual((status, os.listdir(self.dropped)), (os.EX_DATAERR, []), field)

    def test_argument_lists(self) -> None:
        """An argument is a list of addresses, with names or without (mutt, mailx, PHP); and so is -f."""
        for argument in ("u1@x.test,u2@x.test", "u1@x.test, U <u2@x.test>", "U <u1@x.test>, <u2@x.test>"):
            status, said = self.send(b"\nhi\n", "-f", "Me Myself <me@x.test>", argument)
            note = self.note()
            self.assertEqual((status, note.recipients, note.sender), (0, ("u1@x.test", "u2@x.test"), "me@x.test"), said)
            self.assertIn(b"From: Me Myself <me@x.test>\n", self.content)
        self.assertEqual(self.send(b"\n", "-f", "a@x.test, b@x.test", "u@x.test")[0], os.EX_DATAERR)

    def test_null_sender(self) -> None:
        """Both ways to say that nobody is to be told."""
        for sender in ("<>", ""):
            self.assertEqual(self.send(b"\n", "-f", sender, "u@x.test")[0], 0)
            self.assertEqual(self.note().sender, "")

    def test_once_each(self) -> None:
        """Addresses that differ in the case of their domain, or in how it is written, are the same; local parts aren't."""
        self.send(b"\n", "u@X.test", "u@x.TEST", "U@x.test", "u@b\u00fccher.test", "u@xn--bcher-kva.test")
        self.assertEqual(self.note().recipients, ("u@X.test", "U@x.test", "u@b\u00fccher.test"))

    def test_other_modes(self) -> None:
        """newaliases has nothing to do, -bv says who takes mail, --help helps; who may not write is told which group may."""
        said = io.StringIO()
        with redirect_stdout(said):
            statuses = [self.send(b"", *each)[0] for each in (("-bi",), ("--help",), ("-bv", "a@x.test,b@x.test"))]
        self.assertEqual(statuses, [0, 0, 0])
        self.assertIn("usage: ", said.getvalue())
        self.assertIn("b@x.test ... deliverable", said.getvalue())
        self.assertEqual(self.send(b"", "-bv", "nobody.at.all")[0], os.EX_NOUSER)
        self.assertEqual(os.listdir(self.dropped), [])
        group = grp.getgrgid(self.dropped.stat().st_gid).gr_name
        self.assertEqual(_group_of(str(self.dropped / ".x")), group)

    def test_sender_in_header(self) -> None:
        """A From that is added needs no SMTPUTF8 where only the domain is beyond ASCII."""
        self.send(b"\n", "-f", "me@b\u00fccher.test", "-F", "Me", "u@x.test")
        self.note()
        self.assertIn(b"From: Me <me@xn--bcher-kva.test>\n", self.content)


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
