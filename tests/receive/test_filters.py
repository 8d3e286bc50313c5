"""Filters between the end of a message and its 250."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from seg.config.schema import Filter, WhenAway
from seg.events.queue import MessageFinished, MessageHeld
from seg.events.receive import MessageAborted, MessageQueued, MessageReceived, ReceiveTimedOut
from seg.filter.answers import Accept, AddField, Answer, Change, Discard, Hold, InsertField, Redirect, Reject, TempFail
from seg.filter.chain import ConfiguredFilter, FilterChain
from seg.filter.header import MAX_HEADER
from seg.filter.message import Client
from seg.mail.envelope import BodyType, Recipient
from seg.queue.interfaces import IContent
from tests.dns_double import FakeResolver
from tests.doubles import MemoryWriter
from tests.filter.test_chain import FilterDouble
from tests.receive.front_door import DATA, EHLO, MAIL, MESSAGE, RCPT, TRANSACTION, FrontDoorCase
from tests.receive.front_door import Client as Peer

QUEUED = b"250 2.0.0 Ok: queued as 1\r\n"


class FilterCase(FrontDoorCase):
    """A listener with filters."""

    def filtered(self, *answers: Any, **settings: Any) -> Peer:
        """A client of a listener with filters that answer so; the message isn't sent yet."""
        when_away = settings.pop("when_away", WhenAway.TEMPFAIL)
        self.doubles = [FilterDouble(answer) for answer in answers]
        filters = [
            ConfiguredFilter(Filter(name=f"f{number}", kind="double", when_away=when_away), double, 60.0)
            for number, double in enumerate(self.doubles, 1)
        ]
        self.build(filters=FilterChain(filters, self.sink, self.clock), **settings)
        client = self.connect("127.0.0.1")
        client.say(EHLO)
        return client

    def stored(self) -> bytes:
        """The content of the one message, our Received field and those above it as RECEIVED."""
        (message,) = self.queue.messages.values()
        start = message.content.index(b"Received: from")
        end = message.content.index(b"+0000\r\n") + 7
        return message.content[:start] + b"RECEIVED " + message.content[end:]

    def written(self) -> list[tuple[bool, bool]]:
        """(committed, aborted) of each writer."""
        return [(writer.committed, writer.aborted) for writer in self.queue.writers]


