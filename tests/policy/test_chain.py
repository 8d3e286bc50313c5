"""Tests for `seg.policy.chain`: asking, folding, rendering, failing safely."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.events import Fault
from seg.model import MXHost
from seg.policy.chain import UNRULED, OpenChain, PolicyChain, every_refused_by, fold, render
from seg.policy.requirement import (
    Answer,
    Decide,
    Decision,
    NoOpinion,
    Observe,
    Opinion,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
)
from seg.policy.static import StaticProvider
from tests.doubles import RecordingSink
from tests.policy.doubles import FixedProvider, host, question

MAY = Requirement(TLSLevel.MAY, source="static", clear_retry=True)
MUST = Requirement(TLSLevel.MUST, source="dane")


def opinions(**answers: Answer) -> list[Opinion]:
    """Opinions by provider, in order."""
    return [Opinion(name, answer, render(answer)) for name, answer in answers.items()]


class ChainCase(SynchronousTestCase):
    """Opens chains over providers with fixed answers."""

    def setUp(self) -> None:
        self.sink = RecordingSink()

    def open(self, *providers: FixedProvider | StaticProvider) -> OpenChain:
        """A chain for one attempt."""
        return PolicyChain(providers, self.sink).open(question())

    def decide(self, chain: OpenChain, name: str = "mx1.hoster.example", without: tuple[str, ...] = ()) -> Decision:
        """The decision for a host."""
        return self.successResultOf(Deferred.fromCoroutine(chain.decide(host(name), without)))


class AskingTests(ChainCase):
    """Who is asked, and when asking ends."""

    def test_one_view_for_all_hosts(self) -> None:
        """A provider is opened once in an attempt, and asked for each host."""
        provider = FixedProvider("static", Raise(MAY, "preferred"))
        chain = self.open(provider)
        self.decide(chain)
        self.decide(chain, "mx2.hoster.example")
        self.assertEqual((provider.opened, len(provider.asked)), (1, 2))

    def test_decide_ends(self) -> None:
        """Behind a provider that decides nobody is asked."""
        first, last = (
            FixedProvider("dane", Decide(MUST, "secure(3 1 1)")),
            FixedProvider("static", Raise(MAY, "x")),
        )
        decision = self.decide(self.open(first, last))
        self.assertEqual((decision.requirement, last.asked), (MUST, []))
        self.assertEqual([o.text for o in decision.opinions], ["secure(3 1 1)"])

    def test_refusals_end(self) -> None:
        """A refusal, for good or for now, is the decision; earlier opinions are kept for the explanation."""
        for answer, temporary in ((Refuse("MX not in policy"), False), (TempFail("SERVFAIL"), True)):
            last = FixedProvider("static", Raise(MAY, "preferred"))
            decision = self.decide(self.open(FixedProvider("dane", NoOpinion("off")), FixedProvider("x", answer), last))
            self.assertEqual((decision.refusal, decision.temporary), (answer.reason, temporary))
            self.assertEqual((decision.usable, len(decision.opinions), last.asked), (False, 2, []))

    def test_refusal_without_a_reason(self) -> None:
        """A refusal is one, also when the provider gives no reason."""
        self.assertFalse(fold("d", "h", opinions(x=Refuse(""))).usable)

    def test_without(self) -> None:
        """A provider that is left out isn't asked, and the explanation says so."""
        dane = FixedProvider("dane", Decide(MUST, "secure(3 1 1)", may_fall_through=True))
        chain = self.open(dane, FixedProvider("static", Raise(MAY, "preferred")))
        first = self.decide(chain)
        self.assertEqual(first.fall_through, ("dane",))
        second = self.decide(chain, without=first.fall_through)
        self.assertEqual(len(dane.asked), 1)
        self.assertEqual(second.requirement, MAY)
        self.assertEqual([o.text for o in second.opinions], ["none(failed, fall-through)", "preferred"])

    def test_nobody_has_a_say(self) -> None:
        """Without any floor TLS is used where it is offered."""
        self.assertEqual(self.decide(self.open()).requirement, UNRULED)


