"""A rehearsal is an attempt that sends nothing, and looks at every host."""

from __future__ import annotations

import re
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.check.applied import not_applied
from seg.check.checks import (
    LONGEST,
    MOST,
    CheckError,
    CheckKind,
    CheckRequest,
    Checks,
    CheckServices,
    TooManyChecks,
    parse_domain,
)
from seg.check.document import demands
from seg.check.dry_run import EmptyContent, NoIds, NoTransmit
from seg.check.recorder import DryRunRecorder
from seg.cli.check_explain import explain_lines
from seg.cli.check_text import dane_lines, sts_lines, tls_lines
from seg.common.json_schema import plain
from seg.config.destinations import DANEMode, Destinations, Exemption, Profile, SMTPRoute, STSMode, TLSOption
from seg.config.schema import Delivery
from seg.deliver.connection_errors import AuthenticationError, HandshakeFailed, Unreachable
from seg.deliver.observer import IAttemptObserver
from seg.deliver.plan import AttemptPlan
from seg.deliver.policy_violation import PolicyViolation
from seg.deliver.pool import PoolKey
from seg.deliver.transmit import ITransmit
from seg.deliver.verified_connection import VerifiedConnection
from seg.events.base import IEventSink
from seg.events.delivery import DeliveryConnected, DeliveryConnectFailed
from seg.mail.causes import CauseKind
from seg.mail.errors import LocalFault, Permanent, Temporary
from seg.mail.hosts import IPAddress, MXHost, Route
from seg.mail.ids import IMessageIds
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.tlsa import TLSARecord
from seg.policy.judge import judge
from seg.policy.mtasts.inspection import STSInspection
from seg.policy.requirement import Decide, Decision, NoOpinion, Refuse, Requirement, TLSLevel
from seg.policy.static import StaticProvider
from seg.queue.interfaces import IContent
from seg.tls.peer import SessionFacts
from seg.tls.webpki import WebPKI
from tests.check.reports import DOMAIN, HOST, ROOT, ROUTE, TRUST, facts
from tests.dns_double import FakeResolver
from tests.doubles import RecordingSink
from tests.policy.doubles import FixedProvider

SECOND = attrs.evolve(HOST, name="mx2.example.com", preference=20, expanded="mx2.example.com")


class FakeSender:
    """A connection."""

    def __init__(self, shown: SessionFacts) -> None:
        self.facts = shown
        self.left = False

    def quit_soon(self) -> None:
        """Leave."""
        self.left = True


class FakeSessions:
    """What each host shows: facts, or an exception; keeps the decisions."""

    def __init__(self, notebook: IEventSink, shows: dict[str, Any]) -> None:
        self._notebook = notebook
        self._shows = shows
        self.decisions: list[Decision] = []
        self.outgoing: list[Any] = []
        self.senders: list[FakeSender] = []

    async def open(
        self, decision: Decision, host: MXHost, address: IPAddress, outgoing: object = None, progress: object = None
    ) -> VerifiedConnection:
        """As `seg.deliver.connections.ConnectionOpener.open`."""
        self.decisions.append(decision)
        self.outgoing.append(outgoing)
        shown = self._shows[host.name]
        if isinstance(shown, Deferred):
            await shown
        if isinstance(shown, Exception):
            raise shown
        self._notebook.emit(DeliveryConnected(0, "192.0.2.99", str(address), host.port))
        verdict = judge(decision, shown, TRUST)
        if not verdict.ok:
            raise PolicyViolation(decision, verdict, shown)
        sender = FakeSender(shown)
        self.senders.append(sender)
        return VerifiedConnection(sender, verdict, PoolKey(address, host.port))  # type: ignore[arg-type]


