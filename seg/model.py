"""The nouns that every room shares: envelope, recipient, outcome, host, and what was decided for them.

All are frozen values. A change is a new value (`attrs.evolve`), so that what one room holds can't be altered by another.
Terms are those of RFC 5321: envelope, reverse-path, recipient, MX.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import attrs
import idna

from seg.causes import CauseKind
from seg.errors import Permanent, Temporary

IPAddress = IPv4Address | IPv6Address


def domain_of(address: str) -> str:
    """The domain of a mailbox, as looked up: A-labels, lower case, no trailing dot.

    An address literal is returned as it stands, with its brackets (``[192.0.2.1]``), and an address without a domain
    (``postmaster``, RFC 5321 §4.5.1) gives ``""``. Never raises: a domain that can't be converted is only lowered,
    and the DNS will say that it doesn't exist.
    """
    _, at, domain = address.rpartition("@")
    return to_ascii(domain) if at else ""


def local_part(address: str) -> str:
    """What stands before the last @ of a mailbox; all of it where there is none."""
    local, at, domain = address.rpartition("@")
    return local if at else domain


def mailbox_key(address: str) -> tuple[str, str]:
    """What two ways to write one mailbox have in common: the local part as it is, and the domain in any writing (RFC 5321 §2.4)."""
    return local_part(address), domain_of(address)


def to_ascii(domain: str) -> str:
    """A domain name as A-labels in lower case without the trailing dot (RFC 5891 §4). Never raises."""
    domain = domain.rstrip(".")
    if domain.isascii():
        return domain.lower()
    try:
        return a_labels(domain)
    except (idna.IDNAError, UnicodeError):
        return domain.lower()


@lru_cache(maxsize=8192)
def a_labels(domain: str) -> str:
    """A domain name beyond ASCII as A-labels in lower case. That takes up to half a millisecond, and a message may have a thousand such
    recipients, of which each is asked for its domain again and again: what was found is kept.

    :raises idna.IDNAError: it can't be converted.
    :raises UnicodeError: the same.
    """
    return idna.encode(domain, uts46=True).decode("ascii").lower()


class BodyType(enum.StrEnum):
    """What the client said of the content in MAIL's BODY parameter (RFC 6152)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"


class Ret(enum.StrEnum):
    """How much of the message a failure report is to quote (RFC 3461 §4.3); UNSAID is ours to choose."""

    UNSAID = ""
    FULL = "FULL"
    HEADERS = "HDRS"


