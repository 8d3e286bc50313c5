"""What all end-to-end tests share: an internet, a gateway in it, and the ``seg`` command."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pexpect
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import seg
from seg.lab.gateway import GatewayProcess
from seg.lab.internet import Internet

ROOT = str(Path(seg.__file__).parent.parent)
SEG = (sys.executable, "-c", "from seg.cli.main import main; main()")

# Everything that careless software stumbles over: leading dots, a dot alone, long lines, trailing blanks, no blank at the end.
MESSAGE = b"\r\n".join(
    [
        b"From: <alice@sender.example>",
        b"To: <bob@receiver.example>",
        b"Subject: end to end",
        b"Message-ID: <1@sender.example>",
        b"",
        b".",
        b"..",
        b".leading dot",
        b"trailing blanks  \t",
        b"long " * 180,
        b"",
        b"last line",
        b"",
    ]
)


class GatewayCase(TestCase):
    """A test with an internet of its own; call `start_gateway` once its domains are there."""

    timeout = 60

    async def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seg-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.internet = await Internet.start(reactor, self.folder / "internet")  # type: ignore[arg-type]
        self.addCleanup(self._down)
        self.gateway: GatewayProcess | None = None

    async def _down(self) -> None:
        if self.gateway is not None and self.gateway.running:
            await self.gateway.stop()
        await self.internet.stop()

    async def start_gateway(self, **configuration: Any) -> GatewayProcess:
        """Start the gateway; keywords as in `Internet.gateway_configuration`."""
        files = self.internet.gateway_configuration(**configuration)
        self.gateway = GatewayProcess(reactor, self.folder / "gateway", files)  # type: ignore[arg-type]
        await self.gateway.start()
        return self.gateway

    def install_plugin(self, name: str, source: str) -> Path:
        """Make a module of ``twisted.plugins`` that the next gateway finds; its file."""
        plugins = self.folder / "site" / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        module = plugins / f"{name}.py"
        module.write_text(source)
        self.patch(os, "environ", {**os.environ, "PYTHONPATH": str(self.folder / "site")})
        return module

    def terminal(self, *arguments: str) -> pexpect.spawn:
        """The ``seg`` command in a terminal of its own."""
        assert self.gateway is not None
        environment = {
            **os.environ,
            "PYTHONPATH": ROOT,
            "COLUMNS": "200",
            "LINES": "50",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        command = [*SEG[1:], "--config", str(self.gateway.configuration), *arguments]
        return pexpect.spawn(
            SEG[0],
            command,
            env=environment,
            cwd=str(self.gateway.folder),
            timeout=15,
            encoding="utf-8",
            dimensions=(50, 200),
        )

    async def seg(self, *arguments: str) -> tuple[str, str, int]:
        """Run the ``seg`` command against the gateway: standard output, standard error, exit status."""
        assert self.gateway is not None
        command = (*SEG, "--config", str(self.gateway.configuration), *arguments)
        out, err, status = await getProcessOutputAndValue(
            command[0],
            command[1:],
            env={**os.environ, "PYTHONPATH": ROOT, "COLUMNS": "200", "NO_COLOR": "1"},
            path=str(self.gateway.folder),
        )
        return out.decode(), err.decode(), status

    async def seg_json(self, *arguments: str) -> Any:
        """The JSON that a verb of ``seg`` prints."""
        out, err, status = await self.seg(*arguments, "--json")
        self.assertEqual((err, status), ("", 0))
        return json.loads(out)


def without_trace(content: bytes) -> tuple[bytes, bytes]:
    """A message as it arrived, split into the Received field that the gateway put on top, and all behind it."""
    end = content.index(b"\r\n")
    while content[end + 2 : end + 3] in (b" ", b"\t"):
        end = content.index(b"\r\n", end + 2)
    return content[: end + 2], content[end + 2 :]
