"""The routing table, row by row: what is found in the DNS, and what happens."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from seg.config.destinations import IPPreference
from seg.dns.addresses import SelfAddresses
from seg.dns.answer import DNSFailure, FailureKind
from seg.dns.routing import MAX_LOOKUPS, mx_route, parse_literal
from seg.mail.errors import DeliveryError, Permanent, Temporary
from seg.mail.hosts import MXHost, Route, RouteKind
from tests.dns_double import FakeResolver

OWN = SelfAddresses("gw.example", frozenset({ip_address("203.0.113.1"), ip_address("2001:db8:f::1")}))


def host(number: int, name: str = "") -> str:
    """Zone text of one host with an IPv4 address."""
    return f"{name or f'mx{number}.test'} A 192.0.2.{number}\n"


class RoutingCase(SynchronousTestCase):
    """What the tests of routes share."""

    def start(
        self,
        resolver: FakeResolver,
        domain: str = "d.test",
        preference: IPPreference = IPPreference.IPV6_PREFERRED,
        own: SelfAddresses = OWN,
        max_hosts: int = 5,
        seed: int = 1,
    ) -> Deferred[Route]:
        """Begin to route."""
        return Deferred.fromCoroutine(mx_route(resolver, domain, preference, own, 25, max_hosts, Random(seed)))

    def route(self, zone: str | FakeResolver, *args: object, **options: object) -> Route:
        """The route."""
        resolver = zone if isinstance(zone, FakeResolver) else FakeResolver(zone)
        return self.successResultOf(self.start(resolver, *args, **options))  # type: ignore[arg-type]

    def names(self, zone: str | FakeResolver, *args: object, **options: object) -> list[str]:
        """The names of the route's hosts."""
        return [h.name for h in self.route(zone, *args, **options).hosts]

    def refused(self, zone: str | FakeResolver, *args: object, **options: object) -> DeliveryError:
        """The error instead of a route."""
        resolver = zone if isinstance(zone, FakeResolver) else FakeResolver(zone)
        failing = self.start(resolver, *args, **options)  # type: ignore[arg-type]
        error = self.failureResultOf(failing, DeliveryError).value
        assert isinstance(error, DeliveryError)
        return error


