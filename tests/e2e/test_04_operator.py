"""The ``seg`` command against a running gateway, and without one."""

from __future__ import annotations

from seg.lab.behaviour import Behaviour
from seg.lab.world import MX
from tests.e2e.base import MESSAGE, GatewayCase

# Nothing is tried again by itself, and each try makes a connection of its own.
PATIENT = {"queue": {"first_retry": 600.0, "max_retry": 600.0}, "delivery": {"idle_timeout": 0}}
REFUSED = Behaviour(mail="451 4.3.2 Not now")


class OperatorTests(GatewayCase):
    """What an operator types."""

    async def waiting(self) -> None:
        """Two messages that wait: MID 1 for later.example, MID 2 for other.example."""
        for name in ("later.example", "other.example"):
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=REFUSED)])
        gateway = await self.start_gateway(settings=PATIENT)
        for mid, name in enumerate(("later.example", "other.example"), 1):
            await gateway.inject("alice@sender.example", f"bob@{name}", MESSAGE)
            await gateway.wait_for_event("recipients_pending", mid=mid)

    async def test_list_and_show(self) -> None:
        """Lists say what waits and why; one message is shown with its header."""
        await self.waiting()
        out, err, status = await self.seg("queue", "list")
        self.assertEqual((err, status), ("", 0))
        self.assertIn("bob@later.example", out)
        self.assertIn("Not now", out)
        self.assertIn("2 messages.", out)
        found = await self.seg_json("queue", "list", "--domain", "OTHER.example")
        self.assertEqual([m["mid"] for m in found["messages"]], [2])
        out, err, status = await self.seg("queue", "show", "1")
        self.assertEqual((err, status), ("", 0))
        self.assertIn("Subject: end to end", out)
        self.assertIn("tried 1 time", out)

    async def test_hold_survives_restart(self) -> None:
        """A held message isn't tried, also after a restart, until it is released."""
        await self.waiting()
        self.assertEqual(await self.seg("queue", "hold", "1"), ("1 message held.\n", "", 0))
        assert self.gateway is not None
        await self.gateway.restart()
        found = await self.seg_json("queue", "list", "--held")
        self.assertEqual([(m["mid"], m["state"]) for m in found["messages"]], [(1, "held")])
        self.internet.receivers["mx.later.example"].behaviour = Behaviour()
        await self.seg("queue", "retry", "--all")
        self.assertEqual(self.internet.messages("later.example"), [])
        self.assertEqual(await self.seg("queue", "release", "1"), ("1 message released.\n", "", 0))
        await self.seg("queue", "retry", "1")
        await self.internet.wait_for_messages("later.example")

    async def test_retry(self) -> None:
        """A retry goes out at once."""
        await self.waiting()
        self.internet.receivers["mx.other.example"].behaviour = Behaviour()
        out, err, status = await self.seg("queue", "retry", "--domain", "other.example")
        self.assertEqual((out, err, status), ("1 message due now.\n", "", 0))
        await self.internet.wait_for_messages("other.example")

    async def test_delete(self) -> None:
        """A deleted message is gone, and the log says who did it."""
        await self.waiting()
        out, err, status = await self.seg("queue", "delete", "1", "--yes")
        self.assertEqual((out, err, status), ("1 message deleted.\n", "", 0))
        out, err, status = await self.seg("queue", "delete", "1", "--yes")
        self.assertEqual((err, status), ("MID 1: isn't in the queue\n", 1))
        assert self.gateway is not None
        await self.gateway.wait_for_log(r"Deleted: MID 1 to \[0\]")
        _, err, status = await self.seg("queue", "show", "1")
        self.assertEqual((err, status), ("Error: MID 1 isn't in the queue (seg queue list shows what is)\n", 1))

    async def test_status_and_tail(self) -> None:
        """Status tells how the gateway is doing; tail shows the log, JSON twin included."""
        await self.waiting()
        out, err, status = await self.seg("status")
        self.assertEqual((err, status), ("", 0))
        self.assertIn("2 messages, 2 recipients waiting", out)
        facts = await self.seg_json("status")
        self.assertEqual(facts["counters"]["messages_received"], 2)
        out, _, _ = await self.seg("tail", "-n", "1000")
        self.assertIn("Info: Begin Logfile\n", out)
        self.assertIn("MID 2 queued for delivery\n", out)
        out, _, _ = await self.seg("tail", "-n", "1", "--json")
        self.assertTrue(out.startswith('{"time":'), out)

    async def test_not_running(self) -> None:
        """Without a gateway each verb says so, says how to start it, and exits with 2."""
        gateway = await self.start_gateway()
        await gateway.stop()
        for words in (["status"], ["queue", "list"], ["queue", "retry", "--all"]):
            _, err, status = await self.seg(*words)
            self.assertEqual(status, 2)
            self.assertIn("the gateway isn't running", err)
            self.assertIn("twistd -n seg", err)
