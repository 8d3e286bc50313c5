"""The whole process is stopped for longer than any timeout, as a virtual machine is for a snapshot, at the worst moments."""

from __future__ import annotations

import os
import signal

from twisted.internet import reactor
from twisted.internet.task import deferLater

from seg.lab.behaviour import Behaviour, StartTLS
from seg.lab.policyhost import Answer
from seg.lab.world import MX, Policy
from tests.e2e.base import GatewayCase

STOPPED = 7.0  # seconds: longer than fetch_timeout and the lifetime of a question in the lab


class StoppedTests(GatewayCase):
    """A message to a domain whose enforced policy isn't known yet, and whose MX was forged."""

    timeout = 120

    async def stopped_at(self, name: str, rdtype: str, policy: Policy) -> str:
        """Send, stop the gateway once the question arrived, let it go on; the next outcome."""
        assert self.gateway is not None
        server = Behaviour(starttls=StartTLS.ABSENT)
        await self.internet.add_domain(name, mx=[MX(f"forged.{name}", behaviour=server)], policy=policy)
        await self.gateway.inject("alice@sender.example", f"bob@{name}")
        while not self.internet.nameserver.count(rdtype.partition(" ")[2] or name, rdtype.partition(" ")[0]):
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        os.kill(self.gateway.pid, signal.SIGSTOP)
        await deferLater(reactor, STOPPED)  # type: ignore[arg-type]
        os.kill(self.gateway.pid, signal.SIGCONT)
        line = await self.gateway.wait_for_log(rf"TLS policy for {name} ", 20)
        self.assertEqual(self.internet.messages(name), [])
        return line

    async def test_never_weaker(self) -> None:
        """Neither the question for the record nor the fetch counts as unanswered: the policy holds."""
        await self.start_gateway()
        self.internet.nameserver.delay("_mta-sts.record.example", "TXT", 0.5)
        line = await self.stopped_at("record.example", "TXT _mta-sts.record.example", Policy(mx=("mx.record.example",)))
        self.assertIn("MX not in policy", line)
        policy = Policy(mx=("mx.fetch.example",), answer=Answer.HANGS)
        line = await self.stopped_at("fetch.example", "A mta-sts.fetch.example", policy)
        self.assertRegex(line, "tempfail.*this gateway was stopped meanwhile|MX not in policy")
        await self.gateway.wait_for_log("Condition clock: .*or the gateway was stopped")
