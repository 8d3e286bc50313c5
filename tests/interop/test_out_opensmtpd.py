"""The gateway sends to OpenSMTPD."""

from __future__ import annotations

from tests.interop.messages import MESSAGES
from tests.interop.out_case import SENDER, OutCase
from tests.interop.servers.base import without_traces
from tests.interop.servers.opensmtpd import OpenSMTPD


class OpenSMTPDTests(OutCase):
    """Debian's 6.8: it offers STARTTLS, and no handshake ends well (it asks OpenSSL 3 for what only older ones do)."""

    server = OpenSMTPD
    dsn = True
    smtputf8 = False
    tls = False
    closes_when_idle = False

    async def test_policies(self) -> None:
        """Where TLS is preferred the mail goes in clear text, on a new connection; where it is required none goes."""
        server = await self.start_server()
        self.tls = True
        for name in ("clear", "verified"):
            self.domain(f"{name}.example")
        gateway = await self.start_with('[destination."verified.example"]\ntls = "required"\n')
        for name in ("clear", "verified"):
            await gateway.inject(SENDER, f"{name}@{name}.example", MESSAGES["plain"])
        (stored,) = await server.wait_for("clear")
        self.assertEqual(without_traces(stored)[1], MESSAGES["plain"])
        await gateway.wait_for_event("recipient_delayed", address="verified@verified.example")
        self.assertEqual(server.stored("verified"), [])


del OutCase