class FoldingTests(SynchronousTestCase):
    """Combining is taking the stricter in each part."""

    def test_floors_add_up(self) -> None:
        """The earlier server name stays, the stricter level wins, and no retry in clear is left."""
        sts = Requirement(TLSLevel.MUST, sni="mx.example", source="mta-sts")
        folded = fold("d", "h", opinions(sts=Raise(sts, "enforce"), static=Raise(MAY, "preferred"))).requirement
        self.assertEqual((folded.tls, folded.sni, folded.clear_retry), (TLSLevel.MUST, "mx.example", False))

    def test_observed_sets_no_floor(self) -> None:
        """What is only observed isn't required."""
        decision = fold("d", "h", opinions(sts=Observe(MUST, "testing"), static=Raise(MAY, "preferred")))
        self.assertEqual(decision.requirement, MAY)
        self.assertEqual([name for name, _ in decision.observed], ["sts"])

    def test_decide_after_a_floor(self) -> None:
        """Even a provider that decides can't lower an earlier floor."""
        decision = fold("d", "h", opinions(x=Raise(MUST, "x"), y=Decide(MAY, "y"), z=Refuse("late")))
        self.assertEqual((decision.requirement.tls, decision.usable), (TLSLevel.MUST, True))
        self.assertEqual(len(decision.opinions), 2)

    def test_rendering(self) -> None:
        """Answers in a word, as in the line of explanation."""
        for answer, text in (
            (NoOpinion("insecure MX"), "none(insecure MX)"),
            (Refuse("MX not in policy"), "refuse(MX not in policy)"),
            (TempFail("SERVFAIL"), "tempfail(SERVFAIL)"),
            (Raise(MUST, "enforce(id 123, cached)"), "enforce(id 123, cached)"),
            (Observe(MUST, "testing(id 1)"), "testing(id 1)"),
            (Decide(MUST), "decide"),
        ):
            self.assertEqual(render(answer), text)

    def test_every_refused_by(self) -> None:
        """Whether looking at a policy again may help: all hosts refused, and by that provider."""
        refused = fold("d", "a", opinions(dane=NoOpinion("-"), sts=Refuse("not in policy")))
        waiting = fold("d", "b", opinions(sts=TempFail("x")))
        other = fold("d", "c", opinions(dane=Refuse("mandatory")))
        fine = fold("d", "e", opinions(sts=NoOpinion("-")))
        for decisions, wanted in (
            ([refused, refused], True),
            ([], False),
            ([refused, waiting], False),
            ([refused, other], False),
            ([refused, fine], False),
        ):
            self.assertIs(every_refused_by(decisions, "sts"), wanted)


class FaultTests(ChainCase):
    """A provider that fails never means weaker TLS."""

    def _broken(self, answer: object) -> Decision:
        def act(_: MXHost) -> Answer:
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[return-value]

        return self.decide(self.open(FixedProvider("x", act), StaticProvider()))

    def test_error(self) -> None:
        """An exception counts as a TempFail, and is logged with the provider's name."""
        decision = self._broken(ValueError("boom"))
        self.assertEqual((decision.refusal, decision.temporary), ("x failed: ValueError", True))
        self.assertEqual(
            self.sink.of(Fault),
            [Fault("TLS policy provider x failed for domain.com via mx1.hoster.example: ValueError: boom")],
        )

    def test_no_answer(self) -> None:
        """Neither is None an answer, nor a text."""
        for answer in (None, "fine", MUST):
            self.assertTrue(self._broken(answer).temporary)

    def test_open_fails(self) -> None:
        """A provider that can't even begin counts the same."""
        provider = FixedProvider("x", NoOpinion("-"))
        provider.open = lambda question: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        self.assertTrue(self.decide(self.open(provider, StaticProvider())).temporary)

    def test_cancellation_passes(self) -> None:
        """An attempt that is cancelled ends, instead of taking it for the provider's failure."""
        waiting: Deferred[Answer] = Deferred()
        provider = FixedProvider("x", NoOpinion("-"))
        provider.answer = lambda host: waiting  # type: ignore[assignment,method-assign,return-value]
        attempt = Deferred.fromCoroutine(self.open(provider).decide(host()))
        attempt.cancel()
        self.failureResultOf(attempt, CancelledError)
        self.assertEqual(self.sink.events, [])
