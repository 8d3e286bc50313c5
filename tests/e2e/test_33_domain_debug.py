"""``seg debug``: the dialogue with a destination in the mail log, without what is secret."""

from __future__ import annotations

from seg.lab.world import Policy
from tests.e2e.base import MESSAGE, GatewayCase


class DomainDebugTests(GatewayCase):
    """One gateway, two destinations."""

    async def test_dialogue(self) -> None:
        """The next connection is told whole, a new one although another is open, with all messages that go over it."""
        await self.internet.add_domain("receiver.example", policy=Policy(mode="enforce"))
        gateway = await self.start_gateway(settings={"delivery": {"idle_timeout": 30.0}})
        self.assertEqual((await self.seg("debug"))[0], "No destination is watched: seg debug example.com\n")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 1 done")
        out, err, status = await self.seg("debug", "receiver.example")
        self.assertEqual((err, status), ("", 0))
        self.assertIn("The next 1 session with receiver.example", out)
        self.assertEqual(await self.seg_json("debug"), {"domains": {"receiver.example": 1}})
        for mid in (2, 3):
            await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
            await gateway.wait_for_log(f"Message finished MID {mid} done")
        out, _, _ = await self.seg("grep", "debug receiver.example: ")
        lines = [line.partition("debug receiver.example: ")[2] for line in out.splitlines() if "Operator" not in line]
        self.assertTrue(lines[0].startswith("S: 220 "), lines)
        for line in ("C: STARTTLS", "C: (TLS from here on)", "C: DATA", "C: (the message)"):
            self.assertEqual(lines.count(line), 1 if "message" not in line and line != "C: DATA" else 2, lines)
        self.assertTrue(any(line.startswith("C: RCPT TO:<bob@receiver.example>") for line in lines))
        self.assertNotIn("leading dot", out)
        self.assertEqual(len({line.partition("DCID ")[2].split()[0] for line in out.splitlines()}), 1, out)
        self.assertEqual(await self.seg_json("debug"), {"domains": {}})
        await gateway.wait_for_log(r"Operator \w+: debug receiver\.example for 1 sessions")
