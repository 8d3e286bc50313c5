"""The command line and the header of seg-sendmail, and the listing of seg-mailq."""

from __future__ import annotations

import grp
import io
import os
import re
import select
import string
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from seg.cli import sendmail_smtp
from seg.cli.queue_listing import listing
from seg.cli.sendmail import OTHER_NAMES, PASSED_WAIT, _group_of, _lines, _read_on, run
from seg.cli.sendmail_header import HeaderFields
from seg.cli.sendmail_manual import OPTIONS as OPTIONS_TOLD
from seg.cli.sendmail_manual import sendmail_page
from seg.cli.sendmail_options import SendmailOptions, UsageFault, parse
from seg.mail.envelope import BodyType, DSNNotify, DSNRet
from seg.maildrop.drop_envelope import DropEnvelope, decode

OPTIONS: list[tuple[str, SendmailOptions]] = [
    ("-t -i", SendmailOptions(from_header=True, dot_ends=False)),
    ("-ti", SendmailOptions(from_header=True, dot_ends=False)),
    ("-oi -oem -odb -f a@b c@d", SendmailOptions(dot_ends=False, sender="a@b", recipients=["c@d"])),
    ("-fa@b -- -c@d", SendmailOptions(sender="a@b", recipients=["-c@d"])),
    ("-r a@b -F Name x -t", SendmailOptions(sender="a@b", name="Name", recipients=["x", "-t"])),
    ("-O DeliveryMode=b -B8BITMIME x", SendmailOptions(body=BodyType.EIGHT_BIT, recipients=["x"])),
    (
        "-N success,delay -R hdrs -V a+b",
        SendmailOptions(notify=frozenset({DSNNotify.SUCCESS, DSNNotify.DELAY}), ret=DSNRet.HEADERS, envid="a+2Bb"),
    ),
    ("-N never -q15m -v", SendmailOptions(notify=frozenset(), flush=True, verbose=True)),
    ("-bp", SendmailOptions(mode="p")),
    ("-bs -C /x", SendmailOptions(mode="s", configuration="/x")),
]


IGNORED = SendmailOptions(recipients=["x"])
# What programs call sendmail with, and what Sendmail's and Postfix's commands take: None is wrong usage.
PROGRAMS: list[tuple[str, SendmailOptions | None]] = [
    ("-FCronDaemon -i -B8BITMIME -oem root", SendmailOptions(name="CronDaemon", dot_ends=False, body=BodyType.EIGHT_BIT, recipients=["root"])),
    ("-FCronDaemon -i -odi -oem -oi -t -f root", SendmailOptions(name="CronDaemon", dot_ends=False, from_header=True, sender="root")),
    ("-oem -oi -f a@b -- c@d", SendmailOptions(dot_ends=False, sender="a@b", recipients=["c@d"])),  # mutt
    ("-oem -oi -N failure -R hdrs -B8BITMIME -- c@d", SendmailOptions(dot_ends=False, notify=frozenset({DSNNotify.FAILURE}),
     ret=DSNRet.HEADERS, body=BodyType.EIGHT_BIT, recipients=["c@d"])),
    ("-i c@d e@f", SendmailOptions(dot_ends=False, recipients=["c@d", "e@f"])),  # git send-email
    ("-f a@b -i c@d", SendmailOptions(dot_ends=False, sender="a@b", recipients=["c@d"])),
    ("-t -i", SendmailOptions(from_header=True, dot_ends=False)),  # PHP
    ("-t -i -fa@b", SendmailOptions(from_header=True, dot_ends=False, sender="a@b")),
    ("-i -m -v -r a@b -- c@d", SendmailOptions(dot_ends=False, verbose=True, sender="a@b", recipients=["c@d"])),  # s-nail
    ("-i -m c@d", SendmailOptions(dot_ends=False, recipients=["c@d"])),  # bsd-mailx
    ("-t", SendmailOptions(from_header=True)),  # logwatch, mdadm
    ("-oi -t", SendmailOptions(from_header=True, dot_ends=False)),  # unattended-upgrades, apt-listchanges
    ("-oi -oeq -t -odq", SendmailOptions(from_header=True, dot_ends=False)),
    ("-bm -oi x", SendmailOptions(dot_ends=False, recipients=["x"])),
    ("-Am x", IGNORED),
    ("-Ac x", IGNORED),
    ("-c x", IGNORED),
    ("-em x", IGNORED),
    ("-e q x", IGNORED),
    ("-d0.1 x", IGNORED),
    ("-G x", IGNORED),
    ("-h 20 x", IGNORED),
    ("-L tag x", IGNORED),
    ("-m x", IGNORED),
    ("-n x", IGNORED),
    ("-O Timeout.queuereturn=5d x", IGNORED),
    ("-OIgnoreDots x", SendmailOptions(dot_ends=False, recipients=["x"])),
    ("-oA/etc/aliases x", IGNORED),
    ("-o7 -o8 -om -os -oT3d x", IGNORED),
    ("-oQ /var/spool x", SendmailOptions(recipients=["/var/spool", "x"])),
    ("-p ESMTP:host x", IGNORED),
    ("-U x", IGNORED),
    ("-X /var/log/x x", IGNORED),
    ("-x x", IGNORED),
    ("-vv x", SendmailOptions(verbose=True, recipients=["x"])),
    ("-v x", SendmailOptions(verbose=True, recipients=["x"])),
    ("-I", SendmailOptions(mode="i")),
    ("-bi -oA/etc/aliases", SendmailOptions(mode="i")),
    ("-bh", SendmailOptions(mode="h")),
    ("-bH", SendmailOptions(mode="H")),
    ("-bp -Ac", SendmailOptions(mode="p")),
    ("-bs", SendmailOptions(mode="s")),
    ("-bv x", SendmailOptions(mode="v", recipients=["x"])),
    ("-q", SendmailOptions(flush=True)),
    ("-q30m", SendmailOptions(flush=True)),
    ("-qf", SendmailOptions(flush=True)),
    ("-qI17", SendmailOptions(flush=True, only_message="17")),
    ("-qRx.test", SendmailOptions(flush=True, only_site="x.test")),
    ("-bd", None),
    ("-bd -q1h", None),
    ("-bD", None),
    ("-bl", None),
    ("-ba", None),
    ("-bt", None),
    ("-bz", None),
    ("-qSsender", None),
    ("-qR", None),
    ("-qIabc", None),
    ("-qI17 x", None),
    ("-XV+= x", None),
    ("-XV x", None),
    ("-s subject x", None),
    ("-z", None),
    ("-B BINARYMIME x", None),
    ("-bs x", None),
    ("-bp -t", None),
    ("-bi x", None),
]  # fmt: skip


