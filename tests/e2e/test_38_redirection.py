"""What waits is sent to another host: all of it, or that of one destination; and back to its own way."""

from __future__ import annotations

from tests.e2e.base import MESSAGE, GatewayCase

PATIENT = {"queue": {"first_retry": 600.0, "max_retry": 600.0}}


class RedirectionTests(GatewayCase):
    """`seg redirectrecipients`."""

    async def test_redirected(self) -> None:
        """Over a restart, with the envelope as it was; the story of a message says so; what isn't meant stays where it is."""
        await self.internet.add_domain("standby.example")
        gateway = await self.start_gateway(settings=PATIENT)
        await self.seg("suspenddel")
        await gateway.inject("alice@sender.example", ["bob@gone.example", "carl@away.example"], MESSAGE)
        host = f"mx.standby.example:{self.internet.port}"
        _, err, status = await self.seg("redirectrecipients", "--host", host)
        self.assertEqual(status, 2)
        self.assertIn("this concerns 1 message", err)
        out, err, status = await self.seg("redirectrecipients", "--host", host, "--domain", "gone.example", "--yes")
        self.assertEqual((out, err, status), ("1 message redirected.\n", "", 0))
        await gateway.wait_for_log(r"Operator \w+: redirect MID 1 to mx\.standby\.example:\d+, only gone\.example")
        await gateway.stop()
        await gateway.start()
        self.assertIn(f"Redirected to {host}", (await self.seg("queue", "show", "1"))[0])
        self.assertIn(f"redirected to {host}", (await self.seg("queue", "why", "1"))[0])
        ways = {r["address"]: r["via"] for r in (await self.seg_json("queue", "show", "1"))["recipients"]}
        self.assertEqual(ways, {"bob@gone.example": host, "carl@away.example": ""})
        await self.seg("resumedel")
        (message,) = await self.internet.wait_for_messages("gone.example")
        self.assertEqual(
            (message.host, message.recipients, message.reverse_path),
            ("mx.standby.example", ("bob@gone.example",), "alice@sender.example"),
        )
        await gateway.wait_for_log("MID 1 .*mx.standby.example")

    async def test_undone(self) -> None:
        """What was redirected to a host that isn't there goes by its own way again; nonsense is refused."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway(settings=PATIENT)
        await self.seg("suspenddel")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        found = await self.seg_json("redirectrecipients", "--host", "nowhere.example", "--yes")
        self.assertEqual(found, {"done": [1], "refused": {}, "not_written": {}})
        await self.seg("resumedel")
        await gateway.wait_for_log("Redirection of receiver.example to nowhere.example can't be used")
        self.assertEqual(
            (await self.seg("redirectrecipients", "--normal", "--sender", "alice@sender.example", "--yes"))[0],
            "1 message by the own route again.\n",
        )
        await self.internet.wait_for_messages("receiver.example")
        await gateway.wait_for_log("Message finished MID 1 done")
        for words, told in (
            (("--host", "x.example", "--yes"), "no such message waits"),
            (("--host", "x.example", "--normal"), "say one of --host, --normal"),
            ((), "say --host HOST, or --normal"),
        ):
            self.assertIn(told, (await self.seg("redirectrecipients", *words))[1])
        await self.seg("suspenddel")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        _, err, status = await self.seg("redirectrecipients", "--host", "a..b", "--yes")
        self.assertEqual(status, 1)
        self.assertIn('host: "a..b" is not a host name', err)
