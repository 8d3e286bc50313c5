"""The seams of the gateway: what each room promises to the others. Objects meet in `seg.wiring` only.

`Awaitable` means a coroutine or a Deferred. Unless said otherwise nothing here blocks, and nothing raises but what is named.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

from seg.events import Event
from seg.model import Action, Envelope, MXHost, Outcome, Peer, Route

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from seg.dns.answer import DNSAnswer
    from seg.filter.answers import Answer as FilterAnswer
    from seg.filter.message import FilteredMessage
    from seg.filter.plugins import FilterContext
    from seg.mtasts.answer import PolicyAnswer
    from seg.mtasts.turns import Claim
    from seg.policy.plugins import ProviderContext
    from seg.policy.requirement import Answer, DomainQuestion
    from seg.queue.lease import Lease
    from seg.tls.peer import Examination, PeerCertificates, Trust


class IEventSink(Interface):
    """Takes events. Every stage holds one; nothing else carries news."""

    debug = Attribute("bool: whether anybody hears `DebugEvent`s; don't make one otherwise")

    def emit(event: Event) -> None:
        """Take note. Cheap, never raises, never blocks."""


class ICounters(Interface):
    """The ids of the mail log: monotonic, and unique over restarts."""

    unreserved = Attribute("bool: the last MID given might be given again after a crash: take no new mail")

    def reserve() -> None:
        """Try to make sure now that no id is given twice. Blocks a little."""

    def next_mid() -> int:
        """A new message id."""

    def next_icid() -> int:
        """A new injection connection id."""

    def next_dcid() -> int:
        """A new delivery connection id."""


class IContent(Interface):
    """The content of a message as stored: CRLF lines, not dot-stuffed, Received field included."""

    size = Attribute("int: octets")

    def chunks() -> AsyncIterator[bytes]:
        """The content in order, in pieces of at most 64 KiB (one piece when it is small and at hand in memory).
        Raises `OSError` when the spool file can't be read."""

    def head(limit: int) -> Awaitable[bytes]:
        """The first `limit` octets (for a report)."""


class IMessageWriter(Interface):
    """One message on its way into the queue."""

    pressure = Attribute("None, or a Deferred that fires when the disk has caught up: better write no more until then")
    size = Attribute("Octets written so far, as they will be stored")

    def write(data: bytes) -> None:
        """Append content, in whatever pieces: a CR or LF that stands alone becomes CRLF. Large messages go to `spool/tmp` as they come.

        Raises `seg.smtp.dots.NULInContent` (a ValueError) for a NUL: `abort` it."""

    def content() -> Awaitable[IContent]:
        """What has been written so far, to be read before `commit` or `abort`; write no more while it is read.
        Raises `OSError` when it could not be written."""

    def beside() -> IMessageWriter:
        """Another writer for the same message. At most one of them is committed: abort the others."""

    def commit(envelope: Envelope) -> Deferred[None]:
        """Fires when file and folder are durable: now the 250 may be sent. The message is due right behind the callbacks of this.
        Fails with `OSError` (disk full: answer 452) and then nothing is kept."""

    def abort() -> None:
        """Forget all of it. Harmless after a failed commit."""


class IQueue(Interface):
    """The spool: nothing that got its 250 is lost, whatever happens (``docs/queue.md``)."""

    def begin(mid: int) -> IMessageWriter:
        """Start writing a message. Its envelope must bear this MID."""

    def refusal() -> OSError | None:
        """What forbids to take new mail now (the disk, or too little memory for more of it); None: nothing. Cheap."""

    def subscribe(on_ready: Callable[[str], None]) -> None:
        """Call ``on_ready(domain)`` whenever a destination comes to have due work (also for the work there is now)."""

    def lease(domain: str, most: int = 0) -> Lease | None:
        """The due recipients for `domain` (at most so many, 0: all) of the message that waits longest, or None. A leased recipient isn't given
        out again until `settle` or `release`."""

    def settle(lease: Lease, outcomes: dict[int, Outcome]) -> Deferred[None]:
        """Record how the recipients of a lease fared (RID -> outcome; a RID left out is due again at once).

        Delivered ones are ticked off; delayed ones get their next time or, past the lifetime, expire (5.4.7); for
        bounced and expired ones the report is made durable first. Emits RecipientDelayed, RecipientBounced,
        RecipientsPending, BounceGenerated, DoubleBounce and MessageFinished. Fires when all of that is durable.
        """

    def release(lease: Lease) -> None:
        """Hand a lease back untried (the gateway stops)."""


class IReportComposer(Interface):
    """Writes delivery status notifications (RFC 3464)."""

    def compose(
        action: Action,
        envelope: Envelope,
        fared: Sequence[tuple[int, Outcome]],
        head: bytes,
        mid: int,
        until: float = 0.0,
    ) -> tuple[Envelope, bytes] | None:
        """The report on these (RID, outcome) of `envelope`, or None when the reverse-path is null.

        :param action: what became of all of them: failed (`Bounced`), delayed (`Delayed`), relayed (`Delivered`).
        :param head: the first octets of the message's content (its header at least).
        :param mid: the MID that the report is to have.
        :param until: POSIX seconds until which delivery is tried (of a delay).
        :return: envelope (reverse-path null) and content (CRLF lines) of the report.
        """

    def plain(
        action: Action, envelope: Envelope, fared: Sequence[tuple[int, Outcome]], mid: int
    ) -> tuple[Envelope, bytes] | None:
        """The least that a report can be, for when `compose` raises: whom it is about, and each one's status."""


