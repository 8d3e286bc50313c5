"""One attempt: hosts in turn, decisions obeyed, an outcome for each recipient."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import Destinations, Exemption, LimitPer, Profile
from seg.config.schema import Delivery
from seg.deliver.attempt import Attempt, AttemptServices
from seg.deliver.connection_limits import LimitReached
from seg.deliver.plan import plan_for
from seg.deliver.policy_violation import PolicyViolation
from seg.deliver.pool import PoolKey
from seg.deliver.rate_limits import SendingRates
from seg.deliver.report_events import ReportEvents
from seg.deliver.transmit import SMTPTransmit
from seg.deliver.verified_connection import VerifiedConnection
from seg.events.delivery import ExemptionUsed, PolicyExplained, PolicyObserved, RecipientsDelivered, RouteUsed
from seg.events.policy import DANEFailed, DANEWeakened, STSFailed, STSSucceeded
from seg.mail.causes import CauseKind
from seg.mail.envelope import Envelope, HostRefusal, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.hosts import IPAddress, MXHost, Route, RouteKind
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.policy.chain import PolicyChain
from seg.policy.judge import ObservedResult, Verdict
from seg.policy.requirement import (
    Answer,
    Decision,
    DomainQuestion,
    NoOpinion,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
)
from seg.queue.interfaces import Lease
from seg.smtp.client_capabilities import parse_capabilities
from seg.smtp.reply import Phase, Reply, TooManyRecipients
from tests.doubles import MemoryContent, RecordingSink

TWO = (Recipient(0, "a@to.example"), Recipient(1, "b@to.example"))
LEASE = Lease(Envelope(5, "s@from.example", TWO, 0.0), "to.example", TWO, MemoryContent(b"x\r\n"))
MUST = Requirement(TLSLevel.MUST, source="dane")
MAY = Requirement(TLSLevel.MAY, source="static")
GOOD = Verdict(True, "mta-sts", reason="TLSv1.3 verified by mta-sts", matched=(("mta-sts", "name mx1.example"),))


def host(name: str, *addresses: str) -> MXHost:
    """An MX host."""
    return MXHost(name, 10, tuple(map(ip_address, addresses or ("192.0.2.1",))))


def route(*hosts: MXHost, kind: RouteKind = RouteKind.MX) -> Route:
    """A route to these hosts."""
    return Route("to.example", kind, hosts)


class FakeRouter:
    """Knows one route, or one failure."""

    def __init__(self, found: Route | Exception) -> None:
        self.found = found

    async def route(self, domain: str, via: str = "") -> Route:
        """It."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class FakeProvider:
    """Answers by host name; notes what it was asked."""

    def __init__(self, name: str, answer: Callable[[DomainQuestion, MXHost], Answer]) -> None:
        self.name = name
        self.questions: list[DomainQuestion] = []
        self._answer = answer

    def open(self, question: DomainQuestion) -> FakeView:
        """A view of one domain."""
        self.questions.append(question)
        return FakeView(question, self._answer)


@attrs.frozen
class FakeView:
    """One domain."""

    question: DomainQuestion
    look: Callable[[DomainQuestion, MXHost], Answer]

    async def answer(self, host: MXHost) -> Answer:
        """What the test says."""
        return self.look(self.question, host)


TOO_MANY = Delayed(TooManyRecipients(Phase.RCPT, ("4.5.3 too many",)), 1)


class FakeSender:
    """Says of each recipient what the test wants."""

    def __init__(self, dcid: int, results: dict[int, Outcome], most: int = 0, limits: str = "") -> None:
        self.dcid = dcid
        self.asked: list[int] = []
        self.batches: list[list[int]] = []
        self.healthy = True
        self.capabilities = parse_capabilities(Reply(250, ("x", f"LIMITS {limits}")))
        self._results = results
        self._most = most  # recipients taken in a transaction; more get 452

    async def send(self, envelope: Envelope, recipients: list[Recipient], content: object) -> dict[int, Outcome]:
        """Results for those asked for."""
        self.asked = [r.rid for r in recipients]
        self.batches.append(self.asked)
        results = {rid: self._results[rid] for rid in self.asked}
        if self._most:
            results.update((rid, TOO_MANY) for rid in self.asked[self._most :])
        return results