class MXTests(RoutingCase):
    """From the MX answer to candidates."""

    def test_null_mx(self) -> None:
        """A null MX alone is permanent, 5.1.10, though the domain has an address; no address is asked for."""
        resolver = FakeResolver("d.test MX 0 .\nd.test A 192.0.2.1")
        error = self.refused(resolver)
        self.assertIsInstance(error, Permanent)
        self.assertEqual(error.enhanced, "5.1.10")
        self.assertEqual(resolver.questions, [("d.test", "MX")])

    def test_null_mx_beside_others(self) -> None:
        """A null MX beside a real one means nothing."""
        self.assertEqual(self.names("d.test MX 0 .\nd.test MX 10 mx1.test\n" + host(1)), ["mx1.test"])

    def test_no_such_domain(self) -> None:
        """NXDOMAIN is permanent, 5.1.2, in the words of the log's catalogue."""
        error = self.refused("other.test A 192.0.2.1")
        self.assertIsInstance(error, Permanent)
        self.assertEqual(error.enhanced, "5.1.2")
        self.assertEqual(error.text, "DNS Hard Error looking up d.test (MX):  NXDomain")

    def test_alias_to_nothing(self) -> None:
        """A domain that is an alias of a name that doesn't exist doesn't exist."""
        self.assertEqual(self.refused("d.test CNAME gone.test").enhanced, "5.1.2")

    def test_implicit_mx(self) -> None:
        """Without MX the domain itself is the host, with the security of the denial."""
        for secure in (True, False):
            resolver = FakeResolver("d.test A 192.0.2.1", everything_secure=secure)
            route = self.route(resolver)
            self.assertIs(route.kind, RouteKind.IMPLICIT_MX)
            self.assertEqual(route.secure, secure)
            self.assertEqual(
                route.hosts,
                (MXHost("d.test", 0, (ip_address("192.0.2.1"),), 25, secure, secure, "d.test", False),),
            )

    def test_neither_mx_nor_address(self) -> None:
        """A domain that exists without MX and without any address is an error at once (RFC 5321 §5.1)."""
        error = self.refused("d.test TXT nothing")
        self.assertIsInstance(error, Permanent)
        self.assertEqual(error.enhanced, "5.4.4")

    def test_implicit_mx_without_known_address(self) -> None:
        """Only when both families are denied: one unanswered or not asked for leaves it open."""
        resolver = FakeResolver("d.test TXT nothing")
        resolver.fail("d.test", "A")
        self.assertIsInstance(self.refused(resolver), Temporary)
        self.assertIsInstance(self.refused("d.test TXT x", preference=IPPreference.IPV4_REQUIRED), Temporary)

    def test_failed_lookup(self) -> None:
        """Whatever keeps the MX answer from us is temporary, 4.4.3, and never a fall-back to addresses."""
        for kind in FailureKind:
            resolver = FakeResolver("d.test A 192.0.2.1")
            resolver.fail("d.test", "MX", kind)
            error = self.refused(resolver)
            self.assertIsInstance(error, DNSFailure)
            self.assertEqual(error.enhanced, "4.4.3")
            self.assertEqual(resolver.questions, [("d.test", "MX")])

    def test_alias_is_followed(self) -> None:
        """A domain that is a CNAME is routed by its target's MX and keeps its own name."""
        route = self.route("d.test CNAME e.test\ne.test MX 10 mx1.test\n" + host(1))
        self.assertEqual((route.domain, route.canonical), ("d.test", "e.test"))
        self.assertEqual([h.name for h in route.hosts], ["mx1.test"])

    def test_invalid_targets(self) -> None:
        """IP literals and what can't be a host name are dropped; the others remain."""
        for bad in (
            "192.0.2.7",
            "192.0.2.7.",
            r"a\032b.test",
            "-a.test",
            "a-.test",
            r"a\.b.test",
            r"a\252.test",
        ):
            zone = f"d.test MX 5 {bad}\nd.test MX 10 mx1.test\n" + host(1)
            resolver = FakeResolver(zone)
            self.assertEqual(self.names(resolver), ["mx1.test"], bad)
            self.assertEqual(len(resolver.questions), 3, bad)
        error = self.refused("d.test MX 5 192.0.2.7")
        self.assertEqual(str(error), "4.4.4 no usable host for d.test: 192.0.2.7 isn't a host name")

    def test_underscore(self) -> None:
        """An underscore in a host name is met in practice."""
        self.assertEqual(self.names("d.test MX 1 _mx.test\n" + host(1, "_mx.test")), ["_mx.test"])

    def test_repeated_target(self) -> None:
        """A host named twice is tried once, at its best preference."""
        zone = "d.test MX 20 mx1.test\nd.test MX 5 MX1.test\nd.test MX 10 mx2.test\n" + host(1) + host(2)
        route = self.route(zone)
        self.assertEqual([(h.name, h.preference) for h in route.hosts], [("mx1.test", 5), ("mx2.test", 10)])

    def test_no_domain(self) -> None:
        """An address without a domain can't be routed."""
        self.assertEqual(self.refused("", domain="").enhanced, "5.1.2")


