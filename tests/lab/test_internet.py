"""The whole internet: domains as data become records, policies and hosts, and a configuration."""

from __future__ import annotations

import smtplib
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import dns.query
from twisted.internet import reactor
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from seg.config.destinations import DANEMode, TLSOption
from seg.config.load import load_destinations, load_settings
from seg.lab.behaviour import Behaviour, StartTLS
from seg.lab.internet import Internet
from seg.lab.world import MX, TLSA, Policy


class InternetTests(TestCase):
    """Domains, hosts and configuration."""

    async def internet(self) -> Internet:
        """A running internet that stops with the test."""
        internet = await Internet.start(reactor, Path(self.mktemp()))  # type: ignore[arg-type]
        self.addCleanup(internet.stop)
        return internet

    async def ask(self, internet: Internet, name: str, rdtype: str) -> list[str]:
        """The records of a name as text."""
        query = dns.message.make_query(name, rdtype)
        where, port = internet.nameserver.address, internet.nameserver.port
        answer = await deferToThread(dns.query.udp, query, where, port=port, timeout=2)
        return [record.to_text() for rrset in answer.answer for record in rrset]

    async def send(self, internet: Internet, host: str, recipient: str) -> None:
        """Send a message in clear to a host by its address in the DNS."""
        (address,) = await self.ask(internet, host, "A")

        def run() -> None:
            with smtplib.SMTP(address, internet.port, timeout=5) as client:
                client.sendmail("alice@b.example", [recipient], "Subject: x\r\n\r\nx\r\n")

        await deferToThread(run)

    async def test_domain_has_records_and_hosts(self) -> None:
        """A domain gets its MX and address records, and every host listens on the common port."""
        internet = await self.internet()
        domain = await internet.add_domain("a.example", mx=["mx1.a.example", MX("mx2.a.example", 20)])
        records = sorted(await self.ask(internet, "a.example", "MX"))
        self.assertEqual(records, ["10 mx1.a.example.", "20 mx2.a.example."])
        first, second = domain.receivers
        self.assertNotEqual(first.address, second.address)
        self.assertEqual({first.port, second.port}, {internet.port})
        self.assertTrue(all(ip_address(receiver.address).is_loopback for receiver in domain.receivers))
        await self.send(internet, "mx2.a.example", "bob@a.example")
        self.assertEqual([message.host for message in internet.messages("a.example")], ["mx2.a.example"])
        self.assertEqual(internet.sessions("a.example"), 1)

    async def test_policy(self) -> None:
        """A policy gets its TXT record, the policy host's address, and the domain's hosts as patterns."""
        internet = await self.internet()
        await internet.add_domain("a.example", policy=Policy(mode="testing", id="7"))
        self.assertEqual(await self.ask(internet, "_mta-sts.a.example", "TXT"), ['"v=STSv1; id=7;"'])
        self.assertEqual(await self.ask(internet, "mta-sts.a.example", "A"), [internet.policy_host.address])
        published = internet.policy_host.published("a.example")
        assert published is not None
        expected = b"version: STSv1\r\nmode: testing\r\nmx: mx.a.example\r\nmax_age: 86400\r\n"
        self.assertEqual(published.text, expected)
        internet.set_policy("a.example", Policy(mode="none", id="8"))
        self.assertEqual(await self.ask(internet, "_mta-sts.a.example", "TXT"), ['"v=STSv1; id=8;"'])
        internet.remove_policy("a.example")
        self.assertEqual(await self.ask(internet, "_mta-sts.a.example", "TXT"), [])

    async def test_tlsa_is_at_the_port(self) -> None:
        """TLSA records stand below the port that the hosts have here, and fit the certificate, or don't."""
        internet = await self.internet()
        hosts = [MX("good.a.example", tlsa=(TLSA(),)), MX("bad.a.example", tlsa=(TLSA(wrong=True),))]
        await internet.add_domain("a.example", mx=hosts, secure=True)
        good = await self.ask(internet, f"_{internet.port}._tcp.good.a.example", "TLSA")
        self.assertEqual(good, [internet.receivers["good.a.example"].credential.tlsa(3, 1, 1)])
        bad = await self.ask(internet, internet.tlsa_name("bad.a.example"), "TLSA")
        self.assertEqual(bad, ["3 1 1 " + "00" * 32])

    async def test_null_mx(self) -> None:
        """A domain that takes no mail says so in one record, and has no host."""
        internet = await self.internet()
        domain = await internet.add_domain("a.example", null_mx=True)
        self.assertEqual(await self.ask(internet, "a.example", "MX"), ["0 ."])
        self.assertEqual(domain.receivers, ())

    async def test_shared_host(self) -> None:
        """Two domains may have the same host, with the certificate of its own name."""
        internet = await self.internet()
        first = await internet.add_domain("a.example", mx=["mx.hoster.example"])
        second = await internet.add_domain("b.example", mx=["mx.hoster.example"])
        self.assertIs(first.receivers[0], second.receivers[0])

    async def test_host_that_is_not_there(self) -> None:
        """A host may have an address at which nobody listens."""
        internet = await self.internet()
        await internet.add_domain("a.example", mx=[MX("mx.a.example", exists=False)])
        with self.assertRaises(ConnectionRefusedError):
            await self.send(internet, "mx.a.example", "bob@a.example")

    async def test_implicit_mx(self) -> None:
        """Without an MX record the domain itself can be the host."""
        internet = await self.internet()
        await internet.add_domain("a.example", mx=())
        receiver = await internet.add_receiver(MX("a.example"))
        self.assertEqual(await self.ask(internet, "a.example", "MX"), [])
        self.assertEqual(await self.ask(internet, "a.example", "A"), [receiver.address])

    async def test_waiting_for_messages(self) -> None:
        """Waiting ends with the message, or with a time-out."""
        internet = await self.internet()
        await internet.add_domain("a.example", mx=[MX("mx.a.example", behaviour=Behaviour(starttls=StartTLS.ABSENT))])
        waiting = internet.wait_for_messages("a.example", timeout=5)
        await self.send(internet, "mx.a.example", "bob@a.example")
        (message,) = await waiting
        self.assertEqual(message.recipients, ("bob@a.example",))
        with self.assertRaises(DeferredTimeout):
            await internet.wait_for_messages("a.example", 2, timeout=0.05)

    async def test_two_at_a_time(self) -> None:
        """Two internets don't get into each other's way."""
        first, second = await self.internet(), await self.internet()
        for internet in (first, second):
            await internet.add_domain("a.example")
        await self.send(first, "mx.a.example", "bob@a.example")
        self.assertEqual((len(first.messages("a.example")), len(second.messages("a.example"))), (1, 0))

    async def test_stop_closes_everything(self) -> None:
        """Nothing listens when it's over."""
        internet = await Internet.start(reactor, Path(self.mktemp()))  # type: ignore[arg-type]
        domain = await internet.add_domain("a.example")
        await internet.stop()

        def connect(where: Any) -> int:
            with socket.socket() as probe:
                return probe.connect_ex((where.address, where.port))

        for where in (internet.nameserver, internet.policy_host, domain.receivers[0]):
            self.assertNotEqual(connect(where), 0)

    async def test_configuration_is_good(self) -> None:
        """The configuration passes the gateway's own checks and points to the servers that run here."""
        internet = await self.internet()
        await internet.add_domain("a.example")
        files = internet.gateway_configuration(
            settings={"queue": {"first_retry": 0.5}, "log": {"level": "debug"}},
            default={"tls": "required"},
            profiles={"b.example": {"tls": "required-verify", "dane": "mandatory"}},
            routes={"c.example": ["relay.example:2525"], "d.example": []},
        )
        path = files.write(Path(self.mktemp()))
        settings = load_settings(path)
        self.assertEqual(settings.delivery.port, internet.port)
        self.assertEqual(settings.mta_sts.port, internet.https_port)
        self.assertEqual(settings.dns.resolvers, (f"127.0.0.1:{internet.nameserver.port}",))
        self.assertEqual(settings.listener[0].port, files.port)
        self.assertEqual((settings.queue.first_retry, settings.log.level), (0.5, "debug"))
        destinations = load_destinations(path.parent / "destinations.toml")
        self.assertIs(destinations.profile("x.example").tls, TLSOption.REQUIRED)
        self.assertIs(destinations.profile("b.example").dane, DANEMode.MANDATORY)
        route = destinations.route("c.example")
        assert route is not None
        self.assertEqual((route.hops[0].host, route.hops[0].port), ("relay.example", 2525))
        self.assertIsNone(destinations.route("d.example"))
