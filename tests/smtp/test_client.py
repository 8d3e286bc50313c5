"""The client's state machine: dialogues as byte scripts, results by recipient, and servers that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.smtp.client import ClientConnection
from seg.smtp.client_capabilities import Capabilities
from seg.smtp.client_events import (
    ClientEvent,
    ContentWanted,
    Ended,
    FailedBeforeHello,
    Greeted,
    InjectedPlaintext,
    ResetDone,
    TLSAgreed,
    TLSRefused,
    TransactionDone,
)
from seg.smtp.reply import Phase, Reply

GREETING = b"220 mx.test ESMTP\r\n"
PLAIN = b"250 mx.test\r\n"
PIPELINING = b"250-mx.test\r\n250 PIPELINING\r\n"
FULL = b"250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n"
BATCH = b"MAIL FROM:<s@from.test>\r\nRCPT TO:<a@to.test>\r\nRCPT TO:<b@to.test>\r\nDATA\r\n"


def recipients(*addresses: str) -> tuple[Recipient, ...]:
    return tuple(Recipient(rid, address) for rid, address in enumerate(addresses))


TWO = recipients("a@to.test", "b@to.test")


def envelope(reverse_path: str = "s@from.test", **parts: Any) -> Envelope:
    return Envelope(1, reverse_path, TWO, arrived=0.0, **parts)


class Dialogue:
    """A client connection with everything it said and everything that happened."""

    def __init__(self, ehlo: bytes = b"") -> None:
        self.core = ClientConnection("seg.test")
        self.events: list[ClientEvent] = []
        if ehlo:
            self.server(GREETING)
            self.core.hello()
            self.server(ehlo)
            self.said()
            self.events.clear()

    def server(self, *octets: bytes) -> None:
        """The server sends these segments."""
        for segment in octets:
            self.events += self.core.receive(segment)

    def said(self) -> bytes:
        """What the client wants to send since last time."""
        return self.core.data_to_send()

    def begin(self, to: Sequence[Recipient] = TWO, size: int = 10, **parts: object) -> TransactionDone | None:
        return self.core.begin(envelope(**parts), to, size)  # type: ignore[arg-type]

    def kinds(self) -> list[type[ClientEvent]]:
        """The kinds of the events so far."""
        return [type(event) for event in self.events]

    def results(self) -> dict[int, str]:
        """The transaction's results as short texts."""
        (done,) = (event for event in self.events if isinstance(event, TransactionDone))
        return brief(done)


def brief(done: TransactionDone | None) -> dict[int, str]:
    assert done is not None
    return {
        rid: f"ok {result.text}"
        if isinstance(result, Reply)
        else f"{'PT'[isinstance(result, Temporary)]} {result.enhanced}"
        for rid, result in done.results.items()
    }


