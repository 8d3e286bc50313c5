"""Opens a session with a host that satisfies what was decided for it, or none at all.

A session is a connection whose peer has been judged: TCP, greeting, EHLO, STARTTLS, the verdict, EHLO again. Nothing of a
message is sent before the verdict. A pooled connection is judged anew for each message that is to ride on it.
"""

from __future__ import annotations

import datetime
import errno
from collections.abc import Callable

import attrs
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, TimeoutError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from seg.common.endpoint import host_endpoint
from seg.common.recent import Recent
from seg.config.destinations import AuthProfile
from seg.config.schema import Delivery
from seg.deliver.connection_errors import AuthenticationError, Unreachable
from seg.deliver.connection_limits import ConnectionLimits, ConnectionSlot, LimitKey, LimitReached
from seg.deliver.debug_peers import DebugPeers
from seg.deliver.greetings import Greetings
from seg.deliver.interfaces import IConnector
from seg.deliver.outbound import OutboundSettings, mechanism_for
from seg.deliver.policy_violation import PolicyViolation
from seg.deliver.pool import ConnectionPool, PoolKey
from seg.deliver.progress import AttemptProgress
from seg.deliver.slots import PATIENCE
from seg.deliver.smtp_client import ESMTPSenderFactory, HandshakeFailed, SMTPClientProtocol, StartTLSRefused, Tampered
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.delivery import (
    DeliveryClosed,
    DeliveryConnected,
    DeliveryConnectFailed,
    DeliveryInClear,
    DeliveryTLSDeferred,
    DeliveryTLSFailed,
    DeliveryTLSRequired,
    DeliveryTLSStarted,
)
from seg.events.gateway import ConditionKind
from seg.mail.errors import Temporary, local_fault
from seg.mail.hosts import MXHost, PeerAddress, SocketPath
from seg.policy.judge import NOBODY, Verdict, judge
from seg.policy.requirement import Decision, TLSLevel
from seg.smtp.client_capabilities import Capabilities
from seg.tls.context import ClientTLS, session_facts
from seg.tls.identities import ClientIdentities
from seg.tls.names import names_of
from seg.tls.peer import SessionFacts, Trust
from seg.tls.roots import RootStore

MTA_STS, DANE = "mta-sts", "dane"


# Refused by this system on the way to some address, or from a source address of some destination: no condition of all.
OF_ONE_WAY = frozenset({errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL})

# Of all connections so many may go to one address that MX records name: whoever owns a domain chooses that address, and it need
# not be his. A destination's own limit by address takes the place of this.
SHARE_OF_ADDRESS = 5  # one in so many
LEAST_OF_ADDRESS = 20

BDAT_KNOWN = 86400.0  # seconds for which it counts whether a server that offers CHUNKING knows BDAT
ENOUGH = 300.0  # seconds for which an address that has refused a further connection gets no more than it had


@attrs.frozen
class VerifiedConnection:
    """A connection that may be used for one message, and the verdict that allows it."""

    sender: SMTPClientProtocol
    verdict: Verdict
    key: PoolKey


