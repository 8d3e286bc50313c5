"""A connection carries what was achieved on it, and no more: the next message may ride on it only if its own decision is satisfied."""

from __future__ import annotations

import attrs
from twisted.internet import reactor
from twisted.internet.task import deferLater

from seg.config.destinations import NextHop, SMTPRoute
from seg.events.delivery import DeliveryTLSStarted
from seg.lab.behaviour import Behaviour, Certificate, StartTLS
from seg.lab.world import MX, TLSA, Policy
from seg.mail.outcome import Delivered
from tests.cases.house import CaseTest

PLAIN = {"dane": "none", "mta_sts": "off"}
KEPT = {"delivery": {"idle_timeout": 30.0}}


class ReuseCases(CaseTest):
    """Several domains with one host."""

    async def hosted(self, behaviour: Behaviour, *names: str, **parts: object) -> None:
        """Domains with the same MX host."""
        for name in names:
            await self.internet.add_domain(name, mx=[MX("mx.hoster.example", behaviour=behaviour)], **parts)  # type: ignore[arg-type]

    @property
    def connections(self) -> int:
        """How many were made to the host."""
        return len(self.internet.receivers["mx.hoster.example"].sessions)

    async def test_satisfied(self) -> None:
        """What satisfies the next domain's decision is used again; the verdict is that domain's own."""
        await self.hosted(Behaviour(), "a.example", "b.example")
        self.open(default=PLAIN, profiles={"b.example": {"tls": "required-verify-hosted"}}, settings=KEPT)
        self.assert_delivered(await self.attempt("a.example"), "a.example", tls=True)
        self.assert_delivered(await self.attempt("b.example"), "b.example", tls=True)
        self.assertEqual(self.connections, 1)
        self.assertIn("-> TLSv1.3 unverified", self.explained("a.example")[0])
        self.assertIn("-> TLSv1.3 verified by profile", self.explained("b.example")[0])

    async def test_not_satisfied(self) -> None:
        """A connection that was good enough for a domain that asks for little isn't for one that asks for more."""
        await self.hosted(Behaviour(certificate=Certificate.SELF_SIGNED), "a.example", "b.example")
        self.open(default=PLAIN, profiles={"b.example": {"tls": "required-verify-hosted"}}, settings=KEPT)
        self.assert_delivered(await self.attempt("a.example"), "a.example", tls=True)
        self.assert_delayed(await self.attempt("b.example"), "b.example", "4.7.5", "self signed certificate")
        self.assertEqual(self.connections, 2)

    async def test_policies(self) -> None:
        """The same host for three domains: one by DANE, one by MTA-STS, one by its policy that doesn't list the host."""
        mx = MX("mx.hoster.example", secure=True, tlsa=(TLSA(),))
        await self.internet.add_domain("dane.example", mx=[mx], secure=True)
        await self.internet.add_domain("sts.example", mx=[mx], policy=Policy())
        await self.internet.add_domain("other.example", mx=[mx], policy=Policy(mx=("mx.elsewhere.example",)))
        self.open(settings=KEPT)
        self.assert_delivered(await self.attempt("dane.example"), "dane.example")
        self.assert_delivered(await self.attempt("sts.example"), "sts.example")
        self.assert_delayed(await self.attempt("other.example"), "other.example", "4.7.5", "MX not in policy")
        self.assertEqual(self.connections, 1)
        self.assertIn("verified by dane", self.explained("dane.example")[0])
        self.assertIn("verified by mta-sts", self.explained("sts.example")[0])

    async def test_clear_text(self) -> None:
        """A connection in clear text, for a profile without TLS, isn't used for a domain that prefers TLS, nor the other way round."""
        await self.hosted(Behaviour(), "clear.example", "tls.example")
        self.open(default=PLAIN, profiles={"clear.example": {"tls": "no"}}, settings=KEPT)
        for number in range(2):
            await self.attempt("clear.example")
            await self.attempt("tls.example")
            self.assertEqual([bool(m.tls) for m in self.internet.messages("clear.example")], [False] * (number + 1))
            self.assertEqual([bool(m.tls) for m in self.internet.messages("tls.example")], [True] * (number + 1))
        self.assertEqual(self.connections, 2)

    async def test_resumed_session_is_judged(self) -> None:
        """A TLS session resumed for the next message is judged by that message's decision, by the chain that came with it."""
        await self.hosted(Behaviour(certificate=Certificate.SELF_SIGNED), "a.example", "b.example")
        self.open(
            default=PLAIN,
            profiles={"b.example": {"tls": "required-verify-hosted"}},
            settings={"delivery": {"idle_timeout": 0.0}},
        )
        self.assert_delivered(await self.attempt("a.example"), "a.example")
        self.assert_delayed(await self.attempt("b.example"), "b.example", "4.7.5", "self signed certificate")
        self.assertEqual([event.resumed for event in self.sink.of(DeliveryTLSStarted)], [False, True])

    async def test_server_name(self) -> None:
        """A session isn't resumed under another server name: the server might have shown another certificate."""
        await self.internet.add_domain("a.example", mx=[MX("mx1.hoster.example")])
        address = self.internet.receivers["mx1.hoster.example"].address
        self.internet.nameserver.zone("b.example", secure=False)
        self.internet.nameserver.load(f"b.example MX 10 mx2.hoster.example.\nmx2.hoster.example A {address}")
        self.open(default=PLAIN, settings={"delivery": {"idle_timeout": 0.0}})
        await self.attempt("a.example")
        await self.attempt("b.example")
        await self.attempt("a.example")
        self.assertEqual([event.resumed for event in self.sink.of(DeliveryTLSStarted)], [False, False, True])


