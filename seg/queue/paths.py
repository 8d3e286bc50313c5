"""Where everything lies below the spool's root; pure."""

from __future__ import annotations

import re

import attrs

ENVELOPE_SUFFIX = ".env"
LONGEST_NAME = 18  # digits: at 1,000 messages a second they are enough for 30 million years


def spool_id(mid: int) -> str:
    """The file name of a message; names sort as MIDs do."""
    return f"{mid:012d}"


def mid_of(name: str) -> int | None:
    """The MID that a file name stands for, or None when it isn't the name of a message."""
    if not (name.isascii() and name.isdigit()) or len(name) > LONGEST_NAME:
        return None
    mid = int(name)
    return mid if spool_id(mid) == name else None


def folder_name(mid: int) -> str:
    """The folder of a message, 00 to ff. Neighbours share one, so that a group commit has one folder to make
    durable."""
    return f"{(mid >> 8) & 0xFF:02x}"


_ASIDE = re.compile(r"(new|cur)-([0-9a-f]{2})-([0-9]+)(\.env)?(?:\.[0-9]+)?")


@attrs.frozen
class AsideName:
    """Where a file in corrupt/ came from."""

    place: str  # "new" or "cur"
    mid: int
    is_envelope: bool

    @property
    def name(self) -> str:
        """Its name there."""
        return spool_id(self.mid) + (ENVELOPE_SUFFIX if self.is_envelope else "")


def aside_name(name: str) -> AsideName | None:
    """What the name of a file in corrupt/ says; None when it isn't that of a message's file."""
    found = _ASIDE.fullmatch(name)
    mid = mid_of(found[3]) if found else None
    if found is None or mid is None or folder_name(mid) != found[2]:
        return None
    return AsideName(found[1], mid, bool(found[4]))


FOLDER_NAMES = tuple(f"{number:02x}" for number in range(256))


class MessagePaths:
    """Where the files of one message lie. Plain strings, made at once: they are needed several times for each message.

    :ivar tmp: while it is written.
    :ivar new: as long as it hasn't been attempted, in `new_folder`.
    :ivar cur: once it has been attempted, in `cur_folder`.
    :ivar envelope: its present envelope, where that has changed; in `cur_folder` too.
    """

    __slots__ = ("cur", "cur_folder", "envelope", "new", "new_folder", "tmp")

    def __init__(self, root: str, mid: int) -> None:
        folder, name = folder_name(mid), spool_id(mid)
        self.tmp = f"{root}/tmp/{name}"  # noqa: S108  the spool's own
        self.new_folder, self.cur_folder = f"{root}/new/{folder}", f"{root}/cur/{folder}"
        self.new, self.cur = f"{self.new_folder}/{name}", f"{self.cur_folder}/{name}"
        self.envelope = self.cur + ENVELOPE_SUFFIX


@attrs.frozen
class SpoolPaths:
    """Where everything lies below the spool's root.

    :ivar tmp: files being written; nothing in here ever got its 250.
    :ivar new: messages not yet attempted.
    :ivar cur: messages whose envelope has changed since they were accepted, and those envelopes.
    :ivar corrupt: what could not be read.
    """

    root: str
    tmp: str = attrs.field(init=False)
    new: str = attrs.field(init=False)
    cur: str = attrs.field(init=False)
    corrupt: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        for name in ("tmp", "new", "cur", "corrupt"):
            object.__setattr__(self, name, f"{self.root}/{name}")

    def message(self, mid: int) -> MessagePaths:
        """Where a message's files lie."""
        return MessagePaths(self.root, mid)
