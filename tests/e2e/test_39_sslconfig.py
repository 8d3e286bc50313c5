"""Protocols and ciphers of each direction, changed while the gateway runs; the group of the control socket."""

from __future__ import annotations

import grp
import os
import smtplib
import ssl

from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour, TLSVersions
from seg.lab.gateway import LabGatewayError
from seg.lab.world import MX
from tests.e2e.base import MESSAGE, GatewayCase


class SSLConfigTests(GatewayCase):
    """`seg sslconfig`."""

    async def test_both_directions(self) -> None:
        """A commit holds for the next connection: clients and hosts that can't do TLS 1.3 are refused; nonsense stages nothing."""
        old = Behaviour(versions=TLSVersions.ONLY_1_2)
        await self.internet.add_domain("old.example", mx=[MX("mx.old.example", behaviour=old)])
        credential = self.internet.authority.issue(["gw.example"]).write(self.folder / "gw.pem")
        gateway = await self.start_gateway(default={"tls": "required", "mta_sts": "off", "dane": "none"})
        await self.seg("listenerconfig", "edit", "relay", "--tls", "starttls", "--certificate", str(credential))
        _, err, status = await self.seg("commit", "-m", "STARTTLS")
        self.assertEqual((err, status), ("", 0))
        self.assertEqual(await deferToThread(self._version, ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        await gateway.inject("alice@sender.example", "bob@old.example", MESSAGE)
        await self.internet.wait_for_messages("old.example")
        _, err, status = await self.seg("sslconfig", "--inbound-ciphers", "NONSENSE")
        self.assertEqual(status, 1)
        self.assertIn('"NONSENSE" has no cipher of TLS 1.2 that OpenSSL knows', err)
        await self.seg("sslconfig", "--inbound-min-version", "TLSv1.3", "--outbound-min-version", "TLSv1.3")
        _, err, status = await self.seg("commit", "-m", "TLS 1.3 only")
        self.assertEqual((err, status), ("", 0))
        self.assertEqual(await deferToThread(self._version, ssl.TLSVersion.TLSv1_2), "refused")
        self.assertEqual(await deferToThread(self._version, ssl.TLSVersion.TLSv1_3), "TLSv1.3")
        await gateway.inject("alice@sender.example", "bob@old.example", MESSAGE)
        await gateway.wait_for_log("Delayed: .*TLS required.*alert protocol version|Delayed: .*protocol version")
        self.assertEqual(len(self.internet.messages("old.example")), 1)

    def _version(self, highest: ssl.TLSVersion) -> str:
        """What a client that goes up to a version agrees on with the listener."""
        assert self.gateway is not None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = highest
        with smtplib.SMTP("127.0.0.1", self.gateway.port, timeout=10) as client:
            try:
                client.starttls(context=context)
            except (ssl.SSLError, OSError):
                client.close()
                return "refused"
            return str(client.sock.version())  # type: ignore[union-attr]

    async def test_group(self) -> None:
        """The control socket belongs to the group named; one that isn't there ends the start, with the nearest right name."""
        name = grp.getgrgid(os.getgid()).gr_name
        gateway = await self.start_gateway(settings={"control": {"group": name, "mode": "0660"}})
        status = (gateway.folder / "var" / "run" / "seg.sock").stat()
        self.assertEqual((status.st_gid, status.st_mode & 0o777), (os.getgid(), 0o660))
        await gateway.stop()
        text = gateway.configuration.read_text()
        gateway.configuration.write_text(text.replace(f'group = "{name}"', f'group = "{name}xx"'))
        with self.assertRaises(LabGatewayError) as caught:
            await gateway.start()
        self.assertIn(f'[control] group: there is no group "{name}xx"', str(caught.exception))
