"""Next hops by the operator's table, else by MX."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.destinations import Destinations, IPPreference, NextHop, Profile, SMTPRoute
from seg.config.schema import Delivery
from seg.deliver.interfaces import IRouter
from seg.deliver.plan import plan_for
from seg.deliver.routes import Router
from seg.dns.answer import DNSFailure, FailureKind
from seg.events.dns import DNSFailed
from seg.mail.errors import DeliveryError, Permanent, Temporary
from seg.mail.hosts import MXHost, Route, RouteKind
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink

ZONE = """
    d.test       MX    10 mx.d.test
    mx.d.test    A     192.0.2.1
    relay.test   A     192.0.2.10
    relay.test   AAAA  2001:db8::10
    relay2.test  A     192.0.2.20
    isp.test     MX    20 out2.isp.test
    isp.test     MX    10 out1.isp.test
    out1.isp.test A    192.0.2.31
    out2.isp.test A    192.0.2.32
    filter.test  A     127.0.0.1
"""


class RouterTests(SynchronousTestCase):
    """`Router`."""

    def setUp(self) -> None:
        self.resolver = FakeResolver(ZONE, everything_secure=True)
        self.destinations = Destinations()
        self.sink = RecordingSink()
        self.router = self.make(Delivery(port=2525))

    def make(self, settings: Delivery) -> Router:
        """A router with settings of its own."""
        return Router(
            self.resolver,
            lambda domain: plan_for(self.destinations, domain, settings, 0.0),
            settings,
            "GW.example",
            frozenset({ip_address("203.0.113.1")}),
            Random(1),
            self.sink,
        )

    def table(self, *hops: NextHop, pattern: str = "d.test", use_dns: bool = False) -> None:
        """A table of one route."""
        self.destinations = Destinations(routes={pattern: SMTPRoute(pattern, hops, use_dns)})

    def route(self, domain: str = "d.test") -> Route:
        """The route."""
        return self.successResultOf(Deferred.fromCoroutine(self.router.route(domain)))

    def refused(self, domain: str = "d.test") -> DeliveryError:
        """The error instead of a route."""
        routing = Deferred.fromCoroutine(self.router.route(domain))
        error = self.failureResultOf(routing, DeliveryError).value
        assert isinstance(error, DeliveryError)
        return error

    def test_interface(self) -> None:
        """It provides IRouter."""
        verifyObject(IRouter, self.router)

    def test_mx(self) -> None:
        """Without a route in the table the MX decides; port and own name are those of the settings."""
        route = self.route()
        self.assertIs(route.kind, RouteKind.MX)
        self.assertEqual([(h.name, h.port, h.mx_secure) for h in route.hosts], [("mx.d.test", 2525, True)])
        self.resolver.add("loop.test MX 5 gw.example")
        self.assertEqual(self.refused("loop.test").enhanced, "5.4.6")
        self.resolver.add("loop2.test MX 5 us.test\nus.test A 203.0.113.1")
        self.assertEqual(self.refused("loop2.test").enhanced, "5.4.6")

    def test_allow_loopback(self) -> None:
        """The settings may allow loopback."""
        self.assertEqual(self.refused("filter.test").enhanced, "5.4.6")
        self.router = self.make(Delivery(allow_loopback=True))
        self.assertEqual(self.route("filter.test").hosts[0].addresses, (ip_address("127.0.0.1"),))

    def test_failure_is_told(self) -> None:
        """A lookup that makes the mail wait is told as an event."""
        self.resolver.fail("d.test", "MX", FailureKind.SERVFAIL)
        self.assertIsInstance(self.refused(), DNSFailure)
        self.assertEqual(self.sink.events, [DNSFailed("d.test", "MX", "ServFail")])

    def test_profile_of_addresses(self) -> None:
        """The family of addresses is that of the destination's profile, for MX and table alike."""
        profile = Profile(name="d.test", ip_preference=IPPreference.IPV4_REQUIRED)
        hop = NextHop("relay.test")
        self.destinations = Destinations(profiles={"d.test": profile}, routes={"d.test": SMTPRoute("d.test", (hop,))})
        self.assertEqual(self.route().hosts[0].addresses, (ip_address("192.0.2.10"),))

    def test_route_of_the_table(self) -> None:
        """A route leads to its hosts, with their ports; the domain's MX isn't asked for."""
        self.table(NextHop("Relay.test", 587, 5), NextHop("relay2.test", 26, 0))
        route = self.route()
        self.assertEqual((route.domain, route.kind, route.secure), ("d.test", RouteKind.SMTP_ROUTE, False))
        self.assertEqual(
            [(h.name, h.port, h.preference) for h in route.hosts],
            [("relay2.test", 26, 0), ("relay.test", 587, 5)],
        )
        self.assertFalse(route.hosts[0].mx_secure)
        self.assertEqual(self.resolver.count("d.test", "MX"), 0)

    def test_equal_hops(self) -> None:
        """Hops of equal preference take turns at random."""
        self.table(NextHop("relay.test"), NextHop("relay2.test"))
        self.assertEqual({self.route().hosts[0].name for _ in range(20)}, {"relay.test", "relay2.test"})

    def test_addresses_as_hops(self) -> None:
        """An address, bare or in brackets, is used as it stands, also if it is loopback or ruled out by the
        profile."""
        for text, address in (
            ("192.0.2.7", "192.0.2.7"),
            ("[192.0.2.7]", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[IPv6:2001:db8::7]", "2001:db8::7"),
            ("127.0.0.1", "127.0.0.1"),
        ):
            self.table(NextHop(text, 10025, use_mx=True))
            host = MXHost(address, 0, (ip_address(address),), 10025, expanded=address)
            self.assertEqual(self.route().hosts, (host,))
        self.assertEqual(self.resolver.questions, [])

    def test_use_mx(self) -> None:
        """With use_mx the MX hosts of the hop are used, in the hop's place; brackets mean the address
        only."""
        self.table(NextHop("relay2.test", 25, 10), NextHop("isp.test", 587, 0, use_mx=True))
        self.assertEqual(
            [(h.name, h.port, h.preference) for h in self.route().hosts],
            [("out1.isp.test", 587, 0), ("out2.isp.test", 587, 0), ("relay2.test", 25, 10)],
        )
        self.table(NextHop("[relay.test]", use_mx=True))
        self.assertEqual([h.name for h in self.route().hosts], ["relay.test"])

    def test_own_host_in_the_table(self) -> None:
        """A hop may be this machine: a filter on another port."""
        self.table(NextHop("filter.test", 10025))
        self.assertEqual(self.route().hosts[0].addresses, (ip_address("127.0.0.1"),))

    def test_use_dns(self) -> None:
        """USEDNS is no route, whatever the wider entry says."""
        self.table(use_dns=True)
        self.destinations = Destinations(
            routes={**self.destinations.routes, "ALL": SMTPRoute("ALL", (NextHop("relay.test"),))}
        )
        self.assertIs(self.route().kind, RouteKind.MX)
        self.assertIs(self.route("other.test").kind, RouteKind.SMTP_ROUTE)

    def test_a27_unknown_hop(self) -> None:
        """A27: whatever is wrong with the names of a route the mail waits, 4.4.4, and never goes by MX."""
        self.resolver.add("bare.test\nnull.test MX 0 .")
        self.resolver.fail("dead.test", "*", FailureKind.SERVFAIL)
        for hop, reason in (
            (NextHop("dead.test"), "DNS ServFail looking up dead.test (AAAA)"),
            (NextHop("gone.test"), "gone.test does not exist"),
            (NextHop("bare.test"), "bare.test has no address"),
            (NextHop("dead.test", use_mx=True), "DNS ServFail looking up dead.test (MX)"),
            (NextHop("gone.test", use_mx=True), "DNS Hard Error looking up gone.test (MX):  NXDomain"),
            (NextHop("null.test", use_mx=True), "null.test accepts no mail (null MX)"),
        ):
            self.table(hop)
            error = self.refused()
            self.assertIsInstance(error, Temporary)
            self.assertIn(reason, error.text)
            self.assertEqual(error.enhanced, "4.4.4")
        self.assertEqual(self.resolver.count("d.test", "MX"), 0)

    def test_some_hops_work(self) -> None:
        """Hops that can't be looked up are left out as long as one can."""
        self.table(NextHop("gone.test", preference=0), NextHop("relay.test", preference=1))
        self.assertEqual([h.name for h in self.route().hosts], ["relay.test"])

    def test_empty_route(self) -> None:
        """A route without hosts lets the mail wait."""
        self.table()
        self.assertEqual(str(self.refused()), "4.4.4 SMTP route for d.test can't be used: it names no host")

    def test_no_such_domain(self) -> None:
        """Without a route a domain that doesn't exist is permanent."""
        self.assertIsInstance(self.refused("gone.test"), Permanent)

    def redirected(self, via: str) -> Deferred[Route]:
        """The route of redirected mail."""
        return Deferred.fromCoroutine(self.router.route("d.test", via))

    def test_redirected(self) -> None:
        """Mail that an operator redirected goes to that host alone, whatever the table and the MX say, by the rules of a route."""
        self.destinations = Destinations(routes={"d.test": SMTPRoute("d.test", discard=True)})
        route = self.successResultOf(self.redirected("relay2.test:2525"))
        self.assertEqual((route.kind, route.domain), (RouteKind.SMTP_ROUTE, "d.test"))
        self.assertEqual([(host.name, host.port) for host in route.hosts], [("relay2.test", 2525)])
        for via, port in (("192.0.2.7", 25), ("[192.0.2.7]:26", 26)):
            (host,) = self.successResultOf(self.redirected(via)).hosts
            self.assertEqual((host.addresses, host.port), ((ip_address("192.0.2.7"),), port))
        self.assertEqual(self.resolver.count("d.test", "MX"), 0)

    def test_redirected_nowhere(self) -> None:
        """A host that can't be looked up, or is none, makes the mail wait, and says what it was redirected to."""
        for via, text in (
            ("nothing.test", "Redirection of d.test to nothing.test can't be used: nothing.test"),
            ("a..b", "redirected to what is no host"),
        ):
            error = self.failureResultOf(self.redirected(via), Temporary).value
            self.assertIn(text, error.text)
            self.assertEqual(error.enhanced, "4.4.4")
