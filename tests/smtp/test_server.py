"""The server core follows the table, and answers in order."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.smtp import server_events as events
from seg.smtp.commands import Verb
from seg.smtp.reply import Reply
from seg.smtp.server_table import ALLOWED, State
from tests.smtp.accepting import TRANSACTION, AcceptingServer

EHLO = b"EHLO client.test\r\n"
MAIL = b"MAIL FROM:<a@one.test>\r\n"
RCPT = b"RCPT TO:<b@two.test>\r\n"
REACH = {
    State.START: b"",
    State.READY: EHLO,
    State.MAIL: EHLO + MAIL,
    State.RCPT: EHLO + MAIL + RCPT,
    State.BDAT: EHLO + MAIL + RCPT + b"BDAT 2\r\n\r\n",
}
LINES = {
    Verb.EHLO: EHLO,
    Verb.HELO: b"HELO client.test\r\n",
    Verb.MAIL: MAIL,
    Verb.RCPT: RCPT,
    Verb.VRFY: b"VRFY someone\r\n",
    Verb.BDAT: b"BDAT 4\r\nQUIT",
}
# Reply and state afterwards, for every command in every state in which commands are read.
TABLE = {
    (State.START, Verb.EHLO): (250, State.READY),
    (State.START, Verb.HELO): (250, State.READY),
    (State.START, Verb.MAIL): (503, State.START),
    (State.START, Verb.RCPT): (503, State.START),
    (State.START, Verb.DATA): (503, State.START),
    (State.START, Verb.RSET): (250, State.START),
    (State.START, Verb.NOOP): (250, State.START),
    (State.START, Verb.VRFY): (252, State.START),
    (State.START, Verb.QUIT): (221, State.ENDED),
    (State.START, Verb.HELP): (214, State.START),
    (State.START, Verb.STARTTLS): (503, State.START),
    (State.READY, Verb.EHLO): (250, State.READY),
    (State.READY, Verb.HELO): (250, State.READY),
    (State.READY, Verb.MAIL): (250, State.MAIL),
    (State.READY, Verb.RCPT): (503, State.READY),
    (State.READY, Verb.DATA): (503, State.READY),
    (State.READY, Verb.RSET): (250, State.READY),
    (State.READY, Verb.NOOP): (250, State.READY),
    (State.READY, Verb.VRFY): (252, State.READY),
    (State.READY, Verb.QUIT): (221, State.ENDED),
    (State.READY, Verb.HELP): (214, State.READY),
    (State.READY, Verb.STARTTLS): (220, State.TLS),
    (State.MAIL, Verb.EHLO): (250, State.READY),
    (State.MAIL, Verb.HELO): (250, State.READY),
    (State.MAIL, Verb.MAIL): (503, State.MAIL),
    (State.MAIL, Verb.RCPT): (250, State.RCPT),
    (State.MAIL, Verb.DATA): (554, State.MAIL),
    (State.MAIL, Verb.RSET): (250, State.READY),
    (State.MAIL, Verb.NOOP): (250, State.MAIL),
    (State.MAIL, Verb.VRFY): (252, State.MAIL),
    (State.MAIL, Verb.QUIT): (221, State.ENDED),
    (State.MAIL, Verb.HELP): (214, State.MAIL),
    (State.MAIL, Verb.STARTTLS): (503, State.MAIL),
    (State.RCPT, Verb.EHLO): (250, State.READY),
    (State.RCPT, Verb.HELO): (250, State.READY),
    (State.RCPT, Verb.MAIL): (503, State.RCPT),
    (State.RCPT, Verb.RCPT): (250, State.RCPT),
    (State.RCPT, Verb.DATA): (354, State.DATA),
    (State.RCPT, Verb.RSET): (250, State.READY),
    (State.RCPT, Verb.NOOP): (250, State.RCPT),
    (State.RCPT, Verb.VRFY): (252, State.RCPT),
    (State.RCPT, Verb.QUIT): (221, State.ENDED),
    (State.RCPT, Verb.HELP): (214, State.RCPT),
    (State.RCPT, Verb.STARTTLS): (503, State.RCPT),
    (State.START, Verb.BDAT): (503, State.START),
    (State.READY, Verb.BDAT): (503, State.READY),
    (State.MAIL, Verb.BDAT): (554, State.MAIL),
    (State.RCPT, Verb.BDAT): (250, State.BDAT),
    (State.BDAT, Verb.BDAT): (250, State.BDAT),
    (State.BDAT, Verb.EHLO): (250, State.READY),
    (State.BDAT, Verb.HELO): (250, State.READY),
    (State.BDAT, Verb.MAIL): (503, State.BDAT),
    (State.BDAT, Verb.RCPT): (503, State.BDAT),
    (State.BDAT, Verb.DATA): (503, State.BDAT),
    (State.BDAT, Verb.RSET): (250, State.READY),
    (State.BDAT, Verb.NOOP): (250, State.BDAT),
    (State.BDAT, Verb.VRFY): (252, State.BDAT),
    (State.BDAT, Verb.QUIT): (221, State.ENDED),
    (State.BDAT, Verb.HELP): (214, State.BDAT),
    (State.BDAT, Verb.STARTTLS): (503, State.BDAT),
    **{(state, Verb.XCLIENT): (550 if state in (State.START, State.READY) else 503, state) for state in REACH},
    **{(state, Verb.AUTH): (502, state) for state in REACH},  # offered: tests.smtp.test_auth
}


class TableTests(SynchronousTestCase):
    """Every command in every state."""

    def test_conformance(self) -> None:
        """Each command in each state gets its reply and leads to its state."""
        self.assertEqual(len(TABLE), len(REACH) * len(Verb))
        for (state, verb), wanted in TABLE.items():
            server = AcceptingServer()
            server.feed(REACH[state])
            self.assertIs(server.core.state, state)
            codes = server.codes(LINES.get(verb, verb.value.encode() + b"\r\n"))
            self.assertEqual((codes, server.core.state), ([wanted[0]], wanted[1]), (state, verb))

    def test_denied_by_default(self) -> None:
        """No command is allowed in a state in which no commands are read."""
        for state in (State.DATA, State.TLS, State.ENDED):
            self.assertFalse([verb for verb in Verb if (state, verb) in ALLOWED])


class ServerTests(SynchronousTestCase):
    """`ServerConnection`."""

    def test_greeting(self) -> None:
        """EHLO lists what is offered; HELO lists nothing."""
        server = AcceptingServer()
        server.core.greet()
        self.assertEqual(server.core.data_to_send(), b"220 mx.test ESMTP\r\n")
        self.assertEqual(
            server.feed(EHLO),
            b"250-mx.test\r\n250-PIPELINING\r\n250-SIZE 10000\r\n250-8BITMIME\r\n"
            b"250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n250 STARTTLS\r\n",
        )
        self.assertEqual(server.feed(b"HELO client.test\r\n"), b"250 mx.test\r\n")
        self.assertNotIn(b"STARTTLS", AcceptingServer(starttls=False).feed(EHLO))

    def test_banner(self) -> None:
        """The operator's words stand behind the name in the greeting."""
        server = AcceptingServer(banner="no spam please")
        server.core.greet()
        self.assertEqual(server.core.data_to_send(), b"220 mx.test ESMTP no spam please\r\n")

    def test_tls_required(self) -> None:
        """Before TLS nothing of a message is taken, and a chunk that comes all the same isn't run (RFC 3207 §4); inside TLS all is as usual."""
        server = AcceptingServer(tls_required=True)
        codes = server.codes(EHLO + MAIL + b"VRFY x\r\n" + b"BDAT 6 LAST\r\nQUIT\r\n" + b"NOOP\r\nHELP\r\n")
        self.assertEqual(codes, [250, 530, 530, 503, 250, 214])
        self.assertEqual(server.codes(b"STARTTLS\r\n"), [220])
        server.core.tls_started()
        self.assertEqual(server.codes(EHLO + MAIL + RCPT), [250, 250, 250])

    def test_tls_from_the_start(self) -> None:
        """With implicit TLS STARTTLS isn't offered, and what needs TLS is taken."""
        server = AcceptingServer(starttls=False, tls_required=True)
        server.core.tls_from_the_start()
        said = server.feed(EHLO)
        self.assertNotIn(b"STARTTLS", said)
        self.assertIn(b"REQUIRETLS", said)
        self.assertEqual(server.codes(MAIL), [250])

    def test_malformed(self) -> None:
        """What isn't understood gets 500, 501, 502, 553 or 555 and an enhanced code, and changes nothing."""
        for line, wanted in [
            (b"FOO", b"500 5.5.1"),
            (b"", b"500 5.5.1"),
            (b" NOOP", b"500 5.5.1"),
            (b"MAILFROM:<>", b"500 5.5.1"),
            (b"EXPN list", b"502 5.5.1"),
            (b"AUTH PLAIN", b"502 5.5.1"),
            (b"EHLO", b"501 5.5.4"),
            (b"HELO two words", b"501 5.5.4"),
            (b"DATA now", b"501 5.5.4"),
            (b"RSET x", b"501 5.5.4"),
            (b"QUIT x", b"501 5.5.4"),
            (b"VRFY", b"501 5.5.4"),
            (b"RCPT TO:<c@>", b"501 5.1.3"),
            (b"RCPT TO:<c@d.test> X", b"555 5.5.4"),
            (b"RCPT TO:<\xc3\xa9@d.test>", b"553 5.6.7"),
            (b"RCPT TO:<\xe9@d.test>", b"501 5.5.2"),
            (b"VRFY \xc3\xa9", b"501 5.5.2"),
            (b"NOOP \xff", b"501 5.5.2"),
            (b"NO\0OP", b"500 5.5.2"),
            (b"NOOP\nRSET", b"500 5.5.2"),
            (b"x" * 1100, b"500 5.5.2"),
        ]:
            server = AcceptingServer()
            server.feed(EHLO + MAIL + RCPT)
            said = server.feed(line + b"\r\n")
            self.assertEqual((said[:9], said.count(b"\r\n")), (wanted, 1), line)
            self.assertIs(server.core.state, State.RCPT)

    def test_smtputf8(self) -> None:
        """Addresses beyond ASCII are taken in a transaction that began with SMTPUTF8, and in no other (RFC 6531 §3.4)."""
        mail, rcpt = "MAIL FROM:<jörg@bücher.test>".encode(), "RCPT TO:<müller@d.test>\r\n".encode()
        server = AcceptingServer()
        server.feed(EHLO)
        self.assertTrue(server.feed(mail + b"\r\n").startswith(b"553 5.6.7"))
        self.assertTrue(server.feed(mail + b" SIZE=10\r\n").startswith(b"553 5.6.7"))
        self.assertTrue(server.feed(mail + b" SMTPUTF8=yes\r\n").startswith(b"501 5.5.4"))
        self.assertIs(server.core.state, State.READY)
        self.assertTrue(server.feed(mail + b" SMTPUTF8\r\n").startswith(b"250"))
        self.assertTrue(server.feed(rcpt).startswith(b"250"))
        self.assertTrue(server.feed(b"RSET\r\n" + MAIL).startswith(b"250"))
        self.assertTrue(server.feed(rcpt).startswith(b"553 5.6.7"))

    def test_case_and_trailing_space(self) -> None:
        """Verbs in any case and white space at the end are taken."""
        server = AcceptingServer()
        self.assertEqual(
            server.codes(b"ehlo x \r\nMaIl fRoM:<>\t\r\nrcpt to:<a@b.test> \r\ndata \r\n"),
            [250, 250, 250, 354],
        )

    def test_pipelining(self) -> None:
        """Commands in one segment are answered in order, replies in one piece, message after message."""
        server = AcceptingServer()
        message = MAIL + RCPT + b"DATA\r\nx\r\n.\r\n"
        codes = server.codes(EHLO + message + message + b"BAD\r\nNOOP\r\nQUIT\r\n")
        self.assertEqual(codes, [250, *[250, 250, 354, 250] * 2, 500, 250, 221])
        self.assertEqual(server.messages, [b"x\r\n", b"x\r\n"])

    def test_any_segmentation(self) -> None:
        """The dialogue is the same octet by octet."""
        dialogue = TRANSACTION + b"..x\r\n.\r\nQUIT\r\n"
        whole, pieces = AcceptingServer(), AcceptingServer()
        whole.feed(dialogue)
        for octet in dialogue:
            pieces.feed(bytes([octet]))
        self.assertEqual((pieces.out, pieces.messages), (whole.out, [b".x\r\n"]))

    def test_waits_for_the_answer(self) -> None:
        """Nothing behind a question is read before its answer."""
        server = AcceptingServer()
        core = server.core
        server.feed(EHLO)
        asked = list(core.receive(MAIL + RCPT))
        self.assertEqual([type(event) for event in asked], [events.MailCommand])
        self.assertEqual((core.awaiting, core.buffered, core.data_to_send()), (True, len(RCPT), b""))
        core.refuse(Reply.of(451, "4.3.0", "Not now"))
        self.assertEqual(
            list(core.receive(b"")),
            [events.CommandRefused(RCPT.decode().strip(), Reply.of(503, "5.5.1", "Send MAIL first"))],
        )
        self.assertRaises(ValueError, core.accept)
        self.assertRaises(ValueError, core.refuse, Reply.of(451, "4.3.0", "Not now"))

    def test_size(self) -> None:
        """A declared size above the limit is refused at MAIL, the limit itself isn't."""
        server = AcceptingServer()
        server.feed(EHLO)
        self.assertEqual(server.feed(b"MAIL FROM:<> SIZE=10001\r\n"), b"552 5.3.4 Message size exceeds limit\r\n")
        self.assertIs(server.core.state, State.READY)
        self.assertEqual(server.codes(b"MAIL FROM:<> SIZE=10000\r\n"), [250])

    def test_oversize_content(self) -> None:
        """Content above the limit is read to its end, not passed on, and refused; the session goes on."""
        server = AcceptingServer()
        server.feed(TRANSACTION)
        for _ in range(1000):
            self.assertEqual(server.feed(b"x" * 98 + b"\r\n"), b"")
        self.assertEqual(server.feed(b".\r\nNOOP\r\n"), b"552 5.3.4 Message size exceeds limit\r\n250 2.0.0 Ok\r\n")
        passed = sum(len(event.data) for event in server.events if isinstance(event, events.ContentReceived))
        self.assertLessEqual(passed, 10000)
        self.assertEqual(server.messages, [])

    def test_size_counts_content(self) -> None:
        """Dots added by the transparency don't count: exactly the limit is accepted, one more isn't."""
        for size, code in ((10000, 250), (10001, 552)):
            server = AcceptingServer()
            server.feed(TRANSACTION)
            self.assertEqual(server.codes(b".." + b"x" * (size - 3) + b"\r\n.\r\n"), [code])

    def test_too_many_faults(self) -> None:
        """The last allowed fault is answered, then the session ends and nothing more is run."""
        server = AcceptingServer(max_faults=3)
        codes = server.codes(EHLO + b"A\r\nB\r\nNOOP\r\nC\r\n" + MAIL)
        self.assertEqual(codes, [250, 500, 500, 250, 500, 421])
        self.assertIsInstance(server.events[-1], events.SessionEnded)
        self.assertEqual(server.feed(b"NOOP\r\n"), b"")

    def test_other_protocol(self) -> None:
        """A request of HTTP ends the session before its body can be taken for commands."""
        server = AcceptingServer()
        codes = server.codes(b"POST / HTTP/1.1\r\nHost: mx.test:2525\r\n\r\n" + TRANSACTION)
        self.assertEqual(codes, [554])
        self.assertIs(server.core.state, State.ENDED)

    def test_dropped(self) -> None:
        """RSET, EHLO and HELO tell that the transaction is gone, outside of one they tell nothing."""
        for line, command in ((b"RSET\r\n", "RSET"), (EHLO, "EHLO"), (b"HELO x\r\n", "HELO")):
            server = AcceptingServer()
            server.feed(EHLO + line)
            self.assertEqual(server.events, [])
            server.feed(MAIL + line)
            self.assertEqual(server.events[1:], [events.TransactionDropped(command)])


