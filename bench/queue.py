"""Starts the gateway with a long queue on disk, and tells how long that takes, how much memory it needs, and how long it let others wait.

``python -m bench.queue [--messages 1000000] [--destinations 2000] [--folder /var/tmp] [--tried]``

The spool is made of real files in a temporary folder (4 KiB of disk and one inode a message; with ``--tried``, when each message has been
tried in vain, twice that). Deliveries are suspended, so that what is measured is the queue itself. While the queue is read the control
socket is asked again and again; the longest wait for an answer is told (the machine's other work is in it).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import attrs

from seg.lab.gateway import TWISTD
from seg.mail.envelope import BodyType, Envelope, Recipient, RecipientState
from seg.queue.codec import encode
from seg.queue.paths import SpoolPaths

SEG_TOML = """
[gateway]
var = "{folder}/var"
hostname = "gateway.bench.example"
[[listener]]
port = {port}
[dns]
resolvers = ["127.0.0.1:9"]
"""
CONTENT = b"From: <alice@sender.example>\r\nSubject: bench\r\n\r\nhello\r\n"


ERROR = "4.4.1 connection to mx1.bench.example [192.0.2.1] timed out"


def make_spool(root: Path, messages: int, destinations: int, tried: bool = False) -> None:
    """Write so many messages of one recipient each.

    :param tried: each has been tried in vain, and is due in an hour.
    """
    folders, now = SpoolPaths(str(root)), time.time()
    for number in range(256):
        for parent in (folders.new, folders.cur):
            os.makedirs(f"{parent}/{number:02x}", mode=0o700)
    for mid in range(1, messages + 1):
        recipient = Recipient(0, f"user{mid}@d{mid % destinations}.bench.example")
        envelope = Envelope(
            mid, f"sender{mid % 1000}@sender.example", (recipient,), now, len(CONTENT), BodyType.SEVEN_BIT, icid=mid
        )
        with open(folders.message(mid).cur if tried else folders.message(mid).new, "wb") as file:
            file.write(encode(envelope) + CONTENT)
        if tried:
            failed = attrs.evolve(recipient, state=RecipientState.PENDING, attempts=3, due=now + 3600, error=ERROR)
            with open(folders.message(mid).envelope, "wb") as file:
                file.write(encode(attrs.evolve(envelope, recipients=(failed,))))


def proportional_set(pid: int) -> int:
    """Pss of a process in octets (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) * 1024


class Waits(threading.Thread):
    """Asks the control socket every 20 ms for something that it doesn't know.

    :ivar longest: seconds that an answer took.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._done = threading.Event()
        self.longest = 0.0

    def run(self) -> None:
        """Ask until `end`."""
        while not self._done.wait(0.02):
            began = time.monotonic()
            with suppress(OSError):
                ask(self._folder, "/v1/nothing")
                self.longest = max(self.longest, time.monotonic() - began)

    def end(self) -> None:
        """Ask no more."""
        self._done.set()
        self.join()


def run(folder: Path) -> tuple[float, float, int, int, float]:
    """Start a gateway: seconds until it listens, its seconds of CPU, its Pss, its messages, seconds it let others wait at most."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "seg.toml").write_text(SEG_TOML.format(folder=folder, port=port))
    (folder / "destinations.toml").write_text("")

    began = time.monotonic()
    command = (
        sys.executable,
        "-c",
        TWISTD,
        "-n",
        "--pidfile=",
        "--logfile=-",
        "seg",
        "--config",
        str(folder / "seg.toml"),
    )
    with (
        open(folder / "output", "wb") as output,
        subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        ) as gateway,
    ):
        waits = Waits(folder)
        waits.start()
        while not _greets(port):
            if gateway.poll() is not None:
                raise SystemExit((folder / "output").read_text()[-2000:])
            time.sleep(0.1)
        started = time.monotonic() - began
        waits.end()
        time.sleep(2)
        times = Path(f"/proc/{gateway.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        cpu = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        waiting = _status(folder)["queue"]["messages"]
        memory = proportional_set(gateway.pid)
        gateway.terminate()
        gateway.wait(60)
    return started, cpu, memory, waiting, waits.longest


def _greets(port: int) -> bool:
    """Clients wait in the backlog until the queue is read."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=600) as client:
            return client.recv(3) == b"220"
    except OSError:
        return False


def ask(folder: Path, path: str) -> bytes:
    """What the control socket answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(folder / "var" / "run" / "seg.sock"))
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer.partition(b"\r\n\r\n")[2]


def _status(folder: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(ask(folder, "/v1/status"))
    return found


def main() -> None:
    """Measure an empty queue and a long one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=int, default=2000)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--tried", action="store_true")
    arguments = parser.parse_args()
    base = 0
    for messages in (0, arguments.messages):
        folder = Path(tempfile.mkdtemp(prefix="seg-bench-", dir=arguments.folder))
        try:
            (folder / "var").mkdir()
            (folder / "var" / "suspended.json").write_text(json.dumps({"domains": ["ALL"], "listeners": []}))
            make_spool(folder / "var" / "spool", messages, arguments.destinations, arguments.tried)
            started, cpu, memory, waiting, longest = run(folder)
        finally:
            shutil.rmtree(folder)
        base = base or memory
        each = f", {(memory - base) / waiting:.0f} octets a message" if waiting else ""
        print(
            f"{waiting} messages: listens after {started:.1f} s ({cpu:.1f} s CPU), Pss {memory / 2**20:.0f} MiB{each}, "
            f"longest wait for an answer meanwhile {1000 * longest:.0f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
