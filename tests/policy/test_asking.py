"""One question to a provider, asked by itself."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from seg.mail.hosts import MXHost
from seg.policy.asking import NoAnswer, ask
from seg.policy.requirement import Answer, NoOpinion
from tests.policy.doubles import host


class AskTests(SynchronousTestCase):
    """`ask`, with a provider that takes its time."""

    def setUp(self) -> None:
        """It waits for what the test gives it."""
        self.clock = Clock()
        self.pending: Deferred[Answer] = Deferred()
        self.ended: list[str] = []
        self.asked = Deferred.fromCoroutine(ask(self, host(), self.clock, 5.0))  # type: ignore[arg-type]

    async def answer(self, host: MXHost) -> Answer:
        """Wait, and keep how that ended: it is the provider's view itself."""
        try:
            return await self.pending
        except CancelledError:
            self.ended.append("cancelled")
            raise

    def test_too_late(self) -> None:
        """A provider that has no answer in its time is given up, too, and not only not waited for."""
        self.clock.advance(5.0)
        error = self.failureResultOf(self.asked, NoAnswer).value
        self.assertEqual((error.summary, self.ended), ("no answer within 5 s", ["cancelled"]))

    def test_fails_later(self) -> None:
        """An exception that comes after a while is no answer, as one that comes at once; the clock isn't waited for."""
        self.pending.errback(Failure(ValueError("boom")))
        error = self.failureResultOf(self.asked, NoAnswer).value
        self.assertIn("boom", error.detail)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up(self) -> None:
        """Whoever asks may give up; then the provider is given up as well."""
        self.asked.cancel()
        self.failureResultOf(self.asked, CancelledError)
        self.assertEqual((self.ended, self.clock.getDelayedCalls()), (["cancelled"], []))

    def test_any_awaitable(self) -> None:
        """A provider needn't be a coroutine: a Deferred answers, and what raises before there is anything to wait for gives no answer."""

        class View:
            def __init__(self, given: object) -> None:
                self.given = given

            def answer(self, host: MXHost) -> object:
                if isinstance(self.given, Exception):
                    raise self.given
                return self.given

        def asked(given: object) -> Deferred[Answer]:
            return Deferred.fromCoroutine(ask(View(given), host(), self.clock, 5.0))  # type: ignore[arg-type]

        self.assertEqual(self.successResultOf(asked(succeed(NoOpinion("x")))), NoOpinion("x"))
        for given in (StopIteration(NoOpinion("x")), ValueError("boom"), None, NoOpinion("x")):
            self.failureResultOf(asked(given), NoAnswer)
