"""The files that the gateway keeps or reads, damaged: it starts or says why not, and nothing in force is weaker."""

from __future__ import annotations

import json
from pathlib import Path

from seg.lab.world import MX, Policy
from tests.damage import DAMAGES, bare
from tests.e2e.base import MESSAGE, GatewayCase

STATE = (
    "var/suspended.json",
    "var/totals.json",
    "var/cache/dane.json",
    "var/changes/staged/root.json",
    "var/changes/commits/000001.json",
    "users",
    "tokens",
)


# The unit tests have all of `DAMAGES`; here one start each of those that are most unlike each other.
SOME = ("empty", "random octets", "wrong types", "a full folder", "a dangling link", "sparse and huge", "a FIFO")


class DamageTests(GatewayCase):
    """One start for each damage, which hits all files at once: none depends on another."""

    timeout = 180

    async def test_starts(self) -> None:
        """It starts with all its state damaged; what waits stays suspended, and is delivered when an operator resumes; status says it all."""
        await self.internet.add_domain("later.example", mx=[MX("mx.later.example")], policy=Policy())
        gateway = await self.start_gateway(settings={"queue": {"first_retry": 1.0, "max_retry": 1.0}})
        self.assertEqual((await self.seg("suspenddel", "later.example"))[2], 0)
        await self.seg("deliveryconfig", "edit", "--connect-timeout", "7")
        await gateway.inject("alice@sender.example", "bob@later.example", MESSAGE)
        for name in SOME:
            await gateway.stop()
            for file in STATE:
                DAMAGES[name](gateway.folder / file)
            await gateway.start()
            out, err, status = await self.seg("status", "--check", "--json")
            self.assertEqual((err, status), ("", 1), name)
            facts = json.loads(out)
            self.assertEqual((facts["queue"]["messages"], facts["suspension"]["domains"]), (1, ["ALL"]), name)
            self.assertIn("state-file", [each["kind"] for each in facts["conditions"]], name)
            out, err, _ = await self.seg("changes")
            self.assertNotIn("Traceback", out + err, name)
            for file in STATE:
                bare(gateway.folder / file)
        self.assertEqual((await self.seg("resume"))[2], 0)
        await gateway.wait_for_event("message_finished", mid=1)
        self.assertNotIn("Traceback", gateway.log.read_text())

    async def test_configuration(self) -> None:
        """A damaged file of the configuration is refused in one line while it runs, and all stays in force; at a start it says why not."""
        gateway = await self.start_gateway()
        for file in (gateway.configuration, gateway.configuration.with_name("destinations.toml")):
            text = file.read_bytes()
            for name in SOME[1:]:  # an empty one is a configuration
                DAMAGES[name](Path(file))
                _, err, status = await self.seg("--socket", str(gateway.socket), "reload")
                self.assertEqual((status, "Traceback" in err), (1, False), (name, err))
                self.assertIn(file.name, err)
                bare(Path(file))
                file.write_bytes(text)
        self.assertEqual((await self.seg("reload"))[2], 0)
