"""What ``twistd seg`` says when it has started, in words for whoever started it: five lines, and what an operator should mend."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from seg.common.endpoint import endpoint
from seg.common.errors import ConfigurationError
from seg.config.find import ConfigurationFiles, ConfigurationOrigin
from seg.config.paths import log_path
from seg.config.schema import Settings
from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault
from seg.events.memory import TOO_LITTLE
from seg.version import __version__

_log = Logger("seg")
RESOLVER = {
    True: "validates DNSSEC: DANE is in use",
    False: "does not validate DNSSEC: DANE is not in use (seg dnsstatus says more)",
    None: "no trusted resolver has answered yet (seg dnsstatus says more)",
}
STOPPING = 30  # seconds that a gateway which could not be started has to stop
KINDS: tuple[type[Event], ...] = (Fault, ConditionBegan, ConditionEnded)


def lines(hostname: str, files: ConfigurationFiles, settings: Settings) -> Iterator[str]:
    """All but the last one."""
    listeners = (f"{each.name} {endpoint(each.address, each.port)}" for each in settings.listener)
    folder = files.settings.absolute()
    option = f" --config {folder}" if files.origin is ConfigurationOrigin.NAMED else ""
    yield f"seg {__version__} on {hostname}"
    yield f"Configuration: {folder} ({files.origin}), and destinations.toml beside it"
    yield f"Listeners: {', '.join(listeners) or 'none'}"
    yield f"Mail log: {log_path(settings).absolute()} (to follow it: seg{option} tail -f; to look: seg{option} status)"


class StartLog:
    """Writes to the log of the process, which is the terminal with ``twistd -n``."""

    def emit(self, event: Event) -> None:
        """An event of `KINDS`: the mail log has it too, but nobody who sits here reads that."""
        if isinstance(event, ConditionEnded):
            _log.info("{text}", text=event.text)
        elif isinstance(event, Fault | ConditionBegan):
            _log.warn("Warning: {text}", text=event.text)

    def started(self, told: Iterable[str]) -> None:
        """The lines."""
        for line in told:
            _log.info("{line}", line=line)

    def resolver(self, validates: bool | None) -> None:
        """The last line, which waits for the first probe."""
        _log.info("Resolver: {text}", text=RESOLVER[validates])

    def after(self, probed: Deferred[None], verdict: Callable[[], bool | None]) -> None:
        """Say so when the first probe is over.

        :param verdict: a callable that returns what is known then.
        """
        probed.addCallback(lambda _: self.resolver(verdict()))


def tell_failed(failure: Failure, located: Callable[[ConfigurationError], ConfigurationError]) -> None:
    """Why the gateway couldn't be started; its process ends with a failure when it ends.

    :param located: finds the lines of the files that problems are in.
    """
    error = failure.value
    if isinstance(error, ConfigurationError):
        text = "; ".join(located(error).problems)
    elif isinstance(error, OSError):
        text = f"{error.filename or 'the spool'}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = TOO_LITTLE
    else:
        Logger("seg.gateway.service.GatewayService").failure("the gateway could not be started", failure)
        text = failure.getErrorMessage()
    print(f"seg: not started: {text}", file=sys.stderr)
    atexit.register(_end_with_failure)
    signal.signal(signal.SIGALRM, _end_with_failure)
    signal.alarm(STOPPING)  # it has delivered nothing yet; where memory is out, what stops it may not come about


def _end_with_failure(*_: object) -> None:
    """Twistd's exit status would be 0, which tells a supervisor that all is well."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