class OptionTests(SynchronousTestCase):
    """`seg.cli.sendmail_options.parse`."""

    def test_programs(self) -> None:
        """Each option that programs use is taken, has no effect, or is refused clearly."""
        for line, wanted in PROGRAMS:
            if wanted is None:
                self.assertRaises(UsageFault, parse, line.split())
            else:
                self.assertEqual(parse(line.split()), wanted, line)
        for empty in ("-f", "-X", "-o", "-h"):
            self.assertEqual(parse([empty, "", "x"]).recipients, ["x"])
        self.assertEqual([run(["-bh"]), run(["-bH"]), run(["-I"]), run(["-bd"])], [0, 0, 0, os.EX_USAGE])

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
        source = open(os.devnull)  # noqa: SIM115  closed below
        self.addCleanup(source.close)
        self.patch(sys, "stdin", source)
        self.assertEqual(run(["-C", "/nonexistent.toml", "a@b.test"]), os.EX_CONFIG)
        file = Path(tempfile.mkdtemp(dir=self.mktemp_folder())) / "seg.toml"
        file.write_text("")
        self.assertEqual(run(["-C", str(file)]), os.EX_USAGE)

    def test_input_without_an_end(self) -> None:
        """A program that neither writes nor closes its pipe gets its answer, and isn't waited for without end; what it writes is taken."""
        waits: list[float] = []
        ready, writer = os.pipe()
        self.addCleanup(os.close, ready)
        self.addCleanup(os.close, writer)
        os.write(writer, b"Subject: x\n")

        def select_now(read: list[int], *others: object) -> tuple[list[int], list[int], list[int]]:
            waits.append(cast(float, others[-1]))
            return select_before(read, [], [], 0.0)

        select_before = select.select
        self.patch(select, "select", select_now)
        with open(ready, "rb", closefd=False) as source:
            _read_on(source)
        self.assertEqual(waits, [PASSED_WAIT] * 2)
        self.assertEqual(select_before([ready], [], [], 0.0)[0], [])

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

    def note(self) -> DropEnvelope:
        """The envelope of the one message that was dropped."""
        (name,) = os.listdir(self.dropped)
        return self.note_of(name)

    def note_of(self, name: str) -> DropEnvelope:
        """The envelope of one of them."""
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

    def test_input_is_read_to_its_end(self) -> None:
        """Whatever a message is refused for, its program can write it to the end: SIGPIPE would end it before it hears why."""
        rest = b"x" * 70 + b"\n"
        with self.file.open("a") as file:
            file.write("[receive]\nmax_message_size = 1000000\n")
        refusals: tuple[tuple[bytes, tuple[str, ...]], ...] = (
            (b"\n", ()),
            (b"\n", ("nobody@gw.test",)),
            (b"\n", ("a b@x.test",)),
            (b"\n", ("-f", "a@x.test, b@x.test", "u@x.test")),
            (b"Subject: s\n\n", ("-t",)),
            (b"To: a@x.test <\n\n", ("-t",)),
            (b"A: \0\n\n", ("u@x.test",)),
            (b"\n\0\n", ("u@x.test",)),
            (rest.replace(b"x", b"a: ", 1) * 60_000, ("u@x.test",)),
            (b"\n" + rest * 20_000, ("u@x.test",)),
            (b"\n", ("-C", "/no/such/file", "u@x.test")),
        )
        for beginning, arguments in refusals:
            with tempfile.TemporaryFile() as source:
                source.write(beginning + rest * 10_000)
                source.seek(0)
                self.patch(sys, "stdin", io.TextIOWrapper(source))
                with redirect_stderr(io.StringIO()) as said:
                    status = run(["-C", str(self.file), *arguments])
                self.assertNotEqual(status, 0, arguments)
                self.assertEqual(os.read(source.fileno(), 1), b"", (arguments, said.getvalue()))
        self.assertEqual(os.listdir(self.dropped), [])

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

    def test_qualified(self) -> None:
        """cron's From gets the domain of the machine, and Bcc isn't told, with -t or without; what is signed stays."""
        for arguments in (("-t",), ("root@x.test",)):
            self.send(
                b"From: root (Cron Daemon)\nTo: root@x.test\nBcc: a@x.test\nReturn-Path: <>\nSubject: Cron\n\nFrom: root\n",
                *arguments,
            )
            self.note()
            self.assertRegex(
                self.content,
                rb"\ADate: .*\nMessage-ID: .*\nFrom: root@gw\.test \(Cron Daemon\)\nTo: root@x.test\nSubject: Cron\n\nFrom: root\n\Z",
            )
        self.send(b"From: root", "u@x.test")
        self.note()
        self.assertTrue(self.content.endswith(b"\nFrom: root@gw.test\n\n"))
        signed = b"DKIM-Signature: h=from:date:message-id\nFrom: root\nTo: root\n\n"
        self.send(signed, "u@x.test")
        self.note()
        self.assertEqual(self.content, signed.replace(b"To: root", b"To: root@gw.test"))
        self.file.write_text(self.file.read_text() + '[submission]\nclients = "none"\n')
        self.send(b"From: root\nDate: x\nMessage-ID: y\nBcc: z\n\n", "u@x.test")
        self.note()
        self.assertEqual(self.content, b"From: root\nDate: x\nMessage-ID: y\nBcc: z\n\n")

    def speak(self, session: bytes) -> tuple[int, list[int], str]:
        """Hold a session by -bs; the exit status, the codes, and what stands on standard error."""
        out = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(out))
        status, said = self.send(session, "-bs")
        return status, [int(line[:3]) for line in out.getvalue().splitlines() if line[3:4] == b" "], said

    def test_smtp_line_ends(self) -> None:
        """By -bs lines end in LF or CRLF, addresses need no domain, and the same message comes of it however it is cut."""
        self.file.write_text(self.file.read_text() + 'postmaster = "pm@x.test"\n')
        lines = b"EHLO me\nMAIL FROM:<root>\nRCPT TO:<root>\nDATA\nSubject: bdat 1\n\n..x\n\n.\nQUIT\n"
        for session in (
            lines,
            lines.replace(b"\n", b"\r\n"),
            lines.replace(b"\n.\n", b"\n.\r\n"),
            lines.replace(b"\nDATA\n", b"\r\nDATA\r\n"),
        ):
            for piece in (65536, 1, 7):
                self.patch(sendmail_smtp, "PIECE", piece)
                self.assertEqual(self.speak(session), (0, [220, 250, 250, 250, 354, 250, 221], ""))
                note = self.note()
                self.assertEqual((note.sender, note.recipients), ("root@gw.test", ("root@gw.test",)))
                self.assertRegex(
                    self.content,
                    rb"\AFrom: root@gw\.test\r\nDate: .*\r\nMessage-ID: <.*@gw\.test>\r\nSubject: bdat 1\r\n\r\n\.x\r\n\r\n\Z",
                )
        chunk = b"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nBDAT 5\r\nA: b\nBDAT 3 LAST\r\n\nx\nQUIT\r\n"
        self.assertEqual(self.speak(chunk)[1], [220, 250, 250, 250, 250, 250, 221])
        self.assertEqual(self.note().recipients, ("postmaster@gw.test",))
        self.assertRegex(self.content, rb"\ADate: .*\r\nMessage-ID: .*\r\nA: b\r\n\r\nx\r\n\Z")

    def test_smtp_header(self) -> None:
        """By -bs a header that is too long is refused at once; none is completed where none is to be."""
        begin = b"EHLO me\nMAIL FROM:<>\nRCPT TO:<a@x.test>\nDATA\n"
        for header in (b"To: a@x.test\n" * 1001, b"X: " + b"y" * 900 + b"\n" + (b" " + b"y" * 900 + b"\n") * 1200):
            session = begin + header + b"\n.\n" + begin[8:] + b"A: b\n\n.\nQUIT\n"
            self.assertEqual(self.speak(session)[1], [220, 250, 250, 250, 354, 552, 250, 250, 354, 250, 221])
            self.note()
        self.file.write_text(self.file.read_text() + '[submission]\nclients = "none"\n')
        self.speak(begin + b"From: root\n\n.\nQUIT\n")
        self.note()
        self.assertEqual(self.content, b"From: root\r\n\r\n")

    def test_smtp_wishes(self) -> None:
        """By -bs the original recipient isn't lost, and a recipient who is named twice gets one copy."""
        rcpt = b"RCPT TO:<a@x.test> ORCPT=rfc822;o@y.test\nRCPT TO:<A@x.test>\nRCPT TO:<a@X.test> NOTIFY=SUCCESS\n"
        self.assertEqual(self.speak(b"EHLO me\nMAIL FROM:<> RET=HDRS ENVID=e\n" + rcpt + b"DATA\n.\nQUIT\n")[0], 0)
        found = {note.recipients: note for note in (self.note_of(name) for name in os.listdir(self.dropped))}
        self.assertEqual(found.keys(), {("a@x.test",), ("A@x.test",)})
        note = found["a@x.test",]
        self.assertEqual(
            (note.orcpt, note.notify, note.ret, note.envid),
            (("rfc822;o@y.test",), frozenset(DSNNotify), DSNRet.HEADERS, "e"),
        )
        self.assertEqual((found["A@x.test",].orcpt, found["A@x.test",].notify), ((), None))

    def test_smtp_status(self) -> None:
        """An input that ends within a message is EX_DATAERR; a message that can't be stored is told, and is a status of its own."""
        self.assertEqual(self.speak(b"EHLO me\n")[0], 0)
        begin = b"EHLO me\nMAIL FROM:<>\nRCPT TO:<a@x.test>\nDATA\n"
        self.assertEqual(self.speak(begin + b"x\n")[0], os.EX_DATAERR)
        self.assertEqual(os.listdir(self.dropped), [])
        os.rmdir(self.dropped)
        status, codes, said = self.speak(begin + b"x\n.\nQUIT\n")
        self.assertEqual((status, codes), (os.EX_CANTCREAT, [220, 250, 250, 250, 354, 451, 221]), said)