class HelloTests(SynchronousTestCase):
    """The greeting and EHLO."""

    def test_greeting_after_hello(self) -> None:
        """EHLO waits for the greeting, also one of several lines in pieces."""
        dialogue = Dialogue()
        dialogue.core.hello()
        self.assertEqual(dialogue.said(), b"")
        self.assertEqual(dialogue.core.awaiting, Phase.GREETING)
        dialogue.server(b"220-mx.test\r\n220 wel", b"come\r\n")
        self.assertEqual(dialogue.said(), b"EHLO seg.test\r\n")
        dialogue.server(FULL)
        self.assertEqual(dialogue.kinds(), [Greeted])
        self.assertTrue(dialogue.core.ready)

    def test_greeting_before_hello(self) -> None:
        """A greeting that came before anybody asked is kept."""
        dialogue = Dialogue()
        dialogue.server(GREETING)
        self.assertEqual((dialogue.said(), dialogue.events), (b"", []))
        dialogue.core.hello()
        self.assertEqual(dialogue.said(), b"EHLO seg.test\r\n")

    def test_capabilities(self) -> None:
        """Extensions are seen in any case; parameters and unknown keywords are kept."""
        dialogue = Dialogue(
            b"250-mx.test greets you\r\n250-Pipelining\r\n250-size 35882577\r\n250-8bitMIME\r\n"
            b"250-SmtpUTF8\r\n250-X-ODD one  two\r\n250-AUTH=LOGIN\r\n250 EnhancedStatusCodes\r\n"
        )
        offered = dialogue.core.capabilities
        assert offered is not None
        self.assertTrue(offered.pipelining and offered.eightbitmime and offered.smtputf8)
        self.assertTrue(offered.enhancedstatuscodes)
        self.assertFalse(offered.starttls)
        self.assertEqual((offered.size, offered.raw["X-ODD"]), (35882577, "one  two"))

    def test_starttls_in_lower_case(self) -> None:
        """``250 starttls`` in lower case is seen."""
        dialogue = Dialogue(b"250-mx.test\r\n250 starttls\r\n")
        assert dialogue.core.capabilities is not None
        self.assertTrue(dialogue.core.capabilities.starttls)

    def test_name_is_no_keyword(self) -> None:
        """The first line is the server's name, whatever it looks like."""
        self.assertEqual(Dialogue(b"250-PIPELINING\r\n250 HELP\r\n").core.capabilities, Capabilities(raw={"HELP": ""}))

    def test_size_without_limit(self) -> None:
        """SIZE without a number, with 0 or with nonsense sets no limit."""
        for line in (b"SIZE", b"SIZE 0", b"SIZE x", b"SIZE -1", b"SIZE " + b"9" * 21, b"SIZE 1e3"):
            with self.subTest(line):
                offered = Dialogue(b"250-mx.test\r\n250 " + line + b"\r\n").core.capabilities
                assert offered is not None
                self.assertEqual((offered.size, "SIZE" in offered.raw), (None, True))

    def test_helo(self) -> None:
        """A 5xx to EHLO makes it HELO, without extensions."""
        dialogue = Dialogue()
        dialogue.core.hello()
        dialogue.server(GREETING)
        dialogue.said()
        dialogue.server(b"502 what?\r\n")
        self.assertEqual(dialogue.said(), b"HELO seg.test\r\n")
        dialogue.server(b"250 hello\r\n")
        self.assertEqual(dialogue.events, [Greeted(Capabilities())])

    def test_refusals(self) -> None:
        """A refused greeting, EHLO, or EHLO and HELO ends the connection with a temporary error and a
        QUIT."""
        for script, enhanced, remote in (
            ((b"554 5.7.1 go away\r\n",), "4.7.1", ("5.7.1 go away",)),
            ((b"554-no\r\n554 mail\r\n",), "4.4.0", ("no", "mail")),
            ((b"450 busy\r\n",), "4.4.0", ("busy",)),
            ((GREETING, b"451 4.3.0 ill\r\n"), "4.3.0", ("4.3.0 ill",)),
            ((GREETING, b"500 a\r\n", b"550 b\r\n"), "4.4.0", ("b",)),
            ((GREETING, b"500 a\r\n", b"450 b\r\n"), "4.4.0", ("b",)),
        ):
            with self.subTest(script):
                dialogue = Dialogue()
                dialogue.core.hello()
                dialogue.server(*script)
                (event,) = dialogue.events
                assert isinstance(event, Ended)
                self.assertEqual((event.error.enhanced, event.error.remote), (enhanced, remote))
                self.assertEqual(dialogue.said(), b"QUIT\r\n")
                self.assertFalse(dialogue.core.ready)

    def test_garbage_greetings(self) -> None:
        """What isn't a greeting ends the connection at once and unanswered: 4.5.0, with what came."""
        for octets in (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\x16\x03\x01\x02\x00\n",
            b"354 go ahead\r\n",
            b"120 soon\r\n",
            b"999 odd\r\n",
            b"220-a\r\n221 b\r\n",
            b"y" * 5000,
            b"220-a\r\n" * 200,
            GREETING + b"250 mx.test\r\n",
            GREETING + b"2",
        ):
            with self.subTest(octets[:30]):
                dialogue = Dialogue()
                dialogue.core.hello()
                dialogue.server(octets)
                (event,) = dialogue.events
                assert isinstance(event, Ended)
                self.assertEqual(event.error.enhanced, "4.5.0")
                self.assertEqual(dialogue.said(), b"")

    def test_closing(self) -> None:
        """421 ends the connection wherever it comes, also unasked."""
        for ehlo, script in (
            (b"", (b"421 busy\r\n",)),
            (b"", (GREETING, b"421 busy\r\n")),
            (FULL, (b"421 bye\r\n",)),
        ):
            with self.subTest(script):
                dialogue = Dialogue(ehlo)
                if not ehlo:
                    dialogue.core.hello()
                dialogue.server(*script)
                (event,) = dialogue.events
                assert isinstance(event, Ended)
                self.assertEqual((event.error.enhanced, event.error.code), ("4.3.2", 421))

    def test_lost(self) -> None:
        """A lost connection ends the operation with the adapter's error."""
        dialogue = Dialogue()
        dialogue.core.hello()
        error = Temporary("4.4.2", "gone")
        self.assertEqual(dialogue.core.fail(error), [Ended(error)])
        self.assertEqual(dialogue.core.fail(error), [])


