"""Destination controls as an operator sees them; monitor mode and an exemption at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.world import MX, Policy
from tests.e2e.base import MESSAGE, GatewayCase

BROKEN = Behaviour(certificate=Certificate.OTHER_NAME)


class DestinationTests(GatewayCase):
    """``seg destconfig``, and what isn't enforced."""

    async def test_monitored(self) -> None:
        """A policy that is only monitored stops nothing; its failure is in the log and in the counters."""
        await self.internet.add_domain(
            "watched.example", mx=[MX("mx.watched.example", behaviour=BROKEN)], policy=Policy(mode="enforce")
        )
        gateway = await self.start_gateway(profiles={"watched.example": {"mta_sts": "monitor"}})
        await gateway.inject("alice@sender.example", "bob@watched.example", MESSAGE)
        await self.internet.wait_for_messages("watched.example")
        line = await gateway.wait_for_log(r"TLS policy for watched\.example")
        self.assertRegex(line, r"mta-sts=monitor\(enforce\(id \w+, \w+\)\) .* unverified \(mta-sts observed: failed, ")
        await gateway.wait_for_log(r"MTA-STS policy for the domain \(watched\.example\) Failed\..*not enforced")
        facts = await self.seg_json("status")
        self.assertEqual(facts["counters"]["policy_observed"], {"mta-sts": {"passed": 0, "failed": 1}})
        out, _, _ = await self.seg("status")
        self.assertIn("mta-sts passed 0, failed 1", out)

    async def test_exemption(self) -> None:
        """An exemption lets a delivery pass, with a warning that names its end and reason, and then ends by itself."""
        await self.internet.add_domain(
            "broken.example", mx=[MX("mx.broken.example", behaviour=BROKEN)], policy=Policy(mode="enforce")
        )
        end = datetime.now(UTC) + timedelta(seconds=12)
        gateway = await self.start_gateway(settings={"delivery": {"idle_timeout": 0}})
        await gateway.stop()
        destinations = gateway.configuration.with_name("destinations.toml")
        entry = f'exemption = {{ until = {end:%Y-%m-%dT%H:%M:%SZ}, reason = "ticket 4711" }}\n'
        destinations.write_text(destinations.read_text() + '\n[destination."broken.example"]\n' + entry)
        await gateway.start()
        await gateway.wait_for_log(r"Exemption of broken\.example is in force until .*: ticket 4711")
        await gateway.inject("alice@sender.example", "bob@broken.example", MESSAGE)
        await self.internet.wait_for_messages("broken.example")
        await gateway.wait_for_log(
            r"Warning: Exemption of broken\.example until .* \(ticket 4711\) lets a delivery via mx\."
        )
        self.assertIn("Exemptions:          1 in force", (await self.seg("status"))[0])
        out, err, status = await self.seg("destconfig", "list")
        self.assertEqual((err, status), ("", 0))
        self.assertRegex(out, r"broken\.example .*\(preferred\).*until .*ticket 4711")
        await gateway.wait_for_log(r"Exemption of broken\.example has ended", timeout=25)
        await gateway.inject("alice@sender.example", "bob@broken.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: .*does not satisfy the TLS policy \(mta-sts\) of broken\.example")
        self.assertEqual(len(self.internet.messages("broken.example")), 1)

    async def test_detail(self) -> None:
        """What holds for a domain, and from which entry; a wrong question is answered in words."""
        gateway = await self.start_gateway(
            profiles={".partner.example": {"tls": "required-verify"}}, routes={"inside.example": ["10.0.0.25:2525"]}
        )
        self.assertTrue(gateway.running)
        found = await self.seg_json("destconfig", "detail", "MX.Partner.Example")
        self.assertEqual((found["domain"], found["entry"]), ("mx.partner.example", ".partner.example"))
        self.assertEqual((found["profile"]["tls"], found["profile"]["stated"]), ("required-verify", ["tls"]))
        self.assertIsNone(found["route"])
        out, err, status = await self.seg("destconfig", "detail", "inside.example")
        self.assertEqual((err, status), ("", 0))
        self.assertIn("inside.example: by the entry Default", out)
        self.assertIn("10.0.0.25:2525 (route for inside.example; DANE and MTA-STS are not applied)", out)
        out, err, status = await self.seg("destconfig", "detail", " ")
        self.assertEqual((out, status), ("", 1))
        self.assertIn("name a domain", err)
