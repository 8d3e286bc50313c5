"""What is finished leaves nothing behind: twice as many messages, requests or reloads leave as many objects and descriptors."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from seg.lab.gateway import GatewayProcess
from seg.lab.world import MX, TLSA, Policy
from tests.e2e.base import GatewayCase

# The gateway as always, but that it counts what it holds on a signal.
COUNTING = """
import gc, json, os, signal, sys
from twisted.internet import reactor
from twisted.scripts.twistd import run

def count():
    for _ in range(3):
        gc.unfreeze()  # what the gateway leaves out of the full rounds counts here
        gc.collect()
    held = {
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }
    with open("held.part", "w") as file:
        json.dump(held, file)
    os.replace("held.part", "held.json")

reactor.callWhenRunning(lambda: signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(count)))
run()
"""
COMMAND = (sys.executable, "-c", COUNTING, "-n", "--pidfile=", "--logfile=-", "seg", "--config")
DOMAINS = ("plain.example", "sts.example", "dane.example")
WARM = 150  # of whatever is repeated, before anything is counted: caches and pools have filled then
MANY = 300
# Timers come and go: fewer objects than one for every second repetition.
SLACK = {"objects": 150, "blocks": 600, "descriptors": 3, "threads": 1}


@attrs.frozen
class Held:
    """What the process holds."""

    objects: int
    blocks: int
    descriptors: int
    threads: int


class NothingLeftTests(GatewayCase):
    """A gateway that has done something often."""

    timeout = 240

    async def setUp(self) -> None:
        await super().setUp()
        await self.internet.add_domain("plain.example")
        await self.internet.add_domain("sts.example", policy=Policy())
        await self.internet.add_domain("dane.example", mx=[MX("mx.dane.example", tlsa=(TLSA(),))], secure=True)
        files = self.internet.gateway_configuration()
        self.gateway = GatewayProcess(reactor, self.folder / "gateway", files, command=COMMAND)  # type: ignore[arg-type]
        await self.gateway.start()

    async def held(self) -> Held:
        """What it holds when nothing goes on."""
        assert self.gateway is not None
        told = self.folder / "gateway" / "held.json"
        told.unlink(missing_ok=True)
        os.kill(self.gateway.pid, signal.SIGUSR1)
        for _ in range(600):
            if told.exists():
                return Held(**json.loads(told.read_text()))
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        raise AssertionError("no count")

    async def twice(self, work: Callable[[int], None], settled: Callable[[], bool] = lambda: True) -> None:
        """As much is held after twice as much of some work."""
        await self.do(work, WARM, settled)
        await self.do(work, MANY, settled)
        once = await self.held()
        await self.do(work, MANY, settled)
        more = await self.held()
        for name, slack in SLACK.items():
            grown = getattr(more, name) - getattr(once, name)
            self.assertLessEqual(grown, slack, f"{name}: {once}, then {more}")

    async def do(self, work: Callable[[int], None], count: int, settled: Callable[[], bool]) -> None:
        await deferToThread(work, count)
        for _ in range(1200):
            if settled():
                break
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        await deferLater(reactor, 1.0)  # type: ignore[arg-type]

    def empty(self) -> bool:
        """Whether the spool is."""
        spool = self.folder / "gateway" / "var" / "spool"
        return not any(files for place in ("new", "cur") for _, _, files in os.walk(spool / place))

    async def test_messages(self) -> None:
        """Messages relayed without policy, by MTA-STS, and by DANE."""
        assert self.gateway is not None
        port = self.gateway.port

        def send(count: int) -> None:
            with smtplib.SMTP("127.0.0.1", port) as client:
                for number in range(count):
                    to = f"user{number}@{DOMAINS[number % 3]}"
                    client.sendmail(f"alice{number}@sender.example", [to], b"Subject: x\r\n\r\nhello\r\n")

        await self.twice(send, self.empty)
        self.assertGreater(len(self.internet.messages("dane.example")), MANY // 3)
        self.assertGreater(len(self.internet.messages("sts.example")), MANY // 3)

    async def test_refused(self) -> None:
        """Connections that end in every way: in silence, by QUIT, cut within a message, refused."""
        assert self.gateway is not None
        port = self.gateway.port
        words = (
            b"",
            b"QUIT\r\n",
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n",
            b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<\xff>\r\nXYZZY\r\nQUIT\r\n",
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 5\r\nabc",
        )

        def call(count: int) -> None:
            for number in range(count):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                    client.recv(1000)
                    client.sendall(words[number % len(words)])
                    if number % 2 and words[number % len(words)]:
                        client.recv(1000)

        await self.twice(call)

    async def test_requests(self) -> None:
        """Requests to the admin API, good ones and others."""
        assert self.gateway is not None
        path = str(self.gateway.socket)
        asked = (b"GET /v1/status", b"GET /v1/queue", b"GET /v1/nothing", b"POST /v1/queue/5/hold", b"GET /v1/metrics")

        def ask(count: int) -> None:
            for number in range(count):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(20)
                    client.connect(path)
                    client.sendall(asked[number % len(asked)] + b" HTTP/1.0\r\n\r\n")
                    while client.recv(65536):
                        pass

        await self.twice(ask)

    async def test_reloads(self) -> None:
        """The configuration is read again, changed and as it was."""
        assert self.gateway is not None
        gateway, settings = self.gateway, Path(self.gateway.configuration)
        text = settings.read_text()

        def reload(count: int) -> None:
            for number in range(count // 4):
                settings.write_text(f"{text}\n# {number}\n")
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(20)
                    client.connect(str(gateway.socket))
                    client.sendall(b"POST /v1/reload HTTP/1.0\r\n\r\n")
                    while client.recv(65536):
                        pass

        await self.twice(reload)
