"""Writes reports on failures, delays and relayed messages: multipart/report (RFC 6522) with a delivery-status part (RFC 3464).

Every report is 7-bit with lines of at most 998 octets, so that any server can take it: nothing could tell the
sender if the report failed as well.

Its size is bounded whatever the number of recipients and the length of what servers said: to what is quoted of the message
(``max_report_size``) come at most 256 KiB, beyond what the recipients' own addresses take. 50 recipients are told of in full (those with the
same reply together), and 500 characters of each reply; of the others the list at the end and the part for machines have address and status.
"""

from __future__ import annotations

import base64
import email.generator  # noqa: F401 - else imported with the first report, when a chroot or --uid may hide it
import quopri
import re
import secrets
import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

import attrs
from zope.interface import implementer

from seg.config.schema import DoubleBounces, QueueSettings
from seg.dsn.fields import LONGEST_LINE, address_field, fold, from_xtext, printable
from seg.dsn.languages import ENGLISH, Language, Languages
from seg.dsn.report_text import IN_FULL, account, diagnostic, explanation, listing, status
from seg.mail.envelope import BodyType, DSNRet, Envelope, Recipient
from seg.mail.outcome import Delivered, DSNAction, Outcome
from seg.queue.interfaces import IReportComposer
from seg.smtp.dot_stuffing import has_bare

