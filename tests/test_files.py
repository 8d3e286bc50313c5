"""Files that are replaced and read as a whole."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from twisted.trial.unittest import SynchronousTestCase

from seg.common.files import (
    MOST_ASIDE,
    StateAbsent,
    StateContent,
    StateDamaged,
    StateFile,
    StateUnreadable,
    keep_aside,
    read_state_file,
    replace_file,
    sync_folder,
    write_beside,
)


class ReplaceTests(SynchronousTestCase):
    """`replace_file`."""

    def setUp(self) -> None:
        """A folder."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "kept.json"

    def test_replaced(self) -> None:
        """The new text is there for the owner only, and nothing else; a part that a crash left is no hindrance."""
        (self.folder / "kept.new").write_text("half of it, and much longer")
        for text in (b"one", b"two"):
            replace_file(self.path, text)
            self.assertEqual(self.path.read_bytes(), text)
        self.assertEqual(os.listdir(self.folder), ["kept.json"])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        sync_folder(self.folder)

    def test_not_written(self) -> None:
        """When it can't be written the old one stays."""
        replace_file(self.path, b"old")
        (self.folder / "kept.new").mkdir()
        self.assertRaises(OSError, replace_file, self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertRaises(OSError, sync_folder, self.folder / "nowhere")

    def test_durable(self) -> None:
        """The new file is made durable before it gets its name, and the name before the call returns."""
        steps: list[str] = []
        sync, replace = os.fsync, Path.replace

        def fsync(descriptor: int) -> None:
            steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
            sync(descriptor)

        def rename(path: Path, target: Path) -> Path:
            steps.append("rename")
            return replace(path, target)

        self.patch(os, "fsync", fsync)
        self.patch(Path, "replace", rename)
        replace_file(self.path, b"new")
        self.assertEqual(steps, ["file", "rename", "folder"])

    def test_nothing_left_behind(self) -> None:
        """A try that failed leaves no part that would take room on a full disk."""
        self.path.mkdir()
        self.assertRaises(OSError, replace_file, self.path, b"new")
        self.assertEqual(os.listdir(self.folder), ["kept.json"])

    def test_part_is_not_followed(self) -> None:
        """A link in the place of the part is removed, and what it points at stays as it is."""
        other = self.folder / "other"
        other.write_bytes(b"other")
        (self.folder / "kept.new").symlink_to(other)
        replace_file(self.path, b"new")
        self.assertEqual((other.read_bytes(), self.path.read_bytes()), (b"other", b"new"))

    def test_owner(self) -> None:
        """What is written for somebody has the permissions asked for, whatever the umask is, and is theirs where we may give it away."""
        self.addCleanup(os.umask, os.umask(0o077))
        replace_file(self.path, b"new", 0o640, self.folder.stat())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        given: list[tuple[int, int]] = []
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "fchown", lambda descriptor, user, group: given.append((user, group)))
        replace_file(self.path, b"new", 0o640, os.stat_result((0, 0, 0, 0, 7, 8, 0, 0, 0, 0)))
        self.assertEqual(given, [(7, 8)])

    def test_waits_for_its_name(self) -> None:
        """A file that is written beside its place changes nothing before it is put there, and leaves nothing when it isn't wanted."""
        self.path.write_bytes(b"old")
        part = self.folder / ".part"
        for wanted in (False, True):
            new = write_beside(self.path, lambda file: file.write(b"new"), part=part)
            self.assertEqual((self.path.read_bytes(), part.read_bytes()), (b"old", b"new"))
            (new.put if wanted else new.discard)()
            self.assertEqual(self.path.read_bytes(), b"new" if wanted else b"old")
            self.assertEqual(os.listdir(self.folder), ["kept.json"])

    def test_content_fails(self) -> None:
        """Whatever the one who writes the content raises, nothing is left behind."""

        def fill(file: BinaryIO) -> None:
            file.write(b"half")
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, write_beside, self.path, fill)
        self.assertEqual(os.listdir(self.folder), [])


