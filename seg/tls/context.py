"""OpenSSL contexts and connection creators for both directions, and what a finished handshake achieved.

Outgoing handshakes are made without verification (OpenSSL's own result is never asked): what was presented
is judged afterwards by `seg.policy.judge`, also on a resumed session.
"""

from __future__ import annotations

import datetime

import attrs
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from seg.common.bounded import BoundedMap
from seg.common.files import FileSignature
from seg.mail.address import to_ascii
from seg.tls.chain import MAX_CHAIN
from seg.tls.credential import marks_of, read_credential
from seg.tls.expiry import Presented
from seg.tls.groups import ClassicalPeers, group_of
from seg.tls.limits import chain_excess
from seg.tls.names import UNREADABLE, is_host_name, printable
from seg.tls.parameters import OUTBOUND, USUAL, Parameters
from seg.tls.peer import PeerCertificates, SessionFacts, TLSVersion

_SESSIONS_PER_PEER = 4  # as many connections at a time can be resumed; a session is used once (RFC 8446 §C.4)

Offer = tuple[TLSVersion, bool]  # lowest version, and whether classical groups alone are offered
SessionKey = tuple[str, str, Offer, str]  # peer, server name, what was offered, our certificate


class SessionCache:
    """TLS sessions by peer, server name, what was offered and our certificate; the peers used longest ago are forgotten first.

    A session is handed out once: one that a server chokes on can't spoil the next connection too.
    """

    def __init__(self, limit: int = 500) -> None:
        self._sessions: BoundedMap[SessionKey, list[SSL.Session]] = BoundedMap(limit)

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values()))

    def take(self, key: SessionKey) -> SSL.Session | None:
        """The newest session of a peer, which is thereby gone from the cache."""
        sessions = self._sessions.get(key)
        if not sessions:
            return None
        session = sessions.pop()
        if not sessions:
            del self._sessions[key]
        return session

    def put(self, key: SessionKey, session: SSL.Session) -> None:
        """Keep a session."""
        sessions = self._sessions.renew(key, list)
        sessions.append(session)
        del sessions[:-_SESSIONS_PER_PEER]


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen(eq=False)
class ClientConnections:
    """Makes the OpenSSL side of one connection to a peer; give it to ``ITLSTransport.startTLS``."""

    _context: SSL.Context
    _sni: str  # "" = send none
    _sessions: SessionCache
    _key: SessionKey

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new client connection, with SNI (RFC 6066 §3) and the session to be resumed, if there is one."""
        connection = SSL.Connection(self._context, None)
        if self._sni:
            connection.set_tlsext_host_name(self._sni.encode("ascii"))
        session = self._sessions.take(self._key)
        if session is not None:
            connection.set_session(session)
        return connection


class ClientIdentity:
    """A certificate that we show to servers that ask for one (RFC 8446 §4.3.2). Reading it blocks: for the start, or a thread.

    :param key_file: "" = the key is in the certificate file.
    :param outdated: whether a certificate whose dates are wrong is taken now; a renewed one never is.
    :raises ConfigurationError: a file is missing or unreadable, the key doesn't fit, the dates are wrong.
    """

    def __init__(
        self, certificate_file: str, key_file: str = "", parameters: Parameters = OUTBOUND, outdated: bool = False
    ) -> None:
        self.parameters = parameters
        self._files = (certificate_file, key_file)
        self._marks: tuple[FileSignature, ...] = ()
        self.contexts: dict[Offer, SSL.Context] = {}
        self.mark = ""  # tells one certificate from another: the fingerprint
        self.presented: tuple[Presented, ...] = ()
        self._load(outdated)

    def load(self) -> None:
        """Read the files; what was read before stays if they can't be used."""
        self._load(outdated=False)

    def _load(self, outdated: bool) -> None:
        marks = marks_of(self._files)
        credential = read_credential(*self._files, outdated=outdated)
        contexts = _client_contexts(self.parameters)
        for context in contexts.values():
            credential.install(context)
        self._marks, self.contexts = marks, contexts
        self.presented = (Presented(self._files[0], tuple(credential.chain)),)
        self.mark = credential.chain[0].fingerprint(hashes.SHA256()).hex()

    def changed(self) -> bool:
        """Whether a file isn't what it was when it was read. Blocks a little: for a thread."""
        return marks_of(self._files) != self._marks


