"""Hostile records, policies and certificates: bounded, with a reason, and nobody else's mail is touched."""

from __future__ import annotations

import time

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from seg.lab.behaviour import Behaviour
from seg.lab.dnsserver import AnswerFailure
from seg.lab.policyhost import Answer
from seg.lab.world import MX, TLSA, Policy
from seg.mail.outcome import Delayed
from tests.cases.house import CaseTest

SHORT = {"mta_sts": {"fetch_timeout": 1.0}, "dns": {"timeout": 0.3, "lifetime": 0.5}}


class HostileCases(CaseTest):
    """What strangers can put in our way."""

    async def test_broken_tlsa_beside_a_good_one(self) -> None:
        """Records of an unknown kind, or that hold no certificate, are unusable; the good one of the set decides (RFC 7672 §3.1.3)."""
        broken = ("2 0 0 00", "3 9 1 " + "ab" * 32, "255 255 255 00")
        await self.internet.add_domain(
            "mixed.example", mx=[MX("mx.mixed.example", tlsa=(*broken, TLSA()))], secure=True
        )
        await self.internet.add_domain("broken.example", mx=[MX("mx.broken.example", tlsa=broken)], secure=True)
        self.open()
        self.assert_delivered(await self.attempt("mixed.example"), "mixed.example", tls=True)
        self.assertIn("dane=secure(3 1 1)", self.explained("mixed.example")[0])
        self.assert_delivered(await self.attempt("broken.example"), "broken.example", tls=True)
        self.assertIn("dane=unusable(3 TLSA)", self.explained("broken.example")[0])

    async def test_hundreds_of_records(self) -> None:
        """A set of hundreds of TLSA records is looked at up to a bound and matches nothing beyond it; one too large for a reply waits."""
        for name, count, word in (
            ("many.example", 200, "no TLSA record matches"),
            ("most.example", 400, "TLSA lookup failed: Malformed"),
        ):
            many = tuple(f"3 1 1 {number:064x}" for number in range(count))
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", tlsa=many)], secure=True)
            self.open()
            self.assert_delayed(await self.attempt(name), name, "4.7.5", word)

    async def test_policy_hosts(self) -> None:
        """Policy hosts that are slow, endless, silent or lie: the mail goes by the TLS option within the time of a fetch, and mail to
        others isn't held up."""
        answers = [answer for answer in Answer if answer is not Answer.GOOD]
        for answer in answers:
            name = f"{answer.name.lower().replace('_', '-')}.example"
            await self.internet.add_domain(name, policy=Policy(mx=("nowhere.example",), answer=answer))
        await self.internet.add_domain("good.example")
        self.open(default={"dane": "none"}, settings=SHORT)
        names = [f"{answer.name.lower().replace('_', '-')}.example" for answer in answers]
        for name, outcome in zip([*names, "good.example"], await self.attempts(*names, "good.example"), strict=True):
            self.assert_delivered(outcome, name)
            if name != "good.example":
                self.assertIn("mta-sts=none(policy fetch failed: ", self.explained(name)[0])

    async def test_silent_policy_hosts(self) -> None:
        """Forty domains with silent policy hosts, and beside them one whose enforce policy isn't cached yet, behind a forged MX without TLS: its
        mail is never sent in clear text, and an honest domain's mail isn't held up for long."""
        for number in range(40):
            await self.internet.add_domain(f"d{number}.example", policy=Policy(answer=Answer.HANGS))
        forged = [MX("mx.evil.example", behaviour=Behaviour(starttls=False))]
        await self.internet.add_domain("victim.example", mx=forged, policy=Policy(mx=("mx.victim.example",)))
        await self.internet.add_domain("honest.example", policy=Policy(mx=("mx.honest.example",)))
        self.open(default={"dane": "none"}, settings={"mta_sts": {"fetch_timeout": 30.0}})
        flood = [Deferred.fromCoroutine(self.attempt(f"d{number}.example")) for number in range(40)]
        await deferLater(reactor, 1.0)  # type: ignore[arg-type]
        begin = time.monotonic()
        victim, honest = await self.attempts("victim.example", "honest.example")
        self.assertLess(time.monotonic() - begin, 15)
        self.assert_delayed(victim, "victim.example", "4.7.5", "MX not in policy")
        self.assert_delivered(honest, "honest.example", tls=True)
        self.assertIn("mta-sts=enforce(id ", self.explained("honest.example")[0])
        turns = self.lookups.policies._fetcher._turns  # type: ignore[attr-defined]
        while turns._running or turns._waiting:
            for turn in tuple(turns._running):
                turn.taken_away()
                turns.give_back(turn)
        for outcome in await gatherResults(flood):
            self.assertIsInstance(outcome, Delayed)

    async def test_lying_resolver(self) -> None:
        """Garbage, silence and errors for the MX question: the mail waits, never by the domain's own address instead."""
        for failure in AnswerFailure:
            if failure is not AnswerFailure.TRUNCATE:
                name = f"{failure.value}.example"
                await self.internet.add_domain(name)
                self.internet.nameserver.add(name, "A", self.internet.receivers[f"mx.{name}"].address)
                self.internet.nameserver.fail(name, "MX", failure)
        self.open(default={"dane": "none", "mta_sts": "off"}, settings=SHORT)
        names = [name for name in self.internet.domains if name.endswith(".example")]
        for name, outcome in zip(names, await self.attempts(*names), strict=True):
            self.assert_delayed(outcome, name, "4.4.3", "looking up")

    async def test_replies_without_end(self) -> None:
        """Replies of a megabyte, or of endless lines, end the connection; the next host is tried."""
        for name, banner in (
            ("long.example", "220 " + "x" * 1_000_000),
            ("endless.example", "220-more\r\n" * 50_000 + "220 x"),
        ):
            await self.internet.add_domain(
                name, mx=[MX(f"mx1.{name}", 10, behaviour=Behaviour(banner=banner)), MX(f"mx2.{name}", 20)]
            )
        self.open(default={"dane": "none", "mta_sts": "off"})
        for name in ("long.example", "endless.example"):
            self.assert_delivered(await self.attempt(name), name, host=f"mx2.{name}")
