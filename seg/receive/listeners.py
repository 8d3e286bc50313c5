"""All listeners: bound, served, and replaced when the configuration changes. Connections that are there stay as they are."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from seg.config.problems import SettingError
from seg.config.receive import ListenerSettings, ListenerTLS
from seg.receive.binding import bind
from seg.receive.listener import Listener
from seg.receive.turns import ClientTurns
from seg.receive.workqueue import WorkQueue
from seg.tls.listening import ListenerCertificates
from seg.tls.parameters import Parameters

ListenAddress = tuple[str, int]  # address and port, as configured
MakeFactory = Callable[[ListenerSettings, ListenerCertificates | None], Listener]


@attrs.define
class ListenerPlan:
    """Listeners that are ready to be served: their certificates are read, and what they need is bound."""

    listeners: tuple[ListenerSettings, ...]
    certificates: tuple[ListenerCertificates | None, ...]
    bound: dict[ListenAddress, socket.socket] = attrs.field(factory=dict)

    def discard(self) -> None:
        """Give up what was bound for it."""
        for each in self.bound.values():
            each.close()
        self.bound.clear()


@attrs.define
class RunningListener:
    """One listener at work."""

    factory: Listener
    port: IListeningPort
    certificates: ListenerCertificates | None


class Listeners:
    """The listeners at work.

    :param watch: is given each port at which clients are accepted.

    `certificates` are those in use, by the listener's name; `work` counts what came in and isn't queued yet; `turns` are
    those of all sessions.
    """

    def __init__(self, reactor: Any, watch: Callable[[Any], None] = lambda port: None) -> None:
        self.certificates: dict[str, ListenerCertificates] = {}
        self.suspended: frozenset[str] = frozenset()  # names of listeners
        self.work = WorkQueue()
        self.turns = ClientTurns(reactor)
        self._reactor = reactor
        self._watch = watch
        self._served: dict[ListenAddress, RunningListener] = {}
        self._former: list[Listener] = []  # of a configuration before, as long as they have connections

    @property
    def listeners(self) -> tuple[RunningListener, ...]:
        """Those at work, in order."""
        return tuple(self._served.values())

    @property
    def connections(self) -> int:
        """Clients connected now."""
        return sum(factory.connections for factory in self._factories())

    def suspend(self, names: frozenset[str]) -> None:
        """Take no new connections at these listeners, and at the others again; those that are there go on."""
        self.suspended = names
        for served in self.listeners:
            served.factory.suspended = served.factory.listener.name in names

    def bound(self) -> list[tuple[str, str, int]]:
        """(name, address, port) of each listener at work."""
        hosts: list[tuple[str, Any]] = [(each.factory.listener.name, each.port.getHost()) for each in self.listeners]
        return [(name, host.host, host.port) for name, host in hosts]

    def clients(self) -> list[tuple[str, str, int]]:
        """(listener, address, connections) of each client connected now."""
        found: Counter[tuple[str, str]] = Counter()
        for factory in self._factories():
            found.update((factory.listener.name, str(address)) for address in factory.clients())
        return [(name, address, count) for (name, address), count in found.most_common()]

    def plan(
        self, listeners: Sequence[ListenerSettings], parameters: Parameters, outdated: bool = False
    ) -> ListenerPlan:
        """Read the certificates that aren't in use already. Blocks.

        :param outdated: whether those whose dates are wrong are taken.
        :raises ConfigurationError: one can't be used.
        """
        return ListenerPlan(
            tuple(listeners), tuple(self._certificates(each, parameters, outdated) for each in listeners)
        )

    def bind(self, plan: ListenerPlan) -> ListenerPlan:
        """Bind the addresses that nobody of ours listens at yet.

        :raises SettingError: one can't be had; nothing stays bound.
        """
        for number, listener in enumerate(plan.listeners):
            place = (listener.address, listener.port)
            if place in self._served:
                continue
            try:
                plan.bound[place] = bind(listener)
            except SettingError as error:
                plan.discard()
                raise SettingError(("listener", number, *error.where), error.text) from error
        return plan

    def serve(self, plan: ListenerPlan, make: MakeFactory) -> None:
        """Put a plan to work in the place of what was there: new connections meet the new rules, those that are there
        go on by theirs, and an address that isn't in the plan is listened at no more."""
        before, self._served = self._served, {}
        for listener, certificates in zip(plan.listeners, plan.certificates, strict=True):
            place = (listener.address, listener.port)
            factory = make(listener, certificates)
            factory.suspended = listener.name in self.suspended
            old = before.pop(place, None)
            if old is not None:
                port = self._replace(old, factory)
            else:
                port = factory.serve(self._reactor, plan.bound.pop(place))
                self._watch(port)
            self._served[place] = RunningListener(factory, port, certificates)
        for old in before.values():
            self._former.append(old.factory)
            maybeDeferred(old.port.stopListening)
        self._former = [factory for factory in self._former if factory.connections]
        self.certificates.clear()
        self.certificates.update(
            (each.factory.listener.name, each.certificates) for each in self.listeners if each.certificates
        )

    def _replace(self, old: RunningListener, factory: Listener) -> IListeningPort:
        """Another factory at the same port: no connection that waits in the kernel is lost."""
        port: Any = old.port
        factory.doStart()
        port.factory = factory
        old.factory.doStop()
        self._former.append(old.factory)
        kept: IListeningPort = port
        return kept

    async def close(self, grace: float) -> None:
        """Listen no more, and end all sessions within `grace` seconds."""
        for served in self.listeners:
            await maybeDeferred(served.port.stopListening)
        farewells: Iterable[Deferred[None]] = [factory.shutdown(grace) for factory in self._factories()]
        await DeferredList(list(farewells), consumeErrors=True)

    def _factories(self) -> list[Listener]:
        return [*(served.factory for served in self.listeners), *self._former]

    def _certificates(
        self, listener: ListenerSettings, parameters: Parameters, outdated: bool
    ) -> ListenerCertificates | None:
        if listener.tls is ListenerTLS.OFF:
            return None
        for served in self.listeners:
            known = served.factory.listener
            same = _files(known) == _files(listener) and _clients(known) == _clients(listener)
            if served.certificates and same and served.certificates.parameters == parameters:
                return served.certificates
        clients, names = _clients(listener)
        return ListenerCertificates(
            _files(listener), clients=clients, parameters=parameters, client_names=names, outdated=outdated
        )


def _clients(listener: ListenerSettings) -> tuple[str, tuple[str, ...]]:
    """Which clients may relay by their certificates."""
    return listener.client_certificates, listener.client_names


def _files(listener: ListenerSettings) -> list[tuple[str, str]]:
    """The certificate files of a listener, each with its key's ("" = in the same file)."""
    return [(listener.certificate, listener.key), *((path, "") for path in listener.more_certificates)]
