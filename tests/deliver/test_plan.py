"""What the configuration says of a destination is resolved once."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.destinations import Destinations, Exemption, LimitPer, NextHop, Profile, SMTPRoute
from seg.config.schema import Delivery
from seg.deliver import plan as plans
from seg.deliver.observer import IAttemptObserver
from seg.deliver.plan import AttemptPlans
from seg.deliver.rate_limits import UNLIMITED, RateLimit
from seg.deliver.report_events import ReportEvents
from seg.deliver.transmit import ITransmit, SMTPTransmit
from seg.mail.envelope import Envelope, Recipient
from seg.queue.interfaces import Lease
from tests.doubles import MemoryContent, RecordingSink

EXEMPT = Profile(exemption=Exemption(500.0, "ticket 7"), recipient_limit=7, limit_per=LimitPer.ADDRESS)


class PlanTests(SynchronousTestCase):
    """`AttemptPlans`."""

    def setUp(self) -> None:
        self.now = 100.0
        self.destinations = Destinations(
            profiles={"a.example": EXEMPT}, routes={"b.example": SMTPRoute("b.example", (NextHop("relay"),))}
        )
        self.plans = AttemptPlans(lambda: self.destinations, Delivery(max_hosts=3, max_addresses=4), lambda: self.now)

    def test_once(self) -> None:
        """A domain's plan is made once, and anew when other destinations are in force."""
        first = self.plans.of("a.example")
        self.assertIs(self.plans.of("a.example"), first)
        self.destinations = attrs.evolve(self.destinations, profiles={})
        self.assertEqual(self.plans.of("a.example").profile, Profile())

    def test_exemption(self) -> None:
        """An exemption that ends takes the plan with it, at that moment."""
        self.assertIsNotNone(self.plans.of("a.example").profile.exemption)
        self.now = 500.0
        self.assertIsNone(self.plans.of("a.example").profile.exemption)

    def test_parts(self) -> None:
        """Limits of an address, the operator's route, and how we show ourselves to either kind of host."""
        limited, routed = self.plans.of("a.example"), self.plans.of("b.example")
        self.assertEqual((limited.address_rate, routed.address_rate), (RateLimit(7, 60), UNLIMITED))
        self.assertEqual((limited.smtp_route, routed.smtp_route), (None, self.destinations.routes["b.example"]))
        self.assertEqual((limited.by_mx.by_mx, limited.by_route.by_mx), (True, False))
        self.assertEqual((limited.max_hosts, limited.max_addresses), (3, 4))

    def test_bounded(self) -> None:
        """Whoever sends to ever new domains doesn't fill the memory: the plan made longest ago goes."""
        self.patch(plans, "MOST_PLANS", 2)
        self.setUp()
        kept = [self.plans.of(f"d{number}.example") for number in range(3)]
        self.assertIs(self.plans.of("d2.example"), kept[2])
        self.assertIsNot(self.plans.of("d0.example"), kept[0])

    def test_interfaces(self) -> None:
        """What reports deliveries and what sends them are what an attempt takes them for."""
        to = Recipient(0, "bob@a.example")
        lease = Lease(Envelope(1, "", (to,), 0.0), "a.example", (to,), MemoryContent(b""))
        observer = ReportEvents(lease, self.plans.of("a.example"), RecordingSink(), lambda *facts: None)
        verifyObject(IAttemptObserver, observer)
        verifyObject(ITransmit, SMTPTransmit(None, None))  # type: ignore[arg-type]
