"""Locks on folders."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.common.errors import ConfigurationError
from seg.common.lock import NAME, FolderLocks

HOLD = "import fcntl,sys,time; f=open(sys.argv[1],'r+'); fcntl.flock(f,fcntl.LOCK_EX); print('x',flush=True); time.sleep(60)"


class FolderLocksTests(SynchronousTestCase):
    """`FolderLocks`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(mode=0o700)
        self.locks, self.others = FolderLocks(), FolderLocks()
        self.addCleanup(self.locks.release)
        self.addCleanup(self.others.release)

    def refusal(self, *folders: Path) -> str:
        """Why the others don't get them."""
        return self.assertRaises(ConfigurationError, self.others.take, folders or (self.folder,)).problems[0]

    def test_one_at_a_time(self) -> None:
        """The second is told who has it; after the release it gets it."""
        self.locks.take((self.folder,))
        self.assertRegex(self.refusal(), rf"{self.folder} is locked by process {os.getpid()} on .*another gateway")
        self.locks.release()
        self.others.take((self.folder,))

    def test_links_are_the_folder(self) -> None:
        """A folder under another name is the same; one process takes it once."""
        link = self.folder.with_name("link")
        link.symlink_to(self.folder)
        self.locks.take((self.folder, link))
        self.assertIn("is locked by", self.refusal(link))

    def test_all_or_none(self) -> None:
        """Who doesn't get all of them keeps none."""
        more = self.folder / "more"
        more.mkdir()
        self.locks.take((more,))
        self.refusal(self.folder, more)
        self.locks.take((self.folder,))

    def test_process_numbers_decide_nothing(self) -> None:
        """A file that says a process holds it which lives (this one, or process 1) is free unless the kernel says otherwise."""
        for pid in (1, os.getpid()):
            (self.folder / NAME).write_text(f"process {pid} on here\n")
            self.locks.take((self.folder,))
            self.locks.release()

    def test_removed_file(self) -> None:
        """Somebody removes the file of a lock that is held: a folder that is its owner's alone stays locked."""
        self.locks.take((self.folder,))
        (self.folder / NAME).unlink()
        self.assertIn("another process", self.refusal())

    def test_killed(self) -> None:
        """The lock of a process that was killed is free at once."""
        (self.folder / NAME).touch()
        with subprocess.Popen((sys.executable, "-c", HOLD, str(self.folder / NAME)), stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.read(1)
            self.assertIn("is locked", self.refusal())
            child.kill()
            child.wait()
            self.others.take((self.folder,))

    def test_kept_over_a_fork(self) -> None:
        """The child of a fork goes on holding it, whatever becomes of the parent."""
        self.locks.take((self.folder,))
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
        self.locks.release()
        self.assertIn("is locked", self.refusal())
        os.close(write)
        os.waitpid(child, 0)
        self.others.take((self.folder,))

    def test_private(self) -> None:
        """Nobody else can open the file, and so hold it; a link in its place isn't followed."""
        self.locks.take((self.folder,))
        self.assertEqual((self.folder / NAME).stat().st_mode & 0o777, 0o600)
        self.locks.release()
        (self.folder / NAME).unlink()
        (self.folder / NAME).symlink_to("/dev/null")
        self.assertRaises(OSError, self.locks.take, (self.folder,))

    def test_not_inherited(self) -> None:
        """A program that is run doesn't get the descriptors."""
        self.locks.take((self.folder,))
        for descriptor in self.locks._descriptors:
            self.assertTrue(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
