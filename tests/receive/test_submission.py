"""What a new message lacks is added to it, what it must not have is taken out, and everything else stays octet for octet."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.auth.backoff import Backoff
from seg.auth.checker import UsersChecker
from seg.auth.sasl_server import SASLServer
from seg.config.receive import Auth, ListenerAuth, ListenerSettings
from seg.config.submission import Submission, Submitters
from seg.events.receive import MessageReceived, RecipientAccepted
from seg.filter.header import HeaderTooLong
from seg.filter.submission import MOST_OCTETS, HeaderCompletion, SubmissionRules, completed
from seg.mail.envelope import DSNNotify
from seg.smtp.address import PathError, check_forward_path
from seg.smtp.qualify import qualified
from tests.receive.front_door import EHLO, Client, FrontDoorCase
from tests.receive.made_listener import made_listener
from tests.receive.test_tls import ServerTLS

RULES = SubmissionRules("gw.test", known={"root", "bob"}.__contains__)
WHOLE = b"From: a@x.test\r\nDate: now\r\nMessage-ID: <x@y>\r\n"
ADDED = b"Date: Sun, 9 Sep 2001 01:46:40 +0000\r\nMessage-ID: <3b9aca00.7@gw.test>\r\n"
NOW = 1e9

# What stands in a list, and what is to be sent.
LISTS = (
    ("root", "root@gw.test"),
    (" root (Cron Daemon)", " root@gw.test (Cron Daemon)"),
    (" root (a \\) (b) c)", " root@gw.test (a \\) (b) c)"),
    (" (x) root (y)", " (x) root@gw.test (y)"),
    (' "Cron Daemon" <root>', ' "Cron Daemon" <root@gw.test>'),
    (" Cron Daemon < root >", " Cron Daemon < root@gw.test >"),
    (" =?utf-8?q?R=C3=B6ot?= <root>", " =?utf-8?q?R=C3=B6ot?= <root@gw.test>"),
    (' "a, b" <a>, c@x.test,\r\n\td', ' "a, b" <a@gw.test>, c@x.test,\r\n\td@gw.test'),
    (' "odd name"', ' "odd name"@gw.test'),
    (" us: a, b@x.test, C <c>;, d", " us: a@gw.test, b@x.test, C <c@gw.test>;, d@gw.test"),
    (" undisclosed-recipients:;", " undisclosed-recipients:;"),
    (" a.b+c", " a.b+c@gw.test"),
    (" j\u00fcrgen", " j\u00fcrgen@gw.test"),
    (" \udcff <root>", " \udcff <root@gw.test>"),
    (" root, Alice <a@x.test>", " root@gw.test, Alice <a@x.test>"),
    (" zoe, a@x.test", " zoe@gw.test, a@x.test"),
    (' zoe, "Alice" <a@x.test>', ' zoe@gw.test, "Alice" <a@x.test>'),
    # What may be a part of a name, what can't be read, and what is no address stays.
    (" Doe, John <j@x.test>", None),
    (" a@x.test", None),
    (" A <a@x.test>, <@r.test:b@x.test>", None),
    (" boss@x.test <a@x.test>", None),
    (" Cron Daemon", None),
    (" =?utf-8?q?R=C3=B6ot?=", None),
    (" root@", None),
    (" root.", None),
    (" .root", None),
    (" root (open", None),
    (' "open', None),
    (" <root", None),
    (" root>", None),
    (" a <b> c", None),
    (" a <b> <c>", None),
    (" <>", None),
    (" [192.0.2.1]", None),
    (" a: b: c;", None),
    (" a; b", None),
    (" us: a", None),
    ("", None),
    (" ,,", None),
)


class QualifyTests(SynchronousTestCase):
    """`seg.smtp.qualify.qualified`."""

    def test_table(self) -> None:
        """An address without a domain gets one, and no other octet is touched."""
        for text, wanted in LISTS:
            self.assertEqual(
                qualified(text, "gw.test", 1000, RULES.known)[0], text if wanted is None else wanted, repr(text)
            )

    def test_long_line(self) -> None:
        """No line becomes longer than one may be."""
        text = ", ".join(f"user{number}" for number in range(100))
        self.assertEqual(qualified(text, "gw.test", 1000)[0], text)
        folded = text.replace(", ", ",\r\n ")
        self.assertEqual(qualified(folded, "gw.test", 1000)[0].count("@gw.test"), 100)

    def test_most(self) -> None:
        """A list of more tokens than are allowed stays."""
        self.assertEqual(qualified("a,b,c", "gw.test", 5)[0], "a@gw.test,b@gw.test,c@gw.test")
        self.assertEqual(qualified("a,b,c", "gw.test", 4), ("a,b,c", 4))
        self.assertEqual(qualified("a (((((b)))))", "gw.test", 9)[0], "a (((((b)))))")

    @given(st.lists(st.sampled_from([*'"\\()<>@,:;[] .', "\r\n ", "a", "root", "\u00e4", "\udcff", "=?"]), max_size=12))
    def test_anything(self, tokens: list[str]) -> None:
        """Whatever stands there, only domains are put in, each behind a local part; to do it again changes nothing."""
        text = "".join(tokens)
        once, _ = qualified(text, "gw.test", 1000, RULES.known)
        self.assertEqual(once.replace("@gw.test", ""), text)
        self.assertEqual(qualified(once, "gw.test", 1000, RULES.known)[0], once)
        for match in re.finditer(r'("(?:[^"\\]|\\.)*"|[^\s,:;<>()@"]+)@gw\.test', once):
            try:
                check_forward_path(match[0])
            except PathError:
                self.fail(match[0])


class HeaderTests(SynchronousTestCase):
    """`seg.filter.submission.completed`, and `HeaderCompletion`."""

    def sent(self, text: bytes, sender: str = "", cut: int = 10**6) -> bytes:
        """What becomes of a whole content."""
        completion = HeaderCompletion(RULES, sender, 7, NOW)
        pieces = [completion.feed(text[start : start + cut]) for start in range(0, len(text), cut)]
        return b"".join([*pieces, completion.finish()])

    def test_missing(self) -> None:
        """Date and Message-ID are added where they are missing, From where it is known; whatever there is stays."""
        rest = b"Subject: x\r\n\r\nhi\r\n"
        self.assertEqual(self.sent(b"From: a@x.test\r\n" + rest), ADDED + b"From: a@x.test\r\n" + rest)
        self.assertEqual(self.sent(WHOLE + rest), WHOLE + rest)
        odd = b"FROM : a@x.test\r\ndate:\r\nmessage-id :\r\n"
        self.assertEqual(self.sent(odd + rest), odd + rest)
        self.assertEqual(self.sent(rest, "me@b\u00fccher.test"), b"From: me@xn--bcher-kva.test\r\n" + ADDED + rest)

    def test_removed(self) -> None:
        """Bcc and Return-Path go, with their folded lines, wherever they stand; what only looks like them stays."""
        for field in (
            b"Bcc: a@x.test,\r\n b@x.test\r\n",
            b"bCC :\r\n",
            b"Resent-Bcc: a\r\n",
            b"Return-Path: <a@x.test>\r\n",
        ):
            for text in (
                field + WHOLE,
                WHOLE + field,
                WHOLE + field + b"X: y\r\n" + field,
                WHOLE + b"junk\r\n" + field,
            ):
                self.assertEqual(self.sent(text + b"\r\nhi"), text.replace(field, b"") + b"\r\nhi", text)
        kept = WHOLE + b"X-Bcc: a@x.test\r\nTo: x@y.test,\r\n Bcc: a@x.test\r\n\r\nBcc: a@x.test\r\n"
        self.assertEqual(self.sent(kept), kept)

    def test_qualified(self) -> None:
        """Each field with addresses gets domains; no other field does."""
        for name in (
            "From",
            "sender",
            "Reply-To",
            "To",
            "CC",
            "Resent-From",
            "Resent-Sender",
            "Resent-To",
            "Resent-Cc",
        ):
            field = f"{name}: root (Cron Daemon)\r\n".encode()
            self.assertEqual(
                self.sent(WHOLE + field + b"\r\n"), WHOLE + field.replace(b"root", b"root@gw.test") + b"\r\n", name
            )
        kept = WHOLE + b"Subject: root\r\nX-To: root\r\nErrors-To: root\r\n\r\nTo: root\r\n"
        self.assertEqual(self.sent(kept), kept)

    def test_signed(self) -> None:
        """Nothing is touched that a DKIM signature covers, be it there or said to be missing; all else is."""
        for signature in (b"DKIM-Signature", b"ARC-Message-Signature"):
            head = signature + b": v=1; b=xh=to; h=From:\r\n\tDATE : Bcc:\r\n message-id\r\n"
            text = head + b"From: root\r\nBcc: b@x.test\r\nTo: root\r\n"
            self.assertEqual(self.sent(text + b"\r\n"), text.replace(b"To: root", b"To: root@gw.test") + b"\r\n")

    def test_no_header(self) -> None:
        """A message without a header gets one, and a blank line behind it; what came is its body."""
        for body in (b"hello\r\n", b"hello\r\nBcc: x\r\n\r\nmore\r\n", b" folded: x\r\n", b"\xff: x\r\n"):
            self.assertEqual(self.sent(body), ADDED + b"\r\n" + body)
        self.assertEqual(self.sent(b"\r\nhello"), ADDED + b"\r\nhello")
        self.assertEqual(self.sent(b""), ADDED + b"\r\n")
        self.assertEqual(self.sent(b"Subject: x"), ADDED + b"Subject: x\r\n\r\n")

    def test_mailbox_line(self) -> None:
        """The first line of a mailbox file stays the first one."""
        text = b"From a Mon Jan 1 10:00:00 2001\r\n"
        self.assertEqual(self.sent(text + b"Subject: x\r\n\r\n"), text + ADDED + b"Subject: x\r\n\r\n")

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"\r\n",
                    b"\r\n ",
                    b"\r\n\r\n",
                    b"Bcc: a",
                    b"To: root",
                    b"From: x <b>",
                    b"date:",
                    b"junk",
                    b"\xff",
                    b"DKIM-Signature: h=to",
                ]
            ),
            max_size=10,
        ),
        st.integers(1, 5),
    )
    def test_any_cut(self, parts: list[bytes], cut: int) -> None:
        """The same comes out however the content is cut, and to do it again changes nothing."""
        text = b"".join(parts)
        whole = self.sent(text)
        self.assertEqual(self.sent(text, cut=cut), whole)
        self.assertEqual(self.sent(whole), whole)

    def test_worst(self) -> None:
        """The largest headers of every kind cost far less than the 50 ms of a turn of the reactor, and those above the limit are refused."""
        for name, text in _worst():
            best = 1.0
            for _ in range(3):
                began = time.process_time()
                with contextlib.suppress(HeaderTooLong):
                    self.sent(text, cut=16384)
                best = min(best, time.process_time() - began)
            self.assertLess(best, 0.05, name)
        self.assertRaises(HeaderTooLong, self.sent, b"X: y\r\n" * 30000)
        self.assertRaises(HeaderTooLong, completed, b"To: a\r\n" * 1001, RULES, {})


def _worst() -> Iterator[tuple[str, bytes]]:
    for head, unit in (
        (b"To: ", b"a,"),
        (b"To: ", b"abc,\r\n "),
        (b"", b"To:\r\n"),
        (b"", b"X:\r\n"),
        (b"To: ", b"("),
        (b"To: (", b"()"),
        (b"To: ", b'"'),
        (b'To: "', b'a\\"'),
        (b"To: ", b"["),
        (b"To: ", b"<>"),
        (b"To: ", b"a@b,"),
        (b"To: ", b"a"),
        (b"To: a", b"\r\n "),
        (b"To: ", b"\r\n date:"),
        (b"To: ", b"a:;"),
        (b"DKIM-Signature: h=", b"a:"),
        (b"", b"DKIM-Signature: h=a\r\n"),
        (b"A: b\r\n", b"dat\r\n"),
    ):
        yield repr((head, unit)), (head + unit * (MOST_OCTETS // len(unit)))[: MOST_OCTETS - 10] + b"\r\n\r\n"


class SessionTests(FrontDoorCase):
    """Clients of a listener."""

    def client(
        self, identity: str = "", submission: Submission | None = None, host: str = "127.0.0.1", **auth: object
    ) -> Client:
        """One that may have authenticated."""
        self.factory = made_listener(
            self.queue,
            self.clock,
            listener=ListenerSettings(auth=ListenerAuth.OFFERED),
            tls=ServerTLS(),
            ids=self.counters,
            sink=self.sink,
            sasl=SASLServer(UsersChecker(None, None, 1), Backoff(self.clock.seconds), self.clock),  # type: ignore[arg-type]
            auth=Auth(**auth),  # type: ignore[arg-type]
            submission=submission or Submission(),
            turns=self.turns,
        )
        client = self.connect(host)
        client.say(EHLO)
        client.protocol._core.identity = identity  # type: ignore[attr-defined]
        return client

    def content(
        self, client: Client, content: bytes, begin: bytes = b"MAIL FROM:<alice@x.test>\r\nRCPT TO:<b@two.test>\r\n"
    ) -> str:
        """What is queued."""
        chunk = b"BDAT %d LAST\r\n" % len(content)
        for end in (b"DATA\r\n" + content + b".\r\n", chunk + content):
            self.assertEqual(client.codes(begin + end)[-1], 250)
        (_, one), (_, two) = sorted(self.queue.messages.items())[-2:]
        strip = re.compile(rb"id \d+|\.\d+@")
        self.assertEqual(strip.sub(b"", one.content), strip.sub(b"", two.content))
        self.assertEqual(one.envelope.size, len(one.content))
        return one.content.decode()

    def test_whose(self) -> None:
        """Those who authenticated get their messages completed; others that may relay do if so wished; or nobody does."""
        text = b"From: root\r\nBcc: c@x.test\r\n\r\nhi\r\n"
        for clients, identity, done in (
            (Submitters.AUTHENTICATED, "alice@x.test", True),
            (Submitters.AUTHENTICATED, "", False),
            (Submitters.RELAY, "alice@x.test", True),
            (Submitters.RELAY, "", True),
            (Submitters.NONE, "alice@x.test", False),
            (Submitters.NONE, "", False),
        ):
            found = self.content(self.client(identity, Submission(clients=clients)), text)
            facts = [
                "Message-ID: <0." in found,
                "\r\nDate: " in found,
                "From: root@mx.test\r\n" in found,
                "Bcc" not in found,
            ]
            self.assertEqual(facts, [done] * 4, found)

    def test_domain(self) -> None:
        """Another domain than the host name can be given."""
        found = self.content(self.client("a", Submission(domain="B\u00fccher.test")), b"From: root\r\n\r\n")
        self.assertIn("From: root@xn--bcher-kva.test\r\n", found)

    def test_from(self) -> None:
        """A missing From is the sender that the user was allowed; nobody's for relays, nor where users have to say in it who they are."""
        self.assertIn("From: alice@x.test\r\n", self.content(self.client("alice@x.test"), b"Subject: x\r\n\r\n"))
        found = self.content(self.client("", Submission(clients=Submitters.RELAY)), b"Subject: x\r\n\r\n")
        self.assertNotIn("From:", found)
        null = b"MAIL FROM:<>\r\nRCPT TO:<b@two.test>\r\n"
        self.assertNotIn("From:", self.content(self.client("alice@x.test"), b"Subject: x\r\n\r\n", null))
        client = self.client("alice@x.test", check_header_from=True, own_address_only=True)
        begin = b"MAIL FROM:<alice@x.test>\r\nRCPT TO:<b@two.test>\r\nDATA\r\n"
        self.assertEqual(client.codes(begin + b"Subject: x\r\n\r\n.\r\n")[-1], 553)

    def test_checked_as_stored(self) -> None:
        """What is checked is what is stored: a From that gets our domain has to be the user's."""
        client = self.client("alice@mx.test", check_header_from=True, own_address_only=True)
        begin = b"MAIL FROM:<alice@mx.test>\r\nRCPT TO:<b@two.test>\r\n"
        self.assertEqual(client.codes(begin + b"DATA\r\nFrom: root\r\n\r\n.\r\n")[-1], 553)
        self.assertIn("From: alice@mx.test\r\n", self.content(client, b"From: alice\r\n\r\n", begin))

    def test_told(self) -> None:
        """The log tells the Message-ID that was given."""
        self.content(self.client("alice@x.test"), b"Subject: x\r\n\r\n")
        self.assertRegex(self.sink.of(MessageReceived)[0].message_id, r"^<0\.\d+@mx\.test>$")

    def test_too_long(self) -> None:
        """A header that is too long to be completed is 552 5.3.4, and the session goes on."""
        client = self.client("alice@x.test")
        begin = b"MAIL FROM:<alice@x.test>\r\nRCPT TO:<b@two.test>\r\nDATA\r\n"
        self.assertEqual(client.say(begin + b"X: y\r\n" * 30000 + b"\r\n.\r\n").splitlines()[-1][:9], b"552 5.3.4")
        self.assertEqual(self.queue.messages, {})
        self.content(client, b"Subject: x\r\n\r\n")

    def test_hidden(self) -> None:
        """Where a user is is told to nobody if so wished; that he authenticated within TLS is. Of relays it always is told."""
        text = WHOLE + b"\r\n"
        hide = Submission(hide_client=True)
        found = self.content(self.client("alice@x.test", hide, "192.0.2.7"), text)
        self.assertRegex(found, r"\AReceived: by mx\.test with ESMTPA id \d+\r\n\tfor <b@two\.test>;\r\n\t")
        for client in (self.client("", hide), self.client("alice@x.test")):
            self.assertTrue(
                self.content(client, text).startswith(
                    "Received: from client.test ([127.0.0.1])\r\n\tby mx.test with ESMTP"
                )
            )

    def test_once_each(self) -> None:
        """One recipient in two writings of his domain gets one copy; both are accepted, and what was wished for either holds."""
        client = self.client("alice@x.test")
        for writings, recipients in (
            (("b@two.test", "b@TWO.test", "b@two.TEST", "b@two.test"), ["b@two.test"]),
            (("b@b\u00fccher.test", "b@xn--bcher-kva.test", "b@B\u00dcCHER.test"), ["b@b\u00fccher.test"]),
            (("b@two.test", "B@two.test", "c@two.test"), ["b@two.test", "B@two.test", "c@two.test"]),
        ):
            rcpt = "".join(f"RCPT TO:<{each}>\r\n" for each in writings).encode()
            begin = b"MAIL FROM:<alice@x.test> SMTPUTF8\r\n" + rcpt
            told = len(self.sink.of(RecipientAccepted))
            self.assertEqual(client.codes(begin + b"DATA\r\n.\r\n"), [250] * (len(writings) + 1) + [354, 250])
            envelope = max(self.queue.messages.items())[1].envelope
            self.assertEqual([each.address for each in envelope.recipients], recipients)
            self.assertEqual([each.rid for each in envelope.recipients], [*range(len(recipients))])
            self.assertEqual(len(self.sink.of(RecipientAccepted)) - told, len(recipients))

    def test_wishes(self) -> None:
        """What is wished for a recipient who is named twice."""
        failure, success, delay = DSNNotify.FAILURE, DSNNotify.SUCCESS, DSNNotify.DELAY
        client = self.client("alice@x.test")
        for one, other, notify, orcpt in (
            ("", "", None, ""),
            (" NOTIFY=SUCCESS", " NOTIFY=SUCCESS", {success}, ""),
            (" NOTIFY=SUCCESS ORCPT=rfc822;x", " NOTIFY=FAILURE ORCPT=rfc822;y", {success, failure}, "rfc822;x"),
            ("", " NOTIFY=SUCCESS", {success, failure, delay}, ""),
            (" NOTIFY=NEVER", "", None, ""),
            (" NOTIFY=NEVER", " NOTIFY=NEVER", set(), ""),
            (" NOTIFY=NEVER", " NOTIFY=DELAY", {delay}, ""),
            ("", " ORCPT=rfc822;y", None, "rfc822;y"),
        ):
            for pair in ((one, other), (other, one)) if not (one and other and orcpt) else ((one, other),):
                rcpt = f"RCPT TO:<b@two.test>{pair[0]}\r\nRCPT TO:<b@TWO.test>{pair[1]}\r\n".encode()
                client.codes(b"MAIL FROM:<alice@x.test>\r\n" + rcpt + b"DATA\r\n.\r\n")
                (recipient,) = max(self.queue.messages.items())[1].envelope.recipients
                self.assertEqual((recipient.notify, recipient.orcpt), (notify, orcpt), pair)

    def test_named_again_and_again(self) -> None:
        """Naming one recipient again counts as another one for the limit."""
        self.build(max_recipients=3)
        client = self.connect()
        codes = client.codes(EHLO + b"MAIL FROM:<a@x.test>\r\n" + b"RCPT TO:<b@two.test>\r\n" * 5)
        self.assertEqual(codes, [250, 250, 250, 250, 250, 452, 452])
