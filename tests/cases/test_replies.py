"""Replies that are no verdict on the message, on real connections: nothing is returned for them."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from seg.lab.behaviour import Behaviour, StartTLS
from seg.lab.world import MX
from seg.mail.outcome import Delayed, Delivered, Outcome
from tests.cases.house import CONTENT, CaseTest

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


class ConnectionCases(CaseTest):
    """M5, M9, M11."""

    async def test_kept_connection_ends(self) -> None:
        """A host that closes when the second message comes on a connection costs nothing: the message goes on a new one in the same
        attempt."""
        await self.internet.add_domain("one.example", mx=[MX("mx.one.example", behaviour=Behaviour(messages=1))])
        slow = Behaviour(messages=1).without_pipelining
        await self.internet.add_domain("slow.example", mx=[MX("mx.slow.example", behaviour=slow)])
        profile = {"concurrent_connections": 1}
        self.open(default=PLAIN, profiles={"one.example": profile, "slow.example": profile})
        for domain in ("one.example", "slow.example"):
            for _ in range(3):
                self.assertIsInstance(await self.attempt(domain), Delivered)
            self.assertEqual(len(self.internet.messages(domain)), 3)
            (receiver,) = self.internet.domains[domain].receivers
            self.assertEqual(len(receiver.sessions), 3)

    async def test_enough_connections(self) -> None:
        """421 for a further connection, while others to the host are at work, leaves the recipients without an outcome: no try was made."""
        few = Behaviour(connections=2, delay=0.05)
        await self.internet.add_domain("few.example", mx=[MX("mx.few.example", behaviour=few)])
        self.open(default=PLAIN)
        attempts = [self.begin("few.example") for _ in range(6)]
        done: list[Outcome] = []
        while attempts:
            await gatherResults([Deferred.fromCoroutine(attempt.run()) for attempt in attempts])
            done += [outcome for attempt in attempts for outcome in attempt.outcomes.values()]
            for attempt in attempts:
                self.assertEqual(bool(attempt.outcomes), not attempt.crowded)
            attempts = [self.begin("few.example") for attempt in attempts if not attempt.outcomes]
        self.assertEqual([type(outcome) for outcome in done], [Delivered] * 6)

    async def test_refused_alone(self) -> None:
        """421 for the only connection is a failure."""
        banner = Behaviour(banner="421 4.3.2 not now")
        await self.internet.add_domain("no.example", mx=[MX("mx.no.example", behaviour=banner)])
        self.open(default=PLAIN)
        self.assert_delayed(await self.attempt("no.example"), "no.example", "4.3.2")

    async def test_bdat_unknown(self) -> None:
        """A host that offers CHUNKING and doesn't know BDAT gets DATA on a new connection in the same attempt, and DATA at once from then
        on."""
        offers = Behaviour(extensions=("PIPELINING", "CHUNKING"))
        await self.internet.add_domain("bdat.example", mx=[MX("mx.bdat.example", behaviour=offers)])
        self.open(default=PLAIN)
        large = b"Subject: large\r\n\r\n" + b"MAIL FROM:<x@y.example>\r\n" * 20_000
        for number, content in enumerate((CONTENT, CONTENT, large), 1):
            self.assertIsInstance(await self.attempt("bdat.example", content=content), Delivered)
            self.assertEqual(len(self.internet.messages("bdat.example")), number)
        (receiver,) = self.internet.domains["bdat.example"].receivers
        self.assertEqual([session.verbs.count("BDAT") for session in receiver.sessions], [1, 0])

    async def test_empty_lines(self) -> None:
        """An empty line behind every reply harms nothing."""
        for name, starttls in (("clear", StartTLS.ABSENT), ("refused", StartTLS.REFUSED_454)):
            behaviour = Behaviour(empty_lines=True, starttls=starttls)
            await self.internet.add_domain(f"{name}.example", mx=[MX(f"mx.{name}.example", behaviour=behaviour)])
        self.open(default=PLAIN)
        for name in ("clear.example", "refused.example"):
            for _ in range(2):
                self.assertIsInstance(await self.attempt(name), Delivered)
            self.assertEqual(len(self.internet.messages(name)), 2)

    async def test_unreadable_answer(self) -> None:
        """An answer to the message that can't be read leaves it in doubt: tried again seldom, and not at once."""
        odd = Behaviour(final="thanks for all the fish")
        await self.internet.add_domain("odd.example", mx=[MX("mx.odd.example", behaviour=odd)])
        self.open(default=PLAIN)
        outcome = await self.attempt("odd.example")
        assert isinstance(outcome, Delayed)
        self.assertEqual((outcome.in_doubt, outcome.seldom, outcome.anew), (True, True, False))
