"""The logs of the running gateway: what writes files and what sends to a syslog, with what each needs."""

from __future__ import annotations

import os
from pathlib import Path

from seg.config.log import LogSubscription
from seg.events.bus import EventBus
from seg.events.gateway import Fault
from seg.events.runtime import Runtime
from seg.maillog.compress import compress_closed
from seg.maillog.files import FilePlan, MailLogFile
from seg.maillog.logs import MailLogs
from seg.maillog.syslog import SyslogLog, make_link
from seg.version import __version__


def build_logs(runtime: Runtime, bus: EventBus, folder: Path) -> MailLogs:
    """All logs, which begin with the gateway.

    :param folder: where the files are, ``var/log``.
    """
    reactor, hostname, in_thread = runtime.reactor, runtime.hostname, runtime.in_thread

    def compress(place: Path, pattern: str) -> None:
        """A closed file that is left by a crash is taken along by the next."""
        in_thread(lambda: compress_closed(place, pattern)).addErrback(
            lambda failure: bus.emit(Fault(f"log file not compressed: {failure.getErrorMessage()}"))
        )

    def file(plan: FilePlan) -> MailLogFile:
        return MailLogFile(folder, plan, reactor, __version__, hostname, bus, compress)

    def syslog(settings: LogSubscription) -> SyslogLog:
        return SyslogLog(
            settings,
            lambda address, watcher: make_link(address, watcher, reactor, in_thread),
            bus,
            reactor,
            hostname,
            os.getpid(),
        )

    return MailLogs(bus, file, syslog)
