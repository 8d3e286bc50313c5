"""What the handshake of a TLS session on a listener tells of it and of the client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from seg.auth.binding import channel_bindings
from seg.common.clock import posix
from seg.filter.message import SessionTLS
from seg.receive.context import ListenerContext
from seg.tls.clients import holder_of
from seg.tls.groups import group_of


@attrs.frozen
class HandshakeFacts:
    """A session whose handshake is done."""

    tls: SessionTLS
    group: str  # of the key exchange
    holder: str | None  # of the client's certificate, if it was asked for one and showed it
    known: bool  # that certificate is listed: its holder may relay
    bindings: Mapping[str, bytes]  # for SASL


def handshake_facts(connection: Any, context: ListenerContext) -> HandshakeFacts:
    """Look at a connection of pyOpenSSL."""
    tls = SessionTLS(
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "",
        connection.get_cipher_bits() or 0,
    )
    listed = getattr(context.tls, "clients", None)
    leaf = None if listed is None else connection.get_peer_certificate(as_cryptography=True)
    known = listed is not None and leaf is not None and listed.knows(leaf, _now(context))
    return HandshakeFacts(
        tls=tls,
        group=group_of(connection),
        holder=None if leaf is None else holder_of(leaf),
        known=known,
        bindings={} if context.sasl is None else channel_bindings(connection),
    )


def handshake_failure(reason: Failure) -> str:
    """Why there was no session, in one line: what `connectionLost` was told."""
    if reason.check(ConnectionDone, ConnectionAborted):
        return "connection closed during the handshake"
    return reason.getErrorMessage()


def _now(context: ListenerContext) -> datetime:
    return datetime.fromtimestamp(posix(context.clock), UTC)
