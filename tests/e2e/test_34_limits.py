"""The limits of destination controls under load, measured where mail arrives."""

from __future__ import annotations

import smtplib

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from seg.lab.behaviour import Behaviour
from seg.lab.world import MX
from tests.e2e.base import MESSAGE, GatewayCase

SLOW = Behaviour(delay=0.01)  # so that connections are needed side by side
MANY = 120


class LimitTests(GatewayCase):
    """More mail than a destination may have at a time."""

    async def inject_many(self, *domains: str, count: int = MANY) -> None:
        """So many messages to each domain, in turn, handed in as fast as they are taken."""
        gateway = self.gateway
        assert gateway is not None

        def talk() -> None:
            with smtplib.SMTP("127.0.0.1", gateway.port, local_hostname="c.example", timeout=20) as client:
                for _ in range(count):
                    for domain in domains:
                        client.sendmail("alice@sender.example", [f"bob@{domain}"], MESSAGE)

        await deferToThread(talk)

    async def test_connections_of_a_domain(self) -> None:
        """As many connections as allowed, and not one more, with the messages allowed on each; an unlimited domain isn't held up."""
        for name in ("limited.example", "free.example"):
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=SLOW)])
        limits = {"concurrent_connections": 3, "messages_per_connection": 7}
        await self.start_gateway(profiles={"limited.example": limits})
        await self.inject_many("limited.example", "free.example")
        await self.internet.wait_for_messages("free.example", MANY, timeout=40)
        await self.internet.wait_for_messages("limited.example", MANY, timeout=40)
        receiver = self.internet.receivers["mx.limited.example"]
        self.assertEqual(receiver.most_open, 3)
        self.assertGreater(self.internet.receivers["mx.free.example"].most_open, 3)
        self.assertEqual(len(receiver.received), MANY)
        self.assertGreaterEqual(len(receiver.sessions), -(-MANY // 7))

    async def test_connections_of_an_address(self) -> None:
        """Three domains at the same host have its limit in common; a second host of the same preference has its own."""
        domains = ("one.example", "two.example", "three.example")
        for name in domains:
            await self.internet.add_domain(
                name, mx=[MX("mxa.provider.example", behaviour=SLOW), MX("mxb.provider.example", behaviour=SLOW)]
            )
        await self.start_gateway(default={"concurrent_connections": 2, "limit_per": "address"})
        await self.inject_many(*domains, count=MANY // 2)
        for name in domains:
            await self.internet.wait_for_messages(name, MANY // 2, timeout=40)
        for host in ("mxa.provider.example", "mxb.provider.example"):
            self.assertEqual(self.internet.receivers[host].most_open, 2, host)

    async def test_many_domains_at_one_host(self) -> None:
        """Mail for many domains at one host, by MX or by a route to a smart host, shares its connections."""
        many = [f"d{number}.example" for number in range(60)]
        for name in many:
            await self.internet.add_domain(name, mx=[MX("smart.example.net", behaviour=SLOW)])
        receiver = self.internet.receivers["smart.example.net"]
        routes = {f".{number}.routed.example": [f"{receiver.address}:{self.internet.port}"] for number in range(60)}
        gateway = await self.start_gateway(routes=routes, settings={"delivery": {"host_connections": 8}})
        taken = 0
        for domains in (many, [f"x.{number}.routed.example" for number in range(60)]):
            before, receiver.most_open = len(receiver.sessions), receiver.staying
            await gateway.inject("alice@sender.example", [f"bob@{domain}" for domain in domains], MESSAGE)
            taken += len(domains)
            await receiver.wait_for(taken, timeout=40)
            self.assertLessEqual(receiver.most_open, 8)
            if domains is many:  # later mail may find all that it needs kept
                self.assertGreater(receiver.most_open, 1)
            self.assertLessEqual(len(receiver.sessions) - before, 16)
            for domain in domains:  # one after the other: what was kept carries all of them
                await gateway.inject("alice@sender.example", f"bob@{domain}", MESSAGE)
            taken += len(domains)
            await receiver.wait_for(taken, timeout=40)
            self.assertLessEqual(len(receiver.sessions) - before, 24)

    async def test_recipients(self) -> None:
        """Recipients in a minute: of a domain, or of an address with all its domains; what is above it waits, and a commit lets it go."""
        for name in ("one.example", "two.example"):
            await self.internet.add_domain(name, mx=[MX("mx.provider.example")])
        await self.internet.add_domain("three.example")
        limit = {"recipient_limit": 20, "recipient_minutes": 1}
        profiles = {
            "one.example": {**limit, "limit_per": "address"},
            "two.example": {**limit, "limit_per": "address"},
            "three.example": limit,
        }
        gateway = await self.start_gateway(profiles=profiles)
        await self.inject_many("one.example", "two.example", "three.example", count=30)
        await self.internet.wait_for_messages("three.example", 20)
        provider = self.internet.receivers["mx.provider.example"]
        await provider.wait_for(20, timeout=30)
        await deferLater(reactor, 1.0)  # type: ignore[arg-type]
        self.assertEqual((len(provider.received), len(self.internet.messages("three.example"))), (20, 20))
        waiting = (await self.seg_json("queue", "list", "--domain", "three.example"))["messages"]
        out, _, _ = await self.seg("queue", "why", str(waiting[0]["mid"]))
        self.assertRegex(
            out, r"Limit reached: it has had all the recipients that it may have; more may go in \d+ seconds"
        )
        waiting = (await self.seg_json("queue", "list", "--domain", "two.example"))["messages"]
        out, _, _ = await self.seg("queue", "why", str(waiting[0]["mid"]))
        self.assertRegex(out, r"Limit reached: 127[.0-9]+ has all the recipients that it may have")
        await self.seg("destconfig", "edit", "one.example", "--inherit", "recipient-limit")
        await self.seg("commit", "-m", "no limit")
        await self.internet.wait_for_messages("one.example", 30)
        self.assertLess(len(self.internet.messages("two.example")), 21)
        self.assertEqual(gateway.running, True)
