"""Starts the gateway with a long queue on disk, and tells how long that takes and how much memory it needs.

``python -m bench.queue [--messages 1000000] [--destinations 2000] [--folder /var/tmp]``

The spool is made of real files in a temporary folder (4 KiB of disk and one inode a message). Deliveries are suspended, so that
what is measured is the queue itself.
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
import time
from pathlib import Path

from seg.lab.gateway import TWISTD
from seg.model import BodyType, Envelope, Recipient
from seg.queue.files import Folders, encode

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


def make_spool(root: Path, messages: int, destinations: int) -> None:
    """Write so many messages of one recipient each."""
    folders, now = Folders(str(root)), time.time()
    for number in range(256):
        os.makedirs(f"{folders.new}/{number:02x}", mode=0o700)
    for mid in range(1, messages + 1):
        recipient = Recipient(0, f"user{mid}@d{mid % destinations}.bench.example")
        envelope = Envelope(
            mid, f"sender{mid % 1000}@sender.example", (recipient,), now, len(CONTENT), BodyType.SEVEN_BIT, icid=mid
        )
        with open(folders.new_file(mid), "wb") as file:
            file.write(encode(envelope) + CONTENT)


def proportional_set(pid: int) -> int:
    """Pss of a process in octets (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) * 1024


def run(folder: Path) -> tuple[float, float, int, int]:
    """Start a gateway: seconds until it listens, its seconds of CPU, its Pss, its messages."""
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
        while not _greets(port):
            if gateway.poll() is not None:
                raise SystemExit((folder / "output").read_text()[-2000:])
            time.sleep(0.1)
        started = time.monotonic() - began
        time.sleep(2)
        times = Path(f"/proc/{gateway.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        cpu = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        waiting = _status(folder)["queue"]["messages"]
        memory = proportional_set(gateway.pid)
        gateway.terminate()
        gateway.wait(60)
    return started, cpu, memory, waiting


def _greets(port: int) -> bool:
    """Clients wait in the backlog until the queue is read."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=600) as client:
            return client.recv(3) == b"220"
    except OSError:
        return False


def _status(folder: Path) -> dict[str, dict[str, int]]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(folder / "var" / "run" / "seg.sock"))
        client.sendall(b"GET /v1/status HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    found: dict[str, dict[str, int]] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def main() -> None:
    """Measure an empty queue and a long one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=int, default=2000)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    base = 0
    for messages in (0, arguments.messages):
        folder = Path(tempfile.mkdtemp(prefix="seg-bench-", dir=arguments.folder))
        try:
            (folder / "var").mkdir()
            (folder / "var" / "suspended.json").write_text(json.dumps({"domains": ["ALL"], "listeners": []}))
            make_spool(folder / "var" / "spool", messages, arguments.destinations)
            started, cpu, memory, waiting = run(folder)
        finally:
            shutil.rmtree(folder)
        base = base or memory
        each = f", {(memory - base) / waiting:.0f} octets a message" if waiting else ""
        print(
            f"{waiting} messages: listens after {started:.1f} s ({cpu:.1f} s CPU), Pss {memory / 2**20:.0f} MiB{each}",
            flush=True,
        )


if __name__ == "__main__":
    main()