class MailqTests(SynchronousTestCase):
    """`seg.cli.mailq.listing`."""

    def test_parsers(self) -> None:
        """What monitoring programs look for is found: the line of totals is the last one, and a line of each message has Postfix's columns."""
        message = {"mid": 17, "state": "active", "size": 1200, "arrived": 86400 * 5, "sender": "a@x.test", "error": "421 later",
                   "recipients": ["b@y.test", "c@z.test"], "waiting": 2}  # fmt: skip
        text = listing({"total": 2, "messages": [message, {**message, "mid": 18, "state": "waiting", "error": ""}]})
        self.assertRegex(text, r"\A-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n")
        self.assertRegex(text.splitlines()[-1], r"^-- (\d+) Kbytes in (\d+) Requests?\.$")
        found = re.findall(
            r"(?m)^([0-9A-F]+)([ *!])\s+(\d+) ([A-Z]\w\w [A-Z]\w\w [ 0-9]\d \d\d:\d\d:\d\d)  (\S+)$", text
        )
        self.assertEqual(
            [each[:3] + each[4:] for each in found], [("17", "*", "1200", "a@x.test"), ("18", " ", "1200", "a@x.test")]
        )
        self.assertEqual(re.findall(r"(?m)^ +([^ (]+@\S+)$", text), ["b@y.test", "c@z.test"] * 2)
        self.assertEqual(re.findall(r"(?m)^ *\((.*)\)$", text), ["421 later"])
        self.assertEqual(listing({"total": 0, "messages": []}), "Mail queue is empty\n")

    def test_other_names(self) -> None:
        """By the names mailq and newaliases the command does what they do."""
        self.assertEqual(
            {name: parse([*options]).mode for name, options in OTHER_NAMES.items()}, {"mailq": "p", "newaliases": "i"}
        )

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
