"""The counters and rates of ``seg status detail``, ``rate`` and ``hostrate``."""

from __future__ import annotations

import json

from tests.e2e.base import MESSAGE, GatewayCase


class CounterTests(GatewayCase):
    """One gateway that is started twice."""

    async def test_counters(self) -> None:
        """They count, are reset by an operator, and go on after a restart."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 1 done")
        facts = await self.seg_json("status")
        for column in ("reset", "uptime", "lifetime"):
            self.assertEqual(facts["totals"][column]["recipients_delivered"], 1)
        self.assertEqual(facts["rates"]["messages_received"], {"1": 60, "5": 12, "15": 4})
        out, err, status = await self.seg("status", "detail")
        self.assertEqual((err, status), ("", 0))
        self.assertRegex(out, r"Recipients delivered +1 +1 +1 *\n")
        self.assertRegex(out, r"Messages received +60 +12 +4 *\n")
        self.assertNotIn("Lifetime", (await self.seg("status"))[0])
        self.assertRegex((await self.seg("resetcounters"))[0], r"^Counters reset at \S+ \S+.*\.\n$")
        await gateway.wait_for_log(r"Operator \w+: resetcounters")
        await gateway.stop()
        await gateway.start()
        totals = (await self.seg_json("status"))["totals"]
        self.assertEqual([totals[c]["recipients_delivered"] for c in ("reset", "uptime", "lifetime")], [0, 0, 1])

    async def test_dns(self) -> None:
        """What the DNS was asked, in the same columns, over a commit of other settings and a restart; and how the resolver fares."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 1 done")
        facts = await self.seg_json("dnsstatus")
        (resolver,) = facts["resolvers"]
        asked = facts["totals"]["uptime"]
        self.assertEqual(asked["requests"], asked["hits"] + asked["misses"])
        self.assertGreaterEqual(asked["network"], 2)  # MX and address
        self.assertGreaterEqual(resolver["answers"], asked["network"])
        self.assertEqual((resolver["believed"], resolver["failures"]), (True, 0))
        self.assertGreater(resolver["last_answer"], 0)
        self.assertGreaterEqual(facts["cached"], 2)
        out, err, status = await self.seg("dnsstatus")
        self.assertEqual((err, status), ("", 0))
        self.assertRegex(out, r"DNS Requests +(\d+) +\1 +\1 *\n")
        self.assertRegex(out, rf"{resolver['server']} +\d+ +0 +.* ago +yes *\n")
        await self.seg("dnsconfig", "--timeout", "3")
        self.assertEqual((await self.seg("commit"))[2], 0)
        facts = await self.seg_json("dnsstatus")
        self.assertGreaterEqual(facts["totals"]["uptime"]["requests"], asked["requests"])
        await self.seg("resetcounters")
        await gateway.stop()
        await gateway.start()
        totals = (await self.seg_json("dnsstatus"))["totals"]
        self.assertGreaterEqual(totals["lifetime"]["requests"], asked["requests"])
        self.assertEqual(totals["reset"]["requests"], totals["uptime"]["requests"])
        self.assertFalse([name for name in (await self.seg_json("status"))["totals"]["uptime"] if "dns" in name])

    async def test_rate(self) -> None:
        """A line for each moment, with what was added since the one before."""
        await self.start_gateway()
        out, err, status = await self.seg("rate", "--interval", "1", "--count", "2")
        self.assertEqual((err, status), ("", 0))
        lines = out.splitlines()
        self.assertEqual(
            lines[0].split(),
            [
                "Time",
                "Conn.",
                "In",
                "Conn.",
                "Out",
                "Received",
                "Delta",
                "Delivered",
                "Delta",
                "Delayed",
                "Delta",
                "Queue",
            ],
        )
        self.assertEqual([line.split()[-9:] for line in lines[1:]], [["0"] * 9] * 2)
        out, _, _ = await self.seg("hostrate", "receiver.example", "-n", "1", "--json")
        self.assertEqual(json.loads(out)["state"], "unknown")
        _, err, status = await self.seg("rate", "--interval", "0")
        self.assertEqual(status, 2)
        self.assertIn("1<=x<=3600", err)
