"""What ``twistd seg`` says when it has started, in words for whoever started it: five lines, and what an operator should mend."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from seg.common.endpoint import endpoint
from seg.config.find import ConfigurationFiles, ConfigurationOrigin
from seg.config.schema import ListenerSettings
from seg.events.base import Event
from seg.events.gateway import ConditionBegan, ConditionEnded, Fault
from seg.version import __version__

_log = Logger("seg")
RESOLVER = {
    True: "validates DNSSEC: DANE is in use",
    False: "does not validate DNSSEC: DANE is not in use (seg dnsstatus says more)",
    None: "no trusted resolver has answered yet (seg dnsstatus says more)",
}
KINDS: tuple[type[Event], ...] = (Fault, ConditionBegan, ConditionEnded)


def lines(hostname: str, files: ConfigurationFiles, listeners: Iterable[ListenerSettings], log: Path) -> Iterator[str]:
    """All but the last one.

    :param log: the mail log.
    """
    folder = files.settings.absolute()
    option = f" --config {folder}" if files.origin is ConfigurationOrigin.NAMED else ""
    yield f"seg {__version__} on {hostname}"
    yield f"Configuration: {folder} ({files.origin}), and destinations.toml beside it"
    where = ", ".join(f"{each.name} {endpoint(each.address, each.port)}" for each in listeners)
    yield f"Listeners: {where or 'none'}"
    yield f"Mail log: {log} (to follow it: seg{option} tail -f; to look: seg{option} status)"


def end_with_failure() -> None:
    """Twistd's exit status would be 0, which tells a supervisor that all is well."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


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
