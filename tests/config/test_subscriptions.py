"""The ``[[log_subscription]]`` tables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.config.load import parse_settings
from seg.config.log import Facility, LogForm, LogSubscription, SubscriptionKind, SubscriptionLevel
from seg.config.subscriptions import (
    KINDS_OF_EVENTS,
    LogFileName,
    SyslogAddress,
    file_of,
    parse_syslog_address,
    place_of,
)
from seg.maillog.lines import KINDS

A = '[[log_subscription]]\nname = "a"\n'


class SubscriptionTests(SynchronousTestCase):
    """From text to tables, and every fault in words."""

    def test_none(self) -> None:
        """Without tables there are no subscriptions."""
        self.assertEqual(parse_settings("").log_subscription, ())

    def test_tables(self) -> None:
        """Tables in order, with the defaults for what they leave out."""
        text = """
[[log_subscription]]
name = "siem"
kind = "syslog"
level = "warning"
form = "json"
events = ["delivery", "policy"]
address = "tcp:siem.example.net:601"
facility = "local3"
[[log_subscription]]
name = "trouble"
level = "debug"
rotate_size = "1 MiB"
"""
        self.assertEqual(parse_settings(text).log_subscription, (
            LogSubscription(
                name="siem",
                kind=SubscriptionKind.SYSLOG,
                level=SubscriptionLevel.WARNING,
                form=LogForm.JSON,
                events=("delivery", "policy"),
                address="tcp:siem.example.net:601",
                facility=Facility.LOCAL3,
            ),
            LogSubscription(name="trouble", level=SubscriptionLevel.DEBUG, rotate_size=1048576),
        ))  # fmt: skip

    def test_kinds_of_events(self) -> None:
        """The words for kinds of events are those that the log's lines are sorted by."""
        self.assertEqual(set(KINDS_OF_EVENTS), set(KINDS))

    def test_faults(self) -> None:
        """Each fault is named with its table and key."""
        for text, fault in [
            ('log_subscription = "x"', "wants an array of tables; write [[log_subscription]] for each"),
            ("[log_subscription]\nname = 'x'", "wants an array of tables; write [[log_subscription]] for each"),
            ("[[log_subscription]]\nlevel = 'info'", "[[log_subscription]] name: must not be empty"),
            ("[[log_subscription]]\nname = 'a b'", '"a b" may have letters, digits'),
            ("[[log_subscription]]\nname = '../a'", '"../a" may have letters, digits'),
            (A + A, 'another subscription is called "a"'),
            (A + "kind = 'sylog'", '"sylog" isn\'t one of: syslog, file'),
            (A + "level = 'warn'", '"warn" isn\'t one of: warning'),
            (A + "facility = 'kern'", '"kern" isn\'t one of'),
            (A + "events = ['deliver']", '"deliver" is no kind of events; did you mean delivery? There are delivery, '),
            (A + "file = '/etc/passwd'", '"/etc/passwd" is no plain file name'),
            (A + "file = '..'", '".." is no plain file name'),
            (A + "file = 'mail.@1.s'", '"mail.@1.s" is no plain file name'),
            (A + "file = 'a.gz'", '"a.gz" would be taken for a compressed file'),
            (A + "file = 'mail.log'", "file: mail.log is written by the [log] section; set another file"),
            (A + "file = 'mail.txt'", "file: closed files would be called mail.@....s, as those of the [log] section"),
            ("[[log_subscription]]\nname = 'mail'", "name: mail.log is written by the [log] section"),
            (A + "[[log_subscription]]\nname = 'b'\nfile = 'a.log'", 'a.log is written by subscription "a"'),
            (A + "[[log_subscription]]\nname = 'b'\nfile = 'a.txt'", 'closed files would be called a.@....s'),
            (A + "address = ''", "address: must not be empty"),
            (A + "address = 'siem.example.net'", "is not unix:/dev/log, udp:host:514 or tcp:host:601"),
            (A + "address = 'tls:siem.example.net:6514'", "is not unix:/dev/log, udp:host:514 or tcp:host:601"),
            (A + "address = 'udp'", "is not unix:/dev/log, udp:host:514 or tcp:host:601"),
            (A + "address = 'udp::514'", "is not unix:/dev/log"),
            (A + "address = 'unix:dev/log'", "wants the whole path of a socket"),
            (A + "address = 'tcp:a b'", '"a b" is not a host name'),
            (A + "address = 'tcp:a:0'", '"0" is not a port from 1 to 65535'),
        ]:  # fmt: skip
            problems = self.assertRaises(ConfigurationError, parse_settings, text).problems
            self.assertEqual(len(problems), 1, problems)
            self.assertIn(fault, problems[0])

    def test_addresses(self) -> None:
        """Every form of an address; the port of a transport is known."""
        for text, address in [
            ("unix:/dev/log", SyslogAddress("unix", path="/dev/log")),
            ("udp:siem.example.net", SyslogAddress("udp", host="siem.example.net", port=514)),
            ("udp:192.0.2.1:5514", SyslogAddress("udp", host="192.0.2.1", port=5514)),
            ("tcp:[2001:db8::1]:6514", SyslogAddress("tcp", host="2001:db8::1", port=6514)),
            ("tcp:2001:db8::1", SyslogAddress("tcp", host="2001:db8::1", port=601)),
            ("tcp:SIEM.example", SyslogAddress("tcp", host="siem.example", port=601)),
        ]:
            self.assertEqual(parse_syslog_address(text), address)

    def test_files(self) -> None:
        """A file is called as told, else by the subscription's name and form; closed ones bear their time."""
        for one, name, closed in [
            (LogSubscription(name="a"), "a.log", "a.@{}.s"),
            (LogSubscription(name="a", form=LogForm.JSON), "a.jsonl", "a.@{}.jsonl"),
            (LogSubscription(name="a", file="b.txt"), "b.txt", "b.@{}.s"),
            (LogSubscription(name="a", file="b.txt", form=LogForm.JSON), "b.txt", "b.@{}.jsonl"),
        ]:
            file = file_of(one)
            self.assertEqual(file, LogFileName(name, one.form))
            self.assertEqual((file.closed if file else "", place_of(one)), (closed, name))
        syslog = LogSubscription(name="a", kind=SubscriptionKind.SYSLOG)
        self.assertEqual((file_of(syslog), place_of(syslog)), (None, "unix:/dev/log"))
