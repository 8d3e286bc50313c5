"""TLS towards a host: from the first octet or by STARTTLS, with a smaller offer where the first one failed, and sessions resumed."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from seg.deliver.smtp_client import HandshakeFailed, SMTPClientProtocol, StartTLSRefused, Tampered
from seg.deliver.verified_connection import ConnectRequest
from seg.events.base import IEventSink
from seg.events.delivery import DeliveryTLSFailed, DeliveryTLSRequired, DeliveryTLSStarted
from seg.mail.errors import local_fault
from seg.policy.requirement import TLSLevel
from seg.tls.context import ClientTLS, session_facts
from seg.tls.identities import ClientIdentities
from seg.tls.names import names_of
from seg.tls.peer import SessionFacts
from seg.tls.roots import RootStore


@attrs.frozen
class TLSServices:
    """What TLS towards other hosts uses."""

    contexts: ClientTLS
    roots: RootStore
    identities: ClientIdentities = attrs.field(factory=ClientIdentities)  # certificates that we show


class TLSHandshake:
    """Secures connections.

    :param now: POSIX seconds.
    """

    def __init__(self, services: TLSServices, sink: IEventSink, now: Callable[[], float]) -> None:
        self._tls = services.contexts
        self._identities = services.identities
        self._sink = sink
        self._now = now

    def wants_classical(self, request: ConnectRequest) -> bool:
        """Whether the host needed the smaller offer of key exchange groups lately."""
        return self._tls.narrows and self._tls.classical_peers.has(request.peer, self._now())

    def may_narrow(self, failure: HandshakeFailed, classical: bool) -> bool:
        """Whether fewer groups may help: not where somebody had a hand in it, nor where the fault is ours."""
        return (
            self._tls.narrows and not classical and not isinstance(failure, Tampered) and local_fault(failure) is None
        )

    async def implicit(self, sender: SMTPClientProtocol, request: ConnectRequest, classical: bool) -> None:
        """TLS from the first octet.

        :raises HandshakeFailed: it doesn't come about.
        """
        name = request.server_name
        try:
            facts = await sender.secure(
                self._creator(request, classical), lambda connection: session_facts(connection, name)
            )
        except HandshakeFailed as failure:
            self._sink.emit(DeliveryTLSFailed(sender.dcid, failure.text))
            raise
        self._done(sender, facts, request, classical)

    async def start_tls(self, sender: SMTPClientProtocol, request: ConnectRequest, classical: bool) -> None:
        """STARTTLS and the handshake. A refusal before the 220 leaves a session in clear, for the verdict to judge.

        :raises HandshakeFailed: it doesn't come about.
        """
        name, decision = request.server_name, request.decision
        try:
            facts = await sender.start_tls(
                self._creator(request, classical), lambda connection: session_facts(connection, name)
            )
        except StartTLSRefused as refusal:
            self._sink.emit(DeliveryTLSFailed(sender.dcid, str(refusal)))
            return
        except HandshakeFailed as failure:
            self._sink.emit(DeliveryTLSFailed(sender.dcid, failure.text))
            if decision.requirement.tls is TLSLevel.MUST and not self.may_narrow(failure, classical):
                self._sink.emit(DeliveryTLSRequired(sender.dcid, decision.host))
            raise
        self._done(sender, facts, request, classical)

    def remember(self, sender: SMTPClientProtocol, request: ConnectRequest, classical: bool) -> None:
        """Keep the TLS session; the EHLO reply has come in, so a TLS 1.3 ticket has too if there is one."""
        handle = sender.transport.getHandle()
        if isinstance(handle, SSL.Connection):
            least, identity = request.decision.requirement.min_version, self._identities.get(request.key.certificate)
            self._tls.remember(handle, request.server_name, request.peer, least, identity, classical)

    def _creator(self, request: ConnectRequest, classical: bool) -> IOpenSSLClientConnectionCreator:
        least, identity = request.decision.requirement.min_version, self._identities.get(request.key.certificate)
        return self._tls.creator(request.server_name, request.peer, least, identity, classical)

    def _done(self, sender: SMTPClientProtocol, facts: SessionFacts, request: ConnectRequest, classical: bool) -> None:
        """A handshake is done: how is told, and a host that needed the smaller offer gets no other one for a day."""
        if classical:
            self._tls.classical_peers.add(request.peer, self._now())
        names = names_of(facts.peer.chain[0]) if facts.peer.chain else ()
        started = DeliveryTLSStarted(sender.dcid, facts.version, facts.cipher, names, facts.resumed, facts.group)
        self._sink.emit(started)
