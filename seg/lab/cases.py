"""What the demonstration shows: domains, each with one thing special, and what a message to each comes to.

Data only. ``what`` is for somebody who has never heard of MTA-STS; ``why`` are words that the gateway's own
explanation has to hold, so that a right outcome for a wrong reason is found too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from seg.lab.behaviour import Behaviour, Certificate, StartTLS
from seg.lab.dnsserver import AnswerFailure
from seg.lab.policyhost import Answer
from seg.lab.world import MX, TLSA, Policy


class ExpectedOutcome(enum.StrEnum):
    """What may come of a message."""

    DELIVERED = "delivered"
    DELAYED_THEN_DELIVERED = "delayed, then delivered"
    DEFERRED = "deferred"  # kept in the queue, to be tried again
    BOUNCED = "bounced"  # returned to its sender
    NOTHING = "nothing yet"


class Protection(enum.StrEnum):
    """How a message travelled, as its receiver saw it."""

    ENCRYPTED = "encrypted"
    CLEAR = "in clear"
    NOT_SENT = "not sent"


@attrs.frozen
class Case:
    """One domain and what must come of a message to it."""

    name: str  # for --case
    what: str  # one plain sentence
    outcome: ExpectedOutcome
    protection: Protection
    verified_by: str = ""  # "mta-sts", "dane", "profile" (the operator's), "" = nobody
    why: tuple[str, ...] = ()  # each is in the explanation
    log: tuple[str, ...] = ()  # each is in the mail log, word for word
    behaviour: Behaviour = attrs.field(factory=Behaviour)  # of its one MX host
    hoster: str = ""  # name of the MX host, where it isn't mx.<domain>
    tlsa: tuple[TLSA, ...] = ()
    policy: Policy | None = None
    secure: bool = False  # DNSSEC
    null_mx: bool = False
    lookup_failure: AnswerFailure | None = None  # of the TLSA question
    profile: Mapping[str, object] = attrs.field(factory=dict)  # of the operator, for this domain
    route: str = ""  # host of the operator's SMTP route

    @property
    def domain(self) -> str:
        """Its domain name."""
        return f"{self.name}.example"

    @property
    def recipient(self) -> str:
        """Who gets the message."""
        return f"bob@{self.domain}"

    @property
    def mx(self) -> tuple[MX, ...]:
        """Its MX hosts."""
        if self.null_mx:
            return ()
        return (MX(self.hoster or f"mx.{self.domain}", behaviour=self.behaviour, tlsa=self.tlsa),)


SENDER_DOMAIN = "sender.example"
SENDER = f"alice@{SENDER_DOMAIN}"
OTHER_NAME = Behaviour(certificate=Certificate.OTHER_NAME)
STRIPPED = Behaviour(starttls=StartTLS.ABSENT)

CASES: tuple[Case, ...] = (
    Case(
        name="enforce",
        what="The domain publishes an MTA-STS policy demanding a good certificate; its server has one.",
        policy=Policy(mode="enforce"),
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        verified_by="mta-sts",
        why=("mta-sts=enforce",),
    ),
    Case(
        name="wrong-name",
        what="The policy demands a good certificate, but the server shows one made for another host.",
        policy=Policy(mode="enforce"),
        behaviour=OTHER_NAME,
        outcome=ExpectedOutcome.DEFERRED,
        protection=Protection.NOT_SENT,
        why=("mta-sts=enforce", "another-host.invalid"),
    ),
    Case(
        name="stripped",
        what="The policy demands encryption, but somebody on the way removed the server's offer (STARTTLS).",
        policy=Policy(mode="enforce"),
        behaviour=STRIPPED,
        outcome=ExpectedOutcome.DEFERRED,
        protection=Protection.NOT_SENT,
        why=("mta-sts=enforce", "STARTTLS"),
    ),
    Case(
        name="forged-mx",
        what="The DNS names a mail server that the domain's policy doesn't list, as a forged answer would.",
        policy=Policy(mode="enforce", mx=("mail.forged-mx.example",)),
        outcome=ExpectedOutcome.DEFERRED,
        protection=Protection.NOT_SENT,
        why=("MX not in policy",),
    ),
    Case(
        name="testing",
        what="The policy is only being tested (mode testing), and the certificate is for another host.",
        policy=Policy(mode="testing"),
        behaviour=OTHER_NAME,
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        why=("mta-sts=testing", "another-host.invalid"),
    ),
    Case(
        name="no-policy",
        what="No policy; the server offers encryption, with a certificate that nobody vouches for.",
        behaviour=Behaviour(certificate=Certificate.SELF_SIGNED),
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        why=("mta-sts=none",),
    ),
    Case(
        name="no-tls",
        what="No policy, and the server can't encrypt; the operator only prefers encryption.",
        behaviour=STRIPPED,
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.CLEAR,
        why=("clear text",),
    ),
    Case(
        name="dane",
        what="The domain's DNS is signed and holds the fingerprint of the server's certificate (DANE).",
        secure=True,
        tlsa=(TLSA(3, 1, 1),),
        behaviour=Behaviour(certificate=Certificate.SELF_SIGNED),
        policy=Policy(mode="enforce"),
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        verified_by="dane",
        why=("dane=secure",),
    ),
    Case(
        name="dane-mismatch",
        what="The fingerprint in the signed DNS is another key's; a good MTA-STS policy can't mend that.",
        secure=True,
        tlsa=(TLSA(3, 1, 1, wrong=True),),
        policy=Policy(mode="enforce"),
        outcome=ExpectedOutcome.DEFERRED,
        protection=Protection.NOT_SENT,
        why=("dane", "TLSA"),
    ),
    Case(
        name="dane-servfail",
        what="The DNS is signed, but the fingerprint can't be looked up, as an attacker could arrange.",
        secure=True,
        lookup_failure=AnswerFailure.SERVFAIL,
        outcome=ExpectedOutcome.DEFERRED,
        protection=Protection.NOT_SENT,
        why=("dane", "ServFail"),
    ),
    Case(
        name="greylist",
        what="The server turns the first try away ('come again later'), as a guard against spam.",
        behaviour=Behaviour(greylist=1),
        outcome=ExpectedOutcome.DELAYED_THEN_DELIVERED,
        protection=Protection.ENCRYPTED,
        why=("greylisted",),
    ),
    Case(
        name="policy-404",
        what="The DNS announces a policy, but the web server that should have it says 'not found'.",
        policy=Policy(mode="enforce", answer=Answer.NOT_FOUND),
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        why=("404",),
    ),
    Case(
        name="hosted-5",
        what="A hoster's server has the hoster's certificate; the operator demands one for the mail domain.",
        hoster="mx5.hoster.example",
        profile={"tls": "required-verify"},
        outcome=ExpectedOutcome.DEFERRED,
        protection=Protection.NOT_SENT,
        why=("peer cert does not match domain hosted-5.example",),
        log=("TLS deferring: verify error: peer cert does not match domain hosted-5.example",),
    ),
    Case(
        name="hosted-6",
        what="The same hoster, and the operator's setting allows for hosted domains.",
        hoster="mx6.hoster.example",
        profile={"tls": "required-verify-hosted"},
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        verified_by="profile",
        why=("required-verify-hosted",),
    ),
    Case(
        name="null-mx",
        what="The domain says in its DNS that it takes no mail at all (null MX).",
        null_mx=True,
        outcome=ExpectedOutcome.BOUNCED,
        protection=Protection.NOT_SENT,
        why=("5.1.10",),
    ),
    Case(
        name="route",
        what="The operator sends this domain's mail by a relay of his own; its MX and policy don't count.",
        policy=Policy(mode="enforce", mx=("elsewhere.route.example",)),
        route="relay.lab.example",
        outcome=ExpectedOutcome.DELIVERED,
        protection=Protection.ENCRYPTED,
        why=("route_used",),
    ),
)


def chosen(names: tuple[str, ...]) -> tuple[Case, ...]:
    """The cases of these names; all, when none are given.

    :raises KeyError: with the first name that isn't one.
    """
    known = {case.name: case for case in CASES}
    return tuple(known[name] for name in names) or CASES
