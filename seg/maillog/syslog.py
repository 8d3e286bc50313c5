"""Log subscriptions that go to syslog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime

from seg.common.threads import InThread
from seg.config.log import LogForm, LogSubscription
from seg.config.subscriptions import SyslogAddress, parse_syslog_address
from seg.events.base import Event, IEventSink
from seg.events.gateway import SyslogAway, SyslogBack, SyslogLinesLost
from seg.maillog.buffered_log import BufferedLog
from seg.maillog.formatter import EventFormatter, FormattedEvent, level_of
from seg.maillog.log_table import Level
from seg.maillog.syslog_datagram import DatagramLink, connect_udp, connect_unix
from seg.maillog.syslog_format import (
    LONGEST,
    LONGEST_DATAGRAM,
    LONGEST_HEAD,
    SyslogLine,
    local_format,
    network_format,
    shortened,
)
from seg.maillog.syslog_link import SyslogTransport, TransportObserver
from seg.maillog.syslog_stream import StreamLink

CONNECT_TIMEOUT = 10.0  # seconds

MakeLink = Callable[[SyslogAddress, TransportObserver], SyslogTransport]


def make_link(address: SyslogAddress, watcher: TransportObserver, reactor: Any, in_thread: InThread) -> SyslogTransport:
    """The way to an address; it isn't gone yet."""
    if address.transport == "unix":
        return DatagramLink(lambda: connect_unix(address.path), reactor, watcher, proving=False)
    host, port = address.host, address.port
    if address.transport == "udp":
        return DatagramLink(lambda: connect_udp(host, port, in_thread), reactor, watcher, proving=True)
    return StreamLink(HostnameEndpoint(reactor, host, port, CONNECT_TIMEOUT), reactor, watcher)


class SyslogLog(BufferedLog):
    """Writes events to a syslog (and is the `TransportObserver` of the way to it).

    :param sink: hears when syslog goes away and comes back.
    :param process: our process id.
    """

    def __init__(
        self,
        settings: LogSubscription,
        make: MakeLink,
        sink: IEventSink,
        clock: IReactorTime,
        hostname: str,
        process: int,
    ) -> None:
        super().__init__(clock, _telling(settings))
        self._settings = settings
        self._sink = sink
        address = parse_syslog_address(settings.address)
        self._longest = LONGEST_DATAGRAM if address.transport == "udp" else LONGEST
        local = address.transport == "unix"
        self._format = (
            local_format(process, self._longest) if local else network_format(hostname, process, self._longest)
        )
        self._link = make(address, self)

    def start(self) -> None:
        """Look for syslog, and take events from now on."""
        self._running = True
        self._link.start()

    def stop(self) -> Deferred[None]:
        """Send what waits, and take no events any more. Fires when nothing more is sent."""
        self._repeats.end()
        self.flush()
        self._running = False
        return self._link.stop()

    def change(self, settings: LogSubscription) -> None:
        """Work by other settings, of the same address, from the next event on."""
        self.flush()
        self._settings, self._telling = settings, _telling(settings)

    def emit(self, event: Event) -> None:
        """Take an event (`IEventSink.emit`); what was lost on the way is told by a note of its own."""
        if not (type(event) is SyslogLinesLost and event.name == self._settings.name):
            super().emit(event)

    def _write(self, batch: Sequence[FormattedEvent]) -> None:
        facility = self._settings.facility
        self._link.send([self._format(facility, line) for told in batch for line in self._lines(told)])

    def _lines(self, told: FormattedEvent) -> Iterable[SyslogLine]:
        msgid = told.kind.__name__
        if self._settings.form is LogForm.JSON:
            return (SyslogLine(told.at, told.level, msgid, shortened(told.record, self._longest - LONGEST_HEAD)),)
        return [SyslogLine(told.at, level, msgid, f"{level.value}: {text}") for level, text in told.lines]

    # --- what the link tells (`TransportObserver`) -----------------------------------------------------------------

    def away(self, reason: str) -> None:
        """Syslog takes no lines."""
        self._sink.emit(SyslogAway(self._settings.name, self._settings.address, reason))

    def back(self) -> None:
        """It takes lines again."""
        self._sink.emit(SyslogBack(self._settings.name, self._settings.address))

    def lost(self, count: int) -> None:
        """So many lines will never get there."""
        self._sink.emit(SyslogLinesLost(self._settings.name, count))

    def note(self, count: int) -> bytes:
        """The message that tells syslog of lost lines, whatever its level and kinds of events."""
        event = SyslogLinesLost(self._settings.name, count)
        as_json = self._settings.form is LogForm.JSON
        told = EventFormatter(Level.WARNING, False, (), not as_json, as_json).tell(event, self._now())
        (line,) = self._lines(told)
        return self._format(self._settings.facility, line)


def _telling(settings: LogSubscription) -> EventFormatter:
    as_json = settings.form is LogForm.JSON
    return EventFormatter(level_of(settings.level), settings.message_details, settings.events, not as_json, as_json)