class StateFileTests(SynchronousTestCase):
    """`read_state_file` and `keep_aside`."""

    def setUp(self) -> None:
        """A folder."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "state.json"

    def read(self, limit: int = 1000) -> StateFile[int]:
        return read_state_file(self.path, lambda data: int(json.loads(data)["n"]), limit)

    def test_content(self) -> None:
        """A whole file is its parsed content, through a link too."""
        replace_file(self.folder / "target", b'{"n": 5}')
        self.path.symlink_to("target")
        self.assertEqual(self.read(), StateContent(5))

    def test_absent(self) -> None:
        """No file, or no folder for it, is absence."""
        self.assertEqual(self.read(), StateAbsent())
        self.path = self.folder / "nowhere" / "state.json"
        self.assertEqual(self.read(), StateAbsent())

    def damages(self) -> dict[str, Callable[[], object]]:
        """Whatever can stand in a state file's place."""
        write = self.path.write_bytes
        return {
            "empty": lambda: write(b""),
            "cut": lambda: write(b'{"n": 5'),
            "not UTF-8": lambda: write(b'{"n": "\xff"}'),
            "zeros": lambda: write(bytes(100)),
            "another shape": lambda: write(b"[]"),
            "no object": lambda: write(b"null"),
            "a key missing": lambda: write(b"{}"),
            "another type": lambda: write(b'{"n": []}'),
            "nested without end": lambda: write(b"[" * 900),
            "too large": lambda: write(b" " * 1001),
            "200 MB": lambda: (write(b""), os.truncate(self.path, 200_000_000)),
            "folder": self.path.mkdir,
            "folder with content": lambda: (self.path.mkdir(), (self.path / "x").touch()),
            "pipe": lambda: os.mkfifo(self.path),
            "socket": self.make_socket,
            "device": lambda: self.path.symlink_to("/dev/zero"),
            "link to nowhere": lambda: self.path.symlink_to("nowhere"),
            "link to itself": lambda: self.path.symlink_to(self.path.name),
        }

    def make_socket(self) -> None:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(self.folder)  # the name of a socket must be short
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(self.path.name)
        finally:
            os.fchdir(here)
            os.close(here)

    def test_damaged(self) -> None:
        """Every damage is told as one, with a reason; put aside it is still there, and a good file can take its place."""
        for name, damage in self.damages().items():
            damage()
            found = self.read()
            self.assertIsInstance(found, StateDamaged, f"{name}: {found}")
            self.assertTrue(found.reason, name)  # type: ignore[union-attr]
            aside = keep_aside(self.path)
            self.assertTrue(os.path.lexists(aside), name)
            replace_file(self.path, b'{"n": 6}')
            self.assertEqual(self.read(), StateContent(6), name)
            self.path.unlink()
            if aside.is_dir():  # a folder is never removed
                aside.rename(self.folder / f"{name} seen")

    def test_endless(self) -> None:
        """A file without an end (in /proc, say) is read up to the limit only."""
        self.path.symlink_to("/proc/self/environ")
        self.patch(os, "environ", {})
        self.assertIsInstance(self.read(limit=1), StateDamaged)

    def test_unreadable(self) -> None:
        """An error of the system isn't damage."""
        self.path.write_bytes(b'{"n": 5}')
        for number in (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOMEM, errno.EPERM):
            for call in ("open", "read", "fstat"):

                def fails(*args: object, number: int = number) -> None:
                    raise OSError(number, os.strerror(number))

                with self.subTest(f"{call} {number}"):
                    real = getattr(os, call)
                    setattr(os, call, fails)
                    try:
                        found = self.read()
                    finally:
                        setattr(os, call, real)
                    self.assertEqual(found, StateUnreadable(os.strerror(number)))

    def test_aside_is_bounded(self) -> None:
        """Damaged files of one name don't gather without end; the first ones stay."""
        for number in range(2 * MOST_ASIDE):
            self.path.write_bytes(b"%d" % number)
            keep_aside(self.path)
        self.assertEqual(len(os.listdir(self.folder)), MOST_ASIDE)
        self.assertEqual((self.folder / "state.json.damaged").read_bytes(), b"0")