class FakeRouter:
    """One route, or an error; keeps the destinations that it was made with."""

    def __init__(self, found: Route | Exception) -> None:
        self.found = found

    async def route(self, domain: str, via: str = "") -> Route:
        """It."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class FakePolicies:
    """Has seen nothing."""

    async def look(self, domain: str) -> STSInspection:
        """Nothing."""
        return STSInspection(record_error="ServFail", record_failed=True)


class ChecksCase(SynchronousTestCase):
    """Checks over fakes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1748779200)
        self.sink = RecordingSink()
        self.found: Route | Exception = attrs.evolve(ROUTE, hosts=(HOST, SECOND))
        self.shows: dict[str, Any] = {
            HOST.name: facts(ROOT.leaf(HOST.name)),
            SECOND.name: facts(ROOT.leaf(SECOND.name)),
        }
        self.dane = FixedProvider("dane", NoOpinion("no TLSA"))
        self.sts = FixedProvider("mta-sts", NoOpinion("no policy"))
        self.destinations = Destinations()
        self.given: list[AttemptPlan] = []
        self.resolver = FakeResolver("other.example A 192.0.2.7")

    def checks(self) -> Checks:
        """The checks."""

        def router(plan: Any, notebook: IEventSink) -> FakeRouter:
            self.given.append(plan(DOMAIN))
            return FakeRouter(self.found)

        def sessions(notebook: IEventSink) -> FakeSessions:
            self.sessions = FakeSessions(notebook, self.shows)
            return self.sessions

        return Checks(
            CheckServices(
                resolver=self.resolver,
                providers=(self.dane, self.sts, StaticProvider()),
                policies=FakePolicies(),  # type: ignore[arg-type]
                destinations=lambda: self.destinations,
                router=router,  # type: ignore[arg-type]
                sessions=sessions,  # type: ignore[arg-type]
                sink=self.sink,
                settings=Delivery(max_hosts=5, max_addresses=10),
                clock=self.clock,
            )
        )

    def ask(self, kind: CheckKind = CheckKind.EXPLAIN, **parts: Any) -> dict[str, Any]:
        """The document."""
        asked = Deferred.fromCoroutine(self.checks().ask(CheckRequest(kind, DOMAIN, **parts)))
        return plain(self.successResultOf(asked))  # type: ignore[no-any-return] # an object


