"""The gateway between other mail systems: what goes in comes out, byte for byte; and what scanners for smuggling send."""

from __future__ import annotations

import shutil
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from seg.lab.gateway import GatewayProcess
from seg.lab.internet import free_port
from tests.e2e.base import GatewayCase
from tests.e2e.postfix import Postfix, required
from tests.programs import optional_program
from tests.smtp.test_smuggling import SEQUENCES, SMUGGLED

START = b"X-Start: here\r\n"
LAST = b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n"
HEADER = START + b"From: <alice@sender.example>\r\nTo: <bob@receiver.example>\r\nSubject: x\r\n" + LAST
UTF8_HEADER = START + "From: <jörg@sender.example>\r\nTo: <bob@receiver.example>\r\nSubject: Grüße\r\n".encode() + LAST
MESSAGES = {
    "8-bit": HEADER + b"\r\nna\xefve caf\xe9 \xff\xfe\r\n",
    "dots": HEADER + b"\r\n.\r\n..\r\n.a\r\nend.\r\n",
    "998": HEADER + b"\r\n" + b"x" * 998 + b"\r\n",
    "longer": HEADER + b"\r\n" + b"y" * 20000 + b"\r\n",
    "no body": HEADER + b"\r\n",
    "blank lines": HEADER + b"\r\n\r\n\r\n  \t\r\n\r\n",
    "utf-8": UTF8_HEADER + "\r\nüber\r\n".encode(),
    "25 MB": HEADER + b"\r\n" + (b"z" * 70 + b"\r\n") * 350_000,
}


