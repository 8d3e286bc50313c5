"""What every part of the gateway may use; `Runtime` is made first and handed down whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from seg.common.clock import posix_of
from seg.common.threads import InThread, in_thread_of
from seg.events.base import IEventSink


@attrs.frozen
class Runtime:
    """The reactor and what hangs on it, where events go, and our name.

    :ivar reactor: a reactor with its `seg.common.clock.SteadyClock`, or a `Clock` of tests, which needs an `in_thread`.
    :ivar hostname: our name in greetings and trace fields.
    :ivar postmaster: whom our own messages go to; postmaster at `hostname` unless given.
    :ivar in_thread: runs a function that blocks; the reactor's threads unless given.
    :ivar posix: the present time in POSIX seconds, as it is written and shown; ``reactor.seconds`` is what is measured by.
    """

    reactor: Any
    sink: IEventSink
    hostname: str
    postmaster: str = attrs.field()
    in_thread: InThread = attrs.field()
    posix: Callable[[], float] = attrs.field()

    @postmaster.default
    def _postmaster(self) -> str:
        return f"postmaster@{self.hostname}"

    @in_thread.default
    def _in_thread(self) -> InThread:
        return in_thread_of(self.reactor)

    @posix.default
    def _posix(self) -> Callable[[], float]:
        return posix_of(self.reactor)
