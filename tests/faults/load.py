"""A real gateway under load between clients and a host that notes what it gets, each in threads: what a kill lost or repeated is seen here."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import smtplib
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

import seg

ROOT = str(Path(seg.__file__).parent.parent)
TWISTD = "from twisted.scripts.twistd import run; run()"
SEG = (sys.executable, "-c", "from seg.cli.main import main; main()")
SEG_TOML = """
[gateway]
hostname = "gateway.faults.example"
var = "{var}"
[[listener]]
port = {port}
[dns]
resolvers = ["127.0.0.1:9"]
[queue]
first_retry = 1
max_retry = 2
[receive]
max_connections_per_address = 200
[delivery]
allow_loopback = true
"""
DESTINATIONS_TOML = '[route."ALL"]\nhosts = ["127.0.0.1:{sink}"]\n'
PADDING = b"x" * 3000 + b"\r\n"


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class _Session(socketserver.StreamRequestHandler):
    """SMTP as far as the gateway needs it."""

    def handle(self) -> None:
        sink: Sink = self.server.sink  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):
            self.wfile.write(b"220 sink\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    content = b""
                    while (line := self.rfile.readline()) != b".\r\n":
                        if not line:
                            return
                        content += line
                    sink.note(content)
                elif verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200


class Sink:
    """Takes all mail, and notes when."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._server.sink = self  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self.taken: dict[str, list[float]] = defaultdict(list)  # when, by mark; monotonic
        self.half: list[str] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def note(self, content: bytes) -> None:
        """A message, before its 250."""
        mark = content.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode("ascii", "replace")
        with self._lock:
            self.taken[mark].append(time.monotonic())
            if not content.endswith(f"end of {mark}\r\n".encode()):
                self.half.append(mark)

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


class Clients:
    """Hand in messages all the time, and note which got their 250."""

    def __init__(self, port: int, name: str, number: int, pause: float = 0.0) -> None:
        self.accepted: list[str] = []
        self.refused: list[tuple[int, bytes]] = []
        self.stopped = threading.Event()
        self._port = port
        self._name = name
        self._pause = pause
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        count = 0
        while not self.stopped.is_set():
            with (
                contextlib.suppress(smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError, OSError),
                smtplib.SMTP("127.0.0.1", self._port, "client.faults.example", 20) as client,
            ):
                while not self.stopped.is_set():
                    count += 1
                    self._send(client, f"{self._name}-{number}-{count}")
                    time.sleep(self._pause)
            time.sleep(0.05)

    def _send(self, client: smtplib.SMTP, mark: str) -> None:
        padding = PADDING * (100 if mark.endswith("00") else 1)
        content = b"Subject: %s\r\n\r\n%send of %s\r\n" % (mark.encode(), padding, mark.encode())
        try:
            client.sendmail("alice@sender.example", "bob@receiver.example", content)
            self.accepted.append(mark)
        except smtplib.SMTPDataError as error:
            said = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
            self.refused.append((error.smtp_code, said))
        except smtplib.SMTPResponseException as error:
            self.refused.append((error.smtp_code, b""))
            client.rset()

    def stop(self) -> None:
        """Hand in no more."""
        self.stopped.set()
        for thread in self._threads:
            thread.join(30)


class Gateway:
    """``twistd seg`` in a folder.

    :param var: where its own files are; by default in that folder.
    :param environment: more of it.
    """

    def __init__(
        self, folder: Path, sink: int, var: Path | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.var = var or folder / "var"
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.prefix: tuple[str, ...] = ()  # of the command
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seg.toml").write_text(SEG_TOML.format(port=self.port, var=self.var))
        (folder / "destinations.toml").write_text(DESTINATIONS_TOML.format(sink=sink))

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [
            *self.prefix,
            sys.executable,
            "-c",
            TWISTD,
            "-n",
            "--pidfile=",
            "--logfile=-",
            "seg",
            "-c",
            "seg.toml",
        ]
        environment = {**os.environ, "PYTHONPATH": ROOT, **self._environment}
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=output, stderr=output)
        self.until(self._greets, "the gateway greets", 60)

    @property
    def status(self) -> int | None:
        """The exit status; None: it runs."""
        return self._process.poll() if self._process is not None else None

    def _greets(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"the gateway ended: {(self.folder / 'output').read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
            return client.recv(3) in (b"220", b"421")
        return False

    def kill(self) -> float:
        """SIGKILL; when, as `time.monotonic` says."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        return time.monotonic()

    def stop(self) -> None:
        """SIGTERM, and its end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)

    def seg(self, *words: str, timeout: float = 30.0) -> tuple[str, int]:
        """What a command says, and its exit status."""
        done = subprocess.run(
            [*SEG, "--config", str(self.folder / "seg.toml"), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": ROOT},
        )
        return done.stdout + done.stderr, done.returncode

    def log(self) -> str:
        """The mail log."""
        with contextlib.suppress(OSError):
            return (self.var / "log" / "mail.log").read_text("utf-8", "replace")
        return ""

    @staticmethod
    def until(true: Callable[[], bool], what: str, timeout: float = 20.0) -> float:
        """Wait until something is so; how many seconds it took."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > timeout:
                raise AssertionError(f"not within {timeout} seconds: {what}")
            time.sleep(0.05)
        return time.monotonic() - began


@attrs.frozen
class Figures:
    """What a campaign of kills came to."""

    kills: int
    accepted: int
    taken: int
    lost: tuple[str, ...]
    half: tuple[str, ...]
    repeated: int
    late: tuple[tuple[str, float], ...]  # repeated though taken longer than a second before the kill; seconds

    def __str__(self) -> str:
        share = 100 * self.repeated / self.taken if self.taken else 0.0
        return (
            f"{self.kills} kills, {self.accepted} accepted, {self.taken} taken, {len(self.lost)} lost, {len(self.half)} half, "
            f"{self.repeated} repeated ({share:.1f} %), {len(self.late)} of them taken > 1 s before the kill"
        )


def campaign(
    folder: Path, kills: int, between: Iterator[float], clients: int = 10, seconds: float = float("inf")
) -> Figures:
    """Kill a gateway under load again and again; all that was accepted is waited for at the end.

    :param kills: how often, at most.
    :param between: seconds from a start to the next kill.
    :param seconds: after which no kill begins.
    """
    end = time.monotonic() + seconds
    sink = Sink()
    gateway = Gateway(folder, sink.port)
    gateway.start()
    load = Clients(gateway.port, "m", clients)
    killed: list[float] = []
    try:
        for _ in range(kills):
            if time.monotonic() > end:
                break
            time.sleep(next(between))
            killed.append(gateway.kill())
            gateway.start()
        load.stop()
        with contextlib.suppress(AssertionError):  # the figures tell
            gateway.until(lambda: not set(load.accepted) - set(sink.taken), "all is delivered", 60)
        time.sleep(1.5)
    finally:
        load.stop()
        gateway.stop()
        sink.close()
    return _figures(load, sink, killed)


def _figures(load: Clients, sink: Sink, killed: list[float]) -> Figures:
    repeated = {mark: times for mark, times in sink.taken.items() if len(times) > 1}
    late = []
    for mark, times in repeated.items():
        for first, again in itertools.pairwise(times):
            between = [at for at in killed if first <= at <= again]
            if not between or between[0] - first > 1.0:
                late.append((mark, between[0] - first if between else -1.0))
    return Figures(
        len(killed),
        len(load.accepted),
        len(sink.taken),
        tuple(sorted(set(load.accepted) - set(sink.taken))),
        tuple(sink.half),
        len(repeated),
        tuple(late),
    )
