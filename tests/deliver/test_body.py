"""What of a message goes to one server."""

from __future__ import annotations

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.deliver.body import SMALL, BodyPlan, Converted, body_for
from seg.mail.envelope import BodyType
from seg.queue.interfaces import IContent
from seg.smtp.client_capabilities import Capabilities
from tests.doubles import MemoryContent

ASCII, EIGHT = b"Subject: x\r\n\r\nline\r\n", "Subject: x\r\n\r\nGrüße\r\n".encode()
SEVEN_BIT, EIGHT_BIT = BodyType.SEVEN_BIT, BodyType.EIGHT_BIT
OFFERED, NOTHING = Capabilities(eightbitmime=True), Capabilities()


class Counted(MemoryContent):
    """Counts how often it is read."""

    reads = 0

    def chunks(self):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().chunks()


class BodyTests(SynchronousTestCase):
    """`body_for`."""

    def body(self, data: bytes, said: BodyType, offered: Capabilities, convert: bool = True) -> BodyPlan:
        """What a server gets."""
        self.content = Counted(data)
        made = body_for(self.content, said, offered, convert, maybeDeferred)
        return self.successResultOf(Deferred.fromCoroutine(made))

    def read(self, content: IContent) -> bytes:
        """All of some content."""

        async def pieces() -> bytes:
            return b"".join([piece async for piece in content.chunks()])

        return self.successResultOf(Deferred.fromCoroutine(pieces()))

    def test_small(self) -> None:
        """Whatever was said of it: ASCII goes to everybody; content beyond it is labelled where 8BITMIME is offered, and converted where it
        isn't."""
        for said in BodyType:
            for data, offered, wanted in (
                (ASCII, OFFERED, SEVEN_BIT),
                (ASCII, NOTHING, SEVEN_BIT),
                (EIGHT, OFFERED, EIGHT_BIT),
                (EIGHT, NOTHING, SEVEN_BIT),
            ):
                body = self.body(data, said, offered)
                self.assertEqual((body.type, body.unconvertible), (wanted, ""))
                sent = self.read(body.content)
                self.assertEqual((body.whole, len(sent)), (sent, body.content.size))
                self.assertEqual(sent == data, data.isascii() or offered is OFFERED)
                self.assertTrue(body.type is EIGHT_BIT or sent.isascii())

    def test_large(self) -> None:
        """Large content is only read beforehand where a server couldn't take what it is said to be; ASCII goes as it is there, too."""
        line = b"x" * 70 + b"\r\n"
        for data, said, offered, wanted, reads in (
            (ASCII, SEVEN_BIT, OFFERED, SEVEN_BIT, 0),
            (ASCII, SEVEN_BIT, NOTHING, SEVEN_BIT, 0),
            (ASCII, EIGHT_BIT, NOTHING, SEVEN_BIT, 1),
            (ASCII, EIGHT_BIT, OFFERED, EIGHT_BIT, 0),
            (EIGHT, EIGHT_BIT, OFFERED, EIGHT_BIT, 0),
            (EIGHT, EIGHT_BIT, NOTHING, SEVEN_BIT, 3),
        ):
            data += line * (SMALL // len(line))
            body = self.body(data, said, offered)
            self.assertEqual((body.type, body.whole, self.content.reads), (wanted, None, reads))
            sent = self.read(body.content)
            self.assertEqual(len(sent), body.content.size)
            self.assertTrue(sent == data if reads < 3 else sent.isascii())

    def test_not_converted(self) -> None:
        """What may not be converted stays as it is, with the reason."""
        body = self.body(b"DKIM-Signature: x\r\n" + EIGHT, SEVEN_BIT, NOTHING)
        self.assertEqual((body.type, body.unconvertible), (EIGHT_BIT, "it is signed (DKIM-Signature)"))
        body = self.body(EIGHT, SEVEN_BIT, NOTHING, convert=False)
        self.assertEqual((body.type, body.unconvertible, body.whole), (EIGHT_BIT, "convert_8bit is off", EIGHT))

    def test_content(self) -> None:
        """Converted content is content: it may be read again, and from its beginning."""
        made = Converted.of(MemoryContent(EIGHT), maybeDeferred)  # type: ignore[arg-type]
        content = self.successResultOf(Deferred.fromCoroutine(made))
        verifyObject(IContent, content)
        self.assertEqual(self.read(content), self.read(content))
        head = self.successResultOf(Deferred.fromCoroutine(content.head(9)))
        self.assertEqual(head, b"Subject: ")
