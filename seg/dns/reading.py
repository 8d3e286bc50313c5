"""What a reply says about the question: records, a denial, an alias to follow, or nothing usable. Pure."""

from __future__ import annotations

import attrs
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdata import Rdata

from seg.dns.answer import FailureKind, Status

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
_IGNORED = frozenset({dns.rdatatype.RRSIG, dns.rdatatype.DNAME})


class UnusableReply(Exception):
    """The reply answers nothing."""

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


@attrs.frozen
class Reading:
    """A reply, understood."""

    status: Status | None  # None: an alias whose target has to be asked for
    canonical: dns.name.Name
    records: tuple[Rdata, ...]
    ttl: float  # seconds: the least of the chain; for a denial also by its SOA, 0 without one
    authentic: bool  # the AD bit, as received


def read_reply(reply: dns.message.Message) -> Reading:
    """Understand a reply that fits its question.

    :raises UnusableReply: an error of the server, or a reply that contradicts itself.
    """
    rcode = reply.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise _refusal(reply, rcode)
    if not isinstance(reply, dns.message.QueryMessage):
        raise UnusableReply(FailureKind.MALFORMED, "not a reply to a query")
    try:
        chain = reply.resolve_chaining()
    except dns.message.ChainTooLong:
        raise UnusableReply(FailureKind.MALFORMED, "CNAME loop, or a chain that is too long") from None
    except dns.exception.DNSException as e:
        raise UnusableReply(FailureKind.MALFORMED, type(e).__name__) from e
    canonical, authentic = chain.canonical_name, bool(reply.flags & dns.flags.AD)
    if chain.answer is not None:
        return Reading(Status.FOUND, canonical, tuple(chain.answer), float(chain.minimum_ttl), authentic)
    if not chain.cnames and any(rrset.rdtype not in _IGNORED for rrset in reply.answer):
        raise UnusableReply(FailureKind.MALFORMED, "records of another name or type")
    denied, referred = _start_of_authority(reply, canonical), _refers(reply)
    if rcode == dns.rcode.NXDOMAIN:
        status: Status | None = Status.NO_NAME
    elif chain.cnames and not denied:
        status = None
    elif referred and not denied:
        raise UnusableReply(FailureKind.REFUSED, "a referral: this server doesn't resolve for us")
    else:
        status = Status.NO_DATA
    # RFC 2308 §5: a denial without SOA isn't to be kept.
    ttl = float(chain.minimum_ttl) if denied or status is None else 0.0
    return Reading(status, canonical, (), ttl, authentic)


def _refusal(reply: dns.message.Message, rcode: dns.rcode.Rcode) -> UnusableReply:
    errors = reply.extended_errors()
    detail = "; ".join(error.to_text() for error in errors)
    if rcode == dns.rcode.SERVFAIL:
        bogus = any(error.code in BOGUS_ERRORS for error in errors)
        return UnusableReply(FailureKind.BOGUS if bogus else FailureKind.SERVFAIL, detail)
    if rcode in _KINDS:
        return UnusableReply(_KINDS[rcode], detail)
    return UnusableReply(FailureKind.SERVFAIL, detail or dns.rcode.to_text(rcode))


def _start_of_authority(reply: dns.message.Message, name: dns.name.Name) -> bool:
    """Whether a SOA of a zone that holds `name` proves the denial to be one (RFC 2308 §2)."""
    return any(rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name) for rrset in reply.authority)


def _refers(reply: dns.message.Message) -> bool:
    """Whether the reply only names other servers (RFC 2308 §2.2, referral response)."""
    return any(rrset.rdtype == dns.rdatatype.NS for rrset in reply.authority)
