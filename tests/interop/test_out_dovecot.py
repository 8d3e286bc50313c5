"""The gateway hands mail to Dovecot's LMTP."""

from __future__ import annotations

from tests.interop.messages import MESSAGES, hand_in
from tests.interop.out_case import HOST, MANY, SENDER, OutCase
from tests.interop.servers.base import RealServer, without_traces
from tests.interop.servers.dovecot import Dovecot


class DovecotTests(OutCase):
    """By a route with protocol lmtp, over a unix socket and over TCP."""

    server = Dovecot

    async def routed(self, **configuration: object) -> tuple[RealServer, int]:
        """Start both; the gateway's port."""
        server = await self.start_server()
        assert isinstance(server, Dovecot)
        gateway = await self.start_with(
            f'[route."unix.example"]\nhosts = ["unix:{server.socket}"]\nprotocol = "lmtp"\n'
            f'[route."tcp.example"]\nhosts = ["[{server.address}]:{server.port}"]\nprotocol = "lmtp"\n',
            **configuration,
        )
        return server, gateway.port

    async def test_content(self) -> None:
        """Octets of any kind, dots, long lines, nothing at all, 20 MB: stored as they were sent, by either way."""
        server, port = await self.routed()
        for number, (name, content) in enumerate(MESSAGES.items()):
            await hand_in(port, SENDER, f"{name}@{('unix', 'tcp')[number % 2]}.example", content, ["BODY=8BITMIME"])
        for name, content in MESSAGES.items():
            (stored,) = await server.wait_for(name)
            trace, found = without_traces(stored)
            self.assertIn(b"by gateway.lab.example", trace, name)
            self.assertEqual((name, len(found)), (name, len(content)))
            self.assertTrue(found == content, (name, found[:300], content[:300]))

    async def test_no_final_line_end(self) -> None:
        """Content that ends within a line is whole, with at most a line end behind it."""
        server, port = await self.routed()
        await self.unfinished(server, port, "unix.example")

    async def test_policies(self) -> None:
        """STARTTLS to LMTP, its certificate verified by the name of the route's host; a route to a name that it lacks waits."""
        server = await self.start_server()
        self.internet.nameserver.zone("other.example", secure=False)
        self.internet.nameserver.add("other.example", "A", server.address)
        gateway = await self.start_with(
            "".join(
                f'[destination."{domain}"]\ntls = "required-verify-hosted"\n'
                f'[route."{domain}"]\nhosts = ["{host}:{server.port}"]\nprotocol = "lmtp"\n'
                for domain, host in (("verified.example", HOST), ("wrong.example", "other.example"))
            )
        )
        for name in ("wrong", "verified"):
            await hand_in(gateway.port, SENDER, f"{name}@{name}.example", MESSAGES["plain"])
        (stored,) = await server.wait_for("verified")
        self.assertEqual(without_traces(stored)[1], MESSAGES["plain"])
        await gateway.wait_for_log(r"verified\.example via mx\.peer\.example: .*TLSv1\.[23] verified by profile")
        await gateway.wait_for_log(r"Delayed: .* MID 1 ")
        self.assertEqual(server.stored("wrong"), [])

    async def test_refusals(self) -> None:
        """Each recipient has an answer of its own: one is returned, one waits until its mailbox can be written, the others have it."""
        server, _ = await self.routed()
        assert self.gateway is not None
        server.closed.touch()
        names = ["bob", "nobody", "late", "carol", *MANY]
        await self.gateway.inject(SENDER, [f"{name}@unix.example" for name in names], MESSAGES["dots"])
        await self.gateway.wait_for_log(r"Bounced: .* MID 1 .*RID 1 - 5\.1\.1")
        await self.gateway.wait_for_log(r"Delayed: .* MID 1 .*RID 2 - 4\.2\.0")
        server.closed.unlink()
        for name in names:
            if name != "nobody":
                (stored,) = await server.wait_for(name)
                self.assertEqual(without_traces(stored)[1], MESSAGES["dots"], name)

    async def test_connections(self) -> None:
        """Two messages go over one connection, and the restart of Dovecot costs the third no retry."""
        server, port = await self.routed(settings={"delivery": {"idle_timeout": 30.0}})
        assert self.gateway is not None
        for count in (1, 2, 3):
            if count == 3:
                self.assertEqual(self.connections(), 1)
                await server.restart()
            await hand_in(port, SENDER, "bob@unix.example", MESSAGES["dots"])
            await server.wait_for("bob", count)
            await self.gateway.wait_for_log(rf"Message finished MID {count} done")
        self.assertEqual(self.connections(), 2)
        self.assertEqual(self.gateway.events("recipient_delayed"), [])


del OutCase
