"""Blocking work beside the reactor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

InThread = Callable[[Callable[[], Any]], "Deferred[Any]"]  # runs a function in a thread; fires with what it returns


class NoThread(MemoryError):
    """The system gives no thread: memory, or what a user may have of them, is out. A fault of ours that passes, as any `MemoryError`."""


def in_thread_of(reactor: Any) -> InThread:
    """Work in the reactor's own pool of threads."""

    def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
        return in_pool(reactor, reactor.getThreadPool(), work)

    return in_thread


def in_pool(reactor: Any, pool: ThreadPool, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """Work in a pool of threads; fails with `NoThread` where the pool is short of one and the system gives none."""
    try:
        return deferToThreadPool(reactor, pool, work, *arguments)
    except RuntimeError as error:  # of threading.Thread.start
        # A thread that was never started can't be joined, and so the pool never stopped.
        pool.threads[:] = [thread for thread in pool.threads if thread.ident is not None]
        return fail(NoThread(str(error)))


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    :raises NoThread: the system gives none.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread(str(error)) from None
