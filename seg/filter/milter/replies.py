"""What a milter may answer, taken apart (SMFIR_*)."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from seg.filter.milter.wire import MilterError


class Word(enum.Enum):
    """Answers without data."""

    CONTINUE = b"c"
    ACCEPT = b"a"
    REJECT = b"r"
    TEMPFAIL = b"t"
    DISCARD = b"d"
    SKIP = b"s"
    PROGRESS = b"p"
    CONNECTION_FAILURE = b"f"
    SHUTDOWN = b"4"


@attrs.frozen
class ReplyCode:
    """Refuse with these words."""

    text: str  # "550 5.7.1 No"; lines of a longer one are joined


@attrs.frozen
class FieldAdded:
    name: str
    value: str


@attrs.frozen
class FieldInserted:
    position: int
    name: str
    value: str


@attrs.frozen
class FieldChanged:
    number: int
    name: str
    value: str  # "": the field is deleted


@attrs.frozen
class SenderChanged:
    path: str  # without angle brackets
    parameters: str


@attrs.frozen
class RecipientAdded:
    path: str
    parameters: str


@attrs.frozen
class RecipientDeleted:
    path: str


@attrs.frozen
class BodyReplaced:
    """The next piece of a new body."""

    data: bytes


@attrs.frozen
class Quarantined:
    reason: str


SmallModification = (
    FieldAdded | FieldInserted | FieldChanged | SenderChanged | RecipientAdded | RecipientDeleted | Quarantined
)
Modification = SmallModification | BodyReplaced
MilterReply = Word | ReplyCode | Modification

_WORDS = {word.value: word for word in Word}


def parse_reply(what: bytes, data: bytes) -> MilterReply:
    """One frame of a milter.

    :raises MilterError: there is no such reply, or its data is malformed.
    """
    if what in _WORDS:
        return _WORDS[what]
    parse = _WITH_DATA.get(what)
    if parse is None:
        raise MilterError(f"it sent {what!r}, which is no reply of the protocol")
    return parse(data)


def _texts(data: bytes, least: int, most: int) -> list[str]:
    """Strings with a NUL behind each; the last one may lack it.

    :raises MilterError: there are too few or too many.
    """
    parts = data.removesuffix(b"\0").split(b"\0")
    if not least <= len(parts) <= most:
        raise MilterError(f"a reply has {len(parts)} strings where {least} are due")
    return [part.decode("utf-8", "surrogateescape") for part in parts]


def _number(data: bytes) -> tuple[int, bytes]:
    if len(data) < 4:
        raise MilterError("a reply is cut off")
    return int.from_bytes(data[:4], "big"), data[4:]


def _added(data: bytes) -> FieldAdded:
    return FieldAdded(*_texts(_with_value(data), 2, 2))


def _inserted(data: bytes) -> FieldInserted:
    position, rest = _number(data)
    name, value = _texts(_with_value(rest), 2, 2)
    return FieldInserted(position, name, value)


def _changed(data: bytes) -> FieldChanged:
    number, rest = _number(data)
    name, value = _texts(_with_value(rest), 2, 2)
    return FieldChanged(number, name, value)


def _with_value(data: bytes) -> bytes:
    """An empty value may be left out: ``name NUL`` and ``name NUL NUL`` are the same."""
    return data + b"\0" if data.count(b"\0") == 1 and data.endswith(b"\0") else data


def _path(text: str) -> str:
    """A path, with or without its angle brackets."""
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text


def _sender(data: bytes) -> SenderChanged:
    path, *parameters = _texts(data, 1, 2)
    return SenderChanged(_path(path), "".join(parameters).strip())


def _recipient(data: bytes) -> RecipientAdded:
    (path,) = _texts(data, 1, 1)
    return RecipientAdded(_path(path), "")


def _recipient_with_parameters(data: bytes) -> RecipientAdded:
    path, *parameters = _texts(data, 1, 2)
    return RecipientAdded(_path(path), "".join(parameters).strip())


def _deleted(data: bytes) -> RecipientDeleted:
    (path,) = _texts(data, 1, 1)
    return RecipientDeleted(_path(path))


def _quarantined(data: bytes) -> Quarantined:
    (reason,) = _texts(data, 1, 1)
    return Quarantined(reason)


def _reply_code(data: bytes) -> ReplyCode:
    (text,) = _texts(data, 1, 1)
    lines = text.splitlines()
    # Behind the first line each repeats code and enhanced code ("550-5.7.1 ").
    words = lines[:1] + [line[4:].partition(" ")[2] or line[4:] for line in lines[1:]]
    return ReplyCode(" ".join(words).replace("%%", "%"))  # libmilter has doubled them


_WITH_DATA: dict[bytes, Callable[[bytes], MilterReply]] = {
    b"h": _added,
    b"i": _inserted,
    b"m": _changed,
    b"e": _sender,
    b"+": _recipient,
    b"2": _recipient_with_parameters,
    b"-": _deleted,
    b"b": BodyReplaced,
    b"q": _quarantined,
    b"y": _reply_code,
}
