"""DANE as a policy provider: TLSA records for one MX host, and what follows from them (RFC 7672 §2.2)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from zope.interface import implementer

from seg.config.destinations import DANEFailure, DANEMode
from seg.config.schema import UntrustedFallback
from seg.dns.answer import DNSAnswer, DNSFailure, FailureKind
from seg.dns.interfaces import IResolver
from seg.events.base import IEventSink
from seg.events.policy import DANEMX, DANEAddress, DANERecord, DANETried, DANEWeakened
from seg.mail.causes import CauseKind
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost, RouteKind
from seg.policy.dane.authenticator import DANEAuthenticator
from seg.policy.dane.memory import SeenDANE
from seg.policy.dane.tlsa import sort_out, strongest
from seg.policy.interfaces import IHostPolicy, IPublishedPolicyProvider
from seg.policy.requirement import (
    Answer,
    Decide,
    DomainQuestion,
    NoOpinion,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
)
from seg.policy.sources import DANE

NAME = DANE
UNVALIDATED = "resolver doesn't validate"
AWAY = "DANE can't be judged: the trusted resolvers are away"
KNOWN = "TLSA records were secure within their TTL"


def tlsa_bases(host: MXHost) -> tuple[str, ...]:
    """The TLSA base domains of a host in the order to be asked (RFC 7672 §2.2.2, §2.2.3); () = not asked.

    A host that is a CNAME has the expanded name as its first base, if all of the expansion is secure; the
    name itself is one as long as its own CNAME record is secure, even where the addresses behind it aren't.
    Below an insecure MX that exception isn't made.
    """
    aliased = bool(host.expanded) and host.expanded != host.name
    if not aliased:
        return (host.name,) if host.address_secure else ()
    if not host.alias_secure:
        return ()
    if host.address_secure:
        return (host.expanded, host.name)
    return (host.name,) if host.mx_secure else ()


def reference_names(question: DomainQuestion, host: MXHost, base: str) -> tuple[str, ...]:
    """The names of whom DANE-TA wants one in the certificate (RFC 7672 §3.2.2): base, host, and the domain
    itself.

    A domain that is a secure CNAME counts by both its names.
    """
    names = [base, host.name, question.domain]
    if question.route.secure and question.route.canonical:
        names.append(question.route.canonical)
    return tuple(dict.fromkeys(names))


@implementer(IHostPolicy)
class DANEPolicy:
    """DANE's view of one domain in one attempt."""

    def __init__(
        self,
        question: DomainQuestion,
        resolver: IResolver,
        sink: IEventSink,
        validates: Callable[[], bool],
        seen: SeenDANE,
        fallback: UntrustedFallback,
    ) -> None:
        self._question = question
        self._seen = seen
        self._defers = fallback is UntrustedFallback.DEFER
        self._mode = question.profile.dane
        self._falls_through = (
            self._mode is DANEMode.OPPORTUNISTIC
            and question.profile.dane_opportunistic_failure is DANEFailure.FALL_THROUGH
            and not question.relaxation(NAME, published=True)  # nothing is enforced that could fall through
        )
        self._resolver = resolver
        self._sink = sink
        self._validates = validates
        self._told = False

    async def answer(self, host: MXHost) -> Answer:
        """What the TLSA records of this host demand; a failure of their lookup is a `TempFail`."""
        if self._mode is DANEMode.NONE:
            return NoOpinion("switched off")
        if self._question.route.kind is RouteKind.SMTP_ROUTE:
            return NoOpinion("SMTP route")
        self._tell(host)
        if self._question.route.kind is RouteKind.ADDRESS_LITERAL:
            return self._no_dane("address literal")
        if not self._validates():
            return self._insecure(host, UNVALIDATED, CauseKind.RESOLVER_NOT_VALIDATING)
        if not host.mx_secure and self._seen.knows(self._question.domain):
            # Whoever forges the MX answer can name a signed host of his own.
            return self._insecure(host, "insecure MX")
        mandatory_fails = self._mode is DANEMode.MANDATORY and not host.mx_secure
        bases = () if mandatory_fails else tlsa_bases(host)
        if not bases:
            return await self._without_bases(host)
        return await self._look_up(host, bases)

    async def _without_bases(self, host: MXHost) -> Answer:
        """The way to the host isn't secure, so that its records, if there are any, count for nothing."""
        reason = "insecure address" if host.mx_secure else "insecure MX"
        if host.substitute and self._defers and self._mode is not DANEMode.MANDATORY:
            shown = await self._shown(host)
            if shown is not None:
                return shown
        if host.mx_secure and not host.substitute:
            self._seen.forget(self._question.domain)  # its MX records name such a host, and that is certain
            return self._no_dane(reason)
        return self._insecure(host, reason)

    async def _shown(self, host: MXHost) -> TempFail | None:
        """A stand-in of the trusted resolvers can't show that anything is secure, but whether there are records at all."""
        for name in dict.fromkeys((host.expanded or host.name, host.name)):
            try:
                found = await self._resolver.query(f"_{host.port}._tcp.{name}", "TLSA")
            except DNSFailure as failure:
                return TempFail(f"{AWAY}; TLSA lookup failed: {failure.kind}", cause=CauseKind.RESOLVER_AWAY)
            except LocalFault as fault:
                return TempFail(f"{AWAY}; {fault.text}", cause=CauseKind.GATEWAY_FAULT)
            if found.found:
                return TempFail(AWAY, cause=CauseKind.RESOLVER_AWAY)
        return None

    async def _look_up(self, host: MXHost, bases: tuple[str, ...]) -> Answer:
        """Ask for the records of each base until there are secure ones."""
        reason, certain = "no TLSA", not host.substitute
        for base in bases:
            name = f"_{host.port}._tcp.{base}"
            try:
                found = await self._resolver.query(name, "TLSA")
            except DNSFailure as failure:
                return self._failed(host, name, failure)
            except LocalFault as fault:  # ours: no setting for failures of theirs weakens anything for it
                return TempFail(f"TLSA lookup failed: {fault.text}", cause=CauseKind.GATEWAY_FAULT)
            self._tell_records(host, name, found)
            if found.found and found.secure:
                return self._conclude(host, base, found)
            if found.found:
                reason = "insecure TLSA"
            if found.substitute and self._defers:
                return TempFail(
                    AWAY, cause=CauseKind.RESOLVER_AWAY
                )  # below a secure address only a denial that was validated counts (RFC 7672 §2.1.2)
            certain = certain and found.secure
        if not certain:
            return self._insecure(host, reason)
        self._seen.forget(host.name)
        if host.mx_secure:
            self._seen.forget(self._question.domain)
        return self._no_dane(reason)

    def _insecure(self, host: MXHost, reason: str, cause: CauseKind | None = None) -> Answer:
        """Nothing shows that there is DANE; but what was seen to have it lately hasn't lost it because nobody validates any more."""
        known = self._seen.knows(self._question.domain) or self._seen.knows(host.name)
        if known and self._defers and self._mode is not DANEMode.MANDATORY:
            return TempFail(f"{KNOWN}, now {reason}", cause=CauseKind.DANE_LOST)
        return self._no_dane(reason, cause)

    def _conclude(self, host: MXHost, base: str, found: DNSAnswer) -> Answer:
        """Secure records are there: TLS is a must, and the usable ones authenticate."""
        self._seen.note(host.name, found)
        if host.mx_secure:
            self._seen.note(self._question.domain, found)
        records = sort_out(found.records)
        must = Requirement(TLSLevel.MUST, sni=base, source=NAME)
        if not records.usable:
            if self._mode is DANEMode.MANDATORY:
                return self._no_dane("no usable TLSA")
            # RFC 7672 §2.2: unusable records still say that there is TLS.
            return Raise(must, f"unusable({len(records.faults)} TLSA)", self._falls_through)
        usable = strongest(records.usable)
        names = reference_names(self._question, host, base)
        authenticator = DANEAuthenticator(usable, base, names, verifies=host.mx_secure)
        requirement = attrs.evolve(must, authenticators=(authenticator,))
        labels = ", ".join(dict.fromkeys(record.label for record in usable))
        if host.mx_secure:
            return Decide(requirement, f"secure({labels})", self._falls_through)
        # Whoever forges the MX answer can name a signed host of his own: MTA-STS has to hold as well.
        return Raise(requirement, f"trusted({labels}, insecure MX)", self._falls_through)

    def _no_dane(self, reason: str, cause: CauseKind | None = None) -> Answer:
        if self._mode is DANEMode.MANDATORY:
            return Refuse(f"DANE is mandatory: {reason}", cause=cause or CauseKind.DANE_UNUSABLE)
        return NoOpinion(reason, cause)

    def _failed(self, host: MXHost, name: str, failure: DNSFailure) -> Answer:
        """RFC 7672 §2.1.2: nothing may be concluded from a lookup that fails; the host has to wait."""
        reason = f"TLSA lookup failed: {failure.kind} for {name}"
        if self._sink.debug:
            status = "BOGUS" if failure.kind is FailureKind.BOGUS else "INDETERMINATE"
            self._sink.emit(DANERecord(self._question.domain, host.name, status, failure.text))
        if self._falls_through:
            self._sink.emit(DANEWeakened(self._question.domain, host.name, reason))
            return NoOpinion(f"{reason}, fall-through", CauseKind.TLSA_LOOKUP_FAILED)
        return TempFail(reason, cause=CauseKind.TLSA_LOOKUP_FAILED)

    def _tell(self, host: MXHost) -> None:
        """What is known of the host before any lookup of ours, for the debug log."""
        if not self._sink.debug:
            return
        domain = self._question.domain
        if not self._told:
            self._told = True
            self._sink.emit(DANETried(domain, self._mode.name))
        self._sink.emit(DANEMX(domain, host.name, _status(host.mx_secure)))
        for address in host.addresses:
            self._sink.emit(DANEAddress(domain, host.name, str(address), _status(host.address_secure)))

    def _tell_records(self, host: MXHost, name: str, found: DNSAnswer) -> None:
        if not self._sink.debug:
            return
        sorted_out = sort_out(found.records)
        texts = (*map(str, sorted_out.usable), *sorted_out.faults) or (found.status.value,)
        text = f"{name}: " + "; ".join(texts[:10])
        self._sink.emit(DANERecord(self._question.domain, host.name, _status(found.secure), text))


def _status(secure: bool) -> str:
    return "SECURE" if secure else "INSECURE"


@implementer(IPublishedPolicyProvider)
class DANEProvider:
    """Asked first: DANE takes precedence over MTA-STS (RFC 8461 §2).

    :param validates: whether the resolver is known to validate; as long as it doesn't, everything
        counts as insecure.
    :param seen: what is known to have DANE; it outlives a reload.
    :param fallback: what becomes of that while nobody validates.
    """

    name = NAME

    def __init__(
        self,
        resolver: IResolver,
        sink: IEventSink,
        validates: Callable[[], bool],
        seen: SeenDANE,
        fallback: UntrustedFallback = UntrustedFallback.DEFER,
    ) -> None:
        self._resolver = resolver
        self._sink = sink
        self._validates = validates
        self._seen = seen
        self._fallback = fallback

    def open(self, question: DomainQuestion) -> DANEPolicy:
        """Begin an attempt for a domain."""
        return DANEPolicy(question, self._resolver, self._sink, self._validates, self._seen, self._fallback)
