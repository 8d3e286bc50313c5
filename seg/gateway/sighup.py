"""SIGHUP: the files of the configuration are read again; faults are in the mail log, and what was in use stays in use."""

from __future__ import annotations

import signal
import threading

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from seg.admin.configuration.control import ChangeControl
from seg.common.errors import ConfigurationError
from seg.events.gateway import Fault
from seg.events.runtime import Runtime


def reload_on_sighup(changes: ChangeControl, runtime: Runtime) -> None:
    """From now on; signals can be had in the main thread only."""

    def reload() -> None:
        Deferred.fromCoroutine(changes.reload("SIGHUP")).addErrback(not_reloaded)

    def not_reloaded(failure: Failure) -> None:
        error = failure.value
        problems = error.problems if isinstance(error, ConfigurationError) else (failure.getErrorMessage(),)
        for problem in problems:
            runtime.sink.emit(Fault(f"not reloaded: {problem}"))

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda *_: runtime.reactor.callFromThread(reload))
