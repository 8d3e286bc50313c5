"""``seg demo`` as a newcomer runs it: the real gateway in the small internet, as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).parent.parent.parent
COMMAND = "from seg.cli.main import main; main()"


class Command(ProcessProtocol):
    """A command that runs: what it wrote so far, and its end."""

    def __init__(self) -> None:
        self.output = ""
        self.errors = ""
        self.status: int | None = None
        self.ended: Deferred[None] = Deferred()
        self._waiting: list[tuple[str, Deferred[None]]] = []

    def outReceived(self, data: bytes) -> None:
        """Standard output."""
        self.output += data.decode()
        for text, done in self._waiting:
            if text in self.output and not done.called:
                done.callback(None)

    def errReceived(self, data: bytes) -> None:
        """Standard error."""
        self.errors += data.decode()

    def processEnded(self, reason: Failure) -> None:
        """The end."""
        self.status = reason.value.exitCode
        self.ended.callback(None)

    def wait_for(self, text: str) -> Deferred[None]:
        """Fires when the text was written."""
        done: Deferred[None] = Deferred()
        self._waiting.append((text, done))
        return done.addTimeout(20, reactor)


class DemonstrationTests(TestCase):
    """Real processes and sockets; each takes a few seconds."""

    timeout = 60

    def start(self, *arguments: str) -> Command:
        """Run ``seg demo`` with a folder of its own for temporary files."""
        # The control socket's path has to stay short, so the folder isn't below trial's own.
        self.folder = Path(tempfile.mkdtemp(prefix="seg-"))
        self.addCleanup(self.folder.rmdir)  # fails when anything is left in it
        own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder), "PYTHONUNBUFFERED": "1"}
        command = Command()
        words = [sys.executable, "-c", COMMAND, "demo", *arguments]
        process = reactor.spawnProcess(command, sys.executable, words, env={**os.environ, **own})  # type: ignore[attr-defined]

        def end() -> Deferred[None] | None:
            if command.status is None and not command.ended.called:
                process.signalProcess("KILL")
                return command.ended
            return None

        self.addCleanup(end)
        self.process = process
        return command

    async def test_json(self) -> None:
        """With --json the results and nothing else are printed, and all is as expected."""
        command = self.start("--json", "--case", "enforce", "--case", "stripped", "--case", "null-mx")
        await command.ended
        self.assertEqual((command.status, command.errors), (0, ""))
        found = json.loads(command.output)
        self.assertTrue(found["ok"])
        outcomes = {case["case"]: case["outcome"] for case in found["cases"]}
        self.assertEqual(outcomes, {"enforce": "delivered", "stripped": "deferred", "null-mx": "bounced"})

    async def test_keep_until_interrupted(self) -> None:
        """With --keep it says how to go on, and Ctrl-C ends it: no process and no file is left."""
        command = self.start("--keep", "--case", "no-policy")
        await command.wait_for("Its configuration is")
        self.assertIn("swaks --server 127.0.0.1:", command.output)
        self.assertIn("All 1 came out as they have to.", command.output)
        control = re.search(r"seg --config (\S+) status", command.output)
        assert control is not None
        self.assertTrue(Path(control.group(1)).exists())
        os.kill(self.process.pid, signal.SIGINT)
        await command.ended
        self.assertEqual((command.status, command.errors), (0, ""))
        port = int(command.output.split("--server 127.0.0.1:")[1].split()[0])
        self.assertFalse(await self.listens(port))

    async def test_interrupted_early(self) -> None:
        """Ctrl-C in the middle ends it at once and clean, with the status of an interrupted program."""
        command = self.start("--case", "greylist")
        await command.wait_for("the second try comes")
        os.kill(self.process.pid, signal.SIGINT)
        await command.ended
        self.assertEqual((command.status, command.errors), (130, ""))

    async def listens(self, port: int) -> bool:
        """Whether anybody listens at a port of 127.0.0.1."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
