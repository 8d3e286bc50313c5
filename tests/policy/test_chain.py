"""Tests for `seg.policy.chain`: asking, folding, rendering, failing safely."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.dns.answer import DNSFailure, FailureKind
from seg.events.gateway import Fault
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost
from seg.policy.chain import ANSWER_TIMEOUT, OPPORTUNISTIC, DomainPolicies, PolicyChain, every_refused_by, fold, render
from seg.policy.requirement import (
    Answer,
    Decide,
    Decision,
    NoOpinion,
    Observe,
    ProviderAnswer,
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


def opinions(**answers: Answer) -> list[ProviderAnswer]:
    """Opinions by provider, in order."""
    return [ProviderAnswer(name, answer, render(answer)) for name, answer in answers.items()]


class ChainCase(SynchronousTestCase):
    """Opens chains over providers with fixed answers."""

    def setUp(self) -> None:
        self.sink = RecordingSink()
        self.clock = Clock()

    def open(self, *providers: FixedProvider | StaticProvider) -> DomainPolicies:
        """A chain for one attempt."""
        return PolicyChain(providers, self.sink, self.clock).open(question())

    def decide(
        self, chain: DomainPolicies, name: str = "mx1.hoster.example", without: tuple[str, ...] = ()
    ) -> Decision:
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
        self.assertEqual(self.decide(self.open()).requirement, OPPORTUNISTIC)


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

    def test_whatever_a_provider_does(self) -> None:
        """Exceptions of every kind, at `open`, at `answer`, and later; answers that aren't sound in all their parts; a cancellation of
        something of its own: each is a TempFail for the host, within the time, and the sentence says whose it is."""
        wrong = Requirement("must", source="x")  # type: ignore[arg-type]
        rubbish: tuple[object, ...] = (
            *(None, "", "none", 0, MUST, object(), NoOpinion, [NoOpinion("x")]),
            *(NoOpinion(None), Refuse(None), TempFail(7), Refuse("no", enhanced="5.7.1")),  # type: ignore[arg-type]
            *(Decide(None), Raise("MUST"), Observe(None), Observe(MUST, floor="MAY")),  # type: ignore[arg-type]
            *(
                Raise(wrong),
                Decide(attrs.evolve(MUST, authenticators=("me",))),
                Raise(attrs.evolve(MUST, authenticators=None)),
            ),
            *(Raise(attrs.evolve(MUST, min_version="TLSv1.3")), Raise(attrs.evolve(MUST, sni=None))),
            Raise(attrs.evolve(MUST, tied_authenticators=(1,))),
        )
        errors: tuple[BaseException, ...] = (
            *(
                ValueError("boom"),
                CancelledError(),
                asyncio.CancelledError(),
                SystemExit(1),
                RecursionError(),
                MemoryError(),
            ),
            *(
                TimeoutError(),
                StopIteration(),
                StopAsyncIteration(),
                DNSFailure("a", "A", FailureKind.SERVFAIL),
                LocalFault("full"),
            ),
        )
        cases: list[tuple[str, Callable[[], object], Callable[[], object]]] = []

        def raising(error: BaseException) -> Callable[[], object]:
            def act() -> object:
                raise error

            return act

        for error in errors:
            cases.append((f"open {error!r}", raising(error), lambda: None))
            cases.append((f"answer {error!r}", lambda: None, raising(error)))
            cases.append((f"later {error!r}", lambda: None, lambda error=error: fail(Failure(error))))  # type: ignore[misc]
        for answer in rubbish:
            cases.append((f"{answer!r}", lambda: None, lambda answer=answer: succeed(answer)))  # type: ignore[misc]
            cases.append((f"not awaitable {answer!r}", lambda: None, lambda answer=answer: answer))  # type: ignore[misc]
        for name, begin, answering in cases:
            provider = FixedProvider("x", NoOpinion("-"))
            view = FixedProvider("view", NoOpinion("-"))
            view.answer = lambda host, answering=answering: answering()  # type: ignore[assignment,method-assign,misc]
            provider.open = lambda question, begin=begin, view=view: (begin(), view)[1]  # type: ignore[assignment,method-assign,misc,return-value]
            decision = self.decide(self.open(provider, StaticProvider()))
            self.assertEqual((decision.usable, decision.temporary), (False, True), name)

    def test_never_answers(self) -> None:
        """A provider that doesn't answer is a TempFail after its time, also if it won't be cancelled; nothing is left behind."""

        async def stubborn() -> Answer:
            while True:
                with contextlib.suppress(CancelledError):
                    await Deferred()

        async def late() -> Answer:
            with contextlib.suppress(CancelledError):
                await Deferred()
            return Raise(MAY, "late")

        for answering in (lambda _: Deferred(), lambda _: stubborn(), lambda _: late()):
            provider = FixedProvider("x", NoOpinion("-"))
            provider.answer = answering  # type: ignore[method-assign]
            deciding = Deferred.fromCoroutine(self.open(provider, StaticProvider()).decide(host()))
            self.clock.advance(ANSWER_TIMEOUT - 1)
            self.assertNoResult(deciding)
            self.clock.advance(1)
            decision = self.successResultOf(deciding)
            self.assertEqual((decision.refusal, decision.temporary), ("x failed: no answer within 300 s", True))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later_answer(self) -> None:
        """An answer that takes its time is the answer, and leaves no timer."""
        waiting: Deferred[Answer] = Deferred()
        provider = FixedProvider("x", NoOpinion("-"))
        provider.answer = lambda host: waiting  # type: ignore[assignment,method-assign,return-value]
        deciding = Deferred.fromCoroutine(self.open(provider).decide(host()))
        self.clock.advance(10)
        waiting.callback(Raise(MUST, "x"))
        self.assertEqual(self.successResultOf(deciding).requirement, MUST)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancellation_passes(self) -> None:
        """An attempt that is cancelled ends, instead of taking it for the provider's failure."""
        waiting: Deferred[Answer] = Deferred()
        provider = FixedProvider("x", NoOpinion("-"))
        provider.answer = lambda host: waiting  # type: ignore[assignment,method-assign,return-value]
        attempt = Deferred.fromCoroutine(self.open(provider).decide(host()))
        attempt.cancel()
        self.failureResultOf(attempt, CancelledError)
        self.assertEqual(self.sink.events, [])
