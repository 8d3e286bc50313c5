"""What all sessions of a listener share."""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime

from seg.config.schema import Receive
from seg.interfaces import ICounters, IEventSink, IQueue
from seg.smtp.server import ServerOptions


@attrs.frozen
class House:
    """Rules, and the way to the other rooms."""

    settings: Receive
    options: ServerOptions
    listener: str
    postmaster: str  # whom mail to <Postmaster> goes to
    queue: IQueue
    counters: ICounters
    sink: IEventSink
    clock: IReactorTime
    tls: IOpenSSLServerConnectionCreator | None
    implicit_tls: bool = False  # TLS from the first octet