DEFAULTS = QueueSettings()
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
    settings_of: Callable[[str, str], QueueSettings] = lambda domain, profile: DEFAULTS

    def compose(
        self,
        action: DSNAction,
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
        dropped = action is not DSNAction.FAILED or settings.double_bounces is DoubleBounces.DROP
        if not envelope.reverse_path and dropped:  # RFC 5321 §4.5.5
            return None
        languages = [self.languages.get(name) for name in settings.report_languages or (ENGLISH,)]
        note = settings.report_note if action is DSNAction.FAILED else ""
        parts = [self._text(languages, action, told, until, note), self._status(action, envelope, told, now, until)]
        quotation = self._quotation(action, envelope, head, settings.max_report_size)
        if quotation:
            parts.append(quotation)
        content = self._assemble(languages[0].text("subject", action), to, parts, now, mid)
        return self._envelope(envelope, to, now, mid, len(content)), content

    def plain(
        self, action: DSNAction, envelope: Envelope, fared: Sequence[tuple[int, Outcome]], mid: int
    ) -> tuple[Envelope, bytes] | None:
        """See `IReportComposer.plain`."""
        if not envelope.reverse_path:
            return None
        by_rid, now = {recipient.rid: recipient for recipient in envelope.recipients}, self.clock()
        head = (
            f"From: <{printable(self.postmaster)}>\r\nSubject: Delivery report ({action})\r\nDate: {_date(now)}\r\n"
            f"Message-ID: <{mid}.{int(now)}@{printable(self.hostname)}>\r\nAuto-Submitted: auto-replied\r\n"
        )
        lines = [f"This is the mail system at {printable(self.hostname)}. Your message: {action}.", ""]
        lines += [f"<{printable(by_rid[rid].address)}> {status(outcome)}" for rid, outcome in fared]
        to = fold("To", f"<{_CONTROL.sub(' ', envelope.reverse_path)}>").encode("utf-8", "replace")
        content = head.encode("ascii") + to + "\r\n".join(["", *lines, ""]).encode("ascii")
        return self._envelope(envelope, envelope.reverse_path, now, mid, len(content)), content

    @staticmethod
    def _envelope(envelope: Envelope, to: str, now: float, mid: int, size: int) -> Envelope:
        """The envelope of a report on the message of another one."""
        beyond_ascii = not to.isascii()
        return Envelope(
            mid=mid,
            reverse_path="",
            recipients=(Recipient(0, to, notify=frozenset()),),  # RFC 3461 §6.2: no report on a report
            arrived=now,
            size=size,
            body=BodyType.EIGHT_BIT if beyond_ascii else BodyType.SEVEN_BIT,
            smtputf8=beyond_ascii,
            double_bounce=not envelope.reverse_path,
        )

    def _text(
        self,
        languages: Sequence[Language],
        action: DSNAction,
        told: Sequence[tuple[Recipient, Outcome]],
        until: float,
        note: str,
    ) -> bytes:
        """The part for people (RFC 6522 §3, first part): one language below the other, and the operator's note."""
        lines: list[str] = []
        divided = account(told, len(languages))
        for number, language in enumerate(languages):
            if number:
                lines += ["-" * 20, ""]
            date = _date(until) if until else ""
            for paragraph in explanation(language, self.hostname, action, told, divided.groups, date):
                lines += [*_wrapped(paragraph, language.width), ""]
        if divided.rest:
            lines += ["-" * 20, "", *listing(languages, divided.rest), ""]
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
        self, action: DSNAction, envelope: Envelope, told: Sequence[tuple[Recipient, Outcome]], now: float, until: float
    ) -> bytes:
        """The part for machines (RFC 3464 §2)."""
        text = "Content-Type: message/delivery-status\r\nContent-Description: Delivery report\r\n\r\n"
        if envelope.envid:
            text += fold("Original-Envelope-Id", printable(from_xtext(envelope.envid)))
        text += fold("Reporting-MTA", f"dns; {printable(self.hostname)}")
        text += fold("Arrival-Date", _date(envelope.arrived))
        groups = [text]
        now_date, until_date = _date(now), _date(until) if until else ""
        for number, (recipient, outcome) in enumerate(told):
            groups.append("\r\n")
            if recipient.orcpt:
                kind, _, address = recipient.orcpt.partition(";")
                groups.append(fold("Original-Recipient", f"{printable(kind)}; {printable(from_xtext(address))}"))
            groups.append(fold("Final-Recipient", address_field(recipient.address)))
            groups.append(f"Action: {action}\r\nStatus: {status(outcome)}\r\n")
            if number >= IN_FULL:  # what a group must have is there (RFC 3464 §2.3)
                continue
            if not isinstance(outcome, Delivered) and outcome.host:
                groups.append(fold("Remote-MTA", f"dns; {printable(outcome.host)}"))
            if reply := diagnostic(outcome):
                groups.append(fold("Diagnostic-Code", f"smtp; {reply}"))
            if recipient.attempts:
                groups.append(fold("Last-Attempt-Date", now_date))
            if action is DSNAction.DELAYED and until:
                groups.append(fold("Will-Retry-Until", until_date))
        return "".join(groups).encode("ascii")

    def _quotation(self, action: DSNAction, envelope: Envelope, head: bytes, most: int) -> bytes:
        """The message (RFC 6522 §3, third part): all of it when it failed, is small and 7-bit, and the sender doesn't want only its header
        (RFC 3461 §4.3); else its header. A message that must stay within TLS isn't returned in full (RFC 8689 §5)."""
        shy = envelope.ret is DSNRet.HEADERS or envelope.requiretls or action is not DSNAction.FAILED
        whole = len(head) == envelope.size <= most and not shy
        if whole and head and _is_seven_bit(head):
            return b"Content-Type: message/rfc822\r\nContent-Description: Undelivered message\r\n\r\n" + head
        # RFC 6522 §4: a header that isn't legal 7-bit text may be encoded.
        header = _header(head[:most])
        if not header:
            return b""
        start = b"Content-Type: text/rfc822-headers\r\nContent-Description: Header of the message\r\n"
        if not _is_seven_bit(header):
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


def _is_seven_bit(data: bytes) -> bool:
    """Whether it is ASCII in CRLF lines of a length that any server takes."""
    if not data.isascii() or b"\0" in data or has_bare(data) or data.endswith(b"\r"):
        return False
    return max(map(len, data.split(b"\r\n"))) <= LONGEST_LINE


def _header(head: bytes) -> bytes:
    """The header section, up to its last complete line; without the empty line."""
    end = head.find(b"\r\n\r\n")
    return head[: (end if end >= 0 else head.rfind(b"\r\n")) + 2] if b"\r\n" in head else b""


def _boundary(parts: Sequence[bytes], mid: int) -> str:
    """A boundary that none of the parts contains, as nobody can guess it."""
    while True:
        boundary = f"report-{mid}-{secrets.token_hex(8)}"
        if not any(boundary.encode("ascii") in part for part in parts):
            return boundary


def _wrapped(paragraph: str, width: int) -> list[str]:
    return textwrap.wrap(paragraph, width, break_long_words=True, break_on_hyphens=False)


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
