"""One connection to one address: made, counted, told of; and whose fault it is where it doesn't come about."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectingCancelledError, TimeoutError

from seg.common.endpoint import host_endpoint
from seg.common.recent import Recent
from seg.config.schema import Delivery
from seg.deliver.connection_errors import Unreachable
from seg.deliver.connection_limits import ConnectionLimits, ConnectionSlot
from seg.deliver.debug_peers import DebugPeers
from seg.deliver.greetings import Greetings
from seg.deliver.interfaces import IConnector
from seg.deliver.pool import ConnectionPool, PoolKey
from seg.deliver.sender_factory import ESMTPSenderFactory
from seg.deliver.smtp_client import SMTPClientProtocol
from seg.deliver.verified_connection import ConnectRequest
from seg.events.base import IEventSink
from seg.events.conditions import Condition
from seg.events.delivery import DeliveryClosed, DeliveryConnected, DeliveryConnectFailed
from seg.events.gateway import ConditionKind
from seg.mail.errors import local_fault
from seg.mail.hosts import PeerAddress

# Refused by this system on the way to some address, or from a source address of some destination: no condition of all.
OF_ONE_WAY = frozenset({errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL})

BDAT_KNOWN = 86400.0  # seconds for which it counts whether a server that offers CHUNKING knows BDAT


@attrs.frozen
class ConnectionServices:
    """What opening connections uses."""

    connector: IConnector
    senders: ESMTPSenderFactory
    pool: ConnectionPool
    limits: ConnectionLimits = attrs.field(factory=ConnectionLimits)
    debug_peers: DebugPeers = attrs.field(factory=DebugPeers)
    greetings: Greetings | None = None  # None: as many may wait for the first greeting of an address as like
    lacking: Condition | None = None  # what we lack to open connections


class HostConnector:
    """Makes connections.

    :param now: POSIX seconds.
    """

    def __init__(
        self, services: ConnectionServices, settings: Delivery, sink: IEventSink, now: Callable[[], float]
    ) -> None:
        self._connector = services.connector
        self._senders = services.senders
        self._limits = services.limits
        self._dialogues = services.debug_peers
        self._greetings = services.greetings
        self._lacking = services.lacking or Condition(sink, ConditionKind.LOCAL, "delivery")
        self._settings = settings
        self._sink = sink
        self._knows_bdat: Recent[tuple[PeerAddress, int], bool] = Recent(BDAT_KNOWN, now)

    def learn(self, key: PoolKey, sender: SMTPClientProtocol) -> None:
        """Keep for the next connection what this one has shown of its server."""
        bdat = sender.bdat
        if bdat.learnt:
            self._knows_bdat.learn((key.address, key.port), bdat.known is True)

    async def connect(self, request: ConnectRequest, slot: ConnectionSlot) -> SMTPClientProtocol:
        """A connection whose server hasn't greeted yet.

        :raises Unreachable: nobody answers.
        :raises Temporary: we lack something.
        """
        domain, host, key = request.decision.domain, request.host, request.key
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
            self._limits.end(slot)
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
            self._sink.emit(DeliveryConnectFailed(domain, host.name, str(address), host.port, details, reason))
            text = f"No answer from host {host_endpoint(host.name, address, host.port)}: {details}"
            raise Unreachable("4.4.1", text) from error
        self._lacking.end("connections to other hosts can be opened again")
        self._limits.made(slot, sender)

        def greeted() -> None:
            if waiting is not None:
                waiting.end(heard=True)
            request.progress.heard()

        sender.bdat.known = sender.bdat.known or self._knows_bdat.get((address, host.port))
        sender.on_greeted(greeted)
        if waiting is not None:
            sender.on_closed(lambda _: waiting.end())
        local = sender.transport.getHost()
        interface = getattr(local, "host", "local")  # a unix socket has none
        self._sink.emit(DeliveryConnected(sender.dcid, interface, str(address), host.port))
        sender.on_closed(lambda sender: self._sink.emit(DeliveryClosed(sender.dcid)))
        sender.tap = self._dialogues.tap(sender.dcid, domain, self._sink)
        return sender


def _connect_failure(error: Exception) -> str:
    """``[Errno 111] Connection refused``, as the log and the report show it."""
    if isinstance(error, TimeoutError):
        return "timeout"
    number = _number(error)
    return f"[Errno {number}] {os.strerror(number)}" if number else str(getattr(error, "string", "") or error)


def _number(error: BaseException) -> int | None:
    """The errno of a connect that failed, None for none."""
    number: int | None = getattr(error, "osError", None) or getattr(error, "errno", None)
    return number