class OrderTests(RoutingCase):
    """Which hosts, and in which order."""

    def test_preference(self) -> None:
        """The lowest preference comes first."""
        zone = "".join(f"d.test MX {p} mx{n}.test\n{host(n)}" for n, p in ((1, 30), (2, 5), (3, 20)))
        self.assertEqual(self.names(zone), ["mx2.test", "mx3.test", "mx1.test"])

    def test_random_among_equals(self) -> None:
        """Among equals each order comes up, by the random source given."""
        zone = "".join(f"d.test MX 10 mx{n}.test\n{host(n)}" for n in (1, 2, 3))
        seen = {tuple(self.names(zone, seed=seed)) for seed in range(60)}
        self.assertEqual(len(seen), 6)

    def test_most_hosts(self) -> None:
        """Not more hosts than asked for, and those beyond aren't looked up."""
        zone = "".join(f"d.test MX {n} mx{n}.test\n{host(n)}" for n in range(1, 10))
        resolver = FakeResolver(zone)
        self.assertEqual(self.names(resolver, max_hosts=2), ["mx1.test", "mx2.test"])
        self.assertEqual(resolver.count("mx3.test", "A"), 0)

    def test_dropped_hosts_are_replaced(self) -> None:
        """Hosts that turn out unusable make room for the next ones."""
        zone = "".join(f"d.test MX {n} mx{n}.test\n" for n in range(1, 6)) + host(4) + host(5)
        self.assertEqual(self.names(zone, max_hosts=2), ["mx4.test", "mx5.test"])

    def test_hundred_hosts(self) -> None:
        """However many hosts a domain publishes, the lookups are bounded."""
        for ranks in (range(100), [10] * 100):
            zone = "".join(f"d.test MX {p} mx{n}.test\n" for n, p in enumerate(ranks))
            resolver = FakeResolver(zone)
            error = self.refused(resolver)
            self.assertEqual(len({name for name, _ in resolver.questions}), MAX_LOOKUPS + 1)
            self.assertTrue(error.text.endswith("; 15 more"), error.text)

    def test_side_by_side(self) -> None:
        """Hosts and families are looked up at the same time, not one after the other."""
        resolver = FakeResolver("d.test MX 1 mx1.test\nd.test MX 2 mx2.test\n" + host(1) + host(2))
        for name in ("mx1.test", "mx2.test"):
            for rdtype in ("A", "AAAA"):
                resolver.hold(name, rdtype)
        routing = self.start(resolver)
        self.assertEqual(len(resolver.questions), 5)
        for name in ("mx2.test", "mx1.test"):
            resolver.release(name, "A")
            resolver.release(name, "AAAA")
        self.assertEqual([h.name for h in self.successResultOf(routing).hosts], ["mx1.test", "mx2.test"])

    def test_cancelled(self) -> None:
        """Cancelling a route under way ends its lookups."""
        resolver = FakeResolver("d.test MX 1 mx1.test\nd.test MX 2 mx2.test\n" + host(1) + host(2))
        resolver.hold("mx1.test", "A")
        resolver.hold("mx2.test", "AAAA")
        routing = self.start(resolver)
        routing.cancel()
        self.failureResultOf(routing, CancelledError)

    def test_families(self) -> None:
        """The profile says which family comes first, or is the only one."""
        zone = "d.test MX 1 mx1.test\nmx1.test A 192.0.2.1\nmx1.test AAAA 2001:db8::1"
        four, six = ip_address("192.0.2.1"), ip_address("2001:db8::1")
        table = {
            IPPreference.IPV6_PREFERRED: (six, four),
            IPPreference.IPV4_PREFERRED: (four, six),
            IPPreference.IPV6_REQUIRED: (six,),
            IPPreference.IPV4_REQUIRED: (four,),
        }
        for preference, expected in table.items():
            self.assertEqual(self.route(zone, preference=preference).hosts[0].addresses, expected)

    def test_a28_ipv6_only(self) -> None:
        """A28: a host with an AAAA record only is used, also where IPv4 is preferred; not where it is
        required."""
        zone = "d.test MX 1 mx1.test\nmx1.test AAAA 2001:db8::1"
        for preference in (IPPreference.IPV6_PREFERRED, IPPreference.IPV4_PREFERRED):
            self.assertEqual(self.names(zone, preference=preference), ["mx1.test"])
        error = self.refused(zone, preference=IPPreference.IPV4_REQUIRED)
        self.assertEqual(str(error), "4.4.4 no usable host for d.test: mx1.test has no address")


