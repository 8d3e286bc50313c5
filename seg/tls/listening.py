"""The certificates of a listener: one for each name that clients ask for, read again when their files change."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from seg.common.files import FileSignature
from seg.tls.clients import TrustedClients
from seg.tls.context import server_context
from seg.tls.credential import marks_of, server_chain
from seg.tls.expiry import Presented
from seg.tls.names import dns_names, fitting
from seg.tls.parameters import USUAL, Parameters

Files = tuple[str, str]  # certificate, key ("" = in the certificate file)


@implementer(IOpenSSLServerConnectionCreator)
class ListenerCertificates:
    """Makes the server side of TLS connections.

    :param files: the first pair is for clients that ask for no name, or for one that no certificate speaks for.
    :param clients: PEM file of clients that may relay by their certificates; "" = none are asked for.
    :param client_names: names of which their certificates must have one; () = none is needed (`TrustedClients`).
    :param outdated: whether certificates whose dates are wrong are taken now; renewed ones never are.
    :param now: aware, when they have to be valid; None: whenever they are read.
    :raises ConfigurationError: a file is missing or unreadable, a key doesn't fit, the dates are wrong.
    """

    def __init__(
        self,
        files: Sequence[Files],
        now: datetime.datetime | None = None,
        clients: str = "",
        parameters: Parameters = USUAL,
        client_names: Sequence[str] = (),
        outdated: bool = False,
    ) -> None:
        self.parameters = parameters
        self._files = tuple(files)
        self._clients_file = clients
        self._client_names = tuple(client_names)
        self.warnings: tuple[str, ...] = ()  # what an operator should know of the files
        self.clients: TrustedClients | None = None
        self._now = now
        self._marks: tuple[FileSignature, ...] = ()
        self._default: SSL.Context
        self._by_name: dict[str, SSL.Context] = {}
        self.presented: tuple[Presented, ...] = ()
        self._load(outdated)

    def load(self) -> None:
        """Read the files; what was read before stays in force if they can't be used. Blocks: for the start, or a thread."""
        self._load(outdated=False)

    def _load(self, outdated: bool) -> None:
        marks = self._look()
        contexts = [
            (server_context(certificate, key, self._now, self.parameters, outdated), server_chain(certificate))
            for certificate, key in self._files
        ]
        clients = TrustedClients(self._clients_file, self._client_names) if self._clients_file else None
        by_name: dict[str, SSL.Context] = {}
        for context, _ in contexts if clients else ():
            # Asked for, and judged behind the handshake: a client without one, or with another, is a client like any.
            context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
            context.set_session_id(b"seg")
        for context, chain in reversed(contexts):  # of two for one name the first counts
            by_name.update((name.lower(), context) for name in dns_names(chain[0]))
        default = contexts[0][0]
        default.set_tlsext_servername_callback(self._choose)
        self._marks, self._default, self._by_name, self.clients = marks, default, by_name, clients
        self.presented = tuple(
            Presented(file, tuple(chain)) for (file, _), (_, chain) in zip(self._files, contexts, strict=True)
        )
        self.warnings = clients.warnings() if clients else ()

    def changed(self) -> bool:
        """Whether a file isn't what it was when it was read. Blocks a little: for a thread."""
        return self._look() != self._marks

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A new server connection; the name that the client asks for may change its certificate."""
        return SSL.Connection(self._default, None)

    def _choose(self, connection: SSL.Connection) -> None:
        asked = connection.get_servername()
        if asked is None:
            return
        found = next((self._by_name[name] for name in fitting(asked.decode("latin-1")) if name in self._by_name), None)
        if found is not None:
            connection.set_context(found)

    def _look(self) -> tuple[FileSignature, ...]:
        return marks_of([*(path for pair in self._files for path in pair), self._clients_file])
