"""Events as a syslog gets them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.config.log import Facility, LogForm, LogSubscription, SubscriptionKind, SubscriptionLevel
from seg.config.subscriptions import SyslogAddress, parse_syslog_address
from seg.events.base import Event, IEventSink
from seg.events.dns import DNSAsked, DNSFailed
from seg.events.gateway import Fault, Notice, SyslogAway, SyslogBack, SyslogLinesLost
from seg.events.receive import ConnectionClosed, MessageReceived
from seg.maillog.lines import LINES
from seg.maillog.syslog import SyslogLog, make_link
from seg.maillog.syslog_datagram import DatagramLink
from seg.maillog.syslog_format import LONGEST_DATAGRAM
from seg.maillog.syslog_link import TransportObserver
from seg.maillog.syslog_stream import StreamLink
from tests.doubles import RecordingSink
from tests.zones import utc

NETWORK = "<22>1 2024-09-26T15:23:39.250+00:00 gw.example.net seg 4711 "


class LinkDouble:
    """Takes whatever is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.running = False

    def start(self) -> None:
        """Noted."""
        self.running = True

    def stop(self) -> Deferred[None]:
        """Noted."""
        self.running = False
        return succeed(None)

    def send(self, messages: Iterable[bytes]) -> None:
        """Noted."""
        self.sent += messages