class UnusableHostTests(RoutingCase):
    """Hosts without addresses, or whose addresses can't be learnt."""

    def test_a7_first_does_not_exist(self) -> None:
        """A7: an MX host that doesn't exist is dropped, the next is used."""
        zone = "d.test MX 1 gone.test\nd.test MX 2 mx2.test\nd.test MX 3 mx3.test\n" + host(2) + host(3)
        self.assertEqual(self.names(zone), ["mx2.test", "mx3.test"])

    def test_none_left(self) -> None:
        """With no host left the mail waits, 4.4.4, and the text names each with its reason."""
        resolver = FakeResolver("d.test MX 1 gone.test\nd.test MX 2 bare.test\nd.test MX 3 mx3.test\nbare.test")
        resolver.fail("mx3.test", "*", FailureKind.SERVFAIL)
        error = self.refused(resolver)
        self.assertIsInstance(error, Temporary)
        self.assertEqual(
            str(error),
            "4.4.4 no usable host for d.test: gone.test does not exist; bare.test has no address; "
            "mx3.test DNS ServFail looking up mx3.test (AAAA)",
        )

    def test_failing_host_is_dropped(self) -> None:
        """A host whose addresses can't be looked up is left out of this attempt."""
        resolver = FakeResolver("d.test MX 1 mx1.test\nd.test MX 2 mx2.test\n" + host(1) + host(2))
        resolver.fail("mx1.test", "*", FailureKind.TIMEOUT)
        self.assertEqual(self.names(resolver), ["mx2.test"])

    def test_one_family_fails(self) -> None:
        """Broken answers for one family don't matter where the other one gives addresses."""
        resolver = FakeResolver("d.test MX 1 mx1.test\n" + host(1), everything_secure=True)
        resolver.fail("mx1.test", "AAAA", FailureKind.SERVFAIL)
        self.assertTrue(self.route(resolver).hosts[0].address_secure)


class LoopTests(RoutingCase):
    """Mail never goes back to this gateway (RFC 5321 §5.1)."""

    BACKUP = "d.test MX 10 mx1.test\nd.test MX 20 {us}\nd.test MX 20 mx2.test\nd.test MX 30 mx3.test\n"

    def zone(self, us: str) -> str:
        """A domain whose backup MX we are."""
        return self.BACKUP.format(us=us) + host(1) + host(2) + host(3)

    def test_a25_own_name(self) -> None:
        """A25: our name in the list removes it and all of the same or a higher preference number."""
        resolver = FakeResolver(self.zone("gw.example") + "gw.example A 192.0.2.99")
        self.assertEqual(self.names(resolver), ["mx1.test"])
        self.assertEqual(resolver.count("mx2.test", "A"), 0)

    def test_a25_own_address(self) -> None:
        """A25: so does a host with one of our addresses, loopback or unspecified, in whatever notation."""
        for record in (
            "A 203.0.113.1",
            "AAAA 2001:db8:f::1",
            "A 127.0.0.1",
            "A 127.9.9.9",
            "AAAA ::1",
            "A 0.0.0.0",
            "AAAA ::",
            "AAAA ::ffff:127.0.0.1",
            "AAAA ::ffff:203.0.113.1",
        ):
            for seed in range(4):
                names = self.names(self.zone("us.test") + f"us.test {record}", seed=seed)
                self.assertEqual(names, ["mx1.test"], record)

    def test_equal_beyond_the_limit(self) -> None:
        """Equals of the last host wanted are looked at too: one of them may be us."""
        zone = "".join(f"d.test MX 10 mx{n}.test\n{host(n)}" for n in (1, 2, 3))
        for seed in range(6):
            error = self.refused(zone + "d.test MX 10 us.test\nus.test A 127.0.0.1", max_hosts=1, seed=seed)
            self.assertEqual(error.enhanced, "5.4.6")

    def test_we_are_the_best(self) -> None:
        """If no host is better than we are the mail can't go anywhere: permanent, 5.4.6."""
        for zone in ("d.test MX 5 gw.example", "d.test MX 5 gw.example\nd.test MX 5 mx1.test\n" + host(1)):
            error = self.refused(zone)
            self.assertIsInstance(error, Permanent)
            self.assertEqual(str(error), "5.4.6 mail for d.test loops back to this host")
        self.assertEqual(self.refused("d.test A 127.0.0.1").enhanced, "5.4.6")

    def test_better_host_is_unusable(self) -> None:
        """If a better host exists, but can't be used now, it isn't a loop: the mail waits."""
        resolver = FakeResolver(self.zone("gw.example"))
        resolver.fail("mx1.test", "*", FailureKind.TIMEOUT)
        self.assertEqual(self.refused(resolver).enhanced, "4.4.4")

    def test_allow_loopback(self) -> None:
        """For tests loopback may be delivered to; our own name still counts."""
        own = SelfAddresses("gw.example", allow_loopback=True)
        self.assertEqual(self.names("d.test A 127.0.0.1", own=own), ["d.test"])
        self.assertEqual(self.names(self.zone("gw.example"), own=own), ["mx1.test"])


