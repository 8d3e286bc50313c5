"""The operator's resolvers behind `IResolver`: one question, put to one server after another."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import dns.exception
import dns.name
import dns.rdatatype
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from seg.config.schema import DNS
from seg.dns.answer import AnswerStatus, DNSAnswer, DNSFailure, FailureKind
from seg.dns.backend import TwistedBackend
from seg.dns.exchange import ExchangeError, ask, make_question
from seg.dns.interfaces import IResolver
from seg.dns.outage import Outages
from seg.dns.parsed_reply import ParsedReply, UnusableReply, read_reply
from seg.dns.servers import DEMOTION, UpstreamServer, in_turn, make_servers, system_resolvers
from seg.dns.turns import MOST, NoTurn, QueryTurns
from seg.events.base import IEventSink
from seg.events.dns import DNSSent
from seg.mail.errors import LocalFault

MAX_ALIASES = 10  # further questions for targets of CNAMEs that an answer left out
_LOST = frozenset({FailureKind.TIMEOUT, FailureKind.NETWORK})  # may be better at the second try
_ABSENT = frozenset(
    {FailureKind.NETWORK, FailureKind.REFUSED, FailureKind.NOTIMP}
)  # the server doesn't serve us at all
_GRAVITY = (  # the most telling first
    FailureKind.BOGUS,
    FailureKind.SERVFAIL,
    FailureKind.MALFORMED,
    FailureKind.REFUSED,
    FailureKind.NOTIMP,
    FailureKind.TIMEOUT,
    FailureKind.NETWORK,
)


@implementer(IResolver)
class StubResolver:
    """Asks the resolvers of the configuration, or those of the system, in order.

    :param reactor: file descriptors, TCP and time.
    :param resolv_conf: where the system names its resolvers.
    :param most: questions with the resolvers at a time.
    :raises ConfigurationError: an address or a network of the settings can't be read.
    """

    log = Logger()

    def __init__(
        self,
        reactor: object,
        settings: DNS,
        sink: IEventSink,
        resolv_conf: str = "/etc/resolv.conf",
        most: int = MOST,
    ) -> None:
        self._clock = IReactorTime(reactor)
        self._backend = TwistedBackend(reactor)
        self._settings = settings
        self._sink = sink
        self._turns = QueryTurns(most, "questions to the resolvers", self._clock)
        self.servers = make_servers(settings.resolvers or system_resolvers(resolv_conf), settings.trusted)
        self.outages = Outages(self.servers, settings.untrusted_fallback, sink, self._clock)
        self.judged_anew: Callable[[], object] = lambda: (
            None
        )  # called when a probe changed whether a server is believed

    async def query(self, name: str, rdtype: str) -> DNSAnswer:
        """Ask (`IResolver.query`). A name that the DNS can't hold doesn't exist: nobody is asked for it."""
        try:
            return await self._query(name, rdtype)
        except (CancelledError, DNSFailure, LocalFault):
            raise
        except Exception as error:
            self.log.failure("looking up {name} ({rdtype}) broke", name=name, rdtype=rdtype)
            raise LocalFault(f"looking up {name} ({rdtype}) broke: {type(error).__name__}: {error}") from error

    async def _query(self, name: str, rdtype: str) -> DNSAnswer:
        name = name.rstrip(".").lower()
        try:
            wanted = dns.name.from_text(name.encode("ascii").decode() + ".")
        except (dns.exception.DNSException, UnicodeError):
            return DNSAnswer(name, rdtype, AnswerStatus.NO_NAME, canonical=name)
        question = _Question(name, rdtype, dns.rdatatype.from_text(rdtype), self._deadline())
        secure, substitute, ttl, seen = True, False, float("inf"), {wanted}
        while True:
            reading, server = await self._ask_servers(question, wanted)
            secure = secure and reading.authentic and server.believed
            substitute = substitute or self.outages.substitutes(server)
            ttl = min(ttl, reading.ttl)
            if reading.status is not None:
                canonical = reading.canonical.to_text(omit_final_dot=True).lower().removesuffix(".")
                found = (reading.status, reading.records, secure, canonical, ttl, reading.size, substitute)
                return DNSAnswer(name, rdtype, *found)
            wanted = reading.canonical
            if wanted in seen or len(seen) > MAX_ALIASES:
                raise question.failure(FailureKind.MALFORMED, "CNAME loop, or a chain that is too long")
            seen.add(wanted)

    async def probe(self) -> bool:
        """Whether a trusted resolver validates: it sets AD on the DNSKEY of a name known to be signed.

        What is found is kept by server: the AD bit of one that doesn't validate counts for nothing from now
        on.

        :raises DNSFailure: no trusted resolver answered, so that nothing new is known.
        :raises LocalFault: nor could each be asked.
        """
        question = _Question(self._settings.probe, "DNSKEY", dns.rdatatype.DNSKEY, self._deadline())
        wanted = dns.name.from_text(question.name.rstrip(".") + ".")
        trusted = [server for server in self.servers if server.trusted]
        failures: list[tuple[UpstreamServer, FailureKind, str]] = []
        ours: LocalFault | None = None
        answered, before = not trusted, [server.validating for server in trusted]
        for server in trusted:
            try:
                reading = await self._ask_server(question, wanted, server)
            except (ExchangeError, UnusableReply) as e:
                failures.append((server, e.kind, e.detail))
            except LocalFault as fault:
                ours = fault
            else:
                answered = True
                server.validating, server.probed = reading.authentic, True
        if [server.validating for server in trusted] != before:
            self.judged_anew()
        if not answered:
            raise ours or question.summary(failures)
        return any(server.believed for server in trusted)

    def _deadline(self) -> float:
        return self._clock.seconds() + self._settings.lifetime

    async def _ask_servers(self, question: _Question, wanted: dns.name.Name) -> tuple[ParsedReply, UpstreamServer]:
        """The first usable reply. Servers that were silent are asked again while there is time.

        After a believed server that tried and couldn't vouch for an answer (SERVFAIL, bogus, time-out) only
        believed ones are asked: who can make validation fail must not get an answer without validation for it
        (RFC 7672 §2.1.1). The same holds where the system kept a question from a believed server; and if it kept one from any server,
        the failures of the others don't tell what that one would have said.

        :raises DNSFailure: each failed.
        :raises LocalFault: so did we.
        """
        servers = in_turn(self.servers, self._clock.seconds())
        failures: list[tuple[UpstreamServer, FailureKind, str]] = []
        ours: LocalFault | None = None
        while servers:
            again: list[UpstreamServer] = []
            vouched_only = False
            for server in servers:
                if vouched_only and not server.believed:
                    continue
                if self._clock.seconds() >= question.deadline:
                    raise ours or await self._failure(question, failures)
                try:
                    reading = await self._ask_server(question, wanted, server)
                    self._told(server, failures)
                    return reading, server
                except LocalFault as fault:
                    ours = fault
                    vouched_only = vouched_only or server.believed
                except (ExchangeError, UnusableReply) as e:
                    failures.append((server, e.kind, e.detail))
                    vouched_only = vouched_only or (server.believed and e.kind not in _ABSENT)
                    if e.kind is FailureKind.TIMEOUT:
                        again.append(server)
            servers = [server for server in again if server.believed] if vouched_only else again
        raise ours or await self._failure(question, failures)

    async def _failure(
        self, question: _Question, failures: list[tuple[UpstreamServer, FailureKind, str]]
    ) -> DNSFailure | LocalFault:
        """Why there is no answer: a failure of the servers', or that there are none, which is ours."""
        failure = question.summary(failures)
        if failures and await self.outages.unanswered([kind for _, kind, _ in failures], self._ask_root):
            return LocalFault(f"no resolver answers: {failure.text}")
        return failure

    async def _ask_root(self) -> bool | None:
        """Whether any server replies, with whatever, to a question about the root; None: it couldn't be put.

        Each is asked twice, as a datagram may be lost.
        """
        question = _Question(".", "NS", dns.rdatatype.NS, self._deadline())
        for server in in_turn(self.servers, self._clock.seconds()) * 2:
            if self._clock.seconds() >= question.deadline:
                break
            try:
                await self._ask_server(question, dns.name.root, server)
            except LocalFault:
                return None
            except (ExchangeError, UnusableReply) as e:
                if e.kind in _LOST:
                    continue
            return True
        return False

    def _told(self, server: UpstreamServer, failures: list[tuple[UpstreamServer, FailureKind, str]]) -> None:
        """Tell if a server answered in the place of those that are believed."""
        if self.outages.substitutes(server):
            away = all(kind is FailureKind.NETWORK for asked, kind, _ in failures if asked.believed)
            self.outages.substituted(server, away)

    async def _ask_server(self, question: _Question, wanted: dns.name.Name, server: UpstreamServer) -> ParsedReply:
        """Its usable reply; what comes of it is noted down.

        :raises ExchangeError: there was no reply.
        :raises UnusableReply: it says that it knows nothing.
        """
        try:
            reading = await self._turns.take(
                question.name,
                lambda: self._exchange(question, wanted, server),
                question.deadline - self._clock.seconds(),
            )
        except NoTurn:  # strangers choose what is asked for: no word of the resolvers
            raise
        except LocalFault as fault:
            self.outages.lacked(fault)
            raise
        except (ExchangeError, UnusableReply) as e:
            if isinstance(e, UnusableReply) and e.kind not in _ABSENT:
                self.outages.replied(server)
            what = f"{e.kind} ({e.detail})" if e.detail else str(e.kind)
            server.failed(f"{question.name} {question.rdtype}: {what}", self._clock.seconds())
            raise
        server.answered(self._clock.seconds())
        self.outages.replied(server)
        return reading

    async def _exchange(self, question: _Question, wanted: dns.name.Name, server: UpstreamServer) -> ParsedReply:
        now = self._clock.seconds()
        timeout = min(self._settings.timeout, question.deadline - now)
        if self._sink.debug:
            self._sink.emit(DNSSent(wanted.to_text(omit_final_dot=True), question.rdtype, str(server), timeout))
        try:
            reply = await ask(self._backend, self._clock, make_question(wanted, question.type), server, timeout)
        except ExchangeError as e:
            if e.kind in _LOST:
                server.demoted_until = self._clock.seconds() + DEMOTION
            raise
        server.demoted_until = 0.0
        return read_reply(reply, wanted, question.type)


@attrs.frozen
class _Question:
    """What was asked of us, and until when it must be answered."""

    name: str
    rdtype: str
    type: dns.rdatatype.RdataType
    deadline: float

    def failure(self, kind: FailureKind, detail: str = "") -> DNSFailure:
        """It couldn't be answered."""
        return DNSFailure(self.name, self.rdtype, kind, detail)

    def summary(self, failures: list[tuple[UpstreamServer, FailureKind, str]]) -> DNSFailure:
        """The failure that says most: a bogus answer says more than an error, an error more than silence."""
        if not failures:  # the time was over before anybody was asked
            return self.failure(FailureKind.TIMEOUT)
        kind = min((kind for _, kind, _ in failures), key=_GRAVITY.index)
        parts = dict.fromkeys(
            f"{server} {kind}" + (f" ({detail})" if detail else "") for server, kind, detail in failures
        )
        return self.failure(kind, ", ".join(parts))
