"""Where operators come in: the control socket, and the admin API over TLS where it is switched on. Both may change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from seg.admin.http import RouteTable
from seg.admin.socket import belongs_to, group_number, listen
from seg.admin.tcp import TLSListener
from seg.admin.token_access import TokenAccess
from seg.common.errors import ConfigurationError
from seg.config.paths import socket_path, var_path
from seg.config.schema import Control, Settings
from seg.events.base import IEventSink
from seg.events.gateway import Fault
from seg.tls.listening import ListenerCertificates
from seg.tls.parameters import Parameters, inbound


class IPortGuard(Protocol):
    """Sees to it that ports have file descriptors for those who connect."""

    def watch(self, port: Any) -> None:
        """A port that accepts only while enough descriptors are free."""

    def keep_open(self, port: Any) -> None:
        """A port that accepts always."""


@attrs.frozen
class PreparedAPIListener:
    """The admin API over TLS by other settings, which only wait to be in force."""

    settings: Settings
    port: TLSListener

    def discard(self) -> Deferred[None]:
        """They won't be."""
        return Deferred.fromCoroutine(self.port.close())


class APIListeners:
    """Both, from the start of the gateway to its end.

    :param door: makes who lets operators with tokens in.
    :param descriptors: see to it that the control socket answers when descriptors run out.
    :raises ConfigurationError: the certificate of the admin API can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        door: Callable[[Settings], TokenAccess],
        reactor: Any,
        sink: IEventSink,
        descriptors: IPortGuard,
    ) -> None:
        self._reactor = reactor
        self._sink = sink
        self._descriptors = descriptors
        self._door = door
        self._routes: RouteTable | None = None
        self._path = socket_path(settings)
        self._folder = var_path(settings)
        self._socket: IListeningPort | None = None
        self._in_force = _what_counts(settings)
        self._port = TLSListener(settings.control, inbound(settings.tls), outdated=True)  # of the start

    @property
    def certificates(self) -> dict[str, ListenerCertificates]:
        """Those of the admin API, by the name that the log has for it."""
        return self._port.certificates

    @property
    def opened(self) -> bool:
        """Whether `open` was done."""
        return self._socket is not None

    def bind(self) -> None:
        """Have the port of the admin API; clients wait in the kernel.

        :raises ConfigurationError: it can't be had.
        """
        self._port.bind()

    def open(self, settings: Settings, routes: RouteTable) -> None:
        """Serve. The folders are locked by now.

        :raises ConfigurationError: it can't be had.
        """
        self._routes = routes
        control = settings.control
        try:
            self._socket = listen(self._reactor, self._path, int(control.mode, 8), routes, control.group)
        except CannotListenError as error:
            question = f"is another gateway running in {self._folder}?"
            raise ConfigurationError((f"control socket {self._path}: {error.socketError}; {question}",)) from error
        self._descriptors.keep_open(self._socket)
        self._port.serve(self._reactor, routes, self._door(settings), self._sink, watch=self._descriptors.watch)

    def prepare(self, settings: Settings) -> PreparedAPIListener | None:
        """Read what other settings need; None when nothing changes. Blocks.

        :raises ConfigurationError: a certificate can't be used, or there is no such group.
        """
        if _what_counts(settings) == self._in_force:
            return None
        if settings.control.group:
            group_number(settings.control.group)
        return PreparedAPIListener(settings, TLSListener(settings.control, inbound(settings.tls)))

    def bind_prepared(self, prepared: PreparedAPIListener) -> None:
        """Have its port.

        :raises ConfigurationError: it can't be had.
        """
        prepared.port.bind(self._port)

    def use(self, prepared: PreparedAPIListener) -> None:
        """Serve by it from the next connection on."""
        assert self._routes is not None  # nothing changes before the start is over
        former, self._port, settings = self._port, prepared.port, prepared.settings
        self._in_force = _what_counts(settings)
        door, watch = self._door(settings), self._descriptors.watch
        self._port.serve(self._reactor, self._routes, door, self._sink, former, watch)
        Deferred.fromCoroutine(former.close())
        self._give_socket(settings.control)

    async def close_port(self) -> None:
        """Let nobody in from other machines any more."""
        await self._port.close()

    async def close_socket(self) -> None:
        """Nor from here."""
        if self._socket is not None:
            await maybeDeferred(self._socket.stopListening)

    def _give_socket(self, control: Control) -> None:
        try:
            group = group_number(control.group) if control.group else os.getegid()
            belongs_to(Path(self._path), group, int(control.mode, 8))
        except (OSError, ConfigurationError) as error:
            self._sink.emit(Fault(f"[control] group and mode of {self._path} stay as they are: {error}"))


def _what_counts(settings: Settings) -> tuple[Control, Parameters]:
    """What can be changed while the gateway runs."""
    return attrs.evolve(settings.control, socket=""), inbound(settings.tls)