class OutletTests(SynchronousTestCase):
    """Levels, kinds of events, forms."""

    def setUp(self) -> None:
        self.enterContext(utc())
        self.clock = Clock()
        self.clock.advance(1727364219.25)
        self.sink = RecordingSink()
        self.link = LinkDouble()

    def begin(self, **options: Any) -> SyslogLog:
        """A log with these settings, started."""

        def make(address: SyslogAddress, watcher: TransportObserver) -> Any:
            self.address = address
            return self.link

        settings = {"name": "siem", "kind": SubscriptionKind.SYSLOG, "address": "udp:192.0.2.1", **options}
        self.settings = LogSubscription(**settings)
        log = SyslogLog(self.settings, make, self.sink, self.clock, "gw.example.net", 4711)
        log.start()
        return log

    def sent(self, log: SyslogLog, *events: Event) -> list[str]:
        """What goes out of these events."""
        for event in events:
            log.emit(event)
        self.clock.advance(0.2)
        self.clock.rightNow -= 0.2
        sent, self.link.sent = self.link.sent, []
        return [message.decode() for message in sent]

    def test_interface(self) -> None:
        """It takes events."""
        self.assertTrue(verifyObject(IEventSink, self.begin()))

    def test_text(self) -> None:
        """Each line of an event is a message: the mail log's line without its time; a facility as chosen."""
        log = self.begin(message_details=True)
        event = MessageReceived(7, 9, "a@b", 10, "<id@b>", "Grüße\r\n")
        self.assertEqual(
            self.sent(log, ConnectionClosed(1), event),
            [
                NETWORK + "ConnectionClosed - Info: ICID 1 close",
                NETWORK + "MessageReceived - Info: MID 7 Message-ID '<id@b>'",
                NETWORK + "MessageReceived - \ufeffInfo: MID 7 Subject 'Grüße\\r\\n'",
                NETWORK + "MessageReceived - Info: MID 7 ready 10 bytes from <a@b>",
            ],
        )
        log = self.begin(facility=Facility.LOCAL0)
        self.assertEqual(self.sent(log, event)[0][:6], "<134>1")

    def test_local(self) -> None:
        """The daemon of this machine gets the form that it knows."""
        log = self.begin(address="unix:/dev/log")
        self.assertEqual(self.sent(log, ConnectionClosed(1)), ["<22>Sep 26 15:23:39 seg[4711]: Info: ICID 1 close"])
        self.assertEqual(self.address, SyslogAddress("unix", path="/dev/log"))

    def test_json(self) -> None:
        """As JSON an event is one message, without details unless wanted, and whole when it is too long."""
        log = self.begin(form=LogForm.JSON)
        (message,) = self.sent(log, MessageReceived(7, 9, "a@b", 10, "<id@b>", "secret"))
        head, record = message.split(" - ", 1)
        self.assertEqual(head, NETWORK + "MessageReceived")
        found = json.loads(record)
        self.assertEqual((found["event"], found["mid"], found["subject"]), ("message_received", 7, ""))
        (message,) = self.sent(log, Fault("x" * 5000))
        self.assertLess(len(message), LONGEST_DATAGRAM)
        self.assertEqual(json.loads(message.split(" - ", 1)[1])["left_out"], ["text"])

    def test_levels(self) -> None:
        """A level lets through what is as weighty; `debug` says whether debug events are wanted."""
        told = [DNSAsked("a", "MX"), ConnectionClosed(1), Fault("mend me")]
        for form in LogForm:
            for level, numbers in [
                ("warning", ["<20>"]),
                ("info", ["<22>", "<20>"]),
                ("debug", ["<23>", "<22>", "<20>"]),
            ]:
                log = self.begin(level=SubscriptionLevel(level), form=form)
                self.assertEqual([message[:4] for message in self.sent(log, *told)], numbers)
                self.assertEqual(log.debug, level == "debug")

    def test_kinds(self) -> None:
        """Kinds of events choose; events of third parties belong to none, and are told only where all are."""

        class Strange(Event):
            """A third party's."""

        told = [ConnectionClosed(1), Fault("mend me"), DNSFailed("a", "MX", "ServFail"), Strange()]
        log = self.begin(events=("receive", "gateway"))
        self.assertEqual([m.split()[5] for m in self.sent(log, *told)], ["ConnectionClosed", "Fault"])
        self.assertEqual(len(self.sent(self.begin(), *told)), 4)

    def test_every_event(self) -> None:
        """Every event there is goes out in both forms."""
        for form in LogForm:
            log = self.begin(form=form, level=SubscriptionLevel.DEBUG, name="other")
            for entry in LINES.values():
                self.assertTrue(self.sent(log, entry.example), entry)

    def test_prompt(self) -> None:
        """Lines wait for others a moment, a warning not."""
        log = self.begin()
        log.emit(ConnectionClosed(1))
        self.assertEqual(self.link.sent, [])
        log.emit(Fault("mend me"))
        self.assertEqual(len(self.link.sent), 2)

    def test_change(self) -> None:
        """Other settings hold from the next event on; what waits goes by the old ones."""
        log = self.begin()
        log.emit(ConnectionClosed(1))
        log.change(LogSubscription(name="siem", kind=SubscriptionKind.SYSLOG, level=SubscriptionLevel.WARNING))
        self.assertEqual(len(self.sent(log, ConnectionClosed(2))), 1)
        self.assertEqual(len(self.sent(log, Fault("mend me"))), 1)

    def test_stop(self) -> None:
        """What waits goes; then nothing more is taken."""
        log = self.begin()
        log.emit(ConnectionClosed(1))
        self.successResultOf(log.stop())
        log.emit(ConnectionClosed(2))
        self.assertEqual((len(self.link.sent), self.link.running, self.clock.getDelayedCalls()), (1, False, []))

    def test_news(self) -> None:
        """How the link fares is told in the mail log."""
        log = self.begin()
        log.away("Connection refused")
        log.back()
        log.lost(5)
        address = "udp:192.0.2.1"
        self.assertEqual(
            self.sink.events,
            [
                SyslogAway("siem", address, "Connection refused"),
                SyslogBack("siem", address),
                SyslogLinesLost("siem", 5),
            ],
        )

    def test_note(self) -> None:
        """Syslog gets a note of lost lines whatever its level and kinds, in its form, and no second one by the log."""
        head = NETWORK.replace("<22>", "<20>") + "SyslogLinesLost - "
        log = self.begin(level=SubscriptionLevel.WARNING, events=("dns",))
        self.assertEqual(log.note(5).decode(), head + "Warning: syslog siem: 5 lines lost")
        log = self.begin(form=LogForm.JSON)
        record = json.loads(log.note(5).decode().removeprefix(head))
        self.assertEqual((record["event"], record["name"], record["count"]), ("syslog_lines_lost", "siem", 5))
        self.assertEqual(self.sent(log, SyslogLinesLost("siem", 5)), [])
        self.assertEqual(len(self.sent(log, SyslogLinesLost("another", 5), Notice("x"))), 2)

    def test_links(self) -> None:
        """Each kind of address has its way."""
        reactor = MemoryReactorClock()
        log = self.begin()
        for text, kind in [("unix:/dev/log", DatagramLink), ("udp:192.0.2.1", DatagramLink), ("tcp:a", StreamLink)]:
            link = make_link(parse_syslog_address(text), log, reactor, lambda work: succeed(None))
            self.assertIs(type(link), kind)
