"""kill -9 loses nothing that got its 250."""

from __future__ import annotations

import smtplib

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour
from seg.lab.world import MX
from tests.e2e.base import GatewayCase


def inject_until_killed(port: int, name: str, acknowledged: list[str]) -> None:
    """Hand in messages one after the other until the connection breaks; note those that got their 250."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            for number in range(10_000):
                mark = f"{name}-{number}"
                client.sendmail("alice@sender.example", "bob@slow.example", f"Subject: {mark}\r\n\r\n{mark}\r\n")
                acknowledged.append(mark)
    except (smtplib.SMTPException, OSError):
        return


class KilledTests(GatewayCase):
    """The gateway is killed in the middle of its work, and started again."""

    timeout = 120

    async def killed_while_busy(self, receiver: Behaviour, when: float) -> tuple[list[str], list[str]]:
        """Messages acknowledged before the kill, and those delivered after a restart."""
        await self.internet.add_domain("slow.example", mx=[MX("mx.slow.example", behaviour=receiver)])
        gateway = await self.start_gateway()
        acknowledged: list[str] = []
        clients = [deferToThread(inject_until_killed, gateway.port, f"c{n}", acknowledged) for n in range(4)]
        await deferLater(reactor, when)  # type: ignore[arg-type]
        await gateway.kill()
        await gatherResults(clients)
        self.assertGreater(len(acknowledged), 10)
        await gateway.start()
        await self.until_empty()
        subjects = [
            m.content.rpartition(b"Subject: ")[2].split(b"\r\n")[0].decode()
            for m in self.internet.messages("slow.example")
        ]
        return acknowledged, subjects

    async def until_empty(self) -> None:
        """Wait until nothing is queued."""
        while (await self.seg_json("status"))["queue"]["messages"]:
            await self.seg("queue", "retry", "--all")
            await deferLater(reactor, 0.3)  # type: ignore[arg-type]

    async def test_during_receive_and_delivery(self) -> None:
        """Killed while messages come in and go out: each that was acknowledged is delivered, few of them twice."""
        acknowledged, delivered = await self.killed_while_busy(Behaviour(), 1.0)
        self.assertEqual(set(acknowledged) - set(delivered), set())
        twice = len(delivered) - len(set(delivered))
        self.assertLessEqual(twice, 40, "more were repeated than can have been in flight")

    async def test_while_all_waits(self) -> None:
        """Killed while nothing can be delivered yet: all of it is still there."""
        acknowledged, delivered = await self.killed_while_busy(Behaviour(greylist=1), 1.0)
        self.assertEqual(set(acknowledged) - set(delivered), set())
