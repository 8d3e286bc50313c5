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


@attrs.frozen
class SpoolPaths:
    """Where everything lies below the spool's root. Plain strings: these are made several times for each
    message."""

    root: str

    @property
    def tmp(self) -> str:
        """Files being written; nothing in here ever got its 250."""
        return f"{self.root}/tmp"  # noqa: S108  the spool's own

    @property
    def new(self) -> str:
        """Messages not yet attempted."""
        return f"{self.root}/new"

    @property
    def cur(self) -> str:
        """Messages whose envelope has changed since they were accepted, and those envelopes."""
        return f"{self.root}/cur"

    def file_in(self, place: str, mid: int) -> str:
        """A message in "new" or "cur"."""
        return self.new_file(mid) if place == "new" else self.cur_file(mid)

    @property
    def corrupt(self) -> str:
        """What could not be read."""
        return f"{self.root}/corrupt"

    def new_folder(self, mid: int) -> str:
        """The folder in new/ that holds a message."""
        return f"{self.root}/new/{folder_name(mid)}"

    def cur_folder(self, mid: int) -> str:
        """The folder in cur/ that holds a message."""
        return f"{self.root}/cur/{folder_name(mid)}"

    def new_file(self, mid: int) -> str:
        """A message that hasn't been attempted."""
        return f"{self.new_folder(mid)}/{spool_id(mid)}"

    def cur_file(self, mid: int) -> str:
        """A message that has been attempted."""
        return f"{self.cur_folder(mid)}/{spool_id(mid)}"

    def envelope_file(self, mid: int) -> str:
        """The present envelope of a message, where it has changed."""
        return self.cur_file(mid) + ENVELOPE_SUFFIX
