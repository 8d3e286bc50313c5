"""The sender towards a server that offers CHUNKING (RFC 3030)."""

from __future__ import annotations

from seg.deliver.smtp_client import SMALL
from seg.mail.outcome import Delivered
from tests.deliver.test_sender import SenderCase
from tests.doubles import MemoryContent

CHUNKING = b"250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


class ChunkingTests(SenderCase):
    """`send` by BDAT."""

    def test_chunk(self) -> None:
        """A server that offers CHUNKING gets the octets as they are, small content in one piece and large in many."""
        for data in (b".\r\n..\r\n.x\r\n", b".line\r\n" * SMALL):
            self.setUp()
            self.greet(CHUNKING)
            self.sender.bdat.known = True
            sent = self.send(MemoryContent(data))
            self.server(b"250 m\r\n250 a\r\n250 b\r\n")
            while self.transport.producer is not None:
                self.transport.producer.resumeProducing()
            wire = self.said()
            self.assertEqual(wire[wire.index(b"BDAT") :], b"BDAT %d LAST\r\n%b" % (len(data), data))
            self.server(b"250 ok\r\n")
            self.assertIsInstance(self.successResultOf(sent)[1], Delivered)
            self.assertTrue(self.sender.healthy)

    def test_unproven(self) -> None:
        """A server that hasn't shown that it knows BDAT gets one octet first, and then the rest; large content goes by DATA."""
        for data, first in ((b".\r\n..\r\n.x\r\n", b"BDAT 1\r\n."), (b".line\r\n" * SMALL, b"DATA\r\n")):
            self.setUp()
            self.greet(CHUNKING)
            sent = self.send(MemoryContent(data))
            self.server(b"250 m\r\n250 a\r\n250 b\r\n")
            self.assertTrue(self.said().endswith(first))
            if first.startswith(b"BDAT"):
                self.server(b"250 octet\r\n")
                self.assertEqual(self.said(), b"BDAT %d LAST\r\n%b" % (len(data) - 1, data[1:]))
                self.server(b"250 ok\r\n")
                self.assertIsInstance(self.successResultOf(sent)[1], Delivered)
                self.assertEqual((self.sender.bdat.known, self.sender.bdat.learnt), (True, True))

    def test_chunk_of_another_size(self) -> None:
        """Content that isn't as long as was said never leaves the server waiting, nor becomes commands."""
        self.greet(CHUNKING)
        self.sender.bdat.known = True
        for size in (2, 9):
            short = MemoryContent(b"12345")
            short.size = size
            self.assertDelayed(self.send(short), "4.3.0", "the content has")
            self.assertEqual(self.said(), b"")
            self.assertTrue(self.sender.healthy)
        for said, there in ((SMALL * 2, SMALL * 3), (SMALL * 3, SMALL * 2)):
            self.setUp()
            self.greet(CHUNKING)
            self.sender.bdat.known = True
            content = MemoryContent(b"x" * there, piece=SMALL)
            content.size = said
            sent = self.send(content)
            self.server(b"250 m\r\n250 a\r\n250 b\r\n")
            self.assertDelayed(sent, "4.3.0", "the content has")
            wire = self.said()
            self.assertEqual(wire.count(b"x", wire.index(b"LAST")), SMALL * 2)
            self.assertTrue(self.transport.aborted)
            self.assertGone()
