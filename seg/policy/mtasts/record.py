"""The TXT record at ``_mta-sts.<domain>`` (RFC 8461 §3.1): there is a policy, and this is its id. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seg.policy.mtasts.errors import RecordError, RecordFault
from seg.tls.names import printable

_CANDIDATE = re.compile(rb"v=STSv1[ \t]*;")
_ASCII = re.compile(rb"[\x20-\x7e\t]*\Z")
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_EXTENSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_EXTENSION_VALUE = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]+\Z")
_BLANKS = " \t"


def read_record(records: Iterable[Sequence[bytes]]) -> str | None:
    """The policy id that a TXT answer gives; None when the domain has no MTA-STS record.

    :param records: the records of the answer, each as its character-strings.
    :raises RecordError: there is a record, but it can't be used.
    """
    joined = (b"".join(strings) for strings in records)
    # Records that don't begin with the version aren't ours; of ours there must be one (RFC 8461 §3.1),
    # whether the others are well-formed or not.
    candidates = [record for record in joined if _CANDIDATE.match(record)]
    if not candidates:
        return None
    if len(candidates) > 1:
        raise RecordError(RecordFault.MULTIPLE, f"{len(candidates)} MTA-STS records where one is allowed")
    return _read(candidates[0])


def is_policy_id(text: str) -> bool:
    """Whether a text is an id: 1 to 32 letters and digits."""
    return _ID.match(text) is not None


def shown(strings: Sequence[bytes]) -> str:
    """A TXT record as it stands, for people: octets that aren't printable ASCII as ``\\DDD`` (RFC 1035 §5.1)."""
    return "".join(chr(octet) if 32 <= octet < 127 else f"\\{octet:03}" for octet in b"".join(strings))


def _read(record: bytes) -> str:
    if not _ASCII.match(record):
        raise RecordError(RecordFault.NOT_ASCII, "control characters or characters beyond ASCII")
    _, *fields = record.decode("ascii").split(";")
    if len(fields) > 1 and not fields[-1].strip(_BLANKS):
        fields.pop()  # sts-field-delim at the end is optional
        fields[-1] = fields[-1].rstrip(_BLANKS)
    elif not "".join(fields).strip(_BLANKS):
        raise RecordError(RecordFault.NO_ID, "no id")
    found = ""
    last = len(fields) - 1
    for position, field in enumerate(fields):
        # Blanks belong to the delimiter: behind the last field there is none.
        field = field.lstrip(_BLANKS) if position == last else field.strip(_BLANKS)
        name, equals, value = field.partition("=")
        if not equals or not _EXTENSION_NAME.match(name):
            raise RecordError(RecordFault.FIELD, f'"{printable(field, 60)}" is not a field')
        if name == "id" and not found:
            if not is_policy_id(value):
                text = f'id "{printable(value, 60)}" is not made of 1 to 32 letters and digits'
                raise RecordError(RecordFault.ID, text)
            found = value
        elif not _EXTENSION_VALUE.match(value):
            raise RecordError(RecordFault.EXTENSION, f'"{printable(field, 60)}" has a value that is not allowed')
    if not found:
        raise RecordError(RecordFault.NO_ID, "no id")
    return found
