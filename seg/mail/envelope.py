"""The envelope: reverse-path and recipients (RFC 5321 §2.3.1), and what the queue remembers beside them.

All are frozen values. A change is a new value (`attrs.evolve`)."""

from __future__ import annotations

import enum

import attrs

from seg.mail.address import domain_of, local_part
from seg.mail.causes import CauseKind


def mailbox_key(address: str) -> tuple[str, str]:
    """What two ways to write one mailbox have in common: the local part as it is, and the domain in any writing (RFC 5321 §2.4)."""
    local, at, domain = address.rpartition("@")
    if at and domain.isascii():  # as most are
        return local, domain.rstrip(".").lower()
    return local_part(address), domain_of(address)


class BodyType(enum.StrEnum):
    """What the client said of the content in MAIL's BODY parameter (RFC 6152)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"


class DSNRet(enum.StrEnum):
    """How much of the message a failure report is to quote (RFC 3461 §4.3); UNSAID is ours to choose."""

    UNSAID = ""
    FULL = "FULL"
    HEADERS = "HDRS"


class DSNNotify(enum.StrEnum):
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
    notify: frozenset[DSNNotify] | None = None  # None: nothing was asked for (failures are told); empty: NEVER
    orcpt: str = ""  # the original recipient as given (RFC 3461 §4.2): "rfc822;bob@example.com", in xtext
    warned: bool = False  # the sender has been told that it is delayed
    via: str = ""  # host, host:port or unix:/path that an operator redirected it to; "" = by its domain's own route
    policy: PolicyHold | None = None  # TLS policy is why it waits
    cause: CauseKind | None = None  # of the last failure, where it has one

    @property
    def domain(self) -> str:
        """The destination (see `domain_of`)."""
        return domain_of(self.address)

    @property
    def last_cause(self) -> CauseKind | None:
        """The cause of the last failure; files of a version that didn't keep it have that of the policy's hold."""
        return self.cause or (self.policy.refusals[0].cause if self.policy and self.policy.refusals else None)

    def wants(self, event: DSNNotify) -> bool:
        """Whether the sender wants to hear of this. Where nothing was asked for, of failures and delays (RFC 3461 §6.2)."""
        return event is not DSNNotify.SUCCESS if self.notify is None else event in self.notify


@attrs.frozen
class Envelope:
    """What travels beside the content: RFC 5321 §2.3.1, plus what the queue has to remember.

    The spool's files have the fields in this order (`seg.queue.codec`), and from `double_bounce` on only those that aren't as usual: a new
    one needs a default, and stands at the end."""

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
    # Our own report to the postmaster on a message without a reverse-path: if that fails too it is dropped. No client can say it.
    double_bounce: bool = False
    ret: DSNRet = DSNRet.UNSAID
    envid: str = ""  # the sender's own name for it (RFC 3461 §4.4), in xtext
    bounce_profile: str = ""  # of the listener that took it; a destination's own goes before it
    submitter: str = ""  # who handed it in, if he authenticated (RFC 4954)
    requiretls: bool = False  # every hop must be verified TLS (RFC 8689 §2)
    tls_optional: bool = False  # its header has "TLS-Required: No" (RFC 8689 §5)
    damage: str = ""  # what of its spool files was lost, so that it is held; "" = nothing

    @property
    def pending(self) -> tuple[Recipient, ...]:
        """The recipients that still wait for a delivery or a bounce."""
        pending, bouncing = RecipientState.PENDING, RecipientState.BOUNCING
        return tuple([r for r in self.recipients if r.state is pending or r.state is bouncing])
