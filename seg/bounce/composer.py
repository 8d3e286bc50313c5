"""Writes reports on failures, delays and relayed messages: multipart/report (RFC 6522) with a delivery-status part (RFC 3464).

Every report is 7-bit with lines of at most 998 octets, so that any server can take it: nothing could tell the
sender if the report failed as well.
"""

from __future__ import annotations

import base64
import email.generator  # noqa: F401 - else imported with the first report, when a chroot or --uid may hide it
import quopri
import re
import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

import attrs
from zope.interface import implementer

from seg.bounce.fields import LONGEST_LINE, address_field, fold, from_xtext, printable
from seg.bounce.languages import ENGLISH, Language, Languages
from seg.bounce.wording import diagnostic, explanation
from seg.config.schema import DoubleBounces, Queue
from seg.interfaces import IReportComposer
from seg.model import DOUBLE_BOUNCE, Action, BodyType, Delivered, Envelope, Outcome, Recipient, Ret

DEFAULTS = Queue()
_NOT_SEVEN_BIT = re.compile(rb"[\x00\x80-\xff]|(?<!\r)\n|\r(?!\n)|[^\n]{%d}" % (LONGEST_LINE + 1))
_CONTROL = re.compile(r"[\x00-\x20\x7f]+")


@implementer(IReportComposer)
@attrs.frozen
class ReportComposer:
    """Composes in the name of one gateway.

    :param hostname: the gateway's name, for Reporting-MTA and Message-ID.
    :param postmaster: the address that reports come from (in the header; their reverse-path is null).
    :param clock: POSIX seconds.
    :param settings_of: what holds for a destination; the first recipient's decides on languages and note, and how much of
        the failed message is quoted: all of one up to max_report_size, else its header, cut there.
    """

    hostname: str
    postmaster: str
    clock: Callable[[], float]
    languages: Languages = attrs.field(factory=lambda: Languages(None, lambda problem: None))
    settings_of: Callable[[str, str], Queue] = lambda domain, profile: DEFAULTS

    def compose(
        self,
        action: Action,
        envelope: Envelope,
        fared: Sequence[tuple[int, Outcome]],
        head: bytes,
        mid: int,
        until: float = 0.0,
    ) -> tuple[Envelope, bytes] | None:
        """See `IReportComposer.compose`."""
        to = envelope.reverse_path or self.postmaster  # who hears of a double bounce, if the operator wants it
        by_rid = {recipient.rid: recipient for recipient in envelope.recipients}
        told = [(by_rid[rid], outcome) for rid, outcome in fared]
        now = self.clock()
        settings = self.settings_of(told[0][0].domain, envelope.bounce_profile)
        dropped = action is not Action.FAILED or settings.double_bounces is DoubleBounces.DROP
        if not envelope.reverse_path and dropped:  # RFC 5321 §4.5.5
            return None
        languages = [self.languages.get(name) for name in settings.report_languages or (ENGLISH,)]
        note = settings.report_note if action is Action.FAILED else ""
        parts = [self._text(languages, action, told, until, note), self._status(action, envelope, told, now, until)]
        quotation = self._quotation(action, envelope, head, settings.max_report_size)
        if quotation:
            parts.append(quotation)
        content = self._assemble(languages[0].text("subject", action), to, parts, now, mid)
        beyond_ascii = not to.isascii()
        report = Envelope(
            mid=mid,
            reverse_path="",
            recipients=(Recipient(0, to, notify=frozenset()),),  # RFC 3461 §6.2: no report on a report
            arrived=now,
            size=len(content),
            body=BodyType.EIGHT_BIT if beyond_ascii else BodyType.SEVEN_BIT,
            smtputf8=beyond_ascii,
            envid="" if envelope.reverse_path else DOUBLE_BOUNCE,
        )
        return report, content

    def _text(
        self,
        languages: Sequence[Language],
        action: Action,
        told: Sequence[tuple[Recipient, Outcome]],
        until: float,
        note: str,
    ) -> bytes:
        """The part for people (RFC 6522 §3, first part): one language below the other, and the operator's note."""
        lines: list[str] = []
        for number, language in enumerate(languages):
            if number:
                lines += ["-" * 20, ""]
            for paragraph in explanation(language, self.hostname, action, told, _date(until) if until else ""):
                lines += [*_wrapped(paragraph, language.width), ""]
        if note:
            lines += [*_wrapped(note, languages[-1].width), ""]
        text = "\r\n".join(lines)
        tags = ", ".join(dict.fromkeys(language.name for language in languages))
        head = f"Content-Description: Explanation\r\nContent-Language: {tags}\r\n"
        if text.isascii():
            return f"Content-Type: text/plain; charset=us-ascii\r\n{head}\r\n{text}".encode("ascii")
        head += "Content-Transfer-Encoding: base64\r\n"  # 7-bit, whatever the language
        encoded = base64.encodebytes(text.encode("utf-8")).replace(b"\n", b"\r\n")
        return f"Content-Type: text/plain; charset=utf-8\r\n{head}\r\n".encode("ascii") + encoded

    def _status(
        self, action: Action, envelope: Envelope, told: Sequence[tuple[Recipient, Outcome]], now: float, until: float
    ) -> bytes:
        """The part for machines (RFC 3464 §2)."""
        text = "Content-Type: message/delivery-status\r\nContent-Description: Delivery report\r\n\r\n"
        if envelope.envid:
            text += fold("Original-Envelope-Id", printable(from_xtext(envelope.envid)))
        text += fold("Reporting-MTA", f"dns; {printable(self.hostname)}")
        text += fold("Arrival-Date", _date(envelope.arrived))
        for recipient, outcome in told:
            text += "\r\n"
            if recipient.orcpt:
                kind, _, address = recipient.orcpt.partition(";")
                text += fold("Original-Recipient", f"{printable(kind)}; {printable(from_xtext(address))}")
            text += fold("Final-Recipient", address_field(recipient.address))
            text += fold("Action", action)
            text += fold("Status", "2.0.0" if isinstance(outcome, Delivered) else outcome.error.enhanced)
            if not isinstance(outcome, Delivered) and outcome.host:
                text += fold("Remote-MTA", f"dns; {printable(outcome.host)}")
            if reply := diagnostic(outcome):
                text += fold("Diagnostic-Code", f"smtp; {reply}")
            if recipient.attempts:
                text += fold("Last-Attempt-Date", _date(now))
            if action is Action.DELAYED and until:
                text += fold("Will-Retry-Until", _date(until))
        return text.encode("ascii")

    def _quotation(self, action: Action, envelope: Envelope, head: bytes, most: int) -> bytes:
        """The message (RFC 6522 §3, third part): all of it when it failed, is small and 7-bit, and the sender doesn't want only its header
        (RFC 3461 §4.3); else its header. A message that must stay within TLS isn't returned in full (RFC 8689 §5)."""
        shy = envelope.ret is Ret.HEADERS or envelope.requiretls or action is not Action.FAILED
        whole = len(head) == envelope.size <= most and not shy
        if whole and head and not _NOT_SEVEN_BIT.search(head):
            return b"Content-Type: message/rfc822\r\nContent-Description: Undelivered message\r\n\r\n" + head
        # RFC 6522 §4: a header that isn't legal 7-bit text may be encoded.
        header = _header(head[:most])
        if not header:
            return b""
        start = b"Content-Type: text/rfc822-headers\r\nContent-Description: Header of the message\r\n"
        if _NOT_SEVEN_BIT.search(header):
            encoded = quopri.encodestring(header.replace(b"\r\n", b"\n")).replace(b"\r", b"=0D")
            return start + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded.replace(b"\n", b"\r\n")
        return start + b"\r\n" + header

    def _assemble(self, subject: str, to: str, parts: Sequence[bytes], now: float, mid: int) -> bytes:
        boundary = _boundary(parts, mid)
        message = EmailMessage(policy=SMTP)
        message["From"] = formataddr(("Mail Delivery System", self.postmaster))
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
        message["Message-ID"] = f"<{mid}.{int(now)}@{self.hostname}>"
        message["Auto-Submitted"] = "auto-replied"  # RFC 3834 §5
        message["MIME-Version"] = "1.0"
        # By hand what the library would rewrite: it has no say in the octets of the parts, nor in an address
        # beyond ASCII.
        head = fold("To", f"<{_CONTROL.sub(' ', to)}>").encode("utf-8", "replace")
        head += message.as_bytes().rstrip(b"\r\n") + b"\r\n"
        kind = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
        head += fold("Content-Type", kind).encode("ascii")
        delimiter = f"--{boundary}".encode("ascii")
        body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
        return head + b"\r\n" + body + delimiter + b"--\r\n"


def _header(head: bytes) -> bytes:
    """The header section, up to its last complete line; without the empty line."""
    end = head.find(b"\r\n\r\n")
    return head[: (end if end >= 0 else head.rfind(b"\r\n")) + 2] if b"\r\n" in head else b""


def _boundary(parts: Sequence[bytes], mid: int) -> str:
    """A boundary that none of the parts contains: a quoted message may have been made to contain a guessed
    one."""
    number = 0
    while True:
        boundary = f"report-{mid}-{number}"
        if not any(boundary.encode("ascii") in part for part in parts):
            return boundary
        number += 1


def _wrapped(paragraph: str, width: int) -> list[str]:
    return textwrap.wrap(paragraph, width, break_long_words=True, break_on_hyphens=False)


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
