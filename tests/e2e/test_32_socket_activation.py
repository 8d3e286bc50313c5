"""systemd listens, starts the gateway, and is told when it is ready."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.base import ROOT

TWISTD = "from twisted.scripts.twistd import run; run()"


class ActivationTests(SynchronousTestCase):
    """The gateway as a child of something like systemd."""

    def test_activated(self) -> None:
        """A socket that was passed is served, and the start and the stop are told."""
        folder = Path(tempfile.mkdtemp(prefix="seg-e2e-"))
        self.addCleanup(shutil.rmtree, folder, True)
        shutil.copy(f"{ROOT}/etc/destinations.toml", folder)
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices,
        ):
            address, port = listening.getsockname()
            notices.bind(f"{folder}/notify")
            notices.settimeout(20)
            (folder / "seg.toml").write_text(
                f'[gateway]\nvar = "{folder}/var"\nhostname = "mx.test"\n'
                f'[[listener]]\nname = "in"\naddress = "{address}"\nport = {port}\n'
            )
            shell = f'exec 3<&{listening.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
            arguments = ["--nodaemon", "--pidfile=", "seg", "--config", f"{folder}/seg.toml"]
            gateway = subprocess.Popen(
                ["bash", "-c", shell, "bash", sys.executable, "-c", TWISTD, *arguments],
                pass_fds=(listening.fileno(),),
                env={**os.environ, "NOTIFY_SOCKET": f"{folder}/notify", "PYTHONPATH": ROOT},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                self.assertEqual(notices.recv(100), b"READY=1")
                with socket.create_connection((address, port), 10) as client:
                    self.assertEqual(client.recv(100), b"220 mx.test ESMTP\r\n")
            finally:
                gateway.terminate()
            self.assertEqual(notices.recv(100), b"STOPPING=1")
            gateway.wait(20)
