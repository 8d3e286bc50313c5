"""What the sender of one message wants of TLS (RFC 8689)."""

from __future__ import annotations

from typing import Any

import attrs

from seg.lab.behaviour import EXTENSIONS, Behaviour, Certificate, StartTLS
from seg.lab.world import MX, Policy
from seg.mail.outcome import Outcome
from tests.cases.house import CaseTest

OFFERED = Behaviour(extensions=(*EXTENSIONS, "REQUIRETLS"))


class WishCases(CaseTest):
    """REQUIRETLS, and TLS-Required: No."""

    async def send(self, domain: str, **wishes: Any) -> Outcome:
        """A message with these wishes."""
        self.wishes = wishes
        return await self.attempt(domain)

    async def test_requiretls(self) -> None:
        """Only a host that offers it, over TLS that DANE, MTA-STS or the TLS option verified, gets the message, and is told."""
        hosts = {
            "good.example": OFFERED,
            "silent.example": Behaviour(),
            "unverified.example": OFFERED,
            "clear.example": attrs.evolve(OFFERED, starttls=StartTLS.ABSENT),
        }
        for name, behaviour in hosts.items():
            policy = Policy() if name in ("good.example", "silent.example") else None
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=behaviour)], policy=policy)
        self.open(default={"dane": "none"})
        outcomes = {name: await self.send(name, requiretls=True) for name in hosts}
        self.assert_delivered(outcomes["good.example"], "good.example", tls=True)
        (message,) = self.internet.messages("good.example")
        self.assertIn("REQUIRETLS", message.mail_parameters)
        self.assert_delayed(outcomes["silent.example"], "silent.example", "4.7.30", "doesn't offer REQUIRETLS")
        for name in ("unverified.example", "clear.example"):
            self.assert_delayed(outcomes[name], name, "4.7.30", "isn't verified")

    async def test_next_host(self) -> None:
        """A host that doesn't offer it isn't the last word: the next one is tried."""
        await self.internet.add_domain(
            "both.example",
            mx=[MX("mx1.both.example", 10), MX("mx2.both.example", 20, behaviour=OFFERED)],
            policy=Policy(),
        )
        self.open(default={"dane": "none"})
        self.assert_delivered(await self.send("both.example", requiretls=True), "both.example", host="mx2.both.example")

    async def test_tls_required_no(self) -> None:
        """The sender prefers delivery: what MTA-STS forbids is told and not enforced; the operator's own option still is."""
        wrong = Behaviour(certificate=Certificate.OTHER_NAME)
        for name in ("sts.example", "own.example"):
            await self.internet.add_domain(name, mx=[MX(f"mx.{name}", behaviour=wrong)], policy=Policy())
        self.open(default={"dane": "none"}, profiles={"own.example": {"tls": "required-verify-hosted"}})
        self.assert_delayed(await self.send("sts.example"), "sts.example", "4.7.5")
        self.assert_delivered(await self.send("sts.example", tls_optional=True), "sts.example", tls=True)
        self.assertIn("mta-sts=optional(enforce(", self.explained("sts.example")[-1])
        self.assert_delayed(await self.send("own.example", tls_optional=True), "own.example", "4.7.5", "(profile)")
