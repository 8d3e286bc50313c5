"""The real thing: a process with the real disk and threads is killed while it accepts mail."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import seg
from seg.events.queue import QueueScanned
from tests.queue.house import DELIVERED, House

HOUSE = Path(seg.__file__).parent.parent
WANTED = 400  # acknowledgements before the kill


class KillTests(SynchronousTestCase):
    """kill -9 in the middle of accepting and delivering."""

    def setUp(self) -> None:
        self.root = self.mktemp()

    def killed(self) -> dict[str, set[int]]:
        """Run `tests.queue.putter` on the folder and kill it; the MIDs acknowledged (250), sent on, and durably done."""
        command = [sys.executable, "-m", "tests.queue.putter", os.path.abspath(self.root)]
        said: dict[str, set[int]] = {"250": set(), "sent": set(), "done": set()}
        with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    word, mid = line.split()
                    said[word].add(int(mid))
                    if len(said["250"]) == WANTED:
                        process.send_signal(signal.SIGKILL)
            finally:
                process.kill()
        self.assertGreaterEqual(len(said["250"]), WANTED)
        return said

    def test_killed(self) -> None:
        """All messages that got their 250 are found unless they were sent on, twice in a row; ids stay unique."""
        first, second = self.killed(), self.killed()
        self.assertLess(max(first["250"]), min(second["250"]))
        house = self.restart_killed()
        queued = {line.mid for line in house.commands.messages()}
        sent, done = first["sent"] | second["sent"], first["done"] | second["done"]
        self.assertEqual((first["250"] | second["250"]) - queued - sent, set())
        self.assertEqual(queued & done, set())
        self.assertLess(len(sent - done), 2 * 20)  # in flight at a kill
        self.assertGreater(len(queued), WANTED)
        self.assertEqual(house.files("corrupt", "tmp"), [])
        self.assertEqual(house.sink.of(QueueScanned)[0].corrupt, 0)
        while house.attempt("one.test", DELIVERED) is not None:
            pass
        self.assertEqual(house.files(), [])

    def restart_killed(self) -> House:
        """Take over the folder of the killed process."""
        return House(self.root, now=time.time()).start()