class AddressTests(RoutingCase):
    """Which addresses of a stranger's hosts are connected to."""

    def test_refused_addresses(self) -> None:
        """A host at an address of no mail host is dropped, with what the address is; one that has others keeps those."""
        for rdtype, bad in (
            ("A", "169.254.169.254"),
            ("A", "224.0.0.1"),
            ("AAAA", "fe80::1"),
            ("AAAA", "64:ff9b::a9fe:a9fe"),
        ):
            error = self.refused(f"d.test MX 1 mx.test\nmx.test {rdtype} {bad}")
            self.assertEqual(error.enhanced, "4.4.4")
            self.assertRegex(error.text, f"mx.test has only the (link-local|multicast) address {bad}")
            route = self.route(f"d.test MX 1 mx.test\nmx.test {rdtype} {bad}\nmx.test A 192.0.2.1")
            self.assertEqual(route.hosts[0].addresses, (ip_address("192.0.2.1"),))

    def test_loop_in_disguise(self) -> None:
        """An address behind which this machine stands is a loop, as the plain one is."""
        for bad in (
            "::ffff:127.0.0.1",
            "::ffff:203.0.113.1",
            "64:ff9b::7f00:1",
            "2002:cb00:7101::1",
            "::127.0.0.1",
            "::",
        ):
            error = self.refused(f"d.test MX 1 mx.test\nmx.test AAAA {bad}")
            self.assertEqual(error.enhanced, "5.4.6", bad)

    def test_private_addresses(self) -> None:
        """Private addresses are delivered to unless the operator says no."""
        zone = "d.test MX 1 mx.test\nmx.test A 10.0.0.1"
        self.assertEqual(self.names(zone), ["mx.test"])
        own = SelfAddresses("gw.example", allow_private=False)
        self.assertEqual(
            self.refused(zone, own=own).text, "no usable host for d.test: mx.test has only the private address 10.0.0.1"
        )

    def test_literals(self) -> None:
        """A sender can't write such an address into the recipient's domain either."""
        for domain, code in (
            ("[169.254.169.254]", "5.1.2"),
            ("[IPv6:ff02::1]", "5.1.2"),
            ("[IPv6:::ffff:7f00:1]", "5.4.6"),
        ):
            self.assertEqual(self.refused("", domain).enhanced, code, domain)