class Action(enum.StrEnum):
    """What a report says became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"  # handed to a server that doesn't know DSN: nothing more will be heard


class Notify(enum.StrEnum):
    """Of what the sender wants to hear (RFC 3461 §4.1)."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class RecipientState(enum.StrEnum):
    """Where one recipient stands. Only PENDING ones are tried again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    BOUNCING = "bouncing"  # failed for good; its report (Recipient.report) isn't known to be durable yet
    BOUNCED = "bounced"
    DELETED = "deleted"  # by an operator


@attrs.frozen
class HostRefusal:
    """TLS policy kept mail from one host."""

    host: str
    cause: CauseKind


MOST_REFUSALS = 5  # hosts that are named for one recipient


@attrs.frozen
class PolicyHold:
    """The last try ended at TLS policy: mail waits until a host satisfies it."""

    since: float  # POSIX seconds; every try since ended like that
    refusals: tuple[HostRefusal, ...]  # of the last try, at most `MOST_REFUSALS`


@attrs.frozen
class Recipient:
    """One forward-path of an envelope, and how it has fared."""

    rid: int  # 0-based within the message
    address: str  # as given in RCPT, without the angle brackets
    state: RecipientState = RecipientState.PENDING
    attempts: int = 0
    due: float = 0.0  # POSIX seconds: not to be tried before
    error: str = ""  # the last failure, as one line for people
    report: int = 0  # MID of the report on its failure, once one has been allotted
    notify: frozenset[Notify] | None = None  # None: nothing was asked for (failures are told); empty: NEVER
    orcpt: str = ""  # the original recipient as given (RFC 3461 §4.2): "rfc822;bob@example.com", in xtext
    warned: bool = False  # the sender has been told that it is delayed
    via: str = ""  # host, host:port or unix:/path that an operator redirected it to; "" = by its domain's own route
    policy: PolicyHold | None = None  # TLS policy is why it waits

    @property
    def domain(self) -> str:
        """The destination (see `domain_of`)."""
        return domain_of(self.address)

    def wants(self, event: Notify) -> bool:
        """Whether the sender wants to hear of this. Where nothing was asked for, of failures and delays (RFC 3461 §6.2)."""
        return event is not Notify.SUCCESS if self.notify is None else event in self.notify


@attrs.frozen
class Envelope:
    """What travels beside the content: RFC 5321 §2.3.1, plus what the queue has to remember."""

    mid: int
    reverse_path: str  # "" is the null reverse-path <>
    recipients: tuple[Recipient, ...]
    arrived: float  # POSIX seconds
    size: int = 0  # octets of the content as stored (our Received field included)
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False  # its header or reverse-path can only go to a server that offers SMTPUTF8 (RFC 6531)
    icid: int = 0  # 0: made by the gateway itself
    client: str = ""  # address of the client that handed it in
    helo: str = ""
    held: bool = False  # by an operator: not tried until released
    ret: Ret = Ret.UNSAID
    envid: str = ""  # the sender's own name for it (RFC 3461 §4.4), in xtext
    requiretls: bool = False  # every hop must be verified TLS (RFC 8689 §2)
    tls_optional: bool = False  # its header has "TLS-Required: No" (RFC 8689 §5)
    bounce_profile: str = ""  # of the listener that took it; a destination's own goes before it
    submitter: str = ""  # who handed it in, if he authenticated (RFC 4954)
    damage: str = ""  # what of its spool files was lost, so that it is held; "" = nothing
    # Our own report to the postmaster on a message without a reverse-path: if that fails too it is dropped. No client can say it.
    double_bounce: bool = False

    @property
    def pending(self) -> tuple[Recipient, ...]:
        """The recipients that still wait for a delivery or a bounce."""
        pending, bouncing = RecipientState.PENDING, RecipientState.BOUNCING
        return tuple([r for r in self.recipients if r.state is pending or r.state is bouncing])


@attrs.frozen
class Delivered:
    """The remote server took responsibility (RFC 5321 §6.1)."""

    dcid: int
    reply: str  # text of the last reply, without its code
    notifies: bool = False  # it knows DSN (RFC 3461): what the sender wants to hear is its duty now


@attrs.frozen
class Delayed:
    """To be tried again (a soft bounce)."""

    error: Temporary
    dcid: int = 0  # 0: never connected
    in_doubt: bool = False  # the connection broke behind the final dot: the server may have taken the message
    host: str = ""  # the MX host that it happened with, "" = none (Remote-MTA of a report)
    seldom: bool = False  # each further try may bring a copy, as the server's answer to the message can't be read
    anew: bool = False  # the connection couldn't serve it, whatever it is: a new one to the same host may, at once
    refusals: tuple[HostRefusal, ...] = ()  # hosts that TLS policy kept it from


@attrs.frozen
class Bounced:
    """Failed for good (a hard bounce)."""

    error: Permanent
    dcid: int = 0
    host: str = ""  # the MX host that refused, "" = none (Remote-MTA of a report)


Outcome = Delivered | Delayed | Bounced


class SocketPath(str):
    """A next hop on this machine: the path of a unix socket."""

    __slots__ = ()


Peer = IPAddress | SocketPath


@attrs.frozen
class Manner:
    """How a next hop is spoken to, where a route says it: else SMTP, and TLS by STARTTLS."""

    lmtp: bool = False  # RFC 2033
    implicit_tls: bool = False  # TLS from the first octet (RFC 8314 §3.3)
    auth: str = ""  # name of the profile to authenticate by; "" = not at all

    def __str__(self) -> str:
        words = ["LMTP" if self.lmtp else "SMTP"]
        words += ["TLS from the first octet"] if self.implicit_tls else []
        words += [f"AUTH by {self.auth}"] if self.auth else []
        return ", ".join(words)


PLAIN_SMTP = Manner()


@attrs.frozen
class MXHost:
    """One candidate host for a domain, with the facts of the DNS that led to it (`dns.routing` makes them)."""

    name: str  # host name as in the MX record (or the domain itself, or the route's host): A-labels, lower case
    preference: int
    addresses: tuple[Peer, ...]  # in the order to be tried
    port: int = 25
    mx_secure: bool = False  # the MX answer that named it was authenticated (AD from a trusted resolver)
    address_secure: bool = False  # every address answer used was authenticated
    expanded: str = ""  # name after CNAME expansion; equal to `name` when there was no CNAME
    alias_secure: bool = False  # the CNAME answer(s) at `name` were authenticated (meaningful when expanded != name)
    manner: Manner = PLAIN_SMTP
    substitute: bool = False  # an answer used came from a stand-in of the trusted resolvers: insecure facts don't tell that the domain is


class RouteKind(enum.Enum):
    """How the next hop was found."""

    MX = "mx"
    IMPLICIT_MX = "implicit mx"  # no MX record: the domain itself (RFC 5321 §5.1)
    ADDRESS_LITERAL = "address literal"
    SMTP_ROUTE = "smtp route"  # by the operator's table
    DISCARD = "discard"  # the operator's table says /dev/null


@attrs.frozen
class Route:
    """The next hops for one domain, in the order to be tried."""

    domain: str
    kind: RouteKind
    hosts: tuple[MXHost, ...]
    secure: bool = False  # the MX RRset (or its denial, for an implicit MX) was authenticated
    canonical: str = ""  # the domain after CNAME expansion; equal to `domain` without a CNAME