class OneConnectionCases(CaseTest):
    """A destination that may have one connection at a time gets its mail in every case that takes two, one after the other."""

    async def test_second_connection(self) -> None:
        """In clear after a broken handshake, and at the next host after a refused one: the first connection is gone before the second comes."""
        wrong, garbage = Behaviour(certificate=Certificate.OTHER_NAME), Behaviour(starttls=StartTLS.GARBAGE)
        for limit_per in ("domain", "address"):
            broken, two = f"broken-{limit_per}.example", f"two-{limit_per}.example"
            await self.internet.add_domain(broken, mx=[MX(f"mx.{broken}", behaviour=garbage)])
            await self.internet.add_domain(two, mx=[MX(f"mx1.{two}", 10, behaviour=wrong), MX(f"mx2.{two}", 20)])
            self.open(
                default={**PLAIN, "concurrent_connections": 1, "limit_per": limit_per},
                profiles={two: {"tls": "required-verify-hosted"}},
            )
            self.assert_delivered(await self.attempt(broken), broken, tls=False)
            self.assert_delivered(await self.attempt(two), two, host=f"mx2.{two}", tls=True)
            self.assertLessEqual(self.internet.receivers[f"mx2.{two}"].most_open, 1)
            await self.pool.close()

    async def test_waiting_connection(self) -> None:
        """A connection that waits for messages, and may not have this one, gives its place to another."""
        names = ("a.example", "b.example", "c.example", "d.example")
        for name in names:
            await self.internet.add_domain(name, mx=["mx.hoster.example"])
        self.open(
            default={**PLAIN, "concurrent_connections": 1, "limit_per": "address", "tls": "no"},
            profiles={name: {"tls": "required-verify-hosted"} for name in names[::2]},
            settings=KEPT,
        )
        for name in names:
            self.assert_delivered(await self.attempt(name), name, tls=name in names[::2])
        receiver = self.internet.receivers["mx.hoster.example"]
        self.assertEqual((receiver.most_open, len(receiver.sessions)), (1, 4))

    async def test_taken_over(self) -> None:
        """A domain that takes over another one's connection, and has one of its own waiting elsewhere, gives that one up."""
        await self.internet.add_domain("a.example", mx=["mx.a.example"])
        await self.internet.add_domain("b.example", mx=["mx.hoster.example"])
        self.open(default={**PLAIN, "concurrent_connections": 1}, settings=KEPT)
        self.assert_delivered(await self.attempt("a.example"), "a.example")
        self.assert_delivered(await self.attempt("b.example"), "b.example")
        route = SMTPRoute("a.example", (NextHop("mx.hoster.example", self.internet.port),))
        self.destinations = attrs.evolve(self.destinations, routes={"a.example": route})
        self.assertIsInstance(await self.attempt("a.example"), Delivered)
        self.assertEqual(len(self.internet.receivers["mx.hoster.example"].sessions), 1)
        for _ in range(50):
            if len(self.pool) == 1:
                break
            await deferLater(reactor, 0.02)  # type: ignore[arg-type]
        self.assertEqual(len(self.pool), 1)