class ConnectionOpener:
    """Opens sessions, and takes them back for the next message."""

    VERDICT_AGE = 60.0  # seconds that a verdict on an open connection stands: certificates run out, policies change
    VERDICTS = 64  # kept for one connection

    def __init__(
        self,
        connector: IConnector,
        senders: ESMTPSenderFactory,
        pool: ConnectionPool,
        tls: ClientTLS,
        roots: RootStore,
        settings: Delivery,
        sink: IEventSink,
        now: Callable[[], float],
        dialogues: DebugPeers | None = None,
        lines: ConnectionLimits | None = None,
        identities: ClientIdentities | None = None,
        greetings: Greetings | None = None,
        lacking: Condition | None = None,
    ) -> None:
        self._connector = connector
        self._senders = senders
        self._pool = pool
        self._tls = tls
        self._roots = roots
        self._settings = settings
        self._sink = sink
        self._now = now
        self._dialogues = dialogues or DebugPeers()
        self._lines = lines or ConnectionLimits()
        self._identities = identities or ClientIdentities()
        self._greetings = greetings
        self._lacking = lacking or Condition(sink, ConditionKind.LOCAL, "delivery")
        self._knows_bdat: Recent[tuple[PeerAddress, int], bool] = Recent(BDAT_KNOWN, now)
        self._enough: Recent[PeerAddress, int] = Recent(ENOUGH, now)  # connections that an address takes at a time
        self._verdicts: dict[SMTPClientProtocol, dict[object, tuple[float, Verdict]]] = {}

    async def open(
        self,
        decision: Decision,
        host: MXHost,
        address: PeerAddress,
        outgoing: OutboundSettings,
        progress: AttemptProgress,
    ) -> VerifiedConnection:
        """A session with this host at this address that satisfies the decision.

        :param progress: of the attempt; from here on it tells how far the session is.

        :raises Unsatisfied: the peer was judged, and refused.
        :raises Tampered: somebody in between may have had a hand in it: no other way in this attempt.
        :raises Temporary: it can't be reached, or doesn't speak SMTP.
        :raises Crowded: the domain or the address has all the connections that it may have.

        A `Temporary` whose cause is a `LocalFault` is a failure of our own, and no word on the host.
        """
        key = self._key(host, address, outgoing)
        session = None if self._dialogues.wanted(decision.domain) else self._reuse(decision, key)
        if session is not None:
            self._keep_within(decision.domain, outgoing)
            progress.talks(session.sender)
            progress.heard()
            return session
        return await self.open_anew(decision, host, address, outgoing, progress)

    async def open_anew(
        self,
        decision: Decision,
        host: MXHost,
        address: PeerAddress,
        outgoing: OutboundSettings,
        progress: AttemptProgress,
    ) -> VerifiedConnection:
        """`open`, on a new connection: one that waited could not serve.

        :raises: as `open`.
        """
        key = self._key(host, address, outgoing)
        requirement = decision.requirement
        try:
            return await self._negotiated(decision, host, key, outgoing, progress)
        except HandshakeFailed as failure:
            if isinstance(failure, Tampered) or local_fault(failure) is not None:
                raise
            why = failure.text
            facts = SessionFacts(starttls_offered=True, failure=why)
            verdict = judge(decision, facts, self._trust())
            if not verdict.ok:
                unsatisfied = PolicyViolation(decision, verdict, facts)
                unsatisfied.dcid = failure.dcid
                raise unsatisfied from failure
            if not requirement.clear_retry or host.manner.implicit_tls:
                raise
        return await self._fresh(decision, host, key, outgoing, progress, TLSLevel.NEVER, why_clear=why)

    async def _negotiated(
        self, decision: Decision, host: MXHost, key: PoolKey, outgoing: OutboundSettings, progress: AttemptProgress
    ) -> VerifiedConnection:
        """A fresh session. A handshake that fails gets one more on a new connection, with classical key exchange groups only."""
        level, tls = decision.requirement.tls, self._tls
        classical = tls.narrows and tls.classical_peers.has(key.peer, self._now())
        try:
            return await self._fresh(decision, host, key, outgoing, progress, level, classical=classical)
        except HandshakeFailed as failure:
            if not self._may_narrow(failure, classical):
                raise
        return await self._fresh(decision, host, key, outgoing, progress, level, classical=True)

    def _may_narrow(self, failure: HandshakeFailed, classical: bool) -> bool:
        """Whether fewer groups may help: not where somebody had a hand in it, nor where the fault is ours."""
        return (
            self._tls.narrows and not classical and not isinstance(failure, Tampered) and local_fault(failure) is None
        )

    def _key(self, host: MXHost, address: PeerAddress, outgoing: OutboundSettings) -> PoolKey:
        source = self._source(address, outgoing)
        return PoolKey(address, host.port, source, outgoing.ehlo_name, host.manner, outgoing.certificate)

    def _keep_within(self, domain: str, outgoing: OutboundSettings) -> None:
        """A domain that has taken over another one's connection gives up one of its own that waits, if it has too many now."""
        if outgoing.connections and not outgoing.per_address and self._lines.over(domain, outgoing.connections):
            Deferred.fromCoroutine(self._pool.end_one(lambda idle: self._lines.within(idle, domain)))

    def _source(self, address: PeerAddress, outgoing: OutboundSettings) -> str:
        """The local address to send from, "" when the system chooses."""
        if isinstance(address, SocketPath):
            return ""
        if address.version == 6:
            return outgoing.source6 or self._settings.source_address6
        return outgoing.source or self._settings.source_address

    def give(self, session: VerifiedConnection, max_transactions: int) -> None:
        """Take a session back: the next message may use its connection."""
        bdat = session.sender.bdat
        if bdat.learnt:
            self._knows_bdat.learn((session.key.address, session.key.port), bdat.known is True)
        self._pool.give(session.key, session.sender, max_transactions)
        self._lines.rests(session.sender)

    def _reuse(self, decision: Decision, key: PoolKey) -> VerifiedConnection | None:
        verdicts: list[Verdict] = []

        def satisfied(sender: SMTPClientProtocol) -> bool:
            tls = decision.requirement.tls
            if tls is TLSLevel.NEVER and sender.facts.tls:
                return False
            if tls is TLSLevel.MAY and not sender.facts.tls and sender.capabilities.starttls:
                return False  # it went in clear for a policy of NEVER
            verdict = self._judge(decision, sender)
            verdicts[:] = [verdict]
            return verdict.ok

        sender = self._pool.take(key, satisfied)
        if sender is None:
            return None
        self._lines.carries(sender, decision.domain)
        return VerifiedConnection(sender, verdicts[0], key)

    def _judge(self, decision: Decision, sender: SMTPClientProtocol) -> Verdict:
        """The verdict on an open connection, remembered for a while: most messages come with the same decision."""
        verdicts = self._verdicts.get(sender)
        if verdicts is None:
            verdicts = self._verdicts[sender] = {}
            sender.on_closed(self._forget)
        wanted = (decision.requirement, decision.observed)
        now = self._now()
        known = verdicts.get(wanted)
        if known is not None and 0 <= now - known[0] < self.VERDICT_AGE:
            return known[1]
        verdict = judge(decision, sender.facts, self._trust())
        if len(verdicts) >= self.VERDICTS:
            verdicts.clear()
        verdicts[wanted] = (now, verdict)
        return verdict

    def _forget(self, sender: SMTPClientProtocol) -> None:
        self._verdicts.pop(sender, None)

    async def _fresh(
        self,
        decision: Decision,
        host: MXHost,
        key: PoolKey,
        outgoing: OutboundSettings,
        progress: AttemptProgress,
        level: TLSLevel,
        classical: bool = False,
        why_clear: str = "",
    ) -> VerifiedConnection:
        progress.asks()
        line = await self._line(decision.domain, host, key.address, outgoing)
        sender = await self._connect(decision, host, key, line, progress)
        progress.talks(sender)
        if why_clear:
            sender.tls_failed()
        try:
            if host.manner.implicit_tls:
                await self._secure(sender, decision, key, classical)
            capabilities = await self._welcomed(sender, key.address)
            if capabilities.starttls and level is not TLSLevel.NEVER and not sender.facts.tls:
                await self._start_tls(sender, decision, key, classical)
            verdict = self._judge(decision, sender)
            if not verdict.ok:
                self._refuse(sender, decision, verdict)
            if sender.facts.tls:
                if not host.manner.implicit_tls:
                    await sender.hello()
                self._remember(sender, decision, key, classical)
            elif level is TLSLevel.MAY or why_clear:
                reason = why_clear or sender.facts.failure or "STARTTLS isn't offered"
                self._sink.emit(DeliveryInClear(sender.dcid, host.name, reason))
            if host.manner.auth:
                await self._authenticate(sender, outgoing.logins.get(host.manner.auth), verdict)
        except Temporary as error:
            error.dcid = sender.dcid
            progress.parts()
            self._leave(sender)
            raise
        except BaseException:
            progress.parts()
            self._leave(sender)
            raise
        return VerifiedConnection(sender, verdict, key)

    async def _welcomed(self, sender: SMTPClientProtocol, address: PeerAddress) -> Capabilities:
        """The greeting and EHLO.

        :raises Crowded: the server wants no further connection, while others to it are at work: these are enough.
        :raises Temporary: it doesn't want this one.
        """
        try:
            return await sender.hello()
        except Temporary as error:
            others = self._lines.at_work(address, sender)
            if not 400 <= error.code < 500 or not others:
                raise
            self._enough.learn(address, others)
            raise LimitReached(address, lambda: self._lines.room(address, others)) from error

    async def _authenticate(self, sender: SMTPClientProtocol, login: AuthProfile | None, verdict: Verdict) -> None:
        """Show who we are. What goes wrong is the operator's business, and never the sender's: the mail waits.

        :raises AuthFailed: it isn't possible, or refused.
        """
        if login is None:
            raise AuthenticationError("4.7.0", "the AUTH profile of the route isn't there any more")
        if not sender.facts.tls:
            raise AuthenticationError("4.7.0", f"AUTH profile {login.name}: no password is sent without TLS")
        if verdict.by == NOBODY and not login.unverified:
            text = "nothing verified the server's certificate; set the destination's tls to required-verify-hosted, or unverified = true"
            raise AuthenticationError("4.7.0", f"AUTH profile {login.name}: {text}")
        try:
            mechanism = mechanism_for(login, sender.capabilities.raw.get("AUTH", ""))
        except Temporary as error:
            raise AuthenticationError(error.enhanced, error.text) from error
        try:
            await sender.authenticate(mechanism)
        except Temporary as error:
            said = " ".join(error.remote) or error.text
            raise AuthenticationError(
                error.enhanced, f"AUTH profile {login.name} ({mechanism.name}) is refused: {said}"
            ) from error

    async def _secure(self, sender: SMTPClientProtocol, decision: Decision, key: PoolKey, classical: bool) -> None:
        """TLS from the first octet."""
        sni = decision.requirement.sni or decision.host
        creator = self._creator(decision, key, classical)
        try:
            facts = await sender.secure(creator, lambda connection: session_facts(connection, sni))
        except HandshakeFailed as failure:
            self._sink.emit(DeliveryTLSFailed(sender.dcid, failure.text))
            raise
        self._shaken(sender, facts, key, classical)

    async def _line(
        self, domain: str, host: MXHost, address: PeerAddress, outgoing: OutboundSettings
    ) -> ConnectionSlot:
        """Room for one more connection.

        :raises Crowded: there is none.
        :raises Temporary: the address has let others wait for its greeting for a while; it isn't worth waiting for.
        """
        if outgoing.by_mx and self._greetings is not None:
            await self._greets(self._greetings, host, address)
        group: LimitKey = address if outgoing.per_address else domain
        if outgoing.connections:
            await self._room(group, outgoing.connections)
        if not (outgoing.connections and outgoing.per_address):
            if outgoing.by_mx:
                await self._room(address, max(LEAST_OF_ADDRESS, self._settings.max_connections // SHARE_OF_ADDRESS))
            if self._settings.host_connections and not self._lines.alone(address, domain):
                await self._room(address, self._settings.host_connections)
        if (enough := self._enough.get(address)) is not None:
            await self._room(address, enough)
        return self._lines.begin(domain, address)

    async def _greets(self, greetings: Greetings, host: MXHost, address: PeerAddress) -> None:
        """Only a few connections wait for the first greeting of an address, for however many domains; others wait for what comes of them.

        :raises Temporary: it has let them wait for a while.
        """
        while not greetings.room(address):
            silence = greetings.silence(address)
            if silence >= PATIENCE:
                text = f"No answer from host {host_endpoint(host.name, address, host.port)}: others wait for its greeting, too"
                raise Temporary("4.4.1", text)
            await greetings.news(address)

    async def _room(self, group: LimitKey, limit: int) -> None:
        """Room for one more connection in a group; one that waits for other messages is ended for it, and one that is ending is waited for.

        :raises Crowded: there is none.
        """
        if self._lines.room(group, limit):
            return
        await self._pool.end_one(lambda idle: self._lines.within(idle, group))
        leaving = self._lines.leaving(group) if not self._lines.room(group, limit) else None
        if leaving is not None:
            await leaving.gone()
        if not self._lines.room(group, limit):
            raise LimitReached(group, lambda: self._lines.room(group, limit))

    async def _connect(
        self, decision: Decision, host: MXHost, key: PoolKey, line: ConnectionSlot, progress: AttemptProgress
    ) -> SMTPClientProtocol:
        address = key.address
        waiting = self._greetings.begin(address) if self._greetings is not None else None
        senders = self._senders.called(key.ehlo_name, host.manner.lmtp)
        try:
            sender = await self._connector.connect(
                senders, address, host.port, key.source, self._settings.connect_timeout
            )
        except BaseException as error:
            if waiting is not None:
                waiting.end()
            self._lines.end(line)
            if isinstance(error, ConnectingCancelledError):
                raise CancelledError from error
            fault = local_fault(error)
            if fault is not None:
                if _number(error) not in OF_ONE_WAY:
                    self._lacking.begin(f"connections to other hosts can't be opened: {fault.text}")
                raise fault.temporary() from fault
            if not isinstance(error, ConnectError | TimeoutError | OSError):
                raise
            details = _connect_failure(error)
            reason = "connection timed out" if isinstance(error, TimeoutError) else "network error"
            self._sink.emit(DeliveryConnectFailed(decision.domain, host.name, str(address), host.port, details, reason))
            text = f"No answer from host {host_endpoint(host.name, address, host.port)}: {details}"
            raise Unreachable("4.4.1", text) from error
        self._lacking.end("connections to other hosts can be opened again")
        self._lines.made(line, sender)

        def greeted() -> None:
            if waiting is not None:
                waiting.end(heard=True)
            progress.heard()

        sender.bdat.known = sender.bdat.known or self._knows_bdat.get((address, host.port))
        sender.on_greeted(greeted)
        if waiting is not None:
            sender.on_closed(lambda _: waiting.end())
        local = sender.transport.getHost()
        interface = getattr(local, "host", "local")  # a unix socket has none
        self._sink.emit(DeliveryConnected(sender.dcid, interface, str(address), host.port))
        sender.on_closed(lambda sender: self._sink.emit(DeliveryClosed(sender.dcid)))
        sender.tap = self._dialogues.tap(sender.dcid, decision.domain, self._sink)
        return sender

    async def _start_tls(self, sender: SMTPClientProtocol, decision: Decision, key: PoolKey, classical: bool) -> None:
        """STARTTLS and the handshake. A refusal before the 220 leaves a session in clear, for the verdict to judge."""
        sni = decision.requirement.sni or decision.host
        creator = self._creator(decision, key, classical)
        try:
            facts = await sender.start_tls(creator, lambda connection: session_facts(connection, sni))
        except StartTLSRefused as refusal:
            self._sink.emit(DeliveryTLSFailed(sender.dcid, str(refusal)))
            return
        except HandshakeFailed as failure:
            self._sink.emit(DeliveryTLSFailed(sender.dcid, failure.text))
            if decision.requirement.tls is TLSLevel.MUST and not self._may_narrow(failure, classical):
                self._sink.emit(DeliveryTLSRequired(sender.dcid, decision.host))
            raise
        self._shaken(sender, facts, key, classical)

    def _shaken(self, sender: SMTPClientProtocol, facts: SessionFacts, key: PoolKey, classical: bool) -> None:
        """A handshake is done: how is told, and a host that needed the smaller offer gets no other one for a day."""
        if classical:
            self._tls.classical_peers.add(key.peer, self._now())
        names = names_of(facts.peer.chain[0]) if facts.peer.chain else ()
        started = DeliveryTLSStarted(sender.dcid, facts.version, facts.cipher, names, facts.resumed, facts.group)
        self._sink.emit(started)

    def _creator(self, decision: Decision, key: PoolKey, classical: bool) -> IOpenSSLClientConnectionCreator:
        requirement = decision.requirement
        identity = self._identities.get(key.certificate)
        sni = requirement.sni or decision.host
        return self._tls.creator(sni, key.peer, requirement.min_version, identity, classical)

    def _remember(self, sender: SMTPClientProtocol, decision: Decision, key: PoolKey, classical: bool) -> None:
        """Keep the TLS session; the EHLO reply has come in, so a TLS 1.3 ticket has too if there is one."""
        requirement = decision.requirement
        handle = sender.transport.getHandle()
        if isinstance(handle, SSL.Connection):
            identity = self._identities.get(key.certificate)
            sni = requirement.sni or decision.host
            self._tls.remember(handle, sni, key.peer, requirement.min_version, identity, classical)

    def _refuse(self, sender: SMTPClientProtocol, decision: Decision, verdict: Verdict) -> None:
        """Say what didn't fit, in the vendor's two lines.

        :raises Unsatisfied: always.
        """
        if sender.facts.tls:
            self._sink.emit(DeliveryTLSDeferred(sender.dcid, verdict.summary, verdict.mismatches))
        self._sink.emit(DeliveryTLSRequired(sender.dcid, decision.host))
        raise PolicyViolation(decision, verdict, sender.facts)

    def _leave(self, sender: SMTPClientProtocol) -> None:
        """Close a connection that won't be used; nobody waits for the peer's farewell."""
        if sender.closed:
            return
        if sender.healthy:
            sender.quit_soon()
        else:
            sender.abort()

    def _trust(self) -> Trust:
        return Trust(self._roots, datetime.datetime.fromtimestamp(self._now(), datetime.UTC))


def _connect_failure(error: Exception) -> str:
    """``[Errno 111] Connection refused``, as the log and the report show it."""
    if isinstance(error, TimeoutError):
        return "timeout"
    number = _number(error) or (error.args[0] if error.args else None)
    text = str(getattr(error, "string", "") or error)
    return f"[Errno {number}] {text}" if isinstance(number, int) else text


def _number(error: BaseException) -> int | None:
    """The errno of a connect that failed, None for none."""
    number: int | None = getattr(error, "osError", None) or getattr(error, "errno", None)
    return number
