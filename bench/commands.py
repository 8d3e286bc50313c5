"""How soon the operator's commands answer when much is queued.

``python -m bench.commands [--messages 100000]``

A spool of small messages for a thousand destinations is written, a gateway is started on it with deliveries suspended, and each
command is run as an operator runs it: a new process, on a terminal. Told are the time to the first words (a table, or the progress
of what takes longer), the time to the end, and how long other clients waited meanwhile for the greeting of the SMTP listener (the
longest of many). Times are those of one machine on one day; what counts is that a first screen comes within a second and that
others don't notice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from bench.relay import wait_for_port
from seg.mail.envelope import Envelope, Recipient
from seg.queue.codec import encode
from seg.queue.paths import SpoolPaths

SMTP_PORT = 10928
DESTINATIONS = 1000
ROOT = str(Path(__file__).resolve().parent.parent)
WIDTHS = (52, 12, 9, 14)
CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")  # what moves the cursor, and shows nothing

SEG_TOML = """
[gateway]
hostname = "gateway.bench.example"
[[listener]]
port = {port}
[dns]
resolvers = ["127.0.0.1:{resolver}"]
[log]
json = false
"""
CONTENT = b"From: <alice@sender.example>\r\nSubject: number %d\r\nMessage-ID: <%d@sender.example>\r\n\r\nHello.\r\n"

# What an operator runs; D and M stand for a destination and a message. What changes the queue comes last.
COMMANDS = (
    "version",
    "status",
    "tophosts",
    "hoststatus D",
    "topin",
    "queue list",
    "queue list --domain D",
    "queue list --limit 100000",
    "queue show M",
    "queue why M",
    "showrecipients",
    "showrecipients --sender s7@sender.example",
    "showmessage M",
    "oldmessage",
    "policyshow",
    "dnsflush",
    "suspenddel D",
    "resumedel D",
    "queue hold --domain D",
    "queue release --domain D",
    "deleterecipients --domain D --yes",
    "bouncerecipients --all",  # says how many it would hit; without a terminal it refuses then
    "delivernow --all",
)


@attrs.frozen
class Timing:
    """How one command fared; seconds."""

    command: str
    first: float
    last: float
    others: float
    status: int


# --- the gateway -----------------------------------------------------------------------------------------------------


def fill(var: Path, messages: int) -> None:
    """A spool in which each message has been tried once and waits for its next try."""
    folders, now, chance = SpoolPaths(str(var / "spool")), time.time(), random.Random(1)
    made: set[str] = set()
    for mid in range(1, messages + 1):
        content = CONTENT % (mid, mid)
        domain = f"d{int(DESTINATIONS * chance.random() ** 2)}.example"  # some destinations have much more than others
        recipient = Recipient(
            0, f"bob{mid}@{domain}", attempts=1, due=now + 7200 + mid % 7200, error="451 4.3.2 Not now", report=0
        )
        arrived = now - 3600 + 3600 * mid / messages
        envelope = Envelope(
            mid, f"s{mid % 500}@sender.example", (recipient,), arrived, len(content), client="127.0.0.1"
        )
        if (folder := folders.message(mid).new_folder) not in made:
            os.makedirs(folder, mode=0o700)
            made.add(folder)
        with open(folders.message(mid).new, "wb") as file:
            file.write(encode(envelope) + content)


def answer_nothing(resolver: socket.socket) -> None:
    """A name server that knows no name: every question comes back with NXDOMAIN."""
    with contextlib.suppress(OSError):  # it has been closed
        while True:
            question, client = resolver.recvfrom(4096)
            resolver.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + _question_alone(question), client)


def _question_alone(message: bytes) -> bytes:
    """The question section: without what stands behind it (EDNS)."""
    end = message.index(b"\0", 12) + 5  # the root, type and class
    return message[12:end]


@contextlib.contextmanager
def name_server() -> Iterator[int]:
    """Such a name server; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind(("127.0.0.1", 0))
        threading.Thread(target=answer_nothing, args=(resolver,), daemon=True).start()
        yield resolver.getsockname()[1]


@contextlib.contextmanager
def gateway(folder: Path, resolver: int) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway as a process, with deliveries suspended."""
    (folder / "seg.toml").write_text(SEG_TOML.format(port=SMTP_PORT, resolver=resolver))
    (folder / "destinations.toml").write_text("")
    (folder / "var" / "suspended.json").write_text(json.dumps({"domains": ["ALL"], "listeners": []}))
    twistd = "from twisted.scripts.twistd import run; run()"
    command = [sys.executable, "-c", twistd, "-n", "--pidfile=", "--logfile=twistd.log", "seg", "-c", "seg.toml"]
    with subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": ROOT}) as process:
        try:
            wait_for_port(SMTP_PORT)
            greeting(timeout=120)  # the port is bound before the spool is read
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def greeting(timeout: float = 60) -> float:
    """How long a client waits for the greeting."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", SMTP_PORT), timeout) as client:
        if not client.recv(512).startswith(b"220"):
            raise SystemExit("the gateway doesn't greet")
    return time.monotonic() - began


# --- the commands ----------------------------------------------------------------------------------------------------


class Others:
    """Clients that come one after another while a command runs."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._come)

    def __enter__(self) -> Others:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _come(self) -> None:
        while not self._over.is_set():
            self.longest = max(self.longest, greeting())
            self._over.wait(0.02)


def timed(folder: Path, command: str, names: dict[str, str]) -> Timing:
    """Run one command as a process of its own."""
    words = [names.get(word, word) for word in command.split()]
    program = [sys.executable, "-c", "from seg.cli.main import main; main()", "--config", "seg.toml", *words]
    environment = {**os.environ, "PYTHONPATH": ROOT, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "160"}
    terminal, its_end = os.openpty()
    with Others() as others:
        began = time.monotonic()
        with subprocess.Popen(
            program, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=its_end, stderr=its_end
        ) as process:
            os.close(its_end)
            first = 0.0
            for text in shown(terminal):
                if not first and CONTROL.sub(b"", text).strip():
                    first = time.monotonic() - began
        last = time.monotonic() - began
    os.close(terminal)
    return Timing(command, first or last, last, others.longest, process.returncode)


def shown(terminal: int) -> Iterator[bytes]:
    """What comes to a terminal, until nobody holds its other end."""
    with contextlib.suppress(OSError):
        while text := os.read(terminal, 65536):
            yield text


def line(cells: Sequence[str]) -> str:
    """One line of the table."""
    return cells[0].ljust(WIDTHS[0]) + "".join(
        cell.rjust(width) for cell, width in zip(cells[1:], WIDTHS[1:], strict=True)
    )


def main() -> None:
    """Fill, start, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    count = parser.parse_args().messages
    names = {"D": "d7.example", "M": str(count // 2)}
    with tempfile.TemporaryDirectory(prefix="seg-bench-") as name, name_server() as resolver:
        folder = Path(name)
        began = time.monotonic()
        fill(folder / "var", count)
        print(f"{count} messages written in {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        with gateway(folder, resolver):
            print(f"The gateway greets {time.monotonic() - began:.1f} s after its start.\n")
            print(line(("seconds", "first words", "all", "others waited")))
            for command in COMMANDS:
                found = timed(folder, command, names)
                ended = f"  (exit status {found.status})" if found.status else ""
                figures = (found.first, found.last, found.others)
                print(line((f"seg {command}", *(f"{figure:.2f}" for figure in figures))) + ended, flush=True)


if __name__ == "__main__":
    main()
