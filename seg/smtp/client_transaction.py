"""One mail transaction (RFC 5321 §3.3) as the client sees it: its commands, and the result of each
recipient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from seg.mail.address import local_part, to_ascii
from seg.mail.envelope import BodyType, Envelope, Recipient
from seg.mail.errors import Permanent, Temporary
from seg.mail.status import status_text
from seg.smtp.address import PathError, check_forward_path
from seg.smtp.client_capabilities import Capabilities
from seg.smtp.client_events import Result
from seg.smtp.commands import is_envid, is_orcpt
from seg.smtp.reply import Phase, Reply
from seg.smtp.verdicts import Circumstance

# What could end a path or a command line early. Some of it may stand in a quoted local part (RFC 5321 §4.1.2): then the grammar decides.
_SUSPECT = re.compile(r"[\x00-\x20\x7f<>\ud800-\udfff]")


_ACCEPTED = frozenset({Circumstance.SOME_ACCEPTED})
_AFTER_354 = frozenset({Circumstance.AFTER_354})
_PARAMETERS = frozenset({Circumstance.PARAMETERS})


class MailTransaction:
    """Holds what was asked and what the server said.

    `refusal` is set from the start when the message can't be sent to this server at all; `recipients` are
    those to be named in RCPT, in order.
    """

    __slots__ = (
        "_accepted",
        "_answered",
        "_capabilities",
        "_circumstances",
        "_envelope",
        "_utf8",
        "mail_was_answered",
        "recipients",
        "refusal",
        "results",
        "size",
    )

    def __init__(
        self,
        envelope: Envelope,
        recipients: Sequence[Recipient],
        size: int,
        capabilities: Capabilities,
        circumstances: frozenset[Circumstance] = frozenset(),
        unconvertible: str = "",
    ) -> None:
        """:param circumstances: of the session, that a refusal is to be seen in.
        :param unconvertible: see `unsendable`.
        """
        self._envelope = envelope
        self.size = size
        self._capabilities = capabilities
        self._circumstances = circumstances
        self._accepted: list[int] = []
        self.mail_was_answered = False
        self._answered = 0  # RCPT commands that got their reply
        self._utf8 = capabilities.smtputf8 and (
            envelope.smtputf8 or any(_beyond_ascii(address) for address in _addresses(envelope, recipients))
        )
        self.results: dict[int, Result] = {}
        self.recipients: list[Recipient] = []
        self.refusal: Temporary | Permanent | None = None
        fault = unsendable(envelope, size, capabilities, unconvertible)
        if fault is not None:
            self.refusal = fault
            self._settle((r.rid for r in recipients), fault)
            return
        for recipient in recipients:
            fault = unsendable_address(recipient.address, capabilities, "5.1.3")
            if fault is None and recipient.orcpt and not is_orcpt(recipient.orcpt):
                fault = Permanent("5.5.4", f"{status_text('5.5.4')}: malformed ORCPT in the envelope")
            if fault is None:
                self.recipients.append(recipient)
            else:
                self.results[recipient.rid] = fault

    @property
    def accepted(self) -> bool:
        """Whether a recipient was accepted, so that the content has a reader."""
        return bool(self._accepted)

    @property
    def accepted_count(self) -> int:
        """How many recipients were accepted."""
        return len(self._accepted)

    def mail(self) -> bytes:
        """The MAIL command with the parameters that the server offers to take."""
        envelope, offered = self._envelope, self._capabilities
        sender = envelope.reverse_path
        command = f"MAIL FROM:<{sender if sender.isascii() else self._on_the_wire(sender)}>"
        if "SIZE" in offered.raw:
            command += f" SIZE={self.size}"  # RFC 1870 §6: octets before dot-stuffing
        if envelope.body is BodyType.EIGHT_BIT:
            command += " BODY=8BITMIME"
        if self._utf8:
            command += " SMTPUTF8"  # RFC 6531 §3.4
        if envelope.requiretls:
            command += " REQUIRETLS"  # RFC 8689 §4.2.1; `unsendable` saw that it is offered
        if offered.dsn and envelope.ret:
            command += f" RET={envelope.ret}"
        if offered.dsn and envelope.envid:
            command += f" ENVID={envelope.envid}"
        return f"{command}\r\n".encode()

    def rcpt(self, recipient: Recipient) -> bytes:
        """The RCPT command for one recipient, with what the sender wants to hear of it (RFC 3461 §5.2.1)."""
        address = recipient.address
        command = f"RCPT TO:<{address if address.isascii() else self._on_the_wire(address)}>"
        if self._capabilities.dsn and recipient.notify is not None:
            command += f" NOTIFY={','.join(sorted(recipient.notify)) or 'NEVER'}"
        if self._capabilities.dsn and recipient.orcpt:
            command += f" ORCPT={recipient.orcpt}"
        return f"{command}\r\n".encode()

    def mail_answered(self, reply: Reply) -> bool:
        """Take the reply to MAIL; whether the transaction goes on."""
        self.mail_was_answered = True
        goes_on = reply.positive
        if not goes_on:
            self.refusal = self._error(Phase.MAIL, reply, self.mail())
            self._settle((r.rid for r in self.recipients), self.refusal)
        return goes_on

    def rcpt_answered(self, reply: Reply) -> None:
        """Take the reply to the next RCPT. Where MAIL was refused it says nothing new."""
        recipient = self.recipients[self._answered]
        self._answered += 1
        if self.refusal is not None:
            return
        if reply.positive:
            self._accepted.append(recipient.rid)
        else:
            self.results[recipient.rid] = self._error(Phase.RCPT, reply, self.rcpt(recipient))

    def all_answered(self) -> bool:
        """Whether each RCPT has its reply."""
        return self._answered == len(self.recipients)

    def next_recipient(self) -> Recipient:
        """The recipient whose RCPT comes next when commands go one at a time."""
        return self.recipients[self._answered]

    def data_answered(self) -> None:
        """Note that the server has asked for the content by a 354."""
        self._circumstances |= _AFTER_354

    def content_answered(self, phase: Phase, reply: Reply) -> None:
        """Take the reply that decides about all accepted recipients: a refusal of DATA, or any to the final
        dot."""
        self._settle(self._accepted, reply if reply.positive else self._error(phase, reply))
        self._accepted = []

    def next_content_answered(self, reply: Reply) -> None:
        """Take the reply to the content for the next accepted recipient (LMTP, RFC 2033 §4.2)."""
        rid = self._accepted.pop(0)
        self.results[rid] = reply if reply.positive else self._error(Phase.CONTENT, reply)

    def broken_off(self, error: Temporary) -> None:
        """The connection has failed: whoever has no result yet gets this error."""
        self._settle((r.rid for r in self.recipients if r.rid not in self.results), error)

    def _error(self, phase: Phase, reply: Reply, command: bytes = b"") -> Temporary | Permanent:
        """What a refusal means here.

        :param command: what was refused, if it names an address.
        """
        circumstances = self._circumstances
        if self._accepted:
            circumstances |= _ACCEPTED
        if command and not command.endswith(b">\r\n"):
            circumstances |= _PARAMETERS
        return reply.to_error(phase, circumstances)

    def _on_the_wire(self, address: str) -> str:
        """The address as sent: a domain in A-labels unless the transaction is one of SMTPUTF8 (RFC 5890 §2.3.2.1)."""
        if self._utf8:
            return address
        local, at, domain = address.rpartition("@")
        return local + at + to_ascii(domain)

    def _settle(self, rids: Iterable[int], result: Result) -> None:
        for rid in rids:
            self.results[rid] = result


def unsendable(
    envelope: Envelope, size: int, offered: Capabilities, unconvertible: str = ""
) -> Temporary | Permanent | None:
    """Why a message can't be sent to a server that offers these extensions, or None when it can.

    :param unconvertible: why its content, if it is beyond ASCII, isn't converted.
    """
    if envelope.requiretls and not offered.requiretls:
        # RFC 8689 §4.2.1: not by this host; another one may offer it, or this one later.
        return Temporary("4.7.30", f"{status_text('4.7.30')}: the server doesn't offer REQUIRETLS")
    if offered.size is not None and size > offered.size:
        return Permanent("5.3.4", f"{status_text('5.3.4')}: {size} octets, the server takes {offered.size}")
    if envelope.body is BodyType.EIGHT_BIT and not offered.eightbitmime:
        # RFC 6152 §3: return the message, or convert it; whoever begins the transaction has seen that it can't be.
        text = f"{status_text('5.6.3')}: 8-bit content, and the server doesn't offer 8BITMIME"
        return Permanent("5.6.3", f"{text}; not converted: {unconvertible}" if unconvertible else text)
    if envelope.smtputf8 and not offered.smtputf8:
        return Permanent("5.6.7", f"{status_text('5.6.7')}: the server doesn't offer SMTPUTF8")  # RFC 6531 §3.5
    if envelope.envid and not is_envid(envelope.envid):
        return Permanent("5.5.4", f"{status_text('5.5.4')}: malformed ENVID in the envelope")
    return unsendable_address(envelope.reverse_path, offered, "5.1.7")


def unsendable_address(address: str, offered: Capabilities, malformed: str) -> Permanent | None:
    """Why an address can't stand in a command, or None when it can. It comes from a spool file, which somebody may have edited.

    :param malformed: the status code for one that would break the command line.
    """
    if _SUSPECT.search(address):
        try:
            check_forward_path(address)
        except PathError:
            return Permanent(malformed, status_text(malformed))
    if not (address.isascii() or offered.smtputf8) and _beyond_ascii(address):
        return Permanent("5.6.7", f"{status_text('5.6.7')}: the server doesn't offer SMTPUTF8")
    return None


def _addresses(envelope: Envelope, recipients: Sequence[Recipient]) -> Iterator[str]:
    yield envelope.reverse_path
    for recipient in recipients:
        yield recipient.address


def _beyond_ascii(address: str) -> bool:
    """Whether an address can't be written in ASCII: its domain can (as A-labels), its local part can't."""
    return not address.isascii() and not (local_part(address) + to_ascii(address.rpartition("@")[2])).isascii()
