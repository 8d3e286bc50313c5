"""An answer of the DNS and how far it can be believed, or the failure to get one."""

from __future__ import annotations

import enum

import attrs
from dns.rdata import Rdata

from seg.mail.causes import CauseKind
from seg.mail.errors import Temporary


class AnswerStatus(enum.Enum):
    """What an answer says about the question."""

    FOUND = "found"
    NO_DATA = "no data"  # the name exists, this type doesn't (RFC 2308 §2.2)
    NO_NAME = "no such name"  # NXDOMAIN (RFC 2308 §2.1)


@attrs.frozen
class DNSAnswer:
    """One RRset, or the denial that it exists. `secure` counts for the whole answer, CNAMEs included."""

    name: str  # as asked: A-labels, lower case, no trailing dot
    rdtype: str
    status: AnswerStatus
    records: tuple[Rdata, ...] = ()  # of the type asked for
    secure: bool = False  # AD from a resolver that the operator trusts (RFC 4035 §3.2.3)
    canonical: str = ""  # owner name of the records after CNAME expansion
    ttl: float = 0.0  # seconds this may be kept, as received
    size: int = 0  # octets of memory that it takes, about
    substitute: bool = (
        False  # of a resolver that isn't believed, while those that are were away: its lack of security says nothing
    )

    @property
    def found(self) -> bool:
        """Whether there are records."""
        return self.status is AnswerStatus.FOUND


class FailureKind(enum.StrEnum):
    """Why nothing is known."""

    SERVFAIL = "ServFail"
    TIMEOUT = "Timeout"
    REFUSED = "Refused"
    NOTIMP = "NotImp"
    BOGUS = "Bogus"  # SERVFAIL with the extended error of a failed validation (RFC 8914 §4)
    MALFORMED = "Malformed"
    NETWORK = "Network"


class DNSFailure(Temporary):
    """A question that could not be answered. Nothing may be concluded from it: defer (4.4.3)."""

    def __init__(self, name: str, rdtype: str, kind: FailureKind, detail: str = "") -> None:
        text = f"DNS {kind} looking up {name} ({rdtype})" + (f": {detail}" if detail else "")
        cause = CauseKind.DNS_BOGUS if kind is FailureKind.BOGUS else CauseKind.DNS_FAILED
        super().__init__("4.4.3", text, cause=cause)
        self.name = name
        self.rdtype = rdtype
        self.kind = kind
        self.detail = detail
