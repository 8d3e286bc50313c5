"""A stand-in for the gateway: logs that it listens and what it is given. ``deaf`` never listens."""

from __future__ import annotations

import json
import socketserver
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

MODE, CONFIGURATION = sys.argv[1], Path(sys.argv[2])


def log(event: str, **fields: Any) -> None:
    """Write a line and an event."""
    folder = Path("var/log")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("mail.log", f"Info: {event} {fields}"),
        ("mail.jsonl", json.dumps({"event": event, **fields})),
    ):
        with (folder / name).open("a") as file:
            file.write(text + "\n")


class SMTP(socketserver.StreamRequestHandler):
    """Says yes to everything."""

    def handle(self) -> None:
        """One session."""
        self.wfile.write(b"220 stub\r\n")
        in_data = False
        for line in self.rfile:
            if in_data and line != b".\r\n":
                log("content", line=line.decode())
                continue
            if not in_data:
                log("command", line=line.decode().strip())
            in_data = line.upper().startswith(b"DATA")
            leaves = line.upper().startswith(b"QUIT")
            self.wfile.write(b"354 go\r\n" if in_data else b"221 bye\r\n" if leaves else b"250 ok\r\n")


def main() -> None:
    """Run until killed."""
    if MODE == "broken":
        print("seg.toml:1: this can't be used", file=sys.stderr)
        sys.exit(3)
    port = tomllib.loads(CONFIGURATION.read_text())["listener"][0]["port"]
    if MODE == "deaf":
        log("gateway_started")
        time.sleep(60)
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), SMTP) as server:
        log("listener_started", name="relay", address="127.0.0.1", port=port)
        server.serve_forever()


main()
