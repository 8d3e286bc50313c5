"""Failure reports: readable by people and by programs, and harmless whatever the remote said."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from seg.dsn.composer import ReportComposer
from seg.mail.causes import CauseKind
from seg.mail.envelope import BodyType, DSNNotify, DSNRet, Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.outcome import Bounced, Delayed, Delivered, DSNAction, Outcome
from seg.queue.interfaces import IReportComposer

HEADER = b"From: <alice@sender.example>\r\nSubject: quarterly figures\r\n\r\n"
WHOLE = HEADER + b"The figures.\r\n"
POLICY = "mx.to.example does not satisfy the TLS policy (mta-sts) of to.example: certificate has expired"


class ComposerTests(SynchronousTestCase):
    """`ReportComposer.compose`."""

    def setUp(self) -> None:
        self.composer = ReportComposer("gw.example", "postmaster@gw.example", lambda: 1_700_000_000.0)

    def report(self, error: Permanent, content: bytes = WHOLE, sender: str = "alice@sender.example") -> bytes:
        """The content of a report on one failed recipient."""
        envelope = Envelope(7, sender, (Recipient(0, "bob@to.example"),), 1_699_900_000.0, size=len(content))
        made = self.composer.compose(DSNAction.FAILED, envelope, [(0, Bounced(error, 3))], content, 8)
        assert made is not None
        self.assertEqual((made[0].mid, made[0].reverse_path, made[0].body), (8, "", BodyType.SEVEN_BIT))
        self.assertEqual(made[0].size, len(made[1]))
        return made[1]

    def parts(self, content: bytes) -> list[EmailMessage]:
        """The three parts (RFC 6522 §3)."""
        parsed = cast(EmailMessage, message_from_bytes(content, policy=default))
        self.assertEqual(parsed.get_content_type(), "multipart/report")
        self.assertEqual(parsed["Auto-Submitted"], "auto-replied")
        self.assertEqual(parsed["To"], "alice@sender.example")
        return list(cast("list[EmailMessage]", list(parsed.iter_parts())))

    def test_interface(self) -> None:
        """It keeps the contract."""
        verifyObject(IReportComposer, self.composer)

    def test_policy_failure(self) -> None:
        """The text names the policy and the fault; the machine part has recipient, action and status."""
        text, status, original = self.parts(self.report(Permanent("5.4.7", POLICY)))
        words = " ".join(text.get_content().split())
        self.assertIn(POLICY, words)
        self.assertIn("bob@to.example", words)
        for field in (
            "Reporting-MTA: dns; gw.example",
            "Final-Recipient: rfc822; bob@to.example",
            "Action: failed",
            "Status: 5.4.7",
        ):
            self.assertIn(field, status.as_string())
        self.assertEqual(original.get_content_type(), "message/rfc822")
        self.assertIn("The figures.", original.as_string())

    def test_remote_words(self) -> None:
        """What the remote server said is quoted, to people and as Diagnostic-Code."""
        text, status, _ = self.parts(self.report(Permanent("5.1.1", "Bad address", 550, ("5.1.1 no such user",))))
        self.assertIn("no such user", text.get_content())
        self.assertIn("Diagnostic-Code: smtp; 550 5.1.1 no such user", status.as_string())

    def test_large_message(self) -> None:
        """Of a large message only the header comes back."""
        content = HEADER + b"x" * 70 + b"\r\n" * 20_000
        _, _, original = self.parts(self.report(Permanent("5.4.7", "too old"), content))
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")
        self.assertIn("Subject: quarterly figures", original.as_string())

    def notice(self, action: DSNAction, outcome: Outcome, **parts: object) -> list[EmailMessage]:
        """The parts of a report on one recipient who asked to hear of everything."""
        recipient = Recipient(0, "bob@to.example", notify=frozenset(DSNNotify), orcpt="rfc822;b+2Bob@old.example")
        envelope = Envelope(
            7, "alice@sender.example", (recipient,), 1_699_900_000.0, size=len(WHOLE), envid="Q+2B1", **parts
        )  # type: ignore[arg-type]
        made = self.composer.compose(action, envelope, [(0, outcome)], WHOLE, 8, 1_700_200_000.0)
        assert made is not None
        self.assertEqual(made[0].recipients[0].notify, frozenset())
        return self.parts(made[1])

    def test_delay(self) -> None:
        """A delay says why, until when it is tried, and that nothing needs to be done; the header alone comes back."""
        text, status, original = self.notice(
            DSNAction.DELAYED,
            Delayed(Temporary("4.7.5", POLICY, cause=CauseKind.CERTIFICATE_EXPIRED), 3, host="mx.to.example"),
        )
        words = " ".join(text.get_content().split())
        for part in (
            "has not been delivered",
            "You need not send it again",
            "Fri, 17 Nov 2023",
            POLICY,
            "encrypted connection",
        ):
            self.assertIn(part, words)
        for field in (
            "Original-Envelope-Id: Q+1",
            "Original-Recipient: rfc822; b+ob@old.example",
            "Action: delayed",
            "Status: 4.7.5",
            "Remote-MTA: dns; mx.to.example",
            "Will-Retry-Until: Fri, 17 Nov 2023 05:46:40",
        ):
            self.assertIn(field, status.as_string())
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")

    def test_tls_by_cause(self) -> None:
        """Whether TLS policy is explained depends on what failed, not on the words that a text happens to have."""
        for cause, text, explained in (
            (CauseKind.CERTIFICATE_EXPIRED, "x", True),
            (None, "no such TLS certificate, says DANE", False),
            (CauseKind.AUTH_PROFILE, "no password is sent without TLS", False),
        ):
            shown = self.notice(DSNAction.FAILED, Bounced(Permanent("5.4.7", text, cause=cause), 3))[0].get_content()
            self.assertEqual("encrypted connection" in " ".join(shown.split()), explained)

    def test_relayed(self) -> None:
        """A relayed message says so, with what the next server said."""
        text, status, _ = self.notice(DSNAction.RELAYED, Delivered(3, "2.0.0 queued as 12"))
        self.assertIn("doesn't report on deliveries", " ".join(text.get_content().split()))
        for field in ("Action: relayed", "Status: 2.0.0", "Diagnostic-Code: smtp; 250 2.0.0 queued as 12"):
            self.assertIn(field, status.as_string())

    def test_how_much_comes_back(self) -> None:
        """RET=HDRS, and a message that must stay within TLS, bring back the header only; RET=FULL all of a small message."""
        failed = Bounced(Permanent("5.1.1", "no"), 3)
        for parts, kind in (
            ({"ret": DSNRet.FULL}, "message/rfc822"),
            ({"ret": DSNRet.HEADERS}, "text/rfc822-headers"),
            ({"ret": DSNRet.FULL, "requiretls": True}, "text/rfc822-headers"),
        ):
            self.assertEqual(self.notice(DSNAction.FAILED, failed, **parts)[2].get_content_type(), kind)

    def test_null_reverse_path(self) -> None:
        """There is never a report on a report (RFC 5321 §4.5.5)."""
        envelope = Envelope(7, "", (Recipient(0, "bob@to.example"),), 0.0)
        self.assertIsNone(
            self.composer.compose(DSNAction.FAILED, envelope, [(0, Bounced(Permanent("5.4.7", "x")))], WHOLE, 8)
        )

    @given(said=st.text(max_size=300), content=st.binary(max_size=2000))
    @settings(max_examples=60, deadline=None)
    def test_any_words(self, said: str, content: bytes) -> None:
        """Whatever the remote said and the message holds: 7 bits, CRLF, lines within 998 octets, three parts."""
        report = self.report(Permanent("5.0.0", said, 550, (said,)), content)
        self.assertTrue(report.isascii())
        self.assertEqual(report.count(b"\n"), report.count(b"\r\n"))
        self.assertEqual(report.count(b"\r"), report.count(b"\r\n"))
        self.assertLessEqual(max(map(len, report.split(b"\r\n"))), 998)
        self.assertGreaterEqual(len(self.parts(report)), 2)
