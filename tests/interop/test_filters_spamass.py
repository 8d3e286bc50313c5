"""Debian's ``spamass-milter``, with a double of SpamAssassin's daemon behind its ``spamc``."""

from __future__ import annotations

import socketserver
import threading
from pathlib import Path

from tests.interop.filter_case import TRIED, OtherMilterCase
from tests.interop.messages import MESSAGES
from tests.programs import optional_program

SPAM = b"the words of an advertisement"


class SpamHandler(socketserver.StreamRequestHandler):
    """One request of ``spamc`` (SpamAssassin's spamd/PROTOCOL): the message comes back with fields on top."""

    def handle(self) -> None:
        self.rfile.readline()
        size = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        message = self.rfile.read(size)
        spam = SPAM in message
        status = b"Yes, score=15.0 required=5.0" if spam else b"No, score=0.0 required=5.0"
        marked = (
            b"X-Spam-Status: " + status + b"\nX-Spam-Level: *\n" + (b"X-Spam-Flag: YES\n" if spam else b"") + message
        )
        verdict = b"True ; 15.0 / 5.0" if spam else b"False ; 0.0 / 5.0"
        self.wfile.write(
            b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s\r\n\r\n" % (len(marked), verdict) + marked
        )


class SpamServer(socketserver.ThreadingTCPServer):
    """Listens at a port of its own."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SpamHandler)


class SpamassMilterTests(OtherMilterCase):
    """It adds fields at the end of the header, and refuses what is spam."""

    async def setUp(self) -> None:
        self.program = optional_program("spamass-milter", shows="SpamAssassin")
        optional_program("spamc", "-V")
        await super().setUp()

    async def milter(self, path: Path) -> None:
        server = SpamServer()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = str(server.server_address[1])
        await self.wait_for_socket(
            path,
            self.program,
            "-p",
            str(path),
            "-m",
            "-r",
            "10",
            "--",
            "-F",
            "/dev/null",
            "-d",
            "127.0.0.1",
            "-p",
            port,
        )

    async def test_edits(self) -> None:
        """Its fields stand at the end of the header, and all else is as it was, octet for octet."""
        path = self.folder / "other.sock"
        await self.milter(path)
        await self.start_filtered({"name": "spamass", "address": f"unix:{path}"})
        for name, (above, content) in (await self.passed(*TRIED)).items():
            self.assertEqual(above, b"", name)
            added = [line for line in content.splitlines(True) if line.startswith(b"X-Spam-")]
            self.assertIn(b"X-Spam-Status: No, score=0.0 required=5.0\r\n", added, name)
            without = content
            for line in added:
                without = without.replace(line, b"", 1)
            self.assertTrue(without == MESSAGES[name], (name, content[:400]))

    async def test_spam(self) -> None:
        """Spam is refused in its words, and isn't kept."""
        path = self.folder / "other.sock"
        await self.milter(path)
        await self.start_filtered({"name": "spamass", "address": f"unix:{path}"})
        self.assertEqual((await self.refusal(MESSAGES["plain"] + SPAM + b"\r\n"))[:10], b"550 5.7.1 ")
        self.assertEqual((await self.seg_json("queue", "list"))["messages"], [])

    async def test_down(self) -> None:
        """Mail is refused for now while it is down, and judged afterwards."""
        await self.down_and_up("spamass")
