"""A receiving MTA that takes down byte for byte what it's given, and misbehaves as told."""

from __future__ import annotations

from collections.abc import Mapping

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IReactorTCP,
    IReactorTime,
)
from twisted.internet.protocol import Factory

from seg.lab.arrivals import Arrivals, ReceivedMessage
from seg.lab.behaviour import Behaviour, Certificate, TLSVersions
from seg.lab.contexts import TLS1_1, TLS1_2, TLS1_3, NamedContexts, server_context
from seg.lab.listening import Listening
from seg.lab.pki import Authority, LabCredential
from seg.lab.session import ReceiverSession, SMTPSession

MAX_LINE = 1 << 20
VERSIONS = {
    TLSVersions.MODERN: (TLS1_2, TLS1_3),
    TLSVersions.ONLY_1_1: (TLS1_1, TLS1_1),
    TLSVersions.ONLY_1_2: (TLS1_2, TLS1_2),
}
INJECTED = b"250-injected.invalid\r\n250 XINJECTED\r\n"
INJECTION_WAIT = 0.3  # seconds in which a client that took INJECTED for our reply gives itself away


def credential_for(authority: Authority, names: tuple[str, ...], kind: Certificate) -> LabCredential:
    """The certificate of a server with these host names, of the kind asked for."""
    if kind is Certificate.OTHER_NAME:
        return authority.issue(["another-host.invalid"])
    if kind is Certificate.EXPIRED:
        return authority.expired(names)
    if kind is Certificate.SELF_SIGNED:
        return authority.self_signed(names)
    return authority.issue(names, with_intermediate=kind is not Certificate.NO_INTERMEDIATE)


class Receiver:
    """One receiving host. What arrives is in `received` and `sessions`; `behaviour` may be changed."""

    def __init__(
        self,
        reactor: IReactorTCP,
        host: str,
        authority: Authority,
        behaviour: Behaviour | None = None,
        *,
        names: tuple[str, ...] = (),
        credentials: Mapping[str, LabCredential] | None = None,
        arrivals: Arrivals | None = None,
    ) -> None:
        """:param names: of its certificate; without any its host name.
        :param credentials: certificates by server name (SNI), for a host with several; others get its own.
        :param arrivals: where messages go, for several receivers that share them.
        """
        self.reactor = reactor
        self.host = host
        self.names = names or (host,)
        self._authority = authority
        self._named = dict(credentials or {})
        self._contexts: dict[tuple[Certificate, TLSVersions], NamedContexts] = {}
        self._usual: dict[Certificate, LabCredential] = {}
        self.behaviour = behaviour or Behaviour()
        self.arrivals = arrivals or Arrivals(IReactorTime(reactor))
        self.sessions: list[ReceiverSession] = []
        self.most_open = 0  # connections at a time that hadn't said QUIT
        self.greylisted: dict[tuple[str, str, str], int] = {}
        self._open: set[SMTPSession] = set()
        self._staying: set[SMTPSession] = set()  # of these, the ones that haven't said QUIT
        self._listening: Listening | None = None
        self.address = ""
        self.port = 0

    # --- running ---

    def start(self, address: str, port: int = 0) -> None:
        """Listen.

        :raises twisted.internet.error.CannotListenError: the address or port can't be had.
        """
        self._listening = Listening(self.reactor, _Sessions(self), address, port)
        self.address, self.port = address, self._listening.port

    async def stop(self) -> None:
        """Close the port and whatever is open."""
        if self._listening is not None:
            await self._listening.close()
        for session in tuple(self._open):
            session.abort()

    # --- what arrived ---

    @property
    def envelopes_in_clear(self) -> int:
        """How many sessions said anything of an envelope outside TLS."""
        return sum(session.envelope_in_clear for session in self.sessions)

    @property
    def received(self) -> list[ReceivedMessage]:
        """The messages that this host took."""
        return self.arrivals.chosen(self._is_ours)

    def wait_for(self, count: int = 1, timeout: float = 10.0) -> Deferred[list[ReceivedMessage]]:
        """Fires with all messages of this host once there are at least `count` (see `Arrivals.wait_for`)."""
        return self.arrivals.wait_for(self._is_ours, count, timeout)

    def _is_ours(self, message: ReceivedMessage) -> bool:
        return message.host == self.host

    # --- for its sessions ---

    @property
    def credential(self) -> LabCredential:
        """The certificate that it presents now (TLSA records are made from it)."""
        return self._credential(self.behaviour.certificate)

    def contexts(self) -> NamedContexts:
        """The OpenSSL contexts of its present behaviour."""
        kind, versions = self.behaviour.certificate, self.behaviour.versions
        if (kind, versions) not in self._contexts:
            lowest, highest = VERSIONS[versions]

            def made(credential: LabCredential) -> SSL.Context:
                return server_context(credential, lowest=lowest, highest=highest)

            named = {name: made(credential) for name, credential in self._named.items()}
            usual = made(self._credential(kind))
            self._contexts[kind, versions] = NamedContexts(usual, lambda name: named.get(name, usual))
        return self._contexts[kind, versions]

    def opened(self, session: SMTPSession) -> None:
        """A connection came."""
        self._open.add(session)
        self._staying.add(session)
        self.most_open = max(self.most_open, len(self._staying))
        self.sessions.append(session.session)

    @property
    def staying(self) -> int:
        """How many connections are open that haven't said QUIT."""
        return len(self._staying)

    def leaving(self, session: SMTPSession) -> None:
        """A client has said QUIT."""
        self._staying.discard(session)

    def closed(self, session: SMTPSession) -> None:
        """A connection went."""
        self.leaving(session)
        self._open.discard(session)

    def _credential(self, kind: Certificate) -> LabCredential:
        if kind not in self._usual:
            self._usual[kind] = credential_for(self._authority, self.names, kind)
        return self._usual[kind]


class _Sessions(Factory):
    noisy = False

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def buildProtocol(self, addr: IAddress | None) -> SMTPSession:
        return SMTPSession(self._receiver)