class RehearsalTests(ChecksCase):
    """What is looked at, and what is said of it."""

    def test_every_host(self) -> None:
        """The first good host would take the message; the others are looked at as well, and all connections end politely."""
        document = self.ask()
        self.assertEqual(document["result"], "pass")
        self.assertEqual((document["now"]["outcome"], document["now"]["host"]), ("delivered", HOST.name))
        self.assertEqual([host["name"] for host in document["hosts"]], [HOST.name, SECOND.name])
        self.assertTrue(all(sender.left for sender in self.sessions.senders))
        (seen,) = document["hosts"][0]["tried"]
        self.assertEqual((seen["interface"], seen["protocol"], seen["good"]), ("192.0.2.99", "TLSv1.3", True))
        self.assertEqual(seen["certificate"]["names"], [HOST.name])

    def test_limits(self) -> None:
        """The limits of a destination hold for its mail, and not for a look at its hosts."""
        self.destinations = Destinations(default=Profile(concurrent_connections=1, recipient_limit=1))
        self.assertEqual(self.ask()["result"], "pass")
        self.assertEqual([outgoing.connections for outgoing in self.sessions.outgoing], [0, 0])

    def test_next_host(self) -> None:
        """A host that can't be reached, and one that may not be used: the message goes where it would."""
        self.shows[HOST.name] = Temporary("4.4.1", "No answer from host mx.example.com")
        document = self.ask()
        self.assertEqual(document["now"]["host"], SECOND.name)
        self.assertEqual(document["hosts"][0]["tried"][0]["error"], "No answer from host mx.example.com")
        self.assertEqual(
            (document["hosts"][0]["tried"][0]["port"], document["hosts"][0]["tried"][0]["interface"]), (25, "")
        )
        self.sts = FixedProvider("mta-sts", lambda host: Refuse("MX not in policy", cause=CauseKind.MX_NOT_IN_POLICY))
        document = self.ask()
        self.assertEqual((document["result"], document["now"]["enhanced"]), ("fail", "4.7.5"))
        self.assertEqual([host["refusal"] for host in document["hosts"]], ["MX not in policy"] * 2)
        self.assertEqual(self.sessions.decisions, [])
        self.assertIn("not in its MTA-STS policy", document["advice"][0])

    def test_unsatisfied(self) -> None:
        """A session that won't do is shown with what the peer presented and every mismatch."""
        self.destinations = Destinations(default=Profile(tls=TLSOption.REQUIRED_VERIFY))
        document = self.ask()
        seen = document["hosts"][0]["tried"][0]
        self.assertEqual((document["result"], seen["good"]), ("fail", False))
        self.assertEqual(seen["verdict"]["summary"], "peer cert does not match domain example.com")
        self.assertEqual(seen["certificate"]["names"], [HOST.name])
        self.assertEqual(document["hosts"][0]["demands"][1], "certificate for example.com (static)")

    def test_nothing_demanded(self) -> None:
        """A host without STARTTLS: the line that says what failed names it, where nothing demands TLS, too."""
        self.shows[HOST.name] = self.shows[SECOND.name] = SessionFacts()
        lines = list(tls_lines(self.ask(CheckKind.TLS)))
        self.assertIn("Verification failed: STARTTLS isn't offered", lines)
        self.assertNotIn("Verification failed: ", lines)

    def test_no_session(self) -> None:
        """Why no session came about is seen from the kind of error: AUTH that was refused isn't a host that can't be reached."""
        local = Temporary("4.3.0", "too many open files")
        local.__cause__ = LocalFault("too many open files")
        for error, words in (
            (
                AuthenticationError("4.7.8", "AUTH profile provider (PLAIN) is refused: no"),
                "can't authenticate to it: AUTH profile provider",
            ),
            (Unreachable("4.4.1", "No answer from host"), "can't be reached"),
            (HandshakeFailed("4.7.5", "TLS handshake failed: timeout"), "TLS with it doesn't come about"),
            (
                Temporary("4.7.1", "greeting refused with 554", 0, ("5.7.1 listed",)),
                "doesn't let us in: greeting refused with 554 (5.7.1 listed)",
            ),
            (local, "This system can't open connections"),
        ):
            self.shows[HOST.name] = self.shows[SECOND.name] = error
            if error.remote:
                self.assertIn("(5.7.1 listed)", self.ask()["now"]["text"])
            document = self.ask()
            self.assertIn(words, document["advice"][0])

    def test_no_route(self) -> None:
        """Without a route there is nothing but the reason."""
        self.found = Permanent("5.1.10", "example.com accepts no mail (null MX)")
        document = self.ask()
        self.assertEqual((document["result"], document["now"]["outcome"], document["hosts"]), ("fail", "bounced", []))
        self.assertEqual((document["route"], document["error"]["enhanced"]), (None, "5.1.10"))

    def test_too_long(self) -> None:
        """A check ends within its time, with what it has."""
        self.shows[HOST.name] = Deferred()
        asked = Deferred.fromCoroutine(self.checks().ask(CheckRequest(CheckKind.EXPLAIN, DOMAIN)))
        self.clock.advance(LONGEST)
        document = plain(self.successResultOf(asked))
        self.assertEqual((document["result"], document["now"]["text"]), ("unknown", "not finished after 150 seconds"))


