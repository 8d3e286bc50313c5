"""What all real servers have in common: where they listen, whom they take mail for, and where what they took is found.

Each takes mail for everybody at every domain ending in ``.example``, into one folder for each local part, but:

- ``nobody@``: refused for good;
- ``late@``: refused for now, as long as the file `RealServer.closed` is there;
- the recipients of one transaction beyond `MOST_RECIPIENTS`: refused for now, with the code that this server has for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

USER, PASSWORD = "us", "correct horse"
MOST_RECIPIENTS = 5
IDLE = 3  # seconds after which it closes a connection on which nothing is said
PROGRAMS = Path(__file__).with_name("programs")  # servers and filters that are scripts
LIMITED_SIZE = 100_000  # octets that the limited kind takes
# What servers put on top, of which the gateway knows nothing.
TRACE = tuple(
    f"{name}:".encode()
    for name in (
        "return-path",
        "delivered-to",
        "received",
        "x-original-to",
        "envelope-to",
        "delivery-date",
        "authentication-results",
    )
)


class RealServer:
    """One instance. `start` it, and look what it has `stored`.

    :param boxes: local parts that have a mailbox, for a server that has to know.
    :param limited: it speaks TLS 1.2 only, and takes no message above `LIMITED_SIZE`.
    """

    name: ClassVar[str]

    def __init__(
        self,
        folder: Path,
        address: str,
        port: int,
        implicit: int,
        pem: Path,
        *,
        boxes: Sequence[str] = (),
        limited: bool = False,
    ) -> None:
        self.folder = folder
        self.address = address
        self.port = port
        self.implicit = implicit
        self.pem = pem
        self.boxes = (*boxes, "late")
        self.limited = limited
        self.closed = folder / "closed"
        self.mail = folder / "mail"
        for each in (folder, self.mail):
            each.mkdir(parents=True)
            each.chmod(0o777)
        os.chown(self.mail, 65534, 65534)
        self.ports = [port]
        self._child: subprocess.Popen[bytes] | None = None
        self.configure()

    def configure(self) -> None:
        """Write the files."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """What runs it in the foreground."""
        raise NotImplementedError

    @classmethod
    def required(cls) -> None:
        """Find out whether it can be had.

        :raises SkipTest: it can't.
        """
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What its process sees besides."""
        return {}

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """One of its files."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    async def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "output").open("ab") as output:
            self._child = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), **self.environment()},
                start_new_session=True,
            )
        for _ in range(400):
            if all(self._listens(port) for port in self.ports):
                return
            if self._child.poll() is not None:
                break
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        raise AssertionError(f"{self.name} doesn't listen: {self.output()}")

    def _listens(self, port: int) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.address, port)) == 0

    def output(self) -> str:
        """All that it wrote."""
        return "".join(path.read_text(errors="replace") for path in self.logs() if path.exists())[-4000:]

    def logs(self) -> list[Path]:
        """The files that it writes."""
        return [self.folder / "output"]

    async def stop(self) -> None:
        """End it with all its children."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        await deferToThread(self._end, child)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    # --- what it took ---

    def stored(self, local: str) -> list[bytes]:
        """The messages for a local part, with CRLF line ends, in the order in which they came."""
        folder = self.mail / local
        files = [path for path in folder.rglob("*") if path.is_file() and self.is_message(path)]
        files.sort(key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in files]

    def is_message(self, path: Path) -> bool:
        """Whether a file of the mailbox is a whole message."""
        return path.parent.name == "new"

    async def wait_for(self, local: str, count: int = 1, timeout: float = 20.0) -> list[bytes]:
        """The messages for a local part once there are so many."""
        for _ in range(int(timeout / 0.05)):
            found = self.stored(local)
            if len(found) >= count:
                return found
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        raise AssertionError(
            f"{self.name} has {len(self.stored(local))} of {count} messages for {local}: {self.output()}"
        )

    def remove(self) -> None:
        """Remove all its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def without_traces(content: bytes) -> tuple[bytes, bytes]:
    """A message as it was stored: the trace fields on top of it, and all behind them."""
    position = 0
    while content[position:].lower().startswith(TRACE):
        end = content.index(b"\r\n", position) + 2
        while content[end : end + 1] in (b" ", b"\t"):
            end = content.index(b"\r\n", end) + 2
        position = end
    return content[:position], content[position:]
