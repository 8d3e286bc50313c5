"""Reports made to order, as a rehearsal would write them."""

from __future__ import annotations

import datetime
from ipaddress import ip_address
from typing import Any

import attrs

from seg.check.report import AddressReport, CheckReport, HostReport
from seg.config.destinations import Profile
from seg.mail.errors import Permanent, Temporary
from seg.mail.hosts import MXHost, Route, RouteKind
from seg.mail.outcome import Bounced, Delayed, Delivered, Outcome
from seg.policy.chain import fold, render
from seg.policy.judge import judge
from seg.policy.requirement import Answer, Decision, ProviderAnswer
from seg.tls.peer import PeerCertificates, SessionFacts, Trust
from seg.tls.roots import RootStore
from tests.certificates import NOW, Authority, Issued

ROOT = Authority.root()
TRUST = Trust(RootStore((ROOT.certificate,)), NOW)
DOMAIN = "example.com"
HOST = MXHost(
    "mx.example.com", 10, (ip_address("192.0.2.1"),), 25, mx_secure=True, address_secure=True, expanded="mx.example.com"
)
ROUTE = Route(DOMAIN, RouteKind.MX, (HOST,), secure=True, canonical=DOMAIN)
CLEAR = SessionFacts()


def decided(host: MXHost = HOST, **answers: Answer) -> Decision:
    """The decision that comes of answers by provider (``mta_sts`` for mta-sts)."""
    opinions = [ProviderAnswer(name.replace("_", "-"), answer, render(answer)) for name, answer in answers.items()]
    return fold(DOMAIN, host.name, opinions)


def facts(leaf: Issued, **changes: Any) -> SessionFacts:
    """A session in which a host showed this chain."""
    peer = PeerCertificates(leaf.chain)
    good = SessionFacts(True, "TLSv1.3", "TLS_AES_256_GCM_SHA384", HOST.name, peer, starttls_offered=True)
    return attrs.evolve(good, **changes)


def tried(
    decision: Decision, shown: SessionFacts | None, now: datetime.datetime = NOW, error: str = ""
) -> AddressReport:
    """One address: judged by what it showed, or never reached (None)."""
    if shown is None:
        return AddressReport("192.0.2.1", 25, decision, error=error or "No answer from host")
    verdict = judge(decision, shown, attrs.evolve(TRUST, now=now))
    return AddressReport("192.0.2.1", 25, decision, "192.0.2.99", shown, verdict, "" if verdict.ok else verdict.summary)


def report(*hosts: HostReport, **parts: Any) -> CheckReport:
    """All of it; the outcome is that of the first good session unless it is given."""
    outcome: Outcome = Delayed(Temporary("4.7.5", "no host would do"))
    name = ""
    for host in hosts:
        seen = host.tried
        if seen is not None and seen.good and seen.verdict is not None and not name:
            name, outcome = host.host.name, Delivered(0, seen.verdict.reason)
    whole = {"profile": Profile(), "route": ROUTE, "error": None, "outcome": outcome, "host": name, **parts}
    return CheckReport(DOMAIN, hosts=hosts, **whole)


def no_route(error: Permanent | Temporary) -> CheckReport:
    """The domain has no route."""
    outcome: Outcome = Bounced(error) if isinstance(error, Permanent) else Delayed(error)
    return report(route=None, error=error, outcome=outcome)


def host(decision: Decision, *seen: AddressReport) -> HostReport:
    """One host."""
    return HostReport(HOST, decision, seen)