class AnswerTests(FilterCase):
    """What each answer does."""

    def test_accept(self) -> None:
        """An accepted message is queued as it came, and is written once."""
        client = self.filtered(Accept())
        self.assertTrue(client.say(MESSAGE).endswith(QUEUED))
        self.assertEqual(self.stored(), b"RECEIVED Subject: hello\r\n\r\ntext\r\n")
        self.assertEqual(self.written(), [(True, False)])

    def test_shown(self) -> None:
        """A filter sees who sends what to whom; our Received field isn't among the fields."""
        self.filtered(Accept()).say(MESSAGE)
        seen = self.doubles[0].seen[0]
        self.assertEqual(
            seen.client,
            Client(1, "relay", ip_address("127.0.0.1"), helo="client.test"),
        )
        self.assertEqual((seen.mid, seen.sender.reverse_path), (1, "a@one.test"))
        self.assertEqual(seen.recipients, (Recipient(0, "b@two.test"),))
        self.assertEqual([field.raw for field in seen.fields], [b"Subject: hello\r\n"])
        whole = self.successResultOf(Deferred.fromCoroutine(seen.content.head(1000)))
        self.assertEqual(whole, b"Subject: hello\r\n\r\ntext\r\n")

    def test_changed(self) -> None:
        """Changes are queued exactly, in content and envelope; the first writing of it is thrown away."""
        change = Change(
            header=[InsertField(0, "X-Top", "1"), InsertField(2, "X-Below", "2"), AddField("X-Last", "3")],
            sender="new@one.test",
            add_recipients=["c@two.test"],
            body=b"other\r\n",
        )
        self.assertTrue(self.filtered(change).say(MESSAGE).endswith(QUEUED))
        self.assertEqual(
            self.stored(),
            b"X-Top: 1\r\nRECEIVED X-Below: 2\r\nSubject: hello\r\nX-Last: 3\r\n\r\nother\r\n",
        )
        (message,) = self.queue.messages.values()
        self.assertEqual(message.envelope.reverse_path, "new@one.test")
        self.assertEqual(message.envelope.recipients, (Recipient(0, "b@two.test"), Recipient(1, "c@two.test")))
        self.assertEqual(message.envelope.size, len(message.content))
        self.assertEqual(self.written(), [(False, True), (True, False)])
        self.assertEqual(self.sink.of(MessageReceived)[0].reverse_path, "new@one.test")
        self.assertEqual(self.sink.of(MessageReceived)[0].size, len(message.content))

    def test_envelope_only(self) -> None:
        """Content that isn't changed isn't written again, whatever happens to the envelope."""
        self.filtered(Redirect(["x@five.test"])).say(MESSAGE)
        self.assertEqual(self.written(), [(True, False)])
        (message,) = self.queue.messages.values()
        self.assertEqual(message.envelope.recipients, (Recipient(1, "x@five.test"),))

    def test_eight_bit(self) -> None:
        """What isn't ASCII any more goes as 8BITMIME; a header beyond ASCII needs SMTPUTF8 only where it was asked for."""
        self.filtered(Change(body="ü\r\n".encode())).say(MESSAGE)
        (message,) = self.queue.messages.values()
        self.assertEqual((message.envelope.body, message.envelope.smtputf8), (BodyType.EIGHT_BIT, False))
        self.setUp()
        client = self.filtered(Change(header=[AddField("X-A", "ü")]))
        client.say(b"MAIL FROM:<a@one.test> SMTPUTF8\r\n" + RCPT + DATA + b"Subject: x\r\n\r\n.\r\n")
        (message,) = self.queue.messages.values()
        self.assertEqual((message.envelope.body, message.envelope.smtputf8), (BodyType.EIGHT_BIT, True))

    def test_header_facts(self) -> None:
        """What the gateway itself reads in the header it reads in the new one."""
        self.filtered(Change(header=[AddField("TLS-Required", "No"), AddField("Message-ID", "<new@x>")])).say(MESSAGE)
        (message,) = self.queue.messages.values()
        self.assertTrue(message.envelope.tls_optional)
        self.assertEqual(self.sink.of(MessageReceived)[0].message_id, "<new@x>")

    def test_no_blank_line(self) -> None:
        """A message without a blank line gets one when it is written anew."""
        for content, stored in [
            (b"Subject: x\r\n", b"RECEIVED Subject: x\r\nX-A: 1\r\n\r\n"),
            (b"just text\r\n", b"RECEIVED X-A: 1\r\n\r\njust text\r\n"),
            (b" folded\r\n\r\nx\r\n", b"RECEIVED X-A: 1\r\n\r\n folded\r\n\r\nx\r\n"),
            (b"", b"RECEIVED X-A: 1\r\n\r\n"),
        ]:
            self.setUp()
            self.filtered(Change(header=[AddField("X-A", "1")])).say(TRANSACTION + content + b".\r\n")
            self.assertEqual(self.stored(), stored)

    def test_refused(self) -> None:
        """A refusal is what the client hears, and nothing is kept; the connection goes on."""
        for answer, reply in [
            (Reject("Spam", 554, "5.7.1"), b"554 5.7.1 Spam\r\n"),
            (TempFail("Greylisted", 450, "4.7.1"), b"450 4.7.1 Greylisted\r\n"),
        ]:
            self.setUp()
            client = self.filtered(answer)
            self.assertTrue(client.say(MESSAGE).endswith(reply))
            self.assertEqual((self.queue.messages, self.written()), ({}, [(False, True)]))
            self.assertEqual(self.sink.events[-2:], [
                MessageAborted(1, 1, "Refused by filter f1"),
                MessageFinished(1, aborted=True),
            ])  # fmt: skip
            self.assertEqual(client.codes(MAIL), [250])

    def test_discarded(self) -> None:
        """The client hears 250, and nothing is kept."""
        self.assertTrue(self.filtered(Discard()).say(MESSAGE).endswith(QUEUED))
        self.assertEqual((self.queue.messages, self.written()), ({}, [(False, True)]))
        self.assertEqual(self.sink.events[-2:], [
            MessageAborted(1, 1, "Dropped by filter f1"),
            MessageFinished(1, aborted=True),
        ])  # fmt: skip

    def test_held(self) -> None:
        """It is queued, and held; the log says by whom."""
        self.assertTrue(self.filtered(Hold("odd"), Hold("odd too")).say(MESSAGE).endswith(QUEUED))
        (message,) = self.queue.messages.values()
        self.assertTrue(message.envelope.held)
        self.assertEqual(message.envelope.recipients[0].error, "held by filter f1: odd; filter f2: odd too")
        self.assertEqual(self.sink.events[-3:], [
            MessageQueued(1),
            MessageHeld(1, "filter f1: odd"),
            MessageHeld(1, "filter f2: odd too"),
        ])  # fmt: skip

    def test_away(self) -> None:
        """A filter that is away: `when_away` decides."""
        client = self.filtered(ValueError("bug"), when_away=WhenAway.ACCEPT)
        self.assertTrue(client.say(MESSAGE).endswith(QUEUED))
        client = self.filtered(ValueError("bug"))
        self.assertTrue(client.say(MESSAGE).endswith(b"451 4.7.1 Service unavailable; try again later\r\n"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_endless_header(self) -> None:
        """A header that filters can't be shown is refused; what they could be shown isn't."""
        client = self.filtered(Accept())
        said = client.say(
            TRANSACTION + b"X-A: " + b"x" * 900 + b"\r\n" + b" 1234567\r\n" * (MAX_HEADER // 10 + 1) + b"\r\nx\r\n.\r\n"
        )
        self.assertTrue(said.endswith(b"552 5.3.4 Message header exceeds limit\r\n"))
        self.assertEqual(self.doubles[0].seen, [])

    def test_disk_full(self) -> None:
        """When the changed message can't be stored, the client hears 452 and nothing stays."""
        never: Deferred[Answer] = Deferred()
        client = self.filtered(never)
        client.say(MESSAGE)
        self.queue.write_error = OSError(28, "No space left on device")
        never.callback(Change(header=[AddField("X-A", "1")]))
        self.assertTrue(client.heard().endswith(b"452 4.3.1 Insufficient system storage\r\n"))
        self.assertEqual((self.queue.messages, self.written()), ({}, [(False, True), (False, True)]))

    def test_slow_disk(self) -> None:
        """A changed message isn't written faster than the disk takes it."""
        never: Deferred[Answer] = Deferred()
        client = self.filtered(never)
        client.say(MESSAGE)
        backpressure: Deferred[None] = Deferred()
        self.patch(MemoryWriter, "backpressure", backpressure)
        never.callback(Change(header=[AddField("X-A", "1")]))
        self.assertEqual(self.queue.messages, {})
        self.assertNotIn(b"250", client.heard()[-10:])
        backpressure.callback(None)
        self.assertTrue(client.heard().endswith(QUEUED))

    def test_names_are_looked_up(self) -> None:
        """Filters want to know the client's verified name, so that it is looked up where there are any."""
        for zone, name in [
            ("1.0.0.127.in-addr.arpa PTR mx.one.example.\nmx.one.example A 127.0.0.1", "mx.one.example"),
            ("1.0.0.127.in-addr.arpa PTR mx.one.example.\nmx.one.example A 127.0.0.9", ""),
        ]:
            self.setUp()
            self.filtered(Accept(), resolver=FakeResolver(zone)).say(MESSAGE)
            self.assertEqual(self.doubles[0].seen[0].client.name, name)


class WaitTests(FilterCase):
    """While a filter thinks."""

    def setUp(self) -> None:
        super().setUp()
        self.cancelled: list[Deferred[Answer]] = []
        self.never: Deferred[Answer] = Deferred(self.cancelled.append)

    def test_pipelined(self) -> None:
        """Commands that come meanwhile are answered behind the message."""
        client = self.filtered(self.never)
        self.assertTrue(client.say(MESSAGE + b"NOOP\r\n").endswith(b"<CR><LF>.<CR><LF>\r\n"))
        self.never.callback(Accept())
        self.assertTrue(client.heard().endswith(QUEUED + b"250 2.0.0 Ok\r\n"))

    def test_client_gone(self) -> None:
        """When the client goes the filter is told to stop, and nothing is kept."""
        client = self.filtered(self.never)
        client.say(MESSAGE)
        client.vanish()
        self.assertEqual(len(self.cancelled), 1)
        self.assertEqual((self.queue.messages, self.written()), ({}, [(False, True)]))
        self.assertEqual(self.sink.of(MessageAborted), [
            MessageAborted(
                1, 1, "Receiving aborted by sender: connection lost while filters judged the message"
            )
        ])  # fmt: skip

    def test_work_queue(self) -> None:
        """A message is in the work queue from the end of its content until it is queued, refused, dropped, or its client is gone."""
        ends: tuple[Callable[[Peer], None], ...] = (
            lambda _: self.never.callback(Accept()),
            lambda _: self.never.callback(Reject("no")),
            lambda _: self.never.callback(Discard()),
            lambda _: self.never.errback(ValueError("broken")),
            lambda client: client.vanish(),
        )
        for number, end in enumerate(ends):
            self.never = Deferred()
            client = self.filtered(self.never)
            client.say(TRANSACTION)
            self.assertEqual((self.work.entered, self.work.pending), (number, 0))
            client.say(MESSAGE[len(TRANSACTION) :])
            self.assertEqual((self.work.entered, self.work.pending), (number + 1, 1))
            end(client)
            self.assertEqual((self.work.left, self.work.pending), (number + 1, 0))
            self.flushLoggedErrors(ValueError)

    def test_client_gone_and_filter_deaf(self) -> None:
        """The answer of a filter that doesn't stop comes too late, and does nothing."""
        deaf: Deferred[Answer] = Deferred(lambda d: d.callback(Change(header=[AddField("X-A", "1")])))
        client = self.filtered(deaf)
        client.say(MESSAGE)
        client.vanish()
        self.assertEqual(self.queue.messages, {})
        self.assertTrue(all(aborted for _, aborted in self.written()))

    def test_client_gone_and_body_deaf(self) -> None:
        """When the client goes while a new body is read, and that doesn't stop, what comes of it is thrown away."""
        deaf: Deferred[None] = Deferred(lambda d: d.callback(None))

        @implementer(IContent)
        class Body:
            size = 3

            async def chunks(self) -> AsyncIterator[bytes]:
                await deaf
                yield b"x\r\n"

            async def head(self, limit: int) -> bytes:
                return b"x\r\n"[:limit]

        client = self.filtered(Change(body=Body()))
        client.say(MESSAGE)
        client.vanish()
        self.assertEqual(self.queue.messages, {})
        self.assertEqual(self.written(), [(False, True)])

    def test_gateway_stops(self) -> None:
        """A stop waits for the filter, but no longer than it waits for anybody; then the client hears 421."""
        client = self.filtered(self.never)
        client.say(MESSAGE)
        gone = self.factory.shutdown(5.0)
        self.assertNoResult(gone)
        self.clock.advance(5)
        self.assertTrue(client.heard().endswith(b"421 4.3.2 Service shutting down; try again later\r\n"))
        self.assertEqual((len(self.cancelled), self.queue.messages), (1, {}))
        client.vanish()
        self.successResultOf(gone)

    def test_gateway_stops_later(self) -> None:
        """An answer in time is an answer, and the 421 comes behind it."""
        client = self.filtered(self.never)
        client.say(MESSAGE)
        self.factory.shutdown(5.0)
        self.never.callback(Accept())
        self.assertIn(QUEUED + b"421", client.heard())

    def test_silent_client(self) -> None:
        """While we are slow the client may be silent."""
        client = self.filtered(self.never)
        client.say(MESSAGE)
        for _ in range(5):
            self.clock.advance(59)
            if self.cancelled:
                break
        self.assertEqual(self.sink.of(ReceiveTimedOut), [])

    def test_local_error(self) -> None:
        """When what the client sent can't be read any more it hears so, and isn't left without a reply; a broken disk is no full one."""
        client = self.filtered(self.never)
        self.patch(MemoryWriter, "content", _unreadable)
        self.assertTrue(client.say(MESSAGE).endswith(b"451 4.3.0 Local error in processing\r\n"))
        self.assertEqual(self.queue.messages, {})


async def _unreadable(writer: MemoryWriter) -> None:
    raise OSError(5, "Input/output error")
