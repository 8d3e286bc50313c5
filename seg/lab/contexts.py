"""OpenSSL server contexts of the lab: any versions, and certificates chosen by the server name sent."""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from seg.lab.pki import LabCredential

TLS1_1 = SSL.TLS1_1_VERSION
TLS1_2 = SSL.TLS1_2_VERSION
TLS1_3 = SSL.TLS1_3_VERSION


def server_context(credential: LabCredential, *, lowest: int = TLS1_2, highest: int = TLS1_3) -> SSL.Context:
    """A server context that presents `credential`."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(lowest)
    context.set_max_proto_version(highest)
    if lowest < TLS1_2:
        # OpenSSL 3 allows the old versions at security level 0 only.
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.use_privatekey(credential.key)
    context.use_certificate(credential.leaf)
    for link in credential.chain[1:]:
        context.add_extra_chain_cert(link)
    context.set_session_id(b"seg.lab")
    return context


@implementer(IOpenSSLServerConnectionCreator)
class NamedContexts:
    """Makes server connections; `choose` picks the context by the server name that comes (RFC 6066 §3)."""

    def __init__(self, first: SSL.Context, choose: Callable[[str], SSL.Context]) -> None:
        """:param first: sets the versions, and is used when no name comes; never used before."""
        self._first = first
        self._choose = choose
        first.set_tlsext_servername_callback(self._named)

    def _named(self, connection: SSL.Connection) -> None:
        name = server_name(connection)
        if name:
            connection.set_context(self._choose(name))

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """A fresh connection for one handshake."""
        return SSL.Connection(self._first, None)


def server_name(connection: SSL.Connection) -> str:
    """The server name that the client sent in lower case, "" for none."""
    name: bytes | None = connection.get_servername()
    return (name or b"").decode("ascii", "replace").lower()
