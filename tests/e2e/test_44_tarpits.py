"""Hosts that accept connections and let the gateway wait, at every step: more of them than connections, and healthy mail goes on."""

from __future__ import annotations

import smtplib
import time

from twisted.internet import reactor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from tests.e2e.base import MESSAGE, GatewayCase

CONNECTIONS = 40
STEPS = (b"banner", b"EHLO", b"STARTTLS", b"MAIL", b"RCPT", b"DATA", b".")
PATIENT = dict.fromkeys(("greeting_timeout", "command_timeout", "data_timeout", "tls_timeout"), 300.0)


class Tarpit(Protocol):
    """Answers every command but one, and never that."""

    factory: Tarpits

    def connectionMade(self) -> None:
        self._lines = b""
        self._in_content = False
        self._answer(b"banner", b"220 tarpit")

    def dataReceived(self, data: bytes) -> None:
        *lines, self._lines = (self._lines + data).split(b"\r\n")
        for line in lines:
            verb = line.upper().split(b" ")[0]
            if self._in_content and line != b".":
                continue
            self._in_content = verb == b"DATA"
            replies = {
                b"EHLO": b"250-tarpit\r\n250-PIPELINING\r\n250 "
                + (b"STARTTLS" if self.factory.step == b"STARTTLS" else b"8BITMIME"),
                b"DATA": b"354 go on",
                b"STARTTLS": b"",
            }
            self._answer(verb, replies.get(verb, b"250 ok"))

    def _answer(self, step: bytes, reply: bytes) -> None:
        if step != self.factory.step and self.transport is not None:
            self.transport.write(reply + b"\r\n")


class Tarpits(Factory):
    """Hosts that are deaf in one step."""

    protocol = Tarpit
    noisy = False

    def __init__(self, step: bytes) -> None:
        self.step = step


class TarpitTests(GatewayCase):
    """The gateway among them."""

    ports: list[IListeningPort]

    async def add_tarpits(self, step: bytes, domains: int, net: int) -> list[str]:
        """So many domains, each with a host of its own."""
        names = []
        for number in range(domains):
            name, address = f"{step.decode().strip('.') or 'dot'}{number}.example".lower(), f"127.{net}.0.{number + 1}"
            port = reactor.listenTCP(self.internet.port, Tarpits(step), interface=address)  # type: ignore[attr-defined]
            self.addCleanup(port.stopListening)
            self.internet.nameserver.add(name, "MX", f"10 mx.{name}.")
            self.internet.nameserver.add(f"mx.{name}", "A", address)
            names.append(name)
        return names

    async def hand_in(self, domains: list[str], count: int) -> None:
        """So many messages to each domain."""
        gateway = self.gateway
        assert gateway is not None

        def talk() -> None:
            with smtplib.SMTP("127.0.0.1", gateway.port, local_hostname="c.example", timeout=30) as client:
                for _ in range(count):
                    for domain in domains:
                        client.sendmail("alice@sender.example", [f"bob@{domain}"], MESSAGE)

        await deferToThread(talk)

    async def test_healthy_mail(self) -> None:
        """Mail to a domain never heard of arrives within 10 s, in the first rush and when the gateway knows them."""
        for number in range(3):
            await self.internet.add_domain(f"healthy{number}.example")
        tarpits: list[str] = []
        for net, step in enumerate(STEPS, start=90):
            tarpits += await self.add_tarpits(step, 8, net)
        self.assertGreater(len(tarpits), CONNECTIONS)
        await self.start_gateway(
            default={"dane": "none", "mta_sts": "off"},
            settings={"delivery": {"max_connections": CONNECTIONS, **PATIENT}},
        )
        await self.hand_in(tarpits, 5)
        for number in range(3):
            begun = time.monotonic()
            await self.hand_in([f"healthy{number}.example"], 1)
            await self.internet.wait_for_messages(f"healthy{number}.example", timeout=10.0)
            self.assertLess(time.monotonic() - begun, 10.0)
