"""What is gathered of destinations and decisions, and what is suspended."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.admin.destination_statistics import (
    LONGEST_TEXT,
    MOST_EXPLANATIONS,
    MOST_HOSTS,
    REMEMBERED,
    DestinationStatistics,
)
from seg.events.base import Event
from seg.events.delivery import (
    DeliveryClosed,
    DeliveryConnectFailed,
    DeliveryStarted,
    PolicyExplained,
    RecipientsDelivered,
)
from seg.events.gateway import GatewayStopping
from seg.events.queue import RecipientBounced, RecipientDelayed
from seg.mail.causes import PolicyResult
from seg.mail.errors import Permanent, Temporary
from tests.doubles import tell

BUSY = Temporary("4.2.1", "mailbox busy", 450, ("4.2.1 busy",))
UNKNOWN = Permanent("5.1.1", "no such user", 550, ("5.1.1 no",))
POLICY = Temporary("4.7.5", "does not satisfy the TLS policy")


class StatisticsTests(SynchronousTestCase):
    """`DestinationStatistics`."""

    def setUp(self) -> None:
        self.time = 100.0
        self.statistics = DestinationStatistics(lambda: self.time)

    def explained(
        self,
        mid: int,
        domain: str,
        outcome: str,
        host: str = "mx.a.test",
        result: PolicyResult = PolicyResult.NOT_REACHED,
    ) -> None:
        """A decision."""
        tell(self.statistics, PolicyExplained(mid, domain, host, (("dane", "none"),), outcome, result))

    def test_counters(self) -> None:
        """Deliveries, delays and bounces count for their destination, and say whether it is up."""

        def emit(event: Event) -> None:
            tell(self.statistics, event)

        emit(DeliveryConnectFailed("a.test", "mx.a.test", "192.0.2.1", 25, "[Errno 111] Connection refused"))
        record = self.statistics.host("a.test")
        assert record is not None
        self.assertIs(record.up, False)
        self.assertIn("mx.a.test [192.0.2.1]:25: [Errno 111]", record.last_failure)
        emit(RecipientDelayed(1, 0, 0, "s@s.test", "x@a.test", POLICY))
        self.assertIs(record.up, False)
        emit(RecipientDelayed(1, 0, 3, "s@s.test", "x@a.test", BUSY))
        self.assertIs(record.up, True)
        record.up = False
        refused = Temporary("4.7.0", "MAIL refused with 530", remote=("5.7.0 Must issue STARTTLS",))
        emit(RecipientDelayed(1, 0, 3, "s@s.test", "x@a.test", refused))
        self.assertEqual((record.up, "(5.7.0 Must issue STARTTLS)" in record.last_failure), (True, True))
        emit(RecipientBounced(1, 0, 3, "s@s.test", "x@a.test", UNKNOWN))
        emit(RecipientBounced(1, 1, 0, "s@s.test", "y@a.test", Permanent("5.4.7", "expired")))
        emit(RecipientsDelivered(3, 1, (2, 3), "ok", "a.test"))
        self.assertEqual((record.delivered, record.soft_bounced, record.hard_bounced), (2, 3, 2))
        self.assertIn("5.1.1", record.last_5xx)
        self.assertIsNone(self.statistics.host("b.test"))
        emit(GatewayStopping())
        self.assertEqual([each.domain for each in self.statistics.hosts()], ["a.test"])

    def test_what_is_kept(self) -> None:
        """A destination that nothing is heard of costs nothing after a week, and what servers say is kept cut."""
        long = Temporary("4.2.1", "x", 450, ("y" * 60_000,))
        for number in range(500):
            self.time += 1
            tell(self.statistics, RecipientDelayed(number, 0, 3, "s@s.test", f"x@d{number}.test", long))
            self.explained(number, f"d{number}.test", "refused: " + "z" * 60_000)
        self.assertEqual(len(self.statistics.hosts()), 500)
        for record in self.statistics.hosts():
            self.assertLessEqual(len(record.last_failure), LONGEST_TEXT)
        self.assertLessEqual(len(self.statistics.explanations(7, "d7.test")[0].outcome), LONGEST_TEXT)
        self.time += REMEMBERED + 1
        for number in range(500):
            tell(self.statistics, RecipientsDelivered(3, 1, (2,), "ok", f"e{number % 10}.test"))
            tell(self.statistics, RecipientsDelivered(3, 1, (2,), "ok", f"f{number}.test"))
        self.assertEqual(len(self.statistics.hosts()), 510)

    def test_connections(self) -> None:
        """A connection counts for the destination of its last transaction, until it is closed."""
        tell(self.statistics, DeliveryStarted(3, 1, (0,), "a.test"))
        tell(self.statistics, DeliveryStarted(4, 1, (1,), "b.test"))
        tell(self.statistics, DeliveryStarted(3, 2, (0,), "b.test"))
        self.assertEqual(self.statistics.connections(), {"b.test": 2})
        tell(self.statistics, DeliveryClosed(3))
        tell(self.statistics, DeliveryClosed(99))
        self.assertEqual(self.statistics.connections(), {"b.test": 1})

    def test_refused_by_policy(self) -> None:
        """A refusal counts by what it is: one for want of TLS does, and a server's words in a failure don't."""
        for outcome, result in (
            ("TLS required: STARTTLS wasn't offered", PolicyResult.REFUSED),
            ("not reached: AUTH profile isp (PLAIN) is refused: go away", PolicyResult.NOT_REACHED),
            ("TLSv1.3 unverified (mta-sts observed: failed, refused: x)", PolicyResult.UNVERIFIED),
        ):
            self.explained(1, "a.test", outcome, result=result)
        record = self.statistics.host("a.test")
        assert record is not None
        self.assertEqual(record.refused_by_policy, 1)

    def test_explanations(self) -> None:
        """The last decision for each host stays until the message is delivered there."""
        self.explained(1, "a.test", "TLSv1.3 refused: expired", result=PolicyResult.REFUSED)
        self.time = 200.0
        self.explained(1, "a.test", "refused: MX not in policy", result=PolicyResult.REFUSED)
        self.explained(1, "a.test", "not reached: timeout", "mx2.a.test")
        found = self.statistics.explanations(1, "a.test")
        self.assertEqual(
            [(e.at, e.host, e.outcome[:7]) for e in found],
            [(200.0, "mx.a.test", "refused"), (200.0, "mx2.a.test", "not rea")],
        )
        record = self.statistics.host("a.test")
        assert record is not None
        self.assertEqual(record.refused_by_policy, 2)
        tell(self.statistics, RecipientsDelivered(3, 1, (0,), "ok", "a.test"))
        self.assertEqual(self.statistics.explanations(1, "a.test"), [])

    def test_bounded(self) -> None:
        """Neither many destinations, nor many messages, nor many hosts make it grow for ever."""
        for number in range(MOST_HOSTS + 10):
            tell(self.statistics, RecipientsDelivered(1, number, (0,), "ok", f"d{number}.test"))
        self.assertEqual(len(self.statistics.hosts()), MOST_HOSTS)
        self.assertIsNone(self.statistics.host("d0.test"))
        for number in range(MOST_EXPLANATIONS + 10):
            self.explained(number, "a.test", "x")
        self.assertEqual(len(self.statistics._explained), MOST_EXPLANATIONS)
        for number in range(50):
            self.explained(1, "z.test", "x", f"mx{number}.z.test")
        self.assertEqual(len(self.statistics.explanations(1, "z.test")), 10)
