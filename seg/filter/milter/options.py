"""What gateway and milter agree on before anything else (SMFIC_OPTNEG): version, what it may change, what it wants to hear."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import reduce
from operator import or_

import attrs

from seg.filter.milter.wire import Command, MilterError, frame

VERSION = 6
OLDEST = 2
KNOWS_DATA = 4  # the version that brought the command
MOST_LISTS = 32  # of macros, though there are seven stages
_NO_MACROS: Mapping[int, frozenset[str]] = {}


class Actions(enum.IntFlag):
    """What a milter may do to a message (SMFIF_*)."""

    ADD_HEADER = 0x01
    REPLACE_BODY = 0x02
    ADD_RECIPIENT = 0x04
    DELETE_RECIPIENT = 0x08
    CHANGE_HEADER = 0x10
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENT_WITH_PARAMETERS = 0x80
    CHOOSE_MACROS = 0x100


class Steps(enum.IntFlag):
    """What a milter doesn't want to hear (SMFIP_NO*), doesn't answer (SMFIP_NR_*), and may do besides."""

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_MAIL = 0x04
    NO_RCPT = 0x08
    NO_BODY = 0x10
    NO_HEADER = 0x20
    NO_END_OF_HEADER = 0x40
    SILENT_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    MAY_SKIP = 0x400
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000  # values of header fields keep the space behind the colon


class Stage(enum.IntEnum):
    """Where macros are told (SMFIM_*)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END = 5
    END_OF_HEADER = 6


OUR_ACTIONS = reduce(or_, Actions)
OUR_STEPS = reduce(or_, Steps)


@attrs.frozen
class MilterOptions:
    """What was agreed."""

    actions: Actions
    steps: Steps
    macros: Mapping[int, frozenset[str]] = _NO_MACROS  # by stage: the only ones that the milter wants


def offer() -> bytes:
    """The first frame of a conversation."""
    return frame(Command.OPTIONS, b"".join(number.to_bytes(4, "big") for number in (VERSION, OUR_ACTIONS, OUR_STEPS)))


def agreed(what: bytes, data: bytes) -> MilterOptions:
    """What the milter made of the offer.

    :raises MilterError: it wants what wasn't offered, or this is no milter.
    """
    if what != Command.OPTIONS.value or len(data) < 12:
        raise MilterError("it doesn't negotiate; is this a milter?")
    version, actions, steps = (int.from_bytes(data[start : start + 4], "big") for start in (0, 4, 8))
    if not OLDEST <= version <= VERSION:
        raise MilterError(f"it speaks version {version} of the protocol, the gateway {OLDEST} to {VERSION}")
    if actions & ~int(OUR_ACTIONS):
        raise MilterError(f"it wants actions {actions:#x}, but {int(OUR_ACTIONS):#x} were offered")
    if steps & ~int(OUR_STEPS):
        raise MilterError(f"it wants protocol steps {steps:#x}, but {int(OUR_STEPS):#x} were offered")
    unknown = Steps.NO_DATA if version < KNOWS_DATA else Steps(0)
    return MilterOptions(Actions(actions), Steps(steps) | unknown, _chosen(data[12:]))


def _chosen(data: bytes) -> Mapping[int, frozenset[str]]:
    """The lists of macros that it wants at some stages: the number of the stage, names with blanks between, NUL."""
    found: dict[int, frozenset[str]] = {}
    start = 0
    for _ in range(MOST_LISTS):
        if start == len(data):
            return found
        end = data.find(b"\0", start + 4)
        if end < 0:
            raise MilterError("its list of macros is cut off")
        words = data[start + 4 : end].decode("ascii", "replace").replace(",", " ").split()
        found[int.from_bytes(data[start : start + 4], "big")] = frozenset(word.strip("{}") for word in words)
        start = end + 1
    raise MilterError(f"it has more than {MOST_LISTS} lists of macros")
