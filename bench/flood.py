"""How long a newcomer waits while others pipeline cheap commands without reading what it costs.

``python -m bench.flood [--connections 0 1 10 50] [--seconds 5] [--commands NOOP RCPT ...]``

The gateway runs with its limits on errors and idle commands lifted, so that it is the turns alone that hold. For each command and number
of connections: the 99th percentile and the longest wait for a greeting, and for a whole mail (EHLO to the 250 behind the
content) on a connection of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.relay import SEG_PORT, gateway

LIMITS = "[receive]\nmax_unknown_commands = 1000000000\nmax_refusals = 1000000000\nmax_idle_commands = 1000000000\n"
HELLO = b"EHLO flood.example\r\n"
MAIL = b"MAIL FROM:<a@one.example>\r\n"
RCPT = b"RCPT TO:<b@two.example>\r\n"
COMMANDS = {
    "NOOP": b"NOOP\r\n",
    "RSET": b"RSET\r\n",
    "EHLO": HELLO,
    "VRFY": b"VRFY x\r\n",
    "unknown": b"XYZZY\r\n",
    "MAIL+RSET": MAIL + b"RSET\r\n",
    "RCPT": MAIL + RCPT * 500 + b"RSET\r\n",
    "refused": MAIL + b"RCPT TO:<nobody>\r\n" * 500 + b"RSET\r\n",
    "BDAT": MAIL + RCPT + b"BDAT 1\r\nx" * 500 + b"RSET\r\n",
    "DATA": MAIL + RCPT + b"DATA\r\n" + b"..\r\n" * 20000 + b".\r\n",
}


def flood(command: bytes, connections: int, seconds: float) -> None:
    """Send for so long, and read the replies."""
    block = command * max(1, 65536 // len(command))
    end = time.monotonic() + seconds

    def read(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(1 << 20):
                pass

    def write(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(HELLO)
            while time.monotonic() < end:
                connection.sendall(block)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    threads = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", SEG_PORT))
        connection.settimeout(seconds + 5)
        threads += [threading.Thread(target=each, args=(connection,), daemon=True) for each in (read, write)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        time.sleep(0.1)
    os._exit(0)


def newcomer() -> tuple[float, float]:
    """Seconds until the greeting, and until a whole mail is accepted."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", SEG_PORT), 60) as connection:
        file = connection.makefile("rb")
        file.readline()
        greeted = time.monotonic() - began
        for line in (HELLO, MAIL, RCPT, b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n"):
            connection.sendall(line)
            while file.readline()[3:4] == b"-":
                pass
    return greeted, time.monotonic() - began


def measured(name: str, connections: int, seconds: float) -> str:
    """A line of the table."""
    command = [sys.executable, "-m", "bench.flood", "--flood", name, "--connections", str(connections)]
    with subprocess.Popen([*command, "--seconds", str(seconds)]) as flooding:
        time.sleep(1)
        found = []
        while flooding.poll() is None:
            found.append(newcomer())
            time.sleep(0.01)
    columns = []
    for waits in zip(*found, strict=True):
        ordered = sorted(waits)
        columns.append(f"{ordered[int(len(ordered) * 0.99)] * 1000:8.0f} {ordered[-1] * 1000:8.0f}")
    return f"{name:12s} {connections:4d} {len(found):6d}   {'   '.join(columns)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[0, 1, 10, 50])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--flood", choices=COMMANDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        flood(COMMANDS[options.flood], options.connections[0], options.seconds)
    print("command     conn.  mails   greeting p99, longest   mail p99, longest (ms)")
    with tempfile.TemporaryDirectory(prefix="seg-bench-") as folder, gateway(Path(folder), False, LIMITS):
        for name in options.commands:
            for connections in options.connections:
                print(measured(name, connections, options.seconds), flush=True)


if __name__ == "__main__":
    main()
