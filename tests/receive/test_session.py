"""A client hands in mail."""

from __future__ import annotations

from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from zope.interface.verify import verifyObject

from seg.events.gateway import Fault
from seg.events.receive import (
    BadCommand,
    ConnectionAccepted,
    ConnectionAdmitted,
    ConnectionClosed,
    MessageAborted,
    MessageQueued,
    MessageReceived,
    MessageStarted,
    ReceiveFailed,
    RecipientAccepted,
    UnknownCommand,
)
from seg.mail.envelope import BodyType, DSNRet, Envelope, Recipient
from tests.receive.front_door import DATA, EHLO, MAIL, MESSAGE, RCPT, TRANSACTION, FrontDoorCase


class SessionTests(FrontDoorCase):
    """`seg.receive.protocol.ServerProtocol`."""

    def test_interfaces(self) -> None:
        """A session hears of handshakes, and lets itself be paused."""
        session = self.connect().protocol
        verifyObject(IHandshakeListener, session)
        verifyObject(IPushProducer, session)

    def test_walk(self) -> None:
        """A whole session: every event in order, envelope, content with its Received field, replies."""
        self.clock.advance(1764044000)
        client = self.connect()
        self.assertTrue(client.transport.no_delay)
        self.assertEqual(client.heard(), b"220 mx.test ESMTP\r\n")
        client.say(EHLO)
        self.assertEqual(
            client.say(b"MAIL FROM:<a@one.test> BODY=8BITMIME\r\n" + RCPT + DATA),
            b"250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n",
        )
        said = client.say(b"Message-ID: <1@one.test>\r\nSubject: a\r\n b\r\n\r\n..dot\r\n.\r\n")
        self.assertEqual(said, b"250 2.0.0 Ok: queued as 1\r\n")
        self.assertEqual(client.say(b"QUIT\r\n"), b"221 2.0.0 Goodbye\r\n")
        self.assertTrue(client.closed)
        client.vanish()
        message = self.queue.messages[1]
        self.assertEqual(
            message.content,
            b"Received: from client.test ([127.0.0.1])\r\n"
            b"\tby mx.test with ESMTP id 1\r\n"
            b"\tfor <b@two.test>;\r\n"
            b"\tTue, 25 Nov 2025 04:13:20 +0000\r\n"
            b"Message-ID: <1@one.test>\r\nSubject: a\r\n b\r\n\r\n.dot\r\n",
        )
        size = len(message.content)
        self.assertEqual(
            message.envelope,
            Envelope(
                mid=1,
                reverse_path="a@one.test",
                recipients=(Recipient(0, "b@two.test"),),
                arrived=1764044000.0,
                size=size,
                body=BodyType.SEVEN_BIT,
                icid=1,
                client="127.0.0.1",
                helo="client.test",
            ),
        )
        self.assertEqual(
            self.sink.events,
            [
                ConnectionAccepted(1, "relay", "127.0.0.2", "127.0.0.1"),
                ConnectionAdmitted(1, "RELAY", "RELAYLIST", "127.0.0.0/8"),
                MessageStarted(1, 1, "a@one.test"),
                RecipientAccepted(1, 1, 0, "b@two.test"),
                MessageReceived(1, 1, "a@one.test", size, "<1@one.test>", "a b"),
                MessageQueued(1),
                ConnectionClosed(1),
            ],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wishes(self) -> None:
        """What the sender wants to hear, and of TLS, is in the envelope that is queued (RFC 3461, RFC 8689)."""
        client = self.connect()
        client.say(EHLO)
        client.say(b"MAIL FROM:<a@one.test> RET=HDRS ENVID=Q1\r\n")
        client.say(b"RCPT TO:<b@two.test> NOTIFY=NEVER\r\nRCPT TO:<c@two.test> ORCPT=rfc822;d@two.test\r\n")
        client.say(DATA + b"TLS-Required: No\r\n\r\n.\r\n")
        envelope = self.queue.messages[1].envelope
        self.assertEqual((envelope.ret, envelope.envid, envelope.tls_optional), (DSNRet.HEADERS, "Q1", True))
        self.assertEqual(
            envelope.recipients,
            (Recipient(0, "b@two.test", notify=frozenset()), Recipient(1, "c@two.test", orcpt="rfc822;d@two.test")),
        )
        self.assertEqual(client.say(b"MAIL FROM:<a@one.test> REQUIRETLS\r\n"), b"530 5.7.10 REQUIRETLS needs TLS\r\n")

    def test_chunks(self) -> None:
        """A message by BDAT is stored like one by DATA, Received field first; one that is given up leaves nothing."""
        client = self.connect()
        client.say(EHLO + b"MAIL FROM:<a@one.test>\r\n" + RCPT)
        self.assertEqual(client.say(b"BDAT 12\r\nSubject: a\r\n"), b"250 2.0.0 12 octets taken\r\n")
        self.assertEqual(client.say(b"BDAT 5 LAST\r\n\r\n.\r\n"), b"250 2.0.0 Ok: queued as 1\r\n")
        content = self.queue.messages[1].content
        self.assertTrue(content.startswith(b"Received: from client.test"))
        self.assertTrue(content.endswith(b"Subject: a\r\n\r\n.\r\n"))
        client.say(b"MAIL FROM:<a@one.test>\r\n" + RCPT + b"BDAT 3\r\na\r\nRSET\r\n")
        self.assertEqual(sorted(self.queue.messages), [1])

    def test_smtputf8(self) -> None:
        """What a message needs of later servers is seen when it comes in, not believed: header and reverse-path decide (RFC 6531)."""
        for mail, header, needed in (
            ("MAIL FROM:<a@bücher.test> SMTPUTF8", "Subject: a", False),
            ("MAIL FROM:<jörg@one.test> SMTPUTF8", "Subject: a", True),
            ("MAIL FROM:<a@one.test> SMTPUTF8", "Subject: ä", True),
            ("MAIL FROM:<a@one.test>", "Subject: ä", False),
        ):
            client = self.connect()
            client.say(EHLO)
            rcpt = "RCPT TO:<müller@two.test>\r\n" if "SMTPUTF8" in mail else "RCPT TO:<m@two.test>\r\n"
            said = client.say(f"{mail}\r\n{rcpt}".encode() + DATA)
            self.assertEqual(said.count(b"\r\n"), 3, said)
            client.say(f"{header}\r\n\r\nbody\r\n.\r\n".encode())
            message = self.queue.messages[max(self.queue.messages)]
            self.assertEqual(message.envelope.smtputf8, needed, (mail, header))
            head = message.content.partition(b"Subject")[0]
            self.assertTrue(head.isascii())
            protocol = b"UTF8SMTP" if "SMTPUTF8" in mail else b"ESMTP"
            self.assertIn(b"with " + protocol + b" id", head)
            self.assertEqual(b"for <" in head, "SMTPUTF8" not in mail)

    def test_several_recipients_and_messages(self) -> None:
        """Recipients keep their order and aren't named in Received; each message has its own MID."""
        client = self.connect()
        client.say(EHLO)
        client.say(MAIL + RCPT + b"RCPT TO:<c@three.test>\r\n" + DATA + b".\r\n" + MESSAGE)
        self.assertEqual(
            [r.address for r in self.queue.messages[1].envelope.recipients], ["b@two.test", "c@three.test"]
        )
        self.assertNotIn(b"for <", self.queue.messages[1].content)
        self.assertIn(b"for <b@two.test>", self.queue.messages[2].content)

    def test_one_write(self) -> None:
        """All replies to a segment leave in one write."""
        client = self.connect()
        writes: list[bytes] = []
        self.patch(client.transport, "write", writes.append)
        client.protocol.dataReceived(EHLO + MESSAGE + MESSAGE + b"NOOP\r\n")
        self.assertEqual(len(writes), 1)

    def test_helo(self) -> None:
        """With HELO the Received field says SMTP."""
        client = self.connect()
        client.say(b"HELO x\r\n" + MESSAGE)
        self.assertIn(b"with SMTP id", self.queue.messages[1].content)

    def test_postmaster(self) -> None:
        """<Postmaster> goes to our postmaster: the one configured, or the host's."""
        for configured, wanted in (("", "postmaster@mx.test"), ("ops@corp.test", "ops@corp.test")):
            self.build(postmaster=configured)
            self.connect().say(EHLO + MAIL + b"RCPT TO:<POSTMASTER>\r\n" + DATA + b".\r\n")
            *_, message = self.queue.messages.values()
            self.assertEqual(message.envelope.recipients[0].address, wanted)

    def test_aborted(self) -> None:
        """RSET, EHLO, QUIT and a lost connection: nothing is kept, and the MID gets a last word."""
        for ending in (b"RSET\r\n", EHLO, b"QUIT\r\n", None):
            client = self.connect()
            client.say(EHLO + MAIL + RCPT)
            self.told()
            if ending is None:
                client.vanish()
            else:
                client.say(ending)
            names = self.told()
            self.assertEqual([n for n in names if n.startswith("Message")], ["MessageAborted", "MessageFinished"])
        self.assertEqual(self.queue.messages, {})

    def test_lost_in_data(self) -> None:
        """A connection lost inside DATA: the writer is told, and the event names state and octets."""
        client = self.connect()
        client.say(EHLO + TRANSACTION + b"half")
        client.vanish()
        self.assertTrue(self.queue.writers[0].aborted)
        (aborted,) = self.sink.of(MessageAborted)
        self.assertRegex(aborted.text, r"connection lost in state data, \d+ octets")
        self.assertEqual(self.told()[-4:], ["ConnectionLost", "MessageAborted", "MessageFinished", "ConnectionClosed"])

    def test_bad_commands(self) -> None:
        """Unknown and malformed commands are told; at the limit the connection is closed with 421."""
        self.build(max_unknown_commands=2)
        client = self.connect()
        client.say(b"FOO bar\r\n")
        self.assertEqual(self.sink.events[-1], UnknownCommand(1, "FOO ***"))
        said = client.say(b"MAIL FROM:<>\r\nNOOP\r\n")
        self.assertIn(b"\r\n421 4.7.0 ", said)
        self.assertTrue(said.endswith(b"closing connection\r\n"))
        self.assertTrue(client.closed)
        bad, failed = self.sink.events[-2:]
        self.assertEqual(bad, BadCommand(1, "MAIL FROM:<>", "503 5.5.1 Send EHLO or HELO first", 503))
        self.assertIsInstance(failed, ReceiveFailed)

    def test_bare_newline(self) -> None:
        """A message with a bare LF, a bare CR or a NUL is refused at its end, nothing is queued, the reason is told, and what follows is
        never read as commands."""
        for number, (octets, named) in enumerate({b"a\nb": "bare LF", b"a\rb": "bare CR", b"a\0b": "NUL"}.items(), 1):
            client = self.connect()
            said = client.say(EHLO + TRANSACTION + octets + b"\r\n.\r\n" + MESSAGE)
            self.assertIn(b"\r\n550 5.6.0 Message has a " + named.encode(), said)
            self.assertTrue(said.endswith(b"; closing connection\r\n"))
            self.assertTrue(client.closed)
            self.assertEqual(client.say(MESSAGE), b"")
            (told,) = self.sink.of(ReceiveFailed)[number - 1 :]
            self.assertTrue(
                told.text.startswith(f"Message has a {named}") and told.text.endswith("; closing connection")
            )
        self.assertEqual(len(self.queue.writers), 3)
        self.assertEqual((self.queue.messages, all(writer.aborted for writer in self.queue.writers)), ({}, True))

    def test_bare_newline_in_chunks(self) -> None:
        """The octets of a chunk are counted, so that nothing can be mistaken for its end: the session goes on."""
        client = self.connect()
        said = client.codes(EHLO + MAIL + RCPT + b"BDAT 5 LAST\r\na\nb\r\n" + MESSAGE)
        self.assertEqual(said, [250, 250, 250, 550, 250, 250, 354, 250])

    def test_judged_by_its_octets(self) -> None:
        """Content is 7-bit or 8-bit by what is in it, whatever the client said of it, however it comes and is cut."""
        for content, wanted in (
            (b"Subject: x\r\n\r\nascii\r\n", BodyType.SEVEN_BIT),
            (b"Subject: x\r\n\r\nj\xc3\xb6rg\r\n", BodyType.EIGHT_BIT),
            (b"Subject: \xf6\r\n\r\nascii\r\n", BodyType.EIGHT_BIT),
            (b"\r\n" + b"x\r\n" * 9000 + b"\xff\r\n" + b"x\r\n" * 9000, BodyType.EIGHT_BIT),
        ):
            for said in (b"", b" BODY=7BIT", b" BODY=8BITMIME"):
                mail = EHLO + b"MAIL FROM:<a@one.test>" + said + b"\r\n" + RCPT
                for data in (b"DATA\r\n" + content + b".\r\n", b"BDAT %d LAST\r\n" % len(content) + content):
                    client = self.connect()
                    for start in range(0, len(data), 7000):
                        client.say((mail if not start else b"") + data[start : start + 7000])
                    self.assertIs(
                        self.queue.messages[max(self.queue.messages)].envelope.body, wanted, (content[:30], said)
                    )
                    client.vanish()

    def test_loop(self) -> None:
        """More Received fields than allowed are a loop: 554 5.4.6, however the header is cut."""
        self.build(max_received_hops=3)
        for hops, code in ((3, 250), (4, 554)):
            header = b"received: x\r\n\tRECEIVED: folded\r\n" * hops + b"Subject: x\r\n\r\nReceived: body\r\n"
            for step in (10000, 7):
                client = self.connect()
                client.say(EHLO + TRANSACTION)
                for start in range(0, len(header), step):
                    client.say(header[start : start + step])
                self.assertEqual(client.codes(b".\r\n"), [code])
        self.assertEqual(len(self.queue.messages), 2)
        self.assertEqual({e.text for e in self.sink.of(ReceiveFailed)}, {"Message loop"})

    def test_loop_without_body(self) -> None:
        """A message that is all header is counted too."""
        self.build(max_received_hops=1)
        client = self.connect()
        self.assertEqual(client.codes(EHLO + TRANSACTION + b"Received: a\r\nReceived: b\r\n.\r\n")[-1], 554)


class QueueTests(FrontDoorCase):
    """What a session makes of the queue's answers."""

    def test_250_after_durable(self) -> None:
        """The 250 isn't sent, and no event claims the message, until the commit has fired."""
        self.queue.by_hand = True
        client = self.connect()
        self.assertEqual(client.codes(EHLO + MESSAGE), [250, 250, 250, 354])
        self.assertEqual(self.sink.of(MessageReceived), [])
        client.transport.clear()
        self.queue.commits[0].callback(None)
        self.assertEqual(client.heard(), b"250 2.0.0 Ok: queued as 1\r\n")
        self.assertEqual(self.told()[-2:], ["MessageReceived", "MessageQueued"])

    def test_pipelined_behind_a_commit(self) -> None:
        """Commands that come while the commit is pending wait, and are answered behind it in order."""
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE)
        self.assertEqual(client.say(b"NOOP\r\nFOO\r\n" + MESSAGE + b"QUIT\r\n"), b"")
        self.queue.commits[0].callback(None)
        self.assertTrue(client.heard().startswith(b"250 2.0.0 Ok: queued as 1\r\n250 2.0.0 Ok\r\n500 "))
        self.assertFalse(client.closed)
        client.transport.clear()
        self.queue.commits[1].callback(None)
        self.assertEqual(client.heard(), b"250 2.0.0 Ok: queued as 2\r\n221 2.0.0 Goodbye\r\n")

    def test_full_disk(self) -> None:
        """A commit that fails with OSError is answered 452 4.3.1; nothing is kept; the session goes on."""
        self.queue.commit_error = OSError(28, "No space left on device")
        client = self.connect()
        said = client.say(EHLO + MESSAGE)
        self.assertTrue(said.endswith(b"452 4.3.1 Insufficient system storage\r\n"))
        self.assertEqual(self.queue.messages, {})
        self.assertEqual(self.told()[-4:], ["Fault", "ReceiveFailed", "MessageAborted", "MessageFinished"])
        self.queue.commit_error = None
        self.assertEqual(client.codes(MESSAGE), [250, 250, 354, 250])

    def test_full_disk_while_it_arrives(self) -> None:
        """A write that fails is answered 452 at the end of the content."""
        self.queue.write_error = OSError(28, "No space left on device")
        client = self.connect()
        self.assertEqual(client.codes(EHLO + MESSAGE + b"NOOP\r\n")[-2:], [452, 250])
        self.assertFalse(self.queue.writers[0].committed)

    def test_other_failure(self) -> None:
        """Any other failure of a commit is answered 451, and told as a fault."""
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE)
        self.queue.commits[0].errback(RuntimeError("broken"))
        self.assertTrue(client.heard().endswith(b"451 4.3.0 Local error in processing\r\n"))
        self.assertEqual(self.sink.of(Fault), [Fault("MID 1: Cannot queue: broken")])

    def test_client_gone_while_committing(self) -> None:
        """A message whose client vanishes during the commit is ours, and isn't called aborted."""
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE)
        client.vanish()
        self.queue.commits[0].callback(None)
        names = self.told()
        self.assertIn("MessageQueued", names)
        self.assertNotIn("MessageAborted", names)

    def test_stops_reading_ahead(self) -> None:
        """While a commit is pending and much was sent ahead, the transport is paused."""
        self.build(max_idle_commands=20_000)
        self.queue.by_hand = True
        client = self.connect()
        client.say(EHLO + MESSAGE)
        client.say(b"NOOP\r\n" * 10000)
        self.assertEqual(client.transport.producerState, "producing")
        client.say(b"NOOP\r\n" * 1000)
        self.assertEqual(client.transport.producerState, "paused")
        self.queue.commits[0].callback(None)
        client.settle()
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEqual(client.heard().count(b"250 2.0.0 Ok\r\n"), 11000)

    def test_client_that_does_not_read(self) -> None:
        """When the client doesn't take our replies, we don't take its commands."""
        client = self.connect()
        client.transport.producer.pauseProducing()
        self.assertEqual(client.transport.producerState, "paused")
        client.transport.producer.resumeProducing()
        self.assertEqual(client.transport.producerState, "producing")
