"""A listener as tests want it: everything that isn't named is as by default."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock

from seg.config.receive import ListenerSettings, Receive
from seg.config.schema import Settings
from seg.events.runtime import Runtime
from seg.filter.chain import FilterChain
from seg.queue.interfaces import IQueue
from seg.receive.assembly import ReceiveServices, build_listener
from seg.receive.connection_counter import ConnectionCounter
from seg.receive.listener import Listener
from seg.receive.rates import RecipientRateLimit
from seg.receive.turns import ClientTurns
from seg.receive.workqueue import WorkQueue
from tests.doubles import CountingCounters, RecordingSink

SETTINGS = frozenset(field.name for field in attrs.fields(Settings))


def made_listener(
    queue: IQueue,
    clock: Any = None,
    receive: Receive | None = None,
    listener: ListenerSettings | None = None,
    tls: IOpenSSLServerConnectionCreator | None = None,
    filters: FilterChain | None = None,
    **named: Any,
) -> Listener:
    """A listener of "mx.test".

    :param named: sections of `Settings`, fields of `ReceiveServices`, ``sink`` and ``postmaster``; None is the default.
    """
    named = {name: value for name, value in named.items() if value is not None}
    clock, receive, listener = clock or Clock(), receive or Receive(), listener or ListenerSettings()
    sections = {name: named.pop(name) for name in SETTINGS & set(named)}
    settings = Settings(receive=receive, **sections)
    sink = named.pop("sink", None) or RecordingSink()
    postmaster = {"postmaster": named.pop("postmaster")} if "postmaster" in named else {}
    runtime = Runtime(clock, sink, "mx.test", in_thread=named.pop("in_thread", None), **postmaster)
    most = receive.max_connections, receive.max_connections_per_address
    services: dict[str, Any] = {
        "ids": CountingCounters(),
        "connections": ConnectionCounter(*most, (listener.name,)),
        "rates": RecipientRateLimit(clock.seconds),
        "work": WorkQueue(),
        "turns": ClientTurns(clock),
        **named,
    }
    return build_listener(settings, listener, ReceiveServices(runtime, queue, **services), tls, filters)