class QuestionTests(ChecksCase):
    """The kinds of checks, and their bounds."""

    def test_kinds(self) -> None:
        """DANE and MTA-STS are looked at whatever profile and routes say; a TLS check asks for the certificate besides."""
        self.destinations = Destinations(
            default=Profile(tls=TLSOption.NO, dane=DANEMode.NONE, mta_sts=STSMode.OFF),
            routes={"ALL": SMTPRoute("ALL")},
        )
        for kind, asked in (
            (CheckKind.DANE, ["dane"]),
            (CheckKind.STS, ["mta-sts"]),
            (CheckKind.TLS, ["certificate", "dane", "mta-sts", "static"]),
            (CheckKind.EXPLAIN, ["dane", "mta-sts", "static"]),
        ):
            document = self.ask(kind)
            self.assertEqual([opinion["provider"] for opinion in document["hosts"][0]["opinions"]], asked)
            apart = kind in (CheckKind.DANE, CheckKind.STS)
            profile = self.given[-1].profile
            self.assertEqual(profile.dane is DANEMode.MANDATORY, apart)
            self.assertEqual(profile.mta_sts is STSMode.ON, apart)
            self.assertEqual(self.given[-1].smtp_route is None, apart)
            self.assertEqual(document["mta_sts"] is not None, kind is CheckKind.STS)

    def test_not_applied(self) -> None:
        """A route, the profile, an exemption, or a provider that isn't asked: that deliveries don't go by the policy is said first."""
        exempt = Exemption(1780000000.0, "their certificate")
        for destinations, of_sts, of_dane in (
            (Destinations(), "", ""),
            (Destinations(routes={DOMAIN: SMTPRoute(DOMAIN)}), "so MTA-STS isn't applied", "so DANE isn't applied"),
            (
                Destinations(routes={"ALL": SMTPRoute("ALL", discard=True)}),
                'route "ALL" discards',
                'route "ALL" discards',
            ),
            (Destinations(Profile(mta_sts=STSMode.OFF)), 'mta_sts = "off"', ""),
            (Destinations(Profile(dane=DANEMode.NONE)), "", 'dane = "none"'),
            (Destinations(Profile(exemption=exempt)), "MTA-STS isn't enforced", "DANE isn't enforced"),
        ):
            self.destinations = destinations
            for kind, lines, wanted in ((CheckKind.STS, sts_lines, of_sts), (CheckKind.DANE, dane_lines, of_dane)):
                document = self.ask(kind)
                (first, *_) = lines(document)
                self.assertEqual(first.startswith("NOTE: "), bool(wanted), first)
                self.assertIn(wanted, first)
                self.assertEqual(len(document["hosts"]), 2)  # and it is looked at all the same
        self.assertIn("[delivery] providers", not_applied("dane", Destinations(), DOMAIN, ["static"])[0])

    def test_fall_through(self) -> None:
        """A DANE that fails and is given up, because the operator allows it, is told with all that didn't fit, by each check that goes on."""
        record = TLSARecord(3, 1, 1, b"\1" * 32)
        wish = Requirement(TLSLevel.MUST, authenticators=(DANEAuthenticator((record,), HOST.name, ()),), source="dane")
        self.dane = FixedProvider("dane", Decide(wish, "secure(3 1 1)", may_fall_through=True))
        document = self.ask()
        self.assertEqual((document["result"], document["now"]["outcome"]), ("pass", "delivered"))
        self.assertIn("although DANE failed (", document["now"]["text"])
        (seen,) = document["hosts"][0]["tried"]
        self.assertTrue(seen["good"])
        self.assertEqual(seen["given_up"]["policies"], ["dane"])
        text = "\n".join(explain_lines(document))
        for part in (
            "DANE failed, and was given up (fall-through)",
            *seen["given_up"]["mismatches"],
            'set it back to "defer"',
        ):
            self.assertIn(part, re.sub(r"\s+", " ", text))
        self.assertIn("given up (fall-through)", "\n".join(tls_lines(self.ask(CheckKind.TLS))))
        self.dane = FixedProvider("dane", NoOpinion("no TLSA"))
        self.assertIsNone(self.ask()["hosts"][0]["tried"][0]["given_up"])

    def test_one_host(self) -> None:
        """A host may be named: an MX with its own facts, any other as if an insecure MX had named it, or an address."""
        document = self.ask(host="MX2.example.com", port=2525)
        (host,) = document["hosts"]
        self.assertEqual(
            (host["name"], host["port"], host["preference"], host["mx_secure"]), ("mx2.example.com", 2525, 20, True)
        )
        self.shows["other.example"] = self.shows["192.0.2.8"] = facts(ROOT.leaf("other.example"))
        for name, port in (("other.example", 25), ("192.0.2.8", 25), ("[192.0.2.8]", 25)):
            (host,) = self.ask(host=name)["hosts"]
            self.assertEqual((host["name"], host["port"], host["mx_secure"]), (name.strip("[]"), port, False))
        document = self.ask(host="nowhere.example")
        self.assertEqual((document["result"], document["error"]["enhanced"]), ("unknown", "4.4.3"))

    def test_given_destinations(self) -> None:
        """A file of the operator's takes the place of the destinations in force."""
        given = Destinations(default=Profile("Default", tls=TLSOption.REQUIRED))
        self.assertEqual(self.ask(destinations=given)["profile"]["tls"], "required")
        self.assertEqual(self.ask()["profile"]["tls"], "preferred")

    def test_most(self) -> None:
        """So many at a time, and no more; afterwards there is room again."""
        self.shows[HOST.name] = Deferred()
        checks = self.checks()
        question = CheckRequest(CheckKind.EXPLAIN, DOMAIN)
        running = [Deferred.fromCoroutine(checks.ask(question)) for _ in range(MOST)]
        self.failureResultOf(Deferred.fromCoroutine(checks.ask(question)), TooManyChecks)
        self.shows[HOST.name].callback(None)
        self.shows[HOST.name] = Temporary("4.4.1", "x")
        for check in running:
            check.addErrback(lambda _: None)
        self.successResultOf(Deferred.fromCoroutine(checks.ask(question)))

    def test_domains(self) -> None:
        """A domain in any spelling, or an address literal; everything else is refused in words."""
        for text, wanted in (
            (" Example.COM. ", "example.com"),
            ("bob@bücher.example", "xn--bcher-kva.example"),
            ("[192.0.2.1]", "[192.0.2.1]"),
        ):
            self.assertEqual(parse_domain(text), wanted)
        for text in ("", "a b", "192.0.2.1", "[1.2.3]", "a..b", "x" * 300, "-a.example", "a\nb"):
            self.assertRaises(CheckError, parse_domain, text)

    def test_demands(self) -> None:
        """A requirement in words."""
        record = TLSARecord(3, 1, 1, b"\1" * 32)

        class Own:
            source = "acme"

        both = Requirement(
            TLSLevel.MUST,
            authenticators=(
                WebPKI(("a.example", "b.example"), "static"),
                DANEAuthenticator((record,), "a.example", ()),
                Own(),  # type: ignore[arg-type]
            ),
        )
        self.assertEqual(
            demands(both),
            [
                "TLS, TLSv1.2 or newer",
                "certificate for a.example or b.example (static)",
                "certificate that matches TLSA 3 1 1 of a.example (dane)",
                "what acme wants",
            ],
        )
        self.assertEqual(demands(Requirement(TLSLevel.NEVER)), ["clear text"])


class SeamTests(SynchronousTestCase):
    """The small parts."""

    def test_interfaces(self) -> None:
        """They are what they are taken for."""
        verifyObject(IEventSink, DryRunRecorder())
        verifyObject(IAttemptObserver, DryRunRecorder())
        verifyObject(ITransmit, NoTransmit())
        verifyObject(IMessageIds, NoIds())
        verifyObject(IContent, EmptyContent())
        self.assertEqual((NoIds().next_mid(), NoIds().next_icid(), NoIds().next_dcid()), (0, 0, 0))
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(EmptyContent().head(5))), b"")

    def test_notebook(self) -> None:
        """The end of the last connection that came about."""
        notebook = DryRunRecorder()
        notebook.emit(DeliveryConnected(0, "192.0.2.99", "192.0.2.1", 25))
        self.assertEqual(notebook.interface, "192.0.2.99")
        notebook.emit(DeliveryConnectFailed("a", "b", "192.0.2.1", 25, "x"))
        self.assertEqual(notebook.interface, "")
