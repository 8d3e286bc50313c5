"""Blocking work beside the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

InThread = Callable[[Callable[[], Any]], "Deferred[Any]"]  # runs a function in a thread; fires with what it returns


def in_thread_of(reactor: Any) -> InThread:
    """Work in the reactor's own pool of threads."""

    def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), work)

    return in_thread
