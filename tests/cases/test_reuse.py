"""A connection carries what was achieved on it, and no more: the next message may ride on it only if its own decision is satisfied."""

from __future__ import annotations

from seg import events
from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.world import MX, TLSA, Policy
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
        self.assertEqual([event.resumed for event in self.sink.of(events.DeliveryTLSStarted)], [False, True])

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
        self.assertEqual([event.resumed for event in self.sink.of(events.DeliveryTLSStarted)], [False, False, True])