class StartTLSTests(SynchronousTestCase):
    """STARTTLS, RFC 3207."""

    def test_forgets(self) -> None:
        """Behind the handshake the client has to greet again, and STARTTLS is neither offered nor taken."""
        server = AcceptingServer()
        self.assertEqual(server.codes(EHLO + b"STARTTLS\r\n"), [250, 220])
        self.assertEqual(server.events, [events.TLSWanted()])
        server.core.tls_started()
        self.assertEqual((server.core.helo, server.core.tls), ("", True))
        self.assertEqual(server.codes(MAIL), [503])
        self.assertNotIn(b"STARTTLS", server.feed(EHLO))
        self.assertEqual(server.codes(b"STARTTLS\r\n"), [503])

    def test_commands_behind_it_never_run(self) -> None:
        """A18: octets behind STARTTLS in its segment end the session; none is run, in clear or inside TLS."""
        for injected in (MAIL, b"RSET\r\n", b"\r\n", b"x", b"\x16\x03\x01", TRANSACTION):
            server = AcceptingServer()
            said = server.feed(EHLO + b"STARTTLS\r\n" + injected)
            self.assertTrue(
                said.endswith(b"554 5.5.1 Commands behind STARTTLS are not allowed; closing connection\r\n")
            )
            self.assertNotIn(b"220", said)
            self.assertEqual(
                server.events,
                [events.SessionEnded("Commands behind STARTTLS are not allowed; closing connection")],
            )
            self.assertEqual(server.core.buffered, 0)
            self.assertEqual(server.feed(MAIL), b"")
            self.assertRaises(ValueError, server.core.tls_started)

    def test_octets_before_the_handshake_are_dropped(self) -> None:
        """Clear text that comes between the 220 and the handshake is gone when TLS is on."""
        server = AcceptingServer()
        server.feed(EHLO + b"STARTTLS\r\n")
        self.assertEqual(server.feed(EHLO + MAIL), b"")
        server.core.tls_started()
        self.assertEqual(server.feed(b""), b"")
        self.assertEqual(server.codes(b"NOOP\r\n"), [250])

    def test_refused(self) -> None:
        """Without a certificate 502, with an argument 501."""
        self.assertEqual(AcceptingServer(starttls=False).codes(EHLO + b"STARTTLS\r\n"), [250, 502])
        self.assertEqual(AcceptingServer().codes(EHLO + b"STARTTLS now\r\n"), [250, 501])
