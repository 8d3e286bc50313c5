"""Certificates of our own that were renewed on disk are taken up without a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from seg.admin.listeners import APIListeners
from seg.common.errors import ConfigurationError
from seg.common.threads import in_thread_of
from seg.events.base import IEventSink
from seg.events.gateway import Fault, Notice
from seg.receive.listeners import Listeners
from seg.tls.expiry import Presenting
from seg.tls.identities import ClientIdentities

INTERVAL = 30.0  # seconds between two looks at the files


class ReloadableCertificate(Protocol):
    """Certificates from files."""

    def changed(self) -> bool:
        """Whether the files aren't what they were when they were read. Blocks."""

    def load(self) -> None:
        """Read them. Blocks.

        :raises ConfigurationError: they can't be used; those read before stay.
        """


@attrs.frozen
class CertificatesInUse:
    """Our own certificates, wherever they are shown."""

    _listeners: Listeners
    _admin: APIListeners
    _identities: ClientIdentities

    def reloadable(self) -> dict[str, ReloadableCertificate]:
        """All, by names for the log."""
        return {
            **{f"certificates of listener {name}": each for name, each in self._listeners.certificates.items()},
            **{f"certificates of {name}": each for name, each in self._admin.certificates.items()},
            **self._identities.renewable(),
        }

    def presenting(self) -> dict[str, Presenting]:
        """All, by who shows them."""
        return {
            **{f"listener {name}": each for name, each in self._listeners.certificates.items()},
            **self._admin.certificates,
            **{f"towards servers, {files[0]}": each for files, each in self._identities.known.items()},
        }


class CertificateReloader:
    """Looks at the files now and then, in a thread. Files that can't be used change nothing, and are told of once.

    :param certificates: those in use now, by names for the log ("certificates of listener relay").
    """

    def __init__(
        self, certificates: Callable[[], Mapping[str, ReloadableCertificate]], reactor: Any, sink: IEventSink
    ) -> None:
        self._certificates = certificates
        self._in_thread = in_thread_of(reactor)
        self._sink = sink
        self._refused: dict[str, str] = {}  # what was last told of each
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin."""
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> Deferred[None]:
        """Look once; fires when all that changed has been read."""
        return Deferred.fromCoroutine(self._look())

    async def _look(self) -> None:
        for name, certificates in tuple(self._certificates().items()):
            if not await self._in_thread(certificates.changed):
                continue
            try:
                await self._in_thread(certificates.load)
            except ConfigurationError as error:
                self._tell_refused(name, "; ".join(error.problems))
            else:
                self._refused.pop(name, None)
                self._sink.emit(Notice(f"{name}: changed on disk, and in use"))
                for warning in getattr(certificates, "warnings", ()):
                    self._sink.emit(Fault(warning))

    def _tell_refused(self, name: str, problem: str) -> None:
        if self._refused.get(name) != problem:
            self._refused[name] = problem
            self._sink.emit(Fault(f"{name}: changed on disk, but can't be used, the former stay in use: {problem}"))
