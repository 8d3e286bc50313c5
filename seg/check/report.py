"""What a check saw: frozen values, nothing formatted yet."""

from __future__ import annotations

import enum

import attrs
from cryptography import x509

from seg.config.destinations import Profile
from seg.mail.errors import DeliveryError
from seg.mail.hosts import MXHost, Route
from seg.mail.outcome import Outcome
from seg.policy.judge import Verdict
from seg.policy.mtasts.inspection import STSInspection
from seg.policy.requirement import Decision
from seg.tls.names import UNREADABLE, issuer_of, names_of, subject_of
from seg.tls.peer import PeerCertificates, SessionFacts


@attrs.frozen
class CertificateFacts:
    """The server's own certificate, for people."""

    subject: str
    issuer: str
    names: tuple[str, ...]  # dNSName entries
    not_before: str  # ISO 8601
    not_after: str
    chain: int  # certificates presented


def certificate_of(peer: PeerCertificates) -> CertificateFacts | None:
    """What stands in the leaf; None when there is none, or it can't be read. Never raises."""
    if not peer.chain:
        return None
    leaf: x509.Certificate = peer.chain[0]
    try:
        dates = (leaf.not_valid_before_utc.isoformat(), leaf.not_valid_after_utc.isoformat())
    except UNREADABLE:
        return None
    return CertificateFacts(subject_of(leaf), issuer_of(leaf), names_of(leaf), *dates, len(peer.chain))


class NoSession(enum.Enum):
    """Why no session came about that could be judged."""

    UNREACHABLE = "unreachable"  # no connection, or no word on it
    LOCAL = "local"  # a fault of this system
    AUTH = "auth"  # the route's AUTH profile doesn't do
    TLS = "tls"  # the handshake fails
    REFUSED = "refused"  # the host answers, and has no use for us


@attrs.frozen
class AddressReport:
    """One address of a host: a session that would do (`verdict.ok`), one that wouldn't, or none (`error` alone)."""

    address: str
    port: int
    decision: Decision  # the one that this session was held against (a fall-through decides anew)
    interface: str = ""  # our end of the connection; "" = never connected
    facts: SessionFacts = attrs.field(factory=SessionFacts)
    verdict: Verdict | None = None  # None: the session never came so far
    error: str = ""
    cause: NoSession = NoSession.UNREACHABLE  # of the error, where there is no verdict
    given_up: Verdict | None = None  # what failed first and was given up (dane_opportunistic_failure = "fall-through")

    @property
    def good(self) -> bool:
        """Whether mail would go over this session."""
        return self.verdict is not None and self.verdict.ok and not self.error


@attrs.frozen
class HostReport:
    """One MX host: what was decided for it, and what its addresses showed."""

    host: MXHost
    decision: Decision
    addresses: tuple[AddressReport, ...] = ()

    @property
    def tried(self) -> AddressReport | None:
        """The address that says most: a good one, else the last one that was judged, else the last one."""
        judged = [address for address in self.addresses if address.verdict is not None]
        good = [address for address in judged if address.good]
        return next(iter(good or judged[::-1] or self.addresses[::-1]), None)


@attrs.frozen
class CheckReport:
    """Everything that a dry run saw."""

    domain: str
    profile: Profile  # in force
    route: Route | None  # None: see `error`
    error: DeliveryError | None  # why there is no route
    hosts: tuple[HostReport, ...]
    outcome: Outcome  # of a message now; `Delivered` with the verdict in words
    host: str = ""  # that would take it
    sts: STSInspection | None = None  # of a check of MTA-STS
    not_applied: tuple[str, ...] = ()  # of a check of one policy: why deliveries don't go by it

    @property
    def taken(self) -> AddressReport | None:
        """The session over which a message would go, None when none would."""
        return next((host.tried for host in self.hosts if host.host.name == self.host), None)
