"""Reports about DANE: lookups that fail, zones that aren't signed, certificates that don't match."""

from __future__ import annotations

from seg.lab.behaviour import Behaviour, Certificate
from seg.lab.dnsserver import AnswerFailure
from seg.lab.world import MX, TLSA, Policy
from tests.cases.house import CaseTest

OPPORTUNISTIC = {"dane": "opportunistic", "mta_sts": "off"}
FAILURES = (
    AnswerFailure.SERVFAIL,
    AnswerFailure.REFUSED,
    AnswerFailure.NOTIMP,
    AnswerFailure.BOGUS,
    AnswerFailure.DROP,
)


class DANECases(CaseTest):
    """A1, A2, A3, A5."""

    async def test_a01_tlsa_of_an_unsigned_host(self) -> None:
        """The address isn't signed: no TLSA question is even asked, so that a broken name server for TLSA does no harm."""
        await self.internet.add_domain("a1.example", mx=[MX("mx.hoster.example", secure=False)], secure=True)
        tlsa = self.internet.tlsa_name("mx.hoster.example")
        self.internet.nameserver.fail(tlsa, "TLSA", AnswerFailure.SERVFAIL)
        self.open(default=OPPORTUNISTIC)
        self.assert_delivered(await self.attempt("a1.example"), "a1.example", tls=True)
        self.assertEqual(self.internet.nameserver.count(tlsa, "TLSA"), 0)

    async def test_a02_failed_lookup_is_no_denial(self) -> None:
        """Below a signed address a TLSA lookup that fails in any way makes the host unusable: the next one, or the mail waits."""
        for number, failure in enumerate(FAILURES):
            both, alone = f"both{number}.example", f"alone{number}.example"
            await self.internet.add_domain(both, mx=[MX(f"mx1.{both}", 10), MX(f"mx2.{both}", 20)], secure=True)
            await self.internet.add_domain(alone, secure=True)
            for name in (f"mx1.{both}", f"mx.{alone}"):
                self.internet.nameserver.fail(self.internet.tlsa_name(name), "TLSA", failure)
        self.open(default=OPPORTUNISTIC, settings={"dns": {"timeout": 0.3, "lifetime": 0.5}})
        names = [f"{kind}{number}.example" for number in range(len(FAILURES)) for kind in ("both", "alone")]
        for name, outcome in zip(names, await self.attempts(*names), strict=True):
            if name.startswith("both"):
                self.assert_delivered(outcome, name, host=f"mx2.{name}")
            else:
                self.assert_delayed(outcome, name, "4.7.5", "TLSA lookup failed")

    async def test_a03_sts_cannot_rescue_dane(self) -> None:
        """A wrong TLSA record is final for the host, even where MTA-STS and a good certificate would let the mail pass."""
        await self.internet.add_domain(
            "a3.example", mx=[MX("mx.a3.example", tlsa=(TLSA(wrong=True),))], policy=Policy(), secure=True
        )
        self.open()
        self.assert_delayed(await self.attempt("a3.example"), "a3.example", "4.7.5", "no TLSA record matches")
        (line,) = self.explained("a3.example")
        self.assertEqual(
            line, "mx.a3.example: dane=secure(3 1 1) -> TLSv1.3 refused: no TLSA record matches the certificate"
        )

    async def test_a05_insecure_mx(self) -> None:
        """The MX answer isn't signed, host and TLSA are: opportunistic delivers, by a matching certificate; mandatory waits."""
        stranger = Behaviour(certificate=Certificate.SELF_SIGNED)
        for name in ("opportunistic.example", "mandatory.example"):
            await self.internet.add_domain(
                name,
                mx=[MX(f"mx.{name.split('.')[0]}.signed.example", behaviour=stranger, secure=True, tlsa=(TLSA(),))],
            )
        self.open(default=OPPORTUNISTIC, profiles={"mandatory.example": {"dane": "mandatory"}})
        self.assert_delivered(await self.attempt("opportunistic.example"), "opportunistic.example", tls=True)
        self.assertIn("-> TLSv1.3 trusted by dane", self.explained("opportunistic.example")[0])
        outcome = await self.attempt("mandatory.example")
        self.assert_delayed(outcome, "mandatory.example", "4.7.5", "DANE is mandatory: insecure MX")
        self.assertEqual(self.internet.sessions("mandatory.example"), 0)
