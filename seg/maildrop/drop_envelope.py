"""What travels beside the content of a dropped message: the first line of its file, as JSON."""

from __future__ import annotations

import json

import attrs

from seg.mail.envelope import BodyType, DSNNotify, DSNRet
from seg.smtp.address import PathError, check_forward_path, check_reverse_path
from seg.smtp.commands import is_envid, is_orcpt

LONGEST = 1024 * 1024  # octets of the line


class NoteError(ValueError):
    """The line isn't a note; the text says why. The file must be set aside."""


@attrs.frozen
class DropEnvelope:
    """The envelope as the sending program gave it (RFC 5321 §2.3.1; RFC 3461 for DSN)."""

    sender: str  # "" is the null reverse-path
    recipients: tuple[str, ...]
    body: BodyType = BodyType.SEVEN_BIT
    notify: frozenset[DSNNotify] | None = None
    ret: DSNRet = DSNRet.UNSAID
    envid: str = ""
    smtputf8: bool = False
    orcpt: tuple[str, ...] = ()  # of each recipient, "" = not said (RFC 3461 §4.2); empty: of none

    def encode(self) -> bytes:
        """One line, with its end."""
        facts = attrs.asdict(self)
        facts["notify"] = None if self.notify is None else sorted(self.notify)
        return json.dumps(facts).encode("ascii") + b"\n"


def decode(line: bytes) -> DropEnvelope:
    """The note in a line. Anybody on the machine may have written it: nothing in it is believed.

    :raises NoteError: it isn't one.
    """
    try:
        facts = json.loads(line)
        notify = facts["notify"]
        note = DropEnvelope(
            _text(facts["sender"]),
            tuple(_text(address) for address in facts["recipients"]),
            BodyType(facts["body"]),
            None if notify is None else frozenset(DSNNotify(each) for each in notify),
            DSNRet(facts["ret"]),
            _text(facts["envid"]),
            facts["smtputf8"] is True,
            tuple(_text(each) for each in facts.get("orcpt", ())),
        )
        check_reverse_path(note.sender)
        for address in note.recipients:
            check_forward_path(address)
        if not is_envid(note.envid):
            raise ValueError(f"{note.envid:.80} is no ENVID")
        if note.orcpt and len(note.orcpt) != len(note.recipients):
            raise ValueError("not each recipient has its ORCPT")
        for each in note.orcpt:
            if each and not is_orcpt(each):
                raise ValueError(f"{each:.80} is no ORCPT")
    except (ValueError, KeyError, TypeError, RecursionError, PathError) as error:
        raise NoteError(f"its first line is no envelope: {error!r:.200}") from None
    if not note.recipients:
        raise NoteError("it has no recipient")
    return note


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r:.80} isn't printable text")
    return value