class FakeSessions:
    """A session or a failure for each (host, address); notes what was opened and given back."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.opened: list[str] = []
        self.given: list[int] = []

    async def open(
        self, decision: Decision, host: MXHost, address: IPAddress, outgoing: object = None, progress: object = None
    ) -> VerifiedConnection:
        """By address first, then by host name."""
        self.opened.append(f"{host.name}/{address}")
        answer = self.answers.get(str(address), self.answers.get(host.name))
        if callable(answer):
            answer = answer(decision)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, tuple)
        sender, verdict = answer
        return VerifiedConnection(sender, verdict, PoolKey(address, 25))

    def give(self, session: VerifiedConnection, max_transactions: int) -> None:
        """Note it."""
        self.max_transactions = max_transactions
        self.given.append(session.sender.dcid)


OK = {0: Delivered(1, "2.0.0 ok"), 1: Delivered(1, "2.0.0 ok")}
UNREACHABLE = Temporary("4.4.1", "No answer from host")


class AttemptTests(SynchronousTestCase):
    """`Attempt.run`."""

    def setUp(self) -> None:
        self.sink = RecordingSink()
        self.sessions = FakeSessions()
        self.destinations = Destinations()
        self.alerts: list[tuple[str, str, str]] = []
        self.pace = SendingRates(lambda: 1000.0)
        self.providers = [FakeProvider("static", lambda q, h: Raise(MAY, "preferred"))]

    def attempt(self, found: Route | Exception, max_addresses: int = 10) -> dict[int, Outcome]:
        """Run one attempt to its end; the outcomes."""
        services = AttemptServices(
            FakeRouter(found),  # type: ignore[arg-type]
            PolicyChain(self.providers, self.sink, Clock()),  # type: ignore[arg-type]
            self.sessions,  # type: ignore[arg-type]
            SMTPTransmit(self.sessions, self.pace),  # type: ignore[arg-type]
        )
        settings = Delivery(max_hosts=5, max_addresses=max_addresses)
        plan = plan_for(self.destinations, LEASE.domain, settings, 1000.0)
        observer = ReportEvents(LEASE, plan, self.sink, lambda *facts: self.alerts.append(facts))
        attempt = Attempt(LEASE, plan, services, observer)
        self.successResultOf(Deferred.fromCoroutine(attempt.run()))
        self.connected = attempt.connected
        self.last = weakref.ref(attempt)
        self.crowded = attempt.crowded
        return attempt.outcomes

    def explained(self) -> list[tuple[str, str]]:
        """(host, outcome) of each line of explanation."""
        return [(e.host, e.outcome) for e in self.sink.of(PolicyExplained)]

    def test_crowded(self) -> None:
        """An address without a connection to spare is passed over for others of the same preference, never for a substitute; with none
        left the recipients have no outcome."""
        busy = LimitReached("192.0.2.1", lambda: 0)
        second = attrs.evolve(host("mx2.example"), preference=20)
        equal = host("mx1b.example", "192.0.2.3")
        self.sessions.answers.update({"mx1.example": busy, "mx2.example": (FakeSender(2, OK), GOOD)})
        self.assertEqual(self.attempt(route(host("mx1.example"), second)), {})
        self.assertEqual(self.crowded, [busy])
        self.sessions.answers["mx1b.example"] = (FakeSender(3, OK), GOOD)
        self.assertEqual(self.attempt(route(host("mx1.example"), equal, second)), OK)
        self.sessions.answers["mx1b.example"] = UNREACHABLE  # down, while the other one lives
        self.assertEqual(self.attempt(route(host("mx1.example"), equal, second)), {})
        self.assertFalse(self.connected)

    def test_nothing_left(self) -> None:
        """However an attempt ends, and though its errors are kept, it is gone at once: what waits for the garbage collector of a message to a
        thousand destinations makes it stand still."""
        failures = (UNREACHABLE, LimitReached("192.0.2.1", lambda: 0), Temporary("4.4.2", "closed"))
        gc.disable()
        self.addCleanup(gc.enable)
        for failure in failures:
            self.sessions.answers["mx1.example"] = failure
            kept = self.attempt(route(host("mx1.example"))), self.crowded
            self.assertIsNone(self.last(), failure)
            self.assertTrue(any(kept))
        for found in (UNREACHABLE, Permanent("5.1.2", "no such domain")):
            kept = self.attempt(found), self.crowded
            self.assertIsNone(self.last(), found)

    def test_recipients_of_an_address(self) -> None:
        """With limits for each address a transaction has no more recipients than the address may have; the rest waits."""
        profile = Profile(recipient_limit=1, recipient_minutes=1, limit_per=LimitPer.ADDRESS)
        self.destinations = Destinations(default=profile)
        sender = FakeSender(1, OK)
        self.sessions.answers["mx1.example"] = (sender, GOOD)
        one = route(host("mx1.example"))
        self.assertEqual(self.attempt(one), {0: OK[0]})
        self.assertEqual(sender.batches, [[0]])
        self.assertEqual([crowded.room() for crowded in self.crowded], [0])
        self.assertEqual(self.attempt(one), {})
        self.assertEqual(self.sessions.opened, ["mx1.example/192.0.2.1"])
        self.assertEqual(self.attempt(route(host("mx1.example", "192.0.2.1", "192.0.2.9"))), {0: OK[0]})

    def test_too_many_recipients(self) -> None:
        """Recipients refused with 452 only because there were too many go in a transaction of their own, at once; where that helps nobody they
        wait."""
        sender = FakeSender(1, OK, most=1)
        self.sessions.answers["mx1.example"] = (sender, GOOD)
        self.assertEqual(self.attempt(route(host("mx1.example"))), OK)
        self.assertEqual(sender.batches, [[0, 1], [1]])
        stubborn = FakeSender(1, dict.fromkeys(OK, TOO_MANY))
        self.sessions.answers["mx1.example"] = (stubborn, GOOD)
        outcomes = self.attempt(route(host("mx1.example")))
        self.assertEqual((stubborn.batches, len(outcomes)), ([[0, 1]], 2))

    def test_one_at_a_time(self) -> None:
        """A server that takes few recipients at a time is asked for no more from then on: each name is said once more at most."""
        many = tuple(Recipient(rid, f"r{rid}@to.example") for rid in range(100))
        lease = Lease(Envelope(5, "s@from.example", many, 0.0), "to.example", many, MemoryContent(b"x\r\n"))
        self.patch(sys.modules[__name__], "LEASE", lease)
        sender = FakeSender(1, {rid: Delivered(1, "ok") for rid in range(100)}, most=3)
        self.sessions.answers["mx1.example"] = (sender, GOOD)
        outcomes = self.attempt(route(host("mx1.example")))
        self.assertEqual({type(outcome) for outcome in outcomes.values()}, {Delivered})
        self.assertLessEqual(sum(map(len, sender.batches)), 2 * len(many))

    def test_too_many_for_the_content(self) -> None:
        """A server that finds a transaction too large behind RCPT gets half as many, and so on; one recipient alone waits."""
        many = tuple(Recipient(rid, f"r{rid}@to.example") for rid in range(10))
        lease = Lease(Envelope(5, "s@from.example", many, 0.0), "to.example", many, MemoryContent(b"x\r\n"))
        self.patch(sys.modules[__name__], "LEASE", lease)
        too_many = Delayed(TooManyRecipients(Phase.CONTENT, ("5.5.3 too many",)), 1)

        class Sender(FakeSender):
            async def send(self, envelope: object, recipients: Any, content: object) -> dict[int, Outcome]:
                self.batches.append([r.rid for r in recipients])
                outcome = Delivered(1, "ok") if len(recipients) <= most else too_many
                return {r.rid: outcome for r in recipients}

        for most, sizes in ((2, [10, 5, 2, 2, 2, 2, 2]), (0, [10, 5, 2, 1])):
            sender = Sender(1, {})
            self.sessions.answers["mx1.example"] = (sender, GOOD)
            outcomes = self.attempt(route(host("mx1.example")))
            self.assertEqual([len(batch) for batch in sender.batches], sizes)
            self.assertEqual({type(outcome) for outcome in outcomes.values()}, {Delivered if most else Delayed})

    def test_limits(self) -> None:
        """What a server says of its limits is kept (RFC 9422): recipients of a transaction, and transactions on a connection."""
        sender = FakeSender(1, OK, limits="MAILMAX=3 RCPTMAX=1 RCPTDOMAINMAX=x MAILMAX")
        self.sessions.answers["mx1.example"] = (sender, GOOD)
        self.assertEqual(self.attempt(route(host("mx1.example"))), OK)
        self.assertEqual((sender.batches, self.sessions.max_transactions), ([[0], [1]], 3))
        for limits in ("", "RCPTMAX=0", "RCPTMAX=-1", "RCPTMAX=99999999", "MAILMAX=\u0661"):
            offered = FakeSender(1, OK, limits=limits).capabilities
            self.assertEqual((offered.max_recipients, offered.max_transactions), (None, None))

    def test_delivered(self) -> None:
        """One session, one transaction, one line of explanation, one event for the reply that all share."""
        self.sessions.answers["mx1.example"] = (FakeSender(1, OK), GOOD)
        outcomes = self.attempt(route(host("mx1.example"), host("mx2.example")))
        self.assertEqual(outcomes, OK)
        self.assertEqual(self.sessions.opened, ["mx1.example/192.0.2.1"])
        self.assertEqual(self.sessions.given, [1])
        self.assertEqual(self.explained(), [("mx1.example", "TLSv1.3 verified by mta-sts")])
        self.assertEqual(self.sink.of(STSSucceeded), [STSSucceeded("to.example")])
        self.assertEqual(
            self.sink.of(RecipientsDelivered),
            [RecipientsDelivered(1, 5, (0, 1), "2.0.0 ok", "to.example")],
        )

    def test_route_fails(self) -> None:
        """No route: everybody bounces or waits, by the kind of failure; nothing is opened."""
        bounce = Permanent("5.1.10", "null MX")
        self.assertEqual(self.attempt(bounce), {0: Bounced(bounce), 1: Bounced(bounce)})
        wait = Temporary("4.4.3", "ServFail")
        self.assertEqual(self.attempt(wait), {0: Delayed(wait), 1: Delayed(wait)})
        self.assertEqual((self.sessions.opened, self.connected), ([], False))

    def test_next_address_then_next_host(self) -> None:
        """An address that can't be reached: the next one; then the next host."""
        self.sessions.answers.update({"mx1.example": UNREACHABLE, "mx2.example": (FakeSender(2, OK), GOOD)})
        found = route(host("mx1.example", "192.0.2.1", "192.0.2.2"), host("mx2.example", "192.0.2.3"))
        self.assertEqual(self.attempt(found), OK)
        self.assertEqual(
            self.sessions.opened, ["mx1.example/192.0.2.1", "mx1.example/192.0.2.2", "mx2.example/192.0.2.3"]
        )
        self.assertTrue(self.connected)

    def test_address_bound(self) -> None:
        """Not more addresses than allowed are tried in one attempt."""
        self.sessions.answers["mx1.example"] = UNREACHABLE
        outcomes = self.attempt(route(host("mx1.example", "192.0.2.1", "192.0.2.2", "192.0.2.3")), max_addresses=2)
        self.assertEqual(len(self.sessions.opened), 2)
        self.assertEqual(outcomes[0], Delayed(UNREACHABLE))

    def test_refused_for_now(self) -> None:
        """Recipients that a host refuses for now are offered to the next; those refused for good aren't."""
        gone = Bounced(Permanent("5.1.1", "no such user", 550), 1)
        first = FakeSender(1, {0: gone, 1: Delayed(Temporary("4.2.1", "busy", 450), 1)})
        second = FakeSender(2, {1: Delivered(2, "ok")})
        self.sessions.answers.update({"mx1.example": (first, GOOD), "mx2.example": (second, GOOD)})
        outcomes = self.attempt(route(host("mx1.example"), host("mx2.example")))
        self.assertEqual(second.asked, [1])
        self.assertEqual(outcomes, {0: attrs.evolve(gone, host="mx1.example"), 1: Delivered(2, "ok")})

    def test_in_doubt(self) -> None:
        """A connection that broke behind the final dot: the message isn't offered to the next host in the same attempt."""
        lost = Delayed(Temporary("4.4.2", "lost"), 1, in_doubt=True)
        self.sessions.answers["mx1.example"] = (FakeSender(1, {0: lost, 1: lost}), GOOD)
        lost_at = attrs.evolve(lost, host="mx1.example")
        self.assertEqual(self.attempt(route(host("mx1.example"), host("mx2.example"))), {0: lost_at, 1: lost_at})
        self.assertEqual(len(self.sessions.opened), 1)

    def test_causes(self) -> None:
        """Whom TLS policy keeps from a host waits with the host and its cause, also where the last host failed otherwise; whom a host has
        answered doesn't."""
        refusing = Refuse("any text", cause=CauseKind.MX_NOT_IN_POLICY)
        self.providers.insert(
            0, FakeProvider("mta-sts", lambda q, h: refusing if h.name == "evil.example" else Raise(MUST, "enforce"))
        )
        decision = Decision("to.example", "mx2.example", MUST)
        failed = Verdict(False, summary="any text", cause=CauseKind.CERTIFICATE_EXPIRED)
        self.sessions.answers.update({"mx2.example": PolicyViolation(decision, failed), "mx3.example": UNREACHABLE})
        found = route(host("evil.example"), host("mx2.example"), host("mx3.example"))
        outcome = self.attempt(found)[0]
        assert isinstance(outcome, Delayed)
        self.assertEqual(outcome.error, UNREACHABLE)
        refusals = (
            HostRefusal("evil.example", CauseKind.MX_NOT_IN_POLICY),
            HostRefusal("mx2.example", CauseKind.CERTIFICATE_EXPIRED),
        )
        self.assertEqual(outcome.refusals, refusals)
        busy = Delayed(Temporary("4.2.1", "busy", 450), 1)
        self.sessions.answers["mx3.example"] = (FakeSender(1, {0: busy, 1: OK[1]}), GOOD)
        answered = self.attempt(found)
        self.assertEqual(answered, {0: attrs.evolve(busy, host="mx3.example"), 1: OK[1]})

    def test_refused_host(self) -> None:
        """A host that a policy refuses isn't connected to; the next one is used."""
        self.providers.insert(
            0,
            FakeProvider(
                "mta-sts",
                lambda q, h: Refuse("MX not in policy") if h.name == "evil.example" else Raise(MUST, "enforce"),
            ),
        )
        self.sessions.answers["mx2.example"] = (FakeSender(2, OK), GOOD)
        self.assertEqual(self.attempt(route(host("evil.example"), host("mx2.example"))), OK)
        self.assertEqual(self.sessions.opened, ["mx2.example/192.0.2.1"])
        self.assertEqual(self.explained()[0], ("evil.example", "refused: MX not in policy"))
        self.assertEqual(self.sink.of(STSFailed), [STSFailed("to.example", "evil.example", "MX not in policy")])

    def test_every_host_refused(self) -> None:
        """MTA-STS refuses every host: the policy is read once more; still refused, the message waits with the reason."""
        provider = FakeProvider("mta-sts", lambda q, h: Refuse("MX not in policy"))
        self.providers.insert(0, provider)
        outcomes = self.attempt(route(host("mx1.example"), host("mx2.example")))
        self.assertEqual([q.reread for q in provider.questions], [False, True])
        outcome = outcomes[0]
        assert isinstance(outcome, Delayed)
        self.assertEqual(outcome.error.enhanced, "4.7.5")
        self.assertIn("mx2.example may not be used for to.example: MX not in policy", outcome.error.text)

    def test_new_policy_after_reread(self) -> None:
        """The policy read again names the host: it is used in the same attempt."""
        self.providers.insert(
            0, FakeProvider("mta-sts", lambda q, h: Raise(MUST, "enforce") if q.reread else Refuse("MX not in policy"))
        )
        self.sessions.answers["mx1.example"] = (FakeSender(1, OK), GOOD)
        self.assertEqual(self.attempt(route(host("mx1.example"))), OK)

    def test_temporary_refusal_is_not_reread(self) -> None:
        """A TLSA lookup that fails: the next MX, else wait; no policy is read again for it."""
        provider = FakeProvider("dane", lambda q, h: TempFail("TLSA lookup failed"))
        self.providers.insert(0, provider)
        outcomes = self.attempt(route(host("mx1.example")))
        self.assertEqual(len(provider.questions), 1)
        self.assertIsInstance(outcomes[0], Delayed)
        self.assertEqual(self.sink.of(DANEFailed)[0].text, "TLSA lookup failed")

    def test_unsatisfied(self) -> None:
        """A session that doesn't satisfy the decision: told, explained, and the message waits with every mismatch."""
        verdict = Verdict(
            False,
            mismatches=("names wanted: mx1.example; names presented: other.example",),
            summary="peer cert does not match domain mx1.example",
            reason="TLSv1.3 refused: peer cert does not match domain mx1.example",
            failed=("mta-sts",),
        )
        self.sessions.answers["mx1.example"] = lambda decision: PolicyViolation(decision, verdict)
        outcomes = self.attempt(route(host("mx1.example")))
        outcome = outcomes[0]
        assert isinstance(outcome, Delayed)
        self.assertEqual(outcome.error.enhanced, "4.7.5")
        self.assertIn("names presented: other.example", outcome.error.text)
        self.assertEqual(self.explained(), [("mx1.example", verdict.reason)])
        self.assertEqual(len(self.sink.of(STSFailed)), 1)
        self.assertEqual(self.alerts, [])
        self.destinations = Destinations(default=Profile(tls_alert=True))
        self.attempt(route(host("mx1.example")))
        self.assertEqual([alert[:2] for alert in self.alerts], [("to.example", "mx1.example")])
        self.assertIn("names presented: other.example", self.alerts[0][2])

    def test_fall_through(self) -> None:
        """Where the operator allows it, a failing DANE falls through to what is left, with a warning each time."""
        self.providers.insert(0, FakeProvider("dane", lambda q, h: Raise(MUST, "secure(3 1 1)", may_fall_through=True)))
        failed = Verdict(False, mismatches=("no match",), summary="no match", reason="refused", failed=("dane",))

        def answer(decision: Decision) -> object:
            if decision.requirement.tls is TLSLevel.MUST:
                return PolicyViolation(decision, failed)
            return FakeSender(3, OK), Verdict(True, reason="TLSv1.3 unverified")

        self.sessions.answers["mx1.example"] = answer
        self.destinations = Destinations(default=Profile(tls_alert=True))
        self.assertEqual(self.attempt(route(host("mx1.example"))), OK)
        self.assertEqual(self.alerts, [])  # it was sent
        self.assertEqual(self.sink.of(DANEWeakened), [DANEWeakened("to.example", "mx1.example", "no match")])

    def test_observed(self) -> None:
        """A policy in testing mode that fails is told, as not enforced, and the delivery goes on."""
        observed = (ObservedResult("mta-sts", False, "MX not in policy"),)
        verdict = Verdict(True, reason="TLSv1.3 unverified", observed=observed)
        self.sessions.answers["mx1.example"] = (FakeSender(1, OK), verdict)
        self.assertEqual(self.attempt(route(host("mx1.example"))), OK)
        (failure,) = self.sink.of(STSFailed)
        self.assertFalse(failure.enforced)
        self.assertEqual(self.explained()[0][1], "TLSv1.3 unverified (mta-sts observed: failed, MX not in policy)")

    def test_exempt(self) -> None:
        """What an exemption lets pass is told by a warning with its end and reason, and the explanation says so."""
        exemption = Exemption(2000.0, "ticket 4711")
        self.destinations = Destinations(profiles={"to.example": Profile("to.example", exemption=exemption)})
        observed = (ObservedResult("dane", False, "no match", ("TLSA 3 1 1",), relaxed=True),)
        verdict = Verdict(True, reason="TLSv1.3 unverified", observed=observed)
        self.sessions.answers["mx1.example"] = (FakeSender(1, OK), verdict)
        self.attempt(route(host("mx1.example")))
        (failure,) = self.sink.of(DANEFailed)
        self.assertEqual((failure.text, failure.enforced), ("no match; TLSA 3 1 1", False))
        (used,) = self.sink.of(ExemptionUsed)
        self.assertEqual((used.provider, used.end, used.reason), ("dane", "1970-01-01 00:33 UTC", "ticket 4711"))
        self.assertTrue(self.explained()[0][1].endswith("; exempt until 1970-01-01 00:33 UTC: ticket 4711"))
        (counted,) = self.sink.of(PolicyObserved)
        self.assertEqual((counted.provider, counted.ok), ("dane", False))

    def test_exemption_over(self) -> None:
        """An exemption that has ended is nowhere to be seen; and what was never to be enforced isn't its affair."""
        observed = (ObservedResult("mta-sts", False, "MX not in policy"), ObservedResult("static", True, "name a"))
        verdict = Verdict(True, reason="TLSv1.3 unverified", observed=observed)
        for until in (2000.0, 1000.0):
            exemption = Exemption(until, "ticket 4711")
            self.destinations = Destinations(profiles={"to.example": Profile("to.example", exemption=exemption)})
            self.sessions.answers["mx1.example"] = (FakeSender(1, OK), verdict)
            self.attempt(route(host("mx1.example")))
        self.assertEqual(self.sink.of(ExemptionUsed), [])
        self.assertEqual(["exempt" in outcome for _, outcome in self.explained()], [True, False])

    def test_smtp_route(self) -> None:
        """An SMTP route is told once, so that nobody wonders why no policy was applied."""
        self.providers.insert(0, FakeProvider("mta-sts", lambda q, h: NoOpinion("SMTP route")))
        self.sessions.answers["relay.example"] = (FakeSender(1, OK), Verdict(True, reason="clear text"))
        self.attempt(route(host("relay.example"), kind=RouteKind.SMTP_ROUTE))
        self.assertEqual(self.sink.of(RouteUsed), [RouteUsed(5, "to.example", "relay.example")])
