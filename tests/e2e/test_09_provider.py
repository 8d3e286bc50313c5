"""A TLS policy provider of a third party, installed as its documentation says, in the running gateway."""

from __future__ import annotations

from tests.e2e.base import MESSAGE, GatewayCase
from tests.plugin_packages import documented


class ProviderTests(GatewayCase):
    """``[delivery] providers`` names a plugin."""

    async def test_documented_one(self) -> None:
        """It takes its place in the order, its word stands in the explanation, and its demand holds."""
        plugin = self.install_plugin("acme_policy", documented("providers.md"))
        await self.internet.add_domain("partner.example")
        order = ["dane", "acme", "mta-sts", "static"]
        gateway = await self.start_gateway(settings={"delivery": {"providers": order}}, default={"mta_sts": "off"})
        await gateway.inject("alice@sender.example", "bob@partner.example", MESSAGE)
        await self.internet.wait_for_messages("partner.example")
        line = await gateway.wait_for_log(r"TLS policy for partner\.example")
        self.assertIn("dane=none(insecure MX) acme=partner mta-sts=none(switched off) tls=preferred -> TLSv1.3", line)
        await gateway.stop()
        plugin.unlink()
        with self.assertRaises(Exception) as caught:
            await gateway.start()
        self.assertIn('there is no TLS policy provider "acme"', str(caught.exception))
