"""One question to one resolver: over UDP, and over TCP where UDP doesn't do (RFC 7766 §5)."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import BindError, CannotListenError, ConnectError, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from seg.dns.answer import FailureKind
from seg.dns.backend import StreamSocket, TwistedBackend
from seg.dns.servers import UpstreamServer
from seg.dns.wire import MAX_REPLY, MalformedReply, WireReply, answers, garbled, read_message, truncated
from seg.mail.errors import LocalFault, local_fault

T = TypeVar("T")
log = Logger()

PAYLOAD = 1232  # octets: fits every path without fragments (DNS flag day 2020)


class ExchangeError(Exception):
    """No reply that could be used: ask another server."""

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


def make_question(name: dns.name.Name, rdtype: dns.rdatatype.RdataType, *, edns: bool = True) -> dns.message.Message:
    """A recursive question that asks for the AD bit (RFC 6840 §5.7) and, by EDNS, for DNSSEC records."""
    query = dns.message.make_query(name, rdtype)
    query.flags |= dns.flags.AD
    if edns:
        query.use_edns(0, ednsflags=dns.flags.DO, payload=PAYLOAD)
    return query


async def ask(
    backend: TwistedBackend, clock: IReactorTime, query: dns.message.Message, server: UpstreamServer, timeout: float
) -> WireReply:
    """The server's reply, whatever its response code. UDP and TCP have `timeout` seconds each.

    :raises ExchangeError: there was none, or it couldn't be read.
    :raises LocalFault: the system, or the code here, failed: that says nothing of the server.
    """
    reply = await _bounded(_over_udp(backend, query, server), backend.spread, max(0.0, timeout))
    if reply is None:
        reply = await _bounded(_over_tcp(backend, query, server), backend.spread, max(0.0, timeout))
    if reply.rcode == dns.rcode.FORMERR and query.edns >= 0:
        # RFC 6891 §7: the server doesn't know EDNS; then it doesn't validate either, but it can answer.
        question = query.question[0]
        return await ask(backend, clock, make_question(question.name, question.rdtype, edns=False), server, timeout)
    return reply


async def _bounded(asking: Coroutine[Deferred[Any], Any, T], timers: Any, timeout: float) -> T:
    """The result within `timeout` seconds; what a server or a network does wrong is an `ExchangeError`, what goes wrong here a `LocalFault`.

    The bound is set from outside, so that no code in between can take the end of its time for something else.
    """
    try:
        return await Deferred.fromCoroutine(asking).addTimeout(timeout, timers)
    except TimeoutError:
        raise ExchangeError(FailureKind.TIMEOUT) from None
    except (CancelledError, ExchangeError, LocalFault):
        raise
    except MalformedReply as e:
        raise ExchangeError(FailureKind.MALFORMED, str(e)) from e
    except (OSError, EOFError, ConnectError, ConnectionLost, BindError, CannotListenError) as e:
        fault = local_fault(e)
        if fault is not None:
            raise LocalFault(f"a question to a resolver can't be sent: {fault.text}") from e
        raise ExchangeError(FailureKind.NETWORK, str(e)) from e
    # What the peer sent is read in `read_message`, which says so. All else is an error in this program, and no word of the peer's.
    except Exception as e:
        log.failure("asking a resolver broke")
        raise LocalFault(f"asking a resolver broke: {type(e).__name__}: {e}") from e


async def _over_udp(backend: TwistedBackend, query: dns.message.Message, server: UpstreamServer) -> WireReply | None:
    """The reply, or None when TCP has to be tried.

    Datagrams that don't answer this question are ignored unread: anybody may send them (RFC 5452 §9.1). One that
    bears our id but can't be read is asked for again over TCP, where it can't be a forgery from the side.
    """
    wire = query.to_wire()
    peer = (str(server.address), server.port)
    family = socket.AF_INET6 if server.address.version == 6 else socket.AF_INET
    async with await backend.make_socket(family, socket.SOCK_DGRAM, 0, None, peer) as datagrams:
        await dns.asyncquery.send_udp(datagrams, wire, peer)
        while True:
            datagram, _ = await datagrams.recvfrom(65535, None)
            if not answers(datagram, wire):
                if garbled(datagram, wire):
                    return None
                continue
            if truncated(datagram):
                return None
            try:
                return read_message(datagram)
            except MalformedReply:
                return None


async def _over_tcp(backend: TwistedBackend, query: dns.message.Message, server: UpstreamServer) -> WireReply:
    family = socket.AF_INET6 if server.address.version == 6 else socket.AF_INET
    wire = query.to_wire()
    async with await backend.make_socket(
        family, socket.SOCK_STREAM, 0, None, (str(server.address), server.port)
    ) as stream:
        await dns.asyncquery.send_tcp(stream, wire)
        length = int.from_bytes(await _exactly(stream, 2))
        if length > MAX_REPLY:
            raise MalformedReply(f"reply of {length} octets, more than {MAX_REPLY}")
        reply = await _exactly(stream, length)
    if not answers(reply, wire):
        raise MalformedReply("a reply to another question")
    if truncated(reply):
        raise MalformedReply("truncated over TCP")
    return read_message(reply)


async def _exactly(stream: StreamSocket, size: int) -> bytes:
    """So many octets.

    :raises EOFError: the stream ended before.
    """
    data = b""
    while len(data) < size:
        piece = await stream.recv(size - len(data), None)
        if not piece:
            raise EOFError("the connection was closed within a reply")
        data += piece
    return data
