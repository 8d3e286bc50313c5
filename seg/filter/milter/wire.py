"""Frames of the milter protocol, sans I/O: a length of four octets, one octet that says what it is, and its data."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

MAX_FRAME = 1024 * 1024  # octets that a milter may send in one frame; libmilter's own limit is 65536
CHUNK = 65535  # octets of data in one frame to a milter (MILTER_CHUNK_SIZE); libmilter takes no more


class MilterError(Exception):
    """The milter can't be reached, or says what it may not: the conversation is over. The text is one line for people."""


class Command(enum.Enum):
    """What is said to a milter (SMFIC_*)."""

    ABORT = b"A"
    BODY = b"B"
    CONNECT = b"C"
    MACROS = b"D"
    END = b"E"
    HELO = b"H"
    HEADER = b"L"
    MAIL = b"M"
    END_OF_HEADER = b"N"
    OPTIONS = b"O"
    QUIT = b"Q"
    RCPT = b"R"
    DATA = b"T"


def frame(command: Command, data: bytes = b"") -> bytes:
    """One frame.

    :raises MilterError: libmilter would drop the connection because of its size.
    """
    if len(data) > CHUNK:
        raise MilterError(
            f"{command.name} has {len(data)} octets of data, but a milter takes {CHUNK}: it can't be shown"
        )
    return (len(data) + 1).to_bytes(4, "big") + command.value + data


def strings(*values: str) -> bytes:
    """Text as the protocol has it: each with a NUL behind it.

    :raises MilterError: one holds a NUL itself.
    """
    if any("\0" in value for value in values):
        raise MilterError("a NUL can't be told to a milter")
    return b"".join(value.encode("utf-8", "surrogateescape") + b"\0" for value in values)


def pairs(values: Iterable[tuple[str, str]]) -> bytes:
    """Names and values in turn."""
    return b"".join(strings(name, value) for name, value in values)


class FrameReader:
    """Takes octets from a milter, gives frames as (what it is, data). Never holds more than one frame that isn't whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The frames that are whole now.

        :raises MilterError: one is empty or too large; nothing that follows can be understood.
        """
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if not 1 <= length <= MAX_FRAME:
                raise MilterError(f"it sent a frame of {length} octets; is this a milter?")
            if len(self._buffer) < 4 + length:
                return
            what, body = bytes(self._buffer[4:5]), bytes(self._buffer[5 : 4 + length])
            del self._buffer[: 4 + length]
            yield what, body
