"""TLS handshakes in memory: the creators' connections talk to each other without a socket."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """The server side over one context."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """A new connection."""
        return SSL.Connection(self._context, None)


def _step(connection: SSL.Connection) -> bool:
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return False
    return True


def _pump(source: SSL.Connection, target: SSL.Connection) -> None:
    try:
        while data := source.bio_read(65536):
            target.bio_write(data)
    except SSL.WantReadError:
        return


def shake(client_creator: Any, server_creator: Any) -> tuple[SSL.Connection, SSL.Connection]:
    """Make the handshake, send one octet from server to client, and return both ends."""
    client = client_creator.clientConnectionForTLS(None)
    server = server_creator.serverConnectionForTLS(None)
    client.set_connect_state()
    server.set_accept_state()
    done = [False, False]
    for _ in range(10):
        done[0] = done[0] or _step(client)
        _pump(client, server)
        done[1] = done[1] or _step(server)
        _pump(server, client)
        if all(done):
            break
    server.send(b"2")
    _pump(server, client)
    client.recv(1)
    return client, server
