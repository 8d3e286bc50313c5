"""A start of the real gateway with less memory than its queue needs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.queue import make_spool
from tests.faults.load import Gateway
from tests.programs import optional_program

MESSAGES = 2000
LIMITS = (220, 200, 180)  # MiB of address space, of which the C library takes 64 at a time for threads
TOO_LITTLE = "seg: not started: out of memory: the queue on disk needs more than there is"


class MemoryAtTheStartTests(SynchronousTestCase):
    """``prlimit --as``."""

    def setUp(self) -> None:
        self.prlimit = optional_program("prlimit", "--version", package="util-linux", shows="util-linux")
        folder = Path(tempfile.mkdtemp(prefix="seg-memory-"))  # short, for the control socket
        self.addCleanup(shutil.rmtree, folder, True)
        self.gateway = Gateway(folder, 9)
        self.addCleanup(self.gateway.stop)

    def files(self) -> dict[str, tuple[int, int]]:
        """Each file of the spool's messages, with its size and its time; one start with enough memory tries to deliver them."""
        found = [
            path
            for place in ("new", "cur")
            for path in (self.gateway.var / "spool" / place).rglob("*")
            if path.is_file()
        ]
        return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}

    def test_too_little(self) -> None:
        """It says so in one line, ends with a failure, and has changed nothing; with enough memory all is there."""
        make_spool(self.gateway.var / "spool", MESSAGES, 100)
        for limit in LIMITS:
            self.gateway.prefix = (self.prlimit, f"--as={limit * 1024 * 1024}")
            before = self.files()
            try:
                self.gateway.start()
            except AssertionError as ended:
                self.assertIn(TOO_LITTLE, str(ended))
                self.assertEqual(self.gateway.status, 1)
                break
            self.gateway.stop()
        else:
            self.fail("it started with any of these limits")
        self.assertEqual(self.files(), before)
        self.gateway.prefix = ()
        self.gateway.start()
        self.assertIn(f"Queue scan: {MESSAGES} messages, 0 corrupt files", self.gateway.log())
