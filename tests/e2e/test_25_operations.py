"""What an operator does with a running queue: look, ask why, suspend, bounce, archive, forget."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.internet import free_port
from seg.lab.world import MX, Policy
from tests.e2e.base import MESSAGE, GatewayCase

BROKEN = Behaviour(certificate=Certificate.OTHER_NAME)


class OperationTests(GatewayCase):
    """One gateway, a destination that works and one that doesn't."""

    async def test_why(self) -> None:
        """A message that waits for a TLS policy: which, what failed, the next try, and what to do."""
        await self.internet.add_domain(
            "broken.example", mx=[MX("mx.broken.example", behaviour=BROKEN)], policy=Policy(mode="enforce")
        )
        gateway = await self.start_gateway()
        await gateway.inject("alice@sender.example", "bob@broken.example", MESSAGE)
        await gateway.wait_for_log(r"Delayed: ")
        out, err, status = await self.seg("queue", "why", "1")
        self.assertEqual((err, status), ("", 0))
        for text in (
            "MID 1 from alice@sender.example",
            "broken.example (",
            "<bob@broken.example>: tried",
            "mta-sts: enforce",
            "seg explain broken.example shows what is wrong now",
        ):
            self.assertIn(text, out)
        found = await self.seg_json("queue", "why", "1")
        self.assertEqual(found["destinations"][0]["hosts"][0]["host"], "mx.broken.example")
        _, err, status = await self.seg("queue", "why", "99")
        self.assertEqual(status, 1)
        self.assertIn("seg findevent --mid 99", err)
        host = await self.seg_json("hoststatus", "broken.example")
        self.assertEqual((host["active"], host["delivered"]), (1, 0))
        self.assertGreaterEqual(host["soft_bounced"], 1)
        self.assertGreaterEqual(host["refused_by_policy"], 1)
        self.assertEqual(host["mx"]["records"], [{"preference": 10, "host": "mx.broken.example"}])
        out, _, _ = await self.seg("policyshow", "broken.example")
        self.assertIn("mode: enforce\nmx: mx.broken.example\n", out)
        await self.seg("suspenddel")  # no try fetches it again meanwhile
        _, err, status = await self.seg("policyflush", "broken.example")
        self.assertIn("without a terminal say --yes", err)
        self.assertEqual((await self.seg("policyflush", "broken.example", "--yes"))[0], "1 policy forgotten.\n")
        self.assertEqual(await self.seg_json("policyshow"), {"total": 0, "policies": [], "next": ""})

    async def test_suspended(self) -> None:
        """Nothing goes out while deliveries are suspended, over a restart too; a suspended listener says 421."""
        await self.internet.add_domain("receiver.example")
        await self.internet.add_domain("other.example")
        gateway = await self.start_gateway()
        await self.seg("suspenddel", "receiver.example")
        await gateway.inject("alice@sender.example", ["bob@receiver.example", "bob@other.example"], MESSAGE)
        await self.internet.wait_for_messages("other.example")
        found = await self.seg_json("tophosts")
        states = {host["domain"]: (host["active"], host["delivered"], host["suspended"]) for host in found["hosts"]}
        self.assertEqual(states, {"receiver.example": (1, 0, True), "other.example": (0, 1, False)})
        self.assertIn("seg resumedel receiver.example", (await self.seg("queue", "why", "1"))[0])
        await gateway.stop()
        await gateway.start()
        self.assertEqual(self.internet.messages("receiver.example"), [])
        await self.seg("suspendlistener")
        out, _, _ = await self.seg("status")
        self.assertIn("Deliveries:          suspended to receiver.example (seg resumedel)\n", out)
        self.assertIn("Receiving:           suspended at relay (seg resumelistener)\n", out)
        with self.assertRaisesRegex(Exception, "421"):
            await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        out, _, _ = await self.seg("resume")
        self.assertEqual(out, "Deliveries suspended: none\nListeners suspended:  none\n")
        await self.internet.wait_for_messages("receiver.example")
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await self.internet.wait_for_messages("receiver.example", 2)
        _, err, status = await self.seg("suspendlistener", "nope")
        self.assertEqual(status, 1)
        self.assertIn("there is no listener nope; there are relay", err)

    async def test_work_queue(self) -> None:
        """While the work queue is paused mail is taken and nothing leaves, over a restart; everybody can see why."""
        await self.internet.add_domain("receiver.example")
        gateway = await self.start_gateway()
        out, err, status = await self.seg("workqueue")
        self.assertEqual((err, status), ("", 0))
        self.assertRegex(out, r"Status: +Operational\nMessages: +0 with the filters or being written, 0 queued\n")
        self.assertIn("say why: --reason TEXT", (await self.seg("workqueue", "pause"))[1])
        out, _, _ = await self.seg("workqueue", "pause", "--reason", "the  scanner misses things")
        self.assertRegex(out, r"Status: +Paused by \w+ \d+ s ago: the scanner misses things\n")
        await gateway.wait_for_log(r"Operator \w+: workqueue pause: the scanner misses things")
        self.assertRegex(
            (await self.seg("status"))[0],
            r"Work queue: +Paused by \w+ .* ago: the scanner misses things \(seg workqueue resume\)\n",
        )
        self.assertIn("it is paused already", (await self.seg("workqueue", "pause", "--reason", "x"))[1])
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.stop()
        await gateway.start()
        out, _, _ = await self.seg("queue", "why", "1")
        self.assertRegex(out, r"Nothing leaves the queue until: seg workqueue resume\. Paused by \w+ .*the scanner")
        self.assertIn("What to do: seg workqueue resume\n", out)
        self.assertIn("(seg workqueue resume)", (await self.seg("resumedel"))[0])
        self.assertEqual(self.internet.messages("receiver.example"), [])
        self.assertRegex((await self.seg("workqueue", "resume"))[0], r"Status: +Operational\n")
        await self.internet.wait_for_messages("receiver.example")
        self.assertIn("it isn't paused", (await self.seg("workqueue", "resume"))[1])
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await gateway.wait_for_log("Message finished MID 2 done")
        out, _, _ = await self.seg("workqueue", "rate", "-i", "1", "-n", "1")
        self.assertEqual(out.splitlines()[0].split(), ["Time", "Pending", "In", "Out", "Queue"])
        self.assertEqual(out.split()[-4:], ["0"] * 4)
        found = await self.seg_json("workqueue", "status")
        self.assertEqual([found[name] for name in ("pending", "entered", "left", "queued")], [0, 1, 1, 0])

    async def test_messages(self) -> None:
        """Messages are shown and archived as they are, returned to their senders, and deleted; how many is said before."""
        await self.internet.add_domain("sender.example")
        gateway = await self.start_gateway()
        await self.seg("suspenddel", "away.example")
        for number in range(3):
            await gateway.inject("alice@sender.example", f"bob{number}@away.example", MESSAGE)
        out, _, _ = await self.seg("showmessage", "1")
        self.assertIn("Message-ID: <1@sender.example>\n\n.\n..\n.leading dot\n", out)
        await self.seg("archivemessage", "1")
        box = Path(gateway.folder, "oldmessage_1.mbox").read_bytes()
        self.assertTrue(box.startswith(b"From alice@sender.example "))
        self.assertIn(b"\nSubject: end to end\n", box)
        self.assertIn("is there already", (await self.seg("archivemessage", "1"))[1])
        self.assertIn("bob2@away.example", (await self.seg("showrecipients", "--domain", "away.example"))[0])
        self.assertTrue((await self.seg("oldmessage"))[0].startswith("MID 1: "))
        _, err, status = await self.seg("bouncerecipients", "--domain", "away.example")
        self.assertEqual(status, 2)
        self.assertIn("this concerns 3 messages", err)
        self.assertEqual((await self.seg("removemessage", "3", "--yes"))[0], "Message 3 has been removed.\n")
        out, _, _ = await self.seg("bouncerecipients", "--domain", "away.example", "--yes")
        self.assertEqual(out, "2 messages bounced.\n")
        reports = await self.internet.wait_for_messages("sender.example", 2)
        self.assertIn(b"Returned by the administrator", reports[0].content)
        await gateway.wait_for_log(r"Operator \w+: bounce MID 1")
        _, err, status = await self.seg("deleterecipients", "--all", "--yes")
        self.assertIn("no such message waits", err)
        self.assertEqual((await self.seg("delivernow", "--all"))[0], "0 messages are due now.\n")
        self.assertRegex((await self.seg("dnsflush"))[0], r"\d+ answers forgotten")
        self.assertEqual((await self.seg("topin"))[0], "Nobody is connected.\n")

    async def test_metrics(self) -> None:
        """Metrics are at their own address if the operator wants it, and always on the control socket."""
        await self.internet.add_domain("receiver.example")
        port = free_port()
        gateway = await self.start_gateway(settings={"metrics": {"address": "127.0.0.1", "port": port}})
        await gateway.inject("alice@sender.example", "bob@receiver.example", MESSAGE)
        await self.internet.wait_for_messages("receiver.example")
        await gateway.wait_for_log("Message finished MID 1 done")

        def ask(path: str) -> tuple[int, bytes]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, b""

        status, text = await deferToThread(ask, "/metrics")
        self.assertEqual(status, 200)
        for line in (
            b'seg_recipients_total{result="delivered"} 1.0',
            b"seg_queue_messages 0.0",
            b"seg_dns_requests_total",
        ):
            self.assertIn(line, text)
        self.assertEqual((await deferToThread(ask, "/v1/status"))[0], 404)