class ExchangeTests(GatewayCase):
    """Postfix in front, Postfix behind."""

    timeout = 90

    async def test_by_bdat(self) -> None:
        """From a Postfix through the gateway to a Postfix: 8-bit, SMTPUTF8, long lines, 25 MB, nothing: the same octets."""
        await self.exchange(chunking=True)

    async def test_by_data(self) -> None:
        """The same where BDAT isn't wanted."""
        await self.exchange(chunking=False)

    async def exchange(self, chunking: bool) -> None:
        """Send every message through all three."""
        required()
        place = Path(tempfile.mkdtemp(prefix="seg-postfix-"))
        self.addCleanup(shutil.rmtree, place, True)
        place.chmod(0o755)
        behind_port, front_port = free_port(), free_port()
        behind = Postfix(
            place / "behind",
            behind_port,
            f"""virtual_mailbox_domains = receiver.example
virtual_mailbox_maps = static:box/
virtual_mailbox_base = {place}/behind/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
smtpd_relay_restrictions = permit_mynetworks, reject""",
        )
        gateway = await self.start_gateway(
            routes={"receiver.example": [f"127.0.0.1:{behind_port}"]},
            settings={"receive": {"max_message_size": 50000000}, "delivery": {"chunking": chunking}},
        )
        front = Postfix(
            place / "front", front_port, f"relayhost = [127.0.0.1]:{gateway.port}\nrelay_domains = receiver.example"
        )
        for each in (behind, front):
            await deferToThread(each.start)
            self.addCleanup(deferToThread, each.stop)
        await self.seg("debug", "receiver.example")
        await deferToThread(self._send, front_port)
        stored = await deferToThread(self._come, behind.stored, len(MESSAGES))
        found = sorted(message[message.index(START) :] for message in stored)
        self.assertEqual([len(each) for each in found], [len(each) for each in sorted(MESSAGES.values())])
        self.assertTrue(found == sorted(MESSAGES.values()))
        dialogue, _, _ = await self.seg("grep", " debug receiver.example: C: ")
        self.assertEqual(("C: BDAT " in dialogue, "C: DATA" in dialogue), (chunking, not chunking))
        self.assertTrue(all(b"by gateway.lab.example" in each[: each.index(START)] for each in stored))

    def _send(self, port: int) -> None:
        for name, message in MESSAGES.items():
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=30) as client:
                client.ehlo()
                utf8 = name == "utf-8"
                options = ["BODY=8BITMIME"] + (["SMTPUTF8"] if utf8 else [])
                client.command_encoding = "utf-8" if utf8 else "ascii"
                sender = "jörg@sender.example" if utf8 else "alice@sender.example"
                self.assertEqual(client.mail(sender, options)[0], 250)
                self.assertEqual(client.rcpt("bob@receiver.example")[0], 250)
                self.assertEqual(client.data(message)[0], 250)

    def _come(self, look: Callable[[], list[Any]], count: int) -> list[Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = look()
            if len(found) >= count:
                time.sleep(0.2)  # the last one may still grow
                return look()
            time.sleep(0.2)
        raise AssertionError(f"{len(look())} of {count} came")

    async def test_ten_thousand_recipients(self) -> None:
        """One message to 10,000 recipients, from smtp-source to smtp-sink: each is asked for once, and has it."""
        for program in ("smtp-source", "smtp-sink"):
            optional_program(program, "-?", package="postfix")
        folder = Path(tempfile.mkdtemp(prefix="seg-sink-"))
        self.addCleanup(shutil.rmtree, folder, True)
        port = free_port()
        sink = subprocess.Popen(
            ["smtp-sink", "-u", "root", "-D", f"{folder}/%M.", f"127.0.0.1:{port}", "100"], stderr=subprocess.PIPE
        )
        self.addCleanup(self._end, sink)
        gateway = await self.start_gateway(
            routes={"receiver.example": [f"127.0.0.1:{port}"]}, settings={"receive": {"max_recipients": 10000}}
        )
        source = ["smtp-source", "-r", "10000", "-m", "1", "-f", "alice@sender.example", "-t", "bob@receiver.example"]
        done = await deferToThread(
            subprocess.run, [*source, f"127.0.0.1:{gateway.port}"], capture_output=True, text=True, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        await gateway.wait_for_log(r"Message finished MID 1 done", timeout=60)
        dumps = [path.read_bytes() for path in folder.iterdir()]
        asked = [line for dump in dumps for line in dump.splitlines() if line.startswith(b"X-Rcpt-Args:")]
        self.assertEqual((len(asked), len(set(asked))), (10000, 10000))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


class SmugglingTests(GatewayCase):
    """The sequences of the public scanners, through the whole gateway."""

    async def _scan(self, gateway: GatewayProcess, chunking: bool) -> list[bytes]:
        def talk() -> list[bytes]:
            said = []
            for number, sequence in enumerate(SEQUENCES):
                with socket.create_connection(("127.0.0.1", gateway.port), 20) as client:
                    stream = client.makefile("rwb", buffering=0)
                    stream.readline()
                    body = b"Subject: %d\r\n\r\ntext" % number + sequence + SMUGGLED
                    for command in (
                        b"HELO c.example",
                        b"MAIL FROM:<a@sender.example>",
                        b"RCPT TO:<b@receiver.example>",
                    ):
                        stream.write(command + b"\r\n")
                        stream.readline()
                    if chunking:
                        half = len(body) // 2
                        stream.write(
                            b"BDAT %d\r\n" % half + body[:half] + b"BDAT %d LAST\r\n" % (len(body) - half) + body[half:]
                        )
                        stream.readline()
                    else:
                        stream.write(b"DATA\r\n")
                        stream.readline()
                        stream.write(body)
                    said.append(stream.readline())
                    stream.write(b"QUIT\r\n")
                    said[-1] += stream.read()
            return said

        return await deferToThread(talk)

    async def test_scanners(self) -> None:
        """Refused or cleaned, by DATA or in chunks: never two messages, and never a bare CR or LF passed on."""
        for normalise in (False, True):
            await self.internet.add_domain("receiver.example")
            gateway = await self.start_gateway(
                settings={
                    "receive": {"bare_newlines": "normalise" if normalise else "refuse", "max_unknown_commands": 1000}
                }
            )
            replies = await self._scan(gateway, chunking=False)
            replies += await self._scan(gateway, chunking=True)
            accepted = sum(reply.startswith(b"250") for reply in replies)
            self.assertTrue(all(reply.count(b"queued") <= 1 for reply in replies))
            messages = await self.internet.wait_for_messages("receiver.example", accepted)
            await gateway.stop()
            self.assertEqual(len(self.internet.messages("receiver.example")), accepted)
            self.assertEqual(self.internet.messages("two.test"), [])
            for message in messages:
                bare = message.content.replace(b"\r\n", b"")
                self.assertFalse(b"\r" in bare or b"\n" in bare or b"\0" in bare)
            await self.internet.stop()
            shutil.rmtree(self.folder)
            await GatewayCase.setUp(self)