class StartTLSTests(SynchronousTestCase):
    """STARTTLS."""

    def test_agreed(self) -> None:
        """After the 220 what was learnt in clear is forgotten, and EHLO is sent again."""
        dialogue = Dialogue(FULL)
        dialogue.core.starttls()
        self.assertEqual(dialogue.said(), b"STARTTLS\r\n")
        dialogue.server(b"220 go\r\n")
        self.assertEqual(dialogue.events, [TLSAgreed()])
        self.assertIsNone(dialogue.core.capabilities)
        self.assertFalse(dialogue.core.ready)
        dialogue.core.hello()
        self.assertEqual(dialogue.said(), b"EHLO seg.test\r\n")
        dialogue.server(PLAIN)
        self.assertEqual(dialogue.core.capabilities, Capabilities())

    def test_refused(self) -> None:
        """Any reply but 220 leaves a session that is still good in clear text."""
        for octets, enhanced in (
            (b"454 4.7.0 no TLS now\r\n", "4.7.0"),
            (b"502 5.5.1 what?\r\n", "4.5.1"),
            (b"250 ok\r\n", "4.5.0"),
            (b"354 go\r\n", "4.5.0"),
        ):
            with self.subTest(octets):
                dialogue = Dialogue(FULL)
                dialogue.core.starttls()
                dialogue.server(octets)
                (event,) = dialogue.events
                assert isinstance(event, TLSRefused)
                self.assertEqual(event.error.enhanced, enhanced)
                self.assertTrue(dialogue.core.ready)

    def test_plaintext_behind_the_220(self) -> None:
        """Plaintext behind the 220 of STARTTLS is refused, be it a whole reply or one octet: no TLS is
        begun."""
        for octets in (b"250 injected\r\n", b"2", b"\n", b"421 bye\r\n", b"\x16\x03\x03"):
            with self.subTest(octets):
                dialogue = Dialogue(FULL)
                dialogue.core.starttls()
                dialogue.said()
                dialogue.server(b"220 go\r\n" + octets)
                (event,) = dialogue.events
                assert isinstance(event, Ended)
                self.assertEqual(event.error.enhanced, "4.7.0")
                self.assertIn("Plaintext", event.error.text)
                self.assertEqual(dialogue.said(), b"")

    def test_reply_before_the_command(self) -> None:
        """A reply that is there before STARTTLS or MAIL was sent isn't taken for theirs: in clear text, where TLS is on offer, it is told
        as tampering; where it isn't, or inside TLS, as a broken protocol. Either way the connection ends."""
        for ehlo, error in ((FULL, InjectedPlaintext), (PLAIN, Temporary)):
            for octets in (b"220 go\r\n", b"250 ok\r\n", b"220", b"354 x\r\n", b" \n"):
                for together in (True, False):
                    with self.subTest(error=error, octets=octets, together=together):
                        dialogue = Dialogue()
                        dialogue.server(GREETING)
                        dialogue.core.hello()
                        dialogue.server(*([ehlo + octets] if together else [ehlo, octets]))
                        ended = dialogue.events[-1]
                        assert isinstance(ended, Ended)
                        self.assertIsInstance(ended.error, error)
                        self.assertFalse(dialogue.core.ready)
        dialogue = Dialogue(FULL)
        dialogue.core.starttls()
        dialogue.server(b"220 go\r\n")
        dialogue.core.hello()
        dialogue.server(FULL + b"250 ahead\r\n")
        ended = dialogue.events[-1]
        assert isinstance(ended, Ended)
        self.assertNotIsInstance(ended.error, InjectedPlaintext)

    def test_alert_behind_the_220(self) -> None:
        """An alert behind the 220, and text that can't be a reply, is a failure of the server's TLS; all else may be an injected reply."""
        alert = b"\x15\x03\x03\x00\x02\x02\x28"
        for octets, error in (
            (alert, FailedBeforeHello),
            (alert + b"2", InjectedPlaintext),
            (alert[:5], InjectedPlaintext),
            (b"this is no TLS\r\n" * 4, FailedBeforeHello),
            (b"\r\nthis is no TLS\r\n", InjectedPlaintext),
        ):
            dialogue = Dialogue(FULL)
            dialogue.core.starttls()
            dialogue.server(b"220 go\r\n" + octets)
            (ended,) = dialogue.events
            assert isinstance(ended, Ended)
            self.assertIsInstance(ended.error, error)

    def test_long_replies_are_kept_cut(self) -> None:
        """Whatever a server says to a thousand recipients, a bounded part of each reply is kept; the codes are the whole one's."""
        to = tuple(Recipient(rid, f"r{rid}@to.test") for rid in range(1000))
        dialogue = Dialogue(PIPELINING)
        dialogue.begin(to)
        dialogue.server(b"250 ok\r\n")
        long = b"".join(b"550-5.1.1 " + b"x" * 2000 + b"\r\n" for _ in range(31)) + b"550 5.1.1 y\r\n"
        for _ in to:
            dialogue.server(long)
        dialogue.server(b"554 no valid recipients\r\n")
        (done,) = dialogue.events
        assert isinstance(done, TransactionDone)
        kept = 0
        for result in done.results.values():
            assert isinstance(result, Permanent)
            self.assertEqual((result.code, result.enhanced), (550, "5.1.1"))
            kept += sum(map(len, result.remote))
        self.assertLess(kept, 1000 * 1010)

    def test_long_reply_to_ehlo(self) -> None:
        """Capabilities are read from the whole of a long reply to EHLO; of what isn't understood a bounded part is kept."""
        filler = b"".join(b"250-X%d %s\r\n" % (number, b"y" * 700) for number in range(80))
        dialogue = Dialogue(b"250-mx\r\n250-SIZE 5000\r\n" + filler + b"250 PIPELINING\r\n")
        capabilities = dialogue.core.capabilities
        assert capabilities is not None
        self.assertEqual((capabilities.size, capabilities.pipelining), (5000, True))
        self.assertLessEqual(len(capabilities.raw), 64 + 11)
        self.assertLess(sum(map(len, capabilities.raw.values())), 75 * 501)

    def test_plaintext_before_the_command(self) -> None:
        """The beginning of a reply that came before STARTTLS was sent doesn't wait for it: the connection
        ends."""
        dialogue = Dialogue()
        dialogue.server(GREETING)
        dialogue.core.hello()
        dialogue.server(FULL + b"220 re")
        self.assertEqual(dialogue.kinds(), [Greeted, Ended])
        self.assertRaises(RuntimeError, dialogue.core.starttls)