class ClientTLS:
    """TLS towards other hosts: one OpenSSL context for each minimum version, and the sessions to be resumed.

    :param sessions: how many peers' sessions are kept.
    """

    def __init__(self, sessions: int = 500, parameters: Parameters = OUTBOUND) -> None:
        self._contexts = _client_contexts(parameters)
        self._sessions = SessionCache(sessions)
        self.narrows = parameters.classical is not None  # whether there is a second offer, of classical groups only
        self.classical_peers = ClassicalPeers()

    def creator(
        self,
        sni: str,
        peer: str,
        min_version: TLSVersion = TLSVersion.TLS1_2,
        identity: ClientIdentity | None = None,
        classical: bool = False,
    ) -> IOpenSSLClientConnectionCreator:
        """What ``startTLS`` needs for one connection.

        :param sni: server name to send; left out when it is an address or no host name.
        :param peer: whom we connect to ("192.0.2.1:25"); sessions are resumed with the same peer only.
        :param identity: who we are, if the server asks.
        :param classical: whether to offer classical key exchange groups only.
        """
        name = to_ascii(sni)
        offer = (min_version, classical)
        key = (peer, name, offer, identity.mark if identity else "")
        contexts = identity.contexts if identity else self._contexts
        return ClientConnections(contexts[offer], name if is_host_name(name) else "", self._sessions, key)

    def remember(
        self,
        connection: SSL.Connection,
        sni: str,
        peer: str,
        min_version: TLSVersion = TLSVersion.TLS1_2,
        identity: ClientIdentity | None = None,
        classical: bool = False,
    ) -> None:
        """Keep the session for the next connection to this peer.

        Call it once data came in: before that TLS 1.3 has no ticket yet.
        """
        session = connection.get_session()
        if session is not None:
            mark = identity.mark if identity else ""
            self._sessions.put((peer, to_ascii(sni), (min_version, classical), mark), session)


def _client_contexts(parameters: Parameters) -> dict[Offer, SSL.Context]:
    """One for each minimum version that a policy may want, with all groups and with the classical ones only."""
    offers = {False: parameters, True: parameters.classical or parameters}
    return {(version, few): _client_context(offer, version) for version in TLSVersion for few, offer in offers.items()}


def _client_context(parameters: Parameters, min_version: TLSVersion) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    parameters.apply(context, min_version)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # the cache is ours; get_session works all the same
    return context


def session_facts(connection: SSL.Connection, sni: str) -> SessionFacts:
    """What a finished handshake achieved, for judging; `sni` is the name that was sent."""
    # pyOpenSSL has no public name for this question.
    resumed = bool(SSL._lib.SSL_session_reused(connection._ssl))  # type: ignore[attr-defined]
    return SessionFacts(
        tls=True,
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        sni=sni,
        peer=_presented(connection, resumed),
        starttls_offered=True,
        resumed=resumed,
        group=group_of(connection),
    )


def _presented(connection: SSL.Connection, resumed: bool) -> PeerCertificates:
    """The chain, or why it can't be judged: a fault makes every examination fail."""
    try:
        chain = tuple(connection.get_peer_cert_chain(as_cryptography=True) or ())
        much = chain_excess(chain[:MAX_CHAIN])
    except UNREADABLE as error:
        return PeerCertificates(fault=f"certificate can't be read: {printable(str(error))}")
    if much:  # not even for people
        return PeerCertificates(fault=f"{much}: too much to look at")
    if len(chain) > MAX_CHAIN:
        return PeerCertificates(chain[:MAX_CHAIN], f"the server sent more than {MAX_CHAIN} certificates")
    if resumed and not chain:
        return PeerCertificates(fault="the resumed session has no certificates to judge")
    return PeerCertificates(chain)


def server_context(
    certificate_file: str,
    key_file: str = "",
    now: datetime.datetime | None = None,
    parameters: Parameters = USUAL,
    outdated: bool = False,
) -> SSL.Context:
    """TLS of a server from PEM files: one certificate, TLS 1.2 or newer. Reads them: for the start of the gateway, or a thread.

    :param key_file: empty: the key is in the certificate file.
    :param now: aware; empty: the present time.
    :param outdated: whether one whose dates are wrong is taken, too.
    :raises ConfigurationError: a file is missing or unreadable, the key doesn't fit, the dates are wrong.
    """
    credential = read_credential(certificate_file, key_file, now, outdated)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    parameters.apply(context)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_session_id(b"seg")
    credential.install(context)
    return context
