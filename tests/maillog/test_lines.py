"""The lines of the mail log: the vendor's samples word for word, and every event class."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import seg.events
from seg.events.base import DebugEvent, Event
from seg.events.delivery import (
    DeliveryClosed,
    DeliveryConnected,
    DeliveryConnectFailed,
    DeliveryStarted,
    DeliveryTLSDeferred,
    DeliveryTLSRequired,
    DeliveryTLSStarted,
    ExemptionOver,
    ExemptionUsed,
    PolicyExplained,
    RecipientsDelivered,
    RouteUsed,
    TLSAlert,
)
from seg.events.dns import DNSAsked, DNSCached, DNSSent
from seg.events.gateway import AdminRefused, ConditionBegan, Fault, Repeated, SyslogAway, SyslogLinesLost
from seg.events.policy import (
    DANEFailed,
    DANESucceeded,
    DANEWeakened,
    STSApplied,
    STSCacheHit,
    STSFailed,
    STSFetchFailed,
    STSFetchStarted,
    STSPolicyWithdrawn,
    STSRecordFailed,
    STSRecordFound,
    STSSucceeded,
)
from seg.events.queue import (
    BounceGenerated,
    DoubleBounce,
    MessageDamaged,
    MessageFinished,
    MessageHeld,
    RecipientBounced,
    RecipientDelayed,
    RecipientsPending,
    SpoolFileCorrupt,
)
from seg.events.receive import (
    BadCommand,
    ConnectionAccepted,
    ConnectionAdmitted,
    ConnectionClosed,
    FilterAnswered,
    FilterAway,
    FilterChangedSender,
    FilterPassedOver,
    FilterRemovedRecipient,
    MessageQueued,
    MessageReceived,
    MessageStarted,
    ReceiveTLSStarted,
    RecipientAccepted,
)
from seg.mail.causes import PolicyResult
from seg.mail.errors import Permanent, Temporary
from seg.mail.status import status_text
from seg.maillog.lines import LINES, render, without_details
from seg.maillog.log_table import LONGEST_LINE, Level, clean
from seg.maillog.reference import page_text
from tests.doubles import named_in

PROJECT = Path(__file__).resolve().parents[2]


def classes() -> Iterator[type[Event]]:
    """Every event class of seg.events."""
    modules = [import_module(f"seg.events.{found.name}") for found in iter_modules(seg.events.__path__)]
    kinds = {kind for module in modules for kind in named_in(module, Event) if kind.__module__ == module.__name__}
    return iter(kinds - {DebugEvent})


def texts(*events: Event) -> list[str]:
    """The lines of events as ``Level: text``."""
    return [f"{level}: {clean(text)}" for event in events for level, text in render(event)]


PASSES = """\
Info: Successfully fetched MTA-STS TXT record for domain(mta-test.domain.com)
Info: New SMTP DCID 834833 interface 10.1.1.2 address 10.1.1.3 port 25
Info: DCID 834833 TLS success protocol TLSv1.3 cipher TLS_AES_256_GCM_SHA384 \
subjectAltName:dNSName=*.mail123.domain.com
Info: MTA-STS policy for the domain (domain.com) Successful.
Info: Delivery start DCID 834833 MID 5444 to RID [0]
Info: Message finished MID 5444 done
"""

DEBUG = """\
Debug: DNS query: Q(_mta-sts.domain.com, 'TXT')
Debug: DNS query: QN(_mta-sts.domain.com, 'TXT', 'recursive_nameserver0.parent')
Debug: DNS query: QIP (_mta-sts.domain.com,'TXT','10.10.5.61',15)
Debug: DNS encache (_mta-sts.domain.com, TXT, [(1727357019000000L, 0, 'insecure', \
('v=STSv1; id=12345678598Z;',))])
Info: Successfully fetched MTA-STS TXT record for domain(domain.com)
Debug: Valid cache entry found for the domain (domain.com).
Debug: DNS query: Q(domain.com, 'MX')
Info: Applying MTA-STS policy for the domain (domain.com)
"""

FAILS = """\
Info: DCID 831556 TLS deferring: verify error: peer cert does not match domain domain.com
Info: DCID 831556 TLS was required but could not be successfully negotiated
"""

FILTERS = """\
Info: MID 7 filter rspamd: accept, 2 header changes, 1 recipient added, 0.031 s
Info: MID 7 filter clamav: accept, 1.500 s
Info: MID 7 filter rules: reject, 550 5.7.1 No, 0.000 s
Info: MID 7 filter clamav: passed over, 30000000 bytes are more than its max_message_size
Warning: MID 7 filter rspamd is away, so tempfail: inet:127.0.0.1:11332: it doesn't answer within 30 s (30.000 s)
Info: MID 7 From: <SRS0=a@b.test> by filter srs
Info: MID 7 RID 1 To: <b@c.test> removed by filter rules
Info: MID 7 held by filter rules: an invoice
"""

STORY = """\
Info: New SMTP ICID 9 interface relay (10.1.1.2) address 10.1.1.9 reverse dns host unknown verified no
Info: ICID 9 RELAY SG RELAYLIST match 10.0.0.0/8 SBRS not enabled
Info: ICID 9 TLS success protocol TLSv1.3 cipher TLS_AES_256_GCM_SHA384
Info: Start MID 7 ICID 9
Info: MID 7 ICID 9 From: <a@example.net>
Info: MID 7 ICID 9 RID 0 To: <b@domain.com>
Info: MID 7 ICID 9 RID 1 To: <c@domain.com>
Info: MID 7 ready 512 bytes from <a@example.net>
Info: MID 7 queued for delivery
Info: ICID 9 close
Info: Connection Error: DCID 0 domain: domain.com IP: 10.1.1.3 port: 25 details: [Errno 111] \
Connection refused interface: auto reason: network error (mx1.domain.com)
Info: Delayed: DCID 0 MID 7 From: <a@example.net> To: <b@domain.com> RID 0 - 4.4.1 - No answer from host \
('000', ['mx1.domain.com: connection refused'])
Info: Delivery start DCID 4 MID 7 to RID [0, 1]
Info: Message done DCID 4 MID 7 to RID [0]
Info: MID 7 RID [0] Response '2.0.0 Ok: queued as "4X"'
Info: Bounced: DCID 4 MID 7 From: <a@example.net> To: <c@domain.com> RID 1 - 5.1.1 - Bad destination \
email address ('550', ['5.1.1 no such user', "5.1.1 it's gone"])
Info: MID 8 was generated for bounce of MID 7
Info: Start MID 8 ICID 0
Info: MID 8 ICID 0 From: <>
Info: MID 8 ICID 0 RID 0 To: <a@example.net>
Info: Message finished MID 7 done
Info: Double bounce: MID 8 to RID 0 - 5.1.2 - Bad destination host ('000', ['NXDOMAIN']) []
Info: DCID 4 close
"""


class SampleTests(SynchronousTestCase):
    """The samples of the specification, line for line."""

    maxDiff = None

    def test_delivery_that_passes(self) -> None:
        """The events of a delivery under MTA-STS give the lines of the sample."""
        lines = texts(
            STSRecordFound("mta-test.domain.com", "1"),
            DeliveryConnected(834833, "10.1.1.2", "10.1.1.3", 25),
            DeliveryTLSStarted(834833, "TLSv1.3", "TLS_AES_256_GCM_SHA384", ("*.mail123.domain.com",)),
            STSSucceeded("domain.com"),
            DeliveryStarted(834833, 5444, (0,)),
            MessageFinished(5444),
        )
        self.assertEqual(lines, PASSES.splitlines())

    def test_debug(self) -> None:
        """At Debug the DNS questions, the cache and the policy are told as in the sample."""
        lines = texts(
            DNSAsked("_mta-sts.domain.com", "TXT"),
            DNSSent("_mta-sts.domain.com", "TXT", "10.10.5.61", 15.0),
            DNSCached("_mta-sts.domain.com", "TXT", 1727357019.0, False, ('"v=STSv1; id=12345678598Z;"',)),
            STSRecordFound("domain.com", "12345678598Z"),
            STSCacheHit("domain.com"),
            DNSAsked("domain.com", "MX"),
            STSApplied("domain.com", "enforce"),
        )
        self.assertEqual(lines, DEBUG.splitlines())

    def test_verification_failure(self) -> None:
        """A certificate that doesn't fit gives the lines of the sample."""
        lines = texts(
            DeliveryTLSDeferred(831556, "peer cert does not match domain domain.com"),
            DeliveryTLSRequired(831556, "mx1.domain.com"),
        )
        self.assertEqual(lines, FAILS.splitlines())

    def test_details_of_a_mismatch(self) -> None:
        """The names wanted and presented follow the verify error in a line of their own."""
        event = DeliveryTLSDeferred(7, "peer cert does not match domain d", ("wanted: d", "presented: m"))
        self.assertEqual(texts(event)[1], "Info: DCID 7 TLS verify details: wanted: d; presented: m")

    def test_story_of_a_message(self) -> None:
        """From injection to the bounce of one recipient, every line has the vendor's form."""
        gone = Permanent("5.1.1", "refused", 550, ("5.1.1 no such user", "5.1.1 it's gone"))
        lines = texts(
            ConnectionAccepted(9, "relay", "10.1.1.2", "10.1.1.9"),
            ConnectionAdmitted(9, "RELAY", "RELAYLIST", "10.0.0.0/8"),
            ReceiveTLSStarted(9, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
            MessageStarted(7, 9, "a@example.net"),
            RecipientAccepted(7, 9, 0, "b@domain.com"),
            RecipientAccepted(7, 9, 1, "c@domain.com"),
            MessageReceived(7, 9, "a@example.net", 512),
            MessageQueued(7),
            ConnectionClosed(9),
            DeliveryConnectFailed("domain.com", "mx1.domain.com", "10.1.1.3", 25, "[Errno 111] Connection refused"),
            RecipientDelayed(
                7,
                0,
                0,
                "a@example.net",
                "b@domain.com",
                Temporary("4.4.1", "mx1.domain.com: connection refused"),
            ),
            DeliveryStarted(4, 7, (0, 1)),
            RecipientsDelivered(4, 7, (0,), '2.0.0 Ok: queued as "4X"'),
            RecipientBounced(7, 1, 4, "a@example.net", "c@domain.com", gone),
            BounceGenerated(8, 7, "", "a@example.net"),
            MessageStarted(8, 0, ""),
            RecipientAccepted(8, 0, 0, "a@example.net"),
            MessageFinished(7),
            DoubleBounce(8, 0, "a@example.net", Permanent("5.1.2", "NXDOMAIN")),
            DeliveryClosed(4),
        )
        self.assertEqual(lines, STORY.splitlines())

    def test_policy_in_one_line(self) -> None:
        """The explanation of an attempt is one line; the static provider is called tls."""
        opinions = (
            ("dane", "none(insecure MX)"),
            ("mta-sts", "enforce(id 12345678598Z, cached)"),
            ("static", "required-verify-hosted"),
        )
        event = PolicyExplained(
            5444, "domain.com", "mx1.mail123.domain.com", opinions, "TLSv1.3 verified by mta-sts", PolicyResult.VERIFIED
        )
        self.assertEqual(
            texts(event),
            [
                "Info: MID 5444 TLS policy for domain.com via mx1.mail123.domain.com: dane=none(insecure MX) "
                "mta-sts=enforce(id 12345678598Z, cached) tls=required-verify-hosted -> TLSv1.3 "
                "verified by mta-sts"
            ],
        )

    def test_waiting_says_why(self) -> None:
        """A message that waits says until when, after how many attempts, and for what."""
        (line,) = texts(RecipientsPending(5444, (0,), 1727364279.0, "4.4.1 connection refused", 2))
        self.assertRegex(
            line,
            r"^Info: MID 5444 to RID \[0\] pending till \w{3} Sep 2[67] \d\d:\d\d:39 2024 \[Default\] "
            r"after 2 attempts: 4\.4\.1 connection refused$",
        )

    def test_fetch_failure(self) -> None:
        """A failed fetch says its cause, URL, proxy and what holds now; a time-out has its Debug line
        besides."""
        url = "https://mta-sts.d.test/.well-known/mta-sts.txt"
        refused = STSFetchFailed("d.test", url, "HTTP status 404", kept="17")
        self.assertEqual(
            texts(refused),
            [
                "Info: Failure encountered while fetching MTA-STS policy for the domain(d.test): "
                "HTTP status 404 "
                f"({url}); the cached policy 17 stays in force"
            ],
        )
        for cause in ("connection timed out", "time-out after 60 s", "Timeout"):
            lines = texts(STSFetchFailed("d.test", url, cause, "http://p:3128"))
            self.assertEqual(
                lines[0],
                "Debug: Request to fetch the STS policy failed because of a connection timeout., for the domain d.test",
            )
            self.assertTrue(lines[1].endswith(f"{cause} ({url} via proxy http://p:3128); no policy is in force"))

    def test_filters(self) -> None:
        """What filters made of a message."""
        found = texts(
            FilterAnswered(7, "rspamd", "accept", ("2 header changes", "1 recipient added"), 0.0312),
            FilterAnswered(7, "clamav", "accept", (), 1.5),
            FilterAnswered(7, "rules", "reject", ("550 5.7.1 No",), 0.0),
            FilterPassedOver(7, "clamav", 30000000),
            FilterAway(7, "rspamd", "inet:127.0.0.1:11332: it doesn't answer within 30 s", "tempfail", 30.0),
            FilterChangedSender(7, "srs", "SRS0=a@b.test"),
            FilterRemovedRecipient(7, "rules", 1, "b@c.test"),
            MessageHeld(7, "filter rules: an invoice"),
        )
        self.assertEqual("".join(f"{line}\n" for line in found), FILTERS)


class TableTests(SynchronousTestCase):
    """The table as a whole."""

    def test_every_event_class_is_in_the_table(self) -> None:
        """Every class in seg.events has its entry, with an example of that class."""
        self.assertEqual({kind.__name__ for kind in classes()} - {kind.__name__ for kind in LINES}, set())
        for kind, entry in LINES.items():
            self.assertIs(type(entry.example), kind)

    def test_examples_have_the_form_documented(self) -> None:
        """Each line of an example has the level and the fixed text of one of its forms, in their order."""
        for kind, entry in LINES.items():
            forms = list(entry.forms)
            for level, text in entry.render(entry.example):
                while forms and not (forms[0].level is level and re.fullmatch(_pattern(forms[0].template), text)):
                    forms.pop(0)
                self.assertTrue(forms, f"{kind.__name__}: {text!r} has none of the forms")

    def test_warnings(self) -> None:
        """What an operator should look at is a warning, and nothing else is."""
        warnings = {kind for kind, entry in LINES.items() if entry.level is Level.WARNING}
        self.assertEqual(
            warnings,
            {
                AdminRefused,
                ConditionBegan,
                Fault,
                DANEWeakened,
                ExemptionOver,
                ExemptionUsed,
                FilterAway,
                MessageDamaged,
                Repeated,
                STSRecordFailed,
                STSPolicyWithdrawn,
                TLSAlert,
                SpoolFileCorrupt,
                SyslogAway,
                SyslogLinesLost,
            },
        )

    def test_debug_events_are_debug_lines(self) -> None:
        """An event that is only made for Debug has no line above it, and every other one has."""
        for kind, entry in LINES.items():
            self.assertEqual(issubclass(kind, DebugEvent), entry.level is Level.DEBUG, kind.__name__)

    def test_page_is_up_to_date(self) -> None:
        """docs/log-lines.md is what the table makes it; run python -m seg.maillog.reference."""
        page = (PROJECT / "docs" / "log-lines.md").read_text("utf-8")
        self.assertEqual(page, page_text(page))

    def test_unknown_class(self) -> None:
        """An event of a class that the table doesn't know, as a third party may have, is told all the
        same."""

        @attrs.frozen
        class Strange(Event):
            number: int

        self.assertEqual(len(texts(Strange(3))), 1)
        self.assertIn("Strange(number=3)", texts(Strange(3))[0])

    def test_details_of_messages(self) -> None:
        """Message-ID and Subject are only told when the operator wants it."""
        event = MessageReceived(7, 9, "a@b.test", 10, "<1@b.test>", "it's\r\nMID 9")
        self.assertEqual(len(texts(without_details(event))), 1)
        wanted = ["Info: MID 7 Message-ID '<1@b.test>'", 'Info: MID 7 Subject "it\'s\\r\\nMID 9"']
        self.assertEqual(texts(event)[:2], wanted)

    def test_names_of_status_codes(self) -> None:
        """Known codes have their name whatever their class; unknown details have that of their subject."""
        names = {
            "4.4.1": "No answer from host",
            "5.4.7": "Delivery expired (message too old)",
            "5.1.0": "Unknown address error",
            "4.7.99": "Other security problem",
            "5.9.9": "Other undefined status",
            "5": "Other undefined status",
        }
        self.assertEqual({code: status_text(code) for code in names}, names)


def _pattern(template: str) -> str:
    """A template as a regular expression: every value may be anything."""
    depth_free = re.sub(r"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "\0", template)
    return re.escape(depth_free).replace("\0", ".*").replace(re.escape(", ..."), ".*").replace(re.escape(" ..."), ".*")


# What the laboratory of real servers looks for, by its own patterns.
LAB = {
    "sts_txt_ok": (
        r"Successfully fetched MTA-STS TXT record for domain ?\(d\.test\)",
        STSRecordFound("d.test", "1"),
    ),
    "sts_applying": (
        r"Applying MTA-STS policy for the domain ?\(d\.test\)",
        STSApplied("d.test", "testing"),
    ),
    "sts_success": (r"MTA-STS policy for the domain ?\(d\.test\) Successful", STSSucceeded("d.test")),
    "sts_fetch_failed": (
        r"(?i)(fail|unable|could not).{0,60}MTA-STS policy.{0,40}\(?d\.test\)?",
        STSFetchFailed("d.test", "https://u", "HTTP status 404"),
    ),
    "sts_not_success": (
        r"(?i)MTA-STS policy.{0,60}(fail|not match|mismatch|unsuccessful|violat)",
        STSFailed("d.test", "m", "x"),
    ),
    "sts_route_skip": (r"(?i)MTA.?STS.{0,60}SMTP.?route", RouteUsed(7, "d.test", "r")),
    "dcid": (
        r"New SMTP DCID \d+ interface \S+ address 127\.77\.2\.1 port 25",
        DeliveryConnected(4, "127.0.0.1", "127.77.2.1", 25),
    ),
    "tls_success": (
        r"DCID \d+ TLS success protocol TLSv1\.[23] cipher \S+",
        DeliveryTLSStarted(4, "TLSv1.2", "X", ()),
    ),
    "tls_required": (
        r"TLS was required but could not be successfully negotiated",
        DeliveryTLSRequired(4, "m"),
    ),
    "verify_domain": (
        r"TLS deferring: verify error: peer cert does not match domain d\.test",
        DeliveryTLSDeferred(4, "peer cert does not match domain d.test"),
    ),
    "dane_success": (r"(?i)DANE.{0,80}success", DANESucceeded("d.test", "m")),
    "dane_failed": (
        r"(?i)DANE.{0,80}(fail|mismatch|bogus|not supported|no usable|insecure)",
        DANEFailed("d.test", "m", "no TLSA"),
    ),
    "finished": (r"Message finished MID \d+ done", MessageFinished(7)),
    "policy_via_proxy": (r"(?i)MTA-STS.{0,40}proxy", STSFetchStarted("d.test", "http://p:1")),
}


class LabTests(SynchronousTestCase):
    """Lines that other programs look for."""

    def test_each_fact_is_found(self) -> None:
        """For each pattern there is an event whose lines it matches."""
        for name, (pattern, event) in LAB.items():
            self.assertTrue(any(re.search(pattern, line) for line in texts(event)), name)

    def test_only_success_looks_like_success(self) -> None:
        """No line but that of DANE's success names DANE and success together."""
        for kind, entry in LINES.items():
            found = any(re.search(r"(?i)DANE.*success", line) for line in texts(entry.example))
            self.assertEqual(found, kind is DANESucceeded, kind.__name__)


def _filled(kind: type[Event], text: str) -> Event:
    """An event whose every text is `text`."""
    values = {}
    for field in attrs.fields(kind):
        example = getattr(LINES[kind].example, field.name)
        if isinstance(example, str):
            values[field.name] = text
        elif isinstance(example, tuple) and example and isinstance(example[0], str):
            values[field.name] = (text, text)
        elif isinstance(example, tuple) and example and isinstance(example[0], tuple):
            values[field.name] = ((text, text),)
        elif isinstance(example, Temporary | Permanent):
            values[field.name] = type(example)(example.enhanced, text, example.code, (text, text))
        else:
            values[field.name] = example
    return kind(**values)


class ForgeryTests(SynchronousTestCase):
    """Whatever a peer sends stays within the lines of its event."""

    def test_line_breaks_are_escaped(self) -> None:
        """CR, LF and other breaks in remote data are shown, not obeyed."""
        event = RecipientAccepted(7, 9, 0, "a\r\nThu Sep 26 15:23:39 2024 Info: forged\0\x85\u2028\u202e\udc80@b")
        self.assertEqual(
            texts(event),
            [
                "Info: MID 7 ICID 9 RID 0 To: <a\\r\\nThu Sep 26 15:23:39 2024 Info: forged"
                "\\x00\\x85\\u2028\\u202e\\udc80@b>"
            ],
        )

    @settings(max_examples=100)
    @given(st.text(st.characters(codec=None)), st.sampled_from(sorted(LINES, key=lambda kind: kind.__name__)))
    def test_no_text_makes_a_line(self, text: str, kind: type[Event]) -> None:
        """Whatever stands in an event's fields, each of its lines is one printable line that UTF-8 can
        hold."""
        for line in texts(_filled(kind, text + "\r\n\u2028" + text)):
            self.assertEqual(len(line.splitlines()), 1)
            self.assertTrue(line.isprintable())
            line.encode("utf-8")

    def test_lines_are_bounded(self) -> None:
        """A line has a greatest length, and says how much is missing."""
        line = clean("x" * (LONGEST_LINE + 5))
        self.assertTrue(line.endswith("x... (5 more characters)"))


class RefusedCommandTests(SynchronousTestCase):
    """A refused command is logged by the kind of its reply."""

    def test_kinds(self) -> None:
        """Only the replies of RFC 5321 for syntax are called so: no TLS, no AUTH and a wrong order are refusals."""
        syntax = {500, 501, 504, 555}
        for code in (421, 451, 452, 454, 500, 501, 502, 503, 504, 530, 534, 535, 538, 550, 554, 555):
            what = "Bad syntax for command" if code in syntax else "Refused command"
            self.assertEqual(texts(BadCommand(1, "MAIL", "x", code)), [f"Info: ICID 1 {what}: MAIL (x)"])
