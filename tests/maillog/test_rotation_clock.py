"""Which closed log files go when the system's clock was set."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.maillog.rotating_file import FileMarkers, RotatingFile

NOW = 1_800_000_000.0


class RotationTests(SynchronousTestCase):
    """`RotatingFile` keeps the newest files."""

    def test_files_of_the_future_go_first(self) -> None:
        """Files that were closed while the clock was ahead are no reason to remove those that are closed after it was set right."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for number in range(2):
            path = folder / f"mail.@future{number}.s"
            path.touch()
            os.utime(path, (NOW + 7200, NOW + 7200))
        frame = FileMarkers(lambda: b"", lambda: b"", lambda count: b"")
        log = RotatingFile(folder / "mail.log", "mail.@{}.s", 10, 2, frame, lambda: NOW)
        for number in range(2):
            log.write(b"more than ten octets\n")
            newest = max(folder.glob("mail.@2*.s"))
            os.utime(newest, (NOW + number, NOW + number))
        log.write(b"more than ten octets\n")
        self.assertEqual([path.name for path in folder.glob("mail.@future*")], [])
        log.close()
