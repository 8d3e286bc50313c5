"""Replies that are no verdict on the message, on real connections: nothing is returned for them."""

from __future__ import annotations

from seg.lab.behaviour import Behaviour, StartTLS
from seg.lab.world import MX
from seg.model import Delayed
from tests.cases.house import CaseTest

PLAIN = {"dane": "none", "mta_sts": "off"}


class ReplyCases(CaseTest):
    """H3, H4."""

    async def test_passing_fault_of_tls(self) -> None:
        """STARTTLS is refused, or its handshake fails, and the clear text that the option allows is refused, too: the message waits."""
        refusals = (
            "530 5.7.0 Must issue a STARTTLS command first",
            "550 5.7.1 TLS required",
            "554 TLS required",
            "538 no",
        )
        faults = (StartTLS.REFUSED_454, StartTLS.REFUSED_502, StartTLS.CLOSES)
        names = {}
        for fault in faults:
            for number, refusal in enumerate(refusals):
                name = f"{fault.name.lower().replace('_', '')}-{number}.example"
                names[name] = refusal
                await self.internet.add_domain(
                    name, mx=[MX(f"mx.{name}", behaviour=Behaviour(starttls=fault, mail=refusal))]
                )
        self.open(default=PLAIN)
        for (name, refusal), outcome in zip(names.items(), await self.attempts(*names), strict=True):
            assert isinstance(outcome, Delayed), (name, outcome)
            self.assertTrue(outcome.error.enhanced.startswith("4."), outcome)
            self.assertIn(refusal.partition(" ")[2], " ".join(outcome.error.remote))

    async def test_verdict_on_the_session(self) -> None:
        """At MAIL, RCPT, DATA and the end of the content, a word on the session or the order of commands has the message wait."""
        names = []
        for code in (500, 502, 503, 504, 530, 538):
            refusal = f"{code} 5.5.1 need MAIL command"
            for step, behaviour in (
                ("mail", Behaviour(mail=refusal)),
                ("rcpt", Behaviour(recipients={"*": refusal})),
                ("data", Behaviour(data=refusal).without_pipelining),
                ("dot", Behaviour(final=refusal)),
            ):
                names.append(f"{step}-{code}.example")
                await self.internet.add_domain(names[-1], mx=[MX(f"mx.{names[-1]}", behaviour=behaviour)])
        self.open(default=PLAIN)
        for name, outcome in zip(names, await self.attempts(*names), strict=True):
            self.assertIsInstance(outcome, Delayed, name)
