"""The mail log with its subscriptions, as the configuration changes."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from seg.config.log import Log, LogForm, LogLevel, LogSubscription, SubscriptionKind, SubscriptionLevel
from seg.events.base import Event
from seg.events.bus import EventBus
from seg.events.dns import DNSAsked
from seg.events.gateway import Fault, SyslogLinesLost
from seg.events.receive import ConnectionClosed, MessageReceived
from seg.maillog.files import FilePlan, MailLogFile
from seg.maillog.logs import MailLogs

SYSLOG = SubscriptionKind.SYSLOG


class SyslogDouble:
    """Stands in for a `SyslogOutlet`."""

    def __init__(self, settings: LogSubscription, bus: EventBus) -> None:
        self.settings = settings
        self.heard: list[Event] = []
        self.state = "new"
        self.ended: Deferred[None] = Deferred()
        self._bus = bus

    @property
    def debug(self) -> bool:
        """As its level."""
        return self.settings.level is SubscriptionLevel.DEBUG

    def emit(self, event: Event) -> None:
        """Kept."""
        self.heard.append(event)

    def start(self) -> None:
        """Noted."""
        self.state = "running"

    def change(self, settings: LogSubscription) -> None:
        """Noted."""
        self.settings = settings

    def stop(self) -> Deferred[None]:
        """Loses a line."""
        self.state = "stopped"
        self._bus.emit(SyslogLinesLost(self.settings.name, 1))
        return self.ended


class MailLogsTests(SynchronousTestCase):
    """What goes on, what is begun, what is ended."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.clock = Clock()
        self.clock.advance(1727357019.5)
        self.bus = EventBus()
        self.syslogs: list[SyslogDouble] = []
        self.compressed: list[str] = []
        self.logs = MailLogs(self.bus, self.make_file, self.make_syslog)  # type: ignore[arg-type]

    def make_file(self, plan: FilePlan) -> MailLogFile:
        """Files in the test's folder."""
        return MailLogFile(
            self.folder,
            plan,
            self.clock,
            "0.1.0",
            "gw",
            self.bus,
            lambda folder, pattern: self.compressed.append(pattern),
        )

    def make_syslog(self, settings: LogSubscription) -> SyslogDouble:
        """Kept for the test."""
        self.syslogs.append(SyslogDouble(settings, self.bus))
        return self.syslogs[-1]

    def emit(self, *events: Event) -> None:
        """Emit events, and wait until they are written."""
        for event in events:
            self.bus.emit(event)
        self.clock.advance(0.2)

    def texts(self, name: str = "mail.log") -> list[str]:
        """The lines of a file without their times and its first ones."""
        lines = [line[25:] for line in (self.folder / name).read_text("utf-8").splitlines()]
        return [line for line in lines if not line.startswith(("Info: Begin", "Info: Version", "Info: Time offset"))]

    def test_subscription(self) -> None:
        """A file with its own level, form and kinds of events, beside the mail log."""
        trouble = LogSubscription(name="trouble", level=SubscriptionLevel.WARNING)
        questions = LogSubscription(name="dns", level=SubscriptionLevel.DEBUG, form=LogForm.JSON, events=("dns",))
        self.logs.begin(Log(), (trouble, questions))
        self.assertTrue(self.bus.debug)
        self.emit(DNSAsked("a", "MX"), ConnectionClosed(1), Fault("mend me"))
        self.assertEqual(self.texts(), ["Info: ICID 1 close", "Warning: mend me"])
        self.assertEqual(self.texts("trouble.log"), ["Warning: mend me"])
        records = [json.loads(line) for line in (self.folder / "dns.jsonl").read_text().splitlines()]
        self.assertEqual([record["event"] for record in records], ["log_opened", "dns_asked"])
        self.logs.end()
        self.assertEqual(self.texts("trouble.log")[-1], "Info: End Logfile")
        self.assertFalse(self.bus.debug)

    def test_levels_change(self) -> None:
        """Levels and details hold from the change on, in the same files; `debug` of the bus follows."""
        one = LogSubscription(name="one")
        self.logs.begin(Log(), (one,))
        message = MessageReceived(7, 9, "a@b", 10, "<id@b>", "secret")
        self.emit(DNSAsked("a", "MX"), message)
        self.bus.emit(ConnectionClosed(1))
        self.logs.change(Log(level=LogLevel.DEBUG, message_details=True), (one,))
        self.assertTrue(self.bus.debug)
        self.emit(DNSAsked("a", "MX"), message)
        lines = self.texts()
        self.assertEqual(lines[1:3], ["Info: ICID 1 close", "Debug: DNS query: Q(a, 'MX')"])
        self.assertNotIn("secret", lines[0])
        self.assertIn("secret", str(lines[3:]))
        self.assertNotIn("secret", str(self.texts("one.log")))
        self.assertNotIn("Debug", str(self.texts("one.log")))
        self.logs.change(Log(), (LogSubscription(name="one", level=SubscriptionLevel.DEBUG),))
        self.emit(DNSAsked("b", "MX"))
        self.assertEqual(self.texts("one.log")[-1], "Debug: DNS query: Q(b, 'MX')")
        self.assertNotIn("Q(b", str(self.texts()))
        self.logs.change(Log(), (one,))
        self.assertFalse(self.bus.debug)
        self.assertNotIn("Info: End Logfile", self.texts() + self.texts("one.log"))

    def test_files_change(self) -> None:
        """The JSON twin comes and goes, a subscription's file is another one, sizes and compression are others."""
        self.logs.begin(Log(json=False), (LogSubscription(name="one"),))
        self.logs.change(Log(rotate_size=1024, keep=1), (LogSubscription(name="one", file="other.log"),))
        self.emit(*[ConnectionClosed(number) for number in range(50)])
        self.assertEqual(self.texts("one.log"), ["Info: End Logfile"])
        self.assertEqual(len(self.texts("other.log")), 50)
        self.assertEqual(sorted(self.compressed), ["mail.@*.jsonl", "mail.@*.s"])
        for number in range(3):
            self.emit(*[ConnectionClosed(number) for _ in range(50)])
        self.assertEqual(len(list(self.folder.glob("mail.@*.s"))), 1)
        self.logs.change(Log(json=False, rotate_size=1024, keep=2, compress=False), ())
        self.compressed.clear()
        for number in range(3):
            self.emit(*[ConnectionClosed(number) for _ in range(50)])
        self.assertEqual((len(list(self.folder.glob("mail.@*.s"))), self.compressed), (2, []))
        self.assertEqual(self.texts("other.log")[-1], "Info: End Logfile")

    def test_syslogs_change(self) -> None:
        """A syslog goes on while its address is the same; with another one it is another, and the old one ends."""
        one = LogSubscription(name="one", kind=SYSLOG)
        self.logs.begin(Log(), (one,))
        self.logs.change(Log(), (LogSubscription(name="one", kind=SYSLOG, level=SubscriptionLevel.DEBUG),))
        self.emit(DNSAsked("a", "MX"))
        (first,) = self.syslogs
        self.assertEqual((first.state, first.heard), ("running", [DNSAsked("a", "MX")]))
        self.logs.change(Log(), (LogSubscription(name="one", kind=SYSLOG, address="udp:192.0.2.1"),))
        self.emit(ConnectionClosed(1))
        first, second = self.syslogs
        self.assertEqual((first.state, second.state), ("stopped", "running"))
        self.assertEqual((len(first.heard), second.heard), (1, [ConnectionClosed(1)]))
        self.logs.change(Log(), (LogSubscription(name="one"),))  # a file now
        self.emit(ConnectionClosed(2))
        self.assertEqual((second.state, self.texts("one.log")), ("stopped", ["Info: ICID 2 close"]))
        self.logs.change(Log(), (one,))
        self.assertEqual((self.texts("one.log")[-1], self.syslogs[2].state), ("Info: End Logfile", "running"))

    def test_end(self) -> None:
        """The mail log is the last to end: it tells what a syslog lost. The end waits for all, also those ended before."""
        self.logs.begin(Log(), (LogSubscription(name="one", kind=SYSLOG), LogSubscription(name="two", kind=SYSLOG)))
        self.logs.change(Log(), (LogSubscription(name="two", kind=SYSLOG),))
        ended = self.logs.end()
        self.syslogs[1].ended.callback(None)
        self.assertNoResult(ended)
        self.syslogs[0].ended.callback(None)
        self.successResultOf(ended)
        self.assertEqual(
            self.texts(),
            ["Warning: syslog one: 1 lines lost", "Warning: syslog two: 1 lines lost", "Info: End Logfile"],
        )
        self.bus.emit(ConnectionClosed(1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never_begun(self) -> None:
        """Without a beginning there is nothing to change or to end."""
        self.logs.change(Log(), (LogSubscription(name="one"),))
        self.successResultOf(self.logs.end())
        self.assertFalse(self.folder.exists())
