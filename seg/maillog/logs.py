"""The mail log and all subscriptions to it: begun, changed while the gateway runs, and ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, DeferredList

from seg.config.log import Log, LogSubscription, SubscriptionKind
from seg.events.bus import EventBus
from seg.maillog.files import FilePlan, MailLogFile, plan_of_log, plan_of_subscription
from seg.maillog.syslog import SyslogLog

MakeFile = Callable[[FilePlan], MailLogFile]
MakeSyslog = Callable[[LogSubscription], SyslogLog]


class MailLogs:
    """Every listener of the event bus that is a log.

    :param make_file: makes what writes files.
    :param make_syslog: makes what sends to a syslog.
    """

    def __init__(self, bus: EventBus, make_file: MakeFile, make_syslog: MakeSyslog) -> None:
        self._bus = bus
        self._make_file = make_file
        self._make_syslog = make_syslog
        self._mail_log: MailLogFile | None = None
        self._files: dict[str, MailLogFile] = {}
        self._syslogs: dict[str, tuple[str, SyslogLog]] = {}  # by name, with their address
        self._ending: set[Deferred[None]] = set()

    def begin(self, log: Log, subscriptions: Sequence[LogSubscription]) -> None:
        """Begin the mail log, then the subscriptions."""
        self._mail_log = self._make_file(plan_of_log(log))
        self._mail_log.start()
        self._listen(self._mail_log)
        self._subscribe(subscriptions)

    def change(self, log: Log, subscriptions: Sequence[LogSubscription]) -> None:
        """Work by other settings. What is as it was goes on, with the files and connections that it has."""
        if self._mail_log is not None:
            self._mail_log.change(plan_of_log(log))
            self._listen(self._mail_log)
            self._subscribe(subscriptions)

    def end(self) -> Deferred[None]:
        """End all of them, the mail log last: it hears what the others lost. Fires when nothing more is written."""
        self._subscribe(())

        def last(_: object) -> None:
            mail_log, self._mail_log = self._mail_log, None
            if mail_log is not None:
                self._bus.remove(mail_log.emit)
                mail_log.stop()

        return DeferredList(self._ending).addCallback(last)

    def _listen(self, log: MailLogFile | SyslogLog) -> None:
        self._bus.add(log.emit, debug=log.debug)

    def _subscribe(self, subscriptions: Sequence[LogSubscription]) -> None:
        files = {one.name: one for one in subscriptions if one.kind is SubscriptionKind.FILE}
        syslogs = {one.name: one for one in subscriptions if one.kind is SubscriptionKind.SYSLOG}
        for name in self._files.keys() - files.keys():
            file = self._files.pop(name)
            self._bus.remove(file.emit)
            file.stop()
        for name, (address, syslog) in list(self._syslogs.items()):
            if name not in syslogs or syslogs[name].address != address:
                del self._syslogs[name]
                self._end_syslog(syslog)
        for name, one in files.items():
            self._have_file(name, plan_of_subscription(one))
        for name, one in syslogs.items():
            self._have_syslog(name, one)

    def _end_syslog(self, syslog: SyslogLog) -> None:
        self._bus.remove(syslog.emit)
        ending = syslog.stop()
        self._ending.add(ending)
        ending.addBoth(lambda _: self._ending.discard(ending))

    def _have_file(self, name: str, plan: FilePlan) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = self._make_file(plan)
            file.start()
        else:
            file.change(plan)
        self._listen(file)

    def _have_syslog(self, name: str, settings: LogSubscription) -> None:
        _, syslog = self._syslogs.get(name, ("", None))
        if syslog is None:
            syslog = self._make_syslog(settings)
            self._syslogs[name] = (settings.address, syslog)
            self._listen(syslog)
            syslog.start()
        else:
            syslog.change(settings)
            self._listen(syslog)
