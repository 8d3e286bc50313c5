"""What a reply says about the question: records, a denial, an alias to follow, or nothing usable. Pure."""

from __future__ import annotations

import attrs
import dns.edns
import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdata import Rdata

from seg.dns.answer import AnswerStatus, FailureKind
from seg.dns.wire import Labels, MalformedReply, WireRecord, WireReply, labels_of, negative_ttl, read_data

# RFC 8914 §4: with SERVFAIL these say that validation failed, not that the server did.
BOGUS_ERRORS = frozenset(
    {
        dns.edns.EDECode.DNSSEC_INDETERMINATE,
        dns.edns.EDECode.DNSSEC_BOGUS,
        dns.edns.EDECode.SIGNATURE_EXPIRED,
        dns.edns.EDECode.SIGNATURE_NOT_YET_VALID,
        dns.edns.EDECode.DNSKEY_MISSING,
        dns.edns.EDECode.RRSIGS_MISSING,
        dns.edns.EDECode.NO_ZONE_KEY_BIT_SET,
        dns.edns.EDECode.NSEC_MISSING,
        dns.edns.EDECode.SIGNATURE_EXPIRED_BEFORE_VALID,
        dns.edns.EDECode.UNSUPPORTED_NSEC3_ITERATIONS_VALUE,
    }
)
_KINDS = {
    dns.rcode.REFUSED: FailureKind.REFUSED,
    dns.rcode.NOTIMP: FailureKind.NOTIMP,
    dns.rcode.FORMERR: FailureKind.MALFORMED,
}
MAX_CHAIN = 16  # aliases within one reply
MAX_TTL = 0x7FFFFFFF  # RFC 2181 §8
_IGNORED = frozenset({dns.rdatatype.RRSIG, dns.rdatatype.DNAME})


class UnusableReply(Exception):
    """The reply answers nothing."""

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


@attrs.frozen
class ParsedReply:
    """A reply, understood."""

    status: AnswerStatus | None  # None: an alias whose target has to be asked for
    canonical: dns.name.Name
    records: tuple[Rdata, ...]
    ttl: float  # seconds: the least of the chain; for a denial also by its SOA, 0 without one
    authentic: bool  # the AD bit, as received
    size: int = 0  # octets of memory that the records take, about


def read_reply(reply: WireReply, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> ParsedReply:
    """Understand a reply to the question for `name` and `rdtype`.

    :raises UnusableReply: an error of the server, or a reply that contradicts itself.
    """
    if reply.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise _refusal(reply)
    try:
        return _Chain(reply, name, rdtype).reading()
    except MalformedReply as error:
        raise UnusableReply(FailureKind.MALFORMED, str(error)) from None


class _Chain:
    """The records of a reply, followed from the name asked for to where its aliases end."""

    def __init__(self, reply: WireReply, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> None:
        self._reply = reply
        self._rdtype = rdtype
        self._sets: dict[tuple[Labels, int], list[WireRecord]] = {}
        for record in reply.answer:
            self._sets.setdefault((record.owner, record.type), []).append(record)
        self._canonical = name
        self._owner = labels_of(name)
        self._ttl = MAX_TTL
        self._aliases = 0

    def reading(self) -> ParsedReply:
        """What it comes to."""
        reply = self._reply
        found, size = self._follow()
        authentic = bool(reply.flags & dns.flags.AD)
        if found:
            if reply.rcode == dns.rcode.NXDOMAIN:
                raise MalformedReply("records of a name that doesn't exist")
            return ParsedReply(AnswerStatus.FOUND, self._canonical, found, float(self._ttl), authentic, size)
        if not self._aliases and any(record.type not in _IGNORED for record in reply.answer):
            raise MalformedReply("records of another name or type")
        status, ttl = self._denial()
        return ParsedReply(status, self._canonical, (), float(ttl), authentic)

    def _follow(self) -> tuple[tuple[Rdata, ...], int]:
        """The records of the type asked for, if there are any at the end of the aliases, and their octets in memory."""
        while True:
            records = self._sets.get((self._owner, self._rdtype))
            if records:
                self._ttl = min(self._ttl, *(record.ttl for record in records))
                return read_data(self._reply, records, self._rdtype)
            aliases = self._sets.get((self._owner, dns.rdatatype.CNAME))
            if not aliases:
                return (), 0
            if self._aliases == MAX_CHAIN:
                raise MalformedReply("CNAME loop, or a chain that is too long")
            self._aliases += 1
            self._ttl = min(self._ttl, *(record.ttl for record in aliases))
            (alias,), _ = read_data(self._reply, aliases[:1], dns.rdatatype.CNAME)
            self._canonical = alias.target  # type: ignore[attr-defined]
            self._owner = labels_of(self._canonical)

    def _denial(self) -> tuple[AnswerStatus | None, int]:
        """What it means that there are none, and how long that may be kept."""
        authority = self._reply.authority
        zones = {record.owner: record for record in authority if record.type == dns.rdatatype.SOA}
        # A SOA of a zone that holds the name proves the denial to be one (RFC 2308 §2).
        above = (self._owner[cut:] for cut in range(len(self._owner) + 1)) if zones else ()
        proof = next((zones[owner] for owner in above if owner in zones), None)
        if self._reply.rcode == dns.rcode.NXDOMAIN:
            status: AnswerStatus | None = AnswerStatus.NO_NAME
        elif self._aliases and proof is None:
            return None, self._ttl
        elif proof is None and any(record.type == dns.rdatatype.NS for record in authority):
            # RFC 2308 §2.2: it only names other servers.
            raise UnusableReply(FailureKind.REFUSED, "a referral: this server doesn't resolve for us")
        else:
            status = AnswerStatus.NO_DATA
        # RFC 2308 §5: a denial without SOA isn't to be kept.
        return status, min(self._ttl, negative_ttl(self._reply, proof)) if proof is not None else 0


def _refusal(reply: WireReply) -> UnusableReply:
    detail = "; ".join(error.to_text() for error in reply.errors)
    if reply.rcode == dns.rcode.SERVFAIL:
        bogus = any(error.code in BOGUS_ERRORS for error in reply.errors)
        return UnusableReply(FailureKind.BOGUS if bogus else FailureKind.SERVFAIL, detail)
    if reply.rcode in _KINDS:
        return UnusableReply(_KINDS[reply.rcode], detail)
    return UnusableReply(FailureKind.SERVFAIL, detail or dns.rcode.to_text(reply.rcode))
