"""Opens a connection with a host that satisfies what was decided for it, or none at all.

The peer of a connection has been judged before anything of a message is sent: TCP, greeting, EHLO, STARTTLS, the verdict, EHLO again. A
pooled connection is judged anew for each message that is to ride on it.
"""

from __future__ import annotations

from collections.abc import Callable

from seg.config.schema import Delivery
from seg.deliver.connection_room import ConnectionRoom
from seg.deliver.handshake import TLSHandshake, TLSServices
from seg.deliver.host_connector import ConnectionServices, HostConnector
from seg.deliver.login import authenticate
from seg.deliver.outbound import OutboundSettings
from seg.deliver.policy_violation import PolicyViolation
from seg.deliver.pool import PoolKey
from seg.deliver.progress import AttemptProgress
from seg.deliver.smtp_client import HandshakeFailed, SMTPClientProtocol, Tampered
from seg.deliver.verdict_cache import VerdictCache
from seg.deliver.verified_connection import ConnectRequest, VerifiedConnection
from seg.events.base import IEventSink
from seg.events.delivery import DeliveryInClear, DeliveryTLSDeferred, DeliveryTLSRequired
from seg.mail.errors import Temporary, local_fault
from seg.mail.hosts import MXHost, PeerAddress, SocketPath
from seg.policy.judge import Verdict
from seg.policy.requirement import Decision, TLSLevel
from seg.smtp.client_capabilities import Capabilities
from seg.tls.peer import SessionFacts


