"""What systemd is told, and what it passes."""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from seg.gateway.sdnotify import READY, tell
from tests.programs import optional_program

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
BIND = """
import sys
from twisted.internet import endpoints
from seg.config.receive import ListenerSettings
from seg.receive.binding import inherited
found = inherited(ListenerSettings(port=int(sys.argv[1])))
print(found and found.getsockname()[1])
"""


class TellTests(SynchronousTestCase):
    """`seg.gateway.sdnotify.tell`."""

    def test_told(self) -> None:
        """The state arrives as one datagram, at a path and at an abstract name."""
        folder = tempfile.mkdtemp(prefix="seg-notify-")
        self.addCleanup(shutil.rmtree, folder)
        for where in (f"{folder}/socket", f"\0seg-test-{os.getpid()}"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.bind(where)
                channel.settimeout(5)
                tell(READY, {"NOTIFY_SOCKET": where.replace("\0", "@")})
                self.assertEqual(channel.recv(100), b"READY=1")

    def test_nobody(self) -> None:
        """Without a supervisor, or with one that is gone, nothing happens."""
        tell(READY, {})
        tell(READY, {"NOTIFY_SOCKET": "/nonexistent/socket"})


class InheritedTests(SynchronousTestCase):
    """Sockets that systemd listens at, in a process of their own."""

    def inherit(self, port: int, listening: socket.socket, other: int = 0) -> str:
        """The port of what the process finds at descriptor 3."""
        descriptor = listening.fileno()
        shell = f'exec 3<&{descriptor}; export LISTEN_PID=$(($$ + {other})); exec "$@"'
        done = subprocess.run(
            ["bash", "-c", shell, "bash", sys.executable, "-c", BIND, str(port)],
            env={**os.environ, "LISTEN_FDS": "1", "PYTHONPATH": str(UNITS.parents[1])},
            pass_fds=(descriptor,),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def test_inherited(self) -> None:
        """One at the listener's address is taken; one of another port, or meant for another process, isn't."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            self.assertEqual(self.inherit(port, listening), str(port))
            self.assertEqual(self.inherit(port - 1, listening), "None")
            self.assertEqual(self.inherit(port, listening, 1), "None")


class UnitTests(SynchronousTestCase):
    """The units in ``packaging/systemd``."""

    def test_verified(self) -> None:
        """systemd finds no fault in them (but that the program isn't installed here)."""
        analyze = optional_program("systemd-analyze", "--version", package="systemd")
        command = [analyze, "verify", "--man=no", str(UNITS / "seg.service"), str(UNITS / "seg.socket")]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        faults = [line for line in said.splitlines() if "seg." in line and "is not executable" not in line]
        self.assertEqual(faults, [])

    def test_hardened(self) -> None:
        """The service runs as a user of its own, with no right but that to bind ports, and has time to stop."""
        unit = configparser.RawConfigParser(strict=False)
        unit.read(UNITS / "seg.service")
        service = unit["Service"]
        self.assertEqual(service["User"], "seg")
        self.assertEqual(service["CapabilityBoundingSet"], "CAP_NET_BIND_SERVICE")
        self.assertGreater(int(service["TimeoutStopSec"]), 30)
