"""Taking files of the drop folder. Everything here blocks: it runs in a thread."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import pwd
import re
import stat
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from seg.maildrop.drop_envelope import LONGEST, DropEnvelope, NoteError, decode
from seg.maildrop.folder import UNFINISHED, sync_folder

PIECE = 65536
ABANDONED = 86400.0  # seconds after which a file that nobody finished is removed
AT_A_LOOK = 20_000  # names in the folder that are looked at at a time
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR})
MOST_BAD = 1000  # unusable files that are kept
_NAME = re.compile(r"[0-9a-f]{32}")


@attrs.define
class ClaimedMessage:
    """A claimed file, open behind its first line."""

    note: DropEnvelope
    user: str
    file: BinaryIO = attrs.field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The content, with an end of the last line."""
        last = b""
        while data := self.file.read(PIECE):
            last = data[-1:]
            yield data
        if last not in (b"\r", b"\n"):
            yield b"\r\n"


class MaildropFolder:
    """The folder as the gateway sees it: files that wait, below ``taken`` those with a MID, below ``bad`` the unusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = path / "taken"
        self._bad = path / "bad"
        self._entries: Any = None  # of the folder, where the last look ended
        self._looked = 0

    def prepare(self) -> None:
        """Make what is missing. Its permissions are the administrator's, once it is there."""
        if not self.path.exists():
            self.path.mkdir(mode=0o700, parents=True)
            self.path.chmod(0o3730)
        for folder in (self._taken, self._bad):
            folder.mkdir(mode=0o700, exist_ok=True)

    def waiting(self, most: int) -> list[str]:
        """Names of some files that are complete, of each user in turn: nobody's flood keeps another one's mail waiting.

        A look goes through a bounded number of names, and the next one goes on behind them.
        """
        by_user: dict[int, deque[str]] = {}
        if self._entries is None:
            self._entries = os.scandir(self.path)
        for entry in itertools.islice(self._entries, AT_A_LOOK):
            self._looked += 1
            if entry.is_dir(follow_symlinks=False):
                continue  # ours, or somebody's that can't be moved by us
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    names = by_user.setdefault(entry.stat(follow_symlinks=False).st_uid, deque())
                    if len(names) < most:
                        names.append(entry.name)
            elif entry.name.startswith(UNFINISHED):
                self._forget_abandoned(entry)
        if self._looked % AT_A_LOOK or not self._looked:  # that was the end of the folder
            self._entries.close()
            self._entries, self._looked = None, 0
        found: list[str] = []
        while by_user and len(found) < most:
            for user, names in list(by_user.items()):
                found.append(names.popleft())
                if not names:
                    del by_user[user]
        return found[:most]

    def claimed(self) -> list[int]:
        """MIDs of the files that were claimed and not removed."""
        return sorted(int(name) for name in os.listdir(self._taken) if name.isdecimal())

    def claim(self, name: str, mid: int) -> None:
        """Tie a file to its MID, durably."""
        os.rename(self.path / name, self._taken / str(mid))
        sync_folder(self._taken)
        sync_folder(self.path)

    def open(self, mid: int) -> ClaimedMessage:
        """Open a claimed file.

        :raises NoteError: it can't be used: `set_aside` it.
        :raises OSError: try again later.
        """
        try:
            descriptor = os.open(self._taken / str(mid), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise  # for lack of descriptors, by a broken disk: no fault of the file
            raise NoteError(f"it can't be read: {error.strerror}") from None
        found = os.fstat(descriptor)
        file = open(descriptor, "rb")  # noqa: SIM115 - the pickup closes it
        try:
            # A second name could be that of somebody else's file, whose owner would then seem to have sent it.
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise NoteError("it isn't a file of its own")
            line = file.readline(LONGEST)
            if not line.endswith(b"\n"):
                raise NoteError("its first line doesn't end")
            return ClaimedMessage(decode(line), user_name(found.st_uid), file)
        except BaseException:
            file.close()
            raise

    def remove(self, mid: int) -> None:
        """The message is in the queue: forget its file, durably."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._taken / str(mid))
        sync_folder(self._taken)

    def set_aside(self, mid: int) -> Path:
        """Put an unusable file where an operator finds it; it is removed where there are too many."""
        aside = self._bad / str(mid)
        os.rename(self._taken / str(mid), aside)
        if len(os.listdir(self._bad)) > MOST_BAD:
            with contextlib.suppress(OSError):
                os.unlink(aside)
        return aside

    def _forget_abandoned(self, entry: os.DirEntry[str]) -> None:
        with contextlib.suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED:
                os.unlink(entry.path)


def user_name(uid: int) -> str:
    """The name of a user of this machine."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
