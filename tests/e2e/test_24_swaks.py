"""The extensions as a client that administrators test with speaks them: swaks."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from pathlib import Path

from twisted.internet.threads import deferToThread

from seg.lab.behaviour import EXTENSIONS, Behaviour
from seg.lab.world import MX
from tests.e2e.base import GatewayCase
from tests.programs import swaks_with_tls

# Arguments of swaks, exit status, and what it has to show. The last column: what the receiver has to see.
SCRIPTS = (
    (("--protocol", "SMTP"), 0, "HELO ", b"with SMTP id"),
    (("--protocol", "ESMTP"), 0, "250-PIPELINING", b"with ESMTP id"),
    (("--pipeline",), 0, "RCPT TO:<bob@receiver.example>", b"with ESMTP id"),
    (("--tls",), 0, "TLS started with cipher", b"with ESMTPS id"),
    (("--header", "X-Big: " + "x" * 900), 0, "250 2.0.0", b"X-Big: xxx"),
    (("--body", "ünïcode"), 0, "250 2.0.0", "ünïcode".encode()),
    (("--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.77", "--proxy-source-port", "4000",
      "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"), 0, "PROXY TCP4 192.0.2.77", b"[192.0.2.77]"),
    (("--xclient-addr", "192.0.2.78", "--xclient-name", "far.sender.example"), 0, "XCLIENT ", b"[192.0.2.78]"),
    (("--to", "bob@"), 24, "501 5.1.3", b""),
    (("--quit-after", "EHLO"), 0, "250-8BITMIME", b""),
    (("--from", "<>"), 0, "MAIL FROM:<>", b"with ESMTP id"),
)  # fmt: skip


class SwaksTests(GatewayCase):
    """One script for each extension."""

    timeout = 60

    async def test_scripts(self) -> None:
        """Each script ends as it should, and what it sends arrives with what it showed."""
        swaks = swaks_with_tls()
        await self.internet.add_domain("receiver.example")
        pem = self.internet.authority.issue(["mx.lab.example"]).write(Path(self.folder, "listener.pem"))
        settings = {
            "listener": {"tls": "starttls", "certificate": str(pem)},
            "receive": {"relay_networks": ["127.0.0.0/8", "192.0.2.0/24"], "xclient_networks": ["127.0.0.0/8"]},
        }
        gateway = await self.start_gateway(settings=settings)
        seen = 0
        for arguments, status, shown, arrives in SCRIPTS:
            if "--proxy-version" in arguments:
                await self._with_proxy(True)
            command = [swaks, "--server", f"127.0.0.1:{gateway.port}", "--from", "alice@sender.example"]
            command += ["--to", "bob@receiver.example", *arguments]
            done = await deferToThread(subprocess.run, command, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
            self.assertIn(shown, done.stdout)
            if arrives:
                seen += 1
                messages = await self.internet.wait_for_messages("receiver.example", seen)
                self.assertIn(arrives, messages[-1].content)
            if "--proxy-version" in arguments:
                await self._with_proxy(False)

    async def test_others(self) -> None:
        """What swaks doesn't speak: SMTPUTF8, CHUNKING, DSN with its report, REQUIRETLS, LIMITS."""
        plain = Behaviour(extensions=tuple(each for each in EXTENSIONS if each != "DSN"))
        await self.internet.add_domain("receiver.example", mx=[MX("mx.receiver.example", behaviour=plain)])
        await self.internet.add_domain("sender.example")
        pem = self.internet.authority.issue(["mx.lab.example"]).write(Path(self.folder, "listener.pem"))
        gateway = await self.start_gateway(settings={"listener": {"tls": "starttls", "certificate": str(pem)}})

        def talk() -> None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = smtplib.SMTP("127.0.0.1", gateway.port, local_hostname="client.example", timeout=20)
            client.ehlo()
            self.assertNotIn("requiretls", client.esmtp_features)
            client.starttls(context=context)
            client.ehlo()
            self.assertLessEqual({"smtputf8", "chunking", "dsn", "requiretls", "limits"}, set(client.esmtp_features))
            self.assertEqual(client.esmtp_features["limits"], "RCPTMAX=1000")
            client.command_encoding = "utf-8"
            self.assertEqual(client.docmd("MAIL FROM:<jörg@sender.example> SMTPUTF8 BODY=8BITMIME")[0], 250)
            self.assertEqual(client.docmd("RCPT TO:<müller@receiver.example>")[0], 250)
            first, last = "Subject: Grüße\r\n".encode(), b"\r\nin chunks\r\n"
            client.send(b"BDAT %d\r\n" % len(first) + first + b"BDAT %d LAST\r\n" % len(last) + last)
            self.assertEqual([client.getreply()[0], client.getreply()[0]], [250, 250])
            client.docmd("MAIL FROM:<alice@sender.example> RET=HDRS ENVID=QQ314159")
            client.docmd("RCPT TO:<bob@receiver.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2B@receiver.example")
            self.assertEqual(client.data(b"Subject: told\r\n\r\nx\r\n")[0], 250)
            client.docmd("MAIL FROM:<alice@sender.example> REQUIRETLS")
            client.docmd("RCPT TO:<secret@receiver.example>")
            self.assertEqual(client.data(b"Subject: secret\r\n\r\nx\r\n")[0], 250)
            client.quit()

        await deferToThread(talk)
        await self.internet.wait_for_messages("receiver.example", 2)
        (report,) = await self.internet.wait_for_messages("sender.example")
        for line in (
            b"Original-Envelope-Id: QQ314159",
            b"Original-Recipient: rfc822; b+@receiver.example",
            b"Action: relayed",
        ):
            self.assertIn(line, report.content)
        await gateway.wait_for_log(r"Delayed: .*To: <secret@receiver\.example> .* 4\.7\.30")

    async def _with_proxy(self, wanted: bool) -> None:
        """Take PROXY headers from here, or don't: a change while the gateway runs."""
        change = ("--proxy-networks", "127.0.0.0/8") if wanted else ("--reset", "proxy_networks")
        self.assertEqual((await self.seg("receiveconfig", *change))[1:], ("", 0))
        self.assertEqual((await self.seg("commit", "proxy"))[1:], ("", 0))
