"""What a filter may answer. All are frozen values; what makes no sense can't be made (`ValueError`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs

from seg.queue.interfaces import IContent
from seg.smtp.address import check_forward_path, check_reverse_path
from seg.smtp.commands import MailArguments, RcptArguments, is_envid, is_orcpt, parse_mail, parse_rcpt
from seg.smtp.reply import Reply

LONGEST_TEXT = 400  # characters: a reply line has 512 octets (RFC 5321 §4.5.3.1.5)
LONGEST_REASON = 200  # characters
_FIELD_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]{1,77}")  # RFC 5322 §3.6.8; with the colon it fits a line
_ENHANCED = re.compile(r"[45]\.\d{1,3}\.\d{1,3}")


def _field_name(instance: object, attribute: object, value: str) -> None:
    if not _FIELD_NAME.fullmatch(value):
        raise ValueError(f"{value[:80]!r} is no name of a header field")


def _from_zero(instance: object, attribute: Any, value: int) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} is {value}, but counts from 0 or 1")


def _no_nul(instance: object, attribute: object, value: str) -> None:
    if "\0" in value:
        raise ValueError("a header field holds a NUL")


@attrs.frozen
class AddField:
    """A field behind all others."""

    name: str = attrs.field(validator=_field_name)
    value: str = attrs.field(validator=_no_nul)  # lines may be folded with LF or CRLF
    spaced: bool = True  # a space is put between colon and value


@attrs.frozen
class InsertField:
    """A field at a place of the header: 0 is above all, our own Received field included, 1 is below the first field."""

    position: int = attrs.field(validator=_from_zero)
    name: str = attrs.field(validator=_field_name)
    value: str = attrs.field(validator=_no_nul)
    spaced: bool = True


@attrs.frozen
class ChangeField:
    """Another value for one of the fields of a name; where there are fewer of them a new one is added."""

    name: str = attrs.field(validator=_field_name)
    number: int = attrs.field(validator=_from_zero)  # from 1, our own Received field not counted; 0 means 1
    value: str = attrs.field(validator=_no_nul)
    spaced: bool = True


@attrs.frozen
class DeleteField:
    """One of the fields of a name goes; nothing happens where there are fewer of them."""

    name: str = attrs.field(validator=_field_name)
    number: int = attrs.field(validator=_from_zero)  # as in ChangeField


FieldEdit = AddField | InsertField | ChangeField | DeleteField


def sender_of(path: str, parameters: str = "") -> MailArguments:
    """The reverse-path ("" is the null one) with parameters of MAIL, checked.

    :raises ValueError: the grammar doesn't allow it.
    """
    check_reverse_path(path)
    words = f"{parameters} SMTPUTF8" if not path.isascii() and "SMTPUTF8" not in parameters.upper() else parameters
    return parse_mail(f"FROM:<{path}> {words}".rstrip())


def recipient_of(path: str, parameters: str = "") -> RcptArguments:
    """A recipient with parameters of RCPT, checked.

    :raises ValueError: the grammar doesn't allow it.
    """
    check_forward_path(path)
    return parse_rcpt(f"TO:<{path}> {parameters}".rstrip(), utf8=True)


def _sender(value: MailArguments | str | None) -> MailArguments | None:
    if isinstance(value, MailArguments):
        check_reverse_path(value.reverse_path)
        if not is_envid(value.envid):
            raise ValueError(f"{value.envid[:100]!r} is no ENVID")
    return sender_of(value) if isinstance(value, str) else value


def _recipients(values: Iterable[RcptArguments | str]) -> tuple[RcptArguments, ...]:
    return tuple(_recipient(value) for value in values)


def _recipient(value: RcptArguments | str) -> RcptArguments:
    if isinstance(value, str):
        return recipient_of(value)
    check_forward_path(value.address)
    if value.orcpt and not is_orcpt(value.orcpt):
        raise ValueError(f"{value.orcpt[:100]!r} is no ORCPT")
    return value


def _edits(values: Iterable[FieldEdit]) -> tuple[FieldEdit, ...]:
    return tuple(values)


def _paths(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


def _one_line(text: str) -> str:
    """What can be printed of a text, within bounds."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:LONGEST_REASON]


@attrs.frozen
class Accept:
    """Let it go on as it is."""


@attrs.frozen
class Change:
    """Let it go on, changed: in the order of the fields here, the header edits one after the other."""

    header: tuple[FieldEdit, ...] = attrs.field(default=(), converter=_edits)
    sender: MailArguments | None = attrs.field(default=None, converter=_sender)  # or the address; None: stays
    delete_recipients: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    add_recipients: tuple[RcptArguments, ...] = attrs.field(default=(), converter=_recipients)  # or their addresses
    body: bytes | IContent | None = None  # CRLF lines, all that stands below the header; None: stays


@attrs.frozen
class Redirect:
    """Let it go on, to other recipients than those it was for."""

    recipients: tuple[RcptArguments, ...] = attrs.field(converter=_recipients)

    @recipients.validator
    def _somebody(self, attribute: object, value: tuple[RcptArguments, ...]) -> None:
        if not value:
            raise ValueError("a message can't be redirected to nobody")


@attrs.frozen
class Hold:
    """Take it, with these changes, but try it only once an operator has released it (``seg queue release``)."""

    reason: str = attrs.field(
        converter=_one_line
    )  # for people; it stands in the log and beside each recipient in the queue
    change: Change = attrs.field(factory=Change)


@attrs.frozen
class Discard:
    """Say 250 and keep nothing. Nobody is told."""


def _is_enhanced(instance: Reject | TempFail, attribute: object, value: str) -> None:
    if not _ENHANCED.fullmatch(value) or value[0] != str(instance.code)[0]:
        raise ValueError(f"{value!r} isn't an enhanced status code for a {instance.code}")


def _reply(code: int, enhanced: str, text: str) -> Reply:
    """One line, of printable ASCII."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in " ".join(text.split()))
    return Reply.of(code, enhanced, plain[:LONGEST_TEXT])


@attrs.frozen
class Reject:
    """Refuse it for good: the client gets a 5xx and tells the sender."""

    text: str = "Message rejected"
    code: int = attrs.field(default=550, validator=attrs.validators.in_(range(500, 600)))
    enhanced: str = attrs.field(default="5.7.1", validator=_is_enhanced)

    @property
    def reply(self) -> Reply:
        """As the client hears it."""
        return _reply(self.code, self.enhanced, self.text)


@attrs.frozen
class TempFail:
    """Refuse it for now: the client gets a 4xx and comes again. 421 would mean the end of the connection, and isn't allowed."""

    text: str = "Service unavailable; try again later"
    code: int = attrs.field(
        default=451, validator=attrs.validators.in_([code for code in range(400, 500) if code != 421])
    )
    enhanced: str = attrs.field(default="4.7.1", validator=_is_enhanced)

    @property
    def reply(self) -> Reply:
        """As the client hears it."""
        return _reply(self.code, self.enhanced, self.text)


Answer = Accept | Change | Redirect | Hold | Discard | Reject | TempFail