class SecurityTests(RoutingCase):
    """The facts that DANE needs (RFC 7672 §2.2)."""

    ZONE = "d.test MX 1 mx.other\nmx.other A 192.0.2.1\nmx.other AAAA 2001:db8::1"

    def facts(self, resolver: FakeResolver, **options: object) -> tuple[bool, bool, bool, str, bool]:
        """The security of the route and of its first host."""
        route = self.route(resolver, **options)
        mx = route.hosts[0]
        return route.secure, mx.mx_secure, mx.address_secure, mx.expanded, mx.alias_secure

    def test_mx_and_addresses(self) -> None:
        """MX and address answers count each for itself."""
        for secure, expected in (
            ([], (False, False, False)),
            (["d.test"], (True, True, False)),
            (["other"], (False, False, True)),
            (["d.test", "other"], (True, True, True)),
        ):
            facts = self.facts(FakeResolver(self.ZONE, secure=secure))
            self.assertEqual(facts, (*expected, "mx.other", False))

    def test_secure_through_an_alias(self) -> None:
        """The MX answer of a domain that is a CNAME is secure if the whole chain is."""
        zone = "d.test CNAME e.third\ne.third MX 1 mx.other\nmx.other A 192.0.2.1"
        for secure, expected in ((["test"], False), (["third"], False), (["test", "third"], True)):
            self.assertEqual(self.facts(FakeResolver(zone, secure=secure))[0], expected)

    def test_all_answers_used_must_be_secure(self) -> None:
        """One insecure answer among those whose addresses are used makes the host insecure."""
        resolver = FakeResolver(self.ZONE, everything_secure=True)
        resolver.set_secure("mx.other", "AAAA", secure=False)
        self.assertFalse(self.facts(resolver)[2])
        self.assertTrue(self.facts(resolver, preference=IPPreference.IPV4_REQUIRED)[2])

    def test_denial_of_the_other_family(self) -> None:
        """A denial gives no address, so its security doesn't matter."""
        resolver = FakeResolver("d.test MX 1 mx.other\nmx.other A 192.0.2.1", everything_secure=True)
        resolver.set_secure("mx.other", "AAAA", secure=False)
        self.assertTrue(self.facts(resolver)[2])

    def test_aliases_of_hosts(self) -> None:
        """A secure chain is a secure alias; a secure CNAME into an unsigned zone is found by asking for
        it."""
        zone = "d.test MX 1 mx.alias\nmx.alias CNAME real.other\nreal.other A 192.0.2.1"
        for secure, expected, asked in (
            ([], (False, False), 1),
            (["alias"], (False, True), 1),
            (["other"], (False, False), 1),
            (["alias", "other"], (True, True), 0),
        ):
            resolver = FakeResolver(zone, secure=secure)
            route = self.route(resolver)
            mx = route.hosts[0]
            self.assertEqual((mx.name, mx.expanded), ("mx.alias", "real.other"))
            self.assertEqual((mx.address_secure, mx.alias_secure), expected, secure)
            self.assertEqual(resolver.count("mx.alias", "CNAME"), asked, secure)

    def test_alias_unknown(self) -> None:
        """If it can't be told whether the alias is signed the host isn't used as if it weren't."""
        resolver = FakeResolver("d.test MX 1 mx.alias\nmx.alias CNAME real.other\nreal.other A 192.0.2.1")
        resolver.fail("mx.alias", "CNAME", FailureKind.TIMEOUT)
        error = self.refused(resolver)
        self.assertIn("DNS Timeout looking up mx.alias (CNAME)", error.text)


class LiteralTests(RoutingCase):
    """Address literals (RFC 5321 §4.1.3)."""

    def test_grammar(self) -> None:
        """IPv4 stands bare, IPv6 behind its tag."""
        for text, expected in (
            ("[192.0.2.1]", "192.0.2.1"),
            ("[IPv6:2001:db8::1]", "2001:db8::1"),
            ("[ipv6:2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]", None),
            ("[IPv6:192.0.2.1]", None),
            ("[192.0.2.1", None),
            ("192.0.2.1", None),
            ("[mx.test]", None),
            ("[]", None),
        ):
            address = parse_literal(text)
            self.assertEqual(str(address) if address else None, expected, text)

    def test_route(self) -> None:
        """A literal is a route of one host, without a question to the DNS."""
        resolver = FakeResolver()
        route = self.route(resolver, domain="[192.0.2.1]")
        self.assertIs(route.kind, RouteKind.ADDRESS_LITERAL)
        self.assertEqual(route.hosts[0].addresses, (ip_address("192.0.2.1"),))
        self.assertEqual((route.secure, resolver.questions), (False, []))

    def test_refusals(self) -> None:
        """What isn't a literal, what is ourselves, and what the profile rules out."""
        table: list[tuple[str, IPPreference, str]] = [
            ("[mx.test]", IPPreference.IPV6_PREFERRED, "5.1.2"),
            ("[127.0.0.1]", IPPreference.IPV6_PREFERRED, "5.4.6"),
            ("[203.0.113.1]", IPPreference.IPV6_PREFERRED, "5.4.6"),
            ("[192.0.2.1]", IPPreference.IPV6_REQUIRED, "4.4.4"),
            ("[IPv6:2001:db8::1]", IPPreference.IPV4_REQUIRED, "4.4.4"),
        ]
        for domain, preference, enhanced in table:
            self.assertEqual(self.refused("", domain=domain, preference=preference).enhanced, enhanced)