class ConnectionOpener:
    """Opens connections, and takes them back for the next message.

    :param now: POSIX seconds.
    """

    def __init__(
        self,
        services: ConnectionServices,
        tls: TLSServices,
        settings: Delivery,
        sink: IEventSink,
        now: Callable[[], float],
    ) -> None:
        self._pool = services.pool
        self._limits = services.limits
        self._debug_peers = services.debug_peers
        self._settings = settings
        self._sink = sink
        self._room = ConnectionRoom(services.limits, services.pool, services.greetings, settings, now)
        self._connector = HostConnector(services, settings, sink, now)
        self._tls = TLSHandshake(tls, sink, now)
        self._verdicts = VerdictCache(tls.roots, now)

    async def open(
        self,
        decision: Decision,
        host: MXHost,
        address: PeerAddress,
        outgoing: OutboundSettings,
        progress: AttemptProgress,
    ) -> VerifiedConnection:
        """A connection to this host at this address that satisfies the decision.

        :param progress: of the attempt; from here on it tells how far the connection is.

        :raises PolicyViolation: the peer was judged, and refused.
        :raises Tampered: somebody in between may have had a hand in it: no other way in this attempt.
        :raises Temporary: it can't be reached, or doesn't speak SMTP.
        :raises LimitReached: the domain or the address has all the connections that it may have.

        A `Temporary` whose cause is a `LocalFault` is a failure of our own, and no word on the host.
        """
        key = self._key(host, address, outgoing)
        kept = None if self._debug_peers.wanted(decision.domain) else self._reuse(decision, key)
        if kept is None:
            return await self._open_new(ConnectRequest(decision, host, key, outgoing, progress))
        self._room.keep_within(decision.domain, outgoing)
        progress.talks(kept.sender)
        progress.heard()
        return kept

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
        return await self._open_new(ConnectRequest(decision, host, key, outgoing, progress))

    def give(self, connection: VerifiedConnection, max_transactions: int) -> None:
        """Take a connection back: the next message may use it."""
        self._connector.learn(connection.key, connection.sender)
        self._pool.give(connection.key, connection.sender, max_transactions)
        self._limits.rests(connection.sender)

    # --- one that waits for the next message --------------------------------------------------------

    def _key(self, host: MXHost, address: PeerAddress, outgoing: OutboundSettings) -> PoolKey:
        source = self._source(address, outgoing)
        return PoolKey(address, host.port, source, outgoing.ehlo_name, host.manner, outgoing.certificate)

    def _source(self, address: PeerAddress, outgoing: OutboundSettings) -> str:
        """The local address to send from, "" when the system chooses."""
        if isinstance(address, SocketPath):
            return ""
        if address.version == 6:
            return outgoing.source6 or self._settings.source_address6
        return outgoing.source or self._settings.source_address

    def _reuse(self, decision: Decision, key: PoolKey) -> VerifiedConnection | None:
        verdicts: list[Verdict] = []

        def satisfied(sender: SMTPClientProtocol) -> bool:
            tls = decision.requirement.tls
            if tls is TLSLevel.NEVER and sender.facts.tls:
                return False
            if tls is TLSLevel.MAY and not sender.facts.tls and sender.capabilities.starttls:
                return False  # it went in clear for a policy of NEVER
            verdict = self._verdicts.on(decision, sender)
            verdicts[:] = [verdict]
            return verdict.ok

        sender = self._pool.take(key, satisfied)
        if sender is None:
            return None
        self._limits.carries(sender, decision.domain)
        return VerifiedConnection(sender, verdicts[0], key)

    # --- a new one ----------------------------------------------------------------------------------

    async def _open_new(self, request: ConnectRequest) -> VerifiedConnection:
        """A new connection; where a handshake fails, by what the decision allows then."""
        decision = request.decision
        try:
            return await self._negotiated(request)
        except HandshakeFailed as failure:
            if isinstance(failure, Tampered) or local_fault(failure) is not None:
                raise
            why = failure.text
            facts = SessionFacts(starttls_offered=True, failure=why)
            verdict = self._verdicts.of(decision, facts)
            if not verdict.ok:
                violation = PolicyViolation(decision, verdict, facts)
                violation.dcid = failure.dcid
                raise violation from failure
            if not decision.requirement.clear_retry or request.host.manner.implicit_tls:
                raise
        return await self._fresh(request, TLSLevel.NEVER, why_clear=why)

    async def _negotiated(self, request: ConnectRequest) -> VerifiedConnection:
        """A handshake that fails gets one more on a new connection, with classical key exchange groups only."""
        level, classical = request.decision.requirement.tls, self._tls.wants_classical(request)
        try:
            return await self._fresh(request, level, classical)
        except HandshakeFailed as failure:
            if not self._tls.may_narrow(failure, classical):
                raise
        return await self._fresh(request, level, classical=True)

    async def _fresh(
        self, request: ConnectRequest, level: TLSLevel, classical: bool = False, why_clear: str = ""
    ) -> VerifiedConnection:
        progress = request.progress
        progress.asks()
        sender = await self._connector.connect(request, await self._room.slot(request))
        progress.talks(sender)
        if why_clear:
            sender.tls_failed()
        try:
            verdict = await self._session(sender, request, level, classical)
            if not sender.facts.tls and (level is TLSLevel.MAY or why_clear):
                reason = why_clear or sender.facts.failure or "STARTTLS isn't offered"
                self._sink.emit(DeliveryInClear(sender.dcid, request.host.name, reason))
            if request.host.manner.auth:
                await authenticate(sender, request.outgoing.logins.get(request.host.manner.auth), verdict)
        except BaseException as error:
            if isinstance(error, Temporary):
                error.dcid = sender.dcid
            progress.parts()
            _leave(sender)
            raise
        return VerifiedConnection(sender, verdict, request.key)

    async def _session(
        self, sender: SMTPClientProtocol, request: ConnectRequest, level: TLSLevel, classical: bool
    ) -> Verdict:
        """Greeting, EHLO, TLS as far as there is any, the verdict; within TLS, EHLO again (RFC 3207 §4.2).

        :raises PolicyViolation: it isn't what the decision wants.
        """
        implicit = request.host.manner.implicit_tls
        if implicit:
            await self._tls.implicit(sender, request, classical)
        capabilities = await self._welcomed(sender, request.key.address)
        if capabilities.starttls and level is not TLSLevel.NEVER and not sender.facts.tls:
            await self._tls.start_tls(sender, request, classical)
        verdict = self._verdicts.on(request.decision, sender)
        if not verdict.ok:
            self._refuse(sender, request.decision, verdict)
        if sender.facts.tls:
            if not implicit:
                await sender.hello()
            self._tls.remember(sender, request, classical)
        return verdict

    async def _welcomed(self, sender: SMTPClientProtocol, address: PeerAddress) -> Capabilities:
        """The greeting and EHLO.

        :raises LimitReached: the server wants no further connection, while others to it are at work: these are enough.
        :raises Temporary: it doesn't want this one.
        """
        try:
            return await sender.hello()
        except Temporary as error:
            reached = self._room.refused(address, sender, error)
            if reached is None:
                raise
            raise reached from error

    def _refuse(self, sender: SMTPClientProtocol, decision: Decision, verdict: Verdict) -> None:
        """Say what didn't fit, in the vendor's two lines.

        :raises PolicyViolation: always.
        """
        if sender.facts.tls:
            self._sink.emit(DeliveryTLSDeferred(sender.dcid, verdict.summary, verdict.mismatches))
        self._sink.emit(DeliveryTLSRequired(sender.dcid, decision.host))
        raise PolicyViolation(decision, verdict, sender.facts)


def _leave(sender: SMTPClientProtocol) -> None:
    """Close a connection that won't be used; nobody waits for the peer's farewell."""
    if sender.closed:
        return
    if sender.healthy:
        sender.quit_soon()
    else:
        sender.abort()