class TransactionTests(SynchronousTestCase):
    """MAIL, RCPT, DATA and the final dot."""

    def test_one_at_a_time(self) -> None:
        """Without PIPELINING each command waits for the reply to the one before."""
        dialogue = Dialogue(PLAIN)
        self.assertIsNone(dialogue.begin())
        for said, octets in (
            (b"MAIL FROM:<s@from.test>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<a@to.test>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@to.test>\r\n", b"251 will forward\r\n"),
            (b"DATA\r\n", b"354 go\r\n"),
        ):
            self.assertEqual(dialogue.said(), said)
            self.assertEqual(dialogue.events, [])
            dialogue.server(octets)
        self.assertEqual(dialogue.events, [ContentWanted()])
        dialogue.core.content_sent()
        self.assertEqual((dialogue.said(), dialogue.core.awaiting), (b"", Phase.CONTENT))
        dialogue.server(b"250 2.0.0 queued\r\n")
        self.assertEqual(dialogue.results(), {0: "ok 2.0.0 queued", 1: "ok 2.0.0 queued"})
        self.assertTrue(dialogue.core.ready)

    def test_pipelined(self) -> None:
        """With PIPELINING everything up to DATA goes in one write; the replies may come in any pieces."""
        replies = b"250 ok\r\n250-a\r\n250 b\r\n250 ok\r\n354 go\r\n"
        for pieces in ((replies,), tuple(replies[i : i + 1] for i in range(len(replies)))):
            dialogue = Dialogue(PIPELINING)
            dialogue.begin()
            self.assertEqual(dialogue.said(), BATCH)
            dialogue.server(*pieces)
            self.assertEqual(dialogue.events, [ContentWanted()])
            dialogue.core.content_sent()
            dialogue.server(b"250 done\r\n")
            self.assertEqual(dialogue.results(), {0: "ok done", 1: "ok done"})
            self.assertEqual(dialogue.said(), b"")

    def test_parameters(self) -> None:
        """SIZE, BODY and SMTPUTF8 stand on MAIL where they are offered and needed; the null reverse-path is
        <>."""
        utf8 = "größe@from.test"
        for ehlo, parts, expected in (
            (FULL, {}, "MAIL FROM:<s@from.test> SIZE=10"),
            (FULL, {"body": BodyType.EIGHT_BIT}, "MAIL FROM:<s@from.test> SIZE=10 BODY=8BITMIME"),
            (FULL, {"reverse_path": utf8, "smtputf8": True}, f"MAIL FROM:<{utf8}> SIZE=10 SMTPUTF8"),
            (PLAIN, {"reverse_path": ""}, "MAIL FROM:<>"),
            (b"250-x\r\n250 SIZE\r\n", {}, "MAIL FROM:<s@from.test> SIZE=10"),
            (PLAIN, {"reverse_path": "s@bücher.test"}, "MAIL FROM:<s@xn--bcher-kva.test>"),
            (FULL, {"reverse_path": "s@bücher.test"}, "MAIL FROM:<s@xn--bcher-kva.test> SIZE=10"),
            (FULL, {"reverse_path": "s@bücher.test", "smtputf8": True}, "MAIL FROM:<s@bücher.test> SIZE=10 SMTPUTF8"),
        ):
            with self.subTest(expected):
                dialogue = Dialogue(ehlo)
                self.assertIsNone(dialogue.begin(recipients("a@to.test"), **parts))
                self.assertEqual(dialogue.said().decode().split("\r\n")[0], expected)

    def test_unsendable(self) -> None:
        """A message that the server can't take is refused for good before MAIL, and the session stays
        good."""
        for ehlo, size, parts, expected in (
            (FULL, 1001, {}, "P 5.3.4"),
            (PLAIN, 10, {"body": BodyType.EIGHT_BIT}, "P 5.6.3"),
            (PLAIN, 10, {"smtputf8": True}, "P 5.6.7"),
            (PLAIN, 10, {"reverse_path": "größe@from.test"}, "P 5.6.7"),
            (PLAIN, 10, {"reverse_path": "a\r\nRCPT TO:<x@y.test>"}, "P 5.1.7"),
            (PLAIN, 10, {"reverse_path": "a> X=<b@c.test"}, "P 5.1.7"),
        ):
            with self.subTest(f"{expected} {parts}"):
                dialogue = Dialogue(ehlo)
                self.assertEqual(brief(dialogue.begin(size=size, **parts)), {0: expected, 1: expected})
                self.assertEqual(dialogue.said(), b"")
                self.assertTrue(dialogue.core.ready)

    def test_recipient_beyond_ascii(self) -> None:
        """A local part beyond ASCII makes it a transaction of SMTPUTF8 where that is offered; a domain alone doesn't: it has A-labels."""
        for to, said in (
            ("ü@bücher.test", "MAIL FROM:<s@from.test> SIZE=10 SMTPUTF8|RCPT TO:<ü@bücher.test>"),
            ("u@bücher.test", "MAIL FROM:<s@from.test> SIZE=10|RCPT TO:<u@xn--bcher-kva.test>"),
        ):
            dialogue = Dialogue(FULL)
            self.assertIsNone(dialogue.begin(recipients(to)))
            self.assertEqual(dialogue.said().decode().split("\r\n")[:2], said.split("|"))

    def test_notifications(self) -> None:
        """What the sender wants to hear goes on to a server that knows DSN, and only to one (RFC 3461 §5.2)."""
        to = (
            Recipient(0, "a@to.test", notify=frozenset()),
            Recipient(1, "b@to.test", notify=frozenset({DSNNotify.SUCCESS, DSNNotify.DELAY}), orcpt="rfc822;c@to.test"),
            Recipient(2, "d@to.test"),
        )
        for more, wanted in (
            (
                b"250-DSN\r\n",
                "MAIL FROM:<s@from.test> RET=HDRS ENVID=Q1|RCPT TO:<a@to.test> NOTIFY=NEVER|"
                "RCPT TO:<b@to.test> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;c@to.test|RCPT TO:<d@to.test>|DATA|",
            ),
            (b"", "MAIL FROM:<s@from.test>|RCPT TO:<a@to.test>|RCPT TO:<b@to.test>|RCPT TO:<d@to.test>|DATA|"),
        ):
            dialogue = Dialogue(b"250-mx.test\r\n" + more + b"250 PIPELINING\r\n")
            self.assertIsNone(dialogue.begin(to, ret=DSNRet.HEADERS, envid="Q1"))
            self.assertEqual(dialogue.said().decode().replace("\r\n", "|"), wanted)

    def test_requiretls(self) -> None:
        """A message that demands it goes to a server that offers it, and waits for another one otherwise (RFC 8689 §4.2.1)."""
        dialogue = Dialogue(b"250-mx.test\r\n250 REQUIRETLS\r\n")
        self.assertIsNone(dialogue.begin(requiretls=True))
        self.assertEqual(dialogue.said(), b"MAIL FROM:<s@from.test> REQUIRETLS\r\n")
        self.assertEqual(brief(Dialogue(PLAIN).begin(requiretls=True)), {0: "T 4.7.30", 1: "T 4.7.30"})

    def test_size_at_the_limit(self) -> None:
        """A message of exactly the size that the server takes is sent."""
        self.assertIsNone(Dialogue(FULL).begin(size=1000))

    def test_unsendable_recipients(self) -> None:
        """An address that can't stand in a command is refused for good by itself; quoted strings are fine."""
        to = recipients(
            "a@to.test",
            "x\r\nDATA@to.test",
            '"a b<>"@to.test',
            "ü@to.test",
            "\udc80@to.test",
            '"\r\n"@to.test',
        )
        dialogue = Dialogue(PIPELINING)
        self.assertIsNone(dialogue.begin(to))
        self.assertEqual(
            dialogue.said(),
            b'MAIL FROM:<s@from.test>\r\nRCPT TO:<a@to.test>\r\nRCPT TO:<"a b<>"@to.test>\r\nDATA\r\n',
        )
        dialogue.server(b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n")
        dialogue.core.content_sent()
        dialogue.server(b"250 ok\r\n")
        self.assertEqual(
            dialogue.results(),
            {0: "ok ok", 1: "P 5.1.3", 2: "ok ok", 3: "P 5.6.7", 4: "P 5.1.3", 5: "P 5.1.3"},
        )

    def test_order_of_commands(self) -> None:
        """A server that has forgotten its transaction after a refusal, or a 250, says so to all that follows: everybody waits."""
        for ehlo in (PLAIN, PIPELINING):
            for replies, expected in (
                ((b"451 4.7.1 later", b"503 5.5.1 need MAIL", b"503 5.5.1 need MAIL"), {0: "T 4.7.1", 1: "T 4.5.1"}),
                ((b"250 a", b"250 b", b"503 5.5.1 need RCPT"), {0: "T 4.5.1", 1: "T 4.5.1"}),
                ((b"250 a", b"503 need MAIL", b"503 need RCPT"), {0: "T 4.5.1", 1: "T 4.5.1"}),
            ):
                with self.subTest(f"{replies} {ehlo!r}"):
                    dialogue = Dialogue(ehlo)
                    dialogue.begin()
                    asked = [b"250 m", *replies]
                    while asked and TransactionDone not in dialogue.kinds():
                        dialogue.server(asked.pop(0) + b"\r\n")
                    self.assertEqual(dialogue.results(), expected)

    def test_mixtures(self) -> None:
        """Each recipient has its own result, in one batch as well as one at a time."""
        for case, replies, last, expected in (
            ("one refused", (b"250 m", b"250 a", b"550 5.1.1 b"), b"250 q", {0: "ok q", 1: "P 5.1.1"}),
            ("one delayed", (b"250 m", b"451 4.2.1 a", b"250 b"), b"250 q", {0: "T 4.2.1", 1: "ok q"}),
            (
                "too many, old code",
                (b"250 m", b"250 a", b"552 too many"),
                b"250 q",
                {0: "ok q", 1: "T 4.5.3"},
            ),
            ("too many", (b"250 m", b"250 a", b"550 5.5.3 too many"), b"250 q", {0: "ok q", 1: "T 4.5.3"}),
            ("mailbox full", (b"250 m", b"250 a", b"552 5.2.2 full"), b"250 q", {0: "ok q", 1: "P 5.2.2"}),
            ("dot 4xx", (b"250 m", b"250 a", b"550 b"), b"451 4.3.0 q", {0: "T 4.3.0", 1: "P 5.1.0"}),
            ("dot 5xx", (b"250 m", b"250 a", b"450 b"), b"554 5.7.1 spam", {0: "P 5.7.1", 1: "T 4.1.0"}),
        ):
            for ehlo in (PLAIN, PIPELINING):
                with self.subTest(f"{case} {ehlo!r}"):
                    dialogue = Dialogue(ehlo)
                    dialogue.begin()
                    dialogue.server(*(reply + b"\r\n" for reply in replies), b"354 go\r\n")
                    self.assertEqual(dialogue.events, [ContentWanted()])
                    dialogue.core.content_sent()
                    dialogue.server(last + b"\r\n")
                    self.assertEqual(dialogue.results(), expected)
                    self.assertTrue(dialogue.core.ready)

    def test_data_refused(self) -> None:
        """A refusal of DATA is the result of the accepted; the next transaction begins with RSET."""
        for ehlo in (PLAIN, PIPELINING):
            dialogue = Dialogue(ehlo)
            dialogue.begin()
            dialogue.server(b"250 m\r\n", b"250 a\r\n", b"550 5.1.1 b\r\n", b"451 4.3.5 ill\r\n")
            self.assertEqual(dialogue.results(), {0: "T 4.3.5", 1: "P 5.1.1"})
            dialogue.said()
            dialogue.begin()
            self.assertEqual(dialogue.said(), b"RSET\r\n" + (BATCH if ehlo is PIPELINING else b""))

    def test_mail_refused(self) -> None:
        """A refusal of MAIL is everybody's result, whatever the server says to the commands behind it."""
        for code, expected in (("450 4.7.1 later", "T 4.7.1"), ("550 5.7.1 no", "P 5.7.1")):
            mail = code.encode() + b"\r\n"
            for case, ehlo, replies, said in (
                ("one at a time", PLAIN, (mail,), b""),
                ("batch", PIPELINING, (mail, b"503 a\r\n", b"503 b\r\n", b"503 c\r\n"), b""),
                ("lax server", PIPELINING, (mail, b"250 a\r\n", b"250 b\r\n", b"354 c\r\n"), b".\r\n"),
            ):
                with self.subTest(f"{case} {code}"):
                    dialogue = Dialogue(ehlo)
                    dialogue.begin()
                    dialogue.said()
                    dialogue.server(*replies)
                    self.assertEqual(dialogue.said(), said)
                    if said:
                        dialogue.server(b"250 ok\r\n")
                    self.assertEqual(dialogue.results(), {0: expected, 1: expected})
                    self.assertTrue(dialogue.core.ready)

    def test_nobody_accepted(self) -> None:
        """When all recipients are refused no content is sent; the next transaction begins with RSET."""
        dialogue = Dialogue(PLAIN)
        dialogue.begin()
        dialogue.server(b"250 m\r\n", b"550 a\r\n", b"450 b\r\n")
        self.assertEqual(dialogue.results(), {0: "P 5.1.0", 1: "T 4.1.0"})
        self.assertTrue(dialogue.core.ready)
        dialogue.said()
        dialogue.begin()
        self.assertEqual(dialogue.said(), b"RSET\r\n")
        dialogue.server(b"250 ok\r\n")
        self.assertEqual(dialogue.said(), b"MAIL FROM:<s@from.test>\r\n")

    def test_nobody_accepted_in_a_batch(self) -> None:
        """RFC 2920 §3.1: DATA accepted although nobody was gets a lone dot, and what the server makes of it
        is ignored."""
        for last in (b"250 done\r\n", b"554 no recipients\r\n"):
            dialogue = Dialogue(PIPELINING)
            dialogue.begin()
            dialogue.said()
            dialogue.server(b"250 m\r\n550 a\r\n450 b\r\n354 go\r\n")
            self.assertEqual((dialogue.said(), dialogue.events), (b".\r\n", []))
            dialogue.server(last)
            self.assertEqual(dialogue.results(), {0: "P 5.1.0", 1: "T 4.1.0"})
            dialogue.begin()
            self.assertEqual(dialogue.said(), BATCH)

    def test_next_transaction(self) -> None:
        """After a final dot, accepted or refused, the next MAIL needs no RSET."""
        for last in (b"250 ok\r\n", b"550 no\r\n"):
            dialogue = Dialogue(PIPELINING)
            dialogue.begin()
            dialogue.server(b"250 m\r\n250 a\r\n250 b\r\n354 go\r\n")
            dialogue.core.content_sent()
            dialogue.server(last)
            dialogue.said()
            dialogue.begin()
            self.assertEqual(dialogue.said(), BATCH)

    def test_reset_before_batch_refused(self) -> None:
        """A server that refuses RSET is left, and nobody gets a verdict from the commands behind it."""
        dialogue = Dialogue(PIPELINING)
        dialogue.begin()
        dialogue.server(b"250 m\r\n550 a\r\n550 b\r\n554 no\r\n")
        dialogue.events.clear()
        dialogue.begin()
        dialogue.server(b"502 no\r\n")
        self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])
        self.assertEqual(dialogue.results(), {0: "T 4.5.1", 1: "T 4.5.1"})

    def test_closing_anywhere(self) -> None:
        """421 in a transaction delays whoever has no result yet and ends the connection."""
        steps = (b"250 m\r\n", b"550 a\r\n", b"250 b\r\n", b"354 go\r\n")
        for ehlo in (PLAIN, PIPELINING):
            for position in range(5):
                with self.subTest(f"{ehlo!r} {position}"):
                    dialogue = Dialogue(ehlo)
                    dialogue.begin()
                    dialogue.server(*steps[:position])
                    if position == 4:
                        dialogue.core.content_sent()
                    dialogue.events.clear()
                    dialogue.server(b"421 4.3.2 shutting down\r\n")
                    self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])
                    first = "P 5.1.0" if position >= 2 else "T 4.3.2"
                    self.assertEqual(dialogue.results(), {0: first, 1: "T 4.3.2"})
                    self.assertFalse(dialogue.core.ready)

    def test_421_within_data(self) -> None:
        """A16: 421 in the middle of the content, then the end, is a temporary failure of those accepted."""
        dialogue = Dialogue(PIPELINING)
        dialogue.begin()
        dialogue.server(b"250 m\r\n250 a\r\n550 b\r\n354 go\r\n")
        dialogue.server(b"421 4.3.2 out of here\r\n")
        self.assertEqual(dialogue.kinds(), [ContentWanted, TransactionDone, Ended])
        self.assertEqual(dialogue.results(), {0: "T 4.3.2", 1: "P 5.1.0"})
        self.assertEqual(dialogue.core.fail(Temporary("4.4.2", "lost")), [])

    def test_refused_within_data(self) -> None:
        """A refusal before the content's end is the result, and the connection ends; an acceptance there is
        believed by nobody."""
        for octets, expected in (
            (b"552 5.3.4 too big\r\n", "P 5.3.4"),
            (b"451 no\r\n", "T 4.3.0"),
            (b"250 ok\r\n", "T 4.5.0"),
        ):
            with self.subTest(octets):
                dialogue = Dialogue(PIPELINING)
                dialogue.begin()
                dialogue.server(b"250 m\r\n250 a\r\n550 b\r\n354 go\r\n")
                dialogue.events.clear()
                dialogue.server(octets)
                self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])
                self.assertEqual(dialogue.results(), {0: expected, 1: "P 5.1.0"})

    def test_refusal_behind_the_354(self) -> None:
        """A refusal in the same segment as the 354 comes before any content: none is asked for."""
        dialogue = Dialogue(PIPELINING)
        dialogue.begin()
        dialogue.server(b"250 m\r\n250 a\r\n250 b\r\n354 go\r\n554 5.7.1 changed my mind\r\n")
        self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])
        self.assertEqual(dialogue.results(), {0: "P 5.7.1", 1: "P 5.7.1"})

    def test_lost(self) -> None:
        """A connection lost at any point delays exactly those without a result."""
        steps = (b"250 m\r\n", b"550 a\r\n", b"250 b\r\n", b"354 go\r\n")
        for position in range(5):
            dialogue = Dialogue(PIPELINING)
            dialogue.begin()
            dialogue.server(*steps[:position])
            dialogue.events[:] = dialogue.core.fail(Temporary("4.4.2", "lost"))
            self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])
            self.assertEqual(dialogue.results(), {0: "P 5.1.0" if position >= 2 else "T 4.4.2", 1: "T 4.4.2"})

    def test_out_of_class(self) -> None:
        """A reply of a class that doesn't fit its command ends the connection: nobody is delivered, nobody
        bounced."""
        for position, octets in (
            (0, b"354 what\r\n"),
            (1, b"354 what\r\n"),
            (3, b"250 what\r\n"),
            (4, b"354 what\r\n"),
            (2, b"150 what\r\n"),
            (0, b"700 what\r\n"),
        ):
            with self.subTest(f"{position} {octets!r}"):
                dialogue = Dialogue(PIPELINING)
                dialogue.begin()
                dialogue.server(*(b"250 m\r\n", b"250 a\r\n", b"250 b\r\n", b"354 go\r\n")[:position])
                dialogue.core.content_sent()
                dialogue.events.clear()
                dialogue.server(octets)
                self.assertEqual(dialogue.results(), {0: "T 4.5.0", 1: "T 4.5.0"})
                self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])

    def test_replies_ahead(self) -> None:
        """A reply to a command that isn't sent yet ends the connection; it can't become somebody's
        acceptance."""
        dialogue = Dialogue(PLAIN)
        dialogue.begin()
        dialogue.server(b"250 m\r\n250 a\r\n")
        self.assertEqual(dialogue.results(), {0: "T 4.5.0", 1: "T 4.5.0"})
        self.assertEqual(dialogue.kinds(), [TransactionDone, Ended])

    def test_reply_behind_the_last(self) -> None:
        """What comes unasked behind the last reply doesn't spoil the delivery, but ends the connection."""
        for octets, enhanced in (
            (b"250 more\r\n", "4.5.0"),
            (b"421 4.3.2 bye\r\n", "4.3.2"),
            (b"4", "4.5.0"),
        ):
            dialogue = Dialogue(PIPELINING)
            dialogue.begin()
            dialogue.server(b"250 m\r\n250 a\r\n250 b\r\n354 go\r\n")
            dialogue.core.content_sent()
            dialogue.server(b"250 queued\r\n" + octets)
            self.assertEqual(dialogue.results(), {0: "ok queued", 1: "ok queued"})
            assert dialogue.core.ended is not None
            self.assertEqual(dialogue.core.ended.enhanced, enhanced)

    def test_endless_line(self) -> None:
        """A reply without end is given up at its limit."""
        dialogue = Dialogue(PIPELINING)
        dialogue.begin()
        dialogue.server(*[b"250 " + b"x" * 1000] * 4)
        self.assertEqual(dialogue.results(), {0: "T 4.5.0", 1: "T 4.5.0"})

    def test_reset_and_quit(self) -> None:
        """RSET and QUIT are operations too; after QUIT nothing may begin."""
        dialogue = Dialogue(PLAIN)
        dialogue.core.reset()
        self.assertEqual(dialogue.said(), b"RSET\r\n")
        dialogue.server(b"250 ok\r\n")
        self.assertEqual(dialogue.events, [ResetDone()])
        dialogue.core.quit()
        self.assertEqual(dialogue.said(), b"QUIT\r\n")
        self.assertFalse(dialogue.core.ready)
        self.assertRaises(RuntimeError, dialogue.core.reset)
        dialogue.server(b"221 bye\r\n")
        self.assertEqual(dialogue.kinds(), [ResetDone, Ended])

    def test_one_operation_at_a_time(self) -> None:
        """An operation during another, or a transaction before EHLO, is a fault of the caller."""
        dialogue = Dialogue(PLAIN)
        dialogue.core.reset()
        for operation in (
            dialogue.core.reset,
            dialogue.core.quit,
            dialogue.core.starttls,
            dialogue.core.hello,
            dialogue.begin,
        ):
            self.assertRaises(RuntimeError, operation)
        early = Dialogue()
        early.server(GREETING)
        self.assertRaises(RuntimeError, early.begin)

    @settings(max_examples=100)
    @given(
        st.booleans(),
        st.lists(
            st.sampled_from(
                (
                    b"250 ok\r\n",
                    b"354 go\r\n",
                    b"550 5.1.1 no\r\n",
                    b"450 later\r\n",
                    b"421 bye\r\n",
                    b"250-x\r\n",
                    b"junk\r\n",
                )
            )
            | st.binary(max_size=8),
            max_size=10,
        ),
    )
    def test_any_server(self, pipelining: bool, segments: list[bytes]) -> None:
        """Whatever a server sends, each recipient has one result in the end, and only a reply to the final
        dot is a delivery."""
        dialogue = Dialogue(PIPELINING if pipelining else PLAIN)
        dialogue.begin()
        sent = False
        for segment in segments:
            dialogue.server(segment)
            if dialogue.events and isinstance(dialogue.events[-1], ContentWanted):
                dialogue.core.content_sent()
                sent = True
        dialogue.events += dialogue.core.fail(Temporary("4.4.2", "lost"))
        (done,) = (event for event in dialogue.events if isinstance(event, TransactionDone))
        self.assertEqual(set(done.results), {0, 1})
        for result in done.results.values():
            self.assertIsInstance(result, Reply if sent and isinstance(result, Reply) else Temporary | Permanent)