class IResolver(Interface):
    """DNS questions, answered from a cache or by the operator's resolvers."""

    def query(name: str, rdtype: str) -> Awaitable[DNSAnswer]:
        """Ask. NODATA and NXDOMAIN are answers, not errors.

        :raises seg.dns.answer.DNSFailure: SERVFAIL, time-out, REFUSED, NOTIMP, bogus, malformed: nothing is known.
        :raises seg.errors.LocalFault: the question could not be put, for a reason of our own (descriptors, memory, no free turn, a trusted
            resolver that is away, an error in the program). It is no answer and no failure of the domain: it is never kept, nothing
            may be concluded from it, and mail is deferred rather than sent with less protection.
        """


class IPolicyFetcher(Interface):
    """Fetches MTA-STS policies (RFC 8461 §3.3)."""

    def fetch(domain: str, claim: Claim = ...) -> Awaitable[bytes]:
        """The body found at ``https://mta-sts.<domain>/.well-known/mta-sts.txt``.

        :param claim: for which message, and whether a policy of the domain is known; nobody's by default.
        :raises seg.mtasts.errors.FetchError: with the cause in one line.
        :raises seg.mtasts.errors.OwnFetchFault: for a reason of our own; it is no word of the domain.
        """

    def look(domain: str, claim: Claim = ...) -> Awaitable[PolicyAnswer]:
        """The same fetch, and what it met on its way.

        :raises seg.mtasts.errors.FetchError: its `met` has what was found out until then.
        :raises seg.mtasts.errors.OwnFetchFault: the same.
        """


class IAuthenticator(Interface):
    """What a policy wants of the peer's certificates. A part of a `Requirement`; immutable, hashable, pure."""

    source = Attribute("str: the provider that asks for it: 'mta-sts', 'dane', 'static', ...")

    verifies = Attribute("bool: acceptance verifies the peer; False: trusted only (TLSA records below an insecure MX)")

    def examine(peer: PeerCertificates, trust: Trust) -> Examination:
        """Judge the chain that the peer presented. Never raises: whatever can't be parsed is a mismatch."""


class IHostPolicy(Interface):
    """One provider's view of one domain for one attempt."""

    def answer(host: MXHost) -> Awaitable[Answer]:
        """What this host must satisfy. Never raises: an error of any kind is a `TempFail` or a `NoOpinion`, with reason."""


class ITLSPolicyProvider(Interface):
    """A source of TLS policy. Registered ones are asked in the operator's order: DANE, MTA-STS, static."""

    name = Attribute("str: short name in logs and configuration, e.g. 'dane'")

    def open(question: DomainQuestion) -> IHostPolicy:
        """Begin an attempt for a domain. Looks nothing up yet: lookups happen in the first `IHostPolicy.answer`, so that
        a provider behind one that decides costs nothing."""


class IPublishedPolicyProvider(ITLSPolicyProvider):
    """A provider that speaks for the recipient's domain, by what that has published: DANE, MTA-STS. A sender may wish to set its policy
    aside for a message (``TLS-Required: No``, RFC 8689 §5). Any other provider is the operator's word, which no header touches."""


class ITLSPolicyProviderFactory(Interface):
    """Makes a provider of a third party. Registered as a Twisted plugin (with `twisted.plugin.IPlugin`), it is found when
    ``[delivery] providers`` in seg.toml has its name."""

    name = Attribute("str: the name of the provider that it makes")

    def create(context: ProviderContext) -> ITLSPolicyProvider:
        """The provider; called once at the start. Looks nothing up. Whatever it raises stops the start with its text."""


class IMessageFilter(Interface):
    """Judges messages before their 250, and may change them (``docs/filters.md``)."""

    def judge(message: FilteredMessage) -> Awaitable[FilterAnswer]:
        """What is to become of the message: one of the classes in `seg.filter.answers`.

        Must not block. May be cancelled at any time: the client is gone, the gateway stops, the time is up. Whatever it raises
        counts as no answer, and `when_away` of the filter's table decides.
        """


class IMessageFilterFactory(Interface):
    """Makes filters of a third party. Registered as a Twisted plugin (with `twisted.plugin.IPlugin`), it is found when a
    ``[[filter]]`` table in seg.toml has its name as `kind`."""

    name = Attribute("str: the kind of filter that it makes")

    def create(context: FilterContext) -> IMessageFilter:
        """One filter; called once at the start for each table. Must not connect yet: a filter that is away then comes
        back later. Whatever it raises stops the start with its text."""


class IConnector(Interface):
    """Opens connections for deliveries; the double for tests connects to memory."""

    def connect(factory: object, address: Peer, port: int, source: str, timeout: float) -> Deferred[Any]:
        """Connect; fires with the protocol that `factory` built. Fails with `twisted.internet.error.ConnectError` kinds."""


class IRouter(Interface):
    """Finds the next hops of a domain (RFC 5321 §5.1, RFC 7505, the operator's routes)."""

    def route(domain: str, via: str = "") -> Awaitable[Route]:
        """The hosts to be tried, in order.

        :param via: where an operator redirected the mail to, instead of the domain's own route.
        :raises Temporary: lookup failed, or no usable host is left: defer.
        :raises Permanent: null MX (5.1.10), NXDOMAIN (5.1.2), loop (5.4.6).
        """
