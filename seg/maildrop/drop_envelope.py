"""What travels beside the content of a dropped message: the first line of its file, as JSON."""

from __future__ import annotations

import json

import attrs

from seg.common.field_codec import FieldCodec
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
        return json.dumps(_CODEC.to_object(self)).encode("ascii") + b"\n"


_CODEC = FieldCodec(DropEnvelope, always={"body", "notify", "ret", "envid", "smtputf8"})


def decode(line: bytes) -> DropEnvelope:
    """The note in a line. Anybody on the machine may have written it: nothing in it is believed.

    :raises NoteError: it isn't one.
    """
    try:
        facts = json.loads(line)
        if not isinstance(facts, dict):
            raise ValueError("it isn't an object")
        note = _CODEC.from_object(facts)
        for text in (note.sender, note.envid, *note.recipients, *note.orcpt):
            if not text.isprintable():
                raise ValueError(f"{text!r:.80} isn't printable text")
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
    except (ValueError, RecursionError, PathError) as error:
        raise NoteError(f"its first line is no envelope: {error!r:.200}") from None
    if not note.recipients:
        raise NoteError("it has no recipient")
    return note
