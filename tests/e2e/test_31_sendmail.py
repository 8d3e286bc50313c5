"""Programs of the machine hand in mail with seg-sendmail, whether the gateway runs or not."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from seg.lab.gateway import GatewayProcess
from tests.e2e.base import ROOT, GatewayCase

SENDMAIL = (sys.executable, "-c", "from seg.cli.sendmail import main; main()")
LETTER = b"From: Alice <alice@sender.example>\nTo: bob@receiver.example\nBcc: eve@receiver.example\nSubject: one\n\n.\nbody\n"


class SendmailTests(GatewayCase):
    """`seg-sendmail` and the drop folder."""

    async def prepare(self) -> GatewayProcess:
        """A gateway with a receiver."""
        await self.internet.add_domain("receiver.example")
        return await self.start_gateway(default={"mta_sts": "off", "dane": "none"})

    async def sendmail(self, *arguments: str, letter: bytes = LETTER) -> subprocess.CompletedProcess[bytes]:
        """Run the command."""
        assert self.gateway is not None
        command = [*SENDMAIL, "-C", str(self.gateway.configuration), *arguments]
        folder, environment = self.gateway.folder, {**os.environ, "PYTHONPATH": ROOT}

        def run() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(command, input=letter, capture_output=True, cwd=folder, env=environment, check=False)

        return await deferToThread(run)

    async def test_sent(self) -> None:
        """Recipients come from the header, nobody sees the Bcc, and the log says whose process it was."""
        gateway = await self.prepare()
        done = await self.sendmail("-t", "-i", "-f", "alice@sender.example")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertEqual(set(message.recipients), {"bob@receiver.example", "eve@receiver.example"})
        self.assertNotIn(b"Bcc", message.content)
        self.assertIn(b"Message-ID: <", message.content)
        self.assertTrue(message.content.endswith(b"\r\n\r\n.\r\nbody\r\n"), message.content)
        await gateway.wait_for_log("was dropped by ")

    async def test_smtp(self) -> None:
        """-bs holds an SMTP session, and its message is delivered."""
        await self.prepare()
        session = b"EHLO me\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<bob@receiver.example>\r\nDATA\r\nSubject: s\r\n\r\n..x\r\n.\r\nQUIT\r\n"
        done = await self.sendmail("-bs", letter=session)
        codes = [line[:3] for line in done.stdout.splitlines() if line[3:4] == b" "]
        self.assertEqual(codes, [b"220", b"250", b"250", b"250", b"354", b"250", b"221"], done)
        (message,) = await self.internet.wait_for_messages("receiver.example")
        self.assertTrue(message.content.endswith(b"Subject: s\r\n\r\n.x\r\n"))

    async def test_gateway_down(self) -> None:
        """What is dropped while no gateway runs is sent by the next one, once."""
        gateway = await self.prepare()
        await gateway.stop()
        self.assertEqual((await self.sendmail("bob@receiver.example")).returncode, 0)
        await gateway.start()
        await self.internet.wait_for_messages("receiver.example")
        await deferLater(reactor, 0.2)
        self.assertEqual(len(self.internet.messages("receiver.example")), 1)

    async def test_killed(self) -> None:
        """The gateway is killed while it takes mail: every message is taken up, and none is left in the folder."""
        gateway = await self.prepare()
        await gateway.stop()
        for number in range(8):
            await self.sendmail("bob@receiver.example", letter=b"Subject: n%d\n\nx\n" % number)
        await gateway.start()
        await deferLater(reactor, 0.05)
        await gateway.kill()
        await gateway.start()
        wanted, subjects, count = {b"n%d" % number for number in range(8)}, set[bytes](), 8
        while subjects != wanted:  # what was under way when it was killed may come twice
            messages = await self.internet.wait_for_messages("receiver.example", count, 20)
            subjects = {message.content.partition(b"Subject: ")[2][:2] for message in messages}
            count = len(messages) + 1

    async def test_mailq(self) -> None:
        """-bp shows the queue; an empty one is said to be empty."""
        await self.prepare()
        self.assertEqual((await self.sendmail("-bp")).stdout, b"Mail queue is empty\n")


class LocalMailTests(GatewayCase):
    """Mail to users of the gateway's own machine, by SMTP and by seg-sendmail alike."""

    sendmail = SendmailTests.sendmail

    async def prepare(self, **keys: str) -> GatewayProcess:
        """A gateway with a receiver where the administrator has his mail."""
        await self.internet.add_domain("receiver.example")
        settings = {"gateway": {"hostname": "gw.example", **keys}}
        return await self.start_gateway(settings=settings, default={"mta_sts": "off", "dane": "none"})

    async def delivered(self, count: int) -> set[str]:
        """Who has mail, once there are so many messages."""
        messages = await self.internet.wait_for_messages("receiver.example", count, 20)
        return {address for message in messages for address in message.recipients}

    async def test_administrator(self) -> None:
        """What cron sends to root reaches the postmaster; a user whom nobody has said anything of is refused at once, with nothing kept."""
        gateway = await self.prepare(postmaster="admin@receiver.example")
        done = await self.sendmail("-i", "-FCronDaemon", "-oem", "root", letter=b"Subject: cron\n\nout\n")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(await self.delivered(1), {"admin@receiver.example"})
        done = await self.sendmail("nobody.here")
        self.assertEqual(done.returncode, os.EX_NOUSER)
        self.assertIn(b"nobody takes mail for nobody.here@gw.example here", done.stderr)
        await gateway.wait_for_log("root@gw.example goes to admin@receiver.example")

    async def test_new_messages(self) -> None:
        """What reaches the next hop of cron's, of -bs's and of a device's message: domains, Date and Message-ID, and no Bcc."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway(
            settings={
                "gateway": {"hostname": "gw.example", "postmaster": "admin@receiver.example"},
                "submission": {"clients": "relay"},
            },
            default={"mta_sts": "off", "dane": "none"},
        )
        letter = b"From: root (Cron Daemon)\nTo: root\nBcc: a@x.example\nSubject: Cron <root@gw>\n\nTo: root\n"
        session = b"EHLO me\nMAIL FROM:<root>\nRCPT TO:<root>\nDATA\n" + letter + b".\nQUIT\n"
        self.assertEqual((await self.sendmail("-i", "-FCronDaemon", "-oem", "root", letter=letter)).returncode, 0)
        self.assertEqual((await self.sendmail("-bs", letter=session)).returncode, 0)
        refused = await gateway.inject(
            "scan@gw.example", ["u@receiver.example", "u@RECEIVER.example"], letter.replace(b"\n", b"\r\n")
        )
        self.assertEqual(refused, {})
        messages = await self.internet.wait_for_messages("receiver.example", 3, 20)
        for message in messages:
            self.assertEqual(len(message.recipients), 1, message)
            self.assertRegex(
                message.content,
                rb"(?s)\AReceived: .*\r\nDate: [^\r]*\r\nMessage-ID: <[^\r]*@gw\.example>\r\nFrom: root@gw\.example \(Cron Daemon\)\r\n"
                rb"To: root@gw\.example\r\nSubject: Cron <root@gw>\r\n\r\nTo: root\r\n\Z",
            )

    async def test_aliases(self) -> None:
        """The aliases count for SMTP and for programs, as soon as they are written; a line that can't be used is told."""
        gateway = await self.prepare(local_users="users@receiver.example")
        file = gateway.configuration.parent / "aliases"
        file.write_text("root: a@receiver.example,\n  b@receiver.example\nhook: |/bin/true\nsilent: /dev/null\n")
        await gateway.wait_for_log("line 3: hook has a command")
        refused = await gateway.inject(
            "s@sender.example",
            ["root@gw.example", "silent@GW.example", "else@gw.example", "hook@gw.example"],
            b"Subject: x\r\n\r\nhi\r\n",
        )
        self.assertEqual({address: code for address, (code, _) in refused.items()}, {"hook@gw.example": 451})
        wanted = {"a@receiver.example", "b@receiver.example", "users@receiver.example"}
        self.assertEqual(await self.delivered(1), wanted)
        done = await self.sendmail("hook")
        self.assertEqual(done.returncode, os.EX_UNAVAILABLE)
        self.assertIn(f"{file}, line 3: hook has a command".encode(), done.stderr)
        self.assertEqual((await self.sendmail("root")).returncode, 0)
        await self.internet.wait_for_messages("receiver.example", 2, 20)

    async def test_report(self) -> None:
        """The report on mail that a local program sent comes to the administrator."""
        await self.prepare(postmaster="admin@receiver.example")
        done = await self.sendmail("-f", "daemon", "x@no-such-domain.example", letter=b"Subject: lost\n\nx\n")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(await self.delivered(1), {"admin@receiver.example"})
