"""What the gateway shows to other servers, and what it tells when TLS that is required fails."""

from __future__ import annotations

import datetime
from pathlib import Path

import pexpect
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.gateway import GatewayProcess
from seg.lab.world import MX
from tests.certificates import Authority
from tests.e2e.base import MESSAGE, GatewayCase


class ClientCertificateTests(GatewayCase):
    """Two gateways: the second one relays for whoever shows a certificate that it knows."""

    async def test_relay_by_certificate(self) -> None:
        """Without the certificate the mail comes back; after `destconfig setup` and a commit the second gateway takes it."""
        await self.internet.add_domain("receiver.example")
        await self.internet.add_domain("sender.example")
        now = datetime.datetime.now(datetime.UTC)
        issued = Authority.root(now=now).leaf("gw.example", now=now)
        certificate, key = issued.write(self.folder, "client")
        clients = Path(self.folder, "clients.pem")
        clients.write_bytes(issued.certificate.public_bytes(Encoding.PEM))
        second = await self._second_gateway(clients)
        await self.start_gateway(routes={"receiver.example": [f"127.0.0.1:{second.port}"]})
        assert self.gateway is not None
        await self.gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await self.gateway.wait_for_log("Bounced: .*550.*5.7.1")
        _, err, status = await self.seg("destconfig", "setup", "--certificate", certificate)
        self.assertEqual(status, 1)
        self.assertIn("no usable private key", err)
        out, err, status = await self.seg("destconfig", "setup", "--certificate", certificate, "--key", key)
        self.assertEqual((status, err), (0, ""), out)
        _, err, status = await self.seg("commit", "-m", "our certificate")
        self.assertEqual((status, err), (0, ""))
        await self.gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await self.internet.wait_for_messages("receiver.example")
        await second.wait_for_log(r"TLS client certificate of .*gw\.example.*: may relay")
        out, _, status = await self.seg("certconfig", "list")
        self.assertIn(f"All other servers: {certificate}", out)

    async def _second_gateway(self, clients: Path) -> GatewayProcess:
        server, key = self.internet.authority.issue(["relay.example"]), ""
        credential = server.write(self.folder / "relay.pem")
        files = self.internet.gateway_configuration(settings={"receive": {"relay_networks": []}})
        second = GatewayProcess(reactor, self.folder / "second", files)  # type: ignore[arg-type]
        text = second.configuration.read_text()
        lines = f'tls = "starttls"\ncertificate = "{credential}"\nkey = "{key}"\nclient_certificates = "{clients}"\n'
        self.assertEqual(text.count("[[listener]]\n"), 1)
        second.configuration.write_text(text.replace("[[listener]]\n", f"[[listener]]\n{lines}"))
        await second.start()
        self.addCleanup(second.stop)
        return second


class AlertTests(GatewayCase):
    """An operator who wants to be told."""

    async def test_alert(self) -> None:
        """Switched on by the dialogue SETUP, as typed: a failing destination is told of once, in the log and by mail to the postmaster."""
        broken = Behaviour(certificate=Certificate.OTHER_NAME)
        await self.internet.add_domain("broken.example", mx=[MX("mx.broken.example", behaviour=broken)])
        await self.internet.add_domain("own.example")
        gateway = await self.start_gateway(
            settings={"gateway": {"postmaster": "postmaster@own.example"}},
            profiles={"broken.example": {"tls": "required-verify-hosted"}},
        )

        exported = str(self.folder / "controls.ini")

        def type_all() -> None:
            terminal = self.terminal("destconfig")
            terminal.expect_exact("- SETUP - Change global settings.")
            terminal.expect_exact("[]> ")
            terminal.sendline("setup")
            terminal.expect_exact(
                "Enter the PEM file of the certificate to show to servers that ask for one (none: a dash)."
            )
            terminal.expect_exact("[-]> ")
            terminal.sendline("")
            terminal.expect_exact("Do you want to send an alert when a required TLS connection fails? [N]> ")
            terminal.sendline("y")
            for typed, shown in (
                ("detail", "or enter ALL to view details for all:"),
                ("all", "Default: by the entry Default"),
                ("export", "Enter a name for the exported file:"),
                (exported, f"Written to {exported}."),
                ("import", "Enter the name of the file to import:"),
                (exported, "There are currently 1 entries configured."),
            ):
                terminal.expect_exact("[]> ")
                terminal.sendline(typed)
                terminal.expect_exact(shown)
            terminal.expect_exact("[]> ")
            terminal.sendline("")
            terminal.expect(pexpect.EOF)

        await deferToThread(type_all)
        _, err, status = await self.seg("commit", "-m", "alerts")
        self.assertEqual((status, err), (0, ""))
        for _ in range(2):
            await gateway.inject("alice@sender.example", "bob@broken.example", MESSAGE)
        await gateway.wait_for_log(r"Warning: TLS alert: required TLS for broken.example fails at mx.broken.example: ")
        (letter,) = await self.internet.wait_for_messages("own.example")
        self.assertIn(b"Subject: Required TLS to broken.example fails\r\n", letter.content)
        await gateway.wait_for_log("MID 2 .*Delayed|Delayed: .*MID 2")
        self.assertEqual(len(self.internet.messages("own.example")), 1)
