"""From nothing to a gateway that takes mail: ``seg setup``, then ``twistd seg``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from seg.lab.configuration import GatewayFiles
from seg.lab.gateway import GatewayProcess
from seg.lab.internet import free_port
from tests.e2e.base import MESSAGE, ROOT, SEG, GatewayCase


class SetupTests(GatewayCase):
    """A machine without a configuration."""

    async def test_starts(self) -> None:
        """What setup writes starts as it is, and takes and keeps a message."""
        folder, port = Path(self.folder, "gateway"), free_port()
        words = ["--var", "var", "--yes", "--no-dns", "--hostname", "gw.example.net", "--listen", f"127.0.0.1:{port}"]
        done = await deferToThread(
            subprocess.run,
            [*SEG, "setup", "--folder", str(folder), *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": ROOT},
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        texts = [(folder / name).read_text() for name in ("seg.toml", "destinations.toml")]
        gateway = self.gateway = GatewayProcess(reactor, folder, GatewayFiles(port, *texts))  # type: ignore[arg-type]
        await gateway.start()
        await self.seg("suspenddel", "ALL")
        await gateway.inject("alice@sender.example", "bob@nowhere.example", MESSAGE)
        listed = await self.seg_json("queue", "list")
        self.assertEqual([message["recipients"] for message in listed["messages"]], [["bob@nowhere.example"]])
